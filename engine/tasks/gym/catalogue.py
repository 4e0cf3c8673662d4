"""The generators on offer, their three presets each and the levels of their own curricula; a table, no code that runs a
generator.

Left out on purpose:
- differ between processes: word_ladder, codeio, ransom_note, isomorphic_strings;
- have no target, or a verifier that accepts junk: graph_color, game_of_life_halting;
- have another target than they ask for: power_function (three digits are asked, all are wanted), number_format;
- have few distinct questions, or mostly one answer: coin_flip, count_bits, largest_island, string_insertion;
- leave the answer or its form open: aiw, letter_jumble, knights_knaves;
- get no harder with their difficulty: self_reference;
- want packages we do not install: zebra_puzzles, time_intervals.
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
    steps: int = 0
    """Levels of the generator's own curriculum that can be asked, '1' to this; 0: it has none, or one that changes what
    is asked."""

    @property
    def family(self) -> str:
        """What kind of question it is: the package of reasoning_gym it comes from; our own are cognition."""
        # The package is what reasoning-gym itself sorts by, so its family needs no table of ours.
        return self.module.partition(".")[0] if self.module else "cognition"

    @property
    def levels(self) -> tuple[str, ...]:
        """Every level that can be asked: the presets, then those of its own curriculum."""
        return (*LEVELS, *map(str, range(1, self.steps + 1)))

    def preset(self, level: str) -> Config:
        """Configuration keywords of one of LEVELS."""
        return {"easy": self.easy, "medium": self.medium, "hard": self.hard}[level]


# The generators name their bounds min_x and max_x, so a preset says x once.
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
_TRUE = "Answer True or False."
_WORDS = "Answer with the words in order, separated by commas."
_NUMBERS = "Answer with the numbers in order, separated by commas."
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
        steps=4,
    ),
    "basic_arithmetic": Generator(
        "number",
        _INTEGER,
        _mixed(2, 2, 1, "+", "-", "*"),
        _mixed(3, 3, 1, "+", "-", "*"),
        _mixed(4, 5, 2, "+", "-", "*", brackets=True),
        module="arithmetic.basic_arithmetic",
        steps=5,
    ),
    "binary_alternation": Generator(
        "number",
        "Give the answer as a whole number, or -1.",
        _span("n", 6, 10),
        _span("n", 11, 20),
        _span("n", 21, 50),
        module="algorithmic.binary_alternation",
        steps=2,
    ),
    "bitwise_arithmetic": Generator(
        "word",
        "Answer with a hexadecimal number such as 0x1f or -0x3.",
        {"difficulty": 1},
        {"difficulty": 2},
        {"difficulty": 4},
        check="spelling",
        module="arithmetic.bitwise_arithmetic",
        steps=5,
    ),
    "caesar_cipher": Generator(
        "text",
        "Answer with the decrypted words.",
        {**_span("words", 1, 3), **_span("rotation", 1, 3)},
        {**_span("words", 3, 8), **_span("rotation", 1, 13)},
        {**_span("words", 8, 20), **_span("rotation", 1, 25)},
        module="algorithmic.caesar_cipher",
        steps=2,
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
        steps=5,
    ),
    "count_primes": Generator(
        "number",
        _INTEGER,
        _span("n", 1, 50),
        _span("n", 1, 500),
        _span("n", 1, 10_000),
        module="algorithmic.count_primes",
        steps=4,
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
    "course_schedule": Generator(
        "word",
        _TRUE,
        _span("num_courses", 3, 4),
        _span("num_courses", 5, 10),
        _span("num_courses", 15, 30),
        module="graphs.course_schedule",
        steps=4,
    ),
    "decimal_chain_sum": Generator(
        "number",
        "Give the answer as a decimal number.",
        _sum(2, 2, 1, **_span("decimal_places", 1, 1)),
        _sum(2, 3, 2, **_span("decimal_places", 1, 2)),
        _sum(4, 6, 3, **_span("decimal_places", 2, 4)),
        module="arithmetic.decimal_chain_sum",
        steps=4,
    ),
    "dice": Generator(
        "number",
        "Give the answer as a fraction a/b.",
        {"num_dice": 2, "max_dice_size": 20},
        {"num_dice": 3, "max_dice_size": 20},
        {"num_dice": 4, "max_dice_size": 20},
        module="arithmetic.dice",
        steps=4,
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
        steps=5,
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
        steps=3,
    ),
    "gcd": Generator(
        "number",
        _INTEGER,
        _span("value", 2, 20),
        _span("value", 2, 100),
        _span("value", 10, 1000, **_span("numbers", 2, 3)),
        keep="few_ones",
        module="arithmetic.gcd",
        steps=4,
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
        steps=4,
    ),
    "leg_counting": Generator(
        "number",
        _INTEGER,
        {**_span("animals", 1, 2), **_span("instances", 1, 5)},
        {**_span("animals", 2, 3), **_span("instances", 1, 9)},
        {**_span("animals", 4, 8), **_span("instances", 1, 15)},
        module="arithmetic.leg_counting",
        steps=5,
    ),
    "letter_counting": Generator(
        "number",
        _INTEGER,
        _span("words", 1, 1),
        _span("words", 2, 4),
        _span("words", 6, 15),
        keep="countable_letters",
        module="algorithmic.letter_counting",
        steps=5,
    ),
    "maze": Generator(
        "number",
        _INTEGER,
        {**_span("dist", 3, 8), **_span("grid_size", 5, 7)},
        {**_span("dist", 5, 12), **_span("grid_size", 8, 10)},
        {**_span("dist", 10, 20), **_span("grid_size", 12, 15)},
        module="games.maze",
        steps=2,
    ),
    "needle_haystack": Generator(
        "word",
        _NAME,
        _span("num_statements", 3, 5),
        _span("num_statements", 10, 20),
        _span("num_statements", 50, 100),
        keep="one_needle",
        module="cognition.needle_haystack",
        steps=3,
    ),
    "number_filtering": Generator(
        "text",
        _NUMBERS,
        {**_span("numbers", 3, 4), **_span("decimals", 0, 0), "min_value": -20, "max_value": 20},
        {**_span("numbers", 6, 10), **_span("decimals", 0, 1), "min_value": -100, "max_value": 100},
        {**_span("numbers", 15, 25), **_span("decimals", 1, 3), "min_value": -500, "max_value": 500},
        check="listed",
        keep="some_kept",
        module="algorithmic.number_filtering",
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
        _NUMBERS,
        _sorting(3, 0, 0, 20),
        _sorting(6, 0, -50, 50),
        _sorting(10, 2, -100, 100),
        check="listed",
        module="algorithmic.number_sorting",
    ),
    "prime_factorization": Generator(
        "text",
        "Answer with the prime factors, the smallest first, separated by ×.",
        _span("value", 4, 60),
        _span("value", 60, 500),
        _span("value", 500, 5_000),
        check="listed",
        keep="composite",
        module="arithmetic.prime_factorization",
        steps=3,
    ),
    "products": Generator(
        "number", _INTEGER, _sum(2, 2, 1), _sum(2, 2, 2), _sum(2, 3, 3), module="arithmetic.products", steps=5
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
    "rotten_oranges": Generator(
        "number",
        "Give the answer as a whole number, or -1.",
        _span("n", 3, 4),
        _span("n", 5, 7),
        _span("n", 10, 15),
        module="algorithmic.rotten_oranges",
        steps=2,
    ),
    "simple_equations": Generator(
        "number",
        _INTEGER,
        _equation(2, 9, 0.5, 0.5, 0.0),
        _equation(3, 30, 0.4, 0.4, 0.2),
        _equation(4, 100, 0.4, 0.4, 0.2),
        module="algebra.simple_equations",
        steps=4,
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
        steps=4,
    ),
    "spiral_matrix": Generator(
        "text",
        "Answer with the numbers in order, separated by spaces.",
        _span("n", 2, 3),
        _span("n", 4, 4),
        _span("n", 6, 7),
        check="listed",
        module="algorithmic.spiral_matrix",
    ),
    "syllogism": Generator(
        "yes_no",
        "Answer yes or no.",
        {"allow_some": False, "allow_some_not": False, "invalid_ratio": 0.5, "inversion_probability": 0.0},
        {"invalid_ratio": 0.5, "inversion_probability": 0.0},
        {"invalid_ratio": 0.5, "inversion_probability": 0.4},
        keep="sound_logic",
        module="logic.syllogisms",
        steps=4,
    ),
    "word_sequence_reversal": Generator(
        "text",
        _WORDS,
        _span("words", 3, 4),
        _span("words", 6, 10),
        _span("words", 15, 25),
        check="worded",
        module="algorithmic.word_sequence_reversal",
        steps=2,
    ),
    "word_sorting": Generator(
        "text",
        _WORDS,
        _span("words", 3, 4),
        _span("words", 6, 10),
        _span("words", 15, 25),
        check="worded",
        module="algorithmic.word_sorting",
        steps=2,
    ),
}
