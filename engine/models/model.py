"""What a model is to the engine: the `Model` protocol, its prompt bounds and its rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from engine.core.records import Completion, ModelSetting, Prompt, Request


@dataclass(frozen=True, slots=True)
class Rates:
    """How fast a model may be asked; decides speed alone and is part of no id."""

    requests_per_minute: int | None = None
    """Dispatches in any minute, retries included; None: no limit."""
    tokens_per_minute: int | None = None
    """Prompt bound and asked cap of all dispatches in a minute; None: no limit."""


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
