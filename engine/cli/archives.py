"""archive, restore, forget: what a database keeps no longer at hand, or keeps without its texts."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
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
    from engine.store.forgetting import Forgotten

MOST_DAYS = 100_000


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
    done = restore_study(Store(options.writable(db)), folder)
    gone = (
        f"{folder} stays and can be read in place: by now the database has others instead of "
        f"{text.plural(done.differ, 'answer or reply', 'answers and replies')} of it."
        if done.differ
        else f"{folder} is gone."
    )
    show.say(f"{done.manifest.study}: {text.plural(done.trials, 'trial')} brought back into {db}; {gone}")


@click.command(cls=Verb)
@click.argument("study", required=False, metavar="STUDY", help="of this study alone")
@options.option("--older-than", "days", type=int, metavar="DAYS", help="what was made more than so many days ago")
@options.option("--yes", is_flag=True, help="do not ask")
def forget(db: Path, study: str | None, days: int | None, yes: bool) -> None:
    """Remove the texts of prompts and replies for good; counts, scores, spends and ids stay."""
    from engine.runs import retention
    from engine.store.forgetting import forget as chosen
    from engine.store.store import Store

    if study is None and days is None:
        raise UsageError("Say what to forget: a study's name, or --older-than with a number of days.")
    if days is not None and not 0 <= days <= MOST_DAYS:
        raise UsageError(f"--older-than takes 0 to {MOST_DAYS:,} days, not {days:,}.")
    options.existing(db)
    part = None if study is None else part_of(db, study)
    before = None if days is None else datetime.now(UTC) - timedelta(days=days)
    store = Store(options.writable(db))
    if not yes:
        alive = retention.working(store)
        found = chosen(store, datetime.now(UTC).date(), part=part, before=before, alive=alive, look=True)
        if not sys.stdin.isatty():
            raise UsageError(f"This would remove the texts of {_said(found)} for good; add --yes to do it.")
        if input(f"Remove the texts of {_said(found)} for good? [y/N] ").strip().lower() not in ("y", "yes"):
            show.say("Nothing was removed.")
            return
    done = retention.remove_texts(store, part, before)
    show.say(
        f"The texts of {_said(done.forgotten)} were removed ({text.size(done.forgotten.bytes)}); "
        f"{text.plural(done.journals, 'journal')} of runs likewise; {db.name} went from {text.size(done.before_bytes)} "
        f"to {text.size(done.after_bytes)}."
    )
    show.say(
        "Scores, counts, spends, questions and the answers that were read are still there. A later run buys what it "
        "would have replayed of them again, under its ceiling, and says how many."
    )


def _said(forgotten: Forgotten) -> str:
    """What loses its text, and what keeps it."""
    replies, shared = (text.plural(n, "reply", "replies") for n in (forgotten.replies, forgotten.shared))
    left = [f"{text.plural(forgotten.running, 'reply', 'replies')} of running studies"] if forgotten.running else []
    left += [f"{shared} that other studies read too"] if forgotten.shared else []
    stays = f" (left as they are: {text.joined(left)})" if left else ""
    return f"{replies} and {text.plural(forgotten.prompts, 'prompt')}{stays}"
