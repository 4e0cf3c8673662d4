"""Cells as marks: where each sits, how likely it is on the frontier, what it says when pointed at, its paint.

A hover text is escaped HTML: name, accuracy, spend, chance and n, each with its interval.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from dashboard import theme
from dashboard.figures.axes import AXES, Lens, LogScale
from dashboard.figures.ink import SELECTABLE, SILENT, Trace, hovering, interval_bars, note, stroke
from dashboard.figures.lettering import plain, safe
from dashboard.figures.names import Name, Row, name_rows, short_models, variant
from dashboard.theme import Inks, fade
from engine.core import names
from engine.core import text as fmt

__all__ = [
    "CUT",
    "LIKELY",
    "POSSIBLE",
    "SIZES",
    "SLASH",
    "Point",
    "Tier",
    "cell_marks",
    "count_line",
    "cut_line",
    "ends",
    "families",
    "measured",
    "muted_text",
    "points_of",
    "shares",
]


Tier = Literal["likely", "possible", "unlikely", "partial"]
LIKELY, POSSIBLE = 0.5, 0.05
CUT, SLASH = "over 10% of trials ended by the budget", 17.0
"""What a slash through a mark means, and its length in pixels."""
SIZES: dict[Tier, float] = {"likely": 13.5, "possible": 11.0, "unlikely": 8.5, "partial": 8.5}
BARS: dict[Tier, tuple[float, float]] = {
    # In drawing order, the likely ones on top.
    "partial": (1.0, 0.35),
    "unlikely": (1.0, 0.35),
    "possible": (1.1, 0.5),
    "likely": (1.5, 0.8),
}
"""Width and opacity of interval bars."""


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
    """How it is drawn; without a chance, cells on the point-estimate frontier count as possible."""
    colour: str
    shape: theme.Shape
    family: str
    """Equal for the budgets of one condition."""
    cut: bool = False
    """Whether the budget ended so many of its trials that its accuracy says as much about the budget."""


def points_of(
    rows: Sequence[Row], lens: Lens, dark: bool, models: Sequence[str], strategies: Sequence[str]
) -> tuple[Point, ...]:
    """The cells of a frontier frame as marks on the axis `lens`; every row has a spend and an accuracy.

    `models` and `strategies` come before those of the rows, so that shapes and colours stay put under a filter."""
    # Models of the rows sorted, since the order of rows changes with every filter.
    shapes = theme.model_shapes([*models, *sorted({str(row["model"]) for row in rows})])
    colours = theme.strategy_colours([*strategies, *(str(row["strategy"]) for row in rows)], dark=dark)
    short, muted = short_models([*shapes]), theme.inks(dark).muted
    points = []
    for row, name in zip(rows, name_rows(rows), strict=True):
        model, chance = str(row["model"]), None if row["partial"] else row["p_frontier"]
        tier: Tier = "possible" if row["on_frontier"] else "unlikely"
        if row["partial"]:
            tier = "partial"
        elif chance is not None:
            tier = "likely" if chance >= LIKELY else "possible" if chance >= POSSIBLE else "unlikely"
        point = Point(
            condition_id=str(row["condition_id"]),
            budget=row["budget"],
            strategy=plain(str(row["strategy"])),
            model=f"{short[model]} (simulated)" if row["simulated"] else short[model],
            model_name=model,
            name=name,
            hover=_hover_text(row, name.full, lens, chance, muted),
            x=lens.value(row) or 0.0,
            x_low=lens.value(row, "_low"),
            x_high=lens.value(row, "_high"),
            y=float(row["accuracy"]),
            y_low=row["accuracy_low"],
            y_high=row["accuracy_high"],
            chance=chance,
            tier=tier,
            colour=colours[str(row["strategy"])],
            shape=shapes[model],
            # A separator that no name holds, so that two variants never join to one text.
            family="\x1f".join(variant(row)),
            cut=bool(row.get("much_cut")),
        )
        points.append(point)
    return tuple(points)


def ends(points: Sequence[Point], *names: str) -> Iterator[float]:
    """The known ends of the points' intervals."""
    every = (getattr(point, name) for point in points for name in names)
    return (end for end in every if end is not None)


def families(points: Sequence[Point]) -> tuple[tuple[int, ...], ...]:
    """The points of each condition that is shown at several budgets, by budget."""
    kin: dict[str, list[int]] = defaultdict(list)
    for i, point in enumerate(points):
        kin[point.family].append(i)
    return tuple(tuple(sorted(f, key=lambda i: (points[i].budget or 0, i))) for f in kin.values() if len(f) > 1)


def _hover_text(row: Row, name: str, lens: Lens, chance: float | None, muted: str) -> str:
    """The lines of a cell, for plotly; `muted` is the ink of what comes second."""
    assumed = " (assumed price)" if row["usd_assumed"] else ""
    spend, low, high = (lens.value(row, end) for end in ("", "_low", "_high"))
    # Money and tokens explain each other, so the one that is not on the axis is said as well.
    other = AXES["total_tokens"] if lens.money else AXES["usd"]
    other_spend = other.value(row)
    standing = "" if chance is None else f"{safe(fmt.share(chance))} chance of being on the frontier"
    if row["partial"]:
        done, planned = int(row["n_questions"] or 0), int(row["n_planned"] or 0)
        standing = f"partial: {fmt.count(done)} of {fmt.plural(planned, 'question')}, no verdict"
    drawn = fmt.draws(row.get("n_draws"))
    lines = [
        f"<b>{safe(name)}</b>",
        measured(row["accuracy"], row["accuracy_low"], row["accuracy_high"], fmt.percent, "accuracy", muted),
        measured(spend, low, high, lens.form, lens.per + (assumed if lens.money else ""), muted),
        "price unknown" if other_spend is None and other.money else "",
        "" if other_spend is None else f"{safe(other.form(other_spend))} {other.per}{assumed if other.money else ''}",
        standing,
        safe(names.IDLE) if row.get("idle") else "",
        *(muted_text(safe(fact), muted) for fact in (row.get("mechanism") or "").split("; ") if fact),
        muted_text(drawn, muted) if drawn else "",
        muted_text(cut_line(row), muted),
        muted_text(count_line(row), muted),
    ]
    return "<br>".join(line for line in lines if line)


NEAR = 0.02
"""Two baselines nearer to each other than this are one line."""


def baselines(rows: Sequence[Row]) -> tuple[tuple[float, str], ...]:
    """What somebody scores on the one task of these rows who does not read the questions, with its name."""
    if len({row["task"] for row in rows}) != 1:
        return ()
    known = [(rows[0].get(column), words) for column, words in (("guess", "one fixed answer"), ("chance", "chance"))]
    lines = [(float(value), words) for value, words in known if value is not None]
    if len(lines) == 2 and abs(lines[0][0] - lines[1][0]) < NEAR:
        return ((lines[0][0], "one fixed answer, chance"),)
    return tuple(lines)


def baseline_marks(
    lines: Sequence[tuple[float, str]], scale: LogScale, inks: Inks, *, right: bool = False
) -> tuple[list[Trace], list[Trace]]:
    """A dotted line across the plot for each, and its name above its left or right end."""
    # A decade past either edge, so that panning does not show its ends at once.
    across = [10 ** (scale.low - 1), 10 ** (scale.high + 1)]
    pen = {"width": 1.2, "dash": "dot", "color": fade(inks.muted, 0.8)}
    font = {"size": 11, "color": inks.muted}
    side = {"x": 1, "xanchor": "right"} if right else {"x": 0, "xanchor": "left", "xshift": 3}
    notes = [
        note(f"{words} {safe(fmt.percent(at))}", y=at, yanchor="bottom", font=font, **side)
        | {"xref": "x domain", "yref": "y"}
        for at, words in lines
    ]
    return [stroke(across, [at, at], pen) for at, _ in lines], notes


def measured(
    value: float | None,
    low: float | None,
    high: float | None,
    form: Callable[[float | None], str],
    what: str,
    muted: str,
) -> str:
    """`67.4%  (63.2–71.4)  accuracy`."""
    ends = fmt.interval(low, high, form)
    return f"{safe(form(value))}  {muted_text(safe(ends), muted) + '  ' if ends else ''}{what}"


def muted_text(text: str, colour: str) -> str:
    """Text in the ink of what comes second; already safe."""
    return f'<span style="color:{colour}">{text}</span>'


def cut_line(row: Row) -> str:
    """`12.5% out of budget · 4.0% no answer · 0.0% failed`, and accuracy without those the budget ended."""
    parts = [f"{fmt.percent(share)} {word}" for word, share in shares(row).items() if share is not None]
    if row.get("n_exhausted") and row.get("accuracy_finished") is not None:
        parts.append(f"{fmt.percent(row['accuracy_finished'])} of the others right")
    return " · ".join(parts)


def shares(row: Row) -> dict[str, float | None]:
    """What share of a cell's trials did not come to an answer by themselves; None: there are none to count."""
    scored = sum(int(row.get(name) or 0) for name in ("n_right", "n_wrong", "n_none"))
    # Failed trials are never scored, so theirs is a share of all.
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


def cell_marks(points: Sequence[Point], scale: LogScale, inks: Inks, *, crowded: bool = False) -> Iterator[Trace]:
    """Marks with their interval bars, `customdata` leading back to the cell, and slashes through those much cut.

    `crowded`: drawn with WebGL, which knows neither bars nor slashes at that speed."""
    for tier, (thick, opacity) in BARS.items():
        # A trace has one colour of bars and of hover box, so each strategy of a tier is a trace.
        for colour in dict.fromkeys(p.colour for p in points):
            group = [p for p in points if p.tier == tier and p.colour == colour]
            if not group:
                continue
            fill, outline, width = {
                "likely": (colour, inks.background, 1.5),
                "possible": (theme.blend(colour, inks.background, 0.45), colour, 1.6),
                "unlikely": (inks.background, colour, 1.6),
                "partial": (colour, colour, 1.2),
            }[tier]
            marker = {
                "symbol": [p.shape.symbol + ("-open-dot" if tier == "partial" else "") for p in group],
                "size": [round(SIZES[tier] * p.shape.factor, 2) for p in group],
                "color": fill,
                "line": {"color": outline, "width": width},
                # Said, because plotly pales marks of several sizes to 0.7 by itself.
                "opacity": 1,
            }
            x, y, pale = [scale.place(p.x) for p in group], [p.y for p in group], fade(colour, opacity)
            # Placed before they are subtracted: an end of zero has no logarithm and ends where zero is drawn.
            lows = [None if p.x_low is None else scale.place(p.x_low) for p in group]
            highs = [None if p.x_high is None else scale.place(p.x_high) for p in group]
            trace = {"type": "scatter", "x": x, "y": y, "mode": "markers", "marker": marker, "showlegend": False}
            trace |= {"customdata": [[p.condition_id, p.budget] for p in group]} | SELECTABLE
            trace |= hovering([p.hover for p in group], colour)
            if crowded:
                yield trace | {"type": "scattergl"}
                continue
            bars = interval_bars(y, [p.y_low for p in group], [p.y_high for p in group], pale, thick)
            trace |= {"error_x": interval_bars(x, lows, highs, pale, thick), "error_y": bars}
            yield trace | {"cliponaxis": False}
    slashed = [point for point in points if point.cut]
    if slashed and not crowded:
        pen = {"symbol": "line-ne-open", "size": SLASH, "color": inks.text, "line": {"width": 1.4, "color": inks.text}}
        x, y = [scale.place(p.x) for p in slashed], [p.y for p in slashed]
        trace = {"type": "scatter", "x": x, "y": y, "mode": "markers", "marker": pen | {"opacity": 1}, **SILENT}
        # A slash stays dark when its mark is paled by a selection.
        yield trace | {"cliponaxis": False, "unselected": {"marker": {"opacity": 1}}}
