"""Locked databases, full disks, closed terminals, suspended machines, second workers: a run loses nothing to any of them."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from engine.runs import journal, process, run_dir, worker
from engine.runs.process import Heartbeat
from engine.runs.run_dir import RunDir, Status
from engine.study.schema import load
from tests.support import disks, killer
from tests.support.children import spawned
from tests.support.killer import PARALLEL, Stage


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with killer.staged(tmp_path_factory.mktemp("hardship")) as made:
        yield made


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "results.duckdb"


@contextmanager
def holding(stage: Stage, db: Path, *argv: str, hook: str | None = None) -> Iterator[ForkServerProcess]:
    """A run whose replies are ready and held back, but for the first, which goes alone; the block lets them go."""
    stage.provider.sends = 1
    child = killer.start(argv or stage.argv(db), out(db), "hurried", *([hook] if hook else []))
    try:
        killer.until(lambda: len(stage.provider.waiting) == PARALLEL or not child.is_alive())
        yield child
    finally:
        stage.provider.release()
        child.kill()
        child.join()


def out(db: Path) -> Path:
    return db.with_name("out.txt")


def logged(db: Path) -> str:
    log = killer.run_of(db).log
    return log.read_text(encoding="utf-8") if log.exists() else ""


def told(db: Path) -> Status:
    return run_dir.read(killer.run_of(db))


def resumed(db: Path) -> None:
    run = killer.run_of(db)
    assert killer.run(["resume", run.run_id, "--db", str(db)], out(db)) == 0, out(db).read_text()


def nothing_lost_or_paid_twice(stage: Stage, db: Path, before: int, asked_twice: int = 0) -> None:
    book = killer.account(killer.run_of(db), stage.provider.served[before:])
    assert (book.lost, book.needless, book.asked_twice) == (0, 0, asked_twice)
    assert book.served == stage.calls + asked_twice and book.served_tokens <= book.charged_tokens
    assert killer.findings(db) == stage.calm


def test_a_database_locked_beyond_the_last_reply_is_waited_for_with_a_heartbeat(stage: Stage, db: Path) -> None:
    before = len(stage.provider.served)
    with holding(stage, db) as child:
        with killer.held_open(db):
            stage.provider.release()
            killer.until(lambda: told(db).done == told(db).total and told(db).message)
            waiting = told(db)
            assert waiting.alive and "Waiting for the database" in str(waiting.message)
            killer.until(lambda: told(db).heartbeat_at != waiting.heartbeat_at)
            assert len(stage.provider.served) - before == stage.calls
        assert killer.ended(child) == 0, out(db).read_text()
    assert (told(db).state, told(db).message) == ("finished", None)
    nothing_lost_or_paid_twice(stage, db, before)


def test_a_run_that_waits_for_the_database_ends_when_asked_and_resumes_without_a_call(stage: Stage, db: Path) -> None:
    before = len(stage.provider.served)
    with holding(stage, db) as child:
        with killer.held_open(db):
            stage.provider.release()
            killer.until(lambda: told(db).done == told(db).total and told(db).message)
            run_dir.request_stop(killer.run_of(db), now=True)
            killer.until(lambda: logged(db).count("the journal has it all") == 2)
        assert killer.ended(child) == 1
    assert told(db).state == "failed" and "nothing that was paid is lost" in str(told(db).message)
    resumed(db)
    nothing_lost_or_paid_twice(stage, db, before)


@contextmanager
def full(pid: int, size: int) -> Iterator[None]:
    """No file of a process may grow beyond `size` bytes for as long as the block lasts."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_under_the_database_ends_the_run_and_the_journal_has_all(stage: Stage, db: Path) -> None:
    before = len(stage.provider.served)
    with holding(stage, db) as child:
        assert child.pid is not None
        with full(child.pid, stage.journal_bytes + 2_000):
            stage.provider.release()
            assert killer.ended(child) == 1
    assert told(db).state == "failed" and str(db) in str(told(db).message)
    resumed(db)
    nothing_lost_or_paid_twice(stage, db, before)


def long_journal(stage: Stage, db: Path) -> RunDir:
    """A run that was prepared, with a journal that is longer than its database will be."""
    run = worker.prepare(load(stage.study), db)
    run.journal.write_bytes(b" " * 30_000_000 + b"\n")
    return run


def test_a_full_disk_under_the_journal_ends_the_run_and_the_database_has_all(stage: Stage, db: Path) -> None:
    before, run = len(stage.provider.served), long_journal(stage, db)
    with holding(stage, db, "resume", run.run_id, "--db", str(db)) as child:
        assert child.pid is not None
        with full(child.pid, run.journal.stat().st_size + 700):
            stage.provider.release()
            assert killer.ended(child) == 1
    assert told(db).state == "failed" and "journal cannot be written" in str(told(db).message)
    assert len(stage.provider.served) - before == PARALLEL + 1 == len(killer.table(db, "completions"))
    resumed(db)
    nothing_lost_or_paid_twice(stage, db, before)


def test_where_neither_journal_nor_database_can_be_written_the_run_waits_for_room(stage: Stage, db: Path) -> None:
    before, run = len(stage.provider.served), long_journal(stage, db)
    with holding(stage, db, "resume", run.run_id, "--db", str(db)) as child:
        assert child.pid is not None
        with full(child.pid, 5_000):
            stage.provider.release()
            killer.until(lambda: "Neither journal nor database" in str(told(db).message) or not child.is_alive())
            assert child.is_alive()
        assert killer.ended(child) == 1
    assert len(journal.read(run.journal).completions) == PARALLEL + 1 == len(killer.table(db, "completions"))
    resumed(db)
    nothing_lost_or_paid_twice(stage, db, before)


def test_a_run_on_a_full_disk_says_so_waits_for_room_and_loses_nothing(stage: Stage, tmp_path: Path) -> None:
    with disks.small_disk(tmp_path / "small") as folder:
        before, db, told_to = len(stage.provider.served), folder / "results.duckdb", tmp_path / "said.txt"
        # But for the first, which goes alone.
        stage.provider.sends = 1
        child = killer.start(stage.argv(db), told_to, "hurried")
        try:
            killer.until(lambda: len(stage.provider.waiting) == PARALLEL or not child.is_alive())
            ballast = disks.fill(folder)
            stage.provider.release()
            killer.until(lambda: "the disk is full" in told_to.read_text(encoding="utf-8"))
            assert "suspended" not in told_to.read_text(encoding="utf-8")
            ballast.unlink()
            killer.ended(child)
        finally:
            stage.provider.release()
            child.kill()
            child.join()
        assert len(logged(db).splitlines()) < 12
        run = killer.run_of(db)
        assert killer.run(["resume", run.run_id, "--db", str(db)], told_to) == 0, told_to.read_text()
        nothing_lost_or_paid_twice(stage, db, before)


def test_a_second_worker_on_one_run_leaves_at_once(stage: Stage, db: Path) -> None:
    before = len(stage.provider.served)
    with holding(stage, db) as first:
        run = killer.run_of(db)
        second = out(db).with_name("second.txt")
        assert killer.run(["resume", run.run_id, "--db", str(db)], second) == 1
        assert "already being worked on" in second.read_text(encoding="utf-8")
        stage.provider.release()
        assert killer.ended(first) == 0
    nothing_lost_or_paid_twice(stage, db, before)


@pytest.mark.parametrize("name", [signal.SIGHUP, signal.SIGTERM], ids=lambda name: name.name)
def test_a_closed_terminal_and_a_polite_word_end_a_run_cleanly(stage: Stage, db: Path, name: signal.Signals) -> None:
    before = len(stage.provider.served)
    with holding(stage, db) as child:
        assert child.pid is not None
        os.kill(child.pid, name)
        killer.until(lambda: told(db).state == "stopping")
        stage.provider.release()
        assert killer.ended(child) == 3, out(db).read_text()
    assert (told(db).state, told(db).in_doubt.calls) == ("stopped", 0)
    assert len(stage.provider.served) - before == PARALLEL + 1
    resumed(db)
    nothing_lost_or_paid_twice(stage, db, before)


def test_a_run_that_was_to_outlive_its_terminal_does(stage: Stage, db: Path) -> None:
    with holding(stage, db, hook="nohup") as child:
        assert child.pid is not None
        os.kill(child.pid, signal.SIGHUP)
        stage.provider.release()
        assert killer.ended(child) == 0
    assert told(db).state == "finished"


def test_a_suspended_run_is_alive_and_takes_its_replies_when_it_wakes(stage: Stage, db: Path) -> None:
    before = len(stage.provider.served)
    with holding(stage, db) as child:
        assert child.pid is not None
        os.kill(child.pid, signal.SIGSTOP)
        killer.until(lambda: state_of(child.pid or 0) == "T")
        last = told(db)
        stage.provider.release()
        killer.until(lambda: (run_dir.now() - (last.heartbeat_at or run_dir.now())).total_seconds() > 1)
        assert told(db).alive and told(db).heartbeat_at == last.heartbeat_at
        os.kill(child.pid, signal.SIGCONT)
        assert killer.ended(child) == 0
    assert told(db).in_doubt.calls == 0
    nothing_lost_or_paid_twice(stage, db, before)


def state_of(pid: int) -> str:
    """One letter of the kernel's: R, S, T (stopped), Z (zombie)."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]


def test_time_in_suspension_is_no_time_of_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "EVERY_S", 0.05)
    heart = Heartbeat(RunDir(tmp_path, "r", tmp_path), lambda: None, lambda wish: None)
    heart._last = time.monotonic() - 3600
    # Long enough for two beats: an hour that was lost is lost once.
    asyncio.run(heart.attend(asyncio.sleep(1.5 * process.EVERY_S)))
    assert 3599 < heart.suspended_s < 3660


def test_a_finished_child_that_nobody_waited_for_is_not_alive(tmp_path: Path) -> None:
    run = RunDir(tmp_path, "r1", tmp_path / "r.duckdb")
    code = f"""
import sys
from pathlib import Path
from engine.runs import run_dir
run = run_dir.RunDir(Path({str(tmp_path)!r}), 'r1', Path({str(run.db)!r}))
with run_dir.held(run):
    run_dir.write(run, run_dir.Status('r1', 'n', 'running', True, 1, 0, 0, heartbeat_at=run_dir.now()))
    sys.stdin.readline()
"""
    with spawned([sys.executable, "-c", code], stdin=subprocess.PIPE, text=True) as process:
        killer.until(lambda: (tmp_path / "status.json").exists())
        assert run_dir.read(run).alive
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        killer.until(lambda: state_of(process.pid) == "Z")
        assert (run_dir.is_alive(run), run_dir.read(run).state) == (False, "dead")
        assert replace(run_dir.read(run), state="running").alive is False
