"""Sums per question that are kept, so that a large database is read without going through all its steps.

Owns when they are made and which: at the stored prices, on a condition's own axis, at the budgets its studies declare.
What is held is what reading the steps gave. Storing or deleting a trial ends the holding of its condition, and budgets
that no longer are those held are not read from it; `settle` makes it again. Computes nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from engine.analysis import queries
from engine.analysis.lens import STORED
from engine.analysis.reader import Look, Read
from engine.store import deltas
from engine.store.store import Store

_AT_ONCE = 20
"""Conditions summed up in one transaction, so that others may read in between and memory stays small."""


def materialize(path: Path | str, *, enough: int = deltas.ENOUGH) -> int:
    """Hold the sums of every condition that is not held as it is read now; returns how many were made.

    Does nothing for a database of fewer than `enough` steps. Raises StoreError where the file is only read.
    """
    store = Store(path)
    with store.reading() as connection:
        queries.prepare(connection)
        wanted = _lacking(Read(Look(connection), STORED)) if deltas.size(connection) >= enough else []
    for some in _batches(wanted):
        with store.writing() as connection:
            _hold(Read(Look(connection), STORED), some)
    return len(wanted)


def _lacking(read: Read) -> list[str]:
    known = read.known()
    where = read.placed(known, known.conditions, None, None)
    kept = queries.materialized(read.connection)
    return [id for id, axis, _, budgets in where.iter_rows() if kept.get(id) != (axis, budgets)]


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE))


def _hold(read: Read, ids: Sequence[str]) -> None:
    known = read.known()
    mine = [row for row in known.conditions if row["condition_id"] in set(ids)]
    where = read.placed(known, mine, None, None).join(queries.numbers(read.connection), on="condition_id")
    units = read.units(mine, where.drop("condition_no"))
    numbered = units.join(where.select("condition_id", "condition_no"), on="condition_id", maintain_order="left").join(
        queries.questions(read.connection).select("question_id", "question_no"), on="question_id", maintain_order="left"
    )
    sums = numbered.select("condition_no", "budget", "question_no", *(pl.col(name) for name in queries.MEASURES))
    queries.write_sums(read.connection, sums, where)
