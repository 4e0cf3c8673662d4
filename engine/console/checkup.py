"""What can be wrong with a database and the runs beside it. Looks and changes nothing; `doctor` says what it found."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from engine import journal, status
from engine.console import show
from engine.errors import BudgetscopeError, StoreBusy
from engine.status import RunDir, Status

Grade = Literal["ok", "warn", "fail"]
LITTLE, TOO_LITTLE = 2_000_000_000, 200_000_000
"""Free bytes of disk below which a run is in danger, and below which none should start."""
MOST_READ = 64_000_000
"""Bytes of a journal that are read line by line; of a longer one only the end is looked at."""
SLACK = timedelta(minutes=2)
"""How far two clocks of one network may differ."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    grade: Grade
    what: str
    says: str
    """What was found, and what to do if it is not ok."""


def findings(db: Path) -> Iterator[Finding]:
    """Everything about one database, its folder and its runs."""
    opened = _database(db)
    yield opened
    yield _folder(db)
    yield _disk(db)
    runs = status.list_runs(db)
    for each in runs:
        yield from _run(RunDir(status.folder(db) / each.run_id, each.run_id, db), each)
    living = sum(each.alive for each in runs)
    yield Finding("ok", "runs", f"{len(runs):,} beside the database, {living:,} running")
    readable = opened.grade != "fail" and db.exists()
    yield from _leases(db, runs) if readable else ()
    yield from _leftovers(db)
    yield _clock(db, runs, readable)


def _database(db: Path) -> Finding:
    if not db.exists() and not db.is_symlink():
        return Finding("ok", "database", f"{db} does not exist yet; the first run makes it")
    from engine.schema import SCHEMA_VERSION
    from engine.store import Store

    store = Store(db, wait_s=5)
    try:
        found = store.version()
        if found < SCHEMA_VERSION:
            return Finding("warn", "database", f"{db} has schema version {found}; the next opening upgrades it to "
                                               f"{SCHEMA_VERSION}, and older programs read it no more")  # fmt: skip
        demo = " (the demo: read only, the first run copies it)" if store.is_demo() else ""
        return Finding("ok", "database", f"{db} opens, version {found}, {len(store.runs()):,} runs{demo}")
    except StoreBusy as error:
        return Finding("warn", "database", f"{error} A run that is storing results holds it for moments only.")
    except BudgetscopeError as error:
        return Finding("fail", "database", str(error))


def _folder(db: Path) -> Finding:
    """Tried rather than asked: rights, read-only disks and quotas all end here."""
    folder = db.resolve().parent
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        return Finding("fail", "folder", f"{folder} cannot be written ({why}); name a database elsewhere with --db")
    if db.exists() and not os.access(db, os.W_OK):
        return Finding("warn", "folder", f"{db} may be read but not written; change its permissions to run studies")
    return Finding("ok", "folder", f"{folder} can be written")


def _disk(db: Path) -> Finding:
    folder = next((path for path in db.resolve().parents if path.is_dir()), Path("/"))
    free = shutil.disk_usage(folder).free
    says = f"{free / 1e9:,.1f} GB free at {folder}"
    if free < TOO_LITTLE:
        return Finding("fail", "disk", f"{says}; make room before a run: its journal would stop it half-way")
    return Finding("ok", "disk", says) if free >= LITTLE else Finding("warn", "disk", f"{says}; make room soon")


def _run(run: RunDir, now: Status) -> Iterator[Finding]:
    what = f"run {run.run_id}"
    if now.state in ("dead", "stopped", "ceiling", "failed", "new"):
        lost = ": its process is gone, its lock is free" if now.state == "dead" else ""
        yield Finding("warn", what, f"{now.state}{lost}, at {now.done:,} of {now.total:,} trials; "
                                    f"`budgetscope resume {run.run_id}` goes on")  # fmt: skip
    elif now.alive and now.message:
        yield Finding("warn", what, now.message)
    with suppress(FileNotFoundError):
        yield from _journal(run, now.alive)


def _journal(run: RunDir, alive: bool) -> Iterator[Finding]:
    what = f"run {run.run_id}"
    try:
        size = run.journal.stat().st_size
        lines = journal.read(run.journal).unreadable if size <= MOST_READ else 0
        torn = size > 0 and not alive and not _ends_whole(run.journal, size)
    except FileNotFoundError:
        raise
    except OSError as error:
        yield Finding("fail", what, f"{run.journal} cannot be read ({error.strerror}); restore it before you resume: "
                                    "what it holds was paid for")  # fmt: skip
        return
    if lines:
        yield Finding("warn", what, f"{lines:,} lines of its journal say nothing; calls whose outcome they held stay "
                                    "charged at their worst case")  # fmt: skip
    if torn:
        yield Finding("warn", what, "its journal ends in a torn line, as a kill in the middle of a write leaves it; "
                                    "resume goes on, and that call stays charged at its worst case")  # fmt: skip


def _ends_whole(path: Path, size: int) -> bool:
    with path.open("rb") as file:
        file.seek(size - 1)
        return file.read(1) == b"\n"


def _leases(db: Path, runs: Iterable[Status]) -> Iterator[Finding]:
    """What dead runs hold back of the day's allowance."""
    from engine.store import Store

    living = {each.run_id for each in runs if each.alive}
    try:
        held = {lease.run_id for lease in Store(db, wait_s=5).read_book().held} - living if _current(db) else set()
    except BudgetscopeError:
        return
    for run_id in sorted(held):
        yield Finding("warn", f"run {run_id}", f"holds a part of the day's allowance and {_settling(db, run_id)}")


def _settling(db: Path, run_id: str) -> str:
    """Why a lease that no living run is seen to hold is still there."""
    if status.is_dead(RunDir(status.folder(db) / Path(run_id).name, run_id, db)):
        return "is not running; the next run, or `budgetscope allowance`, settles it"
    return "its lock is gone, so it may still be running somewhere: what it was lent counts to the end of its day"


def _current(db: Path) -> bool:
    from engine.schema import SCHEMA_VERSION
    from engine.store import Store

    return Store(db, wait_s=5).version() == SCHEMA_VERSION


def _leftovers(db: Path) -> Iterator[Finding]:
    """Half-made files of processes that were killed; they hold no lock and are only in the way."""
    made = re.compile(r"\.(?:.+\.(\d+)\.[0-9a-f]{8}(?:\.wal)?|status\.(\d+))")
    folders = [db.parent, *(status.folder(db) / each.run_id for each in status.list_runs(db))]
    for folder in folders:
        for path in sorted(folder.glob(".*")) if folder.is_dir() else ():
            found = made.fullmatch(path.name)
            ours = found and (path.name.startswith(f".{db.name}.") or found[2])
            if found and ours and not _lives(int(found[1] or found[2])):
                yield Finding("warn", "leftover", f"{path} is half a file of a process that was killed; delete it")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _clock(db: Path, runs: Iterable[Status], readable: bool) -> Finding:
    """A clock behind what was written before miscounts days, ages and timeouts; nobody on the network is asked."""
    now = status.now()
    moment, source = max([(now, "this moment"), *_moments(db, runs, readable)])
    if moment - now <= SLACK:
        return Finding("ok", "clock", f"{now:%Y-%m-%d %H:%M} UTC; nothing here was written later")
    behind = show.duration((moment - now).total_seconds())
    return Finding("warn", "clock", f"it says {now:%Y-%m-%d %H:%M} UTC, but {source} is {behind} younger; set the "
                                    "clock: the allowance's days and the ages of completions hang on it")  # fmt: skip


def _moments(db: Path, runs: Iterable[Status], readable: bool) -> Iterator[tuple[datetime, str]]:
    for path in (db, Path(__file__)):
        with suppress(OSError):
            yield datetime.fromtimestamp(path.stat().st_mtime, UTC), str(path)
    for each in runs:
        yield from ((at, f"run {each.run_id}") for at in (each.heartbeat_at, each.started_at) if at)
    if readable:
        with suppress(BudgetscopeError):
            yield from _stored(db)


def _stored(db: Path) -> Iterator[tuple[datetime, str]]:
    from engine.store import Store

    for row in Store(db, wait_s=5).runs() if _current(db) else ():
        yield from ((at, f"the stored run {row.run_id}") for at in (row.started_at, row.finished_at) if at)
