"""Bounds that hold at every look: what an adaptive study decides by, however often it looks and whenever it stops.

Scores lie between 0 and 1, so the difference of two settings on a question lies between -1 and 1. Its mean is bounded
by betting (Waudby-Smith & Ramdas, arXiv 2010.09686): who bets against "the mean is at least m" multiplies a capital by
1 + b (m - d) / (1 - m) with each difference d. While the statement is true the capital is a non-negative
supermartingale, so by Ville's inequality it ever reaches 1 / a with a chance of at most a; an m at which it did is
refused for good. The capital is spread over fixed bets b before the start and left there, so that it depends on how
often each difference was seen, not on the order, and grows with m. Spends have no such bounds that would be of use:
theirs are asymptotic confidence sequences (Waudby-Smith et al., arXiv 2103.06476). Reads no database, knows no setting.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from engine.analysis.stats import Floats

BETS = np.array([0.8, 0.5, 0.3, 0.18, 0.11, 0.065, 0.04, 0.024])
"""Shares of the largest bet that cannot lose everything, each with the same part of the capital."""
TUNED_FOR = 100
"""Questions at which the sequences for spends are narrowest."""
MEANS = np.unique(np.round(np.concatenate([np.arange(-1, 1.005, 0.02), np.arange(-0.1, 0.16, 0.005)]), 4))
"""The means that are tried, finest where goals lie; the first that is refused is the bound."""
_FEW = 16
"""Distinct scores up to which pairs are counted by one product of matrices, which is quicker than one by one."""
_MOST_VALUES = 160
"""Distinct differences that are told apart; more are rounded up to a grid, which only widens a bound."""
_GRID = 64


def gap_highs(scores: Floats, doubts: tuple[float, ...]) -> list[Floats]:
    """Upper bounds of the mean of one setting's scores minus another's, for each of `doubts` one square array.

    `scores`: settings x questions, NaN where a setting has none; a pair is held against each other where both have one.
    Each bound alone is ever exceeded by the true difference with a chance of at most its doubt. 1 where no question is
    shared; entry (a, b) is of a minus b, 0 on the diagonal. A lower bound of it is minus entry (b, a).
    """
    settings, _ = scores.shape
    values, codes, slack = _coded(scores)
    apart = np.minimum(values[:, None] - values[None, :] + slack, 1.0)
    distinct: Floats = np.unique(np.round(apart, 9))
    if len(distinct) > _MOST_VALUES:
        distinct = np.arange(-_GRID, _GRID + 1) / _GRID
    # The next larger one, so that rounding can only raise a bound.
    place = np.searchsorted(distinct, np.round(apart, 9) - 1e-12)
    gains = _gains(distinct)
    highs = [np.ones((settings, settings)) for _ in doubts]
    seen = _pairs(codes, place, len(distinct)) if len(values) <= _FEW else None
    for one in range(settings):
        if seen is not None:
            counts = seen[one]
        else:
            counts = np.zeros((settings, len(distinct)))
            for other in range(settings):
                both = (codes[one] >= 0) & (codes[other] >= 0)
                met = place[codes[one][both], codes[other][both]]
                counts[other] = np.bincount(met, minlength=len(distinct))
        for high, bounds in zip(highs, _refused_from(counts, gains, doubts), strict=True):
            high[one] = bounds
            high[one, one] = 0.0
    return highs


def mean_highs(counts: Floats, values: Floats, doubts: tuple[float, ...]) -> list[Floats]:
    """Upper bounds of means, for each of `doubts`, one a row of `counts`: how often each of `values` (-1 to 1) was
    seen so far."""
    return _refused_from(counts, _gains(values), doubts)


def _gains(values: Floats) -> Floats:
    """What one difference makes of the logarithm of a bet's capital: values x (bets, means)."""
    # A bet against m = 1 has nothing to win, and 1 bounds every mean.
    means = MEANS[:-1, None]
    gains = np.log1p(BETS[:, None, None] * (means - values) / (1 - means))
    flat: Floats = gains.reshape(-1, len(values)).T.copy()
    return flat


def _refused_from(counts: Floats, gains: Floats, doubts: tuple[float, ...]) -> list[Floats]:
    """By row the smallest of MEANS that is refused, as are all above it, for each of `doubts`."""
    capital = (counts @ gains).reshape(len(counts), len(BETS), len(MEANS) - 1)
    top = capital.max(axis=1)
    whole = top + np.log(np.exp(capital - top[:, None, :]).sum(axis=1)) - math.log(len(BETS))
    return [MEANS[(whole < -math.log(doubt)).sum(axis=1)] for doubt in doubts]


def spend_highs(spends: Floats, doubt: float) -> Floats:
    """Upper bounds of the mean of one setting's spends minus another's: a square array, as `gap_highs` has it.

    `spends`: settings x questions in any unit, NaN where there is none. Two settings that spent the same difference on
    every question have it for certain; fewer than two shared questions bound nothing (infinite).
    """
    settings = len(spends)
    known = ~np.isnan(spends)
    filled = np.nan_to_num(spends)
    n = (known.astype(float) @ known.T.astype(float)).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        own = (filled @ known.T.astype(float)) / n
        mean = own - own.T
        squares = (filled**2) @ known.T.astype(float)
        variance = (squares + squares.T - 2 * filled @ filled.T) / n - mean**2
        # What rounding leaves of a difference that never varied.
        scale = (squares + squares.T) / n
        spread = np.sqrt(np.where(variance > 1e-12 * scale, variance, 0.0) * n / (n - 1))
        tuned = (-2 * math.log(doubt) + math.log(-2 * math.log(doubt)) + 1) / TUNED_FOR
        widths = spread * np.sqrt(2 * (n * tuned + 1) / (n**2 * tuned) * np.log1p(np.sqrt(n * tuned + 1) / (2 * doubt)))
        high: Floats = np.where(n >= 2, mean + widths, math.inf)
    high[np.arange(settings), np.arange(settings)] = 0.0
    return high


def _pairs(codes: NDArray[np.intp], place: NDArray[np.intp], distinct: int) -> Floats:
    """By setting, other setting and distinct difference: on how many questions it was seen."""
    values = len(place)
    held = (codes[:, None, :] == np.arange(values)[:, None]).astype(np.float32).reshape(-1, codes.shape[1])
    # Counts up to 16 million are whole numbers in 32 bits.
    together = (held @ held.T).reshape(len(codes), values, len(codes), values).transpose(0, 2, 1, 3)
    which = np.eye(distinct)[place.ravel()]
    counts: Floats = together.reshape(len(codes), len(codes), -1).astype(float) @ which
    return counts


def _coded(scores: Floats) -> tuple[Floats, NDArray[np.intp], float]:
    """The distinct scores, by setting and question which of them it is (-1: none), and by how much a difference of two
    may be larger than that of theirs: 0 unless they are so many that they are rounded."""
    values, slack = np.unique(np.round(scores[~np.isnan(scores)], 9)), 0.0
    if len(values) > _GRID:
        values, slack = np.arange(_GRID + 1) / _GRID, 1 / _GRID
    codes = np.searchsorted(values, np.round(np.nan_to_num(scores), 9) - 1e-12)
    return values, np.where(np.isnan(scores), -1, np.minimum(codes, len(values) - 1)), slack
