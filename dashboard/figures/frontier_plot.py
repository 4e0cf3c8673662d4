"""The frontier figure, painted from `FrontierInfo`: band, staircase, families, marks, labels, legends. No arithmetic
on data here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dashboard import theme
from dashboard.figures.frontier import FrontierInfo
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
from dashboard.figures.labelling import SIZE, SMALL, Label
from dashboard.figures.legend import legends
from dashboard.figures.lettering import safe
from dashboard.figures.points import SIZES, Point
from dashboard.theme import Inks, fade

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["frontier_figure", "label_annotation", "line_trace"]


def frontier_figure(info: FrontierInfo) -> go.Figure:
    """Draw it; an info without points becomes a figure with one sentence."""
    inks = theme.inks(info.dark)
    if not info.points:
        return empty_figure(_why_empty(info), inks)
    swatches, frames = legends(info.legend, info.box, inks)
    paper = layout(inks, info.box) | frames | {
        "xaxis": spend_axis(info.x_scale, inks), "yaxis": accuracy_axis(info.y_scale, inks),
        "annotations": [*_titles(info, inks), *(label_annotation(info, label, inks) for label in info.labels)],
    }  # fmt: skip
    return painted([*_lines(info, inks), *_marks(info, inks), *swatches], paper)


def _band(band: tuple[tuple[float, float, float], ...], info: FrontierInfo, inks: Inks) -> Trace:
    """The bootstrap band as one outline, run on to the right edge."""
    x = [*(info.x_scale.place(x) for x, _, _ in band), 10 ** (info.x_scale.high + 1)]
    low, high = [*(b for _, b, _ in band), band[-1][1]], [*(t for _, _, t in band), band[-1][2]]
    return _stroke(x + x[::-1], low + high[::-1], {"width": 0}) | {
        "fill": "toself", "fillcolor": fade(inks.line, inks.band)
    }  # fmt: skip


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
        yield _band(info.band, info, inks)
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
    return {
        "x": math.log10(info.x_scale.place(point.x)), "y": point.y, "text": _words(point, label, inks),
        "showarrow": True, "ax": label.dx, "ay": label.dy, "arrowhead": 0, "arrowwidth": 0.9,
        "xanchor": "center", "yanchor": "middle",
        "arrowcolor": fade(inks.muted, 0.75 if label.leader else 0), "borderpad": 0, "captureevents": False,
        "standoff": SIZES[point.tier] * point.shape.factor / 2 + 1.5,
        "font": {"size": SMALL if quiet else SIZE, "color": inks.muted if quiet else inks.text, "shadow": halo(inks)},
    }  # fmt: skip


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
