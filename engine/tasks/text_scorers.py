"""Scorers of texts: the very text, its folded form, words in common, a pattern, the fields of an object.

A target may name several right answers as a JSON list of texts; the best of them counts.
"""

from __future__ import annotations

import json
import re
import string
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from engine.core import answers
from engine.core.records import AnswerKind, Question
from engine.tasks.scoring import LONGEST, scorer

PATTERN_SECONDS = 0.2
"""A pattern that has not matched by then does not match: some never end on some texts."""
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)


def of_several(target: str) -> tuple[str, ...]:
    """The right answers a target names: the texts of a JSON list, or itself alone."""
    if target.lstrip()[:1] == "[":
        try:
            several = json.loads(target)
        except (ValueError, RecursionError):
            several = None
        if isinstance(several, list) and several and all(isinstance(one, str) for one in several):
            return (target, *several)
    return (target,)


def _best(answer: str, question: Question, score: Callable[[str, str], float]) -> float:
    if len(answer) > LONGEST:
        return 0.0
    return max(score(answer, target) for target in of_several(question.target))


@scorer("exact")
class Exact:
    """The very text of the target, but for spaces around it."""

    def score(self, answer: str, question: Question) -> float:
        """1 or 0."""
        return _best(answer, question, lambda said, target: float(said.strip() == target.strip() != ""))


@scorer("folded")
class Folded:
    """The text of the target but for case, quotes, punctuation around words, articles in front and the form of
    numbers."""

    def score(self, answer: str, question: Question) -> float:
        """1 or 0."""
        return _best(
            answer, question, lambda said, target: float(answers.normalise(said) == answers.normalise(target) != "")
        )


@scorer("token_f1")
class TokenF1:
    """Harmonic mean of precision and recall over words, without case, articles and punctuation (SQuAD, Rajpurkar et
    al. 2016, arXiv 1606.05250)."""

    reads: ClassVar[AnswerKind] = "text"

    def score(self, answer: str, question: Question) -> float:
        """From 0, no word in common, to 1, the same words."""
        return _best(answer, question, _f1)


def _words(text: str) -> Counter[str]:
    # In the order of the benchmark's own script: punctuation goes before articles, so that "the-end" keeps its own.
    return Counter(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def _f1(said: str, target: str) -> float:
    one, other = _words(said), _words(target)
    if not one or not other:
        # Nothing but articles and signs on both sides: the text itself decides.
        return float(not one and not other and said.strip() == target.strip() != "")
    common = sum((one & other).values())
    return 2 * common / (sum(one.values()) + sum(other.values()))


@scorer("regex")
@dataclass(frozen=True)
class Pattern:
    """The target is a regular expression that the whole answer matches, or with `anywhere` a part of it."""

    reads: ClassVar[AnswerKind] = "text"
    anywhere: bool = False
    case: bool = False
    """Whether capitals count."""

    def score(self, answer: str, question: Question) -> float:
        """1 or 0; a pattern that is none, or takes too long, matches nothing."""
        import regex

        if len(answer) > LONGEST:
            return 0.0
        try:
            # `regex` and not `re`, which cannot be stopped: a pattern of a file may take ages on an answer.
            pattern = regex.compile(question.target.strip(), 0 if self.case else regex.IGNORECASE)
            search = pattern.search if self.anywhere else pattern.fullmatch
            return float(bool(search(answer.strip(), timeout=PATTERN_SECONDS)))
        except (regex.error, TimeoutError, RecursionError, MemoryError):
            return 0.0


@scorer("json_fields")
@dataclass(frozen=True)
class JsonFields:
    """Share of the target's fields, an object in JSON, that the answer's object has with the same value: numbers by
    value, texts folded, lists in order; what stands in fields of fields counts field by field."""

    form: ClassVar[str] = "Answer with one JSON object."
    reads: ClassVar[AnswerKind] = "text"
    strict: bool = False
    """Whether fields the target does not have count as wrong ones."""

    def score(self, answer: str, question: Question) -> float:
        """From 0 to 1."""
        wanted, said = _object(question.target), _object(answer)
        if wanted is None or said is None:
            # A target that is no object asks for that very text.
            return float(wanted is None and answer.strip() == question.target.strip() != "")
        due, given = dict(_leaves(wanted)), dict(_leaves(said))
        right = sum(path in given and _alike(given[path], value) for path, value in due.items())
        total = len(due.keys() | given.keys()) if self.strict else len(due)
        return right / total if total else float(not given)


def _object(text: str) -> dict[str, Any] | None:
    """The first JSON object in a text, whatever stands around it; None: there is none."""
    if len(text) > LONGEST:
        return None
    start = text.find("{")
    try:
        # From the first brace alone: trying all of a long text takes its square in time.
        found, _ = _DECODER.raw_decode(text, start) if start >= 0 else (None, 0)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Fields with the path to them; those of nested objects one by one, to a depth nobody writes beyond."""
    if not isinstance(value, dict) or len(path) > 20 or (not value and path):
        return [(path, value)] if path else []
    return [leaf for name, inner in value.items() for leaf in _leaves(inner, (*path, str(name)))]


def _alike(said: Any, wanted: Any) -> bool:
    if isinstance(wanted, list) or isinstance(said, list):
        both = isinstance(wanted, list) and isinstance(said, list) and len(wanted) == len(said)
        return both and all(_alike(one, other) for one, other in zip(said, wanted, strict=True))
    if isinstance(wanted, dict) or isinstance(said, dict):
        return bool(said == wanted)
    if isinstance(wanted, bool) or isinstance(said, bool) or wanted is None or said is None:
        return said is wanted
    return answers.same(str(said), str(wanted), "text")
