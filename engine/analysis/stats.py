"""Intervals, tests and bootstraps for small samples of questions; pure numbers in, pure numbers out.

Questions, or clusters of those that ask the same, are the sampling unit. Also: what a number of questions can
show (McNemar's test on paired right-or-wrong answers; `discordance` is the share of questions on which two settings
differ), and p-values corrected for the number of comparisons.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import UnknownName

LEVEL = 0.95
"""Confidence of every interval unless told otherwise."""
FEW = 2_000
"""Up to so many clusters a table of all bootstrap draws is made, of 16 MB at most for a thousand replicates."""
_BLOCK = 32
"""Replicates drawn at once where there are more."""
_KEPT, _KEPT_BYTES = 4, 8 << 20
"""Sums of many clusters that are kept, and the most that each may take."""
RARE = 3
"""Up to so many right answers, or wrong ones, Wilson's bound needs a guard."""
Interval = tuple[float, float]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Sums:
    """What cluster statistics need: s is a cluster's sum of question means, q its number of questions."""

    total: float
    """Sum of s over clusters."""
    n: float
    """Sum of q: questions."""
    clusters: float
    """Clusters with at least one question."""
    ss: float
    sq: float
    qq: float

    @classmethod
    def of(cls, s: Floats, q: Floats) -> Sums:
        """From one number per cluster each."""
        return cls(float(s.sum()), float(q.sum()), float((q > 0).sum()), float(s @ s), float(s @ q), float(q @ q))

    @property
    def mean(self) -> float:
        """Mean over questions."""
        return self.total / self.n

    @property
    def variance(self) -> float:
        """Cluster variance of the mean without small-sample factor (Miller 2024, arXiv 2411.00640, section 2.2)."""
        # The sum over clusters of (s - mean q)^2; rounding may leave it a little below 0.
        spread = self.ss - 2 * self.mean * self.sq + self.mean**2 * self.qq
        return max(0.0, spread) / self.n**2


@lru_cache(maxsize=256)
def z_of(level: float) -> float:
    """Two-sided normal quantile: 1.96 for 0.95."""
    return NormalDist().inv_cdf((1 + level) / 2)


def wilson(right: float, n: float, level: float = LEVEL) -> Interval:
    """Score interval of a proportion (Wilson 1927); `n` may be an effective, fractional size."""
    return _score(right, n, z_of(level))


def _score(right: float, n: float, z: float) -> Interval:
    if n <= 0:
        return 0.0, 1.0
    # Effective sizes carry rounding, so a share may come out a little above 1.
    z2 = z**2
    p = min(1.0, max(0.0, right / n))
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (p * (1 - p) + z2 / (4 * n)) / n) / (1 + z2 / n)
    return (0.0 if p == 0 else max(0.0, centre - half)), (1.0 if p == 1 else min(1.0, centre + half))


def guarded_wilson(right: float, n: float, level: float = LEVEL) -> Interval:
    """Wilson's interval with Poisson bounds where at most three are right, or wrong (Brown, Cai & DasGupta 2001).

    Wilson's own bound there leaves out shares a little below it: coverage falls to 0.83. Bounds move outwards only. Its
    quantile is taken 1/(2n) of itself larger: coverage, computed exactly at shares from 0.02 to 0.98, is then 0.923 or
    more from 5 questions on, instead of 0.893, and on average 0.969 at 10 questions, 0.954 at 60.
    """
    low, high = _score(right, n, z_of(level) * (1 + 0.5 / max(n, 1.0)))
    if 0 < right <= RARE:
        low = min(low, _rare(right, level) / n)
    if 0 < n - right <= RARE:
        high = max(high, 1 - _rare(n - right, level) / n)
    return low, high


@lru_cache(maxsize=4096)
def _rare(count: float, level: float) -> float:
    """The mean of a Poisson variable that reaches `count` with probability 1 - level; linear between whole counts."""

    def bound(whole: int) -> float:
        # P(fewer than `whole`) falls with the mean; where it is `level`, `whole` is reached with 1 - level.
        def excess(mean: float) -> float:
            return sum(math.exp(-mean) * mean**k / math.factorial(k) for k in range(whole)) - level

        return _root(excess, 0.0, whole + 1.0) if whole else 0.0

    below, part = math.floor(count), count - math.floor(count)
    low, high = bound(below), bound(below + 1)
    return low + part * (high - low)


def jeffreys(right: float, n: float, level: float = LEVEL) -> Interval:
    """Equal-tailed Beta(1/2, 1/2) interval (Brown, Cai & DasGupta 2001); closed at 0 and 1 when all agree."""
    a, b, tail = right + 0.5, n - right + 0.5, (1 - level) / 2
    low = 0.0 if right <= 0 else beta_quantile(tail, a, b)
    return low, (1.0 if right >= n else beta_quantile(1 - tail, a, b))


def accuracy_interval(sums: Sums, scored: float, level: float = LEVEL, *, graded: bool = False) -> Interval:
    """Wilson interval, guarded; with repeats or clusters at the effective sample size (Korn & Graubard 1998).

    One repeat of distinct questions gives the interval of their number. Otherwise the size is p(1-p)/variance, at most
    the `scored` trials, reduced for estimating the variance from few clusters. Where nothing or everything is right it
    is the number of clusters.

    `graded`: some score lies between 0 and 1. Then the size is p(1-p)/variance whatever it comes to: the spread of the
    question means decides, as in their bootstrap. Over graded worlds of 10 to 100 questions it covers 0.93 or more, and
    is the narrower of the two from 10 to 30; the bootstrap of question means falls to 0.63 where most are alike.
    """
    p = min(1.0, max(0.0, sums.mean))
    spread, free = p * (1 - p), round(sums.clusters) - 1
    # The last of these: each cluster is one question, and each of its means 0 or 1, whose squares add up to their sum.
    if spread < 1e-12 or free < 1 or (free + 1 == round(sums.n) and abs(sums.ss - sums.total) < 1e-9):
        return guarded_wilson(p * sums.clusters, sums.clusters, level)
    # No variance though answers differ: all clusters have the same mean, and trials are what there is to count.
    size = spread / sums.variance if sums.variance > 1e-15 else scored
    size = size if graded else min(scored, size)
    size *= shrinkage(free, level)
    return guarded_wilson(p * size, size, level)


def shrinkage(free: int, level: float = LEVEL) -> float:
    """What an effective size loses because its variance was estimated with `free` degrees of freedom."""
    return (z_of(level) / t_quantile(level, free)) ** 2 * free / (free + 1)


def mean_interval(sums: Sums, level: float = LEVEL) -> Interval:
    """t interval of a mean that cannot be negative, clusters - 1 degrees of freedom; (nan, nan) for one cluster."""
    free = round(sums.clusters) - 1
    if free < 1:
        return math.nan, math.nan
    half = t_quantile(level, free) * math.sqrt(sums.variance * (free + 1) / free)
    return max(0.0, sums.mean - half), sums.mean + half


def t_test(sums: Sums) -> float:
    """Two-sided p of Student's t-test that a mean over clusters is 0; 1 where nothing differs or one cluster is all."""
    free = round(sums.clusters) - 1
    if free < 1 or sums.variance < 1e-18:
        return 1.0 if free < 1 or abs(sums.mean) < 1e-9 else 0.0
    squared = sums.mean**2 / (sums.variance * (free + 1) / free)
    # By the beta function, as in `t_quantile`: P(|t| > q) = I_x(free/2, 1/2) at x = free / (free + q^2).
    return beta_cdf(free / (free + squared), free / 2, 0.5)


def tango(only_a: float, only_b: float, n: float, level: float = LEVEL) -> Interval:
    """Score interval of the difference a - b of paired proportions (Tango 1998, Statistics in Medicine 17:891).

    `only_a` of `n` pairs succeed under a alone, `only_b` under b alone. Holds its level with few discordant pairs.
    Effective, fractional numbers of pairs will do.
    """
    if n <= 0:
        return -1.0, 1.0
    z, centre = z_of(level), (only_a - only_b) / n

    def score(delta: float) -> float:
        distance, spread = _tango_score(delta, only_a, only_b, n)
        # At -1 and 1 the restricted variance vanishes: the data then either agree exactly or are infinitely far.
        if spread <= 1e-8:
            return 0.0 if distance == 0 else math.copysign(math.inf, distance)
        return distance / spread

    return _root(lambda d: score(d) - z, -1.0, centre), _root(lambda d: score(d) + z, centre, 1.0)


def tango_high(only_a: Floats, only_b: Floats, n: Floats, z: float) -> Floats:
    """Upper ends of many such intervals at a normal quantile.

    Where no pair differs the exact binomial bound takes over, which is a little above the score bound.
    """
    low, high = (only_a - only_b) / n, np.ones_like(n)
    # To 1e-9, which is all an interval says and half the time.
    for _ in range(30):
        middle = (low + high) / 2
        distance, spread = _tango_score(middle, only_a, only_b, n)
        within = distance + z * spread > 0
        low, high = np.where(within, middle, low), np.where(within, high, middle)
    exact = 1 - NormalDist().cdf(-z) ** (1 / n)
    return np.where(only_a + only_b > 0, high, np.maximum(high, exact))


Number = TypeVar("Number", float, Floats)


def _tango_score(delta: Number, only_a: Number, only_b: Number, n: Number) -> tuple[Number, Number]:
    """How far the data are from a true difference `delta`, and the standard deviation of that by the restricted
    likelihood; of numbers or of arrays."""
    # Tango's restricted estimate of the share that only b has: the larger root of 2n q^2 + linear q + product.
    linear = -only_a - only_b + (2 * n - only_a + only_b) * delta
    product = -only_b * delta * (1 - delta)
    # What is under the roots is never negative but for rounding.
    q = (abs(linear**2 - 8 * n * product) ** 0.5 - linear) / (4 * n)
    return only_a - only_b - n * delta, abs(n * (2 * q + delta * (1 - delta))) ** 0.5


def _root(f: Callable[[float], float], low: float, high: float) -> float:
    """Where a decreasing function crosses zero, to 1e-12; an end of the range if it does not."""
    # Bisection, not Newton: score functions are infinite at the ends, and 60 halvings exhaust a double's digits.
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if f(middle) > 0 else (low, middle)
    return (low + high) / 2


def mcnemar_midp(only_a: int, only_b: int) -> float:
    """Two-sided exact McNemar test with the mid-p correction (Fagerland, Lydersen & Laake 2013); 1 without discord."""
    n, less = only_a + only_b, min(only_a, only_b)
    if n == 0:
        return 1.0
    # In logarithms: the binomial coefficients of a few thousand discordant questions overflow a float.
    scale = n * math.log(2)
    terms = [
        math.exp(math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - scale) for k in range(less + 1)
    ]
    return min(1.0, 2 * sum(terms) - terms[-1])


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Resamples of so many clusters with replacement; the same seed draws the same ones, whatever is summed up."""

    clusters: int
    replicates: int
    seed: int

    def sums(self, values: Floats) -> Floats:
        """What each resample adds up to: of `values`, clusters or clusters x measures, replicates (x measures)."""
        if self.clusters <= FEW:
            drawn: Floats = replicate_weights(self.clusters, self.replicates, self.seed) @ values
            return drawn
        # Several figures of a page sum up the same measures, each in an order of its own.
        columns = values.reshape(self.clusters, -1).T
        told = [hashlib.blake2b(np.ascontiguousarray(column).tobytes(), digest_size=16).digest() for column in columns]
        order = sorted(range(len(told)), key=told.__getitem__)
        key = self, tuple(told[at] for at in order)
        if (known := _sums.get(key)) is None:
            known = self._summed(np.ascontiguousarray(columns[order].T))
            if known.nbytes <= _KEPT_BYTES:
                _sums[key] = known
            while len(_sums) > _KEPT:
                with suppress(KeyError):
                    del _sums[next(iter(_sums))]
        sums = np.empty_like(known)
        sums[:, order] = known
        return sums.reshape(self.replicates, *values.shape[1:])

    def _summed(self, values: Floats) -> Floats:
        """`sums` of many clusters."""
        # A table of all draws would take eight bytes a replicate and cluster, and its binomials seven times as long.
        generator = np.random.default_rng(self.seed)
        sums = np.empty((self.replicates, values.shape[1]))
        for start in range(0, self.replicates, _BLOCK):
            rows = min(_BLOCK, self.replicates - start)
            picked = generator.integers(0, self.clusters, (rows, self.clusters), dtype=np.uint32)
            counts = np.stack([np.bincount(row, minlength=self.clusters) for row in picked])
            sums[start : start + rows] = counts.astype(np.float64) @ values
        return sums


_sums: dict[tuple[Bootstrap, tuple[bytes, ...]], Floats] = {}


@lru_cache(maxsize=2)
def replicate_weights(clusters: int, replicates: int, seed: int) -> Floats:
    """How often each of a few clusters is drawn, replicates x clusters; not to be written to."""
    # Kept: a page asks for the same ones several times. Counts and not draws, so that sums are products of matrices.
    drawn = np.random.default_rng(seed).multinomial(clusters, np.full(clusters, 1 / clusters), size=replicates)
    weights = drawn.astype(np.float64)
    weights.flags.writeable = False
    return weights


def percentiles(means: Floats, clusters: int, level: float = LEVEL) -> Interval:
    """Expanded percentile interval of bootstrap `means` drawn from so many clusters (Hesterberg 2015, 1411.5279).

    The tails are those of Student's t with the factor that a bootstrap variance lacks, so few clusters hold the level.
    (nan, nan) for one cluster or no mean. Infinite means are larger than all others.
    """
    if clusters < 2 or not len(means):
        return math.nan, math.nan
    tail = NormalDist().cdf(-math.sqrt(clusters / (clusters - 1)) * t_quantile(level, clusters - 1))
    # Order statistics, not interpolation: between a number and an infinite one there is nothing.
    # By hand: numpy's own takes ten times as long to find two places.
    ordered, last = np.sort(means), len(means) - 1
    if math.isnan(ordered[-1]):
        return math.nan, math.nan
    return float(ordered[math.floor(tail * last)]), float(ordered[math.ceil((1 - tail) * last)])


def beta_cdf(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta function, by Lentz's continued fraction (DLMF 8.17.22)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    # The fraction converges fast below the mean alone; above it the other tail's does.
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_cdf(1 - x, b, a)
    # I_x(a, b) = x^a (1 - x)^b / (a B(a, b)) / (1 + d1/(1 + d2/(1 + ...))), the front in logarithms: B underflows.
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    value = numerator = 1.0
    denominator = 0.0
    for step in range(1, 400):
        m = step // 2
        if step % 2 == 0:
            d = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            d = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        denominator = 1 / (1 + d * denominator)
        numerator = 1 + d / numerator
        value *= numerator * denominator
        if abs(numerator * denominator - 1) < 1e-15:
            break
    return math.exp(log_front) / (a * value)


def beta_quantile(p: float, a: float, b: float) -> float:
    """Where `beta_cdf` reaches p."""
    return _root(lambda x: p - beta_cdf(x, a, b), 0.0, 1.0)


@lru_cache(maxsize=4096)
def t_quantile(level: float, free: int) -> float:
    """Two-sided quantile of Student's t: 2.228 for 0.95 and 10 degrees of freedom."""
    # By F = t^2 and its beta: P(|t| > q) = I_x(free/2, 1/2) at x = free / (free + q^2).
    x = beta_quantile(1 - level, free / 2, 0.5)
    return math.sqrt(free * (1 - x) / x)


POWER = 0.8
"""Chance to find a difference of that size."""


def questions_needed(gap: float, discordance: float, power: float = POWER, level: float = LEVEL) -> float | None:
    """Pairs that find a true difference `gap` with this chance (Connor 1987, Biometrics 43:207); None for no gap.

    A discordance below the gap is impossible and read as the gap.
    """
    size = min(1.0, abs(gap))
    if size < 1e-12:
        return None
    psi = min(1.0, max(discordance, size))
    # Connor's formula: the first term under equality, where the variance is the discordance, the second under `gap`.
    root = z_of(level) * math.sqrt(psi) + NormalDist().inv_cdf(power) * math.sqrt(max(0.0, psi - size**2))
    return (root / size) ** 2


def detectable(n: float, discordance: float, power: float = POWER, level: float = LEVEL) -> float | None:
    """The smallest true difference `n` pairs find with this chance; None: more than the discordance allows, or n is 0.

    Where nothing differs the discordance is not 0 but unknown: callers give a share above 0.
    """
    psi = min(1.0, discordance)
    most = questions_needed(psi, psi, power, level)
    if n <= 0 or most is None or n < most:
        return None
    # By halves, since what is needed falls with the difference; 60 of them exhaust a double's digits.
    low, high = 0.0, psi
    for _ in range(60):
        middle = (low + high) / 2
        needed = questions_needed(middle, psi, power, level)
        low, high = (low, middle) if needed is not None and needed <= n else (middle, high)
    return high


def sure_of_share(share: float, least: float, critical: float, power: float = POWER) -> float | None:
    """Independent questions that show a true `share` to be at least `least`, by the score test; None if it is not.

    `critical` is the normal quantile the test must pass, larger where the best of several settings is picked.
    """
    gap = share - least
    if gap < 1e-12:
        return None
    root = critical * math.sqrt(least * (1 - least)) + NormalDist().inv_cdf(power) * math.sqrt(
        max(0.0, share * (1 - share))
    )
    return (root / gap) ** 2


Correction = Literal["holm", "bh"]
CORRECTIONS: tuple[Correction, ...] = ("holm", "bh")
"""holm: the chance of any false finding is kept; bh: the expected share of false ones among the findings."""


def adjusted(p_values: Sequence[float], correction: Correction = "holm") -> list[float]:
    """Adjusted p-values in the given order: below 0.05 means found, with all comparisons counted.

    Holm 1979 (any dependence); Benjamini & Hochberg 1995 (independent or positively dependent). Raises UnknownName.
    """
    if correction not in CORRECTIONS:
        raise UnknownName("correction", correction, CORRECTIONS)
    n, order = len(p_values), sorted(range(len(p_values)), key=lambda at: p_values[at])
    result = [0.0] * n
    # Both are monotone in rank: Holm's never falls going up from the smallest, the other never rises going down.
    if correction == "holm":
        least = 0.0
        for rank, at in enumerate(order):
            result[at] = least = max(least, min(1.0, (n - rank) * p_values[at]))
    else:
        most = 1.0
        for rank in range(n, 0, -1):
            result[order[rank - 1]] = most = min(most, p_values[order[rank - 1]] * n / rank)
    return result


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval; None: unknown (a price that nobody knows, no shared question, one cluster)."""

    mean: float | None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, mean: float | None, interval: Interval) -> Estimate:
        """With the ends of an interval, which are unknown where they are NaN or where the mean is unknown."""
        low, high = (None if mean is None or math.isnan(end) else end for end in interval)
        return cls(mean, low, high)

    @property
    def settled(self) -> bool:
        """Whether the interval is known and leaves out 0."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high

    def columns(self, name: str) -> dict[str, float | None]:
        """As the columns name, name_low and name_high of a row."""
        return {name: self.mean, f"{name}_low": self.low, f"{name}_high": self.high}


@dataclass(frozen=True, slots=True)
class Sample:
    """How bootstraps are drawn, and how sure their intervals are."""

    replicates: int = 2000
    seed: int = 0
    level: float = LEVEL
    """Two-sided: the ends of 0.90 are one-sided bounds of 95 %."""
