"""What a [[models]] table of a study says, checked to the last key."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from decimal import Decimal
from pathlib import Path

from engine.core import codec
from engine.core.errors import UsageError
from engine.core.records import Price
from engine.models.http import checked_url
from engine.models.model import Rates
from engine.models.prices import price_from_usd_per_million
from engine.models.settings import EFFORTS, Settings


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A [[models]] table of a study: an OpenAI-compatible endpoint, a GGUF file, or prices for a known name."""

    name: str
    """The name the study uses."""
    api_base: str | None = None
    """http(s) URL of the endpoint; None: the provider's own, by litellm."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; the key itself is never stored."""
    model: str | None = None
    """What the model itself is called, by the endpoint, by litellm or here; None: `name`, to an endpoint without its
    provider prefix."""
    gguf: str | None = None
    """Path of a GGUF file to serve locally; None: not a local model."""
    price: Price | None = None
    """None: looked up in the bundled map, else unknown."""
    context_tokens: int | None = None
    """Size of the context window; None: looked up, else unknown."""
    parallel: int | None = None
    """Most calls in flight; None: the model's default."""
    requests_per_minute: int | None = None
    """See `Rates`; None: no limit."""
    tokens_per_minute: int | None = None
    """See `Rates`; None: no limit."""
    timeout_s: float = 120.0
    """Seconds one attempt may take."""
    settings: Settings = Settings()
    """How it thinks and samples; part of its identity, so one model may be declared at several."""
    continues: bool | None = None
    """Whether it goes on with a last turn of the assistant; None: looked up, and False for an endpoint."""
    alone: bool = True
    """Whether strategies that need one model are run with it; False: it only plays in line-ups."""

    @property
    def rates(self) -> Rates:
        """How fast the model may be asked."""
        return Rates(self.requests_per_minute, self.tokens_per_minute)


KEYS = (
    "name",
    "api_base",
    "api_key_env",
    "model",
    "gguf",
    "context_tokens",
    "parallel",
    "requests_per_minute",
    "tokens_per_minute",
    "timeout_s",
    "prices",
    "alone",
    "continues",
    *(each.name for each in fields(Settings)),
)
"""Keys of the table."""
_PRICES = ("input", "output", "cached", "cache_write", "source", "as_of", "assumed")


def model_spec(table: codec.Table, folder: Path) -> ModelSpec:
    """The model a [[models]] table declares; relative paths start at `folder`. Raises UsageError."""
    gguf = table.text("gguf", None)
    return ModelSpec(
        name=table.required("name"),
        api_base=_endpoint(table),
        api_key_env=_variable(table),
        model=table.text("model", None),
        gguf=None if gguf is None else str(codec.path(gguf, folder)),
        price=_price(table),
        context_tokens=table.integer("context_tokens", None, 1, 10**8),
        parallel=table.integer("parallel", None, 1, 4096),
        requests_per_minute=table.integer("requests_per_minute", None, 1, 10**9),
        tokens_per_minute=table.integer("tokens_per_minute", None, 1, 10**12),
        timeout_s=float(table.number("timeout_s", Decimal(120), 0.1, 86_400)),
        alone=table.flag("alone", True),
        settings=_settings(table),
        continues=table.flag("continues", False) if "continues" in table.body else None,
    )


def _settings(table: codec.Table) -> Settings:
    if "reasoning_effort" in table.body and "thinking_tokens" in table.body:
        raise UsageError(f"{table.place} has both reasoning_effort and thinking_tokens; give it one of them.")
    return Settings(
        reasoning_effort=table.one_of("reasoning_effort", "", EFFORTS) if "reasoning_effort" in table.body else None,
        thinking_tokens=table.integer("thinking_tokens", None, 1, 10**6),
        temperature=_share(table, "temperature", 0, 2),
        top_p=_share(table, "top_p", 0.001, 1),
        top_k=table.integer("top_k", None, 1, 10**6),
        min_p=_share(table, "min_p", 0, 1),
        repetition_penalty=_share(table, "repetition_penalty", 0.1, 10),
    )


def _share(table: codec.Table, key: str, least: float, most: float) -> float | None:
    """1 and 1.0 are one setting, and so are 0.0 and -0.0: they enter the model's identity."""
    found = table.number(key, None, least, most)
    return None if found is None else float(found) + 0.0


def _endpoint(table: codec.Table) -> str | None:
    """Checked here already: an address with a user name or a key in it must not reach the stored study."""
    address = table.text("api_base", None)
    if address is not None:
        checked_url(address, table.required("name"))
    return address


def _variable(table: codec.Table) -> str | None:
    name = table.text("api_key_env", None)
    if name is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", name):
        raise UsageError(f"api_key_env in {table.place} must be the name of an environment variable, never a key.")
    return name


def _price(table: codec.Table) -> Price | None:
    prices = table.table("prices", _PRICES)
    if prices is None:
        return None
    rates = [prices.number(key, None, 0, 10**6) for key in _PRICES[:4]]
    if rates[0] is None or rates[1] is None:
        raise UsageError(f"prices of {table.place} need input and output, in USD per million tokens.")
    source, assumed = prices.text("source", "study"), prices.flag("assumed", False)
    return price_from_usd_per_million(
        rates[0], rates[1], *rates[2:], source=source, as_of=_date(prices), assumed=assumed
    )


def _date(prices: codec.Table) -> str | None:
    value = prices.body.get("as_of")
    if value is not None and not re.fullmatch(r"\d{4}-\d\d-\d\d", str(value)):
        raise prices.wrong("as_of", "a date such as 2026-01-31")
    return None if value is None else str(value)
