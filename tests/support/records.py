"""Hypothesis strategies for every record that is stored; ids follow content, as the engine makes them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import strategies as st

from engine.core import codec, ids
from engine.core.records import (
    AXES,
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
    Question,
    Spend,
    Trial,
    TrialSpec,
    Usage,
    Verdict,
)

CUTS: tuple[Cut | None, ...] = (None, *Cut)
GRADES: tuple[tuple[Verdict, float | None], ...] = (("right", 1.0), ("wrong", 0.0), ("none", None))
"""Verdicts with their scores, beside those between."""
MODELS = ("scripted/a", "local/b@ffff", "openai/c@api.openai.com/v1")
texts = st.text(max_size=12)
maybe = st.none() | texts
counts = st.integers(0, 10**9)
big = st.integers(0, 2**63 - 1)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))

spends = st.builds(Spend, counts, counts, counts, counts, counts, counts, counts)
usages = st.builds(Usage, counts, counts, st.none() | counts, st.none() | counts, st.none() | counts, st.booleans())
prices = st.builds(Price, big, big, st.none() | big, st.none() | big, texts, maybe, st.booleans())
completions = st.builds(
    Completion,
    key=st.uuids().map(str),
    text=st.text(),
    finish=st.sampled_from(["stop", "length", "filter", "other"]),
    usage=usages,
    latency_ms=counts,
    model_reported=maybe,
    fingerprint=maybe,
    created_at=moments,
    provider_cost_pusd=st.none() | big,
    run_id=texts,
)
attempts = st.builds(
    Attempt,
    attempt_id=st.uuids().map(str),
    key=texts,
    model=st.sampled_from(MODELS),
    ordinal=counts,
    outcome=st.sampled_from(["ok", "retried", "failed", "in_doubt"]),
    error=maybe,
    reserved_tokens=counts,
    reserved_pusd=st.none() | big,
    charged_tokens=counts,
    charged_pusd=st.none() | big,
    started_at=moments,
    latency_ms=counts,
)
messages = st.lists(st.builds(Message, st.sampled_from(["system", "user", "assistant"]), texts), max_size=3).map(tuple)
problems = st.builds(
    Problem,
    texts,
    st.sampled_from(["number", "word", "yes_no", "text"]),
    texts,
    st.lists(st.builds(Example, texts, texts, maybe), max_size=2).map(tuple),
    maybe,
)


@st.composite
def questions(draw: st.DrawFn) -> Question:
    problem, task, target = draw(problems), draw(texts), draw(texts)
    problem = replace(problem, turns=draw(st.just(()) | messages))
    return Question(ids.question_id(task, problem, target), task, problem, target, data=codec.with_reading(problem))


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    names = draw(st.lists(st.sampled_from(MODELS), min_size=1, max_size=3, unique=True))
    roles = ["solver", "critic", "judge"]
    lineup = tuple(
        (role, ModelSetting(name, name, draw(st.none() | prices))) for role, name in zip(roles, names, strict=False)
    )
    params = json.dumps({"samples": draw(counts)})
    raw = Condition(
        "",
        draw(texts),
        lineup,
        draw(texts),
        params,
        draw(counts),
        draw(st.booleans()),
        draw(st.sampled_from(AXES)),
        draw(big),
    )
    return replace(raw, condition_id=ids.condition_id(raw))


@st.composite
def model_spends(draw: st.DrawFn) -> tuple[ModelSpend, ...]:
    names = draw(st.lists(st.sampled_from(MODELS), max_size=3, unique=True))
    return tuple(ModelSpend(name, draw(spends), draw(counts)) for name in names)


@st.composite
def calls(draw: st.DrawFn, ordinal: int) -> Call:
    cut: Cut | None = draw(st.sampled_from(CUTS))
    return Call(
        ordinal,
        draw(texts),
        draw(st.sampled_from(MODELS)),
        draw(texts),
        draw(messages),
        draw(counts),
        draw(counts),
        draw(counts),
        cut,
        draw(st.booleans()),
        draw(spends),
        draw(st.none() | counts),
        draw(counts),
    )


def _partly(score: float) -> tuple[Verdict, float | None]:
    return "partly", score


@st.composite
def trials(draw: st.DrawFn) -> Trial:
    condition, question, repeat = draw(conditions()), draw(questions()), draw(st.integers(0, 9))
    spec = TrialSpec(ids.trial_id(condition, question.question_id, repeat), condition, question, repeat)
    grades = st.sampled_from(GRADES) | st.floats(0.001, 0.999).map(_partly)
    verdict, score = draw(grades)
    return Trial(
        spec=spec,
        run_id=draw(texts),
        attempt=draw(st.integers(1, 3)),
        end=draw(st.sampled_from(["finished", "exhausted", "failed", "stopped"])),
        verdict=verdict,
        score=score,
        answer=draw(maybe),
        error=draw(maybe),
        calls=tuple(draw(calls(i)) for i in range(draw(st.integers(0, 3)))),
        marks=tuple(
            Mark(i, draw(texts), draw(counts), draw(model_spends()), *draw(grades))
            for i in range(draw(st.integers(0, 3)))
        ),
        spends=draw(model_spends()),
        started_at=draw(moments),
        finished_at=draw(moments),
    )
