"""Chain of thought: draw 0 of the shared chain."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.records import Problem
from engine.strategies.chain import CHAIN_TOKENS, TEMPERATURE, answer_in, chain_prompt
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("chain_of_thought", anytime=True, family="reasoning", calls="1")
@dataclass(frozen=True)
class ChainOfThought:
    """Reason step by step, then answer (Kojima et al. 2022, arXiv 2205.11916; Wei et al. 2022, arXiv 2201.11903).

    Budget: one chain of at most `chain_tokens`. At the default temperature it is draw 0 of self_consistency; with
    `temperature` 0 (greedy) it shares nothing.
    """

    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """One."""
        return 1

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """One chain, one answer."""
        reply = await session.ask(chain_prompt(problem), self.chain_tokens, temperature=self.temperature)
        answer = answer_in(reply)
        if answer is not None:
            yield answer
