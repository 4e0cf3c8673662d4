"""Numbers as people and models write them: the whole number or none, by exact value.

Thousands with commas, spaces, apostrophes or points, decimal commas, mixed numbers, powers of ten, "2.5 million" and
per cent are read; a range, a time of day, a date, a ratio and a version are no number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from engine.core.answers import markup, words
from engine.core.answers.patterns import late

DIGITS = 120
"""Most digits of a number that is compared by value."""
_EXPONENT = 40
_WINDOW = 400
"""Characters of a text that are searched for its last number."""

_SPACE = "[ \u00a0\u2009\u202f\u2007\u2002\u2003\u205f\u3000]"
_SCALES = {
    **dict.fromkeys(("hundred",), 2),
    **dict.fromkeys(
        ("thousand", "k", "K", "tausend", "\u0442\u044b\u0441\u044f\u0447\u0438", "\u0442\u044b\u0441\u044f\u0447"), 3
    ),
    **dict.fromkeys(
        ("million", "mio", "mn", "M", "millionen", "millones", "mill\u00f3n", "milh\u00f5es", "milh\u00e3o", "milioni"),
        6,
    ),
    **dict.fromkeys(
        (
            "miljoen",
            "miljoner",
            "milyon",
            "\u043c\u0438\u043b\u043b\u0438\u043e\u043d\u043e\u0432",
            "\u043c\u0438\u043b\u043b\u0438\u043e\u043d\u0430",
            "\u043c\u0438\u043b\u043b\u0438\u043e\u043d",
            "\u043c\u043b\u043d",
        ),
        6,
    ),
    **dict.fromkeys(
        ("billion", "bn", "B", "mrd", "milliarden", "milliarde", "milliard", "miliardi", "miljard", "milyar"), 9
    ),
    **dict.fromkeys(
        (
            "\u043c\u0438\u043b\u043b\u0438\u0430\u0440\u0434\u043e\u0432",
            "\u043c\u0438\u043b\u043b\u0438\u0430\u0440\u0434\u0430",
            "\u043c\u0438\u043b\u043b\u0438\u0430\u0440\u0434",
            "\u043c\u043b\u0440\u0434",
        ),
        9,
    ),
    **dict.fromkeys(("trillion",), 12),
    **dict.fromkeys(("lakh",), 5),
    **dict.fromkeys(("crore",), 7),
    **dict.fromkeys(("\u4e07", "\u842c", "\ub9cc"), 4),
    **dict.fromkeys(("\u4ebf", "\u5104", "\uc5b5"), 8),
}
"""Powers of ten by word; a German "Billion" is another than the English one, and read as that."""
_SCALE_WORDS = "|".join(sorted((word for word in _SCALES if len(word) > 1), key=len, reverse=True))
_PERCENT = (
    r"per\s?cent|pct|prozent|pro\szent|por\sciento|por\scento|pour\s?cent|pourcents?|per\scento|procent|procenta?|"
    "\u043f\u0440\u043e\u0446\u0435\u043d\u0442(?:\u0430|\u043e\u0432)?|y\u00fczde"
)
# Every repetition is bounded, and what a match takes is never tried again.
_NUMERAL = rf"""
    (?:[0-9]{{1,3}}+(?:,[0-9]{{3}}){{1,40}}+(?![0-9])(?:\.[0-9]{{1,120}}+)?
    | [0-9]{{1,2}}(?:,[0-9]{{2}}(?=,)){{1,20}}+,[0-9]{{3}}(?![0-9])(?:\.[0-9]{{1,120}}+)?
    | [0-9]{{1,3}}(?:{_SPACE}[0-9]{{3}}){{1,40}}+(?![0-9/])(?:[.,][0-9]{{1,120}}+)?
    | [0-9]{{1,3}}(?:['\u2019_][0-9]{{3}}){{1,40}}+(?![0-9])(?:[.,][0-9]{{1,120}}+)?
    | [0-9]{{1,3}}(?:\.[0-9]{{3}}){{2,40}}+(?![0-9])(?:,[0-9]{{1,120}}+)?
    | [0-9]{{1,3}}\.[0-9]{{3}},[0-9]{{1,120}}+
    | [0-9]{{0,300}}+(?:[.,](?=[0-9])[0-9]{{1,300}}+)?)(?<=[0-9])"""
_TOKEN = late(
    rf"""
    (?P<front>(?<![0-9\\])%)?
    (?P<sign>(?<![\w)\]}}])[-+]{_SPACE}?)?
    (?P<money>(?:US)?[$\u00a3\u20ac\u00a5\u20b9]{_SPACE}?(?P<inner>-)?)?
    (?<![A-Za-z_0-9])(?<![0-9][.,])
    (?P<whole>{_NUMERAL})
    (?:
      (?:{_SPACE}|-|{_SPACE}and{_SPACE})(?P<mixed>[0-9]{{1,10}}{_SPACE}?/{_SPACE}?[0-9]{{1,10}})(?![0-9/])
    | {_SPACE}?/{_SPACE}?(?P<below>[0-9]{{1,60}}+(?:\.[0-9]{{1,60}}+)?)
    | [eE](?P<exponent>[+-]?[0-9]{{1,40}}+)(?![A-Za-z0-9_])
    | {_SPACE}?[*xX\u00d7]{_SPACE}?10{_SPACE}?(?:\^|\*\*){_SPACE}?\{{?\(?(?P<ten>[+-]?[0-9]{{1,4}})\)?\}}?
    | (?:\^|\*\*)\{{?\(?(?P<power>[+-]?[0-9]{{1,3}})\)?\}}?
    )?
    (?P<scale>{_SPACE}?(?i:(?:{_SCALE_WORDS})s?)(?![A-Za-z\u00c0-\u04ff])|{_SPACE}?[\u4e07\u842c\ub9cc\u4ebf\u5104\uc5b5]|[k](?![A-Za-z0-9/])
      | (?:(?<=[0-9])|(?<=[0-9]{_SPACE}))[MBK](?![A-Za-z0-9]))?
    (?P<percent>{_SPACE}?(?:%|\\%|\u2030|(?i:{_PERCENT})(?![A-Za-z\u00c0-\u04ff])|\u30d1\u30fc\u30bb\u30f3\u30c8|\ud37c\uc13c\ud2b8))?
    """,
    re.X,
)
_BEGINS = late("[0-9.+%$\u00a3\u20ac\u00a5\u20b9U-]")
"""What a number, or the date or range in its place, may begin with."""
# Digits that go on where a numeral has ended: marks of thousands out of place, 1,2,3 or 1,234,56.
_RUN = late(r"[.,'_\u2019](?=[0-9])[0-9.,'_\u2019]{0,400}+(?<=[0-9])|[0-9]{1,400}+")
_MONTH = (
    r"(?:(?:jan|febr)uary|march|april|may|june|july|august|october|(?:sept|nov|dec)ember|"
    r"(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b\.?)"
)
_STRUCTURED = late(
    r"(?<![0-9.,])(?:[0-9]{1,4}(?P<mark>[-/.])[0-9]{1,2}(?P=mark)[0-9]{1,4}(?![0-9])(?!(?P=mark)[0-9])"
    r"|[0-9]{1,6}(?::[0-9]{1,6}){1,8}+|0[0-9]/[0-9]{1,4}(?![0-9])|[0-9]{1,2}/0[0-9](?![0-9])"
    r"|[0-9]{1,4}(?:\.[0-9]{1,4}){3,8}+"
    rf"|[0-9]{{1,2}}(?:st|nd|rd|th)?\s(?:of\s)?{_MONTH}(?:,?\s[0-9]{{4}})?(?![\w])"
    rf"|(?<![a-z]){_MONTH}\s[0-9]{{1,2}}(?:st|nd|rd|th)?,?\s[0-9]{{4}}(?![0-9]))",
    re.I,
)
_BETWEEN = late(
    r"\s{0,3}(?:-|\.\.\.?|~|\bto\b|\bthrough\b|\bbis\b|\b\u00e0\b|\u304b\u3089|\uc5d0\uc11c|\ubd80\ud130)\s{0,3}[$\u00a3\u20ac]?",
    re.I,
)
_FROM_TO = late(r"\s?(?P<unit>[^\W\d_]{1,12})\s?(?:-|\bto\b|\bbis\b|\b\u00e0\b)\s?")
_AND = late(r"\s{0,3}(?:and|und|et|y|&)\s{0,3}[$\u00a3\u20ac]?", re.I)
# Two quantities, "12 apples and 3 pears": what each counts, and the word between them.
_COUNTED = r"(?:\s(?!(?:and|or|of|is|are|in|for|per|at|with|by|from|plus)\b)[^\W\d_]{1,20}){0,3}"
_JOINT = late(
    rf"(?P<unit>{_COUNTED})(?:,?\s(?:and|und|et|y|e|&|\u0438|plus|as well as|"
    r"(?P<either>or|oder|ou|o|lub|veya|\u0438\u043b\u0438))\s|"
    r"(?P<listed>,\s)|\s?(?:\u548c|\u4e0e|\u3068|\u3084|\uc640|\uacfc)\s?|\s?(?P<other>\u304b|\u6216\u8005?|\u307e\u305f\u306f|\ub610\ub294)\s?)"
    r"(?:also\s|another\s|about\s)?[$\u00a3\u20ac]?",
    re.I,
)
_ENDED = late(rf"(?P<unit>{_COUNTED})[\s*_)\]}}$\"'`\u201d\u2019]{{0,4}}(?:[.;!?\u3002]|\n|\Z|\\\)|\s\()")
_NO_UNIT = frozenset(
    {"each", "per", "more", "less", "fewer", "times", "steps", "step", "total", "left", "altogether", "apiece"}
)
_LIST = late(r"\s{0,3}[,;]\s{0,3}(?:and\s{1,3}|or\s{1,3})?[$\u00a3\u20ac]?", re.I)
_SENTENCE = late(r"[.!?](?=\s)\s*|\n\s*")
_ASIDE = late(
    r"(?<!results )(?<!resulting )(?<!result )"
    r"\b(?:in|for|after|during|within|per|every|each|over|on|until|before|since)\s"
    r"(?:(?:the|a|an|all|first|next|last|these|those|his|her|their)\s){0,2}\Z",
    re.I,
)
_SAYS = late(r"\b(?:is|are|be|was|equals|to|of|as|about|get|gives)\Z", re.I)
_COMPOUND = late(r"-[a-z]{3}")
_OPENED = late(r"\b(?:between|from|zwischen|entre)\b[^0-9.!?\n]{0,40}\Z", re.I)


@dataclass(frozen=True, slots=True)
class Number:
    """A number where it stands in a text."""

    start: int
    end: int
    value: Fraction | None
    """None: digits that are no number, such as a range or a time of day."""
    spelled: str
    """As `spell` writes it, with its % where it has one; empty: it has no value."""
    percent: bool = False


def numbers(text: str) -> list[Number]:
    """All numbers in a text of at most some hundred characters, in order; ranges, times and dates have no value."""
    text = markup.latin(text)
    blocked = [match.span() for match in _STRUCTURED.finditer(text) if not _grouped(match[0])]
    read: list[Number] = []
    at = 0
    while at < len(text):
        block = next((span for span in blocked if span[0] <= at < span[1]), None)
        if block:
            read.append(Number(at, block[1], None, ""))
            at = block[1]
            continue
        begins = _BEGINS.search(text, at)
        if begins is None:
            break
        if begins.start() > at:
            at = begins.start()
            continue
        match = _TOKEN.match(text, at)
        if match is None or not match["whole"]:
            at += 1
            continue
        if any(match.start("whole") < span[1] and span[0] < match.end() for span in blocked):
            # The sign or the money before a date is no number of its own.
            at = max(at + 1, match.start("whole"))
            continue
        if match["sign"] and not _is_sign(text[:at], match["sign"]):
            # Between two operands a minus is no sign, and between two words it is a dash.
            match = _TOKEN.match(text, match.start("sign") + len(match["sign"])) or match
        rest = _RUN.match(text, match.end())
        read.append(Number(match.start(), rest.end(), None, "") if rest else _number(match))
        at = read[-1].end
    return _joined(text, read)


def _is_sign(text: str, sign: str) -> bool:
    before = text.rstrip()
    if before[-1:].isdigit() or before[-1:] == "%" or (len(sign) > 1 and before and "\n" in text[len(before) :]):
        # A difference, or a bullet on a line below another.
        return False
    return len(sign) == 1 or not before or before[-1] in "=:([{,<>*" or bool(_SAYS.search(before[-12:]))


def last_number(text: str) -> Number | None:
    """The last number of a text, whatever its length; None: it has no digit, or its last digits are no number."""
    text = _without_ordinals(text)
    digit = _last_digit(text)
    if digit < 0:
        return None
    start = max(0, digit - _WINDOW)
    # Never in the middle of a number: from where digits begin after something else.
    while 0 < start < digit and (text[start - 1].isdecimal() or text[start - 1] in ".,'"):
        start += 1
    # The exponent of a unit counts nothing.
    window = _RAISED.sub("", markup.plain(markup.latin(text[start : digit + 40])))
    every = numbers(window)
    if not every:
        return None
    # Of the last sentence with numbers, one that says when, where or how long comes second: "12 in 3 hours" is 12.
    begin = max((end.end() for end in _SENTENCE.finditer(window) if end.end() <= every[-1].start), default=0)
    said = [number for number in every if number.start >= begin and not _is_aside(window, number)]
    concluded = said and ("=" not in window[begin:] or _is_aside(window, every[-1]))
    number = said[-1] if concluded else every[-1]
    return number if number.value is not None else None


def _is_aside(text: str, number: Number) -> bool:
    """Whether it says when, where or how long, or is two numbers in brackets or asked about ("the sum of 3 and 4")."""
    if _COMPOUND.match(text, number.end):
        return True
    before = max(0, number.start - 60)
    if number.value is None:
        return _OF.search(text, before, number.start) is not None
    if _ASIDE.search(text, before, number.start) or _OUT_OF.search(text, before, number.start):
        return True
    # "21 dollars (3 hours at 7)": what is in brackets explains what stands before it.
    opened = text.rfind("(", before, number.start)
    inside = text[opened : opened + _WINDOW].partition(")")[0] if opened > before else ""
    return (
        number.start < opened + len(inside)
        and not _CONCLUDES.search(inside)
        and re.search(r"[a-z]{2}", inside) is not None
        and re.search(r"[0-9][^.!?\n]{0,40}\Z", text[before:opened]) is not None
    )


def _without_ordinals(text: str) -> str:
    """Without the numbers of a list's points and of steps."""
    text = _STEP.sub("", text)
    if any(word in text for word in _SELF) and _last_digit(alone := _BESIDE.sub("", text)) >= 0:
        text = alone
    places = {int(point[1]) for point in _POINT.finditer(text)}
    return _POINT.sub(lambda point: "\n" if {int(point[1]) - 1, int(point[1]) + 1} & places else point[0], text)


_POINT = late(r"(?m)^[ \t*#>]{0,8}([0-9]{1,2})[.)][ \t]+(?=\S)")
# What counts a step, a case or a line and not what is asked for.
_STEP = late(
    r"(?mi)^[ \t*#>_-]{0,8}(?:step|part|case|stage|phase|question|problem|example|round|figure|table|line|note)"
    r"[ \t]?#?[0-9]{1,3}[*_]{0,3}[ \t]?[:.)-]"
)
_SELF = ("onfidence", "ertainty", "ifficulty", "robability of being")
# What a reply says of itself, as "confidence: 90" below its answer.
_BESIDE = late(
    r"(?mi)^[ \t*_\"'<-]{0,6}(?:confidence|certainty|probability of being correct|difficulty)(?:[ _](?:score|"
    r"level|rating))?"
    r"[\"'*_> \t]{0,4}[:=>\uff1a][^\n]{0,80}$"
)
_RAISED = late(r"(?<=[A-Za-z])\^\{?-?[0-9]\}?")
_CONCLUDES = late(r"=|\b(?:is|are|was|equals|makes?|gives|or|total)\b", re.I)
_OUT_OF = late(r"(?<![0-9/.,])[0-9]{1,9}\s(?:[a-z]{1,20}\s)?(?:out\s)?of\s(?:the\s|every\s|those\s|these\s)?\Z", re.I)


_OF = late(
    r"\b(?:in|for|of|both|add(?:ing)?|divid(?:e|es|ing)|multipl(?:y|ies|ying)|subtract(?:ing)?)\s"
    r"(?:the\s)?(?:both\s)?(?:(?:two\s)?numbers\s|original\s)?\Z|\s\([^()\n]{0,40}\Z",
    re.I,
)


def _last_digit(text: str) -> int:
    """Where the last decimal digit of any script stands; -1: nowhere."""
    return next((place for place in range(len(text) - 1, -1, -1) if text[place].isdecimal()), -1)


def single(text: str) -> Number | None:
    """The number that a short text is and nothing else, in digits or in English words; None: it is no number."""
    text = markup.plain(text).strip().rstrip(".")
    text = words.whole(text) or text
    every = numbers(text) if len(text) <= 2 * DIGITS else []
    if len(every) != 1 or every[0].start or every[0].end != len(markup.latin(text)):
        return None
    return every[0] if every[0].value is not None else None


def spell(value: Fraction) -> str:
    """One spelling per value: a decimal where it ends within 40 places, a reduced fraction elsewhere."""
    if value.denominator == 1:
        return str(value.numerator)
    below, places = value.denominator, 0
    for prime in (2, 5):
        while below % prime == 0:
            below //= prime
            places += 1
    if below != 1 or places > _EXPONENT:
        return f"{value.numerator}/{value.denominator}"
    whole, part = divmod(abs(value.numerator), value.denominator)
    digits = ""
    while part:
        digit, part = divmod(part * 10, value.denominator)
        digits += str(digit)
    return f"{'-' if value < 0 else ''}{whole}{'.' + digits if digits else ''}"


def _grouped(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9]{1,3}(?:\.[0-9]{3}){2,}", text))


def _decimal(text: str) -> Fraction | None:
    """A numeral without sign; its marks of thousands and of decimals are told by their order."""
    if text.isdecimal():
        return Fraction(int(text)) if len(text) <= 2 * DIGITS else None
    text = re.sub(rf"{_SPACE}|['\u2019_]", "", text)
    commas, points = text.count(","), text.count(".")
    if commas and points:
        # The mark that comes last is that of decimals.
        text = text.replace(",", "") if text.rfind(".") > text.rfind(",") else text.replace(".", "").replace(",", ".")
    elif commas:
        whole, *groups = text.split(",")
        thousands = all(len(group) == 3 for group in groups) and 1 <= len(whole) <= 3 and whole.lstrip("0") != ""
        lakhs = commas > 1 and len(groups[-1]) == 3 and all(len(group) == 2 for group in groups[:-1])
        if thousands or lakhs:
            text = text.replace(",", "")
        elif commas == 1:
            text = text.replace(",", ".")
        else:
            return None
    elif points > 1:
        text = text.replace(".", "")
    return Fraction(text) if 0 < len(text) <= 2 * DIGITS else None


def _number(match: re.Match[str]) -> Number:
    start, end = match.span()
    none = Number(start, end, None, "")
    value = _decimal(match["whole"])
    if value is None:
        return none
    ratio = ""
    if match["mixed"]:
        top, _, below = match["mixed"].partition("/")
        if not int(below) or int(top) >= int(below) or value.denominator != 1:
            return none
        value += Fraction(int(top), int(below))
    elif match["below"]:
        below = Fraction(match["below"])
        if not below:
            return none
        if value.denominator == below.denominator == 1:
            ratio = f"{value.numerator}/{below.numerator}"
        value /= below
    exponent = int(match["exponent"] or match["ten"] or 0)
    power = int(match["power"] or 1)
    if abs(exponent) > _EXPONENT or abs(power) * len(match["whole"]) > DIGITS or (not value and power < 0):
        return none
    # Most numbers have neither, and fractions are slow.
    value = value**power * Fraction(10) ** exponent if power != 1 or exponent else value
    scale = (match["scale"] or "").strip()
    if scale in ("M", "B", "K") and not match["money"]:
        end, scale = match.start("scale"), ""
    if scale:
        word = scale if scale in _SCALES else scale.lower()
        value *= 10 ** _SCALES[word if word in _SCALES else word.rstrip("s")]
    if "-" in (match["sign"] or "") or match["inner"]:
        value, ratio = -value, ratio and f"-{ratio}"
    percent = bool(match["percent"] or match["front"]) and end == match.end()
    if percent and (match["percent"] or "").strip() == "\u2030":
        # Per mille are tenths of per cent.
        value, ratio = value / 10, ""
    # Of a fraction the spelling stays, as long as no scale changed it: 2/4 is another way to write 1/2.
    spelled = ratio if ratio and not scale else spell(value)
    return Number(start, end, value, spelled + ("%" if percent else ""), percent)


def _joined(text: str, read: list[Number]) -> list[Number]:
    """Two numbers that name the ends of a range, and numbers of a list, are one place without a value."""
    done: list[Number] = []
    for number in read:
        before = done[-1] if done else None
        if before is not None and _one_of_many(text, before, number):
            done[-1] = Number(before.start, number.end, None, "")
        else:
            done.append(number)
    return done


_APART = 80


def _two(before: Number, number: Number, joint: re.Match[str], unit: list[str]) -> bool:
    """Whether two quantities at the end of a clause are two answers, and not one of them said again."""
    counted = joint["unit"].lower().split()
    if _NO_UNIT.intersection(word.lower() for word in unit):
        return False
    if joint["listed"]:
        return bool(counted and unit)
    if joint["either"] or joint["other"]:
        # "1/2 or 0.5" is one number, and "2 hours, or 120 minutes" one time.
        shares = [
            each.value / 100 if each.percent and each.value is not None else each.value for each in (before, number)
        ]
        other = counted and unit and counted[-1].rstrip("s") != unit[-1].lower().rstrip("s")
        return not other and (before.value is None or shares[0] != shares[1])
    return True


def _one_of_many(text: str, before: Number, number: Number) -> bool:
    between = text[before.end : number.start]
    if between and not between.strip(" "):
        # Side by side, they are a number in groups of its own or two.
        return True
    joint = _JOINT.fullmatch(between) if len(between) <= _APART else None
    if joint and (ended := _ENDED.match(text, number.end)) and _two(before, number, joint, ended["unit"].split()):
        return True
    if _BETWEEN.fullmatch(between):
        # "10-12" is a range, and "10-5" a difference.
        rises = before.value is None or number.value is None or number.value > before.value
        return rises or not between.strip().startswith("-") or (between == "-" and before.value == number.value)
    counted = _FROM_TO.fullmatch(between)
    if counted and re.match(rf"\s?{re.escape(counted['unit'])}(?![^\W\d_])", text[number.end :]):
        # "3 km to 5 km"
        return True
    if _AND.fullmatch(between):
        return bool(_OPENED.search(text[max(0, before.start - 60) : before.start]))
    return bool(_LIST.fullmatch(between))
