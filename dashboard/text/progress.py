"""How a run stands, in words and figures: title, share, spent, reserved, ceiling, time left, and its results so far.

Pure: statuses and frames in, plain text out, never escaped; knows neither Streamlit nor a process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dashboard.text.transcript import visible
from engine.core import names
from engine.core import text as fmt
from engine.core.budget import Amount
from engine.core.records import PUSD_PER_USD
from engine.runs.run_dir import Status, running_s
from engine.study.prediction import Range
from engine.study.upper_bound import UpperBound

if TYPE_CHECKING:
    import polars as pl

    from engine.runs.expectation import Held
    from engine.study.expected import Expectation, ExpectedSpend

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

__all__ = [
    "Forecast",
    "Result",
    "against",
    "figures",
    "forecast",
    "limit",
    "money",
    "readable",
    "results",
    "resumable",
    "share",
    "spent",
    "subtitle",
    "title",
    "trials",
    "why",
]


@dataclass(frozen=True, slots=True)
class Result:
    """A condition of a run at its largest budget."""

    condition_id: str
    name: str
    budget: int
    simulated: bool
    texts: tuple[str, str, str, str]
    """Budget, accuracy with interval, n, tokens per question."""


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


def title(status: Status, busy: bool) -> str:
    """`first: running, 12 of 36 trials done`."""
    state = "starting" if busy and not status.alive else STATES[status.state]
    return f"{visible(status.name, 80)}: {state}, {trials(status)} trials done"


def subtitle(status: Status) -> str:
    """Id, start, and the trials of this run by end."""
    started = f"started {status.started_at:%Y-%m-%d %H:%M} UTC" if status.started_at else "not started yet"
    ends = [f"{fmt.count(n)} {end}" for end, n in status.ends.items() if n]
    return " · ".join([f"run {status.run_id}", started, *ends])


def share(status: Status) -> float:
    """Part of the trials that are stored, 0 to 1."""
    if status.state == "finished" and not status.total:
        return 1.0
    return min(1.0, status.done / status.total) if status.total else 0.0


def figures(status: Status) -> tuple[tuple[str, str, str], ...]:
    """Five figures: what, value, and an aside."""
    doubt = f"in doubt {fmt.count(status.in_doubt.tokens)}" if status.in_doubt.calls else ""
    return (
        ("Trials", trials(status), ""),
        ("Spent, tokens", fmt.count(status.spent.tokens), _aside(status.spent, status.priced)),
        ("Reserved, tokens", fmt.count(status.reserved.tokens), doubt or _calls(status.reserved)),
        ("Ceiling, tokens", limit(status.ceiling.tokens), _free(status) or _others(status)),
        _time(status),
    )


def _time(status: Status) -> tuple[str, str, str]:
    """What is left of it while somebody works on the run, else what it took."""
    left, ran = status.seconds_left, running_s(status)
    if not status.alive:
        return "Time taken", fmt.duration(None if ran is None else ran * 1000), ""
    if left is None:
        return "Time left", "–", "known after a few trials"
    return "Time left", fmt.duration(left * 1000), ""


def trials(status: Status) -> str:
    """`12 of 36`."""
    return f"{fmt.count(status.done)} of {fmt.count(status.total)}"


def spent(status: Status) -> str:
    """`1,234 tokens · $0.01`; without a price the tokens alone."""
    paid = f" · {_usd(status.spent, True)}" if status.priced else ""
    return f"{fmt.count(status.spent.tokens)} tokens{paid}"


def limit(tokens: int | None) -> str:
    """A ceiling in tokens."""
    return "none" if tokens is None else fmt.count(tokens)


def money(pusd: int | None) -> str:
    """A ceiling in dollars."""
    return "none" if pusd is None else fmt.money(pusd / PUSD_PER_USD)


def resumable(status: Status) -> bool:
    """Whether going on can change anything."""
    return not status.alive and (status.state in RESUMABLE or bool(status.ends.get("failed")))


def why(status: Status, log: str) -> str:
    """Why a run that is not worked on stands as it does, in one sentence; empty: nothing to say."""
    if status.message or status.state != "new":
        return status.message or ""
    lines = [line.removeprefix("budgetscope: ") for line in readable(log).splitlines() if line.strip()]
    return lines[-1] if lines else ""


def readable(log: str) -> str:
    """The log without what a terminal would need: the last state of rewritten lines, no control characters."""
    return visible("\n".join(line.rsplit("\r", 1)[-1] for line in log.split("\n")))


def results(cells: pl.DataFrame, conditions: pl.DataFrame, run_id: str) -> list[Result]:
    """Conditions this run has trials of, each at its largest budget, best first."""
    import polars as pl

    mine = conditions.filter(pl.col("run_ids").list.contains(run_id))["condition_id"]
    if mine.is_empty() or cells.is_empty():
        return []
    own = cells.filter(pl.col("condition_id").is_in(mine.to_list()))
    largest = own.sort("budget").group_by("condition_id", maintain_order=True).last()
    rows = largest.sort("accuracy", descending=True, nulls_last=True).to_dicts()
    called = names.conditions(rows)
    return [_result(row, called[row["condition_id"]]) for row in rows]


def _result(row: dict[str, Any], name: str) -> Result:
    accuracy = f"{fmt.percent(row['accuracy'])} {fmt.interval(row['accuracy_low'], row['accuracy_high'], fmt.percent)}"
    texts = (
        fmt.budget(row["budget"], row["axis"]),
        accuracy,
        fmt.count(row["n_questions"]),
        fmt.number(row["total_tokens"]),
    )
    return Result(row["condition_id"], name, row["budget"], row["simulated"], texts)


def forecast(found: ExpectedSpend, pilot: UpperBound | None = None) -> Forecast:
    """What a study will probably spend, or can spend at most while nobody knows; `pilot`: the bounds of one."""
    stored = f"{fmt.count(found.stored)} more stored already" if found.stored else ""
    trials = ("Trials", fmt.count(found.worst.trials), stored)
    if found.expected is not None:
        figures, note = (trials, *_expected(found, found.expected)), EXPECTED
    else:
        figures, note = (trials, *_at_most(found)), _unknown(found)
    return Forecast(figures, note, pilot=_priced(pilot) if pilot else None)


def against(held: Sequence[Held], status: Status) -> str:
    """What the run was expected to buy against what it has; empty when nothing was expected."""
    parts = [f"{_ends(each.what, each.expected)}{_verdict(each, status)}" for each in held if _worth(each)]
    return f"Expected when it started, with 90% intervals: {'; '.join(parts)}." if parts else ""


EXPECTED = (
    "What the run will buy by the store's history, with 90% intervals: shared draws once, stored trials not at "
    "all. At most: prompts by their bytes, every reply at its full length, nothing shared. The ceiling holds "
    "whatever happens."
)
AT_MOST = (
    "Upper bounds: prompts counted by their bytes, every reply at its full length, nothing shared or replayed. "
    "The ceiling holds whatever happens."
)


def _expected(found: ExpectedSpend, expected: Expectation) -> Iterator[tuple[str, str, str]]:
    worst = found.worst
    billed = worst.billed_pusd != 0
    named = "Billed, expected" if billed else "List price, expected" + (" (assumed)" if found.assumed else "")
    money = expected.bought_pusd if billed else expected.pusd
    most = worst.billed_pusd if billed else worst.pusd
    yield _figure("Calls, expected", "calls", expected.bought_calls, fmt.count(worst.calls))
    yield _figure("Tokens, expected", "tokens", expected.bought_tokens, fmt.count(worst.total_tokens))
    if money is None and not billed:
        yield "List price, expected", "nobody bills it", ""
    else:
        yield _figure(named, "pusd", money, fmt.money(None if most is None else most / PUSD_PER_USD))
    yield _figure("Time, about", "seconds", expected.seconds)


def _figure(what: str, kind: str, found: Range | None, most: str = "") -> tuple[str, str, str]:
    if found is None:
        return what, fmt.UNKNOWN, ""
    ends = fmt.interval(found.low, found.high, lambda value: _value(kind, value))
    return what, _value(kind, found.expected), " · ".join(filter(None, [ends, most and f"at most {most}"]))


def _at_most(found: ExpectedSpend) -> tuple[tuple[str, str, str], ...]:
    worst = found.worst
    unpriced = "unknown" if worst.billed_pusd is None else "nobody bills it"
    price = unpriced if worst.pusd is None else fmt.money(worst.pusd / PUSD_PER_USD)
    named = "List price, at most" + (" (assumed)" if found.assumed and worst.pusd is not None else "")
    return (
        ("Calls, at most", fmt.count(worst.calls), ""),
        ("Tokens, at most", fmt.count(worst.total_tokens), ""),
        (named, price, ""),
        ("Time, about", "no history yet", ""),
    )


def _unknown(found: ExpectedSpend) -> str:
    many = f"{fmt.count(found.unknown)} of {fmt.plural(len(found.lines), 'condition')}"
    short = ", some because a smaller budget cut their stored trials" if any(s.short for s in found.lines) else ""
    return f"No history for {many}{short}: a pilot makes one, and the run does not pay it again. {AT_MOST}"


def _priced(pilot: UpperBound) -> str:
    worst = pilot.total
    billed = worst.billed_pusd
    paid = "" if not billed else f" or {fmt.money(billed / PUSD_PER_USD)}"
    spent = f"{fmt.count(worst.calls)} calls and {fmt.count(worst.total_tokens)} tokens{paid}"
    return f"at most {spent}, which the run replays."


def _value(kind: str, value: float | None) -> str:
    if value is None or kind == "seconds":
        return fmt.duration(None if value is None else value * 1000)
    return fmt.money(value / PUSD_PER_USD) if kind == "pusd" else fmt.number(value)


def _ends(kind: str, found: Range) -> str:
    unit = f" {kind}" if kind in ("calls", "tokens") else ""
    return f"{_figure('', kind, found)[1]} {_figure('', kind, found)[2]}{unit}"


def _verdict(each: Held, status: Status) -> str:
    """Only a run that did all it set out to do can be judged."""
    if status.state != "finished":
        return ""
    return f", came to {_value(each.what, each.actual)}: {'inside' if each.inside else 'outside'}"


def _worth(each: Held) -> bool:
    """Money that nobody was to be billed, and was not, is no news."""
    return each.what != "pusd" or bool(each.actual or each.expected.high)


def _calls(amount: Amount) -> str:
    return f"{fmt.plural(amount.calls, 'call')} in flight" if amount.calls else ""


def _aside(amount: Amount, priced: bool) -> str:
    return f"{fmt.plural(amount.calls, 'call')} · {_usd(amount, priced)}"


def _usd(amount: Amount, priced: bool) -> str:
    return fmt.money(amount.pusd / PUSD_PER_USD) if priced else "price unknown"


def _free(status: Status) -> str:
    """What a living run can still reserve; nothing where it has no limit in tokens."""
    return f"{fmt.count(status.free.tokens)} free" if status.alive and status.free.tokens is not None else ""


def _others(status: Status) -> str:
    ceiling = status.ceiling
    parts = [money(ceiling.pusd)] if ceiling.pusd is not None else []
    return " · ".join([*parts, f"{fmt.count(ceiling.calls)} calls"] if ceiling.calls is not None else parts)
