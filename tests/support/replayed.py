"""Trials played on paper and read at smaller budgets by the one rule in Python, to hold the SQL against.

`play` runs a script of calls and answers inside one wall, with a ledger of its own; playing at a small budget is the
truth that reading a large trial at that budget (`read`) must reproduce below the horizon.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from engine.core import ids, replay
from engine.core.records import (
    Axis,
    Call,
    Condition,
    Cut,
    Mark,
    Message,
    ModelSetting,
    ModelSpend,
    Price,
    Problem,
    Question,
    Spend,
    Trial,
    TrialSpec,
    Verdict,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
A = ModelSetting("scripted/a", "scripted/a@1", Price(3, 7))
B = ModelSetting("scripted/b", "scripted/b@1", Price(2, 0, assumed=True))
NO_PRICE = ModelSetting("local/c", "local/c@1", None)
Lineup = tuple[tuple[str, ModelSetting], ...]


@dataclass(frozen=True)
class Ask:
    """A call of a script: what the provider would report for the whole reply."""

    model: ModelSetting
    bound: int
    input: int
    output: int
    asked: int
    fails: bool = False
    cached: int = 0
    reasoning: int = 0
    latency: int = 0


@dataclass(frozen=True)
class Say:
    """An answer yielded."""

    answer: str


@dataclass(frozen=True)
class Full:
    """A call that does not fit the context window."""

    model: ModelSetting
    bound: int


Script = Sequence[Ask | Say | Full]


@dataclass
class Meters:
    """Cumulative spend and high-water input per model, and where they stand on an axis."""

    spends: dict[str, ModelSpend] = field(default_factory=dict)

    def of(self, model: str) -> ModelSpend:
        return self.spends.get(model, ModelSpend(model, Spend(), 0))

    def wall(self, axis: Axis, prices: Mapping[str, Price]) -> int:
        return sum(position(meter, axis, prices) for meter in self.spends.values())

    def after(self, model: str, spend: Spend, high: int) -> Meters:
        return Meters({**self.spends, model: ModelSpend(model, self.of(model).spend + spend, high)})

    def total(self) -> Spend:
        return sum((meter.spend for meter in self.spends.values()), Spend())


def position(meter: ModelSpend, axis: Axis, prices: Mapping[str, Price]) -> int:
    """Calls, metered input and output of one model, weighed."""
    spend, high = meter.spend, meter.metered_input_tokens
    if axis == "calls":
        return spend.calls
    if axis == "output_tokens":
        return spend.output_tokens
    if axis == "total_tokens":
        return high + spend.output_tokens
    return high * prices[meter.model].input_pusd + spend.output_tokens * prices[meter.model].output_pusd


def weight(axis: Axis, model: str, prices: Mapping[str, Price]) -> int:
    """What one output token weighs."""
    return (
        {"calls": 0, "output_tokens": 1, "total_tokens": 1}.get(axis, 0) if axis != "usd" else prices[model].output_pusd
    )


def prices_of(lineup: Lineup) -> dict[str, Price]:
    """Known prices by identity."""
    return {setting.identity: setting.price for _, setting in lineup if setting.price is not None}


def planned(
    axis: Axis,
    budget: int,
    question: str,
    *,
    lineup: Lineup = (("solver", A),),
    repeat: int = 0,
    strategy: str = "vote",
    task: str = "t",
    anytime: bool = True,
    params: str = "{}",
) -> TrialSpec:
    """A spec whose ids follow its content."""
    raw = Condition("", task, lineup, strategy, params, 1, anytime, axis, budget)
    condition = replace(raw, condition_id=ids.condition_id(raw))
    problem = Problem(question)
    asked = Question(ids.question_id(task, problem, "right"), task, problem, "right")
    return TrialSpec(ids.trial_id(condition, asked.question_id, repeat), condition, asked, repeat)


def verdict_of(answer: str) -> Verdict:
    """Answers of scripts name their verdict."""
    names: tuple[Verdict, ...] = ("right", "partly", "none")
    return next((name for name in names if answer.startswith(name)), "wrong")


def score_of(answer: str) -> float | None:
    """And how good they are: `partly 0.3`."""
    return float(answer.split()[1]) if answer.startswith("partly") else None


def play(
    spec: TrialSpec, script: Script, *, run: str = "r1", attempt: int = 1, stopped_after: int | None = None
) -> Trial:
    """One trial inside its wall. `stopped_after` calls the run is stopped."""
    axis, limit, prices = spec.condition.axis, spec.condition.budget, prices_of(spec.condition.lineup)
    meters = Meters()
    calls: list[Call] = []
    marks: list[Mark] = []
    end, error = "finished", None
    for step in script:
        if isinstance(step, Say):
            if not marks or marks[-1].answer != step.answer:
                marks.append(
                    Mark(
                        len(marks),
                        step.answer,
                        len(calls),
                        tuple(meters.spends.values()),
                        verdict_of(step.answer),
                        score_of(step.answer),
                    )
                )
            continue
        if stopped_after is not None and len(calls) >= stopped_after:
            end, error = "stopped", "stopped as asked"
            break
        call, meters = _call(step, len(calls), meters, axis, limit, prices)
        calls.append(call)
        if call.cut is not None:
            end, error = ("failed", "gone") if call.cut == "failed" else ("exhausted", "budget")
            error = "context" if call.cut == "context" else error
            break
    last = marks[-1] if marks else None
    return Trial(
        spec,
        run,
        attempt,
        end,  # type: ignore[arg-type]
        last.verdict if last else "none",
        last.answer if last else None,
        error,
        tuple(calls),
        tuple(marks),
        tuple(meters.spends.values()),
        NOON,
        NOON,
        score=last.score if last else None,
    )


def _call(
    step: Ask | Full, ordinal: int, meters: Meters, axis: Axis, limit: int, prices: Mapping[str, Price]
) -> tuple[Call, Meters]:
    model = step.model.identity
    mine = meters.of(model)
    high = max(mine.metered_input_tokens, mine.spend.input_tokens + step.bound)
    if isinstance(step, Full):
        return _row(step, ordinal, Cut.CONTEXT, 0, Spend(), None, high), meters
    entered = meters.after(model, Spend(calls=1), high)
    room = limit - entered.wall(axis, prices)
    each = weight(axis, model, prices)
    granted = 0 if room < 0 else min(step.asked, room // each) if each else step.asked
    if granted < 1:
        return _row(step, ordinal, Cut.REFUSED, 0, Spend(), None, high), meters
    if step.fails:
        return _row(step, ordinal, Cut.FAILED, granted, Spend(), None, high), meters
    shown = min(granted, step.output)
    spend = Spend(1, step.input, step.cached, 0, shown, min(step.reasoning, shown), step.latency)
    cut = Cut.BUDGET if step.output > granted else None
    return _row(step, ordinal, cut, granted, spend, step.output, high), meters.after(model, spend, high)


def _row(
    step: Ask | Full, ordinal: int, cut: Cut | None, granted: int, spend: Spend, seen: int | None, high: int
) -> Call:
    asked = step.asked if isinstance(step, Ask) else 9
    prompt = (Message("user", f"call {ordinal}"),)
    return Call(
        ordinal,
        "solve",
        step.model.identity,
        f"c-{ordinal}",
        prompt,
        asked,
        granted,
        step.bound,
        cut,
        False,
        spend,
        seen,
        high,
    )


@dataclass(frozen=True)
class Reading:
    """A trial read at a budget."""

    fate: str
    """scored, failed, stopped or censored."""
    verdict: str = "none"
    exhausted: bool = False
    score: float = 0.0
    """No answer counts 0."""
    spend: Spend = Spend()
    pusd: int | None = 0


def read(trial: Trial, axis: Axis, budget: int) -> Reading:
    """The trial by `engine.core.replay`, with what it cost; censored where money has no price to be counted by."""
    condition = trial.spec.condition
    prices = prices_of(condition.lineup)
    known = len(prices) == len({m.identity for _, m in condition.lineup})
    if condition.anytime and axis == "usd" and not known:
        return Reading(trial.end if trial.end in ("failed", "stopped") else "censored")
    reading = replay.read(trial, axis, budget)
    if reading.fate not in replay.SCORED:
        return Reading(reading.fate)
    # Of a trial with one reading call by call, because its stored spends are told apart by the prices it was run with.
    parts = (
        [(part.model, part.spend, part.tier) for part in reading.spends]
        if condition.anytime
        else [(call.model, call.spend, None) for call in trial.calls]
    )
    pusd = sum(prices[model].cost_pusd(spend, tier=tier) for model, spend, tier in parts) if known else None
    return Reading("scored", reading.fate, reading.exhausted, reading.score or 0.0, reading.spend, pusd)
