"""Told against used tokens: known slopes and floors are found again, and nothing is said where nothing can be."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import engine
from engine.analysis.thinking import stated_budgets
from engine.analysis.thinking.stated_budgets import POINTS, SUMMARY, corrected, elasticity
from engine.core.records import Completion, Trial, Usage
from engine.store.store import Batch, Store
from tests.engine.analysis.test_curves import stored
from tests.support.effort import cases
from tests.support.replayed import NOON, A, Ask, Say, planned, play

LADDER = (2, 4, 8, 16, 32, 64, 128, 256)


def trials(
    use, questions: int = 40, levels=LADDER, spread: float = 0.0, seed: int = 0, repeats: int = 1
) -> pl.DataFrame:
    """Every question at every told budget: `use` of the budget times the question's own level and some noise."""
    rng = np.random.default_rng(seed)
    rows = [
        {
            "task": "t",
            "model": "m",
            "strategy": "told_budget",
            "settings": "{}",
            "simulated": False,
            "stated": False,
            "question_id": f"q{q:03}",
            "cluster": f"q{q:03}",
            "repeat": r,
            "told": b,
            "capped": False,
            "used": max(1, round(use(b) * (1 + q % 5) * math.exp(rng.normal(0, spread)))),
        }
        for q in range(questions)
        for r in range(repeats)
        for b in levels
    ]
    return pl.DataFrame(rows, schema=stated_budgets.SCHEMA)


def summary(frame: pl.DataFrame, replicates: int = 300, seed: int = 0) -> dict[str, Any]:
    found = stated_budgets.elasticity(frame, replicates, seed).summary
    assert list(found.columns) == list(SUMMARY)
    return found.row(0, named=True)


@pytest.mark.parametrize("slope", [1.0, 0.5, 0.0])
def test_a_power_law_has_its_exponent_as_elasticity(slope: float) -> None:
    found = summary(trials(lambda b: 1000 * b**slope))
    assert found["elasticity"] == pytest.approx(slope, abs=1e-3)
    assert found["floor"] == 2 and found["rebound"] is None
    assert found["p_rebound"] > 0.5


def test_a_rebound_below_a_floor_is_found_where_it_is() -> None:
    found = summary(trials(lambda b: 50 * (b / 16) ** 0.5 if b >= 16 else 50 * (16 / b) ** 0.6, spread=0.4))
    assert found["floor"] == 16 and found["floor_low"] >= 8 and found["floor_high"] <= 32
    assert found["above_floor_low"] < 0.5 < found["above_floor_high"]
    assert found["rebound_low"] < 3 * 50 * (8**0.6 - 1) < found["rebound_high"]
    assert found["p_rebound"] < 0.01
    assert found["elasticity"] < found["above_floor"]


def test_looking_for_the_minimum_makes_no_rebound_out_of_noise() -> None:
    found = [summary(trials(lambda b: 60, 25, spread=0.5, seed=seed), 200, seed)["p_rebound"] for seed in range(80)]
    assert np.mean(np.array(found) < 0.05) <= 0.1


@given(st.lists(st.integers(1, 300), min_size=6, max_size=30), st.integers(1, 4))
@cases(25)
def test_a_point_is_its_question_means(used: list[int], repeats: int) -> None:
    rows = [
        {
            "task": "t",
            "model": "m",
            "strategy": "s",
            "settings": "{}",
            "simulated": True,
            "stated": False,
            "told": 50,
            "question_id": f"q{i // repeats}",
            "cluster": f"q{i // repeats}",
            "repeat": i % repeats,
            "used": u,
            "capped": u > 200,
        }
        for i, u in enumerate(used)
    ]
    found = stated_budgets.elasticity(pl.DataFrame(rows, schema=stated_budgets.SCHEMA), 50, 0)
    point = found.points.row(0, named=True)
    groups = [used[at : at + repeats] for at in range(0, len(used), repeats)]
    assert list(found.points.columns) == list(POINTS)
    assert point["used"] == pytest.approx(np.mean([np.mean(g) for g in groups]))
    assert point["obeyed"] == pytest.approx(np.mean([np.mean([u <= 50 for u in g]) for g in groups]))
    assert point["capped"] == pytest.approx(np.mean([u > 200 for u in used]))
    assert (point["n_questions"], point["n_trials"], point["simulated"]) == (len(groups), len(used), True)
    assert found.summary.is_empty()


def test_questions_that_lack_a_told_budget_are_left_out_of_the_comparison() -> None:
    frame = trials(lambda b: 10 * b, levels=(8, 32))
    found = summary(frame.filter((pl.col("told") == 8) | (pl.col("question_id") < "q030")))
    assert found["n_questions"] == 30


def test_one_distinct_question_says_nothing_about_others() -> None:
    found = summary(trials(lambda b: 10 * b).with_columns(cluster=pl.lit("q000")))
    assert found["n_questions"] == 40 and found["elasticity"] is None and found["p_rebound"] is None


def stored_trial(told_tokens: int | None, used: int, question: str, budget: int = 500, **more: int) -> Trial:
    params = json.dumps({"told_tokens": told_tokens, "chain_tokens": 90, **more})
    spec = planned(
        "output_tokens", budget, question, strategy="told_budget", params=params, anytime=told_tokens is not None
    )
    return play(spec, [Ask(A, 5, 5, used, 90), Say("right")])


def test_a_database_is_read_by_series_and_whole_replies_count_whatever_the_wall_showed(tmp_path: Path) -> None:
    made = [stored_trial(t, t + 2, f"q{q}", more) for t in (10, 20) for q in range(3) for more in (500, 15)]
    own = [stored_trial(None, 8, f"q{q}", 40) for q in range(3)]
    other = [stored_trial(30, 3, "q0", temperature=1)]
    found = stored([*made, *own, *other], tmp_path).elasticity(replicates=50)
    points = found.points.select("told", "used", "n_trials", "obeyed", "capped").sort("told").rows()
    assert points == [(10, 12, 3, 0, 0), (20, 22, 3, 0, 0), (30, 3, 1, 1, 0), (40, 8, 3, 1, 0)]
    assert found.points["simulated"].all()
    assert found.summary.select("least_told", "most_told", "n_questions", "floor").rows() == [(10, 40, 3, 40)]
    assert found.summary["above_floor"].to_list() == [None]


def stated_trial(said: str, used: int, question: str) -> tuple[Trial, list[Completion]]:
    """TALE-EP: a call that estimates and a call that answers, each with its stored reply."""
    trial = play(
        planned("output_tokens", 500, question, strategy="tale_ep"),
        [Ask(A, 5, 5, 9, 32), Ask(A, 5, 5, used, 90), Say("right")],
    )
    first, second = (replace(call, key=f"{question}-{call.ordinal}") for call in trial.calls)
    replies = [
        Completion(call.key, text, "stop", Usage(5, call.spend.output_tokens), 1, None, None, NOON)
        for call, text in ((first, said), (second, "Answer: right"))
    ]
    return replace(trial, calls=(replace(first, role="estimate"), second)), replies


def test_a_stated_budget_is_what_the_model_said_and_silence_told_nothing(tmp_path: Path) -> None:
    made = [
        stated_trial("about [[40]]", 30, "q0"),
        stated_trial("[[20]]", 60, "q1"),
        stated_trial("I cannot say", 70, "q2"),
    ]
    stored([trial for trial, _ in made], tmp_path)
    Store(tmp_path / "results.duckdb").flush(
        Batch(completions=tuple(reply for _, replies in made for reply in replies))
    )
    found = engine.open(tmp_path / "results.duckdb").elasticity(replicates=50)
    point = found.points.row(0, named=True)
    assert (point["stated"], point["told"], point["used"], point["obeyed"]) == (True, 30, 45, 0.5)
    assert (point["n_trials"], point["n_untold"]) == (2, 1)
    assert found.summary.is_empty()


def test_nothing_told_is_empty_frames(tmp_path: Path) -> None:
    results = stored([play(planned("output_tokens", 50, "q"), [Ask(A, 5, 5, 5, 9), Say("right")])], tmp_path)
    found = results.elasticity()
    assert (found.points.columns, found.points.height) == (list(POINTS), 0)
    assert (found.summary.columns, found.summary.height) == (list(SUMMARY), 0)


def test_who_names_several_series_corrects_for_all_of_them() -> None:
    found = pl.DataFrame({"p_rebound": [0.02, None, 0.04, 0.6]}, schema={"p_rebound": pl.Float64})
    assert corrected(found)["p_adjusted"].to_list() == [pytest.approx(0.06), None, pytest.approx(0.08), 0.6]
    # Looked at by itself a series owes nothing to the others.
    assert corrected(found[:1])["p_adjusted"].to_list() == [0.02]


def test_noise_in_many_series_is_no_rebound_in_one_of_them() -> None:
    worlds = [
        pl.concat(
            [
                trials(lambda b: 60, 25, spread=0.5, seed=10 * w + k).with_columns(model=pl.lit(f"m{k}"))
                for k in range(6)
            ]
        )
        for w in range(20)
    ]
    found = [elasticity(world, 200, 0).summary for world in worlds]
    assert np.mean([(frame["p_rebound"] <= 0.05).any() for frame in found]) > 0.12
    assert np.mean([(frame["p_adjusted"] <= 0.05).any() for frame in found]) <= 0.12
