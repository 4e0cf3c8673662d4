"""What a mark says when pointed at: its name, accuracy, spend, chance and n, each with its interval; escaped HTML.

Cells as marks: where each sits, how sure it is of its place on the frontier, its colour, shape and hover text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from dashboard import theme
from dashboard.figures.axes import AXES, Lens
from dashboard.figures.lettering import plain, safe
from dashboard.figures.names import Name, Row, name_rows, short_models, variant
from engine.core import text as fmt

__all__ = [
    "CUT",
    "LIKELY",
    "POSSIBLE",
    "SIZES",
    "SLASH",
    "Point",
    "Tier",
    "count_line",
    "cut_line",
    "ends",
    "families",
    "hover_text",
    "measured",
    "points_of",
    "shares",
    "tier_of",
]


def hover_text(row: Row, name: str, lens: Lens, chance: float | None, muted: str) -> str:
    """The lines of a cell, for plotly; `muted` is the ink of what comes second."""
    other = AXES["total_tokens"] if lens.money else AXES["usd"]
    lines = [
        f"<b>{safe(name)}</b>",
        measured(row["accuracy"], row["accuracy_low"], row["accuracy_high"], fmt.percent, "accuracy", muted),
        _spend(row, lens, muted),
        _other_spend(row, other),
        _standing(row, chance),
        _ink(cut_line(row), muted),
        _ink(count_line(row), muted),
    ]
    return "<br>".join(line for line in lines if line)


def measured(
    value: float | None,
    low: float | None,
    high: float | None,
    form: Callable[[float | None], str],
    what: str,
    muted: str,
) -> str:
    """`67.4%  (63.2–71.4)  accuracy`."""
    bare = fmt.interval(low, high, form)
    return f"{safe(form(value))}  {_ink(safe(bare), muted) + '  ' if bare else ''}{what}"


def cut_line(row: Row) -> str:
    """`12.5% out of budget · 4.0% no answer · 0.0% failed`, and accuracy without those the budget ended."""
    parts = [f"{fmt.percent(share)} {word}" for word, share in shares(row).items() if share is not None]
    if row.get("n_exhausted") and row.get("accuracy_finished") is not None:
        parts.append(f"{fmt.percent(row['accuracy_finished'])} of the others right")
    return " · ".join(parts)


def shares(row: Row) -> dict[str, float | None]:
    """What share of a cell's trials did not come to an answer by themselves; None: there are none to count.

    Of the scored trials, but failed ones, which are never scored, of all."""
    scored = sum(int(row.get(name) or 0) for name in ("n_right", "n_wrong", "n_none"))
    every = int(row.get("n_trials") or 0)
    counts = (("n_exhausted", "out of budget", scored), ("n_none", "no answer", scored), ("n_failed", "failed", every))
    return {word: int(row.get(name) or 0) / of if of else None for name, word, of in counts}


def count_line(row: Row) -> str:
    """`n = 500 questions · 95% intervals`, with what was left out."""
    parts = [f"n = {fmt.plural(int(row['n_questions'] or 0), 'question')}", "95% intervals"]
    if row.get("n_censored"):
        parts.append(f"{fmt.count(int(row['n_censored']))} censored")
    if row.get("simulated"):
        parts.append("simulated model")
    return " · ".join(parts)


def _spend(row: Row, lens: Lens, muted: str) -> str:
    what = lens.per + (" (assumed price)" if lens.money and row["usd_assumed"] else "")
    return measured(lens.value(row), lens.value(row, "_low"), lens.value(row, "_high"), lens.form, what, muted)


def _other_spend(row: Row, lens: Lens) -> str:
    value = lens.value(row)
    if value is None:
        return "price unknown" if lens.money else ""
    return f"{safe(lens.form(value))} {lens.per}" + (" (assumed price)" if lens.money and row["usd_assumed"] else "")


def _standing(row: Row, chance: float | None) -> str:
    if row["partial"]:
        done, planned = int(row["n_questions"] or 0), int(row["n_planned"] or 0)
        return f"partial: {fmt.count(done)} of {fmt.plural(planned, 'question')}, no verdict"
    return "" if chance is None else f"{safe(fmt.share(chance))} chance of being on the frontier"


def _ink(text: str, colour: str) -> str:
    return f'<span style="color:{colour}">{text}</span>'


Tier = Literal["likely", "possible", "unlikely", "partial"]
LIKELY, POSSIBLE = 0.5, 0.05
CUT, SLASH = "over 10% of trials ended by the budget", 17.0
"""What a slash through a mark means, and its length in pixels."""
SIZES: dict[Tier, float] = {"likely": 13.5, "possible": 11.0, "unlikely": 8.5, "partial": 8.5}


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
