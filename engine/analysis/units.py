"""From sums of changes to sums per question: at every budget what all changes up to it add up to.

The sums of one question in one cell are a unit; cells, frontiers and comparisons are made of units. Pure arrays in,
frames out; reads no database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.analysis.queries import MEASURES

Ints = NDArray[np.int64]
UNIT_SCHEMA: dict[str, Any] = {
    "condition_id": pl.String, "axis": pl.String, "budget": pl.Int64, "question_id": pl.String, "cluster": pl.String,
    **dict.fromkeys(MEASURES, pl.Float64),
}  # fmt: skip
"""Columns of units: sums over the scored trials of a question, counts of all its trials by fate."""


@dataclass(frozen=True, slots=True)
class Codebook:
    """What the numbers in the database stand for, in the order of the ids."""

    conditions: pl.DataFrame
    """condition_no, condition_id, axis, budgets; sorted by condition_id."""
    questions: pl.DataFrame
    """question_no, question_id, cluster; sorted by question_id."""


def units(changes: pl.DataFrame, book: Codebook) -> pl.DataFrame:
    """One row per (condition, budget, question), in this order; columns as UNIT_SCHEMA."""
    if changes.is_empty():
        return pl.DataFrame(schema=UNIT_SCHEMA)
    condition = _ranks(book.conditions["condition_no"])[changes["condition_no"].to_numpy()]
    question = _ranks(book.questions["question_no"])[changes["question_no"].to_numpy()]
    most = int(book.conditions["budgets"].list.len().max())  # type: ignore[arg-type]
    pairs, place = np.unique(condition * len(book.questions) + question, return_inverse=True)
    owner, asked = np.divmod(pairs, len(book.questions))
    sums = _running(changes, place * most + changes["slot"].to_numpy(), len(pairs), most)
    rows, slots = _order(owner, book.conditions["budgets"].list.len().to_numpy(), most)
    return _frame(book, owner[rows], asked[rows], slots, sums, rows * most + slots)


def _ranks(numbers: pl.Series) -> Ints:
    """By number, its place in the series."""
    ranks = np.zeros(int(numbers.max() or 0) + 1, np.int64)  # type: ignore[arg-type]
    ranks[numbers.to_numpy()] = np.arange(len(numbers))
    return ranks


def _running(changes: pl.DataFrame, at: Ints, pairs: int, most: int) -> dict[str, NDArray[np.float64]]:
    """Per measure the sum at each budget of each pair, flat."""
    passing = changes["passing"].to_numpy()
    found = {}
    for name in MEASURES:
        values = changes[name].to_numpy()
        sums = np.zeros(pairs * most)
        sums[at[~passing]] = values[~passing]
        sums = sums.reshape(pairs, most).cumsum(axis=1).ravel() if most > 1 else sums
        sums[at[passing]] += values[passing]
        found[name] = sums
    return found


def _order(owner: Ints, budgets: Ints, most: int) -> tuple[Ints, Ints]:
    """Pair and slot of every row: by condition, budget, question; slots a condition does not have are left out."""
    slots = np.tile(np.arange(most), len(owner))
    rows = np.repeat(np.arange(len(owner)), most)
    kept = slots < budgets[owner[rows]]
    rows, slots = rows[kept], slots[kept]
    order = np.argsort(owner[rows] * most + slots, kind="stable") if most > 1 else slice(None)
    return rows[order], slots[order]


def held_units(held: pl.DataFrame, book: Codebook) -> pl.DataFrame:
    """What is held, as units; see `queries.held`."""
    if held.is_empty():
        return pl.DataFrame(schema=UNIT_SCHEMA)
    owner = _ranks(book.conditions["condition_no"])[held["condition_no"].to_numpy()]
    asked = _ranks(book.questions["question_no"])[held["question_no"].to_numpy()]
    sums = {name: held[name].to_numpy() for name in MEASURES}
    budgets = held["budget"].to_numpy()
    if not _sorted(owner, budgets, asked):
        order = np.lexsort((asked, budgets, owner))
        owner, budgets, asked = owner[order], budgets[order], asked[order]
        sums = {name: values[order] for name, values in sums.items()}
    return _named(book, owner, asked, pl.Series(budgets), sums)


def _sorted(*keys: Ints) -> bool:
    """Whether rows come in the order of these keys, the first counting most."""
    after = np.ones(max(0, len(keys[0]) - 1), np.bool_)
    for key in reversed(keys):
        step = np.diff(key)
        after = (step > 0) | ((step == 0) & after)
    return bool(after.all())


def _frame(
    book: Codebook, owner: Ints, asked: Ints, slots: Ints, sums: dict[str, NDArray[np.float64]], at: Ints
) -> pl.DataFrame:
    lists = book.conditions["budgets"]
    starts = np.concatenate([[0], lists.list.len().to_numpy().cumsum()])[:-1]
    budgets = lists.explode().drop_nulls().gather(starts[owner] + slots)
    return _named(book, owner, asked, budgets, {name: values[at] for name, values in sums.items()})


def _named(
    book: Codebook, owner: Ints, asked: Ints, budgets: pl.Series, sums: dict[str, NDArray[np.float64]]
) -> pl.DataFrame:
    ids, which = book.conditions, book.questions
    named = {
        "condition_id": ids["condition_id"].gather(owner), "axis": ids["axis"].gather(owner), "budget": budgets,
        "question_id": which["question_id"].gather(asked), "cluster": which["cluster"].gather(asked),
    }  # fmt: skip
    return pl.DataFrame(named | sums, schema=UNIT_SCHEMA)
