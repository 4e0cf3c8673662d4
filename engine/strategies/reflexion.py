"""Reflexion: try, hear whether it was right, reflect in words, try again; judged by the model or by an oracle."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.answers import extract
from engine.core.records import Message, Problem, Prompt
from engine.strategies.chain import CHAIN_TOKENS, END, TEMPERATURE, answer_in, chain_prompt
from engine.strategies.registry import strategy
from engine.trial.session import Session

REFLECT = "That answer is wrong. Say in one or two sentences what went wrong and what to do differently."
AGAIN = f"Now solve the question again with that in mind. {END}"
JUDGE = "Is this answer right? Reply with yes or no alone."


class Reflecting:
    """Attempts with a reflection between two of them; who judges an attempt is what the two strategies differ in."""

    attempts: int
    chain_tokens: int
    reflection_tokens: int
    temperature: float

    async def satisfied(self, talk: Prompt, answer: str | None, session: Session) -> bool:
        """Whether the attempt that ends `talk` needs no other."""
        raise NotImplementedError

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Yield the answer of every attempt."""
        talk = chain_prompt(problem)
        for attempt in range(self.attempts):
            reply = await session.ask(talk, self.chain_tokens, temperature=self.temperature)
            answer = answer_in(reply)
            if answer is not None:
                yield answer
            talk = (*talk, Message("assistant", reply.text))
            # In this order: nobody judges the last attempt, so no call is spent on it.
            if attempt + 1 == self.attempts or await self.satisfied(talk, answer, session):
                return
            request = (*talk, Message("user", REFLECT))
            thought = await session.ask(request, self.reflection_tokens, role="reflect", temperature=self.temperature)
            talk = (*request, Message("assistant", thought.text), Message("user", AGAIN))


@strategy("reflexion", anytime=True, family="refinement", calls="3 * attempts - 2")
@dataclass(frozen=True)
class Reflexion(Reflecting):
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

    async def satisfied(self, talk: Prompt, answer: str | None, session: Session) -> bool:
        """By the model's own word."""
        request = (*talk, Message("user", JUDGE))
        judged = await session.ask(request, self.judge_tokens, role="judge", temperature=self.temperature)
        word = extract(judged.text, "yes_no")
        session.could_work("judge's word read", word is not None)
        # What cannot be read is no yes: then it reflects and tries again.
        session.acted("attempt judged wrong", word != "yes")
        return word == "yes"


@strategy("reflexion_oracle", anytime=True, family="refinement", calls="2 * attempts - 1", oracle=True)
@dataclass(frozen=True)
class ReflexionOracle(Reflecting):
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

    async def satisfied(self, talk: Prompt, answer: str | None, session: Session) -> bool:
        """By the target; an attempt without an answer is not right."""
        right = answer is not None and session.oracle(answer)
        session.acted("attempt judged wrong", not right)
        return right
