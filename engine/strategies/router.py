"""Router: the cheap model judges the question and keeps the easy ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.records import Problem
from engine.strategies.chain import CHAIN_TOKENS, RATING_TOKENS, TEMPERATURE, answer_in, chain_prompt, difficulty
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("router", anytime=True, family="line-up", calls="2", version=2, roles=("strong",))
@dataclass(frozen=True)
class Router:
    """Judge how hard the question is, and send the hard ones to a strong model (Ong et al. 2024, arXiv 2406.18665).

    Budget: a judgement of at most `rating_tokens` by the solver, then one chain of at most `chain_tokens`: by the
    solver when it calls the question easy (up to `easy` of 10), by `strong` when it calls it harder or says no number.
    The paper trains its router on preferences and routes for nothing; here the judgement is a call and is metered.
    """

    easy: int = 3
    rating_tokens: int = RATING_TOKENS
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """Two."""
        return 2

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Judge, then one chain by whoever is up to it."""
        asked = chain_prompt(problem)
        hard = await difficulty(problem, session, self.rating_tokens, self.temperature) > self.easy
        session.acted("sent to the strong model", hard)
        model = "strong" if hard else "solver"
        # The same request to either: the reply is that model's own chain of thought, shared with it.
        reply = await session.ask(asked, self.chain_tokens, model=model, temperature=self.temperature)
        answer = answer_in(reply)
        if answer is not None:
            yield answer
