"""The contracts of tasks, scorers and importers, ours and yours: inherit one in a test, or call its `check`.

Each clause raises AssertionError with a sentence that can be acted on. No network, no database, no test library.
"""

from __future__ import annotations

from collections.abc import Sequence
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

    def test_the_target_scores_one_as_written_and_as_extracted(self) -> None:
        task, questions = self._task()
        for question in questions:
            extracted = answers.extract(f"So.\nAnswer: {question.target}", question.problem.answer_kind)
            for answer in (question.target, extracted):
                assert answer is not None and task.score(answer, question) == 1, f"{answer!r} for {question.target!r}"

    def test_junk_scores_nothing_and_never_raises(self) -> None:
        task, questions = self._task()
        for junk in JUNK:
            assert task.score(junk, questions[0]) == 0, f"{junk[:40]!r} scores"

    def test_the_same_spec_gives_the_same_questions(self) -> None:
        assert open_task(self.spec).questions() == open_task(self.spec).questions(), "questions differ between openings"

    def test_ids_are_unique(self) -> None:
        _, questions = self._task()
        assert len({question.question_id for question in questions}) == len(questions), "two questions share an id"


class ScorerContract:
    """Inherit with a name that starts with Test, and give `scorer` and `question`."""

    scorer: str
    """A registered name."""
    question: Question
    """One whose target the scorer takes."""

    def _scorer(self) -> Scorer:
        return open_scorer(self.scorer)

    def test_the_target_scores_one(self) -> None:
        assert self._scorer().score(self.question.target, self.question) == 1, "the target itself is not right"

    def test_scores_are_numbers_from_zero_to_one_and_repeat(self) -> None:
        for answer in (self.question.target, *JUNK):
            score = self._scorer().score(answer, self.question)
            assert isinstance(score, (int, float)) and 0 <= score <= 1, f"{answer[:40]!r} scores {score!r}"
            assert self._scorer().score(answer, self.question) == score, f"{answer[:40]!r} scores differently again"

    def test_junk_is_not_right(self) -> None:
        for junk in JUNK:
            assert self._scorer().score(junk, self.question) < 1, f"{junk[:40]!r} is right"


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
        else:
            raise AssertionError("a foreign file is read without a word")
