"""Two settings side by side, computed: the difference in accuracy with its interval, over all questions and by group.

Every difference is B minus A, as a share; positive means that B is more often right. Owns `ForestInfo`; drawing is
`forest_plot`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dashboard import format as fmt
from dashboard import theme
from dashboard.figures.axes import NARROW, WIDTH
from dashboard.figures.hover import measured
from dashboard.figures.lettering import plain, safe, width
from dashboard.figures.names import Row

if TYPE_CHECKING:
    import polars as pl

Tone = Literal["settled", "open", "few", "warned"]
"""settled: the interval leaves out 0; few: too few questions to judge; warned: loses more than the rest."""
MOST = 24
"""Groups that are drawn."""
NAME, NUMBER = 13.0, 12.5
"""Font sizes of the columns left and right of the plot."""
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5)

__all__ = ["MOST", "NAME", "NUMBER", "ForestInfo", "Line", "Tone", "forest_info"]


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
    return Line(_cut(name, room, bold=first), float(row["difference"]), row["low"], row["high"], _tone(row), said,
                f"n = {fmt.count(n)}", "<br>".join(hover))  # fmt: skip


def _tone(row: Row) -> Tone:
    if row["warning"]:
        return "warned"
    if not row["enough"]:
        return "few"
    return "settled" if row["low"] is not None and not row["low"] <= 0 <= row["high"] else "open"


def _bare(share: float | None) -> str:
    return "0.0" if share is not None and abs(share) < 0.0005 else fmt.points(share).partition(fmt.THIN)[0]


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
    return tuple((round(n * step, 4), f"{round(n * step * 100):+d}".replace("-", fmt.MINUS) if n else "0")
                 for n in numbers)  # fmt: skip
