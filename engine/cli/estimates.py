"""estimate: what a study will probably spend, what it can spend at most, and the pilot that finds out.

Also the words in which a run is held against what it was expected to spend.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cli import options, show
from engine.cli.options import CODE_OF_STATE, DONE, ERROR, Verb
from engine.core import names
from engine.core.errors import StoreError
from engine.core.records import Condition

if TYPE_CHECKING:
    from engine.runs.expectation import Held
    from engine.study.expected import Expectation, ExpectedSpend, Prospect
    from engine.study.prediction import Range
    from engine.study.schema import Study
    from engine.study.upper_bound import UpperBound, Worst

_HEAD = (
    "strategy",
    "task",
    "model",
    "budget",
    "trials",
    "stored",
    "seen",
    "calls",
    "input",
    "output",
    "list price",
    "at most: tokens",
    "list price",
)


@click.command(cls=Verb, works=True)
@options.study_file()
@options.plugin
@options.option(
    "--pilot", type=options.count, metavar="N", help="first run the first N questions of each task, to learn from"
)
@options.as_json
def estimate(db: Path, path: Path, pilot: int | None, as_json: bool) -> int:
    """Expected spend with 90 % intervals beside the upper bounds, per condition and in all; a pilot first if asked."""
    from engine.study.schema import load

    study = options.none_of_ours(load(path))
    if pilot is not None and (code := _pilot(study, pilot, db)):
        return code
    found = _outlook(study, options.runs_of(db))
    if as_json:
        show.emit(_plain(found))
        return 0
    called = names.settings([_described(line.condition) for line in found.lines])
    rows = [_row(line, setting.strategy) for line, setting in zip(found.lines, called, strict=True)]
    show.table(_HEAD, [*rows, _sum(found)], numeric=range(4, 13))
    show.say()
    for sentence in _sentences(found, path):
        show.say(sentence)
    return 0


def forecast(found: UpperBound) -> str:
    """The upper bounds in one sentence."""
    return f"{found.total.trials:,} trials, {_most(found.total, found.assumed)}; ceiling: {show.limits(found.ceiling)}."


def against(held: tuple[Held, ...]) -> str:
    """What came against what was expected, in one sentence; empty when nothing was expected."""
    parts = [f"{_amount(each.what, each.actual)} {_words(each)}" for each in held if _worth(each)]
    return f"Expected and spent: {'; '.join(parts)}." if parts else ""


def expected_tokens(held: tuple[Held, ...]) -> str:
    """Tokens a run was expected to buy; a dash when nothing was expected."""
    return next((_range(each.expected) for each in held if each.what == "tokens"), show.UNKNOWN)


def _pilot(study: Study, questions: int, db: Path) -> int:
    """Run the first questions under a ceiling of their own; 0 when there is something to learn from."""
    from engine.runs import worker
    from engine.study.pilot import capped, pilot
    from engine.study.plan import plan
    from engine.study.upper_bound import upper_bound

    cut = pilot(study, questions)
    planned = plan(cut)
    bound = upper_bound(planned)
    cut = capped(cut, bound)
    most = _most(bound.total, bound.assumed)
    show.tell(
        f"Pilot with {cut.first_questions} questions a task: {bound.total.trials:,} trials, {most}; "
        f"ceiling: {show.limits(cut.ceiling)}."
    )
    directory = worker.prepare(cut, options.writable(db))
    with show.Progress(sys.stderr) as progress:
        final = worker.run(directory, progress.show, planned=replace(planned, study=cut))
    message = f" {final.message}" if final.message else ""
    spent = show.amount(final.spent, final.priced)
    show.tell(f"Pilot {final.run_id} {final.state}: {final.done:,} of {final.total:,} trials; billed {spent}.{message}")
    return DONE if final.done else CODE_OF_STATE.get(final.state, ERROR)


def _outlook(study: Study, db: Path) -> ExpectedSpend:
    from engine.study.expected import expected_spend
    from engine.study.plan import plan

    planned = plan(study, sends=False)
    try:
        return expected_spend(planned, db)
    except StoreError as error:
        show.tell(f"budgetscope: no history was read: {error}")
        return expected_spend(planned, db.with_name(f".{db.name}.none"))


def _sentences(found: ExpectedSpend, path: Path) -> list[str]:
    said = [
        f"{found.worst.trials:,} trials to run, {_most(found.worst, found.assumed)}; "
        f"ceiling: {show.limits(found.ceiling)}."
    ]
    if found.stored:
        said.append(f"{found.stored:,} trials are stored already and run no more.")
    if found.expected is not None:
        return [_expected(found.expected), *said]
    many = f"{found.unknown} of {len(found.lines)} conditions have" if len(found.lines) > 1 else "The condition has"
    cut = " (those marked * have trials that a smaller budget cut short)" if any(s.short for s in found.lines) else ""
    return [
        f"{many} no history{cut}: `budgetscope estimate {path} --pilot 5` asks the first five questions, "
        "which the run will not pay again.",
        *said,
    ]


def _expected(expected: Expectation) -> str:
    """The bill of the run; draws that conditions share are in it once."""
    money = "unknown" if expected.bought_pusd is None else _range(expected.bought_pusd, money=True)
    time = f"; about {_times(expected.seconds)}" if expected.seconds is not None else ""
    return (
        f"Expected to be bought, with 90% intervals: {_range(expected.bought_calls)} calls, "
        f"{_range(expected.bought_tokens)} tokens, billed {money}{time}."
    )


def _described(condition: Condition) -> dict[str, str]:
    """What a condition is named by."""
    models = names.ARROW.join(setting.name for _, setting in condition.lineup)
    return {"task": condition.task, "strategy": condition.strategy, "model": models, "params": condition.params}


def _row(line: Prospect, called: str) -> tuple[str, ...]:
    c = line.condition
    name = f"{called}{' *' if line.short else ''}"
    counts = (show.number(line.trials), show.number(line.stored), show.number(line.seen))
    models = names.ARROW.join(names.model(setting.name) for _, setting in c.lineup)
    return (
        name,
        names.task(c.task),
        models,
        show.budget(c.budget, c.axis),
        *counts,
        *_figures(line.expected, line.worst),
    )


def _sum(found: ExpectedSpend) -> tuple[str, ...]:
    counts = (sum(line.trials for line in found.lines), found.stored)
    return ("all", "", "", "", *map(show.number, counts), "", *_figures(found.expected, found.worst))


def _figures(expected: Expectation | None, worst: Worst) -> tuple[str, ...]:
    most = (show.number(worst.total_tokens), show.usd(worst.pusd))
    if expected is None:
        return (*[show.UNKNOWN] * 4, *most)
    money = show.UNKNOWN if expected.pusd is None else _range(expected.pusd, money=True)
    return (*map(_range, (expected.calls, expected.input_tokens, expected.output_tokens)), money, *most)


def _most(worst: Worst, assumed: bool) -> str:
    note = " (an assumed price)" if assumed and worst.pusd is not None else ""
    price = "list price unknown" if worst.pusd is None else f"list price at most {show.usd(worst.pusd)}{note}"
    return f"at most {show.number(worst.calls)} calls and {show.number(worst.total_tokens)} tokens; {price}"


def _range(found: Range, money: bool = False) -> str:
    """`1,230 [1,100-1,400]`; one number where nothing is open."""
    form = show.usd if money else show.number
    middle, low, high = (form(end) for end in (found.expected, found.low, found.high))
    return middle if low == high == middle else f"{middle} [{low}\u2013{high}]"


def _times(found: Range) -> str:
    return f"{show.duration(found.expected)} [{show.duration(found.low)}\u2013{show.duration(found.high)}]"


def _amount(what: str, value: float) -> str:
    named = {"pusd": show.usd(value), "seconds": show.duration(value)}
    return named.get(what, f"{show.number(round(value))} {what}")


def _words(each: Held) -> str:
    ends = _times(each.expected) if each.what == "seconds" else _range(each.expected, each.what == "pusd")
    return f"({ends} expected, {'inside' if each.inside else 'outside'})"


def _worth(each: Held) -> bool:
    """Money that nobody was to be billed, and was not, is no news."""
    return each.what != "pusd" or bool(each.actual or each.expected.high)


def _plain(found: ExpectedSpend) -> dict[str, Any]:
    """`total` and each `worst` are upper bounds; what is expected is null without history."""
    lines = [asdict(line) for line in found.lines]
    return {
        "lines": lines,
        "expected": found.expected and asdict(found.expected),
        "total": asdict(found.worst),
        "ceiling": asdict(found.ceiling),
        "assumed": found.assumed,
        "stored": found.stored,
        "without_history": found.unknown,
    }
