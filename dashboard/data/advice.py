"""The questions of the Advice page: what can be asked, what was typed made into numbers, and the cached answers.

Draws nothing. Raises UsageError in words a visitor understands.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboard import figures, theme
from dashboard.data import queries
from dashboard.figures import AdvisedInfo, CrossingInfo
from engine.core import names as core_names
from engine.core.errors import UsageError, shortened
from engine.core.records import PUSD_PER_USD
from engine.strategies import entries
from engine.strategies.lineups import roster

if TYPE_CHECKING:
    import polars as pl

    from engine.analysis import Advice

QUESTIONS = {  # By their name in the URL.
    "reach": "Reach an accuracy",
    "under": "Stay under a budget",
    "beats": "When does B beat A",
    "next": "The next point",
    "right": "Cost per right answer",
    "without": "Without a model",
    "price": "At another price",
}
UNITS = {
    "output_tokens": "output tokens a question",
    "total_tokens": "tokens a question",
    "calls": "calls a question",
    "usd": "US dollars a question",
}
WALLS = 24  # Budgets at which a difference is drawn besides those the answer looked at.


@dataclass(frozen=True, slots=True)
class Ask:
    """One question with all it takes; what a question does not take is None."""

    question: str  # A key of QUESTIONS.
    task: str
    x: str  # The spend that is meant by cheap.
    axis: str | None = None  # What budgets count; None: each condition's own axis.
    number: float | None = None  # Accuracy as a share, budget in the unit of its axis, spend (None: last step), factor.
    a: str = ""  # Condition ids: whether `b` beats `a`.
    b: str = ""
    model: str = ""
    strategies: tuple[str, ...] = ()  # Those that take part; empty: all.
    study: str = queries.ALL

    @property
    def wall(self) -> int | None:
        """The budget settings are read at; None: those of their studies."""
        return round(self.number or 0) if self.question == "under" else None


def names(cells: pl.DataFrame) -> dict[str, str]:
    """Conditions by id, as `core.names` tells them apart; strategies that see targets are called oracles."""
    known, called = entries(), dict[str, str]()
    rows = {row["condition_id"]: row for row in cells.to_dicts()}
    labels = core_names.conditions([*rows.values()])
    for name, row in rows.items():
        oracle = row["strategy"] in known and known[row["strategy"]].oracle
        notes = (labels[name], "oracle" if oracle else "", "simulated" if row["simulated"] else "")
        called[name] = " · ".join(note for note in notes if note)
    return called


def ahead(evidence: pl.DataFrame) -> int | None:
    """The least budget from which on the interval of the difference stays above 0; None: not even at the largest."""
    least = None
    for row in reversed(evidence.sort("budget").to_dicts()):
        if row["low"] is None or row["low"] <= 0:
            break
        least = int(row["budget"])
    return least


def walls_of(evidence: pl.DataFrame, steps: Iterable[int]) -> list[int]:
    """Budgets that evidence left out, evenly picked from those at which either side changes."""
    known = set(evidence["budget"].to_list())
    left = sorted({step for step in steps if 0 < step < max(known, default=0)} - known)
    return left[:: max(1, -(-len(left) // WALLS))]


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
    """The answer of the analysis to one question. Raises UsageError, UnknownName."""
    only: dict[str, Any] = {"study": ask.study} | ({"strategy": list(ask.strategies)} if ask.strategies else {})
    adviser = queries.results(db.path).advise(ask.task, ask.x, ask.axis, queries.REPLICATES, queries.SEED, **only)
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


@st.cache_data(max_entries=64, show_spinner=False)
def shared(db: queries.Database, study: str, task: str) -> list[str]:
    """On which questions the settings of a task are held against each other, where these are not the whole list."""
    from engine.analysis.common import on_common, shared_sentences

    frame, units = queries.measured(db, study=study)
    own = frame.filter(task=task)
    return list(shared_sentences(on_common(own, queries.theirs(own, units))[0]))


@st.cache_data(max_entries=64, show_spinner=False)
def advised(db: queries.Database, ask: Ask, dark: bool, narrow: bool) -> AdvisedInfo:
    """Plain data of the frontier an answer was picked from, the answer marked on it."""
    import polars as pl

    from engine.analysis import frontier as of

    axis, walls = (ask.axis, (ask.wall,)) if ask.wall else (None, None)
    frame, units = queries.measured(db, axis, walls, study=ask.study)
    shown = frame.filter(task=ask.task)
    if ask.strategies:
        shown = shown.filter(pl.col("strategy").is_in(list(ask.strategies)))
    if ask.wall is not None:
        shown = shown.filter(pl.col("budget") <= ask.wall, axis=ask.axis)
    shown = queries.distinct(shown)
    sums = queries.theirs(shown, units)
    frame = of.frontier(shown, sums, ask.x, "staircase", queries.REPLICATES, queries.SEED)
    answer, every = advice(db, ask), queries.every(db)
    plain = figures.frontier_info(
        frame,
        queries.line(frame, "staircase"),
        None,
        x=ask.x,
        narrow=narrow,
        dark=dark,
        models=roster(every["model"]),
        strategies=sorted(set(every["strategy"])),
    )
    cell = (answer.cell.condition_id, answer.cell.budget) if answer.cell else None
    value = answer.value.mean if answer.value else None
    level = ask.number if ask.question == "reach" else None
    return figures.advised_info(plain, answer.asked, answer.evidence, cell, value, level)


@st.cache_data(max_entries=64, show_spinner=False)
def crossing(db: queries.Database, ask: Ask, dark: bool, narrow: bool) -> CrossingInfo:
    """Plain data of accuracy of `ask.b` minus that of `ask.a`, at many budgets both were measured at."""
    import polars as pl

    from engine.analysis import compare, stats

    evidence, every = advice(db, ask).evidence, queries.every(db)
    lines = queries.curves(db, (ask.a, ask.b), str(ask.axis), study=ask.study).values()
    walls = walls_of(evidence, [budget for line in lines for budget in line["budget"]])
    _, units = queries.results(db.path).measured(ask.axis, walls, {"condition_id": [ask.a, ask.b], "study": ask.study})
    sides = [units.filter(condition_id=name) for name in (ask.b, ask.a)]
    sample, rows = stats.Sample(queries.REPLICATES, queries.SEED), []
    for wall in walls:
        # A condition that is not anytime has one budget, and stands at its own against all of the other's.
        first, second = (part if part["budget"].n_unique() == 1 else part.filter(budget=wall) for part in sides)
        one = compare.difference(first, second, sample)
        rows.append((wall, one.n, one.mean, one.low, one.high, one.p_value))
    more = pl.DataFrame(rows, schema=evidence.schema, orient="row")
    strategy = next(row["strategy"] for row in every.filter(condition_id=ask.b).to_dicts())
    called = names(queries.cells(db, study=ask.study).filter(task=ask.task))
    return figures.crossing_info(
        pl.concat([evidence, more]).sort("budget"),
        (called[ask.b], called[ask.a]),
        axis=str(ask.axis),
        narrow=narrow,
        dark=dark,
        first=ahead(evidence),
        colour=theme.strategy_colours(sorted(set(every["strategy"])), dark=dark)[strategy],
    )
