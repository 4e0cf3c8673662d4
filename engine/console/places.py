"""Which database and which run a command means."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from engine import status
from engine.console import show
from engine.errors import UsageError
from engine.status import RunDir


def database(options: Namespace) -> Path:
    """--db, else BUDGETSCOPE_DB, else the local copy of the demo, else the demo."""
    from engine.store import default_path

    if options.db is None:
        return default_path()
    if str(options.db) in ("", "."):
        raise UsageError("--db is empty; name a database file, or leave it out.")
    return Path(options.db)


def writable(options: Namespace) -> Path:
    """The same, or the local copy of a demo, and says so."""
    from engine.store import writable

    asked = database(options)
    path = writable(asked)
    if path != asked:
        show.tell(f"{asked} is the demo and is only read; results go to {path}, a copy of it.")
    return path


def runs_of(options: Namespace) -> Path:
    """The database whose runs are meant: those of a demo lie beside its local copy."""
    db = database(options)
    local = db.with_name(f"{db.stem}.local.duckdb")
    return local if not status.folder(db).is_dir() and status.folder(local).is_dir() else db


def run(options: Namespace) -> RunDir:
    """The run an id, the beginning of one, or 'last' names. Raises UnknownName."""
    return status.find(runs_of(options), options.run)
