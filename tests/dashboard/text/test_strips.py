"""Cells of tokens are text: escaped, with what steers a screen spelled out, cut where the budget cuts."""

from __future__ import annotations

import re
from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from dashboard.text import strips
from engine.core import text as fmt
from engine.core.tokens import Token
from engine.models.tokens.call_tokens import Cell, Strip
from engine.models.tokens.tokenizers import Tokenizer

OWN = Tokenizer("own", "own", True, encoding="o200k_base")
EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&amp;\u202e\x07\x00"
TAGS = re.compile(r"<(?!/?(?:i|div|span|wbr)\b)")


def answer(text: str, cut: int | None = None, *, exact: bool = True, hidden: int = 0, inside: int = 0) -> Strip:
    tokens = OWN.cut(text).tokens
    cells = tuple(Cell(token, "answer", inside=cut is None or n < cut) for n, token in enumerate(tokens))
    return Strip((), True, cells, exact, hidden, inside, cut)


@given(st.text(max_size=80) | st.just(EVIL))
def test_no_text_of_a_token_is_markup_or_steers_the_screen(text: str) -> None:
    cut = OWN.cut(text)
    for drawn in (strips.turned(cut.tokens, 0, cut.n_tokens), strips.reply(answer(text, 1), "9 tokens")):
        assert not TAGS.search(drawn)
        assert not set(re.sub(r"<[^>]*>", "", unescape(drawn))) & {"\u202e", "\x07", "\x00", "\u2066"}


def test_every_token_is_one_cell_and_line_ends_are_seen() -> None:
    cut = OWN.cut("one two\nthree")
    assert strips.turned(cut.tokens, 0, cut.n_tokens).count("<i ") == cut.n_tokens
    assert strips.cell_text(Token(1, b"\n\t")) == "↵→"
    assert strips.cell_text(Token(1, b"\xe4\xb8")) == "\\xe4\\xb8"


def test_the_line_stands_between_the_last_cell_inside_and_the_first_beyond() -> None:
    drawn = strips.reply(answer("one two three four", 2), "2 tokens")
    before, after = drawn.split('<span class="tk-cut">')
    assert before.count('class="tk-answer"') == 2 and "tk-o" not in before
    assert after.count('class="tk-o"') == 2 and "tk-answer" not in after
    assert "about" not in drawn
    assert "about here" in strips.reply(answer("one two three four", 2, exact=False), "2 tokens")


def test_a_cut_inside_hidden_reasoning_is_said_in_numbers() -> None:
    drawn = strips.reply(answer("one two", 0, hidden=900, inside=120), "120 tokens")
    assert "120 of 900 hidden tokens" in drawn and "900 hidden reasoning tokens" in drawn


def test_cells_beyond_the_most_that_are_drawn_are_counted() -> None:
    token = Token(1, b"x")
    drawn = strips.turned([token] * 5, 0, 12_005)
    assert drawn.count("<i ") == 5 and "12,000 more tokens" in drawn


def test_the_key_names_the_parts_that_occur_and_no_others() -> None:
    drawn = strips.legend({"user", "earlier"}, cached=True)
    assert "earlier replies, fed back" in drawn and "cached" in drawn and "worked examples" not in drawn


def test_a_little_of_a_window_is_not_none_of_it() -> None:
    assert (fmt.small_share(0.0002), fmt.small_share(0.0), fmt.small_share(None)) == (
        "under 0.1%",
        "0.0%",
        "unknown",
    )
