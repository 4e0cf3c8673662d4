"""Plan-and-solve: a plan first, then its steps, in one reply."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.records import Problem
from engine.strategies.chain import CHAIN_TOKENS, END, TEMPERATURE, answer_in, framed
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("plan_and_solve", anytime=True, family="decomposition", calls="1")
@dataclass(frozen=True)
class PlanAndSolve:
    """Write a plan, then carry it out, in one reply (Wang et al. 2023, arXiv 2305.04091).

    Budget: one chain of at most `chain_tokens`, plan and steps together.
    """

    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """One."""
        return 1

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """One chain."""
        prompt = framed(problem, HOW)
        answer = answer_in(await session.ask(prompt, self.chain_tokens, temperature=self.temperature))
        if answer is not None:
            yield answer


HOW = (
    "First write a short plan for solving this. Then carry the plan out step by step, with attention to every number "
    f"and every condition. {END}"
)
