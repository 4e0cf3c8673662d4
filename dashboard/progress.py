"""How a run stands, in words and figures: title, share, spent, reserved, ceiling, time left, and its results so far.

Pure: statuses and frames in, plain text out, never escaped; knows neither Streamlit nor a process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dashboard import format as fmt
from dashboard.transcript import visible
from engine.budget import Amount
from engine.estimate import Estimate
from engine.records import PUSD_PER_USD
from engine.status import Status

if TYPE_CHECKING:
    import polars as pl

STATES = {
    "new": "not started", "running": "running", "stopping": "stopping",
    "finished": "finished", "stopped": "stopped", "ceiling": "stopped at its ceiling", "failed": "failed",
    "dead": "dead (its process is gone)",
}  # fmt: skip
RESUMABLE = ("new", "stopped", "ceiling", "failed", "dead")

__all__ = [
    "Forecast", "Result", "figures", "forecast", "limit", "money", "readable", "results", "resumable", "share", "spent",
    "subtitle", "time_figure", "title", "trials", "why",
]  # fmt: skip


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
    """What a study can cost at most, or why it cannot run."""

    figures: tuple[tuple[str, str], ...] = ()
    """What and how much."""
    fault: str | None = None
    calls: int = 0


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
    left = None if status.seconds_left is None else status.seconds_left * 1000
    doubt = f"in doubt {fmt.count(status.in_doubt.tokens)}" if status.in_doubt.calls else ""
    return (
        ("Trials", trials(status), ""),
        ("Spent, tokens", fmt.count(status.spent.tokens), _aside(status.spent, status.priced)),
        ("Reserved, tokens", fmt.count(status.reserved.tokens), doubt or _calls(status.reserved)),
        ("Ceiling, tokens", limit(status.ceiling.tokens), _others(status)),
        ("Time left", fmt.duration(left) if left is not None else "–", "" if left is not None or not status.alive
         else "known after a few trials"),
    )  # fmt: skip


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
    several = largest["task"].n_unique() > 1
    return [_result(row, several) for row in largest.sort("accuracy", descending=True, nulls_last=True).to_dicts()]


def _result(row: dict[str, Any], several: bool) -> Result:
    accuracy = f"{fmt.percent(row['accuracy'])} {fmt.interval(row['accuracy_low'], row['accuracy_high'], fmt.percent)}"
    parts = [row["label"], *([row["task"]] if several else [])]
    texts = (fmt.budget(row["budget"], row["axis"]), accuracy, fmt.count(row["n_questions"]),
             fmt.number(row["total_tokens"]))  # fmt: skip
    return Result(row["condition_id"], " · ".join(parts), row["budget"], row["simulated"], texts)


def forecast(found: Estimate) -> Forecast:
    """Upper bounds of a study as figures."""
    worst = found.total
    unpriced = "unknown" if worst.billed_pusd is None else "nobody bills it"
    price = unpriced if worst.pusd is None else fmt.money(worst.pusd / PUSD_PER_USD)
    named = "List price, at most" + (" (assumed)" if found.assumed and worst.pusd is not None else "")
    figures = (
        ("Trials", fmt.count(worst.trials)),
        ("Calls, at most", fmt.count(worst.calls)),
        ("Tokens, at most", fmt.count(worst.total_tokens)),
        (named, price),
    )
    return Forecast(figures, calls=worst.calls)


def time_figure(calls: int, pace: float | None) -> tuple[str, str]:
    """How long it may take at the pace of an earlier run, seconds per call."""
    return "Time, about", "no history yet" if pace is None else fmt.duration(float(f"{calls * pace * 1000:.1g}"))


def _calls(amount: Amount) -> str:
    return f"{fmt.plural(amount.calls, 'call')} in flight" if amount.calls else ""


def _aside(amount: Amount, priced: bool) -> str:
    return f"{fmt.plural(amount.calls, 'call')} · {_usd(amount, priced)}"


def _usd(amount: Amount, priced: bool) -> str:
    return fmt.money(amount.pusd / PUSD_PER_USD) if priced else "price unknown"


def _others(status: Status) -> str:
    ceiling = status.ceiling
    parts = [money(ceiling.pusd)] if ceiling.pusd is not None else []
    return " · ".join([*parts, f"{fmt.count(ceiling.calls)} calls"] if ceiling.calls is not None else parts)
