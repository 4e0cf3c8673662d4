"""estimate: what a study will probably spend, what it can spend at most, and the pilot that finds out.

Also the words in which a run is held against what it was expected to spend.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli import options, show
from engine.cli.options import CODE_OF_STATE, DONE, ERROR, Verb
from engine.core import names, text
from engine.core.errors import StoreError

if TYPE_CHECKING:
    from engine.runs.expectation import Held
    from engine.study.expected import Expectation, ExpectedSpend
    from engine.study.prediction import Range
    from engine.study.schema import Study
    from engine.study.upper_bound import UpperBound, Worst

_HEAD = (
    *("strategy", "task", "model", "budget", "trials", "stored", "seen"),
    *("calls", "input", "output", "list price", "at most: tokens", "list price"),
)


@click.command(cls=Verb, works=True)
@options.study_file()
@options.plugin
@options.option(
    "--pilot", type=options.count, metavar="N", help="first run the first N questions of each task, to learn from"
)
@options.as_json
def estimate(db: Path, path: Path, pilot: int | None, as_json: bool) -> int:
    """Expected spend with 90% intervals beside the upper bounds, per condition and in all; a pilot first if asked."""
    from engine.study.expected import expected_spend
    from engine.study.plan import plan
    from engine.study.schema import load

    study = options.none_of_ours(load(path))
    if pilot is not None and (code := _pilot(study, pilot, db)):
        return code
    planned, history = plan(study, sends=False), options.runs_of(db)
    try:
        spend = expected_spend(planned, history)
    except StoreError as error:
        show.tell(f"budgetscope: no history was read: {error}")
        # A file that is not there has no history, and asking for it makes none.
        spend = expected_spend(planned, history.with_name(f".{history.name}.none"))
    if as_json:
        # `total` and each `worst` are upper bounds; what is expected is null without history.
        show.emit(
            {
                "lines": [asdict(line) for line in spend.lines],
                "expected": spend.expected and asdict(spend.expected),
                "total": asdict(spend.worst),
                "ceiling": asdict(spend.ceiling),
                "assumed": spend.assumed,
                "stored": spend.stored,
                "without_history": spend.unknown,
                "readings": list(planned.notes),
            }
        )
        return DONE
    show.table(_HEAD, _rows(spend), numeric=range(4, 13))
    show.say()
    for sentence in (*planned.notes, *_sentences(spend, path)):
        show.say(sentence)
    return DONE


def forecast(bound: UpperBound) -> str:
    """The upper bounds in one sentence."""
    return f"{bound.total.trials:,} trials, {_most(bound.total, bound.assumed)}; ceiling: {show.limits(bound.ceiling)}."


def against(held: tuple[Held, ...]) -> str:
    """What came against what was expected, in one sentence; empty when nothing was expected."""
    parts = []
    for each in held:
        # Money that nobody was to be billed, and was not, is no news.
        if each.what == "pusd" and not (each.actual or each.expected.high):
            continue
        if each.what == "seconds":
            amount, ends = show.duration(each.actual), _times(each.expected)
        elif each.what == "pusd":
            amount, ends = show.usd(each.actual), _range(each.expected, show.usd)
        else:
            amount, ends = f"{show.number(round(each.actual))} {each.what}", _range(each.expected)
        parts.append(f"{amount} ({ends} expected, {'inside' if each.inside else 'outside'})")
    return f"Expected and spent: {'; '.join(parts)}." if parts else ""


def expected_tokens(held: tuple[Held, ...]) -> str:
    """Tokens a run was expected to buy; unknown when nothing was expected."""
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
    spent = show.charged(final, final.spent)
    show.tell(f"Pilot {final.run_id} {final.state}: {final.done:,} of {final.total:,} trials; billed {spent}.{message}")
    # One trial is something to learn from, however the pilot ended.
    return DONE if final.done else CODE_OF_STATE.get(final.state, ERROR)


def _rows(spend: ExpectedSpend) -> list[tuple[str, ...]]:
    """A line for each condition, and one for all."""
    conditions = [line.condition for line in spend.lines]
    lineups = [names.ARROW.join(setting.name for _, setting in condition.lineup) for condition in conditions]
    settings = names.settings(
        [
            {"task": condition.task, "strategy": condition.strategy, "model": lineup, "params": condition.params}
            for condition, lineup in zip(conditions, lineups, strict=True)
        ]
    )
    rows = []
    for line, lineup, setting in zip(spend.lines, lineups, settings, strict=True):
        condition = line.condition
        rows.append(
            (
                f"{setting.strategy}{' *' if line.short else ''}",
                *(names.task(condition.task), names.model(lineup), show.budget(condition.budget, condition.axis)),
                *map(show.number, (line.trials, line.stored, line.seen)),
                *_figures(line.expected, line.worst),
            )
        )
    counts = map(show.number, (sum(line.trials for line in spend.lines), spend.stored))
    return [*rows, ("all", "", "", "", *counts, "", *_figures(spend.expected, spend.worst))]


def _figures(expected: Expectation | None, worst: Worst) -> tuple[str, ...]:
    most = (show.number(worst.total_tokens), show.usd(worst.pusd))
    if expected is None:
        return (*[show.UNKNOWN] * 4, *most)
    money = show.UNKNOWN if expected.pusd is None else _range(expected.pusd, show.usd)
    return (*map(_range, (expected.calls, expected.input_tokens, expected.output_tokens)), money, *most)


def _sentences(spend: ExpectedSpend, path: Path) -> list[str]:
    """What the run will be billed, or how to find that out, and what it can be billed at most."""
    bounds = [
        f"{spend.worst.trials:,} trials to run, {_most(spend.worst, spend.assumed)}; "
        f"ceiling: {show.limits(spend.ceiling)}."
    ]
    if spend.stored:
        bounds.append(f"{spend.stored:,} trials are stored already and cost no more.")
    if (expected := spend.expected) is not None:
        # Draws that conditions share are bought once, so this is less than the sum of the lines.
        money = "unknown" if expected.bought_pusd is None else _range(expected.bought_pusd, show.usd)
        time = f"; about {_times(expected.seconds)}" if expected.seconds is not None else ""
        bought = f"{_range(expected.bought_calls)} calls, {_range(expected.bought_tokens)} tokens, billed {money}"
        return [f"Expected to be bought, with 90% intervals: {bought}{time}.", *bounds]
    many = f"{spend.unknown} of {len(spend.lines)} settings have" if len(spend.lines) > 1 else "The setting has"
    cut = " (those marked * have trials that a smaller budget cut short)" if any(s.short for s in spend.lines) else ""
    return [
        f"{many} no history{cut}: `budgetscope estimate {path} --pilot 5` asks the first five questions, "
        "which the run will not pay again.",
        *bounds,
    ]


def _most(worst: Worst, assumed: bool) -> str:
    note = " (an assumed price)" if assumed and worst.pusd is not None else ""
    price = "list price unknown" if worst.pusd is None else f"list price at most {show.usd(worst.pusd)}{note}"
    return f"at most {text.plural(worst.calls, 'call')} and {text.plural(worst.total_tokens, 'token')}; {price}"


def _range(interval: Range, form: Callable[[float], str] = show.number) -> str:
    """`1,230 [1,100-1,400]`; one number where nothing is open."""
    middle, low, high = map(form, (interval.expected, interval.low, interval.high))
    return middle if low == high == middle else f"{middle} [{low}\u2013{high}]"


def _times(interval: Range) -> str:
    return f"{show.duration(interval.expected)} [{show.duration(interval.low)}\u2013{show.duration(interval.high)}]"
