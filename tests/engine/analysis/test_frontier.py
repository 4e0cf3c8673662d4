"""The frontier: undominated, idempotent, free of order, with honest doubt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.analysis import Cell, Difference, frontier, frontier_line
from engine.analysis.frontier import flags, resampled
from engine.analysis.stats import replicate_weights
from engine.core.errors import UnknownName
from tests.support.outcomes import growing, stored, trials_of

points = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=9)


def on(cloud: Sequence[tuple[float, float]], kind: str = "staircase") -> list[bool]:
    x, y = (np.array([axis], dtype=float) for axis in zip(*cloud, strict=True))
    return [bool(flag) for flag in flags(x, y, kind)[0]]  # type: ignore[arg-type]


def beats(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return a[0] <= b[0] and a[1] >= b[1] and a != b


@given(points)
def test_a_point_is_on_the_staircase_when_no_other_beats_it(cloud: list[tuple[int, int]]):
    assert on(cloud) == [not any(beats(other, point) for other in cloud) for point in cloud]


@given(points, st.randoms())
def test_the_frontier_does_not_depend_on_order_and_is_its_own_frontier(cloud, rng):
    shuffled = list(cloud)
    rng.shuffle(shuffled)
    for kind in ("staircase", "hull"):
        kept = {p for p, flag in zip(cloud, on(cloud, kind), strict=True) if flag}
        assert kept == {p for p, flag in zip(shuffled, on(shuffled, kind), strict=True) if flag}
        assert all(on(sorted(kept), kind))


@given(points)
def test_a_point_is_on_the_hull_when_no_mixture_of_two_others_reaches_it(cloud: list[tuple[int, int]]):
    stairs = {p for p in cloud if not any(beats(o, p) for o in cloud)}

    def reached(p: tuple[int, int]) -> bool:
        return any(
            a[0] < p[0] < b[0] and (b[1] - a[1]) * (p[0] - a[0]) >= (p[1] - a[1]) * (b[0] - a[0])
            for a in stairs
            for b in stairs
        )

    assert on(cloud, "hull") == [p in stairs and not reached(p) for p in cloud]


@given(st.lists(points.filter(lambda c: len(c) >= 4).map(lambda c: c[:4]), min_size=2, max_size=5))
def test_many_replicates_at_once_are_each_alone(clouds: list[list[tuple[int, int]]]):
    x = np.array([[p[0] for p in c] for c in clouds], dtype=float)
    y = np.array([[p[1] for p in c] for c in clouds], dtype=float)
    for kind in ("staircase", "hull"):
        assert flags(x, y, kind).tolist() == [on(c, kind) for c in clouds]


def by_strategy(frame: pl.DataFrame) -> dict[str, dict[str, Any]]:
    return {row["strategy"]: row for row in frame.to_dicts()}


def test_a_clear_case_is_judged_and_a_close_one_is_not(tmp_path: Path):
    n = 40
    results = stored(
        tmp_path,
        trials_of("cheap", [(10 + i % 3, i % 2 == 0) for i in range(n)]),
        trials_of("dear", [(100 + i % 5, i % 10 != 0) for i in range(n)]),
        trials_of("worse", [(300 + i % 7, i % 4 == 0) for i in range(n)]),
        trials_of("close", [(101 + i % 5, i % 10 != 1) for i in range(n)]),
    )
    rows = by_strategy(results.frontier(replicates=400))
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "cheap": "frontier",
        "dear": "frontier",
        "worse": "dominated",
        "close": "undecided",
    }
    assert {name: row["on_frontier"] for name, row in rows.items()} == {
        "cheap": True,
        "dear": True,
        "worse": False,
        "close": False,
    }
    assert rows["dear"]["x"] == rows["dear"]["output_tokens"] == pytest.approx(102.0)
    assert results.frontier(replicates=400).equals(results.frontier(replicates=400))


def test_equal_cells_stand_together_in_every_replicate(tmp_path: Path):
    outcomes = [(10 + 7 * i % 13, i % 3 == 0) for i in range(30)]
    results = stored(tmp_path, trials_of("one", outcomes), trials_of("two", outcomes))
    frame = results.frontier(replicates=300)
    assert frame["on_frontier"].to_list() == [True, True]
    assert frame["p_frontier"].to_list() == [1.0, 1.0]
    assert frame["tied"].to_list() == [True, True]
    # A larger budget that gives a setting nothing makes it level with itself alone.
    (tmp_path / "alone").mkdir()
    alone = stored(tmp_path / "alone", growing("one", [0] * 4, budget=1000)).frontier(budgets=[500, 900], replicates=50)
    assert alone["on_frontier"].to_list() == [True, True] and not alone["tied"].any()


def test_a_partial_cell_is_neither_judged_nor_compared_with(tmp_path: Path):
    study = json.dumps({"planned_questions": {"t": 20}})
    lucky = [(5, True) if i < 3 else None for i in range(20)]
    results = stored(
        tmp_path, trials_of("whole", [(50, i % 2 == 0) for i in range(20)]), trials_of("lucky", lucky), study=study
    )
    rows = by_strategy(results.frontier(replicates=200))
    assert (rows["lucky"]["verdict"], rows["lucky"]["on_frontier"], rows["lucky"]["p_frontier"]) == (
        "partial",
        False,
        None,
    )
    assert (rows["whole"]["verdict"], rows["whole"]["on_frontier"]) == ("frontier", True)


def test_tasks_have_frontiers_of_their_own(tmp_path: Path):
    results = stored(tmp_path, trials_of("a", [(10, True)] * 5, "easy"), trials_of("b", [(90, False)] * 5, "hard"))
    assert results.frontier(replicates=50)["on_frontier"].to_list() == [True, True]
    assert results.frontier(task="easy", replicates=50)["task"].to_list() == ["easy"]


def test_the_bootstrap_draws_the_same_questions_for_all_cells(tmp_path: Path):
    one = [(10 + i, i % 2 == 0) for i in range(8)]
    two = [(30 - i, i % 3 == 0) if i else None for i in range(8)]
    results = stored(tmp_path, trials_of("one", one), trials_of("two", two))
    cells, units = results.measured(None, None, {})
    frame = cells.with_columns(x="output_tokens", partial=False)
    (drawn,) = resampled(frame, units, "output_tokens", 60, 4)
    questions = units.sort("cluster")["cluster"].unique(maintain_order=True).to_list()
    weights = replicate_weights(len(questions), 60, 4)
    for column, row in enumerate(drawn.rows):
        mine = {u["cluster"]: u for u in units.to_dicts() if u["condition_id"] == frame["condition_id"][row]}
        for replicate in range(60):
            picked = [
                mine[q]
                for q, times in zip(questions, weights[replicate], strict=True)
                for _ in range(int(times))
                if q in mine
            ]
            assert drawn.x[replicate, column] == pytest.approx(np.mean([u["output_tokens"] for u in picked]))
            assert drawn.accuracy[replicate, column] == pytest.approx(np.mean([u["n_right"] for u in picked]))


def test_the_line_of_a_staircase_never_falls_and_passes_all_its_points(tmp_path: Path):
    results = stored(tmp_path, *(trials_of(f"s{k}", [(10 * k + i, i < 2 * k) for i in range(9)]) for k in (1, 2, 3)))
    frame = results.frontier(replicates=50)
    line = frontier_line(frame)
    assert line["accuracy"].is_sorted()
    assert line["x"].is_sorted()
    assert line.height == 2 * frame["on_frontier"].sum() - 1
    on_it = set(frame.filter("on_frontier").select("x", "accuracy").rows())
    assert on_it <= set(line.select("x", "accuracy").rows())
    assert frontier_line(results.frontier(kind="hull", replicates=50), "hull").height <= 3


def test_the_band_holds_the_point_estimate_and_never_falls(tmp_path: Path):
    results = stored(
        tmp_path, *(trials_of(f"s{k}", [(10 * k + i % 4, i % 5 < k + 1) for i in range(40)]) for k in (1, 2, 3))
    )
    band = results.band(replicates=300)
    assert band.height == 60
    for name in ("x", "low", "middle", "high"):
        assert band[name].is_sorted()
    assert (band["low"] <= band["middle"]).all()
    assert (band["middle"] <= band["high"]).all()
    last = band.tail(1).to_dicts()[0]
    assert last["low"] <= 0.8 <= last["high"]


def test_unknown_names_are_named(tmp_path: Path):
    results = stored(tmp_path, trials_of("a", [(10, True)]))
    with pytest.raises(UnknownName, match="output_tokens"):
        results.frontier(x="output_token")
    with pytest.raises(UnknownName, match="hull"):
        results.frontier(kind="hul")  # type: ignore[arg-type]


def test_the_staircase_is_that_of_a_published_library():
    moocore = pytest.importorskip("moocore")
    rng = np.random.default_rng(11)
    for size in (1, 2, 5, 20, 200):
        for _ in range(40):
            x, y = rng.integers(0, size + 1, (2, size)).astype(float)
            theirs = moocore.is_nondominated(np.column_stack([x, y]), maximise=[False, True], keep_weakly=True)
            assert flags(x[None], y[None])[0].tolist() == theirs.tolist()


def test_a_tie_in_accuracy_is_no_verdict(tmp_path: Path):
    right = [i % 2 == 0 for i in range(60)]
    results = stored(
        tmp_path, trials_of("cheap", [(10, r) for r in right]), trials_of("same", [(20, r) for r in right])
    )
    rows = by_strategy(results.frontier(replicates=200))
    assert {name: (row["on_frontier"], row["p_frontier"], row["verdict"]) for name, row in rows.items()} == {
        "cheap": (True, 1.0, "frontier"),
        "same": (False, 0.5, "undecided"),
    }


@pytest.mark.parametrize("kind", ["staircase", "hull"])
def test_the_luckiest_of_many_dominates_nobody_by_luck(tmp_path: Path, kind: frontier.Kind):
    lucky = trials_of("lucky", [(9, i < 26) for i in range(40)])
    crowd = [trials_of(f"s{k:02}", [(10 + k, (i + 3 * k) % 40 < 20) for i in range(40)]) for k in range(1, 12)]
    poor = trials_of("poor", [(99, False) for _ in range(40)])
    rows = by_strategy(stored(tmp_path, lucky, *crowd, poor).frontier(kind=kind, replicates=300))
    assert rows.pop("poor")["verdict"] == "dominated"
    assert sum(row["p_frontier"] <= 0.05 for row in rows.values()) >= 4
    assert "dominated" not in {row["verdict"] for row in rows.values()}


def test_nothing_right_is_still_a_cell_with_a_place(tmp_path: Path):
    results = stored(
        tmp_path,
        trials_of("none", [(5, False) for _ in range(40)]),
        trials_of("dear", [(50, False) for _ in range(40)]),
        trials_of("some", [(20, i % 2 == 0) for i in range(40)]),
    )
    for kind in frontier.KINDS:
        rows = by_strategy(results.frontier(kind=kind, replicates=200))
        assert (rows["none"]["accuracy"], rows["none"]["on_frontier"], rows["none"]["verdict"]) == (
            0.0,
            True,
            "frontier",
        )
        assert (rows["dear"]["accuracy"], rows["dear"]["on_frontier"], rows["dear"]["verdict"]) == (
            0.0,
            False,
            "dominated",
        )
        assert frontier_line(results.frontier(kind=kind, replicates=50), kind)["accuracy"].min() == 0.0


def test_a_shuffled_database_gives_the_same_numbers(tmp_path: Path):
    groups = [trials_of(f"s{k}", [(10 * k + i % 4, (i * k) % 5 < k) for i in range(30)]) for k in (1, 2, 3)]
    everything = [trial for group in groups for trial in group]
    shuffled = [everything[at] for at in np.random.default_rng(3).permutation(len(everything))]
    found = []
    for name, trials in (("one", everything), ("two", shuffled)):
        (tmp_path / name).mkdir()
        results = stored(tmp_path / name, trials)
        cells = [Cell(group[0].spec.condition.condition_id) for group in groups]
        told = results.compare(cells[0], cells[2])
        adviser = results.advise(replicates=200)
        found.append(
            (
                results.frontier(replicates=200).rows(),
                results.band(replicates=200).rows(),
                told,
                told.groups.rows(),
                results.comparisons(cells, against=cells[0]).rows(),
                adviser.reach(0.3),
                adviser.next_point(),
                adviser.per_right(),
                adviser.under(1000),
            )
        )
    assert found[0] == found[1]


def ends(found: Difference) -> tuple[float, float]:
    """The interval, which must be known."""
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def test_a_difference_is_paired_on_the_questions_both_have(tmp_path: Path):
    a = trials_of("a", [(10, i % 10 != 0) for i in range(30)])
    b = trials_of("b", [(10, i % 3 != 0) if i < 28 else None for i in range(30)])
    results = stored(tmp_path, a, b)
    found = results.difference(Cell(a[0].spec.condition.condition_id), Cell(b[0].spec.condition.condition_id))
    assert (found.n, found.a_better, found.b_better, found.method) == (28, 9, 2, "score")
    assert found.mean == pytest.approx(7 / 28)
    assert ends(found)[0] < 0.25 < ends(found)[1]
    assert found.p_value == pytest.approx((2 * (1 + 11) + 55) / 2**11)
    back = results.difference(Cell(b[0].spec.condition.condition_id), Cell(a[0].spec.condition.condition_id))
    assert (back.mean, *ends(back)) == pytest.approx((-7 / 28, -ends(found)[1], -ends(found)[0]))


def test_neither_one_question_nor_a_lone_point_gives_a_chance_of_being_best(tmp_path: Path):
    for name in ("one", "two", "lone"):
        (tmp_path / name).mkdir()
    one = stored(tmp_path / "one", trials_of("a", [(10, True)]), trials_of("b", [(20, True)])).frontier()
    assert one["p_frontier"].to_list() == [None, None] and one["on_frontier"].sum() == 1
    two = stored(tmp_path / "two", trials_of("a", [(10, True)] * 2), trials_of("b", [(20, True)] * 2)).frontier()
    assert two["p_frontier"].null_count() == 0
    assert stored(tmp_path / "lone", trials_of("a", [(10, True)] * 2)).frontier()["p_frontier"].to_list() == [None]


def test_a_cell_differs_from_itself_by_nothing_and_from_strangers_by_nothing_known(tmp_path: Path):
    a = trials_of("a", [(10, i % 2 == 0) for i in range(12)])
    b = trials_of("b", [(10, True)], task="other")
    results = stored(tmp_path, a, b)
    mine, other = (Cell(group[0].spec.condition.condition_id) for group in (a, b))
    same = results.difference(mine, mine)
    assert (same.mean, same.p_value) == (0.0, 1.0)
    assert ends(same)[0] < 0 < ends(same)[1]
    nothing = results.difference(mine, other)
    assert (nothing.n, nothing.mean, nothing.low, nothing.method) == (0, None, None, "none")
    with pytest.raises(UnknownName):
        results.difference(mine, Cell("k1-none"))


def test_many_discordant_questions_are_resampled(tmp_path: Path):
    a = trials_of("a", [(10, i % 4 != 0) for i in range(80)])
    b = trials_of("b", [(10, i % 4 == 0) for i in range(80)])
    results = stored(tmp_path, a, b)
    found = results.difference(Cell(a[0].spec.condition.condition_id), Cell(b[0].spec.condition.condition_id))
    assert (found.method, found.mean) == ("bootstrap", 0.5)
    assert 0.25 < ends(found)[0] < 0.5 < ends(found)[1] < 0.75
