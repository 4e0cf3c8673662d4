"""Many curves in one pass: the very numbers each condition's own curve has."""

from __future__ import annotations

import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import engine
from engine.analysis import Results, reader
from engine.analysis.cells import CURVES_SCHEMA
from engine.core.errors import UnknownName
from engine.core.records import AXES, Axis, Trial
from engine.store.store import Store
from tests.engine.analysis.test_curves import conditions, stored
from tests.support import stores
from tests.support.effort import cases
from tests.support.replayed import A, Ask, Say, planned, play

POINTS = [0, 1, 7, 30, 64, 500, 5000]
several = st.tuples(
    conditions(strategy="first"), conditions(strategy="second"), conditions(strategy="third", anytime=False)
)


def assert_each_is_its_own(results: Results, ids: list[str], axis: Axis | None, points: list[int] | None) -> None:
    """Bit for bit: no tolerance, and equal types."""
    whole = results.curves(ids, axis, points)
    assert list(whole.columns) == list(CURVES_SCHEMA)
    assert list(dict.fromkeys(whole["condition_id"])) == [name for name in ids if name in set(whole["condition_id"])]
    for name in ids:
        mine = whole.filter(condition_id=name).drop("condition_id", "axis")
        assert mine.equals(results.curve(name, axis, points)), name


@given(several, st.none() | st.sampled_from(AXES), st.none() | st.just(POINTS))
@cases(8)
def test_curves_of_made_up_trials_are_those_of_each_condition(
    made: tuple[list[Trial], ...], axis: Axis | None, points: list[int] | None
) -> None:
    ids = [trials[0].spec.condition.condition_id for trials in made]
    with tempfile.TemporaryDirectory() as folder:
        results = stored([trial for trials in made for trial in trials], Path(folder))
        assert_each_is_its_own(results, ids, axis, points)


@pytest.mark.parametrize("axis", [None, "usd"])
def test_curves_of_the_demo_are_those_of_each_condition(tmp_path: Path, axis: Axis | None) -> None:
    results = engine.open(stores.demo(tmp_path / "results.duckdb"))
    ids = results.conditions()["condition_id"].to_list()[::-17]
    assert_each_is_its_own(results, ids, axis, None)
    assert results.curves(ids, axis)["accuracy"].is_not_null().any()


def test_thirds_add_up_to_the_same_bits_in_any_company(tmp_path: Path) -> None:
    """Repeats make means of a third, whose sum depends on the order floating point adds them in."""

    def trials(strategy: str, questions: int) -> list[Trial]:
        return [
            play(
                planned("output_tokens", 90, f"q{q}", repeat=repeat, strategy=strategy),
                [Ask(A, 5, 4, 1 + (7 * q + repeat) % 13, 50), Say("right" if (q + repeat) % 3 else "wrong")],
            )
            for q in range(questions)
            for repeat in range(3)
        ]

    results = stored([*trials("few", 5), *trials("many", 31)], tmp_path)
    ids = results.conditions()["condition_id"].to_list()
    assert_each_is_its_own(results, ids, None, None)
    assert results.curves(ids).group_by("condition_id").agg(pl.col("accuracy").last())["accuracy"].to_list() == (
        [pytest.approx(2 / 3)] * 2
    )


def test_each_condition_keeps_its_own_axis_and_says_which(tmp_path: Path) -> None:
    specs = [planned("calls", 3, "q"), planned("usd", 500, "q"), planned("output_tokens", 40, "q")]
    results = stored([play(spec, [Ask(A, 5, 4, 9, 9), Say("right")]) for spec in specs], tmp_path)
    ids = [spec.condition.condition_id for spec in specs]
    found = {axis: (budget, n) for axis, budget, n in results.curves(ids).select("axis", "budget", "n").iter_rows()}
    assert found == {"calls": (1, 1), "usd": (5 * 3 + 9 * 7, 1), "output_tokens": (9, 1)}
    assert set(results.curves(ids, "calls")["axis"]) == {"calls"}


def test_no_ids_are_no_curves_and_an_unknown_one_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path / "results.duckdb")
    store.create()
    results = engine.open(store.path)
    assert results.curves([]).columns == list(CURVES_SCHEMA)
    assert results.curves([], points=[3]).height == 0
    with pytest.raises(UnknownName, match="'gone'"):
        results.curves(["gone"])


def test_several_questions_on_one_connection_have_the_answers_they_have_alone(tmp_path: Path) -> None:
    results = engine.open(stores.demo(tmp_path / "results.duckdb"))
    ids = results.conditions()["condition_id"].to_list()[:3]
    with results.still() as same:
        cells, lines, runs = same.cells("calls", condition_id=ids), same.curves(ids, "calls"), same.runs()
    assert cells.equals(results.cells("calls", condition_id=ids))
    assert lines.equals(results.curves(ids, "calls"))
    assert runs.equals(results.runs())
    assert same.path == results.path


def test_what_a_look_has_read_is_not_read_again_while_the_file_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stores.small(tmp_path / "results.duckdb")
    results = engine.open(path)
    before = results.cells()
    ids = before["condition_id"].unique(maintain_order=True).to_list()
    curves = results.curves(ids)
    with monkeypatch.context() as patched:
        for name in ("drawn", "described", "asked"):
            patched.setattr(reader, name, lambda *_: pytest.fail("read again"))
        assert results.cells().equals(before) and results.curves(ids).equals(curves)
    run = Store(path).runs()[0]
    Store(path).delete_run(run.run_id)
    assert results.cells().is_empty() and results.conditions().is_empty()
