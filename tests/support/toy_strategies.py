"""Strategies that exist only to try the core: shapes that the real ones of the first release do not have yet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from engine.core.answers import Votes
from engine.core.records import Problem
from engine.strategies.chain import answer_in, chain_prompt
from engine.strategies.prompted import ChainOfThought, Direct
from engine.strategies.self_consistency import SelfConsistency
from engine.strategies.self_refine import SelfRefine
from engine.strategies.tale_ep import TaleEP
from engine.trial.session import Session


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


@dataclass(frozen=True)
class Panel:
    """Asks two models of different prices in turn, the second one about the first one's words."""

    rounds: int = 3

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        for _ in range(self.rounds):
            reply = await session.ask(problem.text, 14)
            check = await session.ask(f"Right ? {reply.text}", 8, role="judge", model="critic")
            answer = answer_in(check) or answer_in(reply)
            if answer is not None:
                yield answer


@dataclass(frozen=True)
class Breaks:
    """Has a mistake that shows after some calls."""

    after: int = 3

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        for _ in range(self.after):
            reply = await session.ask(problem.text, 12)
            yield reply.text or "nothing"
        raise ZeroDivisionError("a mistake in the strategy")


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
    Panel(),
]


def named(strategy: Any) -> str:
    """For the ids of parametrised tests."""
    return type(strategy).__name__
