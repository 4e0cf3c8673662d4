"""What belongs to a trial is found by the flush that stored it, and also where that is not known."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from engine.core.records import Trial
from engine.store import tables
from engine.store.merging import merge
from engine.store.store import Batch, Store
from tests.engine.store.test_store import a_trial

BELOW = ("trial_spends", "calls", "marks", "mark_spends")


@pytest.fixture
def trials() -> list[Trial]:
    # Of those that are asked again, the second attempt goes on in a later flush and says the same words.
    return [*map(a_trial, range(6)), a_trial(1, attempt=2, budget=300), a_trial(4, attempt=2, budget=300)]


@pytest.fixture
def store(tmp_path: Path, trials: list[Trial]) -> Store:
    return flushed(Store(tmp_path / "results.duckdb"), trials)


def flushed(store: Store, trials: list[Trial]) -> Store:
    """Two trials a flush."""
    store.create()
    for at in range(0, len(trials), 2):
        store.flush(Batch(tuple(trials[at : at + 2])))
    return store


def read(store: Store, trials: list[Trial]) -> list[Trial]:
    return [store.trial(trial.spec.trial_id, trial.attempt) for trial in trials]


def changed(store: Store, *statements: str) -> None:
    with duckdb.connect(str(store.path)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_a_trial_and_all_below_it_have_the_number_of_their_flush(store: Store, trials: list[Trial]) -> None:
    with store.reading() as connection:
        ((numbers,),) = connection.execute("select list(distinct flush order by flush) from trials").fetchall()
        assert numbers == [1, 2, 3, 4]
        for table in BELOW:
            sql = f"select count(*), count(*) filter (x.flush = t.flush) from {table} x join trials t using (trial_id, attempt)"
            assert connection.execute(sql).fetchall() == [(len(trials), len(trials))]
    assert read(store, trials) == trials


def test_rows_of_other_flushes_are_passed_over(store: Store, trials: list[Trial]) -> None:
    # What another flush had is not looked at: so this call, which is moved, is missed.
    changed(store, f"update calls set flush = 4 where trial_id = '{trials[0].spec.trial_id}'")
    first, second = read(store, trials[:2])
    assert first.calls == () and second == trials[1]


def test_of_a_file_from_before_flushes_were_kept_trials_are_found_as_well(store: Store, trials: list[Trial]) -> None:
    changed(store, *(f"update {table} set flush = null where flush < 3" for table in ("trials", "prompts", *BELOW)))
    assert read(store, trials) == trials
    of = trials[0].spec.condition.condition_id
    assert {trial.spec.trial_id for trial in store.trials(of)} == {trial.spec.trial_id for trial in trials}
    later = a_trial(9)
    store.flush(Batch((later,)))
    assert read(store, [later]) == [later]


def test_more_flushes_than_are_looked_for_one_by_one(
    store: Store, trials: list[Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = store.trials(trials[0].spec.condition.condition_id)
    monkeypatch.setattr(tables, "_FEW", 1)
    assert store.trials(trials[0].spec.condition.condition_id) == before


def test_what_is_merged_lies_together_here(store: Store, trials: list[Trial], tmp_path: Path) -> None:
    here = flushed(Store(tmp_path / "here.duckdb"), [a_trial(20, run="r2")])
    # Theirs is of before, or says what it likes.
    changed(store, "update trials set flush = null", "update calls set flush = 7")
    merge(here, store.path)
    assert read(here, trials) == trials
    with here.reading() as connection:
        assert connection.execute("select distinct flush from calls order by 1").fetchall() == [(1,), (2,)]
