"""Painting that every figure shares: paper, axes, grid, hover box, halo; knows plotly and the theme, no data.

Traces and layouts are plain dicts until `painted` makes the figure: plotly checks every property each time a figure
is changed, which costs many times what building it at once does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import plotly.graph_objects as go

from dashboard.figures.axes import LEFT, RIGHT, TOP, AccuracyScale, Box, LogScale
from dashboard.figures.lettering import safe
from dashboard.figures.marks import SIZES, SLASH, Point, Tier
from dashboard.theme import FONT, Inks, blend, fade

CONFIG: dict[str, Any] = {"displayModeBar": False, "scrollZoom": False, "showTips": False, "doubleClick": "reset"}
"""Plotly's `config`: no mode bar, no zoom by wheel, double click resets."""
STROKES: dict[Tier, tuple[float, float]] = {
    "likely": (1.5, 0.8),
    "possible": (1.1, 0.5),
    "unlikely": (1.0, 0.35),
    "partial": (1.0, 0.35),
}
"""Width and opacity of interval bars."""
TIERS: tuple[Tier, ...] = ("partial", "unlikely", "possible", "likely")
"""In drawing order, the likely ones on top."""
Trace = dict[str, Any]
"""A trace as plotly.js knows it, `type` included."""
CROWD = 1000
"""From so many marks on they are drawn with WebGL, without interval bars."""

__all__ = [
    "CONFIG",
    "CROWD",
    "TIERS",
    "Trace",
    "accuracy_axis",
    "empty_figure",
    "halo",
    "layout",
    "marks",
    "note",
    "painted",
    "slashes",
    "spend_axis",
]


def painted(traces: Iterable[Trace], paper: dict[str, Any]) -> go.Figure:
    """The figure, made and checked in one go."""
    return go.Figure(data=list(traces), layout=paper)


def layout(inks: Inks, box: Box) -> dict[str, Any]:
    """Paper, font, margins, hover and drag behaviour."""
    return {
        "paper_bgcolor": inks.background,
        "plot_bgcolor": inks.background,
        "height": box.height,
        "autosize": True,
        "font": {"family": FONT, "size": 12.5, "color": inks.text},
        "dragmode": "pan",
        "hovermode": "closest",
        "margin": {"l": LEFT, "r": RIGHT, "t": TOP, "b": box.bottom},
        "hoverdistance": 24,
        "clickmode": "event+select",
        "hoverlabel": {
            "bgcolor": inks.background,
            "align": "left",
            "namelength": 0,
            "font": {"family": FONT, "size": 13, "color": inks.text},
        },
    }


def spend_axis(scale: LogScale, inks: Inks) -> dict[str, Any]:
    """A log axis with a line, ticks outside and no grid."""
    return {
        "type": "log",
        "range": [scale.low, scale.high],
        "tickvals": [v for v, _ in scale.ticks],
        "ticktext": [safe(t) for _, t in scale.ticks],
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": inks.axis,
        "tickfont": {"size": 12.5, "color": inks.muted},
        "showgrid": False,
        "zeroline": False,
        "showline": True,
        "linecolor": inks.axis,
        "linewidth": 1,
        "tickangle": 0,
    }


def accuracy_axis(scale: AccuracyScale, inks: Inks) -> dict[str, Any]:
    """A linear axis with a light grid and neither line nor ticks; pans sideways only."""
    return {
        "range": [scale.low, scale.high],
        "tickvals": [v for v, _ in scale.ticks],
        "ticktext": [t for _, t in scale.ticks],
        "tickfont": {"size": 12.5, "color": inks.muted},
        "showline": False,
        "ticks": "",
        "gridcolor": inks.grid,
        "gridwidth": 1,
        "zeroline": False,
        "fixedrange": True,
    }


def note(text: str, **place: Any) -> dict[str, Any]:
    """An annotation without an arrow, tied to the plot area's corners; `text` is already safe."""
    return {"text": text, "showarrow": False, "xref": "paper", "yref": "paper", "align": "left"} | place


def halo(inks: Inks) -> str:
    """A glow in the background colour that keeps letters legible over lines."""
    return ", ".join(f"0 0 {px}px {inks.background}" for px in (2, 3, 4, 4))


def marks(points: Sequence[Point], tier: Tier, scale: LogScale, inks: Inks, *, crowded: bool = False) -> Trace:
    """The marks of one strategy and tier with their interval bars; `customdata` leads back to the cell."""
    bars = {"error_x": _spend_bars(points, tier, scale), "error_y": _accuracy_bars(points, tier), "cliponaxis": False}
    return {
        "type": "scattergl" if crowded else "scatter",
        "x": [scale.place(p.x) for p in points],
        "y": [p.y for p in points],
        "mode": "markers",
        "marker": _marker(points, tier, inks),
        "customdata": [[p.condition_id, p.budget] for p in points],
        "hovertext": [p.hover for p in points],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "hoverlabel": {"bordercolor": points[0].colour},
        "showlegend": False,
        "selected": {"marker": {"opacity": 1}},
        "unselected": {"marker": {"opacity": 0.55}},
        **({} if crowded else bars),
    }


def slashes(points: Iterable[Point], scale: LogScale, inks: Inks) -> Iterator[Trace]:
    """A stroke through each mark much of which the budget cut off; nothing where there is none."""
    cut = [point for point in points if point.cut]
    pen = {"symbol": "line-ne-open", "size": SLASH, "color": inks.text, "line": {"width": 1.4, "color": inks.text}}
    if cut:
        yield {
            "type": "scatter",
            "x": [scale.place(p.x) for p in cut],
            "y": [p.y for p in cut],
            "mode": "markers",
            "marker": pen | {"opacity": 1},
            "hoverinfo": "skip",
            "showlegend": False,
            "cliponaxis": False,
            "unselected": {"marker": {"opacity": 1}},
        }


def empty_figure(sentence: str, inks: Inks, height: int = 220) -> go.Figure:
    """A figure that says why it is empty."""
    hidden = {"visible": False, "range": [0, 1], "fixedrange": True}
    centre = {"x": 0.5, "y": 0.5, "xanchor": "center", "yanchor": "middle"}
    words = note(safe(sentence), font={"size": 14, "color": inks.muted}, **centre)
    paper = layout(inks, Box(960, height, 30))
    return painted([], paper | {"xaxis": hidden, "yaxis": hidden, "annotations": [words], "dragmode": False})


def _marker(points: Sequence[Point], tier: Tier, inks: Inks) -> dict[str, Any]:
    colour, size = points[0].colour, SIZES[tier]
    fill, outline, stroke = {
        "likely": (colour, inks.background, 1.5),
        "possible": (blend(colour, inks.background, 0.45), colour, 1.6),
        "unlikely": (inks.background, colour, 1.6),
        "partial": (colour, colour, 1.2),
    }[tier]
    ending = "-open-dot" if tier == "partial" else ""
    return {
        "symbol": [p.shape.symbol + ending for p in points],
        "size": [round(size * p.shape.factor, 2) for p in points],
        "color": fill,
        "line": {"color": outline, "width": stroke},
        "opacity": 1,
    }


def _spend_bars(points: Sequence[Point], tier: Tier, scale: LogScale) -> dict[str, Any]:
    high = [0.0 if p.x_high is None else max(0.0, scale.place(p.x_high) - scale.place(p.x)) for p in points]
    low = [0.0 if p.x_low is None else max(0.0, scale.place(p.x) - scale.place(p.x_low)) for p in points]
    return _bars(high, low, points[0].colour, tier)


def _accuracy_bars(points: Sequence[Point], tier: Tier) -> dict[str, Any]:
    high = [0.0 if p.y_high is None else max(0.0, p.y_high - p.y) for p in points]
    low = [0.0 if p.y_low is None else max(0.0, p.y - p.y_low) for p in points]
    return _bars(high, low, points[0].colour, tier)


def _bars(high: list[float], low: list[float], colour: str, tier: Tier) -> dict[str, Any]:
    thick, opacity = STROKES[tier]
    return {
        "type": "data",
        "symmetric": False,
        "array": high,
        "arrayminus": low,
        "width": 0,
        "thickness": thick,
        "color": fade(colour, opacity),
    }
