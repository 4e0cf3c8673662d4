"""Of which kind the answers to a file's questions are: as each target looks, in the light of all of them.

What most targets are, the task is; a target that is none of it keeps a kind of its own, so that one odd row changes
nothing about the others. The guess comes with its reason and its odd rows, to be read before anything is paid.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from engine.core import answers
from engine.core.errors import shortened
from engine.core.records import AnswerKind

MOST = 0.9
"""Share of the targets that makes their kind the task's."""
INSTRUCTIONS: dict[AnswerKind, str] = {
    "number": "Give the answer as a number.",
    "choice": "Answer with the letter of one option.",
    "expression": "Give the answer as a mathematical expression.",
    "yes_no": "Answer yes or no.",
    "word": "Answer with one word.",
    "text": "",
}
_NAMES: dict[AnswerKind, str] = {
    "number": "numbers",
    "choice": "letters of options",
    "expression": "mathematical expressions",
    "yes_no": "yes or no",
    "word": "single words",
    "text": "texts",
}
_LETTER = re.compile(r"\s*\(?[A-Z][).:]?\s*")
_LATEX = re.compile(r"\\[a-zA-Z]{2,}|\\[{}$]|\^")
_DAY = re.compile(r"([0-9]{1,2})/([0-9]{1,2})")
_DATED = re.compile(r"\b(?:dates?|days?|months?|when|birthdays?|holidays?|mm/dd|dd/mm|zip|postal|postcode)\b", re.I)


@dataclass(frozen=True, slots=True)
class Guess:
    """Of which kind a file's answers are taken to be."""

    kind: AnswerKind
    """Of the task; where the study says none, what most of the targets are."""
    kinds: tuple[AnswerKind, ...]
    """Of each row."""
    reason: str
    """The middle of a sentence."""
    odd: tuple[int, ...] = ()
    """Places, from 0, of the rows of another kind."""


def guess(targets: Sequence[str], questions: Sequence[str] = (), options: Sequence[Sequence[str]] = ()) -> Guess:
    """The kind of a file's answers, by its targets and, where given, its questions and their options."""
    coded = _coded(targets, questions)
    lettered = _lettered(targets, options)
    own: list[AnswerKind] = [
        "choice" if place in lettered else _own(target, place in coded) for place, target in enumerate(targets)
    ]
    counts, total = Counter(own), len(own)
    most, count = max(counts.items(), key=lambda pair: pair[1]) if own else ("text", 0)
    if counts["expression"] > total // 50:
        # Where there are formulas, numbers and names are read as such too.
        readable = sum(kind in ("number", "expression") or _readable(targets[at]) for at, kind in enumerate(own))
        if readable >= MOST * total:
            return Guess("expression", _all("expression", total), _share(readable, total, "expression"))
    if most not in ("word", "text") and count >= MOST * total:
        reason = _share(count, total, most)
        odd = tuple(place for place, kind in enumerate(own) if kind != most)
        return Guess(most, tuple(own), reason, odd)
    words = total - sum(len(target.split()) != 1 for target in targets)
    if words == total or (words >= MOST * total and total >= 10):
        odd = tuple(place for place, target in enumerate(targets) if len(target.split()) != 1)
        kinds: tuple[AnswerKind, ...] = tuple("text" if place in set(odd) else "word" for place in range(total))
        return Guess("word", kinds, _share(words, total, "word"), odd)
    return Guess("text", _all("text", total), f"its {total:,} targets are of no one kind")


def told(guess: Guess, targets: Sequence[str], rows: Sequence[int]) -> str:
    """The guess in one sentence, odd rows with their numbers in the file."""
    odd = [f"row {rows[at]} ({shortened(repr(targets[at]))}) as {guess.kinds[at]}" for at in guess.odd[:3]]
    more = f" and {len(guess.odd) - 3:,} more" if len(guess.odd) > 3 else ""
    others = f"; {', '.join(odd)}{more}" if odd else ""
    return f"are read as {guess.kind}: {guess.reason}{others}"


def _all(kind: AnswerKind, total: int) -> tuple[AnswerKind, ...]:
    return (kind,) * total


def _share(count: int, total: int, kind: AnswerKind) -> str:
    if total == 1:
        return "there is one target"
    share = f"all {total:,}" if count == total else f"{count:,} of its {total:,}"
    return f"{share} targets are {_NAMES[kind]}"


def _own(target: str, coded: bool) -> AnswerKind:
    """The narrowest kind of one target: every number is a word too."""
    if not coded and _number(target):
        return "number"
    if answers.normalise(target) in ("yes", "no"):
        return "yes_no"
    if _LATEX.search(target) and answers.value_key(target) is not None:
        return "expression"
    if re.fullmatch(r"\\(?:text|mbox)\{[^{}]*\}", target.strip()):
        return "expression"
    return "text" if len(target.split()) != 1 else "word"


def _readable(target: str) -> bool:
    return answers.value_key(target) is not None


def _number(target: str) -> bool:
    return answers.number_value(target) is not None or answers.number_value(target.rstrip("% \\")) is not None


def _coded(targets: Sequence[str], questions: Sequence[str]) -> frozenset[int]:
    """Places of targets in digits that name something: zip codes, rooms, dates."""
    zeroed = any(re.fullmatch(r"0[0-9]+|0[0-9]/[0-9]{1,4}|[0-9]{1,2}/0[0-9]", target.strip()) for target in targets)
    days = [(place, _DAY.fullmatch(target.strip())) for place, target in enumerate(targets)]
    dates = [(place, int(day[1]), int(day[2])) for place, day in days if day]
    # Fractions are written in lowest terms, and days of the year are not.
    unreduced = any(math.gcd(top, below) > 1 or below == 1 for _, top, below in dates)
    plausible = all(0 < top <= 31 and 0 < below <= 31 and min(top, below) <= 12 for _, top, below in dates)
    asked = len(questions) == len(targets) and all(_DATED.search(questions[place]) for place, *_ in dates)
    if zeroed:
        # One code among them, and digits of the same length are codes too.
        return frozenset(
            place for place, target in enumerate(targets) if re.fullmatch(r"[0-9]+(?:/[0-9]+)*", target.strip())
        )
    if dates and plausible and ((unreduced and len(dates) == len(targets)) or asked):
        return frozenset(place for place, *_ in dates)
    return frozenset()


def _lettered(targets: Sequence[str], options: Sequence[Sequence[str]]) -> frozenset[int]:
    """Places of targets that are letters of options; one letter alone is a word such as any other."""
    if options and all(options):
        return frozenset(range(len(targets)))
    letters = {place: answers.letter_of(target) for place, target in enumerate(targets) if _LETTER.fullmatch(target)}
    letters = {place: letter for place, letter in letters.items() if letter}
    several = len(set(letters.values())) > 1 or len(targets) == 1
    return frozenset(letters) if letters and several and len(letters) >= MOST * len(targets) else frozenset()
