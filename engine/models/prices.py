"""Price snapshots: litellm's bundled map read as plain JSON, and prices a user writes down; all in pico-dollars.

Imports litellm never. A price nobody states is None, which is not zero. The map says 0 for models whose price is not
known, whose bill comes by the hour, or that run on one's own machine, and cannot tell these from a free model: an
entry that is zero on both sides therefore counts as unknown, and whoever knows better declares a price.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import json
import operator
import re
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from engine.core import text
from engine.core.errors import UsageError
from engine.core.records import PUSD_PER_USD, Price, Tier

FILE = "model_prices_and_context_window_backup.json"
TEXT_MODES = frozenset({"chat", "completion", "responses"})
Entry = Mapping[str, Any]
Amount = int | float | str | Decimal


SERVICES = {"batch": "_batches", "flex": "_flex", "priority": "_priority"}
"""Levels of service with a price of their own, and how the map's columns end that hold it."""
_COLUMNS = {
    "input_pusd": "input_cost_per_token",
    "output_pusd": "output_cost_per_token",
    "cached_pusd": "cache_read_input_token_cost",
    "cache_write_pusd": "cache_creation_input_token_cost",
}
_IN_CODE = (
    *("a2a_agent", "aiohttp_openai", "aws_textract", "azure_speech", "databricks_agent", "dotprompt", "humanloop"),
    *("langfuse", "litellm_agent", "sagemaker_nova", "vertex_ai_beta"),
)
"""Providers that none of litellm's files of data names."""
_THRESHOLD = re.compile(rf"(?:{'|'.join(_COLUMNS.values())})_above_(\d+)(k?)_tokens(\w*)")
Rates = dict[str, int | None]


def bundled_price(name: str, service: str | None = None) -> Price | None:
    """List price of a model by litellm's bundled map; None: unknown, or not stated for this one of `SERVICES`.

    Left out is what a call does not know: the hour (the price is that of the busy ones), the region, how long a cache
    is kept (the shortest), pictures, sound and searches.
    """
    entry = listed(name)
    if entry is None:
        return None
    columns = (f"{_COLUMNS[side]}{SERVICES[service]}" for side in ("input_pusd", "output_pusd")) if service else ()
    if any(_pusd(entry, column) is None for column in columns):
        return None
    steps = _listed(entry) if service is None and entry.get("tiered_pricing") else _ladder(entry, service)
    # Zero on both sides is the map's way of not knowing, or a bill by the hour; see above.
    if not steps or all(rates["input_pusd"] == rates["output_pusd"] == 0 for _, rates in steps):
        return None
    (_, base), *above = steps
    tiers: list[Tier] = []
    for (threshold, rates), (_, below) in zip(above, steps, strict=False):
        if None in (rates["input_pusd"], rates["output_pusd"]):
            return None
        if rates != below:
            tiers.append(Tier(threshold, **rates))  # type: ignore[arg-type]
    given, taken = base["input_pusd"], base["output_pusd"]
    if given is None or taken is None:
        return None
    return Price(
        given,
        taken,
        base["cached_pusd"],
        base["cache_write_pusd"],
        source=f"litellm {_version()}{f', {service}' if service else ''}",
        reasoning_pusd=base["reasoning_pusd"],
        request_pusd=_pusd(entry, "input_cost_per_request") or 0,
        tiers=tuple(tiers),
    )


def _ladder(entry: Entry, service: str | None) -> list[tuple[int, Rates]]:
    """The base and every threshold with the rates above it; what a threshold does not state stays as it is below."""
    suffix = SERVICES[service] if service else ""
    suffixes = {suffix} if service == "batch" else {"", suffix}

    # Of flex and priority the map states what differs; a batch has its own columns, but for cached input maybe.
    own_alone = set(_COLUMNS.values()) if service == "batch" else set()
    if _pusd(entry, f"{_COLUMNS['cached_pusd']}{suffix}") is None:
        own_alone.discard(_COLUMNS["cached_pusd"])

    def stated(column: str) -> int | None:
        own = _pusd(entry, f"{column}{suffix}")
        return own if own is not None or column.partition("_above_")[0] in own_alone else _pusd(entry, column)

    rates: Rates = {side: stated(column) for side, column in _COLUMNS.items()}
    rates["reasoning_pusd"] = None
    if service is None or _pusd(entry, f"output_cost_per_reasoning_token{suffix}") is not None:
        rates["reasoning_pusd"] = _pusd(entry, f"output_cost_per_reasoning_token{suffix}")
    words = {
        match[0].removesuffix(match[3]).rpartition("_above_")[2]: int(match[1]) * (1000 if match[2] else 1)
        for column in entry
        if (match := _THRESHOLD.fullmatch(column)) and match[3] in suffixes and _pusd(entry, column) is not None
    }
    steps = [(0, rates)]
    for word, threshold in sorted(words.items(), key=operator.itemgetter(1)):
        above = {side: stated(f"{column}_above_{word}") for side, column in _COLUMNS.items()}
        rates = {**rates, **{side: rate for side, rate in above.items() if rate is not None}}
        # xAI bills the higher rates from the threshold on.
        steps.append((threshold - (entry.get("litellm_provider") == "xai"), rates))
    return steps


def _listed(entry: Entry) -> list[tuple[int, Rates]]:
    """The tiers of a list: each from the end of the one below, with every rate its own."""
    steps: list[tuple[int, Rates]] = []
    for tier in sorted(entry["tiered_pricing"], key=lambda tier: float(tier["range"][0])):
        rates: Rates = {side: _pusd(tier, column) for side, column in _COLUMNS.items()}
        if rates["output_pusd"] is None:
            rates["output_pusd"] = _pusd(entry, _COLUMNS["output_pusd"])
        rates["reasoning_pusd"] = _pusd(tier, "output_cost_per_reasoning_token")
        steps.append((int(tier["range"][0]), rates))
    return steps


def context_tokens(name: str) -> int | None:
    """Size of the context window by the bundled map; None: unknown."""
    size = (listed(name) or {}).get("max_input_tokens")
    return int(size) if isinstance(size, (int, float)) and size > 0 else None


def priced_names() -> tuple[str, ...]:
    """Every text model of the map as it would be opened, with its provider in front."""
    names: list[str] = []
    for key, entry in _map().items():
        if entry.get("mode") in TEXT_MODES:
            # The map's word for a provider may name a part of it that nobody opens: bedrock_converse, vertex_ai-chat.
            provider = re.sub(r"_converse$|(?<=^vertex_ai)-.*", "", str(entry.get("litellm_provider", "")))
            names.append(key if not provider or "/" in key else f"{provider}/{key}")
    return tuple(sorted(names))


def bare_names() -> tuple[str, ...]:
    """The text models that the map lists without a provider in front, which open by that name too."""
    return tuple(key for key, entry in _map().items() if "/" not in key and entry.get("mode") in TEXT_MODES)


def price_from_usd_per_million(
    input: Amount,
    output: Amount,
    cached: Amount | None = None,
    cache_write: Amount | None = None,
    reasoning: Amount | None = None,
    *,
    request: Amount = 0,
    tiers: Iterable[Mapping[str, Any]] = (),
    source: str = "user",
    as_of: str | None = None,
    assumed: bool = False,
) -> Price:
    """A price as vendors print it, USD per million tokens, `request` USD a call. Raises UsageError for what is not a
    price.

    `tiers`: rates by the same names, each with the `above_input_tokens` from which on they hold, in rising order.
    """
    return Price(
        **_rates(input=input, output=output, cached=cached, cache_write=cache_write, reasoning=reasoning),
        source=source,
        as_of=as_of,
        assumed=assumed,
        request_pusd=pusd(request),
        tiers=tuple(
            Tier(tier["above_input_tokens"], **_rates(**{n: v for n, v in tier.items() if n != "above_input_tokens"}))
            for tier in tiers
        ),
    )


def beyond_two_rates(price: Price) -> str:
    """In words what a price is besides its rates for input and output; empty: nothing, or starts with a semicolon."""
    parts: list[str] = []
    for rates in price.rates:
        thinking = (
            "" if rates.reasoning_pusd is None else f"{text.money(rates.reasoning_pusd / 1e6)} for hidden reasoning"
        )
        if rates.above_input_tokens:
            size = f"above {rates.above_input_tokens:,} input tokens"
            pair = f"{size} {text.rates(rates.input_pusd / 1e6, rates.output_pusd / 1e6)}"
            parts.append(f"{pair}, {thinking}" if thinking else pair)
        elif thinking:
            parts.append(thinking)
    if price.request_pusd:
        parts.append(f"{text.money(price.request_pusd / PUSD_PER_USD)} a call")
    return "".join(f"; {part}" for part in parts)


def usd_per_million(rates: Price | Tier) -> dict[str, float]:
    """Its rates as vendors print them, those it has; the reverse of `price_from_usd_per_million`."""
    names = ("input", "output", "cached", "cache_write", "reasoning")
    stated = ((name, getattr(rates, f"{name}_pusd")) for name in names)
    # Pico-dollars a token are micro-dollars a million tokens.
    return {name: rate / 1e6 for name, rate in stated if rate is not None}


def _rates(**usd: Amount | None) -> dict[str, Any]:
    return {f"{side}_pusd": _per_million(side, amount) for side, amount in usd.items() if amount is not None}


def pusd(usd: Amount) -> int:
    """Dollars as integer pico-dollars, through the shortest decimal of a float. Raises ValueError for no number."""
    try:
        # By way of its text: 1e-07 is meant, not the binary fraction next to it.
        return int((Decimal(str(usd)) * PUSD_PER_USD).to_integral_value(ROUND_HALF_EVEN))
    except (InvalidOperation, OverflowError) as error:
        raise ValueError(f"{usd!r} is not an amount of money") from error


def _per_million(side: str, usd: Amount) -> int:
    try:
        per_token = Decimal(str(usd)) * (PUSD_PER_USD // 1_000_000)
        whole = int(per_token.to_integral_value(ROUND_HALF_EVEN))
    except (InvalidOperation, OverflowError, ValueError):
        per_token, whole = Decimal(0), -1
    if isinstance(usd, bool) or whole < 0:
        raise UsageError(f"The {side} price {usd!r} is not an amount of USD per million tokens, such as 0.15.")
    if per_token and not whole:
        # Rounded to 0 it would read as free, and a ceiling in money would bind nothing.
        raise UsageError(
            f"The {side} price {usd} is too small to count: the smallest is 0.000001 USD per million tokens, and 0 "
            "says that nobody bills it."
        )
    return whole


def may_be_known(name: str) -> bool:
    """Whether litellm may know a provider of a name; False: the data it comes with names none, and importing it, which
    takes seconds, would only say the same."""
    # A colon stands in names that no list has: of a fine-tuned model, of a version at Replicate.
    if ":" in name or name in _map():
        return True
    provider, slash, _ = name.partition("/")
    # A bare name is that of an entry, whatever provider stands before it.
    return provider in _providers() if slash else name in _parts()


def listed(name: str) -> Entry | None:
    """The map's entry for a name: the key itself, or the key without a prefix that names the entry's own provider."""
    known = _map()
    entry = known.get(name)
    if entry is None:
        provider, slash, rest = name.partition("/")
        entry = known.get(rest) if slash else None
        # A namesake at another provider has another price.
        if entry is None or not str(entry.get("litellm_provider", "")).startswith(provider):
            return None
    return entry if entry.get("mode") in TEXT_MODES else None


def _pusd(entry: Entry, column: str) -> int | None:
    value = entry.get(column)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        return None
    return pusd(value)


@functools.cache
def _version() -> str:
    # Looked up once: it reads a file, and a list of models has thousands of prices.
    return importlib.metadata.version("litellm")


@functools.cache
def _map() -> Mapping[str, Entry]:
    # 'sample_spec' explains the columns in words.
    return {key: entry for key, entry in _data(FILE).items() if isinstance(entry, dict) and key != "sample_spec"}


@functools.cache
def _providers() -> frozenset[str]:
    """Every provider that litellm's data names, and those that its code alone does."""
    of_map = {str(entry.get("litellm_provider", "")) for entry in _map().values()}
    documented = _data("provider_endpoints_support_backup.json").get("providers", {})
    return frozenset({*of_map, *documented, *_data("llms/openai_like/providers.json"), *_IN_CODE})


@functools.cache
def _parts() -> frozenset[str]:
    return frozenset(part for key in _map() for part in (key, key.partition("/")[2], key.rpartition("/")[2]))


def _data(file: str) -> dict[str, Any]:
    """A file of litellm's data, read as JSON without importing it; empty where it is not there."""
    spec = importlib.util.find_spec("litellm")
    path = Path(spec.origin).parent / file if spec and spec.origin else None
    if path is None or not path.is_file():
        return {}
    content = json.loads(path.read_text("utf-8"))
    return content if isinstance(content, dict) else {}
