"""TALE-EP: estimate a token budget, then reason within it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.answers import estimate_in
from engine.core.records import Message, Problem
from engine.strategies.chain import CHAIN_TOKENS, STATED, STEPS, TEMPERATURE, answer_in, framed
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("tale_ep", anytime=True, family="told budget", calls="2", version=2)
@dataclass(frozen=True)
class TaleEP:
    """Estimate the tokens an answer needs, then reason under that stated budget (Han et al. 2024, arXiv 2412.18547).

    Budget: an estimate of at most `estimate_tokens`, then one chain of at most `chain_tokens`. The told budget is the
    model's own estimate, never the run's; without a readable estimate the chain is told none.
    """

    estimate_tokens: int = 32
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """Two."""
        return 2

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Estimate, then one chain."""
        # Of the bare question, as in the paper: worked examples would be estimated along with it.
        asked = (Message("user", ESTIMATE.format(question=_question(problem))),)
        estimate = await session.ask(asked, self.estimate_tokens, role="estimate", temperature=self.temperature)
        tokens = estimate_in(estimate.text)
        session.could_work("estimate read", tokens is not None)
        how = STEPS if tokens is None else f"{STEPS} {STATED.format(tokens=tokens)}"
        reply = await session.ask(framed(problem, how), self.chain_tokens, temperature=self.temperature)
        if tokens is not None:
            session.acted("told budget kept", reply.output_tokens <= tokens)
        answer = answer_in(reply)
        if answer is not None:
            yield answer


def _question(problem: Problem) -> str:
    return f"{problem.context}\n\n{problem.text}" if problem.context else problem.text


ESTIMATE = (
    "{question}\n\nDo not answer yet. Judge how many tokens a complete and correct worked answer needs at the least. "
    "Reply with that number alone in double square brackets, for example [[50]]."
)
