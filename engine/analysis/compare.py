"""Paired comparison of two cells on the questions both have: who is right where, and by how much on average.

Owns the pairing and the interval of a difference. Reads no database; says nothing on what to do (`advice`).

A against B in full: accuracy, flips, spends, categories, and what more questions could settle.

Owns the records a comparison is told in. Works on per-question sums; reads no database.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.analysis import stats
from engine.analysis.cells import MEANS, question_means
from engine.analysis.stats import (
    Correction,
    Interval,
    adjusted,
    mcnemar_midp,
    percentiles,
    replicate_weights,
    shrinkage,
    tango,
)
from engine.core.errors import UsageError

FEW_DISCORDANT = 25
"""Below so many questions on which the two differ, the score interval replaces the bootstrap."""
_TINY = 1e-12
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: a condition read at a budget on an axis; None: its own largest budget, its own axis."""

    condition_id: str
    budget: int | None = None
    axis: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Accuracy of a minus accuracy of b."""

    n: int
    """Questions scored in both."""
    mean: float | None
    """None: no question is shared."""
    low: float | None
    high: float | None
    """95 % interval; Tango's score interval or the paired bootstrap, as `method` says."""
    a_better: int
    """Questions on which a's mean is higher."""
    b_better: int
    p_value: float
    """Exact McNemar mid-p over those questions (a sign test where there are repeats); questions of one text together
    count once."""
    method: str
    """score, bootstrap or none."""


@dataclass(frozen=True, slots=True)
class Paired:
    """Two cells on the questions both have, in order of the question id."""

    frame: pl.DataFrame
    """question_id, cluster, n_trials, and accuracy and spends per question, those of b with the ending _b."""
    where: NDArray[np.intp]
    """Row to cluster, counted from 0."""

    @property
    def n(self) -> int:
        """Questions scored in both."""
        return self.frame.height

    @property
    def clusters(self) -> int:
        """Distinct questions: those of the same text are one."""
        return int(self.where.max(initial=-1)) + 1

    def delta(self, name: str = "accuracy") -> Floats:
        """a minus b, question by question; NaN where a spend is unknown."""
        return self.frame.select(pl.col(name) - pl.col(f"{name}_b")).to_series().cast(pl.Float64).to_numpy()

    def summed(self, values: Floats) -> Floats:
        """Sums by cluster."""
        return np.bincount(self.where, values, self.clusters).astype(np.float64)

    def sizes(self) -> Floats:
        """Questions by cluster."""
        return self.summed(np.ones(self.n))

    def weights(self, replicates: int, seed: int) -> Floats:
        """Bootstrap draws of clusters."""
        return replicate_weights(self.clusters, replicates, seed)

    def within(self, rows: NDArray[np.bool_]) -> Paired:
        """Some of the questions."""
        return _paired(self.frame.filter(pl.Series(rows)))


def paired(a: pl.DataFrame, b: pl.DataFrame) -> Paired:
    """From the per-question sums of two cells."""
    return _paired(_scored(a).join(_scored(b), on="question_id", suffix="_b").sort("question_id"))


def _paired(frame: pl.DataFrame) -> Paired:
    names = frame["cluster"].unique().sort()
    return Paired(frame, names.search_sorted(frame["cluster"]).to_numpy().astype(np.intp))


def _scored(units: pl.DataFrame) -> pl.DataFrame:
    means = question_means(units).filter(pl.col("n") > 0)
    return means.select("question_id", "cluster", pl.col("n").alias("n_trials"), "accuracy", *MEANS)


def difference(a: pl.DataFrame, b: pl.DataFrame, replicates: int, seed: int) -> Difference:
    """From the per-question sums of two cells."""
    return gap(paired(a, b), replicates, seed)


def gap(pair: Paired, replicates: int, seed: int) -> Difference:
    """The difference in accuracy with its interval and test."""
    delta = pair.delta()
    better, worse = flips(delta)
    p_value = mcnemar_midp(*flips(pair.summed(delta)))
    if not pair.n:
        return Difference(0, None, None, None, 0, 0, p_value, "none")
    method, (low, high) = _interval(pair, delta, replicates, seed)
    return Difference(pair.n, float(delta.mean()), low, high, better, worse, p_value, method)


def flips(delta: Floats) -> tuple[int, int]:
    """How many are above and below 0."""
    return int((delta > _TINY).sum()), int((delta < -_TINY).sum())


def _interval(pair: Paired, delta: Floats, replicates: int, seed: int) -> tuple[str, Interval]:
    if sum(flips(pair.summed(delta))) < FEW_DISCORDANT:
        size = effective(pair, delta)
        if size < pair.n or not _plain(pair, delta):
            size *= shrinkage(pair.clusters - 1) if pair.clusters > 1 else 1.0
        gains, losses = shares(delta)
        return "score", tango(size * gains, size * losses, size)
    return "bootstrap", resampled_mean(pair, delta, replicates, seed)


def shares(delta: Floats) -> tuple[float, float]:
    """Mean gain and mean loss of a against b: for single right-or-wrong trials, the shares of the two flips."""
    return float(np.maximum(delta, 0).mean()), float(np.maximum(-delta, 0).mean())


def effective(pair: Paired, delta: Floats) -> float:
    """So many pairs of independent single trials would vary as much as these; at most the trials there are.

    The number of questions where each has one trial and a text of its own; of distinct ones where nothing differs.
    """
    if _plain(pair, delta):
        return float(pair.n)
    mean = float(delta.mean())
    naive = (sum(shares(delta)) - mean**2) / pair.n
    spread = pair.summed(delta) - mean * pair.sizes()
    variance = float(spread @ spread) / pair.n**2
    if min(naive, variance) < _TINY**2:
        return float(pair.clusters)
    trials = pair.frame.select(pl.min_horizontal("n_trials", "n_trials_b")).to_series().sum()
    return min(float(trials), pair.n * naive / variance)


def _plain(pair: Paired, delta: Floats) -> bool:
    binary = pair.frame.select("accuracy", "accuracy_b").to_numpy()
    return pair.clusters == pair.n and bool(np.isin(binary, (0.0, 1.0)).all()) and bool(len(delta))


def resampled_mean(pair: Paired, values: Floats, replicates: int, seed: int) -> Interval:
    """Interval of a mean over questions, clusters drawn together; (nan, nan) for one cluster."""
    if pair.clusters < 2:
        return float("nan"), float("nan")
    weights = pair.weights(replicates, seed)
    return percentiles((weights @ pair.summed(values)) / (weights @ pair.sizes()), pair.clusters)


GROUP_SCHEMA: dict[str, Any] = {
    "group": pl.String,
    "n": pl.Int64,
    **dict.fromkeys(("difference", "low", "high"), pl.Float64),
    "a_better": pl.Int64,
    "b_better": pl.Int64,
    "p_value": pl.Float64,
    "p_adjusted": pl.Float64,
}
MANY_SCHEMA: dict[str, Any] = {
    **{
        f"{side}_{name}": kind
        for side in "ab"
        for name, kind in (("id", pl.String), ("budget", pl.Int64), ("axis", pl.String))
    },
    **{name: kind for name, kind in GROUP_SCHEMA.items() if name != "group"},
    "method": pl.String,
}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval; None: unknown (a price that nobody knows, no shared question, one cluster)."""

    mean: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Cell a against cell b on the questions both have; every difference is a minus b."""

    a: Cell
    b: Cell
    """The cells as they were read: condition, budget and axis."""
    n: int
    """Questions scored in both; 0: nothing can be said, and numbers are None."""
    accuracy_a: float | None
    accuracy_b: float | None
    """Share right, on those questions."""
    accuracy: Estimate
    """Difference in accuracy, as a share: 0.05 is 5 percentage points."""
    method: str
    """How its interval was made: score (Tango 1998, under 25 discordant questions), bootstrap (over clusters), none."""
    p_value: float
    """Exact McNemar mid-p, two-sided; 1 where nothing differs."""
    won: tuple[str, ...]
    """Ids of the questions on which a is better: right where b is wrong, or more often right over repeats."""
    lost: tuple[str, ...]
    """Those on which b is better."""
    spend: Mapping[str, Estimate]
    """Difference in mean spend per question, by column of `curves.MEANS`, in its unit; usd in US dollars."""
    detectable: float | None
    """Smallest true difference in accuracy that these n questions find with 80 % chance at the discordance seen
    (taken as half a question more than it is, for it may be 0); None: more than that discordance allows."""
    more_questions: int | None
    """How many more questions of this kind would settle it with 80 % chance, if the true difference and discordance
    are what was seen. None: it is settled (the interval leaves out 0), or there is no difference to go by."""
    groups: pl.DataFrame = field(compare=False, repr=False)
    """The difference by a column of the questions: columns `GROUP_SCHEMA`, null group where the question has none;
    p_adjusted by Holm over the groups. Intervals are each group's own."""

    @property
    def settled(self) -> bool:
        """Whether the 95 % interval of the difference in accuracy leaves out 0."""
        low, high = self.accuracy.low, self.accuracy.high
        return low is not None and high is not None and not low <= 0 <= high


Measured = tuple[Cell, pl.DataFrame]
"""A cell with budget and axis known, and its per-question sums."""


@dataclass(frozen=True, slots=True)
class Sample:
    """How bootstraps are drawn."""

    replicates: int = 2000
    seed: int = 0


def read(cell: Cell, units: pl.DataFrame) -> Measured:
    """A cell's part of what was read for several, at its largest budget."""
    mine = units.filter(pl.col("condition_id") == cell.condition_id)
    mine = mine.filter(pl.col("budget") == pl.col("budget").max())
    return (Cell(cell.condition_id, *mine.select("budget", "axis").row(0)) if mine.height else cell), mine


def compare(a: Measured, b: Measured, groups: pl.DataFrame, sample: Sample) -> Comparison:
    """From two cells with their per-question sums, and a frame question_id, group; see `Results.compare`."""
    pair = paired(a[1], b[1])
    found, delta = gap(pair, sample.replicates, sample.seed), pair.delta()
    return Comparison(
        a=a[0],
        b=b[0],
        n=pair.n,
        accuracy_a=_mean(pair.frame["accuracy"].to_numpy()),
        accuracy_b=_mean(pair.frame["accuracy_b"].to_numpy()),
        accuracy=Estimate(found.mean, found.low, found.high),
        method=found.method,
        p_value=found.p_value,
        won=_ids(pair, delta > 1e-12),
        lost=_ids(pair, delta < -1e-12),
        spend=spends(pair, sample),
        detectable=_detectable(pair, delta),
        more_questions=more_questions(pair, found),
        groups=_by_group(pair, groups, sample),
    )


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def _ids(pair: Paired, rows: np.ndarray[Any, Any]) -> tuple[str, ...]:
    return tuple(pair.frame.filter(pl.Series(rows, dtype=pl.Boolean))["question_id"])


def spends(pair: Paired, sample: Sample) -> dict[str, Estimate]:
    """Difference in mean spend on every axis, by the paired bootstrap over clusters."""
    if not pair.n:
        return dict.fromkeys(MEANS, Estimate(None))
    return {name: _estimate(pair, pair.delta(name), sample) for name in MEANS}


def _estimate(pair: Paired, values: Floats, sample: Sample) -> Estimate:
    if np.isnan(values).any():
        return Estimate(None)
    low, high = resampled_mean(pair, values, sample.replicates, sample.seed)
    return Estimate(float(values.mean()), *(None if math.isnan(end) else end for end in (low, high)))


def _detectable(pair: Paired, delta: Floats) -> float | None:
    if not pair.n:
        return None
    size = effective(pair, delta)
    return stats.detectable(size, (sum(shares(delta)) * size + 0.5) / (size + 1))


def more_questions(pair: Paired, found: Difference) -> int | None:
    """Questions beyond those there are; None: settled, or nothing to go by."""
    if found.mean is None or found.low is None or found.high is None or not found.low <= 0 <= found.high:
        return None
    delta = pair.delta()
    needed = stats.questions_needed(found.mean, sum(shares(delta)))
    if needed is None:
        return None
    return max(1, math.ceil((needed / effective(pair, delta) - 1) * pair.n))


def _by_group(pair: Paired, groups: pl.DataFrame, sample: Sample) -> pl.DataFrame:
    named = pair.frame.select("question_id").join(groups, on="question_id", how="left", maintain_order="left")["group"]
    parts = [(name, pair.within(named.eq_missing(name).to_numpy())) for name in named.unique().sort(nulls_last=True)]
    rows = [{"group": name, **_row(gap(part, sample.replicates, sample.seed))} for name, part in parts]
    return _corrected(pl.DataFrame(rows, schema=GROUP_SCHEMA), "holm")


def _row(found: Difference) -> dict[str, Any]:
    return {
        "n": found.n,
        "difference": found.mean,
        "low": found.low,
        "high": found.high,
        "a_better": found.a_better,
        "b_better": found.b_better,
        "p_value": found.p_value,
        "p_adjusted": None,
        "method": found.method,
    }


def _corrected(frame: pl.DataFrame, correction: Correction) -> pl.DataFrame:
    return frame.with_columns(p_adjusted=pl.Series(adjusted(frame["p_value"].to_list(), correction), dtype=pl.Float64))


def comparisons(
    asked: Sequence[tuple[Measured, Measured]],
    correction: Correction,
    sample: Sample,
) -> pl.DataFrame:
    """One row per pair, columns MANY_SCHEMA; see `Results.comparisons`."""
    rows = [
        {**_named("a", a), **_named("b", b), **_row(difference(units_a, units_b, sample.replicates, sample.seed))}
        for (a, units_a), (b, units_b) in asked
    ]
    return _corrected(pl.DataFrame(rows, schema=MANY_SCHEMA), correction)


def _named(side: str, cell: Cell) -> dict[str, Any]:
    return {f"{side}_id": cell.condition_id, f"{side}_budget": cell.budget, f"{side}_axis": cell.axis}


def both(asked: Sequence[tuple[Cell, Cell]] | Sequence[Cell], against: Cell | None) -> list[tuple[Cell, Cell]]:
    """Pairs as they are, or single cells each with the baseline; raises UsageError for single cells without one."""
    found = []
    for each in asked:
        if isinstance(each, tuple):
            found.append(each)
        elif against is None:
            raise UsageError("Comparisons need pairs of cells, or a cell to compare the others against.")
        elif each != against:
            found.append((each, against))
    return found
