"""Settings of a model: how hard it thinks and how it samples, set in its [[models]] table and sent with every request.

Owns their words, their place in a model's identity, and the refusals: a setting that would be dropped, changed or
rejected by the provider ends in one sentence. One model may be declared at several settings under several names: those
are several models. What a provider makes of them is asked of litellm's own mapping, offline, before anything is sent;
it is handed in by `remote`, and litellm is never imported here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal, get_args

from msgspec import Meta

from engine.core.errors import UsageError

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]
EFFORTS: tuple[Effort, ...] = get_args(Effort)
"""Levels of reasoning, from none at all to the most; a model takes some of them."""
SAMPLING = ("top_k", "min_p", "repetition_penalty")
"""Settings that OpenAI's own protocol does not have: for OpenAI-compatible endpoints and local models."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a [[models]] table sets; None: not set, so nothing is sent and the model does as it is used to."""

    reasoning_effort: Effort | None = None
    """One of `EFFORTS`; what is thought counts within each call's cap, unless the provider makes a budget of it."""
    thinking_tokens: Annotated[int, Meta(ge=1, le=10**6)] | None = None
    """Budget of hidden reasoning per call, in tokens; it comes on top of each call's cap, and is reserved with it."""
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    """Sent in place of whatever temperature a strategy asks for; some reasoning models take 1 alone."""
    top_p: Annotated[float, Meta(ge=0.001, le=1)] | None = None
    """Share of probability that is sampled from."""
    top_k: Annotated[int, Meta(ge=1, le=10**6)] | None = None
    """Number of likeliest tokens that are sampled from."""
    min_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    """Least probability, as a share of the likeliest token's, that is sampled from; 0 keeps every token."""
    repetition_penalty: Annotated[float, Meta(ge=0.1, le=10)] | None = None
    """Above 1 makes tokens already seen less likely; 1 changes nothing."""

    @property
    def given(self) -> dict[str, str | int | float]:
        """The settings that are set, by name."""
        values = ((each.name, getattr(self, each.name)) for each in fields(self))
        return {name: value for name, value in values if value is not None}

    @property
    def suffix(self) -> str:
        """What they add to a model's identity: '{temperature=0.0,top_k=1}'; empty when none is set."""
        # In the order of the fields, so that the same settings are the same identity however a study orders them.
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


Maps = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]
"""Parameters in OpenAI's words to what the provider is sent; None: litellm refuses them."""
USUAL_TEMPERATURE = 0.7
"""What strategies ask for, unless told otherwise."""
LEAST_CLAUDE_BUDGET = 1024
"""Tokens of thinking below which Anthropic refuses a request."""
_PREFERRED = ("high", "low", "medium", "none", "minimal", "xhigh")
"""Of levels a provider does not tell apart the first of these stands for all."""


@dataclass(frozen=True, slots=True)
class Sent:
    """Settings as requests carry them."""

    params: Mapping[str, Any] = field(default_factory=dict)
    """In litellm's words; the temperature is not among them, since a request has its own."""
    thinking_tokens: int = 0
    """Tokens a call may think beyond its cap: the provider counts them within the cap it is sent."""
    thinks: bool = False
    """True: hidden reasoning was asked for."""


def to_provider(name: str, route: str, settings: Settings, maps: Maps, *, wanted: bool = True) -> Sent:
    """What a provider is sent. Raises UsageError for what litellm refuses, drops or changes, or Anthropic rejects.

    `wanted`: False where no temperature is sent.
    """
    # Nothing to send, or a model whose parameters litellm does not know: then nothing can be checked.
    if not settings.given and (not wanted or maps({}) is None):
        return Sent()
    for word in SAMPLING:
        if word in settings.given:
            raise UsageError(
                f"{word} of model {name!r} is taken by OpenAI-compatible endpoints (api_base) and local "
                "models alone; take it out."
            )
    sent = _thinking(name, settings, maps)
    if settings.top_p is not None:
        if maps({"top_p": settings.top_p}) is None:
            raise UsageError(f"Model {name!r} takes no top_p; take it out.")
        sent["top_p"] = settings.top_p
    # Some reasoning models take one temperature alone, and which of theirs do depends on the rest that is sent.
    usual = USUAL_TEMPERATURE if settings.temperature is None else settings.temperature
    mapped = maps({**sent, "temperature": usual})
    if wanted and (mapped is None or mapped.get("temperature", usual) != usual):
        if maps({**sent, "temperature": 1.0}) is None:
            raise UsageError(
                f'Model {name!r} takes no temperature, which every request carries: set omit = ["temperature"] in its '
                "[[models]] table."
            )
        instead = "strategies ask for 0.7" if settings.temperature is None else f"not {settings.temperature:g}"
        raise UsageError(
            f"Model {name!r} takes temperature 1 alone and {instead}: set temperature = 1 in its [[models]] "
            "table, which every strategy then gets."
        )
    mapped = maps(sent) or {}
    thinking, budget = mapped.get("thinking"), _budget(mapped)
    # litellm may turn an effort into a budget, so what is sent is looked at, and not what was set.
    thinks = isinstance(thinking, Mapping) and thinking.get("type") in ("enabled", "adaptive")
    if thinks and "claude" in route:
        # What Anthropic's API rejects while a model thinks, and litellm sends all the same.
        if settings.temperature != 1:
            raise UsageError(
                f"Model {name!r} thinks at temperature 1 alone: set temperature = 1 in its [[models]] table, "
                "which every strategy then gets."
            )
        if settings.top_p is not None:
            raise UsageError(f"Model {name!r} takes no top_p while it thinks; take it out.")
        if 0 < budget < LEAST_CLAUDE_BUDGET:
            raise UsageError(f"Model {name!r} takes thinking_tokens from {LEAST_CLAUDE_BUDGET:,}, not {budget:,}.")
    return Sent(sent, budget, thinks)


def check_reasoning(
    name: str, model: str, host: str, settings: Settings, rename: Mapping[str, str], omits: bool
) -> None:
    """Refuse an o-series or GPT-5 model at OpenAI's own endpoint that would refuse every call. Raises UsageError.

    Elsewhere a gateway of that name may take what it likes.
    """
    if not re.match(r"(o\d|gpt-5(?!-chat))", model) or not re.search(
        r"(^|\.)(api\.openai\.com|openai\.azure\.com)$", host
    ):
        return
    lines = []
    if "max_tokens" not in rename:
        lines.append('rename = { max_tokens = "max_completion_tokens" }')
    if settings.temperature != 1 and not omits:
        lines.append("temperature = 1")
    if lines:
        raise UsageError(
            f"Model {name!r} refuses max_tokens and any temperature but 1: add {' and '.join(lines)} to its [[models]] "
            "table."
        )


def to_endpoint(name: str, settings: Settings, maps: Maps) -> Sent:
    """What an OpenAI-compatible endpoint is sent. Raises UsageError for a thinking budget, which it has no word for."""
    sent = _thinking(name, settings, maps)
    sampling = {word: value for word, value in settings.given.items() if word in ("top_p", *SAMPLING)}
    return Sent({**sent, **sampling}, 0, bool(sent))


def _thinking(name: str, settings: Settings, maps: Maps) -> dict[str, Any]:
    effort = settings.reasoning_effort
    if effort is not None:
        usable = efforts(maps)
        if not usable:
            raise UsageError(
                f"Model {name!r} takes no reasoning_effort: it does not reason, or not at levels; take it out."
            )
        if effort not in usable:
            # Accepted and sent as another level: two settings of ours would be one of theirs.
            same = " (it does not tell others apart)" if maps({"reasoning_effort": effort}) is not None else ""
            raise UsageError(f"Model {name!r} takes reasoning_effort {listed(usable)}{same}, not {effort}.")
        return {"reasoning_effort": effort}
    if settings.thinking_tokens is None:
        return {}
    thinking = {"thinking": {"type": "enabled", "budget_tokens": settings.thinking_tokens}}
    # Compared, since a provider may be sent another number than was set, or a level in its place.
    if _budget(maps(thinking) or {}) != settings.thinking_tokens:
        usable = efforts(maps)
        instead = f"it takes reasoning_effort {listed(usable)} instead" if usable else "it has no thinking to set"
        raise UsageError(f"Model {name!r} takes no budget of thinking_tokens; {instead}.")
    return thinking


def efforts(maps: Maps) -> tuple[str, ...]:
    """Levels of reasoning that make a difference to what is sent, from least to most; empty: none does."""
    nothing = maps({})
    seen: list[Mapping[str, Any]] = []
    usable: set[str] = set()
    for effort in _PREFERRED:
        mapped = maps({"reasoning_effort": effort})
        # What is sent as if nothing had been set makes no difference, unless no thinking at all is what was asked.
        if mapped is None or mapped in seen or (effort != "none" and mapped == nothing):
            continue
        seen.append(mapped)
        usable.add(effort)
    # One level alone, to think not at all, is no choice of levels.
    return tuple(effort for effort in EFFORTS if effort in usable) if usable - {"none"} else ()


def _budget(mapped: Mapping[str, Any]) -> int:
    """Tokens of thinking the provider counts within the cap it is sent; 0: it was told of none."""
    anthropic, google = mapped.get("thinking"), mapped.get("thinkingConfig")
    budgets = [
        holder[key]
        for holder, key in ((anthropic, "budget_tokens"), (google, "thinkingBudget"))
        # type and not isinstance: True is an int to Python.
        if isinstance(holder, Mapping) and type(holder.get(key)) is int
    ]
    return max(0, *budgets) if budgets else 0
