"""Logs as other tools write them, small: the shapes are theirs, the questions are ours."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

QUESTIONS = tuple((f"What is {n} plus {n}?", str(2 * n)) for n in range(6))
"""Text and answer; the model of every log gets all but the last right."""
MODEL = "openai/gpt-4o-mini"


def inspect_header(model: str = MODEL, task: str = "sums", eval_id: str = "run-1") -> dict[str, Any]:
    """The top of a log of Inspect."""
    return {
        "version": 2,
        "status": "success",
        "eval": {"eval_id": eval_id, "created": "2026-03-01T10:00:00+01:00", "task": f"own/{task}", "model": model},
        "plan": {"name": "plan", "steps": [{"solver": "generate", "params": {}}], "config": {"temperature": 0.7}},
    }


def inspect_samples(model: str = MODEL, epochs: int = 1) -> list[dict[str, Any]]:
    """Its samples; a grader's tokens stand beside the model's."""
    samples = []
    for epoch in range(1, epochs + 1):
        for place, (question, target) in enumerate(QUESTIONS):
            right = place < len(QUESTIONS) - 1
            said = target if right else "no idea"
            samples.append(
                {
                    "id": f"s{place}",
                    "epoch": epoch,
                    "input": question,
                    "target": target,
                    "messages": [
                        {"role": "user", "content": "attachment://a1"},
                        {"role": "assistant", "content": f"ANSWER: {said}"},
                    ],
                    "attachments": {"a1": f"Be brief. {question}"},
                    "output": {"choices": [{"message": {"role": "assistant", "content": f"ANSWER: {said}"}}]},
                    "scores": {"match": {"value": "C" if right else "I", "answer": said}},
                    "model_usage": {
                        model: {"input_tokens": 30, "output_tokens": 10 + place, "input_tokens_cache_read": 0},
                        "openai/grader": {"input_tokens": 9_000, "output_tokens": 900},
                    },
                    "working_time": 0.25,
                    "events": [{"event": "model", "anything": [1, 2, 3]}],
                }
            )
    return samples


def inspect_json(folder: Path, **wishes: Any) -> Path:
    """A `.json` log."""
    epochs = wishes.pop("epochs", 1)
    header = inspect_header(**wishes)
    path = folder / f"{header['eval']['eval_id']}.json"
    body = header | {"samples": inspect_samples(header["eval"]["model"], epochs)}
    path.write_text(json.dumps(body), encoding="utf-8")
    return path


def inspect_eval(folder: Path) -> Path:
    """The same log as an `.eval` archive."""
    path = folder / "run.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps(inspect_header()))
        for sample in inspect_samples():
            archive.writestr(f"samples/{sample['id']}_epoch_{sample['epoch']}.json", json.dumps(sample))
    return path


def zstandard(archive: Path) -> Path:
    """The same archive with its members packed as Inspect packs them today, which zipfile cannot do in Python 3.11."""
    import pyarrow

    packed = archive.with_name(f"packed-{archive.name}")
    with zipfile.ZipFile(archive) as plain, packed.open("wb") as file:
        entries = []
        for name in plain.namelist():
            content = plain.read(name)
            body, encoded, at = pyarrow.compress(content, codec="zstd", asbytes=True), name.encode(), file.tell()
            # Version, flags, method 93, time, date, checksum, sizes, and the lengths of name and extra field.
            about = struct.pack(
                "<HHHHHIIIHH", 63, 0, 93, 0, 33, zlib.crc32(content), len(body), len(content), len(encoded), 0
            )
            file.write(b"PK\x03\x04" + about + encoded + body)
            entries.append(
                b"PK\x01\x02" + struct.pack("<H", 63) + about + struct.pack("<HHHII", 0, 0, 0, 0, at) + encoded
            )
        start = file.tell()
        listed = b"".join(entries)
        count = len(entries)
        file.write(listed + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, count, count, len(listed), start, 0))
    return packed


def lm_eval(folder: Path) -> Path:
    """Samples with the results beside them."""
    time = "2026-03-01T10-00-00.123456"
    results = {
        "config": {"model": "hf", "model_args": f"pretrained={MODEL},dtype=float"},
        "configs": {"sums": {"output_type": "generate_until", "num_fewshot": 2}},
    }
    (folder / f"results_{time}.json").write_text(json.dumps(results))
    lines = [
        {
            "doc_id": place,
            "doc": {"question": question},
            "target": target,
            "arguments": {"gen_args_0": {"arg_0": question, "arg_1": {"temperature": 0.0}}},
            "resps": [[f" {target}"]],
            "filtered_resps": [target],
            "filter": "strict",
            "metrics": ["exact_match"],
            "exact_match": float(place < len(QUESTIONS) - 1),
        }
        for place, (question, target) in enumerate(QUESTIONS)
    ]
    # The same documents through a second filter, which would double every answer.
    lines += [line | {"filter": "loose", "exact_match": 1.0} for line in lines]
    path = folder / f"samples_sums_{time}.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def helm(folder: Path) -> Path:
    """A run's folder; one instance is there a second time, perturbed."""
    run = folder / "sums:model=openai_gpt-4o-mini"
    run.mkdir()
    adapter = {"model": MODEL, "method": "generation", "max_train_instances": 5, "temperature": 0.0, "max_tokens": 20}
    metrics = [{"class_name": "helm.Basic", "args": {"names": ["exact_match", "quasi_exact_match"]}}]
    spec = {"name": f"sums:level=easy,model={MODEL}", "adapter_spec": adapter, "metric_specs": metrics}
    states: list[dict[str, Any]] = []
    stats: list[dict[str, Any]] = []
    for place, (question, target) in enumerate(QUESTIONS):
        instance = {
            "id": f"id{place}",
            "input": {"text": question},
            "references": [{"output": {"text": target}, "tags": ["correct"]}],
        }
        result = {"success": True, "completions": [{"text": f" {target}"}], "request_time": 0.5}
        states.append({"instance": instance, "train_trial_index": 0, "request": {"prompt": question}, "result": result})
        numbers = {"exact_match": float(place < 5), "num_prompt_tokens": 40, "num_completion_tokens": 3}
        rows = [{"name": {"name": name, "split": "test"}, "count": 1, "sum": value} for name, value in numbers.items()]
        stats.append({"instance_id": f"id{place}", "train_trial_index": 0, "stats": rows})
    states.append(states[0] | {"instance": states[0]["instance"] | {"perturbation": {"name": "typos"}}})
    for name, body in (
        ("run_spec", spec),
        ("scenario_state", {"request_states": states}),
        ("per_instance_stats", stats),
    ):
        (run / f"{name}.json").write_text(json.dumps(body))
    return run


def every_eval_ever(folder: Path) -> Path:
    """Instance records."""
    path = folder / "records.jsonl"
    records = [
        {
            "schema_version": "0.3.0",
            "evaluation_id": "sums/one/1",
            "model_id": MODEL,
            "evaluation_name": "sums",
            "sample_id": f"s{place}",
            "interaction_type": "single_turn",
            "input": {"raw": question, "reference": [target]},
            "output": {"raw": [f"It is {target}"]},
            "answer_attribution": [
                {"turn_idx": 0, "extracted_value": target, "extraction_method": "regex", "is_terminal": True}
            ],
            "evaluation": {"score": float(place < 5), "is_correct": place < 5},
            "token_usage": {"input_tokens": 20, "output_tokens": 5, "total_tokens": 25},
            "performance": {"latency_ms": 120.0},
        }
        for place, (question, target) in enumerate(QUESTIONS)
    ]
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return path


def promptfoo(folder: Path) -> Path:
    """Results; the last is an error of the provider."""
    path = folder / "results.json"
    results: list[dict[str, Any]] = [
        {
            "provider": {"id": "openai:gpt-4o-mini", "label": ""},
            "prompt": {"raw": f"Answer: {question}", "label": "short"},
            "vars": {"question": question},
            "response": {
                "output": target,
                "tokenUsage": {"prompt": 12, "completion": 2, "total": 14, "numRequests": 1},
            },
            "score": 1 if place < 4 else 0,
            "success": place < 4,
            "latencyMs": 80,
            "failureReason": 0 if place < 4 else 1,
            "testIdx": place,
            "testCase": {"vars": {"question": question}, "assert": [{"type": "equals", "value": target}]},
        }
        for place, (question, target) in enumerate(QUESTIONS)
    ]
    results[-1] |= {"response": None, "error": "429: too many requests", "failureReason": 2, "latencyMs": None}
    body = {"evalId": "eval-1", "results": {"version": 3, "timestamp": "2026-03-01T10:00:00Z", "results": results}}
    path.write_text(json.dumps(body | {"config": {"description": "sums"}}))
    return path


def chat(folder: Path) -> Path:
    """Exchanges of an application; the last has no score."""
    path = folder / "chats.jsonl"
    lines: list[dict[str, Any]] = [
        {
            "request": {"model": MODEL, "messages": [{"role": "user", "content": question}], "temperature": 0},
            "response": {
                "choices": [{"message": {"role": "assistant", "content": target}, "finish_reason": "stop"}],
                "usage": {
                    "prompt_tokens": 11,
                    "completion_tokens": 4,
                    "completion_tokens_details": {"reasoning_tokens": 2},
                },
            },
            "target": target,
            "score": 1,
            "task": "sums",
        }
        for question, target in QUESTIONS
    ]
    del lines[-1]["score"]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def table(folder: Path) -> Path:
    """A table with semicolons; half of its rows do not say what was spent."""
    path = folder / "answers.csv"
    head = "question;model;answer;target;score;setting;task;input_tokens;output_tokens\n"
    rows = (
        f"{question};{MODEL};{target};{target};{1 if place < 5 else 0.5};plain;sums;{'8' if place % 2 else ''};6\n"
        for place, (question, target) in enumerate(QUESTIONS)
    )
    path.write_text(head + "".join(rows), encoding="utf-8-sig")
    return path


LOGS: dict[str, Callable[[Path], Path]] = {
    "inspect": inspect_json,
    "lm_eval": lm_eval,
    "helm": helm,
    "every_eval_ever": every_eval_ever,
    "promptfoo": promptfoo,
    "chat": chat,
    "csv": table,
}
"""By importer what writes one of its logs into a folder."""
