"""The Python API: what `import engine` gives notebooks and scripts, and that its examples run as they are written."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import engine

STUDY = """name = "first"
budgets = [64, 512]
models = ["scripted/adder"]
[[strategies]]
name = "chain_of_thought"
[[tasks]]
name = "gym:chain_sum"
questions = 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a study that costs nothing under the name of an example, before which it goes."""
    (tmp_path / "first").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BUDGETSCOPE_DB", raising=False)
    return tmp_path


def test_every_example_runs_as_it_is_written(folder: Path) -> None:
    lines = [line for name in ("estimate", "run", "resume", "calibrate") for line in _examples(getattr(engine, name))]
    assert len(lines) >= 6
    names: dict[str, object] = {"engine": engine}
    for line in lines:
        exec(line, names)


def _examples(function: object) -> list[str]:
    return re.findall(r">>> (.+)", inspect.getdoc(function) or "")


def test_a_run_is_what_the_terminal_makes_of_the_same_study(folder: Path) -> None:
    status = engine.run("first", "mine.duckdb")
    assert (status.state, status.done, dict(status.ends)["finished"]) == ("finished", 3, 3)
    cells = engine.open("mine.duckdb").cells()
    assert sorted(cells["budget"]) == [64, 512] and set(cells["n_questions"]) == {3}
    again = engine.run("first", "mine.duckdb")
    assert again.spent.calls == 0, "a study that is stored is paid for again"


def test_an_estimate_knows_the_worst_case_before_anything_ran(folder: Path) -> None:
    spend = engine.estimate("first", "mine.duckdb")
    assert spend.expected is None and spend.worst.calls == 3
    assert not (folder / "mine.duckdb").exists(), "an estimate made a database"


def test_what_is_exported_is_what_is_documented() -> None:
    assert all(inspect.getdoc(getattr(engine, name)) for name in engine.__all__)
