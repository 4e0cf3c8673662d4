"""NoThinking: the reply begins with a thought that is already over, so that the model answers at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.answers import Votes
from engine.core.records import Message, Problem
from engine.strategies.chain import CHAIN_TOKENS, END, TEMPERATURE, answer_in, framed
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("no_thinking", anytime=True, family="thinking", calls="samples", needs_prefix=True)
@dataclass(frozen=True)
class NoThinking:
    """Skip the thinking by prefilling a finished thought, and vote over the answers (Ma et al. 2025, arXiv 2504.09858).

    Budget: `samples` solutions of at most `chain_tokens`, each begun for the model with an empty thought between
    thinking marks; the plurality wins. It pays where a model was trained to think between such marks; to another one
    they are a strange opening.
    """

    samples: int = 1
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """At most `samples`."""
        return self.samples

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Vote after every solution."""
        votes = Votes()
        # No word of steps, and examples without theirs: both would ask for what is to be skipped.
        told = (*framed(problem, END, reasoned=False), Message("assistant", THOUGHT))
        async for said in session.stream(told, self.samples, self.chain_tokens, temperature=self.temperature):
            votes.add(answer_in(said))
            if votes.leader is not None:
                yield votes.leader


THOUGHT = "<think>\nI have thought about this and am done thinking.\n</think>\n\n"
"""What the paper puts in a reasoning model's mouth, in our words."""
