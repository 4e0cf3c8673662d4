"""Judges answers and sorts out unsound questions; pure, and none of it runs a generator's own verifier.

Those verifiers give partial credit, ignore a minus sign (gsm_symbolic), accept 0 for a small probability (coin_flip),
do not look at which numbers were used (puzzle24), or evaluate the answer as code (puzzle24, countdown).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Literal, assert_never

from engine.core import answers
from engine.core.records import AnswerKind
from engine.tasks.gym.formula import Argument, evaluate

Entry = Mapping[str, Any]
"""What a generator gives: question, answer and metadata."""
Check = Literal["same", "spelling", "listed", "worded", "formula"]
"""How an answer is judged."""
Keep = Literal[
    "all",
    "not_negative",
    "few_ones",
    "countable_letters",
    "plain_kin",
    "one_needle",
    "reachable",
    "sound_logic",
    "proper_fraction",
    "convex",
    "word_problem",
    "some_kept",
    "composite",
]
"""Which of the generated questions are asked."""
_ITEM = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
# The longest right list, ten numbers with two decimals, has some 80.
_LONGEST_LIST = 400
# Such as 12.600000000000001, in a question.
_NOISE = re.compile(r"\.[0-9]{4}")
_KINSHIP = "father mother son daughter husband wife brother sister grandfather grandmother aunt uncle"
_ANY_GENDER = frozenset({"Sage", "River", "Winter", "Sky", "Rain", "Nova", "Kai", "Rowan", "Quinn", "Phoenix", "Storm"})
_STEPS = {"easy": range(3), "medium": range(3, 5), "hard": range(5, 100)}


def is_right(check: Check, answer: str, target: str, kind: AnswerKind, entry: Entry) -> bool:
    """Whether an answer is right under one of the checks of the catalogue."""
    match check:
        case "spelling":
            # Equal as written: 2/4 is not 1/2, and the hexadecimal 1e5 is no power of ten.
            folded = (answers.normalise(text) if "/" in text else text.strip().casefold() for text in (answer, target))
            one, other = (text.removeprefix("0x").removeprefix("0b").lstrip("0") for text in folded)
            return one == other
        case "listed":
            # A power is no list: 2^3 is not 2 and 3.
            if len(answer) > _LONGEST_LIST or "^" in answer or "**" in answer:
                return False
            texts = (text.replace("\u2212", "-") for text in (answer, target))
            listed, wanted = ([Fraction(item) for item in _ITEM.findall(text)] for text in texts)
            return listed == wanted
        case "worded":
            if len(answer) > 4 * _LONGEST_LIST:
                return False
            # Articles and marks of emphasis are lost where a reply is read.
            said, right = (
                [word for word in _WORD.findall(text.casefold()) if word not in ("a", "an", "the")]
                for text in (answer, target)
            )
            return said == right
        case "formula":
            # Another way than the target's counts too: the value is right and every given number is used once.
            meta = entry["metadata"]
            return evaluate(answer) == (meta.get("target", 24), sorted(meta["numbers"]))
        case "same":
            return answers.same(answer, target, kind)
    assert_never(check)


def is_asked(keep: Keep, entry: Entry, level: str) -> bool:
    """Whether a generated question is sound and worth asking, under one of the rules of the catalogue."""
    meta, answer = entry["metadata"], entry["answer"]
    match keep:
        case "not_negative":
            return level != "easy" or not answer.startswith("-")
        case "few_ones":
            # Most pairs have 1 as greatest common divisor; fewer of those, lest '1' be a good guess.
            return answer != "1" or _thinned(entry, 4)
        case "countable_letters":
            # Short words at the easy level, and fewer letters that occur once, for the same reason.
            short = level != "easy" or (len(meta["span"][0]) <= 7 and meta["span"][0].isalpha())
            return short and (answer != "1" or _thinned(entry, 8 if level == "easy" else 3))
        case "plain_kin":
            # In-laws, nephews and nieces come out the wrong way round, and some names leave the gender open.
            return answer in _KINSHIP.split() and meta["person1"] not in _ANY_GENDER
        case "one_needle":
            # Exactly one statement matches the question.
            story, _, question = entry["question"].rpartition("\n")
            wanted = question.removeprefix("Who ").partition("?")[0]
            return bool(story.count(f" {wanted}.") == 1)
        case "reachable":
            return is_right("formula", answer, "", "text", entry)
        case "sound_logic":
            # With more quantifiers most answers are 'No', so fewer of those.
            if level != "easy" and answer == "No" and not _thinned(entry, 3):
                return False
            # The label is right whether or not terms may be empty.
            verdict = Argument((meta["premise1"], meta["premise2"]), meta["conclusion"]).verdict()
            return verdict is not None and verdict == (answer == "Yes")
        case "proper_fraction":
            return bool(meta["simplified_denominator"] > 1)
        case "convex":
            return bool(0 < meta["missing_angle_raw"] < 180)
        case "word_problem":
            # Whole numbers without float noise; the level is the number of lines of the generator's own solution.
            steps = str(meta["answer_cot"]).partition("####")[0].strip().count("\n") + 1
            return str(answer).isdecimal() and steps in _STEPS[level] and not _NOISE.search(entry["question"])
        case "some_kept":
            return bool(meta["result"])
        case "composite":
            # Of a prime there is nothing to do, and half the small numbers are one.
            return len(meta["factors"]) > 1
        case "all":
            return True
    assert_never(keep)


def _thinned(entry: Entry, share: int) -> bool:
    """One in `share`, by content."""
    # Not random: a question is asked or not on every machine alike.
    return zlib.crc32(str(entry["question"]).encode()) % share == 0
