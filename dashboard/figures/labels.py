"""Labels on a figure, placed so that none covers another: which points of a frontier get one, and where.

Each label tries 24 directions at 8 distances round its mark, and 14 heights at each side of it. What a place costs:
leaving the preferred direction, distance, marks and lines it covers, marks its leader passes. The best 70 places of
each label are weighed pairwise, and coordinate descent from seeded starts picks one each. What still overlaps is left
out, least important first: a label that cannot be read is worse than a mark that is named on hover. Deterministic for
equal input. y grows downwards.

`labels_for` turns the curves and the staircase of a frontier into pixels and asks for places.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dashboard.figures.axes import AccuracyScale, Box, LogScale
from dashboard.figures.lettering import width
from dashboard.figures.marks import Point

__all__ = [
    "LEADER",
    "RIGHT",
    "SIZE",
    "SMALL",
    "UP_LEFT",
    "Ask",
    "Label",
    "Place",
    "Plane",
    "Scene",
    "labels_for",
    "place",
]


Floats = NDArray[np.float32]

# Close places are tried finely, far ones only as a way out.
ANGLES, DISTANCES = 24, (0.0, 3.0, 7.0, 13.0, 22.0, 34.0, 50.0, 70.0)
BESIDE = (-3.5, -3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5)
"""Heights at which a label stands wholly left or right of its mark, in its own height, clear of an upright interval."""
GAP, KEPT, STARTS, SWEEPS, SEED = 9.0, 70, 12, 30, 11
"""Least pixels from mark to label, places of a label that are weighed, and the descent's starts, rounds and seed."""
BLOCKED = 40.0
"""What it costs to cover a block: as much as to leave the plot."""
LEADER = 40.0
"""A label farther from its mark than this gets a leader line."""
UP_LEFT, RIGHT = (-0.82, -0.57), (0.97, -0.22)


@dataclass(frozen=True, slots=True)
class Ask:
    """A label that wants a place: its mark's centre and radius, its size, where it would like to sit."""

    x: float
    y: float
    radius: float
    width: float
    height: float
    prefer: tuple[float, float] = UP_LEFT


@dataclass(frozen=True, slots=True)
class Place:
    """Offset of the label's centre from its mark's centre, and whether to draw a leader."""

    dx: float
    dy: float
    leader: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """What labels should stay clear of."""

    width: float
    height: float
    marks: tuple[tuple[float, float, float], ...] = ()
    """Centre x, y and radius."""
    bars: tuple[tuple[float, float, float, float, float], ...] = ()
    """Upright or level lines: x0, y0, x1, y1 and the cost of crossing."""
    blocks: tuple[tuple[float, float, float, float], ...] = field(default=())
    """Boxes nothing may cover: x0, y0, x1, y1."""


def place(asks: Sequence[Ask], scene: Scene) -> tuple[Place | None, ...]:
    """A place for each label, most important first; None: there was no room that leaves the others readable."""
    if not asks:
        return ()
    tries = _Tries(asks, scene)
    each, chosen = np.arange(len(asks)), _descend(tries.cost, tries.conflicts())
    boxes, readable = tries.boxes[each, chosen], tries.inside[each, chosen]
    if scene.blocks:
        readable = readable & ~_overlapping(boxes, np.array(scene.blocks, np.float32)).any(1)
    places: list[Place | None] = []
    for i, choice in enumerate(chosen):
        readable[i] &= not _overlapping(boxes[i : i + 1], boxes[:i][readable[:i]]).any()
        dx, dy = tries.centre[i, choice] - tries.anchor[i]
        spot = Place(round(float(dx), 1), round(float(dy), 1), bool(tries.gap[i, choice] > LEADER))
        places.append(spot if readable[i] else None)
    return tuple(places)


class _Tries:
    """The candidate places of every label: boxes (labels, kept, 4), centres, gaps and what each costs by itself."""

    def __init__(self, asks: Sequence[Ask], scene: Scene) -> None:
        self.anchor = np.array([(a.x, a.y) for a in asks], np.float32)
        angle = np.arange(ANGLES, dtype=np.float32) * np.float32(2 * np.pi / ANGLES)
        ray = np.stack([np.cos(angle), np.sin(angle)], -1)
        half = np.array([(a.width / 2, a.height / 2) for a in asks], np.float32)
        base = np.array([max(GAP, a.radius + 2.5) for a in asks], np.float32)
        # How far the centre must go along a ray until the box's edge, not its centre, is at the mark.
        reach = (half[:, None] / np.maximum(np.abs(ray), 1e-6)[None]).min(-1)
        gap = base[:, None, None] + np.array(DISTANCES, np.float32)[None, None]
        round_it = (ray[None, :, None] * (reach[:, :, None] + gap)[..., None]).reshape(len(asks), -1, 2)
        aside = np.concatenate([-half[:, :1] - base[:, None], half[:, :1] + base[:, None]], 1)[:, :, None]
        up = (2 * half[:, 1:] * np.array(BESIDE, np.float32))[:, None]
        beside = np.stack(np.broadcast_arrays(aside, up), -1).reshape(len(asks), -1, 2)
        offset = np.concatenate([round_it, beside], 1)
        # Of a label beside its mark, from the mark to its nearest corner.
        corner = np.hypot(base[:, None], np.maximum(0, np.abs(beside[..., 1]) - half[:, 1:]))
        around = np.broadcast_to(gap, (len(asks), ANGLES, len(DISTANCES))).reshape(len(asks), -1)
        self.gap: Floats = np.concatenate([around, corner], 1)
        self.centre: Floats = self.anchor[:, None] + offset
        self.boxes: Floats = np.concatenate([self.centre - half[:, None], self.centre + half[:, None]], -1)
        low, high, size = self.boxes[..., :2], self.boxes[..., 2:], np.array((scene.width, scene.height), np.float32)
        self.inside = (low >= 1).all(-1) & (high[..., 0] < scene.width) & (high[..., 1] < scene.height)
        outside = np.maximum(0, 1 - low).sum(-1) + np.maximum(0, high - size).sum(-1)
        prefer = np.array([a.prefer for a in asks], np.float32)
        cost = 1.1 * (1 - (offset * prefer[:, None]).sum(-1) / np.hypot(offset[..., 0], offset[..., 1]))
        cost += 0.055 * np.maximum(0, self.gap - 12)
        cost += 3 * outside + 40 * ~self.inside
        # Of a thousand marks and curves most are out of the reach of a label.
        for one, (own_low, own_high) in enumerate(zip(low, high, strict=True)):
            cost[one] += self._marked(one, own_low, own_high, np.array(scene.marks, np.float32).reshape(-1, 3))
        # Bars bring their own price, nothing may cover a block.
        for lines, price in ((scene.bars, None), (scene.blocks, BLOCKED)):
            if not lines:
                continue
            bars = np.array(lines, np.float32)
            start, end = np.minimum(bars[:, :2], bars[:, 2:4]), np.maximum(bars[:, :2], bars[:, 2:4])
            prices = bars[:, 4] if price is None else np.full(len(bars), price, np.float32)
            for one, (own_low, own_high) in enumerate(zip(low, high, strict=True)):
                near = (own_low.min(0) < end).all(-1) & (own_high.max(0) > start).all(-1)
                hit = (own_low[:, None] < end[near]).all(-1) & (own_high[:, None] > start[near]).all(-1)
                cost[one] += hit @ prices[near]
        cost = np.asarray(cost, np.float32)
        # Stable, so that equal costs fall out alike on every machine.
        best, rows = np.argsort(cost, axis=1, kind="stable")[:, :KEPT], np.arange(len(asks))[:, None]
        self.cost: Floats = cost[rows, best]
        self.boxes, self.centre, self.gap = self.boxes[rows, best], self.centre[rows, best], self.gap[rows, best]
        self.inside = self.inside[rows, best]

    def _marked(self, one: int, low: Floats, high: Floats, marks: Floats) -> Floats:
        """What the marks under a label cost at each of its places, and those its leader runs through, its own left out;
        short gaps have no leader."""
        start = self.anchor[one]
        room = marks[:, 2:] + 1
        reached = (marks[:, :2] > np.minimum(low.min(0), start) - room) & (
            marks[:, :2] < np.maximum(high.max(0), start) + room
        )
        marks = marks[reached.all(-1)]
        near = np.clip(marks[None, :, :2], low[:, None], high[:, None])
        touched = np.hypot(*np.moveaxis(near - marks[None, :, :2], -1, 0)) < marks[:, 2] + 0.5
        along, to = (self.centre[one] - start)[:, None], marks[None, :, :2] - start
        share = np.clip((to * along).sum(-1) / np.maximum((along * along).sum(-1), 1e-6), 0, 1)
        apart = np.hypot(*np.moveaxis(to - share[..., None] * along, -1, 0))
        own = np.hypot(*np.moveaxis(to, -1, 0)) < 0.5
        passed = ((apart < marks[:, 2] + 1) & ~own).sum(-1) * (self.gap[one] > LEADER)
        return np.asarray(9 * touched.sum(-1) + 4 * passed, np.float32)

    def conflicts(self) -> Floats:
        """Cost of every pair of places of different labels, (labels * kept) squared."""
        count, kept = self.cost.shape
        boxes, ends = self.boxes.reshape(-1, 4), self.centre.reshape(-1, 2)
        starts = np.repeat(self.anchor, kept, axis=0)
        led = self.gap.reshape(-1) > LEADER
        # Only places whose boxes, leaders included, meet are looked at closely: a small part of all pairs.
        hull = np.concatenate([np.minimum(boxes[:, :2], starts), np.maximum(boxes[:, 2:], starts)], -1)
        reach = np.where(led[:, None], hull, boxes)
        first, second = np.nonzero(_overlapping(reach, reach))
        ahead = first // kept < second // kept
        first, second = first[ahead], second[ahead]
        pairs = np.zeros((count * kept, count * kept), np.float32)
        one, other = boxes[first], boxes[second]
        area = np.maximum(np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2]), 0).prod(-1)
        pairs[first, second] = np.where(area > 0, 14 + 0.05 * area, 0)
        lines = np.concatenate([starts, ends], -1)
        crossed = led[first] & _line_meets_box(lines[first], other)
        crossed |= led[second] & _line_meets_box(lines[second], one)
        # Two leaders cross where each has the other's ends on different sides.
        here, there = lines[first], lines[second]
        apart = (_side(here, there[:, :2]) * _side(here, there[:, 2:]) < 0) & (
            _side(there, here[:, :2]) * _side(there, here[:, 2:]) < 0
        )
        pairs[first, second] += 6 * (crossed | (led[first] & led[second] & apart))
        return np.asarray(pairs + pairs.T, np.float32)


def _descend(cost: Floats, pairs: Floats) -> NDArray[np.intp]:
    """The cheapest choice found by coordinate descent from several seeded starts."""
    count, kept = cost.shape
    rng, base = np.random.default_rng(SEED), np.arange(count) * kept
    best, least = np.zeros(count, np.intp), np.inf
    for start in range(STARTS):
        # The first start takes what is best for each by itself, the others any of its best dozen.
        chosen = np.zeros(count, np.intp) if start == 0 else rng.integers(0, min(12, kept), count)
        for _ in range(SWEEPS):
            before = chosen.copy()
            for label in rng.permutation(count):
                here = slice(base[label], base[label] + kept)
                # Places of one label have no conflict with each other, so its own old choice weighs nothing here.
                chosen[label] = np.argmin(cost[label] + pairs[here, base + chosen].sum(1))
            if np.array_equal(before, chosen):
                break
        # Every pair stands twice in the matrix.
        total = cost[np.arange(count), chosen].sum() + pairs[np.ix_(base + chosen, base + chosen)].sum() / 2
        if total < least:
            best, least = chosen.copy(), total
    return best


def _overlapping(one: Floats, other: Floats) -> NDArray[np.bool_]:
    hit = (one[:, None, 0] < other[None, :, 2]) & (other[None, :, 0] < one[:, None, 2])
    return np.asarray(hit & (one[:, None, 1] < other[None, :, 3]) & (other[None, :, 1] < one[:, None, 3]))


def _line_meets_box(lines: Floats, boxes: Floats) -> NDArray[np.bool_]:
    """Slab test: whether a segment passes through a box."""
    along = lines[:, 2:] - lines[:, :2]
    # Level and upright lines would divide by zero.
    along = np.where(np.abs(along) < 1e-6, np.float32(1e-6), along)
    one, other = (boxes[:, :2] - lines[:, :2]) / along, (boxes[:, 2:] - lines[:, :2]) / along
    enter, leave = np.minimum(one, other).max(-1), np.maximum(one, other).min(-1)
    return np.asarray((enter < leave) & (leave > 0) & (enter < 1))


def _side(lines: Floats, points: Floats) -> Floats:
    along, to = lines[:, 2:] - lines[:, :2], points - lines[:, :2]
    return np.asarray(along[:, 0] * to[:, 1] - along[:, 1] * to[:, 0])


SIZE, SMALL, HEIGHT = 14.0, 13.0, 17.0
"""Font sizes in pixels of a curve's name and of a budget, and the height of a line."""
OVER_CURVE, OVER_BAR, OVER_STAIR = 0.6, 3.0, 8.0
"""What a label's place costs for each line it covers."""
PIECE = 14.0
"""Slanted lines are covered by boxes of this many pixels."""
TAIL = 48.0
"""What a curve has beyond its last point on the frontier, in pixels, up to which it is named at that point."""
ENOUGH = 3
"""So many points of a curve on the frontier are told apart by their budgets."""


@dataclass(frozen=True, slots=True)
class Label:
    """A placed label: its point, where its centre sits from the mark in pixels (y down), whether a leader is drawn."""

    point: int
    text: str
    model: str
    """Said after the name, in muted ink; empty where one model is shown."""
    name: bool
    """The name of a curve; else the budget of a point."""
    bold: bool
    """Of a curve that touches the frontier."""
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
    points: Sequence[Point],
    named: Sequence[Sequence[int]],
    curves: Sequence[Sequence[int]],
    line: Sequence[tuple[float, float]],
    x: LogScale,
    y: AccuracyScale,
    box: Box,
    *,
    handles: tuple[float | None, float | None] = (None, None),
    levels: Sequence[float] = (),
    tags: Sequence[tuple[float, float, float, float]] = (),
    narrow: bool = False,
) -> tuple[Label, ...]:
    """The name of each curve of `named` at its end; budgets of frontier points where a curve has several.

    `line`: corners of the frontier. `handles`: the limits of spend and accuracy, whose lines cost, as those of the
    accuracies `levels` do. `tags`: boxes of texts that stand already, left, top, right and foot in pixels. What has no
    legible place is left out and told on hover."""
    plane, several = Plane(x, y, *box.plot), len({p.model for p in points}) > 1
    wanted, asks = list[Label](), list[Ask]()
    for curve in sorted(named, key=lambda curve: not any(points[i].front for i in curve)):
        end, front = curve[-1], [i for i in curve if points[i].front]
        if front and math.dist(*(plane.at(points[i].x, points[i].y) for i in (front[-1], end))) < TAIL:
            end = front[-1]
        last = points[end]
        name = last.name.short.removesuffix(f", {last.name.at}") if last.name.at else last.name.short
        strategy, model = (name.partition(" · ")[0], last.model) if several else (name, "")
        wanted.append(Label(end, strategy, model, True, bool(front), 0, 0, False))
        # Budgets that gave the same are one point, which the smallest names.
        apart = [*{(points[i].x, points[i].y): i for i in reversed(front)}.values()][::-1]
        budgets = apart if len(apart) >= ENOUGH else []
        wanted += [
            # What is counted stands at the axis: `up to 64`.
            Label(i, re.sub(r" (tokens?|calls?)( in all)?$", "", limit), "", False, False, 0, 0, False)
            for i in budgets
            if (limit := points[i].name.at) and not (narrow and i == budgets[-1])
        ]
    wanted.sort(key=lambda label: (not label.bold, not label.name))
    for label in wanted:
        point = points[label.point]
        at = plane.at(point.x, point.y)
        wide = width(label.text, SIZE if label.name else SMALL, bold=label.bold)
        wide += width(f" · {label.model}", SIZE) if label.model else 0
        near_edge = at[0] + wide + 16 > plane.across
        prefer = UP_LEFT if not label.name or label.bold or near_edge else RIGHT
        asks.append(Ask(*at, point.radius, wide + 4, HEIGHT, prefer))
    bars = list[tuple[float, float, float, float, float]]()
    for p in points:
        if p.front and p.y_low is not None and p.y_high is not None:
            bars.append((*plane.at(p.x, p.y_low), *plane.at(p.x, p.y_high), OVER_BAR))
    for curve in curves:
        for one, other in pairwise(curve):
            bars += _pieces(plane.at(points[one].x, points[one].y), plane.at(points[other].x, points[other].y))
    corners = [plane.at(*corner) for corner in line]
    for (x0, y0), (x1, y1) in pairwise(corners):
        bars += [(x0, y0, x1, y0, OVER_STAIR), (x1, y0, x1, y1, OVER_STAIR)]
    if corners:
        # The frontier's line runs on to the right edge.
        bars.append((*corners[-1], plane.across, corners[-1][1], OVER_STAIR))
    most, least = handles
    for level in (*levels, *([] if least is None else [least])):
        up = plane.at(0, level)[1]
        bars.append((0, up, plane.across, up, OVER_STAIR))
    if most is not None:
        edge = plane.at(most, 0)[0]
        bars.append((edge, 0, edge, plane.high, OVER_STAIR))
    circles = tuple((*plane.at(p.x, p.y), p.radius) for p in points)
    places = place(asks, Scene(plane.across, plane.high, circles, tuple(bars), tuple(tags)))
    return tuple(
        replace(label, dx=spot.dx, dy=spot.dy, leader=spot.leader)
        for label, spot in zip(wanted, places, strict=True)
        if spot is not None
    )


def _pieces(start: tuple[float, float], end: tuple[float, float]) -> list[tuple[float, float, float, float, float]]:
    """A slanted line as a row of small boxes: the placing knows upright and level ones only."""
    (x0, y0), (x1, y1) = start, end
    count = max(1, min(60, round(max(abs(x1 - x0), abs(y1 - y0)) / PIECE)))
    stops = [(x0 + (x1 - x0) * i / count, y0 + (y1 - y0) * i / count) for i in range(count + 1)]
    return [(*one, *other, OVER_CURVE) for one, other in pairwise(stops)]
