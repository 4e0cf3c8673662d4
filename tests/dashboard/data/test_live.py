"""A run's study shows every setting it asked for, whoever paid for the answers; one's own newest study stands first."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from dashboard.data import live, queries
from dashboard.text import progress
from engine.runs import run_dir
from tests.support import stores


@pytest.fixture
def database() -> Path:
    return stores.to_read(stores.two_studies)


def test_a_setting_whose_answers_an_earlier_study_paid_for_is_shown_with_the_others(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(database))
    shown = live.so_far(queries.state(), "narrow")
    assert shown is not None
    assert {each.strategy for each in shown.settings} == {stores.EVERY[0], *stores.EVERY[2:]}
    assert all((each.done, each.planned) == (10, 10) for each in shown.settings)
    assert shown.leader in {each.name for each in shown.settings} | {None}
    assert shown.common == 10 and {*shown.frame["n_questions"]} == {10}


@pytest.mark.parametrize(
    ("accuracies", "ahead"),
    [((0.5, 0.7, 0.2), "B"), ((0.7, 0.7, 0.2), None), ((0.7, None, None), None), ((0.0, 0.0), None), ((), None)],
)
def test_who_is_ahead_is_alone_in_being_most_accurate_on_the_questions_all_have_answered(
    accuracies: tuple[float | None, ...], ahead: str | None
) -> None:
    names = "ABC"[: len(accuracies)]
    settings = [progress.Result(name, name, "direct", 64, False, 9, 9, "") for name in names]
    # At a smaller budget the last one is best: that is not what is asked.
    rows = [(name, 64, share) for name, share in zip(names, accuracies, strict=True)] + [
        (name, 16, 0.1) for name in names
    ]
    frame = pl.DataFrame(
        rows, schema={"condition_id": pl.String, "budget": pl.Int64, "accuracy": pl.Float64}, orient="row"
    ).with_columns(
        accuracy=pl.when(pl.col("budget") == 16, pl.col("condition_id") == "C").then(1.0).otherwise("accuracy")
    )
    assert progress.leader(frame, settings) == ahead


@pytest.mark.parametrize(("fewest", "ahead"), [(1, True), (10, True), (11, False)])
def test_nobody_is_ahead_on_a_handful_of_questions(
    database: Path, monkeypatch: pytest.MonkeyPatch, fewest: int, ahead: bool
) -> None:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(database))
    monkeypatch.setattr(live, "FEWEST", fewest)
    monkeypatch.setattr(progress, "leader", lambda *_: "A")
    # A state of its own: what was kept of another was asked with another number.
    db = queries.state()._replace(version=(fewest, 0, 0, 0))
    shown = live.so_far(db, "narrow")
    assert shown is not None and shown.common == 10 and (shown.leader is not None) == ahead


def test_a_study_of_which_nothing_is_stored_shows_nothing(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(database))
    assert live.so_far(queries.state(), "another") is None


def test_the_newest_study_run_beside_the_database_comes_first_and_then_those_that_came_with_it(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy.duckdb"
    shutil.copy(database, copy)
    ours = run_dir.list_runs(database)[0]
    assert ours.name == "wide"
    shutil.copytree(run_dir.folder(database) / ours.run_id, run_dir.folder(copy) / ours.run_id)
    monkeypatch.setenv("BUDGETSCOPE_DB", str(copy))
    assert queries.study_choices(queries.state())[:2] == ("wide", "narrow")
    monkeypatch.setenv("BUDGETSCOPE_DB", str(database))
    assert queries.study_choices(queries.state())[:2] == ("narrow", "wide")
