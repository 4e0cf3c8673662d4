"""Who is on the frontier of accuracy against mean spend, and how sure that is.

A cell is on the staircase when no other has at most its spend and at least its accuracy, one of the two strictly;
cells equal in both stand together. The hull keeps the staircase's vertices that no mixture of two others beats.
Uncertainty comes from one joint bootstrap over clusters of questions: each replicate draws the same questions for all
cells of a task, so both axes move together and differences stay paired.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.analysis.curves import MEANS, question_means
from engine.analysis.stats import replicate_weights
from engine.errors import UnknownName

Kind = Literal["staircase", "hull"]
KINDS: tuple[Kind, ...] = ("staircase", "hull")
SURE = 0.95
"""A cell on the frontier in this share of replicates is 'frontier', in at most the rest 'dominated'."""
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_KEY = ("condition_id", "axis", "budget")


@dataclass(frozen=True, slots=True)
class Replicates:
    """Bootstrap means of the judged cells of one task: replicates x cells; NaN where no question was drawn."""

    rows: list[int]
    """Row numbers of the cells in the frame they came from."""
    x: Floats
    accuracy: Floats


def frontier(cells: pl.DataFrame, units: pl.DataFrame, x: str, kind: Kind, replicates: int, seed: int) -> pl.DataFrame:
    """`cells` with x, on_frontier, p_frontier and verdict; see `Results.frontier`."""
    _check(x, kind)
    frame = cells.with_columns(x=pl.col(x)).sort("task", "x", "accuracy", "condition_id", nulls_last=True)
    on = np.zeros(frame.height, dtype=np.bool_)
    share = np.full(frame.height, np.nan)
    for drawn in resampled(frame, units, x, replicates, seed):
        on[drawn.rows] = flags(_point(frame, "x", drawn.rows), _point(frame, "accuracy", drawn.rows), kind)[0]
        share[drawn.rows] = flags(drawn.x, drawn.accuracy, kind).mean(axis=0)
    judged = frame.with_columns(on_frontier=pl.Series(on), p_frontier=pl.Series(share).fill_nan(None))
    return judged.with_columns(verdict=_verdict())


def _check(x: str, kind: str) -> None:
    if x not in MEANS:
        raise UnknownName("spend column", x, MEANS)
    if kind not in KINDS:
        raise UnknownName("kind of frontier", kind, KINDS)


def _verdict() -> pl.Expr:
    """A partial cell, or one whose spend or accuracy is unknown, is not judged."""
    return (
        pl.when(pl.col("partial"))
        .then(pl.lit("partial"))
        .when(pl.col("p_frontier").is_null())
        .then(None)
        .when(pl.col("p_frontier") >= SURE)
        .then(pl.lit("frontier"))
        .when(pl.col("p_frontier") <= 1 - SURE)
        .then(pl.lit("dominated"))
        .otherwise(pl.lit("undecided"))
    )


def _point(frame: pl.DataFrame, name: str, rows: list[int]) -> Floats:
    return np.asarray(frame[name].to_numpy()[rows], np.float64)[None, :]


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
    mine = means.join(part.select(*_KEY, "row").with_row_index("cell"), on=_KEY)
    clusters = mine["cluster"].unique().sort()
    where = mine["cell"].to_numpy(), clusters.search_sorted(mine["cluster"]).to_numpy()
    weights = replicate_weights(len(clusters), replicates, seed)

    def drawn(values: Floats) -> Floats:
        sums = np.zeros((part.height, len(clusters)))
        np.add.at(sums, where, values)
        return weights @ sums.T

    n = drawn(np.ones(mine.height))
    with np.errstate(invalid="ignore", divide="ignore"):
        accuracy = drawn(mine["accuracy"].to_numpy()) / n
        spend = drawn(mine[x].to_numpy()) / n
    return Replicates(part["row"].to_list(), spend, accuracy)


def flags(x: Floats, accuracy: Floats, kind: Kind = "staircase") -> Flags:
    """Per row of points (x, accuracy): which are on the frontier. Shapes replicates x cells."""
    x, accuracy = _comparable(x), np.round(accuracy, 12)
    order = np.lexsort((-accuracy, x), axis=-1)
    xs, ys = np.take_along_axis(x, order, -1), np.take_along_axis(accuracy, order, -1)
    best = np.maximum.accumulate(np.nan_to_num(ys, nan=-1.0), axis=-1)
    before = np.concatenate([np.full((len(ys), 1), -1.0), best[:, :-1]], axis=-1)
    first = np.ones_like(ys, dtype=np.bool_)
    first[:, 1:] = (xs[:, 1:] != xs[:, :-1]) | (ys[:, 1:] != ys[:, :-1])
    leader = np.maximum.accumulate(np.where(first, np.arange(ys.shape[1]), 0), axis=-1)
    kept = np.take_along_axis(ys > before, leader, -1)
    if kind == "hull":
        kept = np.array([_on_hull(*row) for row in zip(xs, ys, kept, strict=True)]).reshape(kept.shape)
    found = np.empty_like(kept)
    np.put_along_axis(found, order, kept, -1)
    return found


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
    _check(x, "staircase")
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
