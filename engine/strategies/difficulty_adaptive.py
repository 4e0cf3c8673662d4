"""Difficulty-adaptive self-consistency: easy questions get one chain, hard ones a vote."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.answers import Votes
from engine.core.records import Problem
from engine.strategies.chain import CHAIN_TOKENS, RATING_TOKENS, TEMPERATURE, answer_in, chain_prompt, difficulty
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("difficulty_adaptive", anytime=True, family="sampling", calls="1 + samples", version=2)
@dataclass(frozen=True)
class DifficultyAdaptive:
    """Judge how hard the question is, then draw as many chains as it deserves (Wang et al. 2024, arXiv 2408.13457).

    Budget: a judgement of at most `rating_tokens`, then chains of at most `chain_tokens`, the same draws as
    self-consistency: one when the model calls the question easy (up to `easy` of 10), else until the vote is settled at
    `confidence` by the Beta rule, at most `samples`. The paper ranks questions in batches; a session sees only its own.
    """

    samples: int = 16
    easy: int = 3
    confidence: float = 0.95
    chain_tokens: int = CHAIN_TOKENS
    rating_tokens: int = RATING_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """At most 1 + `samples`."""
        return 1 + self.samples

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Judge, then vote after every chain."""
        asked = chain_prompt(problem)
        hard = await difficulty(problem, session, self.rating_tokens, self.temperature) > self.easy
        session.acted("called easy", not hard)
        votes = Votes()
        # One chain and no vote is where the paper saves; the vote below ends by itself.
        most = self.samples if hard else 1
        async for chain in session.stream(
            asked, most, self.chain_tokens, ahead=lambda: votes.due(self.confidence), temperature=self.temperature
        ):
            votes.add(answer_in(chain))
            if votes.leader is not None:
                yield votes.leader
            settled = votes.p_majority >= self.confidence
            session.acted("stopped early", settled and hard)
            if settled:
                return
