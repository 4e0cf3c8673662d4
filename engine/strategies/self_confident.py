"""Self-confident self-consistency: a vote weighted by how sure the model says it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.answers import Votes, extract
from engine.core.records import Message, Problem, Prompt
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
from engine.trial.session import Reply, Session


@strategy("self_confident", anytime=True, family="sampling", calls="2 * samples")
@dataclass(frozen=True)
class SelfConfident:
    """Vote over chains, each weighted by the model's stated confidence in it (Wang et al. 2024, arXiv 2406.06461).

    Budget: `samples` pairs of a chain of at most `chain_tokens` (a draw of self-consistency) and a judgement of at most
    `rating_tokens`. With `levels` above 2 the judgement is a number from 1 to 10 and the weight; with 2 it is yes or
    no, and a no weighs nothing beside any yes. A chain without an answer is not judged.
    """

    samples: int = 8
    levels: int = 10
    chain_tokens: int = CHAIN_TOKENS
    rating_tokens: int = RATING_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """At most twice `samples`."""
        return 2 * self.samples

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Vote after every judgement."""
        votes, asked = Votes(), chain_prompt(problem)
        async for chain in session.stream(asked, self.samples, self.chain_tokens, temperature=self.temperature):
            answer = answer_in(chain)
            if answer is None:
                continue
            told = _judged(asked, chain) if self.levels == 2 else rating_prompt(asked, chain)
            said = await session.ask(told, self.rating_tokens, role="judge", temperature=self.temperature)
            votes.add(answer, _sure(said) if self.levels == 2 else rating_in(said))
            if votes.leader is not None:
                yield votes.leader


def _judged(asked: Prompt, chain: Reply) -> Prompt:
    return (*asked, Message("assistant", chain.text), Message("user", RIGHT))


def _sure(said: Reply) -> float:
    return 1.0 if extract(said.text, "yes_no") == "yes" else NO


RIGHT = "Is this answer right? Reply with yes or no alone."
NO = 1e-6
"""Weight of an answer the model denies: it leads only where nothing else was said."""
