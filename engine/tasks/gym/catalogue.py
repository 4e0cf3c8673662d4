"""The generators on offer and their three presets each; a table, no code that runs a generator.

Left out on purpose: generators that differ between processes (word_ladder, codeio), that have no target or accept
junk (graph_color, game_of_life_halting), that have too few distinct questions (coin_flip, count_bits), or whose text
does not settle the answer (aiw).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.core.records import AnswerKind
from engine.tasks.gym.checks import Check, Keep

Config = Mapping[str, object]
LEVELS = ("easy", "medium", "hard")


@dataclass(frozen=True, slots=True)
class Generator:
    """One generator as we use it."""

    kind: AnswerKind
    instructions: str
    """One sentence on the form of the answer, the same for every level."""
    easy: Config
    medium: Config
    hard: Config
    check: Check = "same"
    keep: Keep = "all"
    reach: int = 100_000
    """How many items are generated before giving up; bounds the time of a slow generator."""
    module: str | None = None
    """Where reasoning_gym registers it, below its own name; None: made by ourselves."""
    category: str | None = None
    """What questions are grouped by: a number in the generator's metadata; None: they are not."""

    def preset(self, level: str) -> Config:
        """Configuration keywords of one of LEVELS."""
        return {"easy": self.easy, "medium": self.medium, "hard": self.hard}[level]


def _span(name: str, low: float, high: float, **more: object) -> dict[str, object]:
    return {f"min_{name}": low, f"max_{name}": high, **more}


def _sum(low: int, high: int, digits: int, **more: object) -> Config:
    return {**_span("terms", low, high), **_span("digits", digits, digits), **more}


def _mixed(low: int, high: int, digits: int, *operators: str, brackets: bool = False) -> Config:
    return _sum(low, high, digits, operators=operators, allow_parentheses=brackets, allow_negation=brackets)


def _equation(terms: int, value: int, *weights: float) -> Config:
    return {**_span("terms", 2, terms), **_span("value", 1, value), "operators_weights": list(weights)}


def _fraction(value: int, factor: int) -> Config:
    return {**_span("value", 1, value), **_span("factor", 2, factor), "styles": ("plain",)}


def _sorting(count: int, decimals: int, low: int, high: int) -> Config:
    return {**_span("numbers", count, count), **_span("decimals", decimals, decimals), **_span("value", low, high)}


def _countdown(low: int, high: int, value: int, target: int, *operators: str) -> Config:
    spans = _span("numbers", low, high) | _span("value", 1, value) | _span("target", 2, target)
    return spans | {"operators": operators}


def _calendar(days: int, task: str) -> Config:
    return {"tasks": [task], "offset_upper_bound": days}


_INTEGER = "Give the answer as a whole number."
_NAME = "Answer with the name alone."
_WEEKDAY = "Answer with the name of the weekday."
_FORMULA = "Answer with one arithmetic expression that uses every given number exactly once, without an equals sign."

CATALOGUE: Mapping[str, Generator] = {
    "base_conversion": Generator(
        "word",
        "Answer with the converted number, without a prefix.",
        {**_span("base", 2, 4), **_span("value", 1, 60)},
        {**_span("base", 2, 10), **_span("value", 10, 300)},
        {**_span("base", 2, 16), **_span("value", 100, 5000)},
        check="spelling",
        module="algorithmic.base_conversion",
    ),
    "basic_arithmetic": Generator(
        "number",
        _INTEGER,
        _mixed(2, 2, 1, "+", "-", "*"),
        _mixed(3, 3, 1, "+", "-", "*"),
        _mixed(4, 5, 2, "+", "-", "*", brackets=True),
        module="arithmetic.basic_arithmetic",
    ),
    "calendar_arithmetic": Generator(
        "word",
        _WEEKDAY,
        _calendar(6, "weekday_offset"),
        _calendar(100, "weekday_offset"),
        _calendar(365, "weekday_of_date_from_first_date"),
        module="arithmetic.calendar_arithmetic",
    ),
    "chain_sum": Generator(
        "number",
        _INTEGER,
        _sum(2, 2, 1),
        _sum(2, 3, 2),
        _sum(4, 6, 3),
        keep="not_negative",
        module="arithmetic.chain_sum",
    ),
    "countdown": Generator(
        "text",
        _FORMULA,
        _countdown(2, 3, 10, 30, "+", "-"),
        _countdown(3, 4, 20, 100, "+", "-", "*"),
        _countdown(4, 6, 100, 999, "+", "-", "*", "/"),
        check="formula",
        keep="reachable",
        reach=4_000,
        module="games.countdown",
    ),
    "decimal_chain_sum": Generator(
        "number",
        "Give the answer as a decimal number.",
        _sum(2, 2, 1, **_span("decimal_places", 1, 1)),
        _sum(2, 3, 2, **_span("decimal_places", 1, 2)),
        _sum(4, 6, 3, **_span("decimal_places", 2, 4)),
        module="arithmetic.decimal_chain_sum",
    ),
    "distractors": Generator(
        "number",
        _INTEGER,
        {"least": 1, "most": 3},
        {"least": 5, "most": 8},
        {"least": 12, "most": 16},
        category="distractors",
    ),
    "family_relationships": Generator(
        "word",
        "Answer with one word for the relation.",
        _span("family_size", 3, 4),
        _span("family_size", 5, 6),
        _span("family_size", 7, 10),
        keep="plain_kin",
        module="graphs.family_relationships",
    ),
    "fraction_simplification": Generator(
        "number",
        "Give the answer as a fraction a/b in lowest terms.",
        _fraction(12, 5),
        _fraction(60, 12),
        _fraction(1000, 100),
        check="spelling",
        keep="proper_fraction",
        module="arithmetic.fraction_simplification",
    ),
    "gcd": Generator(
        "number",
        _INTEGER,
        _span("value", 2, 20),
        _span("value", 2, 100),
        _span("value", 10, 1000, **_span("numbers", 2, 3)),
        keep="few_ones",
        module="arithmetic.gcd",
    ),
    # No presets: the level is told by the length of its solution.
    "gsm_symbolic": Generator(
        "number", _INTEGER, {}, {}, {}, keep="word_problem", reach=20_000, module="arithmetic.gsm_symbolic.gsm_symbolic"
    ),
    "lcm": Generator(
        "number",
        _INTEGER,
        _span("value", 2, 20),
        _span("value", 2, 50),
        _span("value", 10, 100, **_span("numbers", 2, 3)),
        module="arithmetic.lcm",
    ),
    "leg_counting": Generator(
        "number",
        _INTEGER,
        {**_span("animals", 1, 2), **_span("instances", 1, 5)},
        {**_span("animals", 2, 3), **_span("instances", 1, 9)},
        {**_span("animals", 4, 8), **_span("instances", 1, 15)},
        module="arithmetic.leg_counting",
    ),
    "letter_counting": Generator(
        "number",
        _INTEGER,
        _span("words", 1, 1),
        _span("words", 2, 4),
        _span("words", 6, 15),
        keep="countable_letters",
        module="algorithmic.letter_counting",
    ),
    "needle_haystack": Generator(
        "word",
        _NAME,
        _span("num_statements", 3, 5),
        _span("num_statements", 10, 20),
        _span("num_statements", 50, 100),
        keep="one_needle",
        module="cognition.needle_haystack",
    ),
    "number_sequence": Generator(
        "number",
        "Give the next number of the sequence.",
        _span("terms", 5, 6, **_span("value", 0, 10), max_complexity=1),
        _span("terms", 5, 7, **_span("value", -50, 50), max_complexity=2),
        _span("terms", 5, 8, **_span("value", -100, 100), max_complexity=3),
        module="cognition.number_sequences",
    ),
    "number_sorting": Generator(
        "text",
        "Answer with the numbers in order, separated by commas.",
        _sorting(3, 0, 0, 20),
        _sorting(6, 0, -50, 50),
        _sorting(10, 2, -100, 100),
        check="listed",
        module="algorithmic.number_sorting",
    ),
    "products": Generator(
        "number", _INTEGER, _sum(2, 2, 1), _sum(2, 2, 2), _sum(2, 3, 3), module="arithmetic.products"
    ),
    "puzzle24": Generator(
        "text",
        _FORMULA,
        {**_span("value", 1, 6), "operators": ("+", "-", "*")},
        _span("value", 1, 8),
        _span("value", 1, 10),
        check="formula",
        keep="reachable",
        reach=2_000,
        module="games.puzzle24",
    ),
    "simple_equations": Generator(
        "number",
        _INTEGER,
        _equation(2, 9, 0.5, 0.5, 0.0),
        _equation(3, 30, 0.4, 0.4, 0.2),
        _equation(4, 100, 0.4, 0.4, 0.2),
        module="algebra.simple_equations",
    ),
    "simple_geometry": Generator(
        "number",
        _INTEGER,
        _span("sides", 3, 3, **_span("angle", 10, 120)),
        _span("sides", 3, 4),
        _span("sides", 5, 8, **_span("angle", 80, 170)),
        keep="convex",
        module="geometry.simple_geometry",
    ),
    "spell_backward": Generator(
        "word",
        "Answer with the letters as one word.",
        _span("word_len", 3, 3),
        _span("word_len", 4, 5),
        _span("word_len", 7, 10),
        module="algorithmic.spell_backward",
    ),
    "syllogism": Generator(
        "yes_no",
        "Answer yes or no.",
        {"allow_some": False, "allow_some_not": False, "invalid_ratio": 0.5, "inversion_probability": 0.0},
        {"invalid_ratio": 0.5, "inversion_probability": 0.0},
        {"invalid_ratio": 0.5, "inversion_probability": 0.4},
        keep="sound_logic",
        module="logic.syllogisms",
    ),
}
