"""Direct answering: the plain baseline every reasoning strategy has to beat."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.records import Problem
from engine.strategies.chain import TEMPERATURE, answer_in, framed
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("direct", anytime=True, family="brevity", calls="1")
@dataclass(frozen=True)
class Direct:
    """Ask for the answer alone, without reasoning.

    Budget: one call of at most `answer_tokens`.
    """

    answer_tokens: int = 32
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """One."""
        return 1

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """One call, one answer."""
        prompt = framed(problem, PLAIN, reasoned=False)
        answer = answer_in(await session.ask(prompt, self.answer_tokens, temperature=self.temperature))
        if answer is not None:
            yield answer


PLAIN = "Give only the answer, without any explanation, on one line of the form 'Answer: <answer>'."
