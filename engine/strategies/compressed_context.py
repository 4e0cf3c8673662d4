"""Compressed context: the model shortens the document before it knows the question."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from engine.core.records import Message, Problem
from engine.strategies import retrieval
from engine.strategies.chain import CHAIN_TOKENS, TEMPERATURE, answer_in, chain_prompt
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("compressed_context", anytime=True, family="context", calls="2")
@dataclass(frozen=True)
class CompressedContext:
    """Shorten a document to a number of tokens and answer from the short form (Jiang et al. 2023, arXiv 2310.05736).

    Budget: a short form of at most `kept_tokens`, then one chain of at most `chain_tokens` that sees it in place of the
    document. The paper drops tokens by a small model's likelihoods; here the solver writes the short form itself, which
    works through any API, and without the question, so that questions about one document share it in the pool. A
    document that has no more tokens than that is left as it is; then, or without one, this is chain of thought.
    """

    kept_tokens: int = 96
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """At most two."""
        return 2

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Shorten, then chain."""
        if problem.context and not retrieval.fits(problem.context, self.kept_tokens):
            asked = (Message("user", SHORTEN.format(context=problem.context, tokens=self.kept_tokens)),)
            said = await session.ask(asked, self.kept_tokens, role="compress", temperature=self.temperature)
            problem = replace(problem, context=said.text.strip() or problem.context)
        reply = await session.ask(chain_prompt(problem), self.chain_tokens, temperature=self.temperature)
        answer = answer_in(reply)
        if answer is not None:
            yield answer


SHORTEN = (
    "{context}\n\nShorten the text above to fewer than {tokens} tokens. Keep every name, number and fact you can, in "
    "as few words as possible, and add nothing."
)
