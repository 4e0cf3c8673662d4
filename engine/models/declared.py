"""What a [[models]] table of a study says, checked to the last key."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from engine.core.errors import UsageError
from engine.core.records import Price
from engine.core.toml import Table, Text, located
from engine.models import wire
from engine.models.model import Rates
from engine.models.net.address import checked_url
from engine.models.prices import price_from_usd_per_million
from engine.models.settings import Settings

Rate = Annotated[float, Meta(ge=0, le=10**6)]
"""US dollars per million tokens."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A [[models]] table of a study: an OpenAI-compatible endpoint, a GGUF file, or prices for a known name."""

    name: Text
    """The name the study uses."""
    api_base: Text | None = None
    """http(s) URL of the endpoint, the first of its list; None: the provider's own, by litellm."""
    api_key_env: Text | None = None
    """Name of the environment variable that holds the key; the key itself is never stored."""
    model: Text | None = None
    """What the model itself is called, by the endpoint, by litellm or here; None: `name`, to an endpoint without its
    provider prefix, and of a GGUF file the file's own name."""
    gguf: Text | None = None
    """Path of a GGUF file to serve locally; None: not a local model."""
    price: Price | None = None
    """None: looked up in the bundled map, else unknown."""
    context_tokens: Annotated[int, Meta(ge=1, le=10**8)] | None = None
    """Size of the context window; None: looked up, else unknown."""
    parallel: Annotated[int, Meta(ge=1, le=4096)] | None = None
    """Most calls in flight; None: the model's default."""
    requests_per_minute: Annotated[int, Meta(ge=1, le=10**9)] | None = None
    """See `Rates`; None: no limit."""
    tokens_per_minute: Annotated[int, Meta(ge=1, le=10**12)] | None = None
    """See `Rates`; None: no limit."""
    timeout_s: Annotated[float, Meta(ge=0.1, le=86_400)] = 120.0
    """Seconds one attempt may take."""
    settings: Settings = Settings()
    """How it thinks and samples; part of its identity, so one model may be declared at several."""
    continues: bool | None = None
    """Whether it goes on with a last turn of the assistant; None: looked up, and False for an endpoint."""
    finish: Literal["strict", "lenient"] = "strict"
    """`lenient` keeps a reply with complete usage that does not say how it ended; `strict` counts it as failed."""
    rename: dict[str, Text] | None = None
    """Fields of a request by the names the endpoint has for them, such as max_tokens = "max_completion_tokens"."""
    omit: list[wire.Omitted] | None = None
    """Fields that are not sent: temperature or seed, for models that refuse them."""
    extra: dict[str, Any] | None = None
    """Fields added to every request, as JSON; never a key."""
    alone: bool = True
    """Whether strategies that need one model are run with it; False: it only plays in line-ups."""
    replicas: tuple[str, ...] = ()
    """The other URLs of a list in api_base, which serve the same weights by the user's word."""

    @property
    def suffix(self) -> str:
        """What settings and fields add to a model's identity; empty when none is given."""
        given = {**self.settings.given, **wire.marks(self.rename, tuple(self.omit or ()), self.extra)}
        return f"{{{','.join(f'{name}={value}' for name, value in given.items())}}}" if given else ""

    @property
    def rates(self) -> Rates:
        """How fast the model may be asked."""
        return Rates(self.requests_per_minute, self.tokens_per_minute)


@dataclass(frozen=True, slots=True)
class _Prices:
    """The prices of a [[models]] table, in US dollars per million tokens; named as the arguments of a price are."""

    input: Rate
    output: Rate
    cached: Rate | None = None
    cache_write: Rate | None = None
    reasoning: Rate | None = None
    request: Annotated[float, Meta(ge=0, le=10**6)] = 0.0
    """US dollars a call, besides its tokens."""
    source: Text = "study"
    as_of: str | None = None
    assumed: bool = False


@dataclass(frozen=True, slots=True)
class _Tier:
    """Prices of calls with more input of their own than a threshold."""

    above_input_tokens: Annotated[int, Meta(ge=1, le=10**9)]
    input: Rate
    output: Rate
    cached: Rate | None = None
    cache_write: Rate | None = None
    reasoning: Rate | None = None


_OWN = (each.name for each in fields(ModelSpec) if each.name not in ("settings", "price", "replicas"))
_KEY_LIKE = re.compile("sk_|pk_|rk_|gh[opsu]_|github_pat_|hf_|gsk_|xai_|glpat_|AKIA|AIza|eyJ")
"""Beginnings of keys that providers give out, in letters that a name may have as well."""
KEYS = (*_OWN, "prices", *(each.name for each in fields(Settings)))
"""Keys of the table: the settings stand beside the others."""


def model_spec(table: Table, folder: Path) -> ModelSpec:
    """The model a [[models]] table declares; relative paths start at `folder`. Raises UsageError."""
    if "reasoning_effort" in table.body and "thinking_tokens" in table.body:
        raise UsageError(f"{table.place} has both reasoning_effort and thinking_tokens; give it one of them.")
    settings = table.fields(Settings)
    # 0.0 and -0.0 are one setting: it enters the model's identity.
    zeroed: dict[str, Any] = {name: value + 0.0 for name, value in settings.given.items() if isinstance(value, float)}
    bases = _bases(table)
    model = table.fields(
        ModelSpec,
        price=_price(table),
        settings=replace(settings, **zeroed),
        api_base=bases[0] if bases else None,
        replicas=bases[1:],
    )
    wire.check(table.place, model.rename, tuple(model.omit or ()), model.extra)
    if model.api_base is not None:
        # Here already: an address with a user name or a key in it must not reach the stored study.
        for url in bases:
            checked_url(url, model.name)
    if model.api_key_env is not None:
        key_variable(model.api_key_env, f"api_key_env in {table.place}")
    return model if model.gguf is None else replace(model, gguf=str(located(model.gguf, folder)))


def _bases(table: Table) -> tuple[str, ...]:
    """The addresses of an endpoint: one, or a list of those of one model."""
    if not isinstance(table.body.get("api_base"), list):
        one = table.value("api_base", Text, None)
        return () if one is None else (one,)
    bases = [str(table.checked("each of api_base", Text, url)).strip().rstrip("/") for url in table.items("api_base")]
    if twice := next((url for at, url in enumerate(bases) if url in bases[:at]), None):
        raise UsageError(f"api_base in {table.place} names {twice} twice; every address once is enough.")
    return tuple(bases)


def key_variable(name: str, place: str) -> str:
    """The name of the variable that holds a key. Raises UsageError for one that may be a key itself, repeating it not.

    Here already, so that a key pasted by mistake is neither stored with the study nor shown."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", name) or _KEY_LIKE.match(name) or _is_random(name):
        raise UsageError(f"{place} must be the name of an environment variable, never a key.")
    return name


def _is_random(name: str) -> bool:
    """Whether a part of a name is long and mixed as nobody names a variable: digits among letters, or both cases."""
    for part in name.split("_"):
        turns = sum(one.isdigit() != other.isdigit() for one, other in pairwise(part))
        cases = sum(one.islower() != other.islower() for one, other in pairwise(part))
        humped = re.fullmatch(r"(?:[A-Za-z]?[a-z]{2,}|[A-Z]+)+\d*", part)  # someVeryLongName
        if len(part) >= 16 and (turns >= 4 or (cases >= 6 and not humped)):
            return True
    return False


def _price(table: Table) -> Price | None:
    prices = table.table("prices")
    if prices is None:
        return None
    prices.known((*(each.name for each in fields(_Prices)), "tiers"))
    if "input" not in prices.body or "output" not in prices.body:
        raise UsageError(f"prices of {table.place} need input and output, in USD per million tokens.")
    date = prices.body.get("as_of")
    if date is not None and not re.fullmatch(r"\d{4}-\d\d-\d\d", str(date)):
        raise prices.wrong("as_of", "a date such as 2026-01-31")
    # TOML has dates of its own, which may be written with or without quotes.
    stated = prices.fields(_Prices, as_of=None if date is None else str(date))
    return price_from_usd_per_million(**asdict(stated), tiers=_tiers(prices))


def _tiers(prices: Table) -> list[dict[str, Any]]:
    """The [[models.prices.tiers]] tables: every one whole, thresholds rising."""
    if "tiers" not in prices.body:
        return []
    tiers: list[dict[str, Any]] = []
    for table in prices.tables("tiers", lambda _: [each.name for each in fields(_Tier)]):
        tiers.append(asdict(table.fields(_Tier)))
        if len(tiers) > 1 and tiers[-2]["above_input_tokens"] >= tiers[-1]["above_input_tokens"]:
            raise table.wrong(
                "above_input_tokens", f"more than the {tiers[-2]['above_input_tokens']:,} of the tier before"
            )
    return tiers
