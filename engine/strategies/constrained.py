"""Constrained chain of thought: reason within a number of words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.records import Problem
from engine.strategies.chain import CHAIN_TOKENS, STEPS, TEMPERATURE, answer_in, framed
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("constrained", anytime=True, family="brevity", calls="1")
@dataclass(frozen=True)
class Constrained:
    """Reason step by step in at most `words` words (Nayab et al. 2024, arXiv 2407.19825).

    Budget: one chain of at most `chain_tokens`; the limit on words is told, not enforced.
    """

    words: int = 45
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """One."""
        return 1

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """One chain."""
        prompt = framed(problem, HOW.format(words=self.words))
        answer = answer_in(await session.ask(prompt, self.chain_tokens, temperature=self.temperature))
        if answer is not None:
            yield answer


HOW = STEPS + " Use at most {words} words."
