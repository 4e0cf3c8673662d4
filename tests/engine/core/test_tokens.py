"""Bounds hold, counts need no network."""

from __future__ import annotations

import subprocess
import sys

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from engine.core import tokens
from engine.core.records import Message

TEXTS = st.text(max_size=200)


def test_the_bound_is_bytes_plus_the_allowance() -> None:
    messages = (Message("system", "Ünï"), Message("user", "hi"))
    assert tokens.utf8_bound(messages) == 5 + 2 + 64 + 2 * 16
    assert tokens.utf8_bound(messages, base=1, per_message=0) == 8


def test_a_lone_surrogate_can_be_bounded_and_counted() -> None:
    assert tokens.utf8_bound((Message("user", "\ud800"),)) == 3 + 80
    assert tokens.count("\ud800", "gpt-4o") > 0


def test_known_models_are_counted_by_their_own_encoding() -> None:
    assert tokens.encoding_name("openai/gpt-4o-mini") == "o200k_base"
    assert tokens.encoding_name("gpt-4") == "cl100k_base"
    assert tokens.encoding_name("local/smollm2-135m") is None
    assert tokens.count("hello world", "gpt-4o") == 2


def test_special_tokens_in_text_are_only_text() -> None:
    assert tokens.count("<|endoftext|>", "gpt-4o") > 1


@given(TEXTS)
def test_a_count_never_passes_the_byte_bound(text: str) -> None:
    assert tokens.count(text, "gpt-4o") <= tokens.utf8_bound((Message("user", text),), 0, 0)


@given(TEXTS)
def test_the_lower_bound_is_halved_where_the_tokenizer_is_unknown(text: str) -> None:
    messages = (Message("user", text),)
    assert tokens.least(messages, "who-knows") == tokens.least(messages, "gpt-4o") // 2


def test_counting_opens_no_connection_and_leaves_the_environment_alone() -> None:
    code = (
        "import os, socket\n"
        "def no(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = no; socket.getaddrinfo = no\n"
        "os.environ['TIKTOKEN_CACHE_DIR'] = '/nowhere'\n"
        "from engine import tokens\n"
        "assert tokens.count('one two', 'gpt-4o') == 2\n"
        "assert os.environ['TIKTOKEN_CACHE_DIR'] == '/nowhere'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_importing_the_room_loads_no_tokenizer() -> None:
    code = "import sys, engine.tokens; assert 'tiktoken' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(("encoding", "ordinary"), tokens.ORDINARY.items())
def test_letters_are_cut_without_loading_an_encoding_whose_marks_alone_differ(
    encoding: str, ordinary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "Trains leave at 14:05, \u4e2d\u6587 <|endoftext|><|start|>\n\n  def f(x):\treturn x"
    made, loaded = tokens._encoding, list[str]()
    own = made(encoding)
    assert own is not None

    def load(name: str) -> tiktoken.Encoding | None:
        loaded.append(name)
        return made(name)

    monkeypatch.setattr(tokens, "_encoding", load)
    numbers = tokens.ids(text, encoding)
    assert numbers == own.encode_ordinary(text)
    assert b"".join(tokens.token(number, encoding).raw for number in numbers) == text.encode()
    assert {*loaded} == {ordinary}
    for mark in own.special_tokens_set:
        (number,) = tokens.ids(mark, encoding, special=True)
        assert tokens.token(number, encoding) == tokens.Token(number, own.decode_single_token_bytes(number), True)
