"""Prices that are not one flat rate: the SQL says what `records.Price` says of every call, stored or as a lens."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.analysis import Lens
from engine.core.records import AXES, Axis, ModelSetting, Price, Tier, Trial
from engine.store.store import Store
from tests.engine.analysis.test_curves import LARGEST, close, conditions, scripts, stored
from tests.engine.analysis.test_lens import assert_cells_are, repriced
from tests.support.effort import cases
from tests.support.replayed import NO_PRICE, A, Ask, B, Lineup, Say, planned, play, read

rates = st.integers(0, 9)
maybe = st.none() | rates


@st.composite
def tiered(draw: st.DrawFn) -> Price:
    """A price whose thresholds lie among the inputs of the scripts."""
    tiers = [
        Tier(above, draw(rates), draw(rates), draw(maybe), draw(maybe), draw(maybe))
        for above in sorted(draw(st.sets(st.integers(1, 12), max_size=3)))
    ]
    return Price(
        draw(rates),
        draw(rates),
        draw(maybe),
        draw(maybe),
        reasoning_pusd=draw(maybe),
        request_pusd=draw(st.integers(0, 20)),
        tiers=tuple(tiers),
    )


three = st.lists(tiered(), min_size=3, max_size=3)


def assert_read_alike(results, trials: Sequence[Trial], axis: Axis, budgets: list[int], lens: Lens) -> None:
    """Cells, and the curve at their budgets, by slow reading of each trial at its own prices."""
    frame = results.cells(axis, budgets, lens)
    assert_cells_are(frame, trials, axis)
    if trials[0].spec.condition.anytime:
        curve = results.curve(trials[0].spec.condition.condition_id, axis, budgets, lens)
        for point, cell in zip(curve.to_dicts(), frame.to_dicts(), strict=True):
            assert close(point["accuracy"], cell["accuracy"])
            assert (point["n"], point["n_censored"]) == (cell["n_questions"], cell["n_censored"])
            if axis == "usd" and cell["usd"] is not None:
                # A curve rises in between the tokens of a call that the budget cuts; no token costs more than 9.
                assert -1e-6 <= (point["spend"] - cell["usd"]) * 1e12 <= 9 + 1e-6


@given(conditions(), st.sampled_from(AXES), three, st.data())
@cases(40)
def test_other_prices_with_thresholds_are_the_same_trials_recomputed_from_their_calls(
    trials: list[Trial], axis: Axis, drawn: list[Price], data: st.DataObject
) -> None:
    budgets = data.draw(st.lists(st.integers(0, 2 * LARGEST[axis]), min_size=1, max_size=6, unique=True))
    prices = dict(zip((m.identity for m in (A, B, NO_PRICE)), drawn, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        assert_read_alike(stored(trials, Path(folder)), repriced(trials, prices), axis, budgets, Lens.of(prices))


@given(conditions(anytime=False), three)
@cases(20)
def test_a_trial_that_is_not_anytime_is_priced_call_by_call(trials: list[Trial], drawn: list[Price]) -> None:
    prices = dict(zip((m.identity for m in (A, B, NO_PRICE)), drawn, strict=True))
    axis, budget = trials[0].spec.condition.axis, trials[0].spec.condition.budget
    with tempfile.TemporaryDirectory() as folder:
        frame = stored(trials, Path(folder)).cells(lens=Lens.of(prices))
    (cell,) = frame.to_dicts()
    again = [read(trial, axis, budget) for trial in repriced(trials, prices)]
    scored = [each for each in again if each.fate == "scored"]
    assert cell["n_questions"] == len(
        {t.spec.question.question_id for t, r in zip(trials, again, strict=True) if r in scored and r.fate == "scored"}
    )
    if scored and cell["n_questions"] == len(scored):
        assert cell["usd"] == pytest.approx(sum(each.pusd or 0 for each in scored) / len(scored) / 1e12)


@given(st.data(), three)
@cases(25)
def test_stored_prices_with_thresholds_are_read_as_they_were_planned(data: st.DataObject, drawn: list[Price]) -> None:
    a, b = replace(A, price=drawn[0]), replace(B, price=drawn[1])
    lineup: Lineup = data.draw(st.sampled_from([(("solver", a),), (("solver", a), ("critic", b))]))
    axis = data.draw(st.sampled_from([each for each in AXES if each != "usd"]))
    limit = data.draw(st.integers(1, LARGEST[axis]))
    trials = [
        play(planned(axis, limit, f"q{question}", lineup=lineup), data.draw(scripts(lineup))) for question in range(2)
    ]
    budgets = data.draw(st.lists(st.integers(0, 2 * LARGEST["usd"]), min_size=1, max_size=6, unique=True))
    with tempfile.TemporaryDirectory() as folder:
        results = stored(trials, Path(folder))
        assert_read_alike(results, trials, "usd", budgets, Lens())
        kept = Store(Path(folder) / "results.duckdb").trials(trials[0].spec.condition.condition_id)
        assert {trial.spec.trial_id: trial.spec.condition.lineup for trial in kept} == {
            trial.spec.trial_id: lineup for trial in trials
        }


LONG = Price(5, 7, tiers=(Tier(10, 50, 70),))


def one_call(bound: int, given_input: int, output: int = 3, price: Price = LONG, reasoning: int = 0) -> Trial:
    lineup: Lineup = (("solver", replace(A, price=price)),)
    ask = Ask(ModelSetting(A.name, A.identity, price), bound, given_input, output, 50, reasoning=reasoning)
    return play(planned("output_tokens", 40, "q", lineup=lineup), [ask, Say("right")])


def test_the_wall_is_that_of_the_dearest_tier_the_bound_reaches_and_the_cost_that_of_the_tokens_reported(
    tmp_path: Path,
) -> None:
    results = stored([one_call(bound=12, given_input=8)], tmp_path)
    wall, cost = 12 * 50 + 3 * 70, 8 * 5 + 3 * 7
    cells = results.cells("usd", [wall - 1, wall])
    assert cells["accuracy"].to_list() == [0.0, 1.0]
    assert cells["usd"].to_list() == [(cost - 7) / 1e12, cost / 1e12]


def test_a_call_whose_bound_stays_below_the_threshold_is_walled_at_the_base(tmp_path: Path) -> None:
    results = stored([one_call(bound=10, given_input=8)], tmp_path)
    wall = 10 * 5 + 3 * 7
    assert results.cells("usd", [wall - 1, wall])["accuracy"].to_list() == [0.0, 1.0]


def test_a_fee_and_dearer_reasoning_are_in_every_sum(tmp_path: Path) -> None:
    price = Price(5, 7, reasoning_pusd=20, request_pusd=1000)
    trial = one_call(bound=8, given_input=8, price=price, reasoning=2)
    results = stored([trial], tmp_path)
    cost = 1000 + 8 * 5 + 7 + 2 * 20
    condition = trial.spec.condition.condition_id
    assert results.cells()["usd"].to_list() == [cost / 1e12]
    assert results.trial_rows(condition)["usd"].to_list() == [cost / 1e12]
    curve = results.curve(condition, "usd", [1000 + 40 + 20 * tokens for tokens in (0, 1, 2, 3)])
    assert curve["spend"].to_list() == [pytest.approx(x / 1e12) for x in (0, 1060, 1080, cost)]
