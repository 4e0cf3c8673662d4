"""Texts tied to a line: the chips of the two handles and the names of baselines, put where no mark is.

Each may stand anywhere along its line. What a place costs: marks it covers, other tags it touches, lines it crosses,
its distance from where it would like to be. A figure is drawn wider than it is laid out where its column has the room,
and then what is tied to the window's edge moves away from what is tied to a value: a place is judged at several widths.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dashboard.figures.axes import AccuracyScale, Box, LogScale
from dashboard.figures.ink import halo, note
from dashboard.figures.lettering import safe, width
from dashboard.figures.marks import Point
from dashboard.theme import Inks
from engine.core import text as fmt

__all__ = ["WIDER", "Ground", "Tag", "baseline_tags", "chip_notes", "chips", "name_notes", "placed"]

CHIP, NAME, PADDING = 13.0, 11.0, 5
"""Font sizes in pixels of a chip and of a baseline's name; pixels round the text of a chip."""
WIDER = (1.0, 1.1, 1.25, 1.45)
"""How many times as wide as laid out a figure may be drawn."""
CLEAR = 5.0
"""Pixels between a mark and a tag: the ring of a selected one fits in."""
STOPS, STEP = 24, 24.0
"""Places tried along a level line, and pixels between those along an upright one."""
ON_FRONT, ON_MARK, ON_TAG, OUT, ON_LINE, ON_RULE = 40.0, 20.0, 200.0, 400.0, 0.6, 30.0
"""What a place costs that covers a mark of the frontier, another, a tag, leaves the plot, crosses a line, or a rule."""

Rectangle = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Tag:
    """A text at its place; x and y are shares of the plot from its left foot, the rest is pixels."""

    text: str
    """Not escaped."""
    x: float
    y: float
    dx: float
    """How far right of `x` its centre is."""
    dy: float
    """How far above `y` its centre is."""
    wide: float
    high: float
    upright: bool = False
    """Whether its line is an upright one, whose place is `x`."""

    def box(self, across: float, high: float) -> Rectangle:
        """Left, top, right and foot in a plot of this size, y down."""
        x, y = self.x * across + self.dx, (1 - self.y) * high - self.dy
        return x - self.wide / 2, y - self.high / 2, x + self.wide / 2, y + self.high / 2


@dataclass(frozen=True, slots=True)
class Ground:
    """What tags stay clear of: shares of the plot and pixels, so that it can be looked at in any width."""

    across: float
    high: float
    marks: tuple[tuple[float, float, float, bool], ...] = ()
    """Share from the left, share from the foot, radius in pixels, whether it is on the frontier."""
    lines: tuple[Rectangle, ...] = ()
    """Upright and level lines, as shares: from x, from y, to x, to y."""
    rules: tuple[Rectangle, ...] = ()
    """Those that run across the whole plot: through a text they look as if they struck it out."""

    @classmethod
    def of(
        cls, points: Sequence[Point], corners: Sequence[tuple[float, float]], x: LogScale, y: AccuracyScale, box: Box
    ) -> Ground:
        """Marks, intervals of the frontier and its line."""
        marks = tuple((x.fraction(p.x), y.fraction(p.y), p.radius, p.front) for p in points)
        bars = [
            (x.fraction(p.x), y.fraction(p.y_low), x.fraction(p.x), y.fraction(p.y_high))
            for p in points
            if p.front and p.y_low is not None and p.y_high is not None
        ]
        steps = [(x.fraction(at), y.fraction(up)) for at, up in corners]
        ends = [*(at for at, _ in steps[1:]), 1.0]
        level = [(at, up, end, up) for (at, up), end in zip(steps, ends, strict=False)]
        across, high = box.plot
        return cls(across, high, marks, (*bars, *level))


def chips(
    most: float | None, least: float | None, x: LogScale, y: AccuracyScale, ground: Ground, *, money: bool = False
) -> tuple[Tag, ...]:
    """The chips of `spend at most` and `reach at least`, in the unit of the axis and as a share; None: no such limit.

    A limit outside the plot has its chip at the edge it lies beyond."""
    found: tuple[Tag, ...] = ()
    if most is not None:
        # As it was asked for, to four digits; beyond, %g would write an exponent, which no number here has.
        typed = f"{most:,.4g}" if 0.001 <= most < 10_000 else fmt.number(most)
        tag = _chip(f"spend at most {'$' * money}{typed}", upright=True)
        at = min(1.0, max(0.0, x.fraction(most)))
        heights = np.arange(10 + tag.high / 2, ground.high - tag.high / 2, STEP)
        sides = (-(6 + tag.wide / 2), 6 + tag.wide / 2)
        found += placed([replace(tag, x=at, dx=dx, dy=float(dy)) for dx in sides for dy in heights], ground, found)
    if least is not None:
        tag = _chip(f"reach at least {fmt.number(100 * least)}%")
        at = min(1.0, max(0.0, y.fraction(least)))
        rows = (0.0, tag.high, -tag.high)
        found += placed([t for dy in rows for t in _along(replace(tag, y=at), dy, ground.high)], ground, found)
    return found


def baseline_tags(
    lines: Sequence[tuple[float, str]],
    limits: tuple[float | None, float | None],
    x: LogScale,
    y: AccuracyScale,
    ground: Ground,
    *,
    chips: Sequence[Tag],
) -> tuple[Tag, ...]:
    """The name of each baseline, over its line at the right where there is room; left of a handle that stands there.

    `limits`: the two handles, as `chips` takes them; no name stands across their lines or another baseline's."""
    most, least = limits
    limit = 1.0 if most is None else x.fraction(most)
    levels = [y.fraction(at) for at in (least, *(at for at, _ in lines)) if at is not None]
    across = tuple((0.0, at, 1.0, at) for at in levels)
    ground = replace(ground, rules=across if most is None else (*across, (limit, 0.0, limit, 1.0)))
    right, found = limit if 0.7 < limit < 1 else 1.0, tuple[Tag, ...]()
    for at, words in lines:
        text = f"{words} {fmt.accuracy(at, None)}"
        tag = Tag(text, right, y.fraction(at), 0, 8, width(text, NAME) + 4, 14)
        first = replace(tag, dx=-(4 + tag.wide / 2))
        rest = [t for dy in (8.0, -8.0) for t in reversed(list(_along(tag, dy, ground.high)))]
        found += placed([first, replace(first, dy=-8), *rest], ground, (*chips, *found))
    return found


def _chip(text: str, *, upright: bool = False) -> Tag:
    return Tag(text, 0, 0, 0, 0, width(text, CHIP, bold=True) + 2 * PADDING, CHIP * 1.3 + 2 * PADDING, upright)


def _along(tag: Tag, dy: float, high: float) -> Iterable[Tag]:
    """The same along its level line from left to right, its centre `dy` pixels over the line but inside the plot."""
    half, up = tag.high / 2, tag.y * high
    raised = replace(tag, dy=min(max(up + dy, half), high - half) - up)
    edge = 8 + tag.wide / 2
    yield replace(raised, x=0, dx=edge)
    yield from (replace(raised, x=stop / STOPS, dx=0) for stop in range(1, STOPS))
    yield replace(raised, x=1, dx=-edge)


def placed(places: Sequence[Tag], ground: Ground, others: Sequence[Tag]) -> tuple[Tag]:
    """The cheapest of these places, the first of equal ones."""
    cost = np.arange(len(places)) * 0.05
    marks = np.array(ground.marks or [(-9.0, -9.0, 0.0, False)])
    lines, rules = (np.array(each or [(-9.0, -9.0, -9.0, -9.0)]) for each in (ground.lines, ground.rules))
    for factor in WIDER:
        across, high = ground.across * factor, ground.high
        boxes = np.array([tag.box(across, high) for tag in places])
        low, top = boxes[:, None, :2], boxes[:, None, 2:]
        centres = np.stack([marks[:, 0] * across, (1 - marks[:, 1]) * high], -1)
        apart = np.hypot(*np.moveaxis(np.clip(centres, low, top) - centres, -1, 0))
        cost += (apart < marks[:, 2] + CLEAR) @ np.where(marks[:, 3] > 0, ON_FRONT, ON_MARK)
        for each, price in ((lines, ON_LINE), (rules, ON_RULE)):
            ends = np.stack([each[:, ::2] * across, (1 - each[:, 1::2]) * high], -1)
            cost += price * ((low < ends.max(1)).all(-1) & (top > ends.min(1)).all(-1)).sum(-1)
        if others:
            taken = np.array([tag.box(across, high) for tag in others])
            cost += ON_TAG * ((low < taken[:, 2:] + 2).all(-1) & (top > taken[:, :2] - 2).all(-1)).sum(-1)
        cost += OUT * ((boxes[:, 0] < 0) | (boxes[:, 1] < 0) | (boxes[:, 2] > across) | (boxes[:, 3] > high + 0.01))
    return (places[int(np.argmin(cost))],)


def chip_notes(tags: Sequence[Tag], x: LogScale, y: AccuracyScale, inks: Inks) -> list[dict[str, Any]]:
    """Chips as plotly wants them."""
    font = {"size": CHIP, "color": inks.background, "weight": 650}
    ground = {"bgcolor": inks.primary, "borderpad": PADDING, "font": font}
    return [note(safe(tag.text), **_place(tag, x, y)) | ground for tag in tags]


def name_notes(tags: Sequence[Tag], x: LogScale, y: AccuracyScale, inks: Inks) -> list[dict[str, Any]]:
    """Names of baselines as plotly wants them."""
    font = {"size": NAME, "color": inks.muted, "shadow": halo(inks)}
    return [note(safe(tag.text), **_place(tag, x, y), font=font) for tag in tags]


def _place(tag: Tag, x: LogScale, y: AccuracyScale) -> dict[str, Any]:
    """Tied to its line on the axis, so that it follows when the figure is panned; to the plot along the line."""
    # Annotations on a log axis want a logarithm.
    across: dict[str, Any] = {"xref": "x domain", "yref": "y", "x": tag.x, "y": y.low + tag.y * (y.high - y.low)}
    upright: dict[str, Any] = {"xref": "x", "yref": "y domain", "x": x.low + tag.x * (x.high - x.low), "y": tag.y}
    shift = {"xshift": tag.dx, "yshift": tag.dy, "xanchor": "center", "yanchor": "middle"}
    return (upright if tag.upright else across) | shift
