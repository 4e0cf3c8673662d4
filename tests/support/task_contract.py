"""What every task owes the engine, as a class to inherit from: give `spec`, get the tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace

import pytest

from engine.core import answers
from engine.core.records import Question
from engine.tasks import open_task
from engine.tasks.task import TaskSpec

JUNK = (
    "",
    " ",
    "zzz",
    "\x00\x01\x1b[31m",
    "\u202e\u200b\ufeff",
    "\U0001f600" * 50,
    "7" * 1_000_000,
    "(" * 100_000,
    "[" * 100_000,
    "1e999999999",
    "-" * 10_000,
    "9" * 300 + "/0",
    "__import__('os').getcwd()",
    "None",
    "NaN",
)

_ELSEWHERE = """
import json, sys
from engine.tasks import TaskSpec, open_task
print(json.dumps([[q.question_id + q.data for q in open_task(TaskSpec(**s)).questions()] for s in json.load(sys.stdin)]))
"""


def contents_elsewhere(specs: Sequence[TaskSpec]) -> list[list[str]]:
    """Question ids and data of each spec, made in another process with another hash seed."""
    plain = [{k: v for k, v in asdict(spec).items() if k != "examples"} for spec in specs]
    done = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE],
        input=json.dumps(plain),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "4711"},
    )
    return [list(questions) for questions in json.loads(done.stdout)]


class TaskContract:
    """Inherit, and provide a fixture `spec` whose seed is 0 and whose seed 1 exists too."""

    def asked(self, spec: TaskSpec) -> Sequence[Question]:
        """What the task asks, for tests to which it is no matter that it would ask the same again."""
        return open_task(spec).questions()

    @pytest.fixture
    def elsewhere(self, spec: TaskSpec) -> list[str]:
        return contents_elsewhere([spec])[0]

    def test_every_question_has_text_and_target(self, spec: TaskSpec) -> None:
        questions = self.asked(spec)
        assert questions
        assert all(question.problem.text.strip() and question.target.strip() for question in questions)
        assert {question.task for question in questions} == {open_task(spec).name}

    def test_the_target_scores_as_written_as_normalised_and_as_extracted(self, spec: TaskSpec) -> None:
        task = open_task(spec)
        for question in self.asked(spec):
            said = answers.extract(f"So.\nAnswer: {question.target}", question.problem.answer_kind)
            for answer in (question.target, answers.normalise(question.target), said):
                assert answer is not None
                assert task.score(answer, question) == 1, (question.problem.text, answer)

    def test_junk_never_scores_and_never_raises(self, spec: TaskSpec) -> None:
        task = open_task(spec)
        question = self.asked(spec)[0]
        assert [task.score(junk, question) for junk in JUNK] == [False] * len(JUNK)

    def test_a_fresh_process_makes_the_same_questions(self, spec: TaskSpec, elsewhere: list[str]) -> None:
        assert [question.question_id + question.data for question in open_task(spec).questions()] == elsewhere

    def test_seeds_share_no_question(self, spec: TaskSpec) -> None:
        zero = {(q.problem.text, q.problem.context) for q in self.asked(spec)}
        one = {(q.problem.text, q.problem.context) for q in open_task(replace(spec, seed=1)).questions()}
        assert zero and one and not zero & one

    def test_ids_are_unique_and_depend_on_content_alone(self, spec: TaskSpec) -> None:
        questions = self.asked(spec)
        assert len({question.question_id for question in questions}) == len(questions)
        fewer = open_task(replace(spec, questions=max(1, len(questions) - 2))).questions()
        assert [q.question_id for q in fewer] == [q.question_id for q in questions][: len(fewer)]

    def test_worked_examples_are_never_asked(self, spec: TaskSpec) -> None:
        questions = open_task(replace(spec, shots=2)).questions()
        shown = questions[0].problem.examples
        assert len(shown) == 2 and all(question.problem.examples == shown for question in questions)
        asked = {" ".join(f"{q.problem.context or ''} {q.problem.text}".split()) for q in questions}
        assert not asked & {" ".join(example.question.split()) for example in shown}
