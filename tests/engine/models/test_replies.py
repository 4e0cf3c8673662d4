"""Bodies as providers send them, in every dialect, read into completions, failures and what they are charged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from engine.core.errors import ContextOverflow, InDoubt, ProviderError
from engine.core.records import Completion, Message, Request, Usage
from engine.models import faults, replies, window
from engine.models.replies import Expected
from tests.engine.models.test_faults import endpoint
from tests.support.faults import Fault
from tests.support.provider import Provider, serving

BOUND = 120
SAID = "The answer is 5."
USED = {"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 15}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serving() as one:
        yield one


def request(text: str = "What is 2 + 3?", asked: int = 64) -> Request:
    return Request("m", (Message("user", text),), (("temperature", 0.7),), asked, 0, 0, key="k", seed=7)


def body(finish: object = "stop", content: object = SAID, usage: object = USED, **more: object) -> dict[str, Any]:
    """OpenAI's shape; `more` goes into the choice."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish, **more}
    return {"model": "m-1", "choices": [choice], "usage": usage}


def read(sent: object, *, lenient: bool = False, place: str = "m at h", remarks: list[str] | None = None) -> Completion:
    told = None if remarks is None else remarks.append
    return replies.completion(None, Expected(request(), BOUND, place, 1, lenient, None, told), json.dumps(sent))


def failure(sent: object, **more: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        read(sent, **more)
    return caught.value


STOPS = (
    "stop",
    "STOP",
    "eos",
    "eos_token",
    "end_turn",
    "COMPLETE",
    "eosFound",
    "stop_sequence",
    "FINISH_REASON_STOP",
    "<|im_end|>",
)
LENGTHS = (
    "length",
    "maximum_tokens",
    "MAX_TOKENS",
    "length_limit",
    "context_window_exceeded",
    "max_tokens",
    "max_new_tokens",
    "model_length",
    "maxPredictedTokensReached",
)
FILTERS = (
    "content_filter",
    "content-filter",
    "ContentFilter",
    "SAFETY",
    "refusal",
    "guardrail_intervened",
    "RECITATION",
    "blocked",
    "policy_violation",
)


@pytest.mark.parametrize(
    ("word", "finish"),
    [
        *((word, "stop") for word in STOPS),
        *((word, "length") for word in LENGTHS),
        *((word, "filter") for word in FILTERS),
    ],
)
def test_each_word_for_an_end_means_what_its_provider_means(word: str, finish: str) -> None:
    assert (read(body(word)).text, read(body(word)).finish) == (SAID, finish)


@pytest.mark.parametrize("word", [None, "", "tool_calls", "banana", 5, ["stop"], {"stop": 1}])
def test_an_end_that_nobody_knows_is_a_failure_that_names_the_word_and_the_key(word: object) -> None:
    error = failure(body(word))
    assert error.kind == "unfinished" and 'finish = "lenient"' in str(error)
    assert str(word)[:40] in str(error) if word is not None else "no finish reason" in str(error)
    assert error.usage == Usage(9, 6) and faults.charge(error) == Usage(9, 6)


def test_a_lenient_model_keeps_a_text_with_complete_usage_and_says_that_its_end_is_unsaid() -> None:
    done = read(body(None), lenient=True)
    assert (done.text, done.finish, done.usage.estimated) == (SAID, "unsaid", False)
    for lacking in (body(None, usage=None), body(None, content="")):
        assert failure(lacking, lenient=True).kind == "unfinished"
    assert failure(body("error"), lenient=True).kind == "unfinished", "an error is no end, however lenient"


@pytest.mark.parametrize("word", ["error", "abort", "ERROR", "network_error", "insufficient_system_resource"])
def test_an_end_by_an_error_is_a_failure_that_no_key_mends(word: str) -> None:
    error = failure(body(word))
    assert error.kind == "unfinished" and "lenient" not in str(error) and word in str(error)


def test_a_failed_generation_without_usage_stays_at_its_worst_case() -> None:
    assert faults.charge(failure(body(None, usage=None))) == "worst case"
    assert faults.charge(failure(body("error", usage={"prompt_tokens": 9}))) == "worst case"


@pytest.mark.parametrize(
    ("error", "kind", "charge"),
    [
        ({"code": 429, "message": "slow down"}, "rate_limit", "nothing"),
        ({"code": "429"}, "rate_limit", "nothing"),
        ({"code": 502, "message": "bad gateway"}, "server", "worst case"),
        ({"code": 504}, "in_doubt", "worst case"),
        ({"code": 499}, "in_doubt", "worst case"),
        ({"code": 400, "message": "no"}, "refused", "nothing"),
        ({"code": "insufficient_quota", "message": "insufficient_quota"}, "refused", "nothing"),
        ({"type": "overloaded_error", "message": "Overloaded"}, "server", "worst case"),
        ({"code": 8, "status": "RESOURCE_EXHAUSTED"}, "rate_limit", "nothing"),
        ({"status": "DEADLINE_EXCEEDED"}, "in_doubt", "worst case"),
        ({"code": 429.0, "message": "slow down"}, "rate_limit", "nothing"),
        ({"code": "rate-limit-exceeded"}, "rate_limit", "nothing"),
        ({"type": "Rate Limit Exceeded"}, "rate_limit", "nothing"),
        ({"message": "This model's maximum context length is 50 tokens."}, "refused", "nothing"),
        ({"code": "HTTP 429"}, "rate_limit", "nothing"),
        ({"message": "upstream", "error": {"code": 429}}, "rate_limit", "nothing"),
        ({"message": "something odd"}, "unfinished", "worst case"),
        ("it broke", "unfinished", "worst case"),
    ],
)
def test_an_error_object_inside_a_200_counts_as_its_code_would(error: object, kind: str, charge: str) -> None:
    for sent in ({"error": error}, body(usage=None, error=error), {**body(usage=None), "error": error}):
        failed = failure(sent)
        # With part of a reply the work had begun, so nothing is free.
        assert (failed.kind, faults.charge(failed)) == (kind, "worst case" if "choices" in sent else charge), sent
        assert isinstance(failed, InDoubt) == (kind == "in_doubt")


def test_an_error_may_be_the_body_itself_or_stand_in_the_message() -> None:
    failed = failure({"object": "error", "message": "no", "type": "BadRequestError", "code": 40001})
    assert (failed.kind, faults.charge(failed)) == ("refused", "nothing")
    for code, kind in ((429, "rate_limit"), (400, "refused"), (502, "server"), (504, "in_doubt")):
        for sent in (
            [{"error": {"code": code, "message": "no"}}],
            {"errors": [{"code": code, "message": "no"}]},
            {"code": code, "message": "no"},
            {"status": str(code), "detail": "no"},
        ):
            assert failure(sent).kind == kind, sent
    # A reply with a word that is also a code's is one.
    assert read({**body(), "code": 429, "message": "fine", "errors": []}).text == SAID
    inside = body(usage=None)
    inside["choices"][0]["message"]["error"] = {"code": 503}
    assert failure(inside).kind == "server"


def test_a_word_in_an_object_is_read_and_one_part_needs_no_list() -> None:
    assert read(body({"type": "length", "matched": None})).finish == "length"
    assert read(body(content={"type": "text", "text": SAID})).text == SAID
    wrapped = [{"type": "reasoning.text", "text": "Answer: 8"}, {"type": "text", "text": {"value": SAID}}]
    assert read(body(content=wrapped)).text == SAID
    assert read(body(content=[{"type": "text", "content": SAID}, {"type": "tool_result", "content": "9"}])).text == SAID


def test_an_error_with_usage_is_charged_by_it() -> None:
    assert faults.charge(failure(body("error", error={"code": 502}))) == Usage(9, 6)


def test_an_empty_error_is_none() -> None:
    empty: tuple[object, ...] = (None, {}, "", False)
    for nothing in empty:
        assert read({**body(error=nothing), "error": nothing}).text == SAID


def test_what_a_provider_states_it_does_not_charge_is_not_charged() -> None:
    router = "m at openrouter"
    assert faults.charge(failure(body("error"), place=router)) == "nothing"
    assert faults.charge(failure(body(None, content="", usage=None), place="m at openrouter.ai/api")) == "nothing"
    assert faults.charge(failure(body(None), place=router)) == Usage(9, 6), "a text without an end is billed"
    assert faults.charge(failure({"error": {"code": 502}}, place=router)) == "worst case"
    assert faults.charge(failure(body("error"), place="m at notopenrouter.ai")) == Usage(9, 6)
    assert all(row.source.startswith("https://") and len(row.as_of) == 10 for row in faults.NOT_CHARGED)


ANTHROPIC = {
    "type": "message",
    "model": "claude",
    "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "The answer "}, {"type": "text", "text": "is 5."}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 9, "output_tokens": 6},
}  # fmt: skip
GOOGLE = {
    "modelVersion": "gemini",
    "candidates": [{"content": {"parts": [{"text": "hm", "thought": True}, {"text": SAID}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 6, "thoughtsTokenCount": 4, "totalTokenCount": 19},
}


def test_anthropics_and_googles_bodies_are_read_as_they_are() -> None:
    claude, gemini = read(ANTHROPIC), read(GOOGLE)
    assert (claude.text, claude.finish, claude.usage, claude.model_reported) == (SAID, "stop", Usage(9, 6), "claude")
    assert (gemini.text, gemini.finish, gemini.model_reported) == (SAID, "stop", "gemini")
    assert gemini.usage == Usage(9, 10, reasoning_tokens=4)
    for word, finish in (("max_tokens", "length"), ("refusal", "filter")):
        assert read({**ANTHROPIC, "stop_reason": word}).finish == finish
    for odd in (None, "pause_turn", "tool_use"):
        assert failure({**ANTHROPIC, "stop_reason": odd}).kind == "unfinished"
    assert (
        read({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 9}}).finish == "filter"
    )
    assert failure({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}).kind == "server"


def test_a_content_in_parts_is_joined_and_its_thoughts_are_left_apart() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Answer: 9"}]},
        {"type": "text", "text": "The answer "},
        {"type": "reasoning", "text": "Answer: 8"},
        "is ",
        {"type": "output_text", "text": "5."},
    ]
    assert read(body(content=parts)).text == SAID
    refused = read(body(content=[{"type": "refusal", "refusal": "No."}]))
    assert (refused.text, refused.finish) == ("No.", "filter")
    assert failure(body(content=[5])).kind == failure(body(content=5)).kind == "malformed"


@pytest.mark.parametrize(
    ("message", "more", "finish"),
    [
        ({"content": None, "refusal": "No."}, {}, "stop"),
        ({"content": " \n", "provider_specific_fields": {"refusal": "No."}}, {}, "stop"),
        ({"content": ""}, {"native_finish_reason": "SAFETY"}, "stop"),
        ({"content": ""}, {"provider_specific_fields": {"native_finish_reason": "SAFETY"}}, "stop"),
        ({"content": "Half a"}, {}, "content_filter"),
    ],
)
def test_a_withheld_reply_is_never_a_finished_one(message: dict[str, Any], more: dict[str, Any], finish: str) -> None:
    sent = body(finish, **more)
    sent["choices"][0]["message"] = message
    assert read(sent).finish == "filter"


class Dumped:
    """litellm's object: OpenAI's shape, with a stop for whatever it does not know."""

    def __init__(self, sent: dict[str, Any]) -> None:
        self._sent = sent

    def model_dump(self) -> dict[str, Any]:
        return self._sent


@pytest.mark.parametrize(
    ("sent", "read_as", "finish"),
    [
        ({"message": {"content": SAID}, "done_reason": "stop"}, "stop", "stop"),
        ({"output": {}, "stopReason": "max_tokens"}, "length", "length"),
        ({"output": {}, "stopReason": "guardrail_intervened"}, "content_filter", "filter"),
        ({"output": {}, "stopReason": "odd"}, "stop", None),
        (None, "stop", "stop"),
        (None, "length", "length"),
    ],
)
def test_litellms_reading_stands_in_for_a_body_of_another_shape(sent: object, read_as: str, finish: str | None) -> None:
    told = None if sent is None else json.dumps(sent)
    expected = Expected(request(), BOUND, "m at h")
    if finish is None:
        with pytest.raises(ProviderError, match="odd"):
            replies.completion(Dumped(body(read_as)), expected, told)
    else:
        done = replies.completion(Dumped(body(read_as)), expected, told)
        assert (done.text, done.finish) == (SAID, finish)


U = Usage
USAGES: list[tuple[dict[str, Any], Usage]] = [
    # OpenAI's own, and what says the total of more than its parts.
    ({"prompt_tokens": 9, "completion_tokens": 6}, U(9, 6)),
    ({"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 40}, U(9, 31, reasoning_tokens=25)),
    ({"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 40, "reasoning_tokens": 25}, U(9, 31, reasoning_tokens=25)),
    ({"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 15, "completion_tokens_details": {"reasoning_tokens": 2}}, U(9, 6, reasoning_tokens=2)),
    ({"prompt_tokens": 9, "completion_tokens": 0, "total_tokens": 39, "reasoning_tokens": 30}, U(9, 30, reasoning_tokens=30)),
    ({"prompt_tokens": 9, "completion_tokens": 6, "reasoning_tokens": 30}, U(9, 36, reasoning_tokens=30)),
    ({"completion_tokens": 6, "reasoning_tokens": 30}, U(BOUND, 36, reasoning_tokens=30, estimated=True)),
    # Anthropic's words, Google's, Bedrock's.
    ({"input_tokens": 9, "output_tokens": 6}, U(9, 6)),
    ({"input_tokens": 9, "output_tokens": 6, "cache_read_input_tokens": 50, "cache_creation_input_tokens": 20}, U(79, 6, 50, 20)),
    ({"inputTokens": 9, "outputTokens": 6, "cacheReadInputTokens": 50, "totalTokens": 65}, U(59, 6, 50)),
    # Cache within the prompt, beside it, and only in part beside it.
    ({"prompt_tokens": 59, "completion_tokens": 6, "total_tokens": 65, "prompt_tokens_details": {"cached_tokens": 50}}, U(59, 6, 50)),
    ({"prompt_tokens": 59, "completion_tokens": 6, "total_tokens": 65, "cache_read_input_tokens": 50}, U(59, 6, 50)),
    ({"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 65, "cache_read_input_tokens": 50}, U(59, 6, 50)),
    ({"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 95, "cache_read_input_tokens": 50}, U(59, 36, 50, reasoning_tokens=30)),
    ({"prompt_tokens": 100, "completion_tokens": 6, "total_tokens": 150, "prompt_tokens_details": {"cached_tokens": 80}}, U(100, 50, 80, reasoning_tokens=44)),
    ({"prompt_cache_hit_tokens": 64, "prompt_tokens": 70, "completion_tokens": 6, "total_tokens": 76}, U(70, 6, 64)),
    # One part and the total.
    ({"prompt_tokens": 9, "total_tokens": 15}, U(9, 6)),
    ({"completion_tokens": 6, "total_tokens": 15}, U(9, 6)),
    # Numbers as text, and what was left null.
    ({"prompt_tokens": "9", "completion_tokens": "6", "total_tokens": None}, U(9, 6)),
]  # fmt: skip


@pytest.mark.parametrize(("reported", "usage"), USAGES)
def test_usage_is_read_in_every_dialect_and_its_parts_sum_to_the_total(reported: dict[str, Any], usage: Usage) -> None:
    text = "" if reported.get("completion_tokens") == 0 else SAID
    done = read(body(usage=reported, content=text)).usage
    assert done == usage
    total = reported.get("total_tokens") or reported.get("totalTokens")
    assert total is None or done.input_tokens + done.output_tokens == total


def test_a_total_alone_is_split_by_our_own_count_and_says_so() -> None:
    done = read(body(usage={"total_tokens": 30})).usage
    assert done.estimated and done.input_tokens + done.output_tokens == 30
    thought = read(body(usage={"total_tokens": 500})).usage
    assert thought.estimated and (thought.input_tokens, thought.output_tokens) == (BOUND, 380)


@pytest.mark.parametrize(
    "reported",
    [
        {"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 12},
        {"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": -1},
        {"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 15, "cache_read_input_tokens": 50},
    ],
)
def test_a_total_below_its_parts_is_ignored_and_said(reported: dict[str, Any]) -> None:
    remarks: list[str] = []
    done = read(body(usage=reported), remarks=remarks).usage
    assert (done.input_tokens, done.output_tokens, done.estimated) == (
        9 + reported.get("cache_read_input_tokens", 0),
        6,
        False,
    )
    assert len(remarks) == 1 and "total below" in remarks[0]


@pytest.mark.parametrize(
    ("cost", "pusd"),
    [
        (0.00012345, 123_450_000),
        ("0.00012345", 123_450_000),
        ("$0.5", 500_000_000_000),
        ({"total_cost": 0.5, "input_tokens_cost": 0.2}, 500_000_000_000),
        ({"input_cost": 0.25, "output_cost": "0.25"}, 500_000_000_000),
        ({"currency": "USD"}, None),
        ("plenty", None),
        (True, None),
        (-1, None),
        (float("nan"), None),
        ([1], None),
    ],
)
def test_a_cost_is_read_as_number_text_or_object(cost: object, pusd: int | None) -> None:
    assert read(body(usage={**USED, "cost": cost})).provider_cost_pusd == pusd


HOSTILE: list[object] = [
    [], None, 5, {}, {"choices": {}}, {"choices": [[]]}, {"choices": [{"message": []}]}, {"candidates": 5}, {"content": 5},
    body(usage=[]), body(usage="x"), body(usage={"prompt_tokens": {}}), body(usage={"prompt_tokens": 1e400}),
    body(usage={"completion_tokens_details": 7, "prompt_tokens": True}), {"error": [1]}, {"candidates": [{"content": {"parts": 5}, "finishReason": "STOP"}]},
]  # fmt: skip


@pytest.mark.parametrize("sent", HOSTILE)
def test_whatever_else_is_sent_is_one_sentence(sent: object) -> None:
    error = failure(sent)
    assert error.kind == "malformed" and str(error).isprintable() and str(error).endswith(".")


def test_a_key_in_a_word_or_an_error_is_never_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", "Zq7planted9key")
    for sent in (body("Zq7planted9key"), {"error": {"code": 500, "message": "bad key Zq7planted9key"}}):
        assert "planted9" not in str(failure(sent))


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        ({"error": {"code": 429, "message": "slow"}}, "rate_limit"),
        ({"error": {"code": 502, "message": "gone"}, "choices": []}, "server"),
        ({"error": {"message": "who knows"}, "choices": None}, "unfinished"),
        (body(None), "unfinished"),
        (body("stop", error={"code": 503, "message": "cut off"}), "server"),
    ],
)
def test_a_failure_inside_a_200_reaches_us_through_the_wire(provider: Provider, sent: object, kind: str) -> None:
    provider.faults.append(Fault("body", {"body": json.dumps(sent)}))
    with pytest.raises(ProviderError) as caught:
        asyncio.run(endpoint(provider).complete(request()))
    assert caught.value.kind == kind


def test_usage_in_another_dialect_reaches_us_through_the_wire(provider: Provider) -> None:
    reported = {"input_tokens": 9, "output_tokens": 6, "cost": {"total_cost": "0.5"}}
    sent = body(usage=reported, content=[{"type": "text", "text": SAID}])
    provider.faults.append(Fault("body", {"body": json.dumps(sent)}))
    done = asyncio.run(endpoint(provider).complete(request()))
    assert (done.text, done.usage, done.provider_cost_pusd) == (SAID, Usage(9, 6), 500_000_000_000)


WINDOWS = [
    ("This model's maximum context length is 4097 tokens, however you requested 5000 tokens (4000 in your prompt; 1000 for the completion).", 97),
    ("'max_tokens' or 'max_completion_tokens' is too large: 256. This model's maximum context length is 200 tokens and your request has 50 input tokens (256 > 200 - 50).", 150),
    ("You passed 97 input tokens and requested 256 output tokens. However, the model's context length is only 200 tokens, resulting in a maximum input length of 0 tokens.", 103),
    ("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. Given: 3000 `inputs` tokens and 2000 `max_new_tokens`", 1097),
    ("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length", 10000),
    ("Requested token count exceeds the model's maximum context length of 4096 tokens. You requested a total of 4200 tokens: 4000 tokens from the input messages and 200 tokens for the completion.", 96),
    ("This model's maximum context length is 200 tokens. However, you requested 306 tokens.", 150),
    ("prompt is too long: 208310 tokens > 200000 maximum", 0),
    ("The input token count (1000001) exceeds the maximum number of tokens allowed (1000000).", 0),
    ("request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it", 0),
    ("Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length", 0),
    ("too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000.", 0),
    ("This model's maximum prompt length is 131072 but the request contains 150000 tokens.", 0),
    ("Input tokens exceed the configured limit of 272,000 tokens. Your messages resulted in 300,001 tokens.", 0),
    ("Range of input length should be [1, 30720]", 0),
    ("Input is too long for requested model.", 0),
    ("Invalid request: Your request exceeded model token limit: 8192 (requested: 8300)", 148),
    ("The maximum context length of Meta-Llama-3 is 8192. However, answering your request will take 8300 tokens.", 148),
    ("The sum of prompt length (4000.0), query length (0) max_tokens (256) should not exceed max_num_tokens (4096)", 96),
    ("`prompt_tokens` + `max_tokens` (4000 + 256 = 4256) exceeds the max_seq_len 4096", 96),
    ("The decoder prompt (length 5000) is longer than the maximum model length of 4096.", 0),
    ("Requested tokens (2300) exceed context window of 2048", 0),
    ("Input length 5000 exceeds the maximum allowed token length of 4096", 0),
    ("Your input exceeds the context window of this model. Please adjust your input and try again.", 0),
    ("Prompt exceeds max length", 0),
    ("This model's maximum context length is 2048 tokens. However, you requested 256 output tokens and your prompt contains at least 1793 input tokens, for a total of at least 2049 tokens.", None),
    ("Please reduce the length of the messages or completion.", None),
    ("This endpoint's maximum context length is 8192 tokens. However, you requested about 9000 tokens (8000 of text input, 1000 in the output).", None),
]  # fmt: skip


@pytest.mark.parametrize(("words", "room"), WINDOWS)
def test_every_servers_words_for_a_full_window_say_what_room_is_left(words: str, room: int | None) -> None:
    error = faults.by_status(400, words, "", "m at h", None, 256)
    if room is None:
        assert error.kind == "refused" and "context_tokens" in str(error), "it might have fitted, so it is no end"
    else:
        assert isinstance(error, ContextOverflow) and error.room_tokens == room
        assert faults.charge(error) == "nothing"


def test_a_413_is_about_the_window_unless_it_is_about_a_pace() -> None:
    assert isinstance(faults.by_status(413, "<html>Request Entity Too Large</html>", "", "m at h"), ContextOverflow)
    paced = faults.by_status(413, "Request too large on tokens per minute (TPM): Limit 6000, Requested 8000", "", "m")
    assert paced.kind == "refused" and window.refusal(429, "Too many tokens, please wait", 5) is None
