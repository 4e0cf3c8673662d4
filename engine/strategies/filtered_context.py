"""Filtered context: keep the parts of a document that match the question."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from engine.core.records import Problem
from engine.strategies import retrieval
from engine.strategies.chain import CHAIN_TOKENS, TEMPERATURE, answer_in, chain_prompt
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("filtered_context", anytime=True, family="context", calls="1")
@dataclass(frozen=True)
class FilteredContext:
    """Show only the parts of a document that share words with the question (Lewis et al. 2020, arXiv 2005.11401).

    Budget: no call chooses the parts, BM25 does (a lexical stand-in for the paper's learned retriever): the `parts`
    best paragraphs, lines or sentences in their old order, of at most `kept_tokens` in all; then one chain of at most
    `chain_tokens`. Where nothing is left out, or without a document, this is chain of thought, draws included.
    """

    parts: int = 4
    kept_tokens: int | None = None
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """One."""
        return 1

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """One chain over what was kept."""
        document = problem.context
        if document:
            # Ranked by us and not by the model: choosing costs nothing of the budget.
            kept = retrieval.kept(document, problem.text, self.parts, self.kept_tokens)
            problem = replace(problem, context=kept)
        reply = await session.ask(chain_prompt(problem), self.chain_tokens, temperature=self.temperature)
        session.could_work("a part left out", problem.context != document)
        answer = answer_in(reply)
        if answer is not None:
            yield answer
