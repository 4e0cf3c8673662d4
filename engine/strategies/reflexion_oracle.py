"""Reflexion told by an oracle whether an attempt is right: a bound for study, not a usable strategy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.records import Message, Problem
from engine.strategies.chain import CHAIN_TOKENS, END, TEMPERATURE, answer_in, chain_prompt
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("reflexion_oracle", anytime=True, family="refinement", calls="2 * attempts - 1", oracle=True)
@dataclass(frozen=True)
class ReflexionOracle:
    """Attempt, be told whether it is right, reflect, attempt again (Shinn et al. 2023, arXiv 2303.11366; oracle).

    Budget: up to `attempts` chains of at most `chain_tokens`, with a reflection of at most `reflection_tokens` between
    two of them. Stops as soon as an attempt is right, which only somebody with the answers can know: it shows how
    much of reflexion's gain rests on that (arXiv 2406.06461), and no setting can be chosen by it.
    """

    attempts: int = 3
    chain_tokens: int = CHAIN_TOKENS
    reflection_tokens: int = 128
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """At most 2 * `attempts` - 1."""
        return 2 * self.attempts - 1

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Yield the answer of every attempt."""
        talk = chain_prompt(problem)
        for attempt in range(self.attempts):
            reply = await session.ask(talk, self.chain_tokens, temperature=self.temperature)
            answer = answer_in(reply)
            if answer is not None:
                yield answer
            talk = (*talk, Message("assistant", reply.text))
            if attempt + 1 == self.attempts or (answer is not None and session.oracle(answer)):
                return
            told = (*talk, Message("user", REFLECT))
            thought = await session.ask(told, self.reflection_tokens, role="reflect", temperature=self.temperature)
            talk = (*told, Message("assistant", thought.text), Message("user", AGAIN))


REFLECT = "That answer is wrong. Say in one or two sentences what went wrong and what to do differently."
AGAIN = f"Now solve the question again with that in mind. {END}"
