"""archive, restore, forget: what a database keeps no longer at hand, or keeps without its texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

import engine
from engine.cli import options, show
from engine.cli.options import Verb
from engine.core import text
from engine.core.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from engine.store.extract import Part


def part_of(db: Path, study: str | None) -> Part:
    """What a study asked for. Raises UnknownName or UsageError."""
    from engine.interop.long_tables import asked
    from engine.store.extract import Part

    name, questions, conditions = asked(engine.open(db), study)
    return Part(name, tuple(conditions), tuple(sorted(id for ids in questions.values() for id in ids)))


@click.command(cls=Verb)
@click.argument("study", required=False, metavar="STUDY", help="its name (default: the only one there is)")
def archive(db: Path, study: str | None) -> None:
    """Move a study into a folder of Parquet files, which every verb and page reads in place."""
    from engine.runs.archiving import archive_study
    from engine.store.store import Store

    options.existing(db)
    part = part_of(db, study)
    done = archive_study(Store(options.writable(db)), part)
    stay = done.manifest.trials - done.trials
    also = f"; {text.plural(stay, 'trial')} that another study asks for too stayed as well" if stay > 0 else ""
    show.say(
        f"{part.study}: {text.plural(done.manifest.trials, 'trial')} archived in {done.folder} "
        f"({text.size(done.manifest.bytes)}){also}; {db.name} went from {text.size(done.before_bytes)} to "
        f"{text.size(done.after_bytes)}."
    )
    show.say(
        f"Read it in place: `budgetscope --db {done.folder}`, and report, export and the others likewise; "
        f"`budgetscope restore {done.folder}` brings it back. What a later run would have replayed from it is bought "
        "again until then."
    )


@click.command(cls=Verb)
@click.argument("name", metavar="ARCHIVE", help="an archived study's name, or its folder")
def restore(db: Path, name: str) -> None:
    """Bring an archived study back into the database; its folder goes."""
    from engine.runs.archiving import restore_study
    from engine.store import parquet
    from engine.store.archive import archives
    from engine.store.store import Store

    folder = Path(name)
    if not parquet.is_archive(folder):
        known = {kept.study: path for path, kept in archives(db)}
        if folder.is_dir():
            raise UsageError(f"{folder} is a folder without {parquet.MANIFEST}, so it is no archive of Budgetscope's.")
        if name not in known:
            raise UnknownName("archived study", name, known)
        folder = known[name]
    kept, count = restore_study(Store(options.writable(db)), folder)
    show.say(f"{kept.study}: {text.plural(count, 'trial')} brought back into {db}; {folder} is gone.")
