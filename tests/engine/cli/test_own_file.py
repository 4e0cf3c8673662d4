"""`budgetscope tasks FILE`: what is read from a file of one's own, and the table a study takes."""

from __future__ import annotations

import json
import shlex
import tomllib
from pathlib import Path

import pytest

import engine
from engine.cli import main
from tests import ROOT

TABLE = "id;Passage;prompt;gold;topic\n" + "".join(
    f"r{n};Text {n}.;How many is {n} + {n}?;{2 * n};{'odd' if n % 2 else 'even'}\n" for n in range(8)
)


def said(folder: Path, capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = main(("tasks", *argv))
    done = capsys.readouterr()
    return code, done.out, done.err


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.csv").write_text(TABLE)


def test_it_says_what_each_column_is_taken_for_and_the_table_runs_as_a_study(tmp_path: Path, capsys) -> None:
    code, out, _ = said(tmp_path, capsys, "own.csv", "questions=4", "stratify_column=topic")
    assert code == 0
    assert "4 questions from the columns id, Passage, prompt, gold, topic." in out
    assert "How many is 0 + 0?  →  0" in out
    table = out[out.index("[[tasks]]") :]
    (task,) = tomllib.loads(table)["tasks"]
    assert task == {
        "name": "file:own.csv",
        "question_column": "prompt",
        "answer_column": "gold",
        "context_column": "Passage",
        "category_column": "topic",
        "questions": 4,
        "stratify_column": "topic",
    }
    (tmp_path / "own.toml").write_text(
        f'name = "own"\nbudgets = [64]\nmodels = ["scripted/adder"]\nstrategies = ["direct"]\n{table}'
    )
    ended = engine.run(tmp_path / "own.toml", tmp_path / "own.duckdb")
    assert (ended.state, ended.ends) == ("finished", {"finished": 4})


def test_a_column_taken_wrongly_is_changed_or_taken_out(tmp_path: Path, capsys) -> None:
    code, out, _ = said(tmp_path, capsys, "own.csv", "context_column=", "answer_column=topic", "--json")
    told = json.loads(out)
    assert code == 0 and told["questions"] == 8
    assert "context_column" not in told["task"] and told["first"][1]["target"] == "odd"
    assert told["columns"] == ["id", "Passage", "prompt", "gold", "topic"]


def test_the_commands_of_the_readme_run_as_printed(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.delenv("BUDGETSCOPE_DB", raising=False)
    (tmp_path / "questions.csv").write_text("question,answer\n2 + 2?,4\n3 + 1?,4\n")
    part = (ROOT / "README.md").read_text().partition("## Your own questions")[2]
    commands = part.split("```")[1].strip().splitlines()
    assert len(commands) == 3
    for command in commands:
        code = main(shlex.split(command)[1:])
        done = capsys.readouterr()
        assert code == 0, (command, done)
        # A model of seconds in place of minutes: what is tried is that the commands fit each other.
        study = tmp_path / "own.toml"
        study.write_text(study.read_text().replace("local/smollm2-135m", "scripted/adder"))
    assert "Use " in done.out or "settings" in done.out


def test_a_study_that_is_there_is_not_written_over(tmp_path: Path, capsys) -> None:
    (tmp_path / "own.toml").write_text("mine")
    code, _, err = said(tmp_path, capsys, "own.csv", "--write", "own.toml")
    assert code == 2 and "own.toml is there already" in err
    assert (tmp_path / "own.toml").read_text() == "mine"


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (("none.csv",), "There is no file 'none.csv'"),
        (("own.csv", "answer_column=golf"), "did you mean 'gold'"),
        (("own.csv", "answr_column=gold"), "did you mean 'answer_column'"),
        (("own.csv", "gold"), "write KEY=VALUE"),
        (("own.csv", "questions=many"), "questions"),
        (("own.docx",), "Unknown file ending '.docx'"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, capsys, argv: tuple[str, ...], sentence: str) -> None:
    code, _, err = said(tmp_path, capsys, *argv)
    assert code in (1, 2) and sentence in err and err.count("\n") == 1
