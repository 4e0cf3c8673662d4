"""How sure a place on the frontier is: shares of bootstrap replicates, and verdicts that ties and luck do not give.

Owns the rule of a verdict. Works on arrays: one row per replicate, one column per cell; knows no condition.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from engine.analysis.stats import t_quantile

SURE = 0.95
"""Confidence of a verdict; each way may be wrong this much less than always."""
_EVEN = 1e-9
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Cloud:
    """Points of the cells of one task: replicates x cells; NaN where a replicate has no question of the cell."""

    x: Floats
    accuracy: Floats


@dataclass(frozen=True, slots=True)
class Places:
    """Which points of a cloud are on the frontier."""

    on: Flags
    tied: Flags
    """Off it by a tie alone: a cheaper cell has the same accuracy, none a higher one."""

    def share(self) -> Floats:
        """Per cell the share of replicates on the frontier; a tie counts half, for it says nothing either way."""
        share: Floats = self.on.mean(axis=0) + self.tied.mean(axis=0) / 2
        return share


def verdicts(point: Cloud, hull: NDArray[np.intp], drawn: Cloud, places: Places, clusters: int) -> list[str]:
    """frontier, dominated or undecided for each cell; see `Results.frontier` for the rule.

    `hull`: the columns of the corners of the point estimate's convex hull, by x; empty for a staircase.
    """
    tail, _ = tails(clusters)
    strict, share = places.on.mean(axis=0), places.share()

    def judged(cell: int) -> str:
        if strict[cell] >= 1 - tail:
            return "frontier"
        beaten = share[cell] <= tail and _beaten(point, hull, drawn, cell, clusters)
        return "dominated" if beaten else "undecided"

    return [judged(cell) for cell in range(drawn.x.shape[1])]


def tails(clusters: int, sure: float = SURE) -> tuple[float, float]:
    """The one-sided share of replicates that is sure enough, and the factor on deviations, for so many clusters.

    Student's t and the variance a bootstrap lacks, as in `stats.percentiles`: 1 - `sure` and 1 for many clusters.
    """
    if clusters < 2:
        return 0.0, math.inf
    normal = NormalDist()
    one_sided = math.sqrt(clusters / (clusters - 1)) * t_quantile(2 * sure - 1, clusters - 1)
    return normal.cdf(-one_sided), one_sided / normal.inv_cdf(sure)


def _beaten(point: Cloud, hull: NDArray[np.intp], drawn: Cloud, cell: int, clusters: int) -> bool:
    """Whether one cheaper rival, or a mixture of two, is better beyond luck."""
    return outdone(*_leads(point, hull, drawn, cell), clusters)


def outdone(leads: Floats, deviations: Floats, clusters: int, sure: float = SURE) -> bool:
    """Whether the largest of several leads over one cell is more than luck.

    `deviations`, replicates x rivals, are how far each bootstrap lead is from the observed one. They are studentised
    and the largest lead is held against the quantile `sure` of the largest deviation (the single-step max-t of
    Westfall & Young 1993). Rivals far behind are no candidates and do not count (Hansen 2005, J. Business & Economic
    Statistics 23:365); nor do those that never differ.
    """
    _, widening = tails(clusters, sure)
    spread = deviations.std(axis=0)
    scores = leads / np.where(spread > _EVEN, spread, math.inf)
    told = (spread > _EVEN) & (scores >= -widening * math.sqrt(2 * math.log(math.log(max(clusters, 16)))))
    if not told.any():
        return False
    largest = (deviations[:, told] / spread[told]).max(axis=1)
    critical = max(float(np.quantile(largest, sure)), NormalDist().inv_cdf(sure))
    return float(scores[told].max()) > critical * widening


def _leads(point: Cloud, hull: NDArray[np.intp], drawn: Cloud, cell: int) -> tuple[Floats, Floats]:
    """Leads of the rivals that are surely no dearer, and how far each replicate's lead is off; both over rivals."""
    cheaper = (drawn.x <= drawn.x[:, [cell]]).mean(axis=0) >= SURE
    cheaper[cell] = False
    leads = point.accuracy[0, cheaper] - point.accuracy[0, cell]
    found = drawn.accuracy[:, cheaper] - drawn.accuracy[:, [cell]]
    mixture = _chord(point, hull, cell)
    if mixture:
        leads = np.append(leads, _over(point, *mixture, cell))
        found = np.column_stack([found, _over(drawn, *mixture, cell)])
    return leads, np.nan_to_num(found - leads)


def _chord(point: Cloud, hull: NDArray[np.intp], cell: int) -> tuple[int, int] | None:
    """The two corners of the hull whose mixture spends what the cell does."""
    after = int(np.searchsorted(point.x[0, hull], point.x[0, cell], side="right"))
    left, right = after - 1, after
    if len(hull) and 0 < after < len(hull) and cell not in (hull[left], hull[right]):
        return int(hull[left]), int(hull[right])
    return None


def _over(cloud: Cloud, left: int, right: int, cell: int) -> Floats:
    """How far the mixture of two cells at the cell's spend is above the cell."""
    width = cloud.x[:, right] - cloud.x[:, left]
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.clip((cloud.x[:, cell] - cloud.x[:, left]) / width, 0.0, 1.0)
    rise = cloud.accuracy[:, right] - cloud.accuracy[:, left]
    height: Floats = cloud.accuracy[:, left] + np.nan_to_num(part) * rise - cloud.accuracy[:, cell]
    return height
