"""The option a reply chooses: in a piece that is known to hold one, and where none is stated in so many words.

Letters are looked for first, then, where the options are known, their texts. A text counts where it stands alone, is
picked, called right or concluded with, and not where a thought merely goes through it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from functools import lru_cache

from engine.core.answers import choices, markup, verdicts
from engine.core.answers.patterns import late
from engine.core.answers.spelling import normalise, nothing_said, number_value, tidy
from engine.core.answers.statements import LONGEST, Statement

_SEVERAL = late(
    r"\s{0,3}(?!N/A\b)(?:(?i:both|either|options?)\s)?\(?[A-Z]\)?(?:(?:\s?[,/;]\s?|\s?,?\s(?:or|and|&)\s)(?:option\s)?\(?(?P<last>[A-Z])(?![A-Za-z])\)?+){1,25}+"
    r"\s{0,2}(?:[.\]!}*;,]|\Z)"
)
_OR_LETTERED = late(r"\s{0,3}\([A-Z]\)[^()]{1,120}\s{1,3}(?:or|o|ou|oder)\s{1,3}\((?P<last>[A-Z])\)[^()]{0,120}")
# "42 → B" and "42, option B": a value and its letter.
_BEHIND = late(
    r"\W{0,6}[-$]?[0-9][^A-Z;\n]{0,40}?"
    r"(?:(?:\u2192|[-=]>)\s{0,2}|,\s(?:i\.e\.,?\s)?(?:option|choice)\s)[(*]{0,3}(?P<last>[A-Z])(?![A-Za-z])"
)
_EITHER = late(r"\beither\b", re.I)
_ITEM = late(r"[\s*_>-]{0,8}\(?([A-Z])[).:]")
_ITEMS = late(rf"(?m)^{_ITEM.pattern}")
_FURTHER = late(
    r"(?:,|\b(?:or|and)\b|[&/;])\s{0,3}(?:or\s|and\s|option\s)?\(([A-Z])\)|[(,;&/]\s{0,3}([A-Z])(?=\s{0,3}[,;&/)])"
)


def letters_of(options: Sequence[str]) -> str:
    """The letters a question has; ten where its options are not known."""
    return "".join(map(choices.lettered, range(len(options)))) if options else choices.LETTERS


def letter_of_piece(piece: str, options: Sequence[str]) -> str | None:
    """The letter of a piece that is known to hold one."""
    piece = markup.plain(markup.latin(piece))
    if options and (letter := _option(tidy(piece) or "", options) or _written_out(piece, options)):
        return letter
    letter = choices.letter_at(piece, letters_of(options))
    if letter is None and (behind := _SEVERAL.match(piece) or _BEHIND.match(piece)):
        letter = behind["last"] if behind["last"] in letters_of(options) else None
    return letter or (choices.letter_by_text(tidy(piece) or "", options) if options else None)


_WITH_TEXT = late(
    r"[\s*_>#(\[\"'`$]{0,8}(?:[Oo]ption\s)?\(?(?P<letter>[A-Z])(?:[)\].:,*\s\u2013\u2014-]{1,4}|\s\()(?P<text>\S[^\n]*)"
)


def _written_out(piece: str, options: Sequence[str]) -> str | None:
    """The letter that stands before its own option's text, whatever that says: "B) No", "D, I and II"."""
    found = _WITH_TEXT.fullmatch(piece.strip(" }"))
    place = ord(found["letter"]) - ord("A") if found else len(options)
    if found is None or place >= len(options):
        return None
    said = normalise(tidy(found["text"]) or "")
    return found["letter"] if said and said == normalise(_bare(options[place])) else None


def lists(place: Statement, text: str, options: Sequence[str]) -> bool:
    """Whether a piece is the first line of a list of the options."""
    item = _ITEM.match(place.piece)
    below = text[place.end + len(place.piece) : place.end + len(place.piece) + LONGEST].lstrip("\n").partition("\n")[0]
    after = _ITEM.match(below) if item else None
    if item or not options or not below:
        return bool(item and after and ord(after[1]) == ord(item[1]) + 1)
    texts = _texts(tuple(options))
    return texts is not None and texts.line(place.piece) is not None and texts.line(below) is not None


def last_named(place: Statement, options: Sequence[str]) -> str | None:
    """Of "A or C" the last, as of two statements; of a box with options written out too. None: it names one."""
    piece = markup.plain(place.piece)
    if options and (_option(tidy(piece) or "", options) or _written_out(piece, options)):
        return None
    several = _SEVERAL.match(piece) or (_OR_LETTERED.fullmatch(piece) if place.boxed else None)
    if several:
        return several["last"]
    texts = _texts(tuple(options))
    several = texts.several.match(markup.latin(piece)) if texts else None
    return texts.letters[normalise(several["last"])] if texts and several else None


def further(place: Statement, options: Sequence[str]) -> list[str]:
    """The other letters of a piece that names several, as "(A) or (C)" and "(A, B, C)" do."""
    letters = letters_of(options)
    named = [
        match[1] or match[2]
        for match in _FURTHER.finditer(re.split(r"[.!?]\s|\n", markup.plain(place.piece), maxsplit=1)[0])
    ]
    return [letter for letter in named if letter in letters]


# The option that fits, by what is said behind it.
_SUITS = (
    r"(?:most|best|more)\s(?:\w{1,12}ly\s)?(?:suitable|appropriate|likely|plausible|accurate|"
    r"fitting|logical|reasonable|probable|suited|fit)\b|best\b"
)
_IS_RIGHT = (
    r"\s(?:is|would be|seems to be|appears to be|must be|as)\s"
    r"(?:(?:therefore|thus|likely|clearly|also|probably|indeed|the|a|an|our|my)\s){0,3}"
    r"(?:(?:most|best|only|single|final)\s)?(?:\w{1,20}\s)?(?:correct|right|best|answer|choice|option)\b(?!\s(?:that|which|among))"
)
_IS_BEST = (
    rf"\s(?:(?:is|would be|seems)\s(?:therefore\s|the\s){{0,2}}(?:{_SUITS}|better\b)|"
    r"(?:fits|remains|works)\b(?!\swith))"
)
_IS_RIGHT_ELSEWHERE = (
    r"\s(?:ist|est|es|\u00e8|\u00e9|est\u00e1|is|jest)\s(?:(?:die|la|le|el|a|o|het|de)\s)?"
    r"(?:richtig|korrekt|zutreffend|correcte?|exacte?|bonne|juste|correct[oa]|corrett[oa]|corret[oa]|cert[oa]|giust[oa]|juist|goed|"
    r"poprawn[ay]|prawid\u0142ow[ay])e?r?s?\b|"
    r"\s(?:является\s)?(?:правильн|верн)(?:ый|ая|ое|ым)|\s?\u662f(?:\u6b63\u786e|\u5bf9|\u6b63\u78ba)|"
    r"\s?(?:\u756a)?(?:\u304c|\u306f)(?:\u6b63\u89e3|\u6b63\u3057\u3044|\u6b63\u7b54|\u9069\u5207)|\s?(?:\ubc88)?(?:\uc774|\uac00)\s(?:\uc815\ub2f5|\ub9de|\uc815\ud655)"
)
_REVERSED = late(
    r"(?:\b(?:option|choice|answer|statement)\s{1,2})?[(*\"']{0,3}(?<![A-Za-z])(?P<letter>[A-Z])(?![A-Za-z'\u2019])"
    rf"(?:(?!\.\s[A-Z]\s)[)\]*\"':.]{{1,3}}(?P<text>[^.\n]{{0,80}}?))?(?:{_IS_RIGHT}|{_IS_BEST})"
)
_OTHER_LETTER = late(r"\b[B-HJ-Z]\b")
_PICK = (
    r"\b(?:choose|pick|select|prefer|(?:[Gg]o|[Gg]oing) with|opt for|vote for|settle on|left with|leaves(?: us with)?|"
    r"[Ii]t must (?:therefore )?be|[Cc]hange my (?:answer|choice) to|(?:[Ww]e|I) conclude)"
)
_IT_IS = r"(?:[Ii]t|[Tt]hat|[Tt]his)(?:'s|\u2019s| is| has to be| would be| should be)"
_PICKED = late(
    rf"(?:{_PICK}|\b(?:answer|answer choice|[Ss]elected:?|true is|(?:correct|right|best) one is|"
    rf"[Rr]ichtig ist|[Mm]y vote:|which is|(?:match|correspond|equal)(?:s|es|ing)?(?: to)?|{_IT_IS}))"
    r"\s(?:(?:the\s)?(?:option|choice|answer|letter|statement)\s)?"
    r"[(\[{\uff08\u3010*\"'`]{0,3}(?P<letter>[A-Z]|(?<=\()[a-j](?=\)))(?=[)\]}\uff09\u3011*\"'`.,:;!?]|\s?$|\s\(|\s[-\u2013\u2014]\s)"
    # Behind these an article, a pronoun or the first of a list may stand as well.
    r"|(?:\b(?:[Ss]o|[Tt]hus|[Hh]ence|[Tt]herefore|[Cc]onclusion|[Ff]inally|[Oo]nly|think|believe|say|guess|"
    r"after \w{1,12}ing|"
    r"[Cc]onclude:|(?:best|next|right) (?:next )?(?:step|treatment|option) is)|\u2234),?\s"
    r"[(*]{0,3}(?P<meant>[A-HJ-Z])[)*]{0,3}(?=[.!]|\s?$|(?<=\))\s[A-Z]|\s(?:remains|fits|works|is left)\b)"
    r"|\b(?:makes|making|leaves|leaving|[Oo]nly)\s(?:option\s)?[(*]{0,3}(?P<made>[A-Z])[)*]{0,3}\s(?:as\s)?"
    r"(?:the\s(?:\w{1,12}\s)?(?:correct|only|best|right|answer|choice|option)|is\s(?:consistent|correct|true|left|possible|right))\b"
    # "故选B": in Chinese the verb alone states it.
    r"|[\u9009\u9078][\u62e9\u64c7]?[\s:\uff1a(\uff08*]{0,4}(?P<han>[A-Z])(?![A-Za-z])"
    r"|^\s{0,3}(?:=>|->|\u2192|\u21d2)\s?[(*]{0,3}(?P<led>[A-Z])[)*]{0,3}[.]?\s?$",
    re.M,
)
# In other languages, looked for at the end of a reply alone: "Ich wähle B", "Quindi B.", "La opción B es correcta".
_PICKED_ELSEWHERE = late(
    r"(?:\b(?:[Ww]\u00e4hle|[Ee]scolho|[Ee]lijo|[Ee]scojo|[Cc]hoisis|[Ss]celgo|[Kk]ies|[Ww]ybieram|[Вв]ыбираю|[Aa]lso|[Dd]aher|"
    r"[Ff]olglich|[Dd]onc|[Pp]or (?:lo )?tanto|[Aa]s\u00ed que|[Qq]uindi|[Pp]ortanto|[Ll]ogo|[Dd]us|[Zz]atem|"
    r"[Сс]ледовательно|[Зз]начит)|\ub530\ub77c\uc11c|\u6240\u4ee5|\u56e0\u6b64|\u3057\u305f\u304c\u3063\u3066)[,\u3001\uff0c]?\s?"
    r"[(*]{0,3}(?<![A-Za-z])(?P<meant>[A-Z])[)*]{0,3}(?=[.!\u3002]|\s?$|(?<=\))\s[^\W\d_]|\s?(?:\uc785\ub2c8\ub2e4|\u3067\u3059))|"
    r"(?<![A-Za-z])(?P<letter>[A-Z])(?![A-Za-z'\u2019])"
    rf"(?:(?!\.\s[A-Z]\s)[)\]*\"':.]{{1,3}}[^.\nA-Z]{{0,2}}[^.\n]{{0,40}}?)?(?:{_IS_RIGHT_ELSEWHERE})",
    re.M,
)
# "I would not go with B": within the clause before the verb.
_AGAINST = late(r"\b(?:not|never|cannot|nor|\w{1,8}n['\u2019]t)\s[^.,;:!?\n]{0,24}\Z", re.I)
_LONE = late(
    r"(?m)^(?:[-+]\s)?[\s*_>#(\[\"'`$]*\(?(?P<letter>[A-Z])"
    r"(?:[)\].:}*]{1,3}(?!\s?(?:[Ww]rong|[Ii]ncorrect|[Ff]alse|[Nn]ot?\b))|[!;,]?\s*$|"
    r"(?<!I),?\s(?:because|since|due to)\b)"
)
# A last line that is nothing but an option.
_LAST = late(
    r"(?:(?:the\s)?(?:option|choice|letter|answer|statement)\s[\"'(*]{0,3}(?P<named>[A-Z])[\"')*.]{0,4}"
    r"|[(\uff08\u3010{](?P<marked>[A-Za-z])[)\uff09\u3011}][.]?|(?P<letter>[A-Z])\s[-\u2013\u2014(][^\n]{1,60}|"
    r"(?P<comma>[B-HJ-Z]),\s[^\n]{1,40})",
    re.I,
)
_ALONE_AT_LAST = late(r"[\s*_(\[]{0,4}(?P<letter>[A-Z])[)\]*_]{0,3}[.!]?[*_]{0,3}")
MARKED = late(r"\(\s?(?P<letter>[A-Z])\s?\)|\b[Oo]ption\s\(?(?P<named>[A-Z])\b")
_ASKED = late(r"(?:^|\n)\s{0,3}A:\s{0,3}[(*]{0,3}([A-Z])[)*.]{0,3}\Z")
"""A, as the answer of questions and answers."""
_FENCED = late(r"```[a-z]{0,10}\n([^`]{1,200})```\s*\Z")
_ALONE = late(r"[\s*_>#(\[\"'`$]{0,8}(?P<letter>[A-Z])(?:[)\].:*_`\"'$]{0,4}\s*$|(?=[)\].:}*]{1,3}\s))")


# A reply that ends by saying that none of them is right.
_NONE = late(
    r"\b(?:no (?:correct|right|valid|suitable) (?:answer|option|choice)|"
    r"none of (?:the|these|those)\s(?:\w{1,12}\s){0,3}(?:is|are|fits?|matche?s?|apply)\b)"
    r"[^.!?\n]{0,80}[.!]?\s*\Z",
    re.I,
)
_ENDS = 160


def unstated(text: str, options: Sequence[str]) -> str | None:
    """The letter of a reply that states none in so many words."""
    fenced = _FENCED.fullmatch(text)
    text = (fenced[1] if fenced else text).strip()
    if options and len(text) <= LONGEST and (said := tidy(text)):
        by_value = choices.letter_by_text(said, options) if number_value(said) is not None else None
        if letter := _option(said, options) or by_value:
            return letter
    if options:
        above, _, last = text[-2 * LONGEST :].rpartition("\n")
        letter = (
            _written_out(_bare(last), options)
            if len(last) <= LONGEST and not _ITEM.match(above.rstrip().rpartition("\n")[2])
            else None
        )
        if letter:
            return letter
    if _NONE.search(text[max(0, len(text) - _ENDS) :]):
        # Which may be an option of its own.
        none = [choices.lettered(place) for place, option in enumerate(options) if nothing_said(option) == "none"]
        return none[0] if len(none) == 1 else None
    letter = _judged(text, options) or _lettered(text, letters_of(options))
    if letter or not options:
        return letter
    texts = _texts(tuple(options))
    return texts.chosen(text) if texts else None


# "A) Incorrect", "- B: correct, as ...", "C ✓": options that are each called right or wrong.
_TICKED, _CROSSED = "\u2713\u2714\u2705", "\u2717\u2718\u274c"
_VERDICT = late(
    rf"(?:(?<![\s\S])|(?<=\n)|(?<=[.;,?!:{_TICKED}{_CROSSED}] ))[\s*_>|-]{{0,6}}(?:[Oo]ption\s|"
    rf"[Ii]s it\s)?\(?(?P<letter>[A-Z])\)?"
    r"[*_]{0,3}\s?[).:?|\u2013-]{0,2}[*_\s]{1,4}(?:(?:is|this is|is also)\s)?"
    rf"(?:(?P<right>(?i:correct|right|true|yes)\b|[{_TICKED}])|"
    rf"(?i:incorrect|wrong|false|no|not correct)\b|[{_CROSSED}])"
)


def _judged(text: str, options: Sequence[str]) -> str | None:
    """The one option that a reply calls right where it calls each right or wrong, and picks none behind that."""
    end = text[-8 * LONGEST :]
    places = list(_VERDICT.finditer(end))
    judged = {each["letter"]: each["right"] is not None for each in places}
    right = [letter for letter, is_right in judged.items() if is_right]
    if len(judged) < 2 or len(right) != 1 or right[0] not in letters_of(options):
        return None
    # "A) Yes, B) No" are the options themselves.
    if any(verdicts.verdict(option) for option in options) or (not options and len(judged) == 2 and len(end) < _ENDS):
        said = {verdicts.verdict(re.split(r"[\s.:)]{1,3}", each[0].strip())[-1]) for each in places}
        if said - {None}:
            return None
    return None if _NAMED.search(end, places[-1].end()) else right[0]


_NAMED = late(r"(?<![A-Za-z'\u2019])[B-HJ-Z](?![A-Za-z'\u2019])|\(A\)")


# What is said of an option on the way to another.
_ONLY_SEEMS = late(
    r"[)*\"']{0,3}\s(?:is|was|would|could|seems|looks|might|may|could|appears|sounds)\s(?:[^.!?\n]{1,80}?)\b(?:but|however|yet|although)\b"
)


def _lettered(line: str, letters: str) -> str | None:
    asked = _ASKED.search(line)
    if "\n" not in line and len(line) <= LONGEST and not asked:
        piece = markup.plain(markup.latin(line))
        several = _SEVERAL.match(piece)
        letter = several["last"] if several else choices.letter_at(piece, letters)
        ahead = re.match(rf"\W{{0,8}}(?:[Oo]ption\s)?\(?{letter}", piece) if letter and not several else None
        seems = ahead and _ONLY_SEEMS.match(piece, ahead.end())
        if letter and letter in letters and not seems and (several or not _EITHER.search(piece)):
            return letter
    if asked and asked[1] in letters:
        return asked[1]
    at = max(0, len(line) - 2 * LONGEST)
    own = deque((each for each in _PICKED.finditer(line) if not _refuses(line, each.start())), maxlen=1)
    elsewhere = deque(_PICKED_ELSEWHERE.finditer(line, at), maxlen=1)
    picked = sorted((*own, *elsewhere), key=lambda each: -each.end())
    if picked and (letter := next(filter(None, picked[0].groups()), "").upper()) in letters:
        return letter
    called = _called_right(line)
    if called and called in letters:
        return called
    above, _, last = line[-2 * LONGEST :].rpartition("\n")
    lone = _LONE.match(last)
    # The last line of a list of options is none.
    before = above.rstrip().rpartition("\n")[2]
    if lone and lone["letter"] in letters and not _ITEM.match(before) and not _LONE.fullmatch(before):
        return lone["letter"]
    alone = _LAST.fullmatch(last.strip()) if above else None
    if alone and not _ITEM.match(before) and (letter := next(filter(None, alone.groups())).upper()) in letters:
        return letter
    end = max(last.rfind(sign, 0, len(last) - 1) for sign in (". ", "! ", "? "))
    marked = {
        match["letter"] or match["named"]
        for match in MARKED.finditer(last, max(end, 0))
        if not choices.REFUTED.match(last, match.end()) and not _refuses(last, match.start())
    }
    alone = _ALONE_AT_LAST.fullmatch(last[end + 2 :]) if end >= 0 else None
    if alone and alone["letter"] in letters:
        return alone["letter"]
    letter = marked.pop() if len(marked) == 1 and last[-1:] in (".", "!", "*", ")", "$") else None
    return letter if letter and letter in letters else _first_line(line, letters)


def _called_right(text: str) -> str:
    """The last letter that is called the answer, whatever its text between; empty: none is."""
    letter, found = "", _REVERSED.search(text)
    while found:
        # "D. Between B and C, C fits better" says nothing of D.
        other = _OTHER_LETTER.search(found["text"] or "")
        letter = letter if other else found["letter"]
        found = _REVERSED.search(text, found.end("letter") if other else found.end())
    return letter


def _refuses(text: str, at: int) -> bool:
    return _AGAINST.search(text, max(0, at - 40), at) is not None


def _first_line(text: str, letters: str) -> str | None:
    """The letter a reply opens with on a line of its own, as an answer before its explanation is written."""
    first, _, rest = text.partition("\n")
    opened = _ALONE.match(first)
    if opened is None or opened["letter"] not in letters or not rest.strip():
        return None
    # With an option behind it, it may be the first of a list of them.
    listed = opened.end() < len(first) and any(item[1] != opened["letter"] for item in _ITEMS.finditer(rest[:4000]))
    # "I." counts a statement, and "A:" is an answer to a question.
    numeral = opened["letter"] == "I" and opened.end() < len(first)
    answered = first.lstrip()[:2] == "A:"
    return None if listed or numeral or answered else opened["letter"]


_SENTENCE = late(r"(?<=[.!?])\s|\n")
_CLOSED = (
    r"(?=[\s*_\"'`)\]$]{0,6}(?:[.!?;,](?![0-9])|\n|\Z|\(|\s(?:because|since|as|over|for|due|but|not|rather|instead)\b"
    r"|\s?[-\u2013\u2014]\s))"
)
_OPENS = r"[\s*_\"'`(\[$:]{0,6}(?:the\s|an?\s)?[*_\"'`(\[$]{0,4}"
_CONCLUDES = late(
    r"[\s*_>]{0,6}(?:so|thus|therefore|hence|consequently|overall|ultimately|in (?:conclusion|summary))\b", re.I
)


class _Texts:
    """Where the texts of one question's options stand; those that two options share stand for none."""

    def __init__(self, options: tuple[str, ...]) -> None:
        spelled = [_bare(option) for option in options]
        known = [normalise(text) for text in spelled]
        self.letters = {
            text: choices.lettered(place) for place, text in enumerate(known) if text and known.count(text) == 1
        }
        shown = sorted((text for text in spelled if normalise(text) in self.letters), key=len, reverse=True)
        words = (r"\s{1,3}".join(map(re.escape, text.split())) for text in shown if len(text) <= LONGEST)
        # A number is no part of a longer one.
        own = rf"(?<![\w/^\\])(?<![0-9][.,:])(?<![-+](?=[0-9]))(?:{'|'.join(words) or '(?!)'})(?![\w%^/]|[.,:][0-9])"
        self.anywhere = re.compile(own, re.I)
        self.several = re.compile(
            rf"{_OPENS}(?:either\s|both\s)?{own}(?:\s?[,/;]\s?(?:or\s|and\s)?|\s(?:or|and|&)\s)(?:the\s|an?\s)?(?:{own}(?:\s?[,/;]\s?(?:or\s|and\s)?|\s(?:or|and|&)\s)){{0,24}}(?P<last>{own}){_CLOSED}",
            re.I,
        )
        self.picked = re.compile(
            rf"(?:{_PICK}|\b(?:guess|choice|conclude|conclusion)(?: is| would be)?|\bnot\s{own},?\sbut)"
            rf"(?:\s(?:the\s)?(?:option|choice|answer))?{_OPENS}(?P<text>{own}){_CLOSED}"
            rf"|(?P<right>{own})[*_\"'`)\]$]{{0,4}}(?:{_IS_RIGHT}|{_IS_BEST}|\sit is\b)",
            re.I,
        )
        self.meant = re.compile(
            rf"(?:\b(?:so|thus|hence|therefore|think|believe|say|feel|conclusion|finally|{_IT_IS})\b"
            rf"[,:]?(?:\s{_IT_IS}|\sthat)?){_OPENS}(?P<text>{own}){_CLOSED}",
            re.I,
        )
        self.opened = re.compile(
            rf"[\s*_\"'`(\[$-]{{0,6}}(?:option\s)?(?:the\s|an?\s)?(?P<text>{own})[*_\"'`)\]$]{{0,4}}"
            r"(?:[.!]?\s?\Z|,?\s(?:because|since|as it|due to)\b|\s?[-:\u2013\u2014]\s|\s\([^()]{1,80}\)[.!]?\s?\Z|"
            r"(?P<against>,?\s(?:and\s)?(?:not|rather than|instead of|over)\s))",
            re.I,
        )
        self.ends = re.compile(
            rf"(?:\b(?:is|are|was|were|be|equals)\b|=)\s?{_OPENS}(?P<text>{own})[\s*_\"'`)\]$]{{0,6}}[.!]?[\s*_]{{0,4}}\Z",
            re.I,
        )

    def _letter(self, text: str) -> str:
        return self.letters[normalise(_bare(text))]

    def line(self, text: str) -> str | None:
        """The letter of the option that a line is the text of."""
        return self.letters.get(normalise(_bare(tidy(_BULLET.sub("", text)) or "")))

    def chosen(self, text: str) -> str | None:
        """The letter of the option whose text a reply chooses, that states none and names no letter."""
        lines = [line for line in text[-4 * LONGEST :].splitlines() if line.strip()]
        # Below another option's text it is one of a list of them.
        if lines and (letter := self.line(lines[-1])) and not (len(lines) > 1 and self.line(lines[-2])):
            return letter
        end, start = _bare(text[-2 * LONGEST :]), _bare(text[:LONGEST])
        sentences = [each for each in _SENTENCE.split(end) if each.strip()]
        last = sentences[-1] if sentences else ""
        for pattern, where in ((self.picked, end), (self.meant, last), (self.picked, start)):
            found = deque((each for each in pattern.finditer(where) if not _refuses(where, each.start())), maxlen=1)
            if found:
                return self._letter(next(filter(None, found[0].groups())))
        ends = self.ends.search(last) if _CONCLUDES.match(last) or len(text) <= len(last) + 4 else None
        if (
            ends
            and not _refuses(last, ends.start())
            and len({self._letter(each[0]) for each in self.anywhere.finditer(last)}) == 1
        ):
            return self._letter(ends["text"])
        first, _, rest = text.partition("\n")
        below = rest.strip().partition("\n")[0]
        if below and (letter := self.line(first)) and not self.line(below):
            return letter
        # "Oslo, because it is cold", "Oslo rather than Rome": and not what is said of Oslo.
        line = _bare(lines[-1]) if lines else ""
        opened = self.opened.match(line)
        listed = opened and len(lines) > 1 and self.opened.match(_bare(lines[-2]))
        others = (
            opened and not opened["against"] and len({self._letter(each) for each in self.anywhere.findall(line)}) > 1
        )
        return self._letter(opened["text"]) if opened and not listed and not others else None


def _option(said: str, options: Sequence[str]) -> str | None:
    """The letter of the option whose text a short text is, of more than a letter: "both A and B" may be one."""
    texts = _texts(tuple(options)) if len(said) > 1 else None
    return texts.letters.get(normalise(said)) if texts else None


_BULLET = late(r"^\s{0,8}(?:[-*\u2022+>#]{1,6}|=>|->|\u2192)\s")


def _bare(text: str) -> str:
    return markup.plain(markup.latin(text)).strip()


@lru_cache(maxsize=256)
def _texts(options: tuple[str, ...]) -> _Texts | None:
    """None: there are none that could be told apart."""
    return _Texts(options) if 0 < len(options) <= choices.MOST_OPTIONS else None
