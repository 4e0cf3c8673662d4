"""Adaptive consistency: draw chains until the leader is unlikely to be overtaken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.answers import Votes
from engine.core.records import Problem
from engine.strategies.chain import CHAIN_TOKENS, TEMPERATURE, answer_in, chain_prompt
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("adaptive_consistency", anytime=True, family="sampling", calls="samples")
@dataclass(frozen=True)
class AdaptiveConsistency:
    """Sample chains one by one and stop once the vote is settled (Aggarwal et al. 2023, arXiv 2305.11860).

    Budget: at most `samples` chains of up to `chain_tokens`, the same draws as self-consistency. Stops when the leader
    stays ahead of the runner-up with probability `confidence` by the Beta rule; at 0.95 four chains that
    agree are enough.
    """

    samples: int = 16
    confidence: float = 0.95
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """At most `samples`."""
        return self.samples

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Vote after every chain, until the vote is settled."""
        votes, drawn = Votes(), 0
        chains = session.stream(
            chain_prompt(problem),
            self.samples,
            self.chain_tokens,
            # No more ahead than the vote surely still needs: what was bought in vain is paid all the same.
            ahead=lambda: votes.due(self.confidence),
            temperature=self.temperature,
        )
        async for chain in chains:
            votes.add(answer_in(chain))
            if votes.leader is not None:
                yield votes.leader
            # After the yield, so that the chain which settles the vote has left its mark.
            settled, drawn = votes.p_majority >= self.confidence, drawn + 1
            session.acted("stopped early", settled and drawn < self.samples)
            if settled:
                return
