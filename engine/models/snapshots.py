"""Prices to look through: today's list, a contract somebody wrote down, or a what-if factor; all as model -> Price.

Reads files and litellm's map; knows no database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path

from engine.core import toml
from engine.core.errors import UnknownName, UsageError
from engine.core.records import Price
from engine.models import declared
from engine.models.prices import bundled_price, price_from_usd_per_million

Prices = Mapping[str, Price]
"""Price by model identity or by the name a study uses; no entry: unknown, or as stored."""
_DEAREST = 10**6
_FORM = "MODEL=INPUT/OUTPUT[/CACHED] in USD per million tokens, or MODEL=xFACTOR"


def todays(names: Iterable[str]) -> dict[str, Price]:
    """List prices of the bundled map by the names studies use; a name it has no price for is left out.

    `source` names the map's release, which is its date: the map carries no other.
    """
    found = ((name, bundled_price(name.partition("@")[0])) for name in names)
    return {name: price for name, price in found if price is not None}


def contract(path: Path) -> dict[str, Price]:
    """Prices of the [[models]] tables of a TOML file, written as in a study; a study file itself will do.

    A price without a `source` is from the file's name. Raises UsageError when no table has prices.
    """
    top = toml.Table(str(path), "", toml.parse(toml.read(path), str(path)))
    if "models" not in top.body:
        raise UsageError(f"{path} has no [[models]] table with prices.")
    tables = top.tables("models", lambda _: declared.KEYS)
    read = [declared.model_spec(table, path.parent) for table in tables]
    found = {model.name: _from(path, model.price) for model in read if model.price is not None}
    if not found:
        raise UsageError(f"{path} has no [[models]] table with prices.")
    return found


def scaled(prices: Prices, model: str, factor: Decimal | float) -> Price:
    """What-if: one model's price times a factor, rounded to whole pico-dollars, and labelled assumed.

    Raises UsageError where the model has no price or the factor is no number from 0 to 1,000.
    """
    price, times = prices.get(model), _number(str(factor))
    if price is None:
        raise UsageError(f"{model!r} has no known price to multiply; give one as MODEL=INPUT/OUTPUT.")
    if times is None or times > 1000:
        raise UsageError(f"A factor on a price is a number from 0 to 1,000, not {factor!s:.40}.")

    def one(rate: int) -> int:
        return round(rate * times)

    cached, written = (None if rate is None else one(rate) for rate in (price.cached_pusd, price.cache_write_pusd))
    source = f"{price.source} x {times.normalize():f}"
    return replace(
        price,
        input_pusd=one(price.input_pusd),
        output_pusd=one(price.output_pusd),
        cached_pusd=cached,
        cache_write_pusd=written,
        source=source,
        assumed=True,
    )


def stated(text: str, known: Prices) -> tuple[str, Price]:
    """One model and its price as a command line says it; `known` is what a factor multiplies. Raises UsageError."""
    name, equals, said = text.rpartition("=")
    if not (name and equals and said):
        raise UsageError(f"{text[:80]!r} is no price: write {_FORM}.")
    if said[0] in "x*" and (factor := _number(said[1:])) is not None:
        return name, scaled(known, name, factor)
    rates = [_number(part) for part in said.split("/")]
    if not 2 <= len(rates) <= 3 or None in rates:
        raise UsageError(f"{text[:80]!r} is no price: write {_FORM}.")
    return name, price_from_usd_per_million(*(str(rate) for rate in rates), source="command line")


def asked(words: Iterable[str], names: Mapping[str, str], stored: Prices) -> dict[str, Price]:
    """What `--prices` says, word by word, later ones over earlier ones: 'today', 'stored', FILE.toml or MODEL=....

    `names`: every model of the database, name -> identity; `stored`: its newest snapshot by name. An empty mapping is
    the stored prices. Raises UsageError, also for a model the database does not know.
    """
    found: dict[str, Price] = {}
    for word in words:
        if word == "stored":
            found.clear()
        elif word == "today":
            found |= todays(name for name in names if not name.startswith(("local/", "scripted/")))
        elif "=" in word:
            name, price = stated(word, {**stored, **found})
            found[_of(name, names)] = price
        else:
            found |= {name: price for name, price in contract(Path(word)).items() if name in names}
    return found


def _of(name: str, names: Mapping[str, str]) -> str:
    if name not in names:
        raise UnknownName("model of the database", name, names)
    return name


def _from(path: Path, price: Price) -> Price:
    return replace(price, source=path.name) if price.source == "study" else price


def _number(text: str) -> Decimal | None:
    """A number from 0 to a million; None: it is none."""
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        return None
    return value if value.is_finite() and 0 <= value <= _DEAREST else None
