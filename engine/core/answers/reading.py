"""Reads the answer a reply states, by the kind of answer its task has.

Pure functions over hostile text: each is linear in its input, none evaluates what it reads and none raises. A reply
may state several answers; which of them counts is the task's to say, the last one unless it does. Where nothing is
stated, the last number, a yes or no that stands as a sentence, the letter a line is about, or a text that is itself one
short line is read.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence

from engine.core.answers import choices, expressions, markup, numbers, removed
from engine.core.answers.spelling import normalise
from engine.core.answers.statements import LONGEST, Statement, statements
from engine.core.records import AnswerKind, Which

MAX_ANSWER = LONGEST
"""Characters; anything longer is not an answer to a question with a short one."""
# Characters of a line that is an answer by itself.
_LINE = 60

_FILLER = re.compile(
    r"(?:(?:therefore|thus|then|hence|simply|just|equal to|is|option|choice|given by|roughly|about)\b[\s,:]{0,3})+",
    re.I,
)
# Where the clause that states a number ends: what follows explains it.
_CLAUSE = re.compile(
    r"[.!?;](?=\s|$)(?!\s?[0-9]{1,3}\b(?!\s?[a-zA-Z*/+=-]))|,\s(?=[A-Za-z])|\n|\s\((?=[a-zA-Z=])|"
    r"\s(?:because|since|as|so|but|not|which|check|rather than|instead of)\b",
    re.I,
)
_YES_NO = re.compile(r"\b(yes|no)\b(?!-\w)", re.I)
_TRUE_FALSE = re.compile(r"\b(yes|no|true|false)\b", re.I)
_CALLED = re.compile(
    r"\b(?:the|this|that)\s(?:\w{1,20}\s)?(?:statement|claim|assertion|proposition|sentence|conclusion|hypothesis)\b"
    r"(?!\s(?:\(?[0-9]|one\b|two\b))[^.!?\n]{0,60}?\bis\s(?:therefore\s|thus\s|indeed\s|clearly\s)?(?P<not>not\s)?"
    r"(?P<said>true|false)\b(?=[\s*_\"'`]{0,4}(?:[.!,;]|\Z))",
    re.I,
)
_FIRST_OF = re.compile(r"\b(?:first|second|third|other|initial|next|original)\s", re.I)
# Before a yes or no that is the clause's own, and no word somebody else said.
_STATES = re.compile(
    r"(?:\A|[.!?\n:;,(\u2026\u2014]|\b(?:so|thus|hence|therefore|then|but|actually|again|indeed|now|and|is|be|a|clear|"
    r"definite|definitely|probably|likely|clearly|simply|say|says|answer|answers|respond|responds|reply|choose|pick|with))"
    r"[\s*_\"'`(\u201c]{0,4}\Z",
    re.I,
)
_ELSEWHERE = re.compile(
    r"[\s*_\"'`(\u300c\u300e\u201c]{0,4}(?:(?P<yes>ja|oui|s[i\u00ed\u00ec]|sim|tak|evet|\u0434\u0430|\u0442\u0430\u043a|\u306f\u3044|\u662f\u7684|\u662f|\u5bf9|\uc608|\ub124|"
    r"\u0646\u0639\u0645|\u0939\u093e\u0901|\u0939\u093e\u0902)|nein|non|n\u00e3o|nee|nie|hay\u0131r|\u043d\u0435\u0442|\u043d\u0456|\u3044\u3044\u3048|\u4e0d\u662f|\u5426|\u4e0d\u5bf9|\u4e0d|"
    r"\uc544\ub2c8\uc624|\uc544\ub2c8\uc694|\u0644\u0627|\u0928\u0939\u0940\u0902)[\s*_\"'`)\u300d\u300f\u201d]{0,4}(?:\u3067\u3059|\uc785\ub2c8\ub2e4|'?d[\u0131i]r)?(?=[.,;:!\n\u3002\uff0c\uff01\u060c\u0964]|\Z)",
    re.I,
)
"""Yes and no in the languages that `statements` knows an answer's word of."""
_EQUALS = re.compile(r"\b(?:equals|equal to|gives)\b", re.I)
_EITHER = re.compile(
    r"\b(?:n?either|both)\s\W{0,3}(?:yes|no)\b\W{0,5}\b(?:or|nor|and)\b\W{0,5}(?:yes|no)\b|\byes\b\W{0,5}\b(?:or|nor|and)\b\W{0,5}\bno\b|\byes/no\b|\bno\b\W{0,5}\bor\b\W{0,5}\byes\b",
    re.I,
)
_DENIES = re.compile(r"\bnot\s(?:the|an?|our|my|your)\s(?:\w{1,20}\s){0,2}(?:answer|solution|result)\b", re.I)
# "No it is not" says no, and "no one" does not.
_GOES_ON = re.compile(r"\s(?:it|he|she|they|this|that|there|the|we|you|i|these|those|because|since|as|indeed)\b", re.I)
_MATHS = re.compile(
    r"\$\$([^$]{1,400})\$\$|(?<!\\)\$((?:\\.|[^$\n\\]){1,400})\$|\\\[(.{1,400}?)\\\]|\\\((.{1,400}?)\\\)", re.S
)
_ARTICLES = frozenset({"a", "an", "the"})
_QUOTES = "\"'`*_~\u2018\u2019\u201c\u201d\u00ab\u00bb,;:!?"
_WRAPPED = re.compile(r"[(\[{<]([^()\[\]{}<>]*)[)\]}>]")
_BRACKETED = re.compile(r"\[\[[^\[\]0-9-]{0,20}([0-9][0-9,]{0,11})(?:\.0{1,4})?(?:\s[^\[\]0-9]{0,30})?\]\]")
_BULLET = re.compile(r"^\s*(?:[-*\u2022]+|\(?\d{1,3}[.):]+|[Qq]\d{0,2}[:.])\s*")


def extract(text: str, kind: AnswerKind, *, statement: Which = "last", options: Sequence[str] = ()) -> str | None:
    """The answer a completion gives, or None when it gives none.

    `statement` says which of several stated answers counts, `options` are the texts of a choice's options in order."""
    if removed.is_note(text):
        return removed.kept(text)
    text = markup.visible(text)
    every = statements(text)
    stated = _stated(text, every, kind, options)
    if not stated:
        return _unstated(text, every, kind, options)
    place, answer = stated[0 if statement == "first" else -1]
    if kind != "choice" or statement != "last" or not answer:
        return answer
    # Of "A or C" the last, as of two statements; of a box with options written out too.
    plain = markup.plain(place.piece)
    several = _SEVERAL.match(plain) or (_OR_LETTERED.fullmatch(plain) if place.boxed else None)
    return several["last"] if several else answer


_SEVERAL = re.compile(
    r"\s{0,3}(?:both\s|either\s|options?\s)?\(?[A-Z]\)?(?:(?:\s?[,/;]\s?|\s?,?\s(?:or|and|&)\s)(?:option\s)?\(?(?P<last>[A-Z])\)?+){1,25}"
    r"\s{0,2}(?:[.\]!}*]|\Z)"
)


_OR_LETTERED = re.compile(r"\s{0,3}\([A-Z]\)[^()]{1,120}\s{1,3}(?:or|o|ou|oder)\s{1,3}\((?P<last>[A-Z])\)[^()]{0,120}")


def stated(text: str, kind: AnswerKind, options: Sequence[str] = ()) -> tuple[str, ...]:
    """The different answers that a completion states, in order; empty where it states none."""
    every: dict[str, None] = {}
    text = markup.visible(text)
    for place, answer in _stated(text, statements(text), kind, options):
        if answer:
            every[answer] = None
            every.update(dict.fromkeys(_further(place, options) if kind == "choice" else ()))
    return tuple(every)


def bracketed_integer(text: str) -> int | None:
    """The last [[n]] of a text with 1 <= n <= 1,000,000, as token estimates are written (TALE, arXiv 2412.18547)."""
    digits = deque(_BRACKETED.finditer(text), maxlen=1)
    last = int(digits[0][1].replace(",", "")) if digits else None
    return last if last is not None and 1 <= last <= 1_000_000 else None


def listed(text: str) -> list[str]:
    """The items of a list as a model writes one: a line each, without numbers, bullets and empty lines."""
    lines = (_BULLET.sub("", line).strip() for line in text[: 50 * MAX_ANSWER].splitlines())
    return [line[:MAX_ANSWER] for line in lines if line]


def _stated(
    text: str, every: Sequence[Statement], kind: AnswerKind, options: Sequence[str]
) -> list[tuple[Statement, str | None]]:
    """Of the places of a text those where answers are stated, and which; None: digits that are no number."""
    read: list[tuple[Statement, str | None]] = []
    loose: list[tuple[Statement, str | None]] = []
    for place in every:
        if not place.piece or (place.noun and kind != "choice") or (kind == "choice" and _lists(place, text)):
            continue
        answer, says = _read(place, text, kind, options)
        if answer or says:
            (loose if place.noun else read).append((place, answer))
    return read or loose


_ITEM = re.compile(r"[\s*_>-]{0,8}\(?([A-Z])[).:]")


def _lists(place: Statement, text: str) -> bool:
    """Whether a piece is the first line of a list of the options."""
    item = _ITEM.match(place.piece)
    below = text[place.end + len(place.piece) : place.end + len(place.piece) + 40].lstrip("\n")
    after = _ITEM.match(below) if item else None
    return bool(item and after and ord(after[1]) == ord(item[1]) + 1)


def _read(place: Statement, text: str, kind: AnswerKind, options: Sequence[str]) -> tuple[str | None, bool]:
    """The answer in a piece of text that is known to hold one, and whether the piece says something at all."""
    piece = place.piece
    boxed = None if place.boxed else next((each for each in statements(piece) if each.boxed), None)
    # "The answer is \boxed{5} apples": what is in the box.
    piece = boxed.piece if boxed and "\\boxed" in piece[: boxed.end] else piece
    match kind:
        case "number":
            return _number(markup.plain(markup.latin(piece)))
        case "choice":
            letter = _letter(piece, options)
            if letter is None and boxed:
                # A formula in the box, and the letter behind it.
                marked = _MARKED.search(place.piece, boxed.end + len(boxed.piece))
                letter = (marked["letter"] or marked["named"]) if marked else None
            return letter, letter is not None
        case "yes_no":
            head = _EITHER.sub(" ", _head(markup.plain(piece)))
            word = _YES_NO.search(head) or _TRUE_FALSE.search(head)
            said = verdict(head) or (verdict(word[1]) if word else None) or _elsewhere(head)
            return said, said is not None
        case "expression":
            answer = _expression(piece if boxed or place.boxed else _delimited(piece, text, place.end))
            return answer, answer is not None
    if kind == "text" and "\\begin" in piece:
        answer = _expression(piece)
        return answer, answer is not None
    line = markup.plain(piece.strip().rstrip("."))
    filler = _FILLER.match(line)
    # "The answer is therefore" with nothing behind it: then the filler is all there is to read.
    line = line[filler.end() :] if filler and filler.end() < len(line) else line
    if kind == "word":
        words = [word for word in line.split() if word.lower() not in _ARTICLES] or line.split()
        line = words[0] if words else ""
    answer = _tidy(line)
    return answer, answer is not None


def _unstated(text: str, every: Sequence[Statement], kind: AnswerKind, options: Sequence[str]) -> str | None:
    """What a reply that states no answer may be read as; `every`: the places of its statements."""
    if kind == "number":
        number = numbers.last_number(_undenied(text, every))
        return number.spelled if number else None
    if kind == "yes_no":
        opening = text.strip()
        own = _yes_no(_EITHER.sub(" ", _undenied(text, every))) or _elsewhere(opening)
        return own or verdict(opening) or verdict(re.split(r"[.,;:!\n]", opening, maxsplit=1)[0]) or _called(text)
    if kind == "choice":
        return _lettered(_undenied(text, every), options)
    line = text.strip()
    short = len(line) <= _LINE and "\n" not in line
    if kind == "expression":
        maths = deque(_MATHS.finditer(text), maxlen=1)
        # A short line is itself the formula, unless its formula is marked and words stand around.
        if short and line and not (maths and re.search(r"[A-Za-z]{2}", _MATHS.sub(" ", line))):
            return _expression(line)
        if maths:
            inner = next(group for group in maths[0].groups() if group)
            return _expression(inner.rpartition("=")[2])
        number = numbers.last_number(_undenied(text, every))
        return number.spelled if number else None
    if kind == "text" and short and "\\begin" in line:
        return _expression(line)
    # Of words and texts only a whole short line counts: the last word of an explanation is no answer.
    denied = short and _undenied(line, statements(line)) != line
    return _tidy(markup.plain(line)) if short and not denied and not _EMPTY.fullmatch(line) else None


_EMPTY = re.compile(r"[\s*#_]{0,8}(?:the\s)?(?:(?:final|correct)\s)?answer(?:\sis)?[\s*_:]{0,8}", re.I)


def _undenied(text: str, every: Sequence[Statement]) -> str:
    """Without what a text says its answer is not."""
    denied = [place for place in every if not place.piece]
    for place in reversed(denied):
        end = text.find("\n", place.end)
        stop = re.compile(r"[.;!?](?=\s)").search(text, place.end)
        ends = [at for at in (end, stop.start() if stop else -1) if at >= 0]
        text = text[: place.start] + text[min(ends, default=len(text)) :]
    against = deque(_DENIES.finditer(text), maxlen=8)
    for match in reversed(against):
        begin = max(text.rfind(sign, 0, match.start()) for sign in (". ", "\n", "; ")) + 1
        text = text[:begin] + text[match.end() :]
    return text


def _head(piece: str) -> str:
    """The clause that states, without what explains it."""
    end = _CLAUSE.search(piece)
    return piece[: end.start()] if end else piece


def _number(piece: str) -> tuple[str | None, bool]:
    head = _head(piece.strip())
    if re.match(r",\s?[a-zA-Z]\s?=", piece.strip()[len(head) :]):
        # Two unknowns are two numbers.
        return None, True
    if not any(digit.isdecimal() for digit in head):
        # "Answer: it is simple, 42": what comes behind the clause, if there was nothing in it.
        head = piece if len(piece) <= _LINE else head
    if not any(digit.isdecimal() for digit in head):
        return None, False
    head = _WORDED_SIGN.sub(lambda sign: f"{sign[1]}-", head)
    # Sentences of some languages go on behind their number without a space.
    head = _UNSPACED.sub("", head)
    # Of "3 + 4 = 7 apples" the 7: the first number after the last equals sign.
    before, equals, after = _EQUALS.sub("=", head).rpartition("=")
    every = numbers.numbers(after) or (numbers.numbers(before) if equals else [])
    if not every:
        return None, True
    first = every[0]
    if _bounds((after or before)[: first.start], (after or before)[first.end :]):
        return None, True
    operand = re.match(
        r"\s{0,2}(?:[*/^+]|-(?=\s)|\\sqrt|\\pi|sqrt)\s{0,2}[\\({0-9a-zA-Z]", (after or before)[first.end :]
    )
    if _COMPOUND.match((after or before), first.end):
        # Of "6 feet 2 inches" and "1 million 200 thousand" the first number alone is not what is said.
        return None, True
    if operand or "sqrt" in after or "\\pi" in after or re.match(r"\s{0,3}-?\(", after):
        number = expressions.rational(after.strip())
        return (number.spelled, True) if number else (None, True)
    return first.spelled or None, True


_WORDED_SIGN = re.compile(r"(^\s{0,3}(?:is\s|equals\s)?|=\s{0,3})(?:minus|negative)\s(?=[$\u00a3\u20ac]?[0-9])", re.I)
_UNSPACED = re.compile(r"(?<=[0-9A-Za-z)%\]])\s?[\u3040-\u309f\u3131-\u318e\uac00-\ud7a3]{1,12}[\s\S]*\Z")
_BOUND = re.compile(r"(?:\\pm|\\mp|[<>\u2260\u00b1]=?|\\(?:leq?|geq?|neq?|lt|gt)\b)\s{0,3}[$\u20ac]?\Z")
_BOUNDED = re.compile(
    r"\s{0,3}(?:\\pm|\\mp|\+/-|\u00b1|[<>]=?\s{0,3}\\?[A-Za-z]|\\(?:leq?|geq?|lt|gt)\b|i(?![A-Za-z0-9])|[a-z]\s?[-+]\s?[0-9(a-z\\]|[xyz](?![A-Za-z0-9\\])|[xyzn]\s?\^|"
    r"(?:and|&)\s[-$\u20ac]?[0-9][0-9.,]{0,20}(?:\s{0,2}(?:\Z|[.;!?])))"
)


def _bounds(before: str, after: str) -> bool:
    """Whether a number is a bound, one of two, or part of something that is no number: x > 3, 3 \u00b1 1, 2x + 1."""
    return bool(_BOUND.search(before) or _BOUNDED.match(after))


_UNIT = (
    r"(?:hours?|hrs?|h|minutes?|mins?|seconds?|secs?|days?|weeks?|months?|years?|feet|foot|ft|inch(?:es)?|pounds?|lbs?|"
    r"ounces?|oz|dollars?|cents?|kilometers?|km|met(?:er|re)s?|m|cm|kg|kilograms?|grams?|g|thousand|hundred|dozen)"
)
_COMPOUND = re.compile(
    rf"\s?{_UNIT}\b,?\s(?:and\s)?[0-9]{{1,12}}(?:\.[0-9]{{1,12}})?\s?{_UNIT}(?![A-Za-z])|\s(?:and\s)?[0-9]{{1,3}}\s(?:thousand|hundred|million)\b",
    re.I,
)


def _letter(piece: str, options: Sequence[str]) -> str | None:
    letters = choices.LETTERS if not options else "".join(map(choices.lettered, range(len(options))))
    piece = markup.plain(markup.latin(piece))
    return choices.letter_at(piece, letters) or (
        choices.letter_by_text(_tidy(piece) or "", options) if options else None
    )


_FURTHER = re.compile(
    r"(?:,|\b(?:or|and)\b|[&/;])\s{0,3}(?:or\s|and\s|option\s)?\(([A-Z])\)|[(,;&/]\s{0,3}([A-Z])(?=\s{0,3}[,;&/)])"
)


def _further(place: Statement, options: Sequence[str]) -> list[str]:
    """The other letters of a piece that names several, as "(A) or (C)" and "(A, B, C)" do."""
    letters = choices.LETTERS if not options else "".join(map(choices.lettered, range(len(options))))
    named = [
        match[1] or match[2]
        for match in _FURTHER.finditer(re.split(r"[.!?]\s|\n", markup.plain(place.piece), maxsplit=1)[0])
    ]
    return [letter for letter in named if letter in letters]


# The option that fits, by what is said behind it.
_SUITS = (
    r"(?:most|best)\s(?:\w{1,12}ly\s)?(?:suitable|appropriate|likely|plausible|accurate|"
    r"fitting|logical|reasonable|probable|suited|fit)\b"
)
_REVERSED = re.compile(
    r"(?:\b(?:option|choice|answer|statement)\s{1,2})?[(*\"']{0,3}(?<![A-Za-z])(?P<letter>[A-Z])(?![A-Za-z'\u2019])"
    r"(?:[)\]*\"':.]{1,3}[^.\n]{0,80}?)?\s(?P<is>is|would be|seems to be|appears to be|must be|as)\s"
    r"(?:(?:therefore|thus|likely|clearly|also|probably|indeed|the|a|an|our|my)\s){0,3}"
    r"(?:(?:most|best|only|single|final)\s)?(?:\w{1,20}\s)?(?:correct|right|best|answer|choice|option)\b(?!\s(?:that|which|among))"
    rf"|(?:\b(?:option|choice|answer|statement)\s{{1,2}})?[(*\"']{{0,3}}(?<![A-Za-z])(?P<suits>[A-Z])(?![A-Za-z'\u2019])"
    rf"(?:[)\]*\"':.]{{1,3}}[^.\n]{{0,80}}?)?\s(?:is|would be|seems)\s(?:therefore\s|the\s){{0,2}}{_SUITS}"
)
_PICKED = re.compile(
    r"\b(?:choose|pick|select|(?:go|going) with|opt for|vote for|settle on|answer|answer choice|true is|"
    r"[Ii]t(?:'s|\u2019s| is| must be)|left with|"
    r"leaves(?: us with)?)\s(?:(?:the\s)?(?:option|choice|answer|letter)\s)?"
    r"[(\[*\"'`]{0,3}(?P<letter>[A-Z])(?=[)\]*\"'`.,:;!?]|\s?$|\s\(|\s[-\u2013\u2014]\s)"
    # Behind these an article, a pronoun or the first of a list may stand as well.
    r"|\b(?:[Ss]o|[Tt]hus|[Hh]ence|[Tt]herefore|[Cc]onclusion|think|say|guess),?\s[(*]{0,3}(?P<meant>[A-HJ-Z])[)*]{0,3}(?=[.!]|\s?$)"
    # "故选B": in Chinese the verb alone states it.
    r"|[\u9009\u9078][\u62e9\u64c7]?[\s:\uff1a(\uff08*]{0,4}(?P<han>[A-Z])(?![A-Za-z])"
    r"|^\s{0,3}(?:=>|->|\u2192|\u21d2)\s?[(*]{0,3}(?P<led>[A-Z])[)*]{0,3}[.]?\s?$",
    re.M,
)
_LONE = re.compile(r"(?m)^[\s*_>#(\[\"'`$]*(?:\\(?:text|textbf|mathrm)\{)?\(?(?P<letter>[A-Z])(?:[)\].:}*]{1,3}|\s*$)")
_MARKED = re.compile(r"\(\s?(?P<letter>[A-Z])\s?\)|\b[Oo]ption\s\(?(?P<named>[A-Z])\b")


def _lettered(text: str, options: Sequence[str]) -> str | None:
    """The letter of a reply that states none in so many words."""
    letters = choices.LETTERS if not options else "".join(map(choices.lettered, range(len(options))))
    line = text.strip()
    if "\n" not in line and len(line) <= LONGEST and not _ASKED.search(line):
        letter = _letter(line, options)
        if letter:
            return letter
    asked = _ASKED.search(line)
    if asked and asked[1] in letters:
        return asked[1]
    picked = deque(_PICKED.finditer(text), maxlen=1)
    if picked and (letter := next(filter(None, picked[0].groups()), "")) in letters:
        return letter
    called = [match["letter"] or match["suits"] for match in deque(_REVERSED.finditer(text), maxlen=1)]
    if called and called[0] in letters:
        return called[0]
    above, _, last = line[-2 * LONGEST :].rpartition("\n")
    lone = _LONE.match(last)
    # The last line of a list of options is none.
    if lone and lone["letter"] in letters and not _ITEM.match(above.rstrip().rpartition("\n")[2]):
        return lone["letter"]
    sentence = last.rstrip()
    end = max(sentence.rfind(sign, 0, len(sentence) - 1) for sign in (". ", "! ", "? "))
    marked = {
        match["letter"] or match["named"]
        for match in _MARKED.finditer(sentence, max(end, 0))
        if not choices.REFUTED.match(sentence, match.end())
    }
    letter = marked.pop() if len(marked) == 1 and sentence[-1:] in (".", "!", "*", ")", "$") else None
    return letter if letter and letter in letters else _first_line(line, letters)


_ASKED = re.compile(r"(?:^|\n)\s{0,3}A:\s{0,3}[(*]{0,3}([A-Z])[)*.]{0,3}\Z")
"""A, as the answer of questions and answers."""
_FENCED = re.compile(r"```[a-z]{0,10}\n([^`]{1,200})```\s*\Z")
_ALONE = re.compile(r"[\s*_>#(\[\"'`$]{0,8}(?P<letter>[A-Z])(?:[)\].:*_`\"'$]{0,4}\s*$|(?=[)\].:}*]{1,3}\s))")
_ITEMS = re.compile(r"(?m)^[\s*_>-]{0,8}\(?([A-Z])[).:]")


def _first_line(text: str, letters: str) -> str | None:
    """The letter a reply opens with on a line of its own, as an answer before its explanation is written."""
    fenced = _FENCED.fullmatch(text)
    text = fenced[1].strip() if fenced else text
    first, _, rest = text.partition("\n")
    opened = _ALONE.match(first)
    if opened is None or opened["letter"] not in letters or not (rest.strip() or fenced):
        return None
    # With an option behind it, it may be the first of a list of them.
    listed = opened.end() < len(first) and any(item[1] != opened["letter"] for item in _ITEMS.finditer(rest[:4000]))
    # "I." counts a statement, and "A:" is an answer to a question.
    numeral = opened["letter"] == "I" and opened.end() < len(first)
    answered = first.lstrip()[:2] == "A:"
    return None if listed or numeral or answered else opened["letter"]


def verdict(text: str) -> str | None:
    """Of a text that is nothing else: yes or no, also as true, false, y, n and in the languages of answers."""
    word = text.strip(" \t\n.!*_\"'`()[]\u201c\u201d\u300c\u300d").lower()
    return _VERDICTS.get(word) or _elsewhere(word)


_VERDICTS = {
    **dict.fromkeys(("yes", "true", "y", "yep", "yeah"), "yes"),
    **dict.fromkeys(("no", "false", "n", "nope", "not true", "absolutely not", "of course not", "certainly not"), "no"),
}


def _called(text: str) -> str | None:
    """Whether a reply ends by calling the statement it was asked about true or false."""
    # Only where it ends: on the way there its premises may be called so too.
    sentence = re.split(r"(?<=[.!?])\s|\n", text[-LONGEST:].strip())[-1]
    called = _CALLED.search(sentence)
    if called is None or _FIRST_OF.search(called[0]):
        return None
    return "yes" if (called["said"].lower() == "true") != bool(called["not"]) else "no"


def _yes_no(text: str) -> str | None:
    """The last yes or no that stands as a statement, else the last that is no part of another phrase."""
    own = said = loose = None
    for word in _YES_NO.finditer(text):
        before, after = text[max(0, word.start() - 3) : word.start()], text[word.end() : word.end() + 12]
        answer = word[1].lower()
        ends = not after.strip(" *_\"'`") or after.lstrip(" *_\"'`")[:1] in ".,!;:\n-\u2013\u2014)"
        begins = not before.strip(" *_\"'`") or before.rstrip(" *_\"'`")[-1:] in ".!?\n:"
        if ends or (begins and _GOES_ON.match(after)):
            said = answer
            own = answer if _STATES.search(text[max(0, word.start() - 16) : word.start()]) else own
        elif answer == "yes" or begins:
            loose = answer if answer == "yes" else loose
    return own or said or loose


def _elsewhere(head: str) -> str | None:
    """A yes or no in another language, where a piece begins with it as a clause of its own."""
    word = _ELSEWHERE.match(head)
    return None if word is None else "yes" if word["yes"] else "no"


def _delimited(piece: str, text: str, at: int) -> str:
    """Of a line the mathematics it begins with, even where that goes on below the line."""
    opened = re.match(r"\s*(\$\$|\$|\\\[|\\\()", text[at : at + 20])
    if opened:
        start = at + opened.end()
        closing = {"\\[": "\\]", "\\(": "\\)"}.get(opened[1], opened[1])
        end = re.compile(rf"(?<!\\){re.escape(closing)}").search(text, start, start + LONGEST)
        if end and end.start() > start:
            return text[start : end.start()]
    inner = next(iter(_MATHS.finditer(piece)), None)
    return next(group for group in inner.groups() if group) if inner and inner.start() < 40 else piece


def _expression(piece: str) -> str | None:
    """A formula without what is around it."""
    text = piece.strip().replace("**", "" if "\\" in piece or "$" in piece else "**").strip()
    text = re.sub(r"^(?:[\s*_:`]|\\[\[(](?!\w)|\$\$?)+", "", text) if not text.startswith("\\$") else text
    text = re.sub(r"[\s*_`]+$", "", text).rstrip(" .,;")
    for closing in ("\\]", "\\)", "$$", "$"):
        text = text.removesuffix(closing).rstrip(" .,;")
    end = re.search(r"\.\s+[A-Z]", text)
    text = text[: end.start()] if end else text
    filler = _FILLER.match(text)
    text = text[filler.end() :] if filler and filler.end() < len(text) else text
    return text if 0 < len(text) <= MAX_ANSWER and normalise(text) else None


_POLITE = re.compile(r"(?<=\S)(?:\u3067\u3059|\uc785\ub2c8\ub2e4|\uc774\uc5d0\uc694)?[\u3002\uff0e.]?\Z")
"""How a sentence ends behind its answer."""


def _tidy(line: str) -> str | None:
    """Without quotes around it, a closing period and the brackets of a lone option letter."""
    line = _POLITE.sub("", line.strip()).strip(_QUOTES + " ").rstrip(". ").strip(_QUOTES + " ")
    wrapped = _WRAPPED.fullmatch(line)
    # The brackets of a tuple are part of it.
    line = wrapped[1].strip() if wrapped and "," not in line else line
    return line if 0 < len(line) <= MAX_ANSWER else None
