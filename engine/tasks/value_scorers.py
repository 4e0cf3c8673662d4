"""Scorers of values: a number with tolerance and units, the letter of an option, a set or a list, a formula."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, NamedTuple

from engine.core import answers
from engine.core.answers import choices, markup, numbers
from engine.core.records import AnswerKind, Question
from engine.tasks.scoring import LONGEST, scorer

_MOST_ITEMS = 500
_LONGEST_NUMBER = 400
"""Characters of a number with its unit and what is said around it."""


class Quantity(NamedTuple):
    """A number and what it counts."""

    value: Fraction
    percent: bool
    unit: str
    """As it was written, lower case but for units that capitals tell apart; empty: none."""


def _scaled(dimension: str, **units: str) -> dict[str, tuple[str, Fraction]]:
    return {name: (dimension, Fraction(factor)) for name, factor in units.items()}


UNITS: dict[str, tuple[str, Fraction]] = {
    **_scaled("length", mm="1/1000", cm="1/100", dm="1/10", m="1", km="1000", inch="127/5000", ft="381/1250"),
    **_scaled("length", yd="1143/1250", mi="201168/125", nm="1/1000000000", um="1/1000000"),
    **_scaled("mass", mg="1/1000000", g="1/1000", kg="1", t="1000", lb="45359237/100000000", oz="45359237/1600000000"),
    **_scaled("time", ms="1/1000", s="1", min="60", h="3600", d="86400", week="604800"),
    **_scaled("volume", ml="1/1000", cl="1/100", dl="1/10", l="1"),
    **_scaled("energy", J="1", kJ="1000", MJ="1000000", Wh="3600", kWh="3600000", cal="523/125", kcal="4184"),
    **_scaled("power", W="1", kW="1000", MW="1000000"),
    **_scaled("force", N="1", kN="1000"),
    **_scaled("pressure", Pa="1", kPa="1000", bar="100000", MPa="1000000"),
    **_scaled("voltage", mV="1/1000", V="1", kV="1000"),
    **_scaled("current", mA="1/1000", A="1"),
    **_scaled("frequency", Hz="1", kHz="1000", MHz="1000000", GHz="1000000000"),
    **_scaled("speed", **{"m/s": "1", "km/h": "5/18"}),
    **_scaled("data", bit="1/8", byte="1", KB="1000", MB="1000000", GB="1000000000"),
    **_scaled("area", cm2="1/10000", m2="1", km2="1000000"),
}
"""Dimension and how many of its base unit one is."""
_LONG = {
    "mm": "millimeter millimeters millimetre millimetres",
    "cm": "centimeter centimeters centimetre centimetres",
    "m": "meter meters metre metres",
    "km": "kilometer kilometers kilometre kilometres",
    "inch": "inches in",
    "ft": "foot feet",
    "yd": "yard yards",
    "mi": "mile miles",
    "mg": "milligram milligrams",
    "g": "gram grams gramme grammes",
    "kg": "kilogram kilograms kilo kilos kgs",
    "t": "ton tons tonne tonnes",
    "lb": "pound pounds lbs",
    "oz": "ounce ounces",
    "ms": "millisecond milliseconds",
    "s": "second seconds sec secs",
    "min": "minute minutes mins",
    "h": "hour hours hr hrs",
    "d": "day days",
    "week": "weeks",
    "ml": "milliliter milliliters millilitre millilitres",
    "l": "liter liters litre litres",
    "J": "joule joules",
    "W": "watt watts",
    "N": "newton newtons",
    "Pa": "pascal pascals",
    "V": "volt volts",
    "A": "ampere amperes amp amps",
    "Hz": "hertz",
    "km/h": "kmh kph",
    "m2": "m² m^2",
    "cm2": "cm² cm^2",
    "km2": "km² km^2",
    "byte": "bytes",
    "bit": "bits",
}
_SPELLED = {long: short for short, words in _LONG.items() for long in words.split()}
# Without capitals only where these tell no two units apart.
_SMALL = {name.lower(): name for name in UNITS if sum(name.lower() == other.lower() for other in UNITS) == 1}


def unit_named(word: str) -> str:
    """The unit a word names, empty where we know none such."""
    word = word.strip().strip(".")
    return word if word in UNITS else _SPELLED.get(word.lower()) or _SMALL.get(word.lower(), "")


def quantity(text: str) -> Quantity | None:
    """The one number of a short text with the unit behind it; None: there is none, or more than one."""
    if len(text) > _LONGEST_NUMBER:
        return None
    plain = markup.plain(text)
    number = numbers.single(plain)
    behind = ""
    # More than the number alone, such as a unit with a digit of its own.
    if number is None:
        every = numbers.numbers(plain)
        if not every or every[0].value is None:
            return None
        number, behind = every[0], plain[every[0].end :].strip()
        # 5 m2: the digit is the unit's own. Anything else with a second number is no quantity.
        if len(every) > 1 and not unit_named(behind):
            return None
    if number.value is None:
        return None
    return Quantity(number.value, number.percent, unit_named(behind))


@scorer("number")
@dataclass(frozen=True)
class NumberWithin:
    """The number of the target within a tolerance; a unit behind it is converted (12 km is 12 000 m)."""

    tolerance: float = 0.0
    """How far it may be off, as a share of the target: 0.01 or 1%; 0: not at all."""
    off: float = 0.0
    """How far it may be off in the target's own unit, whichever allows more."""
    unit: str = ""
    """The unit of targets that write none; empty: none."""

    def score(self, answer: str, question: Question) -> float:
        """1 or 0; answers in a unit of another kind are wrong, those without any are taken to be in the target's."""
        wanted, said = quantity(question.target), quantity(answer)
        if wanted is None or said is None:
            # A target that is no number is compared by its letters, and an answer without one is wrong.
            return float(wanted is None and answer.strip() == question.target.strip() != "")
        unit = wanted.unit or unit_named(self.unit)
        value = said.value
        # Where one of the two names none, the number stands for itself.
        if said.unit and unit and said.unit != unit:
            (dimension, factor), (other, base) = UNITS[said.unit], UNITS[unit]
            if dimension != other:
                return 0.0
            value = value * factor / base
        pairs = [(value, wanted.value)]
        if said.percent != wanted.percent:
            # A share may be written either way where one of the two says that it is in per cent.
            pairs.append((_share(value, said.percent), _share(wanted.value, wanted.percent)))
        # As fractions: a tolerance of 1% is met exactly at its edge.
        return float(any(abs(one - other) <= self._allowed(other) for one, other in pairs))

    def _allowed(self, target: Fraction) -> Fraction:
        # By their spelling: the float of 0.1 is a little more than a tenth.
        return max(Fraction(str(self.off)), abs(target) * Fraction(str(self.tolerance)))


def _share(value: Fraction, percent: bool) -> Fraction:
    return value / 100 if percent else value


@scorer("choice")
class Choice:
    """The letter of the right option, or that option's own text."""

    def score(self, answer: str, question: Question) -> float:
        """1 or 0."""
        wanted, options = choices.letter_of(question.target), question.problem.options
        said = choices.letter_of(answer)
        if said is None and options and len(answer) <= LONGEST:
            # Only within bounds: each option is looked for in the answer.
            said = choices.letter_by_text(answer, options)
        if wanted is None and options:
            wanted = choices.letter_by_text(question.target, options)
        if wanted is None:
            return float(answers.same(answer, question.target, "text"))
        return float(said == wanted)


@scorer("expression")
class Expression:
    """A formula by its value, or as algebra: 1/2 is 0.5, and 2(x+1) is 2x+2."""

    def score(self, answer: str, question: Question) -> float:
        """1 or 0; nothing is executed."""
        return float(len(answer) <= LONGEST and answers.same(answer, question.target, "expression"))


def items_of(text: str) -> list[str]:
    """The items of a list as people and models write them: between commas, semicolons, bars, lines or `and`."""
    plain = markup.plain(text).strip().strip(".")
    # Lists in lists of one: models put brackets around brackets.
    while len(plain) > 1 and (plain[0], plain[-1]) in (("[", "]"), ("{", "}"), ("(", ")")):
        plain = plain[1:-1].strip()
    # The rarest first: with semicolons between items, commas belong to them.
    for sign in ("\n", ";", "|", ","):
        if sign in plain:
            parts = plain.split(sign)
            break
    else:
        parts = [plain]
    if len(parts) == 1 or parts[-1].strip().lower().startswith("and "):
        # The last comma may be an `and`: red, green and blue.
        last = re.split(r"\s+and\s+|^and\s+", parts[-1].strip(), maxsplit=1)
        parts = [*parts[:-1], *last] if len(parts) > 1 else re.split(r"\s+and\s+", plain)
    elif " and " in parts[-1]:
        parts = [*parts[:-1], *parts[-1].split(" and ", 1)]
    bare = (re.sub(r"^\s*(?:[-*•]|[0-9]{1,3}[.)])\s+", "", part).strip().strip("\"'") for part in parts)
    return [answers.vote_key(part) for part in bare if part][:_MOST_ITEMS]


@scorer("set")
@dataclass(frozen=True)
class SameSet:
    """The items of the target in any order: the harmonic mean of precision and recall over distinct items."""

    form: ClassVar[str] = "Give the answer as items between commas, in any order."
    reads: ClassVar[AnswerKind] = "text"
    whole: bool = False
    """Whether anything but all of them counts 0."""

    def score(self, answer: str, question: Question) -> float:
        """From 0, none in common, to 1, the same items."""
        if len(answer) > LONGEST:
            return 0.0
        wanted, said = set(items_of(question.target)), set(items_of(answer))
        if not wanted or not said:
            return 0.0
        share = 2 * len(wanted & said) / (len(wanted) + len(said))
        return float(share == 1) if self.whole else share


@scorer("list")
@dataclass(frozen=True)
class SameList:
    """The items of the target in its order: twice the longest common subsequence over both lengths."""

    form: ClassVar[str] = "Give the answer as items between commas, in order."
    reads: ClassVar[AnswerKind] = "text"
    whole: bool = False
    """Whether anything but all of them in order counts 0."""

    def score(self, answer: str, question: Question) -> float:
        """From 0, nothing in common, to 1, the same list."""
        if len(answer) > LONGEST:
            return 0.0
        wanted, said = items_of(question.target), items_of(answer)
        # Nothing in common is seen in linear time; what follows is quadratic.
        if not wanted or not said or not Counter(wanted) & Counter(said):
            return 0.0
        share = 2 * _common(wanted, said) / (len(wanted) + len(said))
        return float(share == 1) if self.whole else share


def _common(one: list[str], other: list[str]) -> int:
    """Length of the longest subsequence both have."""
    # One row of the table at a time: five hundred items have a quarter of a million cells.
    row = [0] * (len(other) + 1)
    for item in one:
        before = 0
        for place, candidate in enumerate(other, start=1):
            above = row[place]
            row[place] = before + 1 if item == candidate else max(above, row[place - 1])
            before = above
    return row[-1]
