"""A run that fails says why: the first reasons with their counts, wherever its end is told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dashboard.text import progress
from engine.cli import main
from engine.runs import reasons, run_dir, worker
from engine.runs.rate_limits import Retries
from engine.study.schema import parse
from tests.support.provider import serving


def test_sentences_that_differ_in_their_numbers_count_as_one_and_the_commonest_comes_first() -> None:
    told = reasons.grouped([("failed (500) after 3 s.", 1), ("No key.", 2), ("failed (500) after 9 s.", 4), (None, 1)])
    assert told == {"failed (500) after 3 s.": 5, "No key.": 2, "no reason was given": 1}
    assert reasons.said(told, 2) == "5 x: failed (500) after 3 s; 2 x: No key; 1 for other reasons"
    assert reasons.said({}) == ""
    many = reasons.grouped((f"{'a' * n} is odd.", 1) for n in range(1, 200))
    assert len(many) <= reasons.MOST + 1 and sum(many.values()) == 199


@pytest.fixture
def failed(tmp_path: Path) -> Path:
    """A database whose run failed in two of six questions, for two reasons."""
    rows = [{"question": f"What is {n} + 3?{said}", "answer": f"{n + 3}"} for n, said in enumerate(
        ("", " [[fault:401]]", "", " [[fault:400]]", "", " [[fault:401]]")
    )]  # fmt: skip
    (tmp_path / "sums.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with serving() as provider:
        text = f"""
name = "fails"
budgets = [1000]
tasks = ["file:{tmp_path / "sums.jsonl"}"]
strategies = ["direct"]
[[models]]
name = "m"
api_base = "{provider.api_base}"
prices = {{ input = 1.0, output = 1.0 }}
[ceiling]
usd = 10.0
"""
        run = worker.prepare(parse(text, "test"), tmp_path / "results.duckdb")
        worker.run(run, lambda _: None, Retries(first_s=0))
    return tmp_path / "results.duckdb"


def test_why_trials_failed_is_told_by_the_run_the_list_the_report_and_the_page(
    failed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (status,) = run_dir.list_runs(failed)
    assert status.message is not None and status.message.startswith("3 trials failed (2 x: m at 127.0.0.1")
    assert "look at its key (api_key_env)" in status.message and "; 1 x: m at 127.0.0.1" in status.message
    assert sum(status.reasons.values()) == 3
    assert progress.why(status, "") == status.message and progress.failures(status) == ""
    assert "2 x: m at" in progress.failures(replace(status, message=None))
    for verb, begins in (("runs", "Failed in"), ("report", "Failed trials are not scored. Why they failed:")):
        capsys.readouterr()
        assert main(["--db", str(failed), verb]) == 0
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(begins)]
        assert len(lines) == 1 and "2 x: m at" in lines[0] and "api_key_env" in lines[0]
