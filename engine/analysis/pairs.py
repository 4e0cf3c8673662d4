"""Paired comparison of two cells on the questions both have: who is right where, and by how much on average.

Owns the pairing and the interval of a difference. Reads no database; says nothing on what to do (`advice`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.analysis.curves import MEANS, question_means
from engine.analysis.stats import Interval, mcnemar_midp, percentiles, replicate_weights, shrinkage, tango

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
