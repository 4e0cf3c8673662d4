"""What a task is to the engine: questions and a pure scorer.

It never sees a model, a budget or a database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Protocol, get_args

from msgspec import Meta

from engine.core.errors import BudgetscopeError, UsageError, shortened
from engine.core.records import AnswerKind, Example, Problem, Question, Which
from engine.core.registry import Registry
from engine.core.toml import Text


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A [[tasks]] table of a study."""

    name: Text
    """'gym:<generator>', 'file:<path>', a public benchmark such as 'gsm8k', or the name of a registered task."""
    questions: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None
    """How many; None: all of a file, 50 of a generator."""
    seed: Annotated[int, Meta(ge=0, le=10**6)] = 0
    """Which questions: seeds 0, 1, 2, ... never share one."""
    level: Text = "easy"
    """Of a generator: easy, medium, hard, a level of its curriculum ('3'), or a span of them ('easy-hard', '1-4')."""
    shots: Annotated[int, Meta(ge=0, le=64)] = 0
    """Worked examples made by the task itself from questions it will not ask."""
    examples: tuple[Example, ...] = ()
    """Worked examples written in the study."""
    question_column: Text = "question"
    answer_column: Text = "answer"
    category_column: Text | None = None
    context_column: Text | None = None
    """Column of a file with the document each question is about; None: questions stand alone."""
    scorer: Text | None = None
    """How answers to a file's questions are scored, by name; None: equal to the target by value or by folded text."""
    kind: AnswerKind | None = None
    """How answers to a file's questions look; None: each as its target looks, see `engine.tasks.kinds`."""
    statement: Which | None = None
    """Which of several answers that a reply states counts; None: the last, of a public benchmark that which its authors
    count."""
    choices_column: Text | None = None
    """Column of a file with each question's options; None: one called choices or options, or columns A, B, C, ..."""
    id_column: Text | None = None
    """Column of a file with what it calls each row; said in messages and kept with the question; never two alike."""
    kind_column: Text | None = None
    """Column of a file with how each row's answer looks, as `kind`; an empty cell is read as `kind` says."""
    messages_column: Text | None = None
    """Column of a file with a chat, whose last turn of the user is the question and whose turns before stand before it;
    a reply behind it is the answer where the file has no column of answers."""
    stratify_column: Text | None = None
    """Column of a file by which questions are spread: of every value its share of the rows is asked."""
    skip_bad: bool = False
    """Whether rows that cannot be used are left out, and counted; else the first of them is an error."""
    judge: Text | None = None
    """The model that scores answers to a file's questions by `rubric`, as a study names models; None: a scorer does."""
    rubric: Text | None = None
    """What it grades by, in words."""
    checker: Text | None = None
    """A scorer that needs no target, such as game24, by name; the file then has no column of answers."""
    subset: Text | None = None
    """Of a public benchmark that has several: 'de' of mgsm; None: its first."""
    path: Text | None = None
    """A copy of a public benchmark's file, in its publisher's form; None: fetched once, and kept."""
    revision: Text | None = None
    """Commit of 40 digits at which a public benchmark is fetched; None: the one it is pinned to."""


class Task(Protocol):
    """A source of questions with a scorer."""

    name: str
    """Identity in results: 'gym:chain_sum/easy', 'file:gsm8k_test'; files of one stem are one task, so rename one."""

    def questions(self) -> Sequence[Question]:
        """The questions of the spec, in order; equal specs give equal questions on every machine."""

    def score(self, answer: str, question: Question) -> float:
        """How good an extracted answer is, from 0, wrong, to 1, right; pure. True and False are its two ends."""


def too_few(whose: str, there: int, count: int, seed: int) -> UsageError:
    """That there is no block of `count` questions under a seed, of which no two share one. `whose`: a sentence's
    beginning that says who has how many."""
    if seed == 0 and count > 0:
        return UsageError(f"{whose}, too few for {count}: ask for at most {there}.")
    seeds = there // count if count > 0 else 0
    fits = f"enough for seeds 0 to {seeds - 1} with {count} each" if seeds else "too few"
    return UsageError(f"{whose}, {fits}; seed {seed} asks for more.")


# Not frozen, as a task's name is a plain attribute.
@dataclass(slots=True)
class _Held:
    """A task that somebody registered, held to what it promised: what it breaks is a sentence that names it."""

    name: str
    own: Task

    @property
    def note(self) -> str:
        """What it has to say of its questions; empty: nothing."""
        return str(getattr(self.own, "note", ""))

    def questions(self) -> Sequence[Question]:
        """As the task gives them. Raises UsageError for what is no question."""
        with _blamed(self.name, "its questions cannot be made"):
            asked = list(self.own.questions())
        for number, question in enumerate(asked, 1):
            if wrong := _otherwise(question):
                raise UsageError(f"The task {self.name!r} gives as its question {number} {wrong}.")
        return asked

    def score(self, answer: str, question: Question) -> float:
        """As the task scores; one that breaks fails its trial alone."""
        return self.own.score(answer, question)


def _otherwise(question: object) -> str | None:
    """What stands where a question of ours should; None: one does."""
    if not isinstance(question, Question) or not isinstance(question.problem, Problem):
        return f"{shortened(repr(question))}, which is no Question with a Problem"
    texts = {"an id": question.question_id, "a task": question.task, "a target": question.target}
    texts["a text"] = question.problem.text
    if lacking := next((what for what, said in texts.items() if not isinstance(said, str)), None):
        return f"one without {lacking} that is a text"
    if not question.question_id:
        return "one with an empty id"
    if question.problem.answer_kind not in get_args(AnswerKind):
        return f"one whose answer is a {shortened(str(question.problem.answer_kind))!r}, and no kind is called that"
    return None


@contextmanager
def _blamed(name: str, what: str) -> Iterator[None]:
    """A task's own error as a sentence; what it says to users itself goes through."""
    try:
        yield
    except (BudgetscopeError, OSError):
        raise
    # SystemExit too: a script that ends itself must not end us.
    except (Exception, SystemExit) as error:
        raise UsageError(f"The task {name!r} breaks, {what}: {shortened(repr(error))}.") from error


def registered(spec: TaskSpec) -> Task:
    """The registered task that a spec names. Raises UsageError for one that breaks, or is none."""
    with _blamed(spec.name, "it cannot be made"):
        own = TASKS.get(spec.name)(spec)
    name = getattr(own, "name", None)
    if not isinstance(name, str) or not name.strip():
        raise UsageError(f"The task {spec.name!r} has no name; write `name = {spec.name!r}` in its class.")
    return _Held(name, own)


TASKS: Registry[Callable[[TaskSpec], Task]] = Registry("task")
task = TASKS.register
"""Register a class, or a function, that makes a `Task` of a `TaskSpec`; a study then names it under [[tasks]]."""
