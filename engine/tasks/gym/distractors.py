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

PEOPLE = (
    "Ana",
    "Ben",
    "Clara",
    "David",
    "Emma",
    "Felix",
    "Grace",
    "Henry",
    "Iris",
    "Jonas",
    "Laura",
    "Marco",
    "Nina",
    "Omar",
    "Paula",
    "Ravi",
    "Sofia",
    "Tom",
)
THINGS = (
    "apples",
    "books",
    "cards",
    "coins",
    "cookies",
    "eggs",
    "marbles",
    "oranges",
    "pens",
    "shells",
    "stamps",
    "stickers",
)
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


@dataclass(frozen=True, slots=True)
class Story:
    """A question with all it needs, and the people it is about."""

    statements: tuple[str, ...]
    question: str
    steps: str
    """The sum, written out."""
    answer: int
    people: tuple[str, ...]
    thing: str


@dataclass(frozen=True, slots=True)
class Distractors:
    """Item i is made of seed + i alone; equal on every machine, and the same story at every level."""

    seed: int
    least: int
    most: int

    def __getitem__(self, item: int) -> Mapping[str, object]:
        """Question (statements, then the question in the last line), answer and metadata."""
        rng = random.Random(f"distractors {self.seed + item}")
        tell = rng.choice(_STORIES)
        who, other = rng.sample(PEOPLE, 2)
        story = tell(rng, who, other, rng.choice(THINGS))
        aside = _asides(rng, story, rng.randint(self.least, self.most))
        lines = [*story.statements, *aside]
        rng.shuffle(lines)
        steps = f"What matters: {' '.join(story.statements)} {story.steps} = {story.answer}."
        return {
            "question": "\n".join([*lines, story.question]),
            "answer": str(story.answer),
            "metadata": {"distractors": len(aside), "steps": steps},
        }


def _asides(rng: random.Random, story: Story, count: int) -> list[str]:
    """Statements that say nothing of what the people of the story have of its thing; no two on the same matter."""
    others = [person for person in PEOPLE if person not in story.people]
    matters = [(who, thing) for who in PEOPLE for thing in THINGS if who in others or thing != story.thing]
    close = [m for m in matters if m[0] in story.people or m[1] == story.thing]
    found: dict[object, str] = {}
    while len(found) < count:
        if rng.random() < 0.25:
            form = rng.choice(ASIDES)
            found[form] = form.format(who=rng.choice(PEOPLE), n=rng.randint(2, 12))
        else:
            who, thing = rng.choice(close if rng.random() < 0.6 else matters)
            found[who, thing] = rng.choice(_DEEDS).format(who=who, thing=thing, n=rng.randint(2, 12))
    return list(found.values())


def _gaining(rng: random.Random, who: str, other: str, thing: str) -> Story:
    had, more = rng.randint(2, 12), rng.randint(2, 12)
    told = (f"{who} had {had} {thing} at first.", f"Then {who} buys {more} more {thing}.")
    return Story(told, f"How many {thing} does {who} have now?", f"{had} + {more}", had + more, (who,), thing)


def _giving(rng: random.Random, who: str, other: str, thing: str) -> Story:
    left, given = rng.randint(1, 10), rng.randint(2, 8)
    had = left + given
    told = (f"{who} had {had} {thing} at first.", f"Then {who} gives {given} {thing} to {other}.")
    return Story(told, f"How many {thing} does {who} have left?", f"{had} - {given}", left, (who, other), thing)


def _sharing(rng: random.Random, who: str, other: str, thing: str) -> Story:
    mine, yours = rng.randint(2, 12), rng.randint(2, 12)
    told = (f"{who} has {mine} {thing}.", f"{other} has {yours} {thing}.")
    asked = f"How many {thing} do {who} and {other} have together?"
    return Story(told, asked, f"{mine} + {yours}", mine + yours, (who, other), thing)


def _exceeding(rng: random.Random, who: str, other: str, thing: str) -> Story:
    had, more = rng.randint(2, 12), rng.randint(2, 9)
    told = (f"{other} has {had} {thing}.", f"{who} has {more} more {thing} than {other}.")
    return Story(told, f"How many {thing} does {who} have?", f"{had} + {more}", had + more, (who, other), thing)


def _packing(rng: random.Random, who: str, other: str, thing: str) -> Story:
    boxes, each = rng.randint(2, 5), rng.randint(2, 9)
    told = (f"{who} has {boxes} boxes.", f"Every box of {who} holds {each} {thing}.")
    asked = f"How many {thing} does {who} have in all the boxes?"
    return Story(told, asked, f"{boxes} * {each}", boxes * each, (who,), thing)


_STORIES: tuple[Callable[[random.Random, str, str, str], Story], ...] = (
    _gaining,
    _giving,
    _sharing,
    _exceeding,
    _packing,
)
