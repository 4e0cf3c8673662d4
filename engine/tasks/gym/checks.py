"""Judges answers and sorts out unsound questions; pure, and none of it runs a generator's own verifier.

Those verifiers give partial credit, ignore a minus sign (gsm_symbolic), accept 0 for a small probability (coin_flip),
do not look at which numbers were used (puzzle24), or evaluate the answer as code (puzzle24, countdown).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from engine.core import answers
from engine.core.records import AnswerKind
from engine.tasks.gym.formula import Argument, evaluate

Entry = Mapping[str, Any]
"""What a generator gives: question, answer and metadata."""
_ITEM = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?")
_LONGEST_LIST = 400
_NOISE = re.compile(r"\.[0-9]{4}")
_KIN = frozenset(
    {
        "father",
        "mother",
        "son",
        "daughter",
        "husband",
        "wife",
        "brother",
        "sister",
        "grandfather",
        "grandmother",
        "aunt",
        "uncle",
    }
)
_ANY_GENDER = frozenset({"Sage", "River", "Winter", "Sky", "Rain", "Nova", "Kai", "Rowan", "Quinn", "Phoenix", "Storm"})
_STEPS = {"easy": range(3), "medium": range(3, 5), "hard": range(5, 100)}


def _same(answer: str, target: str, kind: AnswerKind, entry: Entry) -> bool:
    return answers.same(answer, target, kind)


def _spelling(answer: str, target: str, kind: AnswerKind, entry: Entry) -> bool:
    """Equal as written: 2/4 is not 1/2, and the hexadecimal 1e5 is no power of ten."""
    return _spelled(answer) == _spelled(target)


def _spelled(answer: str) -> str:
    found = answers.normalise(answer) if "/" in answer else answer.strip().casefold()
    return found.removeprefix("0x").removeprefix("0b").lstrip("0")


def _listed(answer: str, target: str, kind: AnswerKind, entry: Entry) -> bool:
    return len(answer) <= _LONGEST_LIST and _items(answer) == _items(target)


def _items(text: str) -> list[Fraction]:
    return [Fraction(item) for item in _ITEM.findall(text.replace("\u2212", "-"))]


def _formula(answer: str, target: str, kind: AnswerKind, entry: Entry) -> bool:
    """Another way than the target's counts too: the value is right and every given number is used once."""
    found = evaluate(answer)
    meta = entry["metadata"]
    return found is not None and found == (meta.get("target", 24), sorted(meta["numbers"]))


CHECKS: Mapping[str, Callable[[str, str, AnswerKind, Entry], bool]] = {
    "same": _same,
    "spelling": _spelling,
    "listed": _listed,
    "formula": _formula,
}


def _thin(entry: Entry, share: int) -> bool:
    """One in `share`, by content."""
    return zlib.crc32(str(entry["question"]).encode()) % share == 0


def _few_ones(entry: Entry, level: str) -> bool:
    """Most pairs have 1 as greatest common divisor; fewer of those, lest '1' be a good guess."""
    return bool(entry["answer"] != "1" or _thin(entry, 4))


def _countable_letters(entry: Entry, level: str) -> bool:
    """Short words at the easy level, and fewer letters that occur once, lest '1' be a good guess."""
    short = level != "easy" or (len(entry["metadata"]["span"][0]) <= 7 and entry["metadata"]["span"][0].isalpha())
    return short and bool(entry["answer"] != "1" or _thin(entry, 8 if level == "easy" else 3))


def _plain_kin(entry: Entry, level: str) -> bool:
    """In-laws, nephews and nieces come out the wrong way round, and some names leave the gender open."""
    meta = entry["metadata"]
    return entry["answer"] in _KIN and meta["person1"] not in _ANY_GENDER


def _one_needle(entry: Entry, level: str) -> bool:
    """Exactly one statement matches the question."""
    story, _, question = entry["question"].rpartition("\n")
    wanted = question.removeprefix("Who ").partition("?")[0]
    return bool(story.count(f" {wanted}.") == 1)


def _sound_logic(entry: Entry, level: str) -> bool:
    """The label is right whether or not terms may be empty; with more quantifiers fewer of the many 'No'."""
    meta = entry["metadata"]
    if level != "easy" and entry["answer"] == "No" and not _thin(entry, 3):
        return False
    verdict = Argument((meta["premise1"], meta["premise2"]), meta["conclusion"]).verdict()
    return verdict is not None and verdict == (entry["answer"] == "Yes")


def _word_problem(entry: Entry, level: str) -> bool:
    """Whole numbers without float noise; the level is the number of lines of the generator's own solution."""
    steps = str(entry["metadata"]["answer_cot"]).partition("####")[0].strip().count("\n") + 1
    return str(entry["answer"]).isdecimal() and steps in _STEPS[level] and not _NOISE.search(entry["question"])


KEEPS: Mapping[str, Callable[[Entry, str], bool]] = {
    "all": lambda entry, level: True,
    "not_negative": lambda entry, level: level != "easy" or not entry["answer"].startswith("-"),
    "few_ones": _few_ones,
    "countable_letters": _countable_letters,
    "plain_kin": _plain_kin,
    "one_needle": _one_needle,
    "reachable": lambda entry, level: _formula(entry["answer"], "", "text", entry),
    "sound_logic": _sound_logic,
    "proper_fraction": lambda entry, level: entry["metadata"]["simplified_denominator"] > 1,
    "convex": lambda entry, level: 0 < entry["metadata"]["missing_angle_raw"] < 180,
    "word_problem": _word_problem,
}
