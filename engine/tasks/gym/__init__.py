"""Generated benchmarks: `gym:<generator>` over reasoning-gym or of our own, each with an easy, a medium and a hard
preset.

Example, gym:gcd at level easy: "Find the Greatest Common Divisor (GCD) of these numbers: 8, 12." with target "4".

One deterministic list of distinct questions exists per generator and level. With n questions, seed s asks number
s*n to s*n + n - 1 of it, so seeds share nothing as long as they ask for equally many, and seed 0 keeps its questions
when more are asked. Scoring reads the answer and the question alone: it neither imports nor calls the generators.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from engine.core import ids
from engine.core.errors import UnknownName, UsageError
from engine.core.records import Example, Problem, Question
from engine.tasks.gym.catalogue import CATALOGUE, LEVELS, Generator
from engine.tasks.gym.checks import CHECKS
from engine.tasks.gym.steps import reasoning
from engine.tasks.task import TaskSpec

DEFAULT_QUESTIONS = 50
MOST_SHOTS = 8


def known_generators() -> tuple[str, ...]:
    """Names that may follow 'gym:', sorted; cheap, nothing is imported for it."""
    return tuple(sorted(CATALOGUE))


class GymTask:
    """Questions of one generator at one level, and their scorer."""

    def __init__(self, spec: TaskSpec) -> None:
        """Raises UnknownName for a generator or level we do not offer, UsageError for counts out of range."""
        generator, slash, level = spec.name.removeprefix("gym:").partition("/")
        self.generator, self.level = generator, level if slash else spec.level
        self.spec = spec
        self.count = DEFAULT_QUESTIONS if spec.questions is None else spec.questions
        _check_name("generator", self.generator, CATALOGUE)
        _check_name("level", self.level, LEVELS)
        _check_counts(spec, self.count)
        self.name = f"gym:{self.generator}/{self.level}"

    def questions(self) -> Sequence[Question]:
        """The spec's block of distinct questions; UsageError, with the number there is, when it does not exist."""
        from engine.tasks.gym.source import source

        start = self.spec.seed * self.count
        entries = source(self.generator, self.level).first(start + self.count)
        if len(entries) < start + self.count:
            raise UsageError(self._too_many(len(entries)))
        examples = (*self.spec.examples, *self._shots())
        return [self._question(entry, examples) for entry in entries[start:]]

    def score(self, answer: str, question: Question) -> bool:
        """Right or wrong, never in part; whatever the text, it does not raise."""
        offer = self._offer
        try:
            return CHECKS[offer.check](answer, question.target, offer.kind, json.loads(question.data))
        except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
            return False

    @property
    def _offer(self) -> Generator:
        return CATALOGUE[self.generator]

    def _question(self, entry: dict[str, Any], examples: tuple[Example, ...]) -> Question:
        from engine.tasks.gym.source import target

        problem, right = self._problem(entry, examples), target(self.generator, entry)
        data = json.dumps({"metadata": entry["metadata"]}, sort_keys=True, separators=(",", ":"))
        return Question(
            question_id=ids.question_id(f"gym:{self.generator}", problem, right),
            task=self.name,
            problem=problem,
            target=right,
            category=self._category(entry),
            data=data,
        )

    def _problem(self, entry: dict[str, object], examples: tuple[Example, ...] = ()) -> Problem:
        from engine.tasks.gym.source import problem_parts

        text, context = problem_parts(self.generator, entry)
        return Problem(text, self._offer.kind, self._offer.instructions, examples, context)

    def _category(self, entry: dict[str, Any]) -> str | None:
        key = self._offer.category
        return None if key is None else f"{entry['metadata'][key]} {key}"

    def _shots(self) -> list[Example]:
        """Worked examples from the reserved questions; the same under every seed."""
        from engine.tasks.gym.source import flat_text, source, target

        chosen = source(self.generator, self.level).examples()[: self.spec.shots] if self.spec.shots else []
        return [
            Example(flat_text(self._problem(entry)), target(self.generator, entry), reasoning(self.generator, entry))
            for entry in chosen
        ]

    def _too_many(self, there: int) -> str:
        blocks = there // self.count
        fits = f"enough for seeds 0 to {blocks - 1} with {self.count} each" if blocks else "too few"
        return f"The task {self.name!r} has {there} distinct questions, {fits}; seed {self.spec.seed} asks for more."


def _check_name(kind: str, name: str, known: object) -> None:
    names = list(known)  # type: ignore[call-overload]
    if name not in names:
        raise UnknownName(kind, name, names)


def _check_counts(spec: TaskSpec, count: int) -> None:
    if count < 1:
        raise UsageError(f"The task {spec.name!r} asks for {count} questions; ask for at least 1.")
    if spec.seed < 0:
        raise UsageError(f"The task {spec.name!r} has seed {spec.seed}; seeds start at 0.")
    if not 0 <= spec.shots <= MOST_SHOTS:
        raise UsageError(f"The task {spec.name!r} asks for {spec.shots} worked examples; it has 0 to {MOST_SHOTS}.")
