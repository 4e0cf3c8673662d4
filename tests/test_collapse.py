"""Anytime collapse: all marks read off the run at the largest budget equal those of a direct run at b."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.models.scripted import ScriptedModel
from engine.records import AXES, Axis, Problem, Trial
from engine.session import Session
from engine.strategies.chain_of_thought import ChainOfThought
from engine.strategies.chain import answer_in, chain_prompt
from engine.strategies.direct import Direct
from engine.strategies.self_consistency import SelfConsistency
from engine.strategies.self_refine import SelfRefine
from engine.strategies.tale_ep import TaleEP
from engine.votes import Votes
from tests.arena import anonymous, answer_at, babble, fixed, horizon, model, play, played, pool_over, spec, spend_at


@dataclass(frozen=True)
class Windowed:
    """Draws windows of three and stops when one is unanimous: leaves its stream early."""

    cap: int = 10

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        votes = Votes()
        seen: list[str | None] = []
        async for reply in session.stream(chain_prompt(problem), 12, self.cap):
            seen.append(answer_in(reply))
            votes.add(seen[-1])
            if votes.leader is not None:
                yield votes.leader
            if len(seen) % 3 == 0 and len(set(seen[-3:])) == 1:
                return


@dataclass(frozen=True)
class Debate:
    """Three answers prefetched together, then one reading them, with random order from the session's rng."""

    cap: int = 9

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        first = await session.ask_many([chain_prompt(problem)] * 3, self.cap)
        texts = [reply.text for reply in first]
        session.rng.shuffle(texts)
        last = await session.ask("\n".join(["Others said", *texts]), self.cap + 3, role="debate")
        answer = answer_in(last) or next((a for a in map(answer_in, first) if a), None)
        if answer:
            yield answer


@dataclass(frozen=True)
class Twice:
    """Leaves a stream and resumes it by asking the same prompt again, then at another cap."""

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        votes = Votes()
        async for reply in session.stream(chain_prompt(problem), 6, 12):
            votes.add(answer_in(reply))
            if votes.leader is not None:
                yield votes.leader
                break
        for cap in (12, 20, 12):
            votes.add(answer_in(await session.ask(chain_prompt(problem), cap)))
            if votes.leader is not None:
                yield votes.leader


STRATEGIES: list[Any] = [
    Direct(answer_tokens=6),
    ChainOfThought(chain_tokens=15),
    SelfConsistency(samples=5, chain_tokens=10),
    SelfConsistency(samples=7, chain_tokens=25),
    TaleEP(estimate_tokens=4, chain_tokens=12),
    SelfRefine(rounds=2, chain_tokens=10, critique_tokens=5),
    Windowed(),
    Debate(),
    Twice(),
]
LARGEST: dict[Axis, int] = {"output_tokens": 120, "total_tokens": 600, "calls": 9, "usd": 2500}
strategies = pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: type(s).__name__)


async def _sweep(strategy: Any, axis: Axis, budgets: list[int], solver: ScriptedModel, width: int) -> list[Trial]:
    """The trial at the largest budget and the direct ones at the others, all over one pool."""
    pool = pool_over(solver)
    order = [max(budgets), *budgets]
    return [await played(strategy, spec("s", axis, b), [solver], pool, width) for b in order]


@strategies
@pytest.mark.parametrize("axis", AXES)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_marks_read_off_the_largest_budget_equal_a_direct_run(strategy: Any, axis: Axis, data: st.DataObject) -> None:
    top = data.draw(st.integers(1, LARGEST[axis]))
    budgets = data.draw(st.lists(st.integers(1, top), min_size=6, max_size=12, unique=False)) + [top]
    slack = data.draw(st.sampled_from((1.0, 1.4, 3.0, 0.6)))
    salt = data.draw(st.integers(0, 10**6))
    fickle = data.draw(st.booleans())
    solver = model(_salted(salt), slack=slack, fickle=fickle, pauses=3)
    whole, *direct = asyncio.run(_sweep(strategy, axis, budgets, solver, data.draw(st.sampled_from((1, 4, 32)))))
    for budget, trial in zip(budgets, direct, strict=True):
        end = horizon(whole, axis)
        assert end is None or budget < end
        assert trial.answer == answer_at(whole, axis, budget)
        spent = spend_at(whole, axis, budget)
        charged = sum_of(trial)
        assert (charged.calls, charged.output_tokens) == (spent.calls, spent.output_tokens)
        assert charged.input_tokens == spent.input_tokens


def sum_of(trial: Trial) -> Any:
    from engine.records import Spend

    return sum((m.spend for m in trial.spends), Spend())


def _salted(salt: int) -> Any:
    import random

    return lambda request, rng: babble(request, random.Random(f"{salt}{rng.random()}"))


def test_a_greedy_wave_would_answer_a_where_the_collapse_answers_b() -> None:
    lengths = ("x Answer: A", "x x x x x x Answer: B", "Answer: B")
    strategy = SelfConsistency(samples=3, chain_tokens=10)
    whole = play(strategy, "output_tokens", 30, model(fixed(*lengths)))
    direct = play(strategy, "output_tokens", 16, model(fixed(*lengths)), width=3)
    assert [call.spend.output_tokens for call in direct.calls] == [4, 9, 3]
    assert direct.answer == answer_at(whole, "output_tokens", 16) == "B"
    assert direct.end == "finished"


@strategies
@pytest.mark.parametrize("axis", AXES)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_width_and_latency_decide_nothing(strategy: Any, axis: Axis, data: st.DataObject) -> None:
    budget = data.draw(st.integers(1, LARGEST[axis]))
    slack = data.draw(st.sampled_from((1.0, 2.0)))
    salt = data.draw(st.integers(0, 10**6))
    runs = [
        play(strategy, axis, budget, model(_salted(salt), slack=slack, pauses=pauses), width=width)
        for width, pauses in ((1, 0), (4, 5), (32, 9))
    ]
    assert anonymous(runs[0]) == anonymous(runs[1]) == anonymous(runs[2])
