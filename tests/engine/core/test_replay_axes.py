"""Rules 9 and 10: a trial swept on one wall read on others, exact below its horizon and censored from there on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.records import AXES, Axis, Cut, Spend, Trial
from engine.models.scripted import ScriptedModel
from engine.runs.completion_cache import CompletionCache
from engine.strategies.self_consistency import SelfConsistency
from tests.support.effort import cases
from tests.support.toy_strategies import STRATEGIES, Breaks, Debate, Panel, Twice, Windowed, named
from tests.support.trials_on_paper import (
    LARGEST,
    NoPool,
    anonymous,
    answer_within,
    asking,
    babble,
    box,
    censored,
    critic,
    failing,
    fixed,
    horizon,
    in_loop,
    model,
    play,
    played,
    pool_over,
    salted,
    spec,
    spend_within,
    total,
    walls_of,
)

SLACKS = (1.0, 1.5, 3.0, 0.6)
strategies = pytest.mark.parametrize("strategy", [*STRATEGIES, Breaks()], ids=named)


def _near(whole: Trial, axis: Axis) -> st.SearchStrategy[int]:
    """Budgets anywhere on an axis, and those on either side of the horizon and of the marks."""
    edges = [walls_of(mark.spends, axis) for mark in whole.marks] + [horizon(whole, axis) or LARGEST[axis]]
    steps = st.builds(lambda at, by: max(1, at + by), st.sampled_from(edges), st.integers(-1, 1))
    return st.integers(1, LARGEST[axis]) | steps


def _models(data: st.DataObject) -> tuple[ScriptedModel, ScriptedModel]:
    script = failing(salted(data.draw(st.integers(0, 10**6))), data.draw(st.sampled_from((0.0, 0.0, 0.1, 0.3))))
    fickle = data.draw(st.booleans())
    slack = data.draw(st.sampled_from(SLACKS))
    window = data.draw(st.sampled_from((None, None, 60, 45)))
    return model(script, slack=slack, fickle=fickle, pauses=3, context_tokens=window), critic(script, slack=slack)


def _agree(whole: Trial, direct: Trial, walls: dict[Axis, int]) -> None:
    """Below the horizon all is exact; from there on the direct run went where the whole one never was."""
    if censored(whole, walls):
        closing = next((i for i, c in enumerate(whole.calls) if c.cut and c.cut.beyond), None)
        if closing is not None:
            beyond = direct.calls[closing].cut
            assert beyond in (None, "own") if whole.calls[closing].cut == "budget" else beyond != "refused"
        return
    assert direct.answer == answer_within(whole, walls)
    assert total(direct) == spend_within(whole, walls)
    assert all(walls_of(direct.spends, axis) <= limit for axis, limit in walls.items())


@strategies
@given(data=st.data())
@cases(50)
def test_a_sweep_on_total_tokens_read_on_another_axis_equals_a_direct_run(strategy: Any, data: st.DataObject) -> None:
    models = _models(data)
    pool = pool_over(*models)
    generous = data.draw(st.integers(30, LARGEST["total_tokens"]))
    whole = in_loop(box(strategy, {"total_tokens": generous}, models, pool))
    bought = _kept(pool)
    for axis in AXES:
        for budget in data.draw(st.lists(_near(whole, axis), min_size=2, max_size=4)):
            direct = in_loop(box(strategy, {axis: budget}, models, _again(pool, bought)))
            _agree(whole, direct, {axis: budget})


@strategies
@given(data=st.data())
@cases(35)
def test_a_box_of_walls_read_in_a_smaller_box_equals_a_direct_run(strategy: Any, data: st.DataObject) -> None:
    models = _models(data)
    pool = pool_over(*models)
    axes = data.draw(st.lists(st.sampled_from(AXES), min_size=1, max_size=4, unique=True))
    whole = in_loop(box(strategy, {axis: LARGEST[axis] for axis in axes}, models, pool))
    bought = _kept(pool)
    for _ in range(4):
        chosen = data.draw(st.lists(st.sampled_from(AXES), min_size=1, max_size=4, unique=True))
        walls = {axis: data.draw(_near(whole, axis)) for axis in chosen}
        direct = in_loop(box(strategy, walls, models, _again(pool, bought)))
        _agree(whole, direct, walls)


def _kept(pool: CompletionCache) -> dict[str, Any]:
    return {key: flight for key, flight in pool._flights.items() if flight.exception() is None}


def _again(pool: CompletionCache, bought: dict[str, Any]) -> CompletionCache:
    """A pool of a later run that finds on its shelf what an earlier one bought."""
    return CompletionCache(pool._buy, bought=[flight.result()[0] for flight in bought.values()])


@strategies
@given(data=st.data())
@cases(30)
def test_only_a_trial_that_a_wall_or_a_failure_ended_has_a_horizon(strategy: Any, data: st.DataObject) -> None:
    models = _models(data)
    axis = data.draw(st.sampled_from(AXES))
    whole = in_loop(box(strategy, {axis: data.draw(st.integers(1, LARGEST[axis]))}, models, pool_over(*models)))
    closed = whole.end == "failed" or whole.error == "budget"
    for other in AXES:
        end = horizon(whole, other)
        assert (end is not None) == closed
        assert censored(whole, {other: 10**9}) == closed
        assert end is None or all(walls_of(mark.spends, other) <= end for mark in whole.marks)


def test_on_its_own_axis_a_closed_trial_is_censored_above_its_wall_only() -> None:
    whole = play(SelfConsistency(samples=5, chain_tokens=10), "output_tokens", 20, model(fixed("x x x x x x")))
    assert [call.cut for call in whole.calls] == [None, None, "budget"]
    assert horizon(whole, "output_tokens") == 21
    assert not censored(whole, {"output_tokens": 20})
    assert censored(whole, {"output_tokens": 21})


def test_only_its_own_cap_leaves_a_session_open_and_a_full_window_would_end_it_at_any_budget() -> None:
    assert [cut for cut in Cut if not cut.closes] == [Cut.OWN]
    whole = play(asking(["say it"] * 3), "total_tokens", 600, model(fixed("x x x"), context_tokens=40))
    closing = replace(whole.calls[-1], cut=Cut.CONTEXT, spend=Spend(), seen_output_tokens=None)
    full = replace(whole, end="exhausted", error="context", calls=(*whole.calls[:-1], closing))
    assert horizon(full, "total_tokens") is None
    assert horizon(replace(full, calls=(*whole.calls[:-1], replace(closing, cut=Cut.REFUSED))), "total_tokens")


def test_a_generous_wall_censors_a_cheap_axis_that_would_have_gone_further() -> None:
    wordy = model(fixed("x x x x Answer: A"))
    whole = play(SelfConsistency(samples=9, chain_tokens=10), "output_tokens", 20, wordy)
    assert [horizon(whole, axis) for axis in ("calls", "output_tokens")] == [3, 21]
    assert censored(whole, {"calls": 3})
    assert not censored(whole, {"calls": 2})


@pytest.mark.parametrize("strategy", [*STRATEGIES], ids=named)
@given(data=st.data())
@cases(30)
def test_the_pool_changes_no_answer_of_a_model_that_honours_seeds(strategy: Any, data: st.DataObject) -> None:
    script = salted(data.draw(st.integers(0, 10**6)))
    axis = data.draw(st.sampled_from(AXES))
    budget = data.draw(st.integers(1, LARGEST[axis]))
    pooled = play(strategy, axis, budget, model(script, pauses=3))
    alone = play(strategy, axis, budget, model(script), source=NoPool(model(script), critic()))
    assert anonymous(pooled) == anonymous(alone)


@pytest.mark.parametrize("strategy", [*STRATEGIES], ids=named)
@given(data=st.data())
@cases(30)
def test_another_strategy_in_the_pool_changes_nothing(strategy: Any, data: st.DataObject) -> None:
    script = salted(data.draw(st.integers(0, 10**6)))
    axis = data.draw(st.sampled_from(AXES))
    budget = data.draw(st.integers(1, LARGEST[axis]))
    other = data.draw(st.sampled_from([s for s in STRATEGIES if s != strategy]))
    solver = model(script, pauses=3)

    async def shared() -> Trial:
        pool = pool_over(solver, critic())
        await played(other, spec("other", "calls", 9), [solver], pool, 4)
        return await played(strategy, spec(named(strategy), axis, budget), [solver], pool, 4)

    assert anonymous(in_loop(shared())) == anonymous(play(strategy, axis, budget, model(script)))


@given(data=st.data())
@cases(100)
def test_trials_running_together_over_one_pool_read_the_same_draws(data: st.DataObject) -> None:
    """Also with a provider that ignores seeds: whoever comes first buys, and all read one draw."""
    chosen = data.draw(
        st.lists(st.sampled_from((*STRATEGIES, Windowed(12), Debate(11), Twice(), Panel(4))), min_size=2, max_size=4)
    )
    solver = model(babble, fickle=True, pauses=5, slack=data.draw(st.sampled_from(SLACKS)))
    judge = critic(babble, fickle=True, pauses=5)
    axis = data.draw(st.sampled_from(AXES))
    budgets = data.draw(st.lists(st.integers(1, LARGEST[axis]), min_size=len(chosen), max_size=len(chosen)))

    async def race() -> None:
        pool = pool_over(solver, judge)
        planned = [spec("s", axis, b) for b in budgets]
        runs = zip(chosen, planned, strict=True)
        together = await asyncio.gather(*(played(s, p, [solver, judge], pool, 4) for s, p in runs))
        for strategy, plan, trial in zip(chosen, planned, together, strict=True):
            alone = await played(strategy, plan, [solver, judge], pool, 1)
            assert anonymous(alone) == anonymous(trial)

    in_loop(race())
