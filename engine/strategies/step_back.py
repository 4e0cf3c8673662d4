"""Step-back prompting: ask for the principle first, then reason from it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.records import Problem
from engine.strategies.chain import CHAIN_TOKENS, STEPS, TEMPERATURE, answer_in, framed
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("step_back", anytime=True, family="decomposition", calls="2")
@dataclass(frozen=True)
class StepBack:
    """State the general principle behind a question, then reason from it (Zheng et al. 2023, arXiv 2310.06117).

    Budget: a principle of at most `principle_tokens`, then one chain of at most `chain_tokens`.
    """

    principle_tokens: int = 96
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """Two."""
        return 2

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Principle, then chain."""
        told = framed(problem, ABSTRACT)
        principle = await session.ask(told, self.principle_tokens, role="plan", temperature=self.temperature)
        # Used even where its cap cut it: half a rule is a hint as well.
        session.could_work("principle stated", bool(principle.text.strip()))
        told = framed(problem, f"{KNOWN}\n{principle.text}\n\n{STEPS}")
        answer = answer_in(await session.ask(told, self.chain_tokens, temperature=self.temperature))
        if answer is not None:
            yield answer


ABSTRACT = "Do not solve this yet. In one or two sentences, state the general rule that such a question rests on."
KNOWN = "What this rests on:"
