"""Plain data of the figures from what a page's controls select: read, composed, and cached by database and look.

An info is cached and a figure never: making an info reads frames and places labels, a figure made of it takes no time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import polars as pl  # Pages alone import this module, and `ready` has loaded polars in one thread by then.

from dashboard import figures
from dashboard.data import lens, queries
from dashboard.data.kept import kept
from dashboard.data.lens import Looking
from dashboard.data.queries import Database, Selection
from dashboard.figures import CurvesInfo, FrontierInfo, Handles, ToldInfo
from dashboard.figures.axes import Room
from dashboard.text import stated_budgets
from engine.analysis.advice.decide import MARGIN
from engine.core import names
from engine.strategies.lineups import roster

VARIANT = ("task", "model", "strategy", "params")
FEW = 3  # A first visit opens with at most so many settings in the accepted corner.
MOST = 60  # More curves are too many to read and slow to draw; the most accurate ones are shown.


@dataclass(frozen=True)
class Filter:
    """Tasks, models and strategies that are shown."""

    tasks: tuple[str, ...]
    models: tuple[str, ...]
    strategies: tuple[str, ...]

    def of(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows the filter leaves."""
        return frame.filter(
            pl.col("task").is_in(self.tasks),
            pl.col("model").is_in(self.models),
            pl.col("strategy").is_in(self.strategies),
        )


@dataclass(frozen=True)
class CurveSelection:
    """Conditions of a study whose curves are drawn, and the budgets they are read at."""

    conditions: tuple[str, ...]  # Those of the study, filtered away or not.
    axis: str
    shown: Filter
    orders: int | None  # Of the draws of a vote; None: the one they came in.
    looking: Looking
    study: str = queries.ALL  # On whose questions.


@kept()
def first_handles(db: queries.Database, study: str, task: str, x: str) -> tuple[str, str]:
    """Where the handles of a first visit stand: they leave the best settings of a task, and one to three of them."""
    scale = figures.AXES[x].scale
    known = queries.cells(db, study=study, task=task).filter(~pl.col("partial"), pl.col("stopped_at").is_null())
    known = known.drop_nulls(["accuracy", x]).sort("accuracy", x, descending=[True, False])
    if known.is_empty() or not known["accuracy"][0]:
        return "", ""
    best = known.row(0, named=True)
    least = max(0.0, math.floor(10 * (best["accuracy"] - MARGIN)) / 10)
    while known.filter(pl.col("accuracy") >= least)["condition_id"].n_unique() > FEW and least + 0.1 < best["accuracy"]:
        least += 0.1
    # Where the most accurate is the cheapest as well, there is room for the next, or there would be nothing to compare.
    cheapest = sorted(known.filter(pl.col("accuracy") >= least).group_by("condition_id").agg(pl.min(x))[x].to_list())
    spend = max(float(each) for each in (best[x], *cheapest[1:2])) * scale
    if spend <= 0:
        return "", f"{100 * least:.0f}" if least else ""
    # The next round number that leaves the best one room.
    power = 10 ** math.floor(math.log10(spend))
    most = next(step * power for step in (1, 1.5, 2, 3, 5, 7, 10, 15) if step * power >= 1.15 * spend)
    return f"{most:.10g}", f"{100 * least:.0f}" if least else ""


@kept()
def frontier_info(
    db: Database,
    selection: Selection,
    handles: Handles,
    dark: bool,
    room: Room,
) -> FrontierInfo:
    """The plain data of the figure of Explore, labels placed; `figures.select` puts the ring on it."""
    # Colours and symbols go by all models and strategies there are, so that a filter never repaints a point.
    frame, every = queries.frontier(db, selection), queries.every(db)
    return figures.frontier_info(
        frame,
        queries.line(frame, selection.kind),
        queries.band(db, selection) if selection.kind == "staircase" else None,
        x=selection.x,
        kind=selection.kind,
        handles=handles,
        room=room,
        dark=dark,
        models=roster(every["model"]),
        strategies=sorted(set(every["strategy"])),
        said=lens.said(selection.looking, selection.x),
    )


def curve_cells(db: Database, wish: CurveSelection) -> pl.DataFrame:
    """The cells the filters leave, read on the axis asked for; at most `MOST` conditions.

    A condition that ran under a budget on another axis is read on this one, but where the same strategy, parameters
    and model also ran under a budget on this axis, that one stands for both: column `own_axis`."""
    own = queries.every(db).select("condition_id", own_axis="axis")
    # The whole study at once, where its curves are few: the next filter finds them read.
    frame, _ = queries.budgets(db, wish.axis, wish.conditions, wish.looking, wish.orders, MOST, wish.study)
    cells = wish.shown.of(frame.join(own, on="condition_id", maintain_order="left")).filter(axis=wish.axis)
    # An imported setting has the one budget it ran at, which nobody knows.
    cells = cells.filter(~pl.col("strategy").str.starts_with(names.IMPORTED))
    home, one = pl.col("own_axis") == wish.axis, pl.col("condition_id")
    cells = cells.filter(home | (~home.any().over(VARIANT) & (one == one.first().over(VARIANT))))
    heights = cells.group_by("condition_id").agg(pl.col("accuracy").max())
    best = heights.sort("accuracy", "condition_id", descending=True, nulls_last=True).head(MOST)
    return cells.join(best, on="condition_id", how="semi", maintain_order="left")


@kept()
def curves_info(db: Database, wish: CurveSelection, dark: bool, room: Room) -> CurvesInfo:
    """The budget curves' plain data."""
    cells, every = curve_cells(db, wish), queries.every(db)
    ids = tuple(sorted(set(cells.filter("anytime")["condition_id"])))
    _, lines = queries.budgets(db, wish.axis, wish.conditions, wish.looking, wish.orders, MOST, wish.study)
    coarse = not lines and not queries.read_soon(cells)
    if not lines and not coarse:
        lines = queries.curves(db, ids, wish.axis, wish.looking, wish.orders, wish.study)
    return figures.curves_info(
        cells,
        {} if coarse else {condition: lines[condition] for condition in ids},
        axis=wish.axis,
        room=room,
        dark=dark,
        models=roster(every["model"]),
        strategies=sorted(set(every["strategy"])),
        said=lens.said(wish.looking, wish.axis),
    )


def told_frames(db: Database, shown: Filter, study: str) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Points, summary and accuracy of told budgets that the filter leaves; p is corrected for the series it leaves."""
    from engine.analysis.thinking.stated_budgets import corrected

    points, summary = (shown.of(frame) for frame in queries.elasticity(db, study))
    accuracy = stated_budgets.accuracy_told(points, queries.cells(db, study=study), queries.told(db))
    return points, corrected(summary), accuracy


@kept()
def told_info(db: Database, shown: Filter, study: str, dark: bool, room: Room) -> ToldInfo:
    """Plain data of both figures of told budgets."""
    every, (points, summary, accuracy) = queries.every(db), told_frames(db, shown, study)
    return figures.told_info(
        points,
        summary,
        accuracy,
        stated_budgets.untold(points, queries.cells(db, study=study), queries.conditions(db)),
        room=room,
        dark=dark,
        models=roster(every["model"]),
        strategies=sorted(set(every["strategy"])),
    )
