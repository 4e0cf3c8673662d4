"""Who is on the frontier of accuracy against mean spend, and how sure that is.

A cell is on the staircase when no other has at most its spend and at least its accuracy, one of the two strictly;
cells equal in both stand together. The hull keeps the staircase's vertices that no mixture of two others beats.
Uncertainty comes from one joint bootstrap over clusters of questions: each replicate draws the same questions for all
cells of a task, so both axes move together and differences stay paired. A verdict is the share of replicates that put a
cell there, unless ties, two doubtful leads together, or the luck of the best of many would do as well. Clouds of points
are arrays: one row per replicate, one column per cell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.analysis.cells import MEANS, scored_means, side_by_side
from engine.analysis.common import on_common
from engine.analysis.stats import Bootstrap, Flags, Floats, t_quantile
from engine.core.errors import UnknownName

SURE = 0.95
"""Confidence of a verdict; each way may be wrong this much less than always."""
_EVEN = 1e-9


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
    strict, lost = places.on.mean(axis=0), places.share() <= tail
    # Who may outdo whom costs products of all pairs; without a cell that could be dominated nobody asks.
    rivals = _Rivals.of(point, hull, drawn, clusters) if clusters > 1 and lost.any() else None
    level, judged = _comparable(drawn), list[str]()
    for cell in range(len(strict)):
        if strict[cell] >= 1 - tail and apart(level, cell, tail):
            judged.append("frontier")
        elif rivals and lost[cell] and outdone(*rivals.leads(cell), clusters):
            # Rarely on the frontier is not enough: some cheaper cell must be better beyond luck.
            judged.append("dominated")
        else:
            judged.append("undecided")
    return judged


def apart(level: Cloud, cell: int, tail: float) -> bool:
    """Whether a cell is, beside every other one, surely cheaper or surely more accurate: one of the two by itself.

    To be one or the other is likely by luck where neither is sure: of two cells that are equal in truth each would be
    called the frontier in a fifth of all studies. This is an intersection-union test (Berger 1982, Technometrics
    24:295); while either lead is open, each takes half of the doubt. Cells that are the same stand together. `level`:
    replicates as `_comparable` has them.
    """
    x, accuracy = level.x[:, [cell]], level.accuracy[:, [cell]]
    same = (level.x == x) & (level.accuracy == accuracy)
    cheaper, better = (((level.x > x) | same).mean(axis=0), ((level.accuracy < accuracy) | same).mean(axis=0))
    doubts = (np.where(other <= tail, tail, tail / 2) for other in (better, cheaper))
    return bool(
        np.any([lead >= 1 - doubt for lead, doubt in zip((cheaper, better), doubts, strict=True)], axis=0).all()
    )


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
    # E[d^2] - E[d]^2 in two passes over the matrix; numpy's own variance makes a copy of it first.
    variance = np.vecdot(deviations, deviations) / replicates - (deviations @ np.full(replicates, 1 / replicates)) ** 2
    spread = np.sqrt(np.maximum(variance, 0.0))
    scores = leads / np.where(spread > _EVEN, spread, math.inf)
    candidates = (spread > _EVEN) & (scores >= far_behind(clusters, sure))
    largest = scores[candidates].max(initial=0.0) / widening
    if largest <= NormalDist().inv_cdf(sure):
        return False
    reached = (deviations >= np.where(candidates, spread * largest, math.inf)[:, None]).any(axis=0)
    return bool(reached.mean() <= 1 - sure)


def far_behind(clusters: int, sure: float = SURE) -> float:
    """The studentised lead below which a rival is no candidate: negative."""
    # Hansen 2005: -sqrt(2 log log n), for n clusters; below 16 the logarithms are too small to mean anything.
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
        behind = leads < far_behind(clusters) * _spreads(rows.accuracy)
        mean, spread, odds = rows.x.mean(axis=1), _spreads(rows.x), math.sqrt((1 - SURE) / SURE)
        dearer = mean - mean[:, None]
        cheaper, dear = dearer < -spread / odds, dearer > spread * odds
        off = rows.accuracy - still.accuracy
        return _Rivals(still, rows, hull, off, ~behind, cheaper, ~cheaper & ~dear, bool(np.isnan(off).any()))

    def leads(self, cell: int) -> tuple[Floats, Floats]:
        """Leads over a cell of those surely no dearer, and how far each replicate's is off; both over rivals."""
        unclear = np.flatnonzero(self.near[cell] & self.unclear[cell])
        # As bytes: summing booleans converts each to eight bytes first.
        within = (self.rows.x[unclear] <= self.rows.x[cell]).view(np.uint8).sum(axis=1, dtype=np.uint32)
        counted = unclear[within >= SURE * self.rows.x.shape[1]]
        rivals = np.concatenate([np.flatnonzero(self.near[cell] & self.cheaper[cell]), counted[counted != cell]])
        leads = self.point.accuracy[rivals, 0] - self.point.accuracy[cell, 0]
        off = self.off[rivals]
        off -= self.off[cell]
        # On a hull one rival more: the mixture of the two corners that spends what the cell does.
        x = self.point.x[:, 0]
        after = int(np.searchsorted(x[self.hull], x[cell], side="right"))
        left, right = self.hull[after - 1 : after + 1].tolist() if 0 < after < len(self.hull) else (cell, cell)
        if cell not in (left, right):
            lead = _over(self.point, left, right, cell)
            leads, off = np.append(leads, lead), np.vstack([off, _over(self.rows, left, right, cell) - lead])
        return leads, np.nan_to_num(off, copy=False) if self.holes else off


def _spreads(rows: Floats) -> Floats:
    """Standard deviation of every row's difference from every other, at least: rounding is added."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    shared = centred @ centred.T / rows.shape[1]
    own = np.diag(shared)
    room = 1e-6 * math.sqrt(np.nanmax(own, initial=0.0))
    # Var(a - b) = Var a + Var b - 2 Cov(a, b): one product for all pairs.
    spreads: Floats = np.sqrt(np.maximum(own[:, None] + own - 2 * shared, 0.0)) + room
    return spreads


def _over(rows: Cloud, left: int, right: int, cell: int) -> Floats:
    """How far the mixture of two cells at the cell's spend is above the cell, in each replicate."""
    width = rows.x[right] - rows.x[left]
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.clip((rows.x[cell] - rows.x[left]) / width, 0.0, 1.0)
    rise = rows.accuracy[right] - rows.accuracy[left]
    height: Floats = rows.accuracy[left] + np.nan_to_num(part) * rise - rows.accuracy[cell]
    return height


Kind = Literal["staircase", "hull"]
KINDS: tuple[Kind, ...] = ("staircase", "hull")

_KEY = ("condition_id", "axis", "budget")


@dataclass(frozen=True, slots=True)
class Replicates:
    """Bootstrap means of the judged cells of one task: replicates x cells; NaN where no question was drawn."""

    rows: list[int]
    """Row numbers of the cells in the frame they came from."""
    x: Floats
    accuracy: Floats
    clusters: int

    @property
    def cloud(self) -> Cloud:
        """The points alone."""
        return Cloud(self.x, self.accuracy)


def frontier(cells: pl.DataFrame, units: pl.DataFrame, x: str, kind: Kind, replicates: int, seed: int) -> pl.DataFrame:
    """`cells` with x, on_frontier, p_frontier, verdict and tied; see `Results.frontier`."""
    check(x, kind)
    cells, units = on_common(cells, units)
    frame = cells.with_columns(x=pl.col(x)).sort("task", "x", "accuracy", "condition_id", nulls_last=True)
    on = np.zeros(frame.height, dtype=np.bool_)
    tied, share = on.copy(), np.full(frame.height, np.nan)
    stopped = frame["stopped"] if "stopped" in frame.columns else [None] * frame.height
    # The verdict of a setting that was stopped is the one that stopped it.
    early = ["partial" if lacks else verdict for lacks, verdict in zip(frame["partial"], stopped, strict=True)]
    labels = np.array(early, dtype=object)
    for drawn in resampled(frame, units, x, replicates, seed):
        point, drawn_places = cloud_of(frame, drawn.rows), places(drawn.cloud, kind)
        on[drawn.rows] = stands = places(point, kind).on[0]
        # Of one question, or one document, every replicate is the same, and a lone point is always best: no chance.
        if drawn.clusters > 1 and len(drawn.rows) > 1:
            share[drawn.rows] = drawn_places.share()
        level = _comparable(point)
        spots = np.stack([level.x[0], level.accuracy[0]])
        spot = np.unique(spots, axis=1, return_inverse=True)[1]
        # A setting that a larger budget gives nothing is level with itself, which says nothing.
        there = pl.DataFrame({"spot": spot, "own": frame["condition_id"].gather(drawn.rows)})
        tied[drawn.rows] = stands & there.select(pl.col("own").n_unique().over("spot") > 1).to_series().to_numpy()
        corners = np.flatnonzero(stands) if kind == "hull" else np.array([], dtype=np.intp)
        by_x = corners[np.argsort(point.x[0, corners])]
        labels[drawn.rows] = verdicts(point, by_x, drawn.cloud, drawn_places, drawn.clusters)
    return frame.with_columns(
        on_frontier=pl.Series(on),
        p_frontier=pl.Series(share).fill_nan(None),
        verdict=pl.Series(labels.tolist(), dtype=pl.String),
        tied=pl.Series(tied),
    )


def check(x: str, kind: str = "staircase") -> None:
    """Raises UnknownName for a spend column or a kind of frontier that nobody knows."""
    if x not in MEANS:
        raise UnknownName("spend column", x, MEANS)
    if kind not in KINDS:
        raise UnknownName("kind of frontier", kind, KINDS)


def cloud_of(frame: pl.DataFrame, rows: list[int]) -> Cloud:
    """The point estimates of some rows of a frame with columns x and accuracy, as a cloud of one."""
    x, accuracy = (frame[name].cast(pl.Float64).to_numpy()[rows][None, :] for name in ("x", "accuracy"))
    return Cloud(x, accuracy)


def judged(frame: pl.DataFrame) -> pl.DataFrame:
    """Row numbers of the cells that take part: complete, with known spend and accuracy."""
    full = frame.with_row_index("row")
    return full.filter(side_by_side(frame) & pl.col("x").is_not_null() & pl.col("accuracy").is_not_null())


def resampled(frame: pl.DataFrame, units: pl.DataFrame, x: str, replicates: int, seed: int) -> list[Replicates]:
    """Per task the joint bootstrap of all judged cells of `frame` (which has a column `x`)."""
    means = scored_means(units, "accuracy", x)
    drawn: list[Replicates] = []
    for part in judged(frame).partition_by("task", maintain_order=True):
        sums = cluster_sums(part, means, ("accuracy", x))
        # Numerators and denominators by the same draws.
        clusters, measures = sums.n.shape[1], [sums.n, sums.of["accuracy"], sums.of[x]]
        n, right, spent = np.split(Bootstrap(clusters, replicates, seed).sums(np.vstack(measures).T), 3, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            accuracy, spend = right / n, spent / n
        drawn.append(Replicates(part["row"].to_list(), spend, accuracy, clusters))
    return drawn


@dataclass(frozen=True, slots=True)
class ClusterSums:
    """Sums of question means, cells x clusters."""

    n: Floats
    """Questions."""
    of: dict[str, Floats]
    """By measure."""


def cluster_sums(part: pl.DataFrame, means: pl.DataFrame, names: Sequence[str]) -> ClusterSums:
    """Of the cells of `part`, in its order, over the clusters that any of them has."""
    # Rows of a cell stand together, so the first of each run says whose they are: no join of a million rows by texts.
    begins = means.select(pl.any_horizontal(pl.col(key).ne_missing(pl.col(key).shift()) for key in _KEY)).to_series()
    starts = means.select(*_KEY).filter(begins)
    cells = starts.join(part.select(*_KEY).with_row_index("cell"), on=_KEY, how="left", maintain_order="left")["cell"]
    cell = cells.cast(pl.Int64).fill_null(-1).to_numpy()[np.cumsum(begins.to_numpy()) - 1]
    own = cell >= 0
    numbers = means["cluster"].to_numpy()[own]
    # Their places among those that are there, in order.
    there = np.zeros(int(numbers.max(initial=-1)) + 1, np.int64)
    there[numbers] = 1
    clusters = int(there.sum())
    # One number for each (cell, cluster), so that a matrix is one count.
    where = cell[own] * clusters + (np.cumsum(there) - 1)[numbers]

    def added(values: Floats | None) -> Floats:
        flat: Floats = np.bincount(where, values, part.height * clusters).astype(np.float64)
        return flat.reshape(part.height, clusters)

    return ClusterSums(added(None), {name: added(means[name].to_numpy()[own]) for name in names})


def flags(x: Floats, accuracy: Floats, kind: Kind = "staircase") -> Flags:
    """Per row of points (x, accuracy): which are on the frontier. Shapes replicates x cells."""
    return places(Cloud(x, accuracy), kind).on


def places(cloud: Cloud, kind: Kind) -> Places:
    """Per replicate who is on the frontier and who is off by a tie."""
    level = _comparable(cloud)
    order = np.lexsort((-level.accuracy, level.x), axis=-1)
    xs, ys = (np.take_along_axis(each, order, -1) for each in (level.x, level.accuracy))
    before = np.maximum.accumulate(np.concatenate([np.full((len(ys), 1), -1.0), ys[:, :-1]], axis=-1), axis=-1)
    # Cells equal in both stand next to each other now; what the first of them is, all are.
    first = np.ones_like(ys, dtype=np.bool_)
    first[:, 1:] = (xs[:, 1:] != xs[:, :-1]) | (ys[:, 1:] != ys[:, :-1])
    leader = np.maximum.accumulate(np.where(first, np.arange(ys.shape[1]), 0), axis=-1)
    on = np.take_along_axis(ys > before, leader, -1)
    tied = ~on & np.take_along_axis(ys == before, leader, -1)
    if kind == "hull":
        on = np.array([_on_hull(*row) for row in zip(xs, ys, on, strict=True)]).reshape(on.shape)
    unsorted = []
    for places_by_x in (on, tied):
        put = np.empty_like(places_by_x)
        np.put_along_axis(put, order, places_by_x, -1)
        unsorted.append(put)
    return Places(*unsorted)


def _comparable(cloud: Cloud) -> Cloud:
    """Points that compare as they should, x on a scale of its own; who is missing is dearer than all, worse than 0."""
    # Equal cells must compare equal whatever order a matrix product summed them in.
    top = np.nanmax(np.abs(cloud.x), initial=0.0) or 1.0
    x, accuracy = np.round(cloud.x / top, 12), np.round(cloud.accuracy, 12)
    return Cloud(np.nan_to_num(x, nan=np.inf, posinf=np.inf), np.nan_to_num(accuracy, nan=-2.0))


def _on_hull(xs: Floats, ys: Floats, stairs: Flags) -> Flags:
    """Staircase points in order of x of which none lies on or below the line between two others."""
    hull: list[tuple[float, float]] = []
    for x, y in zip(xs[stairs].tolist(), ys[stairs].tolist(), strict=True):
        # Monotone chain (Andrew 1979): the last point goes while the line from the one before it passes above.
        while len(hull) > 1:
            (x0, y0), (x1, y1) = hull[-2:]
            if (y1 - y0) * (x - x0) > (y - y0) * (x1 - x0) + 1e-11:
                break
            hull.pop()
        if not hull or hull[-1] != (x, y):
            hull.append((x, y))
    corners = set(hull)
    points = zip(xs.tolist(), ys.tolist(), stairs, strict=True)
    return np.array([bool(stair) and (x, y) in corners for x, y, stair in points])


def frontier_line(frame: pl.DataFrame, kind: Kind = "staircase") -> pl.DataFrame:
    """Points to join by straight segments, per task: columns task, x, accuracy. A staircase brings its corners."""
    points = frame.filter("on_frontier").select("task", "x", "accuracy").unique().sort("task", "x")
    if kind == "hull":
        return points
    steps = points.with_columns(until=pl.col("x").shift(-1).over("task"))
    corners = steps.filter(pl.col("until").is_not_null()).select("task", pl.col("until").alias("x"), "accuracy")
    return pl.concat([points, corners]).sort("task", "x", "accuracy")


def band(
    cells: pl.DataFrame,
    units: pl.DataFrame,
    x: str,
    replicates: int,
    seed: int,
    points: int = 60,
    tails: tuple[float, float] = (0.1, 0.9),
) -> pl.DataFrame:
    """Bootstrap staircases on a log grid of x: columns task, x, low, middle, high (quantiles `tails` and the median).

    The height at x is the best accuracy among cells that spend at most x; x starts where 9 in 10 replicates have one.
    """
    check(x)
    cells, units = on_common(cells, units)
    frame = cells.with_columns(x=pl.col(x))
    parts: list[pl.DataFrame] = []
    for drawn in resampled(frame, units, x, replicates, seed):
        spends = np.nan_to_num(drawn.x, nan=np.inf)
        start = max(float(np.quantile(spends.min(axis=1), 0.9)), 1e-15)  # above 0, for the log grid
        stop = max(float(np.max(spends[np.isfinite(spends)], initial=start)), start)
        at = np.geomspace(start, stop, points)
        # A replicate without any cell so cheap has nothing right there.
        best = np.array([np.where(spends <= g, drawn.accuracy, 0.0).max(axis=1) for g in at])
        low, middle, high = np.quantile(best, (tails[0], 0.5, tails[1]), axis=1)
        task = [str(frame["task"][drawn.rows[0]])] * points
        parts.append(pl.DataFrame({"task": task, "x": at, "low": low, "middle": middle, "high": high}))
    schema = {"task": pl.String, **dict.fromkeys(("x", "low", "middle", "high"), pl.Float64)}
    return pl.concat(parts) if parts else pl.DataFrame(schema=schema)
