"""Skeleton-of-thought: an outline, its points in parallel, then the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.answers import items
from engine.core.records import Problem
from engine.strategies.chain import CHAIN_TOKENS, END, TEMPERATURE, answer_in, framed
from engine.strategies.registry import strategy
from engine.trial.session import Session


@strategy("skeleton_of_thought", anytime=True, family="decomposition", calls="2 + points", version=2)
@dataclass(frozen=True)
class SkeletonOfThought:
    """Outline the answer, expand its points independently, conclude (Ning et al. 2023, arXiv 2307.15337).

    Budget: an outline of at most `plan_tokens`, up to `points` expansions of at most `point_tokens` that do not see
    each other, then a conclusion of at most `chain_tokens`. Made for speed; tokens are what it costs here.
    """

    points: int = 3
    plan_tokens: int = 96
    point_tokens: int = 96
    chain_tokens: int = CHAIN_TOKENS
    temperature: float = TEMPERATURE

    @property
    def calls(self) -> int:
        """At most 2 + `points`."""
        return 2 + self.points

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        """Outline, expand, conclude."""
        told = framed(problem, OUTLINE.format(points=self.points))
        outline = await session.ask(told, self.plan_tokens, role="plan", temperature=self.temperature)
        points = items(outline.text)[: self.points]
        session.could_work("outline of several points", len(points) > 1)
        asked = [framed(problem, EXPAND.format(outline="\n".join(points), point=point)) for point in points]
        # At once: no point sees another, which is the paper's gain in time.
        parts = await session.ask_many(asked, self.point_tokens, role="part", temperature=self.temperature)
        said = "\n\n".join(f"{point}: {part.text}" for point, part in zip(points, parts, strict=True))
        told = framed(problem, f"{said}\n\n{CONCLUDE}")
        answer = answer_in(await session.ask(told, self.chain_tokens, temperature=self.temperature))
        if answer is not None:
            yield answer


OUTLINE = "Do not solve this yet. Outline the solution as a list of at most {points} points of a few words each."
EXPAND = "The outline of a solution:\n{outline}\n\nWork out only this point, briefly: {point}"
CONCLUDE = f"With these points worked out, answer the question. {END}"
