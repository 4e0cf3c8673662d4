"""Generated benchmarks: `gym:<generator>` over reasoning-gym or of our own, each with an easy, a medium and a hard
preset, and most with the levels of the generator's own curriculum: '1', '2', ...

A span of levels, `gym:gcd/1-4` or `gym:gcd/easy-hard`, is difficulty as an axis: its questions take turns through the
levels and are grouped by them.

Example, gym:gcd at level easy: "Find the Greatest Common Divisor (GCD) of these numbers: 8, 12." with target "4".

One deterministic list of distinct questions exists per generator and level. With n questions, seed s asks number
s*n to s*n + n - 1 of it, so seeds share nothing as long as they ask for equally many, and seed 0 keeps its questions
when more are asked. Scoring reads the answer and the question alone: it neither imports nor calls the generators.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

from engine.core import ids, names
from engine.core.errors import UnknownName, UsageError
from engine.core.records import Example, Problem, Question
from engine.tasks.gym.catalogue import CATALOGUE, Generator
from engine.tasks.gym.checks import is_right
from engine.tasks.gym.steps import reasoning
from engine.tasks.task import TaskSpec, too_few

DEFAULT_QUESTIONS = 50
MOST_SHOTS = 8


def known_generators() -> tuple[str, ...]:
    """Names that may follow 'gym:', sorted; cheap, nothing is imported for it."""
    return tuple(sorted(CATALOGUE))


class GymTask:
    """Questions of one generator at one level, and their scorer."""

    def __init__(self, spec: TaskSpec) -> None:
        """Raises UnknownName for a generator or level we do not offer, UsageError for counts out of range."""
        # A level in the name wins over that of the spec: gym:gcd/hard is what results call it.
        generator, slash, level = spec.name.removeprefix("gym:").partition("/")
        self.generator, self.level = generator, level if slash else spec.level
        self.spec = spec
        self.count = DEFAULT_QUESTIONS if spec.questions is None else spec.questions
        if self.generator not in CATALOGUE:
            raise UnknownName("generator", self.generator, list(CATALOGUE))
        self.levels = _levels(CATALOGUE[self.generator], self.level)
        if self.count < 1:
            raise UsageError(f"The task {spec.name!r} asks for {self.count} questions; ask for at least 1.")
        if spec.seed < 0:
            raise UsageError(f"The task {spec.name!r} has seed {spec.seed}; seeds start at 0.")
        if not 0 <= spec.shots <= MOST_SHOTS:
            most = f"it has 0 to {MOST_SHOTS}"
            raise UsageError(f"The task {spec.name!r} asks for {spec.shots} worked examples; {most}.")
        self.name = f"gym:{self.generator}/{self.level}"
        self._offer = CATALOGUE[self.generator]

    def questions(self) -> Sequence[Question]:
        """The spec's block of distinct questions; UsageError, with the number there is, when it does not exist."""
        from engine.tasks.gym.source import flat_text, source, target

        seed = self.spec.seed
        start = seed * self.count
        entries = self._entries(start + self.count)
        if len(entries) < start + self.count:
            there = f"{names.task(self.name)} has {len(entries)} distinct questions"
            raise too_few(there, len(entries), self.count, seed)
        # Worked examples come from reserved questions and are the same under every seed.
        shots = [
            Example(flat_text(self._problem(entry)), target(self.generator, entry), reasoning(self.generator, entry))
            for entry in (
                source(self.generator, self.levels[0]).examples()[: self.spec.shots] if self.spec.shots else []
            )
        ]
        questions = []
        for level, entry in entries[start:]:
            problem = self._problem(entry, (*self.spec.examples, *shots))
            right, key = target(self.generator, entry), self._offer.category
            question = Question(
                question_id=ids.question_id(f"gym:{self.generator}", problem, right),
                task=self.name,
                problem=problem,
                target=right,
                category=self._group(level, None if key is None else f"{entry['metadata'][key]} {key}"),
                # Sorted and without spaces, so that equal questions are equal rows.
                data=json.dumps({"metadata": entry["metadata"]}, sort_keys=True, separators=(",", ":")),
            )
            questions.append(question)
        return questions

    def _group(self, level: str, own: str | None) -> str | None:
        """What a question is grouped by: its level where several are asked, else what its generator says."""
        if len(self.levels) == 1:
            return own
        return f"level {level}" if level.isdigit() else level

    def score(self, answer: str, question: Question) -> bool:
        """Right or wrong, never in part; whatever the text, it does not raise."""
        try:
            offer, entry = self._offer, json.loads(question.data)
            return is_right(offer.check, answer, question.target, offer.kind, entry)
        # An answer may be a fraction over nothing, a number of a million digits or a thousand open brackets.
        except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
            return False

    def _entries(self, count: int) -> list[tuple[str, dict[str, Any]]]:
        """The first `count` distinct entries with their levels, which take turns; fewer where there are no more."""
        from engine.tasks.gym.source import identity, source

        made = [(level, source(self.generator, level)) for level in self.levels]
        if len(made) == 1:
            level, only = made[0]
            return [(level, entry) for entry in only.first(count)]
        # What is a worked example at one level is asked at none, and what two levels share is asked once.
        reserved = {identity(self.generator, entry) for _, each in made for entry in each.examples()}
        turns, taken = -(-count // len(made)), list[tuple[str, dict[str, Any]]]()
        while True:
            waiting = [[(level, entry) for entry in each.first(turns)] for level, each in made]
            seen, taken = set(reserved), []
            for pair in (pair for turn in itertools.zip_longest(*waiting) for pair in turn if pair is not None):
                text = identity(self.generator, pair[1])
                if text not in seen:
                    seen.add(text)
                    taken.append(pair)
            # More turns add to the end of the list and change nothing before it.
            if len(taken) >= count or all(len(each) < turns for each in waiting):
                break
            turns *= 2
        return taken[:count]

    def _problem(self, entry: dict[str, Any], examples: tuple[Example, ...] = ()) -> Problem:
        from engine.tasks.gym.source import problem_parts

        text, context = problem_parts(self.generator, entry)
        return Problem(text, self._offer.kind, self._offer.instructions, examples, context)


def _levels(offer: Generator, asked: str) -> tuple[str, ...]:
    """The levels a name asks for: one of them, or a span. Raises UnknownName with the nearest."""
    first, dash, last = asked.partition("-")
    for level in (first, last) if dash else (first,):
        if level not in offer.levels:
            raise UnknownName("level", level, offer.levels)
    low, high = offer.levels.index(first), offer.levels.index(last if dash else first)
    if dash and (first.isdigit() != last.isdigit() or low >= high):
        raise UsageError(f"The span of levels {asked!r} does not go up; write one such as easy-hard or 1-3.")
    return offer.levels[low : high + 1]
