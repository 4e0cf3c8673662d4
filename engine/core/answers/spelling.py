"""One spelling for answers that differ in case, quotes, articles or the form of a number alone.

Linear in the text, by string work alone: a million digits cost no arithmetic.
"""

from __future__ import annotations

import unicodedata
from fractions import Fraction

from engine.core.answers import numbers
from engine.core.answers.patterns import late

MAX_ANSWER = 400
"""Characters; anything longer is not an answer to a question with a short one."""
_DIGITS = numbers.DIGITS
_EXPONENT = 40
_DECIMAL = late(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:e([+-]?[0-9]{1,4}))?")
_THOUSANDS = late(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?")
_RATIO = late(r"([+-]?)([0-9]+) ?/ ?([0-9]+)")
_MONEY = late(r"([+-]?) ?\\?[$\u00a3\u20ac] ?(?=[-+.0-9])")
_WRAPPED = late(r"[(\[{<]([^()\[\]{}<>]*)[)\]}>]")
_ARTICLES = frozenset({"a", "an", "the"})
_QUOTES = "\"'`*_~\u300c\u300d\u300e\u300f\u2018\u2019\u201c\u201d\u00ab\u00bb,;:!?"
_DASHES = str.maketrans({"\u2212": "-", "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-"})


def normalise(answer: str) -> str:
    """What votes compare: case, quotes, outer punctuation, leading articles and number formats do not count.

    '9.0' and '$9' become '9', '1,234' becomes '1234', '0.50' becomes '0.5'; '2/4' stays '2/4'. Idempotent.
    """
    words = [word for word in (_strip_word(word) for word in _fold(answer).split()) if word]
    first = next((place for place, word in enumerate(words) if word not in _ARTICLES), len(words) - 1)
    text = " ".join(words[max(first, 0) :])
    return _canonical_number(text) or text


def number_value(answer: str) -> Fraction | None:
    """The exact value of an answer that is one number and nothing else, units of money left out; None: it is not.

    Per cent are a unit of their own, so 50% is no plain number, and neither is one of more than some hundred digits."""
    if len(answer) > 2 * _DIGITS:
        return None
    # Most targets are digits alone, of which there is nothing to read.
    if answer.isdigit() and answer.isascii() and len(answer) <= _DIGITS:
        return Fraction(int(answer))
    text = normalise(answer)
    top, _, bottom = text.partition("/")
    if not _canonical_number(text) or len(text) > _DIGITS:
        number = numbers.single(answer)
        return None if number is None or number.percent else number.value
    try:
        return Fraction(top) / Fraction(bottom or "1")
    except (ValueError, ZeroDivisionError):
        return None


def _fold(text: str) -> str:
    """Compatibility-folded and case-folded, control characters gone, every dash a hyphen."""
    if not text.isprintable():
        text = "".join(c for c in text if c.isprintable() or c.isspace())
    # Nearly all answers are ASCII, for which the foldings below amount to lower().
    if text.isascii():
        return text.lower()
    text = "".join(c if (digit := unicodedata.decimal(c, None)) is None else str(digit) for c in text)
    # Twice, because folding a compatibility form can make another one; after two rounds nothing changes.
    for _ in range(2):
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).translate(_DASHES)
    return text


def _strip_word(word: str) -> str:
    while True:
        bare = word.lstrip(_QUOTES).rstrip(_QUOTES + ".")
        wrapped = _WRAPPED.fullmatch(bare)
        bare = wrapped[1] if wrapped else bare
        if bare == word:
            return word
        word = bare


def _canonical_number(text: str) -> str | None:
    """One spelling per number, by string work alone, so that a million digits cost no arithmetic; None: not one."""
    if not text or text[-1] not in "0123456789.":
        return None
    # Signs before and after the currency mark occur, "-$5" and "$-5"; the number keeps its own.
    money = _MONEY.match(text)
    text = money[1] + text[money.end() :] if money else text
    # Not reduced: 2/4 and 1/2 are other spellings, which only `same` compares by value.
    ratio = _RATIO.fullmatch(text)
    if ratio:
        sign = "-" if ratio[1] == "-" else ""
        return f"{sign}{ratio[2].lstrip('0') or '0'}/{ratio[3].lstrip('0') or '0'}"
    plain = _DECIMAL.fullmatch(text.replace(",", "") if _THOUSANDS.fullmatch(text) else text)
    if plain is None or not (plain[2] or plain[3]):
        return None
    return _spell(plain[1], plain[2], plain[3] or "", int(plain[4] or "0"))


def _spell(sign: str, whole: str, part: str, exponent: int) -> str | None:
    # 1e999999999 would be a gigabyte of zeros; it stays the text it is.
    if exponent and (abs(exponent) > _EXPONENT or len(whole) + len(part) > _DIGITS):
        return None
    if exponent > 0:
        whole, part = whole + part[:exponent].ljust(exponent, "0"), part[exponent:]
    elif exponent < 0:
        padded = whole.rjust(-exponent, "0")
        whole, part = padded[:exponent], padded[exponent:] + part
    whole, part = whole.lstrip("0") or "0", part.rstrip("0")
    number = f"{whole}.{part}" if part else whole
    # There is no minus zero among answers.
    return f"-{number}" if sign == "-" and number != "0" else number


_POLITE = late(
    r"(?<=\S)(?:\u3067\u3059|\uc785\ub2c8\ub2e4|\uc774\uc5d0\uc694|\s\u0939\u0948|\solur|\s\u0627\u0633\u062a)?[\u3002\uff0e\u0964.]?\s?\Z"
)


def unpolite(line: str) -> str:
    """Without how a sentence of some languages ends behind its answer."""
    return _POLITE.sub("", line.strip())


def tidy(line: str) -> str | None:
    """A short text without quotes around it, a closing period and brackets around all of it; None: nothing is left."""
    line = unpolite(line).strip(_QUOTES + " ").rstrip(". ").strip(_QUOTES + " ")
    wrapped = _WRAPPED.fullmatch(line)
    # The brackets of a tuple are part of it.
    line = wrapped[1].strip() if wrapped and "," not in line else line
    return line if 0 < len(line) <= MAX_ANSWER else None


_NOTHINGS = {
    "n/a": r"n/a|not (?:applicable|available)",
    "none": r"none(?: of (?:the above|these|those|them|the (?:options|answers|choices)(?: above)?))?",
    "unknown": (
        r"unknown|undetermined|indeterminate|unanswerable|(?:it|this|that|the answer)? ?(?:is )?(?:unknown|not known)|"
        r"(?:there (?:is|was) )?(?:not (?:enough|sufficient)|insufficient) (?:information|info|data|evidence|context)"
        r"(?: (?:is |was )?(?:given|provided|available))?"
        r"(?: to (?:determine|answer|tell|say|know|conclude)[a-z ]{0,40})?|"
        r"(?:(?:it|this|that|the answer) )?(?:can ?not|can't|could not|couldn't) be "
        r"(?:determined|known|answered|inferred|concluded|told)(?: from [a-z ]{1,40})?|"
        r"i (?:do not|don't|dont) know|impossible to (?:tell|know|say|determine)"
    ),
    "no solution": r"(?:there (?:is|are) )?no (?:real )?solutions?(?: exists?)?",
}
_NOTHING = late("|".join(f"(?P<n{place}>{said})" for place, said in enumerate(_NOTHINGS.values())))


def nothing_said(text: str) -> str | None:
    """One spelling of a text that says there is no answer, such as "not enough information"; None: it says none.

    A target may say so, and is then equal to a reply that says so in other words."""
    match = _NOTHING.fullmatch(normalise(text[:120]))
    return None if match is None else list(_NOTHINGS)[int((match.lastgroup or "n0")[1:])]
