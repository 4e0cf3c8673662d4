"""Steps: the rows made while a trial is stored are those the stored trial gives, in any order of storing and deleting."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import engine
from engine.analysis.materialize import materialize
from engine.analysis.sql import queries
from engine.core.records import AXES, Trial
from engine.runs import worker
from engine.store import deltas, schema
from engine.store.store import Batch, RunRow, Store
from tests import ROOT
from tests.engine.analysis.test_curves import conditions
from tests.support import records
from tests.support.effort import cases
from tests.support.replayed import NOON, A, Ask, Say, planned, play

DEMO = ROOT / "results.duckdb"
trials_of_scripts = st.tuples(
    conditions(strategy="first"), conditions(strategy="second", anytime=False), conditions(strategy="third")
).map(lambda parts: [trial for part in parts for trial in part])


def told(connection: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    """All steps with names for numbers, in an order that does not depend on them."""
    sql = f"""
        select c.condition_id, q.question_id, f.snapshot_id, f.model,
            s.* exclude (trial_no, condition_no, question_no, tariff_no)
        from steps s join {deltas.CONDITIONS} c using (condition_no) join {deltas.QUESTIONS} q using (question_no)
        left join {deltas.TARIFFS} f using (tariff_no) order by all"""
    runs = "select run_id, kind, id from run_parts join numbers using (kind, number) order by all"
    return connection.execute(sql).fetchall() + connection.execute(runs).fetchall()


def assert_steps_are_those_of_the_trials(store: Store) -> None:
    with store.reading() as connection:
        kept = told(connection)
        deltas.stand_in(connection)
        assert told(connection) == kept
        shared = "select count(*) from (select trial_no from main.steps group by all having count(distinct condition_no) > 1)"
        assert connection.execute(shared).fetchall() == [(0,)]


@given(trials_of_scripts, st.integers(1, 5), st.randoms())
@cases(12)
def test_steps_made_while_storing_are_those_of_what_is_stored(trials: list[Trial], size: int, rng) -> None:
    rng.shuffle(trials)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        # All at once, or some conditions after the others.
        patched.setattr(deltas, "PORTION", size)
        store = Store(Path(folder) / "results.duckdb")
        for start in range(0, len(trials), size):
            store.flush(Batch(tuple(trials[start : start + size])))
        assert_steps_are_those_of_the_trials(store)


@given(st.lists(records.trials(), max_size=4))
@cases(15)
def test_no_trial_is_too_strange_to_have_steps(trials: list[Trial]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "results.duckdb")
        store.flush(Batch(tuple(trials)))
        assert_steps_are_those_of_the_trials(store)


def attempt(number: int, run: str, answer: str, question: str = "q", end: str = "finished") -> Trial:
    trial = play(planned("output_tokens", 40, question), [Ask(A, 5, 4, 9, 9), Say(answer)], run=run, attempt=number)
    return replace(trial, end=end)  # type: ignore[arg-type]


def test_the_last_attempt_alone_has_steps_whatever_comes_first_or_goes(tmp_path: Path) -> None:
    store = Store(tmp_path / "results.duckdb")
    first, second, other = attempt(1, "r1", "wrong"), attempt(2, "r2", "right"), attempt(1, "r1", "right", "other")
    results = engine.open(store.path) if store.path.exists() else None
    assert results is None
    for batch in ((first,), (second,), (other,)):
        store.flush(Batch(batch))
    results = engine.open(store.path)
    assert_steps_are_those_of_the_trials(store)
    assert results.cells()["accuracy"].to_list() == [1.0]
    store.delete_run("r2")
    assert_steps_are_those_of_the_trials(store)
    assert results.cells()["accuracy"].to_list() == [0.5]
    store.flush(Batch((second,)))
    store.delete_run("r1")
    assert_steps_are_those_of_the_trials(store)
    assert results.cells()["n_questions"].to_list() == [1]
    store.delete_run("r2")
    assert results.cells().height == 0
    with store.reading() as connection:
        assert connection.execute("select count(*) from steps").fetchall() == [(0,)]


def test_attempts_may_be_stored_together_and_out_of_order(tmp_path: Path) -> None:
    store = Store(tmp_path / "results.duckdb")
    store.flush(Batch((attempt(3, "r1", "right"), attempt(2, "r1", "wrong"))))
    store.flush(Batch((attempt(1, "r1", "wrong"),)))
    assert_steps_are_those_of_the_trials(store)
    assert engine.open(store.path).cells()["accuracy"].to_list() == [1.0]


SIXTH = "hash(trial_id) % 6 = 0"
PARTS = {
    "completions": "key in (select key from calls)",
    "prompts": "prompt_key in (select prompt_key from calls)",
}
"""Tables that belong to trials by their calls."""


def an_older(path: Path, demo: bool = True, version: int = 3) -> Path:
    """The tracked runs in a database of an older version; from before there were steps, one in six of their trials."""
    with duckdb.connect(str(path)) as connection:
        connection.execute(schema.RECORD)
        for step in schema.MIGRATIONS[:version]:
            connection.execute(step.sql)
            connection.execute("insert into migrations values (?, ?, current_timestamp)", [step.number, step.name])
        connection.execute(f"attach '{DEMO}' as now (read_only)")
        columns = "select table_name, column_name from duckdb_columns() where database_name = ? and not internal"
        now, old = ({*connection.execute(columns, [name]).fetchall()} for name in ("now", path.stem))
        # Steps know their trials by number alone, so a version that has them comes whole.
        numbered = any(table == "steps" for table, _ in old)
        for table in sorted({table for table, _ in old} - {"migrations", "meta"}):
            shared = ", ".join(f'"{column}"' for of, column in sorted(now & old) if of == table)
            part = PARTS.get(table) or (SIXTH if (table, "trial_id") in old else "true")
            chosen = "true" if numbered else part
            connection.execute(f"insert into {table} by name select {shared} from now.{table} where {chosen}")
        if demo:
            connection.execute("insert into meta values ('demo', 'true')")
    return path


def test_an_older_demo_is_read_as_it_is_and_its_copy_upgraded(tmp_path: Path) -> None:
    old = an_older(tmp_path / "old.duckdb")
    before = old.read_bytes()
    results, store = engine.open(old), Store(old)
    cells, ids = results.cells(), results.conditions()["condition_id"].to_list()
    curves = results.curves(ids)
    assert old.read_bytes() == before and store.version() == 3
    store.set_demo(False)
    assert store.version() == schema.SCHEMA_VERSION
    assert_steps_are_those_of_the_trials(store)
    assert results.cells().equals(cells) and results.curves(ids).equals(curves)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_an_older_file_this_user_may_not_write_is_read_as_it_is(tmp_path: Path) -> None:
    old = an_older(tmp_path / "old.duckdb", demo=False)
    old.chmod(0o444)
    assert engine.open(old).cells().height > 0
    assert Store(old).version() == 3


def test_an_older_database_is_upgraded_when_it_is_read(tmp_path: Path) -> None:
    old = an_older(tmp_path / "old.duckdb", demo=False)
    assert engine.open(old).cells().height > 0
    assert Store(old).version() == schema.SCHEMA_VERSION
    store = Store(old)
    store.save_run(RunRow("r1", "{}", "finished", NOON))
    store.flush(Batch((attempt(1, "r1", "right"),)))
    assert_steps_are_those_of_the_trials(store)
    assert all(engine.open(old).cells(axis).height for axis in AXES)


def rows_held(connection: duckdb.DuckDBPyConnection) -> int:
    ((count,),) = connection.execute("select count(*) from held").fetchall()
    return int(count)


def test_some_of_the_budgets_that_are_held_are_read_without_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.duckdb"
    store = Store(path)
    store.save_run(RunRow("r1", '{"budget_axis": "output_tokens", "budgets": [3, 9, 40]}', "finished", NOON))
    store.flush(Batch(tuple(attempt(1, "r1", "right" if n % 3 else "wrong", f"q{n}") for n in range(7))))
    assert materialize(path, enough=1) == 1
    results = engine.open(path)
    fresh = results.measured(None, [3, 40], {})[1], results.measured(None, [4], {})[1]
    with monkeypatch.context() as patch:
        patch.setattr(queries, "changes", lambda *_: pytest.fail("steps were read"))
        assert engine.open(path).measured(None, [3, 40], {})[1].equals(fresh[0])
    with store.writing() as connection:
        connection.execute("delete from holdings")
    assert results.measured(None, [3, 40], {})[1].equals(fresh[0])
    assert results.measured(None, [4], {})[1].equals(fresh[1])


def test_what_is_held_is_what_reading_the_steps_gives(tmp_path: Path) -> None:
    path = tmp_path / "results.duckdb"
    store = Store(path)
    study = '{"budget_axis": "output_tokens", "budgets": [3, 9, 40]}'
    store.save_run(RunRow("r1", study, "finished", NOON))
    first = [attempt(1, "r1", "right" if n % 3 else "wrong", f"q{n}") for n in range(7)]
    fixed = [
        play(planned("output_tokens", 30, f"q{n}", strategy="fixed", anytime=False), [Ask(A, 5, 4, 9, 9)])
        for n in range(4)
    ]
    store.flush(Batch((*first, *fixed)))
    results = engine.open(path)
    cells, units = results.measured(None, None, {})
    assert materialize(path) == 0, "few steps need no holding"
    worker.materialize(path)
    with store.reading() as connection:
        assert queries.materialized(connection) == {}
    assert materialize(path, enough=1) == 2
    assert materialize(path, enough=1) == 0
    assert [
        frame.equals(before) for frame, before in zip(results.measured(None, None, {}), (cells, units), strict=True)
    ]
    with store.reading() as connection:
        assert rows_held(connection) == units.height == 7 * 3 + 4
    assert results.measured("calls", None, {})[1].height > 0
    assert results.cells(budgets=[3]).height == 2
    # What comes later is read beside what is held, whatever is asked of it.
    later = [attempt(1, "r1", "right", f"q{n}") for n in (7, 8)]
    store.flush(Batch((*later, play(planned("output_tokens", 40, "q1", repeat=1), [Ask(A, 5, 4, 9, 9), Say("wrong")]))))
    with store.reading() as connection:
        assert len(queries.materialized(connection)) == 2
        assert rows_held(connection) == units.height
    some = (None, [9], [3, 40], [9, 10])
    beside = [results.measured(None, budgets, {}) for budgets in some]
    assert beside[0][0]["n_trials"].to_list() != cells["n_trials"].to_list()
    with store.writing() as connection:
        kept = connection.execute("select * from holdings").fetchall()
        connection.execute("delete from holdings")
    for frames, whole in zip(beside, [results.measured(None, budgets, {}) for budgets in some], strict=True):
        assert all(frame.equals(before) for frame, before in zip(frames, whole, strict=True))
    with store.writing() as connection:
        connection.executemany("insert into holdings values (?, ?, ?, ?)", kept)
    assert materialize(path, enough=1, worth=99) == 0
    assert materialize(path, enough=1) == 1
    with store.reading() as connection:
        assert rows_held(connection) == 9 * 3 + 4
    cells, units = results.measured(None, None, {})
    assert all(frame.equals(before) for frame, before in zip((cells, units), beside[0], strict=True))
    store.flush(Batch((attempt(2, "r2", "right", "q0"),)))
    assert results.cells()["n_right"].to_list() != cells["n_right"].to_list()
    one = results.measured(None, None, {})[1]
    worker.materialize(path, enough=1)
    assert materialize(path, enough=1) == 0
    assert results.measured(None, None, {})[1].equals(one)
    store.delete_run("r2")
    assert results.cells().equals(cells)
    assert materialize(path, enough=1) == 1
    store.save_run(RunRow("r1", '{"budget_axis": "output_tokens", "budgets": [5]}', "finished", NOON))
    # The study asks for no more than 5 now; what plans with its budget stays where it ran.
    assert sorted(set(results.cells()["budget"])) == [5, 30]


def test_numbers_of_deleted_trials_that_are_given_again_are_not_taken_for_held(tmp_path: Path) -> None:
    store = Store(tmp_path / "results.duckdb")

    def fixed(question: str) -> Trial:
        spec = planned("output_tokens", 30, question, strategy="fixed", anytime=False)
        return play(spec, [Ask(A, 5, 4, 9, 9)])

    def asked() -> int:
        return int(engine.open(store.path).cells().filter(~pl.col("anytime"))["n_trials"].sum())

    store.flush(Batch((fixed("q0"), attempt(1, "gone", "right"))))
    assert materialize(store.path, enough=1) == 2
    store.delete_run("gone")
    store.flush(Batch((fixed("q1"),)))
    assert asked() == 2
    assert materialize(store.path, enough=1) == 1
    assert asked() == 2
