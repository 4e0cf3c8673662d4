"""Inspect (inspect-ai) logs: `.json`, and `.eval` archives with a header and one member a sample, as it documents them.

Read by schema, so that inspect-ai need not be installed. Of a sample with several models only the usage of the
evaluated one is its spend: a grader's is nobody's budget.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from engine.core.errors import UsageError, shortened
from engine.core.records import Spend
from engine.interop import ImportedAnswer, importer, logs

LETTERS = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
"""Inspect's values: correct, incorrect, partial, no answer."""
_WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
_CONFIG = ("temperature", "top_p", "max_tokens", "reasoning_effort", "reasoning_tokens", "seed")


class Step(msgspec.Struct):
    """A solver of the plan."""

    solver: str = ""


class Plan(msgspec.Struct):
    """What was done with every sample."""

    steps: list[Step] = []
    config: dict[str, Any] = {}


class Named(msgspec.Struct):
    """A scorer of the task."""

    name: str = ""


class Eval(msgspec.Struct):
    """What was evaluated."""

    model: str
    task: str
    eval_id: str = ""
    run_id: str = ""
    created: str = ""
    scorers: list[Named] | None = None
    model_generate_config: dict[str, Any] = {}


class Header(msgspec.Struct):
    """The top of a log; samples stand beside it in a `.json` and in members of a `.eval`."""

    eval: Eval
    plan: Plan = msgspec.field(default_factory=Plan)
    status: str = ""
    samples: list[msgspec.Raw] | None = None


class Event(msgspec.Struct):
    """What happened, as far as it says who was asked and whether a scorer did."""

    event: Any = None
    type: Any = None
    action: Any = None
    model: Any = None
    error: Any = None
    output: msgspec.Raw = msgspec.Raw(b"null")


class Asked(msgspec.Struct):
    """What a model said, as far as it was counted."""

    usage: dict[str, Any] | None = None


class Transcript(msgspec.Struct):
    """Where releases of 2024 have the events of a sample, and long texts."""

    events: list[Event] = []
    content: dict[str, str] = {}


class Sample(msgspec.Struct):
    """One sample in one epoch; of its events, which are most of it, little is read."""

    id: int | str
    epoch: int
    input: Any
    target: Any = None
    choices: list[str] | None = None
    messages: list[Any] = []
    output: dict[str, Any] = {}
    scores: dict[str, dict[str, Any]] | None = None
    score: dict[str, Any] | None = None
    """Of the first releases, which had one scorer."""
    metadata: dict[str, Any] = {}
    model_usage: dict[str, dict[str, Any]] = {}
    total_time: float | None = None
    working_time: float | None = None
    started_at: str | None = None
    error: dict[str, Any] | None = None
    limit: dict[str, Any] | None = None
    attachments: dict[str, str] = {}
    events: list[Event] = []
    transcript: Transcript | None = None

    def __post_init__(self) -> None:
        if self.scores is None and self.score is not None:
            self.scores = {"": self.score}
        if self.transcript is not None:
            self.events = self.events or self.transcript.events
            self.attachments = self.transcript.content | self.attachments


@importer("inspect")
class InspectLogs:
    """One log of Inspect."""

    def reads(self, path: Path) -> bool:
        """By the archive's members, or the first keys of the JSON."""
        if path.suffix == ".eval":
            return path.is_file() and logs.is_archive(path)
        keys = (b'"eval"', b'"created"', b'"task"', b'"model"', b'"plan"')
        return path.suffix == ".json" and logs.begins_with(path, *keys)

    def answers(self, path: Path) -> Iterator[ImportedAnswer]:
        """Sample by sample in the order of the log; of an archive in the order of ids and epochs."""
        if path.suffix == ".eval":
            yield from self._archived(path)
            return
        with logs.mapped(path) as content:
            header = logs.decoded(content, Header, f"{path.name!r}")
            for place, raw in enumerate(logs.elements(content, header.samples or ())):
                where = f"{path.name!r}, sample {place + 1},"
                sample = logs.attempt(where, logs.decoded, raw, Sample, where)
                if sample is not None and (answer := logs.attempt(where, answer_of, header, sample)) is not None:
                    yield answer

    def _archived(self, path: Path) -> Iterator[ImportedAnswer]:
        with logs.Archive(path) as archive:
            if "header.json" not in archive.names:
                raise UsageError(
                    f"{path.name!r} has no header.json: the evaluation was not finished; run it to its end."
                )
            header = logs.decoded(archive.read("header.json"), Header, f"{path.name!r}, header.json,")
            # Of a name that stands twice the archive means the last.
            for name in sorted({name for name in archive.names if name.startswith("samples/")}):
                where = f"{path.name!r}, {shortened(name)},"
                content = logs.attempt(where, archive.read, name) if name.endswith(".json") else None
                sample = None if content is None else logs.attempt(where, logs.decoded, content, Sample, where)
                if sample is not None and (answer := logs.attempt(where, answer_of, header, sample)) is not None:
                    yield answer


def answer_of(header: Header, sample: Sample) -> ImportedAnswer:
    """One sample as an answer; its first scorer is the one that counts."""

    def whole(text: str) -> str:
        # Long texts of a log stand once, apart, and are named where they were.
        key = text.removeprefix("attachment://")
        return sample.attachments.get(key, text) if key != text else text

    evaluated = header.eval
    scorer, scored = next(iter((sample.scores or {}).items()), (None, {}))
    if not scorer and evaluated.scorers:
        # One that failed was scored by nobody, and belongs to the setting of the others.
        scorer = evaluated.scorers[0].name.rpartition("/")[2] or None
    value = scored.get("value")
    answered = scored.get("answer")
    reply = whole(_completion(sample.output))
    error = None if sample.error is None else str(sample.error.get("message") or "it failed")
    score = None if error else score_of(value)
    no_answer = value == "N" or (answered in (None, "") and not reply)
    prompt = logs.prompt_of(sample.messages)
    if prompt and prompt[-1].role == "assistant":
        prompt = prompt[:-1]
    question = (
        sample.input
        if isinstance(sample.input, str)
        else "\n\n".join(turn.content for turn in logs.prompt_of(sample.input))
    )
    target = sample.target if isinstance(sample.target, str) else ", ".join(map(str, sample.target or ()))
    spend, unreported = _spend(evaluated.model, sample)
    config = {**evaluated.model_generate_config, **header.plan.config}
    return ImportedAnswer(
        tool="inspect",
        setting=" + ".join(step.solver for step in header.plan.steps if step.solver) or "generate",
        model=evaluated.model,
        question=whole(question),
        target=whole(target) or None,
        answer=None if no_answer else str(answered) if answered not in (None, "") else reply,
        score=score,
        scorer=scorer or None,
        repeat=max(0, sample.epoch - 1),
        spend=spend,
        answered_at=logs.moment(sample.started_at) or logs.moment(evaluated.created),
        error=error,
        unreported=unreported,
        task=evaluated.task.rpartition("/")[2] or evaluated.task,
        log=evaluated.eval_id or evaluated.run_id,
        sample=str(sample.id),
        options=tuple(sample.choices or ()),
        parameters=logs.parameters({name: config[name] for name in _CONFIG if name in config}),
        prompt=tuple(type(turn)(turn.role, whole(turn.content)) for turn in prompt),
        reply=reply or None,
        cut=_stop(sample.output) in ("max_tokens", "model_length") or sample.limit is not None,
    )


def score_of(value: Any) -> float | None:
    """Inspect's value of a score as a number; None: it is none of its words and no number from 0 to 1."""
    if isinstance(value, str):
        read = LETTERS.get(value, _WORDS.get(value.lower()))
        if read is not None:
            return read
        try:
            value = float(value)
        except ValueError:
            return None
    return logs.unit(value)


def _choice(output: dict[str, Any]) -> dict[str, Any]:
    choices = output.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else {}
    return first if isinstance(first, dict) else {}


def _completion(output: dict[str, Any]) -> str:
    message = _choice(output).get("message")
    said = logs.text_of(message.get("content")) if isinstance(message, dict) else ""
    return said or logs.text_of(output.get("completion"))


def _stop(output: dict[str, Any]) -> Any:
    return _choice(output).get("stop_reason")


def _spend(model: str, sample: Sample) -> tuple[Spend | None, tuple[str, ...]]:
    """What the evaluated model spent, and the parts nobody reports."""
    usage = sample.model_usage.get(model)
    if usage is None and len(sample.model_usage) == 1:
        # A log that calls the model otherwise here has no other it could be.
        usage = next(iter(sample.model_usage.values()))
    # Without events every reply of the model is one turn of the transcript; a sample without one says nothing of calls.
    turns = sum(isinstance(turn, dict) and turn.get("role") == "assistant" for turn in sample.messages)
    asked, taken, graded = _events(model, sample)
    if usage is None:
        # Releases that count nothing a sample say it of every call, and else of the last alone.
        usage = taken or (logs.fields_of(sample.output.get("usage")) if max(asked, turns) < 2 else {})
        graded = {}
    # A scorer that asks the evaluated model has its tokens counted with those of the answer.
    usage = {
        name: value - own if (own := graded.get(name)) and (logs.count_of(value) or 0) >= own else value
        for name, value in usage.items()
    }
    seconds = sample.working_time if sample.working_time is not None else sample.total_time
    parts = {
        "calls": asked or turns or None,
        # Inspect counts what is read from or written to a cache apart from the input of some providers.
        "input_tokens": logs.count_of(usage.get("input_tokens")),
        "cached_tokens": logs.count_of(usage.get("input_tokens_cache_read")),
        "cache_write_tokens": logs.count_of(usage.get("input_tokens_cache_write")),
        "output_tokens": logs.count_of(usage.get("output_tokens")),
        "reasoning_tokens": logs.count_of(usage.get("reasoning_tokens")),
        "latency_ms": logs.count_of(None if seconds is None else 1000 * seconds),
    }
    return logs.spend(_with_cache(parts, logs.count_of(usage.get("total_tokens"))))


def _events(model: str, sample: Sample) -> tuple[int, dict[str, int], dict[str, int]]:
    """How often solvers asked the evaluated model, what they had it spend, by part of its usage and empty where a call
    does not say, and what scorers had it spend."""
    asked, scoring, silent = 0, False, False
    spent, graded = dict[str, int](), dict[str, int]()
    for each in sample.events:
        began = each.event == "span_begin" or (each.event == "step" and each.action == "begin")
        scoring = scoring or each.event == "score" or (began and each.type in ("scorers", "scorer"))
        if each.event != "model" or each.model != model or each.error:
            continue
        usage = _usage(each.output)
        asked += not scoring
        silent = silent or (not scoring and not usage)
        told = graded if scoring else spent
        for name, value in (usage or {}).items():
            if (count := logs.count_of(value)) is not None:
                told[name] = told.get(name, 0) + count
    return asked, {} if silent else spent, graded


def _usage(output: msgspec.Raw) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(output, type=Asked).usage
    except msgspec.DecodeError:
        return None


def _with_cache(parts: dict[str, int | None], total: int | None) -> dict[str, int | None]:
    """Input with what the cache held: a total that exceeds input and output by exactly that says it is not in it."""
    given, taken = parts["input_tokens"], parts["output_tokens"]
    cached = (parts["cached_tokens"] or 0) + (parts["cache_write_tokens"] or 0)
    if given is not None and taken is not None and cached and total == given + taken + cached:
        return {**parts, "input_tokens": given + cached}
    return parts
