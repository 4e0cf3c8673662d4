"""Numbers in words: "forty-two", "one hundred and five", "two and a half", "half a dozen", and plain ones elsewhere.

A word counts as a number where digits would: ordinals, "several" and "one of them" are none. Linear in the text.
"""

from __future__ import annotations

import re
from functools import lru_cache

from engine.core.answers.patterns import late

_UNITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_VALUES = {word: value for value, word in enumerate([*_UNITS, *_TEENS], 1)} | {
    **{word: 10 * place for place, word in enumerate(_TENS, 2)},
    **dict.fromkeys(("zero", "nought", "naught", "nil"), 0),
    **dict.fromkeys(("a", "an"), 1),
    "fourty": 40,
}
_PARTS = {
    word: below
    for below, word in enumerate(
        ("half", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"), 2
    )
} | {"quarter": 4, "twelfth": 12, "twentieth": 20, "hundredth": 100, "thousandth": 1000}

_GAP = r"(?:\s|-)"
_ONES = "|".join(_UNITS)
# "Twenty first" is the place of one and no number.
_PLACE = r"\s(?:first|second|third|[a-z]{2,6}th)\b"
_BELOW_HUNDRED = (
    rf"(?:(?:{'|'.join(_TENS)}|fourty)(?:{_GAP}(?:{_ONES})(?![a-z])|(?!{_PLACE}))|(?:{'|'.join(_TEENS)})|(?:{_ONES}))"
    r"(?![a-z])"
)
_BELOW_THOUSAND = (
    rf"(?:(?:{_BELOW_HUNDRED}|an?){_GAP}hundred(?![a-z])(?:{_GAP}(?:and{_GAP})?{_BELOW_HUNDRED})?|{_BELOW_HUNDRED})"
)
_SCALE = rf"(?:{'|'.join(_SCALES)})(?![a-z])"
_WHOLE = (
    rf"(?:(?:{_BELOW_THOUSAND}|an?){_GAP}{_SCALE}(?:,?{_GAP}(?:and{_GAP})?{_BELOW_THOUSAND}{_GAP}{_SCALE}){{0,3}}"
    rf"(?:,?{_GAP}(?:and{_GAP})?{_BELOW_THOUSAND})?|{_BELOW_THOUSAND}|(?:zero|nought|naught|nil)(?![a-z]))"
)
_DENOMINATOR = "|".join(part for part in _PARTS if part != "half")
_SHARE = (
    rf"(?:(?:an?|one){_GAP}(?:half|{_DENOMINATOR})(?![a-z])|"
    rf"{_BELOW_HUNDRED}{_GAP}(?:halves|(?:{_DENOMINATOR})s)(?![a-z]))"
)
_OF_SCALE = rf"(?:\s{_SCALE})?"
_NUMBER = (
    r"(?<![\w-])(?<!\w')(?:"
    # A time of day, up to its hour.
    rf"(?P<time>(?:half|(?:a{_GAP})?quarter)\s(?:past|to|after)\s\w{{1,12}})"
    rf"|(?P<dozen>half{_GAP}a{_GAP}dozen|a{_GAP}dozen)"
    rf"|(?P<whole>{_WHOLE}){_GAP}and{_GAP}(?P<more>{_SHARE}){_OF_SCALE}"
    rf"|(?P<share>{_SHARE})"
    rf"|(?P<point>{_WHOLE})\spoint(?P<places>(?:\s(?:zero|oh|{_ONES})(?![a-z])){{1,20}}){_OF_SCALE}"
    rf"|(?P<half>half)"
    rf"|(?P<only>{_WHOLE})"
    # "Several hundred": a scale of nothing that is said.
    rf"|(?P<vague>(?:hundred|{'|'.join(_SCALES)})s?))(?![\w'\u2019]|-\w)"
)
_ONE_WORD = (
    r"one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|"
    r"(?:twen|thir|fou?r|fif|six|seven|eigh|nine)ty|zero|hundred|thousand|million|half|third|quarters?|halves"
)
ENGLISH = rf"(?i:(?:minus\s|negative\s)?(?:an?\s)?(?:{_ONE_WORD})(?:[\s-](?:and\s)?(?:{_ONE_WORD})){{0,9}}(?![\w-]))"
"""A number in words, as a part of other patterns; more is matched than is a number."""
_GATE = late(
    "|".join((*_UNITS, *_TEENS, *(word[:-1] for word in _TENS), "zero|n[oa]ught|nil|hundred|half|dozen|fourty"))
    + "|".join(("", *_SCALES, *_PARTS)),
    re.I,
)
"""Most texts have none of these."""
_LEAD = late(
    r"[\s*_\"'`($\u20ac\u00a3\[{\u201c]{0,6}(?:(?:exactly|precisely|approximately|approx\.?|about|around|roughly|nearly|"
    r"almost|only|just|simply|equal to|equals|minus|negative|a total of|the number|therefore|thus|that|it is|it's|"
    r"there (?:are|is|were|was|will be|would be)|(?:he|she|they|we|you|it) (?:has|have|had|got))\s){0,4}\Z",
    re.I,
)
# Behind "one", what is counted or nothing: "one of them", "one that fits" and "one another" name something.
_ONE_IS_COUNTED = late(
    r"(?:[\s*_\"'`)\]}$%.!,;:\u201d]{0,6}(?:\Z|\n|[.!;,(]\s?)|"
    r"\s(?!(?:of|or|that|which|who|whose|where|with|without|can|could|may|might|should|would|will|is|are|was|were|has|"
    r"must|in|on|at|by|for|from|to|and|another|things?|answers?|solutions?|questions?|ways?|reasons?|cases?|above|below|"
    r"here|there|the|a|an|we|you|he|she|it)\b)[a-z%])",
    re.I,
)
# "The two friends have seven apples": known already, and no answer.
_KNOWN = late(
    r"\b(?:the|these|those|all|both|his|her|its|their|our|my|no|any|every|each|which|this|that|other|first|last)\s\Z",
    re.I,
)
# "The sum of two numbers", "more than seven".
_RELATED = late(r"\b(?:of|into|in|between|from|with|by|for|at|on|to|than|least|most|over|under|up)\s\Z", re.I)
_LISTED = late(r"(?:\b(?:or|and|to|plus|minus|negative|times)\s|[,/;]\s?|[-+=*]\s?)\Z", re.I)
_SIGN = late(r"\b(?:minus|negative)\s(?=[0-9])", re.I)
_BESIDE = late(r"[0-9]\s(?:or|and|to)\s\Z", re.I)
_TIMES = late(
    r"[\s*_\"'`(\[]{0,6}(?:(?:exactly|only|just)\s)?(?P<times>twice|thrice)(?:\s(?:a|an|per|each|every)\s[a-z]{1,12})?"
    r"[\s*_\"'`)\].!]{0,6}",
    re.I,
)
_SENTENCE = late(r"[.!?;](?=\s)|\n|(?<=[a-z])\s\((?=[0-9])")
_BY_ITSELF = late(
    r"(?:\s(?:square|cubic)\b)?(?:\s(?!(?:of|or|and)\b)[^\W\d_]{1,20})?(?:\s(?:in (?:total|all)|altogether))?"
    r"[\s*_\"'`)\].!\u3002]{0,8}",
    re.I,
)

_ELSEWHERE = {
    "de": (
        "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn "
        "siebzehn achtzehn neunzehn zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig hundert"
    ),
    "fr": (
        "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept "
        "dix-huit dix-neuf vingt trente quarante cinquante soixante soixante-dix quatre-vingts quatre-vingt-dix cent"
    ),
    "es": (
        "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis diecisiete "
        "dieciocho diecinueve veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa cien"
    ),
    "it": (
        "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici sedici "
        "diciassette diciotto diciannove venti trenta quaranta cinquanta sessanta settanta ottanta novanta cento"
    ),
    "pt": (
        "zero um dois três quatro cinco seis sete oito nove dez onze doze treze catorze quinze dezesseis dezessete "
        "dezoito dezenove vinte trinta quarenta cinquenta sessenta setenta oitenta noventa cem"
    ),
    "nl": (
        "nul een twee drie vier vijf zes zeven acht negen tien elf twaalf dertien veertien vijftien zestien zeventien "
        "achttien negentien twintig dertig veertig vijftig zestig zeventig tachtig negentig honderd"
    ),
    "pl": (
        "zero jeden dwa trzy cztery pięć sześć siedem osiem dziewięć dziesięć jedenaście dwanaście trzynaście "
        "czternaście piętnaście szesnaście siedemnaście osiemnaście dziewiętnaście dwadzieścia trzydzieści "
        "czterdzieści pięćdziesiąt sześćdziesiąt siedemdziesiąt osiemdziesiąt dziewięćdziesiąt sto"
    ),
    "ru": (
        "ноль один два три четыре пять шесть семь восемь девять десять одиннадцать двенадцать тринадцать четырнадцать "
        "пятнадцать шестнадцать семнадцать восемнадцать девятнадцать двадцать тридцать сорок пятьдесят шестьдесят "
        "семьдесят восемьдесят девяносто сто"
    ),
    "tr": (
        "sıfır bir iki üç dört beş altı yedi sekiz dokuz on on-bir on-iki on-üç on-dört on-beş on-altı on-yedi "
        "on-sekiz on-dokuz yirmi otuz kırk elli altmış yetmiş seksen doksan yüz"
    ),
    "ko": (
        "영 일 이 삼 사 오 육 칠 팔 구 십 십일 십이 십삼 십사 십오 십육 십칠 십팔 십구 이십 삼십 사십 오십 육십 칠십 "
        "팔십 구십 백"
    ),
    "hi": (
        "शून्य एक दो तीन चार पाँच छह सात आठ नौ दस ग्यारह बारह तेरह चौदह पंद्रह सोलह सत्रह अठारह उन्नीस बीस तीस चालीस "
        "पचास साठ सत्तर अस्सी नब्बे सौ"
    ),
    "ar": (
        "صفر واحد اثنان ثلاثة أربعة خمسة ستة سبعة ثمانية تسعة عشرة أحد-عشر اثنا-عشر ثلاثة-عشر أربعة-عشر خمسة-عشر "
        "ستة-عشر سبعة-عشر ثمانية-عشر تسعة-عشر عشرون ثلاثون أربعون خمسون ستون سبعون ثمانون تسعون مئة"
    ),
}
"""Zero to twenty, then the tens to a hundred."""
_OTHERWISE = frozenset({"null", "once", "on"})
"""What says something else in JSON or in English."""
_TABLE = {
    word.replace("-", " ") if language in ("tr", "ar") else word: place if place <= 20 else 10 * (place - 18)
    for language, words in _ELSEWHERE.items()
    for place, word in enumerate(words.split())
    if word not in _OTHERWISE
}
_HAN = {numeral: value for value, numeral in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "兩": 2}
_HAN_TENS = {"十": 10, "百": 100, "千": 1000}
_HAN_SCALES = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
_HAN_NUMBER = late(rf"([{''.join([*_HAN, *_HAN_TENS, *_HAN_SCALES])}]{{1,16}})[个個つ名人元円只本枚]?")


@lru_cache(maxsize=1)
def _numbers() -> re.Pattern[str]:
    # Read by nobody who meets no number in words, and slow to compile.
    return re.compile(_NUMBER, re.I)


def in_digits(text: str) -> str:
    """A piece that states a number, with the number in digits where it stands in words.

    Where there are digits as well, only what it begins with is: of "the two of them have 7" the 7 is stated."""
    sentence = _SENTENCE.search(text)
    if sentence:
        return in_digits(text[: sentence.start()]) + text[sentence.start() :]
    return _english(text) or _elsewhere(text) or text


def whole(text: str) -> str | None:
    """The digits, and the unit, of a short text that is a number in English words and nothing else; None: it is not."""
    if _TIMES.fullmatch(text):
        return _english(text)
    first = _numbers().search(text) if _GATE.search(text) else None
    if first is None or not _LEAD.match(text[: first.start()]) or not _BY_ITSELF.fullmatch(text, first.end()):
        return None
    return _english(text)


def alone(text: str) -> str | None:
    """Likewise, in any language that is known here."""
    return whole(text) or _elsewhere(text)


def _english(text: str) -> str | None:
    """None: no number is stated in words."""
    times = _TIMES.fullmatch(text)
    if times:
        return "2" if times["times"].lower() == "twice" else "3"
    places = list(_numbers().finditer(text)) if _GATE.search(text) else []
    if not places or any(place["vague"] or place["time"] for place in places):
        return None
    first = places[0]
    leads = _LEAD.match(text[: first.start()]) is not None
    if not leads and any(map(str.isdecimal, text)):
        # "6 or seven" is two numbers.
        beside = [place for place in places if _BESIDE.search(text, max(0, place.start() - 8), place.start())]
        return text[: beside[0].start()] + _value(beside[0]) + text[beside[0].end() :] if beside else None
    if not leads and _RELATED.search(text, max(0, first.start() - 12), first.start()):
        return None
    if _is_one(first) and not (leads and _ONE_IS_COUNTED.match(text, first.end())):
        return None
    digits = _numbers().sub(lambda found: _spelled(text, found, leads and found.start() == first.start()), text)
    return _SIGN.sub("-", digits) if leads else digits


def _is_one(found: re.Match[str]) -> bool:
    return found[0].lower() == "one"


def _spelled(text: str, found: re.Match[str], leads: bool) -> str:
    before = text[max(0, found.start() - 12) : found.start()]
    if not leads and (_KNOWN.search(before) or (_is_one(found) and not _LISTED.search(before))):
        return found[0]
    return _value(found)


def _value(found: re.Match[str]) -> str:
    if found["dozen"]:
        return "6" if found["dozen"][0] in "hH" else "12"
    if found["half"]:
        return "1/2"
    if found["share"]:
        top, below = _share(found["share"])
        return f"{top}/{below}"
    if found["more"]:
        top, below = _share(found["more"])
        return f"{_whole(found['whole'])} {top}/{below}{_scale(found)}"
    if found["point"]:
        places = "".join("0" if word == "oh" else str(_VALUES[word]) for word in found["places"].lower().split())
        return f"{_whole(found['point'])}.{places}{_scale(found)}"
    return str(_whole(found["only"]))


def _scale(found: re.Match[str]) -> str:
    """The scale behind a number that is not whole, as it is written."""
    last = found[0].split()[-1]
    return f" {last}" if last.lower() in _SCALES else ""


def _words(text: str) -> list[str]:
    return re.findall("[a-z]+", text.lower())


def _share(text: str) -> tuple[int, int]:
    *top, part = _words(text)
    below = 2 if part == "halves" else _PARTS.get(part) or _PARTS[part.removesuffix("s")]
    return _whole(" ".join(top)), below


def _whole(text: str) -> int:
    total = group = 0
    for word in _words(text):
        if word == "hundred":
            group *= 100
        elif word in _SCALES:
            total, group = total + group * _SCALES[word], 0
        elif word != "and":
            group += _VALUES[word]
    return total + group


def _elsewhere(text: str) -> str | None:
    """A number of another language, where a text is nothing else."""
    word = text.strip(" \t\n.!*_\"'`()[]\u3002\u0964\u201c\u201d\u300c\u300d$").lower()
    value = _TABLE.get(word)
    if value is not None:
        return str(value)
    han = _HAN_NUMBER.fullmatch(word)
    return str(_han(han[1])) if han else None


def _han(numerals: str) -> int:
    if len(numerals) > 1 and all(numeral in _HAN for numeral in numerals):
        # Digit by digit, as years are written.
        return int("".join(str(_HAN[numeral]) for numeral in numerals))
    total = group = digit = 0
    for numeral in numerals:
        if numeral in _HAN:
            digit = _HAN[numeral]
        elif numeral in _HAN_TENS:
            group, digit = group + (digit or 1) * _HAN_TENS[numeral], 0
        else:
            total, group, digit = total + (group + digit or 1) * _HAN_SCALES[numeral], 0, 0
    return total + group + digit
