"""A strategy that waits before it asks, each answer longer than the last: a run of it is under way for as long as a test
looks at it, grows a little all the time, ends when it is told to, and computes next to nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

from engine.core.errors import RunStopped
from engine.core.records import Problem
from engine.runs.dispatcher import Gate
from engine.strategies.chain import answer_in, chain_prompt
from engine.strategies.registry import strategy
from engine.trial.session import Session

PACE_S = 0.3
"""Seconds from one answer to the next."""
_gates: list[Gate] = []
_turns = count(1)
_made = Gate.__init__


def _known(gate: Gate, *args: Any) -> None:
    """A run's gate tells those who wait that it was asked to stop."""
    _made(gate, *args)
    _gates.append(gate)


for _name, _own in (("__init__", _known),):
    setattr(Gate, _name, _own)


@strategy("waits", anytime=True, family="direct", calls="1", version=1)
@dataclass(frozen=True)
class Waits:
    """One request after a pause (own idea).

    Budget: the whole of it is the request's."""

    calls = 1

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        with suppress(RunStopped):
            for gate in _gates[-1:]:
                await gate.rest(next(_turns) * PACE_S)
        async for reply in session.stream(chain_prompt(problem), 1, 400):
            if answer := answer_in(reply):
                yield answer
