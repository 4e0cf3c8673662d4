"""A strategy that waits before it asks: a run of it is under way for as long as a test looks at it, and computes nothing
meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from engine.core.records import Problem
from engine.strategies.chain import answer_in, chain_prompt
from engine.strategies.registry import strategy
from engine.trial.session import Session

PAUSE_S = 1.0


@strategy("waits", anytime=True, family="direct", calls="1", version=1)
@dataclass(frozen=True)
class Waits:
    """One request after a pause (own idea).

    Budget: the whole of it is the request's."""

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        await asyncio.sleep(PAUSE_S)
        async for reply in session.stream(chain_prompt(problem), 1, 400):
            if answer := answer_in(reply):
                yield answer
