"""import: other tools' logs, and other databases of results, into this one."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli import options, show
from engine.cli.options import DONE, ERROR, Verb, option
from engine.core import text
from engine.core.errors import BudgetscopeError
from engine.store.database import is_database
from engine.store.store import Store

if TYPE_CHECKING:
    from engine.interop.derived import Wishes

SHOWN = 5
"""Faults that are listed; the others are counted."""


@click.command(cls=Verb)
@click.argument("paths", nargs=-1, required=True, type=Path, metavar="PATH...")
@option("--study", metavar="NAME", help="the study they stand in (default: one a task and tool)")
@option("--preview", is_flag=True, help="say what would come in and what is missing, and store nothing")
@option("--read-again", is_flag=True, help="read and score the replies by our rules too, as settings of their own")
@option("--scorer", metavar="NAME", help="by which scorer they are read again (default: same)")
@option("--no-votes", is_flag=True, help="derive no majority votes from several answers to one prompt")
@option("--skip-bad", is_flag=True, help="leave out records that cannot be read, and count them")
@option("--trust", is_flag=True, help="of a database: its replies may be read in place of calls")
@options.plugin
def import_(
    db: Path,
    paths: tuple[Path, ...],
    study: str | None,
    preview: bool,
    read_again: bool,
    scorer: str | None,
    no_votes: bool,
    skip_bad: bool,
    trust: bool,
) -> int:
    """Each path by itself: what it brings, what is missing, and how many answers are new."""
    from engine.interop import logs_in
    from engine.interop.derived import Wishes
    from engine.tasks.scorers import SAME

    wishes = Wishes((scorer or SAME) if read_again or scorer else None, not no_votes)

    target = db if preview else options.writable(db)
    failed = 0
    named = [each for given in paths for each in logs_in(given)]
    for path in named:
        try:
            if path.is_file() and is_database(path):
                _merge(target, path, preview, trust)
            else:
                _log(target, path, study, wishes, preview, skip_bad)
        except BudgetscopeError as error:
            if len(named) == 1:
                raise
            # One that cannot be read keeps none of the others out.
            show.tell(f"budgetscope: {error}")
            failed += 1
    return ERROR if failed else DONE


def _log(db: Path, path: Path, study: str | None, wishes: Wishes, preview: bool, skip_bad: bool) -> None:
    from engine.interop import importing, logs

    store = Store(db)
    faults: list[str] = []
    with ExitStack() as stack:
        if skip_bad:
            faults = stack.enter_context(logs.skipping_bad())
        found = importing.survey(store, path, study, wishes, lambda n: _tell(n, "looked at"))
        unread = list(dict.fromkeys(faults))
        for part in found.parts.values():
            for line in part.lines():
                show.say(line)
        for fault in unread[:SHOWN]:
            show.tell(f"budgetscope: left out: {fault}")
        if unread:
            show.say(f"Left out as unreadable: {text.plural(len(unread), 'record')} of {path.name}.")
        if preview:
            show.say("Nothing was stored; leave out --preview to import.")
            return
        new = importing.bring_in(store, found, lambda n: _tell(n, "read"))
    derived = "; votes derived from draws are among them" if any(p.derived for p in found.parts.values()) else ""
    studies = ", ".join(dict.fromkeys(part.study for part in found.parts.values()))
    show.say(
        f"{text.plural(new, 'answer')} new from {path.name}, in the study {studies}{derived}."
        if new
        else f"Nothing new in {path.name}."
    )


def _tell(count: int, done: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text.count(count)} answers {done} ")
        sys.stderr.flush()


def _merge(db: Path, path: Path, preview: bool, trust: bool) -> None:
    from engine.store.merging import merge

    merged = merge(Store(db), path, trust=trust, look=preview)
    counts = text.joined(text.plural(merged.new[table], *nouns) for table, nouns in _NOUNS.items())
    would = "would come" if preview else "came"
    show.say(f"From {path.name} {would} {counts}; {text.plural(merged.same['trials'], 'answer')} were here already.")
    for conflict in merged.conflicts[:SHOWN]:
        show.say(f"Differs, and stays as it is here: {conflict}.")
    if len(merged.conflicts) > SHOWN:
        show.say(f"{text.count(len(merged.conflicts) - SHOWN)} more differ and stay as they are here.")
    if not trust and merged.new["completions"]:
        show.say("Their replies are shown and never read in place of a call; --trust allows that.")


_NOUNS = {
    "runs": ("run",),
    "conditions": ("setting",),
    "questions": ("question",),
    "trials": ("answer",),
    "completions": ("stored reply", "stored replies"),
}
