"""Run folders that an earlier release left behind are read as they are, and their runs go on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.core.budget import Amount, Limits
from engine.core.records import Usage
from engine.runs import journal, run_dir, worker
from engine.runs.run_dir import RunDir
from engine.study.schema import load

RUN_ID = "20261128-073402-fd62"
STUDY = """base = "/tmp"
# mine
name = "kept"
budgets = [128]
tasks = [{ name = "gym:chain_sum", questions = 1 }] # one
models = ["scripted/adder"]
strategies = ["direct"]
"""
STATUS = (
    '{"run_id": "20261128-073402-fd62", "name": "kept", "state": "stopped", "alive": false, "pid": 18740, "done": 0, '
    '"total": 1, "ends": {"finished": 1}, "spent": {"calls": 1, "tokens": 40, "pusd": 0}, "reserved": {"calls": 0, '
    '"tokens": 0, "pusd": 0}, "in_doubt": {"calls": 0, "tokens": 0, "pusd": 0}, "overrun": {"calls": 0, "tokens": 0, '
    '"pusd": 0}, "ceiling": {"calls": null, "tokens": 50000000, "pusd": null}, "lease": {"calls": null, "tokens": '
    '50000000, "pusd": null}, "free": {"calls": null, "tokens": 49999960, "pusd": null}, "priced": false, '
    '"seconds_left": null, "started_at": "2026-11-28T07:34:02.516212+00:00", "heartbeat_at": '
    '"2026-11-28T07:35:34.545795+00:00", "ran_s": 4.308443948000786, "message": null}'
)
INTENT = (
    '{"intent":{"attempt_id":"a4ddc85fe5124d2493b65a0a7cca15b4-0","key":"c1-183dd81af2c8361e54f40cb3ea627b95","model":'
    '"scripted/adder@1","ordinal":0,"outcome":"in_doubt","error":null,"reserved_tokens":68,"reserved_pusd":0,'
    '"charged_tokens":68,"charged_pusd":0,"started_at":"2026-11-28T07:35:30.391561+00:00","latency_ms":0}}\n'
)
OUTCOME = (
    '{"outcome":{"attempt_id":"a4ddc85fe5124d2493b65a0a7cca15b4-0","key":"c1-183dd81af2c8361e54f40cb3ea627b95",'
    '"model":"scripted/adder@1","ordinal":0,"outcome":"ok","error":null,"reserved_tokens":68,"reserved_pusd":0,'
    '"charged_tokens":40,"charged_pusd":0,"started_at":"2026-11-28T07:35:30.391561+00:00","latency_ms":0},'
    '"completion":{"key":"c1-183dd81af2c8361e54f40cb3ea627b95@20261128-073402-fd62","text":"so \\ud83d Answer: 15",'
    '"finish":"stop","usage":{"input_tokens":36,"output_tokens":4,"cached_tokens":null,"cache_write_tokens":null,'
    '"reasoning_tokens":null,"estimated":false},"latency_ms":0,"model_reported":"scripted/adder@1","fingerprint":null,'
    '"created_at":"2026-11-28T07:35:30.392002+00:00","provider_cost_pusd":null,"run_id":"20261128-073402-fd62"}}\n'
)


@pytest.fixture
def left(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "r.runs" / RUN_ID, RUN_ID, tmp_path / "r.duckdb")
    run.path.mkdir(parents=True)
    run.study.write_text(STUDY, encoding="utf-8")
    (run.path / "status.json").write_text(STATUS, encoding="utf-8")
    run.journal.write_text(INTENT + OUTCOME, encoding="utf-8")
    return run


def test_its_three_files_say_what_they_said(left: RunDir) -> None:
    status, history, study = run_dir.read(left), journal.read(left.journal), load(left.study)
    assert (status.state, status.spent, status.lease) == ("stopped", Amount(1, 40, 0), Limits(tokens=50_000_000))
    assert status.started_at == datetime(2026, 11, 28, 7, 34, 2, 516212, tzinfo=UTC)
    assert (history.unreadable, history.spent, history.in_doubt) == (0, Amount(1, 40, 0), Amount())
    (completion,) = history.completions.values()
    assert (completion.text, completion.usage) == ("so \ud83d Answer: 15", Usage(36, 4))
    assert (study.name, study.budgets, study.text) == ("kept", (128,), STUDY)


def test_its_run_goes_on_and_pays_nothing_twice(left: RunDir) -> None:
    ended = worker.run(left, lambda _: None)
    assert (ended.state, ended.done, ended.spent) == ("finished", 1, Amount(1, 40, 0))
    assert left.journal.read_text(encoding="utf-8") == INTENT + OUTCOME
    assert left.study.read_text(encoding="utf-8") == STUDY
