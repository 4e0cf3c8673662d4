"""A study with its runs out of a database and back: the runs' folders, journals and all, go with its rows.

A study somebody works on stays where it is: the locks of its runs are held meanwhile. Each step can be done again by
whoever comes after a process that was killed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.core import files
from engine.core.errors import RunError, StoreError
from engine.runs import allowance, run_dir
from engine.runs.run_dir import RunDir
from engine.store import archive, parquet
from engine.store.extract import Part
from engine.store.parquet import Manifest
from engine.store.store import Store


@dataclass(frozen=True, slots=True)
class Archived:
    """What was archived, and what that did to the database."""

    folder: Path
    manifest: Manifest
    trials: int
    """That left the database; what another study asks for too stays."""
    before_bytes: int
    after_bytes: int
    """Of the database file."""


def runs_of(store: Store, study: str) -> list[RunDir]:
    """The folders of a study's runs beside a database, stored or not."""
    stored = set(archive.runs_of(store, study))
    known = run_dir.list_runs(store.path)
    return [run_dir.at(store.path, each.run_id) for each in known if each.run_id in stored or each.name == study]


@contextmanager
def still(runs: list[RunDir], what: str) -> Iterator[None]:
    """Hold all these runs, so that nobody works on them. Raises RunError where somebody does."""
    if alive := next((run.run_id for run in runs if run_dir.is_alive(run)), None):
        raise RunError(f"Run {alive} is running; {what} once it has ended, or stop it (`budgetscope stop {alive}`).")
    with ExitStack() as locks:
        for run in runs:
            locks.enter_context(run_dir.held(run))
        yield


def archive_study(store: Store, part: Part) -> Archived:
    """Move a study into its archive. Raises RunError while it runs, StoreError where it cannot be archived."""
    if parquet.is_archive(store.path):
        raise StoreError(f"{store.path} is an archive already.")
    runs = runs_of(store, part.study)
    with still(runs, "archive its study"):
        # What they hold of the day's allowance goes back first: without its journal nobody could tell what was spent.
        allowance.settled(store)
        folder, kept = archive.write(store, part)
        _move(runs, folder)
        count = archive.remove(store, part)
    before, after = store.rewrite()
    return Archived(folder, kept, count, before, after)


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back from an archive."""

    manifest: Manifest
    trials: int
    """That are new in the database."""
    differ: int
    """Answers and replies that are others in the database by now, and stay so; 0: the archive is gone."""


def restore_study(store: Store, folder: Path) -> Restored:
    """Bring an archive back into a database and remove it, unless it holds what came in no more."""
    kept = parquet.manifest(folder)
    count, differ = archive.bring_back(store, folder)
    runs = [run_dir.at(folder, each.run_id) for each in run_dir.list_runs(folder)]
    with still(runs, "bring its study back"):
        _move(runs, store.path)
    if not differ:
        archive.discard(folder)
    return Restored(kept, count, differ)


def _move(runs: list[RunDir], db: Path) -> None:
    """The folders of runs to beside another database, each by one rename."""
    for run in runs:
        target = run_dir.at(db, run.run_id).path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            run.path.rename(target)
        except OSError as error:
            raise RunError(f"{run.path} cannot be moved to {target} ({files.why(error)}).") from error
    if runs and not any(runs[0].path.parent.iterdir()):
        runs[0].path.parent.rmdir()
