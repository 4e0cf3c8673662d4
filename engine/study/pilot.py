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
    asked = min(questions, study.first_questions or questions)
    body = toml.parse(study.text, "the study")
    return parse(toml.dump({**body, "name": f"{study.name} (pilot)", "first_questions": asked}), "the pilot")


def capped(study: Study, bound: UpperBound) -> Study:
    """The study under a ceiling of what it can cost at most, never above its own. Raises UsageError."""
    worst, own = bound.total, study.ceiling
    billed = worst.billed_pusd or None
    wished = Limits(_lower(worst.calls, own.calls), _lower(worst.total_tokens, own.tokens), _lower(billed, own.pusd))
    return parse(with_ceiling(study.text, wished), "the pilot")


def _lower(worst: int | None, own: int | None) -> int | None:
    known = [max(1, limit) for limit in (worst, own) if limit is not None]
    return min(known, default=None)
