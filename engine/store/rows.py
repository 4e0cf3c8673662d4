"""How records become table rows and back; the only place that knows both sides.

A row is a dict from column name to value. Times are naive UTC in rows and aware UTC in records; nested small things
(line-up, examples, messages) are JSON text. Opens no database.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from engine.core import ids
from engine.core.codec import Row, aware, dumped, naive, plain
from engine.core.records import (
    Attempt,
    Call,
    Completion,
    Condition,
    Cut,
    Example,
    Mark,
    Message,
    ModelSetting,
    ModelSpend,
    Price,
    Problem,
    Prompt,
    Question,
    Spend,
    Trial,
    TrialSpec,
    Usage,
)

Tables = dict[str, list[Row]]

_SPEND = tuple(field.name for field in fields(Spend))
_USAGE = tuple(field.name for field in fields(Usage))
_PRICE = tuple(field.name for field in fields(Price))
_CALL = (
    "ordinal",
    "role",
    "model",
    "key",
    "asked_tokens",
    "granted_tokens",
    "bound_tokens",
    "cut",
    "replayed",
    "seen_output_tokens",
    "metered_input_tokens",
)


def trial_tables(trials: Iterable[Trial]) -> Tables:
    """All rows that the trials need, shared rows (conditions, questions, prompts, ...) once each."""
    tables = _Shared()
    for trial in trials:
        tables.add(trial)
    return tables.rows()


class _Shared:
    """Rows collected from trials; keyed ones once per key, a condition at its largest budget."""

    def __init__(self) -> None:
        self._once: dict[str, dict[object, Row]] = {}
        self._many: Tables = {}

    def rows(self) -> Tables:
        return {**{table: list(keyed.values()) for table, keyed in self._once.items()}, **self._many}

    def add(self, trial: Trial) -> None:
        spec = trial.spec
        problem, condition = spec.question.problem, spec.condition
        framing, snapshot = framing_id(problem), snapshot_id(condition)
        self._put("framings", framing, lambda: _framing_row(problem))
        for _, setting in condition.lineup:
            self._put("prices", (snapshot, setting.identity), functools.partial(_price_row, condition, setting))
        stored = self._put("conditions", condition.condition_id, lambda: _condition_row(condition))
        # A condition's budget is the largest that any of its trials had.
        stored["budget"] = max(stored["budget"], condition.budget)
        self._put("questions", spec.question.question_id, lambda: _question_row(spec.question))
        self._extend("trials", [_trial_row(trial, framing, snapshot)])
        self._extend("trial_spends", _spend_rows(trial, trial.spends, {}))
        for call in trial.calls:
            self._put("prompts", prompt_id(call), functools.partial(_prompt_row, call))
        self._extend("calls", [_call_row(trial, call) for call in trial.calls])
        self._extend("marks", [_mark_row(trial, mark) for mark in trial.marks])
        for mark in trial.marks:
            self._extend("mark_spends", _spend_rows(trial, mark.spends, {"ordinal": mark.ordinal}))

    def _put(self, table: str, key: object, make: Callable[[], Row]) -> Row:
        """The row of this key, made when it is first asked for."""
        rows = self._once.setdefault(table, {})
        if key not in rows:
            rows[key] = make()
        return rows[key]

    def _extend(self, table: str, rows: Sequence[Row]) -> None:
        self._many.setdefault(table, []).extend(rows)


def prompt_id(call: Call) -> str:
    """Key of the prompts table."""
    return ids.prompt_key(call.messages)


@functools.lru_cache(maxsize=1024)
def snapshot_id(condition: Condition) -> str:
    """Id of the prices a trial was planned with: equal prices of equal models, equal id."""
    prices = sorted((s.identity, s.price and [getattr(s.price, f) for f in _PRICE]) for _, s in condition.lineup)
    return ids.digest("m1", prices)


def completion_row(completion: Completion, run_id: str | None) -> Row:
    """A completion; `run_id` fills in who paid where the record does not say."""
    row = plain(completion)
    usage = row.pop("usage")
    return {**row, **plain(usage), "run_id": run_id if completion.run_id is None else completion.run_id}


def attempt_row(attempt: Attempt, run_id: str | None) -> Row:
    """A dispatch and the run that made it."""
    return {**plain(attempt), "run_id": run_id}


def _key(trial: Trial) -> Row:
    return {"trial_id": trial.spec.trial_id, "attempt": trial.attempt}


def _trial_row(trial: Trial, framing: str, snapshot: str) -> Row:
    spec = trial.spec
    return {
        **_key(trial),
        "run_id": trial.run_id,
        "condition_id": spec.condition.condition_id,
        "question_id": spec.question.question_id,
        "framing_id": framing,
        "snapshot_id": snapshot,
        "repeat": spec.repeat,
        "end": trial.end,
        "verdict": trial.verdict,
        "answer": trial.answer,
        "error": trial.error,
        "axis": spec.condition.axis,
        "budget": spec.condition.budget,
        "started_at": naive(trial.started_at),
        "finished_at": naive(trial.finished_at),
    }


def _condition_row(condition: Condition) -> Row:
    lineup = [[role, setting.name, setting.identity] for role, setting in condition.lineup]
    solver = dict(condition.lineup).get("solver", condition.lineup[0][1])
    return {**plain(condition), "model": solver.name, "lineup": dumped(lineup)}


def _question_row(question: Question) -> Row:
    row = plain(question)
    del row["problem"]
    return {**row, "text": question.problem.text, "context": question.problem.context}


def framing_id(problem: Problem) -> str:
    """Key of the framings table: how a question was put, apart from its own text."""
    return _framing_id(problem.answer_kind, problem.instructions, problem.examples)


@functools.lru_cache(maxsize=1024)
def _framing_id(kind: str, instructions: str, examples: tuple[Example, ...]) -> str:
    return ids.digest("f1", [kind, instructions, _shown(examples)])


def _shown(examples: Iterable[Example]) -> list[list[str | None]]:
    return [[e.question, e.answer, e.reasoning] for e in examples]


def _framing_row(problem: Problem) -> Row:
    return {
        "framing_id": framing_id(problem),
        "answer_kind": problem.answer_kind,
        "instructions": problem.instructions,
        "examples": dumped(_shown(problem.examples)),
    }


def _price_row(condition: Condition, setting: ModelSetting) -> Row:
    """A price nobody knows is a row of nulls, not a price of 0."""
    price = plain(setting.price) if setting.price else dict.fromkeys(_PRICE)
    return {"snapshot_id": snapshot_id(condition), "model": setting.identity, **price}


def _spend_rows(trial: Trial, spends: Sequence[ModelSpend], extra: Row) -> list[Row]:
    return [
        {
            **_key(trial),
            **extra,
            "position": position,
            "model": part.model,
            **plain(part.spend),
            "metered_input_tokens": part.metered_input_tokens,
        }
        for position, part in enumerate(spends)
    ]


def _call_row(trial: Trial, call: Call) -> Row:
    return {
        **_key(trial),
        **{name: getattr(call, name) for name in _CALL},
        **plain(call.spend),
        "prompt_key": prompt_id(call),
    }


def _prompt_row(call: Call) -> Row:
    messages = dumped([[message.role, message.content] for message in call.messages])
    return {"prompt_key": prompt_id(call), "messages": messages}


def _mark_row(trial: Trial, mark: Mark) -> Row:
    return {
        **_key(trial),
        "ordinal": mark.ordinal,
        "answer": mark.answer,
        "after_calls": mark.after_calls,
        "verdict": mark.verdict,
    }


@dataclass(frozen=True, slots=True)
class Parts:
    """The stored rows of one trial: `head` joins trial, condition, question and framing."""

    head: Row
    prices: Sequence[Row]
    calls: Sequence[Row]
    marks: Sequence[Row]
    mark_spends: Sequence[Row]
    spends: Sequence[Row]


def trial_of(parts: Parts) -> Trial:
    """The record that was stored."""
    head = parts.head
    return Trial(
        spec=TrialSpec(head["trial_id"], _condition(head, parts.prices), _question(head), head["repeat"]),
        calls=tuple(_call(row) for row in parts.calls),
        marks=tuple(_mark(row, parts.mark_spends) for row in parts.marks),
        spends=tuple(_model_spend(row) for row in parts.spends),
        started_at=aware(head["started_at"]),
        finished_at=aware(head["finished_at"]),
        **{name: head[name] for name in ("run_id", "attempt", "end", "verdict", "answer", "error")},
    )


def completion_of(row: Mapping[str, Any]) -> Completion:
    """The completion that was stored."""
    own = ("key", "text", "finish", "latency_ms", "model_reported", "fingerprint", "provider_cost_pusd", "run_id")
    usage = Usage(**{name: row[name] for name in _USAGE})
    return Completion(usage=usage, created_at=aware(row["created_at"]), **{name: row[name] for name in own})


def _condition(head: Row, prices: Sequence[Row]) -> Condition:
    known = {row["model"]: _price(row) for row in prices}
    lineup = tuple(
        (role, ModelSetting(name, model, known.get(model))) for role, name, model in json.loads(head["lineup"])
    )
    same = ("condition_id", "task", "strategy", "params", "version", "anytime", "axis", "budget", "prompting")
    return Condition(lineup=lineup, **{name: head[name] for name in same})


def _price(row: Row) -> Price | None:
    return None if row["input_pusd"] is None else Price(**{name: row[name] for name in _PRICE})


def _question(head: Row) -> Question:
    examples = tuple(Example(*parts) for parts in json.loads(head["examples"]))
    problem = Problem(head["text"], head["answer_kind"], head["instructions"], examples, head["context"])
    return Question(head["question_id"], head["question_task"], problem, head["target"], head["category"], head["data"])


def _call(row: Row) -> Call:
    messages: Prompt = tuple(Message(role, content) for role, content in json.loads(row["messages"]))
    cut = None if row["cut"] is None else Cut(row["cut"])
    return Call(messages=messages, spend=_spend(row), **({name: row[name] for name in _CALL} | {"cut": cut}))


def _mark(row: Row, spends: Sequence[Row]) -> Mark:
    mine = tuple(_model_spend(part) for part in spends if part["ordinal"] == row["ordinal"])
    return Mark(row["ordinal"], row["answer"], row["after_calls"], mine, row["verdict"])


def _model_spend(row: Row) -> ModelSpend:
    return ModelSpend(row["model"], _spend(row), row["metered_input_tokens"])


def _spend(row: Row) -> Spend:
    return Spend(**{name: row[name] for name in _SPEND})
