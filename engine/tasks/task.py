"""What a task is to the engine: questions and a pure scorer.

It never sees a model, a budget or a database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

from msgspec import Meta

from engine.core.records import Example, Question
from engine.core.toml import Text


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A [[tasks]] table of a study."""

    name: Text
    """'gym:<generator>' or 'file:<path>'."""
    questions: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None
    """How many; None: all of a file, 50 of a generator."""
    seed: Annotated[int, Meta(ge=0, le=10**6)] = 0
    """Which questions: seeds 0, 1, 2, ... never share one."""
    level: Text = "easy"
    """Preset of a generator: easy, medium, hard."""
    shots: Annotated[int, Meta(ge=0, le=64)] = 0
    """Worked examples made by the task itself from questions it will not ask."""
    examples: tuple[Example, ...] = ()
    """Worked examples written in the study."""
    question_column: Text = "question"
    answer_column: Text = "answer"
    category_column: Text | None = None
    context_column: Text | None = None
    """Column of a file with the document each question is about; None: questions stand alone."""


class Task(Protocol):
    """A source of questions with a scorer."""

    name: str
    """Identity in results: 'gym:chain_sum/easy', 'file:gsm8k_test'; files of one stem are one task, so rename one."""

    def questions(self) -> Sequence[Question]:
        """The questions of the spec, in order; equal specs give equal questions on every machine."""

    def score(self, answer: str, question: Question) -> bool:
        """Whether an extracted answer is right; pure."""
