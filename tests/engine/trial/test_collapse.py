"""Anytime collapse: all that is read off the run at the largest budget equals a direct run at b."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.records import AXES, Axis, Trial
from engine.models.scripted import ScriptedModel
from engine.strategies.self_consistency import SelfConsistency
from tests.support.effort import cases
from tests.support.toy_strategies import STRATEGIES, named
from tests.support.trials_on_paper import (
    LARGEST,
    SOLVER,
    Reporting,
    anonymous,
    answer_at,
    critic,
    fixed,
    horizon,
    in_loop,
    model,
    play,
    played,
    pool_over,
    salted,
    spec,
    spend_at,
    total,
    walls_of,
)

strategies = pytest.mark.parametrize("strategy", STRATEGIES, ids=named)


async def _sweep(strategy: Any, axis: Axis, budgets: list[int], solver: ScriptedModel, width: int) -> list[Trial]:
    """The trial at the largest budget and the direct ones at the others, all over one pool."""
    pool = pool_over(solver, critic())
    order = [max(budgets), *budgets]
    return [await played(strategy, spec("s", axis, b), [solver], pool, width) for b in order]


@strategies
@pytest.mark.parametrize("axis", AXES)
@given(data=st.data())
@cases(60)
def test_marks_read_off_the_largest_budget_equal_a_direct_run(strategy: Any, axis: Axis, data: st.DataObject) -> None:
    top = data.draw(st.integers(1, LARGEST[axis]))
    budgets = [*data.draw(st.lists(st.integers(1, top), min_size=6, max_size=12)), top]
    slack = data.draw(st.sampled_from((1.0, 1.4, 3.0, 0.6)))
    script = salted(data.draw(st.integers(0, 10**6)))
    solver = model(script, slack=slack, fickle=data.draw(st.booleans()), pauses=3)
    whole, *direct = in_loop(_sweep(strategy, axis, budgets, solver, data.draw(st.sampled_from((1, 4, 32)))))
    end = horizon(whole, axis)
    assert end is None or top < end
    for budget, trial in zip(budgets, direct, strict=True):
        assert trial.answer == answer_at(whole, axis, budget)
        assert total(trial) == spend_at(whole, axis, budget)
        assert walls_of(trial.spends, axis) <= budget


@strategies
@pytest.mark.parametrize("axis", AXES)
@given(data=st.data())
@cases(15)
def test_a_provider_that_bills_past_bound_and_cap_breaks_no_wall_and_no_curve(
    strategy: Any, axis: Axis, data: st.DataObject
) -> None:
    top = data.draw(st.integers(1, LARGEST[axis]))
    budgets = [*data.draw(st.lists(st.integers(1, top), min_size=4, max_size=8)), top]
    more_in, more_out = data.draw(st.tuples(st.integers(0, 9), st.integers(0, 9)))
    slack = data.draw(st.sampled_from((1.0, 3.0, 0.6)))
    script = salted(data.draw(st.integers(0, 10**6)))
    solver = Reporting(SOLVER, script, slack=slack, pauses=3, extra_input=more_in, extra_output=more_out)
    whole, *direct = in_loop(_sweep(strategy, axis, budgets, solver, 4))
    for budget, trial in zip(budgets, direct, strict=True):
        assert trial.answer == answer_at(whole, axis, budget)
        assert total(trial) == spend_at(whole, axis, budget)
        assert walls_of(trial.spends, axis) <= budget


def test_a_greedy_wave_would_answer_a_where_the_collapse_answers_b() -> None:
    replies = fixed("x Answer: A", "x x x x x x Answer: B", "Answer: B")
    strategy = SelfConsistency(samples=3, chain_tokens=10)
    whole = play(strategy, "output_tokens", 30, model(replies))
    direct = play(strategy, "output_tokens", 16, model(replies), width=3)
    assert [call.spend.output_tokens for call in direct.calls] == [4, 9, 3]
    assert direct.answer == answer_at(whole, "output_tokens", 16) == "B"
    assert direct.end == "finished"


@strategies
@pytest.mark.parametrize("axis", AXES)
@given(data=st.data())
@cases(25)
def test_width_and_latency_decide_nothing(strategy: Any, axis: Axis, data: st.DataObject) -> None:
    budget = data.draw(st.integers(1, LARGEST[axis]))
    slack = data.draw(st.sampled_from((1.0, 2.0)))
    script = salted(data.draw(st.integers(0, 10**6)))
    runs = [
        play(strategy, axis, budget, model(script, slack=slack, pauses=pauses), width=width)
        for width, pauses in ((1, 0), (4, 5), (32, 9))
    ]
    assert anonymous(runs[0]) == anonymous(runs[1]) == anonymous(runs[2])
