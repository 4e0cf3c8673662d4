"""A small arena for core tests: scripted model, pool, ledger and session without a store, a process or a network.

`play` is one trial; `answer_at` and `spend_at` read a played trial at a smaller budget straight from the rules, in
plain Python, so that they can be held against a direct run and against the SQL of the analysis.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from engine.budget import Ledger, position, wall, weights
from engine.models.scripted import Script, ScriptedModel
from engine.pool import Pool
from engine.records import (
    Axis,
    Call,
    Completion,
    Condition,
    ModelSetting,
    ModelSpend,
    Price,
    Problem,
    Question,
    Request,
    Spend,
    Trial,
    TrialSpec,
)
from engine.trial import Setting, solve

NEVER = datetime(2000, 1, 1, tzinfo=UTC)
PRICE = Price(input_pusd=3, output_pusd=7)
SOLVER = ModelSetting("scripted/test", "scripted/test@1", PRICE)
QUESTION = Question("q1-test", "test", Problem("What is it ?", "word"), "A")


def babble(request: Request, rng: random.Random) -> str:
    """A reply of 1 to 24 words that states one of three answers, none, or is cut before it can."""
    filler = ["so"] * rng.choice((0, 1, 2, 5, 12, 22))
    said = rng.choice(("A", "B", "C", None))
    return " ".join([*filler, *(["Answer:", said] if said else ["well"])])


def fixed(*replies: str) -> Script:
    """Draw k says the k-th reply."""
    return lambda request, rng: replies[request.draw % len(replies)]


def model(script: Script = babble, **settings: Any) -> ScriptedModel:
    """A scripted solver with a price."""
    return ScriptedModel(SOLVER, script, **settings)


@dataclass
class Till:
    """Buys for a pool without reservations and remembers every completion bought."""

    models: Mapping[str, ScriptedModel]
    bought: list[Completion] = field(default_factory=list)

    async def buy(self, request: Request) -> Completion:
        completion = await self.models[request.model].complete(request)
        self.bought.append(completion)
        return completion


class NoPool:
    """A source that buys every call anew: what a run without a pool would do."""

    def __init__(self, solver: ScriptedModel) -> None:
        self._solver = solver

    async def take(self, request: Request) -> tuple[Completion, bool]:
        return await self._solver.complete(request), False

    def warm(self, request: Request) -> None:
        """Nothing is kept, so nothing is prefetched."""


def pool_over(*models: ScriptedModel) -> Pool:
    """A pool that buys from these models."""
    return Pool(Till({m.setting.identity: m for m in models}).buy)


def spec(strategy: str, axis: Axis, budget: int, *, anytime: bool = True, question: Question = QUESTION,
         lineup: Sequence[tuple[str, ModelSetting]] = (("solver", SOLVER),), repeat: int = 0) -> TrialSpec:
    """A planned trial on one wall."""
    condition = Condition("k1-test", "test", tuple(lineup), strategy, "{}", 1, anytime, axis, budget)
    return TrialSpec(f"t1-{strategy}-{axis}", condition, question, repeat)


async def played(strategy: Any, planned: TrialSpec, models: Sequence[ScriptedModel], source: Any, width: int) -> Trial:
    """One trial to its end, with every prefetched draw landed."""
    setting = Setting("run", {m.setting.identity: m for m in models}, source, width)
    trial = await solve(planned, strategy, setting, lambda answer, question: answer == question.target)
    if isinstance(source, Pool):
        await source.drain()
    return trial


def play(strategy: Any, axis: Axis, budget: int, solver: ScriptedModel | None = None, *, source: Any = None,
         width: int = 4, anytime: bool = True) -> Trial:
    """One trial in an event loop of its own."""
    chosen = solver or model()

    async def run() -> Trial:
        where = source if source is not None else pool_over(chosen)
        return await played(strategy, spec(type(strategy).__name__, axis, budget, anytime=anytime), [chosen], where, width)

    return asyncio.run(run())


def walls_of(spends: Sequence[ModelSpend], axis: Axis) -> int:
    """Where cumulative spends stand on an axis (one price for all models of the arena)."""
    return sum(position(meter, weights(axis, SOLVER)) for meter in spends)


def prefixes(trial: Trial) -> list[tuple[Call, tuple[ModelSpend, ...]]]:
    """Each call with the cumulative spends before it; what the trial was charged, in program order."""
    state: dict[str, ModelSpend] = {}
    steps = []
    for call in trial.calls:
        steps.append((call, tuple(state.values())))
        before = state.get(call.model, ModelSpend(call.model, Spend(), 0))
        state[call.model] = ModelSpend(call.model, before.spend + call.spend, call.metered_input_tokens)
    return steps


def _with(before: Sequence[ModelSpend], call: Call, spend: Spend) -> tuple[ModelSpend, ...]:
    rest = [m for m in before if m.model != call.model]
    mine = next((m for m in before if m.model == call.model), ModelSpend(call.model, Spend(), 0))
    return (*rest, ModelSpend(call.model, mine.spend + spend, call.metered_input_tokens))


def horizon(trial: Trial, axis: Axis) -> int | None:
    """First budget on `axis` at which the trial says nothing any more; None: it ended by itself."""
    for call, before in prefixes(trial):
        if call.cut in ("budget", "refused", "failed"):
            seen = call.seen_output_tokens if call.seen_output_tokens is not None else 1
            return walls_of(_with(before, call, Spend(calls=1, output_tokens=seen)), axis)
    return None


def answer_at(trial: Trial, axis: Axis, budget: int) -> str | None:
    """The answer the trial would have given at a smaller budget: its last mark whose wall is within it."""
    inside = [mark.answer for mark in trial.marks if walls_of(mark.spends, axis) <= budget]
    return inside[-1] if inside else None


def spend_at(trial: Trial, axis: Axis, budget: int) -> Spend:
    """What the trial would have spent at a smaller budget: rule 10."""
    for call, before in prefixes(trial):
        if call.cut in ("context", "limit"):
            break
        seen = call.seen_output_tokens if call.seen_output_tokens is not None else 1
        if walls_of(_with(before, call, Spend(calls=1, output_tokens=seen)), axis) <= budget:
            continue
        spent = sum((m.spend for m in before), Spend())
        needed = walls_of(_with(before, call, Spend(calls=1)), axis)
        weight = weights(axis, SOLVER).output
        cap = (budget - needed) // weight if weight else 0
        if cap < 1:
            return spent
        shown = min(cap, seen)
        prompt = call.spend.input_tokens if call.spend.calls else call.bound_tokens
        return spent + Spend(1, prompt, output_tokens=shown)
    return sum((m.spend for m in trial.spends), Spend())


def anonymous(trial: Trial) -> Trial:
    """The trial without what may differ between equal runs: times and who paid first."""
    calls = tuple(replace(call, replayed=False) for call in trial.calls)
    return replace(trial, calls=calls, started_at=NEVER, finished_at=NEVER)


async def answers_of(stream: AsyncIterator[str]) -> list[str]:
    """All yields of an async generator."""
    return [item async for item in stream]
