"""Differences in accuracy as bars with their intervals: settings beside a baseline, and one setting group by group.

Every difference is a setting minus the baseline, as a share; positive means that it is more often right. A row has its
name left of the plot, the bar with its interval in it, and the numbers right of it; on a small screen name and numbers
stand above the bar. A faded bar is too close to call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from dashboard import theme
from dashboard.figures.axes import NARROW, PHONE, WIDTH, Box, Room, signed_ticks
from dashboard.figures.ink import Trace, empty_figure, hovering, interval_bars, layout, note, painted
from dashboard.figures.lettering import cut, plain, safe, width
from dashboard.figures.marks import measured, muted_text
from dashboard.figures.names import Row
from dashboard.theme import fade
from engine.core import text as fmt

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

__all__ = ["MOST", "ForestInfo", "Line", "Said", "Tone", "differences_info", "forest_figure", "forest_info"]


Tone = Literal["settled", "open", "few", "warned"]
"""settled: not luck alone; open: too close to call; few: too few questions to judge; warned: loses more than the
rest."""
MOST = 8
"""Groups that are drawn."""
NAME, NUMBER, SMALL = 15.0, 15.0, 13.0
"""Font sizes of the names and numbers, and of what stands under them."""
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5)
ROW, TALL, HEAD, TAIL = 60, 84, 44, 6
"""Pixels of a row, of one with two lines of words over its bar, above the first and below the last."""
THICK = 20
"""Pixels of a bar."""
GAP = 32
"""Pixels before a column."""
WORDED = (0, 1)
"""Columns of settings that begin together: the difference and the verdict; the others are numbers."""
FADED = 0.32
"""Opacity of a bar that is too close to call."""
TAKES = (
    "No setting is compared with the baseline.",
    "The questions fall into one group, or none is shared.",
)
"""What a figure without a line says: of settings, of groups."""


@dataclass(frozen=True, slots=True)
class Said:
    """What stands right of a bar in one column; plain, not escaped."""

    main: str
    under: str = ""
    ink: Literal["text", "right", "warning", "muted"] = "text"
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One row: a setting, or a group of questions."""

    name: str
    """Cut to the column; the hover says it in full."""
    under: str
    """Under the name: the budget, or how many questions."""
    value: float
    low: float | None
    high: float | None
    tone: Tone
    colour: str
    said: tuple[Said, ...]
    """In the columns right of the plot, the difference with its interval first."""
    hover: str


@dataclass(frozen=True, slots=True)
class ForestInfo:
    """Everything the figure shows."""

    lines: tuple[Line, ...]
    heads: tuple[str, ...]
    """Over the names and over each column."""
    hidden: int
    """Groups left out because there are more than `MOST`."""
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    """Above the plot; none where the numbers say it all."""
    left: int
    """Pixels for the names."""
    places: tuple[int, ...]
    """By column the pixels from the plot to its right end."""
    row: int
    """Pixels of a row."""
    stacked: bool
    """Whether names and numbers stand above the bars."""
    tall: bool
    """Of those, whether budget and difference have a line of their own under name and verdict."""
    dark: bool
    empty: str
    """What is said where there is no line."""


def differences_info(
    rows: Sequence[Row],
    heads: Sequence[str],
    columns: Callable[[Row], Sequence[Said]],
    *,
    room: Room = "wide",
    dark: bool = False,
) -> ForestInfo:
    """Settings beside the baseline. `rows`: name, at (its budget), strategy, n, difference, low, high, settled.

    Shares; null ends: no interval; a row without a difference has no line. `heads`: over the names and each column of
    `columns`, whose first is the difference."""
    colours = theme.strategy_colours((str(row["strategy"]) for row in rows), dark=dark)
    inks = theme.inks(dark)
    lines = []
    for row in rows:
        # No question in common, or none scored: a bar of 0 would be a finding.
        if row["difference"] is None:
            continue
        colour, (name, at) = colours[str(row["strategy"])], (plain(str(row[part]), 200) for part in ("name", "at"))
        hover = _hover(f"{name}, {at}", row, (), inks.muted)
        tone: Tone = "settled" if row["settled"] else "open"
        said = tuple(columns(row))
        lines.append(Line(name, at, row["difference"], row["low"], row["high"], tone, colour, said, hover))
    return _placed(lines, tuple(heads), 0, room, dark, ticked=True)


def forest_info(
    frame: pl.DataFrame, colour: str = "", *, room: Room = "wide", dark: bool = False, across: int = WIDTH // 2
) -> ForestInfo:
    """One setting minus the baseline, group by group, its bars in `colour` and its card `across` pixels wide.

    `frame`: group, n, accuracy_a, accuracy_b, difference, low, high, enough, warning. Shares; null ends: no interval.
    """
    rows = [row for row in frame.to_dicts() if row["difference"] is not None]
    inks, hidden = theme.inks(dark), max(0, len(rows) - MOST)
    lines = []
    for row in rows[:MOST]:
        low, high, n = row["low"], row["high"], int(row["n"])
        notes = ([] if row["enough"] else ["too few questions to say who pays"]) + (
            ["loses more than the rest"] if row["warning"] else []
        )
        # Each group by its own interval; the warning, which counts them all, is the analysis'.
        tone: Tone = "settled" if low is not None and not low <= 0 <= high else "open"
        # A group that loses more than the rest is said to, even where it is small.
        tone = "warned" if row["warning"] else tone if row["enough"] else "few"
        paint = {"few": inks.muted, "warned": inks.warning}.get(tone, colour or inks.primary)
        ends = fmt.interval(low, high, partial(fmt.points, n=n))
        said = Said(fmt.points(row["difference"], n).removesuffix(" points"), ends, bold=True)
        name, hover = plain(str(row["group"]), 200), _hover(str(row["group"]), row, notes, inks.muted)
        count = fmt.plural(n, "question")
        lines.append(Line(name, count, float(row["difference"]), low, high, tone, paint, (said,), hover))
    return _placed(lines, ("", ""), hidden, room, dark, across=across)


def _hover(name: str, row: Row, notes: Iterable[str], muted: str) -> str:
    n = int(row["n"])
    before, after = (fmt.accuracy(row.get(side), n) for side in ("accuracy_a", "accuracy_b"))
    parts = [
        f"<b>{safe(plain(name))}</b>",
        measured(row["difference"], row["low"], row["high"], partial(fmt.points, n=n), "", muted),
        *([] if row.get("accuracy_a") is None else [f"baseline {before}, this one {after}"]),
        muted_text(f"n = {fmt.plural(n, 'question')} · 95% interval", muted),
    ]
    return "<br>".join([*parts, *notes])


def _placed(
    lines: Sequence[Line],
    heads: tuple[str, ...],
    hidden: int,
    room: Room,
    dark: bool,
    *,
    ticked: bool = False,
    across: int = WIDTH,
) -> ForestInfo:
    """The lines with names cut to their column, an axis that holds them, columns as wide as their widest text."""
    stacked = (room != "wide" and ticked) or room == "phone"
    # It stands in a card, whose edges a phone feels.
    across = min(across, {"wide": WIDTH, "narrow": NARROW, "phone": PHONE - 56}[room])
    tall = room == "phone" and ticked
    # Above its bar a name shares its line with what stands at the right, and, unless it is tall, with its budget.
    beside = [
        (line.said[1].main,)
        if tall
        else (line.under, line.said[0].main, line.said[0].under, *(f"· {said.main}" for said in line.said[1:2]))
        for line in lines
    ]
    # Never under a few letters, however long the numbers are.
    most = max(60, across - 44 - max((width(" ".join(words), SMALL) for words in beside), default=0))
    most = most if stacked else 0.3 * across
    lines = [replace(line, name=cut(line.name, most, NAME, bold=True)) for line in lines]
    left = math.ceil(
        max((max(width(line.name, NAME, bold=True), width(line.under, SMALL)) for line in lines), default=0)
    )
    places, right = list[int](), 0
    for at in range(len(heads) - 1):
        # A column is as wide as its widest word, head or number.
        words = [width(part, SMALL) for part in heads[at + 1].split("\n")]
        for line in lines:
            main, under = width(line.said[at].main, NUMBER, bold=True), width(line.said[at].under, SMALL)
            words.append(max(main, under) if ticked else main + under + 6)
        right += math.ceil(max(words, default=0)) + GAP
        places.append(right)
    plot = across - (0 if stacked else left + right)
    # From the data; 0 and some room on both sides of it are always inside.
    ends = [0.0, *(end for line in lines for end in (line.value, line.low, line.high) if end is not None)]
    margin = max(0.02, 0.08 * (max(ends) - min(ends)))
    # A little beyond what a difference of shares can be, so that a whole bar is seen whole.
    low, high = max(-1.03, min(ends) - margin), min(1.03, max(ends) + margin)
    step = next((step for step in STEPS if (high - low) / step <= max(3, int(plot / 70))), STEPS[-1])
    if math.floor(high / step) == math.ceil(low / step):
        # Zero alone is no scale.
        step = STEPS[max(0, STEPS.index(step) - 1)]
    ticks = signed_ticks(math.ceil(low / step), math.floor(high / step), step) if ticked else ()
    empty = TAKES[0 if ticked else 1]
    return ForestInfo(
        *(tuple(lines), heads, hidden, low, high, ticks, left + 24, tuple(places), TALL if tall else ROW),
        *(stacked, tall, dark, empty),
    )


def forest_figure(info: ForestInfo) -> go.Figure:
    """Draw it; without a line, a figure with one sentence."""
    inks = theme.inks(info.dark)
    if not info.lines:
        return empty_figure(info.empty, inks, 140)
    # The bar stands in the lower part of a row whose words are above it.
    down = 0.28 if info.tall else 0.22 if info.stacked else 0.0
    levels = [-at - down for at in range(len(info.lines))]
    traces, notes, rules = list[Trace](), list[dict[str, Any]](), list[dict[str, Any]]()
    bar = THICK / (1.35 if info.stacked else 1) / info.row
    for at, (line, level) in enumerate(zip(info.lines, levels, strict=True)):
        # Faded and not dashed: it is told by its interval, and the hue stays the strategy's.
        faint = line.tone in ("open", "few")
        marker = {"color": fade(line.colour, FADED if faint else 0.88), "line": {"width": 0}}
        trace: Trace = {"type": "bar", "orientation": "h", "x": [line.value], "y": [level], "width": bar}
        bars = interval_bars([line.value], [line.low], [line.high], inks.text, 1.8) | {"width": 5 if info.ticks else 0}
        trace |= {"marker": marker, "error_x": bars, "showlegend": False, "cliponaxis": False}
        traces.append(trace | hovering([line.hover], line.colour))
        notes += _words(line, -at, info)
        if at:
            rules += _rule(info, 0.5 - at, inks.grid)
    if any(info.heads):
        rules += _rule(info, 0.5, inks.border)
        notes += _heads(info)
    # The line of no difference.
    upright = {
        "type": "line",
        "layer": "below",
        "line": {"color": inks.axis, "width": 1.4},
        "x0": 0,
        "x1": 0,
        "xref": "x",
    }
    if info.stacked:
        # Beside the bars alone: above them it would strike the words out.
        rules += [upright | {"y0": level - bar, "y1": level + bar, "yref": "y"} for level in levels]
    else:
        rules.append(upright | {"y0": 0, "y1": 1, "yref": "paper"})
    x_axis = {
        "range": [info.low, info.high],
        "tickvals": [value for value, _ in info.ticks],
        "ticktext": [text for _, text in info.ticks],
        "ticks": "",
        "side": "top",
        "tickfont": {"size": SMALL, "color": inks.muted},
        "showgrid": bool(info.ticks),
        "gridcolor": inks.grid,
        "zeroline": False,
        "tickangle": 0,
        "fixedrange": True,
    }
    y_axis = {"visible": False, "range": [0.5 - len(info.lines), 0.5], "fixedrange": True}
    head = (HEAD if not info.stacked else HEAD // 2) if info.ticks else TAIL
    sides = (8, 12) if info.stacked else (info.left, info.places[-1] if info.places else 0)
    paper = layout(inks, Box(0, head + TAIL + info.row * len(info.lines), TAIL))
    paper |= {"margin": {"l": sides[0], "r": sides[1], "t": head, "b": TAIL}, "dragmode": False, "bargap": 0}
    return painted(traces, paper | {"xaxis": x_axis, "yaxis": y_axis, "annotations": notes, "shapes": rules})


def _words(line: Line, level: float, info: ForestInfo) -> list[dict[str, Any]]:
    """The name and the numbers of a row."""
    inks = theme.inks(info.dark)

    def words(text: str, size: float, colour: str, lift: int, **place: Any) -> dict[str, Any]:
        centred = {"yref": "y", "y": level, "yanchor": "middle", "yshift": lift}
        return note(text, font={"size": size, "color": colour}, **centred, **place)

    name = f"<b>{safe(line.name)}</b>"
    dot = f'<span style="color:{line.colour}">●</span> ' if info.ticks else ""
    first = line.said[0]
    if info.stacked:
        # Above the bar: what it is at the left, how much at the right.
        brackets = f"({safe(first.under)})" if first.under and info.ticks else safe(first.under)
        told = f"<b>{safe(first.main)}</b> {brackets}"
        if info.tall:
            verdict = line.said[1]
            return [
                words(f"{dot}{name}", NAME, inks.text, 30, x=0, xanchor="left"),
                words(f"<b>{safe(verdict.main)}</b>", SMALL, _ink(verdict, inks), 30, x=1, xanchor="right"),
                words(safe(line.under), SMALL, inks.muted, 10, x=0, xanchor="left", xshift=19),
                words(told, SMALL, inks.text, 10, x=1, xanchor="right"),
            ]
        under = f' <span style="color:{inks.muted};font-size:{SMALL:g}px">{safe(line.under)}</span>'
        if len(line.said) > 1:
            verdict = line.said[1]
            told += f' · <span style="color:{_ink(verdict, inks)}"><b>{safe(verdict.main)}</b></span>'
        return [
            words(f"{dot}{name}{under}", NAME, inks.text, 16, x=0, xanchor="left"),
            words(told, SMALL, inks.text, 16, x=1, xanchor="right"),
        ]
    below = {"x": 0, "xanchor": "left", "xshift": -info.left + (19 if dot else 0)}
    texts = [words(name, NAME, inks.text, 10, **below), words(safe(line.under), SMALL, inks.muted, -11, **below)]
    if dot:
        texts.append(words(dot, NAME + 3, inks.text, 0, x=0, xanchor="left", xshift=-info.left))
    if not info.ticks:
        aside = f' <span style="color:{inks.muted};font-size:{SMALL:g}px">{safe(first.under)}</span>'
        end = {"x": 1, "xanchor": "right", "xshift": info.places[-1]}
        return [*texts, words(f"<b>{safe(first.main)}</b>{aside}", NUMBER, inks.text, 0, **end)]
    for at, said in enumerate(line.said):
        text = f"<b>{safe(said.main)}</b>" if said.bold else safe(said.main)
        end = _column(info, at)
        texts.append(words(text, NUMBER, _ink(said, inks), 10 if said.under else 0, **end))
        if said.under:
            texts.append(words(safe(said.under), SMALL, inks.muted, -11, **end))
    return texts


def _ink(said: Said, inks: theme.Inks) -> str:
    return {"right": inks.right, "warning": inks.warning, "muted": inks.muted}.get(said.ink, inks.text)


def _column(info: ForestInfo, at: int) -> dict[str, Any]:
    """Where a column right of the plot stands: words begin together, numbers end together."""
    if at in WORDED:
        return {"x": 1, "xanchor": "left", "xshift": (info.places[at - 1] if at else 0) + GAP, "align": "left"}
    return {"x": 1, "xanchor": "right", "xshift": info.places[at], "align": "right"}


def _heads(info: ForestInfo) -> list[dict[str, Any]]:
    """What stands over the columns; on a small screen the ticks alone."""
    if info.stacked:
        return []
    font = {"size": SMALL, "color": theme.inks(info.dark).muted}
    level = {"y": 1, "yanchor": "bottom", "yshift": 3, "font": font}
    name, *columns = info.heads
    texts = [note(safe(name), x=0, xanchor="left", xshift=-info.left, **level)]
    for at, head in enumerate(columns):
        texts.append(note(safe(head).replace("\n", "<br>"), **level | _column(info, at)))
    return texts


def _rule(info: ForestInfo, level: float, colour: str) -> list[dict[str, Any]]:
    """A line across names, plot and numbers."""
    pen = {"type": "line", "layer": "below", "line": {"color": colour, "width": 1}}
    across = pen | {"y0": level, "y1": level, "yref": "y", "xref": "paper"}
    right = info.places[-1] if info.places else 0
    aside = [] if info.stacked else [(0, -info.left, 0), (1, 0, right)]
    # Outside the plot only pixels count.
    ends = [across | {"xsizemode": "pixel", "xanchor": at, "x0": first, "x1": last} for at, first, last in aside]
    return [across | {"x0": 0, "x1": 1}, *ends]
