"""Reflexion: try, judge yourself, reflect in words, try again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.answers import extract
from engine.core.records import Message, Problem, Prompt
from engine.strategies.chain import CHAIN_TOKENS, END, TEMPERATURE, answer_in, chain_prompt
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("reflexion", anytime=True, family="refinement", calls="3 * attempts - 2")
@dataclass(frozen=True)
class Reflexion:
    """Attempt, judge the attempt, reflect on what went wrong, attempt again (Shinn et al. 2023, arXiv 2303.11366).

    Budget: up to `attempts` chains of at most `chain_tokens`, the first being draw 0 of the shared chain; between two
    of them a judgement of at most `judge_tokens` and a reflection of at most `reflection_tokens`. The judge is the
    model itself: it stops when it calls its answer right.
    """

    attempts: int = 3
    chain_tokens: int = CHAIN_TOKENS
    reflection_tokens: int = 128
    judge_tokens: int = 16
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """At most 3 * `attempts` - 2: the last attempt is judged by nobody."""
        return 3 * self.attempts - 2

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Yield the answer of every attempt."""
        talk = chain_prompt(problem)
        for attempt in range(self.attempts):
            reply = await session.ask(talk, self.chain_tokens, temperature=self.temperature)
            answer = answer_in(reply)
            if answer is not None:
                yield answer
            talk = (*talk, Message("assistant", reply.text))
            if attempt + 1 == self.attempts or await self._satisfied(talk, session):
                return
            told = (*talk, Message("user", REFLECT))
            thought = await session.ask(told, self.reflection_tokens, role="reflect", temperature=self.temperature)
            talk = (*told, Message("assistant", thought.text), Message("user", AGAIN))

    async def _satisfied(self, talk: Prompt, session: Session) -> bool:
        told = (*talk, Message("user", JUDGE))
        said = await session.ask(told, self.judge_tokens, role="judge", temperature=self.temperature)
        return extract(said.text, "yes_no") == "yes"


REFLECT = "That answer is wrong. Say in one or two sentences what went wrong and what to do differently."
AGAIN = f"Now solve the question again with that in mind. {END}"
JUDGE = "Is this answer right? Reply with yes or no alone."
