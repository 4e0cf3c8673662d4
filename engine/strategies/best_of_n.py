"""Best of n: draw chains, let the model rate each, keep the best."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.answers import rating_of
from engine.core.records import Problem
from engine.strategies.chain import (
    CHAIN_TOKENS,
    RATING_TOKENS,
    TEMPERATURE,
    answer_in,
    chain_prompt,
    rating_in,
    rating_prompt,
)
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("best_of_n", anytime=True, family="sampling", calls="2 * samples", version=2)
@dataclass(frozen=True)
class BestOfN:
    """Draw chains and keep the one the model itself rates highest (Cobbe et al. 2021, arXiv 2110.14168, self-scored).

    Budget: `samples` pairs of a chain of at most `chain_tokens` (a draw of self-consistency) and a rating of at most
    `rating_tokens`. Of equal ratings the first wins; a chain without an answer is not rated.
    """

    samples: int = 8
    chain_tokens: int = CHAIN_TOKENS
    rating_tokens: int = RATING_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """At most twice `samples`."""
        return 2 * self.samples

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Yield the best-rated answer so far; before its rating a first answer stands."""
        asked, best, ratings = chain_prompt(problem), 0, list[int | None]()
        async for chain in session.stream(asked, self.samples, self.chain_tokens, temperature=self.temperature):
            answer = answer_in(chain)
            if answer is None:
                continue
            # Something to show where the budget closes before the first rating.
            if not best:
                yield answer
            told = rating_prompt(asked, chain)
            judged = await session.ask(told, self.rating_tokens, role="judge", temperature=self.temperature)
            rating = rating_in(judged)
            ratings.append(rating_of(judged.text))
            if len(ratings) > 1:
                session.could_work("ratings read and different", len({*ratings} - {None}) > 1)
            # More and not as much: of equal ratings the first wins, at every budget alike.
            if rating > best:
                best = rating
                yield answer
