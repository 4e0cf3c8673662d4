"""Dividing, ranking and fitting text: nothing is lost, the needle is found, limits hold, and no text breaks it."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core import tokens
from engine.strategies import retrieval
from tests.support.effort import cases

TEXT = st.text(st.sampled_from("ab. !?\n\t\r\"')\u3002\u4e2d\U0001f600\x00<&"), max_size=400)
STORY = "Ann likes tea. Bob hates rain. Carl owns a dog. Dora plays chess."
HOSTILE = {
    "empty": "",
    "blank": " \n \t\n",
    "one word": "a" * 10**6,
    "line ends": "\n" * 10**6,
    "short lines": "a\n" * 500_000,
    "dots": "." * 10**6,
    "markup": "<a href='x'>**b**</a> " * 50_000,
    "templates": "{question} {0} %s {{ }} " * 1000,
    "no spaces": "\u6211\u4eec\u53bb\u3002" * 250_000,
    "broken": "\ud800\x00\u202e " * 1000,
    "emoji": "\U0001f600" * 100_000,
}


@given(TEXT, st.integers(1, 9))
@cases(200)
def test_parts_and_sections_joined_are_the_text_again(text: str, most: int) -> None:
    assert "".join(retrieval.split(text)) == text
    found = retrieval.sections(text, most)
    assert "".join(found) == text and len(found) <= most
    assert all(part.strip() for part in retrieval.split(text)) or not text.strip()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One.\n\nTwo. Three.\nFour.\n\n\nFive.", ["One.\n\n", "Two. Three.\nFour.\n\n\n", "Five."]),
        ("One.\r\nTwo. Three.\r\n", ["One.\r\n", "Two. Three.\r\n"]),
        ('"One." Two? Three!', ['"One." ', "Two? ", "Three!"]),
        ("It is 3.5 m. Not so.", ["It is 3.5 m. ", "Not so."]),
        ("\u4e00\u3002\u4e8c\uff01", ["\u4e00\u3002", "\u4e8c\uff01"]),
        ("\n\n One", ["\n\n One"]),
        ("", []),
    ],
)
def test_a_text_is_divided_at_its_coarsest_boundary(text: str, parts: list[str]) -> None:
    assert retrieval.split(text) == parts


def test_a_long_part_is_divided_further_and_many_parts_are_taken_together() -> None:
    long = "A sentence of it. " * 200
    assert max(map(len, retrieval.split(f"{long}\n\nShort."))) <= retrieval.LONGEST_PART
    assert len(retrieval.split("x" * 5000)) == 5
    assert len(retrieval.split("a\n" * 50_000)) <= retrieval.MOST_PARTS


def test_sections_take_about_as_many_parts_each() -> None:
    lines = "".join(f"Line {n}.\n" for n in range(10))
    assert [part.count("\n") for part in retrieval.sections(lines, 4)] == [2, 3, 2, 3]
    assert len(retrieval.sections("One. Two.", 4)) == 2


def test_the_part_that_shares_words_with_the_question_comes_first_and_equals_keep_their_order() -> None:
    parts = retrieval.split(STORY)
    assert retrieval.rank(parts, "Who plays chess?") == [3, 0, 1, 2]
    assert retrieval.rank(parts, "Quién?") == retrieval.rank(parts, "") == retrieval.rank(parts, "!!!") == [0, 1, 2, 3]
    assert retrieval.rank([], "who") == [] and retrieval.rank(["!", "?"], "who") == [0, 1]


def test_words_of_scripts_without_spaces_are_found() -> None:
    parts = retrieval.split("\u732b\u5403\u9c7c\u3002\u72d7\u5403\u8089\u3002")
    assert retrieval.rank(parts, "\u8c01\u5403\u8089\uff1f")[0] == 1


def test_the_best_parts_are_kept_in_their_old_order() -> None:
    assert retrieval.kept(STORY, "Does Dora or Bob hate chess?", 2) == "Bob hates rain. Dora plays chess."
    assert retrieval.kept(STORY, "Who plays chess?", 1) == "Dora plays chess."
    assert retrieval.kept(STORY, "Who plays chess?", 4) == STORY


def test_a_number_of_tokens_limits_what_is_kept_and_a_part_that_does_not_fit_is_passed_over() -> None:
    story = f"Dora plays chess{' again and' * 20} again.\nBob plays chess.\nAnn likes tea."
    assert retrieval.kept(story, "Who plays chess?", 3, 12) == "Bob plays chess.\nAnn likes tea."
    assert retrieval.kept(story, "Who plays chess?", 1, 12) == "Bob plays chess."
    assert retrieval.kept(story, "Who plays chess?", 3, 2) == "Bob plays"


@given(TEXT, st.integers(1, 4), st.integers(1, 40))
@cases(150)
def test_what_is_kept_never_has_more_tokens_than_allowed(text: str, most: int, within: int) -> None:
    told = retrieval.kept(text, "a b ?", most, within)
    assert tokens.count(told.strip(), "") <= within
    assert tokens.count(retrieval.clipped(text, within), "") <= within


def test_a_clipped_text_ends_with_a_whole_word() -> None:
    assert retrieval.clipped("four little words here", 2) == "four little"
    assert retrieval.clipped("one\nantidisestablishmentarianism", 3) == "one"
    assert "antidisestablishmentarianism".startswith(retrieval.clipped("antidisestablishmentarianism", 2))
    assert retrieval.clipped("  short ", 9) == "short"
    assert retrieval.fits("four little words here", 4) and not retrieval.fits("four little words here", 3)


def test_a_share_is_never_nothing() -> None:
    assert [retrieval.share(100, parts) for parts in (0, 1, 3, 200)] == [100, 100, 33, 1]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_text_breaks_nothing_and_takes_no_time(text: str) -> None:
    retrieval.fits("loads the encoding", 1)
    start = time.process_time()
    assert "".join(retrieval.sections(text, 4)) == text
    assert len(retrieval.kept(text, "Who {went} to the 我们 <a>?", 4)) <= max(4 * 1_000, len(text) // 900)
    assert retrieval.fits(retrieval.kept(text, "Who?", 4, 50), 50)
    assert time.process_time() - start < 5


def test_the_library_is_loaded_when_something_is_ranked() -> None:
    code = (
        "import sys; from engine import passages; passages.split('One. Two.')\n"
        "assert not {'bm25s', 'numpy', 'tiktoken'} & set(sys.modules)\n"
        "assert passages.rank(['One.', 'Two.'], 'two') == [1, 0] and 'bm25s' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
