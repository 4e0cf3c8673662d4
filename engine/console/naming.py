"""What a user calls a condition, and the database it is looked up in."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.console.places import database
from engine.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from engine.analysis import Results

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
