"""A provider's reply read into our records, with nothing believed that cannot be true.

Reads the shape litellm hands over, and beside it the body as the provider sent it, because litellm turns every finish
it does not know, and none at all, into a 'stop'; imports it never. Silence stays None; a reply without usage is
estimated and says so; a figure that cannot be meant makes the whole reply malformed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from engine.core import tokens
from engine.core.errors import ProviderError
from engine.core.records import Completion, Finish, Request, Usage
from engine.models.prices import pusd

FINISHES: dict[str, Finish] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "complete": "stop",
    "length": "length",
    "max_tokens": "length",
    "content_filter": "filter",
    "content_filtered": "filter",
    "contentfilter": "filter",
    "refusal": "filter",
    "refused": "filter",
    "safety": "filter",
    "sensitive": "filter",
    "blocklist": "filter",
    "prohibited_content": "filter",
    "spii": "filter",
    "recitation": "filter",
    "guardrail_intervened": "filter",
}
"""What providers' words for the end of a reply mean, in small letters and with underscores."""
FINISHED = ("finish_reason", "finishReason", "stop_reason")
"""Where OpenAI's, Google's and Anthropic's bodies hold that word."""
ABSURD = 100
"""A figure this many times what its text could cost, and 1,000 more, is not a count."""
MOST_TOKENS = 10**7
"""No prompt and no reply has more."""
COUNTED = 200_000
"""Longest text a tokenizer is given, in characters."""
MOST_BYTES = 1000
"""No tokenizer gets more bytes into one token."""


@dataclass
class Heard:
    """Called by litellm, as its `logger_fn`, at each step of one call; keeps what the provider sent."""

    body: str | None = None
    """As text, unread; None: nothing came, or litellm did not say."""

    def __call__(self, told: Mapping[str, Any]) -> None:
        """The last step told is the reply, before litellm makes anything of it."""
        if isinstance(body := told.get("original_response"), str):
            self.body = body


def completion(
    reply: Any, request: Request, bound: int, place: str, latency_ms: int, body: str | None = None
) -> Completion:
    """The reply as a record. Raises ProviderError('malformed'); the money may be gone all the same.

    `body`: what the provider sent, as text; None: not at hand, so that litellm's reading of it must do.
    """
    choice, sent = first_choice(reply, place), _as_sent(body)
    text = _continuation(text_of(reply, place), request)
    usage = usage_of(reply, text, request, bound, place)
    return Completion(
        key=request.key,
        text=text,
        finish="filter" if _refusal(choice) else _finish(choice, sent),
        usage=usage,
        latency_ms=latency_ms,
        model_reported=_name(getattr(reply, "model", None)),
        fingerprint=_name(getattr(reply, "system_fingerprint", None)),
        created_at=datetime.now(UTC),
        provider_cost_pusd=_cost(getattr(reply, "usage", None)),
    )


def first_choice(reply: Any, place: str) -> Any:
    """The one choice that was asked for."""
    choices = getattr(reply, "choices", None)
    if not choices:
        raise _malformed(place, "it holds no choice")
    return choices[0]


def text_of(reply: Any, place: str) -> str:
    """What the model said, or the words it refused with; no content at all is an empty text."""
    choice = first_choice(reply, place)
    content = _refusal(choice) or getattr(getattr(choice, "message", None), "content", None)
    if content is None:
        content = ""
    if not isinstance(content, str):
        raise _malformed(place, "its content is not text")
    return _storable(content)


def _continuation(text: str, request: Request) -> str:
    """What comes after a last turn of the assistant: some servers, llama.cpp among them, repeat that turn first."""
    last = request.messages[-1]
    return text.removeprefix(_storable(last.content)) if last.role == "assistant" else text


def _refusal(choice: Any) -> str | None:
    """The words of a model that refused to answer; None: it did not, or said more than that."""
    message = getattr(choice, "message", None)
    more = getattr(message, "provider_specific_fields", None)
    words = getattr(message, "refusal", None) or (more.get("refusal") if isinstance(more, dict) else None)
    said = getattr(message, "content", None)
    silent = said is None or (isinstance(said, str) and not said.strip())
    return words if isinstance(words, str) and words and silent else None


def _as_sent(body: str | None) -> Mapping[str, Any]:
    """The part of a body that says how the reply ended: its first choice, or all of it; empty: it cannot be read."""
    try:
        told = json.loads(body or "null")
        if choices := told.get("choices"):
            # Here a missing word is known to be missing; a body in another shape may hold it where nobody looks.
            return {"finish_reason": None, **choices[0]}
        first = candidates[0] if (candidates := told.get("candidates")) else told
    except (ValueError, RecursionError, AttributeError, LookupError, TypeError):
        return {}
    return first if isinstance(first, dict) else {}


def _finish(choice: Any, sent: Mapping[str, Any]) -> Finish:
    """How the reply ended by the provider's own word; no word, or one nobody knows, is 'other' and never a 'stop'."""
    read = FINISHES.get(str(getattr(choice, "finish_reason", None)), "other")
    more = getattr(choice, "provider_specific_fields", None) or {}
    word = next((sent[name] for name in FINISHED if name in sent), more.get("native_finish_reason", read))
    known = FINISHES.get(str(word).lower().replace("-", "_"), "other")
    # What litellm makes a cap or a filter of is one; its 'stop' may stand for anything.
    return known if known != "other" or read == "stop" else read


def usage_of(reply: Any, text: str, request: Request, bound: int, place: str) -> Usage:
    """Tokens as reported; estimated from our bound and our own count when the provider is silent."""
    told = getattr(reply, "usage", None)
    given, taken = _whole(told, "prompt_tokens", place), _whole(told, "completion_tokens", place)
    if not given or not taken:
        counted = max(1, _counted(text, request.model))
        return Usage(input_tokens=given or bound, output_tokens=taken or counted, estimated=True)
    _holding(text, taken, place)
    hidden = _detail(told, "completion_tokens_details", ("reasoning_tokens",), place)
    total = _whole(told, "total_tokens", place)
    if hidden and total == given + taken + hidden:
        taken += hidden
    _plausible(given, bound, "input", place)
    if taken > request.asked_tokens:
        _plausible(taken - (hidden or 0), len(text.encode()), "output", place)
    cached = _detail(told, "prompt_tokens_details", ("cached_tokens",), place)
    written = _detail(told, "prompt_tokens_details", ("cache_write_tokens", "cache_creation_tokens"), place)
    return Usage(
        input_tokens=given,
        output_tokens=taken,
        cached_tokens=_within(cached, given),
        cache_write_tokens=_within(written, given - (cached or 0)),
        reasoning_tokens=_within(hidden, taken),
    )


def _counted(text: str, model: str) -> int:
    """By the nearest tokenizer; by size where that would hold everybody else up for seconds."""
    if len(text) > COUNTED:
        return len(text.encode()) // tokens.BYTES_PER_TOKEN
    return tokens.count(text, model)


def _whole(holder: Any, name: str, place: str) -> int | None:
    value = getattr(holder, name, None)
    if value is None:
        return None
    whole = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS
    if not whole or value != int(value):
        raise _malformed(place, f"its usage says {name} = {str(value)[:20]}")
    return int(value)


def _detail(told: Any, group: str, names: tuple[str, ...], place: str) -> int | None:
    holder = getattr(told, group, None)
    return next((n for name in names if (n := _whole(holder, name, place)) is not None), None)


def _within(part: int | None, whole: int) -> int | None:
    """A part larger than its whole was not a part; it counts as not reported."""
    return part if part is not None and part <= whole else None


def _plausible(tokens: int, size: int, side: str, place: str) -> None:
    if tokens > ABSURD * size + 1000:
        raise _malformed(place, f"it claims {tokens} {side} tokens for {size} bytes")


def _holding(text: str, taken: int, place: str) -> None:
    size = len(text.encode())
    if size > MOST_BYTES * (taken + 1):
        raise _malformed(place, f"it holds {size:,} bytes and claims {taken} output tokens")


def _cost(told: Any) -> int | None:
    """What the provider says it billed, in USD; None: it did not say."""
    cost = getattr(told, "cost", None)
    if isinstance(cost, bool) or not isinstance(cost, (int, float)) or not 0 <= cost < 10**6:
        return None
    return pusd(cost)


def _name(value: object) -> str | None:
    return _storable(value[:200]) if isinstance(value, str) and value else None


def _storable(text: str) -> str:
    """Without lone surrogates, which no file and no database takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _malformed(place: str, why: str) -> ProviderError:
    return ProviderError(f"The reply of {place} cannot be used: {why}.", kind="malformed")
