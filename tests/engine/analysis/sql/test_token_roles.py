"""Where the tokens of a study went: the roles add up to all calls, and all calls to what the answers say."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import engine
from engine.analysis import Results
from engine.core.errors import UnknownName
from engine.runs import worker
from engine.study.schema import parse
from tests.support import stores

PARTS = ("calls", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "total_tokens")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("roles")
    rows = "".join(f"What is {n} + 3?,{n + 3}\n" for n in range(5))
    (folder / "sums.csv").write_text(f"question,answer\n{rows}")
    text = (
        'name="roles"\nbudgets=[400]\ntasks=["file:sums.csv"]\nmodels=["scripted/adder"]\n'
        'strategies=["direct", "self_refine", "tale_ep"]\n'
    )
    run = worker.prepare(parse(text, "made.toml", folder), folder / "r.duckdb")
    assert worker.run(run, lambda _: None).state == "finished"
    return engine.open(folder / "r.duckdb")


def test_the_roles_of_a_setting_add_up_to_all_its_calls(results: Results) -> None:
    frame = results.token_roles("roles")
    whole = frame.filter(pl.col("role").is_null())
    assert len(whole) == 3 and set(frame["role"].drop_nulls()) >= {"solve", "estimate", "critique"}
    for row in whole.to_dicts():
        roles = frame.filter(condition_id=row["condition_id"]).drop_nulls("role")
        for part in PARTS:
            assert roles[part].sum() == pytest.approx(row[part])
        assert row["total_tokens"] == pytest.approx(row["input_tokens"] + row["output_tokens"])


def test_all_calls_of_a_setting_are_the_mean_of_its_answers(results: Results) -> None:
    for row in results.token_roles("roles").filter(pl.col("role").is_null()).to_dicts():
        answers = results.trial_rows(row["condition_id"])
        assert row["n_answers"] == row["n_questions"] == answers.height == 5
        for part in ("calls", "input_tokens", "output_tokens"):
            assert row[part] == pytest.approx(answers[part].mean())
        assert row["low"] <= row["total_tokens"] <= row["high"]


def test_a_role_that_an_answer_did_not_need_counts_nothing_for_it(results: Results) -> None:
    frame = results.token_roles("roles").drop_nulls("role")
    assert set(frame["n_questions"]) == {5} and all(calls > 0 for calls in frame["calls"])


def test_settings_stand_with_the_one_that_spent_most_first(results: Results) -> None:
    whole = results.token_roles("roles").filter(pl.col("role").is_null())
    assert whole["total_tokens"].to_list() == sorted(whole["total_tokens"], reverse=True)


def test_a_study_counts_its_own_questions_alone_and_one_that_is_not_there_is_named(tmp_path: Path) -> None:
    results = engine.open(stores.two_studies(tmp_path / "r.duckdb"))
    n = {study: set(results.token_roles(study)["n_questions"]) for study in ("wide", "narrow")}
    assert n == {"wide": {16}, "narrow": {10}}
    with pytest.raises(UnknownName, match="wide"):
        results.token_roles("wyde")


def test_failed_answers_have_no_place_in_a_mean(tmp_path: Path) -> None:
    assert engine.open(stores.all_failed(tmp_path / "r.duckdb")).token_roles().is_empty()


def test_one_question_has_a_mean_and_no_interval(tmp_path: Path) -> None:
    row = engine.open(stores.one_trial(tmp_path / "r.duckdb")).token_roles().row(0, named=True)
    assert row["total_tokens"] > 0 and row["low"] is None and row["high"] is None
