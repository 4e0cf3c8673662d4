"""Rewritten context: the model rewrites the document without what does not matter, then reads the rewrite alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from engine.core.records import Message, Problem
from engine.strategies.chain import CHAIN_TOKENS, TEMPERATURE, answer_in, chain_prompt
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("rewritten_context", anytime=True, family="context", calls="2")
@dataclass(frozen=True)
class RewrittenContext:
    """Rewrite a document to what its question needs and answer from that (Weston & Sukhbaatar 2023, arXiv 2311.11829).

    Budget: a rewrite of at most `rewrite_tokens`, used even if it was cut there, then one chain of at most
    `chain_tokens` that sees the rewrite and not the document. The paper rewrites the question too; here it stays as it
    is. An empty rewrite is none: the chain then reads the document. Without a document this is chain of thought.
    """

    rewrite_tokens: int = 256
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """At most two."""
        return 2

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Rewrite, then chain."""
        if problem.context:
            asked = (Message("user", REWRITE.format(context=problem.context, question=problem.text)),)
            said = await session.ask(asked, self.rewrite_tokens, role="rewrite", temperature=self.temperature)
            problem = replace(problem, context=said.text.strip() or problem.context)
        reply = await session.ask(chain_prompt(problem), self.chain_tokens, temperature=self.temperature)
        answer = answer_in(reply)
        if answer is not None:
            yield answer


REWRITE = (
    "{context}\n\nThe question about the text above is: {question}\n\nDo not answer it yet. Copy from the text every "
    "statement that the question needs, and leave out all others, as well as opinions and guesses at the answer."
)
