"""The frontier figure: accuracy against spend, each cell with its chance of being on the frontier; and its sentences.

`FrontierInfo` is plain data with equality. Frames are read, never changed; spends in them are means per question, money
is shown per 1,000 questions. A value of zero is drawn, a missing one is counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    Trace,
    accuracy_axis,
    empty_figure,
    halo,
    layout,
    note,
    painted,
    spend_axis,
    spend_title,
    stroke,
)
from dashboard.figures.labels import SIZE, SMALL, Label, labels_for, worth_naming
from dashboard.figures.legend import Entry, Group, legends, row_count
from dashboard.figures.lettering import plain, safe
from dashboard.figures.marks import (
    CUT,
    LIKELY,
    POSSIBLE,
    SIZES,
    SLASH,
    Point,
    baseline_marks,
    baselines,
    cell_marks,
    ends,
    families,
    points_of,
)
from dashboard.theme import Inks, fade
from engine.core import names
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
    "frontier_title",
    "label_annotation",
    "line_trace",
    "title_sentence",
]


Kind = Literal["staircase", "hull"]
"""Non-dominated staircase, or upper convex hull: what mixing two conditions at random could buy."""
MIXES = 16
"""Points per edge of a hull, whose straight mixtures are bent on a log axis."""
CROWD = 1000
"""From so many marks on they are drawn with WebGL, without interval bars."""


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
    baselines: tuple[tuple[float, str], ...]
    """What is scored without reading the questions, with its name."""
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
    # Legends wrap by the width of the plot, and their rows make the margin below it.
    across = NARROW if narrow else WIDTH
    box = box_for(across, row_count(legend, box_for(across, 0).plot[0]))
    x_ends = ends(points, "x_low", "x_high")
    x_scale = log_scale([p.x for p in points], tick=lens.tick, pixels=box.plot[0], edges=x_ends)
    blind = baselines(shown)
    y_scale = accuracy_scale([*(p.y for p in points), *(at for at, _ in blind)], ends(points, "y_low", "y_high"))
    path, outline = corners(line, lens, kind), tuple[tuple[float, float, float], ...]()
    if band is not None:
        known = band.drop_nulls(["x", "low", "high"]).sort("x", maintain_order=True).select("x", "low", "high")
        outline = tuple((float(at) * lens.scale, float(low), float(high)) for at, low, high in known.iter_rows())
    questions = [int(row["n_questions"] or 0) for row in shown]
    conditions, chances = {p.condition_id for p in points}, [(p.condition_id, p.chance or 0.0) for p in points]
    counts = Counts(
        conditions=len(conditions),
        could=len({condition for condition, chance in chances if chance >= POSSIBLE}),
        probable=len({condition for condition, chance in chances if chance >= LIKELY}),
        partial=len({p.condition_id for p in points if p.tier == "partial"}),
        judged=any(p.chance is not None for p in points),
        # A condition one of whose budgets has a place is not missing.
        hidden=len({str(row["condition_id"]) for row in rows} - conditions),
        simulated=len({row["condition_id"] for row in shown if row["simulated"]}),
        best=max((p.y for p in points), default=0.0),
        questions=(min(questions, default=0), max(questions, default=0)),
        tasks=tuple(sorted(map(plain, names.tasks(str(row["task"]) for row in shown).values()))),
    )
    return FrontierInfo(
        lens=lens,
        kind=kind,
        assumed=lens.money and any(bool(row["usd_assumed"]) for row in shown),
        dark=dark,
        box=box,
        points=points,
        families=families(points),
        line=path,
        band=outline,
        baselines=blind,
        labels=labels_for(points, path, x_scale, y_scale, box, worth_naming(points, every=label_all)),
        x_scale=x_scale,
        y_scale=y_scale,
        legend=legend,
        counts=counts,
    )


def corners(frame: pl.DataFrame | None, lens: Lens, kind: Kind = "staircase") -> tuple[tuple[float, float], ...]:
    """A line frame (x, accuracy) in the unit of the axis; the edges of a hull filled in with their mixtures."""
    if frame is None:
        return ()
    rows = frame.drop_nulls(["x", "accuracy"]).sort("x", maintain_order=True).select("x", "accuracy").iter_rows()
    points = tuple((float(x) * lens.scale, float(y)) for x, y in rows)
    if kind == "staircase":
        return points
    shares = [i / MIXES for i in range(MIXES)]
    mixes = ((x0 + s * (x1 - x0), y0 + s * (y1 - y0)) for (x0, y0), (x1, y1) in pairwise(points) for s in shares)
    return (*mixes, *points[-1:])


def _legend(points: Sequence[Point], dark: bool) -> tuple[Group, ...]:
    if not points:
        return ()
    inks = theme.inks(dark)
    grey, pale = inks.muted, theme.blend(inks.muted, inks.background, 0.45)
    strategies = sorted({p.strategy: p for p in points}.values(), key=lambda p: theme.rank(p.strategy))
    # In the order shapes were given out, which is that of all models, shown or not.
    models = sorted({p.model: p for p in points}.values(), key=lambda p: theme.SHAPES.index(p.shape))
    # Grey, for here size and fill speak, not the colour.
    chances = [
        Entry("over 50%", "circle", SIZES["likely"], grey, grey),
        Entry("5–50%", "circle", SIZES["possible"], pale, grey, 1.6),
        Entry("under 5%", "circle", SIZES["unlikely"], inks.background, grey, 1.6),
    ]
    if any(p.tier == "partial" for p in points):
        chances.append(Entry("partial", "circle-open-dot", SIZES["partial"], grey, grey, 1.2))
    groups = (
        Group(
            "Strategy",
            tuple(Entry(plain(names.strategy(p.strategy)), "circle", 11.0, p.colour, p.colour) for p in strategies),
        ),
        Group("Model", tuple(Entry(p.model, p.shape.symbol, 11.0 * p.shape.factor, grey, grey) for p in models)),
        Group("Chance on frontier", tuple(chances)),
    )
    slash = Entry(CUT, "line-ne-open", SLASH, inks.text, inks.text, 1.4)
    return (*groups, Group("", (slash,))) if any(p.cut for p in points) else groups


def frontier_figure(info: FrontierInfo) -> go.Figure:
    """Draw it; an info without points becomes a figure with one sentence."""
    inks, scale = theme.inks(info.dark), info.x_scale
    if not info.points:
        reason = "Nothing to show yet: run a study, or widen the filters."
        if info.counts.hidden:
            lacking = {"usd": "a known price", "wh": "a known size"}.get(info.lens.column, "scored questions")
            way = "choose another axis, or set prices and energy."
            reason = f"None of the {info.counts.hidden} conditions here has {lacking}: {way}"
        return empty_figure(reason, inks)
    traces = list[Trace]()
    if info.band:
        # One closed outline, up along the low edge and back along the high one, run on past the right edge.
        x = [*(scale.place(x) for x, _, _ in info.band), 10 ** (scale.high + 1)]
        low, high = ([*(edge[end] for edge in info.band), info.band[-1][end]] for end in (1, 2))
        ground = {"fill": "toself", "fillcolor": fade(inks.line, inks.band)}
        traces.append(stroke(x + x[::-1], low + high[::-1], {"width": 0}, **ground))
    lines, names_of_lines = baseline_marks(info.baselines, scale, inks, right=True)
    traces += lines
    for family in ([info.points[i] for i in members] for members in info.families):
        pen = {"width": 1.2, "color": fade(family[0].colour, 0.4)}
        traces.append(stroke([scale.place(p.x) for p in family], [p.y for p in family], pen))
    if info.line:
        traces.append(line_trace(info.line, info, inks))
    # Families and the line lie under the marks, so that every mark can be met by the pointer.
    traces += cell_marks(info.points, scale, inks, crowded=len(info.points) > CROWD)
    swatches, frames = legends(info.legend, info.box, inks)
    bold, quiet = {"size": 13, "color": inks.text}, {"size": 12, "color": inks.muted}
    notes = [
        note("<b>Accuracy</b>", x=0, y=1, xanchor="left", yanchor="bottom", xshift=-42, yshift=8, font=bold),
        note("↖ better", x=0, y=1, xanchor="left", yanchor="top", xshift=3, yshift=-4, font=quiet),
        frontier_title(info, inks),
        *names_of_lines,
        *(label_annotation(info, label, inks) for label in info.labels),
    ]
    sides = {"xaxis": spend_axis(scale, inks), "yaxis": accuracy_axis(info.y_scale, inks), "annotations": notes}
    return painted([*traces, *swatches], layout(inks, info.box) | frames | sides)


def line_trace(line: tuple[tuple[float, float], ...], info: FrontierInfo, inks: Inks) -> Trace:
    """The frontier's line, run on to the right edge."""
    # A decade past the edge, so that panning to the right does not show its end at once.
    x = [*(info.x_scale.place(x) for x, _ in line), 10 ** (info.x_scale.high + 1)]
    y = [*(y for _, y in line), line[-1][1]]
    pen = {"shape": "hv" if info.kind == "staircase" else "linear", "width": 2, "color": fade(inks.line, 0.85)}
    return stroke(x, y, pen)


def frontier_title(info: FrontierInfo, inks: Inks) -> dict[str, Any]:
    """The title of the spend axis, with what its values rest on."""
    aside = ", log scale" + (", assumed prices" if info.assumed else "")
    return spend_title(f"<b>{info.lens.title}</b>{safe(info.lens.said)}{aside}", inks)


def label_annotation(info: FrontierInfo, label: Label, inks: Inks) -> dict[str, Any]:
    """A placed label as plotly wants it; plotly draws leaders from the mark towards the label's centre."""
    point = info.points[label.point]
    quiet = point.tier in ("unlikely", "partial")
    ink = inks.muted if quiet else theme.label_colours([point.strategy], dark=info.dark)[point.strategy]
    name = f"<b>{safe(label.text)}</b>" if point.tier == "likely" else safe(label.text)
    share = f'\u00a0\u00a0<span style="color:{inks.muted}">{safe(label.share)}</span>' if label.share else ""
    return {
        # A logarithm: annotations on a log axis want one.
        "x": math.log10(info.x_scale.place(point.x)),
        "y": point.y,
        "text": name + share,
        "showarrow": True,
        "ax": label.dx,
        "ay": label.dy,
        "arrowhead": 0,
        "arrowwidth": 0.9,
        "xanchor": "center",
        "yanchor": "middle",
        "arrowcolor": fade(inks.muted, 0.75 if label.leader else 0),
        "borderpad": 0,
        # A label over a mark may not take its click.
        "captureevents": False,
        # The leader ends at the edge of the mark, not at its centre.
        "standoff": SIZES[point.tier] * point.shape.factor / 2 + 1.5,
        "font": {"size": SMALL if quiet else SIZE, "color": ink, "shadow": halo(inks)},
    }


def title_sentence(info: FrontierInfo) -> str:
    """`18 of 30 conditions could be on the frontier; 14 probably are`."""
    counts = info.counts
    shown, could, probable = fmt.plural(counts.conditions, "condition"), counts.could, counts.probable
    if counts.conditions == 0:
        return "No condition to show yet"
    if not counts.judged and counts.partial:
        # Without a chance anywhere, partial cells are why there is no verdict.
        every = "The only condition is" if counts.conditions == 1 else f"All {shown} are"
        return f"{every} partial: no verdict yet"
    if not counts.judged:
        return shown
    if counts.best == 0:
        return f"{shown}, and no question answered right"
    if counts.conditions == 1:
        return "One condition: nothing to compare it with yet"
    if could == probable:
        return f"{fmt.count(could)} of {shown} {'is' if could == 1 else 'are'} probably on the frontier"
    rest = f"{fmt.count(probable)} probably {'is' if probable == 1 else 'are'}" if probable else "none stands out"
    return f"{fmt.count(could)} of {shown} could be on the frontier; {rest}"


def caption_sentence(info: FrontierInfo) -> str:
    """Data set, n, what bar, band and percentage mean, and what is not shown or rests on an assumption."""
    counts, (least, most) = info.counts, info.counts.questions
    if counts.conditions == 0:
        return ""
    lacking = {"usd": "unknown price or accuracy", "wh": "unknown energy or accuracy"}
    reason = lacking.get(info.lens.column, "nothing scored")
    questions = fmt.plural(most, "question")
    simulated = "simulated answers" if counts.simulated == counts.conditions else f"{counts.simulated} simulated"
    parts = [
        " and ".join(counts.tasks) if len(counts.tasks) < 3 else fmt.plural(len(counts.tasks), "task"),
        questions if least == most else f"{fmt.count(least)} to {questions}",
        "bars are 95% intervals"
        + (", the grey band holds 80% of bootstrap frontiers at each spend" if info.band else ""),
        "the line is the convex hull: what mixing two conditions could buy" if info.kind == "hull" else "",
        "percentages in labels: chance of being on the frontier" if any(label.share for label in info.labels) else "",
        f"{fmt.count(counts.partial)} partial, without verdict" if counts.partial else "",
        f"{fmt.plural(counts.hidden, 'condition')} not shown: {reason}" if counts.hidden else "",
        simulated if counts.simulated else "",
        "some prices are assumed" if info.assumed else "",
    ]
    return " · ".join(part for part in parts if part)
