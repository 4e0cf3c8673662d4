"""Plan-and-budget: split the question and give the earlier parts the larger share of the tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.answers import items
from engine.core.records import Problem
from engine.strategies.chain import CHAIN_TOKENS, END, TEMPERATURE, answer_in, framed
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("plan_and_budget", anytime=True, family="decomposition", calls="2 + parts", version=2)
@dataclass(frozen=True)
class PlanAndBudget:
    """Split a question and give each part a share of the tokens that decays (Lin et al. 2025, arXiv 2505.16122).

    Budget: a plan of at most `plan_tokens`; `parts_tokens` divided over up to `parts` sub-questions, each getting
    `decay` times the share of the one before; then a conclusion of at most `chain_tokens`. The shares are the
    strategy's own, so they are the same at every budget of the run.
    """

    parts: int = 3
    decay: float = 0.7
    plan_tokens: int = 128
    parts_tokens: int = 384
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """At most 2 + `parts`."""
        return 2 + self.parts

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Plan, work the parts within their shares, conclude."""
        plan = await session.ask(framed(problem, SPLIT), self.plan_tokens, role="plan", temperature=self.temperature)
        parts = items(plan.text)[: self.parts]
        session.could_work("question split", len(parts) > 1)
        solved: list[str] = []
        for part, share in zip(parts, shares(self.parts_tokens, len(parts), self.decay), strict=True):
            told = framed(problem, "\n\n".join((*solved, PART.format(tokens=share, part=part))))
            # Told and capped alike: a part that runs over is cut, and takes nothing from the next.
            said = await session.ask(told, share, role="part", temperature=self.temperature)
            solved.append(f"{part}: {said.text}")
        told = framed(problem, "\n\n".join((*solved, WHOLE)))
        answer = answer_in(await session.ask(told, self.chain_tokens, temperature=self.temperature))
        if answer is not None:
            yield answer


def shares(tokens: int, parts: int, decay: float) -> list[int]:
    """`tokens` over `parts`, each `decay` times the one before, at least 1 each."""
    # A share that grew from part to part would be no decay.
    weights = [min(decay, 1.0) ** part for part in range(parts)]
    # Rounded down, so that the shares are never more than there is; a share of 0 could not be asked for.
    return [max(1, int(tokens * weight / sum(weights))) for weight in weights]


SPLIT = "Do not solve this yet. List the steps that lead to the answer, one per line and nothing else."
PART = "Using fewer than {tokens} tokens, do only this step: {part}"
WHOLE = f"With these steps done, answer the question. {END}"
