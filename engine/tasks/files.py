"""Benchmarks in the user's own files: `file:<path>` for .jsonl, .json, .csv, .tsv and .parquet.

Example, a row of a .jsonl file: {"question": "2 + 3 = ?", "answer": "5"}. Everything read is text and never evaluated:
numbers keep their spelling, true and false become yes and no. Limits: 200 MB and 1,000,000 rows per file, 20,000
characters per question, 2,000,000 per context and 1,000 per target. Rows with the same question, context and target
count once. A context is the document a question is about, read from `context_column`; an empty one is none.

Targets of the form "...steps... #### 18" (GSM8K, arXiv 2110.14168) become "18" when every row of the file has the mark.
Rows that are asked: with seed 0 the first n in file order; with seed s = 1, 2, ... the s-th block of n in one fixed
shuffle of the other rows. Seeds share no row as long as they ask for equally many. Worked examples come from rows that
are not asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.core import answers, ids
from engine.core.errors import UsageError
from engine.core.records import AnswerKind, Example, Problem, Question
from engine.tasks.scorers import SAME, open_scorer
from engine.tasks.tabular import read_rows
from engine.tasks.task import TaskSpec

LONGEST_QUESTION = 20_000
LONGEST_TARGET = 1_000
LONGEST_CONTEXT = 2_000_000
_MARK = "####"
_CALCULATOR = re.compile(r"<<[^<>]{0,200}>>")
"""Notes GSM8K makes for a calculator, `<<3*5=15>>`."""
_INSTRUCTIONS: dict[AnswerKind, str] = {
    "number": "Give the answer as a number.",
    "yes_no": "Answer yes or no.",
    "word": "Answer with one word.",
    "text": "",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One usable row of a file."""

    text: str
    target: str
    category: str | None
    reasoning: str | None
    """What stood before the mark; None: there was none."""
    context: str | None = None
    """The document the question is about; None: it stands alone."""

    @property
    def shown(self) -> str:
        """Context and question as one text, as a worked example shows them."""
        return f"{self.context}\n{self.text}" if self.context else self.text


class FileTask:
    """Questions from one file, and the scorer that its targets call for."""

    def __init__(self, spec: TaskSpec) -> None:
        """Reads nothing yet; raises UsageError for counts out of range."""
        self.spec = spec
        self.path = Path(spec.name.removeprefix("file:")).expanduser()
        # Scores of one scorer are no scores of another: such a task is one of its own.
        self.name = f"file:{self.path.stem}" + (f"+{spec.scorer}" if spec.scorer else "")
        self._scorer = open_scorer(spec.scorer or SAME)
        if spec.questions is not None and spec.questions < 1:
            raise UsageError(f"The task {spec.name!r} asks for {spec.questions} questions; ask for at least 1.")
        if spec.seed < 0:
            raise UsageError(f"The task {spec.name!r} has seed {spec.seed}; seeds start at 0.")
        if spec.seed and spec.questions is None:
            raise UsageError(f"The task {spec.name!r} asks for all questions, so only seed 0 exists; set 'questions'.")
        if spec.shots < 0:
            raise UsageError(f"The task {spec.name!r} asks for {spec.shots} worked examples; ask for 0 or more.")

    def questions(self) -> Sequence[Question]:
        """The rows the spec asks for; UsageError with file and row for anything that cannot be used."""
        rows = self._rows()
        kind = guess_kind(row.target for row in rows)
        asked, shown = self._chosen(rows, kind)
        examples = (*self.spec.examples, *(Example(row.shown, row.target, row.reasoning) for row in shown))
        return [self._question(row, kind, examples) for row in asked]

    def score(self, answer: str, question: Question) -> float:
        """By the scorer the spec names."""
        return self._scorer.score(answer, question)

    def _rows(self) -> list[Row]:
        """The distinct rows of the file, GSM8K targets cut down to what follows the mark."""
        spec, rows = self.spec, list[Row]()
        columns = [spec.question_column, spec.answer_column, *filter(None, [spec.category_column, spec.context_column])]
        for number, cells in enumerate(read_rows(self.path, columns), start=1):
            text = self._cell(cells[0], number, spec.question_column, LONGEST_QUESTION)
            # Before the mark stand whole solutions, which may be long; what follows it is what counts.
            longest = LONGEST_QUESTION if _MARK in (cells[1] or "") else LONGEST_TARGET
            target = self._cell(cells[1], number, spec.answer_column, longest)
            # Cells come in the order of `columns`: a category is third, a context last.
            category = (cells[2] or "").strip() or None if spec.category_column else None
            document = (cells[-1] or "").strip() if spec.context_column else ""
            context = self._cell(document, number, spec.context_column or "", LONGEST_CONTEXT) if document else None
            rows.append(Row(text, target, category, None, context))
        if not rows:
            raise UsageError(f"The file {str(self.path)!r} holds no rows.")
        parts = [row.target.rpartition(_MARK) for row in rows]
        # One row without the mark, and it is no mark but a part of answers.
        if all(mark and target.strip() for _, mark, target in parts):
            rows = [
                replace(row, target=target.strip(), reasoning=_CALCULATOR.sub("", steps).strip() or None)
                for row, (steps, _, target) in zip(rows, parts, strict=True)
            ]
        # Backwards and back again, so that of equal rows the first one counts, at its place.
        return list({(row.text, row.context, row.target): row for row in reversed(rows)}.values())[::-1]

    def _cell(self, cell: str | None, number: int, column: str, longest: int) -> str:
        text = (cell or "").strip()
        if not text:
            raise UsageError(f"Row {number} of {str(self.path)!r} has an empty {column!r}.")
        if len(text) > longest:
            most = f"{len(text):,} characters; at most {longest:,} are taken"
            raise UsageError(f"Row {number} of {str(self.path)!r} has a {column!r} of {most}.")
        return text

    def _chosen(self, rows: list[Row], kind: AnswerKind) -> tuple[list[Row], list[Row]]:
        """Rows to ask and rows to show."""
        spec, file = self.spec, f"The file {str(self.path)!r} has {len(rows)} distinct rows"
        count = len(rows) - spec.shots if spec.questions is None else spec.questions
        if not spec.shots and spec.questions is None and spec.seed == 0:
            # The usual case needs no order by id, which costs a hash per row.
            return rows, []
        # Ids are hashes of content, so their order is a shuffle that is the same on every machine.
        shuffled = sorted(rows, key=lambda row: ids.question_id("file", self._problem(row, kind, ()), row.target))
        if spec.questions is None and spec.seed == 0 and count > 0:
            shown = shuffled[count:]
            return [row for row in rows if row not in set(shown)], shown
        if count < 1 or (spec.seed + 1) * count > len(rows):
            seeds = len(rows) // max(count, 1)
            fits = f"enough for seeds 0 to {seeds - 1} with {count} each" if seeds and count > 0 else "too few"
            raise UsageError(f"{file}, {fits}; seed {spec.seed} asks for more.")
        # Seed 0 reads the file from its top, as people expect; later seeds share no row with it.
        first = set(rows[:count])
        others = [row for row in shuffled if row not in first]
        chosen = rows[:count] if spec.seed == 0 else others[(spec.seed - 1) * count : spec.seed * count]
        texts = {row.shown for row in chosen}
        # From the end of the shuffle, which blocks of questions reach last.
        spare = [row for row in reversed(shuffled) if row.shown not in texts][: spec.shots]
        if len(spare) < spec.shots:
            left = f"{len(chosen)} to ask leave {len(spare)} for {spec.shots} worked examples"
            raise UsageError(f"{file}: {left}.")
        return chosen, spare

    def _question(self, row: Row, kind: AnswerKind, examples: tuple[Example, ...]) -> Question:
        problem, scorer = self._problem(row, kind, examples), self.spec.scorer
        # A trial stores its verdict and is found by its question: another scorer's must not be taken for this one's.
        question_id = ids.question_id(f"file+{scorer}" if scorer else "file", problem, row.target)
        return Question(question_id, self.name, problem, row.target, row.category)

    def _problem(self, row: Row, kind: AnswerKind, examples: tuple[Example, ...]) -> Problem:
        return Problem(row.text, kind, _INSTRUCTIONS[kind], examples, row.context)


def guess_kind(targets: Iterable[str]) -> AnswerKind:
    """All numbers: number; all yes or no: yes_no; all without a space: word; otherwise text."""
    every = list(targets)
    # The narrowest kind first: every number is a word too.
    if all(answers.number_value(target) is not None for target in every):
        return "number"
    if all(answers.normalise(target) in ("yes", "no") for target in every):
        return "yes_no"
    return "text" if any(len(target.split()) != 1 for target in every) else "word"
