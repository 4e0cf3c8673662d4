"""Scorers: how good an answer is, as a number from 0 to 1, by a name that a task of a study may give.

    @scorer("close_enough")
    class CloseEnough:
        \"\"\"Right within one per cent.\"\"\"

        def score(self, answer: str, question: Question) -> float: ...

A scorer is pure: equal arguments, equal score; it reads text and runs none of it. `engine.testing.ScorerContract` holds
it to that.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Protocol

from engine.core import answers
from engine.core.errors import UnknownName
from engine.core.records import AnswerKind, Question
from engine.core.registry import Registry
from engine.tasks.gym.formula import evaluate


class Scorer(Protocol):
    """Made without arguments; one instance scores all answers of a task."""

    def score(self, answer: str, question: Question) -> float:
        """From 0, wrong, to 1, right; never raises for what a model said."""


class Checker(Scorer, Protocol):
    """A scorer that decides by the question alone: with these three a file is asked that has no column of answers."""

    target: str
    """What stands for a target where one is shown."""
    kind: AnswerKind
    instructions: str
    """What is asked of each question, and the form of the answer, in words for the model."""


_WHOLE = re.compile(r"[0-9]{1,6}")
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


@scorer("game24")
class Game24:
    """Right when it is arithmetic over the question's numbers, each used once, that comes to 24 (Yao et al. 2023,
    arXiv 2305.10601); a file of puzzles needs no target for it."""

    target = "24"
    kind: AnswerKind = "text"
    instructions = (
        "Use each of the given numbers exactly once, with + - * / and brackets, to make 24. Answer with one arithmetic "
        "expression, without an equals sign."
    )

    def score(self, answer: str, question: Question) -> float:
        """1 or 0; the value is exact, and nothing is executed."""
        given = [int(number) for number in _WHOLE.findall(question.problem.text)]
        # A question in words may name what is to be made as well.
        if len(given) == 5 and 24 in given:
            given.remove(24)
        written = answers.plain(answer)
        return float(bool(given) and evaluate(written) == (Fraction(24), sorted(given)))


def is_checker(name: str) -> bool:
    """Whether a registered scorer needs no target."""
    return all(hasattr(SCORERS.get(name), part) for part in ("target", "kind", "instructions"))


def open_checker(name: str) -> Checker:
    """A scorer that needs no target, by name. Raises UnknownName with the nearest."""
    known = {each: SCORERS.get(each) for each in SCORERS.names() if is_checker(each)}
    if name not in known:
        raise UnknownName("checker", name, known)
    made: Checker = known[name]()  # type: ignore[assignment]
    return made


def open_scorer(name: str) -> Scorer:
    """A scorer by name. Raises UnknownName with the nearest."""
    return SCORERS.get(name)()
