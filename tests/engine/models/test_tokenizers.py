"""Texts cut into tokens: nothing lost, windows that fit, marks told from letters, costs and premiums that add up."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core import tokens
from engine.core.errors import UnknownName, UsageError
from engine.core.records import Message, Spend
from engine.models import open_model
from engine.models.local import LocalModel
from engine.models.tokens import text_size, tokenizers
from engine.models.tokens.tokenizers import ENCODINGS, open_tokenizer

LOCAL = "local/smollm2-135m"
ODD = "Größe 日本語 नमस्ते 🙂\u202e\x00\t\n  <|endoftext|> <|im_end|> <b>x</b>"


@pytest.mark.parametrize("name", ENCODINGS)
@given(text=st.text(max_size=120))
def test_the_bytes_of_all_tokens_are_the_text(name: str, text: str) -> None:
    cut = open_tokenizer(name).cut(text)
    assert b"".join(token.raw for token in cut.tokens) == tokens.clean(text).encode()
    assert cut.n_tokens == len(cut.tokens) and cut.n_characters == len(text)


@given(st.text(max_size=200), st.integers(0, 40), st.integers(0, 40))
def test_a_window_is_a_slice_of_the_whole_and_the_count_is_of_the_whole(text: str, first: int, most: int) -> None:
    tokenizer = open_tokenizer("o200k_base")
    whole, part = tokenizer.cut(text), tokenizer.cut(text, first=first, most=most)
    assert part.tokens == whole.tokens[first : first + most]
    assert part.n_tokens == whole.n_tokens == tokenizer.count(text)


def test_a_long_text_is_counted_piece_by_piece_as_it_is_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "The quick brown fox, 12345 of them; jumps over 日本語 again.\n" * 60
    at_once = {name: open_tokenizer(name).cut(text, most=10**6) for name in ENCODINGS}
    monkeypatch.setattr(tokens, "PIECE", 137)
    monkeypatch.setattr(tokens, "GAP", 60)
    assert len(list(tokens.pieces(text))) > 20 and "".join(tokens.pieces(text)) == text
    for name, whole in at_once.items():
        assert open_tokenizer(name).cut(text, most=10**6) == whole


def test_names_of_marks_are_letters_unless_they_are_asked_to_be_marks() -> None:
    tokenizer = open_tokenizer("o200k_base")
    assert "special" not in {token.kind for token in tokenizer.cut("a<|endoftext|>b").tokens}
    read = tokenizer.cut("a<|endoftext|>b", special=True).tokens
    assert [(token.text, token.kind) for token in read] == [("a", "text"), ("<|endoftext|>", "special"), ("b", "text")]


def test_parts_of_a_character_are_written_as_bytes() -> None:
    shown = open_tokenizer("cl100k_base").cut("\U00013080").tokens
    assert len(shown) > 1 and {token.kind for token in shown} == {"bytes"}
    assert "".join(token.text for token in shown) == "\\xf0\\x93\\x82\\x80"


def test_a_model_is_cut_by_its_own_encoding_and_an_unknown_one_is_said_to_be_about_right() -> None:
    assert (open_tokenizer("openai/gpt-4o-mini").encoding, open_tokenizer("openai/gpt-4o-mini").exact) == (
        "o200k_base",
        True,
    )
    assert not open_tokenizer("deepseek/deepseek-chat").exact
    assert not open_tokenizer("scripted/adder").exact
    stored = tokenizers.of_model("local/smollm2-135m@0000000000000000")
    assert stored is not None and not stored.exact  # Another file than the one that is here.


@pytest.mark.parametrize("name", ["p51k_base", "", "local/unknown"])
def test_a_tokenizer_that_is_not_there_is_named_with_the_nearest(name: str) -> None:
    with pytest.raises(UnknownName, match="Unknown"):
        open_tokenizer(name)


def test_a_model_file_that_is_not_there_is_said_to_be_missing() -> None:
    with pytest.raises(UsageError, match="does not exist"):
        open_tokenizer("local/nowhere.gguf")


@pytest.mark.skipif(LOCAL not in tokenizers.at_hand(), reason="the bundled model's file is not installed")
def test_a_local_model_cuts_by_llama_cpp_and_its_prompt_is_what_the_engine_counts() -> None:
    tokenizer = open_tokenizer(LOCAL)
    assert tokenizer.exact
    cut = tokenizer.cut(ODD)
    assert b"".join(token.raw for token in cut.tokens) == ODD.encode()
    assert "special" not in {token.kind for token in cut.tokens} and "bytes" in {token.kind for token in cut.tokens}
    assert "<|im_end|>" in [t.text for t in tokenizer.cut(ODD, special=True).tokens if t.kind == "special"]
    assert [t.kind for t in tokenizer.cut("<b> <answer>", special=True).tokens if t.kind != "text"] == []
    messages = (Message("system", "Be brief."), Message("user", ODD))
    model = open_model(LOCAL, {})
    assert isinstance(model, LocalModel)
    read = tokenizer.prompt(messages)
    assert read is not None and len(read) == asyncio.run(model.bound(messages)).tokens
    assert next(token.text for token in read if token.kind == "special") == "<|im_start|>"
    own = tokenizers.of_model(model.setting.identity)
    assert own is not None and own.exact and own.file == tokenizer.file


@given(st.text(max_size=60), st.integers(0, 1000))
def test_a_cost_is_the_list_price_of_one_call(text: str, reply: int) -> None:
    fit = text_size.fit(text, "gpt-4o-mini", reply)
    assert fit.price is not None and fit.context_share is not None
    assert fit.input_pusd == fit.price.cost_pusd(Spend(calls=1, input_tokens=fit.tokens))
    assert fit.call_pusd == fit.price.cost_pusd(Spend(calls=1, input_tokens=fit.tokens, output_tokens=reply))
    left = fit.reply_for(0.001)
    assert left is not None and fit.price.cost_pusd(Spend(1, fit.tokens, output_tokens=left)) <= 10**9


def test_an_unknown_price_is_unknown_and_a_model_of_this_machine_is_free() -> None:
    unknown = text_size.fit("x", "nobody/knows")
    assert (unknown.input_pusd, unknown.call_pusd, unknown.context_share, unknown.free) == (None, None, None, False)
    assert unknown.reply_for(1) is None
    free = text_size.fit("x", LOCAL, tokenizer=open_tokenizer("o200k_base"))
    assert (free.call_pusd, free.free, free.reply_for(1)) == (0, True, None)


@given(st.integers(0, 500), st.integers(1, 500), st.integers(1, 9))
def test_what_a_budget_leaves_never_passes_it(prompt: int, budget: int, calls: int) -> None:
    room = text_size.room(prompt, budget)
    assert (room.left > 0) == (prompt < budget)
    assert room.reply(1) == room.left
    if reply := room.reply(calls):
        assert calls * (prompt + reply) <= budget < calls * (prompt + reply + 1)


def test_a_sentence_in_twelve_languages_and_more_has_a_premium_over_english() -> None:
    names = ("o200k_base", "cl100k_base")
    found = text_size.premiums([open_tokenizer(name) for name in names])
    assert len({each.language for each in found}) >= 12 and len(found) == len(names) * len(text_size.SENTENCES)
    english = {each.tokenizer: each for each in found if each.language == "English"}
    assert {each.premium for each in english.values()} == {1.0}
    for each in found:
        assert each.premium == each.tokens / english[each.tokenizer].tokens
    assert sum(not each.sentence.isascii() and each.sentence[0] > "\u0370" for each in found) >= 2 * 8


def test_a_budget_of_nothing_and_a_reply_below_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="1 token or more"):
        text_size.room(3, 0)
    with pytest.raises(UsageError, match="0 tokens or more"):
        text_size.fit("x", "gpt-4o", -1)
