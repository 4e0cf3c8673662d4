"""What passes between a strategy, its session and the pool: drafts of calls, turns, replies, and the terms of a trial.

Frozen records and one protocol; no arithmetic and no waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from engine.budget import Planned
from engine.models import Model
from engine.records import AnswerKind, Completion, Prompt, Request


class Source(Protocol):
    """Where completions come from: the pool, as a session sees it."""

    async def take(self, request: Request) -> tuple[Completion, bool]:
        """The completion, and whether it was already paid for."""

    def warm(self, request: Request) -> None:
        """Start buying a completion that will surely be taken, if nobody has."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a strategy sees of a completion."""

    text: str
    truncated: bool
    """Stopped at the asked cap: its text may be used, its answer never votes."""
    output_tokens: int
    kind: AnswerKind
    """How the task's answers look, for extraction."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A call before it has a draw number."""

    model: str
    role: str
    messages: Prompt
    asked_tokens: int
    params: tuple[tuple[str, str | int | float | bool], ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """A call about to be made, with what the walls grant it."""

    draft: Draft
    request: Request
    call: Planned
    granted: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What a session needs to know of its trial, budget apart."""

    lineup: Mapping[str, Model]
    kind: AnswerKind = "text"
    repeat: int = 0
    system: str | None = None
    """System prompt of the study, put before every call; None: none."""
    rng_seed: int = 0
    anytime: bool = True
    oracle: Callable[[str], bool] | None = None
    """Whether an answer is right; None: the strategy may not know, which is the rule."""
    width: int = 8
    """Most draws of one stream in flight; decides speed, never a result."""
