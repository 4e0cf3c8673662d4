"""Prices are exact integers, dated by their source, and never zero for want of knowledge."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import UsageError
from engine.models import prices


def test_a_known_price_is_the_list_price_in_pico_dollars() -> None:
    price = prices.bundled_price("gpt-4o-mini")
    assert price is not None
    assert (price.input_pusd, price.output_pusd, price.cached_pusd) == (150_000, 600_000, 75_000)
    assert price.source.startswith("litellm 1.")
    assert price.as_of is None


def test_the_provider_prefix_of_the_entry_itself_is_understood() -> None:
    assert prices.bundled_price("openai/gpt-4o-mini") == prices.bundled_price("gpt-4o-mini")
    assert prices.bundled_price("anthropic/claude-sonnet-4-5") is not None


def test_the_price_of_another_provider_is_not_borrowed() -> None:
    assert prices.bundled_price("anthropic/gpt-4o-mini") is None


def test_an_unknown_model_has_no_price_rather_than_zero() -> None:
    assert prices.bundled_price("openai/no-such-model") is None
    assert prices.context_tokens("openai/no-such-model") is None


def test_an_entry_that_is_zero_on_both_sides_counts_as_unknown() -> None:
    assert prices.bundled_price("ollama/llama2") is None


def test_a_model_that_is_not_billed_by_text_tokens_has_no_price() -> None:
    assert prices.bundled_price("dall-e-3") is None
    assert prices.bundled_price("sample_spec") is None


def test_the_context_window_comes_from_the_same_map() -> None:
    assert prices.context_tokens("openai/gpt-4o-mini") == 128_000


def test_prices_that_are_no_whole_nano_dollars_survive_exactly() -> None:
    price = prices.price_from_usd_per_million("0.0375", 0.0001)
    assert (price.input_pusd, price.output_pusd) == (37_500, 100)


def test_every_price_of_the_map_is_the_nearest_integer_to_what_it_says() -> None:
    seen = 0
    for name in prices.priced_names():
        price = prices.bundled_price(name)
        if price is not None:
            seen += 1
            assert price.input_pusd >= 0 and price.output_pusd >= 0 and price.input_pusd + price.output_pusd > 0
    assert seen > 2_000


@given(st.integers(0, 10**9))
def test_a_whole_number_of_pico_dollars_comes_back_unchanged(amount: int) -> None:
    assert prices.price_from_usd_per_million(Decimal(amount) / 10**6, 0).input_pusd == amount


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf"), "cheap", True, ""])
def test_what_is_no_price_is_refused_with_a_sentence(wrong: object) -> None:
    with pytest.raises(UsageError, match="USD per million tokens"):
        prices.price_from_usd_per_million(wrong, 1)  # type: ignore[arg-type]


def test_looking_up_a_price_imports_no_litellm() -> None:
    code = "import sys; from engine.models import prices; prices.bundled_price('gpt-4o'); assert 'litellm' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
