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


_KEPT = Outcome(False, "as told", "finished")
_UNBILLED = Outcome(True, "nothing", "failed")
_UNCLEAR = Outcome(True, "worst case", "failed")
OUTCOMES: Mapping[str, Outcome] = {
    **dict.fromkeys(("kept", "estimated", "overrun"), _KEPT),
    **dict.fromkeys(("rate_limit", "server", "connection"), _UNBILLED),
    **dict.fromkeys(("malformed", "in_doubt"), _UNCLEAR),
    "refused": Outcome(False, "nothing", "failed"),
    # The budget did not end such a trial, but what it had said by then stands as at a budget's end.
    "context": Outcome(False, "nothing", "exhausted"),
}
"""By kind of error, or by what is noted of a reply that is kept: `estimated` counts tokens we had to count ourselves,
`overrun` those beyond the reservation. A rate limit also slows the model down, and a Retry-After rests it."""
_ACCIDENTS = {
    "rate_limit": "429",
    "server": "500 502 503 odd_error",
    "refused": "400 401 404 policy no_money redirect redirect_get",
    "context": "context",
    "in_doubt": "408 504 524 hang drip cut cut_head cut_body",
    "connection": "refused_connection",
    "malformed": "garbage bad_json bad_utf8 empty_body page null_body not_object not_gzip gzip_bomb too_much_text "
    "empty_choices null_choices null_choice text_choices no_message list_content number_content "
    "negative_usage huge_usage huge_prompt huge_reasoning float_usage half_usage nan_usage endless_usage text_usage "
    "list_usage word_usage",
    "estimated": "no_usage null_usage zero_usage",
    "overrun": "over_cap long_text",
    "kept": "null_content surrogates controls bool_usage details other_model no_model odd_names cost refusal filter "
    "finish gzip slow",
}
ACCIDENTS: Mapping[str, str] = {name: kind for kind, names in _ACCIDENTS.items() for name in names.split()}
"""What becomes of every accident the test provider can stage, by its name there."""
# Classes of aiohttp, httpx, the OpenAI SDK, litellm and the standard library, by name along the chain of causes.
NEVER_SENT, SENT_AND_LOST, RUBBISH, UNSENDABLE = (
    frozenset(names.split())
    for names in (
        "ClientConnectorError ClientConnectorDNSError ConnectTimeout ConnectionTimeoutError ClientConnectorSSLError "
        "ClientConnectorCertificateError PoolTimeout",
        "TimeoutError ReadTimeout WriteTimeout APITimeoutError Timeout ReadError WriteError CloseError "
        "RemoteProtocolError NetworkError ServerDisconnectedError ClientPayloadError ClientOSError IncompleteRead",
        "JSONDecodeError ValidationError APIResponseValidationError KeyError UnicodeDecodeError ReplyRefused "
        "BadStatusLine BadHttpMessage",
        "AuthenticationError BadRequestError NotFoundError PermissionDeniedError UnsupportedParamsError "
        "UnprocessableEntityError ContentPolicyViolationError PaymentRequiredError LiteLLMUnknownProvider",
    )
)
WINDOW = frozenset({"ContextWindowExceededError"})
# Where the class says nothing, the words of the error or of the body do.
RUBBISH_SAID = ("invalid response", "provider returned 'choices'")
WINDOW_CODES = ("context_length_exceeded", "exceed_context_size_error")
NO_MONEY = ("insufficient_quota", "billing_hard_limit", "credit balance is too low")
LOST_STATUS = frozenset({408, 504, 524})
"""The gateway gave up waiting; the model behind it may have answered, and billed."""
SAID = 200
"""Longest part of a provider's own words in a sentence, in characters."""
SHORTEST_KEY = 6
"""A shorter value of the environment is left in sentences: as text it may stand anywhere."""
_SECRET = re.compile(
    r"(?i:bearer\s+\S+)|(?i:api[_-]?key\s*[=:]\s*['\"]?\S+)|\b(?:sk|pk|rk|gsk|xai|hf|AIza|key|or|r8|pplx)[-_A-Z][\w*.-]{6,}"
)
_WRAPPER = re.compile(r"^(?:[\w.]*(?:Error|Exception|Timeout|Violation)(?: Error)?(?: -|:) *)+")


def fault(error: BaseException, place: str, key: str | None = None) -> ProviderError:
    """Our error for theirs; `place` is '<model> at <host>', `key` is blotted out of whatever the provider said."""
    causes = list(chain(error))
    names = {type(cause).__name__ for cause in causes}
    status = _status(causes)
    # The order of these questions is the rule: what certainly was not sent comes before what may have been billed.
    if status is not None:
        return _by_status(status, causes, names, place, key)
    if names & NEVER_SENT or ("ConnectError" in names and "ClientOSError" not in names):
        why = "it could not be opened"
        if "gaierror" in names or "ClientConnectorDNSError" in names:
            why = "the host name is not known"
        elif "ConnectionRefusedError" in names:
            why = "it was refused; is the server running?"
        elif any("Timeout" in name for name in names):
            why = "nobody answered in time"
        return ProviderError(f"No connection to {place}: {why}.", kind="connection")
    # litellm's transport calls it a ConnectError too when a connection that stood already breaks.
    if names & SENT_AND_LOST or "ConnectError" in names:
        lost = "timed out" if any("Timeout" in name for name in names) else "lost its connection"
        return InDoubt(f"The call to {place} {lost} after it was sent; it may have been billed.", kind="in_doubt")
    if names & RUBBISH or any(word in str(error).lower() for word in RUBBISH_SAID):
        return ProviderError(f"The reply of {place} was not a chat completion.", kind="malformed")
    if names & WINDOW:
        return ContextOverflow(f"The prompt does not fit the context window of {place}.", kind="context")
    if names & UNSENDABLE:
        return ProviderError(f"{place} cannot be asked this{_quoted(error, key)}.", kind="refused")
    # Nobody knows, so it counts as sent and billed: the dearer of the two mistakes is the one not to make.
    return InDoubt(f"The call to {place} failed in an unknown way{_quoted(error, key)}.", kind="in_doubt")


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
    lowered = {name.lower(): value for name, value in headers.items()}
    if (value := lowered.get("retry-after-ms")) and re.fullmatch(r"\s*\d+(\.\d+)?\s*", value):
        return float(value) / 1000
    value = lowered.get("retry-after", "").strip()
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
    forms: set[str] = set()
    for value in (*named, key or ""):
        if len(value) >= least:
            text = json.dumps(value)[1:-1]
            # JSON may write any sign as an escape, and a slash with a backslash before it.
            signs = "".join(letter if letter.isalnum() else f"\\u{ord(letter):04x}" for letter in value)
            # Without the padding: that depends on what follows in the same text.
            coded = base64.b64encode(value.encode("utf-8", "replace")).decode().rstrip("=")
            forms |= {value, quote(value, safe=""), quote(value), text, text.replace("/", "\\/"), signs, coded}
    # Longest first, or a key that another begins with would leave the other's end standing.
    return tuple(sorted(forms, key=len, reverse=True))


def blotted(text: str, keys: Iterable[str]) -> str:
    """Text with these keys blotted out, longest first."""
    for key in keys:
        text = text.replace(key, "[key]")
    return text


def _by_status(status: int, causes: list[BaseException], names: set[str], place: str, key: str | None) -> ProviderError:
    words = _quoted(causes[0], key)
    body = " ".join([*map(str, causes), *(str(getattr(cause, "body", "") or "") for cause in causes)]).lower()
    wait_s = next((s for s in map(retry_after_s, _headers(causes)) if s is not None), None)
    # 429 also says that the account is empty, which no waiting mends.
    if status == 429 and not any(word in body for word in NO_MONEY):
        return ProviderError(f"{place} limits our rate (429){words}.", kind="rate_limit", retry_after_s=wait_s)
    if status in LOST_STATUS:
        return InDoubt(f"{place} gave up waiting ({status}); the call may have been billed.", kind="in_doubt")
    if status >= 500:
        return ProviderError(f"{place} failed ({status}){words}.", kind="server", retry_after_s=wait_s)
    if status < 300:
        return ProviderError(f"The reply of {place} was not a chat completion.", kind="malformed")
    if status < 400:
        return ProviderError(
            f"{place} points elsewhere ({status}), and no prompt or key follows a redirect: correct its api_base.",
            kind="refused",
        )
    if names & WINDOW or any(code in body for code in WINDOW_CODES):
        return ContextOverflow(f"The prompt does not fit the context window of {place}{words}.", kind="context")
    return ProviderError(f"{place} refused the call ({status}){words}.", kind="refused")


def _status(causes: list[BaseException]) -> int | None:
    """The HTTP status the provider really sent; litellm makes up statuses of its own for accidents without one."""
    for cause in reversed(causes):
        if type(cause).__name__ in ("HTTPStatusError", "MaskedHTTPStatusError"):
            return int(getattr(getattr(cause, "response", None), "status_code", 0) or 0) or None
    return 200 if any(type(cause).__name__ in RUBBISH for cause in causes) else None


def _headers(causes: list[BaseException]) -> Iterator[Mapping[str, str]]:
    for cause in causes:
        for holder in (cause, getattr(cause, "response", None)):
            for name in ("headers", "litellm_response_headers"):
                headers = getattr(holder, name, None)
                if isinstance(headers, Mapping):
                    yield headers


def _quoted(error: BaseException, key: str | None) -> str:
    """The provider's own words as the end of a sentence; empty where they would only be noise."""
    text = _WRAPPER.sub("", str(error)).split("Traceback (most recent")[0].strip()
    start = text.find("{")
    if start >= 0:
        try:
            body, _ = json.JSONDecoder().raw_decode(text[start:])
        except ValueError:
            body = None
        inner = body.get("error", body) if isinstance(body, dict) else None
        message = inner.get("message") if isinstance(inner, dict) else inner
        text = message if isinstance(message, str) and message else text
    if not text or "<html" in text.lower() or "<!doctype" in text.lower():
        return ""
    # Far more than is shown, since a key is blotted out first: cut in its middle, its beginning would not be known.
    shown = "".join(c if c.isprintable() else " " for c in text[: 50 * SAID])
    clean = " ".join(redacted(shown, key).split())
    return ": " + (clean if len(clean) <= SAID else clean[:SAID] + "…").rstrip(".")
