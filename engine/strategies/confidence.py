"""Votes weighted by how sure the model says it is: two readings of a stated confidence over the same pairs of calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from math import exp

from engine.core.answers import Votes, extract, rating_of
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


class RatedVote:
    """Pairs of a chain and the model's judgement of it; a chain without an answer is not judged."""

    samples: int
    chain_tokens: int
    rating_tokens: int
    temperature: float

    @property
    def calls(self) -> int:
        """At most twice `samples`."""
        return 2 * self.samples

    def judgement(self, chain_request: Prompt, chain: Reply) -> Prompt:
        """What the model is asked about its own chain."""
        return rating_prompt(chain_request, chain)

    def weight(self, judgement: Reply) -> float:
        """What an answer weighs in the vote."""
        raise NotImplementedError

    def word(self, judgement: Reply) -> int | str | None:
        """What it says; None: nothing that can be read."""
        return rating_of(judgement.text)

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Vote after every judgement."""
        votes, request, judgements = Votes(), chain_prompt(problem), list[object]()
        async for chain in session.stream(request, self.samples, self.chain_tokens, temperature=self.temperature):
            answer = answer_in(chain)
            if answer is None:
                continue
            # Only of a chain with an answer: a rating of none would weigh nothing and cost a call.
            judge = self.judgement(request, chain)
            judged = await session.ask(judge, self.rating_tokens, role="judge", temperature=self.temperature)
            votes.add(answer, self.weight(judged))
            judgements.append(self.word(judged))
            if len(judgements) > 1:
                session.could_work("judgements read and different", len({*judgements} - {None}) > 1)
            if votes.leader is not None:
                yield votes.leader


SOFTEST = 0.01
"""Below this the highest rating decides alone."""


@strategy("confidence_vote", anytime=True, family="sampling", calls="2 * samples", version=2)
@dataclass(frozen=True)
class ConfidenceVote(RatedVote):
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

    def weight(self, judgement: Reply) -> float:
        """A softmax without its denominator: a common factor of the weights changes no vote."""
        # From the highest rating down, so that the largest weight is 1 and none overflows.
        return exp((rating_in(judgement) - 10) / (10 * max(self.softness, SOFTEST)))


DENIED = 1e-6
"""Weight of an answer the model denies: it leads only where nothing else was said."""


@strategy("self_confident", anytime=True, family="sampling", calls="2 * samples", version=2)
@dataclass(frozen=True)
class SelfConfident(RatedVote):
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

    def judgement(self, chain_request: Prompt, chain: Reply) -> Prompt:
        """A rating, or with two levels yes or no."""
        if self.levels != 2:
            return rating_prompt(chain_request, chain)
        question = Message("user", "Is this answer right? Reply with yes or no alone.")
        return (*chain_request, Message("assistant", chain.text), question)

    def word(self, judgement: Reply) -> int | str | None:
        """The rating, or with two levels yes or no."""
        return super().word(judgement) if self.levels != 2 else extract(judgement.text, "yes_no")

    def weight(self, judgement: Reply) -> float:
        """The rating itself, or 1 for a yes."""
        if self.levels != 2:
            return rating_in(judgement)
        # No 'yes' that can be read counts as a no: a muddled judgement must not lift an answer.
        return 1.0 if self.word(judgement) == "yes" else DENIED
