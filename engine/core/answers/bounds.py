"""Bounds and other places of a number that are none by themselves: "at least 5", "5 or more", x > 5, 5 ± 1, 5x.

A bound says what an answer may be and not which it is; in twelve languages, before its number or behind it.
"""

from __future__ import annotations

import re

from engine.core.answers.patterns import late

# Before the number, of a language a line.
_AT_LEAST = (
    r"(?:not |no )?(?:greater|larger|bigger|more|less|fewer|smaller|higher|lower) than|"
    r"at (?:the )?(?:very )?(?:least|most)|"
    r"up to|(?:an? |the )?(?:absolute )?(?:min|max)imum of|(?<![0-9]\s)(?:over|under|above|below|exceeding|upwards of)|"
    "mindestens|wenigstens|höchstens|maximal|mehr als|weniger als|bis zu|nicht (?:mehr|weniger) als|"
    "au (?:moins|plus)|(?:plus|moins) de|jusqu['\u2019]à|"
    "(?:al|por lo|cuando) (?:menos|mucho)|(?:como|no) m(?:ín|áx)imo|(?:más|menos) (?:de|que)|hasta|"
    "almeno|al (?:massimo|minimo|più)|(?:più|meno) di|fino a|"
    "pelo menos|(?:mais|menos) (?:de|do que|que)|até|"
    "(?:ten )?minste(?:ns)?|(?:ten )?hoogste(?:ns)?|(?:meer|minder) dan|"
    "co najmniej|przynajmniej|co najwyżej|(?:więcej|mniej) niż|ponad|"
    "не (?:менее|более|меньше|больше)(?: чем)?|(?:более|менее|больше|меньше|свыше)(?: чем)?|как минимум|минимум|"
    "максимум|"
    "en (?:az|fazla|çok)|minst|högst|(?:mer|mindre) än|"
    "على الأقل|أكثر من|أقل من|कम से कम|अधिक से अधिक|ít nhất|nhiều nhất|tối (?:thiểu|đa)|paling (?:sedikit|"
    "banyak)|lebih dari"
).replace(" ", r"\s{1,2}")
_UNSPACED = (
    r"[至最][少多]|超[过過]|不少于|不超过|不多于|不低于|不高于|[大小多少高低]于|少なくとも|多くとも|최소(?:한)?|최대|적어도|"
    r"อย่างน้อย|มากกว่า"
)
_BEFORE = late(
    rf"(?:(?<!\w)(?i:{_AT_LEAST})\s|(?:{_UNSPACED})\s?|"
    r"(?:(?<![A-Za-z])[A-Za-z)]\s?[/*^]|(?<![A-Za-z])[b-z]\s?\+|(?<![A-Za-z])[k-z]\s?-|"
    r"\\pm|\\mp|[<>\u2260\u00b1]=?|\\(?:leq?|geq?|neq?|lt|gt)\b)\s{0,3})[\s*_]{0,2}[$\u20ac\u00a3]?\Z"
)
_OR_MORE = (
    "(?:or|and) (?:more|fewer|less|greater|larger|higher|lower|above|over|below|under|beyond|"
    r"up(?:wards?)?)(?! (?:precisely|exactly|accurately|specifically|likely|simply|correctly|generally))|"
    "at (?:the )?(?:least|most|minimum|maximum|max)|(?:minimum|maximum)|"
    "(?:oder|und) (?:mehr|weniger|höher|darüber)|mindestens|höchstens|(?:et|ou) (?:plus|moins)|au (?:moins|plus)|"
    "o (?:más|menos)|(?:como )?mínimo|al menos|o (?:più|meno)|almeno|(?:ou|e) (?:mais|menos)|pelo menos|"
    "of (?:meer|minder)|lub (?:więcej|mniej)|(?:или|и) (?:больше|более|меньше|менее|выше)|"
    "(?:veya|ya da) daha (?:fazla|az)|eller (?:fler|mer|färre|mindre)|أو (?:أكثر|أقل)|(?:या|और) (?:अधिक|ज़्यादा|कम)|"
    "trở (?:lên|xuống)|atau (?:lebih|kurang)"
).replace(" ", r"\s{1,2}")
_BEHIND = late(
    r"\s{0,3}(?:\\pm|\\mp|\+/-|\u00b1|[<>]=?\s{0,3}\\?[A-Za-z]|\\(?:leq?|geq?|lt|gt)\b|i(?![A-Za-z0-9])|"
    r"[a-z]\s?[-+]\s?[0-9(a-z\\]|[nqruxyz](?![A-Za-z0-9\\])|(?:pi|\u03c0)(?![A-Za-z])|[xyzn]\s?\^|"
    r"(?:and|&)\s[-$\u20ac]?[0-9][0-9.,]{0,20}(?:\s{0,2}(?:\Z|[.;!?])))|"
    # "5+ years", "5 apples or more", "5人以上".
    r"[*_$)\"'`]{0,3}(?:\+(?=[\s*_$)\]}\"'`]{0,4}(?:\Z|[.,;!?]|\s[^\W\d_]{2}))|"
    rf"(?:\s[^\W\d_]{{1,15}}){{0,2}},?\s(?i:{_OR_MORE})(?!\w)|"
    r"['\u2019]?(?:ten|tan|den|dan)\s(?:fazla|az)(?!\w)|"
    r"\s?[^\W\d_\s]{0,3}?\s?(?:以上|以下|以内|未満|未满|或更(?:多|少)|或以(?:上|下)|이상|이하|미만|ขึ้นไป))"
)


def bounds(before: str, after: str) -> bool:
    """Whether a number between two texts is a bound, one of two, or part of something that is no number.

    "At least 5", "5 or more" and x > 5 are bounds; 5 ± 1 and 2x + 5 are no numbers."""
    return bool(_BEFORE.search(before) or _BEHIND.match(after))


def alone(before: str, after: str) -> bool:
    """Whether a line is a bound and nothing else, as "5 or more apples" and "at least 5" are."""
    # "> 5" is a line of a quotation, and ">= 5" a bound.
    before = re.sub(r"\A(?:[\s*_\"'`(#$]|>(?!=))+", "", before)
    begins = _BEFORE.match(before) if before else None
    if not before:
        begins = _BEHIND.match(after)
    return begins is not None and len(after.split()) <= _FEW


_FEW = 6
