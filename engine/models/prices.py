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
import re
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from engine.core.errors import UsageError
from engine.core.records import PUSD_PER_USD, Price

FILE = "model_prices_and_context_window_backup.json"
TEXT_MODES = frozenset({"chat", "completion", "responses"})
Entry = Mapping[str, Any]
Amount = int | float | str | Decimal


def bundled_price(name: str) -> Price | None:
    """List price of a model by litellm's bundled map; None: unknown. Base tier, standard service level."""
    entry = _entry(name)
    if entry is None:
        return None
    given, taken = _pusd(entry, "input_cost_per_token"), _pusd(entry, "output_cost_per_token")
    # Zero on both sides is the map's way of not knowing, or a bill by the hour; see above.
    if given is None or taken is None or given == taken == 0:
        return None
    return Price(
        input_pusd=given,
        output_pusd=taken,
        cached_pusd=_pusd(entry, "cache_read_input_token_cost"),
        cache_write_pusd=_pusd(entry, "cache_creation_input_token_cost"),
        source=f"litellm {importlib.metadata.version('litellm')}",
    )


def context_tokens(name: str) -> int | None:
    """Size of the context window by the bundled map; None: unknown."""
    size = (_entry(name) or {}).get("max_input_tokens")
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


def price_from_usd_per_million(
    input: Amount,
    output: Amount,
    cached: Amount | None = None,
    cache_write: Amount | None = None,
    *,
    source: str = "user",
    as_of: str | None = None,
    assumed: bool = False,
) -> Price:
    """A price as vendors print it, USD per million tokens. Raises UsageError for what is not a price."""
    return Price(
        input_pusd=_per_million("input", input),
        output_pusd=_per_million("output", output),
        cached_pusd=None if cached is None else _per_million("cached", cached),
        cache_write_pusd=None if cache_write is None else _per_million("cache_write", cache_write),
        source=source,
        as_of=as_of,
        assumed=assumed,
    )


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


def _entry(name: str) -> Entry | None:
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
def _map() -> Mapping[str, Entry]:
    spec = importlib.util.find_spec("litellm")
    path = Path(spec.origin).parent / FILE if spec and spec.origin else None
    if path is None or not path.is_file():
        return {}
    entries = json.loads(path.read_text("utf-8"))
    # 'sample_spec' explains the columns in words.
    return {key: entry for key, entry in entries.items() if isinstance(entry, dict) and key != "sample_spec"}
