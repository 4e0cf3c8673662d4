"""What the store knows of the spending of a planned study: its conditions' trials, call by call, and their pace.

A stored condition speaks for a planned one when task, models, strategy with all parameters, its version and the prompts
are the same; then the walls may differ as long as the strategy is anytime, because its trial at a smaller wall is a
prefix of the one at a larger. Other parameters or prompts are no history: nothing honest scales one to the other. Nor
are trials that a smaller wall cut short: how far they would have gone is unknown.

Reads little, so that a run starts at once: of each condition the questions that come first by their hash, which is a
random sample. Owns its SQL and needs no polars, which a worker never loads. Money in pico-dollars.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from engine.core import replay
from engine.core.budget import wall
from engine.core.ids import request_of
from engine.core.records import Call, Condition, Cut, Price, Spend
from engine.store import frames
from engine.store.deltas import FINAL_CUTS
from engine.store.sql import Connection
from engine.store.store import Store
from engine.study.prediction import Range

QUANTITIES = ("calls", "input_tokens", "output_tokens", "total_tokens", "pusd", "work_ms")
"""What a unit counts. work_ms: latency of the calls and a millisecond of our own for each."""
USUAL_CV = {"calls": 0.1, "input_tokens": 0.2, "output_tokens": 1.0, "total_tokens": 0.6, "pusd": 0.6, "work_ms": 1.0}
"""Coefficients of variation between questions where the store has none to learn from."""
MOST_QUESTIONS = 60
MOST_ROWS = 20_000
_ENOUGH = 8
"""Questions from which a condition teaches others its spread."""
Vector = tuple[float, ...]
"""One number per quantity."""
NOTHING: Vector = (0.0,) * len(QUANTITIES)


@dataclass(frozen=True, slots=True)
class Asked:
    """One stored trial as it would be under the planned wall."""

    spend: Vector
    bought: Mapping[str, Vector]
    """By request: what each completion costs when nobody has bought it yet, whole whatever the wall showed of it."""


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of the planned conditions, by their place in the plan."""

    trials: Mapping[int, Mapping[str, tuple[Asked, ...]]] = field(default_factory=dict)
    """Per condition and question, one entry per repeat; conditions without history are left out."""
    short: frozenset[int] = frozenset()
    """Conditions whose stored trials a smaller wall cut."""
    spread: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Coefficients of variation per strategy and quantity."""
    pace: Mapping[str, float] = field(default_factory=dict)
    """Seconds of the clock per millisecond of work, by model identity; what ran side by side is in it."""
    around: Range = Range()
    """Seconds a run takes besides its calls, to start and to end; half to double of what recent runs took."""
    free: frozenset[str] = frozenset()
    """Models nobody bills, by identity."""


def read(store: Store, conditions: Sequence[Condition], calls: float, free: frozenset[str] = frozenset()) -> Past:
    """The history of these conditions; `calls`: how many their trials make on one question at most; `free`: models
    nobody bills, by identity.

    Raises StoreError. A database that is not there has no history.
    """
    if not store.path.exists() or not conditions:
        return Past(free=free)
    import polars as pl

    models = sorted({setting.identity for condition in conditions for _, setting in condition.lineup})
    strategies = sorted({condition.strategy for condition in conditions})
    rows: list[Any] = []
    with store.reading() as connection:
        if twins := _twins(connection, conditions):
            columns = ("condition_id", "place", "axis", "wall")
            frames.register(connection, "twins", pl.DataFrame(twins, schema=columns, orient="row"))
            # So few rows that a run starts at once; the first by their hash are a random sample.
            questions = max(8, min(MOST_QUESTIONS, int(MOST_ROWS / max(1.0, calls))))
            rows = connection.execute(_CALLS, [questions]).fetchall()
        frames.register(connection, "wanted", pl.DataFrame({"id": strategies}))
        spread = {}
        for strategy, *squares in connection.execute(_SPREAD, [_ENOUGH]).fetchall():
            each, sent, got, total, work = ((square or 0.0) ** 0.5 for square in squares)
            # Money has the spread of all tokens: the query knows no price.
            spread[strategy] = dict(zip(QUANTITIES, (each, sent, got, total, total, work), strict=True))
        frames.register(connection, "wanted", pl.DataFrame({"id": models}))
        pace = dict(connection.execute(_PACE).fetchall())
        least, middle, most = connection.execute(_AROUND).fetchall()[0]
    around = Range() if middle is None else Range(middle, least / 2, most * 2)
    trials: dict[int, dict[str, tuple[Asked, ...]]] = {}
    short: set[int] = set()
    for (place, question, _, cut), answers in groupby(rows, key=lambda row: tuple(row[:4])):
        if cut:
            # How far it would have gone is unknown, so the whole condition is no history.
            short.add(place)
        else:
            answered = _within([row[4:] for row in answers], conditions[place], pace, free)
            by_question = trials.setdefault(place, {})
            by_question[question] = (*by_question.get(question, ()), answered)
    whole = {place: by_question for place, by_question in trials.items() if place not in short}
    return Past(whole, frozenset(short), spread, pace, around, free)


def _twins(connection: Connection, conditions: Sequence[Condition]) -> list[tuple[str, int, str, int]]:
    """(stored condition, place in the plan, axis, wall) for each that speaks for a planned one."""
    # Task, who plays which role, strategy, params, version and prompting: what a model is called says nothing.
    stored: dict[tuple[Any, ...], list[tuple[str, bool, str, int]]] = {}
    for name, anytime, axis, budget, task, lineup, *rest in connection.execute(_CONDITIONS).fetchall():
        roles = sorted((role, identity) for role, _, identity in json.loads(lineup))
        stored.setdefault((task, *roles, *rest), []).append((name, anytime, axis, budget))
    twins: list[tuple[str, int, str, int]] = []
    for at, planned in enumerate(conditions):
        roles = sorted((role, setting.identity) for role, setting in planned.lineup)
        method = (planned.task, *roles, planned.strategy, planned.params, planned.version, planned.prompting)
        for name, anytime, axis, budget in stored.get(method, ()):
            # A trial of an anytime strategy at a smaller wall is a prefix of the one at a larger.
            if (anytime and planned.anytime) or (axis, budget) == (planned.axis, planned.budget):
                twins.append((name, at, planned.axis, planned.budget))
    return twins


def _within(
    rows: Iterable[Sequence[Any]], condition: Condition, pace: Mapping[str, float], free: frozenset[str]
) -> Asked:
    """The prefix of a trial that the planned wall lets through; the call that closes it is bought in full.

    The work of models with another pace than the solver's is told in the solver's milliseconds.
    """
    settings = {setting.identity: setting for _, setting in condition.lineup}
    # Of a trial without calls the join leaves one row of nulls; a model outside the line-up has no place on the wall.
    calls = [
        Call(
            ordinal=at,
            role="",
            model=model,
            key=key,
            messages=(),
            asked_tokens=asked,
            granted_tokens=asked,
            bound_tokens=bound,
            cut=None if cut is None else Cut(cut),
            replayed=False,
            spend=Spend(int(seen is not None), sent, 0, 0, got, reasoning, latency),
            seen_output_tokens=seen,
            metered_input_tokens=high,
        )
        for at, (model, key, cut, asked, bound, high, seen, sent, got, reasoning, latency) in enumerate(rows)
        if model in settings
    ]
    side = wall(condition.axis, condition.budget, settings.values())
    inside = replay.cover(calls, [side], replay.prices(condition))
    bought, work, solver = {}, 0.0, condition.solver.identity
    for call in calls[: inside.covered + bool(inside.granted)]:
        per_ms = pace.get(call.model, 0.0) / pace[solver] if pace.get(solver) else 1.0
        price = None if call.model in free else settings[call.model].price
        bought[request_of(call.key)] = _vector(call.spend, (call.spend.latency_ms + 1) * per_ms, price, None)
        work += (call.spend.latency_ms + 1) * per_ms
    vectors = [_vector(part.spend, 0.0, settings[part.model].price, part.tier) for part in inside.spends]
    return Asked(tuple(map(sum, zip(NOTHING, *vectors, (0.0,) * (len(NOTHING) - 1) + (work,), strict=True))), bought)


def _vector(spend: Spend, work: float, price: Price | None, tier: int | None) -> Vector:
    """`tier` of the price: None for a single call, whose own input decides."""
    pusd = price.cost_pusd(spend, tier=tier) if price else 0
    return (spend.calls, spend.input_tokens, spend.output_tokens, spend.total_tokens, pusd, work)


_CONDITIONS = """
select condition_id, anytime, axis, budget, task, lineup, strategy, params, version, prompting from conditions"""

_CALLS = f"""
with latest as (
    select t.*, w.place, w.wall, "end" = 'exhausted' and coalesce(error, '') not in {FINAL_CUTS}
        and (t.axis <> w.axis or t.budget < w.wall) as cut
    from trials t join twins w using (condition_id)
    qualify row_number() over (partition by t.trial_id, w.place order by t.attempt desc) = 1),
chosen as (
    select * from latest where "end" in ('finished', 'exhausted')
    qualify row_number() over (partition by place, question_id, repeat order by cut, budget desc, trial_id) = 1
        and dense_rank() over (partition by place order by question_id) <= ?)
select h.place, h.question_id, h.repeat, h.cut, c.model, c.key, c.cut, c.asked_tokens, c.bound_tokens,
    c.metered_input_tokens, coalesce(c.seen_output_tokens, k.output_tokens), coalesce(k.input_tokens, c.input_tokens),
    coalesce(k.output_tokens, c.output_tokens), coalesce(k.reasoning_tokens, c.reasoning_tokens),
    coalesce(k.latency_ms, c.latency_ms)
from chosen h left join calls c using (trial_id, attempt) left join completions k on k.key = c.key
where c.calls is null or c.calls > 0 or k.key is not null
order by h.place, h.question_id, h.repeat, c.ordinal"""

_SPREAD = """
with asked as (
    select c.strategy, t.condition_id, sum(s.calls) as calls, sum(s.input_tokens) as sent, sum(s.output_tokens) as got,
        sum(s.latency_ms + s.calls) as work
    from trials t join conditions c using (condition_id) join trial_spends s using (trial_id, attempt)
    where c.strategy in (from wanted) and t."end" in ('finished', 'exhausted')
    group by c.strategy, t.condition_id, t.trial_id, t.attempt),
spreads as (
    select strategy, var_samp(calls) / nullif(avg(calls), 0) ** 2 as calls,
        var_samp(sent) / nullif(avg(sent), 0) ** 2 as sent, var_samp(got) / nullif(avg(got), 0) ** 2 as got,
        var_samp(sent + got) / nullif(avg(sent + got), 0) ** 2 as total,
        var_samp(work) / nullif(avg(work), 0) ** 2 as work
    from asked group by strategy, condition_id having count(*) >= ?)
select strategy, avg(calls), avg(sent), avg(got), avg(total), avg(work) from spreads group by strategy"""

# Busy time is the union of the calls' own times: pauses of more than five seconds are somebody's, not the model's.
_PACE = """
with recent as (
    select model, epoch_ms(started_at) as began, epoch_ms(started_at) + latency_ms + 1 as ended, latency_ms + 1 as work
    from attempts where outcome = 'ok' and model in (from wanted)
    qualify row_number() over (partition by model order by started_at desc) <= 5000),
reached as (
    select *, max(ended) over (
        partition by model order by began, ended rows between unbounded preceding and 1 preceding) as before
    from recent)
select model, sum(ended - least(ended, case when before is null or began > before + 5000 then began
    else before end)) / 1000 / sum(work) from reached group by model"""

# A run that stood still between its calls, because it was stopped and resumed, says nothing.
_AROUND = """
with mine as (
    select run_id, epoch_ms(min(started_at)) as began, max(epoch_ms(started_at) + latency_ms) as ended
    from attempts where model in (from wanted) group by run_id),
walls as (
    select (epoch_ms(r.finished_at) - epoch_ms(r.started_at) - (m.ended - m.began)) / 1000 as seconds
    from mine m join runs r using (run_id) where r.state = 'finished' and m.began >= epoch_ms(r.started_at)
    order by r.started_at desc limit 5)
select min(seconds), median(seconds), max(seconds) from walls where seconds >= 0"""
