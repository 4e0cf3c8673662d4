"""Texts and calls cut into tokens, cached: by the model's own tokenizer where it is here, else by the nearest one.

llama.cpp is started by the first text of a local model; where it cannot be had the nearest encoding stands in.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import streamlit as st

from engine.core.errors import BudgetscopeError
from engine.core.records import Call, Completion
from engine.core.tokens import DEFAULT
from engine.models.tokens import call_tokens, text_size, tokenizers
from engine.models.tokens.call_tokens import Strip
from engine.models.tokens.text_size import Fit, Premium
from engine.models.tokens.tokenizers import Cut


def begin(model: str) -> None:
    """Load the encoding of a model's texts, which takes half a second once; that of a local one is with its file."""
    if not model.startswith("local/"):
        with suppress(BudgetscopeError):
            tokenizers.open_tokenizer(model)


@st.cache_data(max_entries=512, show_spinner="Cutting into tokens …")
def strip_of(
    call: Call, reply: Completion | None, granted: int | None, earlier: tuple[str, ...], examples: tuple[str, ...]
) -> Strip:
    """The tokens of a call with their parts; see `call_tokens.strip`."""
    own = tokenizers.of_model(call.model) or tokenizers.open_tokenizer(DEFAULT)
    try:
        return call_tokens.strip(call, reply, own, granted=granted, earlier=earlier, examples=examples)
    except BudgetscopeError:
        near = replace(tokenizers.open_tokenizer(DEFAULT), exact=False)
        return call_tokens.strip(call, reply, near, granted=granted, earlier=earlier, examples=examples)


@st.cache_data(max_entries=32, show_spinner="Cutting into tokens …")
def cut(text: str, name: str, first: int, most: int, special: bool) -> Cut:
    """A text by one tokenizer. Raises what `tokenizers.open_tokenizer` and `Tokenizer.cut` do."""
    return tokenizers.open_tokenizer(name).cut(text, first=first, most=most, special=special)


@st.cache_data(max_entries=128, show_spinner=False)
def fit(text: str, model: str, reply_tokens: int) -> Fit:
    """What a text is to one model; see `text_size.fit`."""
    return text_size.fit(text, model, reply_tokens)


@st.cache_data(max_entries=16, show_spinner=False)
def premiums(names: Sequence[str]) -> list[Premium]:
    """The same sentence in all languages by these tokenizers."""
    return text_size.premiums([tokenizers.open_tokenizer(name) for name in names])
