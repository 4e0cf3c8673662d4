"""Progressive hints: ask again with the answers so far as hints, until they settle."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.answers import normalise
from engine.core.records import Problem
from engine.strategies.chain import CHAIN_TOKENS, STEPS, TEMPERATURE, answer_in, framed
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("progressive_hint", anytime=True, family="refinement", calls="attempts")
@dataclass(frozen=True)
class ProgressiveHint:
    """Ask again, hinting at the answers so far, until the last ones agree (Zheng et al. 2023, arXiv 2304.09797).

    Budget: at most `attempts` chains of at most `chain_tokens`, the first being draw 0 of the shared chain. Stops when
    `agree` answers in a row are the same.
    """

    attempts: int = 5
    agree: int = 2
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """At most `attempts`."""
        return self.attempts

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Yield every answer; a reply without one gives no hint."""
        answers: list[str] = []
        for _ in range(self.attempts):
            # Each answer once: said twice it would hint twice as strongly.
            how = f"{STEPS} {HINT.format(answers=', '.join(dict.fromkeys(answers)))}" if answers else STEPS
            answer = answer_in(await session.ask(framed(problem, how), self.chain_tokens, temperature=self.temperature))
            if answer is None:
                continue
            yield answer
            answers.append(answer)
            # In the form votes are counted in, so that two spellings of one answer agree.
            agreed = len(answers) >= self.agree and len({normalise(last) for last in answers[-self.agree :]}) == 1
            session.acted("an answer changed", len({normalise(each) for each in answers}) > 1)
            if agreed:
                return


HINT = "The answer is probably close to: {answers}."
