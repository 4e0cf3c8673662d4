"""A run that is killed at the worst moments: nothing paid is lost, nothing is paid twice, and the results are the same."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.runs import journal, run_dir
from tests.support import killer
from tests.support.killer import CEILING, PARALLEL, Stage

IN_FLIGHT = "while a reply is in flight"
NAMES = [*killer.POINTS, IN_FLIGHT]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with killer.staged(tmp_path_factory.mktemp("kill")) as made:
        yield made


def test_there_are_nine_kill_points() -> None:
    assert len(set(NAMES)) == 9


def test_killed_in_an_upgrade_of_an_older_database_it_ends_as_if_nothing_had_happened(
    tmp_path: Path, stage: Stage
) -> None:
    db, out = killer.aged(tmp_path / "results.duckdb"), tmp_path / "out"
    before = len(stage.provider.served)
    assert killer.run(stage.argv(db), out, "in the middle of a migration") == -signal.SIGKILL
    # It is upgraded before the run has its folder, so the study is started again.
    assert run_dir.list_runs(db) == []
    assert killer.run(stage.argv(db), out) == 0, out.read_text()
    book = killer.account(killer.run_of(db), stage.provider.served[before:])
    assert (book.lost, book.needless, book.asked_twice, book.served) == (0, 0, 0, stage.calls)
    assert killer.findings(db) == stage.calm


def test_two_resumes_at_once_are_one_and_nothing_is_asked_twice(tmp_path: Path, stage: Stage) -> None:
    db, out = tmp_path / "results.duckdb", tmp_path / "out"
    before = len(stage.provider.served)
    assert killer.run(stage.argv(db), out, "between trial end and flush") == -signal.SIGKILL
    run = killer.run_of(db)
    in_flight = journal.read(run.journal).in_doubt.calls
    argv = ["resume", run.run_id, "--db", str(db)]
    both = [killer.start(argv, tmp_path / f"out{n}") for n in range(2)]
    codes = sorted(killer.ended(child) for child in both)
    # The second leaves at once, or comes when all is done and finds nothing left.
    assert codes in ([0, 1], [0, 0])
    book = killer.account(run, stage.provider.served[before:])
    assert (book.lost, book.needless) == (0, 0) and book.asked_twice <= in_flight
    assert killer.findings(db) == stage.calm


@pytest.mark.parametrize("point", NAMES, ids=lambda name: name.replace(" ", "_").replace(",", ""))
def test_killed_and_resumed_it_ends_as_if_nothing_had_happened(tmp_path: Path, stage: Stage, point: str) -> None:
    db, out = tmp_path / "results.duckdb", tmp_path / "out"
    before = len(stage.provider.served)
    assert _killed(stage, db, out, point) == -signal.SIGKILL, out.read_text()
    run = killer.run_of(db)
    assert run_dir.read(run).state == "dead"
    history = journal.read(run.journal)
    served = len(stage.provider.served) - before
    _as_the_point_says(point, served, history)
    assert killer.run(["resume", run.run_id, "--db", str(db)], out) == 0, out.read_text()
    book = killer.account(run, stage.provider.served[before:], history.completions)
    assert (book.lost, book.needless) == (0, 0)
    assert book.asked_twice <= book.in_flight == history.in_doubt.calls <= PARALLEL
    assert book.served_tokens <= book.charged_tokens <= CEILING
    assert stage.calls <= book.served == stage.calls + book.asked_twice
    assert killer.findings(db) == stage.calm
    assert killer.account(run, stage.provider.served[before:]).lost == 0
    ended = run_dir.read(run)
    assert (ended.state, ended.in_doubt.calls) == ("finished", book.in_flight)
    assert len(killer.table(db, "attempts")) == stage.calls + book.in_flight


def _killed(stage: Stage, db: Path, out: Path, point: str) -> int:
    argv = stage.argv(db)
    if point != IN_FLIGHT:
        return killer.run(argv, out, point)
    stage.provider.sends = 1
    try:
        child = killer.start(argv, out)
        killer.until(lambda: len(stage.provider.waiting) == PARALLEL)
        child.kill()
        return killer.ended(child)
    finally:
        stage.provider.waiting.clear()
        stage.provider.release()


def _as_the_point_says(point: str, served: int, history: journal.History) -> None:
    """That the process died where it was meant to."""
    known, doubtful = len(history.completions), history.in_doubt.calls
    match point:
        case "before the first intent":
            assert (served, len(history.attempts)) == (0, 0)
        case "while a reply is in flight":
            assert (served, known, doubtful) == (PARALLEL + 1, 1, PARALLEL)
        case "after an intent, before dispatch":
            assert doubtful >= 1 and served < len(history.attempts)
        case "after the provider served, before the journal has it":
            assert doubtful >= 1 and known < served
        case "after the journal line, before the strategy sees it":
            assert known >= 6
        case "between trial end and flush":
            assert known >= 3
        case _:
            assert known == served and doubtful == 0
