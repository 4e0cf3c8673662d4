"""How long a run took: the time it was worked on, over all its sessions, and never the pauses between them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dashboard.text import progress
from engine.cli import main
from engine.runs import run_dir, worker
from engine.runs.expectation import held
from tests.engine.runs.spending.test_allowance import allowing
from tests.engine.runs.test_worker import prepared, quiet, study_text


def test_the_pause_before_a_resume_is_no_running_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = prepared(tmp_path, study_text(tmp_path, '"scripted/adder"', count=40))
    allowing(run.db, tokens=500)
    first = worker.run(run, quiet)
    assert first.ran_s is not None and first.started_at is not None and first.heartbeat_at is not None
    ago = timedelta(hours=5)
    run_dir.write(run, replace(first, started_at=first.started_at - ago, heartbeat_at=first.heartbeat_at - ago))
    allowing(run.db)
    (run.path / "estimate.json").write_text(json.dumps({"expected": {"seconds": [1, 0, 600]}}))
    ended = worker.run(run, quiet)
    assert ended.state == "finished" and ended.ran_s is not None
    assert first.ran_s < ended.ran_s < 600 and ended.started_at == first.started_at - ago
    (seconds,) = [each for each in held(run, ended) if each.what == "seconds"]
    assert seconds.actual == ended.ran_s and seconds.inside
    assert progress.pace(ended)[0].startswith("took ") and " h" not in progress.pace(ended)[0]
    assert progress.trials(ended) == "80 of 80 answers" and progress.trials(replace(ended, total=0)) == "Answers"
    assert main(["--db", str(run.db), "runs"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.endswith("ran") and row.rstrip().endswith((" s", " ms"))


def test_a_run_of_an_older_version_took_from_its_start_to_its_last_sign_of_life() -> None:
    now = run_dir.now()
    began = now - timedelta(seconds=90)
    old = run_dir.Status("r", "s", "finished", False, None, 1, 1, started_at=began, heartbeat_at=now)
    assert run_dir.running_s(old) == 90
    assert run_dir.running_s(replace(old, ran_s=12.0)) == 12
    assert run_dir.running_s(replace(old, started_at=None)) is None
    assert progress.pace(replace(old, ran_s=12.0))[0] == "took 12 s"
    young = progress.pace(replace(old, alive=True, ran_s=2.0))
    assert young[0] == "no pace yet" and young[1].endswith("time left is known after a few calls")
