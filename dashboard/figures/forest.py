"""Two settings side by side: the difference in accuracy with its interval, over all questions and by group.

Every difference is B minus A, as a share; positive means that B is more often right. A row has its name left of the
plot, the mark with its interval in it, the numbers right of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from dashboard import theme
from dashboard.figures.axes import NARROW, WIDTH, Box, signed_ticks
from dashboard.figures.ink import Trace, empty_figure, hovering, interval_bars, layout, note, painted, spend_title
from dashboard.figures.lettering import plain, safe, width
from dashboard.figures.marks import measured, muted_text
from dashboard.figures.names import Row
from dashboard.theme import fade
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
ROW, HEAD, TAIL = 30, 34, 52
"""Pixels of a row, above the first and below the last."""
GAP = 0.35
"""Rows between the first line and the groups."""


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
    # The first row is over all questions and is none of the groups.
    hidden, rows = max(0, len(rows) - 1 - MOST), rows[: MOST + 1]
    inks, room = theme.inks(dark), 130 if narrow else 230
    lines = tuple(_line(row, room, inks.muted, first=not at) for at, row in enumerate(rows))
    # Each column is as wide as its widest text, all measured in bold as the first row is; the plot has what is left.
    left = math.ceil(max((width(line.name, NAME, bold=True) for line in lines), default=0)) + 16
    middle = math.ceil(max((width(line.said, NUMBER, bold=True) for line in lines), default=0)) + 26
    right = middle + math.ceil(max((width(line.n, NUMBER) for line in lines), default=0)) + 6
    across = (NARROW if narrow else WIDTH) - left - right
    # From the data; 0 and some room on both sides of it are always inside.
    ends = [0.0, *(end for line in lines for end in (line.value, line.low, line.high) if end is not None)]
    margin = max(0.02, 0.08 * (max(ends) - min(ends)))
    low, high = max(-1.03, min(ends) - margin), min(1.03, max(ends) + margin)
    step = next((step for step in STEPS if (high - low) / step <= max(3, int(across / 70))), STEPS[-1])
    ticks = signed_ticks(math.ceil(low / step), math.floor(high / step), step)
    return ForestInfo(lines, hidden, low, high, ticks, left, middle, right, dark)


def _line(row: Row, room: int, muted: str, *, first: bool) -> Line:
    full, n, low, high = plain(str(row["group"]), 200), int(row["n"]), row["low"], row["high"]
    count = f"n = {fmt.plural(n, 'question')} · 95% interval"
    hover = (
        f"<b>{safe(plain(full))}</b>",
        measured(row["difference"], low, high, fmt.points, "B minus A", muted),
        f"A {fmt.percent(row['accuracy_a'])}, B {fmt.percent(row['accuracy_b'])}",
        muted_text(count, muted),
        *([] if row["enough"] else ["too few questions to say who pays"]),
        *(["loses more than the rest"] if row["warning"] else []),
    )
    name = full
    if width(full, NAME, bold=first) > room:
        # Letters differ in width, so the cut is found by measuring, from the longest on.
        cuts = (full[:end] + "…" for end in range(len(full), -1, -1))
        name = next(cut for cut in cuts if width(cut, NAME, bold=first) <= room)[:-1].rstrip() + "…"
    tone: Tone = "settled" if low is not None and not low <= 0 <= high else "open"
    # A group that loses more than the rest is said to, even where it is small.
    tone = "warned" if row["warning"] else tone if row["enough"] else "few"
    # Without the unit, which the axis says.
    words = f"{fmt.points(row['difference']).removesuffix(' points')} {fmt.interval(low, high, fmt.points)}".strip()
    return Line(name, float(row["difference"]), low, high, tone, words, f"n = {fmt.count(n)}", "<br>".join(hover))


def forest_figure(info: ForestInfo) -> go.Figure:
    """Draw it; without a line, a figure with one sentence."""
    inks = theme.inks(info.dark)
    if not info.lines:
        return empty_figure("The two settings share no scored question.", inks, 140)
    faint = {"size": NUMBER, "color": inks.muted}
    traces, texts = list[Trace](), list[dict[str, Any]]()
    # Rows go down, the groups some way below the first.
    levels = [-(at + (GAP if at else 0.0)) for at in range(len(info.lines))]
    for line, level in zip(info.lines, levels, strict=True):
        whole, few = level == levels[0], line.tone == "few"
        colour = {"few": inks.muted, "warned": inks.warning}.get(line.tone, inks.primary)
        marker = {
            "symbol": "diamond" if whole else "circle",
            "size": 13 if whole else 9,
            "opacity": 1,
            "color": inks.background if few or line.tone == "open" else colour,
            "line": {"color": colour, "width": 1.6},
        }
        bars = interval_bars([line.value], [line.low], [line.high], fade(colour, 0.75), 2.2 if whole else 1.5)
        mark: Trace = {"type": "scatter", "x": [line.value], "y": [level], "mode": "markers", "marker": marker}
        mark |= {"error_x": bars, "showlegend": False, "cliponaxis": False}
        traces.append(mark | hovering([line.hover], colour))
        name, words = (f"<b>{safe(text)}</b>" if whole else safe(text) for text in (line.name, line.said))
        place, strong = {"yref": "y", "y": level, "yanchor": "middle"}, {"color": inks.muted if few else inks.text}
        texts += [
            note(name, x=0, xanchor="right", xshift=-10, font=strong | {"size": NAME}, **place),
            note(words, x=1, xanchor="left", xshift=12, font=strong | {"size": NUMBER}, **place),
            note(safe(line.n), x=1, xanchor="left", xshift=info.middle, font=faint, **place),
        ]
    sides = {"xref": "x", "x": 0, "y": 1, "yanchor": "bottom", "yshift": 8, "font": {"size": 12, "color": inks.muted}}
    notes = [
        note("← A better", xanchor="right", xshift=-8, **sides),
        note("B better →", xanchor="left", xshift=8, **sides),
        *texts,
        spend_title("<b>Difference in accuracy, B minus A</b>, percentage points", inks),
    ]
    # The line of no difference, and one under the first row.
    upright = {"x0": 0, "x1": 0, "xref": "x", "y0": 0, "y1": 1, "yref": "paper"}
    rules = [{"type": "line", "layer": "below", "line": {"color": inks.line, "width": 1.2}} | upright]
    if len(levels) > 1:
        level = (levels[0] + levels[1]) / 2
        across = {"x0": 0, "x1": 1, "xref": "paper", "y0": level, "y1": level, "yref": "y"}
        rules.append({"type": "line", "layer": "below", "line": {"color": inks.grid, "width": 1}} | across)
    x_axis = {
        "range": [info.low, info.high],
        "tickvals": [value for value, _ in info.ticks],
        "ticktext": [text for _, text in info.ticks],
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
    # Room for half a row and the gap at both ends.
    y_axis = {"visible": False, "range": [levels[-1] - 0.65, 0.65], "fixedrange": True}
    paper = layout(inks, Box(0, round(HEAD + TAIL + ROW * (1.3 - levels[-1])), TAIL))
    paper |= {"margin": {"l": info.left, "r": info.right, "t": HEAD, "b": TAIL}, "dragmode": False}
    return painted(traces, paper | {"xaxis": x_axis, "yaxis": y_axis, "annotations": notes, "shapes": rules})
