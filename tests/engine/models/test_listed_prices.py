"""Prices of the bundled map against `litellm.cost_per_token`: every priced text model, at sizes around each threshold."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from engine.core.records import Price, Spend
from engine.models import prices, remote
from engine.models.prices import SERVICES, TEXT_MODES, bundled_price

OUTPUT, THOUGHT = 100, 70
LISTS = "a list of tiers at no input: litellm finds no tier and bills no output; a call without input is in the lowest"
HOURS = "cheaper hours: litellm bills by the clock; we by the busy hours, since a run does not know when a call is sent"
FIREWORKS = "cached input of fireworks without a price: litellm supposes half the price; the map states none, so plain"
FEES = "a fee per request: litellm's per-token cost leaves it out; it is billed"
PERPLEXITY = (
    "perplexity: litellm's own sum for this provider knows no thresholds and no cache writes; the map states them"
)
SERVED = "priority of fireworks: litellm's own sum for this provider knows no levels of service; the map states them"


def kind(name: str, entry: Mapping[str, Any], price: Price, spend: Spend, service: str | None = None) -> str | None:
    """Why litellm says another sum here; None: it has to say the same."""
    if name.startswith("perplexity/") and (price.tier(spend.input_tokens) or spend.cache_write_tokens):
        return PERPLEXITY
    if name.startswith("fireworks_ai/") and service == "priority":
        return SERVED
    if entry.get("tiered_pricing") and not spend.input_tokens:
        return LISTS
    if "off_peak_pricing" in entry:
        return HOURS
    if "input_cost_per_request" in entry:
        return FEES
    if name.startswith("fireworks_ai/") and spend.cached_tokens and "cache_read_input_token_cost" not in entry:
        return FIREWORKS
    return None


def priced() -> Iterator[tuple[str, str, Mapping[str, Any], Price]]:
    """Name, provider, entry and price of every text model that has one; of a provider's that state the same, the first."""
    told: set[str] = set()
    for key, entry in prices._map().items():
        provider = str(entry.get("litellm_provider"))
        name = key if key.startswith(f"{provider}/") else f"{provider}/{key}"
        # By that name litellm finds another entry: one that has it as its key, or it takes the provider's name out once.
        other = name.startswith(f"{provider}/{provider}/") or (name != key and name in prices._map())
        stated = {column: rate for column, rate in entry.items() if "cost" in column or "pricing" in column}
        like = json.dumps([provider, stated], sort_keys=True)
        if entry.get("mode") in TEXT_MODES and not other and like not in told and (price := bundled_price(key)):
            told.add(like)
            yield name, provider, entry, price


def spends(price: Price) -> Iterator[Spend]:
    """One call of a price of one rate; else no input, one token, a large prompt and either side of every threshold,
    with and without cached input. What is written to a cache or thought where that has a price of its own."""
    writes = any(rates.cache_write_pusd is not None for rates in price.rates)
    thought = THOUGHT if any(rates.reasoning_pusd is not None for rates in price.rates) else 0
    if not price.tiers:
        yield Spend(1, 1000, 333, 250 if writes else 0, OUTPUT, thought)
        return
    around = {tier.above_input_tokens + step for tier in price.tiers for step in (-1, 0, 1)}
    for size in sorted({0, 1, 3_000_000} | around):
        yield Spend(1, size, output_tokens=OUTPUT)
        yield Spend(1, size, size // 3, size // 4 if writes else 0, OUTPUT, thought)


@pytest.fixture(scope="module")
def billed():
    """What litellm bills, in pico-dollars, by provider, name, spend and what else it takes."""
    litellm = remote.loaded()
    from litellm.types.utils import CompletionTokensDetailsWrapper, PromptTokensDetailsWrapper, Usage

    def cost(provider: str, name: str, spend: Spend, **more: Any) -> float:
        usage = Usage(
            prompt_tokens=spend.input_tokens,
            completion_tokens=spend.output_tokens,
            total_tokens=spend.total_tokens,
            prompt_tokens_details=PromptTokensDetailsWrapper(
                cached_tokens=spend.cached_tokens, cache_creation_tokens=spend.cache_write_tokens or None
            ),
            completion_tokens_details=CompletionTokensDetailsWrapper(reasoning_tokens=spend.reasoning_tokens),
        )
        model = name.removeprefix(f"{provider}/")
        pair = litellm.cost_per_token(model=model, custom_llm_provider=provider, usage_object=usage, **more)
        return float(sum(pair)) * 1e12

    return cost


def same(price: Price, spend: Spend, theirs: float) -> bool:
    """Equal but for what rounding each rate to whole pico-dollars makes of so many tokens, and for their floats."""
    ours = price.cost_pusd(spend, cache_discount=True)
    return abs(ours - theirs) <= 0.5 * spend.total_tokens + 1e-12 * abs(theirs)


def test_every_listed_price_bills_what_litellm_bills_but_for_named_kinds(billed) -> None:
    wrong, seen, kinds = [], 0, set()
    for name, provider, entry, price in priced():
        seen += 1
        for spend in spends(price):
            theirs = billed(provider, name, spend)
            reason = kind(name, entry, price, spend)
            if not same(price, spend, theirs):
                kinds.add(reason)
                if reason is None:
                    wrong.append((name, spend, price.cost_pusd(spend, cache_discount=True), theirs))
    assert not wrong
    assert seen > 2_000
    # Each kind is there for a reason that still holds; cheaper hours are none while it is a busy one.
    assert kinds | {HOURS} == {LISTS, HOURS, FEES, FIREWORKS, PERPLEXITY}


@pytest.mark.parametrize("service", ["flex", "priority"])
def test_the_levels_of_service_bill_what_litellm_bills_for_them(billed, service: str) -> None:
    wrong, seen = [], 0
    for name, provider, entry, _ in priced():
        price = bundled_price(name, service)
        if price is None or "off_peak_pricing" in entry:
            continue
        seen += 1
        # Of flat prices every third, as below.
        for spend in spends(price) if price.tiers or seen % 3 == 0 else ():
            theirs = billed(provider, name, spend, service_tier=service)
            if not same(price, spend, theirs) and kind(name, entry, price, spend, service) is None:
                wrong.append((name, spend, price.cost_pusd(spend, cache_discount=True), theirs))
    assert not wrong
    assert seen > 100


def test_a_batch_bills_what_litellm_bills_for_it(billed) -> None:
    wrong, seen = [], 0
    for name, provider, _, _ in priced():
        price = bundled_price(name, "batch")
        if price is not None:
            seen += 1
            # litellm looks each of them up anew, which takes long: of flat prices every third.
            for spend in spends(price) if price.tiers or seen % 3 == 0 else ():
                theirs = billed(provider, name, spend, call_type="retrieve_batch")
                if not same(price, spend, theirs):
                    wrong.append((name, spend, price.cost_pusd(spend, cache_discount=True), theirs))
    assert not wrong
    assert seen > 250


def test_a_model_the_map_states_no_such_service_of_has_no_price_for_it() -> None:
    assert all(bundled_price("deepseek/deepseek-chat", service) is None for service in SERVICES)


def test_a_long_prompt_is_billed_at_its_own_tier() -> None:
    price = bundled_price("openai/gpt-5.4")
    assert price is not None
    assert price.cost_pusd(Spend(1, 272_000)) == 272_000 * 2_500_000
    assert price.cost_pusd(Spend(1, 300_030)) == 300_030 * 5_000_000
    assert price.cost_pusd(Spend(1, 300_030, output_tokens=10)) == 300_030 * 5_000_000 + 10 * 22_500_000


def test_a_threshold_that_counts_from_its_own_size_on_does_so_for_xai_alone() -> None:
    price = bundled_price("xai/grok-4")
    tiers = () if price is None else price.tiers
    assert [tier.above_input_tokens % 1000 for tier in tiers] == [999] * len(tiers)
