"""What a model is to the engine, and how a name becomes one.

Owns the `Model` protocol and `open_model`; imports litellm, xllamacpp or a network library never: the rooms below do,
and only when a model of theirs is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from engine.core.errors import UnknownName
from engine.core.records import Completion, ModelSetting, Price, Prompt, Request
from engine.models.settings import Settings


@dataclass(frozen=True, slots=True)
class Rates:
    """How fast a model may be asked; decides speed alone and is part of no id."""

    requests_per_minute: int | None = None
    """Dispatches in any minute, retries included; None: no limit."""
    tokens_per_minute: int | None = None
    """Prompt bound and asked cap of all dispatches in a minute; None: no limit."""


@dataclass(frozen=True, slots=True)
class Declared:
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


@dataclass(frozen=True, slots=True)
class Bound:
    """An upper bound of what a prompt will be billed as."""

    tokens: int
    exact: bool
    """True: counted by the model's own tokenizer and template."""


class Model(Protocol):
    """A model the engine can call; one attempt per `complete`, no retries below us."""

    setting: ModelSetting
    context_tokens: int | None
    """None: unknown, so only the provider can say a prompt is too long."""
    parallel: int
    """Most calls in flight at once."""
    rates: Rates
    """How fast it may be asked; `open_model` takes them from the study."""
    one_draw_at_zero: bool
    """True: the same request at temperature 0 always gives the same text."""
    simulated: bool
    """True: no real language model; labelled wherever its results appear."""
    local: bool
    """True: runs on this machine and nobody bills it."""
    continues: bool
    """True: a last turn of the assistant is gone on with, and the reply is what comes after it."""
    temperature: float | None
    """Sent whatever a strategy asks for; None: the strategy's."""
    thinking_tokens: int
    """Tokens a call may think on top of the cap its strategy asks, sent and reserved with it; 0: within the cap."""

    async def bound(self, messages: Prompt) -> Bound:
        """Upper bound of the prompt's tokens; never below what `complete` will report, as far as can be known."""

    def least(self, messages: Prompt) -> int:
        """Lower bound of the prompt's tokens, for refusing what surely does not fit the window."""

    async def complete(self, request: Request) -> Completion:
        """Send once. Raises ProviderError (kind says whether a retry may help), ContextOverflow or InDoubt."""

    async def probe(self) -> str | None:
        """One sentence if the model surely cannot be reached, else None; sends no request and costs nothing."""

    async def close(self) -> None:
        """Give back connections; a second call does nothing."""


def open_model(name: str, declared: Mapping[str, Declared], *, sends: bool = True) -> Model:
    """The model a name stands for; nothing is started or sent. Raises UnknownName or UsageError.

    `sends`: False for one that will only be asked for its price and its bounds, which needs no key.

    Declared names come first, then 'scripted/...', 'local/...' and whatever litellm knows a provider of.
    """
    told = declared.get(name)
    model = _opened(name, told, declared, sends)
    model.rates = told.rates if told else Rates()
    return model


def _opened(name: str, told: Declared | None, declared: Mapping[str, Declared], sends: bool) -> Model:
    if told is not None and told.api_base is not None:
        from engine.models.remote import open_endpoint

        return open_endpoint(told, sends=sends)
    asked = (told.model if told else None) or name
    if asked.startswith("scripted/"):
        from engine.models.scripted import open_scripted

        return open_scripted(name, told)
    if asked.startswith("local/") or (told is not None and told.gguf is not None):
        from engine.models.local import open_local

        return open_local(name, told)
    return _open_provider(name, told, declared, sends)


def known_models() -> tuple[str, ...]:
    """Names that `open_model` takes as they are; any endpoint or GGUF file may be declared besides."""
    from engine.models.local import BUNDLED
    from engine.models.prices import priced_names
    from engine.models.scripted import names

    return (*BUNDLED, *names(), *priced_names())


def _open_provider(name: str, told: Declared | None, declared: Mapping[str, Declared], sends: bool) -> Model:
    from engine.models.remote import open_provider

    try:
        return open_provider(name, told, sends=sends)
    except UnknownName:
        raise UnknownName("model", name, {*known_models(), *declared} - {name}) from None
