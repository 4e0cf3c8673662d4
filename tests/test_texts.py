"""The business texts beside the examples: questions that can be scored, that guessing does not answer, in groups."""

from __future__ import annotations

import json
import runpy
from collections import Counter
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from engine.core import tokens
from engine.tasks import open_task
from engine.tasks.task import TaskSpec
from tests import ROOT

TEXTS = ROOT / "examples" / "texts"
FILES = ("finance", "medicine", "science")
COLUMNS: dict[str, Any] = {
    "question_column": "question",
    "context_column": "text",
    "choices_column": "choices",
    "answer_column": "answer",
    "category_column": "category",
}


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (TEXTS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", FILES)
def test_every_text_has_one_right_option_in_a_group_that_is_large_enough(name: str) -> None:
    found = rows(name)
    assert len(found) >= 60 and len({row["id"] for row in found}) == len({row["text"] for row in found}) == len(found)
    assert all(row["choices"].count(row["answer"]) == 1 for row in found)
    groups = Counter(row["category"] for row in found)
    assert len(groups) >= 4 and min(groups.values()) >= 15
    assert mean(len(row["text"].split()) for row in found) >= 80


@pytest.mark.parametrize("name", FILES)
def test_no_fixed_answer_is_right_on_a_third_of_them(name: str) -> None:
    found = rows(name)
    for said in (
        Counter(row["answer"] for row in found),
        Counter(row["choices"].index(row["answer"]) for row in found),
    ):
        assert max(said.values()) <= 0.3 * len(found)


@pytest.mark.parametrize("name", [*FILES, "dossiers"])
def test_a_study_reads_them_as_choices_with_their_text_as_document(name: str) -> None:
    task = open_task(TaskSpec(f"file:{TEXTS / name}.jsonl", questions=5, **COLUMNS))
    for question in task.questions():
        assert question.problem.answer_kind == "choice" and question.problem.context and question.category
        assert len(question.target) == 1


def test_dossiers_are_what_their_script_makes_and_long_documents(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = (TEXTS / "dossiers.jsonl").read_bytes()
    for name in FILES:
        (tmp_path / f"{name}.jsonl").write_bytes((TEXTS / f"{name}.jsonl").read_bytes())
    (tmp_path / "dossiers.py").write_bytes((TEXTS / "dossiers.py").read_bytes())
    runpy.run_path(str(tmp_path / "dossiers.py"), run_name="__main__")
    assert (tmp_path / "dossiers.jsonl").read_bytes() == before
    assert all(1_000 <= tokens.count(row["text"], "") <= 3_000 for row in rows("dossiers"))
