"""Sums per question that are kept, so that a large database is read without going through all its steps.

Owns when they are made and which: at the stored prices, on a condition's own axis, at the budgets its studies declare.
What is held is what reading the steps gave; what is stored later is read beside it, until it is held too. Replacing or
deleting a trial ends the holding of its condition, and budgets that no longer are those held are not read from it.
Computes nothing itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from engine.analysis.lens import STORED
from engine.analysis.reader import Look, Read
from engine.analysis.sql import queries
from engine.store import deltas
from engine.store.store import Store

_AT_ONCE = 20
"""Conditions summed up in one transaction, so that others may read in between and memory stays small."""


def materialize(path: Path | str, *, enough: int = deltas.ENOUGH, worth: float = 0) -> int:
    """Hold the sums of every condition that is not held as it is read now; returns how many were made.

    Does nothing for a database of fewer than `enough` steps. `worth`: only of conditions that have so many steps which
    are not held for each sum that is to be written. Raises StoreError where the file is only read.
    """
    store = Store(path)
    lacking: list[str] = []
    with store.reading() as connection:
        queries.prepare(connection)
        if deltas.size(connection) >= enough:
            read = Read(Look(connection), STORED)
            known = read.known()
            where = read.placed(known, known.conditions, None, None)
            # Held at other budgets than are read now is not held: a later study may have declared more.
            held = queries.materialized(connection)
            growing = queries.growing(connection, where["condition_id"].to_list())
            for id, axis, _, budgets in where.iter_rows():
                steps, questions = growing.get(id, (0, 0))
                as_read = id in held and held[id][:2] == (axis, budgets)
                if (steps or not as_read) and steps >= worth * questions * len(budgets):
                    lacking.append(id)
    for start in range(0, len(lacking), _AT_ONCE):
        with store.writing() as connection:
            _hold(Read(Look(connection), STORED), lacking[start : start + _AT_ONCE])
    return len(lacking)


def _hold(read: Read, ids: Sequence[str]) -> None:
    # Asked again on this connection: since the look for what is lacking another process may have stored trials.
    known = read.known()
    conditions = [row for row in known.conditions if row["condition_id"] in set(ids)]
    where = read.placed(known, conditions, None, None).join(read.look.numbers, on="condition_id")
    units = read.units(conditions, where.drop("condition_no"))
    numbered = units.join(where.select("condition_id", "condition_no"), on="condition_id", maintain_order="left").join(
        read.look.questions.select("question_id", "question_no"), on="question_id", maintain_order="left"
    )
    sums = numbered.select("condition_no", "budget", "question_no", *(pl.col(name) for name in queries.MEASURES))
    queries.write_sums(read.connection, sums, where)
