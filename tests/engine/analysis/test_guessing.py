"""What nobody who reads the questions is below: one fixed answer, a blind choice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import engine
from engine.analysis.guessing import guessing, sentences
from engine.core import answers
from engine.store.store import Store
from tests.support import stores
from tests.support.effort import cases


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return asked(tmp_path_factory.mktemp("every"), [])


def asked(folder: Path, targets: Sequence[str], options: Sequence[int] | None = None, task: str = "t") -> Store:
    """A store with questions of these targets and so many options each."""
    store = Store(folder / "db.duckdb")
    store.create()
    return fill(store, targets, options, task)


def fill(store: Store, targets: Sequence[str], options: Sequence[int] | None = None, task: str = "t") -> Store:
    rows = [
        (f"q{i}", task, f"text {i}", None, target, None, json.dumps({"reading": {"options": ["x"] * n}} if n else {}))
        for i, (target, n) in enumerate(zip(targets, options or [0] * len(targets), strict=True))
    ]
    with store.writing() as connection:
        if not rows:
            return store
        connection.executemany("insert into questions values (?, ?, ?, ?, ?, ?, ?)", rows)
    return store


def of(store: Store, questions: frozenset[str] | None = None, task: str = "t") -> tuple[Any, Any]:
    with store.reading() as connection:
        found = guessing(connection, [task], questions)[task]
    return found.constant, found.chance


@cases(40)
@given(st.lists(st.sampled_from(["7", "7.0", "8", "yes", "Yes", "no", "1/2", "0.5"]), min_size=2, max_size=8))
def test_the_best_fixed_answer_is_the_one_that_trying_all_of_them_finds(every: Store, targets: list[str]):
    with every.writing() as connection:
        connection.execute("delete from questions")
    store = fill(every, targets)
    tried = (sum(answers.same(guess, target, "word") for target in targets) for guess in targets)
    by_value = (sum(answers.vote_key(guess) == answers.vote_key(target) for target in targets) for guess in targets)
    assert of(store)[0] == pytest.approx(max(by_value) / len(targets))
    assert max(tried) / len(targets) <= (of(store)[0] or 0)


def test_on_one_question_no_fixed_answer_says_anything(tmp_path: Path):
    store = asked(tmp_path, ["A", "B"], [2, 2])
    assert of(store, frozenset(["q0"])) == (None, 0.5)


def test_it_stands_on_the_study_s_own_questions(tmp_path: Path):
    store = asked(tmp_path, ["A", "A", "B", "B", "B"], [2, 2, 4, 4, 4])
    assert of(store) == (pytest.approx(3 / 5), pytest.approx((1 + 3 / 4) / 5))
    assert of(store, frozenset(["q0", "q1"])) == (1.0, 0.5)


def test_without_options_there_is_no_chance_and_without_targets_no_fixed_answer(tmp_path: Path):
    assert of(asked(tmp_path, ["1", "2"], [0, 4]))[1] is None
    for name, targets, task in (
        ("a", ["", "2"], "t"),
        ("b", ["24"] * 3, "file:x+game24"),
        ("c", ["24"] * 3, "game24"),
        ("d", ["a|b"] * 3, "file:x+regex"),
        ("e", ["good"] * 3, "file:x+judge(m, 01234567)"),
        ("f", ["good"] * 3, "file:x+of_nobody"),
    ):
        (tmp_path / name).mkdir()
        assert of(asked(tmp_path / name, targets, task=task), task=task)[0] is None, task


@pytest.mark.parametrize(
    ("scorer", "targets", "best"),
    [
        ("token_f1", ["red car", "red bus", "blue"], (1 + 0.5) / 3),
        ("token_f1", ['["red", "car"]', "car", "bus"], 2 / 3),
        ("number(tolerance=10%)", ["100", "105", "200"], 2 / 3),
        ("set", ["a, b", "b, a", "c"], 2 / 3),
        ("exact", ["Yes", "yes", "Yes"], 2 / 3),
        ("json_fields", ['{"a": 1, "b": 2}', '{"a": 1, "b": 3}'], 0.75),
    ],
)
def test_where_a_scorer_of_its_own_decides_it_scores_the_fixed_answers(
    tmp_path: Path, scorer: str, targets: list[str], best: float
):
    task = f"file:x+{scorer}"
    assert of(asked(tmp_path, targets, task=task), task=task)[0] == pytest.approx(best)


def test_it_stands_beside_every_accuracy_and_is_said(tmp_path: Path):
    frame = engine.open(stores.two_studies(tmp_path / "results.duckdb")).cells(study="wide")
    targets = [n + n * 7 % 13 for n in range(16)]
    best = max(map(targets.count, targets)) / 16
    assert frame["guess"].unique().to_list() == [best]
    assert frame["chance"].unique().to_list() == [None]
    (said,) = sentences(frame)
    assert said.startswith("Without reading the questions, one fixed answer to all is right on ")
    assert " of sums" not in said
    twice = pl.concat([frame, frame.with_columns(task=pl.lit("letters"), guess=pl.lit(0.5))])
    (both,) = sentences(twice)
    assert both.endswith(" of sums, 50% of letters.")
