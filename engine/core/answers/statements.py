"""Where a reply states an answer: boxes, "the answer is", "#### 18", "Answer: x" in the languages models reply in.

Finds places, and leaves it to the reader of each kind what stands there. One pass over the text, whatever is in it.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from engine.core.answers import words
from engine.core.answers.patterns import late
from engine.core.answers.spelling import MAX_ANSWER

LONGEST = MAX_ANSWER
"""Characters of a piece that is read behind a marker or in a box."""
_MOST = 128
_T = TypeVar("_T")

# "Answer" in the languages that models reply in.
_WORDS = (
    "answers?|ans|antwort|lösung|ergebnis|réponse|reponse|respuesta|solución|risposta|resposta|antwoord|odpowiedź|"
    "odpowiedz|ответ|відповідь|cevap|cevabı|yanıt|yanıtı|svar|svaret|odpověď|jawaban|jawabannya|vastaus|válasz|"
    "răspuns|răspunsul|απάντηση|đáp án|câu trả lời|उत्तर|जवाब|الإجابة|الاجابة|إجابة|الجواب|جواب|پاسخ|ה?תשובה|"
    "jibu|jawapan"
)
_UNSPACED = r"答案|正解|答え|解答|回答|答(?=\s{0,2}[:：])|정답|답변|답(?=[은이:：\s])|คำตอบ|উত্তর|জবাব|సమాధానం|జవాబు"
# Nouns that name an answer where options are.
_NOUNS = (
    "options?|choices?|alternatives?|statements?|responses?|letter|conclusion|solution|result|picks?|selection|guess|verdict|"
    "opción|opcion|opzione|opção|optie|alternativa|lettre|letra|lettera|buchstabe|wariant|вариант|seçenek|विकल्प"
)
_PLURAL = frozenset(("options", "choices", "alternatives", "statements", "responses"))
_HAN_NOUNS = "选项|選項|選択肢"
_CERTAIN = ("option", "choice", "alternative", "letter", "response")
_RIGHT = late(r"\b(?:correct|right|final)\s\Z", re.I)
_NOT = late(
    r"[^.:;!?\n]{0,60}?\b(?:is|are|was|would|should|will|can|could|does|do|must|may|might)(?:\s{0,3}not\b|n['\u2019]t\b|\s+never\b|not\b|(?<=can)['\u2019]t\b)"
    r"(?:\s(?:be|equal|have to be))?|[^.:;!?\n]{0,40}?\bisn['\u2019]t\b",
    re.I,
)
_BETWEEN = r"(?P<between>[\s*_\"'`)\]}(]{0,8}(?:[^.:;=!?\n\uff1a\u3002]{0,90}?))"
# "The answer to the question "Is it so?" is no": what is quoted is the question.
_QUOTED = late(
    r"\s(?:to|for|of)\s[^\"\u201c\u201d.:\n]{0,40}(?:\"[^\"\n]{1,300}\"|\u201c[^\u201c\u201d\n]{1,300}\u201d)(?=[\s,])"
)
_SIGNS = (
    r"[*_\"'`)\s]{0,4}(?::|\uff1a)[*_]{0,3}(?:\s*[=])?|->|=+>|=|\u2192|(?<=\s)[-\u2013\u2014]{1,2}(?=\s)|"
    "\u3011|\u662f|\u4e3a|\u70ba|\u9009|\u9078|\u306f|\u304c|\uc740|\ub294|\u0e04\u0e37\u0e2d"
)
_BE = (
    r"\b(?:is|are)\b|(?<![A-Za-z])['\u2019]s\b(?=[\s:])|"
    r"\b(?:would|should|must|will|has to|seems to|appears to|ought to) (?:therefore |thus |then )?be\b|"
    r"\b(?:equals|(?:turns|works|comes) out (?:to be|to)|comes to|amounts to|evaluates to|happens to be)\b"
)
_COPULAS = (
    "ist|lautet|betr\u00e4gt|est|es|\u00e9|\u00e8|is|jest|to|\u00e4r|er|je|adalah|on|este|\u03b5\u03af\u03bd\u03b1\u03b9|l\u00e0|"
    "\u0939\u0948|ni|হল|হলো|\u0647\u064a|\u0647\u0648|\u044d\u0442\u043e|\u05d4\u05d9\u05d0|\u05d4\u05d5\u05d0"
)
_IS = late(rf"{_BETWEEN}(?P<is>(?:{_BE})(?:\s*[:=])?|{_SIGNS})", re.I)
# Where the verb comes last, or is left out: "Cevap B", "उत्तर 42 है".
_BESIDE = (
    r"(?<=[\s*_\"'`(\[])"
    r"(?=[\s*_\"'`(\[]{0,4}(?:[A-J\uff21-\uff2a](?![A-Za-z0-9'])|[-\u2212$\u20ac\u00a3]?\s?\d|\$|(?:yes|no)\b))"
)
_FOREIGN_IS = late(rf"{_BETWEEN}(?P<is>\b(?:{_COPULAS})\b(?:\s*[:=])?|{_SIGNS}|{_BESIDE})", re.I)
_NOUN_IS = late(rf"{_BETWEEN}(?P<is>\b(?:ist|est|es|é|è|jest|to|är|adalah|este|is)\b|{_SIGNS})", re.I)
# "Also ist die Antwort 42": the verb stands before it.
_INVERTED = late(r"\b(?:ist|lautet|is|jest|\u00e4r|er)\s(?:(?:die|das|der|het|de)\s)?(?:\w{1,20}\s)?\Z", re.I)
_LEAD = late(r"(?:[\s*_:`\uff1a]|(?<=\n)>|\\[\[(](?!\w)|\$\$(?=\s)){0,40}")
# Before the marker: a verb ("to answer this"), a doubt ("if the answer is"), the wrong one.
_VERB = late(r"\b(?:to|can|cannot|could|should|must|we|you|i|ll|will|would|not|and|please)\s{1,3}\Z", re.I)
_DOUBTED = late(
    r"\b(?:if|whether|unless|suppose|supposing|assuming|assume|imagine)\s(?:that\s)?"
    r"(?:(?:the|an?|my|our|your|their|this)\s)?(?:\w{1,20}\s){0,2}\Z",
    re.I,
)
_DENIAL = late(r"[\s*_:]{0,8}(?P<said>(?:not|never|neither|anything but)\s)", re.I)
# Of "is not", "is never", "cannot be": from where the words of the denial themselves begin.
_DENYING = late(r"(?:\bnot|\bnever|\bcan\s?not|\b\w{1,8}n['\u2019]t)\b(?:\s(?:be|equal|have to be))?\Z", re.I)
# "To find the answer, we need to see what is ..."
_CLAUSE = late(r",\s(?:it|we|you|i|let|this|that|there|first|one|they)\b", re.I)
_OTHER = late(
    r"\b(?:incorrect|wrong|worst|other|another|previous|false|no|eliminated|remaining|these|those|following)\s(?:\w+\s)?\Z",
    re.I,
)
# Some lose the backslash.
_BRACES = late(r"\\[{}]|\\(?:boxed|fbox|framebox)\s{0,4}\{|(?<![A-Za-z\\])boxed\{|[{}]")
_BARE_BOX = late(r"\\boxed\s{1,3}([0-9A-Za-z]{1,40})")


@dataclass(frozen=True, slots=True)
class Statement:
    """A place where an answer is stated."""

    start: int
    """Where its marker begins."""
    end: int
    """Where the piece begins."""
    piece: str
    """What is read: of a box all of it, else the line behind the marker; empty: what is denied."""
    boxed: bool = False
    noun: bool = False
    """Behind a word such as "option", which names an answer only for want of a plainer word."""
    denied: str = ""
    """Of a denial its words, such as "not enough information", which may be a label as well."""
    labelled: bool = False
    """Whether the denied words stand behind a colon, in a box or in a tag, as a label does."""
    corrects: bool = False
    """Whether it says what is so instead of what was said before."""


def statements(text: str) -> list[Statement]:
    """The first and the last of the places where an answer is stated or denied, in the order of the text."""
    found = [*_marked(text, _some(_MARKER.finditer(text))), *_some(_boxes(text))]
    if found:
        first = min(statement.end for statement in found)
        corrected = _some(_CORRECTED.finditer(text, first + 1))
        found += [
            Statement(m.start(), m.end(), text[m.end() : m.end() + LONGEST].partition("\n")[0], corrects=True)
            for m in corrected
        ]
    return sorted(found, key=lambda statement: (statement.end, statement.boxed))


def first_box(text: str) -> Statement | None:
    """The first box of a text to be closed; None: there is none."""
    return min(_some(_boxes(text)), key=lambda box: box.end, default=None)


def _some(places: Iterator[_T]) -> list[_T]:
    """The first and the last few: a hostile text may hold a million."""
    return [*islice(places, _MOST), *deque(places, maxlen=_MOST)]


# A tag without its other half is the form of a last line, said again.
_NAMED = "answer final_answer finalanswer final ans choice option letter result solution output"
_TAGGED = "|".join(rf"<{tag}(?:\s[^<>]{{0,80}})?>(?=(?:[^<]|<(?!/)){{0,{LONGEST}}}</{tag}>)" for tag in _NAMED.split())
# Most letters of a text begin none of a hundred words: looked at first, that takes a third of the time.
_FIRST = "".join(sorted({word[0] for word in f"{_WORDS}|ת|{_NOUNS}|{_UNSPACED}|{_HAN_NOUNS}".split("|")}))
_MARKER = late(
    rf"(?=[#\[<{_FIRST}])(?:####|\[\[|{_TAGGED}|"
    # An underscore parts words of a key, and so does a capital.
    rf"(?:\b|(?<=_)|(?<=\bfinal))(?:(?P<word>{_WORDS})|(?P<noun>{_NOUNS}))(?:\b|(?=_))|{_UNSPACED}|(?P<han>{_HAN_NOUNS}))",
    re.I,
)
# A line that is nothing but its marker: the answer stands below.
_ABOVE = late(r"[#*_>\s]{0,12}(?:(?:my|the|your|our)\s)?(?:(?:final|correct|right|best)\s)?\Z", re.I)
_BELOW = late(r"[ \t*_:\uff1a#]{0,8}\r?\n[\s*_>`]{0,8}(?=\S)")
# A correction says what is so instead of what was said before.
_VALUE = (
    rf"(?:[$(*\u20ac\u00a3-]{{0,3}}[0-9][0-9.,/]{{0,20}}%?|{words.ENGLISH})"
    r"(?:\s(?!is|was|are|has)[a-z]{1,12}){0,2}(?:[.!]|\s?$)|"
    r"[(*]{0,3}[A-J][)*]{0,3}(?:[.!]|\s?$)|\*{0,2}(?:yes|no)\*{0,2}(?:[.!]|\s?$)"
)
_CORRECTED = late(
    r"\b(?:actually|wait|no(?!\W{1,4}no\b)|hmm|correction|edit|sorry|oops|scratch that|i mean|make that|rather|"
    r"apologies)\b[\s,.:!\u2026\u2014-]{1,6}"
    r"(?:(?:no|wait|actually|sorry|i mean|that(?:'s|\u2019s| is| was) (?:wrong|not right|incorrect)|"
    r"i was wrong)[\s,.:!-]{1,4}){0,3}"
    rf"(?:(?:(?<=[,:.!\u2014] )|(?<=:)|(?<=actually )|(?<=mean )|(?<=that ))(?={_VALUE})|"
    r"(?:so\s|then\s)?(?:it|this|that)(?:(?:'s|\u2019s|\sis|\sshould be|\smust be|"
    r"\swould be)(?:\sactually)?\s)(?:rather\s)?(?!not\b|n['\u2019]t\b|wrong\b|incorrect\b))",
    re.I | re.M,
)
# "Die Antwort ist nicht 41", "答えは41ではありません": before or behind a number or a letter.
_FOREIGN_NOT = late(
    r"[^.;!?\n\u3002]{0,40}?(?:(?:\bnicht|\bn['\u2019]est\spas|\bno\ses|\bnon\s\u00e8|\bn\u00e3o\s\u00e9|\bniet|"
    r"\bnie(?:\sjest)?|\bне|\binte|"
    r"\bikke|不是|ليست?|\bbukan|không phải)[\s*_(\[$\"'`]{0,4}(?:[-\u2212]?\d|[A-J](?![A-Za-z]))|"
    r"(?:\d|(?<![A-Za-z])[A-J])[\s*_)\]$\"'`]{0,4}(?:이|가|은|는)?\s?"
    r"(?:ではありません|ではない|じゃない|아닙니다|아니다|아니에요|değil|नहीं))",
    re.I,
)


def _marked(text: str, markers: Iterable[re.Match[str]]) -> Iterator[Statement]:
    for marker in markers:
        start, end = marker.span()
        quoted = _QUOTED.match(text, end)
        end = quoted.end() if quoted else end
        tail = text[end : end + LONGEST]
        if marker[0] == "[[":
            inner, closed, _ = tail.partition("]]")
            if closed and not set(inner) & {"[", "]"}:
                yield Statement(start, end, inner)
            continue
        if marker[0][0] in "<#":
            piece = tail.partition("</")[0].strip() if marker[0][0] == "<" else tail.lstrip(" \t*_:")
            yield _labelled(start, end, piece.partition("\n")[0])
            continue
        noun = (marker["noun"] or marker["han"]) is not None
        if noun and marker[0].lower() in _CERTAIN and _RIGHT.search(text, max(0, start - 12), start):
            noun = False
        before = text[max(0, start - 60) : start]
        before = before[max(before.rfind(sign) for sign in ".!?\n:;") + 1 :]
        if _OTHER.search(before):
            continue
        held = _QUOTED_VALUE.match(tail) if _KEY.search(text, max(0, start - 20), start) else None
        if held:
            yield Statement(start, end, _scalar(tail[held.end() :]))
            continue
        is_the = _IS_THE.search(text, max(0, start - 40), start) if not noun else None
        said = _BEFORE.search(text, max(0, start - 80), start) if is_the else None
        if said:
            # "42 is the answer": what stands before it.
            yield Statement(start, end, said["said"])
            continue
        cell = _CELL.match(tail) if "|" in tail[:8] and _ROW.search(text, max(0, start - 40), start) else None
        if cell:
            if not cell["said"].strip("-: "):
                continue
            yield _labelled(start, end + cell.start("said"), cell["said"])
            continue
        below = _BELOW.match(tail) if not noun and _ABOVE.fullmatch(before) else None
        if below and not _NOT_BELOW.match(text, end + below.end()) and (said_below := _item(text, end + below.end())):
            yield Statement(start, *said_below)
            continue
        yield from _worded(text, marker, end, before, noun)


def _worded(text: str, marker: re.Match[str], end: int, before: str, noun: bool) -> Iterator[Statement]:
    """What a word such as "answer" is said to be behind it, from `end` on; `before`: its clause up to there."""
    start, tail = marker.start(), text[end : end + LONGEST]
    english = noun or marker[0].lower() in ("answer", "answers", "ans")
    if not english and _FOREIGN_NOT.match(tail):
        yield Statement(start, end, "")
        return
    denied = _NOT.match(tail)
    verb = (_IS if english else _FOREIGN_IS).match(tail) or (_NOUN_IS.match(tail) if noun else None)
    if denied and (verb is None or denied.end() <= verb.end() + 12):
        if not noun:
            words_of_it = _DENYING.search(tail[: denied.end()])
            said = tail[words_of_it.start() if words_of_it else denied.end() :].partition("\n")[0]
            yield Statement(start, end + denied.end(), "", denied=said)
        yield from _instead(text, start, end + denied.end(), noun)
        return
    dotted = _DOTTED.match(tail) if marker[0].lower() == "ans" else None
    if dotted or (not english and tail[:1].isspace() and _INVERTED.search(before)):
        at = end + (dotted.end() if dotted else 0)
        yield Statement(start, at, _line(text, at))
        return
    last = _VERB_LAST.match(text, end) if marker[0].lower() in _OF_VERB_LAST else None
    if last:
        yield Statement(start, last.start("said"), last["said"])
        return
    if verb is None or _DOUBTED.search(before) or _CLAUSE.search(verb["between"]):
        return
    if noun and marker[0].lower() in _PLURAL and verb["is"].lower() == "are":
        # "The options are A, B and C."
        return
    colon = verb["is"].strip(" *_\"'`)")[:1] in (":", "\uff1a", "=", "-", "\u2013", "\u2014", "\u2192")
    if marker["word"] and _VERB.search(before) and not colon:
        return
    if text[max(0, start - 2) : start] == "} " and colon:
        # Directly behind a box: the box says it already.
        return
    at = end + verb.end()
    if (label := _DENIAL.match(text, at)) and not noun:
        yield Statement(start, at, "", denied=_line(text, at + label.start("said") - label.start()), labelled=colon)
        yield from _instead(text, start, label.end(), noun)
        return
    lead = _LEAD.match(text, at)
    at = lead.end() if lead else at
    place = _item(text, at) if lead and "\n" in lead[0] else (at, _line(text, at))
    if place:
        yield Statement(start, place[0], place[1], noun=noun)


def _instead(text: str, start: int, end: int, noun: bool) -> Iterator[Statement]:
    """What a denial that ends at `end` says instead: "not 41 but 42"."""
    but = _BUT.match(text, end)
    if but:
        yield Statement(start, but.end(), _line(text, but.end()), noun=noun)


_BUT = late(
    r"(?:[^.;!?\n]|\.(?=[0-9])){0,60}?(?:\bbut|,\s(?:so|hence|thus|therefore)|[,;](?=\sit(?:['\u2019]s|\sis)))\s"
    r"(?:rather\s|instead\s|(?:it|that)(?:'s|\sis|\smust be)\s)?"
)


def _labelled(start: int, end: int, piece: str, boxed: bool = False) -> Statement:
    """What stands where nothing but an answer stands."""
    denial = _DENIAL.match(piece)
    return Statement(start, end, "" if denial else piece, boxed, denied=piece if denial else "", labelled=True)


def _line(text: str, at: int) -> str:
    return text[at : at + LONGEST].partition("\n")[0]


def _item(text: str, at: int) -> tuple[int, str] | None:
    """What stands on a line below its marker, and where; None: the first line of an explanation in points.

    A hyphen before it is a bullet and no sign, as it is shown. Short points are one answer, of several parts."""
    start = text.rfind("\n", 0, at) + 1
    bullet = _POINT.match(text, start)
    if bullet is None:
        return at, _line(text, at)
    points = [(bullet.end(), _line(text, bullet.end()))]
    for _ in range(_POINTS):
        end = points[-1][0] + len(points[-1][1])
        follows = _POINT.match(text, end + 1) if text[end : end + 1] == "\n" else None
        if follows is None:
            break
        points.append((follows.end(), _line(text, follows.end())))
    if len(points) == 1:
        # "7. That is all" is a number with a period.
        return points[0] if not bullet[0].strip()[:1].isdigit() else (at, _line(text, at))
    short = len(points) <= _POINTS and all(len(point) <= _SHORT and len(point.split()) <= _FEW for _, point in points)
    return (points[0][0], ", ".join(point for _, point in points)) if short else None


_POINT = late(r"\n?[ \t>]{0,8}(?:[-*+\u2022]|\d{1,2}[.)])[ \t]{1,4}(?=\S)")
_POINTS = 12
_SHORT, _FEW = 30, 3
_NOT_BELOW = late(r"[-*#]{3}|[#|>]\s|step\b", re.I)
# "उत्तर 42 है", "Cevap 42 olur".
_OF_VERB_LAST = frozenset(("उत्तर", "जवाब", "cevap", "cevabı", "yanıt", "yanıtı", "پاسخ", "جواب", "विकल्प"))
_VERB_LAST = late(
    r"\s{1,2}(?P<said>(?!\s|[:=\uff1a]|-(?!\s?\d)|यह|है)[^\n:]{1,80}?)\s(?:है|हैं|होगा|olur|olacaktır|olmalıdır|است|می‌شود)[\s.।!*]{0,6}(?:\n|\Z)"
)
_DOTTED = late(r"\.\s{1,3}")
_KEY = late(r"[\"'](?:[a-z]{1,12}_)?\Z", re.I)
_QUOTED_VALUE = late(r"(?:_[a-z]{1,12})?[\"']\s{0,3}:\s{0,3}", re.I)
# A row of a table: its first cell names the answer, the next is it.
_ROW = late(r"(?:\A|\n)[ \t]{0,4}\|[\s*_]{0,4}(?:(?:final|correct|the|my)\s){0,2}[\s*_]{0,4}\Z", re.I)
_CELL = late(r"[\s*_:]{0,6}\|(?P<said>[^|\n]{1,200})\|")
_IS_THE_SAID = r"\s(?:is|was|as)\s(?:therefore\s|thus\s|indeed\s)?(?:the|our|my)\s(?:(?:final|correct|right)\s)?\Z"
_IS_THE = late(_IS_THE_SAID)
_BEFORE = late(
    r"(?<![^\s(*])(?P<said>(?:(?<![\s\S])|(?<=[.!?:,*(\n])|(?<=[.!?:,] )|(?<=[Ss]o )|(?<=hus )|(?<=[Hh]ence )|"
    rf"(?<=fore )){words.ENGLISH}|"
    r"(?:[-\u2212]?[$\u20ac]?[0-9][^\s:=]{0,40}(?:\s[a-z]{1,12})?|\$[^$\n]{1,40}\$|\\\([^\n]{1,40}?\\\)))"
    + _IS_THE_SAID
)


def _scalar(text: str) -> str:
    """The value a JSON text begins with, as text; of a value that is cut off, an object or a list its first line."""
    single = _SINGLE.match(text)
    if single:
        return single[1].replace("\\'", "'")
    if _NOTHING.match(text):
        return ""
    raw = _STRING.match(text)
    if raw and _TEX.search(raw[1]):
        # LaTeX whose backslashes nobody doubled.
        return raw[1].replace('\\"', '"')
    try:
        value, _ = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str).raw_decode(text)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else text.partition("\n")[0]


_STRING = late(r'"((?:[^"\\\n]|\\.){0,400})"')
_SINGLE = late(r"'((?:[^'\\\n]|\\.|'(?=\w)){0,400})'")
_NOTHING = late(r"(?:null|None|undefined|NaN)\b|\[\s*\]|\"\"")
_TEX = late(
    r"(?<!\\)\\(?:beta|begin|binom|bar|boxed|big|bf|frac|fbox|floor|neq?\b|nu\b|nabla|not\b|rho|right|rm|rfloor|"
    r"text|times|theta|tan|tau|tfrac|to\b|underline|[^\"\\/bfnrtu])"
)


def _boxes(text: str) -> Iterator[Statement]:
    if "boxed" not in text and "\\fbox" not in text and "\\framebox" not in text:
        return
    opened: list[tuple[int, int]] = []
    for brace in _BRACES.finditer(text):
        if brace[0][-1] == "{" and brace[0] != "\\{":
            # The start of a box, or -1 for a brace of something else.
            opened.append((brace.start() if len(brace[0]) > 1 else -1, brace.end()))
        elif brace[0] == "}" and opened:
            start, begin = opened.pop()
            if start >= 0 and brace.start() - begin <= LONGEST:
                piece = text[begin : brace.start()]
                yield _labelled(start, begin, piece, boxed=True)
    for bare in _BARE_BOX.finditer(text):
        yield Statement(bare.start(), bare.start(1), bare[1], boxed=True)
