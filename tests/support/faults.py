"""The ways in which the test provider can misbehave, how each looks on the wire, and the list that suites walk.

A mode is a fault that comes back with every reply. To join `MODES`, which the suite and the bench of money walk: append
a `Mode` with a name and the `Fault`.
"""

from __future__ import annotations

import gzip
import json
import re
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

DIRECTIVE = re.compile(r"\[\[fault:(\w+)((?: \w+=\S+?)*)\]\]")
SAID: dict[str, str | bytes] = {
    "redirect": "",
    "redirect_get": "",
    "bad_json": '{"id": "x", "choices": [',
    "not_object": "[1, 2]",
    "null_body": "null",
    "empty_body": "",
    "page": "<html><body>Please log in</body></html>",
    "bad_utf8": b'{"choices": [{"message": {"content": "\xff\xfe"}}]}',
    "gzip_bomb": gzip.compress(bytes(64 * 2**20)),
    "not_gzip": "plain after all",
    "garbage": b"\x00\x01 this is not HTTP\r\n\r\n",
    "cut_head": b"HTTP/1.1 200 OK\r\nContent-Ty",
    "cut_body": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{",
}
"""Bodies that are no chat completion, or (the last three) not even HTTP."""
USAGES: dict[str, object] = {
    "null_usage": None,
    "list_usage": [1, 2],
    "word_usage": "plenty",
    "negative_usage": {"completion_tokens": -5},
    "huge_usage": {"completion_tokens": 10**9},
    "huge_prompt": {"prompt_tokens": 10**9},
    "float_usage": {"completion_tokens": 1e30},
    "half_usage": {"completion_tokens": 2.5},
    "nan_usage": {"completion_tokens": float("nan")},
    "endless_usage": {"completion_tokens": float("inf")},
    "text_usage": {"completion_tokens": "many"},
    "bool_usage": {"completion_tokens": True},
    "zero_usage": {"completion_tokens": 0},
    "huge_reasoning": {
        "total_tokens": 10**30 + 20,
        "prompt_tokens": 10,
        "completion_tokens": 10,
        "completion_tokens_details": {"reasoning_tokens": 10**30},
    },
    "details": {
        "prompt_tokens_details": {"cached_tokens": 3, "cache_creation_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 2},
    },
}
"""What some faults say instead of the true usage."""
CONTENTS: dict[str, object] = {
    "null_content": None,
    "list_content": [{"type": "text", "text": "hm"}],
    "number_content": 5,
    "surrogates": "lone \ud800 and \udfff here",
    "controls": "nul \x00 bell \x07 rtl \u202e end",
}
"""What some faults say instead of the text."""
CHOICES: dict[str, object] = {
    "empty_choices": [],
    "null_choices": None,
    "null_choice": [None],
    "text_choices": "yes",
    "no_message": [{"index": 0, "finish_reason": "stop"}],
}
KINDS = (
    "429",
    "400",
    "401",
    "403",
    "404",
    "408",
    "409",
    "413",
    "422",
    "499",
    "500",
    "502",
    "503",
    "504",
    "524",
    "529",
    "context",
    "policy",
    "no_money",
    "odd_error",
    "cut",
    "hang",
    "slow",
    "drip",
    *SAID,
    *USAGES,
    "no_usage",
    *CONTENTS,
    *CHOICES,
    "over_cap",
    "long_text",
    "too_much_text",
    "other_model",
    "odd_names",
    "no_model",
    "cost",
    "refusal",
    "filter",
    "finish",
    "body",
    "gzip",
)


@dataclass(frozen=True)
class Fault:
    """One act of rudeness; `options` refine it (retry_after, message, cost, seconds, to, size, word, said, body, status).

    `body` is a whole body as JSON text, sent with `status` (200).
    """

    kind: str
    options: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(KINDS)}")

    @property
    def seconds(self) -> float:
        """How long a slow reply takes."""
        return float(self.options.get("seconds", 0.2))


def fault_in(text: str) -> Fault | None:
    """The directive in a prompt, if there is one."""
    found = DIRECTIVE.search(text)
    if not found:
        return None
    pairs = (pair.partition("=") for pair in found.group(2).split())
    return Fault(found.group(1), {name: value for name, _, value in pairs})


def shaped(fault: Fault, reply: dict[str, Any]) -> tuple[int, dict[str, str], object]:
    """Status, headers and body of a rude answer."""
    if fault.kind.isdigit():
        return _refusal(fault)
    if fault.kind == "body":
        whole = fault.options.get("body") or json.dumps(_error("the server behind us failed", "error", "502"))
        return int(fault.options.get("status", "200")), {}, whole
    if fault.kind == "context":
        text = "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens."
        return 400, {}, _error(text, "invalid_request_error", "context_length_exceeded")
    if fault.kind == "policy":
        text = "Your request was rejected as a result of our safety system."
        return 400, {}, _error(text, "invalid_request_error", "content_policy_violation")
    if fault.kind == "odd_error":
        return 500, {}, _error("\ud800 \x1b[31m\x00 Bearer sk-planted-0123456789", "error", "500")
    if fault.kind == "no_money":
        return 429, {}, _error("You exceeded your current quota.", "insufficient_quota", "insufficient_quota")
    if fault.kind.startswith("redirect"):
        return 302 if fault.kind == "redirect_get" else 307, {"Location": fault.options.get("to", "/elsewhere")}, ""
    if fault.kind in SAID:
        return 200, _dressed(fault.kind), SAID[fault.kind]
    bent = _bent(fault, deepcopy(reply))
    if fault.kind == "gzip":
        return 200, {"Content-Encoding": "gzip"}, gzip.compress(json.dumps(bent).encode())
    return 200, {}, bent


def _dressed(kind: str) -> dict[str, str]:
    if "gzip" in kind:
        return {"Content-Encoding": "gzip"}
    return {"Content-Type": "text/html"} if kind == "page" else {}


def _refusal(fault: Fault) -> tuple[int, dict[str, str], object]:
    status = int(fault.kind)
    if status == 502:
        page = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
        return 502, {"Content-Type": "text/html"}, page
    headers = {"Retry-After": fault.options["retry_after"]} if "retry_after" in fault.options else {}
    return status, headers, _error(fault.options.get("message", f"status {status} on request"), "error", str(status))


def _error(message: str, kind: str, code: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _bent(fault: Fault, reply: dict[str, Any]) -> dict[str, Any]:
    choice = reply["choices"][0]
    if fault.kind in USAGES:
        told = USAGES[fault.kind]
        reply["usage"] = {**reply["usage"], **told} if isinstance(told, dict) else told
    elif fault.kind in CHOICES:
        reply["choices"] = CHOICES[fault.kind]
    elif fault.kind in CONTENTS:
        choice["message"]["content"] = CONTENTS[fault.kind]
    else:
        _twisted(fault, reply, choice)
    return reply


def _twisted(fault: Fault, reply: dict[str, Any], choice: dict[str, Any]) -> None:
    usage, size = reply["usage"], int(fault.options.get("size", 5_000_000))
    match fault.kind:
        case "no_usage":
            del reply["usage"]
        case "over_cap":
            choice["message"]["content"] += " and more" * 300
            usage["completion_tokens"] += 600
        case "long_text":
            choice["message"]["content"] = "a" * size
            del reply["usage"]
        case "too_much_text":
            choice["message"]["content"] = "word " * (size // 5)
        case "other_model":
            reply["model"] = "somebody-else"
        case "odd_names":
            reply |= {"model": "odd \ud800\x00 name", "system_fingerprint": "\udfff" * 300}
        case "no_model":
            del reply["model"]
        case "cost":
            usage["cost"] = float(fault.options.get("cost", "0.00012345"))
        case "refusal":
            choice["message"] |= {"content": None, "refusal": "I cannot help with that."}
        case "finish":
            choice["finish_reason"] = json.loads(fault.options.get("word", "null"))
            choice["message"]["content"] = fault.options.get("said", "")
        case "filter":
            choice["finish_reason"] = "content_filter"
            choice["message"]["content"] = ""


@dataclass(frozen=True)
class Mode:
    """One way to misbehave."""

    name: str
    fault: Fault


MODES: tuple[Mode, ...] = tuple(
    Mode(fault.kind if not fault.options else f"{fault.kind} {fault.options}", fault)
    for fault in (
        *(Fault(kind) for kind in ("huge_usage", "huge_reasoning", "huge_prompt", "zero_usage", "negative_usage")),
        *(Fault(kind) for kind in ("half_usage", "details", "over_cap", "cost", "finish", "filter", "refusal", "body")),
        Fault("cost", {"cost": "0.5"}),
        # Tried again for a while, so these take longest.
        *(Fault(kind) for kind in ("cut_body", "garbage", "bad_json", "empty_body", "page", "no_usage", "null_usage")),
        *(Fault(kind) for kind in ("500", "502", "503", "504", "524", "408", "499", "429", "400", "cut", "cut_head")),
    )
)
"""At least 24."""
