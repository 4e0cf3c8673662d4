"""What a model is to the engine, and how a name becomes one.

Owns the `Model` protocol and `open_model`; imports litellm, xllamacpp or a network library never: the rooms below do,
and only when a model of theirs is opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from engine.errors import UnknownName, UsageError
from engine.records import Completion, ModelSetting, Price, Prompt, Request


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
    """Name sent to the endpoint; None: `name` without its provider prefix."""
    gguf: str | None = None
    """Path of a GGUF file to serve locally; None: not a local model."""
    price: Price | None = None
    """None: looked up in the bundled map, else unknown."""
    context_tokens: int | None = None
    """Size of the context window; None: looked up, else unknown."""
    parallel: int | None = None
    """Most calls in flight; None: the model's default."""
    timeout_s: float = 120.0
    """Seconds one attempt may take."""


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
    one_draw_at_zero: bool
    """True: the same request at temperature 0 always gives the same text."""
    simulated: bool
    """True: no real language model; labelled wherever its results appear."""
    local: bool
    """True: runs on this machine and nobody bills it."""

    async def bound(self, messages: Prompt) -> Bound:
        """Upper bound of the prompt's tokens; never below what `complete` will report, as far as can be known."""

    def least(self, messages: Prompt) -> int:
        """Lower bound of the prompt's tokens, for refusing what surely does not fit the window."""

    async def complete(self, request: Request) -> Completion:
        """Send once. Raises ProviderError (kind says whether a retry may help), ContextOverflow or InDoubt."""

    async def close(self) -> None:
        """Give back connections; a second call does nothing."""
