"""Paired comparison of two cells on the questions both have: accuracy, spends, and what more questions could show.

Works on per-question sums; reads no database and says nothing on what to do (that is `advice`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.analysis import stats
from engine.analysis.cells import MEANS, scored_means
from engine.analysis.stats import Correction, Estimate, Floats, Interval, Sample, Sums
from engine.core.errors import UsageError

FEW_DISCORDANT = 25
"""Below so many questions on which the two differ, the score interval replaces the bootstrap."""
_TINY = 1e-12
"""Means of repeats that differ by less are equal: sums of thirds carry rounding."""


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
    """95 % interval, or of the level asked for; Tango's score interval or the paired bootstrap, as `method` says."""
    a_better: int
    """Questions on which a's mean is higher."""
    b_better: int
    p_value: float
    """Exact McNemar mid-p over those questions, of one cluster together counted once; where accuracies are means of
    repeats or of draws, or scores lie between 0 and 1, a t-test of the mean difference over clusters."""
    method: str
    """score, bootstrap or none."""

    @property
    def estimate(self) -> Estimate:
        """The mean with its interval."""
        return Estimate(self.mean, self.low, self.high)


@dataclass(frozen=True, slots=True)
class Paired:
    """Two cells on the questions both have, in order of the question id."""

    frame: pl.DataFrame
    """question_id, cluster, n_trials, n_partly, and accuracy and spends per question, those of b with the ending _b."""
    where: NDArray[np.intp]
    """Row to cluster, counted from 0."""

    @property
    def n(self) -> int:
        """Questions scored in both."""
        return self.frame.height

    @property
    def clusters(self) -> int:
        """Distinct questions: those that ask the same are one."""
        return int(self.where.max(initial=-1)) + 1

    @property
    def graded(self) -> bool:
        """Whether some score lies between 0 and 1, so that answers do not just flip."""
        return bool(self.frame.select((pl.col("n_partly", "n_partly_b") > 0).any()).row(0) != (False, False))

    def delta(self, name: str = "accuracy") -> Floats:
        """a minus b, question by question; NaN where a spend is unknown."""
        return self.frame.select(pl.col(name) - pl.col(f"{name}_b")).to_series().cast(pl.Float64).to_numpy()

    def summed(self, values: Floats) -> Floats:
        """Sums by cluster."""
        return np.bincount(self.where, values, self.clusters).astype(np.float64)

    def sizes(self) -> Floats:
        """Questions by cluster."""
        return self.summed(np.ones(self.n))

    def mean(self, values: Floats, sample: Sample) -> Estimate:
        """Mean over questions with its bootstrap interval, clusters drawn together; unknown if any value is (NaN)."""
        if not self.n or np.isnan(values).any():
            return Estimate(None)
        return Estimate.of(float(values.mean()), self.resampled(values, sample))

    def resampled(self, values: Floats, sample: Sample) -> Interval:
        """The bootstrap interval of that mean; (nan, nan) for one cluster."""
        if self.clusters < 2:
            return math.nan, math.nan
        # The same draws for every measure of the pair, so that differences of its columns stay paired.
        bootstrap = stats.Bootstrap(self.clusters, sample.replicates, sample.seed)
        total, n = bootstrap.sums(np.column_stack([self.summed(values), self.sizes()])).T
        return stats.percentiles(total / n, self.clusters, sample.level)

    def within(self, rows: NDArray[np.bool_]) -> Paired:
        """Some of the questions."""
        return _paired(self.frame.filter(pl.Series(rows)))


def paired(a: pl.DataFrame, b: pl.DataFrame) -> Paired:
    """From the per-question sums of two cells."""
    columns = ("question_id", "cluster", pl.col("n").alias("n_trials"), "n_partly", "accuracy", *MEANS)
    first, second = (scored_means(units).select(columns) for units in (a, b))
    return _paired(first.join(second, on="question_id", suffix="_b").sort("question_id"))


def _paired(frame: pl.DataFrame) -> Paired:
    names = frame["cluster"].unique().sort()
    return Paired(frame, names.search_sorted(frame["cluster"]).to_numpy().astype(np.intp))


def difference(a: pl.DataFrame, b: pl.DataFrame, sample: Sample) -> Difference:
    """From the per-question sums of two cells."""
    return gap(paired(a, b), sample)


def gap(pair: Paired, sample: Sample) -> Difference:
    """The difference in accuracy with its interval and test."""
    delta = pair.delta()
    better, worse = flips(delta)
    by_cluster = pair.summed(delta)
    discordant = flips(by_cluster)
    graded = pair.n > 0 and pair.graded
    if not graded and np.isin(np.round(delta, 9), (-1.0, 0.0, 1.0)).all():
        p_value = stats.mcnemar_midp(*discordant)
    else:
        # Means of repeats or of draws, or parts of a point: that one is a little above the other on most questions says
        # nothing of how much.
        p_value = stats.t_test(Sums.of(by_cluster, pair.sizes()))
    if not pair.n:
        return Difference(0, None, None, None, 0, 0, p_value, "none")
    # Questions of one cluster that flip together are one observation.
    if sum(discordant) < FEW_DISCORDANT:
        size = effective(pair, delta)
        # Where the size was estimated from repeats or clusters, few clusters make it uncertain: t instead of z.
        if size < pair.n or not _plain(pair, delta):
            size *= stats.shrinkage(pair.clusters - 1, sample.level) if pair.clusters > 1 else 1.0
        gains, losses = shares(delta)
        method, (low, high) = "score", stats.tango(size * gains, size * losses, size, sample.level)
        if graded and any(discordant) and pair.clusters > 1:
            # What differs on few questions may differ on none in a draw: the bootstrap alone, which is what scores
            # between 0 and 1 call for, then covers 0.25 to 0.9 of truths, and the wider of the two 0.94 or more.
            method, drawn = "bootstrap", pair.resampled(delta, sample)
            low, high = min(low, drawn[0]), max(high, drawn[1])
    else:
        method, (low, high) = "bootstrap", pair.resampled(delta, sample)
    return Difference(pair.n, float(delta.mean()), low, high, better, worse, p_value, method)


def flips(delta: Floats) -> tuple[int, int]:
    """How many are above and below 0."""
    return int((delta > _TINY).sum()), int((delta < -_TINY).sum())


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
    # What independent single trials would have: E[d^2] - E[d]^2, where d is -1, 0 or 1.
    naive = (sum(shares(delta)) - mean**2) / pair.n
    spread = pair.summed(delta) - mean * pair.sizes()
    variance = float(spread @ spread) / pair.n**2
    # Nothing differs, so there is no variance to go by: so many texts, so many observations.
    if min(naive, variance) < _TINY**2:
        return float(pair.clusters)
    if pair.graded:
        # Half a point more often varies less than a whole one now and then, whatever the number of trials.
        return pair.n * naive / variance
    trials = pair.frame.select(pl.min_horizontal("n_trials", "n_trials_b")).to_series().sum()
    return min(float(trials), pair.n * naive / variance)


def _plain(pair: Paired, delta: Floats) -> bool:
    binary = pair.frame.select("accuracy", "accuracy_b").to_numpy()
    return pair.clusters == pair.n and bool(np.isin(binary, (0.0, 1.0)).all()) and bool(len(delta))


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
class Comparison:
    """Cell a against cell b on the questions both have; every difference is a minus b."""

    a: Cell
    b: Cell
    """The cells as they were read: condition, budget and axis."""
    n: int
    """Questions scored in both; 0: nothing can be said, and numbers are None."""
    accuracy_a: float | None
    accuracy_b: float | None
    """Share right on those questions, or the mean score where some lie between 0 and 1."""
    accuracy: Estimate
    """Difference in accuracy, as a share: 0.05 is 5 percentage points."""
    method: str
    """How its interval was made: score (Tango 1998, under 25 discordant questions of answers right or wrong), bootstrap
    (over clusters), none."""
    p_value: float
    """As `Difference.p_value`, two-sided; 1 where nothing differs."""
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
    draws_a: int = 1
    draws_b: int = 1
    """How many draws of its one request each side is the mean of; 1: as it was run."""
    both_right: int = 0
    """Questions on which they do equally well and at least half is right; of the others of `n` as many do equally badly
    as are in neither `won` nor `lost`."""
    graded: bool = False
    """Whether some score lies between 0 and 1: then answers do not just flip, and `won` and `lost` hold those that are
    better and worse by any part."""
    groups: pl.DataFrame = field(compare=False, repr=False, kw_only=True)
    """The difference by a column of the questions: columns `GROUP_SCHEMA`, null group where the question has none;
    p_adjusted by Holm over the groups. Intervals are each group's own."""

    @property
    def settled(self) -> bool:
        """Whether the 95 % interval of the difference in accuracy leaves out 0."""
        return self.accuracy.settled


class Measured(NamedTuple):
    """A cell as it was read."""

    cell: Cell
    """With budget and axis known."""
    units: pl.DataFrame
    """Its per-question sums."""
    draws: int
    """As `Comparison.draws_a`."""


def at_largest(cell: Cell, units: pl.DataFrame, draws: int) -> Measured:
    """A cell's part of what was read for several, at its largest budget."""
    own = units.filter(pl.col("condition_id") == cell.condition_id)
    # Where no budget was asked for it was read at all that its studies declare.
    own = own.filter(pl.col("budget") == pl.col("budget").max())
    placed = Cell(cell.condition_id, *own.select("budget", "axis").row(0)) if own.height else cell
    return Measured(placed, own, draws)


def compare(a: Measured, b: Measured, groups: pl.DataFrame, sample: Sample) -> Comparison:
    """From two cells with their per-question sums, and a frame question_id, group; see `Results.compare`."""
    pair = paired(a.units, b.units)
    whole, delta = gap(pair, sample), pair.delta()
    ids = pair.frame["question_id"]
    detectable = None
    if pair.n:
        # Where no question differs the discordance is unknown, not 0: half a question more than was seen.
        size = effective(pair, delta)
        detectable = stats.detectable(size, (sum(shares(delta)) * size + 0.5) / (size + 1))
    named = in_groups(pair, groups)
    # eq_missing: questions without a group are a group as well.
    rows = [
        {"group": name, **columns(gap(pair.within(named.eq_missing(name).to_numpy()), sample))}
        for name in named.unique().sort(nulls_last=True)
    ]
    return Comparison(
        a=a.cell,
        b=b.cell,
        draws_a=a.draws,
        draws_b=b.draws,
        n=pair.n,
        accuracy_a=float(pair.frame["accuracy"].to_numpy().mean()) if pair.n else None,
        accuracy_b=float(pair.frame["accuracy_b"].to_numpy().mean()) if pair.n else None,
        accuracy=whole.estimate,
        method=whole.method,
        p_value=whole.p_value,
        won=tuple(ids.filter(pl.Series(delta > _TINY, dtype=pl.Boolean))),
        lost=tuple(ids.filter(pl.Series(delta < -_TINY, dtype=pl.Boolean))),
        both_right=int((~(np.abs(delta) > _TINY) & (pair.frame["accuracy"].to_numpy() >= 0.5)).sum()),
        spend={name: pair.mean(pair.delta(name), sample) for name in MEANS},
        detectable=detectable,
        more_questions=more_questions(pair, whole),
        graded=pair.n > 0 and pair.graded,
        groups=_corrected(pl.DataFrame(rows, schema=GROUP_SCHEMA), "holm"),
    )


def in_groups(pair: Paired, groups: pl.DataFrame) -> pl.Series:
    """The group of each question of the pair, by a frame question_id, group; null where it has none."""
    return pair.frame.select("question_id").join(groups, on="question_id", how="left", maintain_order="left")["group"]


def more_questions(pair: Paired, whole: Difference) -> int | None:
    """Questions beyond those there are; None: settled, or nothing to go by, as one question is."""
    # Settled already where the interval leaves out 0.
    if pair.n < 2 or whole.mean is None or whole.low is None or whole.high is None or not whole.low <= 0 <= whole.high:
        return None
    delta = pair.delta()
    needed = stats.questions_needed(whole.mean, sum(shares(delta)))
    # In effective pairs; as many questions of this kind again as these are worth.
    return None if needed is None else max(1, math.ceil((needed / effective(pair, delta) - 1) * pair.n))


def columns(whole: Difference) -> dict[str, Any]:
    """A difference as a row of GROUP_SCHEMA or MANY_SCHEMA, not corrected yet."""
    same = ("n", "low", "high", "a_better", "b_better", "p_value", "method")
    return {name: getattr(whole, name) for name in same} | {"difference": whole.mean, "p_adjusted": None}


def _corrected(frame: pl.DataFrame, correction: Correction) -> pl.DataFrame:
    return frame.with_columns(
        p_adjusted=pl.Series(stats.adjusted(frame["p_value"].to_list(), correction), dtype=pl.Float64)
    )


def comparisons(
    pairs: Sequence[tuple[Measured, Measured]],
    correction: Correction,
    sample: Sample,
) -> pl.DataFrame:
    """One row per pair, columns MANY_SCHEMA; see `Results.comparisons`."""
    rows = []
    for a, b in pairs:
        row = columns(difference(a.units, b.units, sample))
        for side, cell in (("a", a.cell), ("b", b.cell)):
            row |= {f"{side}_id": cell.condition_id, f"{side}_budget": cell.budget, f"{side}_axis": cell.axis}
        rows.append(row)
    return _corrected(pl.DataFrame(rows, schema=MANY_SCHEMA), correction)


def both(cells: Sequence[tuple[Cell, Cell]] | Sequence[Cell], against: Cell | None) -> list[tuple[Cell, Cell]]:
    """Pairs as they are, or single cells each with the baseline; raises UsageError for single cells without one."""
    pairs = []
    for each in cells:
        if isinstance(each, tuple):
            pairs.append(each)
        elif against is None:
            raise UsageError("Comparisons need pairs of cells, or a cell to compare the others against.")
        elif each != against:
            # The baseline against itself says nothing, and would count as one more comparison.
            pairs.append((each, against))
    return pairs
