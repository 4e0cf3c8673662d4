"""A pilot: the first few questions of a study as a study of its own, so small that it may be run to see what it costs.

Its trials are those the whole study asks for, under the same ids, so nothing it pays is lost. Plans and runs nothing.
"""

from __future__ import annotations

from engine.core import toml
from engine.core.budget import Limits
from engine.core.errors import UsageError
from engine.study.schema import Study, parse, with_ceiling
from engine.study.upper_bound import UpperBound

QUESTIONS = 5
"""How many a pilot asks of each task, unless told."""


def pilot(study: Study, questions: int = QUESTIONS) -> Study:
    """The study with the first `questions` of each task alone, named "... (pilot)". Raises UsageError."""
    if questions < 1:
        raise UsageError(f"A pilot needs at least 1 question, not {questions}.")
    first = min(questions, study.first_questions or questions)
    body = toml.parse(study.text, "the study")
    return parse(toml.dump({**body, "name": f"{study.name} (pilot)", "first_questions": first}), "the pilot")


def capped(study: Study, bound: UpperBound) -> Study:
    """The study under a ceiling of what it can cost at most, never above its own. Raises UsageError."""
    worst, own = bound.total, study.ceiling
    # A bill of 0 is no ceiling: a study that nobody bills needs none in dollars, and a file takes none of 0.
    pairs = ((worst.calls, own.calls), (worst.total_tokens, own.tokens), (worst.billed_pusd or None, own.pusd))
    lowest = (min((max(1, limit) for limit in pair if limit is not None), default=None) for pair in pairs)
    return parse(with_ceiling(study.text, Limits(*lowest)), "the pilot")
