"""Painting that every figure shares: paper, axes, lines, interval bars, titles; knows plotly and the theme, no data.

Traces and layouts are plain dicts until `painted` makes the figure: plotly checks every property each time a figure
is changed, which costs many times what building it at once does.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import plotly.graph_objects as go

from dashboard.figures.axes import LEFT, RIGHT, TOP, AccuracyScale, Box, LogScale
from dashboard.figures.lettering import safe
from dashboard.theme import FONT, Inks

__all__ = [
    "CONFIG",
    "SELECTABLE",
    "SILENT",
    "Trace",
    "accuracy_axis",
    "empty_figure",
    "halo",
    "hovering",
    "interval_bars",
    "layout",
    "note",
    "painted",
    "spend_axis",
    "spend_title",
    "stroke",
]

CONFIG: dict[str, Any] = {"displayModeBar": False, "scrollZoom": False, "showTips": False, "doubleClick": "reset"}
"""Plotly's `config`: no mode bar, no zoom by wheel, double click resets."""
Trace = dict[str, Any]
"""A trace as plotly.js knows it, `type` included."""
SILENT: Trace = {"hoverinfo": "skip", "showlegend": False}
"""Of traces that only show something: no hover, no place in a legend."""
SELECTABLE: Trace = {"selected": {"marker": {"opacity": 1}}, "unselected": {"marker": {"opacity": 0.55}}}
"""Of marks that lead to a cell: a click pales the others."""


def painted(traces: Iterable[Trace], paper: dict[str, Any]) -> go.Figure:
    """The figure, made and checked in one go."""
    # Not add_trace() and update_layout(): each of them checks the whole of what it is given once more.
    return go.Figure(data=list(traces), layout=paper)


def layout(inks: Inks, box: Box) -> dict[str, Any]:
    """Paper, font, margins, hover and drag behaviour."""
    hover_font = {"family": FONT, "size": 13, "color": inks.text}
    return {
        "paper_bgcolor": inks.background,
        "plot_bgcolor": inks.background,
        "height": box.height,
        # As wide as its column; widths of boxes are only what legends and labels are laid out for.
        "autosize": True,
        "font": {"family": FONT, "size": 12.5, "color": inks.text},
        "dragmode": "pan",
        "hovermode": "closest",
        "margin": {"l": LEFT, "r": RIGHT, "t": TOP, "b": box.bottom},
        "hoverdistance": 24,
        # A click selects the mark, which is how it reaches the page.
        "clickmode": "event+select",
        "hoverlabel": {"bgcolor": inks.background, "align": "left", "namelength": 0, "font": hover_font},
    }


def spend_axis(scale: LogScale, inks: Inks) -> dict[str, Any]:
    """A log axis with a line, ticks outside and no grid."""
    return {
        "type": "log",
        "range": [scale.low, scale.high],
        "tickvals": [value for value, _ in scale.ticks],
        "ticktext": [safe(text) for _, text in scale.ticks],
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": inks.axis,
        "tickfont": {"size": 12.5, "color": inks.muted},
        "showgrid": False,
        "zeroline": False,
        "showline": True,
        "linecolor": inks.axis,
        "linewidth": 1,
        # Plotly turns long tick texts by itself; the ticks were chosen so that level ones have room.
        "tickangle": 0,
    }


def accuracy_axis(scale: AccuracyScale, inks: Inks) -> dict[str, Any]:
    """A linear axis with a light grid and neither line nor ticks; pans sideways only."""
    return {
        "range": [scale.low, scale.high],
        "tickvals": [value for value, _ in scale.ticks],
        "ticktext": [text for _, text in scale.ticks],
        "tickfont": {"size": 12.5, "color": inks.muted},
        "showline": False,
        "ticks": "",
        "gridcolor": inks.grid,
        "gridwidth": 1,
        "zeroline": False,
        "fixedrange": True,
    }


def stroke(x: Iterable[float], y: Iterable[float], pen: dict[str, Any], **style: Any) -> Trace:
    """A line that answers neither pointer nor legend."""
    return {"type": "scatter", "x": list(x), "y": list(y), "mode": "lines", "line": pen} | SILENT | style


def interval_bars(
    values: Sequence[float], lows: Iterable[float | None], highs: Iterable[float | None], colour: str, thick: float
) -> dict[str, Any]:
    """Error bars from the ends of intervals; a bar whose end is not known has no length."""
    # Plotly draws a negative length on the other side: an end on the wrong side of its value is no bar either.
    above = [0.0 if high is None else max(0.0, high - v) for v, high in zip(values, highs, strict=True)]
    below = [0.0 if low is None else max(0.0, v - low) for v, low in zip(values, lows, strict=True)]
    bars = {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "width": 0}
    return bars | {"thickness": thick, "color": colour}


def hovering(texts: Sequence[str], colour: str) -> Trace:
    """What marks say when pointed at, in a box with an edge of this colour; the texts are already safe."""
    # <extra></extra> leaves out plotly's own second box with the name of the trace.
    template = "%{hovertext}<extra></extra>"
    return {"hovertext": texts, "hovertemplate": template, "hoverlabel": {"bordercolor": colour}}


def note(text: str, **place: Any) -> dict[str, Any]:
    """An annotation without an arrow, tied to the plot area's corners; `text` is already safe."""
    return {"text": text, "showarrow": False, "xref": "paper", "yref": "paper", "align": "left"} | place


def spend_title(words: str, inks: Inks) -> dict[str, Any]:
    """The title of the axis below, at its right end under the tick texts."""
    font = {"size": 13, "color": inks.text}
    return note(words, x=1, y=0, xanchor="right", yanchor="top", yshift=-23, font=font)


def halo(inks: Inks) -> str:
    """A glow in the background colour that keeps letters legible over lines."""
    # As CSS text-shadow; the fourth, equal to the third, only makes the glow denser.
    return ", ".join(f"0 0 {px}px {inks.background}" for px in (2, 3, 4, 4))


def empty_figure(sentence: str, inks: Inks, height: int = 220) -> go.Figure:
    """A figure that says why it is empty."""
    # Fixed, or the sentence could be panned out of sight.
    hidden = {"visible": False, "range": [0, 1], "fixedrange": True}
    centre = {"x": 0.5, "y": 0.5, "xanchor": "center", "yanchor": "middle"}
    # Plotly breaks no line, and a phone has room for so many letters.
    lines = "<br>".join(safe(line) for line in textwrap.wrap(sentence, 46))
    words = note(lines, font={"size": 14, "color": inks.muted}, **centre)
    paper = layout(inks, Box(960, height, 30))
    return painted([], paper | {"xaxis": hidden, "yaxis": hidden, "annotations": [words], "dragmode": False})
