"""Full context: the whole document before the question, the baseline of what shortens it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from engine.core.records import Problem
from engine.strategies.chain import CHAIN_TOKENS, TEMPERATURE, answer_in, chain_prompt
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("full_context", anytime=True, family="context", calls="1")
@dataclass(frozen=True)
class FullContext:
    """Read the whole document, the question put after it or on both sides of it (Liu et al. 2023, arXiv 2307.03172).

    Budget: one chain of at most `chain_tokens`. With `questions` at 1 this is chain of thought, word for word and draw
    for draw, under the name by which context strategies compare themselves; at 2 or more the question also stands
    before the document. Without a document the two are the same.
    """

    questions: int = 1
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """One."""
        return 1

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """One chain."""
        # Otherwise the prompt must stay that of the shared chain to the letter, or it draws afresh.
        if problem.context and self.questions > 1:
            problem = replace(problem, context=AHEAD.format(question=problem.text, context=problem.context))
        reply = await session.ask(chain_prompt(problem), self.chain_tokens, temperature=self.temperature)
        answer = answer_in(reply)
        if answer is not None:
            yield answer


AHEAD = "Read the following with this question in mind: {question}\n\n{context}"
