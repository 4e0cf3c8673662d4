"""When two answers are the same, and the key by which votes for equal answers are counted together."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from engine.core.answers import choices, expressions, markup, numbers, words
from engine.core.answers.formulas import LONGEST
from engine.core.answers.patterns import late
from engine.core.answers.spelling import normalise, nothing_said, number_value
from engine.core.answers.verdicts import verdict
from engine.core.records import AnswerKind

# Digits that name something: a zip code, a room, a date.
_CODED = late(r"0[0-9]+|[0-9]+(?:/[0-9]+)+")
# What only mathematics is written with; arithmetic such as (4 + 4) * 3 may be an answer for its own sake.
_FORMULA = late(
    r"\\[a-zA-Z{!,;]|[\^\u221a\u03c0\u221e\u222a\u00b2\u00b3\u211d\u2260\u2264\u2265\u2208\u2205\u00b1\u00b0]|"
    r"sqrt|\b(?i:all|any) real|(?<![A-Za-z])[A-Za-z]\s?[-+*/=<>]|"
    r"[-+*/=<>]\s?[0-9]{0,9}[A-Za-z](?![A-Za-z])|[0-9][A-Za-z](?![A-Za-z0-9])|^[(\[{].*,.*[)\]}]$"
)
_COLON = late(r"(?<=[0-9])\s?:\s?(?=[0-9])")
# A word is no product of its letters.
_PHRASE = late(r"[a-z]{3,40}(?: [a-z]{1,40}){0,8}|[a-z]{1,3}(?: [a-z]{2,40}){0,7} [a-z]{4,40}")
_PARTS = late(r"[0-9.]{1,20}(?:\s?:\s?[0-9.]{1,20})+")
"""A proportion, or a time of day."""


def same(a: str, b: str, kind: AnswerKind) -> bool:
    """Whether two answers agree, `b` being the target where one of them is: by value where they have one, else by text.

    number: by value; a unit counts only where both have it, and per cent are hundredths where one alone has it.
    expression: by value or as algebra, sets and bare lists in any order. choice: by letter. yes_no: by word. word and
    text: by normalised text, and by value for plain numbers, which dates and digits with a leading zero are not."""
    if kind == "choice":
        letter = choices.letter_of(a)
        return letter is not None and letter == choices.letter_of(b)
    left, right = normalise(a), normalise(b)
    if kind == "yes_no":
        # A file may say True, ja or Y where the prompt asks for yes or no.
        return left == right != "" or (verdict(a) or a) == verdict(b)
    if kind == "expression":
        plain = normalise(markup.plain(a)), normalise(markup.plain(b))
        if plain[0] == plain[1] and _PHRASE.fullmatch(plain[0]):
            return True
        nothing = nothing_said(plain[1])
        if nothing is not None:
            empty = nothing == "no solution" and not expressions.keys(a)[1].isdisjoint(expressions.keys(b)[1])
            return empty or nothing == nothing_said(plain[0])
        known = expressions.keys(a)[1], expressions.keys(b)[1]
        if all(known):
            return not known[0].isdisjoint(known[1])
        return _numeric(a, b) or _textual(a, b) or left == right != ""
    if kind == "number":
        return left == right != "" or _numeric(a, b) or (bool(_FORMULA.search(b)) and expressions.equal(a, b))
    codes = [code for code in (a.strip(), b.strip()) if _CODED.fullmatch(code)]
    if codes and not any("/" in code for code in codes):
        return a.strip().strip(".") == b.strip().strip(".")
    if left == right:
        return left != ""
    nothing = nothing_said(right)
    if nothing is not None:
        return nothing == nothing_said(left)
    if _FORMULA.search(b) and (_textual(a, b) or expressions.equal(a, b)):
        return True
    value = None if codes else number_value(left)
    return value is not None and value == number_value(right)


def vote_key(answer: str) -> str:
    """Equal for answers that vote together: numbers and formulas by value, everything else by normalised text."""
    if re.fullmatch(r"\s*0[0-9]{1,40}\s*", answer):
        return answer.strip()
    if len(answer) <= LONGEST:
        number = numbers.single(answer) or (expressions.rational(answer) if _FORMULA.search(answer) else None)
        if number is not None and number.value is not None:
            spelled = numbers.spell(number.value)
            # A fraction without end has the key of a formula of the same value.
            return (expressions.value_key(spelled) if "/" in spelled else None) or spelled
        if _FORMULA.search(answer):
            return expressions.value_key(answer) or normalise(markup.plain(answer))
    return normalise(answer)


def _numeric(a: str, b: str) -> bool:
    one, other = _number(a), _number(b)
    if one is None or other is None or one.value is None or other.value is None:
        return False
    if one.value == other.value:
        return True
    # A share may be written either way where one of the two says that it is in per cent.
    return one.percent != other.percent and _share(one.value, one.percent) == _share(other.value, other.percent)


def _share(value: Fraction, percent: bool) -> Fraction:
    return value / 100 if percent else value


def _number(text: str) -> numbers.Number | None:
    """The number of an answer, with whatever unit behind it."""
    return None if len(text) > LONGEST else _short_number(text)


# Kept: every number of a text is held against one and the same answer.
@lru_cache(maxsize=4096)
def _short_number(text: str) -> numbers.Number | None:
    plain = words.in_digits(markup.plain(text))
    number = numbers.single(plain) or expressions.rational(text)
    if number is not None:
        return number
    every = numbers.numbers(plain)
    alone = len(every) == 1 and every[0].start == 0 and re.fullmatch(r"[^0-9*/^=+]*", plain[every[0].end :])
    return every[0] if alone and every[0].value is not None else None


def _textual(a: str, b: str) -> bool:
    if max(len(a), len(b)) > LONGEST:
        return False
    left, right = (normalise(_COLON.sub(":", " ".join(markup.plain(text).split()))) for text in (a, b))
    if not left or not right:
        return False
    # Where the two are formulas, spaces and the braces around one letter say nothing.
    formulas = all(_FORMULA.search(text) or _PARTS.fullmatch(text) for text in (left, right))
    return left == right or (formulas and _bare(left) == _bare(right))


def _bare(text: str) -> str:
    return re.sub(r"(?<!\\)\{([^{}]{1,40})\}", r"\1", "".join(text.split()))
