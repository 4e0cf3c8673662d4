"""One number for a setting over all its budgets: area, hypervolume and OckScore by brute force, from real cells."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import engine
from engine.analysis.advice import areas
from engine.analysis.advice.areas import MEASURES, log_weights
from tests.support import stores
from tests.support.effort import cases


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stores.small(tmp_path_factory.mktemp("areas") / "results.duckdb")


@pytest.fixture(scope="module")
def found(database: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    results = engine.open(database)
    task = str(results.cells()["task"].sort()[0])
    return results.advise(task).areas(), results.cells(task=task)


def settings(cells: pl.DataFrame) -> list[list[dict[str, Any]]]:
    parts = cells.partition_by("strategy", "model", "params", "axis")
    return [sorted(part.to_dicts(), key=lambda row: row["budget"]) for part in parts]


def of(frame: pl.DataFrame, row: dict[str, Any]) -> dict[str, Any]:
    return frame.row(
        by_predicate=(pl.col("condition_id") == row["condition_id"]) & (pl.col("budget") == row["budget"]), named=True
    )


def test_the_area_is_the_mean_height_of_a_curve_drawn_over_the_logarithm_of_the_budget(
    found: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    frame, cells = found
    curves = [rows for rows in settings(cells) if len(rows) > 1]
    assert curves
    for rows in curves:
        at = np.linspace(math.log(rows[0]["budget"]), math.log(rows[-1]["budget"]), 200_001)
        heights = np.interp(at, [math.log(row["budget"]) for row in rows], [row["accuracy"] for row in rows])
        for row in rows:
            told = of(frame, row)
            assert told["area"] == pytest.approx(float(heights.mean()), abs=1e-4)
            assert (told["budget_from"], told["budget_to"]) == (rows[0]["budget"], rows[-1]["budget"])
            assert told["largest"] == (row is rows[-1])


def test_the_hypervolume_counts_the_cells_of_a_grid_under_the_staircase(
    found: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    frame, cells = found
    limit = float(cells["output_tokens"].max())  # type: ignore[arg-type]
    grid = (np.arange(40_000) + 0.5) / 40_000 * limit
    for rows in settings(cells):
        best = np.zeros_like(grid)
        for row in rows:
            best = np.maximum(best, np.where(grid >= row["output_tokens"], row["accuracy"], 0.0))
        assert of(frame, rows[0])["hypervolume"] == pytest.approx(float(best.mean()), abs=1e-3)


def test_the_ockscore_is_accuracy_less_ten_for_every_tenfold_of_tokens(
    found: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    frame, cells = found
    for row in cells.to_dicts():
        score = of(frame, row)["ockscore"]
        assert score == pytest.approx(100 * row["accuracy"] - 10 * math.log10(row["output_tokens"] / 10_000))


def test_every_number_lies_in_its_interval_and_says_its_n(found: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    frame, cells = found
    assert frame.height == cells.height
    assert frame["n"].unique().to_list() == [12]
    for row in frame.to_dicts():
        for name in MEASURES:
            if row[name] is not None:
                assert row[f"{name}_low"] - 1e-9 <= row[name] <= row[f"{name}_high"] + 1e-9


def test_money_weighs_the_hypervolume_and_leaves_area_and_ockscore_as_they_are(database: Path) -> None:
    results = engine.open(database)
    task = str(results.cells()["task"].sort()[0])
    tokens, calls = (results.advise(task, x).areas().sort("condition_id", "budget") for x in ("output_tokens", "calls"))
    for name in ("area", "ockscore", "ockscore_low"):
        assert tokens[name].to_list() == pytest.approx(calls[name].to_list())
    assert tokens["hypervolume"].to_list() != pytest.approx(calls["hypervolume"].to_list())


def test_one_budget_has_no_area_and_no_tokens_no_ockscore(tmp_path: Path) -> None:
    results = engine.open(stores.one_trial(tmp_path / "results.duckdb"))
    frame = results.advise().areas()
    assert frame["area"].to_list() == [None]
    assert frame["n_budgets"].to_list() == [1]
    scores = areas._ockscore(np.array([0.5, 0.5]), np.array([0.0, 10_000.0]))
    assert math.isnan(scores[0])
    assert scores[1] == 50


def test_where_nothing_is_scored_there_are_no_rows(tmp_path: Path) -> None:
    results = engine.open(stores.all_failed(tmp_path / "results.duckdb"))
    assert results.advise().areas().is_empty()


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=9, unique=True))
@cases(60)
def test_the_weights_of_budgets_are_those_of_the_trapezoid_rule(budgets: list[int]) -> None:
    at = np.log(np.sort(np.array(budgets, dtype=np.float64)))
    rng = np.random.default_rng(len(budgets))
    heights = rng.random(len(at))
    weights = log_weights(np.exp(at))
    assert float(weights.sum()) == pytest.approx(1)
    assert float(heights @ weights) == pytest.approx(float(np.trapezoid(heights, at) / (at[-1] - at[0])))
