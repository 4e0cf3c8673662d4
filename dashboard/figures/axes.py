"""What a figure can put on its spend axis: column, unit, words; and the figure's measures in pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dashboard import format as fmt
from dashboard.figures.names import Row

WIDTH, NARROW, HEIGHT = 960, 704, 560
LEFT, RIGHT, TOP, FOOT, LEGEND_ROW = 46, 14, 30, 50, 24

__all__ = [
    "AXES", "FOOT", "HEIGHT", "LEFT", "LEGEND_ROW", "NARROW", "RIGHT", "TOP", "WIDTH", "Box", "Lens", "box_for",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lens:
    """One spend axis: a column of the cells frame and how it is said."""

    column: str
    title: str
    """Axis title."""
    per: str
    """What a value is counted in, after the number: `tokens per question`."""
    scale: float = 1.0
    """Shown value over the frame's mean per question."""
    money: bool = False
    said: str = ""
    """What the values rest on, after the title; not escaped."""

    def value(self, row: Row, suffix: str = "") -> float | None:
        """The shown value of a cell (`suffix` "_low" and "_high" for its interval); None: not known."""
        found: Any = row.get(self.column + suffix)
        return None if found is None else float(found) * self.scale

    @property
    def form(self) -> Callable[[float | None], str]:
        """Writes a value: three significant digits."""
        return fmt.money if self.money else fmt.number

    @property
    def tick(self) -> Callable[[float], str]:
        """Writes a tick."""
        return fmt.money_tick if self.money else fmt.number_tick


AXES: dict[str, Lens] = {
    "usd": Lens("usd", "Cost per 1,000 questions", "per 1,000 questions", 1000.0, True),
    "total_tokens": Lens("total_tokens", "Tokens per question", "tokens per question"),
    "output_tokens": Lens("output_tokens", "Output tokens per question", "output tokens per question"),
    "input_tokens": Lens("input_tokens", "Input tokens per question", "input tokens per question"),
    "reasoning_tokens": Lens("reasoning_tokens", "Reasoning tokens per question", "reasoning tokens per question"),
    "calls": Lens("calls", "Calls per question", "calls per question"),
    "wh": Lens("wh", "Energy, Wh per 1,000 questions", "Wh per 1,000 questions", 1000.0),
    "latency_ms": Lens("latency_ms", "Seconds per question, as measured", "s per question", 0.001),
}
"""By column of the cells frame."""


@dataclass(frozen=True, slots=True)
class Box:
    """A figure in pixels; `bottom` is the margin that holds axis title and legends."""

    width: int
    height: int
    bottom: int

    @property
    def plot(self) -> tuple[int, int]:
        """Width and height of the plot area."""
        return self.width - LEFT - RIGHT, self.height - TOP - self.bottom


def box_for(width: int, legend_rows: int, height: int = HEIGHT) -> Box:
    """The box of a figure with so many legend rows."""
    return Box(width, height, FOOT + LEGEND_ROW * legend_rows)
