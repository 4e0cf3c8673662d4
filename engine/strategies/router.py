"""Router: the cheap model judges the question and keeps the easy ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.answers import rating_of
from engine.core.records import Message, Problem
from engine.strategies.chain import CHAIN_TOKENS, RATING_TOKENS, TEMPERATURE, answer_in, chain_prompt
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
        # In the last turn: two turns of the user in a row are refused by some providers.
        told = (*asked[:-1], Message("user", f"{asked[-1].content}\n\n{JUDGE}"))
        said = await session.ask(told, self.rating_tokens, role="judge", temperature=self.temperature)
        # A judgement without a number is no reason to trust the cheap model.
        rated = rating_of(said.text)
        hard = (rated or HARDEST) > self.easy
        session.could_work("difficulty read", rated is not None)
        session.acted("sent to the strong model", hard)
        model = "strong" if hard else "solver"
        # The same request to either: the reply is that model's own chain of thought, shared with it.
        reply = await session.ask(asked, self.chain_tokens, model=model, temperature=self.temperature)
        answer = answer_in(reply)
        if answer is not None:
            yield answer


HARDEST = 10
JUDGE = (
    "Do not solve it yet. How hard is this question? Reply with one whole number from 1 (trivial) to 10 (very hard) in "
    "double square brackets, for example [[5]]."
)
"""In the words of difficulty_adaptive, so that both read one judgement."""
