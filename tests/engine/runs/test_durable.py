"""A run's small files torn by a power cut, a start that was killed, a disk that is full: said as it is, and gone on."""

from __future__ import annotations

import errno
import json
import logging
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from engine.cli import main
from engine.core import files
from engine.core.errors import RunError
from engine.runs import expectation, journal, run_dir, worker
from engine.runs.rate_limits import Retries
from engine.runs.run_dir import RunDir, Status
from engine.store.store import Store
from engine.study.plan import plan
from engine.study.schema import parse
from tests.support import disks, killer

STUDY = """name = "durable"
budgets = [64]
models = ["scripted/adder"]
tasks = [{ name = "gym:chain_sum", questions = 2 }]
strategies = ["direct"]
"""
TORN = ("", "\0" * 35, "r1-0123")


def quiet(_: Status) -> None:
    """Nobody watches."""


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return worker.prepare(parse(STUDY, "s.toml"), tmp_path / "results.duckdb")


@pytest.mark.parametrize("content", TORN, ids=["empty", "zeros", "cut"])
def test_a_torn_note_of_the_plan_is_written_anew_where_nothing_was_paid(run: RunDir, content: str) -> None:
    (run.path / "plan").write_text(content)
    assert worker.run(run, quiet).state == "finished"
    assert (run.path / "plan").read_text().startswith("r1-")


def test_a_torn_note_of_the_plan_is_made_again_from_the_database_after_it_was_paid(run: RunDir) -> None:
    worker.run(run, quiet)
    whole = (run.path / "plan").read_text()
    for content in TORN:
        (run.path / "plan").write_text(content)
        assert worker.run(run, quiet).state == "finished", content
        assert (run.path / "plan").read_text() == whole, content


def test_a_torn_note_hides_no_change_of_the_questions(run: RunDir) -> None:
    worker.run(run, quiet)
    (run.path / "plan").write_text("")
    run.study.write_text(run.study.read_text().replace("questions = 2", "questions = 3"))
    with pytest.raises(RunError, match="are not what they were"):
        worker.run(run, quiet)


def test_a_torn_note_that_nothing_can_replace_is_called_damaged_and_blames_nobody(run: RunDir) -> None:
    worker.run(run, quiet)
    run.db.unlink()
    (run.path / "plan").write_text("")
    with pytest.raises(RunError, match="is damaged .*delete that file"):
        worker.run(run, quiet)
    (run.path / "plan").unlink()
    assert worker.run(run, quiet).state == "finished"


def test_a_torn_estimate_is_worked_out_anew(run: RunDir) -> None:
    planned = plan(parse(STUDY, "s.toml"))
    for content in ("", "{", "[]", "\0\0"):
        (run.path / "estimate.json").write_text(content)
        assert "expected" in json.loads(expectation.noted(run, planned) or "{}"), content
        assert "expected" in json.loads((run.path / "estimate.json").read_text()), content
    (run.path / "estimate.json").write_text("{")
    worker.run(run, quiet)
    [row] = Store(run.db).runs()
    assert row.estimate is not None and "expected" in json.loads(row.estimate)


@pytest.mark.parametrize("content", ["", "{", "\0" * 9])
def test_a_torn_status_is_replaced_by_the_next_session_and_hides_no_living_run(run: RunDir, content: str) -> None:
    (run.path / "status.json").write_text(content)
    assert run_dir.read(run).state == "dead"
    with run_dir.held(run):
        assert (run_dir.read(run).state, run_dir.read(run).alive) == ("running", True)
    assert worker.run(run, quiet).state == "finished"
    assert run_dir.read(run).state == "finished"


@pytest.mark.parametrize("content", ["", "\0" * 40, "name = "])
def test_a_torn_copy_of_the_study_is_damage_and_says_the_way_on(
    run: RunDir, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run.study.write_text(content)
    for more in ([], ["--tokens", "1000"]):
        assert main(["resume", run.run_id, "--db", str(run.db), *more]) == 1
        said = capsys.readouterr().err
        assert "The copy of the study" in said and "from its own file again" in said and said.count("\n") == 1


@pytest.mark.parametrize("point", [killer.BEFORE_A_START, killer.IN_A_START])
def test_a_start_that_was_killed_leaves_no_run_and_the_next_one_sweeps_it(tmp_path: Path, point: str) -> None:
    db, study = tmp_path / "results.duckdb", tmp_path / "s.toml"
    study.write_text(STUDY)
    assert killer.run(["run", str(study), "--db", str(db)], tmp_path / "out", point) == -9
    assert run_dir.list_runs(db) == [] and len(os.listdir(run_dir.folder(db))) == 1
    half = tmp_path / f".results.duckdb.{_pid_in(run_dir.folder(db))}.0123abcd"
    half.touch()
    run = worker.prepare(parse(STUDY, "s"), db)
    assert os.listdir(run_dir.folder(db)) == [run.run_id] and not half.exists()


def _pid_in(folder: Path) -> str:
    [name] = os.listdir(folder)
    return name.split(".")[-2]


def test_a_full_disk_is_said_once_in_the_log_and_in_every_status_that_is_shown(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, shown = files.replace, list[Status]()

    def full(path: Path, content: str | bytes) -> None:
        if path.name == "status.json":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        real(path, content)

    monkeypatch.setattr(files, "replace", full)
    with caplog.at_level(logging.WARNING, logger="engine"):
        engaged = worker._Worker(run, shown.append, Retries(), run_dir.now, None, None)
        for _ in range(50):
            engaged._tell("running")
    assert len([each for each in caplog.records if "status" in each.getMessage()]) == 1
    assert {each.message for each in shown} == {"Its status cannot be written: the disk is full."}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with disks.small_disk(tmp_path / "small") as folder:
        yield folder


def test_on_a_disk_that_is_full_a_run_says_so_and_is_not_called_suspended(small_disk: Path) -> None:
    run = worker.prepare(parse(STUDY, "s.toml"), small_disk / "results.duckdb")
    long_ago = run_dir.now() - timedelta(minutes=5)
    run_dir.write(run, replace(run_dir.read(run), state="running", heartbeat_at=long_ago))
    with run_dir.held(run):
        assert "suspended" in str(run_dir.read(run).message)
        ballast = disks.fill(small_disk)
        message = str(run_dir.read(run).message)
        assert "The disk is full" in message and "suspended" not in message
    assert run_dir.read(run).message == "The disk is full; make room, and resume."
    done = killer.said(small_disk.parent, "resume", run.run_id, "--db", str(run.db))
    assert done.code == 1 and "the disk is full" in done.err, done
    ballast.unlink()
    assert worker.run(run, quiet).state == "finished"
    assert journal.read(run.journal).unreadable == 0


def test_a_start_on_a_full_disk_is_one_sentence_and_leaves_nothing(
    small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = small_disk.parent / "s.toml"
    study.write_text(STUDY)
    disks.fill(small_disk)
    assert main(["run", str(study), "--db", str(small_disk / "results.duckdb")]) == 1
    assert "the disk is full" in capsys.readouterr().err.splitlines()[-1]
    assert {path.name for path in small_disk.rglob("*")} <= {"ballast", "results.runs"}


def test_the_process_of_a_start_on_a_read_only_disk_says_one_sentence(small_disk: Path) -> None:
    run = worker.prepare(parse(STUDY, "s.toml"), small_disk / "results.duckdb")
    study = small_disk.parent / "s.toml"
    study.write_text(STUDY)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    flags = ["--db", str(run.db)]
    for argv in (["run", str(study), *flags], ["resume", run.run_id, *flags], ["allowance", "--tokens", "5", *flags]):
        done = killer.said(small_disk.parent, *argv)
        assert done.code == 1, (argv, done)
        last = done.err.splitlines()[-1]
        assert "read-only" in last or "may not be written" in last or "cannot be" in last, last
        assert "should not have happened" not in done.err and "Traceback" not in done.err
