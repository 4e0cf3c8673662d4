"""Told budget: the model is told how many tokens it may use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.records import Problem
from engine.strategies.chain import CHAIN_TOKENS, STATED, STEPS, TEMPERATURE, answer_in, framed
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("told_budget", anytime=lambda s: s.told_tokens is not None, family="told budget", calls="1")
@dataclass(frozen=True)
class ToldBudget:
    """Reason under a token budget stated in the prompt (Han et al. 2024, arXiv 2412.18547).

    Budget: one chain of at most `chain_tokens`. The model is told `told_tokens`; without it, the run's own budget (what
    the walls leave in output tokens), and then every budget is a different prompt and takes a run of its own.
    """

    told_tokens: int | None = None
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """One."""
        return 1

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """One chain under the told budget."""
        # `remaining` is asked for last: whoever looks at it is no longer the same trial at every budget.
        tokens = self.told_tokens or session.remaining or self.chain_tokens
        prompt = framed(problem, f"{STEPS} {STATED.format(tokens=tokens)}")
        reply = await session.ask(prompt, self.chain_tokens, temperature=self.temperature)
        session.acted("told budget kept", reply.output_tokens <= tokens)
        answer = answer_in(reply)
        if answer is not None:
            yield answer
