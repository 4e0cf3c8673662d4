"""One setting against another where both have spent the same, not where both were allowed the same.

At an equal cap a setting that stops early has spent less than one that does not. Here the setting with several budgets
is read at the one at which its mean spend equals the other's, on a line between neighbouring budgets, on the questions
scored everywhere; intervals resample the whole construction: spends, the place between budgets, and accuracies. Reads
no database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.analysis import stats
from engine.analysis.cells import scored_means
from engine.analysis.stats import Estimate, Floats, Sample


@dataclass(frozen=True, slots=True)
class EqualSpend:
    """Accuracy of a, at b's mean spend, minus accuracy of b."""

    n: int
    """Questions scored in b and at every budget of a."""
    difference: Estimate
    """As a share. None: `why` says why."""
    p_value: float
    """Two-sided, by the share of replicates on the other side of 0; 1 where nothing can be said."""
    spend: float | None
    """b's mean spend per question, in the unit of the axis."""
    budget: float | None
    """Between which of a's budgets it was read, on the line that joins their mean spends; never beyond them."""
    accuracy_a: float | None
    accuracy_b: float | None
    beyond: float
    """Share of replicates in which b spends more than a ever does: there a is read at its largest budget, which has
    spent less. 1 where that is so of the data themselves in all."""
    why: str | None = None
    """What kept it from being said; None: nothing."""


def equal_spend(a: Sequence[pl.DataFrame], b: pl.DataFrame, x: str, sample: Sample) -> EqualSpend:
    """`a`: per-question sums at each of its budgets, the smallest first; `b`: those of one cell; `x`: a column of
    `cells.MEANS`."""
    columns = ("question_id", "cluster", "accuracy", x)
    frame = scored_means(b).select(columns)
    budgets = []
    for at, units in enumerate(a):
        budgets.append(int(units["budget"][0]))
        frame = frame.join(
            scored_means(units).select("question_id", pl.col("accuracy", x).name.suffix(f"_{at}")), on="question_id"
        )
    if not frame.height or not budgets:
        return EqualSpend(0, Estimate(None), 1.0, None, None, None, None, 0.0, "no question is scored in both")
    if any(frame[name].null_count() for name in frame.columns):
        return EqualSpend(frame.height, Estimate(None), 1.0, None, None, None, None, 0.0, "a spend is unknown")
    by_cluster = frame.group_by("cluster").agg(pl.exclude("question_id").sum(), n=pl.len()).sort("cluster")
    clusters = by_cluster.height
    own = by_cluster.drop("cluster").cast(pl.Float64)
    resampled = stats.Bootstrap(clusters, sample.replicates, sample.seed).sums(own.to_numpy())
    # The data themselves in front.
    sums = dict(zip(own.columns, np.vstack([own.sum().row(0), resampled]).T, strict=True))

    def mean(name: str) -> Floats:
        return np.asarray(sums[name] / sums["n"], dtype=np.float64)

    spent, reached = mean(x), mean("accuracy")
    spends = np.column_stack([mean(f"{x}_{at}") for at in range(len(budgets))])
    rights = np.column_stack([mean(f"accuracy_{at}") for at in range(len(budgets))])
    place, beyond = _places(spends, spent)
    if np.isnan(place[0]):
        why = "the first spends more at its smallest budget"
        return EqualSpend(frame.height, Estimate(None), 1.0, float(spent[0]), None, None, float(reached[0]), 0.0, why)
    known = ~np.isnan(place)
    read = np.full(len(place), np.nan)
    low = np.minimum(place[known].astype(int), len(budgets) - 1)
    high, part = np.minimum(low + 1, len(budgets) - 1), place[known] - low
    rows = np.flatnonzero(known)
    read[known] = rights[rows, low] * (1 - part) + rights[rows, high] * part
    delta = read - reached
    drawn = delta[1:][known[1:]]
    first = int(low[0])
    budget = budgets[first] + float(part[0]) * (budgets[min(first + 1, len(budgets) - 1)] - budgets[first])
    return EqualSpend(
        n=frame.height,
        difference=Estimate.of(float(delta[0]), stats.percentiles(drawn, clusters)),
        p_value=_p_value(drawn),
        spend=float(spent[0]),
        budget=budget,
        accuracy_a=float(read[0]),
        accuracy_b=float(reached[0]),
        beyond=float(beyond[1:].mean()) if len(beyond) > 1 else float(beyond[0]),
    )


def _places(spends: Floats, wanted: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """By replicate, where between a's budgets (counted from 0) its mean spend is the wanted one, NaN below the first;
    and whether it is beyond the last."""
    # More budget never spends less; where two budgets spend alike, the first that reaches the spend counts.
    reach = np.maximum.accumulate(spends, axis=1)
    above = reach >= wanted[:, None] - 1e-9
    beyond = np.asarray(~above.any(axis=1), dtype=np.bool_)
    upper = np.where(beyond, spends.shape[1] - 1, above.argmax(axis=1))
    lower = np.maximum(upper - 1, 0)
    rows = np.arange(len(wanted))
    width = reach[rows, upper] - reach[rows, lower]
    part = np.divide(wanted - reach[rows, lower], width, out=np.ones_like(width), where=width > 1e-12)
    place = np.where(beyond, spends.shape[1] - 1.0, lower + np.clip(part, 0, 1))
    first = ~beyond & (upper == 0)
    exact = np.abs(reach[:, 0] - wanted) <= 1e-9
    return np.where(first, np.where(exact, 0.0, np.nan), place), beyond


def _p_value(drawn: Floats) -> float:
    if not len(drawn):
        return 1.0
    # One more on either side: no finite number of replicates shows a chance of 0.
    below, above = (drawn <= 0).sum(), (drawn >= 0).sum()
    return float(min(1.0, 2 * (min(below, above) + 1) / (len(drawn) + 1)))
