"""Cascade: a cheap model votes, and a strong one is asked where the vote is split."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.answers import Votes
from engine.core.records import Problem
from engine.strategies.chain import CHAIN_TOKENS, TEMPERATURE, answer_in, chain_prompt
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("cascade", anytime=True, family="line-up", calls="samples + 1", roles=("strong",))
@dataclass(frozen=True)
class Cascade:
    """Ask a cheap model several times, and a strong one if the answers disagree (Yue et al. 2023, arXiv 2310.03094).

    Budget: `samples` chains of at most `chain_tokens` by the solver, its first draws of self-consistency. The vote
    stands when the leader has a share of `agreement` of all chains, those without an answer included; otherwise one
    more chain of that cap by `strong`, whose answer counts if it states one. From cheap to dear is the cascade of
    FrugalGPT (Chen et al. 2023, arXiv 2305.05176), which trains a scorer where this one reads the agreement.
    """

    samples: int = 5
    agreement: float = 0.8
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """`samples`, and one when they disagree."""
        return self.samples + 1

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Vote after every cheap chain, then the strong answer where one was asked for."""
        votes, voters, asked = Votes(), 0, chain_prompt(problem)
        async for chain in session.stream(asked, self.samples, self.chain_tokens, temperature=self.temperature):
            answer = answer_in(chain)
            voters += answer is not None
            votes.add(answer)
            if votes.leader is not None:
                yield votes.leader
        # The leader's share of the votes, as whole votes again, over all chains: one without an answer agrees with
        # nobody.
        agreed = round(votes.agreement * voters) / self.samples >= self.agreement
        session.acted("escalated", not agreed)
        if agreed:
            return
        # The same request: its answer is then the strong model's own chain of thought, shared with it.
        reply = await session.ask(asked, self.chain_tokens, model="strong", temperature=self.temperature)
        answer = answer_in(reply)
        if answer is not None:
            yield answer
