"""Scorers: how good an answer is, as a number from 0 to 1, by a name that a task of a study may give.

    @scorer("close_enough")
    class CloseEnough:
        \"\"\"Right within one per cent.\"\"\"

        def score(self, answer: str, question: Question) -> float: ...

A scorer is pure: equal arguments, equal score; it reads text and runs none of it. `engine.testing.ScorerContract` holds
it to that.
"""

from __future__ import annotations

from typing import Protocol

from engine.core import answers
from engine.core.records import Question
from engine.core.registry import Registry


class Scorer(Protocol):
    """Made without arguments; one instance scores all answers of a task."""

    def score(self, answer: str, question: Question) -> float:
        """From 0, wrong, to 1, right; never raises for what a model said."""


SCORERS: Registry[type[Scorer]] = Registry("scorer")
scorer = SCORERS.register
SAME = "same"
"""The scorer of tasks that name none."""


@scorer(SAME)
class Same:
    """Equal to the target: by value for numbers, by folded text otherwise."""

    def score(self, answer: str, question: Question) -> float:
        """1 or 0."""
        return float(answers.same(answer, question.target, question.problem.answer_kind))


def open_scorer(name: str) -> Scorer:
    """A scorer by name. Raises UnknownName with the nearest."""
    return SCORERS.get(name)()
