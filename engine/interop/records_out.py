"""A study as Every Eval Ever records, the community's format (arXiv 2606.14516, schema 0.3.0).

For each setting there is one file of what was measured, and beside it one with a line for each answer.

Owns what becomes of a condition, a trial and a transcript in that schema. A trial that failed has no score, which every
record needs, so it is left out and counted. Files lie where the datastore has them:
`data/<study>/<developer>/<model>/<uuid>.json` and `<uuid>_samples.jsonl`.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from importlib import metadata
from itertools import chain
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from engine.analysis.results import Results
from engine.analysis.stats import Sums, accuracy_interval
from engine.core import files, names
from engine.core.errors import UsageError
from engine.core.records import Cluster, Completion, Trial
from engine.interop.long_tables import asked
from engine.store.store import Store
from engine.strategies.calibration import LABEL

SCHEMA = "0.3.0"
_AT_A_TIME = 500
"""Trials whose replies are held in memory together."""
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Written:
    """What an export came to."""

    aggregates: tuple[Path, ...]
    records: int
    left_out: int
    """Trials that failed or were stopped: they have no score."""


def write(store: Store, folder: Path, study: str | None = None) -> Written:
    """The records of a study under a folder; what is there under the same names is replaced.

    Raises UnknownName for a study that is not there, UsageError for one without answers."""
    results = Results(store.path)
    name, questions, ids = asked(results, study)
    rows = [row for row in results.conditions().to_dicts() if row["condition_id"] in ids and row["strategy"] != LABEL]
    called = names.conditions(rows)
    aggregates: list[Path] = []
    records = left_out = 0
    for row in rows:
        every = [t for t in store.trials(row["condition_id"]) if t.spec.question.question_id in questions[row["task"]]]
        scored = [trial for trial in every if trial.end in ("finished", "exhausted")]
        left_out += len(every) - len(scored)
        if not scored:
            continue
        about = _About(name, row, called[row["condition_id"]], scored[0])
        where = folder.joinpath("data", *about.place)
        where.mkdir(parents=True, exist_ok=True)
        # In memory as a whole: the file above them names their checksum and is written after them.
        samples = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in _records(store, about, scored))
        body = about.aggregate(_measured(scored), len(scored), hashlib.sha256(samples.encode()).hexdigest())
        # Samples first: whoever finds the aggregate finds what it points to.
        files.replace(where / f"{about.uuid}_samples.jsonl", samples)
        files.replace(where / f"{about.uuid}.json", json.dumps(body, ensure_ascii=False, indent=2) + "\n")
        aggregates.append(where / f"{about.uuid}.json")
        records += len(scored)
    if not aggregates:
        raise UsageError(f"The study {name!r} has no scored answers yet; run it first.")
    return Written(tuple(aggregates), records, left_out)


@dataclass(frozen=True, slots=True)
class _About:
    """One setting of a study, and what it is called in the schema."""

    study: str
    row: Mapping[str, Any]
    """Of `Results.conditions`."""
    called: str
    first: Trial

    @property
    def uuid(self) -> str:
        """The same for the same setting of the same study, so that a second export replaces the first."""
        digest = hashlib.sha256(f"{self.study}\0{self.row['condition_id']}".encode()).digest()
        # The schema asks for version 4; the bits are a hash all the same, so that a second export has the same name.
        return str(uuid.UUID(bytes=digest[:16], version=4))

    @property
    def model_id(self) -> str:
        """developer/model of the solver; a model that names no developer is nobody's."""
        developer, _, model = self.first.spec.condition.solver.name.partition("/")
        # A name without a slash is all model.
        parts = (developer, model) if model else ("unknown", developer)
        return "/".join(_portable(part) for part in parts)

    @property
    def place(self) -> tuple[str, str, str]:
        """Folders below `data`."""
        developer, _, model = self.model_id.partition("/")
        return _portable(self.study), developer, model

    @property
    def evaluation_id(self) -> str:
        return f"budgetscope/{self.study}/{self.row['condition_id']}"

    @property
    def result_id(self) -> str:
        return f"{self.evaluation_id}/accuracy"

    def aggregate(self, measured: Json, rows: int, checksum: str) -> Json:
        """The file of the setting: what was measured, with its interval, and how."""
        version, row, condition = metadata.version("budgetscope"), self.row, self.first.spec.condition
        simulated = bool(row["simulated"])
        details = {
            "strategy": row["strategy"],
            "strategy_version": str(row["version"]),
            "parameters": row["params"],
            "prompting": row["prompting"],
            "budget_axis": row["axis"],
            "budget": str(row["budget"]),
            "models": row["model"],
            "condition_id": row["condition_id"],
        }
        # Of an endpoint we only know its address, and not whose machine that is.
        local = self.first.spec.condition.solver.name.startswith(("local/", "scripted/"))
        return {
            "schema_version": SCHEMA,
            "evaluation_id": self.evaluation_id,
            "evaluation_timestamp": self.first.finished_at.astimezone(UTC).isoformat(),
            "retrieved_timestamp": str(int(self.first.finished_at.timestamp())),
            "source_metadata": {
                "source_name": self.study,
                "source_type": "evaluation_run",
                "source_organization_name": "unknown",
                "evaluator_relationship": "other",
                "additional_details": {"simulated": str(simulated).lower()},
            },
            "eval_library": {"name": "budgetscope", "version": version},
            "model_info": {
                "name": condition.solver.name,
                "id": self.model_id,
                "additional_details": {
                    "deployment_type": "self_deployed" if local else "unknown",
                    "model_availability": "open_weights" if condition.solver.name.startswith("local/") else "unknown",
                    "simulated": str(simulated).lower(),
                },
            },
            "evaluation_results": [
                {
                    "evaluation_result_id": self.result_id,
                    "evaluation_name": row["task"],
                    "source_data": {"dataset_name": row["task"], "source_type": "other"},
                    "metric_config": {
                        "evaluation_description": self.called,
                        "metric_id": "accuracy",
                        "metric_name": "accuracy",
                        "metric_kind": "accuracy",
                        "metric_unit": "proportion",
                        "lower_is_better": False,
                        "score_type": "continuous",
                        "min_score": 0,
                        "max_score": 1,
                    },
                    "score_details": measured,
                    "generation_config": {"additional_details": details},
                }
            ],
            "detailed_evaluation_results": {
                "format": "jsonl",
                "file_path": "/".join(("data", *self.place, f"{self.uuid}_samples.jsonl")),
                "hash_algorithm": "sha256",
                "checksum": checksum,
                "total_rows": rows,
            },
        }

    def record(self, trial: Trial, replies: Mapping[str, Completion]) -> Json:
        """One answer. A single request is a turn; several are told as the messages they were, call after call."""
        question = trial.spec.question
        single = len(trial.calls) <= 1
        texts = [_seen(call.key, call.seen_output_tokens, replies) for call in trial.calls]
        messages = None if single else [*_conversation(trial, texts)]
        turn = 0 if messages is None else len(messages) - 1
        source = "output.raw" if single else f"messages[{turn}].content"
        read = {
            "turn_idx": turn,
            "source": source,
            # Empty where none was found: who looked, and how, is known all the same.
            "extracted_value": trial.answer or "",
            "extraction_method": f"budgetscope reader {trial.reader}",
            "is_terminal": True,
        }
        return {
            "schema_version": SCHEMA,
            "evaluation_id": self.evaluation_id,
            "model_id": self.model_id,
            "evaluation_name": self.row["task"],
            "evaluation_result_id": self.result_id,
            "sample_id": question.question_id,
            "sample_hash": hashlib.sha256(
                # A question out of a foreign file may hold half a surrogate, which no encoding takes.
                (question.problem.text + question.target).encode("utf-8", "replace")
            ).hexdigest(),
            "interaction_type": "single_turn" if single else "multi_turn",
            "input": {
                "raw": "\n\n".join(part for part in (question.problem.context, question.problem.text) if part),
                "reference": [question.target],
            },
            "output": {"raw": texts} if single else None,
            "messages": messages,
            "answer_attribution": [read],
            "evaluation": {
                # The schema wants a number for every record; one without an answer is not right.
                "score": trial.score or 0.0,
                "is_correct": trial.verdict == "right",
                "num_turns": max(1, len(trial.calls)),
            },
            "token_usage": _tokens(trial),
            "performance": None
            if "latency_ms" in trial.unreported
            else {"latency_ms": sum(call.spend.latency_ms for call in trial.calls)},
            "error": None,
            "metadata": {
                key: str(value)
                for key, value in (
                    ("setting", self.called),
                    ("trial_id", trial.spec.trial_id),
                    ("repeat", trial.spec.repeat),
                    # Its messages tell requests one behind the other, which leaves open where one ends.
                    ("calls", None if "calls" in trial.unreported else sum(p.spend.calls for p in trial.spends)),
                    ("category", question.category),
                    ("end", trial.end),
                    ("verdict", trial.verdict),
                )
                if value is not None
            },
        }


def _measured(trials: Sequence[Trial]) -> Json:
    """Accuracy over questions of exactly the answers that are written, with its interval, and their mean spends."""
    right: dict[str, list[float]] = defaultdict(list)
    asked: dict[str, Cluster] = {}
    for trial in trials:
        question = trial.spec.question
        right[question.question_id].append(trial.score or 0.0)
        asked[question.question_id] = question.problem.cluster
    clusters: dict[Cluster, list[float]] = defaultdict(list)
    for id, scores in right.items():
        clusters[asked[id]].append(fmean(scores))
    sums = Sums.of(
        np.array([sum(means) for means in clusters.values()]), np.array([float(len(m)) for m in clusters.values()])
    )
    graded = any(trial.verdict == "partly" for trial in trials)
    # Part of a point has no binomial spread, so graded scores have an interval of their own kind.
    low, high = accuracy_interval(sums, len(trials), graded=graded)
    # What an imported log does not report is left out: unknown is not 0.
    unknown = {name for trial in trials for name in trial.unreported}
    counted = ("calls", "input_tokens", "output_tokens", "reasoning_tokens")
    spends = {name: 0 for name in counted if name not in unknown}
    for part in (part for trial in trials for part in trial.spends):
        for name in spends:
            spends[name] += getattr(part.spend, name)
    return {
        "score": sums.mean,
        "details": {f"mean_{name}": f"{value / len(trials):.6g}" for name, value in spends.items()},
        "uncertainty": {
            "num_samples": len(right),
            "confidence_interval": {
                "lower": low,
                "upper": high,
                "confidence_level": 0.95,
                "method": "Wilson score interval over questions, clustered by what is asked",
            },
        },
    }


def _records(store: Store, about: _About, trials: Sequence[Trial]) -> Iterator[Json]:
    for start in range(0, len(trials), _AT_A_TIME):
        some = trials[start : start + _AT_A_TIME]
        replies = store.completions({call.key for trial in some for call in trial.calls})
        yield from (about.record(trial, replies) for trial in some)


def _seen(key: str, tokens: int | None, replies: Mapping[str, Completion]) -> str:
    """The stored reply of a call; empty where there was none (it was refused, or failed)."""
    return replies[key].text if key in replies and tokens is not None else ""


def _conversation(trial: Trial, texts: Sequence[str]) -> Iterator[Json]:
    turns = chain.from_iterable(
        (*((m.role, m.content) for m in call.messages), ("assistant", text))
        for call, text in zip(trial.calls, texts, strict=True)
    )
    for at, (role, content) in enumerate(turns):
        yield {"turn_idx": at, "role": role, "content": content}


_CACHES = {
    "cached_tokens": "input_tokens_cache_read",
    "cache_write_tokens": "input_tokens_cache_write",
    "reasoning_tokens": "reasoning_tokens",
}


def _tokens(trial: Trial) -> Json | None:
    """What was spent; None: an imported log does not report it."""
    if {"input_tokens", "output_tokens"} & {*trial.unreported}:
        return None
    given, made = (sum(getattr(p.spend, name) for p in trial.spends) for name in ("input_tokens", "output_tokens"))
    parts = {
        called: None if name in trial.unreported else sum(getattr(part.spend, name) for part in trial.spends)
        for name, called in _CACHES.items()
    }
    return {"input_tokens": given, "output_tokens": made, "total_tokens": given + made, **parts}


def _portable(name: str) -> str:
    """A folder's name on any system, which is also the part of the model's id: `a b:c` is `a_b_c`."""
    plain = re.sub(r"[^\w.\-]+", "_", name, flags=re.ASCII).strip("._ ") or "unnamed"
    # What a system keeps for its devices, and the datastore for itself.
    return f"_{plain}" if re.fullmatch(r"(?i)(con|prn|aux|nul|data|com\d|lpt\d)(\..*)?", plain) else plain[:120]
