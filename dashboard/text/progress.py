"""How a run stands, in words and figures: title, share, spent, reserved, ceiling, time left, and its results so far.

Pure: statuses and frames in, plain text out, never escaped; knows neither Streamlit nor a process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dashboard.text.transcript import visible
from engine.core import names
from engine.core import text as fmt
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
EXPECTED = (
    "What the run will buy by the store's history, with 90% intervals: shared draws once, stored trials not at "
    "all. At most: prompts by their bytes, every reply at its full length, nothing shared. The ceiling holds "
    "whatever happens."
)
AT_MOST = (
    "Upper bounds: prompts counted by their bytes, every reply at its full length, nothing shared or replayed. "
    "The ceiling holds whatever happens."
)

__all__ = [
    "Forecast",
    "Result",
    "against",
    "failures",
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
    reading: str = ""
    """How the answers to files will be read, and why."""


def title(status: Status, busy: bool) -> str:
    """`first: running, 12 of 36 trials done`."""
    # Between the click and the first status of its process.
    state = "starting" if busy and not status.alive else STATES[status.state]
    return f"{visible(status.name, 80)}: {state}, {trials(status)} trials done"


def subtitle(status: Status) -> str:
    """Id, start, and the trials of this run by end."""
    started = f"started {status.started_at:%Y-%m-%d %H:%M} UTC" if status.started_at else "not started yet"
    ends = [f"{fmt.count(n)} {end}" for end, n in status.ends.items() if n]
    return " · ".join([f"run {status.run_id}", started, *ends])


def share(status: Status) -> float:
    """Part of the trials that are stored, 0 to 1."""
    # A study whose trials were all stored before is done, not at nothing.
    if status.state == "finished" and not status.total:
        return 1.0
    return min(1.0, status.done / status.total) if status.total else 0.0


def figures(status: Status) -> tuple[tuple[str, str, str], ...]:
    """Five figures: what, value, and an aside."""
    ceiling, reserved, spending = status.ceiling, status.reserved, fmt.plural(status.spent.calls, "call")
    unsettled = f"{fmt.plural(reserved.calls, 'call')} in flight" if reserved.calls else ""
    if status.in_doubt.calls:
        unsettled = f"in doubt {fmt.count(status.in_doubt.tokens)}"
    others = [money(ceiling.pusd)] if ceiling.pusd is not None else []
    others += [f"{fmt.count(ceiling.calls)} calls"] if ceiling.calls is not None else []
    # Only a living run can still reserve, and only where it has a limit in tokens.
    free = f"{fmt.count(status.free.tokens)} free" if status.alive and status.free.tokens is not None else ""
    # What is left of its time while somebody works on the run, else what it took.
    left, ran = status.seconds_left, running_s(status)
    time = ("Time left", fmt.duration(None if left is None else left * 1000), "")
    if left is None:
        time = ("Time left", "–", "known after a few trials")
    if not status.alive:
        time = ("Time taken", fmt.duration(None if ran is None else ran * 1000), "")
    return (
        ("Trials", trials(status), ""),
        # Tokens lead everywhere here, for a price is not always known.
        ("Spent, tokens", fmt.count(status.spent.tokens), f"{spending} · {_usd(status)}"),
        ("Reserved, tokens", fmt.count(reserved.tokens), unsettled),
        ("Ceiling, tokens", limit(ceiling.tokens), free or " · ".join(others)),
        time,
    )


def trials(status: Status) -> str:
    """`12 of 36`."""
    return f"{fmt.count(status.done)} of {fmt.count(status.total)}"


def spent(status: Status) -> str:
    """`1,234 tokens · $0.01`; without a price the tokens alone."""
    return f"{fmt.count(status.spent.tokens)} tokens" + (f" · {_usd(status)}" if status.priced else "")


def _usd(status: Status) -> str:
    return fmt.money(status.spent.pusd / PUSD_PER_USD) if status.priced else "price unknown"


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
    """Why trials failed, with counts; empty: none did, or the sentence of its end says it."""
    told = reasons.said(status.reasons)
    return f"Failed trials: {told}." if told and not (status.message and told in status.message) else ""


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


def results(cells: pl.DataFrame, conditions: pl.DataFrame, run_id: str) -> list[Result]:
    """Conditions this run has trials of, each at its largest budget, best first."""
    import polars as pl

    of_run = conditions.filter(pl.col("run_ids").list.contains(run_id))["condition_id"]
    if of_run.is_empty() or cells.is_empty():
        return []
    own = cells.filter(pl.col("condition_id").is_in(of_run.to_list()))
    # One row each: smaller budgets are read off the same trials.
    largest = own.sort("budget").group_by("condition_id", maintain_order=True).last()
    rows = largest.sort("accuracy", descending=True, nulls_last=True).to_dicts()
    called, shown = names.conditions(rows), []
    for row in rows:
        ends = fmt.interval(row["accuracy_low"], row["accuracy_high"], fmt.percent)
        texts = (
            fmt.budget(row["budget"], row["axis"]),
            f"{fmt.percent(row['accuracy'])} {ends}",
            fmt.count(row["n_questions"]),
            fmt.number(row["total_tokens"]),
        )
        name = called[row["condition_id"]]
        shown.append(Result(row["condition_id"], name, row["budget"], row["simulated"], texts))
    return shown


def forecast(found: ExpectedSpend, pilot: UpperBound | None = None) -> Forecast:
    """What a study will probably spend, or can spend at most while nobody knows; `pilot`: the bounds of one."""
    worst, expected, assumed = found.worst, found.expected, " (assumed)" if found.assumed else ""
    stored = f"{fmt.count(found.stored)} more stored already" if found.stored else ""
    trials = ("Trials", fmt.count(worst.trials), stored)
    pilot_cost = None
    if pilot is not None:
        most = pilot.total
        paid = f" or {fmt.money(most.billed_pusd / PUSD_PER_USD)}" if most.billed_pusd else ""
        pilot_cost = f"at most {fmt.count(most.calls)} calls and {fmt.count(most.total_tokens)} tokens{paid}"
        pilot_cost += ", which the run replays."
    if expected is None:
        unpriced = "unknown" if worst.billed_pusd is None else "nobody bills it"
        price = unpriced if worst.pusd is None else fmt.money(worst.pusd / PUSD_PER_USD)
        at_most = (
            trials,
            ("Calls, at most", fmt.count(worst.calls), ""),
            ("Tokens, at most", fmt.count(worst.total_tokens), ""),
            ("List price, at most" + ("" if worst.pusd is None else assumed), price, ""),
            ("Time, about", "no history yet", ""),
        )
        many = f"{fmt.count(found.unknown)} of {fmt.plural(len(found.lines), 'condition')}"
        short = ", some because a smaller budget cut their stored trials" if any(s.short for s in found.lines) else ""
        note = f"No history for {many}{short}: a pilot makes one, and the run does not pay it again. {AT_MOST}"
        return Forecast(at_most, note, pilot=pilot_cost)
    # Nothing billed for certain, as of a local model: its list price is said instead, where there is one.
    billed = worst.billed_pusd != 0
    money, most_pusd = (expected.bought_pusd, worst.billed_pusd) if billed else (expected.pusd, worst.pusd)
    price_row = ("List price, expected", "nobody bills it", "")
    if money is not None or billed:
        name = "Billed, expected" if billed else f"List price, expected{assumed}"
        price_row = (name, *_ranged("pusd", money, fmt.money(None if most_pusd is None else most_pusd / PUSD_PER_USD)))
    probably = (
        trials,
        ("Calls, expected", *_ranged("calls", expected.bought_calls, fmt.count(worst.calls))),
        ("Tokens, expected", *_ranged("tokens", expected.bought_tokens, fmt.count(worst.total_tokens))),
        price_row,
        ("Time, about", *_ranged("seconds", expected.seconds)),
    )
    return Forecast(probably, EXPECTED, pilot=pilot_cost)


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
        return fmt.duration(None if value is None else value * 1000)
    return fmt.money(value / PUSD_PER_USD) if kind == "pusd" else fmt.number(value)
