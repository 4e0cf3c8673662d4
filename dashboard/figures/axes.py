"""What a figure can put on its spend axis: column, unit, words; and the figure's measures in pixels.

Axes: where a value sits on a log axis that knows zero, round ticks, and an accuracy range taken from the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.figures.lettering import width
from dashboard.figures.names import Row
from engine.core import text as fmt

__all__ = [
    "AXES",
    "FOOT",
    "HEIGHT",
    "LEFT",
    "LEGEND_ROW",
    "NARROW",
    "RIGHT",
    "TOP",
    "WIDTH",
    "AccuracyScale",
    "Box",
    "Lens",
    "LogScale",
    "accuracy_scale",
    "box_for",
    "log_scale",
]


WIDTH, NARROW, HEIGHT = 960, 704, 560
LEFT, RIGHT, TOP, FOOT, LEGEND_ROW = 46, 14, 30, 50, 24


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
        return fmt.money_tick if self.money else fmt.number


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


COARSE, FINE = (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0)
TICK_GAP = 22
TINY = 1e-12
"""Spends below this are drawn as zero: a thousandth of the smallest price there is."""

Ticks = tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class LogScale:
    """A log axis. Zero has no logarithm, so it gets a place of its own at the left, with its own tick."""

    low: float
    """Decimal logarithm of the left edge."""
    high: float
    zero: float
    """Where zero and anything below `zero` is drawn."""
    ticks: Ticks

    def place(self, value: float) -> float:
        """The value to hand to plotly for `value`."""
        return max(value, self.zero)

    def fraction(self, value: float) -> float:
        """Position of `value` between the left edge (0) and the right edge (1)."""
        return (math.log10(self.place(value)) - self.low) / (self.high - self.low)


@dataclass(frozen=True, slots=True)
class AccuracyScale:
    """A linear axis of accuracies, in fractions."""

    low: float
    high: float
    ticks: Ticks

    def fraction(self, value: float) -> float:
        """Position of `value` between the bottom (0) and the top (1)."""
        return (value - self.low) / (self.high - self.low)


def log_scale(
    values: Iterable[float], *, tick: Callable[[float], str], pixels: float, edges: Iterable[float] = ()
) -> LogScale:
    """A scale that holds every value (and the ends of intervals, `edges`), with ticks at 1-2-5."""
    seen = [v for v in values if v >= 0]
    positive = [v for v in seen if v > TINY]
    if not positive:
        return LogScale(-0.5, 0.5, 1.0, ((1.0, tick(0.0)),))
    least, most, free = math.log10(min(positive)), math.log10(max(positive)), min(seen) <= TINY
    span = most - least
    zero = 10 ** (least - max(0.35, 0.12 * span)) if free else 0.0
    left = (math.log10(zero) if free else least) - _between(0.10 * span, 0.06, 0.30)
    right = most + _between(0.04 * span, 0.03, 0.12)
    if span == 0:
        left, right = left - 0.3, right + 0.3
    ends = [math.log10(e) for e in edges if e > TINY]
    left, right = min([left, *(e - 0.04 for e in ends if e > left - 0.5)]), max([right, *(e + 0.03 for e in ends)])
    widest = max(width(tick(v), 12.5) for v in (min(positive), max(positive)))
    ticks = _log_ticks(least - 0.05 if free else left, right, max(2, int(pixels / (widest + TICK_GAP))))
    named = tuple((v, tick(v)) for v in ticks)
    return LogScale(left, right, zero or 10 ** (left - 1), (((zero, tick(0.0)),) if free else ()) + named)


def accuracy_scale(values: Sequence[float], edges: Iterable[float] = ()) -> AccuracyScale:
    """A range in steps of ten points taken from the data; never forced to zero, open by a hair where a mark sits on
    its edge, so that an accuracy of 0.0 is seen."""
    if not values:
        return AccuracyScale(0.0, 1.0, _even_ticks(0.0, 1.0))
    every = [*values, *edges]
    low = max(0.0, math.floor(round(min(every) * 10 - 0.05, 6)) / 10)
    high = min(1.0, math.ceil(round(max(every) * 10 + 0.05, 6)) / 10)
    hair = 0.028 * (high - low)
    bottom = -hair if low == 0 and min(values) < hair else low
    top = 1 + hair if high == 1 and max(values) > 1 - hair else high
    return AccuracyScale(bottom, top, _even_ticks(low, high))


def _even_ticks(low: float, high: float) -> Ticks:
    step = 0.1 if high - low > 0.25 else 0.05 if high - low > 0.11 else 0.02
    steps = round((high - low) / step)
    return tuple((round(low + i * step, 4), f"{round((low + i * step) * 100)}%") for i in range(steps + 1))


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    coarse, fine = _decade_ticks(low, high, COARSE), _decade_ticks(low, high, FINE)
    if len(coarse) > most:
        decades = _decade_ticks(low, high, (1.0,))
        return decades[:: math.ceil(len(decades) / most)]
    if len(coarse) >= 3:
        return coarse
    return fine if 3 <= len(fine) <= most else _linear_ticks(10**low, 10**high, min(5, most))


def _decade_ticks(low: float, high: float, mantissas: Sequence[float]) -> list[float]:
    decades = range(math.floor(low), math.ceil(high) + 1)
    every = (float(f"{mantissa}e{decade}") for decade in decades for mantissa in mantissas)
    return [tick for tick in every if low <= math.log10(tick) <= high]


def _linear_ticks(low: float, high: float, most: int) -> list[float]:
    """Multiples of the finest 1-2-5 step that gives no more than `most`; of three there is always one left."""
    power = 10 ** (math.floor(math.log10((high - low) / most)) - 1)
    found = (_multiples(low, high, mantissa * power) for mantissa in (1, 2, 5, 10, 20, 50, 100))
    return next(ticks for ticks in found if len(ticks) <= most)


def _multiples(low: float, high: float, step: float) -> list[float]:
    first, last = math.ceil(low / step), math.floor(high / step)
    return [float(f"{number * step:.6g}") for number in range(first, last + 1)]


def _between(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
