"""Which database and which run a command means.

What a user calls a condition, and the database it is looked up in.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli import show
from engine.core.errors import UnknownName, UsageError
from engine.run import run_dir
from engine.run.run_dir import RunDir

CODES = {"finished": 0, "failed": 1, "stopped": 3, "ceiling": 3}
"""Exit code by the state a run ended in."""

if TYPE_CHECKING:
    from engine.analysis import Results
    from engine.study.schema import Study


def database(options: Namespace) -> Path:
    """--db, else BUDGETSCOPE_DB, else the local copy of the demo, else the demo."""
    from engine.store.store import default_path

    if options.db is None:
        return default_path()
    if str(options.db) in ("", "."):
        raise UsageError("--db is empty; name a database file, or leave it out.")
    return Path(options.db)


def writable(options: Namespace) -> Path:
    """The same, or the local copy of a demo, and says so."""
    from engine.store.store import writable

    asked = database(options)
    path = writable(asked)
    if path != asked:
        show.tell(f"{asked} is the demo and is only read; results go to {path}, a copy of it.")
    return path


def runs_of(options: Namespace) -> Path:
    """The database whose runs are meant: those of a demo lie beside its local copy."""
    db = database(options)
    local = db.with_name(f"{db.stem}.local.duckdb")
    return local if not run_dir.folder(db).is_dir() and run_dir.folder(local).is_dir() else db


def run(options: Namespace) -> RunDir:
    """The run an id, the beginning of one, or 'last' names. Raises UnknownName."""
    return run_dir.find(runs_of(options), options.run)


Row = Mapping[str, Any]


def condition(found: Results, asked: str, task: str | None) -> Row:
    """A condition by the beginning of its id, with or without the tag, or by its label (on one task)."""
    known = [row for row in found.conditions().to_dicts() if task in (None, row["task"])]
    fitting = [row for row in known if asked and _fits(row, asked)]
    if len(fitting) > 1:
        raise UsageError(f"{asked!r} fits {len(fitting)} conditions; write more of the id, or add --task.")
    if not fitting:
        raise UnknownName("condition", asked, [*map(short, known), *(row["label"] for row in known)])
    return fitting[0]


def _fits(row: Row, asked: str) -> bool:
    name = str(row["condition_id"])
    return asked == row["label"] or name.startswith(asked) or name.partition("-")[2].startswith(asked)


def short(row: Row) -> str:
    """The beginning of a condition's id, as tables show it."""
    return str(row["condition_id"]).partition("-")[2][:8]


def existing(options: Namespace) -> Path:
    """The database, which must be there."""
    db = database(options)
    if not db.exists():
        raise UsageError(f"There is no database {db} yet; `budgetscope run examples/first.toml` makes one.")
    return db


def none_of_ours(study: Study) -> Study:
    """The same study. Raises UsageError for a calibration, which is no study to run or to estimate."""
    if study.calibration:
        raise UsageError(f"{study.name!r} uses targets; `budgetscope calibrate` makes such runs, `resume` goes on.")
    return study
