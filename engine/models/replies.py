"""A provider's reply read into our records, with nothing believed that cannot be true.

Reads plain JSON, the body as it was sent, in the shapes of OpenAI, Anthropic and Google; litellm's object, which calls
every end it does not know, and none at all, a 'stop', is read in its place only where no body is at hand or its shape
is another. Imports litellm never. A reply that neither finished nor was cut is a failed attempt and no completion.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from engine.core.errors import ProviderError
from engine.core.records import Completion, Finish, Request, Usage
from engine.models import faults, usage
from engine.models.net.keys import Keys, redacted
from engine.models.usage import malformed

_WORDS: dict[str, str] = {
    "stop": "stop stopped stop_sequence stop_token stop_string stop_string_found stop_criteria_met eos eos_token "
    "eos_found eot_id im_end stop_sequence_reached end end_turn end_of_turn end_of_text complete completed finish "
    "finished done normal",
    "length": "length max_tokens max_length max_new_tokens max_output_tokens max_tokens_reached maximum_tokens "
    "token_limit length_limit max_predicted_tokens_reached model_length context_length_reached "
    "context_window_exceeded model_context_window_exceeded",
    "filter": "content_filter content_filtered contentfilter refusal refused safety sensitive blocklist "
    "prohibited_content spii recitation guardrail_intervened blocked moderation policy_violation content_policy "
    "content_policy_violation image_safety model_armor language error_toxic",
    "error": "error abort aborted cancel cancelled canceled user_cancel timeout time_limit network_error server_error "
    "internal_error failed failure error_limit not_finished insufficient_system_resource unspecified other unknown "
    "malformed_function_call malformed_response malformed_model_output malformed_tool_use unexpected_tool_call "
    "too_many_tool_calls load unload",
}
FINISHES: Mapping[str, str] = {word.replace("_", ""): end for end, words in _WORDS.items() for word in words.split()}
"""What providers' words for the end of a reply mean, in small letters alone: stop, length, filter, or error."""
LENIENT = 'finish = "lenient"'
"""The key of a [[models]] table that keeps replies whose end nobody said."""
_FINISHED = ("finish_reason", "finishReason", "stop_reason", "stopReason", "done_reason")
"""Where bodies of any shape hold the word."""
_SHOWN = 40
"""Longest part of a provider's word in a sentence, in characters."""


@dataclass
class Heard:
    """Called by litellm, as its `logger_fn`, at each step of one call; keeps what the provider sent."""

    body: str | None = None
    """As text, unread; None: nothing came, or litellm did not say."""

    def __call__(self, step: Mapping[str, Any]) -> None:
        """The last step told is the reply, before litellm makes anything of it."""
        if isinstance(body := step.get("original_response"), str):
            self.body = body


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known of a call before its reply."""

    request: Request
    bound: int
    """Upper bound of the prompt, in tokens."""
    place: str
    """'<model> at <host>', as sentences name it."""
    latency_ms: int = 0
    lenient: bool = False
    """Keep a reply with complete usage whose end nobody said."""
    key: str | None = None
    """Blotted out of whatever is quoted."""
    remark: Callable[[str], None] | None = None
    """Told what was ignored of a reply that is kept."""
    keys: Keys = Keys()
    """Blotted out of all that was sent, before it is read."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A reply in its own shape, as far as it was found."""

    text: str
    refusal: str | None
    word: object
    """As the provider ended it; None: it did not say."""
    native: object
    """The word of the server behind a router; None: none."""
    error: object
    """An error object; None: none."""
    usage: object
    cost: object


def plain(body: str | None) -> dict[str, Any] | None:
    """A body as a JSON object; None: it is none, or none is at hand."""
    try:
        # A body nested a thousand deep ends in RecursionError, and is no reply.
        sent = json.loads(body or "null")
    except (ValueError, RecursionError):
        return None
    if isinstance(sent, list) and len(sent) == 1 and isinstance(sent[0], dict) and "error" in sent[0]:
        # As Google's endpoints send an error.
        sent = sent[0]
    return sent if isinstance(sent, dict) else None


def shaped(sent: Mapping[str, Any]) -> bool:
    """Whether a body has one of the shapes that are read as they are."""
    content = sent.get("content")
    anthropic = isinstance(content, list) and ("stop_reason" in sent or sent.get("type") == "message")
    google = "candidates" in sent or isinstance(sent.get("promptFeedback"), dict)
    return anthropic or google or "choices" in sent or _error(sent) is not None


def completion(reply: Any, expected: Expected, body: str | None = None) -> Completion:
    """The reply as a record; `reply` is litellm's object, `body` what the provider sent, either may be None.

    Raises ProviderError: 'malformed' for what cannot be read, 'unfinished' for a generation that failed inside a 200,
    else what the code of its error object says. The money may be gone all the same.
    """
    # A server may repeat the key it was sent anywhere, also where it names its model or its figures.
    sent = plain(body)
    if body is not None and expected.keys.may_lie_in(body):
        sent = expected.keys.within(sent)
    if sent is not None and shaped(sent):
        return read(sent, expected)
    # The body is of no shape we read, or nobody kept it.
    known = expected.keys.within(_dumped(reply))
    if sent is not None:
        # Another shape, of which litellm made OpenAI's; its word for the end stands where such a body has it.
        words = {name: sent[name] for name in _FINISHED if name in sent}
        choices = known.get("choices")
        if words and isinstance(choices, list) and choices and isinstance(choices[0], dict):
            word = next(iter(words.values()))
            read_as = choices[0].get("finish_reason")
            # What litellm makes a cap or a filter of is one; its 'stop' may stand for anything.
            if _end(word) is not None or _end(read_as) == "stop":
                known = {**known, "choices": [{**choices[0], "finish_reason": word}]}
    return read(known, expected)


def read(sent: Mapping[str, Any], expected: Expected) -> Completion:
    """The completion in a body of OpenAI's, Anthropic's or Google's shape; raises as `completion` does."""
    place, request = expected.place, expected.request
    part = _part(sent, place)
    text, last = _storable(part.refusal or part.text), request.messages[-1]
    # Only where a turn was begun for the model.
    if last.role == "assistant":
        # What comes after a turn that is gone on with: some servers, llama.cpp among them, repeat that turn first.
        text = text.removeprefix(_storable(last.content))
    if part.error is not None:
        failed = faults.sent_error(part.error, place, expected.key, request.cap_tokens)
        # With text it had begun to generate, and that is billed by some.
        failed.begun = bool(text)
        raise _failed(failed, part, text, expected, spoilt=True)
    # A refusal ends in 'stop' at OpenAI, and its words are no answer.
    end = "filter" if part.refusal else _ending(part, expected)
    if end is None or end == "error":
        word = "no finish reason" if part.word is None else f"the finish reason {_quotable(part.word, expected.key)}"
        why = f"{place} ended its reply with {word}, so it counts as failed"
        mend = "" if end == "error" else f"; if that is how its replies end, set {LENIENT} in its [[models]] table"
        failed = ProviderError(f"{why}{mend}.", kind="unfinished")
        raise _failed(failed, part, text, expected, spoilt=end == "error")
    taken = usage.read(part.usage, text, request, expected.bound, place, expected.remark)
    if end == "unsaid" and (taken.estimated or not text):
        failed = ProviderError(
            f"{place} said neither how its reply ended nor all that it took, so it counts as failed.", kind="unfinished"
        )
        raise _failed(failed, part, text, expected, spoilt=False)
    return Completion(
        key=request.key,
        text=text,
        finish=end,
        usage=taken,
        latency_ms=expected.latency_ms,
        model_reported=_name(sent.get("model") or sent.get("modelVersion")),
        fingerprint=_name(sent.get("system_fingerprint")),
        created_at=datetime.now(UTC),
        provider_cost_pusd=usage.cost_pusd(part.cost),
        sent_tokens=request.sent_tokens,
    )


def _ending(part: _Part, expected: Expected) -> Finish | Any:
    """How the reply ended: one of `Finish`, 'error', or None where nobody can tell."""
    said, native = _end(part.word), _end(part.native)
    # A router may call everything behind it a stop.
    end = native if native is not None and said in (None, "stop") else said
    return "unsaid" if end is None and expected.lenient else end


def _failed(failed: ProviderError, part: _Part, text: str, expected: Expected, *, spoilt: bool) -> ProviderError:
    """A failed generation with what it took, where the provider says so; `spoilt`: it ended in an error."""
    taken: Usage | None
    try:
        taken = usage.read(part.usage, text, expected.request, expected.bound, expected.place)
    except ProviderError as error:
        # Usage that contradicts itself: what can be believed of it comes with the error.
        taken = error.usage
    # Counts of our own are no bound of what was billed: then it stays at its worst case.
    failed.usage = None if taken is None or taken.estimated else taken
    empty = not text and (failed.usage is None or not failed.usage.output_tokens)
    if failed.kind != "unfinished" or spoilt or empty:
        return faults.freed(failed, expected.place)
    return failed


def _part(sent: Mapping[str, Any], place: str) -> _Part:
    """The first reply of a body. Raises ProviderError('malformed') where there is none."""
    holder = sent.get("usage")
    cost = holder.get("cost") if isinstance(holder, dict) else None
    if isinstance(holder, dict) and cost is None:
        # OpenRouter says cost, some gateways total_cost.
        cost = holder.get("total_cost")
    error, used = _error(sent), holder
    if "choices" not in sent and ("candidates" in sent or "promptFeedback" in sent):
        return _google(sent, error, place)
    if "choices" not in sent and isinstance(sent.get("content"), list):
        text, refusal = _content(sent["content"], place)
        return _Part(text, refusal, sent.get("stop_reason"), None, error, used, cost)
    choices = sent.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        choice = choices[0]
        message = choice.get("message")
        error = error if error is not None else _error(choice)
        error = _error(message) if error is None and isinstance(message, dict) else error
        if not isinstance(message, dict):
            if error is None and not isinstance(choice.get("text"), str):
                raise malformed(place, "its choice holds no message")
            # The older completions shape, which some servers answer chats in.
            message = {"content": choice.get("text") or ""}
        text, refusal = _content(message.get("content"), place)
        more = message.get("provider_specific_fields")
        words = message.get("refusal") or (more.get("refusal") if isinstance(more, dict) else None)
        # Beside an answer the field says nothing: some fill it always.
        if isinstance(words, str) and words and not text.strip():
            refusal = words
        more = choice.get("provider_specific_fields")
        native = choice.get("native_finish_reason")
        native = native or (more.get("native_finish_reason") if isinstance(more, dict) else None)
        return _Part(text, refusal, choice.get("finish_reason"), native, error, used, cost)
    if error is not None:
        return _Part("", None, None, None, error, used, cost)
    raise malformed(place, "it holds no choice")


def _google(sent: Mapping[str, Any], error: object, place: str) -> _Part:
    used, candidates, feedback = sent.get("usageMetadata"), sent.get("candidates"), sent.get("promptFeedback")
    if isinstance(candidates, list) and candidates and isinstance(candidates[0], dict):
        content = candidates[0].get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        text, refusal = _content(parts, place)
        return _Part(text, refusal, candidates[0].get("finishReason"), None, error, used, None)
    if error is None and isinstance(feedback, dict) and feedback.get("blockReason"):
        # The prompt was blocked: no candidate, and no word of an end but this.
        return _Part("", None, "content_filter", None, None, used, None)
    if error is None:
        raise malformed(place, "it holds no candidate")
    return _Part("", None, None, None, error, used, None)


_THOUGHTS = (
    "thinking",
    "redacted_thinking",
    "reasoning",
    "reasoning_text",
    "reasoning_content",
    "reasoning_summary",
    "summary_text",
    "thought",
)


def _content(content: object, place: str) -> tuple[str, str | None]:
    """The text of a reply, its thoughts left apart, and the words of a refusal where one of its parts is one."""
    if content is None:
        return "", None
    if isinstance(content, str):
        return content, None
    if isinstance(content, dict):
        # One part without its list.
        content = [content]
    if not isinstance(content, list):
        raise malformed(place, "its content is not text")
    texts: list[str] = []
    refusal: str | None = None
    for part in content:
        if isinstance(part, str):
            texts.append(part)
            continue
        if not isinstance(part, dict):
            raise malformed(place, "its content is not text")
        if part.get("thought") is True or str(part.get("type")).partition(".")[0] in _THOUGHTS:
            continue
        said = part.get("text")
        said = part.get("content") if said is None and part.get("type") in ("text", "output_text") else said
        # Assistants wrap a text in an object with its annotations.
        said = said.get("value") if isinstance(said, dict) else said
        if isinstance(said, str):
            texts.append(said)
        elif isinstance(part.get("refusal"), str):
            refusal = part["refusal"]
    text = "".join(texts)
    return text, refusal if not text.strip() else None


def _error(holder: Mapping[str, Any]) -> object:
    """The error object of a body or a choice; None: none, or an empty one."""
    error = holder.get("error")
    if error is None and isinstance(several := holder.get("errors"), list) and several:
        error = several[0]
    if error is None and (holder.get("object") == "error" or _is_error(holder)):
        # Older servers of vLLM's, and some gateways, make the body itself the object.
        return holder
    if isinstance(error, (dict, str)) and error:
        return error
    if isinstance(error, (int, float)) and not isinstance(error, bool) and error:
        return {"code": int(error) if error == error and abs(error) < 10**6 else 0}
    return {} if error is True else None


def _is_error(body: Mapping[str, Any]) -> bool:
    """Whether a body that holds no reply is an error object: words, and a code that stands for a status."""
    reply = any(name in body for name in ("choices", "candidates", "content", "role", "text", "promptFeedback"))
    words = body.get("message") if isinstance(body.get("message"), str) else body.get("detail")
    return not reply and isinstance(words, str) and faults.status_of(body) is not None


def _end(word: object) -> str | None:
    """What a provider's word for the end means; None: nobody knows."""
    if isinstance(word, dict):
        # SGLang's own shape says the word beside what matched.
        word = word.get("type")
    if not isinstance(word, str) or len(word) > 200:
        return None
    folded = re.sub("[^a-z]", "", word.lower()).removeprefix("finishreason")
    return FINISHES.get(folded)


def _quotable(word: object, key: str | None) -> str:
    text = redacted("".join(c if c.isprintable() else " " for c in str(word)[: 50 * _SHOWN]), key)
    return f"'{text[:_SHOWN]}'"


def _dumped(reply: Any) -> Mapping[str, Any]:
    """litellm's object as plain JSON."""
    dump = getattr(reply, "model_dump", None)
    try:
        known = dump() if callable(dump) else reply
    except Exception:
        # A pydantic object made around values it never checked may refuse to be written down.
        known = None
    return known if isinstance(known, dict) else {}


def _name(value: object) -> str | None:
    return _storable(value[:200]) if isinstance(value, str) and value else None


def _storable(text: str) -> str:
    """Without lone surrogates, which no file and no database takes."""
    return text.encode("utf-8", "replace").decode("utf-8")
