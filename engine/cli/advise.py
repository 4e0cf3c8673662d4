"""advise and compare: what to choose, and one setting against another, in sentences with their evidence.

Owns how questions are read off the command line and how answers are laid out; every number is the analysis'.
"""

from __future__ import annotations

import dataclasses
import math
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import engine
from engine.cli import show
from engine.cli.places import condition, existing
from engine.core import text
from engine.core.errors import UnknownName, UsageError
from engine.core.names import over
from engine.core.records import AXES, PUSD_PER_USD

if TYPE_CHECKING:
    import polars as pl

    from engine.analysis import Advice, Advisor, Cell, Comparison, Estimate, Results

Row = Mapping[str, Any]
_ASK = ("reach", "under", "beats", "next_point", "per_right", "without", "price")
_HIDDEN = ("condition_id", "label", "axis")
_SHARES = (
    "accuracy",
    "accuracy_from",
    "accuracy_to",
    "least",
    "most",
    "behind",
    "difference",
    "before",
    "after",
    "lost",
    "unsolved",
)
_LONGEST = 20


def advise(options: Namespace) -> int:
    """Answer every question that was asked, one after another."""
    asked = [name for name in _ASK if getattr(options, name) is not None]
    if not asked:
        raise UsageError(f"Ask something: {', '.join('--' + name.replace('_', '-') for name in _ASK)}.")
    _known(options.axis, AXES)
    found = engine.open(existing(options))
    answers = [_answer(name, found, options) for name in asked]
    if options.json:
        show.emit([_plain(answer) for answer in answers])
        return 0
    for answer in answers:
        show.say(answer.sentence)
        show.say()
        _evidence(answer.evidence)
    return 0


def _known(axis: str | None, known: tuple[str, ...]) -> None:
    if axis is not None and axis not in known:
        raise UnknownName("axis", axis, known)


def _answer(name: str, found: Results, options: Namespace) -> Advice:
    asked, dollars = getattr(options, name), options.axis == "usd"
    x = "usd" if name == "price" else options.x
    adviser = found.advise(options.task, x, options.axis)
    ways: dict[str, Callable[[], Advice]] = {
        "reach": lambda: adviser.reach(asked),
        "under": lambda: adviser.under(round(asked * PUSD_PER_USD) if dollars else round(asked)),
        "beats": lambda: _beats(found, adviser, asked),
        "next_point": lambda: adviser.next_point(None if math.isnan(asked) else asked),
        "per_right": adviser.per_right,
        "without": lambda: adviser.without(asked),
        "price": lambda: adviser.priced(*_price(asked)),
    }
    return ways[name]()


def _beats(found: Results, adviser: Advisor, asked: list[str]) -> Advice:
    a, b = (condition(found, name, adviser.task)["condition_id"] for name in asked)
    return adviser.beats(a, b)


def _price(asked: str) -> tuple[str, float]:
    model, _, factor = asked.rpartition("=")
    try:
        return model, float(factor.lower().removeprefix("x"))
    except ValueError:
        raise UsageError(f"A changed price is written MODEL=xFACTOR, as in gpt-4o=x2, not {asked!r}.") from None


def compare(options: Namespace) -> int:
    """One setting against another on the questions both have."""
    _known(options.axis, AXES)
    found = engine.open(existing(options))
    (a, first), (b, second) = (_cell(found, asked, options) for asked in (options.a, options.b))
    told = found.compare(first, second, by=options.by)
    if options.json:
        show.emit({**_plain(told), "groups": told.groups.to_dicts()})
        return 0
    name = over([a, b])
    names = tuple(
        f"{name(row)} with {text.up_to(cell.budget, cell.axis or '')}" for row, cell in ((a, told.a), (b, told.b))
    )
    for sentence in _sentences(told, *names):
        show.say(sentence)
    if told.n:
        show.say()
        show.table(("spend a question", "difference", "95% interval"), list(_spends(told)), numeric=(1,))
        show.say()
        _evidence(told.groups)
    return 0


def _cell(found: Results, asked: str, options: Namespace) -> tuple[Row, Cell]:
    """`NAME` or `NAME@BUDGET`; a budget in dollars where the axis counts them."""
    from engine.analysis import Cell

    name, _, limit = asked.rpartition("@")
    wall = _number(limit) if name else None
    row = condition(found, asked if wall is None else name, options.task)
    if wall is not None and (options.axis or row["axis"]) == "usd":
        wall *= PUSD_PER_USD
    return row, Cell(row["condition_id"], None if wall is None else round(wall), options.axis)


def _number(text: str) -> float | None:
    """A budget, or None where the text is no number and so a part of a name."""
    try:
        value = float(text.replace(",", "").removeprefix("$"))
    except ValueError:
        return None
    return value if 0 <= value < 1e15 else None


def _sentences(told: Comparison, a: str, b: str) -> Iterator[str]:
    if not told.n:
        yield f"{a} and {b} share no question, so they cannot be compared."
        return
    yield (
        f"{a} is right on {show.percent(told.accuracy_a)} of the {told.n:,} questions both have, {b} on "
        f"{show.percent(told.accuracy_b)}: {_points(told.accuracy)} ({told.method} interval; McNemar mid-p "
        f"{text.p_value(told.p_value)})."
    )
    yield f"{len(told.won):,} questions are won and {len(told.lost):,} lost."
    yield _outlook(told)


def _outlook(told: Comparison) -> str:
    """Whether it is settled, what would settle it, and what could have been seen at all."""
    if told.settled:
        return "That is settled: the interval leaves out 0."
    least = (
        ""
        if told.detectable is None
        else (f" {told.n:,} questions find a difference of {show.percent(told.detectable)} in 4 cases of 5.")
    )
    if told.more_questions is None:
        return f"Not settled, and no difference to go by.{least}"
    return f"Not settled; about {told.more_questions:,} more questions would, if the truth is what was seen.{least}"


def _points(value: Estimate) -> str:
    return f"{text.points(value.mean or 0.0)} {text.interval(value.low or 0.0, value.high or 0.0, text.points)}"


def _spends(told: Comparison) -> Iterator[tuple[str, str, str]]:
    for name, value in told.spend.items():
        ends = (value.low, value.high)
        known = show.UNKNOWN if None in ends else f"{show.number(value.low)} to {show.number(value.high)}"
        yield name.replace("_", " "), show.number(value.mean), known


def _plain(answer: Any) -> dict[str, Any]:
    """A record as JSON takes it: frames as rows, infinity as a word."""
    fields = {each.name: getattr(answer, each.name) for each in dataclasses.fields(answer)}
    return {name: _jsonable(value) for name, value in fields.items()}


def _jsonable(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(value)
    if hasattr(value, "to_dicts"):
        return [_jsonable(row) for row in value.to_dicts()]
    if isinstance(value, Mapping):
        return {name: _jsonable(each) for name, each in value.items()}
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _evidence(frame: pl.DataFrame) -> None:
    """A table of what the answer was read off; the middle of a long one is left out."""
    if frame.is_empty():
        return
    names = [name for name in frame.columns if name not in _HIDDEN]
    shares = {*_SHARES, *(("low", "high") if {"difference", "lost"} & set(names) else ())}
    rows = [tuple(_shown(row[name], name in shares) for name in names) for row in frame.to_dicts()]
    left_out = len(rows) - _LONGEST
    kept = rows if left_out <= 0 else rows[: _LONGEST // 2] + rows[-(_LONGEST // 2) :]
    numeric = [at for at, name in enumerate(names) if frame[name].dtype.is_numeric()]
    show.table([name.strip("_").replace("_", " ") for name in names], kept, numeric=numeric)
    if left_out > 0:
        show.say(f"{left_out:,} rows between the first and the last {_LONGEST // 2} are left out; --json has all.")
    show.say()


def _shown(value: Any, share: bool) -> str:
    if value is None:
        return show.UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and math.isinf(value):
        return "infinite"
    if share:
        return show.percent(value)
    return show.number(value) if isinstance(value, int | float) else str(value)
