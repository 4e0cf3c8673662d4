"""Tasks, scorers and importers of users come in by the same door as strategies, and are held to contracts."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.core import registry
from engine.core.errors import UnknownName, UsageError
from engine.core.records import Problem, Question
from engine.interop import ImportedAnswer, admitted, importer, importer_for
from engine.strategies import plugins
from engine.study.plan import plan
from engine.study.schema import parse
from engine.tasks import TaskSpec, open_task, scorer, task, task_names
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
def brought(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = registry.registered()
    # The folder it is found in is looked in by whoever comes next, unless the path is put back.
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert plugins.load("my_task", [ROOT / "examples"]) is None
    yield
    registry.restore(before)
    sys.modules.pop("my_task", None)


def test_a_registered_task_is_named_in_a_study_and_listed() -> None:
    assert "squares" in task_names()
    planned = plan(parse(STUDY, "mine"))
    assert [spec.question.target for spec in planned.specs] == ["4", "9", "16"]


ONE = "Question('q', 'mine', Problem('1 + 1', 'number'), '2')"


@pytest.mark.parametrize(
    ("gives", "says"),
    [
        ("None", "breaks, its questions cannot be made: TypeError"),
        ("[][0]", "breaks, its questions cannot be made: IndexError"),
        ("sys.exit(3)", "breaks, its questions cannot be made: SystemExit"),
        (f"[{ONE}, 7]", "gives as its question 2 7, which is no Question with a Problem"),
        ("[Question('q', 'mine', '1 + 1', '2')]", "which is no Question with a Problem"),
        ("[Question(5, 'mine', Problem('1 + 1', 'number'), '2')]", "one without an id that is a text"),
        ("[Question('q', 'mine', Problem('1 + 1', 'number'), None)]", "one without a target that is a text"),
        ("[Question('q', 'mine', Problem('1 + 1', 'sum'), '2')]", "answer is a 'sum', and no kind is called that"),
    ],
)
def test_a_task_that_breaks_what_it_promised_is_one_sentence(gives: str, says: str) -> None:
    class Mine:
        name = "mine"

        def __init__(self, spec: TaskSpec) -> None:
            self.spec = spec

        def questions(self) -> list[Question]:
            return eval(gives)  # type: ignore[no-any-return]

        def score(self, answer: str, question: Question) -> float:
            return 1.0

    task("mine")(Mine)
    with pytest.raises(UsageError, match=re.escape(says)):
        plan(parse(STUDY.replace("squares", "mine"), "mine"))


def test_a_task_without_a_name_and_a_scorer_that_cannot_be_made_are_one_sentence() -> None:
    task("nameless")(lambda spec: object())  # type: ignore[arg-type, return-value]
    with pytest.raises(UsageError, match="'nameless' has no name; write `name = 'nameless'`"):
        open_task(TaskSpec("nameless"))
    scorer("needy")(lambda wants: wants)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"'needy' cannot be made: TypeError"):
        open_scorer("needy")
    scorer("mute")(object)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="'mute' has no score; write"):
        open_scorer("mute")


@pytest.mark.parametrize(
    "other",
    [
        {"score": 7.0},
        {"score": float("nan")},
        {"score": "right"},
        {"answer": 5},
        {"answered_at": "yesterday"},
        {"spend": 5},
        {"prompt": "hello"},
        {"parameters": 5},
        {"task": 5},
        {"model": None},
    ],
)
def test_what_an_importer_gives_that_is_no_answer_is_one_sentence_with_its_place(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    class Mine:
        def reads(self, path: Path) -> bool:
            return True

        def answers(self, path: Path) -> Iterator[ImportedAnswer]:
            whole = ImportedAnswer("tool", "plain", "m", "1 + 1", "2", "2", 1.0, None)
            yield whole
            yield replace(whole, **other)

    (tmp_path / "log.mine").write_text("{}")
    with pytest.raises(UsageError, match=r"'log.mine', sample 2, (holds a value of another kind|has a score of)"):
        list(admitted.answers(Mine(), tmp_path / "log.mine"))


def test_an_importer_that_breaks_as_it_looks_is_named(tmp_path: Path) -> None:
    @importer("aaa_breaks")
    class Mine:
        def reads(self, path: Path) -> bool:
            raise ValueError("no such thing")

        def answers(self, path: Path) -> Iterator[ImportedAnswer]:
            yield from ()

    (tmp_path / "log.mine").write_text("{}")
    with pytest.raises(UsageError, match="The importer 'aaa_breaks' broke when it looked at 'log.mine'"):
        importer_for(tmp_path / "log.mine")


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
