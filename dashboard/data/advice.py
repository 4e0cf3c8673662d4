"""What the Advice page can be asked, and what a visitor typed made into numbers the analysis takes.

Pure: knows neither Streamlit nor a database. Raises UsageError in words a visitor understands.

Answers to the questions of the Advice page, and what they were read off; cached as in `data`. Draws nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboard.data import queries
from engine.core.errors import UsageError, shortened
from engine.core.records import PUSD_PER_USD

if TYPE_CHECKING:
    import polars as pl

    from engine.analysis import Advice, Advisor

__all__ = [
    "QUESTIONS",
    "UNITS",
    "Ask",
    "accuracy",
    "ahead",
    "answered",
    "candidates",
    "differences_at",
    "factor",
    "spend",
    "wall",
    "walls_of",
]


QUESTIONS = {
    "reach": "Reach an accuracy",
    "under": "Stay under a budget",
    "beats": "When does B beat A",
    "next": "The next point",
    "right": "Cost per right answer",
    "without": "Without a model",
    "price": "At another price",
}
"""By their name in the URL."""
UNITS = {
    "output_tokens": "output tokens a question",
    "total_tokens": "tokens a question",
    "calls": "calls a question",
    "usd": "US dollars a question",
}
WALLS = 24
"""Budgets at which a difference is drawn besides those the answer looked at."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One question with all it takes; what a question does not take is None."""

    question: str
    """A key of QUESTIONS."""
    task: str
    x: str
    """The spend that is meant by cheap."""
    axis: str | None = None
    """What budgets count; None: each condition's own axis."""
    number: float | None = None
    """Accuracy as a share, budget in the unit of its axis, spend (None: the last step), or factor."""
    a: str = ""
    b: str = ""
    """Condition ids: whether `b` beats `a`."""
    model: str = ""
    strategies: tuple[str, ...] = ()
    """Those that take part; empty: all."""

    @property
    def wall(self) -> int | None:
        """The budget settings are read at; None: those of their studies."""
        return round(self.number or 0) if self.question == "under" else None


def answered(ask: Ask, adviser: Advisor) -> Advice:
    """The answer of the analysis. Raises UsageError, UnknownName."""
    number = 0.0 if ask.number is None else ask.number
    match ask.question:
        case "reach":
            return adviser.reach(number)
        case "under":
            return adviser.under(round(number))
        case "beats":
            return adviser.beats(ask.b, ask.a)
        case "next":
            return adviser.next_point(ask.number)
        case "right":
            return adviser.per_right()
        case "without":
            return adviser.without(ask.model)
    return adviser.priced(ask.model, number)


def candidates(cells: pl.DataFrame, ask: Ask) -> pl.DataFrame:
    """The cells an answer is picked from."""
    import polars as pl

    mine = cells.filter(task=ask.task)
    if ask.strategies:
        mine = mine.filter(pl.col("strategy").is_in(list(ask.strategies)))
    return mine if ask.wall is None else mine.filter(pl.col("budget") <= ask.wall, axis=ask.axis)


def ahead(evidence: pl.DataFrame) -> int | None:
    """The least budget from which on the interval of the difference stays above 0; None: not even at the largest."""
    found = None
    for row in reversed(evidence.sort("budget").to_dicts()):
        if row["low"] is None or row["low"] <= 0:
            break
        found = int(row["budget"])
    return found


def walls_of(evidence: pl.DataFrame, steps: Iterable[int]) -> list[int]:
    """Budgets that evidence left out, evenly picked from those at which either side changes."""
    known = set(evidence["budget"].to_list())
    left = sorted({step for step in steps if 0 < step < max(known, default=0)} - known)
    return left[:: max(1, -(-len(left) // WALLS))]


def differences_at(
    ask: Ask, evidence: pl.DataFrame, walls: Sequence[int], units: pl.DataFrame, sample: tuple[int, int]
) -> pl.DataFrame:
    """Evidence of 'beats' with rows for more budgets. A condition that is not anytime stands at its own in all."""
    import polars as pl

    from engine.analysis import compare, stats

    sides = [units.filter(condition_id=name) for name in (ask.b, ask.a)]
    rows = []
    for wall in walls:
        first, second = (part if part["budget"].n_unique() == 1 else part.filter(budget=wall) for part in sides)
        one = compare.difference(first, second, stats.Sample(*sample))
        rows.append((wall, one.n, one.mean, one.low, one.high, one.p_value))
    return pl.concat([evidence, pl.DataFrame(rows, schema=evidence.schema, orient="row")]).sort("budget")


def accuracy(typed: str) -> float:
    """A percentage as a share: '60', '60%' and '60 %' are 0.6."""
    value = _number(typed.strip().removesuffix("%"))
    if value is None or not 0 < value < 100:
        raise UsageError(f"An accuracy to reach is a percentage between 0 and 100, not {shortened(typed)!r}.")
    return value / 100


def wall(typed: str, axis: str) -> float:
    """A budget a question in the unit of its axis: whole tokens or calls, pico-dollars where dollars are typed."""
    value = _number(typed)
    if value is None or not 0 < value < 1e15 or (axis == "usd" and value > 1e6):
        raise UsageError(f"A budget is a number of {UNITS[axis]}, more than 0, not {shortened(typed)!r}.")
    return max(1.0, round(value * PUSD_PER_USD)) if axis == "usd" else max(1.0, math.floor(value))


def spend(typed: str, x: str) -> float | None:
    """A mean spend a question; None where nothing was typed."""
    value = _number(typed) if typed.strip() else None
    if typed.strip() and (value is None or not 0 <= value < 1e15):
        raise UsageError(f"A spend is a number of {UNITS[x]}, 0 or more, not {shortened(typed)!r}.")
    return value


def factor(typed: str) -> float:
    """What a price is multiplied by: '2', 'x2' and '×2' are 2."""
    value = _number(typed.strip().lower().lstrip("x×"))
    if value is None or not 0 <= value < 1e6:
        raise UsageError(f"A price is multiplied by a number from 0 to a million, not {shortened(typed)!r}.")
    return value


def _number(typed: str) -> float | None:
    """A finite number, thousands separated or not, with or without a dollar sign."""
    try:
        value = float(typed.strip().removeprefix("$").replace(",", ""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


@st.cache_data(max_entries=64, show_spinner=False)
def advice(db: queries.Database, ask: Ask) -> Advice:
    """The answer to one question; strategies that see targets are no advice and take no part."""
    kept: dict[str, Any] = {"strategy": list(ask.strategies)} if ask.strategies else {}
    return answered(
        ask, queries.results(db.path).advise(ask.task, ask.x, ask.axis, queries.REPLICATES, queries.SEED, **kept)
    )


@st.cache_data(max_entries=64, show_spinner=False)
def advised(db: queries.Database, ask: Ask) -> pl.DataFrame:
    """The cells an answer was picked from, with their place on the frontier; see `Results.frontier`."""
    from engine.analysis import frontier as of

    wall = ask.wall
    found, units = queries.measured(db, ask.axis if wall else None, (wall,) if wall else None)
    shown = queries.distinct(candidates(found, ask))
    return of.frontier(shown, queries.theirs(shown, units), ask.x, "staircase", queries.REPLICATES, queries.SEED)


@st.cache_data(max_entries=64, show_spinner=False)
def differences(db: queries.Database, ask: Ask) -> pl.DataFrame:
    """Accuracy of `ask.b` minus that of `ask.a` at many budgets both were measured at: columns of the evidence."""
    found = advice(db, ask).evidence
    lines = queries.curves(db, (ask.a, ask.b), str(ask.axis)).values()
    steps = [budget for line in lines for budget in line["budget"]]
    walls = walls_of(found, steps)
    _, units = queries.results(db.path).measured(ask.axis, walls, {"condition_id": [ask.a, ask.b]})
    return differences_at(ask, found, walls, units, (queries.REPLICATES, queries.SEED))
