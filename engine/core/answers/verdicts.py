"""Yes and no: the word that states one, a verdict on a statement, and both in the languages of answers."""

from __future__ import annotations

import re

from engine.core.answers.patterns import late
from engine.core.answers.statements import LONGEST

YES_NO = late(r"(?<![A-Za-z0-9_\u00c0-\u024f])(yes|no)(?![A-Za-z0-9_\u00c0-\u024f]|-\w|\.[0-9])", re.I)
TRUE_FALSE = late(r"(?<![A-Za-z0-9_])(yes|no|true|false)(?![A-Za-z0-9_])", re.I)
_CALLED = late(
    r"\b(?:the|this|that)\s(?:\w{1,20}\s)?(?:statement|claim|assertion|proposition|sentence|conclusion|hypothesis)\b"
    r"(?!\s(?:\(?[0-9]|one\b|two\b))[^.!?\n]{0,60}?\bis\s(?:therefore\s|thus\s|indeed\s|clearly\s)?(?P<not>not\s)?"
    r"(?P<said>true|false)\b(?=[\s*_\"'`]{0,4}(?:[.!,;]|\Z))",
    re.I,
)
_SIMPLY = late(
    r"[\s*_]{0,4}(?:(?:so|thus|hence|therefore),?\s)?(?:it|this|that)(?:['\u2019]s|\sis|\sis(?P<not>n['\u2019]t|\snot))\s"
    r"(?P<said>true|false)[\s*_.!]{0,4}",
    re.I,
)
_SIGNS = " *_\"'`$\u2705\u2714\u2713\u274c\u2717\u2718\ufe0f"
_FIRST_OF = late(r"\b(?:first|second|third|other|initial|next|original)\s", re.I)
# Before a yes or no that is the clause's own, and no word somebody else said.
_STATES = late(
    r"(?:\A|[.!?\n:;,(\u2026\u2014]|\b(?:so|thus|hence|therefore|then|but|actually|again|indeed|now|and|is|be|a|clear|"
    r"definite|definitely|probably|likely|clearly|simply|(?:would|i|'d|to|\u2019d|can|must) say|answer|answers|"
    r"respond|responds|reply|choose|pick|with))"
    r"[\s*_\"'`(\u201c]{0,4}\Z",
    re.I,
)
_YES = (
    "ja|oui|s[i\u00ed\u00ec]|sim|tak|evet|\u0434\u0430|\u0442\u0430\u043a|\u306f\u3044|\u662f\u7684|\u662f|\u5bf9|\u5c0d|\uc608|\ub124|\u0646\u0639\u0645|\u0939\u093e\u0901|\u0939\u093e\u0902|"
    "\u05db\u05df|\u0628\u0644\u0647|\u03bd\u03b1\u03b9|ano|kyll\u00e4|igen|da|ya|iya|ndiyo|হ্যাঁ|হাঁ|అవును|c\u00f3|\u0e43\u0e0a\u0e48"
)
_NO = (
    "nein|non|n\u00e3o|nee|nie|hay\u0131r|\u043d\u0435\u0442|\u043d\u0456|\u3044\u3044\u3048|\u4e0d\u662f|\u5426|\u4e0d\u5bf9|\u4e0d\u5c0d|\u4e0d|\uc544\ub2c8\uc624|\uc544\ub2c8\uc694|\u0644\u0627|\u0928\u0939\u0940\u0902|"
    "\u05dc\u05d0|\u062e\u06cc\u0631|\u03cc\u03c7\u03b9|ne|ei|nem|nej|nei|nu|tidak|hapana|না|కాదు|లేదు|kh\u00f4ng|\u0e44\u0e21\u0e48\u0e43\u0e0a\u0e48|\u0e44\u0e21\u0e48"
)
_ELSEWHERE = late(
    rf"[\s*_\"'`(\u300c\u300e\u201c]{{0,4}}(?:(?P<yes>{_YES})|{_NO})[\s*_\"'`)\u300d\u300f\u201d]{{0,4}}"
    r"(?:\u3067\u3059|\uc785\ub2c8\ub2e4|'?d[\u0131i]r|\s?\u0939\u0948|\s?olur)?(?=[.,;:!\n\u3002\uff0c\uff01\u3001\u060c\u0964]|\Z)",
    re.I,
)
"""Yes and no in the languages that `statements` knows an answer's word of."""
EITHER = late(
    r"\b(?:n?either|both)\s\W{0,3}(?:yes|no|true|false)\b\W{0,5}\b(?:or|nor|and)\b\W{0,5}(?:yes|no|true|false)\b|"
    r"\byes\b\W{0,5}\b(?:or|nor|and)\b\W{0,5}\bno\b|\byes/no\b|\bno\b\W{0,5}\bor\b\W{0,5}\byes\b|"
    r"\btrue\b\W{0,5}\bor\b\W{0,5}\bfalse\b|"
    # "No cats are dogs" is a premise said again.
    r"\bno\s(?!it\b|he\b|she\b|they\b|this\b|that\b|there\b|we\b|you\b)[a-z]{2,20}(?:\s[a-z]{2,20}){0,2}\s"
    r"(?:are|is|can|could|will|have|was|were)\b",
    re.I,
)
# "No it is not" says no, and "no one" does not.
_GOES_ON = late(r"\s(?:it|he|she|they|this|that|there|the|we|you|i|these|those|because|since|as|indeed)\b", re.I)


def verdict(text: str) -> str | None:
    """Of a text that is nothing else: yes or no, also as true, false, y, n and in the languages of answers."""
    word = text.strip(" \t\n.!*_\"'`()[]{}$\u201c\u201d\u300c\u300d\u2705\u2714\u2713\u274c\u2717\u2718\ufe0f").lower()
    return _VERDICTS.get(word) or elsewhere(word)


_AGREED = "yes, true, y, yep, yeah, affirmative, absolutely, definitely, certainly, of course"
_DENIED = (
    "no, false, n, nope, nah, not true, it is not true, negative, absolutely not, definitely not, of course not, "
    "certainly not, not at all"
)
_VERDICTS = dict.fromkeys(_AGREED.split(", "), "yes") | dict.fromkeys(_DENIED.split(", "), "no")


def judged(text: str) -> str | None:
    """Whether a reply that is nothing else calls what it was asked about correct."""
    return {"correct": "yes", "that is correct": "yes", "incorrect": "no", "that is incorrect": "no"}.get(
        text.strip(" \t\n.!*_\"'`").lower()
    )


def called(text: str) -> str | None:
    """Whether a reply ends by calling the statement it was asked about true or false."""
    # Only where it ends: on the way there its premises may be called so too.
    sentence = re.split(r"(?<=[.!?])\s|\n", text[-LONGEST:].strip())[-1]
    called = _CALLED.search(sentence) or _SIMPLY.fullmatch(sentence if len(text) <= 2 * len(sentence) else "")
    if called is None or _FIRST_OF.search(called[0]):
        return None
    return "yes" if (called["said"].lower() == "true") != bool(called["not"]) else "no"


def last_said(text: str) -> str | None:
    """The last yes or no that stands as a statement, else the last that is no part of another phrase."""
    own = said = loose = None
    for word in YES_NO.finditer(text):
        before, after = text[max(0, word.start() - 3) : word.start()], text[word.end() : word.end() + 12]
        answer = word[1].lower()
        ends = not after.strip(_SIGNS) or after.lstrip(_SIGNS)[:1] in ".,!;:\n-\u2013\u2014)"
        begins = not before.strip(_SIGNS) or before.rstrip(_SIGNS)[-1:] in ".!?\n:"
        if ends or (begins and (_GOES_ON.match(after) or after[:2] == " (")):
            said = answer
            own = answer if _STATES.search(text[max(0, word.start() - 16) : word.start()]) else own
        elif answer == "yes" or begins:
            loose = answer if answer == "yes" else loose
    return own or said or loose


def elsewhere(head: str) -> str | None:
    """A yes or no in another language, where a piece begins with it as a clause of its own."""
    word = _ELSEWHERE.match(head)
    return None if word is None else "yes" if word["yes"] else "no"
