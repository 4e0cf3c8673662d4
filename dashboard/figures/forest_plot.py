"""The forest figure, painted from `ForestInfo`: a mark with its interval a row, names left and numbers right of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dashboard import theme
from dashboard.figures.axes import Box
from dashboard.figures.forest import NAME, NUMBER, ForestInfo, Line
from dashboard.figures.ink import Trace, empty_figure, layout, note, painted
from dashboard.figures.lettering import safe
from dashboard.theme import Inks, fade

if TYPE_CHECKING:
    import plotly.graph_objects as go

ROW, HEAD, TAIL = 30, 34, 52
"""Pixels of a row, above the first and below the last."""
GAP = 0.35
"""Rows between the first line and the groups."""

__all__ = ["forest_figure"]


def forest_figure(info: ForestInfo) -> go.Figure:
    """Draw it; without a line, a figure with one sentence."""
    inks = theme.inks(info.dark)
    if not info.lines:
        return empty_figure("The two settings share no scored question.", inks, 140)
    traces = [_mark(line, _place(at), inks, whole=not at) for at, line in enumerate(info.lines)]
    notes = [*_sides(inks), *_texts(info, inks), _title(inks)]
    return painted(traces, _paper(info, inks) | {"annotations": notes, "shapes": list(_rules(info, inks))})


def _place(at: int) -> float:
    """Rows go down."""
    return -(at + (GAP if at else 0.0))


def _mark(line: Line, y: float, inks: Inks, *, whole: bool) -> Trace:
    colour = {"settled": inks.primary, "open": inks.primary, "few": inks.muted, "warned": inks.hues[4]}[line.tone]
    hollow = line.tone in ("open", "few")
    bars = {
        "type": "data", "symmetric": False, "width": 0, "thickness": 2.2 if whole else 1.5, "color": fade(colour, 0.75),
        "array": [max(0.0, (line.value if line.high is None else line.high) - line.value)],
        "arrayminus": [max(0.0, line.value - (line.value if line.low is None else line.low))],
    }  # fmt: skip
    marker = {
        "symbol": "diamond" if whole else "circle", "size": 13 if whole else 9, "opacity": 1,
        "color": inks.background if hollow else colour, "line": {"color": colour, "width": 1.6},
    }  # fmt: skip
    return {
        "type": "scatter", "x": [line.value], "y": [y], "mode": "markers", "marker": marker, "error_x": bars,
        "hovertext": [line.hover], "hovertemplate": "%{hovertext}<extra></extra>", "showlegend": False,
        "hoverlabel": {"bordercolor": colour}, "cliponaxis": False,
    }  # fmt: skip


def _sides(inks: Inks) -> Iterator[dict[str, Any]]:
    """Which side of zero speaks for whom."""
    font = {"size": 12, "color": inks.muted}
    for text, anchor, shift in (("← A better", "right", -8), ("B better →", "left", 8)):
        place = {"xref": "x", "x": 0, "y": 1, "xanchor": anchor, "yanchor": "bottom", "xshift": shift, "yshift": 8}
        yield note(text, font=font, **place)


def _texts(info: ForestInfo, inks: Inks) -> Iterator[dict[str, Any]]:
    for at, line in enumerate(info.lines):
        place = {"yref": "y", "y": _place(at), "yanchor": "middle"}
        quiet = line.tone == "few"
        name = safe(line.name) if at else f"<b>{safe(line.name)}</b>"
        said = safe(line.said) if at else f"<b>{safe(line.said)}</b>"
        strong = {"size": NAME, "color": inks.muted if quiet else inks.text}
        yield note(name, x=0, xanchor="right", xshift=-10, font=strong, **place)
        yield note(said, x=1, xanchor="left", xshift=12, font=strong | {"size": NUMBER}, **place)
        faint = {"size": NUMBER, "color": inks.muted}
        yield note(safe(line.n), x=1, xanchor="left", xshift=info.middle, font=faint, **place)


def _title(inks: Inks) -> dict[str, Any]:
    words = "<b>Difference in accuracy, B minus A</b>, percentage points"
    font = {"size": 13, "color": inks.text}
    return note(words, x=1, y=0, xanchor="right", yanchor="top", yshift=-23, font=font)


def _rules(info: ForestInfo, inks: Inks) -> Iterator[dict[str, Any]]:
    """The line of no difference, and one under the first row."""
    upright = {"x0": 0, "x1": 0, "xref": "x", "y0": 0, "y1": 1, "yref": "paper"}
    yield {"type": "line", "layer": "below", "line": {"color": inks.line, "width": 1.2}, **upright}
    if len(info.lines) > 1:
        level = (_place(0) + _place(1)) / 2
        across = {"x0": 0, "x1": 1, "xref": "paper", "y0": level, "y1": level, "yref": "y"}
        yield {"type": "line", "layer": "below", "line": {"color": inks.grid, "width": 1}, **across}


def _paper(info: ForestInfo, inks: Inks) -> dict[str, Any]:
    last = _place(len(info.lines) - 1)
    height = round(HEAD + TAIL + ROW * (1.3 - last))
    base = layout(inks, Box(0, height, TAIL))
    ticks = {"tickvals": [value for value, _ in info.ticks], "ticktext": [text for _, text in info.ticks]}
    along = {
        "range": [info.low, info.high], **ticks, "ticks": "outside", "ticklen": 4, "tickcolor": inks.axis,
        "tickfont": {"size": 12.5, "color": inks.muted}, "gridcolor": inks.grid, "zeroline": False, "showline": True,
        "linecolor": inks.axis, "linewidth": 1, "tickangle": 0, "fixedrange": True,
    }  # fmt: skip
    up = {"visible": False, "range": [last - 0.65, 0.65], "fixedrange": True}
    margin = {"l": info.left, "r": info.right, "t": HEAD, "b": TAIL}
    return base | {"margin": margin, "xaxis": along, "yaxis": up, "dragmode": False}
