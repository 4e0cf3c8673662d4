"""Lenses: other prices and energy figures over the same trials say what those trials would have cost."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import engine
from engine.analysis import STORED, Lens, Results
from engine.analysis.lens import READING_AXES, Energy
from engine.core.errors import UnknownName
from engine.core.records import AXES, Axis, Price, Trial
from engine.store.store import Store
from tests.engine.analysis.test_curves import LARGEST, close, conditions, expected, stored
from tests.support import stores
from tests.support.effort import cases
from tests.support.replayed import NO_PRICE, A, Ask, B, Lineup, Say, Script, planned, play

tariffs = st.builds(Price, st.integers(0, 9), st.integers(0, 9))


def repriced(trials: Sequence[Trial], prices: dict[str, Price]) -> list[Trial]:
    """The same trials, had their models cost this much."""
    return [
        replace(
            t,
            spec=replace(
                t.spec,
                condition=replace(
                    t.spec.condition,
                    lineup=tuple(
                        (role, replace(m, price=prices.get(m.identity, m.price))) for role, m in t.spec.condition.lineup
                    ),
                ),
            ),
        )
        for t in trials
    ]


def assert_cells_are(frame: pl.DataFrame, trials: Sequence[Trial], axis: Axis, money: str = "usd") -> None:
    """Every cell, by slow reading of each trial; `money` is the column that the trials' prices stand for."""
    for row in frame.to_dicts():
        want = expected(trials, axis, row["budget"])
        want[money] = want.pop("usd")
        wrong = {name: (row[name], value) for name, value in want.items() if not close(row[name], value, 1e-15)}
        assert not wrong, row["budget"]


@given(conditions(), st.sampled_from(AXES), st.lists(tariffs, min_size=3, max_size=3), st.data())
@cases(15)
def test_other_prices_are_the_same_trials_recomputed_from_their_calls(
    trials: list[Trial], axis: Axis, priced: list[Price], data: st.DataObject
) -> None:
    budgets = data.draw(st.lists(st.integers(0, 2 * LARGEST[axis]), min_size=1, max_size=6, unique=True))
    prices = dict(zip((m.identity for m in (A, B, NO_PRICE)), priced, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        frame = stored(trials, Path(folder)).cells(axis, budgets, Lens.of(prices))
    assert_cells_are(frame, repriced(trials, prices), axis)


@given(conditions(), st.lists(tariffs, min_size=3, max_size=3), st.data())
@cases(15)
def test_energy_is_read_like_money_below_each_horizon(trials: list[Trial], drawn: list[Price], data) -> None:
    """Weights on tokens alone are prices under another name, so the slow reading in money is the truth for energy."""
    budgets = data.draw(st.lists(st.integers(0, 2 * LARGEST["usd"]), min_size=1, max_size=6, unique=True))
    weights = dict(zip((m.identity for m in (A, B, NO_PRICE)), drawn, strict=True))
    lens = Lens.of(energy={model: Energy(0, p.input_pusd, p.output_pusd) for model, p in weights.items()})
    with tempfile.TemporaryDirectory() as folder:
        results = stored(trials, Path(folder))
        frame = results.cells("wh", budgets, lens)
        curve = results.curve(trials[0].spec.condition.condition_id, "wh", budgets, lens)
    assert_cells_are(frame, repriced(trials, weights), "usd", "wh")
    assert set(frame["axis"]) == {"wh"}
    for point, cell in zip(curve.to_dicts(), frame.to_dicts(), strict=True):
        assert (point["n"], point["n_censored"]) == (cell["n_questions"], cell["n_censored"])
        assert close(point["accuracy"], cell["accuracy"])
        assert close(point["spend"], cell["wh"], 1e-11)


def three_calls(price: Price = A.price, cached: int = 0) -> Trial:  # type: ignore[assignment]
    lineup: Lineup = (("solver", replace(A, price=price)),)
    script: Script = [
        Ask(A, 5, 4, 10, 50, cached=cached),
        Say("wrong"),
        Ask(A, 5, 4, 3, 50),
        Say("right"),
        Ask(A, 5, 5, 50, 50),
    ]
    return play(planned("output_tokens", 40, "q", lineup=lineup), script)


def test_a_call_draws_energy_of_its_own_before_its_first_token(tmp_path: Path) -> None:
    results = stored([three_calls()], tmp_path)
    lens = Lens.of(energy={"scripted/a": Energy(call_pwh=1000, input_pwh=1, output_pwh=10)})
    first = 1000 + 5 + 10 * 10
    cells = results.cells("wh", [first - 1, first, first + 999, 10**9], lens)
    assert cells["accuracy"].to_list() == [0.0, 0.0, 0.0, None]
    assert cells["n_wrong"].to_list() == [0, 1, 1, 0]
    assert cells["wh"].to_list()[:3] == [(1000 + 4 + 10 * 9) / 1e12, (1000 + 4 + 100) / 1e12, (1000 + 4 + 100) / 1e12]
    assert cells["n_censored"].to_list() == [0, 0, 0, 1]
    ends = results.curve(cells["condition_id"][0], "wh", lens=lens)["budget"].to_list()
    assert ends == [0, 2 * 1000 + 9 + 13 * 10, 3 * 1000 + 13 + 63 * 10]


def test_cached_input_costs_its_own_price_as_observed_alone(tmp_path: Path) -> None:
    price = Price(30, 7, cached_pusd=2)
    results = stored([three_calls(price, cached=3)], tmp_path)
    plain, observed = ((4 + 4 + 5) * 30 + 40 * 7) / 1e12, ((4 + 4 + 5 - 3) * 30 + 3 * 2 + 40 * 7) / 1e12
    assert results.cells()["usd"].to_list() == [plain]
    assert results.cells(lens=Lens(as_observed=True))["usd"].to_list() == [pytest.approx(observed)]
    unknown = Lens.of({"scripted/a": Price(30, 7)}, as_observed=True)
    assert results.cells(lens=unknown)["usd"].to_list() == [plain]
    walls = results.curve(results.cells()["condition_id"][0], "usd", lens=Lens(as_observed=True))["budget"]
    assert walls.to_list() == results.curve(results.cells()["condition_id"][0], "usd")["budget"].to_list()


def test_a_model_without_figures_has_unknown_energy_and_its_stored_price(tmp_path: Path) -> None:
    lineups: list[Lineup] = [(("solver", A),), (("solver", A), ("critic", B)), (("solver", NO_PRICE),)]
    trials = [
        play(planned("output_tokens", 40, "q", lineup=lineup), [Ask(lineup[0][1], 5, 4, 10, 50)]) for lineup in lineups
    ]
    results = stored(trials, tmp_path)
    lens = Lens.of({NO_PRICE.name: Price(1, 1, assumed=True)}, {"scripted/a": Energy(output_pwh=10**9)})
    cells = {row["condition_id"]: row for row in results.cells(lens=lens).to_dicts()}
    alone, pair, other = (cells[t.spec.condition.condition_id] for t in trials)
    assert (alone["wh"], pair["wh"], other["wh"]) == (pytest.approx(0.01), None, None)
    assert (alone["usd"], other["usd"]) == (pytest.approx(82 / 1e12), pytest.approx(14 / 1e12))
    assert (alone["usd_assumed"], pair["usd_assumed"], other["usd_assumed"]) == (False, True, True)
    recut = results.cells("wh", [10**12], lens)
    assert dict(zip(recut["condition_id"], recut["n_censored"], strict=True))[pair["condition_id"]] == 1
    assert results.cells()["wh"].to_list() == [None] * 3


def test_a_price_by_identity_goes_before_one_by_name(tmp_path: Path) -> None:
    results = stored([three_calls()], tmp_path)
    lens = Lens.of({A.identity: Price(0, 1), A.name: Price(9, 9), "nobody": Price(7, 7)})
    assert results.cells(lens=lens)["usd"].to_list() == [40 / 1e12]


def test_the_lens_of_the_stored_prices_changes_no_bit(demo: Results) -> None:
    price = Price(20_000, 20_000, assumed=True)
    lens = Lens.of({"local/smollm2-135m": price})
    ids = demo.conditions()["condition_id"].to_list()[::4]
    assert demo.curves(ids, "usd", lens=lens).equals(demo.curves(ids, "usd"))
    seen, plain = (demo.cells("usd", [10**6, 10**7], each, condition_id=ids) for each in (lens, STORED))
    assert seen.equals(plain)


def test_a_cell_reads_the_same_cost_from_its_calls(demo: Results) -> None:
    """By hand, on real runs: tokens of the listed calls times the lens's prices and weights."""
    lens = Lens.of({"local/smollm2-135m": Price(3, 11)}, {"local/smollm2-135m": Energy(5, 7, 13)})
    condition = demo.cells(strategy="self_refine")["condition_id"][0]
    cell = demo.cells(budgets=[10**6], lens=lens, condition_id=condition).to_dicts()[0]
    calls = [[c.spend for c in trial.calls] for trial in Store(demo.path).trials(condition) if trial.end != "stopped"]
    usd = [sum(s.input_tokens * 3 + s.output_tokens * 11 for s in spends) for spends in calls]
    wh = [sum(s.calls * 5 + s.input_tokens * 7 + s.output_tokens * 13 for s in spends) for spends in calls]
    assert cell["n_questions"] == len(calls)
    assert cell["usd"] == pytest.approx(sum(usd) / len(usd) / 1e12)
    assert cell["wh"] == pytest.approx(sum(wh) / len(wh) / 1e12)
    frontier = demo.frontier("wh", replicates=20, lens=lens)
    assert frontier["x"].null_count() == 0 and frontier["on_frontier"].any()


def test_energy_is_an_axis_to_read_on_and_none_to_run_on(demo: Results) -> None:
    assert (*AXES, "wh") == READING_AXES
    assert "wh" not in AXES
    with pytest.raises(UnknownName, match="wh"):
        demo.cells("hw")
    assert Lens.of() == STORED
    assert hash(Lens.of({"b": Price(1, 2), "a": Price(3, 4)})) == hash(Lens.of({"a": Price(3, 4), "b": Price(1, 2)}))


@pytest.mark.parametrize("axis", AXES)
def test_what_is_read_on_the_demo_is_what_slow_reading_of_its_trials_gives(demo: Results, axis: Axis) -> None:
    """Real runs: conditions that are anytime and not, at budgets inside, between and beyond their calls."""
    ids = demo.conditions().filter("anytime")["condition_id"].to_list()
    budgets = [0, 3, 64, 1000] if axis != "usd" else [0, 10**6, 10**7, 10**9]
    # Those with more draws than were run are held to trials by hand elsewhere.
    cells = demo.cells(axis, budgets, condition_id=ids[::9]).filter(n_draws=1)
    once = cells["condition_id"].unique(maintain_order=True).to_list()
    assert len(once) > 6
    # Every axis looks at other ones, and all four at every one.
    for condition in once[AXES.index(axis) :: 4]:
        assert_cells_are(cells.filter(condition_id=condition), Store(demo.path).trials(condition), axis)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return engine.open(stores.demo(tmp_path_factory.mktemp("demo") / "results.duckdb"))
