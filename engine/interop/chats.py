"""OpenAI-style chat logs: JSON lines with a request's `messages` and the response's `choices` and `usage`, as one's own
application or a proxy writes them. A line may also hold both in `request` and `response`, or in a `body` of each, as
batches do.

`target` and `score` (0 to 1), where a line has them, are the question's answer and the log's own score. Without a score
an answer comes in unscored, and stands in no figure until somebody scores it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from engine.core.errors import UsageError
from engine.interop import ImportedAnswer, importer, logs
from engine.interop.tally import Tally

_ASKED = ("temperature", "top_p", "max_tokens", "max_completion_tokens", "reasoning_effort")


class Line(msgspec.Struct):
    """One exchange."""

    messages: list[dict[str, Any]] | None = None
    model: str | None = None
    choices: list[dict[str, Any]] | None = None
    usage: dict[str, Any] | None = None
    request: dict[str, Any] | None = None
    response: dict[str, Any] | None = None
    id: str | int | None = None
    created: Any = None
    latency_ms: float | None = None
    target: Any = None
    answer: str | int | float | None = None
    score: float | bool | None = None
    scorer: str | None = None
    task: str | None = None
    setting: str | None = None
    category: str | None = None
    error: Any = None


@importer("chat")
class Chats:
    """One file of exchanges."""

    def reads(self, path: Path) -> bool:
        """By the first line: messages, in itself or in its request."""
        line = logs.first_line(path) if path.suffix in (".jsonl", ".ndjson") else {}
        request, response = _body(line.get("request")), _body(line.get("response"))
        messages = line.get("messages") or request.get("messages")
        return (
            (isinstance(messages, list) and bool(line.keys() & {"choices", "response", "model"} or request))
            # What a batch brought back; that it lacks what was asked is for who reads it to say.
            or isinstance(response.get("choices"), list)
        )

    def answers(self, path: Path) -> Iterator[ImportedAnswer]:
        """Line by line; the same question again is a repeat."""
        # By hash: the questions of a log may be larger than the memory.
        repeats = Tally()
        for number, line in logs.lines(path, Line):
            # Left out or an error, as the import was told.
            answer = logs.attempt(where := logs.at_line(path.name, number), _answer, line, where)
            if answer is None:
                continue
            repeat = repeats.add(hash((answer.model, answer.setting, answer.question, answer.target)))
            yield replace(answer, repeat=repeat) if repeat else answer


def _body(told: Any) -> dict[str, Any]:
    """A request or a response, which a batch has inside of what it says of sending it."""
    told = logs.fields_of(told)
    return told if told.keys() & {"messages", "choices"} else logs.fields_of(told.get("body", told))


def _answer(line: Line, where: str) -> ImportedAnswer:
    request, response = _body(line.request), _body(line.response)
    messages = line.messages or request.get("messages")
    if messages is None and response:
        raise UsageError(
            f"{where} has a reply and not what was asked; add `messages`, of a batch those of the same `custom_id`."
        )
    turns = logs.prompt_of(messages)
    choices = line.choices or response.get("choices")
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = first.get("message")
    reply = logs.text_of(message.get("content")) if isinstance(message, dict) else None
    if reply is None and turns and turns[-1].role == "assistant":
        # A stored chat whose last turn is the reply.
        reply, turns = turns[-1].content, turns[:-1]
    if "user" not in [turn.role for turn in turns]:
        raise UsageError(f"{where} has no message of a user; every line needs `messages` with a question.")
    # What was asked for before what answered: a reply often names a dated version.
    model = line.model or request.get("model") or response.get("model")
    if not model:
        raise UsageError(f"{where} names no model; add `model`.")
    usage = logs.fields_of(line.usage or response.get("usage"))
    # One interface of theirs counts a prompt and a completion, the later one input and output.
    sent, said = ("input", "output") if "input_tokens" in usage else ("prompt", "completion")
    given = logs.fields_of(usage.get(f"{sent}_tokens_details"))
    taken = logs.fields_of(usage.get(f"{said}_tokens_details"))
    spend, unreported = logs.spend(
        {
            "calls": 1,
            "input_tokens": logs.count_of(usage.get(f"{sent}_tokens")),
            "cached_tokens": logs.count_of(given.get("cached_tokens")),
            "output_tokens": logs.count_of(usage.get(f"{said}_tokens")),
            "reasoning_tokens": logs.count_of(taken.get("reasoning_tokens")),
            "latency_ms": logs.count_of(line.latency_ms),
        }
    )
    if line.score is not None and logs.unit(line.score) is None:
        raise UsageError(f"{where} has a score of {line.score:g}; a score is from 0 to 1.")
    error = line.error or response.get("error")
    error = error.get("message") or error if isinstance(error, dict) else error
    # Another system prompt is another setting, unless the log names one itself.
    system = [turn.content for turn in turns if turn.role == "system"]
    return ImportedAnswer(
        tool="chat",
        setting=line.setting or (logs.named_by("\n".join(system), "system prompt") if system else "chat"),
        model=str(model),
        question="\n\n".join([turn.content for turn in turns if turn.role != "system"]),
        target=None if line.target is None else str(line.target),
        answer=reply or None if line.answer in (None, "") else str(line.answer),
        score=None if error else logs.unit(line.score),
        scorer=line.scorer,
        spend=spend,
        answered_at=logs.moment(line.created or response.get("created")),
        error=str(error) if error else None,
        unreported=unreported,
        task=line.task or "",
        sample="" if line.id is None else str(line.id),
        category=line.category,
        parameters=logs.parameters({name: request[name] for name in _ASKED if name in request}),
        prompt=turns,
        reply=reply,
        cut=first.get("finish_reason") == "length",
    )
