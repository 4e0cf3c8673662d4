"""The session's promise to anytime strategies, metered input and the call cap (rules 5 to 8)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from engine.core.budget import Ledger, Planned, wall
from engine.core.records import AXES, Axis, ModelSetting, Price, Spend, Trial
from engine.trial.session import MAX_CALLS, Session
from tests.support.effort import cases
from tests.support.trials_on_paper import (
    CRITIC,
    FIVE,
    SOLVER,
    Does,
    Reporting,
    asking,
    critic,
    in_loop,
    model,
    play,
    played,
    pool_over,
    spec,
    total,
)

# Rule 5: the anytime promise


async def _peeking(session: Session) -> AsyncIterator[str]:
    yield f"{session.remaining}"


def test_remaining_fails_a_strategy_that_calls_itself_anytime() -> None:
    trial = play(Does(_peeking), "output_tokens", 50)
    assert (trial.end, trial.answer) == ("failed", None)
    assert "must not look at what remains" in (trial.error or "")


def test_remaining_counts_output_tokens_before_any_prompt_where_planning_is_declared() -> None:
    answers = [play(Does(_peeking), axis, 50, anytime=False).answer for axis in AXES]
    assert answers == ["50", "50", "None", "7"]


def test_what_is_spent_is_open_to_every_strategy() -> None:
    async def body(session: Session) -> AsyncIterator[str]:
        await session.ask("say it", 10)
        yield f"{session.spent.total_tokens}"

    assert play(Does(body), "output_tokens", 50, model(FIVE)).answer == "8"


# Rule 6: the random numbers


def test_random_numbers_are_the_same_at_every_budget_and_others_in_every_repeat() -> None:
    async def body(session: Session) -> AsyncIterator[str]:
        yield f"{session.rng.random()}"

    budgets: tuple[tuple[Axis, int], ...] = (("output_tokens", 1), ("output_tokens", 99), ("usd", 7), ("calls", 3))
    assert len({play(Does(body), axis, budget).answer for axis, budget in budgets}) == 1
    assert len({play(Does(body), "calls", 1, repeat=repeat).answer for repeat in range(4)}) == 4


# Rule 7: metered input


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 40), st.integers(0, 9)), min_size=1, max_size=8))
@cases(200)
def test_the_high_water_mark_is_the_largest_input_before_a_call_plus_its_bound(
    parts: list[tuple[int, int, int]],
) -> None:
    ledger = Ledger([wall("total_tokens", 10**6, [SOLVER])])
    reported, marks = 0, [0]
    for bound, given_input, output in parts:
        call = Planned(SOLVER.identity, bound, 9)
        assert ledger.high_water(call) == max(*marks, reported + bound)
        ledger.charge(call, Spend(1, given_input, output_tokens=output))
        (meter,) = ledger.spends
        marks += [reported + bound, reported + given_input]
        reported += given_input
        assert (meter.metered_input_tokens, meter.spend.input_tokens) == (max(marks), reported)


def test_a_loose_bound_is_metered_and_not_charged() -> None:
    trial = play(asking(["three short words", "x"]), "calls", 9, model(FIVE, slack=3.0))
    assert [call.bound_tokens for call in trial.calls] == [12, 6]
    assert [call.metered_input_tokens for call in trial.calls] == [12, 12]
    assert total(trial).input_tokens == 6


def test_marks_carry_the_high_water_beside_the_spend_one_vector_per_model() -> None:
    async def body(session: Session) -> AsyncIterator[str]:
        await session.ask("three short words", 9)
        await session.ask("x", 9, model="critic")
        yield "A"

    source = pool_over(model(FIVE, slack=3.0), critic(FIVE))
    spends = play(Does(body), "calls", 9, model(FIVE, slack=3.0), source=source).marks[0].spends
    assert [(s.model, s.spend.input_tokens, s.metered_input_tokens) for s in spends] == [
        (SOLVER.identity, 4, 12),
        (CRITIC.identity, 2, 2),
    ]


def test_a_provider_that_bills_more_input_than_the_bound_is_recorded_in_full() -> None:
    solver = Reporting(SOLVER, FIVE, extra_input=20)
    trial = play(asking(["three short words"]), "total_tokens", 90, solver)
    call = trial.calls[0]
    assert (call.bound_tokens, call.spend.input_tokens, call.metered_input_tokens) == (4, 24, 24)
    tight = play(asking(["three short words"]), "total_tokens", 20, solver)
    assert (tight.end, tight.answer, total(tight)) == ("exhausted", None, Spend())


def test_the_bound_becomes_the_providers_count_once_it_answered_these_messages() -> None:
    trial = play(asking(["three short words"] * 3), "calls", 9, model(FIVE, slack=3.0))
    assert [call.bound_tokens for call in trial.calls] == [12, 4, 4]
    assert [call.metered_input_tokens for call in trial.calls] == [12, 12, 12]


def test_what_one_trial_learned_of_a_prompt_does_not_change_another() -> None:
    solver = model(FIVE, slack=3.0)
    pool = pool_over(solver)

    async def twice() -> list[Trial]:
        planned = spec("s", "calls", 9)
        return [await played(asking(["three short words"]), planned, [solver], pool, 4) for _ in range(2)]

    assert [trial.calls[0].bound_tokens for trial in in_loop(twice())] == [12, 12]


# Rule 8: finite


def test_a_price_of_nothing_keeps_no_trial_alive() -> None:
    free = ModelSetting(SOLVER.name, SOLVER.identity, Price(0, 0))

    async def body(session: Session) -> AsyncIterator[str]:
        while True:
            yield (await session.ask("say it", 10)).text

    solver = replace(model(FIVE), setting=free)
    planned = spec("s", "usd", 1, lineup=[("solver", free)])
    trial = in_loop(played(Does(body), planned, [solver], pool_over(solver), 4))
    assert (trial.end, trial.error) == ("exhausted", "limit")
    assert (total(trial).calls, trial.calls[-1].cut) == (MAX_CALLS, "limit")
