"""The strip of a call: as many cells as tokens, the cut at the right one, each token with the part it played."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.records import Call, Completion, Message, Prompt, Spend, Usage
from engine.models.tokens import call_tokens, tokenizers
from engine.models.tokens.call_tokens import END
from engine.models.tokens.tokenizers import Tokenizer, open_tokenizer
from engine.runs.run_dir import now

OWN = Tokenizer("own", "own", True, encoding="o200k_base")
NEAR = replace(OWN, exact=False)
LOCAL = "local/smollm2-135m"
DRAFT = "The sum is twelve, I believe."


def call(messages: Prompt, n_in: int, n_out: int, cached: int = 0, hidden: int = 0) -> Call:
    spend = Spend(1, n_in, cached, 0, n_out, hidden)
    return Call(0, "solve", "m", "k", messages, 999, 999, n_in, None, False, spend, n_out, n_in)


def reply(text: str, n_out: int, hidden: int = 0) -> Completion:
    return Completion("k", text, "stop", Usage(1, n_out, reasoning_tokens=hidden), 1, None, None, now())


@given(st.text(min_size=1, max_size=80), st.integers(0, 30))
def test_where_the_tokenizer_is_the_models_own_the_cut_stands_after_the_granted_token(text: str, granted: int) -> None:
    n = OWN.count(text)
    strip = call_tokens.strip(call((), 1, n), reply(text, n), OWN, granted=granted)
    assert strip.reply_exact and len(strip.reply) == n
    assert strip.cut == (granted if granted < n else None)
    assert sum(cell.inside for cell in strip.reply) == min(granted, n)
    assert b"".join(cell.token.raw for cell in strip.reply) == text.encode("utf-8", "replace")


@given(st.integers(0, 60), st.integers(1, 50), st.integers(0, 80))
def test_a_scaled_place_is_within_the_cells_grows_and_is_itself_where_counts_agree(p: int, n: int, cells: int) -> None:
    assert 0 <= call_tokens.scaled(p, n, cells) <= call_tokens.scaled(p + 1, n, cells) <= cells
    assert call_tokens.scaled(p, n, n) == min(p, n)
    assert call_tokens.scaled(n, n, cells) == cells


def test_the_token_that_ends_a_reply_is_a_cell_of_its_own() -> None:
    strip = call_tokens.strip(call((), 1, 4), reply("one two three", 4), OWN)
    assert [cell.token.text for cell in strip.reply][-1] == END and strip.reply[-1].token.kind == "special"
    assert strip.reply_exact and strip.cut is None


def test_with_another_tokenizer_the_place_is_scaled_to_the_stored_count_and_said_to_be_about() -> None:
    text = "one two three four five six seven eight"
    strip = call_tokens.strip(call((), 1, 80), reply(text, 80), NEAR, granted=20)
    assert not strip.reply_exact and not strip.prompt_exact
    assert strip.cut == len(strip.reply) // 4


def test_hidden_reasoning_is_a_number_and_a_cut_inside_it_leaves_no_cell_of_the_reply() -> None:
    within = call_tokens.strip(call((), 1, 103, hidden=100), reply("one two three", 103, 100), OWN, granted=40)
    assert (within.hidden_tokens, within.hidden_inside_tokens, within.cut) == (100, 40, 0)
    after = call_tokens.strip(call((), 1, 103, hidden=100), reply("one two three", 103, 100), OWN, granted=102)
    assert (after.hidden_inside_tokens, after.cut) == (100, 2)


def test_examples_earlier_replies_and_the_question_are_told_apart() -> None:
    messages = (
        Message("system", "Be brief."),
        Message("user", "What is two and three?"),
        Message("assistant", "Answer: 5"),
        Message("user", f"What is five and seven?\n\nYour draft: {DRAFT}\nMend it."),
    )
    cells, _ = call_tokens.prompt_cells(call(messages, 60, 1), OWN, earlier=(DRAFT,))
    by: dict[str, str] = {}
    for cell in cells:
        by[cell.part] = by.get(cell.part, "") + cell.token.text
    assert by["system"] == "Be brief."
    assert by["example"] == "What is two and three?Answer: 5"
    assert by["earlier"].strip() == DRAFT
    assert by["user"].startswith("What is five and seven?") and by["user"].endswith("Mend it.")


def test_a_reply_that_is_sent_back_as_a_turn_is_no_worked_example() -> None:
    messages = (Message("user", "Think of a number."), Message("assistant", "seven"), Message("user", "Again."))
    assert call_tokens.roles(messages, ("seven",)) == ["user", "earlier", "user"]
    assert call_tokens.roles(messages, ()) == ["example", "example", "user"]


def test_the_beginning_of_a_reply_that_the_model_goes_on_with_leaves_the_question_the_users() -> None:
    messages = (Message("user", "Two and three?"), Message("assistant", "Let me think:"))
    assert call_tokens.roles(messages, ())[0] == "user"


def test_examples_inside_the_users_own_words_are_found() -> None:
    text = "Q: How many apples are left?\nA: two\n\nQ: How many pears are left?"
    cells, _ = call_tokens.prompt_cells(
        call((Message("user", text),), 30, 1), OWN, examples=("How many apples are left?", "two")
    )
    assert "".join(cell.token.text for cell in cells if cell.part == "example").strip() == "How many apples are left?"


def test_cached_cells_are_the_first_ones_as_many_as_were_read_from_the_cache() -> None:
    messages = (Message("user", "one two three four five six seven eight"),)
    n = OWN.count(messages[0].content)
    cells, _ = call_tokens.prompt_cells(call(messages, n, 1, cached=5), OWN)
    assert [cell.cached for cell in cells] == [True] * 5 + [False] * (n - 5)


def test_a_call_without_a_reply_has_its_prompt_alone() -> None:
    strip = call_tokens.strip(call((Message("user", "Hi"),), 5, 0), None, OWN)
    assert strip.prompt and not strip.reply and strip.cut is None


@pytest.mark.skipif(LOCAL not in tokenizers.at_hand(), reason="the bundled model's file is not installed")
def test_a_local_models_prompt_has_its_template_and_every_token_that_was_counted() -> None:
    own = open_tokenizer(LOCAL)
    messages = (Message("user", "What is 2 + 2?"),)
    read = own.prompt(messages)
    assert read is not None
    strip = call_tokens.strip(call(messages, len(read), 3, cached=4), reply("4", 2), own)
    assert strip.prompt_exact and [cell.cached for cell in strip.prompt[:5]] == [True] * 4 + [False]
    assert "".join(cell.token.text for cell in strip.prompt if cell.part == "user") == "What is 2 + 2?"
    assert strip.prompt[0].token.kind == "special" and strip.prompt[0].part == "system"
