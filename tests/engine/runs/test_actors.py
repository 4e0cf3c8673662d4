"""A run on actors."""

from __future__ import annotations

from pathlib import Path

from engine.runs import worker
from engine.study.plan import plan
from engine.study.schema import load
from tests.support import killer
from tests.support.in_process import InProcess


def test_rows(tmp_path: Path) -> None:
    with killer.staged(tmp_path) as stage:
        db = tmp_path / "actors.duckdb"
        study = load(stage.study)
        run = worker.prepare(study, db)
        ended = worker.run(run, lambda status: None, planned=plan(study), place=InProcess(3))
        print(ended)
        assert killer.findings(db) == stage.calm
