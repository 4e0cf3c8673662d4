"""Two settings side by side, computed: the difference in accuracy with its interval, over all questions and by group.

Every difference is B minus A, as a share; positive means that B is more often right. Owns `ForestInfo`; drawing is
`forest_plot`.

The forest figure, painted from `ForestInfo`: a mark with its interval a row, names left and numbers right of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from dashboard import theme
from dashboard.figures.axes import NARROW, WIDTH, Box
from dashboard.figures.ink import Trace, empty_figure, layout, note, painted
from dashboard.figures.lettering import plain, safe, width
from dashboard.figures.marks import measured
from dashboard.figures.names import Row
from dashboard.theme import Inks, fade
from engine.core import text as fmt

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

__all__ = ["MOST", "NAME", "NUMBER", "ForestInfo", "Line", "Tone", "forest_figure", "forest_info"]


Tone = Literal["settled", "open", "few", "warned"]
"""settled: the interval leaves out 0; few: too few questions to judge; warned: loses more than the rest."""
MOST = 24
"""Groups that are drawn."""
NAME, NUMBER = 13.0, 12.5
"""Font sizes of the columns left and right of the plot."""
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5)


@dataclass(frozen=True, slots=True)
class Line:
    """One row: all questions, or a group of them."""

    name: str
    """Cut to the column; the hover says it in full."""
    value: float
    low: float | None
    high: float | None
    tone: Tone
    said: str
    """The difference and its interval."""
    n: str
    hover: str


@dataclass(frozen=True, slots=True)
class ForestInfo:
    """Everything the forest figure shows; the first line is over all questions."""

    lines: tuple[Line, ...]
    hidden: int
    """Groups left out because there are more than `MOST`."""
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    left: int
    """Pixels for the names."""
    middle: int
    """Pixels for the differences, right of the plot."""
    right: int
    """Pixels for those and n."""
    dark: bool


def forest_info(frame: pl.DataFrame, *, narrow: bool = False, dark: bool = False) -> ForestInfo:
    """`frame`: group, n, accuracy_a, accuracy_b, difference, low, high, enough, warning; all questions first.

    Shares; null ends: no interval. Without a difference over all questions there are no lines."""
    every = frame.to_dicts()
    rows = [row for row in every if row["difference"] is not None] if every and every[0]["n"] else []
    hidden, rows = max(0, len(rows) - 1 - MOST), rows[: MOST + 1]
    inks, room = theme.inks(dark), 130 if narrow else 230
    lines = tuple(_line(row, room, inks.muted, first=not at) for at, row in enumerate(rows))
    low, high = _range([end for line in lines for end in (line.value, line.low, line.high) if end is not None])
    left, middle, right = _columns(lines)
    across = (NARROW if narrow else WIDTH) - left - right
    return ForestInfo(lines, hidden, low, high, _ticks(low, high, across), left, middle, right, dark)


def _line(row: Row, room: int, muted: str, *, first: bool) -> Line:
    name, n = plain(str(row["group"]), 200), int(row["n"])
    hover = (
        f"<b>{safe(plain(name))}</b>",
        measured(row["difference"], row["low"], row["high"], fmt.points, "B minus A", muted),
        f"A {fmt.percent(row['accuracy_a'])}, B {fmt.percent(row['accuracy_b'])}",
        f'<span style="color:{muted}">n = {fmt.plural(n, "question")} · 95% interval</span>',
        *([] if row["enough"] else ["too few questions to say who pays"]),
        *(["loses more than the rest"] if row["warning"] else []),
    )
    said = f"{_bare(row['difference'])} {fmt.interval(row['low'], row['high'], _bare)}".strip()
    return Line(
        _cut(name, room, bold=first),
        float(row["difference"]),
        row["low"],
        row["high"],
        _tone(row),
        said,
        f"n = {fmt.count(n)}",
        "<br>".join(hover),
    )


def _tone(row: Row) -> Tone:
    if row["warning"]:
        return "warned"
    if not row["enough"]:
        return "few"
    return "settled" if row["low"] is not None and not row["low"] <= 0 <= row["high"] else "open"


def _bare(share: float | None) -> str:
    return fmt.points(share).removesuffix(" points")


def _cut(name: str, room: float, *, bold: bool) -> str:
    """The name as far as it fits."""
    if width(name, NAME, bold=bold) <= room:
        return name
    kept = next(n for n in range(len(name), -1, -1) if width(name[:n] + "…", NAME, bold=bold) <= room)
    return name[:kept].rstrip() + "…"


def _columns(lines: Sequence[Line]) -> tuple[int, int, int]:
    names = [width(line.name, NAME, bold=True) for line in lines]
    said = [width(line.said, NUMBER, bold=True) for line in lines]
    counts = [width(line.n, NUMBER) for line in lines]
    left, middle = math.ceil(max(names, default=0)) + 16, math.ceil(max(said, default=0)) + 26
    return left, middle, middle + math.ceil(max(counts, default=0)) + 6


def _range(ends: Sequence[float]) -> tuple[float, float]:
    """From the data, 0 and some room on both sides of it always inside."""
    least, most = min([0.0, *ends]), max([0.0, *ends])
    room = max(0.02, 0.08 * (most - least))
    return max(-1.03, least - room), min(1.03, most + room)


def _ticks(low: float, high: float, across: float) -> tuple[tuple[float, str], ...]:
    most = max(3, int(across / 70))
    step = next((s for s in STEPS if (high - low) / s <= most), STEPS[-1])
    numbers = range(math.ceil(low / step), math.floor(high / step) + 1)
    return tuple(
        (round(n * step, 4), f"{round(n * step * 100):+d}".replace("-", fmt.MINUS) if n else "0") for n in numbers
    )


ROW, HEAD, TAIL = 30, 34, 52
"""Pixels of a row, above the first and below the last."""
GAP = 0.35
"""Rows between the first line and the groups."""


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
    colour = {"settled": inks.primary, "open": inks.primary, "few": inks.muted, "warned": inks.warning}[line.tone]
    hollow = line.tone in ("open", "few")
    bars = {
        "type": "data",
        "symmetric": False,
        "width": 0,
        "thickness": 2.2 if whole else 1.5,
        "color": fade(colour, 0.75),
        "array": [max(0.0, (line.value if line.high is None else line.high) - line.value)],
        "arrayminus": [max(0.0, line.value - (line.value if line.low is None else line.low))],
    }
    marker = {
        "symbol": "diamond" if whole else "circle",
        "size": 13 if whole else 9,
        "opacity": 1,
        "color": inks.background if hollow else colour,
        "line": {"color": colour, "width": 1.6},
    }
    return {
        "type": "scatter",
        "x": [line.value],
        "y": [y],
        "mode": "markers",
        "marker": marker,
        "error_x": bars,
        "hovertext": [line.hover],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "showlegend": False,
        "hoverlabel": {"bordercolor": colour},
        "cliponaxis": False,
    }


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
        "range": [info.low, info.high],
        **ticks,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": inks.axis,
        "tickfont": {"size": 12.5, "color": inks.muted},
        "gridcolor": inks.grid,
        "zeroline": False,
        "showline": True,
        "linecolor": inks.axis,
        "linewidth": 1,
        "tickangle": 0,
        "fixedrange": True,
    }
    up = {"visible": False, "range": [last - 0.65, 0.65], "fixedrange": True}
    margin = {"l": info.left, "r": info.right, "t": HEAD, "b": TAIL}
    return base | {"margin": margin, "xaxis": along, "yaxis": up, "dragmode": False}
