"""advise and compare: what to choose, and one setting against another, in sentences with their evidence.

Owns how questions are read off the command line and how answers are laid out; every number is the analysis'.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import engine
from engine.cli import options, show
from engine.cli.options import Row, Verb, option
from engine.core import text
from engine.core.errors import UnknownName, UsageError
from engine.core.names import over
from engine.core.records import AXES, PUSD_PER_USD

if TYPE_CHECKING:
    import polars as pl

    from engine.analysis import Advice, Advisor, Cell, Comparison, Results

_ASK = ("--reach", "--under", "--beats", "--next-point", "--per-right", "--without", "--price")
_question = partial(option, group="Questions (as many as you like)")
_HIDDEN = ("condition_id", "label", "axis")
_SHARES = (
    *("accuracy", "accuracy_from", "accuracy_to", "least", "most", "behind"),
    *("difference", "before", "after", "lost", "unsolved"),
)
_LONGEST = 20


@click.command(cls=Verb)
@_question("--reach", type=options.share, metavar="SHARE", help="cheapest setting that reaches it: 0.6 or 60%")
@_question("--under", type=options.quantity, metavar="BUDGET", help="best setting within it, in the axis' unit")
@_question("--beats", nargs=2, metavar="A B", help="from which budget on condition A beats B")
@_question(
    "--next-point",
    is_flag=False,
    # nan stands for "on the last step": no spend that is written is nan
    flag_value=math.nan,
    type=options.quantity,
    metavar="[SPEND]",
    help="what the next percentage point costs at a spend (on the last step)",
)
@_question("--per-right", is_flag=True, help="spend per right answer")
@_question(
    "--without",
    metavar="MODEL",
    shell_complete=options.among(options.model_names),
    help="what the frontier loses if the model disappears",
)
@_question("--price", metavar="MODEL=xFACTOR", help="what it loses, in dollars, if its price changes")
@options.study
@options.task("the task (needed where there are several)")
@options.axis("what budgets count (default: what the runs used)")
@options.as_json
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
    study: str | None,
    task: str | None,
    axis: str | None,
    as_json: bool,
    x: str | None,
) -> None:
    """Answer every question that was asked, one after another."""
    if not per_right and all(each is None for each in (reach, under, beats, next_point, without, price)):
        raise UsageError(f"Ask something: {', '.join(_ASK)}.")
    if axis is not None and axis not in AXES:
        raise UnknownName("axis", axis, AXES)
    results = engine.open(options.existing(db))

    def adviser(x: str | None) -> Advisor:
        return results.advise(task, x, axis, study=study)

    answers: list[Advice] = []
    if reach is not None:
        answers.append(adviser(x).reach(reach))
    if under is not None:
        # Budgets in dollars are whole pico-dollars inside.
        answers.append(adviser(x).under(round(under * PUSD_PER_USD) if axis == "usd" else round(under)))
    if beats is not None:
        ask = adviser(x)
        first, second = (options.condition(results, name, ask.task, study)["condition_id"] for name in beats)
        answers.append(ask.beats(first, second))
    if next_point is not None:
        answers.append(adviser(x).next_point(None if math.isnan(next_point) else next_point))
    if per_right:
        answers.append(adviser(x).per_right())
    if without is not None:
        answers.append(adviser(x).without(without))
    if price is not None:
        # A changed price moves dollars alone, whatever --x weighs.
        ask = adviser("usd")
        model, _, factor = price.rpartition("=")
        try:
            times = float(factor.lower().removeprefix("x"))
        except ValueError:
            raise UsageError(f"A changed price is written MODEL=xFACTOR, as in gpt-4o=x2, not {price!r}.") from None
        answers.append(ask.priced(model, times))
    if as_json:
        show.emit([_jsonable(answer) for answer in answers])
        return
    for answer in answers:
        show.say(answer.sentence)
        show.say()
        _evidence(answer.evidence)
    from engine.analysis.common import shared_sentences

    told = adviser(x)
    shared = () if beats is not None and len(answers) == 1 else shared_sentences(told.cells)
    for sentence in (*shared, *results.notes(study=study, task=told.task)):
        show.say(sentence)


@click.command(cls=Verb)
@click.argument("a", metavar="A", help="name, label or beginning of an id, @BUDGET if you like")
@click.argument("b", metavar="B", help="the other one, written like A")
@options.study
@options.task("the task (needed where there are several)")
@options.axis("what budgets count (default: what the runs used)")
@options.prices
@options.as_json
@option("--by", default="category", metavar="COLUMN", help="column of the questions to split by")
def compare(
    db: Path,
    a: str,
    b: str,
    study: str | None,
    task: str | None,
    axis: str | None,
    prices: tuple[str, ...],
    as_json: bool,
    by: str,
) -> None:
    """One setting against another on the questions both have."""
    from engine.cli.reading import savings

    if axis is not None and axis not in AXES:
        raise UnknownName("axis", axis, AXES)
    results = engine.open(options.existing(db))
    (row_a, cell_a), (row_b, cell_b) = (_cell(results, name, task, axis, study) for name in (a, b))
    listed = results.snapshots()
    lens = savings.lens(listed, prices)
    comparison = results.compare(cell_a, cell_b, by=by, lens=lens, study=study)
    if as_json:
        show.emit({**_jsonable(comparison), "groups": comparison.groups.to_dicts()})
        return
    name = over([row_a, row_b])
    names = (
        f"{name(row)} {text.within(cell.budget, cell.axis or '')}{f' ({text.draws(n)})' if n > 1 else ''}"
        for row, cell, n in (
            (row_a, comparison.a, comparison.draws_a),
            (row_b, comparison.b, comparison.draws_b),
        )
    )
    for sentence in _sentences(comparison, *names):
        show.say(sentence)
    for sentence in savings.said(listed, lens, prices) if prices else ():
        show.say(sentence)
    if comparison.n:
        show.say()
        spends = []
        for quantity, value in comparison.spend.items():
            unknown = None in (value.low, value.high)
            ends = show.UNKNOWN if unknown else f"{show.number(value.low)} to {show.number(value.high)}"
            spends.append((quantity.replace("_", " "), show.number(value.mean), ends))
        show.table(("spend a question", "difference", "95% interval"), spends, numeric=(1,))
        show.say()
        _evidence(comparison.groups)


def _cell(results: Results, name: str, task: str | None, axis: str | None, study: str | None) -> tuple[Row, Cell]:
    """`NAME` or `NAME@BUDGET`; a budget in dollars where the axis counts them."""
    from engine.analysis import Cell

    label, _, limit = name.rpartition("@")
    budget: float | None = None
    if label:
        try:
            budget = float(limit.replace(",", "").removeprefix("$"))
        except ValueError:
            # No number, so the sign is a part of the name.
            budget = None
    if budget is not None and not 0 <= budget < 1e15:
        budget = None
    row = options.condition(results, name if budget is None else label, task, study)
    if budget is not None and (axis or row["axis"]) == "usd":
        budget *= PUSD_PER_USD
    return row, Cell(row["condition_id"], None if budget is None else round(budget), axis)


def _sentences(comparison: Comparison, a: str, b: str) -> Iterator[str]:
    """What was seen, whether it is settled, what would settle it, and what could have been seen at all."""
    if not comparison.n:
        yield f"{a} and {b} share no question, so they cannot be compared."
        return
    gap = comparison.accuracy
    points = f"{text.points(gap.mean or 0.0)} {text.interval(gap.low or 0.0, gap.high or 0.0, text.points)}"
    both = f"the {comparison.n:,} questions both have"
    says, of = ("is right on", f"of {both}, {b} on")
    if comparison.graded:
        says, of = ("has a mean score of", f"on {both}, {b}")
    yield (
        f"{a} {says} {show.percent(comparison.accuracy_a)} {of} "
        f"{show.percent(comparison.accuracy_b)}: {points} ({comparison.method} interval; "
        f"p {text.p_value(comparison.p_value)})."
    )
    if comparison.graded:
        yield f"{a} scores higher on {len(comparison.won):,} questions and lower on {len(comparison.lost):,}."
    else:
        yield f"{len(comparison.won):,} questions are won and {len(comparison.lost):,} lost."
    if comparison.settled:
        yield "That is settled: the interval leaves out 0."
        return
    power = f"{comparison.n:,} questions find a difference of {show.percent(comparison.detectable)} in 4 cases of 5."
    least = "" if comparison.detectable is None else f" {power}"
    if comparison.more_questions is None:
        yield f"Not settled, and no difference to go by.{least}"
    else:
        more = f"about {comparison.more_questions:,} more questions would, if the truth is what was seen"
        yield f"Not settled; {more}.{least}"


def _jsonable(value: Any) -> Any:
    """Records and frames as JSON takes them: frames as rows, infinity as a word."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: _jsonable(getattr(value, each.name)) for each in dataclasses.fields(value)}
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
    # Ends of an interval are shares where what they belong to is one.
    shares = {*_SHARES, *(("low", "high") if {"difference", "lost"} & set(names) else ())}
    rows = [tuple(_shown(row[name], name in shares) for name in names) for row in frame.to_dicts()]
    left_out = len(rows) - _LONGEST
    ends = rows if left_out <= 0 else rows[: _LONGEST // 2] + rows[-(_LONGEST // 2) :]
    numeric = [at for at, name in enumerate(names) if frame[name].dtype.is_numeric()]
    show.table([name.strip("_").replace("_", " ") for name in names], ends, numeric=numeric)
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
