"""A document in the model's own words: shortened before the question is known, or rewritten for it, then read alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from engine.core.records import Message, Problem
from engine.strategies import retrieval
from engine.strategies.chain import CHAIN_TOKENS, TEMPERATURE, answer_in, chain_prompt
from engine.strategies.registry import strategy
from engine.trial.session import Session


class Rewriting:
    """A rewrite, used even if its cap cut it, then one chain that sees it in place of the document."""

    chain_tokens: int
    temperature: float

    @property
    def calls(self) -> int:
        """At most two."""
        return 2

    def rewrite(self, problem: Problem, document: str) -> tuple[str, int, str] | None:
        """What is asked for, its cap in tokens and the role of the call; None: the document is read as it is."""
        raise NotImplementedError

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Rewrite, then chain."""
        wanted = self.rewrite(problem, problem.context) if problem.context else None
        if wanted:
            text, cap, role = wanted
            # Without the worked examples: a rewrite needs none, and more questions share it so.
            reply = await session.ask((Message("user", text),), cap, role=role, temperature=self.temperature)
            session.acted("rewrite read", bool(reply.text.strip()))
            problem = replace(problem, context=reply.text.strip() or problem.context)
        # Said once a call was made, like whatever else is said of a trial.
        reply = await session.ask(chain_prompt(problem), self.chain_tokens, temperature=self.temperature)
        session.could_work("a document to rewrite", wanted is not None)
        answer = answer_in(reply)
        if answer is not None:
            yield answer


@strategy("compressed_context", anytime=True, family="context", calls="2")
@dataclass(frozen=True)
class CompressedContext(Rewriting):
    """Shorten a document to a number of tokens and answer from the short form (Jiang et al. 2023, arXiv 2310.05736).

    Budget: a short form of at most `kept_tokens`, then one chain of at most `chain_tokens` that sees it in place of the
    document. The paper drops tokens by a small model's likelihoods; here the solver writes the short form itself, which
    works through any API, and without the question, so that questions about one document share it in the pool. A
    document that has no more tokens than that is left as it is; then, or without one, this is chain of thought.
    """

    kept_tokens: int = 96
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    def rewrite(self, problem: Problem, document: str) -> tuple[str, int, str] | None:
        """A short form of a document that is longer."""
        # Nothing to shorten, and a call for nothing would be metered.
        if retrieval.fits(document, self.kept_tokens):
            return None
        text = (
            f"{document}\n\nShorten the text above to fewer than {self.kept_tokens} tokens. Keep every name, number "
            "and fact you can, in as few words as possible, and add nothing."
        )
        return text, self.kept_tokens, "compress"


@strategy("rewritten_context", anytime=True, family="context", calls="2")
@dataclass(frozen=True)
class RewrittenContext(Rewriting):
    """Rewrite a document to what its question needs and answer from that (Weston & Sukhbaatar 2023, arXiv 2311.11829).

    Budget: a rewrite of at most `rewrite_tokens`, used even if it was cut there, then one chain of at most
    `chain_tokens` that sees the rewrite and not the document. The paper rewrites the question too; here it stays as it
    is. An empty rewrite is none: the chain then reads the document. Without a document this is chain of thought.
    """

    rewrite_tokens: int = 256
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    def rewrite(self, problem: Problem, document: str) -> tuple[str, int, str] | None:
        """The statements the question needs."""
        text = (
            f"{document}\n\nThe question about the text above is: {problem.text}\n\nDo not answer it yet. Copy "
            "from the text every statement that the question needs, and leave out all others, as well as opinions and "
            "guesses at the answer."
        )
        return text, self.rewrite_tokens, "rewrite"
