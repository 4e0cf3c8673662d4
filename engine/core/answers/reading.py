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
from dataclasses import replace

from engine.core.answers import bounds, choices, expressions, markup, numbers, picks, removed, verdicts, words
from engine.core.answers.patterns import late
from engine.core.answers.spelling import MAX_ANSWER, normalise, nothing_said, tidy, unpolite
from engine.core.answers.statements import LONGEST, Statement, first_box, statements
from engine.core.records import AnswerKind, Which

# Characters of a line that is an answer by itself, and of one behind a word such as "result".
_LINE, _SHORT = 60, 40
# Words of a text that explanations follow, in a reply that states none.
_FEW = 4

_FILLER = late(
    r"(?:(?:therefore|thus|then|hence|simply|just|equal to|is|option|choice|given by|roughly|about)\b[\s,:]{0,3}|"
    r"(?-i:it is)\s)+",
    re.I,
)
# A statement that there is none.
_UNKNOWN = late(
    r"[\s*_\"'`\u201c(\[$]{0,6}(?:(?:it|this|that|the\s\w{1,20})\s)?(?:is\s)?(?:unknown|undefined|undetermined|indeterminate|"
    r"unclear|none\b|n/a\b|insufficient|no (?:answer|solution)|"
    r"not (?:known|given|defined|possible|enough (?:information|data))|"
    r"(?:can\s?not|can['\u2019]t|could not)\sbe\s(?:determined|known|computed|calculated|found)|"
    r"(?:does not|doesn['\u2019]t) exist|I (?:do not|don['\u2019]t|cannot|can['\u2019]t) \w+)",
    re.I,
)
# Where the clause that states a number ends: what follows explains it.
_CLAUSE = late(
    r"[.!?;](?=\s|$)(?!\s?[0-9]{1,9}+(?:[.,][0-9]{1,9}+)?+(?!\s?[a-zA-Z*/+=-]))|,\s(?=[A-Za-z])|\n|\s\((?=[a-zA-Z=])|"
    r"\s(?:because|since|as|so|but|not|which|check|rather than|instead of)\b",
    re.I,
)
_EQUALS = late(r"\b(?:equals|equal to|gives)\b", re.I)
# "It is not 41", "41 is wrong".
_NOT_THAT = late(
    r"\b(?:not|cannot be|can['\u2019]t be|isn['\u2019]t|never)\s[($*]{0,3}"
    r"(?:-?[0-9][0-9.,/]{0,20}(?<![.,])%?|[A-J](?=[).,;!?*\s]))[)*]{0,3}(?![A-Za-z0-9])|"
    r"(?<![\w.,-])-?[$]?[0-9][0-9.,/]{0,20}\s(?:is|was)\s(?:(?:also|clearly|definitely)\s)?"
    r"(?:wrong|incorrect|not (?:correct|right|true))\b",
    re.I,
)
_DENIES = late(r"\bnot\s(?:the|an?|our|my|your)\s(?:\w{1,20}\s){0,2}(?:answer|solution|result)\b", re.I)
_MATHS = late(
    r"\$\$([^$]{1,400})\$\$|(?<!\\)\$((?:\\.|[^$\n\\]){1,400})\$|\\\[(.{1,400}?)\\\]|\\\((.{1,400}?)\\\)", re.S
)
_ARTICLES = frozenset({"a", "an", "the"})
_BRACKETED = late(r"\[\[[^\[\]0-9-]{0,20}([0-9][0-9,]{0,11})(?:\.0{1,4})?(?:\s[^\[\]0-9]{0,30})?\]\]")
_BULLET = late(r"^\s*(?:[-*\u2022]+|\(?\d{1,3}[.):]+|[Qq]\d{0,2}[:.])\s*")


def extract(text: str, kind: AnswerKind, *, statement: Which = "last", options: Sequence[str] = ()) -> str | None:
    """The answer a completion gives, or None when it gives none.

    `statement` says which of several stated answers counts, `options` are the texts of a choice's options in order."""
    if removed.is_note(text):
        return removed.kept(text)
    text = _shown(text, kind, options)
    every = statements(text)
    stated = _stated(text, every, kind, options)
    if not stated:
        return _unstated(text, every, kind, options)
    place, answer = stated[0 if statement == "first" else -1]
    if statement == "last" and _WITHDRAWN.match(text, place.end):
        taken_back = [replace(each, piece="") if each.end == place.end else each for each in every]
        return _unstated(text, taken_back, kind, options)
    if statement != "last" or not answer:
        return answer
    if kind in ("word", "text"):
        return _mended(text[place.end : place.end + LONGEST]) or answer
    return answer if kind != "choice" else picks.last_named(place, options) or answer


def _mended(text: str) -> str | None:
    """The short text that a correction puts in place of the one before it: "Paris. Wait, no, London."."""
    said = deque(_MENDS.finditer(text), maxlen=1)
    return tidy(markup.plain(said[0]["said"])) if said else None


_MENDS = late(
    r"(?:[.!?;,\u2026\n]|\s[-\u2013\u2014])[\s*_.\u2026-]{0,6}"
    r"(?:(?:(?:wait|no|hmm+|oops|correction|sorry|edit|(?:let me|i) correct (?:that|this|myself)|my mistake|"
    r"i was wrong|actually|"
    r"scratch that|that(?:['\u2019]s|\sis|\swas) (?:wrong|not right|"
    r"incorrect))(?:\s?[,.:!\u2026\u2014-]{1,3}\s{1,2}|\n)|"
    r"(?:actually|i mean|make that|wait,? no|no,? wait)[,:]?\s){1,4}"
    r"(?:(?:it|this|that)(?:['\u2019]s|\sis|\sshould be|\smust be)\s(?:actually\s)?|the answer is\s)?)"
    r"(?!(?:yes|not?[.,]?|really|correct|right|doubt|questions?|problem|other|one|thanks?|let|that|this|it|i|we|is|wait|need|way|"
    r"for|so|there|actually|sorry|hmm|oops|the answer)\b)"
    r"(?P<said>(?:(?!(?:is|was|are|were|has|does|because)\b)[^\s.!?,;:]{1,30}(?:\s|(?=[.!]|\s?\Z|[*_]|\n))){1,4})"
    r"(?:(?<=\n)|(?=[.!][*_\s]|[.!]?[*_\"']{0,4}(?:\n|\Z)))",
    re.I,
)
_WITHDRAWN = late(
    r"(?:[^\n.!?]|\.(?=[0-9])){1,80}[.!?\u2026]{1,3}\s{1,2}(?:(?:wait|no|hmm|oops|sorry|actually|but)[\s,.!\u2026-]{1,4}){0,3}"
    r"(?:that|this|it)(?:['\u2019]s|\sis|\swas)\s(?:wrong|incorrect|not (?:right|correct))\b",
    re.I,
)
"""What takes back the statement before it."""


def stated(text: str, kind: AnswerKind, options: Sequence[str] = ()) -> tuple[str, ...]:
    """The different answers that a completion states, in order; empty where it states none."""
    every: dict[str, None] = {}
    text = _shown(text, kind, options)
    for place, answer in _stated(text, statements(text), kind, options):
        if answer:
            every[answer] = None
            every.update(dict.fromkeys(picks.further(place, options) if kind == "choice" else ()))
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


def _shown(text: str, kind: AnswerKind, options: Sequence[str] = ()) -> str:
    """What of a reply is read; in a formula the looks of a letter may be its meaning."""
    text = markup.visible(text)
    if kind == "expression":
        return text
    text = markup.unstyled(text)
    text = choices.latin(text, options) if kind == "choice" else text
    return markup.unpaired(text) if kind in ("choice", "yes_no") else text


def _stated(
    text: str, every: Sequence[Statement], kind: AnswerKind, options: Sequence[str]
) -> list[tuple[Statement, str | None]]:
    """Of the places of a text those where answers are stated, and which; None: digits that are no number."""
    read: list[tuple[Statement, str | None]] = []
    loose: list[tuple[Statement, str | None]] = []
    for place in every:
        if place.denied and (denied := _denied(place, kind, options)):
            read.append((place, denied[0]))
        if place.corrects and kind in ("word", "text") and re.match(r"\W{0,4}(?:yes|no)\b\W", f"{place.piece} ", re.I):
            # "Actually, yes." says nothing else of "Paris.".
            continue
        if not place.piece or (place.noun and kind != "choice" and not _heads(place, text)):
            continue
        if kind == "choice" and picks.lists(place, text, options):
            continue
        answer, says = _read(place, text, kind, options)
        if answer or says or (kind not in ("word", "text") and not place.noun and _UNKNOWN.match(place.piece)):
            (loose if place.noun else read).append((place, answer))
    return read or loose


def _denied(place: Statement, kind: AnswerKind, options: Sequence[str]) -> tuple[str | None] | None:
    """What the words of a denial say, where they are an answer: "not enough information", "not guilty", "not true".

    A tuple of None: that there is no answer. None: they deny one."""
    said = tidy(markup.plain(_TEXT_ENDS.split(markup.unstyled(place.denied), maxsplit=1)[0]))
    if said is None:
        return None
    if kind == "choice" and options and (letter := choices.letter_by_text(said, options)):
        return (letter,)
    if kind == "yes_no" and (word := verdicts.verdict(said)):
        return (word,)
    nothing = nothing_said(said) is not None
    if kind == "text" or (kind in ("word", "expression") and nothing):
        return (said,) if place.labelled or nothing else None
    return (None,) if kind in ("number", "choice") and _UNKNOWN.match(said) else None


def _heads(place: Statement, text: str) -> bool:
    """Whether a noun such as "result" heads a line that is nothing but a short answer."""
    above = text[max(0, place.start - 20) : place.start].rpartition("\n")[2]
    sign = re.fullmatch(r"\w{1,20}[\s*_]{0,4}[:=\uff1a][\s*_$]{0,6}", text[place.start : place.end])
    return bool(sign and not above.strip(" \t#*_>-") and len(place.piece) <= _SHORT)


def _read(place: Statement, text: str, kind: AnswerKind, options: Sequence[str]) -> tuple[str | None, bool]:
    """The answer in a piece of text that is known to hold one, and whether the piece says something at all."""
    piece = place.piece
    boxed = None if place.boxed else first_box(piece)
    # "The answer is \boxed{5} apples": what is in the box.
    piece = boxed.piece if boxed and "\\boxed" in piece[: boxed.end] else piece
    match kind:
        case "number":
            return _number(markup.plain(markup.latin(piece)))
        case "choice":
            letter = picks.letter_of_piece(piece, options)
            if letter is None and boxed:
                # A formula in the box, and the letter behind it.
                marked = picks.MARKED.search(place.piece, boxed.end + len(boxed.piece))
                letter = (marked["letter"] or marked["named"]) if marked else None
            return letter, letter is not None
        case "yes_no":
            head = verdicts.EITHER.sub(" ", _head(markup.plain(piece)))
            word = verdicts.YES_NO.search(head) or verdicts.TRUE_FALSE.search(head)
            said = verdicts.verdict(head) or (verdicts.verdict(word[1]) if word else None) or verdicts.elsewhere(head)
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
        every = [word for word in line.split() if any(map(str.isalnum, word))]
        words = [word for word in every if word.lower() not in _ARTICLES] or every
        line = words[0] if words else ""
    exact = place.boxed or text[place.start : place.start + 1] == "<" or text[place.start - 1 : place.start] == '"'
    answer = tidy(line if kind == "word" or exact else _stated_text(line))
    return answer, answer is not None


def _unstated(text: str, every: Sequence[Statement], kind: AnswerKind, options: Sequence[str]) -> str | None:
    """What a reply that states no answer may be read as; `every`: the places of its statements."""
    asked = _ASKED.search(text) if kind != "choice" else None
    if asked:
        return _read(Statement(asked.start(), asked.start("said"), asked["said"]), text, kind, options)[0]
    fenced = _FENCED.fullmatch(text)
    text = fenced[1] if fenced else text
    if kind in ("number", "expression") and (denial := _no_answer(text)):
        return "no solution" if kind == "expression" and "solution" in denial.lower() else None
    if kind == "number":
        # In words only where they stand alone, as a line of their own at the end.
        last = text.rstrip().rpartition("\n")[2].strip() if len(text) else ""
        line = markup.plain(markup.latin(last)) if len(last) <= 2 * _LINE else ""
        labelled = _LABELLED.fullmatch(line)
        digits = words.whole(line) or (words.alone(labelled["said"] or labelled["is"]) if labelled else None)
        if digits:
            return _number(digits)[0]
        if line and last == text.strip() and _ARITHMETIC.fullmatch(line):
            # Left open, it answers nothing: it may be the question said again.
            number = numbers.single(line)
            return number.spelled if number else None
        every_number = numbers.numbers(line)
        if len(every_number) == 1 and bounds.alone(line[: every_number[0].start], line[every_number[0].end :]):
            return None
        number = numbers.last_number(_undenied(text, every))
        return number.spelled if number else None
    if kind == "yes_no":
        opening = text.strip()
        own = verdicts.last_said(verdicts.EITHER.sub(" ", _undenied(text, every))) or verdicts.elsewhere(opening)
        return (
            own
            or verdicts.verdict(opening)
            or verdicts.verdict(re.split(r"[.,;:!\n](?![0-9])", opening, maxsplit=1)[0])
            or verdicts.verdict(opening.rpartition("\n")[2])
            or verdicts.judged(opening)
            or verdicts.called(text)
        )
    if kind == "choice":
        return picks.unstated(_undenied(text, every), options)
    line = text.strip()
    short = len(line) <= _LINE and "\n" not in line
    denied = short and any(not place.piece for place in every) and _undenied(line, statements(line)) != line
    if kind == "expression":
        if denied or (short and _UNKNOWN.match(line)):
            return None
        maths = deque(_MATHS.finditer(text), maxlen=1)
        # A short line is itself the formula, unless its formula is marked and words stand around.
        if short and line and not (maths and re.search(r"[A-Za-z]{2}", _MATHS.sub(" ", line))):
            return _expression(_SUBJECT.sub("", line))
        if maths:
            return _expression(_concluded(text, maths[0]))
        number = numbers.last_number(_undenied(text, every))
        return number.spelled if number else None
    if kind == "text" and short and "\\begin" in line:
        return _expression(line)
    if short and (mended := _mended(line)):
        return mended
    # Of words and texts only a whole short line counts: the last word of an explanation is no answer.
    # "1. Paris" counts a point.
    said = markup.plain(line)
    said = said if said[:1].isdecimal() else _stated_text(said, _FEW)
    return tidy(said) if short and not denied and not _EMPTY.fullmatch(line) else None


# Where what explains a text begins: "Paris, because it is", "Paris rather than London".
_TEXT_ENDS = late(
    r"(?<=\S)(?:,?\s(?:because|rather\sthan|instead\sof)\b|,\s(?:since|as|which|so)\s|,\s(?:and\s)?not\s)|"
    r"[.!?](?=\s+[\"\u201c(]?[A-Z])",
)
_ABBREVIATED = late(
    r"(?:\b(?:mrs?|ms|dr|st|jr|sr|prof|rev|hon|gen|col|capt|lt|sgt|gov|sen|rep|inc|ltd|co|corp|dept|univ|est|fig|no|"
    r"vol|vs|etc|e\.?g|i\.?e|cf|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|ave|blvd|rd|mt|ft|ph\.?d|approx|[a-z])|"
    r"\.[a-z])\Z",
    re.I,
)


def _stated_text(line: str, most: int = _LINE) -> str:
    """A text of at most so many words without the sentence or the clause that explains it."""
    for end in _TEXT_ENDS.finditer(line[: 2 * _LINE]):
        said = line[: end.start()]
        if end[0] not in (".", "!", "?") or not _ABBREVIATED.search(said):
            return said if len(said) <= _LINE and len(said.split()) <= most and tidy(said) else line
    return line


_ARITHMETIC = late(r"[-+(]{0,3}[0-9.,]{1,40}(?:\s?[-+*/^]{1,2}\s?[-+(]{0,3}[0-9.,]{1,40}\)?){1,20}\s?=?")
# "A: Paris", as the answer of questions and answers.
_ASKED = late(r"(?:\A|(?:\A|\n)[ \t]{0,3}Q:[^\n]{1,400}\n)\s{0,3}A:[ \t]{1,3}(?P<said>[^\n]{1,400})\s*\Z")
_FENCED = late(r"\s{0,8}```[a-z]{0,10}\n([^`\n]{1,200})\n?```\s*\Z")
_EMPTY = late(r"[\s*#_]{0,8}(?:the\s)?(?:(?:final|correct)\s)?answer(?:\sis)?[\s*_:]{0,8}", re.I)


def _undenied(text: str, every: Sequence[Statement]) -> str:
    """Without what a text says its answer is not."""
    denied = [place for place in every if not place.piece]
    for place in reversed(denied):
        end = text.find("\n", place.end)
        stop = re.compile(r"[.;!?](?=\s)").search(text, place.end)
        ends = [at for at in (end, stop.start() if stop else -1) if at >= 0]
        text = text[: place.start] + text[min(ends, default=len(text)) :]
    text = _NOT_THAT.sub(" ", text)
    against = deque(_DENIES.finditer(text), maxlen=8)
    for match in reversed(against):
        begin = max(text.rfind(sign, 0, match.start()) for sign in (". ", "\n", "; ")) + 1
        text = text[:begin] + text[match.end() :]
    return text


# "Total: seven", "Sum = twelve", "Ergebnis: sieben": a label and a number in words.
_LABELLED = late(
    r"(?!(?:first|second|third|then|next|step|note|hint|point|part|question|q)\b)"
    r"(?:[^\W\d_]{1,20},?\s){0,4}[^\W\d_]{1,20}\s{0,2}[:=]\s{0,3}(?P<said>[^:=\d]{1,60})|"
    r"(?:so\s|thus\s|hence\s)?(?:the\s)?(?:\w{1,12}\s){0,2}(?:total|sum|result|count|number|product|difference|amount)"
    r"(?:\s\w{1,20}){0,4}\s(?:is|comes to|equals)\s(?P<is>[^:=\d]{2,60})",
    re.I,
)
# Said outright, in the first or the last sentence of a reply.
_NO_ANSWER = late(
    r"\W{0,4}(?:(?:so|thus|therefore|hence|however|unfortunately|sorry|but|since|as),?\s){0,2}(?:"
    r"there(?:['\u2019]s|\s(?:is|are|exists?))\s(?:no|not an?)\s(?:(?:single|unique|correct|right|valid|definite|"
    r"definitive|"
    r"real|possible|such|clear|numerical|numeric|direct)\s){0,2}(?:answers?|solutions?)(?!\sin|\sof|\s(?:with|where|between|less|other|"
    r"greater|but|except|yet|until|key)\b)|"
    r"(?:the|this|that|our)\s(?:\w{1,12}\s)?(?:problem|question|equation|system|inequality)\s(?:has|have)\sno\s(?:\w{1,12}\s)?"
    r"(?:answers?|solutions?)(?!\sin\b)|"
    r"(?:(?:it|this|that|the\s(?:\w{1,12}\s)?(?:answer|question|problem|number|value|result|total))\s(?:can\s?not|"
    r"can['\u2019]t|could not)\sbe\s"
    r"(?:determined|answered|solved|known)|"
    r"(?:it is|it['\u2019]s|this is)\s(?:impossible|not possible)\sto\s(?:determine|say|tell|know|answer|solve)|"
    r"(?:I|we|you|one)\s(?:can\s?not|can['\u2019]t|am unable to|are unable to)\s(?:determine|answer|solve|provide|"
    r"give)\s(?:it\b|this\b|that\b|"
    r"an?\s\w{0,12}\s?answer|the\s(?:\w{1,12}\s)?(?:answer|question|problem|number|total)|how many|how much)|"
    r"there(?:['\u2019]s|\sis(?:n['\u2019]t)?)\s(?:not\s|no\s)?(?:enough|insufficient)\s(?:information|info|data))"
    r"(?![^.!?\n]{0,40}\b(?:directly|yet|exactly|unless|until|alone|without (?:first|more steps))\b))",
    re.I,
)
_CONCLUDING = late(
    r"\b(?:so|thus|therefore|hence|in total|altogether)\b[^.!?\n]{0,200}[0-9]|"
    r"\n\s{0,4}[*_]{0,3}(?:A|final|total|sum|result)\s?[:=][^\n]{0,200}[0-9]",
    re.I,
)


def _no_answer(text: str) -> str | None:
    """The sentence by which a reply says outright that there is no answer; None: it does not, or it gives one."""
    text = text.strip()
    first = re.split(r"(?<=[.!?])\s|\n", text[:LONGEST], maxsplit=1)[0]
    if _NO_ANSWER.match(first):
        return None if _CONCLUDING.search(text[len(first) :][-LONGEST:]) else first
    last = re.split(r"(?<=[.!?])\s|\n", text[-LONGEST:])[-1]
    return last if _NO_ANSWER.match(last) else None


def _head(piece: str) -> str:
    """The clause that states, without what explains it."""
    end = _CLAUSE.search(piece)
    return piece[: end.start()] if end else piece


def _number(piece: str) -> tuple[str | None, bool]:
    wrapped = _BRACKETS.match(unpolite(piece))
    piece = words.in_digits((wrapped[1] or wrapped[2]) if wrapped else unpolite(piece))
    head = _head(piece)
    if _UNKNOWNS.search(piece[: len(head) + 8]):
        # Two unknowns are two numbers.
        return None, True
    if not any(digit.isdecimal() for digit in head):
        # "Answer: it is simple, 42": what comes behind the clause, if there was nothing in it.
        head = piece if len(piece) <= _LINE else head
    if not any(digit.isdecimal() for digit in head):
        return None, False
    clause = head
    head = _WORDED_SIGN.sub(lambda sign: f"{sign[1]}-", head)
    # Sentences of some languages go on behind their number without a space.
    ended = _UNSPACED.search(head)
    behind = (head[ended.start() :] if ended else "") + piece[len(clause) :]
    head = head[: ended.start()] if ended else head
    # Of "3 + 4 = 7 apples" the 7: the first number after the last equals sign.
    *before_it, after = _EQUALITY.split(_EQUALS.sub("=", head))
    before, equals = "=".join(before_it), bool(before_it)
    every = numbers.numbers(after) or (numbers.numbers(before) if equals else [])
    if not every:
        return None, True
    first = every[0]
    if bounds.bounds((after or before)[: first.start], (after or before)[first.end :] + behind):
        return None, True
    operand = re.match(
        r"\s{0,2}(?:[*/^+]|-(?=\s{1,2}(?![A-Za-z]{2}))|\\sqrt|\\pi|sqrt)\s{0,2}[\\({0-9a-zA-Z]",
        (after or before)[first.end :],
    )
    if _COMPOUND.match((after or before), first.end):
        # Of "6 feet 2 inches" and "1 million 200 thousand" the first number alone is not what is said.
        return None, True
    if operand or "sqrt" in after or "\\pi" in after or re.match(r"\s{0,3}-?\(", after):
        number = expressions.rational(after.strip())
        return (number.spelled, True) if number else (None, True)
    return first.spelled or None, True


_BRACKETS = late(r"[\s*_\"'`]{0,4}(?:\(([^()]{1,60})\)|\[([^][]{1,60})\])[\s*_\"'`.]{0,4}\Z")
_WORDED_SIGN = late(r"(^\s{0,3}(?:is\s|equals\s)?|=\s{0,3})(?:minus|negative)\s(?=[$\u00a3\u20ac]?[0-9])", re.I)
_UNKNOWNS = late(r"[0-9]\s?(?:,|;|\sor|\sand)\s?[a-zA-Z]\s?=")
_EQUALITY = late(r"(?<![<>!=])=(?!=)")
_GOES_ON = "\u3068|\u3084|\u304b|\u307e\u305f\u306f|\u304b\u3089|\ub610\ub294|\uc640|\uacfc|\uc5d0\uc11c|\ubd80\ud130"
_UNSPACED = late(
    rf"(?<=[0-9A-Za-z)%\]])(?!\s?(?:{_GOES_ON})\s?[0-9])\s?[\u3040-\u309f\u3131-\u318e\uac00-\ud7a3]{{1,12}}[\s\S]*\Z"
)
_UNIT = (
    r"(?:hours?|hrs?|h|minutes?|mins?|seconds?|secs?|days?|weeks?|months?|years?|feet|foot|ft|inch(?:es)?|pounds?|lbs?|"
    r"ounces?|oz|dollars?|cents?|kilometers?|km|met(?:er|re)s?|m|cm|kg|kilograms?|grams?|g|thousand|hundred|dozen)"
)
_COMPOUND = late(
    rf"\s?{_UNIT}\b,?\s(?:and\s)?[0-9]{{1,12}}(?:\.[0-9]{{1,12}})?\s?(?:{_UNIT}|in(?=[\s.]{{0,3}}\Z))(?![A-Za-z])|\s(?:and\s)?[0-9]{{1,3}}\s(?:thousand|hundred|million)\b",
    re.I,
)


def _delimited(piece: str, text: str, at: int) -> str:
    """Of a line the mathematics it begins with, even where that goes on below the line."""
    opened = re.match(r"\s*(\$\$|\$|\\\[|\\\()", text[at : at + 20])
    if opened:
        start = at + opened.end()
        closing = {"\\[": "\\]", "\\(": "\\)"}.get(opened[1], opened[1])
        end = re.compile(rf"(?<!\\){re.escape(closing)}").search(text, start, start + LONGEST)
        if end and end.start() > start:
            said, behind = text[start : end.start()], text[end.end() : end.end() + LONGEST]
            other = _OR_MATHS.match(behind)
            while other and _apart(said, other):
                said, behind = (
                    rf"{said} \text{{ {other['or']} }} {other['said'] or other['paren']}",
                    behind[other.end() :],
                )
                other = _OR_MATHS.match(behind)
            return said
    inner = next(iter(_MATHS.finditer(piece)), None)
    return next(group for group in inner.groups() if group) if inner and inner.start() < 40 else piece


# "$x < -1$ or $x > 3$" is one answer.
_OR_MATHS = late(
    r"\s?,?\s(?P<or>or|and)\s(?:\$(?P<said>[^$\n]{1,200})\$|\\\((?P<paren>[^\n]{1,200}?)\\\))(?=\s?(?:[.,;!]|\Z|\n|or\b|and\b))"
)


def _apart(said: str, other: re.Match[str]) -> bool:
    """Whether the formula behind an "or" is another one, and not the one before it said again."""
    return not expressions.equal(said, other["said"] or other["paren"])


def _concluded(text: str, last: re.Match[str]) -> str:
    """The formula that the last mathematics of a text comes to: what follows its last equals sign, or all of it."""
    inner = next(group for group in last.groups() if group)
    before = text[max(0, last.start() - LONGEST) : last.start()]
    joined = _MATHS_OR.search(before)
    if joined and not expressions.equal(joined["said"] or joined["paren"], inner):
        return rf"{joined['said'] or joined['paren']} \text{{ {joined['or']} }} {inner}"
    several = re.search(r"=.*(?:\\text\s?\{\s?(?:or|and)\s?\}|\b(?:or|and)\b).*=", inner, re.S)
    # "2x + 3y = 6" is an equation, and not the value of its left side.
    return inner if several or _EQUATION.fullmatch(inner.strip()) else inner.rpartition("=")[2]


# "Therefore, the solution set is".
_SUBJECT = late(
    r"\A(?:(?:therefore|so|thus|hence),?\s)?(?:the|its|our)\s(?:[a-z]{1,12}\s){1,4}(?:is|are|equals)\s(?=\S)", re.I
)
_EQUATION = late(r"[^=]{0,80}(?:[xyz][^=A-Za-z\\]{0,20}[-+][^=]{0,40}[xyz]|[xyz]\^)[^=]{0,80}=[^=]{1,40}")
_MATHS_OR = late(r"(?:\$(?P<said>[^$\n]{1,200})\$|\\\((?P<paren>[^\n]{1,200}?)\\\))\s?,?\s(?P<or>or|and)\s\Z")

_QUOTED = late(r"[\"\u201c]([^\"\u201c\u201d]{1,400})[\"\u201d]\.?")


def _expression(piece: str) -> str | None:
    """A formula without what is around it."""
    text = unpolite(piece).replace("**", "" if "\\" in piece or "$" in piece else "**").strip()
    quoted = _QUOTED.fullmatch(text)
    text = quoted[1] if quoted else text
    for opening, closing in (("\\[", "\\]"), ("\\(", "\\)")):
        if text.startswith(opening) and text.rstrip(" .").endswith(closing) and text.count(opening) == 1:
            text = text[2:].strip()
    text = re.sub(r"^(?:[\s*_:`]|\\[\[(](?!\w)|\$\$?)+", "", text) if not text.startswith("\\$") else text
    text = re.sub(r"[\s*_`.,;]+$", "", text)
    for closing in ("\\]", "\\)", "$$", "$"):
        text = text.removesuffix(closing).rstrip(" .,;")
    end = re.search(r"\.\s+[A-Z]|,?\s(?:because|since)\s", text)
    text = text[: end.start()] if end else text
    filler = _FILLER.match(text)
    text = text[filler.end() :] if filler and filler.end() < len(text) else text
    # The other half of what a label began with.
    while text[:1] == "}" or (text[-1:] == "}" and text[-2:] != "\\}" and text.count("}") > text.count("{")):
        text = (text[1:] if text[0] == "}" else text[:-1]).strip(" *_:")
    return text if 0 < len(text) <= MAX_ANSWER and normalise(text) else None
