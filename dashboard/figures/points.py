"""Cells as marks: where each sits, how sure it is of its place on the frontier, its colour, shape and hover text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from dashboard import theme
from dashboard.figures.axes import Lens
from dashboard.figures.hover import hover_text
from dashboard.figures.lettering import plain
from dashboard.figures.names import Name, Row, name_rows, short_models, variant

Tier = Literal["likely", "possible", "unlikely", "partial"]
LIKELY, POSSIBLE = 0.5, 0.05
CUT, SLASH = "over 10% of trials ended by the budget", 17.0
"""What a slash through a mark means, and its length in pixels."""
SIZES: dict[Tier, float] = {"likely": 13.5, "possible": 11.0, "unlikely": 8.5, "partial": 8.5}

__all__ = ["CUT", "LIKELY", "POSSIBLE", "SIZES", "SLASH", "Point", "Tier", "ends", "families", "points_of", "tier_of"]


@dataclass(frozen=True, slots=True)
class Point:
    """One cell as it is drawn; x in the unit of the axis, y a fraction."""

    condition_id: str
    budget: int | None
    strategy: str
    model: str
    """Short form, not escaped."""
    model_name: str
    """As the frame has it."""
    name: Name
    """Not escaped."""
    hover: str
    """Escaped, ready for plotly."""
    x: float
    x_low: float | None
    x_high: float | None
    y: float
    y_low: float | None
    y_high: float | None
    chance: float | None
    """Of being on the frontier; None: not known, or partial."""
    tier: Tier
    colour: str
    shape: theme.Shape
    family: str
    """Equal for the budgets of one condition."""
    cut: bool = False
    """Whether the budget ended so many of its trials that its accuracy says as much about the budget."""


def tier_of(chance: float | None, *, partial: bool = False, on_frontier: bool = False) -> Tier:
    """How a cell is drawn; without a chance, cells on the point-estimate frontier count as possible."""
    if partial:
        return "partial"
    if chance is None:
        return "possible" if on_frontier else "unlikely"
    return "likely" if chance >= LIKELY else "possible" if chance >= POSSIBLE else "unlikely"


def points_of(
    rows: Sequence[Row], lens: Lens, dark: bool, models: Sequence[str], strategies: Sequence[str]
) -> tuple[Point, ...]:
    shapes = theme.model_shapes([*models, *sorted({str(row["model"]) for row in rows})])
    colours = theme.strategy_colours([*strategies, *(str(row["strategy"]) for row in rows)], dark=dark)
    short = short_models([*shapes])
    return tuple(
        _point(row, name, lens, colours[str(row["strategy"])], shapes[model], short[model], dark)
        for row, name in zip(rows, name_rows(rows), strict=True)
        for model in (str(row["model"]),)
    )


def _point(row: Row, name: Name, lens: Lens, colour: str, shape: theme.Shape, model: str, dark: bool) -> Point:
    partial = bool(row["partial"])
    chance = None if partial else row["p_frontier"]
    return Point(
        condition_id=str(row["condition_id"]),
        budget=row["budget"],
        strategy=plain(str(row["strategy"])),
        model=f"{model} (simulated)" if row["simulated"] else model,
        model_name=str(row["model"]),
        name=name,
        hover=hover_text(row, name.full, lens, chance, theme.inks(dark).muted),
        x=lens.value(row) or 0.0,
        x_low=lens.value(row, "_low"),
        x_high=lens.value(row, "_high"),
        y=float(row["accuracy"]),
        y_low=row["accuracy_low"],
        y_high=row["accuracy_high"],
        chance=chance,
        tier=tier_of(chance, partial=partial, on_frontier=bool(row["on_frontier"])),
        colour=colour,
        shape=shape,
        family="\x1f".join(variant(row)),
        cut=bool(row.get("much_cut")),
    )


def ends(points: Sequence[Point], *names: str) -> Iterator[float]:
    """The known ends of the points' intervals."""
    every = (getattr(point, name) for point in points for name in names)
    return (end for end in every if end is not None)


def families(points: Sequence[Point]) -> tuple[tuple[int, ...], ...]:
    kin: dict[str, list[int]] = defaultdict(list)
    for i, point in enumerate(points):
        kin[point.family].append(i)
    return tuple(tuple(sorted(f, key=lambda i: (points[i].budget or 0, i))) for f in kin.values() if len(f) > 1)
