"""Prices to look through: today's list, a contract somebody wrote down, or a what-if factor; all as model -> Price.

A lens re-prices with them what was measured and changes nothing stored. Reads files and litellm's map; knows no
database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from engine.core import toml
from engine.core.errors import UnknownName, UsageError
from engine.core.records import Price, Tier
from engine.models import declared
from engine.models.prices import SERVICES, bundled_price, price_from_usd_per_million

_RATES = tuple(each.name for each in fields(Tier) if each.name.endswith("_pusd"))
Prices = Mapping[str, Price]
"""Price by model identity or by the name a study uses; no entry: unknown, or as stored."""
_FORM = "MODEL=INPUT/OUTPUT[/CACHED] in USD per million tokens, or MODEL=xFACTOR"


def todays(names: Iterable[str], service: str | None = None) -> dict[str, Price]:
    """List prices of the bundled map by the names studies use, standard or of one of `SERVICES`; a name it has no such
    price for is left out, as is what runs on this machine or follows a script.

    `source` names the map's release, which is its date: the map carries no other.
    """
    # Nobody lists a price for a model of this machine, and a namesake of the map would be a wrong one.
    listed = (name for name in names if not name.startswith(("local/", "scripted/")))
    prices = ((name, bundled_price(name.partition("@")[0], service)) for name in listed)
    return {name: price for name, price in prices if price is not None}


def contract(path: Path) -> dict[str, Price]:
    """Prices of the [[models]] tables of a TOML file, written as in a study; a study file itself will do.

    A price without a `source` is from the file's name. Raises UsageError when no table has prices.
    """
    top = toml.Table(str(path), "", toml.parse(toml.read(path), str(path)))
    tables = top.tables("models", lambda _: declared.KEYS) if "models" in top.body else []
    prices: dict[str, Price] = {}
    for model in (declared.model_spec(table, path.parent) for table in tables):
        if model.price is not None:
            unsourced = model.price.source == "study"  # what a study's own table says by default
            prices[model.name] = replace(model.price, source=path.name) if unsourced else model.price
    if not prices:
        raise UsageError(f"{path} has no [[models]] table with prices.")
    return prices


def scaled(prices: Prices, model: str, factor: Decimal | float) -> Price:
    """What-if: one model's price times a factor, rounded to whole pico-dollars, and labelled assumed.

    Raises UsageError where the model has no price or the factor is no number from 0 to 1,000.
    """
    price, times = prices.get(model), _number(str(factor))
    if price is None:
        raise UsageError(f"{model!r} has no known price to multiply; give one as MODEL=INPUT/OUTPUT.")
    if times is None or times > 1000:
        raise UsageError(f"A factor on a price is a number from 0 to 1,000, not {factor!s:.40}.")

    def scale(rate: int) -> int:
        return round(rate * times)

    def scaled_rates(rates: Price | Tier) -> dict[str, Any]:
        every = ((name, getattr(rates, name)) for name in _RATES)
        return {name: None if rate is None else scale(rate) for name, rate in every}

    return replace(
        price,
        **scaled_rates(price),
        request_pusd=scale(price.request_pusd),
        tiers=tuple(replace(tier, **scaled_rates(tier)) for tier in price.tiers),
        source=f"{price.source} x {times.normalize():f}",
        assumed=True,
    )


def stated(text: str, known: Prices) -> tuple[str, Price]:
    """One model and its price as a command line says it; `known` is what a factor multiplies. Raises UsageError."""
    # From the right: a model's name may hold '=', a price does not.
    name, equals, rate_text = text.rpartition("=")
    if not (name and equals and rate_text):
        raise UsageError(f"{text[:80]!r} is no price: write {_FORM}.")
    if rate_text[0] in "x*" and (factor := _number(rate_text[1:])) is not None:
        return name, scaled(known, name, factor)
    rates = [_number(part) for part in rate_text.split("/")]
    if not 2 <= len(rates) <= 3 or None in rates:
        raise UsageError(f"{text[:80]!r} is no price: write {_FORM}.")
    return name, price_from_usd_per_million(*(str(rate) for rate in rates), source="command line")


def asked(words: Iterable[str], names: Mapping[str, str], stored: Prices) -> dict[str, Price]:
    """What `--prices` says, word by word, later ones over earlier ones: 'today', 'batch', 'flex', 'priority', 'stored',
    FILE.toml or MODEL=....

    `names`: every model of the database, name -> identity; `stored`: its newest snapshot by name. An empty mapping is
    the stored prices. Raises UsageError, also for a model the database does not know.
    """
    prices: dict[str, Price] = {}
    for word in words:
        if word == "stored":
            prices.clear()
        elif word == "today" or word in SERVICES:
            prices |= todays(names, None if word == "today" else word)
        elif "=" in word:
            name, price = stated(word, {**stored, **prices})
            if name not in names:
                raise UnknownName("model of the database", name, names)
            prices[name] = price
        else:
            # A contract may list more models than were ever run.
            prices |= {name: price for name, price in contract(Path(word)).items() if name in names}
    return prices


def _number(text: str) -> Decimal | None:
    """A number from 0 to a million; None: it is none."""
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        return None
    return value if value.is_finite() and 0 <= value <= 10**6 else None
