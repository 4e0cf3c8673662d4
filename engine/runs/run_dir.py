"""A run's directory as a mailbox: where it is, how it stands, whether it lives, and the word to stop.

`<database>.runs/<run id>/` holds study.toml, lock, journal.jsonl, status.json, stop and log.txt; a directory without
study.toml is no run. The lock alone decides whether a run is alive; the heartbeat is display. Reading needs no
database, model or event loop.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from engine.core import codec, files
from engine.core.budget import Amount, Limits
from engine.core.errors import AlreadyRunning, RunError, UnknownName
from engine.core.records import Count, Moment

SILENT_S = 30.0
"""Seconds without a heartbeat after which a living worker is said not to respond; planning and loading take some."""
_Seconds = Annotated[float, Meta(ge=0, le=1 << 62)]
State = Literal["new", "running", "stopping", "finished", "stopped", "ceiling", "failed", "dead"]


@dataclass(frozen=True, slots=True)
class RunDir:
    """Where a run lives on disk."""

    path: Path
    run_id: str
    db: Path

    @property
    def study(self) -> Path:
        """The study as it was started."""
        return self.path / "study.toml"

    @property
    def journal(self) -> Path:
        """Intents and outcomes of every call."""
        return self.path / "journal.jsonl"

    @property
    def journal_bytes(self) -> int | None:
        """How long its journal is; None: there is none."""
        try:
            return self.journal.stat().st_size
        except OSError:
            return None

    @property
    def log(self) -> Path:
        """What went wrong, line by line."""
        return self.path / "log.txt"


@dataclass(frozen=True, slots=True)
class Status:
    """How a run stands."""

    run_id: str
    name: str
    state: State
    """dead: it says running, and nobody holds its lock; `resume` goes on where it was."""
    alive: bool
    pid: Count | None
    done: Count
    """Trials stored, also those an earlier run had stored before."""
    total: Count
    ends: Mapping[str, Count] = field(default_factory=dict)
    """Trials of this run by end: finished, exhausted, failed, stopped."""
    spent: Amount = Amount()
    reserved: Amount = Amount()
    in_doubt: Amount = Amount()
    overrun: Amount = Amount()
    """Billed beyond what was reserved, by providers that ignore the cap; part of `spent`."""
    ceiling: Limits = Limits()
    lease: Limits | None = None
    """What this run was lent of the day's allowance when it last took some; None: it took none yet."""
    free: Limits = Limits()
    """What can still be reserved under ceiling and lease; None of a kind: no limit of that kind."""
    priced: bool = False
    """False: some model's price is unknown, so money is unknown, not zero."""
    billed: bool = True
    """False: all its models run where nobody sends a bill."""
    seconds_left: _Seconds | None = None
    """None: too early to say, or not running."""
    started_at: Moment | None = None
    heartbeat_at: Moment | None = None
    ran_s: _Seconds | None = None
    """Seconds it was worked on, over all its sessions; pauses between them and time it was suspended for left out.
    None: it never was, or an older version worked on it."""
    noted_bytes: Count = 0
    """How long its journal was; a shorter one has lost something. 0: not known."""
    message: str | None = None
    """One sentence on why it ended as it did; None: nothing to say."""
    reasons: Mapping[str, Count] = field(default_factory=dict)
    """Why trials failed in its last session, by sentence, commonest first."""


def folder(db: Path) -> Path:
    """Where the runs of a database live: r.duckdb has r.runs, and any other name N has N-runs; no two share one.

    A link to a database stands for what it leads to: its runs, and who lives, must be the same by any name."""
    db = db.resolve() if db.is_symlink() else db
    stem = db.name.removesuffix(".duckdb")
    return db.with_name(f"{stem}.runs" if stem != db.name else f"{db.name}-runs")


def is_ours(db: Path, path: Path) -> bool:
    """Whether a path, under whatever name, is a database's file or log, or lies among its runs and uploads, or in the
    folder of any other run."""
    db, path = db.resolve(), path.resolve()
    log = db.with_name(f"{db.name}.wal")
    beside = {folder(db), db.with_name(f"{db.name}.tmp"), db.with_name(f"{db.stem}.uploads")}
    # A second hard link to a file is that file.
    if path in (db, log) or (path.exists() and db.exists() and db.samefile(path)):
        return True
    runs = (each for each in path.parents if (each / "study.toml").is_file() and (each / "status.json").is_file())
    return bool(beside & {path, *path.parents}) or any(runs)


def at(db: Path, run_id: str) -> RunDir:
    """The directory of a run by its whole id, whether or not it is there."""
    # The name alone: an id that came with a foreign database must not lead out of the folder of runs.
    return RunDir(folder(db) / Path(run_id).name, run_id, db)


def find(db: Path, name: str) -> RunDir:
    """A run by id, by a prefix that fits one run alone, or 'last'."""
    known = [path.name for path in _directories(db)]
    if name == "last" and known:
        return at(db, known[-1])
    fitting = [run_id for run_id in known if run_id.startswith(name)]
    if len(fitting) > 1 and name not in fitting:
        raise RunError(f"Run {name!r} fits {len(fitting)} runs of {db.name}; write more of its id.")
    if not fitting or not name:
        raise UnknownName("run", name, known)
    return at(db, fitting[0])


def list_runs(db: Path) -> list[Status]:
    """All runs of a database, oldest first."""
    return [read(RunDir(path, path.name, db)) for path in _directories(db)]


def read(run: RunDir) -> Status:
    """How a run stands now; a run that says it is running while nobody holds its lock is dead."""
    try:
        status = _said(run)
        alive = is_alive(run)
        if status.state in ("running", "stopping") and not alive:
            # It may have ended between the two looks, and says so before it lets go of its lock.
            status = _said(run)
    except FileNotFoundError:
        status = Status(run.run_id, run.run_id, "new", False, None, 0, 0)
        alive = is_alive(run)
    except (OSError, ValueError):
        alive = is_alive(run)
        state: State = "running" if alive else "dead"
        return Status(run.run_id, run.run_id, state, alive, None, 0, 0, message="Its status file is unreadable.")
    if status.state in ("running", "stopping") and not alive:
        message = "The disk is full; make room, and resume." if files.is_full(run.path) else status.message
        return replace(status, state="dead", alive=False, seconds_left=None, message=message)
    last = status.heartbeat_at
    silent = last is not None and (now() - last).total_seconds() > SILENT_S
    if alive and last and silent and status.state in ("running", "stopping"):
        since = f"since {last:%H:%M:%S} UTC"
        # It cannot say so itself: there is no room for that either.
        if files.is_full(run.path):
            message = (
                f"The disk is full, so nothing can be written {since}; make room, and it goes on or ends by itself."
            )
        else:
            message = f"Not responding {since}: suspended, or the machine is; it goes on once it is woken."
        return replace(status, alive=True, seconds_left=None, message=message)
    return replace(status, alive=alive)


def _said(run: RunDir) -> Status:
    """What its status file says. Raises OSError, ValueError."""
    file = run.path / "status.json"
    # A fifo or a device by this name would hang the reader.
    if file.exists() and not file.is_file():
        raise ValueError("not a file")
    # The directory's name is the run's id, whatever a copied status says.
    return replace(codec.record(Status, codec.parsed(file.read_bytes())), run_id=run.run_id)


def running_s(status: Status) -> float | None:
    """Seconds a run was worked on; an older version's: from its start to its last sign of life. None: never."""
    if status.ran_s is not None or status.started_at is None or status.heartbeat_at is None:
        return status.ran_s
    return max(0.0, (status.heartbeat_at - status.started_at).total_seconds())


def write(run: RunDir, status: Status) -> None:
    """Replace the status file. Raises OSError."""
    files.replace(run.path / "status.json", json.dumps(codec.jsonable(status)))


def request_stop(run: RunDir, now: bool = False) -> None:
    """Ask a run to stop: calls in flight finish and are kept, or are given up `now` (and stay in doubt)."""
    files.replace(run.path / "stop", "now" if now else "stop")


def stop_requested(run: RunDir) -> str | None:
    """'stop', 'now', or None."""
    try:
        return (run.path / "stop").read_text(encoding="utf-8", errors="replace").strip() or "stop"
    except FileNotFoundError:
        return None


def is_alive(run: RunDir) -> bool:
    """Whether a worker holds the run's lock."""
    return _taken(run) is True


def is_dead(run: RunDir) -> bool:
    """Whether the run's lock is there and free; one that is missing, with its folder or alone, proves nothing."""
    return _taken(run) is False


def _taken(run: RunDir) -> bool | None:
    """Whether somebody holds the run's lock; None: there is none."""
    # Asked of the kernel each time: a process id in a file may be another process's by now.
    try:
        file = os.open(run.path / "lock", os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False


@contextmanager
def held(run: RunDir) -> Iterator[None]:
    """Hold the run's lock; the kernel gives it back however the process ends. Raises AlreadyRunning."""
    file = os.open(run.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # A look at the lock by `is_alive` lasts a moment and is waited for; a worker's hold does not end.
        for _ in range(20):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(0.01)
        else:
            raise AlreadyRunning(f"Run {run.run_id} is already being worked on; stop it first.")
        yield
    finally:
        os.close(file)


def _directories(db: Path) -> list[Path]:
    """Directories made by runs; anything else there is somebody's own, and so is what a link leads to."""
    runs = folder(db)
    paths = runs.iterdir() if runs.is_dir() else ()
    named = (path for path in paths if not path.name.startswith(".") and not path.is_symlink())
    return sorted(path for path in named if (path / "study.toml").is_file())


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)
