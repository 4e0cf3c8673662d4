"""Texts removed wherever a database and its runs keep them: tables, journals of runs, and the bytes of the file.

In this order, each of which can be done again by whoever comes after a process that was killed: the tables say which
replies have no text, journals follow them, and the file is written anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from engine.core.errors import AlreadyRunning
from engine.runs import archiving, journal, run_dir
from engine.store import forgetting
from engine.store.extract import Part
from engine.store.forgetting import Forgotten
from engine.store.store import Store


@dataclass(frozen=True, slots=True)
class Removed:
    """What lost its text, and what that did to the database."""

    forgotten: Forgotten
    journals: int
    """That were written anew."""
    before_bytes: int
    after_bytes: int
    """Of the database file."""


def remove_texts(store: Store, part: Part | None, before: datetime | None) -> Removed:
    """Remove texts for good. Raises RunError where the study that is named is running."""
    now = datetime.now(UTC)
    # Before the locks of the study's own runs are taken, or it would be we who seem to work on them.
    alive = working(store)
    own = [] if part is None else archiving.runs_of(store, part.study)
    # Held for a moment: a study that begins afterwards finds its texts gone and buys them anew.
    with archiving.still(own, "remove its texts"):
        forgotten = forgetting.forget(store, now.date(), part=part, before=before, alive=alive)
    gone, journals = forgetting.without_text(store), 0
    for each in run_dir.list_runs(store.path):
        run = run_dir.at(store.path, each.run_id)
        if gone and not run_dir.is_alive(run):
            try:
                with run_dir.held(run):
                    journals += journal.without_texts(run.journal, gone, now.date())
            except AlreadyRunning:
                # It began this moment: what it may read is its own.
                continue
    return Removed(forgotten, journals, *store.rewrite())


def working(store: Store) -> list[str]:
    """The runs beside a database that somebody works on."""
    known = run_dir.list_runs(store.path)
    return [each.run_id for each in known if run_dir.is_alive(run_dir.at(store.path, each.run_id))]
