"""Who is on the frontier of accuracy against mean spend, and how sure that is.

A cell is on the staircase when no other has at most its spend and at least its accuracy, one of the two strictly;
cells equal in both stand together. The hull keeps the staircase's vertices that no mixture of two others beats.
Uncertainty comes from one joint bootstrap over clusters of questions: each replicate draws the same questions for all
cells of a task, so both axes move together and differences stay paired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from engine.analysis.curves import MEANS, question_means
from engine.analysis.stats import replicate_weights
from engine.analysis.verdicts import Cloud, Flags, Floats, Places, verdicts
from engine.errors import UnknownName

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
    """`cells` with x, on_frontier, p_frontier and verdict; see `Results.frontier`."""
    check(x, kind)
    frame = cells.with_columns(x=pl.col(x)).sort("task", "x", "accuracy", "condition_id", nulls_last=True)
    on = np.zeros(frame.height, dtype=np.bool_)
    share = np.full(frame.height, np.nan)
    said = np.array(["partial" if partial else None for partial in frame["partial"]], dtype=object)
    for drawn in resampled(frame, units, x, replicates, seed):
        point, found = cloud_of(frame, drawn.rows), places(drawn.cloud, kind)
        on[drawn.rows] = stands = places(point, kind).on[0]
        share[drawn.rows] = found.share()
        corners = np.flatnonzero(stands) if kind == "hull" else np.array([], dtype=np.intp)
        said[drawn.rows] = verdicts(point, corners[np.argsort(point.x[0, corners])], drawn.cloud, found, drawn.clusters)
    return frame.with_columns(
        on_frontier=pl.Series(on),
        p_frontier=pl.Series(share).fill_nan(None),
        verdict=pl.Series(said.tolist(), dtype=pl.String),
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
    return full.filter(~pl.col("partial") & pl.col("x").is_not_null() & pl.col("accuracy").is_not_null())


def resampled(frame: pl.DataFrame, units: pl.DataFrame, x: str, replicates: int, seed: int) -> list[Replicates]:
    """Per task the joint bootstrap of all judged cells of `frame` (which has a column `x`)."""
    means = question_means(units).filter(pl.col("n") > 0)
    parts = judged(frame).partition_by("task", maintain_order=True)
    return [_replicates(part, means, x, replicates, seed) for part in parts]


def _replicates(part: pl.DataFrame, means: pl.DataFrame, x: str, replicates: int, seed: int) -> Replicates:
    """Replicate counts times sums per cluster, for numerators and denominators alike."""
    sums = cluster_sums(part, means, ("accuracy", x))
    weights = replicate_weights(sums.n.shape[1], replicates, seed)
    n = weights @ sums.n.T
    with np.errstate(invalid="ignore", divide="ignore"):
        accuracy, spend = ((weights @ sums.of[name].T) / n for name in ("accuracy", x))
    return Replicates(part["row"].to_list(), spend, accuracy, sums.n.shape[1])


@dataclass(frozen=True, slots=True)
class ClusterSums:
    """Sums of question means, cells x clusters."""

    n: Floats
    """Questions."""
    of: dict[str, Floats]
    """By measure."""


def cluster_sums(part: pl.DataFrame, means: pl.DataFrame, names: Sequence[str]) -> ClusterSums:
    """Of the cells of `part`, in its order, over the clusters that any of them has."""
    cells = part.select(*_KEY).with_row_index("cell")
    mine = means.select(*_KEY, "cluster", *names).join(cells, on=_KEY)
    clusters = mine.select(pl.col("cluster").unique().sort()).with_row_index("column")
    columns = mine.select("cluster").join(clusters, on="cluster", maintain_order="left")["column"]
    where = mine["cell"].cast(pl.Int64).to_numpy() * clusters.height + columns.to_numpy()

    def added(values: Floats | None) -> Floats:
        found: Floats = np.bincount(where, values, part.height * clusters.height).astype(np.float64)
        return found.reshape(part.height, clusters.height)

    return ClusterSums(added(None), {name: added(mine[name].to_numpy()) for name in names})


def flags(x: Floats, accuracy: Floats, kind: Kind = "staircase") -> Flags:
    """Per row of points (x, accuracy): which are on the frontier. Shapes replicates x cells."""
    return places(Cloud(x, accuracy), kind).on


def places(cloud: Cloud, kind: Kind) -> Places:
    """Per replicate who is on the frontier and who is off by a tie."""
    x, accuracy = _comparable(cloud.x), np.round(cloud.accuracy, 12)
    order = np.lexsort((-accuracy, x), axis=-1)
    xs, ys = np.take_along_axis(x, order, -1), np.take_along_axis(accuracy, order, -1)
    best = np.maximum.accumulate(np.nan_to_num(ys, nan=-1.0), axis=-1)
    before = np.concatenate([np.full((len(ys), 1), -1.0), best[:, :-1]], axis=-1)
    first = np.ones_like(ys, dtype=np.bool_)
    first[:, 1:] = (xs[:, 1:] != xs[:, :-1]) | (ys[:, 1:] != ys[:, :-1])
    leader = np.maximum.accumulate(np.where(first, np.arange(ys.shape[1]), 0), axis=-1)
    kept = np.take_along_axis(ys > before, leader, -1)
    tied = ~kept & np.take_along_axis(ys == before, leader, -1)
    if kind == "hull":
        kept = np.array([_on_hull(*row) for row in zip(xs, ys, kept, strict=True)]).reshape(kept.shape)
    return Places(_back(kept, order), _back(tied, order))


def _back(found: Flags, order: np.ndarray[Any, Any]) -> Flags:
    """From sorted order to the order of the cells."""
    put = np.empty_like(found)
    np.put_along_axis(put, order, found, -1)
    return put


def _comparable(x: Floats) -> Floats:
    """Equal cells must compare equal whatever order a matrix product summed them in; NaN goes last."""
    top = np.nanmax(np.abs(x), initial=0.0) or 1.0
    scaled: Floats = np.nan_to_num(np.round(x / top, 12), nan=np.inf)
    return scaled


def _on_hull(xs: Floats, ys: Floats, kept: Flags) -> Flags:
    """Staircase points in order of x of which none lies on or below the line between two others."""
    hull: list[tuple[float, float]] = []
    for x, y in zip(xs[kept].tolist(), ys[kept].tolist(), strict=True):
        while len(hull) > 1 and _below(hull[-2], hull[-1], (x, y)):
            hull.pop()
        if not hull or hull[-1] != (x, y):
            hull.append((x, y))
    corners = set(hull)
    return np.array([bool(k) and (x, y) in corners for x, y, k in zip(xs.tolist(), ys.tolist(), kept, strict=True)])


def _below(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[1] - a[1]) * (c[0] - a[0]) <= (c[1] - a[1]) * (b[0] - a[0]) + 1e-11


def frontier_line(frame: pl.DataFrame, kind: Kind = "staircase") -> pl.DataFrame:
    """Points to join by straight segments, per task: columns task, x, accuracy. A staircase brings its corners."""
    points = frame.filter("on_frontier").select("task", "x", "accuracy").unique().sort("task", "x")
    if kind == "hull":
        return points
    steps = points.with_columns(until=pl.col("x").shift(-1).over("task"))
    corners = steps.filter(pl.col("until").is_not_null()).select("task", pl.col("until").alias("x"), "accuracy")
    return pl.concat([points, corners]).sort("task", "x", "accuracy")


def band(
    cells: pl.DataFrame, units: pl.DataFrame, x: str, replicates: int, seed: int, points: int = 60,
    tails: tuple[float, float] = (0.1, 0.9),
) -> pl.DataFrame:  # fmt: skip
    """Bootstrap staircases on a log grid of x: columns task, x, low, middle, high (quantiles `tails` and the median).

    The height at x is the best accuracy among cells that spend at most x; x starts where 9 in 10 replicates have one.
    """
    check(x)
    frame = cells.with_columns(x=pl.col(x))
    parts = [
        _heights(str(frame["task"][drawn.rows[0]]), drawn, points, tails)
        for drawn in resampled(frame, units, x, replicates, seed)
    ]
    schema = {"task": pl.String, **dict.fromkeys(("x", "low", "middle", "high"), pl.Float64)}
    return pl.concat(parts) if parts else pl.DataFrame(schema=schema)


def _heights(task: str, drawn: Replicates, points: int, tails: tuple[float, float]) -> pl.DataFrame:
    x = np.nan_to_num(drawn.x, nan=np.inf)
    start = max(float(np.quantile(x.min(axis=1), 0.9)), 1e-15)
    stop = max(float(np.max(x[np.isfinite(x)], initial=start)), start)
    at = np.geomspace(start, stop, points)
    best = np.array([np.where(x <= g, drawn.accuracy, 0.0).max(axis=1) for g in at])
    low, middle, high = np.quantile(best, (tails[0], 0.5, tails[1]), axis=1)
    return pl.DataFrame({"task": [task] * points, "x": at, "low": low, "middle": middle, "high": high})
