"""Reads what strategies ask of a model beside its answer: an estimate of tokens, a rating, a list of parts.

Small models keep to no form. Each reader tries the form that was asked for and then what models write instead, from
the surest to the loosest; what could as well be another number is not read. Linear in the text, and never raises.
Versions of strategies are raised when something here is read differently: none of it is read from stored answers again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.core.answers.patterns import late
from engine.core.answers.reading import bracketed_integer, listed
from engine.core.answers.spelling import MAX_ANSWER

MOST_TOKENS = 1_000_000
BEST = 10
_LOOKED_AT = 4_000
"""Characters; nobody says one number or a short list in more."""
_LOOSE = 4
"""Words of a reply whose only number can be no other than the one that was asked for; in more it may as well be the
answer to the question."""

_DIGITS = r"([0-9][0-9,]{0,11})(?:\.0{1,4})?"
_IN_BRACKETS = late(rf"\[\s{{0,3}}{_DIGITS}\s{{0,3}}(?:tokens?\s{{0,3}})?\]")
_OF_TOKENS = late(rf"(?<![0-9.,]){_DIGITS}\*{{0,2}}[\s-]{{1,3}}(?:[a-z]{{1,12}}\s){{0,1}}tokens?\b", re.I)
_OF_TEN = late(r"(?<![0-9.,/])([0-9]{1,2})(?:\.[0-9])?\s{0,2}(?:/|out of|of)\s{0,2}10(?![0-9/])", re.I)
_NAMED = late(
    r"\b(?:score|rating|rate|value|likelihood|likely|confidence|difficulty|estimate|budget|number|tokens)\b"
    r"[\s*_:=(\[]{1,6}(?:is|of|would be|are)?[\s*_:=(\[]{0,6}(?:about|around|roughly|~)?\s?"
    rf"{_DIGITS}(?![0-9.]*[0-9/%])",
    re.I,
)
_FIRST = late(rf"[\s*_(\[]{{0,6}}{_DIGITS}[\s*_)\]]{{0,6}}(?:[.,:;\n-]|$)")
_SECOND = late(r"\n\s{0,4}\(?2[.)]")
"""A list: its first number is none that was asked for."""
_NUMBER = late(rf"(?<![0-9.,/-]){_DIGITS}(?![0-9.]*[0-9/%])")
_ANSWERS = late(r"\b(?:answer|sum|result|solution|total)\b|=", re.I)

_NUMBERED = late(
    r"^(\s*)[>#*_]{0,5}\s?(?:\(?\d{1,2}[.):]+|(?:step|part|point|question|sub-?question|q)\s?#?\d{1,2}[.):-]*)"
    r"[*_]{0,3}[\s:-]*(.*)$",
    re.I,
)
_BULLET = late("^(\\s*)[-*\u2022\u2013+]\\s+(.*)$")
_INLINE = late(r"(?:^|(?<=[\s;,]))\(?[1-9][.)]\s+")
_LEADS_IN = late(
    r"^(?:sure|certainly|of course|okay|ok|great|absolutely|yes|here|to (?:solve|answer|find)|"
    r"the (?:simpler|following)|these|below|let)\b.{0,200}$",
    re.I,
)


def estimate_in(text: str) -> int | None:
    """How many tokens a reply says an answer takes, from 1 to 1,000,000; None: it says no number that is surely that.

    From '[[50]]' (TALE, arXiv 2412.18547), '[50]', 'about 50 tokens', '**50**', '50'; of a range its upper end."""
    return _stated(text[:_LOOKED_AT], _OF_TOKENS, MOST_TOKENS)


def rating_of(text: str) -> int | None:
    """The whole number from 1 to 10 that a reply rates something by; None: it says none.

    From '[[7]]', '[7]', '7/10', 'Score: 7', '7. Because ...', '7'."""
    return _stated(text[:_LOOKED_AT], _OF_TEN, BEST)


def _stated(text: str, own: re.Pattern[str], most: int) -> int | None:
    """The surest number from 1 to `most` that a reply may mean; `own` is how this kind of number is written."""
    asked = bracketed_integer(text)
    candidates = (asked, *(int(digits.replace(",", "")) for digits in _candidates(text, own)))
    return next((number for number in candidates if number is not None and 1 <= number <= most), None)


def _candidates(text: str, own: re.Pattern[str]) -> Iterator[str]:
    """Digits of the numbers it may mean beside what stands in double brackets, the surest first."""
    for form in (_IN_BRACKETS, own, _NAMED):
        # The last one: a model that thinks aloud comes to its number at the end.
        found = [match[1] for match in form.finditer(text)]
        if found:
            yield found[-1]
    if (first := _FIRST.match(text)) and not _SECOND.search(text):
        yield first[1]
    numbers = {match[1].replace(",", "") for match in _NUMBER.finditer(text)}
    if len(numbers) == 1 and len(text.split()) <= _LOOSE and not _ANSWERS.search(text):
        yield numbers.pop()


def items(text: str) -> list[str]:
    """The items of a list as a model writes one, each without its number or bullet.

    Where lines are numbered, these are the items, else lines with bullets, else all lines; what leads up to the list,
    stands below its items or follows it is none of it."""
    lines = text[: 50 * MAX_ANSWER].replace("**", "").strip().splitlines()
    if len(lines) == 1 and len(parts := _INLINE.split(lines[0])) > 2:
        return [part.strip(" ;,")[:MAX_ANSWER] for part in parts[1:] if part.strip(" ;,")]
    for form in (_NUMBERED, _BULLET):
        marked = [match for line in lines if (match := form.match(line)) and match[2].strip(" *_:")]
        if marked:
            outer = min(len(match[1]) for match in marked)
            # What is set further in explains the item above it.
            return [match[2].strip(" *_")[:MAX_ANSWER] for match in marked if len(match[1]) <= outer + 1]
    plain = [line for line in listed("\n".join(lines)) if not line.endswith(":") and set(line) - set("-=*_#` ")]
    return plain[1:] if len(plain) > 1 and _LEADS_IN.match(plain[0]) and plain[0].endswith(("!", ".")) else plain
