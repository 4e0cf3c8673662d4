"""The frontier figure, computed: accuracy against spend, each cell with its chance of being on the frontier.

Owns `FrontierInfo`, plain data with equality; drawing is `frontier_plot`. Frames are read, never changed. Spends in the
frames are means per question; money is shown per 1,000 questions. A value of zero is drawn, a missing one is counted.

The frontier figure, painted from `FrontierInfo`: band, staircase, families, marks, labels, legends. No arithmetic
on data here.

The finding and the fine print of a frontier figure, in one sentence each; plain text, singular and plural right.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from dashboard import theme
from dashboard.figures.axes import (
    AXES,
    NARROW,
    WIDTH,
    AccuracyScale,
    Box,
    Lens,
    LogScale,
    accuracy_scale,
    box_for,
    log_scale,
)
from dashboard.figures.ink import (
    CROWD,
    TIERS,
    Trace,
    accuracy_axis,
    empty_figure,
    halo,
    layout,
    marks,
    note,
    painted,
    slashes,
    spend_axis,
)
from dashboard.figures.labels import SIZE, SMALL, Label, labels_for, worth_naming
from dashboard.figures.legend import Entry, Group, legends, row_count
from dashboard.figures.lettering import plain, safe
from dashboard.figures.marks import CUT, LIKELY, POSSIBLE, SIZES, SLASH, Point, ends, families, points_of
from dashboard.figures.names import Row
from dashboard.theme import Inks, fade
from engine.core import text as fmt

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

__all__ = [
    "Counts",
    "FrontierInfo",
    "Kind",
    "caption_sentence",
    "corners",
    "frontier_figure",
    "frontier_info",
    "label_annotation",
    "line_trace",
    "title_sentence",
]


Kind = Literal["staircase", "hull"]
"""Non-dominated staircase, or upper convex hull: what mixing two conditions at random could buy."""
MIXES = 16
"""Points per edge of a hull, whose straight mixtures are bent on a log axis."""


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


def frontier_figure(info: FrontierInfo) -> go.Figure:
    """Draw it; an info without points becomes a figure with one sentence."""
    inks = theme.inks(info.dark)
    if not info.points:
        return empty_figure(_why_empty(info), inks)
    swatches, frames = legends(info.legend, info.box, inks)
    paper = (
        layout(inks, info.box)
        | frames
        | {
            "xaxis": spend_axis(info.x_scale, inks),
            "yaxis": accuracy_axis(info.y_scale, inks),
            "annotations": [*_titles(info, inks), *(label_annotation(info, label, inks) for label in info.labels)],
        }
    )
    return painted([*_lines(info, inks), *_marks(info, inks), *swatches], paper)


def _frontier_plot_band(band: tuple[tuple[float, float, float], ...], info: FrontierInfo, inks: Inks) -> Trace:
    """The bootstrap band as one outline, run on to the right edge."""
    x = [*(info.x_scale.place(x) for x, _, _ in band), 10 ** (info.x_scale.high + 1)]
    low, high = [*(b for _, b, _ in band), band[-1][1]], [*(t for _, _, t in band), band[-1][2]]
    return _stroke(x + x[::-1], low + high[::-1], {"width": 0}) | {
        "fill": "toself",
        "fillcolor": fade(inks.line, inks.band),
    }


def line_trace(line: tuple[tuple[float, float], ...], info: FrontierInfo, inks: Inks) -> Trace:
    """The frontier's line, run on to the right edge."""
    x = [*(info.x_scale.place(x) for x, _ in line), 10 ** (info.x_scale.high + 1)]
    y = [*(y for _, y in line), line[-1][1]]
    pen = {"shape": "hv" if info.kind == "staircase" else "linear", "width": 2, "color": fade(inks.line, 0.85)}
    return _stroke(x, y, pen)


def _stroke(x: list[float], y: list[float], pen: dict[str, Any]) -> Trace:
    return {"type": "scatter", "x": x, "y": y, "mode": "lines", "line": pen, "hoverinfo": "skip", "showlegend": False}


def _lines(info: FrontierInfo, inks: Inks) -> Iterator[Trace]:
    if info.band:
        yield _frontier_plot_band(info.band, info, inks)
    for family in info.families:
        yield _family([info.points[i] for i in family], info)
    if info.line:
        yield line_trace(info.line, info, inks)


def _family(points: list[Point], info: FrontierInfo) -> Trace:
    x, y = [info.x_scale.place(p.x) for p in points], [p.y for p in points]
    pen = {"width": 1.2, "color": fade(points[0].colour, 0.4)}
    return _stroke(x, y, pen)


def _marks(info: FrontierInfo, inks: Inks) -> Iterator[Trace]:
    crowded = len(info.points) > CROWD
    for tier in TIERS:
        for colour in dict.fromkeys(p.colour for p in info.points):
            group = [p for p in info.points if p.tier == tier and p.colour == colour]
            if group:
                yield marks(group, tier, info.x_scale, inks, crowded=crowded)
    if not crowded:
        yield from slashes(info.points, info.x_scale, inks)


def _titles(info: FrontierInfo, inks: Inks) -> Iterator[dict[str, Any]]:
    aside = ", log scale" + (", assumed prices" if info.assumed else "")
    bold = {"size": 13, "color": inks.text}
    yield note("<b>Accuracy</b>", x=0, y=1, xanchor="left", yanchor="bottom", xshift=-42, yshift=8, font=bold)
    corner = {"x": 0, "y": 1, "xanchor": "left", "yanchor": "top", "xshift": 3, "yshift": -4}
    yield note("↖ better", **corner, font={"size": 12, "color": inks.muted})
    words = f"<b>{info.lens.title}</b>{safe(info.lens.said)}{aside}"
    yield note(words, x=1, y=0, xanchor="right", yanchor="top", yshift=-23, font=bold)


def label_annotation(info: FrontierInfo, label: Label, inks: Inks) -> dict[str, Any]:
    """A placed label as plotly wants it; plotly draws leaders from the mark towards the label's centre."""
    point = info.points[label.point]
    quiet = point.tier in ("unlikely", "partial")
    ink = inks.muted if quiet else theme.label_colours([point.strategy], dark=info.dark)[point.strategy]
    return {
        "x": math.log10(info.x_scale.place(point.x)),
        "y": point.y,
        "text": _words(point, label, inks),
        "showarrow": True,
        "ax": label.dx,
        "ay": label.dy,
        "arrowhead": 0,
        "arrowwidth": 0.9,
        "xanchor": "center",
        "yanchor": "middle",
        "arrowcolor": fade(inks.muted, 0.75 if label.leader else 0),
        "borderpad": 0,
        "captureevents": False,
        "standoff": SIZES[point.tier] * point.shape.factor / 2 + 1.5,
        "font": {"size": SMALL if quiet else SIZE, "color": ink, "shadow": halo(inks)},
    }


def _words(point: Point, label: Label, inks: Inks) -> str:
    name = safe(label.text)
    share = f'\u00a0\u00a0<span style="color:{inks.muted}">{safe(label.share)}</span>' if label.share else ""
    return f"<b>{name}</b>{share}" if point.tier == "likely" else name + share


def _why_empty(info: FrontierInfo) -> str:
    if not info.counts.hidden:
        return "Nothing to show yet: run a study, or widen the filters."
    lacking = {"usd": "a known price", "wh": "a known size"}.get(info.lens.column, "scored questions")
    way = "choose another axis, or set prices and energy."
    return f"None of the {info.counts.hidden} conditions here has {lacking}: {way}"


def title_sentence(info: FrontierInfo) -> str:
    """`18 of 30 conditions could be on the frontier; 14 probably are`."""
    counts = info.counts
    if counts.conditions == 0:
        return "No condition to show yet"
    if not counts.judged:
        return f"{_all(counts)}: no verdict yet" if counts.partial else fmt.plural(counts.conditions, "condition")
    if counts.best == 0:
        return f"{fmt.plural(counts.conditions, 'condition')}, and no question answered right"
    if counts.conditions == 1:
        return "One condition: nothing to compare it with yet"
    return f"{fmt.count(counts.could)} of {fmt.plural(counts.conditions, 'condition')} {_finding(counts)}"


def caption_sentence(info: FrontierInfo) -> str:
    """Data set, n, what bar, band and percentage mean, and what is not shown or rests on an assumption."""
    counts, parts = info.counts, []
    if counts.conditions == 0:
        return ""
    parts.append(" and ".join(counts.tasks) if len(counts.tasks) < 3 else fmt.plural(len(counts.tasks), "task"))
    parts.append(_questions(counts))
    band = ", the grey band holds 80% of bootstrap frontiers" if info.band else ""
    parts.append(f"bars are 95% intervals{band}")
    if info.kind == "hull":
        parts.append("the line is the convex hull: what mixing two conditions could buy")
    if any(label.share for label in info.labels):
        parts.append("percentages in labels: chance of being on the frontier")
    return " · ".join([*parts, *_reservations(info)])


def _finding(counts: Counts) -> str:
    if counts.could == counts.probable:
        return f"{'is' if counts.could == 1 else 'are'} probably on the frontier"
    if counts.probable == 0:
        return "could be on the frontier; none stands out"
    return f"could be on the frontier; {fmt.count(counts.probable)} probably {'is' if counts.probable == 1 else 'are'}"


def _all(counts: Counts) -> str:
    n = counts.conditions
    return "The only condition is partial" if n == 1 else f"All {fmt.count(n)} conditions are partial"


def _questions(counts: Counts) -> str:
    least, most = counts.questions
    return fmt.plural(most, "question") if least == most else f"{fmt.count(least)} to {fmt.plural(most, 'question')}"


def _reservations(info: FrontierInfo) -> list[str]:
    counts, found = info.counts, []
    if counts.partial:
        found.append(f"{fmt.count(counts.partial)} partial, without verdict")
    if counts.hidden:
        lacking = {"usd": "unknown price or accuracy", "wh": "unknown energy or accuracy"}
        reason = lacking.get(info.lens.column, "nothing scored")
        found.append(f"{fmt.plural(counts.hidden, 'condition')} not shown: {reason}")
    if counts.simulated:
        found.append("simulated answers" if counts.simulated == counts.conditions else f"{counts.simulated} simulated")
    if info.assumed:
        found.append("some prices are assumed")
    return found
