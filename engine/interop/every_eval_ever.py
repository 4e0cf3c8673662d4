"""Every Eval Ever instance records (arXiv 2606.14516; JSON lines), the community format with converters from Inspect,
HELM and lm-eval.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from engine.core.records import Message
from engine.interop import ImportedAnswer, importer, logs


class Input(msgspec.Struct):
    """What was asked."""

    raw: str
    formatted: str | None = None
    reference: list[str] | str | None = None
    choices: list[str] | None = None


class Record(msgspec.Struct):
    """One sample of one evaluation by one model."""

    schema_version: str
    evaluation_id: str
    model_id: str
    evaluation_name: str
    sample_id: str | int
    input: Input
    evaluation: dict[str, Any]
    output: dict[str, Any] | None = None
    messages: list[dict[str, Any]] | None = None
    interaction_type: str = "single_turn"
    answer_attribution: list[dict[str, Any]] | None = None
    token_usage: dict[str, Any] | None = None
    performance: dict[str, Any] | None = None
    error: str | None = None
    metadata: dict[str, Any] | None = None
    evaluation_result_id: str | None = None


@importer("every_eval_ever")
class EveryEvalEver:
    """One file of instance records."""

    def reads(self, path: Path) -> bool:
        """By the fields of the first line."""
        needed = {"schema_version", "evaluation_id", "model_id", "evaluation_name", "sample_id"}
        return path.suffix == ".jsonl" and needed <= logs.first_line(path).keys()

    def answers(self, path: Path) -> Iterator[ImportedAnswer]:
        """Record by record."""
        for number, record in logs.lines(path, Record):
            if (answer := logs.attempt(logs.at_line(path.name, number), _answer, record)) is not None:
                yield answer


def calls_in(messages: list[dict[str, Any]]) -> int:
    """How many replies a conversation has.

    Several requests are told one behind the other, each as it was sent: one that begins as the first did is another,
    and what it repeats of an earlier one was not answered again."""
    turns = [(str(each.get("role")), logs.text_of(each.get("content"))) for each in messages]
    starts = [at for at, turn in enumerate(turns) if turn == turns[0] and (not at or turns[at - 1][0] == "assistant")]
    requests = [turns[start:end] for start, end in zip(starts, [*starts[1:], len(turns)], strict=True)]
    calls = 0
    for place, request in enumerate(requests):
        # Its last turn is a reply of its own, however often it was said before.
        shared = max((_shared(request[:-1], other) for other in requests[:place]), default=0)
        calls += sum(role == "assistant" for role, _ in request[shared:])
    return calls


def _shared(one: list[tuple[str, str]], other: list[tuple[str, str]]) -> int:
    """How many turns two conversations begin with alike."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _answer(record: Record) -> ImportedAnswer:
    usage, speed = record.token_usage or {}, record.performance or {}
    read = record.answer_attribution or []
    terminal = [each for each in read if each.get("is_terminal")] or read
    last = terminal[-1] if terminal else {}
    replies = (record.output or {}).get("raw")
    prompt = logs.prompt_of(record.messages)
    reply = replies[0] if isinstance(replies, list) and replies else replies
    if record.messages:
        said = [turn.content for turn in prompt if turn.role == "assistant"]
        reply = said[-1] if said else None
        prompt = prompt[:-1] if prompt and prompt[-1].role == "assistant" else prompt
    stated = str((record.metadata or {}).get("calls") or "")
    told = calls_in(record.messages) if record.messages else 1
    calls = int(stated) if stated.isdecimal() and len(stated) < 9 else told
    spend, unreported = logs.spend(
        {
            "calls": calls or None,
            "input_tokens": logs.count_of(usage.get("input_tokens")),
            "cached_tokens": logs.count_of(usage.get("input_tokens_cache_read")),
            "cache_write_tokens": logs.count_of(usage.get("input_tokens_cache_write")),
            "output_tokens": logs.count_of(usage.get("output_tokens")),
            "reasoning_tokens": logs.count_of(usage.get("reasoning_tokens")),
            "latency_ms": logs.count_of(speed.get("latency_ms", speed.get("generation_time_ms"))),
        }
    )
    score = logs.unit(record.evaluation.get("score"))
    if score is None and record.evaluation.get("score") is None:
        score = logs.unit(record.evaluation.get("is_correct"))
    reference = record.input.reference
    answer = last.get("extracted_value")
    method = last.get("extraction_method")
    return ImportedAnswer(
        tool="every_eval_ever",
        # Two settings of one model are told apart where the records name them, as ours do.
        setting=str((record.metadata or {}).get("setting") or record.interaction_type),
        model=record.model_id,
        question=record.input.raw,
        target=reference if isinstance(reference, str) else " | ".join(reference or ()) or None,
        answer=str(answer) if answer not in (None, "") else reply if isinstance(reply, str) and reply else None,
        score=None if record.error else score,
        scorer=str(method) if method else None,
        spend=spend,
        error=record.error or None,
        unreported=unreported,
        task=record.evaluation_name,
        log=record.evaluation_id,
        sample=f"{record.evaluation_result_id or ''}/{record.sample_id}",
        options=tuple(record.input.choices or ()),
        prompt=prompt or (Message("user", record.input.formatted or record.input.raw),),
        reply=reply if isinstance(reply, str) else None,
    )
