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

_WORDS: dict[Finish, str] = {
    "stop": "stop eos eos_token end_turn stop_sequence complete",
    "length": "length max_tokens",
    "filter": "content_filter content_filtered contentfilter refusal refused safety sensitive blocklist "
    "prohibited_content spii recitation guardrail_intervened",
}
FINISHES: dict[str, Finish] = {word: finish for finish, words in _WORDS.items() for word in words.split()}
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

    def __call__(self, step: Mapping[str, Any]) -> None:
        """The last step told is the reply, before litellm makes anything of it."""
        if isinstance(body := step.get("original_response"), str):
            self.body = body


def completion(
    reply: Any, request: Request, bound: int, place: str, latency_ms: int, body: str | None = None
) -> Completion:
    """The reply as a record. Raises ProviderError('malformed'); the money may be gone all the same.

    `body`: what the provider sent, as text; None: not at hand, so that litellm's reading of it must do.
    """
    choices = getattr(reply, "choices", None)
    if not choices:
        raise _malformed(place, "it holds no choice")
    choice = choices[0]
    refusal, finish = _refusal(choice), _finish(choice, body)
    content = refusal or getattr(getattr(choice, "message", None), "content", None)
    if content is None:
        content = ""
    if not isinstance(content, str):
        raise _malformed(place, "its content is not text")
    text, last = _storable(content), request.messages[-1]
    if last.role == "assistant":
        # What comes after a turn that is gone on with: some servers, llama.cpp among them, repeat that turn first.
        text = text.removeprefix(_storable(last.content))
    usage = getattr(reply, "usage", None)
    cost = getattr(usage, "cost", None)
    if isinstance(cost, bool) or not isinstance(cost, (int, float)) or not 0 <= cost < 10**6:
        cost = None
    return Completion(
        key=request.key,
        text=text,
        finish="filter" if refusal else finish,
        usage=_usage(usage, text, request, bound, place),
        latency_ms=latency_ms,
        model_reported=_name(getattr(reply, "model", None)),
        fingerprint=_name(getattr(reply, "system_fingerprint", None)),
        created_at=datetime.now(UTC),
        provider_cost_pusd=None if cost is None else pusd(cost),
    )


def _refusal(choice: Any) -> str | None:
    """The words of a model that refused to answer; None: it did not, or said more than that."""
    message = getattr(choice, "message", None)
    more = getattr(message, "provider_specific_fields", None)
    words = getattr(message, "refusal", None) or (more.get("refusal") if isinstance(more, dict) else None)
    content = getattr(message, "content", None)
    silent = content is None or (isinstance(content, str) and not content.strip())
    return words if isinstance(words, str) and words and silent else None


def _finish(choice: Any, body: str | None) -> Finish:
    """How the reply ended by the provider's own word; no word, or one nobody knows, is 'other' and never a 'stop'."""
    # The part of the body that says it: its first choice, or all of it; empty where it cannot be read.
    try:
        sent = json.loads(body or "null")
        if choices := sent.get("choices"):
            # Here a missing word is known to be missing; a body in another shape may hold it where nobody looks.
            sent = {"finish_reason": None, **choices[0]}
        elif candidates := sent.get("candidates"):
            sent = candidates[0]
    except (ValueError, RecursionError, AttributeError, LookupError, TypeError):
        sent = {}
    if not isinstance(sent, dict):
        sent = {}
    read = FINISHES.get(str(getattr(choice, "finish_reason", None)), "other")
    more = getattr(choice, "provider_specific_fields", None) or {}
    word = next((sent[name] for name in FINISHED if name in sent), more.get("native_finish_reason", read))
    known = FINISHES.get(str(word).lower().replace("-", "_"), "other")
    # What litellm makes a cap or a filter of is one; its 'stop' may stand for anything.
    return known if known != "other" or read == "stop" else read


def _usage(reported: Any, text: str, request: Request, bound: int, place: str) -> Usage:
    """Tokens as reported; estimated from our bound and our own count when the provider is silent."""
    given, taken = _whole(reported, "prompt_tokens", place), _whole(reported, "completion_tokens", place)
    size = len(text.encode())
    if not given or not taken:
        # By size where a tokenizer would hold everybody else up for seconds.
        count = size // tokens.BYTES_PER_TOKEN if len(text) > COUNTED else tokens.count(text, request.model)
        return Usage(input_tokens=given or bound, output_tokens=taken or max(1, count), estimated=True)
    if size > MOST_BYTES * (taken + 1):
        raise _malformed(place, f"it holds {size:,} bytes and claims {taken} output tokens")
    hidden = _detail(reported, "completion_tokens_details", ("reasoning_tokens",), place)
    if hidden and _whole(reported, "total_tokens", place) == given + taken + hidden:
        # Some count their reasoning beside the reply and not within it; the total says which.
        taken += hidden
    _check_plausible(given, bound, "input", place)
    if taken > request.asked_tokens:
        # Within the cap that was asked for nothing is absurd: a model may think for long and say a word.
        _check_plausible(taken - (hidden or 0), size, "output", place)
    cached = _detail(reported, "prompt_tokens_details", ("cached_tokens",), place)
    written = _detail(reported, "prompt_tokens_details", ("cache_write_tokens", "cache_creation_tokens"), place)
    return Usage(
        input_tokens=given,
        output_tokens=taken,
        cached_tokens=_within(cached, given),
        cache_write_tokens=_within(written, given - (cached or 0)),
        reasoning_tokens=_within(hidden, taken),
    )


def _whole(holder: Any, name: str, place: str) -> int | None:
    value = getattr(holder, name, None)
    if value is None:
        return None
    # True is an int to Python, and NaN fails every comparison.
    whole = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS
    if not whole or value != int(value):
        raise _malformed(place, f"its usage says {name} = {str(value)[:20]}")
    return int(value)


def _detail(reported: Any, group: str, names: tuple[str, ...], place: str) -> int | None:
    holder = getattr(reported, group, None)
    return next((n for name in names if (n := _whole(holder, name, place)) is not None), None)


def _within(part: int | None, whole: int) -> int | None:
    """A part larger than its whole was not a part; it counts as not reported."""
    return part if part is not None and part <= whole else None


def _check_plausible(tokens: int, size: int, side: str, place: str) -> None:
    if tokens > ABSURD * size + 1000:
        raise _malformed(place, f"it claims {tokens} {side} tokens for {size} bytes")


def _name(value: object) -> str | None:
    return _storable(value[:200]) if isinstance(value, str) and value else None


def _storable(text: str) -> str:
    """Without lone surrogates, which no file and no database takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _malformed(place: str, why: str) -> ProviderError:
    return ProviderError(f"The reply of {place} cannot be used: {why}.", kind="malformed")
