"""Our own generator: short word problems, one statement a line, among statements that do not matter for the question.

The idea is that of GSM-IC (Shi et al. 2023, arXiv 2302.00093); stories and sentences are ours. As there, what does not
matter is of the topic or off it, and speaks of the same person or of another, with numbers like those that count.
Example with 1: "Omar has 9 pens.", "Then Ana buys 4 more apples.", "Ana had 3 apples at first.", and the question
"How many apples does Ana have now?" with target 7. Nothing depends on the order of statements, so they are shuffled.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

_NAMES = "Ana Ben Clara David Emma Felix Grace Henry Iris Jonas Laura Marco Nina Omar Paula Ravi Sofia Tom"
_GOODS = "apples books cards coins cookies eggs marbles oranges pens shells stamps stickers"
PEOPLE, THINGS = tuple(_NAMES.split()), tuple(_GOODS.split())
ASIDES = (
    "The bus to town takes {n} minutes.",
    "The shop opens at {n} o'clock.",
    "It rained on {n} days last month.",
    "The school has {n} classrooms.",
    "The train is {n} minutes late.",
    "{who} is {n} years old.",
    "{who} walked {n} miles on Sunday.",
    "{who} slept for {n} hours.",
    "{who} has {n} cousins.",
)
_DEEDS = ("{who} has {n} {thing}.", "{who} buys {n} {thing}.", "{who} finds {n} {thing}.")


class Story(NamedTuple):
    """A question with all it needs; `a` and `b` are drawn, `sum` is a + b."""

    a: tuple[int, int]
    """Least and most."""
    b: tuple[int, int]
    statements: tuple[str, str]
    question: str
    steps: str
    """The sum, written out."""
    answer: Callable[[int, int], int]


STORIES = (
    Story(
        (2, 12),
        (2, 12),
        ("{who} had {a} {thing} at first.", "Then {who} buys {b} more {thing}."),
        "How many {thing} does {who} have now?",
        "{a} + {b}",
        lambda a, b: a + b,
    ),
    Story(
        (1, 10),
        (2, 8),
        ("{who} had {sum} {thing} at first.", "Then {who} gives {b} {thing} to {other}."),
        "How many {thing} does {who} have left?",
        "{sum} - {b}",
        lambda a, b: a,
    ),
    Story(
        (2, 12),
        (2, 12),
        ("{who} has {a} {thing}.", "{other} has {b} {thing}."),
        "How many {thing} do {who} and {other} have together?",
        "{a} + {b}",
        lambda a, b: a + b,
    ),
    Story(
        (2, 12),
        (2, 9),
        ("{other} has {a} {thing}.", "{who} has {b} more {thing} than {other}."),
        "How many {thing} does {who} have?",
        "{a} + {b}",
        lambda a, b: a + b,
    ),
    Story(
        (2, 5),
        (2, 9),
        ("{who} has {a} boxes.", "Every box of {who} holds {b} {thing}."),
        "How many {thing} does {who} have in all the boxes?",
        "{a} * {b}",
        lambda a, b: a * b,
    ),
)


@dataclass(frozen=True, slots=True)
class Distractors:
    """Item i is made of seed + i alone; equal on every machine, and the same story at every level."""

    seed: int
    least: int
    most: int

    def __getitem__(self, item: int) -> Mapping[str, object]:
        """Question (statements, then the question in the last line), answer and metadata."""
        rng = random.Random(f"distractors {self.seed + item}")
        # Every draw, and its place in the order of draws, is part of all questions there ever were.
        story = rng.choice(STORIES)
        who, other = rng.sample(PEOPLE, 2)
        thing, a, b = rng.choice(THINGS), rng.randint(*story.a), rng.randint(*story.b)
        words = {"who": who, "other": other, "thing": thing, "a": a, "b": b, "sum": a + b}
        statements = [statement.format(**words) for statement in story.statements]
        answer = story.answer(a, b)
        people = {who, other} if any("{other}" in statement for statement in story.statements) else {who}
        # Asides say nothing of what the people of the story have of its thing, and no two are on the same matter.
        matters = [(one, good) for one in PEOPLE for good in THINGS if one not in people or good != thing]
        close = [(one, good) for one, good in matters if one in people or good == thing]
        count, asides = rng.randint(self.least, self.most), dict[object, str]()
        while len(asides) < count:
            # As in GSM-IC: some are off the topic; of the others most share the person or the thing with the story.
            if rng.random() < 0.25:
                form = rng.choice(ASIDES)
                asides[form] = form.format(who=rng.choice(PEOPLE), n=rng.randint(2, 12))
            else:
                one, good = rng.choice(close if rng.random() < 0.6 else matters)
                asides[one, good] = rng.choice(_DEEDS).format(who=one, thing=good, n=rng.randint(2, 12))
        lines = [*statements, *asides.values()]
        rng.shuffle(lines)
        steps = f"What matters: {' '.join(statements)} {story.steps.format(**words)} = {answer}."
        return {
            "question": "\n".join([*lines, story.question.format(**words)]),
            "answer": str(answer),
            "metadata": {"distractors": len(asides), "steps": steps},
        }
