"""Tasks, scorers and importers of users come in by the same door as strategies, and are held to contracts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.core import registry
from engine.core.errors import UnknownName, UsageError
from engine.core.records import Problem, Question
from engine.interop import ImportedAnswer, importer, importer_for
from engine.strategies import plugins
from engine.study.plan import plan
from engine.study.schema import parse
from engine.tasks import TaskSpec, open_task, task, task_names
from engine.tasks.scorers import SCORERS, open_scorer
from engine.testing import ImporterContract, ScorerContract, TaskContract
from tests import ROOT

STUDY = """name = "mine"
budgets = [64]
models = ["scripted/adder"]
[[strategies]]
name = "direct"
[[tasks]]
name = "squares"
questions = 3
"""


@pytest.fixture(autouse=True)
def brought() -> Iterator[None]:
    before = registry.registered()
    assert plugins.load("my_task", [ROOT / "examples"]) is None
    yield
    registry.restore(before)
    sys.modules.pop("my_task", None)


def test_a_registered_task_is_named_in_a_study_and_listed() -> None:
    assert "squares" in task_names()
    planned = plan(parse(STUDY, "mine"))
    assert [spec.question.target for spec in planned.specs] == ["4", "9", "16"]


def test_a_registered_scorer_scores_a_file_from_zero_to_one(tmp_path: Path) -> None:
    (tmp_path / "sums.jsonl").write_text('{"question": "50 + 50", "answer": "100"}\n')
    task = open_task(TaskSpec(f"file:{tmp_path / 'sums.jsonl'}", scorer="near"))
    (question,) = task.questions()
    assert [task.score(answer, question) for answer in ("100", "95", "50")] == [1, 0.5, 0]
    assert question.task == "file:sums+near", "its results must not mix with those of another scorer"


def test_answers_scored_one_way_are_not_taken_for_those_of_another(tmp_path: Path) -> None:
    rows = "".join(f'{{"question": "{n} + 50", "answer": "{n + 50}"}}\n' for n in range(9))
    (tmp_path / "sums.jsonl").write_text(rows)
    plain = TaskSpec(f"file:{tmp_path / 'sums.jsonl'}", questions=3, seed=1)
    asked = [open_task(spec).questions() for spec in (plain, replace(plain, scorer="near"))]
    assert [q.problem.text for q in asked[0]] == [q.problem.text for q in asked[1]], "every scorer sees the same rows"
    assert not {q.question_id for q in asked[0]} & {q.question_id for q in asked[1]}


def test_a_contract_says_what_is_wrong_and_for_which_answer(tmp_path: Path) -> None:
    class Careless:
        name = "careless"

        def __init__(self, spec: TaskSpec) -> None:
            self.spec = spec

        def questions(self) -> list[Question]:
            problems = [Problem(f"{n} + {n}", "number") for n in range(4)]
            return [Question(f"q{n}", self.name, problem, str(2 * n)) for n, problem in enumerate(problems)]

        def score(self, answer: str, question: Question) -> float:
            return float(int(answer) == int(question.target))

        def reads(self, path: Path) -> bool:
            return True

        def answers(self, path: Path) -> list[ImportedAnswer]:
            return [ImportedAnswer(**json.loads("{}"))]

    task("careless")(Careless)
    importer("careless")(type("Log", (), {name: vars(Careless)[name] for name in ("reads", "answers")}))
    mine, log = TaskContract(), ImporterContract()
    mine.spec, log.importer, log.log = TaskSpec("careless", questions=3), "careless", tmp_path
    with pytest.raises(AssertionError, match="asked for 3 questions it gives 4"):
        mine.test_every_question_has_text_and_target()
    with pytest.raises(AssertionError, match="raised ValueError for the answer '';.* scores 0"):
        mine.test_junk_scores_nothing_and_never_raises()
    with pytest.raises(AssertionError, match=r"engine\.core\.ids\.question_id"):
        mine.test_ids_are_unique()
    with pytest.raises(AssertionError, match="two seeds share 4 questions"):
        mine.test_another_seed_asks_other_questions()
    with pytest.raises(AssertionError, match="ends in TypeError.*raise UsageError"):
        log.test_a_foreign_file_is_refused_in_a_sentence()


def test_names_nobody_registered_are_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="squares"):
        open_task(TaskSpec("squarez"))
    with pytest.raises(UnknownName, match="near"):
        parse(STUDY.replace('"squares"', '"file:x.csv"\nscorer = "neer"'), "mine")
    with pytest.raises(UsageError, match="has its own"):
        parse(STUDY.replace('"squares"', '"squares"\nscorer = "near"'), "mine")


def test_a_plugin_that_breaks_leaves_nothing_of_itself(tmp_path: Path) -> None:
    text = 'from engine.tasks import scorer\n@scorer("half")\nclass Half: ...\nraise RuntimeError("no")\n'
    (tmp_path / "half_done.py").write_text(text)
    assert plugins.load("half_done", [tmp_path]) is not None
    assert "half" not in SCORERS


def test_an_importer_is_found_by_what_a_file_holds(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"question": "q", "target": "1", "answer": "2", "model": "m"}\n')
    (answer,) = importer_for(tmp_path / "x.jsonl").answers(tmp_path / "x.jsonl")
    assert (answer.score, answer.spend) == (0, None)
    (tmp_path / "y.txt").write_text("hello")
    with pytest.raises(UsageError, match="plain_lines"):
        importer_for(tmp_path / "y.txt")


def test_a_taken_name_is_refused() -> None:
    with pytest.raises(ValueError, match="already"):
        SCORERS.register("near")(type(open_scorer("same")))


class TestSquares(TaskContract):
    spec = TaskSpec("squares", questions=5)


class TestNear(ScorerContract):
    scorer = "near"
    question = Question("q", "t", Problem("50 + 50?", "number"), "100")


class TestSame(ScorerContract):
    scorer = "same"
    question = Question("q", "t", Problem("50 + 50?", "number"), "100")


class TestPlainLines(ImporterContract):
    importer = "plain_lines"

    @pytest.fixture(autouse=True)
    def _log(self, tmp_path: Path) -> None:
        self.log = tmp_path / "log.jsonl"
        self.log.write_text('{"question": "q", "target": "1", "answer": "1", "model": "m"}\n' * 2)
