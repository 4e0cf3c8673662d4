"""Axes: what can stand on a spend axis, where a value sits on a log axis that knows zero, ticks; measures in pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from dashboard.figures.lettering import width
from dashboard.figures.names import Row
from engine.core import text as fmt

__all__ = [
    "AXES",
    "FOOT",
    "HEIGHT",
    "LEFT",
    "NARROW",
    "RIGHT",
    "TOP",
    "WIDTH",
    "AccuracyScale",
    "Box",
    "Lens",
    "LogScale",
    "Ticks",
    "accuracy_scale",
    "box_for",
    "log_scale",
    "signed_ticks",
]

# What is laid out, not what is drawn: figures stretch to their column, on a wide window and on one of 768 pixels.
WIDTH, NARROW, PHONE = 960, 704, 352
HEIGHT, LOW = 520, 470
LEFT, RIGHT, TOP, FOOT = 46, 14, 34, 46


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
        mean: Any = row.get(self.column + suffix)
        return None if mean is None else float(mean) * self.scale

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
    "total_tokens": Lens("total_tokens", "All tokens per question", "tokens per question"),
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
    """A figure in pixels; `bottom` is the margin that holds the axis title."""

    width: int
    height: int
    bottom: int

    @property
    def plot(self) -> tuple[int, int]:
        """Width and height of the plot area."""
        return self.width - LEFT - RIGHT, self.height - TOP - self.bottom


Room = Literal["wide", "narrow", "phone"]
ROOMS: tuple[Room, ...] = get_args(Room)
"""How wide a window is: from 1,100 pixels, from 560, less."""


def box_for(room: Room) -> Box:
    """The box of the figure of Explore."""
    return Box({"wide": WIDTH, "narrow": NARROW, "phone": PHONE}[room], HEIGHT if room == "wide" else LOW, FOOT)


COARSE, FINE = (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0)
TICK_GAP = 22
TOUCH = 4  # Pixels between two ticks at the least.
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
        # Ranges and annotations of a log axis are logarithms in plotly, values of traces are not.
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
    spends = [v for v in values if v >= 0]
    positive = [v for v in spends if v > TINY]
    if not positive:
        return LogScale(-0.5, 0.5, 1.0, ((1.0, tick(0.0)),))
    least, most, free = math.log10(min(positive)), math.log10(max(positive)), min(spends) <= TINY
    span = most - least
    # Zero stands a visible step left of the smallest price, farther the longer the axis is.
    zero = 10 ** (least - max(0.35, 0.12 * span)) if free else 0.0
    left = (math.log10(zero) if free else least) - min(max(0.10 * span, 0.06), 0.30)
    right = most + min(max(0.04 * span, 0.03), 0.12)
    if span == 0:
        left, right = left - 0.3, right + 0.3
    # An interval that runs almost to zero may not squeeze everything else to the right: half a decade is the most.
    ends = [math.log10(e) for e in edges if e > TINY]
    left, right = min([left, *(e - 0.04 for e in ends if e > left - 0.5)]), max([right, *(e + 0.03 for e in ends)])
    widest = max(width(tick(v), 12.5) for v in (min(positive), max(positive)))
    found = _log_ticks(least - 0.05 if free else left, right, max(2, int(pixels / (widest + TICK_GAP))))
    named, decade = [(zero, tick(0.0))] if free else [], pixels / (right - left)
    for value, words in ((value, tick(value)) for value in found):
        # Even steps draw together towards the right: one that would touch the last is left out.
        apart = decade * math.log10(value / named[-1][0]) if named else math.inf
        if apart >= (width(words, 12.5) + width(named[-1][1] if named else "", 12.5)) / 2 + TOUCH:
            named.append((value, words))
    return LogScale(left, right, zero or 10 ** (left - 1), tuple(named))


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers between two decimal logarithms: at 1-2-5, thinned to decades, or finer where the axis is short."""

    def decade_ticks(mantissas: Sequence[float]) -> list[float]:
        decades = range(math.floor(low), math.ceil(high) + 1)
        # Read from text: in floats 3 times 10 to the -5 is not 0.00003.
        every = (float(f"{mantissa}e{decade}") for decade in decades for mantissa in mantissas)
        return [tick for tick in every if low <= math.log10(tick) <= high]

    coarse, fine = decade_ticks(COARSE), decade_ticks(FINE)
    # Decades in whole steps: 1, 100, 10,000 and never 1, 1,000, 10,000.
    if len(coarse) > most:
        decades = decade_ticks((1.0,))
        return decades[:: math.ceil(len(decades) / most)]
    if len(coarse) >= 3:
        return coarse
    if 3 <= len(fine) <= most:
        return fine
    # Under a decade: multiples of the finest 1-2-5 step that gives no more than `most`; of three there is always one.
    most, start, end = min(5, most), 10**low, 10**high
    power = 10 ** (math.floor(math.log10((end - start) / most)) - 1)
    steps = (mantissa * power for mantissa in (1, 2, 5, 10, 20, 50, 100))
    numbers = ((step, range(math.ceil(start / step), math.floor(end / step) + 1)) for step in steps)
    return next([float(f"{n * step:.6g}") for n in multiples] for step, multiples in numbers if len(multiples) <= most)


def accuracy_scale(values: Sequence[float], edges: Iterable[float] = ()) -> AccuracyScale:
    """A range in steps of ten points taken from the data, never forced to zero."""
    if not values:
        low = bottom = 0.0
        high = top = 1.0
    else:
        # Half a point of room on either side; rounded, for 10 * 0.205 - 0.05 is a hair under 2 in floats.
        every = [*values, *edges]
        low = max(0.0, math.floor(round(min(every) * 10 - 0.05, 6)) / 10)
        high = min(1.0, math.ceil(round(max(every) * 10 + 0.05, 6)) / 10)
        # Open by a hair where a mark sits on the edge, so that an accuracy of 0.0 is seen whole.
        hair = 0.028 * (high - low)
        bottom = -hair if low == 0 and min(values) < hair else low
        top = 1 + hair if high == 1 and max(values) > 1 - hair else high
    step = 0.1 if high - low > 0.25 else 0.05 if high - low > 0.11 else 0.02
    places = [low + i * step for i in range(round((high - low) / step) + 1)]
    return AccuracyScale(bottom, top, tuple((round(place, 4), f"{round(place * 100)}%") for place in places))


def signed_ticks(first: int, last: int, step: float) -> Ticks:
    """Ticks of a difference between accuracies at multiples of a step, in points: `−10`, `0`, `+10`."""
    shares = [n * step for n in range(first, last + 1)]
    words = (f"{round(100 * share):+d}".replace("-", fmt.MINUS) if round(100 * share) else "0" for share in shares)
    return tuple((round(share, 4), word) for share, word in zip(shares, words, strict=True))
