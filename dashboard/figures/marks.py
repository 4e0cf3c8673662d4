"""Points as marks: where each setting sits at each budget, what it says when pointed at, its paint.

Those on the frontier are large and have intervals; the others are quiet. A hover text is escaped HTML.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dashboard import theme
from dashboard.figures.axes import Lens, LogScale
from dashboard.figures.ink import SELECTABLE, Trace, hovering, interval_bars, stroke
from dashboard.figures.lettering import plain, safe
from dashboard.figures.names import Name, Row, name_rows, short_models, variant
from dashboard.theme import Inks, fade
from engine.core import names
from engine.core import text as fmt

__all__ = [
    "FRONT",
    "QUIET",
    "Point",
    "baseline_marks",
    "baselines",
    "count_line",
    "curves_of",
    "cut_line",
    "marks",
    "measured",
    "muted_text",
    "points_of",
    "shares",
]

FRONT, QUIET = 13.0, 5.5
"""Diameters in pixels of a point on the frontier and of any other."""


@dataclass(frozen=True, slots=True)
class Point:
    """A setting at a budget as it is drawn; x in the unit of the axis, y a fraction."""

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
    y: float
    y_low: float | None
    y_high: float | None
    chance: float | None
    """Of being best for its spend; None: not known, or partial."""
    front: bool
    """Whether it is on the measured frontier; a partial point never is."""
    colour: str
    shape: theme.Shape
    family: str
    """Equal for the budgets of one setting."""

    @property
    def radius(self) -> float:
        """Pixels from the centre of its mark to the edge."""
        return (FRONT if self.front else QUIET) * self.shape.factor / 2


def chance_of(row: Row) -> float | None:
    """A cell's chance of being best for its spend; None: there is none to be told, as of one that is never right, the
    cheapest of which is best in every replicate."""
    return row.get("p_frontier") if row["accuracy"] and not row["partial"] else None


def points_of(
    rows: Sequence[Row], lens: Lens, dark: bool, models: Sequence[str], strategies: Sequence[str]
) -> tuple[Point, ...]:
    """The rows of a frontier frame as marks on the axis `lens`; every row has a spend and an accuracy.

    `models` and `strategies` come before those of the rows, so that shapes and colours stay put under a filter."""
    # Models of the rows sorted, since the order of rows changes with every filter.
    shapes = theme.model_shapes([*models, *sorted({str(row["model"]) for row in rows})])
    colours = theme.strategy_colours([*strategies, *(str(row["strategy"]) for row in rows)], dark=dark)
    short, muted = short_models([*shapes]), theme.inks(dark).muted
    points = []
    for row, name in zip(rows, name_rows(rows), strict=True):
        model, chance = str(row["model"]), chance_of(row)
        point = Point(
            condition_id=str(row["condition_id"]),
            budget=row["budget"],
            strategy=plain(str(row["strategy"])),
            model=f"{short[model]} (simulated)" if row["simulated"] else short[model],
            model_name=model,
            name=name,
            hover=_hover_text(row, name.full, lens, chance, muted),
            x=lens.value(row) or 0.0,
            y=float(row["accuracy"]),
            y_low=row["accuracy_low"],
            y_high=row["accuracy_high"],
            chance=chance,
            front=bool(row["on_frontier"]) and not row["partial"],
            colour=colours[str(row["strategy"])],
            shape=shapes[model],
            # A separator that no name holds, so that two variants never join to one text.
            family="\x1f".join(variant(row)),
        )
        points.append(point)
    return tuple(points)


def curves_of(points: Sequence[Point]) -> tuple[tuple[int, ...], ...]:
    """The points of each setting by budget: its curve, of one point where it is shown at one."""
    kin: dict[str, list[int]] = defaultdict(list)
    for i, point in enumerate(points):
        kin[point.family].append(i)
    return tuple(tuple(sorted(curve, key=lambda i: (points[i].budget or 0, i))) for curve in kin.values())


def _hover_text(row: Row, name: str, lens: Lens, chance: float | None, muted: str) -> str:
    """The lines of a point, for plotly; `muted` is the ink of what comes second."""
    assumed = " (assumed price)" if lens.money and row["usd_assumed"] else ""
    spend, low, high = (lens.value(row, end) for end in ("", "_low", "_high"))
    standing = "" if chance is None else f"{safe(fmt.share(chance))} chance of being best for its spend"
    if row["partial"]:
        done, planned = int(row["n_questions"] or 0), int(row["n_planned"] or 0)
        standing = f"partial: {fmt.count(done)} of {fmt.plural(planned, 'question')}, no verdict"
    standing = names.stopped(row) or standing
    said: Callable[[float | None], str] = lambda share: fmt.accuracy(share, row["n_questions"])  # noqa: E731
    drawn = fmt.draws(row.get("n_draws"))
    lines = [
        f"<b>{safe(name)}</b>",
        measured(row["accuracy"], row["accuracy_low"], row["accuracy_high"], said, "accuracy", muted),
        measured(spend, low, high, lens.form, lens.per + assumed, muted),
        safe(cut_line(row)),
        standing,
        safe(names.IDLE) if row.get("idle") else "",
        *(muted_text(safe(fact), muted) for fact in (row.get("mechanism") or "").split("; ") if fact),
        muted_text(drawn, muted) if drawn else "",
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


def baseline_marks(lines: Sequence[tuple[float, str]], scale: LogScale, inks: Inks) -> list[Trace]:
    """A dotted line across the plot for each, a decade past either edge, so that panning does not show its ends."""
    pen, ends = {"width": 1.2, "dash": "dot", "color": fade(inks.muted, 0.8)}, (scale.low - 1, scale.high + 1)
    return [stroke([10**end for end in ends], [at, at], pen) for at, _ in lines]


def measured(
    value: float | None,
    low: float | None,
    high: float | None,
    form: Callable[[float | None], str],
    what: str,
    muted: str,
) -> str:
    """`67%  (63–71)  accuracy`."""
    ends = fmt.interval(low, high, form)
    return f"{safe(form(value))}  {muted_text(safe(ends), muted) + '  ' if ends else ''}{what}"


def muted_text(text: str, colour: str) -> str:
    """Text in the ink of what comes second; already safe."""
    return f'<span style="color:{colour}">{text}</span>'


def cut_line(row: Row) -> str:
    """`27% cut off by the budget · 4% no answer`, where any were; and accuracy without those the budget ended."""
    n = row["n_questions"]
    parts = [f"{fmt.accuracy(share, n)} {word}" for word, share in shares(row).items() if share]
    if row.get("n_exhausted") and row.get("accuracy_finished") is not None:
        parts.append(f"{fmt.accuracy(row['accuracy_finished'], n)} of the others right")
    return " · ".join(parts)


def shares(row: Row) -> dict[str, float | None]:
    """What share of a point's answers did not end by themselves; None: there are none to count."""
    scored = sum(int(row.get(name) or 0) for name in ("n_right", "n_partly", "n_wrong", "n_none"))
    # Failed ones are never scored, so theirs is a share of all.
    every = int(row.get("n_trials") or 0)
    counts = (
        ("n_exhausted", "cut off by the budget", scored),
        ("n_none", "no answer", scored),
        ("n_failed", "failed", every),
    )
    return {word: int(row.get(name) or 0) / of if of else None for name, word, of in counts}


def count_line(row: Row) -> str:
    """`n = 500 questions · 95% intervals`, with what was left out."""
    parts = [f"n = {fmt.plural(int(row['n_questions'] or 0), 'question')}", "95% intervals"]
    if row.get("n_censored"):
        parts.append(f"{fmt.count(int(row['n_censored']))} not observed up to this budget")
    if row.get("simulated"):
        parts.append("simulated model")
    return " · ".join(parts)


def marks(
    points: Sequence[Point], ink: dict[str, str], scale: LogScale, inks: Inks, *, crowded: bool = False
) -> Iterator[Trace]:
    """Marks, `customdata` leading back to the point: the quiet ones, then those of the frontier with their intervals.

    `ink`: by setting (`Point.family`) its colour. `crowded`: the quiet ones are drawn with WebGL."""
    for front in (False, True):
        # A trace has one colour of hover box, so each colour is a trace.
        for colour in dict.fromkeys(ink[p.family] for p in points if p.front == front):
            group = [p for p in points if p.front == front and ink[p.family] == colour]
            x, y = [scale.place(p.x) for p in group], [p.y for p in group]
            marker = {
                "symbol": [p.shape.symbol for p in group],
                "size": [round(2 * p.radius, 2) for p in group],
                "color": colour,
                "line": {"color": inks.background, "width": 1.6 if front else 0.6},
                # Said, because plotly pales marks of several sizes to 0.7 by itself.
                "opacity": 1,
            }
            trace = {"type": "scatter", "x": x, "y": y, "mode": "markers", "marker": marker, "showlegend": False}
            trace |= {"customdata": [[p.condition_id, p.budget] for p in group]} | SELECTABLE
            trace |= hovering([p.hover for p in group], colour)
            if front:
                lows, highs = [p.y_low for p in group], [p.y_high for p in group]
                trace["error_y"] = interval_bars(y, lows, highs, fade(colour, 0.45), 1.2)
            yield trace | ({"type": "scattergl"} if crowded and not front else {"cliponaxis": False})
