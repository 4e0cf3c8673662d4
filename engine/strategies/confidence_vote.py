"""Confidence-informed self-consistency: votes weighted by a softmax over stated confidences."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from math import exp

from engine.core.answers import Votes
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


@strategy("confidence_vote", anytime=True, family="sampling", calls="2 * samples")
@dataclass(frozen=True)
class ConfidenceVote:
    """Vote over chains weighted by a softmax of their stated confidences (Taubenfeld et al. 2025, arXiv 2502.06233).

    Budget: `samples` pairs of a chain of at most `chain_tokens` (a draw of self-consistency) and a rating of at most
    `rating_tokens`. A rating r from 1 to 10 weighs exp(r / (10 * `softness`)): a small `softness` trusts ratings
    most, a large one counts heads. A chain without an answer is not rated.
    """

    samples: int = 8
    softness: float = 0.3
    chain_tokens: int = CHAIN_TOKENS
    rating_tokens: int = RATING_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """At most twice `samples`."""
        return 2 * self.samples

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Vote after every rating; a common factor of the weights changes no vote, so none is divided out."""
        votes, asked = Votes(), chain_prompt(problem)
        async for chain in session.stream(asked, self.samples, self.chain_tokens, temperature=self.temperature):
            answer = answer_in(chain)
            if answer is None:
                continue
            told = rating_prompt(asked, chain)
            rating = rating_in(await session.ask(told, self.rating_tokens, role="judge", temperature=self.temperature))
            votes.add(answer, exp((rating - 10) / (10 * max(self.softness, SOFTEST))))
            if votes.leader is not None:
                yield votes.leader


SOFTEST = 0.01
"""Below this the highest rating decides alone."""
