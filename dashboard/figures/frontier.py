"""The frontier figure, computed: accuracy against spend, each cell with its chance of being on the frontier.

Owns `FrontierInfo`, plain data with equality; drawing is `frontier_plot`. Frames are read, never changed. Spends in the
frames are means per question; money is shown per 1,000 questions. A value of zero is drawn, a missing one is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from dashboard import theme
from dashboard.figures.axes import AXES, NARROW, WIDTH, Box, Lens, box_for
from dashboard.figures.labelling import Label, labels_for, worth_naming
from dashboard.figures.legend import Entry, Group, row_count
from dashboard.figures.lettering import plain
from dashboard.figures.names import Row
from dashboard.figures.points import CUT, LIKELY, POSSIBLE, SIZES, SLASH, Point, ends, families, points_of
from dashboard.figures.scales import AccuracyScale, LogScale, accuracy_scale, log_scale

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["staircase", "hull"]
"""Non-dominated staircase, or upper convex hull: what mixing two conditions at random could buy."""
MIXES = 16
"""Points per edge of a hull, whose straight mixtures are bent on a log axis."""

__all__ = ["Counts", "FrontierInfo", "Kind", "corners", "frontier_info"]


@dataclass(frozen=True, slots=True)
class Counts:
    """Conditions and questions behind a figure, for its sentences."""

    conditions: int
    """Shown; a condition with several budgets counts once."""
    could: int
    """With a cell whose chance of being on the frontier is 5% or more."""
    probable: int
    """50% or more."""
    partial: int
    """Shown without a verdict: too few questions are scored."""
    judged: bool
    """Whether any chance is known."""
    hidden: int
    """In the frame, but without a place on these axes: spend or accuracy unknown."""
    simulated: int
    """Answered by a simulated model."""
    best: float
    """Highest accuracy shown."""
    questions: tuple[int, int]
    """Least and most scored questions of the cells shown."""
    tasks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FrontierInfo:
    """Everything the frontier figure shows."""

    lens: Lens
    kind: Kind
    assumed: bool
    """Whether some money shown rests on a stand-in price."""
    dark: bool
    box: Box
    points: tuple[Point, ...]
    families: tuple[tuple[int, ...], ...]
    """Points of one condition in the order of their budgets."""
    line: tuple[tuple[float, float], ...]
    """Corners of the frontier's line: spend, accuracy."""
    band: tuple[tuple[float, float, float], ...]
    """Spend, 10% and 90% of the bootstrap frontiers."""
    labels: tuple[Label, ...]
    x_scale: LogScale
    y_scale: AccuracyScale
    legend: tuple[Group, ...]
    counts: Counts


def frontier_info(
    frame: pl.DataFrame,
    line: pl.DataFrame | None = None,
    band: pl.DataFrame | None = None,
    *,
    x: str,
    kind: Kind = "staircase",
    label_all: bool = False,
    narrow: bool = False,
    dark: bool = False,
    models: Sequence[str] = (),
    strategies: Sequence[str] = (),
    said: str = "",
) -> FrontierInfo:
    """What the frontier figure of `frame` shows on axis `x` (a key of `axes.AXES`).

    `frame`: frontier frame, one row per cell. `line`: the frontier's line (x, accuracy). `band`: the 10-90% band of
    bootstrap frontiers (x, low, high); x in both is a mean per question, as in `frame`. `models` and `strategies` are
    all there are, whatever is filtered: with them shapes and colours stay put. `said`: what spends rest on, for the
    axis title. Raises KeyError for an unknown axis."""
    lens, rows = replace(AXES[x], said=said), frame.to_dicts()
    shown = [row for row in rows if lens.value(row) is not None and row["accuracy"] is not None]
    points = points_of(shown, lens, dark, models, strategies)
    legend = _legend(points, dark)
    wide = box_for(NARROW if narrow else WIDTH, 0)
    box = box_for(wide.width, row_count(legend, wide.plot[0]))
    x_scale = _spend_scale(points, lens, box)
    y_scale = accuracy_scale([p.y for p in points], ends(points, "y_low", "y_high"))
    path = corners(line, lens, kind)
    return FrontierInfo(
        lens=lens,
        kind=kind,
        assumed=lens.money and any(bool(row["usd_assumed"]) for row in shown),
        dark=dark,
        box=box,
        points=points,
        families=families(points),
        line=path,
        band=_band(band, lens),
        labels=labels_for(points, path, x_scale, y_scale, box, worth_naming(points, every=label_all)),
        x_scale=x_scale,
        y_scale=y_scale,
        legend=legend,
        counts=_counts(rows, shown, points),
    )


def corners(frame: pl.DataFrame | None, lens: Lens, kind: Kind = "staircase") -> tuple[tuple[float, float], ...]:
    """A line frame (x, accuracy) in the unit of the axis; the edges of a hull filled in with their mixtures."""
    if frame is None:
        return ()
    rows = frame.drop_nulls(["x", "accuracy"]).sort("x", maintain_order=True).select("x", "accuracy").iter_rows()
    found = tuple((float(x) * lens.scale, float(y)) for x, y in rows)
    return found if kind == "staircase" else (*(mix for edge in pairwise(found) for mix in _mixes(*edge)), *found[-1:])


def _mixes(start: tuple[float, float], end: tuple[float, float]) -> list[tuple[float, float]]:
    shares = [i / MIXES for i in range(MIXES)]
    return [(start[0] + s * (end[0] - start[0]), start[1] + s * (end[1] - start[1])) for s in shares]


def _band(frame: pl.DataFrame | None, lens: Lens) -> tuple[tuple[float, float, float], ...]:
    if frame is None:
        return ()
    rows = frame.drop_nulls(["x", "low", "high"]).sort("x", maintain_order=True).select("x", "low", "high").iter_rows()
    return tuple((float(x) * lens.scale, float(low), float(high)) for x, low, high in rows)


def _spend_scale(points: Sequence[Point], lens: Lens, box: Box) -> LogScale:
    edges = ends(points, "x_low", "x_high")
    return log_scale([p.x for p in points], tick=lens.tick, pixels=box.plot[0], edges=edges)


def _counts(rows: Sequence[Row], shown: Sequence[Row], points: Sequence[Point]) -> Counts:
    asked = [int(row["n_questions"] or 0) for row in shown]
    return Counts(
        conditions=len({p.condition_id for p in points}),
        could=_at_least(points, POSSIBLE),
        probable=_at_least(points, LIKELY),
        partial=len({p.condition_id for p in points if p.tier == "partial"}),
        judged=any(p.chance is not None for p in points),
        hidden=len({str(row["condition_id"]) for row in rows} - {p.condition_id for p in points}),
        simulated=len({row["condition_id"] for row in shown if row["simulated"]}),
        best=max((p.y for p in points), default=0.0),
        questions=(min(asked, default=0), max(asked, default=0)),
        tasks=tuple(sorted({plain(str(row["task"])) for row in shown})),
    )


def _at_least(points: Sequence[Point], chance: float) -> int:
    return len({p.condition_id for p in points if p.chance is not None and p.chance >= chance})


def _legend(points: Sequence[Point], dark: bool) -> tuple[Group, ...]:
    if not points:
        return ()
    inks = theme.inks(dark)
    grey, pale = inks.muted, theme.blend(inks.muted, inks.background, 0.45)
    strategies = sorted({p.strategy: p for p in points}.values(), key=lambda p: theme.rank(p.strategy))
    models = sorted({p.model: p for p in points}.values(), key=lambda p: theme.SHAPES.index(p.shape))
    chances = [
        Entry("over 50%", "circle", SIZES["likely"], grey, grey),
        Entry("5–50%", "circle", SIZES["possible"], pale, grey, 1.6),
        Entry("under 5%", "circle", SIZES["unlikely"], inks.background, grey, 1.6),
    ]
    if any(p.tier == "partial" for p in points):
        chances.append(Entry("partial", "circle-open-dot", SIZES["partial"], grey, grey, 1.2))
    cut = [Entry(CUT, "line-ne-open", SLASH, inks.text, inks.text, 1.4)] if any(p.cut for p in points) else []
    return (
        Group("Strategy", tuple(Entry(p.strategy, "circle", 11.0, p.colour, p.colour) for p in strategies)),
        Group("Model", tuple(Entry(p.model, p.shape.symbol, 11.0 * p.shape.factor, grey, grey) for p in models)),
        Group("Chance on frontier", tuple(chances)),
        *([Group("", tuple(cut))] if cut else []),
    )
