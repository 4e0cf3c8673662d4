"""Public benchmarks by name: `gsm8k`, `hotpotqa`, `mgsm/de`, each a file of `sets` with its source, licence and prompt.

None of their questions come along. A file is fetched once at a pinned revision and kept in the user's cache
(`fetch`); `path` under [[tasks]] names a copy instead, in the publisher's form and any ending we read. `subset` chooses
among the files of a benchmark that has several, and stands in its name in results: `mgsm/de`.

Which rows are asked, seeds, worked examples and repeated rows are as with files of one's own (`engine.tasks.files`).
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from pathlib import Path

from engine.core import answers, codec, ids
from engine.core.errors import UnknownName, UsageError
from engine.core.records import AnswerKind, Example, Problem, Question, Which
from engine.tasks import files
from engine.tasks.kinds import INSTRUCTIONS
from engine.tasks.named.benchmark import Benchmark, Item
from engine.tasks.named.fetch import local_copy
from engine.tasks.named.rows import rows
from engine.tasks.task import TaskSpec

FAMILIES = ("maths", "everyday reasoning", "medicine", "science", "finance", "languages")
"""In the order they are listed."""


@functools.cache
def names() -> tuple[str, ...]:
    """Every benchmark that can be named, sorted; cheap, none of them is imported for it."""
    folder = Path(__file__).with_name("sets")
    return tuple(sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__"))


def known(task: str) -> bool:
    """Whether a task's name, with its subset or without, is a benchmark's."""
    return task.partition("/")[0] in names()


def benchmark(name: str) -> Benchmark:
    """What we know of a benchmark. Raises UnknownName with the nearest."""
    if name not in names():
        raise UnknownName("benchmark", name, names())
    made: Benchmark = importlib.import_module(f"engine.tasks.named.sets.{name}").BENCHMARK
    return made


def by_family() -> dict[str, tuple[str, ...]]:
    """Names by family, families in their order."""
    families = {name: benchmark(name).family for name in names()}
    return {family: tuple(name for name in names() if families[name] == family) for family in FAMILIES}


class NamedTask(files.FileTask):
    """Questions of a public benchmark, and its scorer."""

    def __init__(self, spec: TaskSpec) -> None:
        """Reads and fetches nothing yet; raises UnknownName for a subset there is not, UsageError for counts."""
        super().__init__(spec)
        name, slash, subset = spec.name.partition("/")
        self.benchmark = made = benchmark(name)
        subset = subset if slash else spec.subset or next(iter(made.sources))
        if subset not in made.sources:
            raise UnknownName(f"subset of {name}", subset, made.sources)
        self._source, self._subset = made.sources[subset], subset
        self._set, self._items = name, dict[files.Key, Item]()
        scored = f"+{spec.scorer}" if spec.scorer else ""
        self.name = (f"{name}/{subset}" if len(made.sources) > 1 else name) + scored

    @property
    def statement(self) -> Which:
        """As the study says, else as the benchmark's authors count."""
        return self.spec.statement or self.benchmark.statement

    def score(self, answer: str, question: Question) -> float:
        """By the scorer the spec names, else by the benchmark's own."""
        judge = None if self.spec.scorer else self.benchmark.score
        return judge(answer, question) if judge else super().score(answer, question)

    def _rows(self) -> list[files.Row]:
        """The distinct rows of the benchmark's file that can be asked; what is left out is told by its page."""
        spec, made = self.spec, self.benchmark
        if spec.path is None:
            self.path = local_copy(self._set, self._source, spec.revision, made.gated)
        else:
            self.path = Path(spec.path).expanduser()
        wanted = [*made.columns, *filter(None, (spec.category_column, spec.stratify_column))]
        kept = dict[files.Key, files.Row]()
        for number, row in enumerate(rows(self.path, wanted, made.head), start=1):
            try:
                item = made.read(row) if made.keep is None or made.keep(row, self._subset) else None
            except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
                why = str(error) or type(error).__name__
                raise UsageError(f"Row {number} of {str(self.path)!r} is no row of {self._set}: {why}.") from None
            if item is None:
                continue
            text = f"{item.text}\n\n{answers.written(item.options)}" if item.options else item.text
            self._cell(text, number, "question", files.LONGEST_QUESTION)
            target = self._cell(item.target, number, "answer", files.LONGEST_TARGET)
            category = str(row[spec.category_column]) if spec.category_column else item.category
            stratum = str(row[spec.stratify_column]) if spec.stratify_column else ""
            read = text, target, category, item.reasoning, item.context, item.options
            one = files.Row(*read, number=number, stratum=stratum)
            if one.key not in kept:
                kept[one.key], self._items[one.key] = one, item
        if not kept:
            raise UsageError(f"The file {str(self.path)!r} holds no rows of {self._set}.")
        return list(kept.values())

    def _kinds(self, rows: list[files.Row]) -> dict[files.Key, AnswerKind]:
        """Each row's own kind, else the benchmark's, else as targets look."""
        usual = self.benchmark.kind
        if usual is None:
            return super()._kinds(rows)
        scored = f"by {self.spec.scorer}" if self.spec.scorer else self.benchmark.scored
        self._note = f"Answers to {self.name} are scored {scored}."
        # Some scorers want answers read in their own way.
        reads: AnswerKind | None = getattr(self._scorer, "reads", None) if self.spec.scorer else None
        return {row.key: reads or self._items[row.key].kind or usual for row in rows}

    def _problem(self, row: files.Row, kind: AnswerKind, examples: tuple[Example, ...]) -> Problem:
        own = self.benchmark.instructions
        # A row of another kind than most is told how it is answered by its own kind.
        instructions = own if own is not None and self._items[row.key].kind is None else INSTRUCTIONS[kind]
        options = row.options if kind == "choice" else ()
        return Problem(row.text, kind, instructions, examples, row.context, options, self.statement)

    def _question(self, row: files.Row, kind: AnswerKind, examples: tuple[Example, ...]) -> Question:
        problem = self._problem(row, kind, examples)
        question_id = ids.question_id(self.name, problem, row.target)
        return Question(question_id, self.name, problem, row.target, row.category, codec.with_reading(problem))


def example_of(name: str) -> Question:
    """A benchmark's own example as a question; needs no file."""
    task = NamedTask(TaskSpec(name))
    item = task.benchmark.read(task.benchmark.example)
    assert item is not None, "an example is a row that is asked"
    text = f"{item.text}\n\n{answers.written(item.options)}" if item.options else item.text
    row = files.Row(text, item.target, item.category, item.reasoning, item.context, item.options, 1)
    task._items[row.key] = item
    return task._question(row, task._kinds([row])[row.key], ())


def sources_of(name: str) -> Sequence[str]:
    """The addresses of a benchmark's files, in the order of its subsets."""
    return [source.address for source in benchmark(name).sources.values()]
