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
    lost = share <= tail
    rivals = _Rivals.of(point, hull, drawn, clusters) if clusters > 1 and lost.any() else None

    def judged(cell: int) -> str:
        if strict[cell] >= 1 - tail:
            return "frontier"
        beaten = rivals and lost[cell] and outdone(*rivals.leads(cell), clusters)
        return "dominated" if beaten else "undecided"

    return [judged(cell) for cell in range(len(share))]


def tails(clusters: int, sure: float = SURE) -> tuple[float, float]:
    """The one-sided share of replicates that is sure enough, and the factor on deviations, for so many clusters.

    Student's t and the variance a bootstrap lacks, as in `stats.percentiles`: 1 - `sure` and 1 for many clusters.
    """
    if clusters < 2:
        return 0.0, math.inf
    normal = NormalDist()
    one_sided = math.sqrt(clusters / (clusters - 1)) * t_quantile(2 * sure - 1, clusters - 1)
    return normal.cdf(-one_sided), one_sided / normal.inv_cdf(sure)


def outdone(leads: Floats, deviations: Floats, clusters: int, sure: float = SURE) -> bool:
    """Whether the largest of several leads over one cell is more than luck.

    `deviations`, rivals x replicates, are how far each bootstrap lead is from the observed one. All are studentised;
    it is luck when the largest deviation reaches the largest lead in more than 1 - `sure` of the replicates (the
    single-step max-t of Westfall & Young 1993), or when the lead would not do for one rival alone. Rivals far behind
    are no candidates and do not count (Hansen 2005, J. Business & Economic Statistics 23:365); nor do those that never
    differ.
    """
    _, widening = tails(clusters, sure)
    replicates = deviations.shape[1]
    variance = np.vecdot(deviations, deviations) / replicates - (deviations @ np.full(replicates, 1 / replicates)) ** 2
    spread = np.sqrt(np.maximum(variance, 0.0))
    scores = leads / np.where(spread > _EVEN, spread, math.inf)
    told = (spread > _EVEN) & (scores >= _far_behind(clusters, sure))
    largest = scores[told].max(initial=0.0) / widening
    if largest <= NormalDist().inv_cdf(sure):
        return False
    reached = (deviations >= np.where(told, spread * largest, math.inf)[:, None]).any(axis=0)
    return bool(reached.mean() <= 1 - sure)


def _far_behind(clusters: int, sure: float = SURE) -> float:
    """The studentised lead below which a rival is no candidate: negative."""
    return -tails(clusters, sure)[1] * math.sqrt(2 * math.log(math.log(max(clusters, 16))))


@dataclass(frozen=True, slots=True)
class _Rivals:
    """Who may outdo whom. Matrices are cells x rivals and cost one product each; clouds are cells x replicates."""

    point: Cloud
    rows: Cloud
    hull: NDArray[np.intp]
    off: Floats
    """How far each replicate's accuracy is from the observed one."""
    near: Flags
    """False where the rival is so far behind that `outdone` would leave it out."""
    cheaper: Flags
    """Where the rival is no dearer in at least `SURE` of the replicates, by Cantelli's inequality."""
    unclear: Flags
    """Where only counting tells."""
    holes: bool
    """Whether some replicate lacks some cell; it counts as no deviation there."""

    @staticmethod
    def of(point: Cloud, hull: NDArray[np.intp], drawn: Cloud, clusters: int) -> _Rivals:
        """What all pairs have to say together. `drawn` is replicates x cells, `point` a cloud of one."""
        rows = Cloud(np.ascontiguousarray(drawn.x.T), np.ascontiguousarray(drawn.accuracy.T))
        still = Cloud(point.x.T, point.accuracy.T)
        leads = point.accuracy - still.accuracy
        behind = leads < _far_behind(clusters) * _spreads(rows.accuracy)
        mean, spread, odds = rows.x.mean(axis=1), _spreads(rows.x), math.sqrt((1 - SURE) / SURE)
        dearer = mean - mean[:, None]
        cheaper, dear = dearer < -spread / odds, dearer > spread * odds
        off = rows.accuracy - still.accuracy
        return _Rivals(still, rows, hull, off, ~behind, cheaper, ~cheaper & ~dear, bool(np.isnan(off).any()))

    def leads(self, cell: int) -> tuple[Floats, Floats]:
        """Leads over a cell of those surely no dearer, and how far each replicate's is off; both over rivals."""
        asked = np.flatnonzero(self.near[cell] & self.unclear[cell])
        within = (self.rows.x[asked] <= self.rows.x[cell]).view(np.uint8).sum(axis=1, dtype=np.uint32)
        counted = asked[within >= SURE * self.rows.x.shape[1]]
        rivals = np.concatenate([np.flatnonzero(self.near[cell] & self.cheaper[cell]), counted[counted != cell]])
        leads = self.point.accuracy[rivals, 0] - self.point.accuracy[cell, 0]
        off = self.off[rivals]
        off -= self.off[cell]
        mixture = _chord(self.point.x[:, 0], self.hull, cell)
        if mixture:
            lead = _over(self.point, *mixture, cell)
            leads, off = np.append(leads, lead), np.vstack([off, _over(self.rows, *mixture, cell) - lead])
        return leads, np.nan_to_num(off, copy=False) if self.holes else off


def _spreads(rows: Floats) -> Floats:
    """Standard deviation of every row's difference from every other, at least: rounding is added."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    shared = centred @ centred.T / rows.shape[1]
    own = np.diag(shared)
    room = 1e-6 * math.sqrt(np.nanmax(own, initial=0.0))
    found: Floats = np.sqrt(np.maximum(own[:, None] + own - 2 * shared, 0.0)) + room
    return found


def _chord(x: Floats, hull: NDArray[np.intp], cell: int) -> tuple[int, int] | None:
    """The two corners of the hull whose mixture spends what the cell does."""
    after = int(np.searchsorted(x[hull], x[cell], side="right"))
    left, right = after - 1, after
    if len(hull) and 0 < after < len(hull) and cell not in (hull[left], hull[right]):
        return int(hull[left]), int(hull[right])
    return None


def _over(rows: Cloud, left: int, right: int, cell: int) -> Floats:
    """How far the mixture of two cells at the cell's spend is above the cell, in each replicate."""
    width = rows.x[right] - rows.x[left]
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.clip((rows.x[cell] - rows.x[left]) / width, 0.0, 1.0)
    rise = rows.accuracy[right] - rows.accuracy[left]
    height: Floats = rows.accuracy[left] + np.nan_to_num(part) * rise - rows.accuracy[cell]
    return height
