"""Units: the sums of one question in one cell, which cells, frontiers and comparisons are made of.

Made of the steps that the database sums up to each budget, or of sums that were kept; both give the same rows in the
same order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.analysis.sql.queries import MEASURES
from engine.analysis.stats import Ints

UNIT_SCHEMA: dict[str, Any] = {
    "condition_id": pl.String,
    "axis": pl.String,
    "budget": pl.Int64,
    "question_id": pl.String,
    "cluster": pl.Int64,
    **dict.fromkeys(MEASURES, pl.Float64),
}
"""Columns of units: sums over the scored trials of a question, counts of all its trials by fate. `cluster` numbers the
questions that ask the same, in the order of the first of their ids."""


@dataclass(frozen=True, slots=True)
class Codebook:
    """What the numbers in the database stand for, in the order of the ids."""

    conditions: pl.DataFrame
    """condition_no, condition_id, axis, budgets; sorted by condition_id."""
    questions: pl.DataFrame
    """question_no, question_id, cluster; sorted by question_id."""


def units_of_changes(changes: pl.DataFrame, book: Codebook) -> pl.DataFrame:
    """One row per (condition, budget, question), in this order; columns as UNIT_SCHEMA."""
    if changes.is_empty():
        return pl.DataFrame(schema=UNIT_SCHEMA)
    condition = _ranks(book.conditions["condition_no"])[changes["condition_no"].to_numpy()]
    question = _ranks(book.questions["question_no"])[changes["question_no"].to_numpy()]
    budgets = book.conditions["budgets"]
    counts = budgets.list.len().to_numpy()
    most = int(counts.max())
    # By one number per (condition, question), which sorts as fast as numbers do.
    pairs, place = np.unique(condition * len(book.questions) + question, return_inverse=True)
    owner, asked = np.divmod(pairs, len(book.questions))
    at, passing = place * most + changes["slot"].to_numpy(), changes["passing"].to_numpy()
    sums: dict[str, NDArray[np.float64]] = {}
    nothing = np.zeros(len(pairs) * most)
    for name in MEASURES:
        if name not in changes.columns:
            # Scores between 0 and 1, of which there are none.
            sums[name] = nothing
            continue
        values = changes[name].to_numpy()
        added = np.zeros(len(pairs) * most)
        added[at[~passing]] = values[~passing]
        added = added.reshape(len(pairs), most).cumsum(axis=1).ravel() if most > 1 else added
        # After the running sums: a call that a budget cuts counts at that budget alone.
        added[at[passing]] += values[passing]
        sums[name] = added
    slots = np.tile(np.arange(most), len(owner))
    rows = np.repeat(np.arange(len(owner)), most)
    # Conditions have unlike numbers of budgets; slots that a condition does not have are left out.
    own = slots < counts[owner[rows]]
    rows, slots = rows[own], slots[own]
    order = np.argsort(owner[rows] * most + slots, kind="stable") if most > 1 else slice(None)
    rows, slots = rows[order], slots[order]
    starts = np.concatenate([[0], counts.cumsum()])[:-1]
    walls = budgets.explode().drop_nulls().gather(starts[owner[rows]] + slots)
    return _named(book, owner[rows], asked[rows], walls, {n: values[rows * most + slots] for n, values in sums.items()})


def _ranks(numbers: pl.Series) -> Ints:
    """By number, its place in the series."""
    # An array and no join: numbers go up by one, so they are places of an array themselves.
    ranks = np.zeros(int(numbers.max() or 0) + 1, np.int64)  # type: ignore[arg-type]
    ranks[numbers.to_numpy()] = np.arange(len(numbers))
    return ranks


def units_of_sums(held: pl.DataFrame, book: Codebook) -> pl.DataFrame:
    """What is held, as units; see `queries.read_sums`."""
    if held.is_empty():
        return pl.DataFrame(schema=UNIT_SCHEMA)
    owner = _ranks(book.conditions["condition_no"])[held["condition_no"].to_numpy()]
    question = _ranks(book.questions["question_no"])[held["question_no"].to_numpy()]
    sums = {name: held[name].to_numpy() for name in MEASURES}
    budgets = held["budget"].to_numpy()
    # Looked at first: they were kept in this order, and to look is cheaper than to sort again.
    ordered = np.ones(max(0, len(owner) - 1), np.bool_)
    for key in (question, budgets, owner):
        step = np.diff(key)
        ordered = (step > 0) | ((step == 0) & ordered)
    if not ordered.all():
        order = np.lexsort((question, budgets, owner))
        owner, budgets, question = owner[order], budgets[order], question[order]
        sums = {name: values[order] for name, values in sums.items()}
    return _named(book, owner, question, pl.Series(budgets), sums)


def _named(
    book: Codebook, owner: Ints, asked: Ints, budgets: pl.Series, sums: dict[str, NDArray[np.float64]]
) -> pl.DataFrame:
    ids, which = book.conditions, book.questions
    named = {
        "condition_id": ids["condition_id"].gather(owner),
        "axis": ids["axis"].gather(owner),
        "budget": budgets,
        "question_id": which["question_id"].gather(asked),
        # A number and no text: a million rows are grouped by it.
        "cluster": which["question_id"].search_sorted(which["cluster"]).cast(pl.Int64).gather(asked),
    }
    return pl.DataFrame(named | sums, schema=UNIT_SCHEMA)
