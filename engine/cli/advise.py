"""advise and compare: what to choose, and one setting against another, in sentences with their evidence.

Owns how questions are read off the command line and how answers are laid out; every number is the analysis'.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import engine
from engine.cli import show
from engine.cli.options import (
    Row,
    Verb,
    among,
    as_json,
    axis,
    condition,
    existing,
    model_names,
    option,
    quantity,
    share,
    task,
)
from engine.core import text
from engine.core.errors import UnknownName, UsageError
from engine.core.names import over
from engine.core.records import AXES, PUSD_PER_USD

if TYPE_CHECKING:
    import polars as pl

    from engine.analysis import Advice, Advisor, Cell, Comparison, Estimate, Results

_ASK = ("--reach", "--under", "--beats", "--next-point", "--per-right", "--without", "--price")
_QUESTIONS = "Questions (as many as you like)"
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


@click.command(cls=Verb)
@option("--reach", type=share, metavar="SHARE", group=_QUESTIONS, help="cheapest setting that reaches it: 0.6 or 60%")
@option("--under", type=quantity, metavar="BUDGET", group=_QUESTIONS, help="best setting within it, in the axis' unit")
@option("--beats", nargs=2, metavar="A B", group=_QUESTIONS, help="from which budget on condition A beats B")
@option(
    "--next-point",
    is_flag=False,
    # nan stands for "on the last step": no spend that is written is nan
    flag_value=math.nan,
    type=quantity,
    metavar="[SPEND]",
    group=_QUESTIONS,
    help="what the next percentage point costs at a spend (on the last step)",
)
@option("--per-right", is_flag=True, group=_QUESTIONS, help="spend per right answer")
@option(
    "--without",
    metavar="MODEL",
    group=_QUESTIONS,
    shell_complete=among(model_names),
    help="what the frontier loses if the model disappears",
)
@option("--price", metavar="MODEL=xFACTOR", group=_QUESTIONS, help="what it loses, in dollars, if its price changes")
@task("the task (needed where there are several)")
@axis("what budgets count (default: what the runs used)")
@as_json
@option("--x", help="the spend that is meant by cheap (default: the axis, else output_tokens)")
def advise(
    db: Path,
    reach: float | None,
    under: float | None,
    beats: tuple[str, str] | None,
    next_point: float | None,
    per_right: bool,
    without: str | None,
    price: str | None,
    task: str | None,
    axis: str | None,
    as_json: bool,
    x: str | None,
) -> int:
    """Answer every question that was asked, one after another."""
    if not per_right and all(each is None for each in (reach, under, beats, next_point, without, price)):
        raise UsageError(f"Ask something: {', '.join(_ASK)}.")
    if axis is not None and axis not in AXES:
        raise UnknownName("axis", axis, AXES)
    results = engine.open(existing(db))

    def adviser(x: str | None) -> Advisor:
        return results.advise(task, x, axis)

    answers: list[Advice] = []
    if reach is not None:
        answers.append(adviser(x).reach(reach))
    if under is not None:
        answers.append(adviser(x).under(round(under * PUSD_PER_USD) if axis == "usd" else round(under)))
    if beats is not None:
        ask = adviser(x)
        first, second = (condition(results, name, ask.task)["condition_id"] for name in beats)
        answers.append(ask.beats(first, second))
    if next_point is not None:
        answers.append(adviser(x).next_point(None if math.isnan(next_point) else next_point))
    if per_right:
        answers.append(adviser(x).per_right())
    if without is not None:
        answers.append(adviser(x).without(without))
    if price is not None:
        answers.append(adviser("usd").priced(*_price(price)))
    if as_json:
        show.emit([_plain(answer) for answer in answers])
        return 0
    for answer in answers:
        show.say(answer.sentence)
        show.say()
        _evidence(answer.evidence)
    return 0


def _price(change: str) -> tuple[str, float]:
    model, _, factor = change.rpartition("=")
    try:
        return model, float(factor.lower().removeprefix("x"))
    except ValueError:
        raise UsageError(f"A changed price is written MODEL=xFACTOR, as in gpt-4o=x2, not {change!r}.") from None


@click.command(cls=Verb)
@click.argument("a", metavar="A", help="label or beginning of an id, @BUDGET if you like")
@click.argument("b", metavar="B", help="the other one, written like A")
@task("the task (needed where there are several)")
@axis("what budgets count (default: what the runs used)")
@as_json
@option("--by", default="category", metavar="COLUMN", help="column of the questions to split by")
def compare(db: Path, a: str, b: str, task: str | None, axis: str | None, as_json: bool, by: str) -> int:
    """One setting against another on the questions both have."""
    if axis is not None and axis not in AXES:
        raise UnknownName("axis", axis, AXES)
    results = engine.open(existing(db))
    (row_a, cell_a), (row_b, cell_b) = (_cell(results, name, task, axis) for name in (a, b))
    comparison = results.compare(cell_a, cell_b, by=by)
    if as_json:
        show.emit({**_plain(comparison), "groups": comparison.groups.to_dicts()})
        return 0
    name = over([row_a, row_b])
    names = tuple(
        f"{name(row)} with {text.up_to(cell.budget, cell.axis or '')}"
        for row, cell in ((row_a, comparison.a), (row_b, comparison.b))
    )
    for sentence in _sentences(comparison, *names):
        show.say(sentence)
    if comparison.n:
        show.say()
        show.table(("spend a question", "difference", "95% interval"), list(_spends(comparison)), numeric=(1,))
        show.say()
        _evidence(comparison.groups)
    return 0


def _cell(results: Results, name: str, task: str | None, axis: str | None) -> tuple[Row, Cell]:
    """`NAME` or `NAME@BUDGET`; a budget in dollars where the axis counts them."""
    from engine.analysis import Cell

    label, _, limit = name.rpartition("@")
    budget = _number(limit) if label else None
    row = condition(results, name if budget is None else label, task)
    if budget is not None and (axis or row["axis"]) == "usd":
        budget *= PUSD_PER_USD
    return row, Cell(row["condition_id"], None if budget is None else round(budget), axis)


def _number(typed: str) -> float | None:
    """A budget, or None where the text is no number and so a part of a name."""
    try:
        value = float(typed.replace(",", "").removeprefix("$"))
    except ValueError:
        return None
    return value if 0 <= value < 1e15 else None


def _sentences(comparison: Comparison, a: str, b: str) -> Iterator[str]:
    if not comparison.n:
        yield f"{a} and {b} share no question, so they cannot be compared."
        return
    yield (
        f"{a} is right on {show.percent(comparison.accuracy_a)} of the {comparison.n:,} questions both have, {b} on "
        f"{show.percent(comparison.accuracy_b)}: {_points(comparison.accuracy)} ({comparison.method} interval; "
        f"McNemar mid-p {text.p_value(comparison.p_value)})."
    )
    yield f"{len(comparison.won):,} questions are won and {len(comparison.lost):,} lost."
    yield _outlook(comparison)


def _outlook(comparison: Comparison) -> str:
    """Whether it is settled, what would settle it, and what could have been seen at all."""
    if comparison.settled:
        return "That is settled: the interval leaves out 0."
    least = (
        ""
        if comparison.detectable is None
        else (
            f" {comparison.n:,} questions find a difference of {show.percent(comparison.detectable)} in 4 cases of 5."
        )
    )
    if comparison.more_questions is None:
        return f"Not settled, and no difference to go by.{least}"
    return (
        f"Not settled; about {comparison.more_questions:,} more questions would, if the truth is what was seen.{least}"
    )


def _points(value: Estimate) -> str:
    return f"{text.points(value.mean or 0.0)} {text.interval(value.low or 0.0, value.high or 0.0, text.points)}"


def _spends(comparison: Comparison) -> Iterator[tuple[str, str, str]]:
    for name, value in comparison.spend.items():
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
