"""Self-ask: pose follow-up questions, answer them, then conclude."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.records import Message, Problem
from engine.strategies.chain import CHAIN_TOKENS, END, TEMPERATURE, answer_in, framed
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("self_ask", anytime=True, family="decomposition", calls="1 + 2 * followups")
@dataclass(frozen=True)
class SelfAsk:
    """Pose and answer follow-up questions before the question itself (Press et al. 2022, arXiv 2210.03350).

    Budget: up to `followups` pairs of a question and its answer of at most `followup_tokens` each, in one growing talk,
    then a conclusion of at most `chain_tokens`. Ends the follow-ups when the model says it needs none.
    """

    followups: int = 2
    followup_tokens: int = 64
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """At most 1 + 2 * `followups`."""
        return 1 + 2 * self.followups

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Follow-ups, then the answer."""
        talk = framed(problem, FIRST)
        for _ in range(self.followups):
            asked = await session.ask(talk, self.followup_tokens, role="plan", temperature=self.temperature)
            # Anywhere in the reply: models like to wrap the words in a sentence.
            enough = ENOUGH in asked.text.upper()
            session.acted("a follow-up asked", not enough)
            if enough:
                break
            talk = (*talk, Message("assistant", asked.text), Message("user", REPLY))
            said = await session.ask(talk, self.followup_tokens, role="part", temperature=self.temperature)
            talk = (*talk, Message("assistant", said.text), Message("user", NEXT))
        # In the last turn: two turns of the user in a row are refused by some providers.
        told = (*talk[:-1], Message("user", f"{talk[-1].content} {WHOLE}"))
        answer = answer_in(await session.ask(told, self.chain_tokens, temperature=self.temperature))
        if answer is not None:
            yield answer


ENOUGH = "NO FOLLOW-UP"
FIRST = (
    "Do not answer yet. Is there a simpler question whose answer would help? Write that one question, or only "
    f"{ENOUGH} if none is needed."
)
REPLY = "Answer that question in one sentence."
NEXT = f"Write the next such question, or only {ENOUGH}."
WHOLE = f"There are no more follow-up questions now: answer the question you were first asked. {END}"
