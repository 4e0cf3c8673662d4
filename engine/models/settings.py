"""Settings of a model: how hard it thinks and how it samples, set in its [[models]] table and sent with every request.

Owns their words, their place in a model's identity, and how an identity is shown. One model may be declared at several
settings under several names: those are several models. Knows no provider (that is `mapping`) and sends nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from engine.errors import UsageError

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")
"""Levels of reasoning, from none at all to the most; a model takes some of them."""
SAMPLING = ("top_k", "min_p", "repetition_penalty")
"""Settings that OpenAI's own protocol does not have: for OpenAI-compatible endpoints and local models."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a [[models]] table sets; None: not set, so nothing is sent and the model does as it is used to."""

    reasoning_effort: str | None = None
    """One of `EFFORTS`; what is thought counts within each call's cap, unless the provider makes a budget of it."""
    thinking_tokens: int | None = None
    """Budget of hidden reasoning per call, in tokens; it comes on top of each call's cap, and is reserved with it."""
    temperature: float | None = None
    """Sent in place of whatever temperature a strategy asks for; some reasoning models take 1 alone."""
    top_p: float | None = None
    """Share of probability that is sampled from."""
    top_k: int | None = None
    """Number of likeliest tokens that are sampled from."""
    min_p: float | None = None
    """Least probability, as a share of the likeliest token's, that is sampled from; 0 keeps every token."""
    repetition_penalty: float | None = None
    """Above 1 makes tokens already seen less likely; 1 changes nothing."""

    @property
    def given(self) -> dict[str, str | int | float]:
        """The settings that are set, by name."""
        values = ((each.name, getattr(self, each.name)) for each in fields(self))
        return {name: value for name, value in values if value is not None}

    @property
    def suffix(self) -> str:
        """What they add to a model's identity: '{temperature=0.0,top_k=1}'; empty when none is set."""
        return f"{{{','.join(f'{name}={value}' for name, value in self.given.items())}}}" if self.given else ""

    def check_known(self, model: str, known: tuple[str, ...], what: str) -> None:
        """Refuse what a model of this kind has no word for. Raises UsageError."""
        unknown = next((name for name in self.given if name not in known), None)
        if unknown is not None:
            takes = f"takes {listed(known)}" if known else "has no settings"
            raise UsageError(f"{what} {takes}, so {unknown} of model {model!r} means nothing; take it out.")


def shown(identity: str) -> str:
    """A model's identity without host, path or hash, and with its settings: 'local/smollm2-135m {top_k=1}'."""
    name, brace, settings = identity.partition("{")
    plain = name.partition("@")[0]
    return f"{plain} {brace}{settings}" if brace else plain


def listed(words: tuple[str, ...]) -> str:
    """'low, medium and high'."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
