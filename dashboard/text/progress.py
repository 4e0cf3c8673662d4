"""How a run stands, in words: title, bar of spent, reserved and ceiling, time left, and its results so far.

Pure: statuses and frames in, plain text out, never escaped; knows neither Streamlit nor a process.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dashboard.text.transcript import visible
from engine.core import names
from engine.core import text as fmt
from engine.core.budget import Limits
from engine.core.records import PUSD_PER_USD
from engine.runs import reasons
from engine.runs.run_dir import Status, running_s
from engine.study.prediction import Range
from engine.study.upper_bound import UpperBound

if TYPE_CHECKING:
    import polars as pl

    from engine.runs.expectation import Held
    from engine.study.expected import ExpectedSpend

STATES = {
    "new": "not started",
    "running": "running",
    "stopping": "stopping",
    "finished": "finished",
    "stopped": "stopped",
    "ceiling": "stopped at its ceiling",
    "failed": "failed",
    "dead": "dead (its process is gone)",
}
RESUMABLE = ("new", "stopped", "ceiling", "failed", "dead")
EXPECTED = "By the stored runs: shared draws once, stored answers not at all. The ceiling holds whatever happens."
AT_MOST = (
    "so these are upper bounds: every reply at its full length, nothing shared. The ceiling holds whatever happens."
)
ROOM = 2.5
"""A run's ceiling, where none is set, as a multiple of what it is expected to spend."""
LEAST_TOKENS = 1_000
"""The lowest ceiling that is suggested."""

__all__ = [
    "Bar",
    "Forecast",
    "Result",
    "against",
    "bar",
    "cost",
    "failures",
    "forecast",
    "leader",
    "limit",
    "money",
    "pace",
    "patience",
    "readable",
    "results",
    "resumable",
    "share",
    "short_of",
    "spent",
    "subtitle",
    "title",
    "trials",
    "why",
]


@dataclass(frozen=True, slots=True)
class Result:
    """A setting of a run's study at its largest budget."""

    condition_id: str
    name: str
    strategy: str
    budget: int
    simulated: bool
    done: int
    """Questions answered and scored."""
    planned: int
    right: str
    """Share of right answers with its interval."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a study will cost, and at most, or why it cannot run."""

    figures: tuple[tuple[str, str, str], ...] = ()
    """What, how much, and an aside."""
    note: str = ""
    """How to read them."""
    fault: str | None = None
    pilot: str | None = None
    """What a pilot can cost; None: history says enough without one."""
    reading: str = ""
    """How the answers to files will be read, and why."""
    tokens: int = 0
    """All tokens expected to be bought; where nobody knows, at most."""
    ceiling: Limits = Limits()
    """What a run may spend where nothing else is asked for: with room above what is expected, or all it can spend."""
    summary: str = ""
    """`180 answers, about 25 min, free (runs here).`"""
    most: bool = False
    """Whether the figures are upper bounds, since nobody knows."""


def title(status: Status, busy: bool, leader: str | None = None) -> str:
    """`102 of 180 answers in; Self-consistency ×12 is ahead so far`; `leader`: see `leader`."""
    # Between the click and the first status of its process, and until that has counted what there is to ask.
    if (busy and not status.alive) or (status.state == "running" and not status.total):
        return f"{visible(names.study(status.name), 60)} is starting"
    answers = f"{trials(status)} in"
    if status.state == "finished":
        many = f"All {fmt.plural(status.total, 'answer')} in" if status.total else "Nothing was left to ask"
        return f"{many}; {leader} is most accurate" if leader else many
    if status.state in ("running", "stopping"):
        return f"{answers}; {leader} is ahead so far" if leader else answers
    if status.state == "new":
        return f"{visible(names.study(status.name), 60)} did not start"
    return f"{STATES[status.state].capitalize()} with {answers if status.total else 'no answer yet'}"


def subtitle(status: Status) -> str:
    """Id, start, and the answers of this run by end."""
    started = f"started {status.started_at:%Y-%m-%d %H:%M} UTC" if status.started_at else "not started yet"
    words = {"exhausted": "cut off by the budget", "finished": "ended by themselves"}
    ends = [f"{fmt.count(n)} {words.get(end, end)}" for end, n in status.ends.items() if n]
    return " · ".join([f"run {status.run_id}", started, *ends])


def share(status: Status) -> float:
    """Part of the trials that are stored, 0 to 1."""
    # A study whose trials were all stored before is done, not at nothing.
    if status.state == "finished" and not status.total:
        return 1.0
    return min(1.0, status.done / status.total) if status.total else 0.0


def pace(status: Status) -> tuple[str, str]:
    """`10 min left` or `took 24 min`, and what is known besides: how long so far, calls a second."""
    # Worked on, not since its start: a run that was resumed would look slow.
    left, ran = status.seconds_left, running_s(status)
    gone = "" if ran is None else f"{fmt.roughly(ran * 1000)} gone"
    rate = "" if not ran or not status.spent.calls else f"{fmt.number(status.spent.calls / ran)} calls a second"
    if not status.alive:
        return ("not started" if ran is None else f"took {fmt.roughly(ran * 1000)}"), rate
    head = "no pace yet" if left is None else f"{fmt.roughly(left * 1000)} left"
    soon = "time left is known after a few calls" if left is None else ""
    return head, "; ".join(part for part in (gone, rate, soon) if part)


def patience(status: Status, heard: bool = False) -> str:
    """How long a stop takes, or still takes once it was `heard`: by Little's law as long as a call, since those in
    flight are waited for."""
    ran, calls = running_s(status), status.spent.calls
    if not status.reserved.calls or not ran or not calls:
        return "Stop was heard: calls in flight finish first." if heard else "Stop lets the calls in flight finish."
    # In flight over throughput.
    wait = fmt.roughly(max(1.0, status.reserved.calls * ran / calls) * 1000)
    flying = f"{fmt.plural(status.reserved.calls, 'call')} in flight finish"
    return f"Stop was heard: {flying} first, about {wait}." if heard else f"Stop lets {flying}, about {wait}."


@dataclass(frozen=True, slots=True)
class Bar:
    """Spent, reserved, expected and ceiling as shares of one length, and in words."""

    spent: float
    reserved: float
    expected: float | None
    """None: nothing was expected."""
    words: tuple[str, str, str, str]
    """Of each in the same order; empty: there is none."""


def bar(status: Status, held: Sequence[Held]) -> Bar:
    """How far a run is under its ceiling: in tokens, which every run has a limit of."""
    expected = next((each.expected.expected for each in held if each.what == "tokens"), None)
    spent, reserved = status.spent.tokens, status.reserved.tokens
    # A local run may have none; then the bar ends where the spend or the expectation does.
    ceiling = status.ceiling.tokens or max(spent + reserved, round(expected or 0), 1)
    words = (
        f"{fmt.count(spent)} tokens spent",
        f"+{fmt.count(reserved)} reserved by calls in flight" if reserved else "",
        "" if expected is None else f"expected {fmt.count(round(expected))}",
        f"ceiling {fmt.count(ceiling)}" if status.ceiling.tokens else "",
    )
    first = min(1.0, spent / ceiling)
    second = min(1.0 - first, reserved / ceiling)
    return Bar(first, second, None if expected is None else min(1.0, expected / ceiling), words)


def trials(status: Status) -> str:
    """`12 of 36 answers`; nothing is said of how many before that is known."""
    return f"{fmt.count(status.done)} of {fmt.count(status.total)} answers" if status.total else "Answers"


def spent(status: Status) -> str:
    """`1,234 tokens · $0.01`; without a price the tokens alone."""
    return f"{fmt.count(status.spent.tokens)} tokens" + (f" · {cost(status)}" if status.priced else "")


def cost(status: Status, here: bool = False) -> str:
    """What was billed so far, in the words of every page; `here`: every model runs where nobody bills it."""
    if here:
        return fmt.FREE
    if not status.priced:
        return "price unknown"
    return fmt.money(status.spent.pusd / PUSD_PER_USD)


def limit(tokens: int | None) -> str:
    """A ceiling in tokens."""
    return "none" if tokens is None else fmt.count(tokens)


def money(pusd: int | None) -> str:
    """A ceiling in dollars."""
    return "none" if pusd is None else fmt.money(pusd / PUSD_PER_USD)


def resumable(status: Status) -> bool:
    """Whether going on can change anything."""
    # A finished run may have failed trials, and those are tried again.
    return not status.alive and (status.state in RESUMABLE or bool(status.ends.get("failed")))


def failures(status: Status) -> str:
    """Why answers failed, with counts; empty: none did, or the sentence of its end says it."""
    told = reasons.said(status.reasons)
    return f"Failed answers: {told}." if told and not (status.message and told in status.message) else ""


def why(status: Status, log: str) -> str:
    """Why a run that is not worked on stands as it does, in one sentence; empty: nothing to say."""
    if status.message or status.state != "new":
        return status.message or ""
    # Of a run that never began there is no message; why not is the last line its process wrote.
    lines = [line.removeprefix("budgetscope: ") for line in readable(log).splitlines() if line.strip()]
    return lines[-1] if lines else ""


def readable(log: str) -> str:
    """The log without what a terminal would need: the last state of rewritten lines, no control characters."""
    # A line of progress is rewritten after \r, so only what follows the last one was to be read.
    return visible("\n".join(line.rsplit("\r", 1)[-1] for line in log.split("\n")))


def results(cells: pl.DataFrame) -> list[Result]:
    """The settings of a study, whoever paid for their answers, each at its largest budget, best first."""
    if cells.is_empty():
        return []
    # One row each: smaller budgets are read off the same trials.
    largest = cells.sort("budget").group_by("condition_id", maintain_order=True).last()
    rows = largest.sort("accuracy", descending=True, nulls_last=True).to_dicts()
    called, shown = names.conditions(rows), []
    for row in rows:
        done, planned = row["n_questions"], row["n_planned"]
        ends = fmt.interval(row["accuracy_low"], row["accuracy_high"], partial(fmt.accuracy, n=done))
        share = fmt.accuracy(row["accuracy"], done)
        of = "of all points" if row.get("n_partly") else "right"
        right = "no answer is scored yet" if row["accuracy"] is None else f"{share} {of}"
        shown.append(
            Result(
                row["condition_id"],
                called[row["condition_id"]],
                row["strategy"],
                row["budget"],
                row["simulated"],
                done,
                max(done, planned),
                f"{right} {ends}".strip(),
            )
        )
    return shown


def leader(cells: pl.DataFrame, settings: Iterable[Result]) -> str | None:
    """The setting most often right at its largest budget; None: there is no other, or several are.

    `cells` are on questions that all have answered: one that has answered a single question is ahead of nobody."""
    largest = cells.sort("budget").group_by("condition_id").last().drop_nulls("accuracy")
    most = largest.filter(largest["accuracy"].rank("min", descending=True) == 1)["condition_id"]
    called = {each.condition_id: each.name for each in settings}
    return called[most[0]] if len(most) == 1 < largest.height else None


def forecast(found: ExpectedSpend, pilot: UpperBound | None = None) -> Forecast:
    """What a study will probably spend, or can spend at most while nobody knows; `pilot`: the bounds of one."""
    worst, expected = found.worst, found.expected
    more = " more" if worst.trials else ""
    stored = f"({fmt.count(found.stored)}{more} are stored)" if found.stored else ""
    answers = ("Answers to make", fmt.count(worst.trials), stored)
    pilot_cost = None
    if pilot is not None:
        most = pilot.total
        paid = f" or {fmt.money(most.billed_pusd / PUSD_PER_USD)}" if most.billed_pusd else ""
        pilot_cost = f"at most {fmt.plural(most.calls, 'call')} and {fmt.plural(most.total_tokens, 'token')}{paid}"
    asked = fmt.plural(worst.trials, "answer") if worst.trials else f"All {fmt.plural(found.stored, 'answer')} stored"
    if expected is None:
        cost = _cost(worst.billed_pusd, worst.pusd, found.assumed)
        rows = (
            answers,
            ("Calls, at most", fmt.count(worst.calls), ""),
            ("All tokens, at most", fmt.count(worst.total_tokens), ""),
            ("Time", "not known yet", ""),
            ("Cost, at most" if worst.billed_pusd else "Cost", *cost),
        )
        many = f"{fmt.count(found.unknown)} of {fmt.plural(len(found.lines), 'setting')}"
        short = ", some because a smaller budget cut their stored answers" if any(s.short for s in found.lines) else ""
        note = f"Nothing is stored yet of {many}{short}, {AT_MOST}"
        limits = Limits(None, _round_up(worst.total_tokens), worst.billed_pusd or None)
        said = f"{asked}, {cost[0]}; how long it takes is known after a few."
        return Forecast(rows, note, None, pilot_cost, "", worst.total_tokens, limits, said, most=True)
    cost = _cost(worst.billed_pusd, worst.pusd, found.assumed)
    if worst.billed_pusd:
        cost = _ranged("pusd", expected.bought_pusd)
    probably = (
        answers,
        ("Calls", *_ranged("calls", expected.bought_calls)),
        ("All tokens", *_ranged("tokens", expected.bought_tokens)),
        ("Time", *_ranged("seconds", expected.seconds)),
        ("Cost", *cost),
    )
    tokens = round(expected.bought_tokens.expected)
    billed = expected.bought_pusd.high if expected.bought_pusd and worst.billed_pusd else None
    limits = Limits(None, _round_up(ROOM * tokens), None if not billed else max(1, round(ROOM * billed)))
    lasts = "" if expected.seconds is None else f", about {fmt.roughly(expected.seconds.expected * 1000)}"
    said = f"{asked}{lasts if worst.trials else ''}, {cost[0]}."
    return Forecast(probably, EXPECTED, None, pilot_cost, "", tokens, limits, said)


def short_of(forecast: Forecast, ceiling: Limits) -> str:
    """That a ceiling is below what a study is expected to spend, or can spend at most while nobody knows; or empty."""
    room, suggested = 1 if forecast.most else ROOM, forecast.ceiling.pusd
    pairs = []
    if ceiling.tokens is not None and ceiling.tokens < forecast.tokens:
        pairs.append((fmt.plural(ceiling.tokens, "token"), fmt.count(forecast.tokens)))
    if suggested and ceiling.pusd is not None and ceiling.pusd < suggested / room:
        pairs.append((money(ceiling.pusd), money(round(suggested / room))))
    if not pairs:
        return ""
    least, needed = pairs[0]
    known = f"the {needed} that are expected: the run will probably stop"
    most = f"the {needed} that it can take at most: the run may stop"
    return f"A ceiling of {least} is below {most if forecast.most else known} there, to go on under a higher one."


def _cost(billed_pusd: int | None, list_pusd: int | None, assumed: bool) -> tuple[str, str]:
    """What somebody will be billed at most, and an aside; in the words of every page."""
    if billed_pusd:
        return fmt.money(billed_pusd / PUSD_PER_USD), ""
    if billed_pusd is None:
        return "price unknown", ""
    return fmt.FREE, f"assumed price {fmt.money(list_pusd / PUSD_PER_USD)}" if assumed and list_pusd else ""


def _round_up(tokens: float) -> int:
    """Two digits and zeros, never below: a ceiling somebody can read."""
    least = max(LEAST_TOKENS, math.ceil(tokens))
    unit = int("1" + "0" * (len(str(least)) - 2))
    return math.ceil(least / unit) * unit


def against(held: Sequence[Held], status: Status) -> str:
    """What the run was expected to buy against what it has; empty when nothing was expected."""
    parts = []
    for each in held:
        # Money that nobody was to be billed, and was not, is no news.
        if each.what == "pusd" and not each.actual and not each.expected.high:
            continue
        part = " ".join(_ranged(each.what, each.expected)) + (
            f" {each.what}" if each.what in ("calls", "tokens") else ""
        )
        # Only a run that did all it set out to do can be judged.
        if status.state == "finished":
            part += f", came to {_value(each.what, each.actual)}: {'inside' if each.inside else 'outside'}"
        parts.append(part)
    return f"Expected when it started, with 90% intervals: {'; '.join(parts)}." if parts else ""


def _ranged(kind: str, expected: Range | None, most: str = "") -> tuple[str, str]:
    """A value, and its interval with what it is at most."""
    if expected is None:
        return fmt.UNKNOWN, ""
    ends = fmt.interval(expected.low, expected.high, lambda value: _value(kind, value))
    return _value(kind, expected.expected), " · ".join(filter(None, [ends, most and f"at most {most}"]))


def _value(kind: str, value: float | None) -> str:
    if value is None or kind == "seconds":
        # Nobody knows it to three digits, or reads it so.
        return fmt.UNKNOWN if value is None else fmt.roughly(value * 1000)
    return fmt.money(value / PUSD_PER_USD) if kind == "pusd" else fmt.number(value)
