"""Scorers by name: how good an answer is, as a number from 0 to 1. What a scorer is says `scoring`.

Those of texts and of values stand in `text_scorers` and `value_scorers`; here are the one that tasks have unless they
name another, and the checkers, which need no target.
"""

from __future__ import annotations

import re
from fractions import Fraction

from engine.core import answers
from engine.core.errors import UnknownName
from engine.core.records import AnswerKind, Question
from engine.tasks import text_scorers, value_scorers
from engine.tasks.gym.formula import evaluate
from engine.tasks.scoring import SAME, SCORERS, Checker, Scorer, is_scorer, open_scorer, options_of, scorer

__all__ = [
    "SAME",
    "SCORERS",
    "Checker",
    "Scorer",
    "is_checker",
    "is_scorer",
    "open_checker",
    "open_scorer",
    "options_of",
    "scorer",
    "text_scorers",
    "value_scorers",
]

_WHOLE = re.compile(r"[0-9]{1,6}")


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
