"""HELM: a run's folder with `run_spec.json`, `scenario_state.json` (requests and replies) and `per_instance_stats.json`
(scores, token counts and times of every instance).
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from engine.core.errors import UsageError
from engine.core.records import Message
from engine.interop import ImportedAnswer, importer, logs
from engine.interop.tally import Tally

SPEC, STATE, STATS = "run_spec.json", "scenario_state.json", "per_instance_stats.json"
SCORES = (
    "exact_match",
    "quasi_exact_match",
    "prefix_exact_match",
    "quasi_prefix_exact_match",
    "final_number_exact_match",
    "math_equiv",
    "math_equiv_chain_of_thought",
    "f1_score",
    "chain_of_thought_correctness",
    "ifeval_strict_accuracy",
)
"""Scores an instance may have; the first that the run's own metrics name is the one that counts."""
_WANTED = (*SCORES, "num_prompt_tokens", "num_completion_tokens", "num_output_tokens", "inference_runtime")
_ASKED = ("temperature", "max_tokens", "num_outputs", "max_train_instances")


class Adapter(msgspec.Struct):
    """How instances were made into prompts."""

    model: str = ""
    method: str = "generation"
    temperature: float | None = None
    max_tokens: int | None = None
    num_outputs: int | None = None
    max_train_instances: int | None = None


class Spec(msgspec.Struct):
    """The run."""

    name: str
    adapter_spec: Adapter
    metric_specs: list[dict[str, Any]] = []


class State(msgspec.Struct):
    """Its requests, one by one."""

    request_states: list[msgspec.Raw]


class Asked(msgspec.Struct):
    """One request with its reply."""

    instance: dict[str, Any]
    train_trial_index: int = 0
    output_mapping: dict[str, str] | None = None
    request: dict[str, Any] = {}
    result: dict[str, Any] | None = None


class Stat(msgspec.Struct):
    """A sum over what was measured of one instance."""

    name: dict[str, Any]
    sum: float | None = None
    count: int | None = None


class Measured(msgspec.Struct):
    """The numbers of one instance."""

    instance_id: str
    train_trial_index: int
    stats: list[Stat]
    perturbation: Any = None


@importer("helm")
class Helm:
    """One run, by its folder."""

    def reads(self, path: Path) -> bool:
        """By the two files every run has."""
        return path.is_dir() and (path / SPEC).is_file() and (path / STATE).is_file()

    def answers(self, path: Path) -> Iterator[ImportedAnswer]:
        """Request by request; instances that were perturbed on purpose are left out."""
        if not self.reads(path):
            raise UsageError(f"{path.name!r} is no folder of a HELM run: it needs {SPEC} and {STATE}.")
        with logs.mapped(path / SPEC) as content:
            spec = logs.decoded(content, Spec, f"{path.name}/{SPEC}")
        numbers = _numbers(path)
        with logs.mapped(path / STATE) as content:
            states = logs.decoded(content, State, f"{path.name}/{STATE}").request_states
            for place, raw in enumerate(logs.elements(content, states)):
                where = f"{path.name}/{STATE}, request {place + 1},"
                asked = logs.attempt(where, logs.decoded, raw, Asked, where)
                # Perturbed copies of an instance would count it several times over.
                if asked is not None and not asked.instance.get("perturbation"):
                    own = numbers.of(str(asked.instance.get("id")), asked.train_trial_index)
                    if (answer := logs.attempt(where, _answer, spec, asked, own)) is not None:
                        yield answer


class _Numbers:
    """By instance and trial what was measured of it: a row of an array, in which nothing is NaN."""

    def __init__(self) -> None:
        self._places, self._values = Tally(), array("d")

    def of(self, instance: str, trial: int) -> dict[str, float]:
        """The mean of everything wanted that was measured."""
        if (place := self._places.get(hash((instance, trial)), -1)) < 0:
            return {}
        row = self._values[place * len(_WANTED) : (place + 1) * len(_WANTED)]
        return {name: value for name, value in zip(_WANTED, row, strict=True) if not math.isnan(value)}

    def add(self, instance: str, trial: int, means: dict[str, float]) -> None:
        """More of an instance; what is there already counts."""
        key = hash((instance, trial))
        if (place := self._places.get(key, -1)) < 0:
            place = self._places[key] = len(self._places)
            self._values.extend([math.nan] * len(_WANTED))
        for at, name in enumerate(_WANTED, place * len(_WANTED)):
            if math.isnan(self._values[at]):
                self._values[at] = means.get(name, math.nan)


def _numbers(folder: Path) -> _Numbers:
    """The sums that are wanted; none where the run has no such file."""
    numbers = _Numbers()
    if not (folder / STATS).is_file():
        return numbers
    with logs.mapped(folder / STATS) as content:
        rows = logs.decoded(content, list[msgspec.Raw], f"{folder.name}/{STATS}")
        for place, raw in enumerate(logs.elements(content, rows)):
            where = f"{folder.name}/{STATS}, entry {place + 1},"
            row = logs.attempt(where, logs.decoded, raw, Measured, where)
            if row is None:
                continue
            means: dict[str, float] = {}
            for stat in row.stats if not row.perturbation else ():
                called, total, count = stat.name.get("name"), stat.sum, stat.count
                if isinstance(called, str) and called in _WANTED and total is not None and count:
                    means.setdefault(called, total / count)
            if means:
                numbers.add(row.instance_id, row.train_trial_index, means)
    return numbers


def _scorer(spec: Spec, numbers: dict[str, float]) -> str | None:
    named = [
        n for metric in spec.metric_specs for n in (metric.get("args") or {}).get("names", ()) if isinstance(n, str)
    ]
    # One that failed was scored by nobody, and belongs to the setting of the others.
    first = next((name for name in named if name in SCORES), None)
    return next((name for name in (*named, *SCORES) if name in SCORES and name in numbers), first)


def _answer(spec: Spec, asked: Asked, numbers: dict[str, float]) -> ImportedAnswer:
    adapter, result = spec.adapter_spec, asked.result or {}
    instance = asked.instance
    references = [each for each in instance.get("references") or () if isinstance(each, dict)]
    texts = [str((each.get("output") or {}).get("text", "")) for each in references]
    right = [text for text, each in zip(texts, references, strict=True) if "correct" in (each.get("tags") or ())]
    completions = result.get("completions") or [{}]
    reply = completions[0].get("text") if isinstance(completions[0], dict) else None
    said = reply.strip() if isinstance(reply, str) else ""
    # Older releases leave out the field, and then a result is a success.
    error = None if result.get("success", bool(asked.result)) else str(result.get("error") or "the request failed")
    scorer = _scorer(spec, numbers)
    seconds = numbers.get("inference_runtime", result.get("request_time"))
    spend, unreported = logs.spend(
        {
            "calls": None if error else 1,
            "input_tokens": logs.count_of(numbers.get("num_prompt_tokens")),
            "output_tokens": logs.count_of(numbers.get("num_completion_tokens", numbers.get("num_output_tokens"))),
            "latency_ms": logs.count_of(1000 * seconds) if isinstance(seconds, int | float) else None,
        }
    )
    # `mmlu:subject=anatomy,model=x`: model and method say who answered and not what was asked.
    named, _, arguments = spec.name.partition(":")
    kept = [part for part in arguments.split(",") if not part.startswith(("model=", "method=", "model_deployment="))]
    prompt = asked.request.get("prompt")
    return ImportedAnswer(
        tool="helm",
        setting=f"{adapter.method}, {adapter.max_train_instances or 0}-shot",
        model=adapter.model or str(asked.request.get("model") or "unknown"),
        question=str((instance.get("input") or {}).get("text", "")),
        target=" | ".join(right) or None,
        # Of a choice the reply is a letter, and the mapping says which option stood under it in this prompt.
        answer=(asked.output_mapping or {}).get(said, said) or None,
        score=None if error or scorer is None else logs.unit(numbers.get(scorer)),
        scorer=scorer,
        repeat=max(0, asked.train_trial_index),
        spend=spend,
        answered_at=logs.moment(result.get("request_datetime")),
        error=error,
        unreported=unreported,
        task=":".join(filter(None, (named, ",".join(filter(None, kept))))),
        sample=str(instance.get("id")),
        # What a generation is held to was not shown to it.
        options=tuple(texts) if len(texts) > 1 and adapter.method.startswith("multiple_choice") else (),
        parameters=logs.parameters({name: getattr(adapter, name) for name in _ASKED[:2]}),
        prompt=(Message("user", prompt),) if isinstance(prompt, str) else (),
        reply=reply if isinstance(reply, str) else None,
    )
