"""How records become table rows and back; the only place that knows both sides.

A row is a dict from column name to value. Times are naive UTC in rows and aware UTC in records; nested small things
(line-up, examples, messages) are JSON text. Opens no database.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, TypeVar

from engine.core import codec, ids, records
from engine.core.codec import Row, aware, dumped, naive, plain
from engine.core.records import Attempt, Call, Completion, Example, ModelSpend, Problem, Spend, Trial, Usage

Tables = dict[str, list[Row]]
_T = TypeVar("_T")

_SPEND = tuple(field.name for field in fields(Spend))
_USAGE = tuple(field.name for field in fields(Usage))
_TIER = tuple(field.name for field in fields(records.Tier))
# What all prices have; whatever else one says stands in the rows of its tiers.
_PRICE = ("input_pusd", "output_pusd", "cached_pusd", "cache_write_pusd", "source", "as_of", "assumed")
_CONDITION = ("condition_id", "task", "strategy", "params", "version", "anytime", "axis", "budget", "prompting")
_TRIAL = ("run_id", "end", "verdict", "answer", "error")
_LATER = ("reader", "score")
_FACT = tuple(field.name for field in fields(records.Fact))
_MARK = ("ordinal", "answer", "after_calls", "verdict")
_CALL = tuple(field.name for field in fields(Call) if field.name not in ("messages", "spend"))
# In one go: of each there are as many as trials and more.
_TRIAL_VALUES, _CALL_VALUES = attrgetter(*_TRIAL, *_LATER), attrgetter(*_CALL)
_MARK_VALUES = attrgetter(*_MARK, "score")


def trial_tables(trials: Sequence[Trial], flush: int) -> Tables:
    """All rows that the trials need, shared rows (conditions, questions, prompts, ...) once each; `flush`: the number
    of the flush that stores them."""
    framings: dict[str, Row] = {}
    prices: dict[tuple[str, str], Row] = {}
    tiers: list[Row] = []
    conditions: dict[str, Row] = {}
    questions: dict[str, Row] = {}
    prompts: dict[str, Row] = {}
    many: Tables = {name: [] for name in ("trials", "trial_spends", "calls", "marks", "mark_spends", "facts")}
    snapshots = by_condition(trials, snapshot_id)
    for trial in trials:
        spec, key = trial.spec, {"trial_id": trial.spec.trial_id, "attempt": trial.attempt, "flush": flush}
        condition, question, problem = spec.condition, spec.question, spec.question.problem
        framing, snapshot = framing_id(problem), snapshots[id(condition)]
        if framing not in framings:
            examples = dumped(_listed(problem.examples))
            framings[framing] = {"framing_id": framing, "answer_kind": problem.answer_kind}
            framings[framing] |= {"instructions": problem.instructions, "examples": examples}
        for _, setting in condition.lineup:
            if (snapshot, setting.identity) not in prices:
                # A price nobody knows is a row of nulls, not a price of 0.
                own, price = {"snapshot_id": snapshot, "model": setting.identity}, setting.price
                prices[snapshot, setting.identity] = {**own, **{name: getattr(price, name, None) for name in _PRICE}}
                tiers += [{**own, **row} for row in _tier_rows(price)]
        if condition.condition_id not in conditions:
            lineup = [[role, setting.name, setting.identity] for role, setting in condition.lineup]
            solver = dict(condition.lineup).get("solver", condition.lineup[0][1])
            row = {**plain(condition), "model": solver.name, "lineup": dumped(lineup)}
            conditions[condition.condition_id] = row
        # A condition's budget is the largest that any of its trials had.
        row = conditions[condition.condition_id]
        row["budget"] = max(row["budget"], condition.budget)
        if question.question_id not in questions:
            row = {**plain(question), "text": problem.text, "context": problem.context}
            del row["problem"]
            questions[question.question_id] = row
        many["trials"].append(key | _trial_row(trial, framing, snapshot))
        unknown = dict.fromkeys(trial.unreported)
        many["trial_spends"] += _spend_rows(key, trial.spends, unknown)
        for call in trial.calls:
            messages, prompt = ids.prompt_and_key(call.messages)
            prompts[prompt] = {"prompt_key": prompt, "messages": messages, "flush": flush}
            row = key | dict(zip(_CALL, _CALL_VALUES(call), strict=True)) | plain(call.spend) | unknown
            row["prompt_key"] = prompt
            many["calls"].append(row)
        for mark in trial.marks:
            many["marks"].append(key | dict(zip((*_MARK, "score"), _MARK_VALUES(mark), strict=True)))
            many["mark_spends"] += _spend_rows(key | {"ordinal": mark.ordinal}, mark.spends, unknown)
        many["facts"] += [{**key, **plain(fact)} for fact in trial.facts]
    return {
        "framings": [*framings.values()],
        "prices": [*prices.values()],
        "price_tiers": tiers,
        "conditions": [*conditions.values()],
        "questions": [*questions.values()],
        "prompts": [*prompts.values()],
        **many,
    }


def _trial_row(trial: Trial, framing: str, snapshot: str) -> Row:
    """How a trial ended, and the ids of what it shares with others."""
    spec, condition = trial.spec, trial.spec.condition
    return {
        **dict(zip((*_TRIAL, *_LATER), _TRIAL_VALUES(trial), strict=True)),
        "condition_id": condition.condition_id,
        "question_id": spec.question.question_id,
        "framing_id": framing,
        "snapshot_id": snapshot,
        "repeat": spec.repeat,
        # The trial's own, which the condition's budget may outgrow.
        "axis": condition.axis,
        "budget": condition.budget,
        "started_at": naive(trial.started_at),
        "finished_at": naive(trial.finished_at),
    }


def _spend_rows(key: Row, spends: Sequence[ModelSpend], unknown: Row) -> list[Row]:
    """`unknown`: null in place of what a log does not report."""
    return [
        {
            **key,
            "position": position,
            "model": part.model,
            **plain(part.spend),
            "metered_input_tokens": part.metered_input_tokens,
            "tier": part.tier,
            **unknown,
        }
        for position, part in enumerate(spends)
    ]


def by_condition(trials: Iterable[Trial], act: Callable[[records.Condition], _T]) -> dict[int, _T]:
    """What `act` says of each condition, by its `id` while these trials have it: most of them share theirs, and one
    that is looked up by its content is gone through from end to end."""
    return {place: act(own) for place, own in {id(each.spec.condition): each.spec.condition for each in trials}.items()}


@functools.lru_cache(maxsize=1024)
def snapshot_id(condition: records.Condition) -> str:
    """Id of the prices a trial was planned with: equal prices of equal models, equal id."""

    def listed(price: records.Price) -> list[object]:
        # Nothing is added where there is nothing to add, so that ids stay what they were.
        tiers = [list(row.values()) for row in _tier_rows(price)]
        return [*(getattr(price, name) for name in _PRICE), *([tiers] if tiers else [])]

    # By model: roles may be given in any order, and the prices are the same.
    prices = sorted((s.identity, s.price and listed(s.price)) for _, s in condition.lineup)
    return ids.digest("m1", prices)


def _tier_rows(price: records.Price | None) -> list[Row]:
    """The rates of a price, its base first, where they are more than `prices` has columns for."""
    if price is None or price.flat:
        return []
    return [
        {"tier": place, **plain(rates), "request_pusd": price.request_pusd} for place, rates in enumerate(price.rates)
    ]


def price_of(row: Row, tiers: Sequence[Row]) -> records.Price | None:
    """The price that was stored, with the rows of its tiers; None: unknown."""
    if row["input_pusd"] is None or row["output_pusd"] is None:
        return None
    own = {name: row[name] for name in _PRICE}
    if not tiers:
        return records.Price(**own)
    # A table has no order of its own.
    base, *above = sorted(tiers, key=lambda each: int(each["tier"]))
    rates = tuple(records.Tier(**{name: each[name] for name in _TIER}) for each in above)
    return records.Price(**own, reasoning_pusd=base["reasoning_pusd"], request_pusd=base["request_pusd"], tiers=rates)


def completion_row(completion: Completion, run_id: str | None, unreported: Iterable[str] = ()) -> Row:
    """A completion; `run_id` fills in who paid where the record does not say, `unreported` is null."""
    row = plain(completion)
    usage = row.pop("usage")
    unknown = {name: None for name in unreported if name in row or name in _USAGE}
    return {**row, **plain(usage), **unknown, "run_id": run_id if completion.run_id is None else completion.run_id}


def probe_row(probe: records.Probe) -> Row:
    """A look into a stored reply."""
    row = plain(probe)
    return {**row, **plain(row.pop("spend"))}


def probe_of(row: Row) -> records.Probe:
    """The look that was stored; a file of an earlier version has no scores and no reader."""
    names = {field.name for field in fields(records.Probe)} - {"spend", "score", "reader"}
    later: dict[str, Any] = {"score": row.get("score"), "reader": row.get("reader") or 1}
    return records.Probe(spend=_spend(row), **later, **{name: row[name] for name in names})


def attempt_row(attempt: Attempt, run_id: str | None) -> Row:
    """A dispatch and the run that made it."""
    return {**plain(attempt), "run_id": run_id}


def attempt_of(row: Mapping[str, Any]) -> Attempt:
    """The dispatch that was stored; a charge is never below 0."""
    names = {field.name for field in fields(Attempt)} - {"started_at", "charged_tokens", "charged_pusd"}
    return Attempt(
        started_at=aware(row["started_at"]),
        charged_tokens=max(0, row["charged_tokens"]),
        charged_pusd=row["charged_pusd"] and max(0, row["charged_pusd"]),
        **{name: row[name] for name in names},
    )


def framing_id(problem: Problem) -> str:
    """Key of the framings table: how a question was put, apart from its own text."""
    # Cached by these parts, since a problem with its text is another for every question.
    return _framing_id(problem.answer_kind, problem.instructions, problem.examples)


@functools.lru_cache(maxsize=1024)
def _framing_id(kind: str, instructions: str, examples: tuple[Example, ...]) -> str:
    return ids.digest("f1", [kind, instructions, _listed(examples)])


def _listed(examples: Iterable[Example]) -> list[list[str | None]]:
    return [[e.question, e.answer, e.reasoning] for e in examples]


def trial_of(
    head: Row,
    prices: Mapping[str, records.Price | None],
    *,
    calls: Sequence[Row],
    marks: Sequence[Row],
    mark_spends: Sequence[Row],
    spends: Sequence[Row],
    facts: Sequence[Row],
) -> Trial:
    """The record that was stored; `head` joins trial, condition, question and framing; `prices` by model identity."""
    # The price may be missing altogether: it goes with the last trial that had it.
    lineup = tuple(
        (role, records.ModelSetting(name, model, prices.get(model))) for role, name, model in json.loads(head["lineup"])
    )
    condition = records.Condition(lineup=lineup, **{name: head[name] for name in _CONDITION})
    examples = tuple(Example(*parts) for parts in json.loads(head["examples"]))
    reading = codec.reading(head["data"])
    problem = Problem(
        head["text"],
        head["answer_kind"],
        head["instructions"],
        examples,
        head["context"],
        *reading,
        codec.turns(head["data"]),
    )
    question = records.Question(
        head["question_id"], head["question_task"], problem, head["target"], head["category"], head["data"]
    )
    spends_by_mark: dict[int, list[ModelSpend]] = {}
    for row in mark_spends:
        spends_by_mark.setdefault(row["ordinal"], []).append(_model_spend(row))
    whole_calls: list[Call] = []
    for row in calls:
        # Pairs and not objects: prompts are the largest table, and names would be half of it.
        turns = tuple(records.Message(role, content) for role, content in json.loads(row["messages"]))
        own = {name: row[name] for name in _CALL} | {"cut": None if row["cut"] is None else records.Cut(row["cut"])}
        whole_calls.append(Call(messages=turns, spend=_spend(row), **own))
    return Trial(
        spec=records.TrialSpec(head["trial_id"], condition, question, head["repeat"]),
        calls=tuple(whole_calls),
        marks=tuple(
            records.Mark(
                spends=tuple(spends_by_mark.get(row["ordinal"], ())),
                score=row.get("score"),
                **{name: row[name] for name in _MARK},
            )
            for row in marks
        ),
        spends=tuple(_model_spend(row) for row in spends),
        started_at=aware(head["started_at"]),
        finished_at=aware(head["finished_at"]),
        attempt=head["attempt"],
        # No such columns in an older database, and null in the rows it had.
        reader=head.get("reader") or 1,
        score=head.get("score"),
        unreported=tuple(name for name in _SPEND if any(row[name] is None for row in spends)),
        facts=tuple(records.Fact(**{name: row[name] for name in _FACT}) for row in facts),
        **{name: head[name] for name in _TRIAL},
    )


def completion_of(row: Mapping[str, Any]) -> Completion:
    """The completion that was stored."""
    own = ("key", "text", "finish", "latency_ms", "model_reported", "fingerprint", "provider_cost_pusd", "run_id")
    usage = Usage(**{name: row[name] for name in _USAGE})
    # A database of an older schema that is only read has no such column.
    later: dict[str, Any] = {name: row.get(name) for name in ("sent_tokens", "answered_by")}
    return Completion(usage=usage, created_at=aware(row["created_at"]), **later, **{name: row[name] for name in own})


def _model_spend(row: Row) -> ModelSpend:
    # No such column in an older database, whose prices had one rate.
    return ModelSpend(row["model"], _spend(row), row["metered_input_tokens"], row.get("tier", 0))


def _spend(row: Row) -> Spend:
    # Null where an imported log does not say; `Trial.unreported` names it.
    return Spend(**{name: row[name] or 0 for name in _SPEND})
