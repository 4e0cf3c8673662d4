"""Finds the answer in a model's text, decides when two answers are the same, and counts votes.

Pure functions over hostile text: every one is linear in its input, none evaluates what it reads and none raises.
Votes are a plurality over normalised answers, ties to the answer seen first. This module knows kinds of answers
('number', 'word', 'yes_no', 'text'), never tasks, targets or verdicts.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict, deque
from fractions import Fraction
from math import comb

from engine.core.records import AnswerKind

READER_VERSION = 1
"""Raised whenever an answer is extracted, compared or counted as a vote otherwise than before, so that trials read by
different versions are never mixed."""

MAX_ANSWER = 400
"""Characters; anything longer is not an answer to a question with a short one."""

# Characters of a line that is an answer by itself, and of what is read behind a marker; markers tried from the end;
# digits of a number that is compared by value; the largest exponent that is written out.
_LINE = 60
_TAIL = 400
_MARKERS_TRIED = 64
_DIGITS = 120
_EXPONENT = 40

# Every repetition below is bounded or over disjoint characters, so that no text makes a pattern backtrack.
_MARKER = re.compile(r"####|\[\[|\banswers?\b", re.I)
_IS = re.compile(
    r"[\s*_\"'`)]{0,8}(?:(?:to (?:the|this) (?:question|problem|puzzle|riddle|equation)|would|should|will|must|"
    r"thus|therefore|then|hence|choice|option|here)[\s*_,]{0,4}){0,4}(?:is|are|be|=|:|->|=>|\u2192)(?:\s*[:=])?",
    re.I,
)
_FILLER = re.compile(r"(?:(?:therefore|thus|then|hence|simply|just|equal to|is|option|choice)\b[\s,:]{0,3})+", re.I)
_BRACES = re.compile(r"\\[{}]|\\boxed\s{0,4}\{|[{}]")
_FRAC = re.compile(r"\\[dt]?frac\s{0,4}\{([^{}]{1,40})\}\s{0,4}\{([^{}]{1,40})\}")
_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mathbf|boxed)\s{0,4}\{([^{}]{0,200})\}")
_LATEX = re.compile(r"\\[()\[\],;!]|\\(?:left|right|circ|degree)\b|\^\\circ|\^\{\\circ\}")
_NUMBER = re.compile(
    r"(?:(?<![\w)\]])-)?(?:[$\u00a3\u20ac]\s?-?)?(?<![\w.])"
    r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)?(?:(?<=[0-9])\.[0-9]+|(?<![0-9])\.[0-9]+)?(?<=[0-9])"
    r"(?:[eE][+-]?[0-9]{1,3}(?![\w.]))?(?:\s?/\s?[0-9]+(?:\.[0-9]+)?)?"
)
_YES_NO = re.compile(r"\b(yes|no)\b", re.I)
_BRACKETED = re.compile(r"\[\[[^\[\]0-9-]{0,20}([0-9][0-9,]{0,11})(?:\.0{1,4})?(?:\s[^\[\]0-9]{0,30})?\]\]")

_BULLET = re.compile(r"^\s*(?:[-*\u2022]+|\(?\d{1,3}[.):]+|[Qq]\d{0,2}[:.])\s*")

_DECIMAL = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:e([+-]?[0-9]{1,4}))?")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?")
_RATIO = re.compile(r"([+-]?)([0-9]+) ?/ ?([0-9]+)")
_MONEY = re.compile(r"([+-]?) ?\\?[$\u00a3\u20ac] ?(?=[-+.0-9])")
_WRAPPED = re.compile(r"[(\[{<]([^()\[\]{}<>]*)[)\]}>]")
_ARTICLES = frozenset({"a", "an", "the"})
_QUOTES = "\"'`*_~\u2018\u2019\u201c\u201d\u00ab\u00bb,;:!?"
_DASHES = str.maketrans({"\u2212": "-", "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-"})


def extract(text: str, kind: AnswerKind) -> str | None:
    """The answer a completion gives, or None when it gives none.

    The last \\boxed{...} wins, then the last marker ("Answer: x", "the answer is x", "#### x", "[[x]]"), then, by
    kind: the last number, the last standalone yes or no, or a text that is itself one line of at most 60 characters.
    """
    # What follows each explicit marker, the last marker first: models restate, and the last word is the one they mean.
    places = [marker.span() for marker in _MARKER.finditer(text)][-_MARKERS_TRIED:]
    slices = (_after(text[start:end], text[end : end + _TAIL]) for start, end in reversed(places))
    for piece in (_boxed(text), *slices):
        answer = _read(piece, kind) if piece else None
        if answer:
            return answer
    if kind == "number":
        number = _last(_NUMBER, _FRAC.sub(r"\1/\2", text.translate(_DASHES)))
        return _number_text(number) if number else None
    if kind == "yes_no":
        word = _last(_YES_NO, text)
        return word.lower() if word else None
    # Of words and texts only a whole short line counts: the last word of an explanation is no answer.
    line = text.strip()
    return _tidy(_clean(line)) if len(line) <= _LINE and "\n" not in line else None


def normalise(answer: str) -> str:
    """What votes compare: case, quotes, outer punctuation, leading articles and number formats do not count.

    '9.0' and '$9' become '9', '1,234' becomes '1234', '0.50' becomes '0.5'; '2/4' stays '2/4'. Idempotent.
    """
    words = [word for word in (_strip_word(word) for word in _fold(answer).split()) if word]
    first = next((place for place, word in enumerate(words) if word not in _ARTICLES), len(words) - 1)
    text = " ".join(words[max(first, 0) :])
    return _canonical_number(text) or text


def same(a: str, b: str, kind: AnswerKind) -> bool:
    """Whether two answers agree: by exact value when both are numbers, by normalised text otherwise."""
    left, right = normalise(a), normalise(b)
    if left == right:
        return left != ""
    if kind == "yes_no":
        return False
    # Any other kind may hold a number: "1/2" and "0.5" agree as words of a text, too.
    value = number_value(left)
    return value is not None and value == number_value(right)


def number_value(answer: str) -> Fraction | None:
    """The exact value of an answer that is one number (decimal or a/b); None when it is not, or is absurdly long."""
    # Reading a decimal takes quadratic time in its digits, so a number of a million of them is refused by its length.
    if len(answer) > 2 * _DIGITS:
        return None
    text = normalise(answer)
    top, _, bottom = text.partition("/")
    if not _canonical_number(text) or len(text) > _DIGITS:
        return None
    try:
        return Fraction(top) / Fraction(bottom or "1")
    except (ValueError, ZeroDivisionError):
        return None


def bracketed_integer(text: str) -> int | None:
    """The last [[n]] of a text with 1 <= n <= 1,000,000, as token estimates are written (TALE, arXiv 2412.18547)."""
    digits = deque(_BRACKETED.finditer(text), maxlen=1)
    last = int(digits[0][1].replace(",", "")) if digits else None
    return last if last is not None and 1 <= last <= 1_000_000 else None


def listed(text: str) -> list[str]:
    """The items of a list as a model writes one: a line each, without numbers, bullets and empty lines."""
    lines = (_BULLET.sub("", line).strip() for line in text[: 50 * MAX_ANSWER].splitlines())
    return [line[:MAX_ANSWER] for line in lines if line]


def _boxed(text: str) -> str | None:
    """Content of the \\boxed{...} that starts last among those that close; one pass, whatever the nesting."""
    if "\\boxed" not in text:
        return None
    opened: list[tuple[bool, int]] = []
    best, start = None, -1
    for brace in _BRACES.finditer(text):
        if brace[0][-1] == "{" and brace[0] != "\\{":
            opened.append((len(brace[0]) > 1, brace.end()))
        elif brace[0] == "}" and opened:
            boxed, begin = opened.pop()
            if boxed and begin > start and brace.start() - begin <= MAX_ANSWER:
                best, start = text[begin : brace.start()], begin
    return best


def _after(marker: str, tail: str) -> str | None:
    if marker == "[[":
        inner, closed, _ = tail.partition("]]")
        return inner if closed else None
    if marker != "####":
        verb = _IS.match(tail)
        if verb is None:
            return None
        tail = tail[verb.end() :]
    return tail.lstrip(" \t\r\n*_:").partition("\n")[0]


def _read(piece: str, kind: AnswerKind) -> str | None:
    """The answer in a short piece of text that is known to hold one."""
    line = _clean(piece)
    if kind == "number":
        # Of "3 + 4 = 7 apples" the 7: the first number after the last equals sign.
        before, equals, after = line.rpartition("=")
        number = _NUMBER.search(after) or (_NUMBER.search(before) if equals else None)
        return _number_text(number[0]) if number else None
    if kind == "yes_no":
        word = _YES_NO.search(line)
        return word[1].lower() if word else None
    filler = _FILLER.match(line)
    # "The answer is therefore" with nothing behind it: then the filler is all there is to read.
    line = line[filler.end() :] if filler and filler.end() < len(line) else line
    if kind == "word":
        words = [word for word in line.split() if word.lower() not in _ARTICLES] or line.split()
        line = words[0] if words else ""
    return _tidy(line)


def _clean(text: str) -> str:
    """Without LaTeX and bold markup; for pieces of bounded length."""
    text = _FRAC.sub(r"\1/\2", text.translate(_DASHES))
    text = _LATEX.sub(" ", _TEXT.sub(r"\1", text))
    text = text.replace("\\$", "$").replace("\\%", "%").replace("**", "").replace("__", "").strip()
    return text[1:-1].strip() if len(text) > 2 and text[0] == text[-1] == "$" else text


def _last(pattern: re.Pattern[str], text: str) -> str | None:
    # Keeps one match in memory, however many a hostile text holds.
    ends = deque(pattern.finditer(text), maxlen=1)
    return ends[0][0] if ends else None


def _number_text(number: str) -> str | None:
    return normalise(number) if len(number) <= MAX_ANSWER else None


def _tidy(line: str) -> str | None:
    """Without quotes around it, a closing period and the brackets of a lone option letter."""
    line = line.strip().strip(_QUOTES + " ").rstrip(". ").strip(_QUOTES + " ")
    wrapped = _WRAPPED.fullmatch(line)
    line = wrapped[1].strip() if wrapped else line
    return line if 0 < len(line) <= MAX_ANSWER else None


def _fold(text: str) -> str:
    """Compatibility-folded and case-folded, control characters gone, every dash a hyphen."""
    if not text.isprintable():
        text = "".join(c for c in text if c.isprintable() or c.isspace())
    # Nearly all answers are ASCII, for which the foldings below amount to lower().
    if text.isascii():
        return text.lower()
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


FAR = 64
"""So many equal votes ahead make any majority as good as certain."""


class Votes:
    """A ballot of extracted answers; a reply without an answer casts no vote."""

    def __init__(self) -> None:
        self._weights: defaultdict[str, float] = defaultdict(float)
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._spelled: dict[str, str] = {}

    def add(self, answer: str | None, weight: float = 1.0) -> None:
        """Cast one vote of this weight; None abstains."""
        if answer is None:
            return
        key = normalise(answer)
        # Shown and scored as it was first spelled: normal form is for comparing, and a scorer may want the original.
        self._spelled.setdefault(key, answer)
        self._weights[key] += weight
        self._counts[key] += 1

    @property
    def leader(self) -> str | None:
        """The answer with most weight, as it was first spelled; None: nobody voted yet."""
        if not self._weights:
            return None
        # max() keeps the first of equals, and dicts the order of votes: a tie goes to the answer seen first.
        return self._spelled[max(self._weights, key=lambda key: self._weights[key])]

    @property
    def agreement(self) -> float:
        """The leader's share of the votes cast, from 0 (nobody voted) to 1."""
        cast = sum(self._counts.values())
        return max(self._counts.values(), default=0) / cast if cast else 0.0

    @property
    def p_majority(self) -> float:
        """Probability that the leader beats the runner-up for ever: the Beta rule of adaptive consistency
        (Aggarwal et al. 2023, arXiv 2305.11860), exact."""
        first, second = self._two()
        return beta_rule(first, second)

    def due(self, confidence: float) -> int:
        """Least further votes after which `p_majority` can reach `confidence`: so many are certain to be drawn."""
        first, second = self._two()
        return next((n for n in range(1, FAR) if beta_rule(first + n, second) >= confidence), FAR)

    def _two(self) -> tuple[int, int]:
        counts = sorted((*self._counts.values(), 0, 0), reverse=True)
        return counts[0], counts[1]


def beta_rule(first: int, second: int) -> float:
    """P(theta > 1/2) for theta ~ Beta(first + 1, second + 1), by its binomial sum."""
    tosses = first + second + 1
    return sum(comb(tosses, k) for k in range(first + 1)) / (1 << tosses)
