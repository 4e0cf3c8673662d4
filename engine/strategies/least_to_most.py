"""Least-to-most: split the question, answer the parts in order, then the whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.answers import items
from engine.core.records import Problem
from engine.strategies.chain import CHAIN_TOKENS, END, TEMPERATURE, answer_in, framed
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("least_to_most", anytime=True, family="decomposition", calls="2 + parts", version=2)
@dataclass(frozen=True)
class LeastToMost:
    """Split a question into simpler ones and answer them in order (Zhou et al. 2022, arXiv 2205.10625).

    Budget: a split of at most `plan_tokens`, up to `parts` sub-questions of at most `part_tokens` each, every one with
    the answers so far before it, and the question itself of at most `chain_tokens`.
    """

    parts: int = 3
    plan_tokens: int = 128
    part_tokens: int = 128
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """At most 2 + `parts`."""
        return 2 + self.parts

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Split, solve the parts, then the whole."""
        plan = await session.ask(framed(problem, SPLIT), self.plan_tokens, role="plan", temperature=self.temperature)
        parts = items(plan.text)[: self.parts]
        session.could_work("question split", len(parts) > 1)
        solved: list[str] = []
        # The easiest stand first, so a split that is too long loses its hardest questions, which the last call answers
        # anyway.
        for part in parts:
            # All answers so far in one turn: the worked examples before it stay as they are in every call.
            told = framed(problem, "\n\n".join((*solved, PART.format(part=part))))
            said = await session.ask(told, self.part_tokens, role="part", temperature=self.temperature)
            solved.append(f"Q: {part}\nA: {said.text}")
        told = framed(problem, "\n\n".join((*solved, WHOLE)))
        answer = answer_in(await session.ask(told, self.chain_tokens, temperature=self.temperature))
        if answer is not None:
            yield answer


SPLIT = (
    "Do not solve this yet. List the simpler questions that have to be answered first, from the easiest on, one per "
    "line and nothing else."
)
PART = "Answer only this in one or two sentences: {part}"
WHOLE = f"With these answers, solve the question. {END}"
