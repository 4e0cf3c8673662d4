"""The ways in which the test provider can misbehave, and how each looks on the wire."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

DIRECTIVE = re.compile(r"\[\[fault:(\w+)((?: \w+=\S+?)*)\]\]")
KINDS = (
    "429", "400", "401", "404", "500", "502", "503", "bad_json", "not_object", "cut", "cut_body", "hang", "slow",
    "empty_choices", "null_content", "list_content", "no_usage", "null_usage", "negative_usage", "huge_usage",
    "text_usage", "over_cap", "other_model", "context", "policy", "details", "cost",
)  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """One act of rudeness; `options` refine it (retry_after, message, cost, seconds)."""

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
    if fault.kind == "context":
        text = "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens."
        return 400, {}, _error(text, "invalid_request_error", "context_length_exceeded")
    if fault.kind == "policy":
        text = "Your request was rejected as a result of our safety system."
        return 400, {}, _error(text, "invalid_request_error", "content_policy_violation")
    if fault.kind == "bad_json":
        return 200, {}, '{"id": "x", "choices": ['
    if fault.kind == "not_object":
        return 200, {}, "[1, 2]"
    return 200, {}, _bent(fault, deepcopy(reply))


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
    usage, choice = reply["usage"], reply["choices"][0]
    match fault.kind:
        case "empty_choices":
            reply["choices"] = []
        case "null_content":
            choice["message"]["content"] = None
        case "list_content":
            choice["message"]["content"] = [{"type": "text", "text": "hm"}]
        case "no_usage":
            del reply["usage"]
        case "null_usage":
            reply["usage"] = None
        case "negative_usage":
            usage["completion_tokens"] = -5
        case "huge_usage":
            usage["completion_tokens"] = 10**9
        case "text_usage":
            usage["completion_tokens"] = "many"
        case "over_cap":
            choice["message"]["content"] += " and more" * 300
            usage["completion_tokens"] += 600
        case "other_model":
            reply["model"] = "somebody-else"
        case "details":
            usage["prompt_tokens_details"] = {"cached_tokens": 3, "cache_creation_tokens": 2}
            usage["completion_tokens_details"] = {"reasoning_tokens": 2}
        case "cost":
            usage["cost"] = float(fault.options.get("cost", "0.00012345"))
    return reply
