"""A against B in full: accuracy, flips, spends, categories, and what more questions could settle.

Owns the records a comparison is told in. Works on per-question sums; reads no database.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from engine.analysis import pairs, power
from engine.analysis.curves import MEANS
from engine.analysis.families import Correction, adjusted
from engine.analysis.pairs import Cell, Difference, Floats, Paired
from engine.errors import UsageError

GROUP_SCHEMA: dict[str, Any] = {
    "group": pl.String, "n": pl.Int64, **dict.fromkeys(("difference", "low", "high"), pl.Float64),
    "a_better": pl.Int64, "b_better": pl.Int64, "p_value": pl.Float64, "p_adjusted": pl.Float64,
}  # fmt: skip
MANY_SCHEMA: dict[str, Any] = {
    **{f"{side}_{name}": kind for side in "ab" for name, kind in
       (("id", pl.String), ("budget", pl.Int64), ("axis", pl.String))},
    **{name: kind for name, kind in GROUP_SCHEMA.items() if name != "group"}, "method": pl.String,
}  # fmt: skip


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
    pair = pairs.paired(a[1], b[1])
    found, delta = pairs.gap(pair, sample.replicates, sample.seed), pair.delta()
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
    low, high = pairs.resampled_mean(pair, values, sample.replicates, sample.seed)
    return Estimate(float(values.mean()), *(None if math.isnan(end) else end for end in (low, high)))


def _detectable(pair: Paired, delta: Floats) -> float | None:
    if not pair.n:
        return None
    size = pairs.effective(pair, delta)
    return power.detectable(size, (sum(pairs.shares(delta)) * size + 0.5) / (size + 1))


def more_questions(pair: Paired, found: Difference) -> int | None:
    """Questions beyond those there are; None: settled, or nothing to go by."""
    if found.mean is None or found.low is None or found.high is None or not found.low <= 0 <= found.high:
        return None
    delta = pair.delta()
    needed = power.questions_needed(found.mean, sum(pairs.shares(delta)))
    if needed is None:
        return None
    return max(1, math.ceil((needed / pairs.effective(pair, delta) - 1) * pair.n))


def _by_group(pair: Paired, groups: pl.DataFrame, sample: Sample) -> pl.DataFrame:
    named = pair.frame.select("question_id").join(groups, on="question_id", how="left", maintain_order="left")["group"]
    parts = [(name, pair.within(named.eq_missing(name).to_numpy())) for name in named.unique().sort(nulls_last=True)]
    rows = [{"group": name, **_row(pairs.gap(part, sample.replicates, sample.seed))} for name, part in parts]
    return _corrected(pl.DataFrame(rows, schema=GROUP_SCHEMA), "holm")


def _row(found: Difference) -> dict[str, Any]:
    return {
        "n": found.n, "difference": found.mean, "low": found.low, "high": found.high, "a_better": found.a_better,
        "b_better": found.b_better, "p_value": found.p_value, "p_adjusted": None, "method": found.method,
    }  # fmt: skip


def _corrected(frame: pl.DataFrame, correction: Correction) -> pl.DataFrame:
    return frame.with_columns(p_adjusted=pl.Series(adjusted(frame["p_value"].to_list(), correction), dtype=pl.Float64))


def comparisons(
    asked: Sequence[tuple[Measured, Measured]],
    correction: Correction,
    sample: Sample,
) -> pl.DataFrame:
    """One row per pair, columns MANY_SCHEMA; see `Results.comparisons`."""
    rows = [
        {**_named("a", a), **_named("b", b), **_row(pairs.difference(units_a, units_b, sample.replicates, sample.seed))}
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
