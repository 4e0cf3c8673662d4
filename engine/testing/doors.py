"""The contracts of tasks, scorers and importers, ours and yours: inherit one in a test, or call its `check`.

Each clause raises AssertionError with a sentence that can be acted on. No network, no database, no test library.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from engine.core import answers
from engine.core.errors import UsageError
from engine.core.records import Question
from engine.interop import IMPORTERS, ImportedAnswer, Importer
from engine.tasks import Task, TaskSpec, open_task
from engine.tasks.scorers import Scorer, open_scorer

JUNK = (
    "",
    " ",
    "zzz",
    "\x00\x01\x1b[31m",
    "\u202e\u200b\ufeff",
    "\U0001f600" * 50,
    # Python refuses to read an int of more than 4,300 digits.
    "7" * 1_000_000,
    # Deep enough to end a recursive parser.
    "(" * 100_000,
    # Small as text, and too large for memory as a fraction.
    "1e999999999",
    "-" * 10_000,
    "9" * 300 + "/0",
    # Must stay text.
    "__import__('os').getcwd()",
    "NaN",
)
"""What models say when they say nothing; no scorer may raise for it, give it a point or hang on it."""


def _scored(by: Task | Scorer, answer: str, question: Question) -> float:
    """The score; whatever the scoring raises is said with the answer it was raised for."""
    try:
        return by.score(answer, question)
    except Exception as error:
        what = f"{type(error).__name__} for the answer {answer[:40]!r}"
        raise AssertionError(f"its score raised {what}; what it cannot read is wrong, and scores 0") from error


class TaskContract:
    """Inherit with a name that starts with Test, and give `spec`: pytest then tries each clause by itself."""

    spec: TaskSpec
    """A spec of at least three questions, of seed 0."""

    def _task(self) -> tuple[Task, Sequence[Question]]:
        task = open_task(self.spec)
        return task, task.questions()

    def test_every_question_has_text_and_target(self) -> None:
        task, questions = self._task()
        assert questions, "it has no question"
        for question in questions:
            assert question.problem.text.strip() and question.target.strip(), f"an empty text or target: {question}"
            assert question.task == task.name, f"a question says it is of {question.task!r}, not {task.name!r}"
        count = self.spec.questions
        assert count in (None, len(questions)), f"asked for {count} questions it gives {len(questions)}"

    def test_the_target_scores_one_as_written_and_as_extracted(self) -> None:
        task, questions = self._task()
        for question in questions:
            extracted = answers.extract(f"So.\nAnswer: {question.target}", question.problem.answer_kind)
            for answer in (question.target, extracted):
                right = answer is not None and _scored(task, answer, question) == 1
                assert right, f"{answer!r} is not right where {question.target!r} is the target"

    def test_junk_scores_nothing_and_never_raises(self) -> None:
        task, questions = self._task()
        for junk in JUNK:
            assert _scored(task, junk, questions[0]) == 0, f"{junk[:40]!r} scores"

    def test_the_same_spec_gives_the_same_questions(self) -> None:
        assert open_task(self.spec).questions() == open_task(self.spec).questions(), "questions differ between openings"

    def test_ids_are_unique(self) -> None:
        _, questions = self._task()
        assert len({question.question_id for question in questions}) == len(questions), "two questions share an id"
        # Stored trials are found by it: of two tasks that number their questions, one would show the other's results.
        content = all(re.fullmatch(r"q1-[0-9a-f]{32}", question.question_id) for question in questions)
        assert content, "an id must say what is asked; engine.core.ids.question_id(name, problem, target) makes one"

    def test_another_seed_asks_other_questions(self) -> None:
        _, questions = self._task()
        try:
            others = open_task(replace(self.spec, seed=self.spec.seed + 1)).questions()
        except UsageError:
            return
        shared = {each.question_id for each in questions} & {each.question_id for each in others}
        way = "spec.seed chooses other questions, or raises UsageError where there are no more"
        assert not shared, f"two seeds share {len(shared)} questions; {way}"


class ScorerContract:
    """Inherit with a name that starts with Test, and give `scorer` and `question`."""

    scorer: str
    """A registered name."""
    question: Question
    """One whose target the scorer takes."""

    def _scorer(self) -> Scorer:
        return open_scorer(self.scorer)

    def test_the_target_scores_one(self) -> None:
        assert _scored(self._scorer(), self.question.target, self.question) == 1, "the target itself is not right"

    def test_scores_are_numbers_from_zero_to_one_and_repeat(self) -> None:
        for answer in (self.question.target, *JUNK):
            score = _scored(self._scorer(), answer, self.question)
            assert isinstance(score, (int, float)) and 0 <= score <= 1, f"{answer[:40]!r} scores {score!r}"
            assert _scored(self._scorer(), answer, self.question) == score, f"{answer[:40]!r} scores differently again"

    def test_junk_is_not_right(self) -> None:
        for junk in JUNK:
            assert _scored(self._scorer(), junk, self.question) < 1, f"{junk[:40]!r} is right"


class ImporterContract:
    """Inherit with a name that starts with Test, and give `importer`, `log` and, where one is at hand, `foreign`."""

    importer: str
    """A registered name."""
    log: Path
    """A file or folder it reads, with at least one answer."""
    foreign: Path | None = None
    """A file it must not take for its own; None: this module."""

    def _importer(self) -> Importer:
        return IMPORTERS.get(self.importer)()

    def test_it_knows_its_own_files_and_no_other(self) -> None:
        assert self._importer().reads(self.log), f"it does not read {self.log.name}"
        assert not self._importer().reads(self.foreign or Path(__file__)), "it takes a foreign file for its own"

    def test_answers_are_records_in_a_fixed_order(self) -> None:
        first, again = list(self._importer().answers(self.log)), list(self._importer().answers(self.log))
        assert first and first == again, "it reads nothing, or differently the second time"
        assert all(isinstance(answer, ImportedAnswer) for answer in first), "it gives something that is no answer"

    def test_scores_are_from_zero_to_one_and_a_failed_answer_has_none(self) -> None:
        for answer in self._importer().answers(self.log):
            assert answer.score is None or 0 <= answer.score <= 1, f"a score of {answer.score}"
            assert answer.error is None or answer.score is None, "an answer that failed is scored"

    def test_a_foreign_file_is_refused_in_a_sentence(self) -> None:
        try:
            list(self._importer().answers(self.foreign or Path(__file__)))
        except UsageError as error:
            assert "\n" not in str(error), "the refusal is more than a sentence"
        except Exception as error:
            raised = f"{type(error).__name__}: {error}"
            raise AssertionError(f"a foreign file ends in {raised}; raise UsageError with file and row") from error
        else:
            raise AssertionError("a foreign file is read without a word")
