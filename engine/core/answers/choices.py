"""Letters of options: "(B)", "B) Oslo", "option B", "\\boxed{\\text{B}}", or an option's own text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.core.answers import markup, numbers
from engine.core.answers.patterns import late
from engine.core.answers.spelling import normalise, nothing_said, number_value

LETTERS = "ABCDEFGHIJ"
"""Options a question has at most where its own are not known."""
MOST_OPTIONS = 26
"""One for each letter."""

_FILLER = (
    r"(?:(?:therefore|thus|hence|likely|most|probably|clearly|definitely|simply|indeed|either|it|is|be|to|the|an?(?=\s(?:option|choice))|"
    r"correct|right|best|final|option|choice|letter|answer|statement|alternative|number|(?:la|el|le|il|lo|die|der|das|de|het|o|a(?=\s[*_(]{0,3}[B-J](?![a-z])))(?![a-z])|"
    r"opci\u00f3n|opzione|op\u00e7\u00e3o|lettre|letra|lettera|buchstabe|alternativa|a(?=\s(?:letra|op\u00e7\u00e3o|alternativa))|\u0432\u0430\u0440\u0438\u0430\u043d\u0442|"
    r"\u9009\u9879|\u9078\u9805|\u9009|\u9078|\u662f|\u4e3a)s?[\s,:#*_]{0,4}){0,6}"
)
_OPEN = (
    r"(?P<open>(?:\\(?:text|textbf|mathrm|mathbf|mbox|boxed|rm|bf)\s?\{|\\[(\[]|"
    r"[\s(\[{<\"'`*_$\u201c\u2018\u300c\uff08\u3010])*)"
)
_CLOSE = (
    r"(?P<close>[)\]}\uff09\u3011>]|[.:,;!](?!\w)|\s?(?:$|\n)|\\\)|"
    r"[\"'`*_$\u201d\u2019\u300d]{1,4}(?![A-Za-z0-9_])|(?=\s[-\u2013\u2014]{1,2}\s))"
)
_HEAD = late(rf"\s*{_OPEN}{_FILLER}(?P<inner>[\s(\[{{\"'`*_$\u201c]*)", re.I)
_LETTER = late(rf"(?P<letter>[A-Za-z]){_CLOSE}?(?P<next>[\s\S]{{0,30}})")
_LOOKALIKES = str.maketrans("АВЕСНΑΒΕΗΙ", "ABECHABEHI")
_LOOKALIKE = late(r"(?<!\w)[АВЕСНΑΒΕΗΙ](?=[)\].:,;!*\"'\u00bb\uff09]|\s*(?:\n|\Z)|\s[-\u2013\u2014(])")
# A + B is a formula.
_OPERATED = late(r"\s[+*/^]\s|\s?\\(?:cap|cup|times|cdot|wedge|vee)(?![a-z])")
_ARTICLE = late(r"\s[a-z]")
_CLAUSE = late(r"\s(?:only|is|because|since|as|for|due|which|with|and|or|in|based|among|but|would|will|has|from|if)\b")
_REASON = late(r"\s(?:is|because|since|as|which)\b")
_INITIALS = late(r"[A-Z]\.\s?[A-Z]\.\s?(?:[A-Z]\.\s?)?[A-Z][a-z]")
# What is said of an option that is not the answer.
REFUTED = late(
    r"[)*\"']{0,3}(?:(?:,\s\(?[A-Z]\)?){0,9},?\s(?:and|or)\s\(?[A-Z]\)?)?\s(?:is|are|was|were|can|would|seems?)\s?(?:be\s)?(?:not|n['\u2019]t|"
    r"(?:also\s|clearly\s|both\s|simply\s|all\s)?(?:wrong|incorrect|false|eliminated|(?:ruled\s)?out|invalid|impossible|"
    r"irrelevant))\b"
)
_WRAPPED = late(r"[(\[{\uff08\"'`*\u201c$]")


def latin(text: str, options: Sequence[str] = ()) -> str:
    """Cyrillic and Greek letters that stand alone and look like one of ours, as ours, unless they are options."""
    if text.isascii() or any(option.strip() in "АБВΑΒΓ" for option in options if option.strip()):
        return text
    return _LOOKALIKE.sub(lambda letter: letter[0].translate(_LOOKALIKES), text)


def letter_of(answer: str) -> str | None:
    """The letter of a short text that is a letter, marked or followed by its option; None: it is none."""
    return letter_at(markup.plain(markup.latin(answer[:400])))


def letter_at(piece: str, letters: str = LETTERS) -> str | None:
    """The letter a short text begins with, behind words such as "option"; an article or a pronoun is none."""
    head = _HEAD.match(piece)
    at = head.end() if head else 0
    # Fillers are words, and a letter that begins one of them is not an answer.
    match = _LETTER.match(piece, at)
    if match is None or match["letter"].upper() not in letters or (at and re.match(r"[A-Za-z0-9]", piece[at - 1])):
        return None
    if _INITIALS.match(piece, match.start("letter")) or REFUTED.match(piece, match.end("letter")):
        return None
    letter, closed, rest = match["letter"], match["close"] is not None, match["next"]
    opened = bool(head and _WRAPPED.search(head[0]))
    if _OPERATED.match(rest):
        return None
    if not closed and rest[:1] and not rest[:1].isspace():
        # Part of a word, or a contraction.
        return letter.upper() if not rest[0].isascii() and letter.isupper() else None
    if letter.islower() and not (closed and (opened or match["close"].strip() in (")", "]", "}", "", ".", ":"))):
        return None
    if letter.islower() and match["close"].strip() in (".", ":", ",") and not opened and rest.strip():
        return None
    if letter == "i" and rest.strip(" )]}.*$\"'"):
        # A Roman numeral, as statements are counted.
        return None
    if (
        letter in "AI"
        and not closed
        and not opened
        and _ARTICLE.match(rest)
        and not (_CLAUSE if letter == "A" else _REASON).match(rest)
    ):
        return None
    return letter.upper()


def letter_by_text(piece: str, options: Sequence[str]) -> str | None:
    """The letter of the one option whose text a short text is, or begins with; None: of none, or of several."""
    said = normalise(markup.plain(piece)).rstrip(".")
    if not said:
        return None
    texts = [normalise(markup.plain(option)).rstrip(".") for option in options]
    bare = [text.replace(" ", "") for text in texts]
    equal = [place for place, text in enumerate(bare) if text == said.replace(" ", "")]
    value = number_value(said) if not equal else None
    nothing = nothing_said(said) if not equal else None
    if nothing is not None:
        equal = [place for place, text in enumerate(texts) if nothing_said(text) == nothing]
    elif value is not None:
        equal = [place for place, text in enumerate(texts) if number_value(text) == value]
    elif not equal and (share := numbers.single(said)) and share.percent:
        equal = [
            place for place, text in enumerate(texts) if (own := numbers.single(text)) and own.spelled == share.spelled
        ]
    elif not equal:
        # A number is no part of a longer one.
        ends = r"(?![\w%^/]|[.,:][0-9])"
        begun = [place for place, text in enumerate(texts) if text and re.match(rf"{re.escape(text)}{ends}", said)]
        longest = max((len(texts[place]) for place in begun), default=0)
        equal = [place for place in begun if len(texts[place]) == longest]
    return lettered(equal[0]) if len(equal) == 1 else None


def lettered(place: int) -> str:
    """The letter of an option by its place from 0."""
    return chr(ord("A") + place)


def written(options: Sequence[str]) -> str:
    """Options as a prompt shows them, a line each."""
    return "\n".join(f"{lettered(place)}) {option}" for place, option in enumerate(options))
