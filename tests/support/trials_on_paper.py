"""A small arena for core tests: scripted models, pool, ledger and session without a store, a process or a network.

`play` is one trial, `box` one within several walls; `answer_within`, `spend_within` and `censored` read a played trial
at smaller budgets by `engine.core.replay`, so that it can be held against a direct run.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from engine.core import replay
from engine.core.budget import Ledger, wall
from engine.core.errors import ProviderError
from engine.core.records import (
    Axis,
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
    Usage,
)
from engine.models.scripted import Script, ScriptedModel
from engine.runs.completion_cache import CompletionCache
from engine.strategies import entries, is_oracle
from engine.testing.stage import anonymous as anonymous
from engine.testing.stage import babble as babble
from engine.testing.stage import fixed as fixed
from engine.testing.stage import salted as salted
from engine.trial import solve as trials
from engine.trial.session import Session, TrialContext
from engine.trial.solve import Setting, solve
from tests.support.replayed import position, prices_of

NEVER = datetime(2000, 1, 1, tzinfo=UTC)
PRICE = Price(input_pusd=3, output_pusd=7)
SOLVER = ModelSetting("scripted/test", "scripted/test@1", PRICE)
CRITIC = ModelSetting("scripted/critic", "scripted/critic@1", Price(input_pusd=11, output_pusd=2))
SETTINGS = {SOLVER.identity: SOLVER, CRITIC.identity: CRITIC}
LINEUP = (("solver", SOLVER), ("critic", CRITIC))
QUESTION = Question("q1-test", "test", Problem("What is it ?", "word"), "A")
LARGEST: dict[Axis, int] = {"output_tokens": 120, "total_tokens": 600, "calls": 9, "usd": 2500}
_T = TypeVar("_T")
Box = Mapping[Axis, int]


def failing(script: Script, chance: float) -> Script:
    """A script whose provider gives up on some requests, always the same ones."""

    def say(request: Request, rng: random.Random) -> str:
        if rng.random() < chance:
            raise ProviderError("the provider gave up", kind="refused")
        return script(request, rng)

    return say


def model(script: Script = babble, **options: Any) -> ScriptedModel:
    """A scripted solver with a price."""
    return ScriptedModel(SOLVER, script, **options)


def critic(script: Script = babble, **options: Any) -> ScriptedModel:
    """A second model with another price."""
    return ScriptedModel(CRITIC, script, **options)


@dataclass
class Reporting(ScriptedModel):
    """A disobedient provider: bills extra input, and goes past the cap it was given."""

    extra_input: int = 0
    extra_output: int = 0

    async def complete(self, request: Request) -> Completion:
        said = await super().complete(request)
        usage = Usage(said.usage.input_tokens + self.extra_input, said.usage.output_tokens + self.extra_output)
        return replace(said, usage=usage)


FIVE = fixed("x x Answer: A")
"""Five tokens, the end token included."""


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

    def __init__(self, *models: ScriptedModel) -> None:
        self._models = {m.setting.identity: m for m in models}

    async def get(self, request: Request) -> tuple[Completion, bool]:
        return await self._models[request.model].complete(request), False

    def prefetch(self, request: Request) -> None:
        """Nothing is kept, so nothing is prefetched."""


@dataclass(frozen=True)
class Does:
    """A strategy made of one generator function, for tests of a single rule."""

    body: Callable[[Session], AsyncIterator[str]]

    def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        return self.body(session)


def asking(prompts: Sequence[str], cap: int = 10, **options: Any) -> Does:
    """A strategy that asks one prompt after another and yields each reply."""

    async def body(session: Session) -> AsyncIterator[str]:
        for prompt in prompts:
            yield (await session.ask(prompt, cap, **options)).text

    return Does(body)


async def swallowing(session: Session) -> AsyncIterator[str]:
    """A strategy that holds on to the session although it was closed."""
    for turn in range(6):
        try:
            reply = await session.ask("say it", 10)
            yield f"answer {turn} {reply.text}"
        except Exception:
            yield f"late {turn}"


def pool_over(*models: ScriptedModel) -> CompletionCache:
    """A pool that buys from these models."""
    return CompletionCache(Till({m.setting.identity: m for m in models}).buy)


def spec(
    strategy: str,
    axis: Axis,
    budget: int,
    *,
    anytime: bool = True,
    question: Question = QUESTION,
    lineup: Sequence[tuple[str, ModelSetting]] = LINEUP,
    repeat: int = 0,
) -> TrialSpec:
    """A planned trial on one wall."""
    condition = Condition("k1-test", "test", tuple(lineup), strategy, "{}", 1, anytime, axis, budget)
    return TrialSpec(f"t1-{strategy}-{axis}", condition, question, repeat)


async def played(strategy: Any, planned: TrialSpec, models: Sequence[ScriptedModel], source: Any, width: int) -> Trial:
    """One trial to its end, with every prefetched draw landed."""
    served = {m.setting.identity: m for m in (critic(), *models)}
    trial = await solve(planned, strategy, Setting("run", served, source, width), _right, oracle=is_oracle(strategy))
    if isinstance(source, CompletionCache):
        await source.drain()
    return trial


def play(
    strategy: Any,
    axis: Axis,
    budget: int,
    solver: ScriptedModel | None = None,
    *,
    source: Any = None,
    width: int = 4,
    anytime: bool = True,
    repeat: int = 0,
    second: ScriptedModel | None = None,
) -> Trial:
    """One trial in an event loop of its own; `second` plays every role but the solver's."""
    chosen, other = solver or model(), second or critic()
    planned = spec(type(strategy).__name__, axis, budget, anytime=anytime, repeat=repeat, lineup=lineup_of(strategy))
    where = source if source is not None else pool_over(chosen, other)
    return in_loop(played(strategy, planned, [chosen, other], where, width))


def lineup_of(strategy: Any) -> Sequence[tuple[str, ModelSetting]]:
    """The critic in all roles that a registered strategy asks for besides the solver."""
    roles = next((known.roles for known in entries().values() if known.make is type(strategy)), ())
    return (LINEUP[0], *((role, CRITIC) for role in roles)) if roles else LINEUP


def in_loop(work: Coroutine[Any, Any, _T]) -> _T:
    """Run to the end in a fresh event loop."""
    return asyncio.run(work)


def opened(walls: Box, source: Any, *models: ScriptedModel, **terms: Any) -> Session:
    """A bare session within these walls; the first model is the solver."""
    lineup = dict(zip(("solver", "critic"), models, strict=False))
    priced = [m.setting for m in models]
    return Session(
        TrialContext(lineup, **terms), Ledger([wall(axis, at, priced) for axis, at in walls.items()]), source
    )


async def box(
    strategy: Any, walls: Box, models: Sequence[ScriptedModel], source: CompletionCache, width: int = 4
) -> Trial:
    """One trial within several walls at once."""
    axis, budget = next(iter(walls.items()))
    session = opened(walls, source, *models, kind="word", width=width)
    end, error = await trials._drive(strategy, QUESTION.problem, session)
    await source.drain()
    judged = (replace(each, verdict="right" if _right(each.answer, QUESTION) else "wrong") for each in session.marks)
    marks = tuple(judged)
    answer = marks[-1].answer if marks else None
    verdict = marks[-1].verdict if marks else "none"
    planned = spec(type(strategy).__name__, axis, budget)
    return Trial(
        planned, "run", 1, end, verdict, answer, error, tuple(session.calls), marks, session.spends, NEVER, NEVER
    )


def _right(answer: str, question: Question) -> bool:
    return answer == question.target


def walls_of(spends: Sequence[ModelSpend], axis: Axis) -> int:
    """Where cumulative spends stand on an axis, at prices of one rate."""
    return sum(position(meter, axis, prices_of(LINEUP)) for meter in spends)


def total(trial: Trial) -> Spend:
    """What a trial spent over all models."""
    return sum((meter.spend for meter in trial.spends), Spend())


def horizon(trial: Trial, axis: Axis) -> int | None:
    """First budget on `axis` at which the trial says nothing any more; None: it ended by itself.

    A strategy that breaks closes nothing, so its trial is never read; here it is until where it broke.
    """
    end = replay.horizon(trial, wall(axis, 0, SETTINGS.values()))
    return None if end is None else end or walls_of(trial.spends, axis)


def censored(trial: Trial, walls: Box) -> bool:
    """Whether a trial swept elsewhere says nothing about a direct run within these walls."""
    ends = [(horizon(trial, axis), limit) for axis, limit in walls.items()]
    return all(end is not None and limit >= end for end, limit in ends)


def answer_at(trial: Trial, axis: Axis, budget: int) -> str | None:
    """The answer the trial would have given at a smaller budget: its last mark whose wall is within it."""
    return answer_within(trial, {axis: budget})


def answer_within(trial: Trial, walls: Box) -> str | None:
    """The last mark that every wall covers."""
    inside = [m.answer for m in trial.marks if all(walls_of(m.spends, axis) <= b for axis, b in walls.items())]
    return inside[-1] if inside else None


def spend_at(trial: Trial, axis: Axis, budget: int) -> Spend:
    """What the trial would have spent at a smaller budget: rule 10."""
    return spend_within(trial, {axis: budget})


def spend_within(trial: Trial, walls: Box) -> Spend:
    """Rule 10 with several walls: the tightest one cuts."""
    inside = replay.cover(trial.calls, [wall(axis, limit, SETTINGS.values()) for axis, limit in walls.items()])
    return sum((part.spend for part in inside.spends), Spend())
