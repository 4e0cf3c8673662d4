"""Which points of a frontier get a label, and where: turns points and staircase into pixels and asks for places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dashboard import format as fmt
from dashboard.figures.axes import Box
from dashboard.figures.labels import DOWN_RIGHT, UP_LEFT, Ask, Scene, place
from dashboard.figures.lettering import width
from dashboard.figures.points import SIZES, Point, Tier
from dashboard.figures.scales import AccuracyScale, LogScale

SIZE, SMALL, HEIGHT = 12.5, 11.0, 16.0
MOST, FEW = 34, 16
"""Most labels a figure holds, and how many may be on it before unsure points go without."""
CORNER = (0.0, 4.0, 52.0, 24.0)
"""Where "better" is written."""
CROSSING: dict[Tier, float] = {"likely": 1.2, "possible": 0.5, "unlikely": 0.5, "partial": 0.5}
ORDER: dict[Tier, int] = {"likely": 0, "possible": 1, "unlikely": 2, "partial": 3}
STAIR = 3.0

__all__ = ["SIZE", "SMALL", "Label", "Plane", "labels_for", "text_width", "worth_naming"]


@dataclass(frozen=True, slots=True)
class Label:
    """A placed label: its point, where its centre sits from the mark in pixels (y down), whether a leader is drawn."""

    point: int
    text: str
    share: str
    """Chance after the name; empty for cells without one, and for unlikely ones."""
    dx: float
    dy: float
    leader: bool


@dataclass(frozen=True, slots=True)
class Plane:
    """From values to pixels of the plot area, y down."""

    x: LogScale
    y: AccuracyScale
    across: float
    high: float

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Pixel position of a value."""
        return self.x.fraction(x) * self.across, (1 - self.y.fraction(y)) * self.high


def worth_naming(points: Sequence[Point], *, every: bool = False) -> list[int]:
    """The likely points and the best of the possible ones (with `every`, all), those that matter most first."""
    wanted = [i for i, p in enumerate(points) if every or p.tier in ("likely", "possible")]
    likely = sum(points[i].tier == "likely" for i in wanted)
    most = MOST if every else min(MOST, max(FEW, likely))
    return sorted(wanted, key=lambda i: (ORDER[points[i].tier], -(points[i].chance or 0.0), i))[:most]


def labels_for(
    points: Sequence[Point],
    line: Sequence[tuple[float, float]],
    x: LogScale,
    y: AccuracyScale,
    box: Box,
    chosen: Sequence[int],
) -> tuple[Label, ...]:
    """Placed labels of the chosen points, most important first; one without a legible place is left out."""
    plane = Plane(x, y, *box.plot)
    texts = _texts([points[i] for i in chosen])
    asks = [_ask(points[i], text, plane) for i, text in zip(chosen, texts, strict=True)]
    return tuple(
        Label(i, text, _share(points[i]), spot.dx, spot.dy, spot.leader)
        for i, text, spot in zip(chosen, texts, place(asks, _scene(points, line, plane)), strict=True)
        if spot is not None
    )


def text_width(point: Point, text: str) -> float:
    """Pixels a label takes beside `point`."""
    if point.tier in ("unlikely", "partial"):
        return width(text, SMALL) + 4
    share = "\u00a0\u00a0" + _share(point) if point.chance is not None else ""
    return width(text, SIZE, bold=point.tier == "likely") + width(share, SIZE) + 4


def _texts(points: Sequence[Point]) -> list[str]:
    """Of a condition's budgets the likeliest is named in full, other likely ones in short, the rest by their budget."""
    met: set[str] = set()
    texts = []
    for point in points:
        texts.append(point.name.short if point.family not in met else _again(point))
        met.add(point.family)
    return texts


def _again(point: Point) -> str:
    return point.name.again if point.tier == "likely" else point.name.at or point.name.again


def _share(point: Point) -> str:
    return "" if point.chance is None or point.tier == "unlikely" else fmt.share(point.chance)


def _ask(point: Point, text: str, plane: Plane) -> Ask:
    prefer = UP_LEFT if point.tier == "likely" else DOWN_RIGHT
    return Ask(*plane.at(point.x, point.y), _radius(point), text_width(point, text), HEIGHT, prefer)


def _scene(points: Sequence[Point], line: Sequence[tuple[float, float]], plane: Plane) -> Scene:
    marks = tuple((*plane.at(p.x, p.y), _radius(p)) for p in points)
    bars = (*(bar for p in points for bar in _bars(p, plane)), *_stairs(line, plane))
    return Scene(plane.across, plane.high, marks, bars, (CORNER,))


def _radius(point: Point) -> float:
    return SIZES[point.tier] * point.shape.factor / 2 + 0.8


def _bars(point: Point, plane: Plane) -> Iterator[tuple[float, float, float, float, float]]:
    cost = CROSSING[point.tier]
    if point.x_low is not None and point.x_high is not None:
        yield (*plane.at(point.x_low, point.y), *plane.at(point.x_high, point.y), cost)
    if point.y_low is not None and point.y_high is not None:
        yield (*plane.at(point.x, point.y_low), *plane.at(point.x, point.y_high), cost)


def _stairs(line: Sequence[tuple[float, float]], plane: Plane) -> Iterator[tuple[float, float, float, float, float]]:
    corners = [plane.at(x, y) for x, y in line]
    for (x0, y0), (x1, y1) in pairwise(corners):
        yield x0, y0, x1, y0, STAIR
        yield x1, y0, x1, y1, STAIR
    if corners:
        yield (*corners[-1], plane.across, corners[-1][1], STAIR)
