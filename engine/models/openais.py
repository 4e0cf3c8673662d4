"""What OpenAI's own models are sent, by litellm's price map read as data; litellm itself would take seconds to say so.

A test holds every model of the map to litellm's own mapping. Knows the words a request of ours may carry and no others.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from engine.core.errors import ProviderError
from engine.models import prices

PROVIDER = "openai"
URL = "https://api.openai.com/v1"
KEY = "OPENAI_API_KEY"
HEADERS = {
    "OPENAI_ORG_ID": "OpenAI-Organization",
    "OPENAI_ORGANIZATION": "OpenAI-Organization",
    "OPENAI_PROJECT_ID": "OpenAI-Project",
}
"""Headers by the variables that hold their values, which OpenAI's own client sends along."""
CHAT = "/v1/chat/completions"


def asked_as(name: str) -> str | None:
    """What OpenAI calls the model of a name that studies use; None: another provider's, or not one of its chats.

    Fine-tuned ones are left to litellm, and so is what answers by another of OpenAI's protocols."""
    provider, slash, rest = name.partition("/")
    model, entry = rest if slash else name, prices.listed(name)
    if not model or "/" in model or model.startswith("ft:") or (slash and provider != PROVIDER):
        return None
    if entry is None:
        return model if slash else None
    endpoints = entry.get("supported_endpoints")
    chats = entry.get("litellm_provider") == PROVIDER and entry.get("mode") == "chat"
    return model if chats and (endpoints is None or CHAT in endpoints) else None


def takes_seed(model: str) -> bool:
    """Whether a model takes a seed."""
    return not _searches(model)


def mapped(model: str, params: Mapping[str, Any]) -> dict[str, Any] | None:
    """Parameters in a chat's words as this model is sent them; None: one of them would be refused."""
    effort = params.get("reasoning_effort")
    refused = {"thinking", "top_k", "min_p", "repetition_penalty"} & params.keys()
    thinks = _thinks(model)
    if thinks and _searches(model):
        refused |= {"temperature", "top_p", "stop", "seed", "reasoning_effort"} & params.keys()
    elif thinks:
        refused |= {"stop"} & params.keys()
        free = _flag(model, "none") and (effort or _entry(model).get("default_reasoning_effort")) == "none"
        if "top_p" in params and not free:
            refused.add("top_p")
        if params.get("temperature", 1) != 1 and not free:
            refused.add("temperature")
        # The highest level must be listed; of the others each that is not said to be missing is there.
        if effort is not None and (not _flag(model, effort) if effort == "xhigh" else _flag(model, effort) is False):
            refused.add("reasoning_effort")
    elif _is_o(model):
        refused |= {"top_p"} & params.keys()
        if params.get("temperature", 1) != 1:
            refused.add("temperature")
    elif effort is not None and prices.listed(model) is not None:  # A model nobody listed yet may take anything.
        refused.add("reasoning_effort")
    if refused:
        return None
    sent = dict(params)
    if (thinks or _is_o(model)) and "max_tokens" in sent:
        sent["max_completion_tokens"] = sent.pop("max_tokens")
    return sent


def worded(model: str, body: Mapping[str, Any], place: str) -> dict[str, Any]:
    """A chat's body as this model is sent it. Raises ProviderError where it would be refused; nothing was sent then."""
    own = mapped(model, body)
    if own is None:
        refused = next((name for name in body if mapped(model, {name: body[name]}) is None), "all of its parameters")
        raise ProviderError(f"{place} cannot be asked this: it takes no such {refused}.", kind="refused")
    # Some of the o-series know no system.
    if _is_o(model) and _entry(model).get("supports_system_messages") is not True:
        own["messages"] = [{**turn, "role": "user"} if turn["role"] == "system" else turn for turn in own["messages"]]
    return own


def headers() -> dict[str, str]:
    """What the environment lets OpenAI's own client send along."""
    return {header: os.environ[name] for name, header in HEADERS.items() if os.environ.get(name)}


def _thinks(model: str) -> bool:
    return ("gpt-5" in model or "gpt-6" in model) and "gpt-5-chat" not in model


def _searches(model: str) -> bool:
    return "gpt-5" in model and "search" in model


def _is_o(model: str) -> bool:
    return re.match(r"o\d", model) is not None and prices.listed(model) is not None


def _entry(model: str) -> Mapping[str, Any]:
    return prices.listed(model) or {}


def _flag(model: str, level: str) -> bool | None:
    value = _entry(model).get(f"supports_{level}_reasoning_effort")
    return value if isinstance(value, bool) else None
