"""Chain of draft: steps of a few words each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.records import Problem
from engine.strategies.chain import CHAIN_TOKENS, END, TEMPERATURE, answer_in, framed
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("chain_of_draft", anytime=True, family="brevity", calls="1")
@dataclass(frozen=True)
class ChainOfDraft:
    """Reason in drafts of a few words per step (Xu et al. 2025, arXiv 2502.18600).

    Budget: one chain of at most `chain_tokens`; each step is asked to keep to `words` words.
    """

    words: int = 5
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


HOW = "Think step by step, but write only a draft of at most {words} words for each step. " + END
