"""Names at the ends of lines in a panel: beside its own end where that is free, the others in a column with leaders.

A name beside its end covers no line, no other name and no other end, and is nearer to its own than to any other. The
column stands as far left as it is clear. All places are pixels of the panel as laid out, y down.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.figures.ink import halo, note
from dashboard.figures.lettering import cut, safe, width
from dashboard.figures.tags import WIDER
from dashboard.figures.tiling import GUTTER, SIZE, Tiling
from dashboard.theme import Inks, fade

__all__ = ["PITCH", "Box", "EndLabel", "end_labels", "end_note"]

PITCH, GAP, NEAR = 14.5, 8.0, 15.0
"""Pixels from name to name, from an end to its name, and from a name to the end of another line at least."""
CELL = 2
"""Pixels of a square in which lines are looked for."""
STEP, SHIFTS = 14.0, np.array([0, *(sign * 14.0 * i for i in range(1, 11) for sign in (1, -1))])
"""Pixels by which the column is moved right, and up or down, until it is clear."""
OVER, LED, BEYOND = 100.0, 5.0, 40.0
"""What it costs to cover another name, to lead through one, to leave the panel; a line costs by its squares."""
STRETCHES = (WIDER[0], WIDER[-1])
"""What is tied to a value moves away from what is tied to the end of a line when a figure is drawn wider."""
ALONG = np.linspace(0, 1, 12)
"""Where a leader is looked at."""

Box = tuple[float, float, float, float]
"""Left, top, right, foot."""
End = tuple[float, float]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EndLabel:
    """The name of a line: how far right of its end it begins, and how far below the end its middle is, in pixels."""

    line: int
    dx: float
    dy: float
    leader: bool
    """Stands in the column, which keeps its place on the axis; else the name keeps its distance from the end."""

    def box(self, end: End, wide: float, stretch: float = 1.0) -> Box:
        """What a text of this width covers in a panel drawn `stretch` times as wide as laid out."""
        left = (end[0] + self.dx) * stretch if self.leader else end[0] * stretch + self.dx
        return left, end[1] + self.dy - SIZE / 2, left + wide, end[1] + self.dy + SIZE / 2


def end_labels(
    ends: Sequence[End],
    names: Sequence[str],
    tiling: Tiling,
    lines: Iterable[Sequence[End]] = (),
    most: int | None = None,
) -> tuple[EndLabel, ...]:
    """A place for the name of each of these ends; `lines` are what names stay clear of, corner by corner.

    Of more than `most`, or than the panel is high for, the lowest go without."""
    room = min(int(tiling.high // PITCH), len(ends) if most is None else most)
    kept = sorted(range(len(ends)), key=lambda i: (ends[i][1], i))[:room]
    # Of equals the nearest to a column at the right is led to its top, so that leaders do not cross.
    order = sorted(kept, key=lambda i: (ends[i][1], -ends[i][0], i))
    ground, widths = _Ground(tiling, lines), [width(name, SIZE) for name in names]
    beside = dict[int, EndLabel]()
    for i in order:
        taken = [(label, ends[j], widths[j]) for j, label in beside.items()]
        if (place := _beside(i, ends, widths[i], ground, taken)) is not None:
            beside[i] = place
    while True:
        taken = [(label, ends[i], widths[i]) for i, label in beside.items()]
        column = _column([i for i in order if i not in beside], ends, widths, tiling, ground, taken)
        # A name that leaders run through is led to as well.
        struck = [i for i in beside if any(_through(label, beside[i], ends, widths) for label in column)]
        if not struck:
            return (*beside.values(), *column)
        for i in struck:
            del beside[i]


Taken = tuple[EndLabel, End, float]
"""A name that has its place, the end it belongs to, its width."""


class _Ground:
    """The lines of a panel as squares that are covered or not, summed so that boxes are judged at once; in the width
    that is laid out and in the widest that is drawn."""

    def __init__(self, tiling: Tiling, lines: Iterable[Sequence[End]]) -> None:
        self.right, self.high = tiling.across + GUTTER / 2, tiling.high
        pieces = [(*one, *other) for line in lines for one, other in pairwise(line)]
        drawn = np.array(pieces or [(-9.0, -9.0, -9.0, -9.0)])
        self.covered = [_covered(drawn * (f, 1, f, 1), self.right * f, self.high) for f in STRETCHES]
        self.sums = [np.pad(covered.cumsum(0).cumsum(1), ((1, 0), (1, 0))) for covered in self.covered]

    def cost(self, boxes: Sequence[Floats], taken: Sequence[Taken]) -> Floats:
        """What each name costs that stands in these boxes, in each width that is drawn: (..., 4) to (...)."""
        left, top, right, foot = np.moveaxis(boxes[0], -1, 0)
        outside = (left < 0) | (top < -SIZE / 2) | (right > self.right) | (foot > self.high)
        cost: Floats = BEYOND * outside
        for sums, stretch, box in zip(self.sums, STRETCHES, boxes, strict=True):
            # How many covered squares are under each box.
            rows, columns = (size - 1 for size in sums.shape)
            at = np.add(box, (0, 0, CELL, CELL)) // CELL
            left, top, right, foot = np.moveaxis(at.astype(int).clip(0, (columns, rows, columns, rows)), -1, 0)
            cost = cost + sums[foot, right] - sums[top, right] - sums[foot, left] + sums[top, left]
            others = np.array([label.box(end, wide, stretch) for label, end, wide in taken]).reshape(-1, 4)
            close = np.array((4.0, PITCH - SIZE))
            low, high = box[..., None, :2] - close, box[..., None, 2:] + close
            cost = cost + OVER * ((low < others[:, 2:]) & (others[:, :2] < high)).all(-1).sum(-1)
        return cost

    def crossed(self, x: Floats, y: Floats) -> NDArray[np.int64]:
        """Whether there is a line at these places."""
        rows, columns = self.covered[0].shape
        down, across = (y // CELL).astype(int).clip(0, rows - 1), (x // CELL).astype(int).clip(0, columns - 1)
        crossed: NDArray[np.int64] = self.covered[0][down, across]
        return crossed


def _covered(pieces: Floats, right: float, high: float) -> NDArray[np.int64]:
    """1 for each square that one of these straight pieces touches."""
    x0, y0, x1, y1 = pieces.T
    count = (np.maximum(np.abs(x1 - x0), np.abs(y1 - y0)) // CELL).astype(int) + 2
    piece = np.repeat(np.arange(len(pieces)), count)
    share = (np.arange(len(piece)) - np.repeat(count.cumsum() - count, count)) / (count[piece] - 1)
    x, y = x0[piece] + share * (x1 - x0)[piece], y0[piece] + share * (y1 - y0)[piece]
    inside = (x >= 0) & (x < right) & (y >= 0) & (y < high)
    covered = np.zeros((int(high) // CELL + 2, int(right) // CELL + 2), np.int64)
    covered[(y[inside] // CELL).astype(int), (x[inside] // CELL).astype(int)] = 1
    return covered


def _beside(i: int, ends: Sequence[End], wide: float, ground: _Ground, taken: Sequence[Taken]) -> EndLabel | None:
    """The first free place next to an end: right, above, below, left; None where there is none."""
    rows = [(GAP, dy) for dy in (0.0, -9.0, 9.0)]
    rows += [(dx, dy) for dy in (-14.0, 14.0) for dx in (-2.0, -wide / 2, 2.0 - wide)]
    places = [EndLabel(i, dx, dy, leader=False) for dx, dy in (*rows, (-GAP - wide, 0.0))]
    boxes = [np.array([place.box(ends[i], wide, f) for place in places]) for f in STRETCHES]
    # Nor may it be taken for the name of another end.
    others = np.array([end for j, end in enumerate(ends) if j != i]).reshape(-1, 1, 2)
    apart = np.hypot(*np.moveaxis(np.clip(others, boxes[0][:, :2], boxes[0][:, 2:]) - others, -1, 0))
    free = (ground.cost(boxes, taken) == 0) & (apart >= NEAR).all(0)
    return next((place for place, clear in zip(places, free, strict=True) if clear), None)


def _column(
    order: Sequence[int],
    ends: Sequence[End],
    widths: Sequence[float],
    tiling: Tiling,
    ground: _Ground,
    taken: Sequence[Taken],
) -> list[EndLabel]:
    """Labels under one another in the order of their ends, a line's height apart, where they cover least."""
    if not order:
        return []
    own, wide = np.array([ends[i] for i in order]), np.array([widths[i] for i in order])
    nearest = float(own[:, 0].max()) + 10
    last = max(max(x for x, _ in ends) + 10, ground.right - float(wide.max()))
    columns = np.arange(nearest, max(last, nearest) + 1, STEP)
    heights = np.array([_heights(own[:, 1] + shift, tiling.high) for shift in SHIFTS])
    x, y = np.broadcast_arrays(columns[:, None, None], heights)
    boxes = [np.stack([x * f, y - SIZE / 2, x * f + wide, y + SIZE / 2], -1) for f in STRETCHES]
    cost = ground.cost(boxes, taken)
    across = own[:, :1] + ALONG * (x[..., None] - own[:, :1])
    down = own[:, 1:] + ALONG * (y[..., None] - own[:, 1:])
    # A leader begins in the crowd it leads out of.
    cost = cost + ground.crossed(across[..., 4:], down[..., 4:]).sum(-1)
    for label, end, wide_of in taken:
        left, top, right, foot = label.box(end, wide_of)
        cost = cost + LED * ((across > left) & (across < right) & (down > top) & (down < foot)).any(-1)
    whole = cost.sum(-1) + 0.02 * (columns[:, None] - nearest) + 0.05 * np.abs(SHIFTS)
    column, shift = np.unravel_index(int(whole.argmin()), whole.shape)
    return [
        EndLabel(i, round(float(columns[column] - end[0]), 1), round(float(at - end[1]), 1), leader=True)
        for i, end, at in zip(order, own, heights[shift], strict=True)
    ]


def _heights(wanted: Iterable[float], high: float) -> list[float]:
    """Down the column each takes the next free height; then, from the foot up, what ran over is pushed back."""
    heights: list[float] = []
    for y in wanted:
        heights.append(max(float(y), PITCH / 2, heights[-1] + PITCH if heights else 0.0))
    floor = high - PITCH / 2
    for place in reversed(range(len(heights))):
        heights[place] = min(heights[place], floor)
        floor = heights[place] - PITCH
    return heights


def _through(label: EndLabel, other: EndLabel, ends: Sequence[End], widths: Sequence[float]) -> bool:
    """Whether the leader of a name runs through another name."""
    x, y = ends[label.line]
    across, down = x + ALONG * label.dx, y + ALONG * label.dy
    left, top, right, foot = other.box(ends[other.line], widths[other.line])
    return bool(((across > left) & (across < right) & (down > top) & (down < foot)).any())


def end_note(
    label: EndLabel,
    name: str,
    at: tuple[float, float],
    per_pixel: float,
    colours: tuple[str, str],
    inks: Inks,
    room: float,
) -> dict[str, Any]:
    """A name, cut to `room` pixels, tied to the end `at` of its line in what the axes count; `colours`: of the line
    and of letters. A column keeps its place on the axis, of which a pixel is `per_pixel`, however wide it is drawn."""
    line, ink = colours
    words: dict[str, Any] = {
        "text": safe(cut(name, room, SIZE)),
        "font": {"size": SIZE, "color": ink, "shadow": halo(inks)},
    }
    words |= {"x": at[0], "y": at[1], "xref": "x", "yref": "y", "xanchor": "left", "yanchor": "middle"}
    if not label.leader:
        return note(**words, xshift=label.dx, yshift=-label.dy, captureevents=False)
    leader: dict[str, Any] = {"showarrow": True, "arrowhead": 0, "arrowwidth": 0.9, "standoff": 5, "borderpad": 1}
    leader |= {"ax": at[0] + label.dx * per_pixel, "ay": label.dy, "axref": "x", "arrowcolor": fade(line, 0.75)}
    return words | leader | {"captureevents": False}
