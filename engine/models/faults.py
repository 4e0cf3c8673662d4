"""What went wrong with a call: any exception of litellm, its SDKs or the network becomes one of our closed kinds.

Owns the kinds, the sentence, and the table of what becomes of every accident we know; imports no network library:
classes are known by name, along the chain of causes, because litellm wraps the same accident differently on every
route. Never lets a key into a sentence.
"""

from __future__ import annotations

import base64
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal
from urllib.parse import quote

from engine.core.errors import ContextOverflow, InDoubt, ProviderError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of one attempt."""

    retried: bool
    """True: sent again, so often as `Retries` allows."""
    charged: Literal["as told", "nothing", "worst case"]
    """`worst case`: it may have been billed, so the reservation stays charged as in doubt."""
    end: Literal["finished", "exhausted", "failed"]
    """How a trial ends that never gets anything better."""


OUTCOMES: Mapping[str, Outcome] = {
    "kept": Outcome(False, "as told", "finished"),
    "estimated": Outcome(False, "as told", "finished"),
    "overrun": Outcome(False, "as told", "finished"),
    "rate_limit": Outcome(True, "nothing", "failed"),
    "server": Outcome(True, "nothing", "failed"),
    "connection": Outcome(True, "nothing", "failed"),
    "malformed": Outcome(True, "worst case", "failed"),
    "in_doubt": Outcome(True, "worst case", "failed"),
    "refused": Outcome(False, "nothing", "failed"),
    "context": Outcome(False, "nothing", "exhausted"),
}
"""By kind of error, or by what is noted of a reply that is kept: `estimated` counts tokens we had to count ourselves,
`overrun` those beyond the reservation. A rate limit also slows the model down, and a Retry-After rests it."""
ACCIDENTS: Mapping[str, str] = {
    "429": "rate_limit",
    "500": "server",
    "502": "server",
    "503": "server",
    "odd_error": "server",
    "400": "refused",
    "401": "refused",
    "404": "refused",
    "policy": "refused",
    "no_money": "refused",
    "redirect": "refused",
    "redirect_get": "refused",
    "context": "context",
    "408": "in_doubt",
    "504": "in_doubt",
    "524": "in_doubt",
    "hang": "in_doubt",
    "drip": "in_doubt",
    "cut": "in_doubt",
    "cut_head": "in_doubt",
    "cut_body": "in_doubt",
    "refused_connection": "connection",
    "garbage": "malformed",
    "bad_json": "malformed",
    "bad_utf8": "malformed",
    "empty_body": "malformed",
    "page": "malformed",
    "null_body": "malformed",
    "not_object": "malformed",
    "not_gzip": "malformed",
    "gzip_bomb": "malformed",
    "too_much_text": "malformed",
    "empty_choices": "malformed",
    "null_choices": "malformed",
    "null_choice": "malformed",
    "text_choices": "malformed",
    "no_message": "malformed",
    "list_content": "malformed",
    "number_content": "malformed",
    "negative_usage": "malformed",
    "huge_usage": "malformed",
    "huge_prompt": "malformed",
    "huge_reasoning": "malformed",
    "float_usage": "malformed",
    "half_usage": "malformed",
    "nan_usage": "malformed",
    "endless_usage": "malformed",
    "text_usage": "malformed",
    "list_usage": "malformed",
    "word_usage": "malformed",
    "no_usage": "estimated",
    "null_usage": "estimated",
    "zero_usage": "estimated",
    "over_cap": "overrun",
    "long_text": "overrun",
    "null_content": "kept",
    "surrogates": "kept",
    "controls": "kept",
    "bool_usage": "kept",
    "details": "kept",
    "other_model": "kept",
    "no_model": "kept",
    "odd_names": "kept",
    "cost": "kept",
    "refusal": "kept",
    "filter": "kept",
    "finish": "kept",
    "gzip": "kept",
    "slow": "kept",
}
"""What becomes of every accident the test provider can stage, by its name there."""
NEVER_SENT = frozenset(
    {
        "ClientConnectorError",
        "ClientConnectorDNSError",
        "ConnectTimeout",
        "ConnectionTimeoutError",
        "ClientConnectorSSLError",
        "ClientConnectorCertificateError",
        "PoolTimeout",
    }
)
SENT_AND_LOST = frozenset(
    {
        "TimeoutError",
        "ReadTimeout",
        "WriteTimeout",
        "APITimeoutError",
        "Timeout",
        "ReadError",
        "WriteError",
        "CloseError",
        "RemoteProtocolError",
        "NetworkError",
        "ServerDisconnectedError",
        "ClientPayloadError",
        "ClientOSError",
        "IncompleteRead",
    }
)
RUBBISH = frozenset(
    {
        "JSONDecodeError",
        "ValidationError",
        "APIResponseValidationError",
        "KeyError",
        "UnicodeDecodeError",
        "ReplyRefused",
        "BadStatusLine",
        "BadHttpMessage",
    }
)
RUBBISH_SAID = ("invalid response", "provider returned 'choices'")
WINDOW = frozenset({"ContextWindowExceededError"})
UNSENDABLE = frozenset(
    {
        "AuthenticationError",
        "BadRequestError",
        "NotFoundError",
        "PermissionDeniedError",
        "UnsupportedParamsError",
        "UnprocessableEntityError",
        "ContentPolicyViolationError",
        "PaymentRequiredError",
        "LiteLLMUnknownProvider",
    }
)
WINDOW_CODES = ("context_length_exceeded", "exceed_context_size_error")
NO_MONEY = ("insufficient_quota", "billing_hard_limit", "credit balance is too low")
LOST_STATUS = frozenset({408, 504, 524})
"""The gateway gave up waiting; the model behind it may have answered, and billed."""
SAID = 200
"""Longest part of a provider's own words in a sentence, in characters."""
SHORTEST_KEY = 6
_SECRET = re.compile(
    r"(?i:bearer\s+\S+)|(?i:api[_-]?key\s*[=:]\s*['\"]?\S+)|\b(?:sk|pk|rk|gsk|xai|hf|AIza|key|or|r8|pplx)[-_A-Z][\w*.-]{6,}"
)
_WRAPPER = re.compile(r"^(?:[\w.]*(?:Error|Exception|Timeout|Violation)(?: Error)?(?: -|:) *)+")


def fault(error: BaseException, place: str, key: str | None = None) -> ProviderError:
    """Our error for theirs; `place` is '<model> at <host>', `key` is blotted out of whatever the provider said."""
    causes = list(chain(error))
    names = {type(cause).__name__ for cause in causes}
    status = _status(causes)
    if status is not None:
        return _by_status(status, causes, names, place, key)
    if names & NEVER_SENT or ("ConnectError" in names and "ClientOSError" not in names):
        return ProviderError(f"No connection to {place}: {_why(causes)}.", kind="connection")
    if names & SENT_AND_LOST or "ConnectError" in names:
        lost = "timed out" if any("Timeout" in name for name in names) else "lost its connection"
        return InDoubt(f"The call to {place} {lost} after it was sent; it may have been billed.", kind="in_doubt")
    if names & RUBBISH or any(word in str(error).lower() for word in RUBBISH_SAID):
        return ProviderError(f"The reply of {place} was not a chat completion.", kind="malformed")
    if names & WINDOW:
        return ContextOverflow(f"The prompt does not fit the context window of {place}.", kind="context")
    if names & UNSENDABLE:
        return ProviderError(f"{place} cannot be asked this{_said(error, key)}.", kind="refused")
    return InDoubt(f"The call to {place} failed in an unknown way{_said(error, key)}.", kind="in_doubt")


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and everything that led to it, outermost first."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        at = at.__cause__ or at.__context__


def retry_after_s(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds a provider asks us to wait, from Retry-After as seconds or as an HTTP date; None: it did not say."""
    told = {name.lower(): value for name, value in headers.items()}
    if (value := told.get("retry-after-ms")) and re.fullmatch(r"\s*\d+(\.\d+)?\s*", value):
        return float(value) / 1000
    value = told.get("retry-after", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - (time.time() if now is None else now))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def redacted(text: str, key: str | None) -> str:
    """Text with the key, every key in the environment, and whatever looks like a key blotted out."""
    return _SECRET.sub("[key]", blotted(text, keys_at_hand(key, SHORTEST_KEY)))


def keys_at_hand(key: str | None, least: int) -> tuple[str, ...]:
    """The key and every value of the environment whose name tells of one, in the forms they travel in, longest first.

    `least`: shorter ones are left out, because they may be words."""
    named = (value for name, value in os.environ.items() if re.search("KEY|TOKEN|SECRET|PASSWORD", name.upper()))
    known = {each for each in (*named, key or "") if len(each) >= least}
    return tuple(sorted({form for each in known for form in _forms(each)}, key=len, reverse=True))


def _forms(key: str) -> tuple[str, ...]:
    """As it is, percent-encoded, as JSON text with and without escaped slashes and signs, and in base 64."""
    text = json.dumps(key)[1:-1]
    signs = "".join(letter if letter.isalnum() else f"\\u{ord(letter):04x}" for letter in key)
    coded = base64.b64encode(key.encode("utf-8", "replace")).decode().rstrip("=")
    return key, quote(key, safe=""), quote(key), text, text.replace("/", "\\/"), signs, coded


def blotted(text: str, keys: Iterable[str]) -> str:
    """Text with these keys blotted out, longest first."""
    for key in keys:
        text = text.replace(key, "[key]")
    return text


def _by_status(status: int, causes: list[BaseException], names: set[str], place: str, key: str | None) -> ProviderError:
    said, whole = _said(causes[0], key), _body(causes)
    if status == 429 and not any(word in whole for word in NO_MONEY):
        wait = next((s for s in map(retry_after_s, _headers(causes)) if s is not None), None)
        return ProviderError(f"{place} limits our rate (429){said}.", kind="rate_limit", retry_after_s=wait)
    if status in LOST_STATUS:
        return InDoubt(f"{place} gave up waiting ({status}); the call may have been billed.", kind="in_doubt")
    if status >= 500:
        wait = next((s for s in map(retry_after_s, _headers(causes)) if s is not None), None)
        return ProviderError(f"{place} failed ({status}){said}.", kind="server", retry_after_s=wait)
    if status < 300:
        return ProviderError(f"The reply of {place} was not a chat completion.", kind="malformed")
    if status < 400:
        return ProviderError(
            f"{place} points elsewhere ({status}), and no prompt or key follows a redirect: correct its api_base.",
            kind="refused",
        )
    if names & WINDOW or any(code in whole for code in WINDOW_CODES):
        return ContextOverflow(f"The prompt does not fit the context window of {place}{said}.", kind="context")
    return ProviderError(f"{place} refused the call ({status}){said}.", kind="refused")


def _status(causes: list[BaseException]) -> int | None:
    """The HTTP status the provider really sent; litellm makes up statuses of its own for accidents without one."""
    for cause in reversed(causes):
        if type(cause).__name__ in ("HTTPStatusError", "MaskedHTTPStatusError"):
            return int(getattr(getattr(cause, "response", None), "status_code", 0) or 0) or None
    if any(type(cause).__name__ in RUBBISH for cause in causes):
        return 200
    return None


def _headers(causes: list[BaseException]) -> Iterator[Mapping[str, str]]:
    for cause in causes:
        for holder in (cause, getattr(cause, "response", None)):
            for name in ("headers", "litellm_response_headers"):
                found = getattr(holder, name, None)
                if isinstance(found, Mapping):
                    yield found


def _body(causes: list[BaseException]) -> str:
    texts = [str(cause) for cause in causes]
    texts += [str(getattr(cause, "body", "") or "") for cause in causes]
    return " ".join(texts).lower()


def _said(error: BaseException, key: str | None) -> str:
    """The provider's own words as the end of a sentence; empty where they would only be noise."""
    text = _WRAPPER.sub("", str(error)).split("Traceback (most recent")[0].strip()
    start = text.find("{")
    if start >= 0:
        text = _message(text[start:]) or text
    if not text or "<html" in text.lower() or "<!doctype" in text.lower():
        return ""
    shown = "".join(c if c.isprintable() else " " for c in text[: 50 * SAID])
    clean = " ".join(redacted(shown, key).split())
    return ": " + (clean if len(clean) <= SAID else clean[:SAID] + "…").rstrip(".")


def _message(text: str) -> str | None:
    try:
        body, _ = json.JSONDecoder().raw_decode(text)
    except ValueError:
        return None
    inner = body.get("error", body) if isinstance(body, dict) else None
    found = inner.get("message") if isinstance(inner, dict) else inner
    return found if isinstance(found, str) else None


def _why(causes: list[BaseException]) -> str:
    names = {type(cause).__name__ for cause in causes}
    if "gaierror" in names or "ClientConnectorDNSError" in names:
        return "the host name is not known"
    if "ConnectionRefusedError" in names:
        return "it was refused; is the server running?"
    if any("Timeout" in name for name in names):
        return "nobody answered in time"
    return "it could not be opened"
