"""Self-consistency: a plurality vote over the shared chain's draws."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.answers import Votes
from engine.core.records import Problem
from engine.strategies.chain import CHAIN_TOKENS, TEMPERATURE, answer_in, chain_prompt
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("self_consistency", anytime=True, family="sampling", calls="samples")
@dataclass(frozen=True)
class SelfConsistency:
    """Plurality vote over independently sampled chains of thought (Wang et al. 2022, arXiv 2203.11171).

    Budget: each chain may use up to `chain_tokens`; all `samples` are drawn unless the budget closes first, because a
    vote that stops when it is settled stores an informative number of draws.
    """

    samples: int = 16
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """`samples`."""
        return self.samples

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Vote after every chain; a chain that was cut off casts no vote."""
        votes = Votes()
        prompt = chain_prompt(problem)
        # All may be bought ahead: nothing ends this vote before its last chain.
        async for chain in session.stream(prompt, self.samples, self.chain_tokens, temperature=self.temperature):
            votes.add(answer_in(chain))
            if votes.leader is not None:
                yield votes.leader
