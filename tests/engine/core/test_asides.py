"""What strategies ask beside the answer: read as it was asked for, and as models write it instead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.answers import estimate_in, items, rating_of
from tests.support.effort import cases


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("[[50]]", 50),
        ("[[ 1,200 ]]", 1200),
        ("[50]", 50),
        ("50", 50),
        ("50.", 50),
        ("**50**", 50),
        ("about 50 tokens", 50),
        ("It takes approximately 120 tokens to answer.", 120),
        ("I'd say 40-60 tokens.", 60),
        ("Estimate: 80", 80),
        ("Tokens needed: **75**", 75),
        ("First [[90]], on second thought [[70]]", 70),
        # These are answers to the question, or parts of them.
        ("The answer to this problem is 16.", None),
        ("The Greatest Common Divisor of 16 and 4 is 2.", None),
        ("1. 6 + 3 = 9\n2. The answer is 9.", None),
        ("There are 15 trees and 6 more, so 21.", None),
        ("0", None),
        ("[[0]]", None),
        ("[[-3]]", None),
        ("-3", None),
        ("99999999", None),
        ("", None),
        ("It depends.", None),
    ],
)
def test_an_estimate_of_tokens(text: str, tokens: int | None) -> None:
    assert estimate_in(text) == tokens


@pytest.mark.parametrize(
    ("text", "rating"),
    [
        ("[[7]]", 7),
        ("[7]", 7),
        ("7", 7),
        ("7.", 7),
        ("**8**", 8),
        ("7/10", 7),
        ("8 out of 10", 8),
        ("Score: 7", 7),
        ("Rating: **9**/10", 9),
        ("7. Because the steps are right.", 7),
        ("10", 10),
        ("[[8]] because 3 of 10 steps hold", 8),
        ("11", None),
        ("0", None),
        ("85%", None),
        ("The answer is 5.", None),
        ("2 + 3 = 5", None),
        ("1. Add two\n2. Add three", None),
        ("These steps are right.", None),
    ],
)
def test_a_rating_from_1_to_10(text: str, rating: int | None) -> None:
    assert rating_of(text) == rating


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Add a\nAdd b", ["Add a", "Add b"]),
        (
            "Sure! Here are three steps:\n1. Add a\n2. Add b\n   - carefully\n3. Done\n\nLet me know!",
            ["Add a", "Add b", "Done"],
        ),
        ("Here are the questions:\n\n- How many?\n- How much?", ["How many?", "How much?"]),
        ("Step 1: Find x\nStep 2: Find y", ["Find x", "Find y"]),
        ("### Step 1: Find x\nThis is easy.\n### Step 2: Find y", ["Find x", "Find y"]),
        ("**1. First** do\n**2. Second** do", ["First do", "Second do"]),
        ("1. a 2. b 3. c", ["a", "b", "c"]),
        ("Sure, I can help.\nFind x\nFind y", ["Find x", "Find y"]),
        ("3 apples cost 5\n4 pears cost 2", ["3 apples cost 5", "4 pears cost 2"]),
        ("How many apples?", ["How many apples?"]),
        ("---\nq1\n---\nq2", ["q1", "q2"]),
        ("The steps are:", []),
        ("", []),
    ],
)
def test_the_items_of_a_list(text: str, found: list[str]) -> None:
    assert items(text) == found


@given(st.text(alphabet="[]0123456789./ *\n-:stepfo1", max_size=400))
@cases(200)
def test_any_text_is_read_without_a_fall(text: str) -> None:
    assert estimate_in(text) is None or 1 <= (estimate_in(text) or 0) <= 1_000_000
    assert rating_of(text) is None or 1 <= (rating_of(text) or 0) <= 10
    assert all(item and item == item.strip() for item in items(text))
