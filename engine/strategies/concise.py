"""Concise chain of thought: reason, but briefly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.records import Problem
from engine.strategies.chain import CHAIN_TOKENS, STEPS, TEMPERATURE, answer_in, framed
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("concise", anytime=True, family="brevity", calls="1")
@dataclass(frozen=True)
class Concise:
    """Reason step by step and be concise (Renze and Guven 2024, arXiv 2401.05618).

    Budget: one chain of at most `chain_tokens`; brevity is asked for in words, not enforced.
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


HOW = f"{STEPS} Be concise."
