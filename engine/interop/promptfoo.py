"""promptfoo results: the `.json` that `promptfoo eval --output results.json` writes.

A setting is a prompt with a provider.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from engine.interop import ImportedAnswer, importer, logs
from engine.interop.tally import Tally

LONGEST_LABEL = 40
"""Characters of a name that somebody gave."""


class Results(msgspec.Struct):
    """All results, one by one."""

    results: list[msgspec.Raw]
    timestamp: str | None = None


class Output(msgspec.Struct):
    """The file."""

    results: Results
    evalId: str | None = None
    config: dict[str, Any] = {}


class Result(msgspec.Struct):
    """One prompt with one test's variables, answered by one provider."""

    provider: Any
    prompt: dict[str, Any]
    vars: dict[str, Any] = {}
    response: dict[str, Any] | None = None
    score: float | None = None
    success: bool | None = None
    error: str | None = None
    failureReason: int | None = None
    gradingResult: dict[str, Any] | None = None
    latencyMs: float | None = None
    tokenUsage: dict[str, Any] | None = None
    testIdx: int | None = None
    testCase: dict[str, Any] = {}


class Tested(msgspec.Struct):
    """What a result was held to."""

    testCase: dict[str, Any] = {}


@importer("promptfoo")
class Promptfoo:
    """One file of results."""

    def reads(self, path: Path) -> bool:
        """By the keys of its beginning, or of its first line."""
        if path.suffix == ".jsonl":
            return {"provider", "prompt", "vars", "testCase"} <= logs.first_line(path).keys()
        return path.suffix == ".json" and logs.begins_with(path, b'"results"', b'"provider"', b'"vars"')

    def answers(self, path: Path) -> Iterator[ImportedAnswer]:
        """Result by result; the same test asked again is a repeat."""
        # By hash: the questions of a log may be larger than the memory.
        repeats = Tally()
        if path.suffix == ".jsonl":
            scorer = _scorer(result.testCase for _, result in logs.lines(path, Tested))
            for number, line in logs.lines(path, Result):
                answer = logs.attempt(logs.at_line(path.name, number), _answer, Output(Results([])), line, scorer)
                if answer is not None:
                    yield _repeated(answer, repeats)
            return
        with logs.mapped(path) as content:
            output = logs.decoded(content, Output, f"{path.name!r}")
            rows = output.results.results
            scorer = _scorer(map(_case, logs.elements(content, rows)))
            for place, raw in enumerate(logs.elements(content, rows)):
                where = f"{path.name!r}, result {place + 1},"
                if (result := logs.attempt(where, logs.decoded, raw, Result, where)) is None:
                    continue
                if (answer := logs.attempt(where, _answer, output, result, scorer)) is not None:
                    yield _repeated(answer, repeats)


def _repeated(answer: ImportedAnswer, repeats: Tally) -> ImportedAnswer:
    return replace(answer, repeat=repeats.add(hash((answer.model, answer.setting, answer.question))))


def _case(row: msgspec.Raw) -> dict[str, Any]:
    try:
        return msgspec.json.decode(row, type=Tested).testCase
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Told, with its place, where the result itself is read.
        return {}


def _asserts(case: dict[str, Any]) -> list[dict[str, Any]]:
    found = case.get("assert")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _scorer(cases: Iterable[dict[str, Any]]) -> str | None:
    """All kinds of assertions of a file: a test has some of them, and its setting is one whatever they are."""
    named = (str(each.get("type")) for case in cases for each in _asserts(case))
    return ", ".join(dict.fromkeys(named)) or None


def _answer(output: Output, result: Result, scorer: str | None) -> ImportedAnswer:
    response = result.response or {}
    usage = logs.fields_of(response.get("tokenUsage") or result.tokenUsage)
    provider = result.provider if isinstance(result.provider, dict) else {"id": result.provider}
    said = response.get("output")
    reply = said if isinstance(said, str) else None if said is None else json.dumps(said, ensure_ascii=False)
    # failureReason 2 is theirs for an error, 1 for an assertion that failed, which is a wrong answer.
    failed = result.failureReason == 2 or (result.response is None and bool(result.error))
    details = logs.fields_of(usage.get("completionDetails"))
    given, cached = logs.count_of(usage.get("prompt")), logs.count_of(usage.get("cached"))
    # A reply from promptfoo's own cache reports all its tokens as cached and none of what it took.
    replayed = bool(response.get("cached"))
    spend, unreported = logs.spend(
        {
            "calls": logs.count_of(usage.get("numRequests")) or (None if failed else 1),
            "input_tokens": None if replayed and not given else given,
            "cached_tokens": None if replayed else cached,
            "output_tokens": None if replayed and not given else logs.count_of(usage.get("completion")),
            "reasoning_tokens": logs.count_of(details.get("reasoning")),
            "latency_ms": None if replayed else logs.count_of(result.latencyMs),
        }
    )
    raw = str(result.prompt.get("raw") or "")
    label = str(result.prompt.get("label") or "prompt")
    # Who gives a prompt no label has its very text for one.
    setting = label if len(label) <= LONGEST_LABEL and "{{" not in label else logs.named_by(label, "prompt")
    # Of one variable its value, which is the same in every prompt.
    told: Any = next(iter(result.vars.values())) if len(result.vars) == 1 else result.vars
    question = told if isinstance(told, str) else json.dumps(told, ensure_ascii=False, sort_keys=True)
    expected = [str(each["value"]) for each in _asserts(result.testCase) if each.get("value") is not None]
    return ImportedAnswer(
        tool="promptfoo",
        setting=setting,
        model=str(provider.get("id") or provider.get("label") or "unknown").replace(":", "/", 1),
        question=question if result.vars else raw,
        target=" | ".join(expected) or None,
        answer=reply or None,
        score=None if failed else logs.unit(result.score if result.score is not None else result.success),
        scorer=scorer,
        spend=spend,
        answered_at=logs.moment(output.results.timestamp),
        error=(result.error or "the provider failed") if failed else None,
        unreported=unreported,
        task=str(output.config.get("description") or ""),
        log=output.evalId or "",
        sample="" if result.testIdx is None else str(result.testIdx),
        prompt=logs.chat_of(raw),
        reply=reply,
        cut=response.get("finishReason") == "length",
    )
