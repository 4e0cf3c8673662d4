"""Walls in dollars under prices with thresholds: kept to the pico-dollar, and read off a larger budget exactly."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core import replay
from engine.core.budget import Ledger, Planned, wall, worst_pusd
from engine.core.ids import condition_id, trial_id
from engine.core.records import ModelSetting, Price, Spend, Tier, Trial
from engine.models.scripted import ScriptedModel
from engine.store.rows import snapshot_id
from tests.support.effort import cases
from tests.support.toy_strategies import STRATEGIES, named
from tests.support.trials_on_paper import (
    CRITIC,
    SOLVER,
    Reporting,
    asking,
    critic,
    fixed,
    in_loop,
    model,
    play,
    played,
    pool_over,
    salted,
    spec,
)

rates = st.integers(0, 12)


@st.composite
def prices(draw: st.DrawFn) -> Price:
    """With up to three thresholds among the sizes of scripted prompts, rates that rise or fall, a fee, dear thoughts."""
    tiers = [
        Tier(above, draw(rates), draw(rates), reasoning_pusd=draw(st.none() | rates))
        for above in sorted(draw(st.sets(st.integers(2, 40), max_size=3)))
    ]
    fee = draw(st.integers(0, 30))
    return Price(draw(rates), draw(rates), reasoning_pusd=draw(st.none() | rates), request_pusd=fee, tiers=tuple(tiers))


def cost(trial: Trial) -> int:
    """What its calls cost, each in the tier of its own input."""
    known = replay.prices(trial.spec.condition)
    return sum(price.cost_pusd(call.spend) for call in trial.calls if (price := known[call.model]) is not None)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=named)
@given(data=st.data(), priced=st.tuples(prices(), prices()))
@cases(25)
def test_a_run_at_a_smaller_budget_is_read_off_the_largest_whatever_the_tiers(
    strategy: Any, data: st.DataObject, priced: tuple[Price, Price]
) -> None:
    solver, other = (replace(m, price=price) for m, price in zip((SOLVER, CRITIC), priced, strict=True))
    top = data.draw(st.integers(1, 4000))
    budgets = [top, *data.draw(st.lists(st.integers(1, top), min_size=4, max_size=8))]
    slack = data.draw(st.sampled_from((1.0, 1.4, 3.0, 0.6)))
    script = salted(data.draw(st.integers(0, 10**6)))
    extra = data.draw(st.sampled_from((0, 0, 7)))
    first = Reporting(solver, script, slack=slack, pauses=3, extra_input=extra)
    second = ScriptedModel(other, script, slack=slack)
    lineup = (("solver", solver), ("critic", other))

    async def sweep() -> list[Trial]:
        pool = pool_over(first, second)
        return [await played(strategy, spec("s", "usd", b, lineup=lineup), [first, second], pool, 4) for b in budgets]

    whole, *direct = in_loop(sweep())
    for budget, trial in zip(budgets[1:], direct, strict=True):
        reading = replay.read(whole, "usd", budget)
        assert (trial.answer, trial.spends) == (reading.answer, reading.spends)
        assert cost(trial) <= replay.standing(trial.calls, wall("usd", budget, [solver, other])) <= budget
        known = dict(zip((solver.identity, other.identity), priced, strict=True))
        assert cost(trial) == sum(known[part.model].cost_pusd(part.spend, tier=part.tier) for part in trial.spends)


@given(prices(), st.integers(0, 60), st.integers(0, 60), st.integers(0, 20), st.integers(0, 20))
@cases(200)
def test_no_call_within_its_bound_costs_more_than_its_worst_case(
    price: Price, one: int, other: int, output: int, reasoning: int
) -> None:
    given_input, bound = sorted((one, other))
    spend = Spend(1, given_input, output_tokens=output, reasoning_tokens=min(output, reasoning))
    worst = worst_pusd(price, bound, output)
    assert price.cost_pusd(spend) <= worst
    ledger = Ledger([wall("usd", worst, [replace(SOLVER, price=price)])], {SOLVER.identity: price})
    assert ledger.covers(Planned(SOLVER.identity, bound, output), spend)


def test_a_call_known_to_stay_below_a_threshold_is_granted_at_the_base_and_one_that_may_pass_it_at_the_tier() -> None:
    price = Price(1, 2, tiers=(Tier(10, 5, 20),))
    ledger = Ledger([wall("usd", 250, [replace(SOLVER, price=price)])])
    assert ledger.granted(Planned(SOLVER.identity, 10, 999)) == (250 - 10) // 2
    assert ledger.granted(Planned(SOLVER.identity, 11, 999)) == (250 - 55) // 20


def test_any_output_may_turn_out_to_be_reasoning() -> None:
    price = Price(1, 2, cache_write_pusd=4, reasoning_pusd=9, request_pusd=100)
    assert worst_pusd(price, 10, 5) == 100 + 10 * 4 + 5 * 9
    ledger = Ledger([wall("usd", 200, [replace(SOLVER, price=price)])])
    assert ledger.granted(Planned(SOLVER.identity, 10, 99)) == (200 - 100 - 10) // 9


def test_spends_are_kept_by_the_tier_of_each_calls_own_input() -> None:
    price = Price(1, 2, tiers=(Tier(3, 5, 20),))
    solver = replace(model(fixed("x Answer: A")), setting=replace(SOLVER, price=price))
    trial = in_loop(
        played(
            asking(["one", "one two three four five six", "one"]),
            spec("s", "calls", 9, lineup=(("solver", solver.setting),)),
            [solver],
            pool_over(solver, critic()),
            1,
        )
    )
    own = [price.tier(call.spend.input_tokens) for call in trial.calls]
    assert own == [0, 1, 0]
    assert [(part.tier, part.spend.calls) for part in trial.spends] == [(0, 2), (1, 1)]
    assert sum(part.metered_input_tokens for part in trial.spends) == trial.calls[-1].metered_input_tokens
    assert [[part.tier for part in mark.spends] for mark in trial.marks[-1:]] == [[0, 1][: len(trial.marks[-1].spends)]]


def test_a_price_of_one_rate_keeps_the_ids_it_always_had_and_tiers_make_another() -> None:
    """A fee, reasoning at the price of output and no tiers are what prices were before they could say so."""

    def planned(price: Price) -> tuple[str, str]:
        setting = ModelSetting(SOLVER.name, SOLVER.identity, price)
        condition = spec("s", "usd", 9, lineup=(("solver", setting),)).condition
        return trial_id(condition, "q1-x", 0), snapshot_id(condition)

    flat = planned(Price(3, 7))
    assert flat[0] == planned(Price(3, 7, reasoning_pusd=7))[0]
    others = [Price(3, 7, request_pusd=1), Price(3, 7, reasoning_pusd=9), Price(3, 7, tiers=(Tier(9, 3, 8),))]
    assert len({flat, *map(planned, others)}) == 4
    assert condition_id(spec("s", "usd", 9).condition)
    assert play(asking(["x"]), "usd", 900).spends[0].tier == 0
