"""The rounds of an adaptive study: how many questions each look sees, and what was decided at it, as it is kept.

Pure: `runs.adaptive` walks the rounds, `analysis.elimination` decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FIRST_LOOK = 16
"""Questions every setting is asked before anything is decided."""
STEP = 1.25
"""Each look sees so many times the questions of the one before."""

RoundState = Literal["goes on", "reached", "all asked"]


@dataclass(frozen=True, slots=True)
class Round:
    """One look at one task of an adaptive run, and what came of it."""

    run_id: str
    task: str
    number: int
    """From 1 on."""
    asked: int
    """Questions that every setting not dropped before had been asked."""
    settings: int
    """Strategies × models that were asked until then and are not dropped now."""
    state: RoundState
    """reached: the recommendation is good enough, so the task ends here; all asked: there is no further question."""
    condition_id: str | None
    """The recommended setting; None: none has enough questions scored."""
    budget: int | None
    """At which budget, in the unit of its axis; None with it."""
    bound: float
    """How far that is behind the most accurate point at most, at every look together with 95% confidence; a share."""
    goal: float
    """What `until` asks this to be at most; a share."""


@dataclass(frozen=True, slots=True)
class Stop:
    """One budget of a setting that an adaptive run dropped, with the reason."""

    run_id: str
    task: str
    number: int
    """The round that dropped it."""
    condition_id: str
    budget: int
    """In the unit of the condition's axis."""
    asked: int
    """Questions it was asked, the first ones of the order."""
    verdict: str
    """dominated, or: costs more, no better."""
    by_condition: str
    by_budget: int
    """The point that surely costs no more and settled it."""
    high: float
    """How much more accurate than that one it may be at most, at every look together; a share, below 0 where it is
    dominated."""
    out: bool
    """Whether it is surely not the most accurate point."""
    saves_tokens: float
    """What a further question would have cost the run, input and output, replies that settings asked on draw as well
    not counted."""


def looks(questions: int) -> list[int]:
    """How many of a task's questions each look sees, the last all of them."""
    seen, at = [], FIRST_LOOK
    while at < questions:
        seen.append(at)
        at = int(-(-at * STEP // 1))
    return [*seen, questions]
