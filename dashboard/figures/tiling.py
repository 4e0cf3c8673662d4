"""Small panels side by side: how many in a row, how large, and labels at the right end of lines that never overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.figures.axes import FOOT, LEFT, NARROW, RIGHT, WIDTH
from dashboard.figures.lettering import width

GUTTER, HEAD, BETWEEN, PITCH, SIZE = 26, 34, 30, 14.5, 12.0

__all__ = ["SIZE", "EndLabel", "Tiling", "end_labels", "tiling_for"]


@dataclass(frozen=True, slots=True)
class Tiling:
    """A grid of equal panels, in pixels."""

    columns: int
    rows: int
    across: float
    """Width of a panel."""
    high: float
    """Height of a panel."""
    reserve: float
    """Pixels at the right of a panel kept for labels."""

    @property
    def widening(self) -> float:
        """How much longer the spend axis must be, as a share, so that labels have their reserve."""
        return self.reserve / max(1.0, self.across - self.reserve)

    @property
    def height(self) -> int:
        """Height of the figure."""
        return round(HEAD + self.rows * self.high + (self.rows - 1) * self.gap + FOOT)

    @property
    def gap(self) -> float:
        """Pixels between two rows: a panel title, and tick labels."""
        return HEAD + BETWEEN - 10

    @property
    def spacing(self) -> tuple[float, float]:
        """Horizontal and vertical spacing as plotly wants it: shares of the plot area."""
        wide = self.columns * self.across + (self.columns - 1) * GUTTER
        return GUTTER / wide, self.gap / (self.rows * self.high + (self.rows - 1) * self.gap)


@dataclass(frozen=True, slots=True)
class EndLabel:
    """A label in the column right of all lines: how far below the end of its line it sits, in pixels."""

    line: int
    dy: float
    leader: bool


def tiling_for(panels: int, names: Sequence[str], *, narrow: bool, labelled: bool = True) -> Tiling:
    """A grid for so many panels: two to four in a row, larger the fewer there are."""
    most = 2 if narrow else (3 if labelled else 4)
    columns = max(1, min(most, panels, math.ceil(panels / math.ceil(panels / most)) if panels else 1))
    across = ((NARROW if narrow else WIDTH) - LEFT - RIGHT - (columns - 1) * GUTTER) / columns
    reserve = min(max((width(name, SIZE) for name in names), default=0.0) + 18, across * 0.5) if labelled else 0.0
    high = 400.0 if panels <= 1 else 300.0 if columns == 2 else 240.0
    return Tiling(columns, max(1, math.ceil(panels / columns)), across, high, reserve)


def end_labels(ends: Sequence[tuple[float, float]], tiling: Tiling) -> tuple[EndLabel, ...]:
    """Labels in one column at the right, in the order of their lines' ends and at least a line's height apart.

    When the panel is too low for all, the lowest lines go without."""
    room = int(tiling.high // PITCH)
    order = sorted(range(len(ends)), key=lambda i: (ends[i][1], i))[:room]
    spots = _spread([ends[i][1] for i in order], tiling.high - PITCH / 2)
    farthest = max((x for x, _ in ends), default=0.0)
    return tuple(
        EndLabel(i, round(y - ends[i][1], 1), farthest - ends[i][0] > 2 or abs(y - ends[i][1]) > 5)
        for i, y in zip(order, spots, strict=True)
    )


def _spread(wanted: Sequence[float], floor: float) -> list[float]:
    """Heights near the wanted ones, ascending, `PITCH` apart, between half a line and `floor`."""
    spots: list[float] = []
    for y in wanted:
        spots.append(max(y, PITCH / 2, spots[-1] + PITCH if spots else 0.0))
    ceiling = floor
    for i in reversed(range(len(spots))):
        spots[i] = min(spots[i], ceiling)
        ceiling = spots[i] - PITCH
    return spots
