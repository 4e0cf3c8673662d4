"""Paired comparison of two cells on the questions both have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from engine.analysis.curves import question_means
from engine.analysis.stats import LEVEL, Interval, mcnemar_midp, replicate_weights, tango

FEW_DISCORDANT = 25
"""Below so many questions on which the two differ, the score interval replaces the bootstrap."""


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
    """Exact McNemar mid-p over those questions (a sign test where there are repeats)."""
    method: str
    """score, bootstrap or none."""


def difference(a: pl.DataFrame, b: pl.DataFrame, replicates: int, seed: int) -> Difference:
    """From the per-question sums of two cells."""
    shared = _scored(a).join(_scored(b), on="question_id", suffix="_b").sort("question_id")
    delta = (shared["accuracy"] - shared["accuracy_b"]).to_numpy()
    better, worse = int((delta > 1e-12).sum()), int((delta < -1e-12).sum())
    p_value = mcnemar_midp(better, worse)
    if not len(delta):
        return Difference(0, None, None, None, 0, 0, p_value, "none")
    distinct = shared["cluster"].n_unique() == len(delta)
    binary = bool(np.isin(shared.select("accuracy", "accuracy_b").to_numpy(), (0.0, 1.0)).all())
    if distinct and binary and better + worse < FEW_DISCORDANT:
        method, (low, high) = "score", tango(better, worse, len(delta))
    else:
        method, (low, high) = "bootstrap", _bootstrapped(shared["cluster"], delta, replicates, seed)
    return Difference(len(delta), float(delta.mean()), low, high, better, worse, p_value, method)


def _scored(units: pl.DataFrame) -> pl.DataFrame:
    return question_means(units).filter(pl.col("n") > 0).select("question_id", "cluster", "accuracy")


def _bootstrapped(cluster: pl.Series, delta: np.ndarray, replicates: int, seed: int) -> Interval:
    names = cluster.unique().sort()
    where = names.search_sorted(cluster).to_numpy()
    weights = replicate_weights(len(names), replicates, seed)
    sums, sizes = np.bincount(where, delta, len(names)), np.bincount(where, minlength=len(names))
    means = (weights @ sums) / (weights @ sizes)
    low, high = np.quantile(means, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)
