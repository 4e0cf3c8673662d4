"""What went wrong with a call: any exception of litellm, its SDKs or the network becomes one of our closed kinds.

Owns the kinds, the sentence, and the table of what becomes of every accident we know; imports no network library:
classes are known by name, along the chain of causes, because litellm wraps the same accident differently on every
route. Never lets a key into a sentence.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal

from engine.core.errors import ContextOverflow, InDoubt, ProviderError
from engine.core.records import Usage
from engine.models import window
from engine.models.net.keys import redacted


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of one attempt."""

    retried: bool
    """True: sent again, so often as `Retries` allows."""
    charged: Literal["as told", "nothing", "by usage", "worst case"]
    """`worst case`: it may have been billed, so the reservation stays charged as in doubt. A failed attempt that comes
    with usage is charged by it, of whatever kind it is; `by usage`: as a rule it does."""
    end: Literal["finished", "exhausted", "failed"]
    """How a trial ends that never gets anything better."""


_KEPT = Outcome(False, "as told", "finished")
_UNBILLED = Outcome(True, "nothing", "failed")
_UNCLEAR = Outcome(True, "worst case", "failed")
OUTCOMES: Mapping[str, Outcome] = {
    **dict.fromkeys(("kept", "overrun"), _KEPT),
    "estimated": Outcome(False, "worst case", "finished"),
    **dict.fromkeys(("rate_limit", "connection"), _UNBILLED),
    **dict.fromkeys(("server", "malformed", "in_doubt"), _UNCLEAR),
    "unfinished": Outcome(True, "by usage", "failed"),
    **dict.fromkeys(("refused", "outage"), Outcome(False, "nothing", "failed")),
    # The budget did not end such a trial, but what it had said by then stands as at a budget's end.
    "context": Outcome(False, "nothing", "exhausted"),
}
"""By kind of error, or by what is noted of a reply that is kept: `estimated` counts tokens we had to count ourselves,
`overrun` those beyond the reservation. A rate limit also slows the model down, and a Retry-After rests it; `outage` is
a call that was not sent any more."""


@dataclass(frozen=True, slots=True)
class NotCharged:
    """What a provider states it does not bill."""

    provider: str
    """As litellm names it, and the end of its host."""
    host: str
    kinds: frozenset[str]
    """Kinds of failed attempts; `unfinished` means one that ended in an error, or in nothing at all."""
    source: str
    as_of: str
    """ISO date."""


NOT_CHARGED = (
    NotCharged(
        "openrouter",
        "openrouter.ai",
        frozenset({"unfinished"}),
        "https://openrouter.ai/docs/features/zero-completion-insurance",
        "2026-11-28",
    ),
)
"""The rows that free a doubtful outcome of its worst case; a provider without one is charged by `OUTCOMES`."""
BY_STATUS: Mapping[int, str] = {
    **dict.fromkeys((400, 401, 402, 403, 404, 409, 422), "refused"),
    413: "context",
    429: "rate_limit",
    **dict.fromkeys((408, 499, 504, 524), "in_doubt"),
    **dict.fromkeys((500, 502, 503, 529), "server"),
}
"""Kind by HTTP status, and by the code of an error inside a 200 alike; words may say more, see `by_status`. Of the rest
every 5xx is 'server', every 3xx and 4xx 'refused'. What a server says before it begins (a wrong request, a conflict, a
rate) is free; what may come from behind one that had begun (408, 499 and every 5xx, a gateway's page, an error object
nobody knows) may have been billed."""
MENDS = {
    401: "; look at its key (api_key_env)",
    402: "; look at its account",
    403: "; look at what its key may do",
    404: "; look at its model name and its api_base",
}
"""What is most likely to mend a refusal, as the end of a sentence."""
CODES: Mapping[str, int] = {
    word: status
    for status, words in {
        400: "invalid_request_error invalid_request invalid_argument failed_precondition out_of_range bad_request "
        "context_length_exceeded exceed_context_size_error content_policy_violation content_filter invalid_prompt "
        "badrequesterror validationexception unsupported_parameter unsupported_value",
        401: "authentication_error invalid_api_key unauthenticated unauthorized",
        402: "billing_error insufficient_credits payment_required",
        403: "permission_error permission_denied forbidden accessdeniedexception",
        404: "not_found_error not_found model_not_found notfounderror resourcenotfoundexception",
        409: "conflict aborted already_exists",
        413: "request_too_large",
        429: "rate_limit_error rate_limit_exceeded rate_limited too_many_requests resource_exhausted "
        "insufficient_quota throttlingexception throttling requests tokens tokens_limit_reached "
        "engine_overloaded_error",
        499: "cancelled canceled client_closed_request",
        500: "api_error server_error internal internal_error internal_server_error internalservererror unknown "
        "data_loss",
        503: "unavailable service_unavailable overloaded serviceunavailableexception",
        504: "timeout_error deadline_exceeded timeout gateway_timeout",
        529: "overloaded_error",
    }.items()
    for word in words.split()
}
"""Words that stand where a code does in an error object, as the HTTP status they stand for."""
_ACCIDENTS = {
    "rate_limit": "429",
    "server": "500 502 503 529 odd_error body",
    "refused": "400 401 403 404 409 422 policy no_money redirect redirect_get",
    "context": "context 413",
    "in_doubt": "408 499 504 524 hang drip cut cut_head cut_body",
    "connection": "refused_connection",
    "malformed": "garbage bad_json bad_utf8 empty_body page null_body not_object not_gzip gzip_bomb too_much_text "
    "empty_choices null_choices null_choice text_choices no_message number_content bool_usage "
    "negative_usage huge_usage huge_prompt huge_reasoning float_usage half_usage nan_usage endless_usage text_usage "
    "list_usage word_usage",
    "unfinished": "finish",
    "estimated": "no_usage null_usage",
    "overrun": "over_cap long_text",
    "kept": "null_content list_content surrogates controls details other_model no_model odd_names cost refusal filter "
    "zero_usage gzip slow",
}
ACCIDENTS: Mapping[str, str] = {name: kind for kind, names in _ACCIDENTS.items() for name in names.split()}
"""What becomes of every accident the test provider can stage, by its name there."""
# Classes of aiohttp, httpx, the OpenAI SDK, litellm and the standard library, by name along the chain of causes.
NEVER_SENT, SENT_AND_LOST, RUBBISH, UNSENDABLE = (
    frozenset(names.split())
    for names in (
        "ClientConnectorError ClientConnectorDNSError ConnectTimeout ConnectionTimeoutError ClientConnectorSSLError "
        "ClientConnectorCertificateError ClientProxyConnectionError ProxyError ClientHttpProxyError PoolTimeout",
        "TimeoutError ReadTimeout WriteTimeout APITimeoutError Timeout ReadError WriteError CloseError "
        "RemoteProtocolError NetworkError ServerDisconnectedError ClientPayloadError ClientOSError "
        "ClientConnectionResetError SocketTimeoutError IncompleteRead",
        "JSONDecodeError ValidationError APIResponseValidationError KeyError UnicodeDecodeError ReplyRefused "
        "BadStatusLine BadHttpMessage",
        "AuthenticationError BadRequestError NotFoundError PermissionDeniedError UnsupportedParamsError "
        "UnprocessableEntityError ContentPolicyViolationError PaymentRequiredError LiteLLMUnknownProvider",
    )
)
WINDOW = frozenset({"ContextWindowExceededError"})
# Where the class says nothing, the words of the error or of the body do.
RUBBISH_SAID = ("invalid response", "provider returned 'choices'")
NO_MONEY = ("insufficient_quota", "billing_hard_limit", "credit balance is too low")
SAID = 200
"""Longest part of a provider's own words in a sentence, in characters."""
_WRAPPER = re.compile(r"^(?:[\w.]*(?:Error|Exception|Timeout|Violation)(?: Error)?(?: -|:) *)+")


def charge(error: BaseException) -> Usage | Literal["nothing", "worst case"]:
    """What a failed attempt is charged: nothing, its reservation, or what the provider said it took."""
    if not isinstance(error, ProviderError):
        # Whatever broke us in the middle of a call, the call went out.
        return "worst case"
    outcome = OUTCOMES.get(error.kind)
    free = outcome is not None and outcome.charged == "nothing" and not error.begun
    if error.not_charged or free:
        return "nothing" if error.usage is None or error.not_charged else error.usage
    if error.usage is not None:
        return error.usage
    return "worst case" if isinstance(error, InDoubt) or outcome is not None else "nothing"


def fault(error: BaseException, place: str, key: str | None = None, sent_tokens: int | None = None) -> ProviderError:
    """Our error for theirs; `place` is '<model> at <host>', `key` is blotted out of whatever the provider said.

    `sent_tokens`: the cap the call was sent with, by which a refusal for its length is read; None: not known.
    """
    causes = list(chain(error))
    names = {type(cause).__name__ for cause in causes}
    status = _status(causes)
    # The order of these questions is the rule: what certainly was not sent comes before what may have been billed.
    if status is not None:
        said = " ".join([*map(str, causes), *(str(getattr(cause, "body", "") or "") for cause in causes)])
        wait_s = next((s for s in map(retry_after_s, _headers(causes)) if s is not None), None)
        return by_status(status, said, _quoted(str(causes[0]), key), place, wait_s, sent_tokens)
    if names & NEVER_SENT or ("ConnectError" in names and "ClientOSError" not in names):
        why = "it could not be opened"
        if "gaierror" in names or "ClientConnectorDNSError" in names:
            why = "the host name is not known"
        elif any("Proxy" in name for name in names):
            why = "the proxy of the environment (HTTP_PROXY, HTTPS_PROXY) does not answer"
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
    if names & WINDOW or (names & UNSENDABLE and window.refusal(400, str(error), sent_tokens)):
        return by_status(400, str(error), _quoted(str(error), key), place, None, sent_tokens)
    if names & UNSENDABLE:
        return ProviderError(f"{place} cannot be asked this{_quoted(str(error), key)}.", kind="refused")
    # Nobody knows, so it counts as sent and billed: the dearer of the two mistakes is the one not to make.
    return InDoubt(f"The call to {place} failed in an unknown way{_quoted(str(error), key)}.", kind="in_doubt")


def by_status(
    status: int, said: str, words: str, place: str, wait_s: float | None = None, sent_tokens: int | None = None
) -> ProviderError:
    """The error of an HTTP status, or of the same code inside a 200.

    `said`: all the provider said, to be searched; `words`: what of it may be shown, as the end of a sentence.
    """
    kind = BY_STATUS.get(status, "server" if status >= 500 else "refused")
    # 429 also says that the account is empty, which no waiting mends.
    if kind == "rate_limit" and not any(word in said.lower() for word in NO_MONEY):
        return ProviderError(f"{place} limits our rate (429){words}.", kind=kind, retry_after_s=wait_s)
    if kind == "in_doubt":
        return InDoubt(f"{place} gave up waiting ({status}); the call may have been billed.", kind=kind)
    if kind == "server":
        return ProviderError(f"{place} failed ({status}){words}.", kind=kind, retry_after_s=wait_s)
    if status < 300:
        return ProviderError(f"The reply of {place} was not a chat completion.", kind="malformed")
    if status < 400:
        return ProviderError(
            f"{place} points elsewhere ({status}), and no prompt or key follows a redirect: correct its api_base.",
            kind="refused",
        )
    refused = None if status == 429 else window.refusal(status, said, sent_tokens)
    if refused is None:
        return ProviderError(f"{place} refused the call ({status}){words}{MENDS.get(status, '')}.", kind="refused")
    if refused.alone:
        return ContextOverflow(
            f"The prompt does not fit the context window of {place}{words}.",
            room_tokens=0,
            window_tokens=refused.window_tokens,
        )
    if refused.room_tokens is None:
        # A smaller cap might have fitted, so this is no end by the window, and how much smaller nobody said.
        return ProviderError(
            f"Prompt and cap do not fit the context window of {place}, which does not say by how much: set its "
            f"context_tokens, or a smaller cap{words}.",
            kind="refused",
        )
    return ContextOverflow(
        f"Prompt and cap do not fit the context window of {place}{words}.",
        room_tokens=refused.room_tokens,
        window_tokens=refused.window_tokens,
    )


_STATUS = re.compile(r"\s*(?:http[\s/_-]?)?([0-9]{3})(?:\.0)?\s*", re.I)


def status_of(error: object) -> int | None:
    """The HTTP status an error object inside a 200 stands for; None: its code says nothing we know."""
    if not isinstance(error, Mapping):
        return None
    names = ("code", "status", "status_code", "type", "error_type", "http_status")
    # A gateway may wrap the object of the server behind it.
    holders = [holder for holder in (error, error.get("error")) if isinstance(holder, Mapping)]
    for value in (holder.get(name) for holder in holders for name in names):
        if isinstance(value, str) and (digits := _STATUS.fullmatch(value)):
            value = int(digits[1])
        value = int(value) if isinstance(value, float) and value.is_integer() else value
        if isinstance(value, int) and not isinstance(value, bool) and 300 <= value < 600:
            return value
        if isinstance(value, str) and (status := CODES.get(_word(value))) is not None:
            return status
    return None


def _word(value: str) -> str:
    """A code in words as `CODES` has it."""
    return re.sub(r"[\s-]+", "_", value.strip().lower())


def sent_error(error: object, place: str, key: str | None, sent_tokens: int | None) -> ProviderError:
    """Our error for an error object inside a 200; one whose code nobody knows may have been billed."""
    said = json.dumps(error, ensure_ascii=False, default=str) if not isinstance(error, str) else error
    inner = error.get("message") if isinstance(error, Mapping) else error
    words = _quoted(inner if isinstance(inner, str) else said, key)
    status = status_of(error)
    if status is None and window.refusal(400, said, sent_tokens):
        # Nobody says a code, and the words are those of a window.
        status = 400
    if status is None:
        return ProviderError(f"{place} answered with an error{words}.", kind="unfinished")
    return by_status(status, said, words, place, None, sent_tokens)


def freed(error: ProviderError, place: str) -> ProviderError:
    """The error, marked as not charged where its provider states so; see `NOT_CHARGED`."""
    where = place.rpartition(" at ")[2].partition("/")[0].partition(":")[0]
    error.not_charged = any(
        error.kind in row.kinds and (where == row.provider or where == row.host or where.endswith(f".{row.host}"))
        for row in NOT_CHARGED
    )
    return error


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


def said_status(error: BaseException) -> int | None:
    """The HTTP status of whatever led to an error; None: there was none."""
    return _status(list(chain(error)))


def _status(causes: list[BaseException]) -> int | None:
    """The HTTP status the provider really sent; litellm makes up statuses of its own for accidents without one."""
    for cause in reversed(causes):
        if type(cause).__name__ in ("StatusError", "HTTPStatusError", "MaskedHTTPStatusError"):
            return int(getattr(getattr(cause, "response", cause), "status_code", 0) or 0) or None
    return 200 if any(type(cause).__name__ in RUBBISH for cause in causes) else None


def _headers(causes: list[BaseException]) -> Iterator[Mapping[str, str]]:
    for cause in causes:
        for holder in (cause, getattr(cause, "response", None)):
            for name in ("headers", "litellm_response_headers"):
                headers = getattr(holder, name, None)
                if isinstance(headers, Mapping):
                    yield headers


def _quoted(said: str, key: str | None) -> str:
    """The provider's own words as the end of a sentence; empty where they would only be noise."""
    text = _WRAPPER.sub("", said).split("Traceback (most recent")[0].strip()
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
