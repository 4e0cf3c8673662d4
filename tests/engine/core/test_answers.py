"""Extraction, normalisation and comparison of answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.answers import (
    bracketed_integer,
    estimate_in,
    extract,
    items,
    normalise,
    number_value,
    rating_of,
    same,
    vote_key,
)
from engine.core.records import AnswerKind

MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    ("text", "kind", "answer"),
    [
        ("First \\boxed{3}, so \\boxed{\\frac{1}{2}}.", "number", "1/2"),
        ("$\\boxed{9\\text{ apples}}$", "number", "9"),
        ("\\boxed{a {nested} b} and \\boxed{never closed", "text", "a {nested} b"),
        ("Answer: 3\nWait.\n**Answer:** 9 apples.", "number", "9"),
        ("the answer is **$1,234.50**.", "number", "1234.5"),
        ("The final answer is: \\(42\\).", "number", "42"),
        ("Janet has 3.\n#### 18", "number", "18"),
        ("so [[ 12 ]]", "number", "12"),
        ("Answer: 3 + 4 = 7 apples", "number", "7"),
        ("3 + 4\n= 9", "number", "9"),
        ("Answer:\n\n42", "number", "42"),
        ("Answer: 9\nThat is the answer.", "number", "9"),
        ("ten minus is 10-5", "number", "5"),
        ("it fell to \u22125 degrees", "number", "-5"),
        ("no digits at all", "number", None),
        ("Answer: Yes, since 3 > 2", "yes_no", "yes"),
        ("I thought yes, but no", "yes_no", "no"),
        ("yesterday nobody knew", "yes_no", None),
        ("The answer is (B).", "word", "B"),
        ("Answer: the mother.", "word", "mother"),
        ('"Monday."', "word", "Monday"),
        ("Answer: (4 + 4) * 3", "text", "(4 + 4) * 3"),
        ("one line\nand another", "text", None),
        ("a single line that rambles on for far longer than sixty characters in all", "text", None),
        ("", "text", None),
    ],
)
def test_the_answer_is_found(text: str, kind: AnswerKind, answer: str | None) -> None:
    assert extract(text, kind) == answer


def test_a_box_beats_a_marker_and_a_marker_beats_the_last_number() -> None:
    assert extract("\\boxed{1} Answer: 2, not 3", "number") == "1"
    assert extract("Answer: 2\nChecked 3 times.", "number") == "2"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("9.0", "9"),
        ("1,234", "1234"),
        ("$9", "9"),
        ("0.50", ".5"),
        ("\uff19", "9"),
        ("-0", "0"),
        ("007", "7"),
        (" The 'Mother.' ", "mother"),
        ("(B)", "b"),
        ("**Yes!**", "yes"),
        ("1 / 2", "1/2"),
        ("1e3", "1000"),
    ],
)
def test_spellings_of_one_answer_vote_together(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("1/2", "2/4"), ("5", "-5"), ("50%", "50"), (".5", "5"), ("1,2,3", "123"), ("plan a", "plan b"), ("a", "an")],
)
def test_different_answers_vote_apart(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(st.text(alphabet="0123456789.,-+/e$()'\" \u2212\u0301\ufb01theA*", max_size=30))
def test_normalising_twice_changes_nothing_near_numbers(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9))
def test_a_number_keeps_its_value_when_normalised(value: object) -> None:
    assert number_value(normalise(str(value))) == Fraction(str(value))
    assert same(str(value), f"{value}0", "number")


@given(st.text(), st.sampled_from(["number", "word", "yes_no", "text"]))
def test_what_is_extracted_can_be_extracted_again(text: str, kind: AnswerKind) -> None:
    found = extract(text, kind)
    assert found is None or 0 < len(found) <= 400


def test_numbers_are_equal_by_value_and_words_by_text() -> None:
    assert same("1/2", "0.5", "number")
    assert same("1,000", "1e3", "text")
    assert not same("0.1", "0.10000000000000000001", "number")
    assert same("Mother.", "the mother", "word")
    assert not same("", "", "text")


def test_absurd_numbers_cost_nothing() -> None:
    assert not same("1e999999999", "1e999999998", "number")
    assert number_value("9" * MEGABYTE) is None
    assert number_value("1/0") is None
    assert same("9" * 5000, "0" + "9" * 5000, "number")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("[[12]]", 12),
        ("first [[5]], then [[ 1,200 tokens ]]", 1200),
        ("[[0]]", None),
        ("[[-5]]", None),
        ("[[1e9]]", None),
        ("[[2000000]]", None),
        ("12", None),
        ("[[twelve]]", None),
    ],
)
def test_an_estimate_is_read_from_double_brackets(text: str, number: int | None) -> None:
    assert bracketed_integer(text) == number


HOSTILE = (
    "(",
    "\\boxed{",
    "7",
    " ",
    "\n",
    "answer is ",
    "[[",
    "####",
    "1,",
    "1,111",
    "1.",
    "1/",
    "-",
    "\\frac{1}{",
    "1e",
    "the ",
    '."',
    "([",
    "\U0001f600",
    "e\u0301",
    "\x00",
    "yes ",
    "\\frac{",
    "x^",
    "<think>",
    "</think>",
    "</s>",
    "option ",
    "(A) or ",
    "not the answer ",
    'answer to "',
    "\u0664",
    "$x",
    "1 000 ",
)


@pytest.mark.parametrize("unit", HOSTILE)
def test_time_grows_in_step_with_hostile_text(unit: str) -> None:
    """Sixteen times the text may take 16 times as long, not 256 times; the bound leaves room for a busy machine."""
    small, large = unit * (MEGABYTE // 1024 // len(unit)), unit * (MEGABYTE // 64 // len(unit))
    for read in (_extract_all, normalise, estimate_in, rating_of, items, vote_key, _equal_to_itself):
        took = _seconds(read, large)
        assert took < 0.06 or took < 0.06 + 60 * _seconds(read, small), read


def test_a_megabyte_of_open_and_closed_boxes_is_read_once() -> None:
    half = MEGABYTE // 16
    assert _seconds(_extract_all, "\\boxed{" * half + "}" * half) < 20


def _extract_all(text: str) -> None:
    for kind in get_args(AnswerKind):
        extract(text, kind)


def _equal_to_itself(text: str) -> None:
    same(text, text, "expression")


def _seconds(read: Callable[[str], object], text: str) -> float:
    start = time.process_time()
    read(text)
    return time.process_time() - start
