"""Which points of a frontier get a label, and where: turns points and staircase into pixels and asks for places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dashboard import format as fmt
from dashboard.figures.axes import Box
from dashboard.figures.labels import DOWN_RIGHT, UP_LEFT, Ask, Scene, place
from dashboard.figures.lettering import width
from dashboard.figures.points import SIZES, Point, Tier
from dashboard.figures.scales import AccuracyScale, LogScale

SIZE, SMALL, HEIGHT, MOST = 12.5, 11.0, 16.0, 34
CORNER = (0.0, 4.0, 52.0, 24.0)
"""Where "better" is written."""
CROSSING: dict[Tier, float] = {"likely": 1.2, "possible": 0.5, "unlikely": 0.5, "partial": 0.5}
ORDER: dict[Tier, int] = {"likely": 0, "possible": 1, "unlikely": 2, "partial": 3}
STAIR = 3.0

__all__ = ["SIZE", "SMALL", "Label", "Plane", "labels_for", "text_width"]


@dataclass(frozen=True, slots=True)
class Label:
    """A placed label: which point, where its centre sits from the mark in pixels (y down), whether a leader is drawn."""

    point: int
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


def labels_for(
    points: Sequence[Point], line: Sequence[tuple[float, float]], x: LogScale, y: AccuracyScale, box: Box, every: bool
) -> tuple[Label, ...]:
    """Labels of the likely and possible points (with `every`, of all), at most 34, those that matter most first."""
    plane = Plane(x, y, *box.plot)
    wanted = [i for i, p in enumerate(points) if every or p.tier in ("likely", "possible")]
    wanted.sort(key=lambda i: (ORDER[points[i].tier], -(points[i].chance or 0.0), i))
    chosen = wanted[:MOST]
    places = place([_ask(points[i], plane) for i in chosen], _scene(points, line, plane))
    return tuple(
        Label(i, _share(points[i]), spot.dx, spot.dy, spot.leader)
        for i, spot in zip(chosen, places, strict=True)
        if spot is not None
    )


def text_width(point: Point) -> float:
    """Pixels the label of a point takes."""
    if point.tier in ("unlikely", "partial"):
        return width(point.name, SMALL) + 4
    share = _share(point)
    return width(point.name, SIZE, bold=point.tier == "likely") + (width("  " + share, SIZE) if share else 0) + 4


def _share(point: Point) -> str:
    return "" if point.chance is None or point.tier == "unlikely" else fmt.share(point.chance)


def _ask(point: Point, plane: Plane) -> Ask:
    likely = point.tier == "likely"
    return Ask(*plane.at(point.x, point.y), _radius(point), text_width(point), HEIGHT, UP_LEFT if likely else DOWN_RIGHT)


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
    for (x0, y0), (x1, y1) in zip(corners, corners[1:], strict=False):
        yield x0, y0, x1, y0, STAIR
        yield x1, y0, x1, y1, STAIR
    if corners:
        yield (*corners[-1], plane.across, corners[-1][1], STAIR)
