"""The figure of Explore: accuracy against spend, one curve per setting through its budgets, the frontier over them.

`FrontierInfo` is plain data with equality. Frames are read, never changed; spends in them are means per question, money
and energy are shown per 1,000 questions. A value of zero is drawn, a missing one is counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from dashboard import theme
from dashboard.figures.axes import AXES, AccuracyScale, Box, Lens, LogScale, Room, accuracy_scale, box_for, log_scale
from dashboard.figures.ink import (
    SILENT,
    Trace,
    accuracy_axis,
    empty_figure,
    halo,
    interval_bars,
    layout,
    note,
    painted,
    spend_axis,
    spend_title,
    stroke,
)
from dashboard.figures.labels import SIZE, SMALL, Label, labels_for
from dashboard.figures.lettering import plain, safe, width
from dashboard.figures.marks import Point, baseline_marks, baselines, curves_of, marks, points_of
from dashboard.figures.tags import Ground, Tag, baseline_tags, chip_notes, chips, name_notes
from dashboard.theme import Inks, fade
from engine.core import names
from engine.core import text as fmt

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

__all__ = ["FrontierInfo", "Handles", "Kind", "caption_sentence", "frontier_figure", "frontier_info", "select"]

Kind = Literal["staircase", "hull"]
"""Non-dominated staircase, or upper convex hull: what mixing two settings at random could buy."""
MIXES = 16
"""Points per edge of a hull, whose straight mixtures are bent on a log axis."""
CROWD = 1000
"""From so many marks on the quiet ones are drawn with WebGL."""
MANY = 12
"""From more curves than this, and on a phone, only those that touch the frontier keep their colour and their name."""
KEYED = 4
"""So many models' shapes stand in the key."""
KEY, TITLE = 12.0, 160
"""Font size of the key, and pixels that the title of the axis has beside it."""


@dataclass(frozen=True, slots=True)
class Handles:
    """What the reader asks for, in the unit of the axis and as a share; None: no such limit."""

    most: float | None = None
    """Spend at most."""
    least: float | None = None
    """Reach at least."""


@dataclass(frozen=True, slots=True)
class FrontierInfo:
    """Everything the figure shows."""

    lens: Lens
    kind: Kind
    assumed: bool
    """Whether some money shown rests on a stand-in price."""
    all_assumed: bool
    """Whether all of it does."""
    dark: bool
    room: Room
    box: Box
    points: tuple[Point, ...]
    curves: tuple[tuple[int, ...], ...]
    """Points of one setting in the order of their budgets."""
    named: tuple[bool, ...]
    """Which curves keep colour and name."""
    line: tuple[tuple[float, float], ...]
    """Corners of the frontier's line: spend, accuracy."""
    band: tuple[tuple[float, float, float], ...]
    """Spend, 10% and 90% of the bootstrap frontiers."""
    baselines: tuple[tuple[float, str], ...]
    """What is scored without reading the questions, with its name."""
    labels: tuple[Label, ...]
    handles: Handles
    chips: tuple[Tag, ...]
    """What the handles say."""
    line_names: tuple[Tag, ...]
    """Names of the baselines."""
    x_scale: LogScale
    y_scale: AccuracyScale
    questions: tuple[int, int]
    """Least and most scored questions of the points shown."""
    tasks: tuple[str, ...]
    hidden: int
    """Settings without a place on these axes: spend or accuracy unknown."""
    partial: int
    """Settings shown without a verdict: too few questions are scored."""
    stopped: int
    """Settings an adaptive study stopped early, shown without interval."""
    simulated: int
    """Settings answered by a simulated model."""
    selected: int | None = None
    """The point that is looked at; see `select`."""

    @property
    def models(self) -> tuple[Point, ...]:
        """One point of each model shown, in the order shapes were given out."""
        return tuple(sorted({p.model: p for p in self.points}.values(), key=lambda p: theme.SHAPES.index(p.shape)))


def frontier_info(
    frame: pl.DataFrame,
    line: pl.DataFrame | None = None,
    band: pl.DataFrame | None = None,
    *,
    x: str,
    kind: Kind = "staircase",
    handles: Handles = Handles(),
    room: Room = "wide",
    dark: bool = False,
    models: Sequence[str] = (),
    strategies: Sequence[str] = (),
    said: str = "",
) -> FrontierInfo:
    """What the figure of `frame` shows on axis `x` (a key of `axes.AXES`).

    `frame`: frontier frame, one row per setting and budget. `line`: the frontier's line (x, accuracy). `band`: the
    10-90% band of bootstrap frontiers (x, low, high); x in both is a mean per question, as in `frame`. `models` and
    `strategies` are all there are, whatever is filtered: with them shapes and colours stay put. `said`: what spends
    rest on, for the axis title. Raises KeyError for an unknown axis."""
    lens, rows = replace(AXES[x], said=said), frame.to_dicts()
    shown = [row for row in rows if lens.value(row) is not None and row["accuracy"] is not None]
    points = points_of(shown, lens, dark, models, strategies)
    curves, box = curves_of(points), box_for(room)
    spends = [p.x for p in points]
    x_scale = log_scale(
        spends, tick=lens.tick, pixels=box.plot[0], edges=[] if handles.most is None else [handles.most]
    )
    # Intervals of the frontier may reach above its points, and are cut below: a wide one would flatten everything.
    blind, tops = baselines(shown), [p.y_high for p in points if p.front]
    heights = [*(p.y for p in points), *(at for at, _ in blind)]
    # Near the ground the axis begins at it: a gap of a few points would look like a distance.
    floor = [0.0] if min((p.y for p in points), default=1.0) < 0.2 else []
    y_scale = accuracy_scale([*heights, *floor], [top for top in tops if top is not None])
    path, outline = _corners(line, lens, kind), tuple[tuple[float, float, float], ...]()
    if band is not None:
        # In a stable order: two points at one spend keep theirs, or the outline would cross itself.
        known = band.drop_nulls(["x", "low", "high"]).sort("x", maintain_order=True).select("x", "low", "high")
        outline = tuple((float(at) * lens.scale, float(low), float(high)) for at, low, high in known.iter_rows())
    touching = [any(points[i].front for i in curve) for curve in curves]
    named = tuple(touches or (len(curves) <= MANY and room != "phone") for touches in touching)
    ground = Ground.of(points, path, x_scale, y_scale, box)
    asked = chips(handles.most, handles.least, x_scale, y_scale, ground, money=lens.money)
    line_names = baseline_tags(blind, (handles.most, handles.least), x_scale, y_scale, ground, chips=asked)
    questions = [int(row["n_questions"] or 0) for row in shown]
    conditions = {p.condition_id for p in points}
    return FrontierInfo(
        lens=lens,
        kind=kind,
        assumed=lens.money and any(bool(row["usd_assumed"]) for row in shown),
        all_assumed=all(bool(row["usd_assumed"]) for row in shown),
        dark=dark,
        room=room,
        box=box,
        points=points,
        curves=curves,
        named=named,
        line=path,
        band=outline,
        baselines=blind,
        labels=labels_for(
            points,
            [curve for curve, keeps in zip(curves, named, strict=True) if keeps],
            curves,
            path,
            x_scale,
            y_scale,
            box,
            handles=(handles.most, handles.least),
            levels=[at for at, _ in blind],
            tags=[tag.box(*box.plot) for tag in (*asked, *line_names)],
            narrow=room != "wide",
        ),
        handles=handles,
        chips=asked,
        line_names=line_names,
        x_scale=x_scale,
        y_scale=y_scale,
        questions=(min(questions, default=0), max(questions, default=0)),
        tasks=tuple(sorted(map(plain, names.tasks(str(row["task"]) for row in shown).values()))),
        # A setting one of whose budgets has a place is not missing.
        hidden=len({str(row["condition_id"]) for row in rows} - conditions),
        partial=len({row["condition_id"] for row in shown if row["partial"]}),
        stopped=len({row["condition_id"] for row in shown if row.get("stopped_at")}),
        simulated=len({row["condition_id"] for row in shown if row["simulated"]}),
    )


def select(info: FrontierInfo, point: tuple[str, int | None] | None) -> FrontierInfo:
    """The same with a ring round the point of this condition and budget; none where there is no such point."""
    at = next((i for i, p in enumerate(info.points) if (p.condition_id, p.budget) == point), None)
    return replace(info, selected=at)


def _corners(frame: pl.DataFrame | None, lens: Lens, kind: Kind) -> tuple[tuple[float, float], ...]:
    """A line frame (x, accuracy) in the unit of the axis; the edges of a hull filled in with their mixtures."""
    if frame is None:
        return ()
    rows = frame.drop_nulls(["x", "accuracy"]).sort("x", maintain_order=True).select("x", "accuracy").iter_rows()
    points = tuple((float(x) * lens.scale, float(y)) for x, y in rows)
    if kind == "staircase":
        return points
    # Without the end, which is the next edge's beginning.
    shares = [i / MIXES for i in range(MIXES)]
    mixes = ((x0 + s * (x1 - x0), y0 + s * (y1 - y0)) for (x0, y0), (x1, y1) in pairwise(points) for s in shares)
    return (*mixes, *points[-1:])


def frontier_figure(info: FrontierInfo) -> go.Figure:
    """Draw it; an info without points becomes a figure with one sentence."""
    inks, scale = theme.inks(info.dark), info.x_scale
    if not info.points:
        reason = "Nothing to show yet: run a study, or widen the filter."
        if info.hidden:
            lacking = {"usd": "a known price", "wh": "a known size"}.get(info.lens.column)
            way = f"has {lacking}: choose another axis, or set prices and energy."
            reason = f"No setting here {way if lacking else 'has a scored answer with a known spend on this axis.'}"
        return empty_figure(reason, inks)
    ink = {
        info.points[curve[0]].family: info.points[curve[0]].colour if keeps else inks.axis
        for curve, keeps in zip(info.curves, info.named, strict=True)
    }
    # Over the edges, so that panning does not show their ends at once.
    left, right = 10 ** (scale.low - 1), 10 ** (scale.high + 1)
    traces = _handles(info.handles, scale, (left, right), inks)
    if info.band:
        # One closed outline, up along the low edge and back along the high one.
        x = [*(scale.place(x) for x, _, _ in info.band), right]
        low, high = ([*(edge[end] for edge in info.band), info.band[-1][end]] for end in (1, 2))
        ground = {"fill": "toself", "fillcolor": fade(inks.line, inks.band)}
        traces.append(stroke(x + x[::-1], low + high[::-1], {"width": 0}, **ground))
    traces += baseline_marks(info.baselines, scale, inks)
    if info.line:
        x = [*(scale.place(x) for x, _ in info.line), right]
        y = [*(y for _, y in info.line), info.line[-1][1]]
        pen = {"shape": "hv" if info.kind == "staircase" else "linear", "width": 2.2, "color": inks.line}
        traces.append(stroke(x, y, pen))
    looked_at = None if info.selected is None else info.points[info.selected]
    # Grey curves lie under coloured ones, and all of them under the marks, so that the pointer meets every mark.
    for curve in sorted(info.curves, key=lambda curve: ink[info.points[curve[0]].family] != inks.axis):
        members = [info.points[i] for i in curve]
        chosen = looked_at is not None and members[0].family == looked_at.family
        pen = {"width": 1.6, "color": fade(ink[members[0].family], 0.9 if chosen else 0.6)}
        traces.append(stroke([scale.place(p.x) for p in members], [p.y for p in members], pen))
    # Last but for the ring: what lies on top gets the pointer.
    traces += marks(info.points, ink, scale, inks, crowded=len(info.points) > CROWD)
    if looked_at:
        at = [scale.place(looked_at.x)]
        ring = {"symbol": "circle-open", "size": 23, "color": inks.primary, "line": {"width": 2}}
        mark = {"type": "scatter", "x": at, "y": [looked_at.y], "mode": "markers", "marker": ring | {"opacity": 1}}
        # No higher than the plot: only intervals of the frontier have room by themselves.
        top = None if looked_at.y_high is None else min(looked_at.y_high, info.y_scale.high)
        bar = interval_bars([looked_at.y], [looked_at.y_low], [top], ink[looked_at.family], 2.0)
        traces.append(mark | SILENT | {"cliponaxis": False, "error_y": bar})
    bold, quiet = {"size": 13, "color": inks.text}, {"size": 12, "color": inks.muted}
    aside = ", log scale" + (", assumed prices" if info.assumed else "")
    notes = [
        note("<b>Accuracy</b>", x=0, y=1, xanchor="left", yanchor="bottom", xshift=-42, yshift=10, font=bold),
        note("↖ better", x=0, y=1, xanchor="left", yanchor="bottom", xshift=20, yshift=10, font=quiet),
        note(_key(info), x=1, y=1, xanchor="right", yanchor="bottom", yshift=10, font=quiet),
        spend_title(f"<b>{info.lens.title}</b>{safe(info.lens.said)}{aside}", inks),
        *name_notes(info.line_names, scale, info.y_scale, inks),
        *(_annotation(info, label, inks) for label in info.labels),
        *chip_notes(info.chips, scale, info.y_scale, inks),
    ]
    sides = {"xaxis": spend_axis(scale, inks), "yaxis": accuracy_axis(info.y_scale, inks), "annotations": notes}
    return painted(traces, layout(inks, info.box) | sides)


def _handles(handles: Handles, scale: LogScale, edges: tuple[float, float], inks: Inks) -> list[Trace]:
    """The accepted corner and the two lines that bound it."""
    (left, right), most, least = edges, handles.most, handles.least
    if most is None and least is None:
        return []
    pen = {"width": 1.6, "dash": "dash", "color": inks.primary}
    end = right if most is None else scale.place(most)
    ground: dict[str, Any] = {"fill": "toself", "fillcolor": fade(inks.primary, 0.055)}
    floor = -1.0 if least is None else least
    traces = [stroke([left, end, end, left], [floor, floor, 2.0, 2.0], {"width": 0}, **ground)]
    if most is not None:
        traces.append(stroke([end, end], [-1.0, 2.0], pen))
    if least is not None:
        traces.append(stroke([left, right], [least, least], pen))
    return traces


def _key(info: FrontierInfo) -> str:
    """What large, small, grey and upright mean, and which shape is which model; one line."""
    if info.room == "phone":
        return ""
    spaces, band = "\u00a0" * 4, "where the frontier may be (80%)"
    # Letters' signs are all of one size: the frontier's mark is the larger, and its band is broad and pale.
    pale = f'<span style="font-size:17px;color:{fade(theme.inks(info.dark).muted, 0.4)}">■</span>'
    doubt = [f"{pale} {band}"] * bool(info.band) + ["│ 95% interval"]
    if len(info.models) > 1:
        front, shapes = "large: on the frontier", [f"{p.shape.glyph} {p.model}" for p in info.models]
        shapes = shapes[:KEYED] + [f"and {len(shapes) - KEYED} more"] * (len(shapes) > KEYED)
        whole = width(spaces.join([*shapes, front, f"■ {band}", "│ 95% interval"]), KEY)
        return spaces.join([*map(safe, shapes), *([front, *doubt] if whole < info.box.width - TITLE else [])])
    large = '<span style="font-size:15px">●</span> on the frontier'
    return spaces.join([large, *([] if info.room == "narrow" else ["• other budget"]), *doubt])


def _annotation(info: FrontierInfo, label: Label, inks: Inks) -> dict[str, Any]:
    """A placed label as plotly wants it; plotly draws leaders from the mark towards the label's centre."""
    point = info.points[label.point]
    ink = theme.label_colours([point.strategy], dark=info.dark)[point.strategy] if label.name else inks.muted
    more = f'<span style="color:{inks.muted};font-weight:400"> · {safe(label.model)}</span>' if label.model else ""
    # No clear leader where none is wanted: plotly measures each, and the browser lays out the page for it twice.
    place: dict[str, Any] = {"showarrow": False, "xshift": label.dx, "yshift": -label.dy}
    if label.leader:
        # From the edge of the mark, not from its centre.
        place = {"showarrow": True, "ax": label.dx, "ay": label.dy, "standoff": point.radius + 1.5}
        place |= {"arrowhead": 0, "arrowwidth": 0.9, "arrowcolor": fade(inks.muted, 0.75)}
    return place | {
        # A logarithm: annotations on a log axis want one.
        "x": math.log10(info.x_scale.place(point.x)),
        "y": point.y,
        "text": safe(label.text) + more,
        "xanchor": "center",
        "yanchor": "middle",
        "borderpad": 0,
        # A label over a mark may not take its click.
        "captureevents": False,
        "font": {
            "size": SIZE if label.name else SMALL,
            "color": ink,
            "shadow": halo(inks),
            "weight": 650 if label.bold else 500 if label.name else 400,
        },
    }


def caption_sentence(info: FrontierInfo) -> str:
    """Task, model and n, and what is not shown or rests on an assumption."""
    if not info.points:
        return ""
    least, most = info.questions
    lacking = {"usd": "unknown price or accuracy", "wh": "unknown energy or accuracy"}
    questions = fmt.plural(most, "question")
    settings = len({p.condition_id for p in info.points})
    # What the key has no room for.
    shapes, phone = ", ".join(f"{p.shape.glyph} {p.model}" for p in info.models), info.room == "phone"
    simulated = f"{info.simulated} simulated" if info.simulated < settings else "simulated answers"
    if len(info.models) == 1:  # Its name says so.
        simulated = ""
    parts = [
        " and ".join(info.tasks) if len(info.tasks) < 3 else fmt.plural(len(info.tasks), "task"),
        info.models[0].model if len(info.models) == 1 else shapes if len(info.models) > KEYED or phone else "",
        "n = " + (questions if least == most else f"{fmt.count(least)} to {questions}"),
        "the line is the convex hull: what mixing two settings could buy" if info.kind == "hull" else "",
        f"{fmt.count(info.partial)} partial, without verdict" if info.partial else "",
        f"{fmt.count(info.stopped)} stopped early, without interval" if info.stopped else "",
        f"{fmt.plural(info.hidden, 'setting')} not shown: {lacking.get(info.lens.column, 'unknown spend or accuracy')}"
        if info.hidden
        else "",
        simulated if info.simulated else "",
        # Of all of them the axis says so.
        "some prices are assumed" if info.assumed and not info.all_assumed else "",
    ]
    return " · ".join(part for part in parts if part)
