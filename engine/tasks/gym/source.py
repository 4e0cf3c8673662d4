"""Turns a generator and a level into one endless-looking list of distinct entries; the only import of reasoning_gym.

Generators of our own take the same road: `OWN` names what makes their items.

Item i of a generator uses Random(seed + i), so neighbouring seeds share items: everything we ask comes from one range
of items, cut into blocks, and worked examples from another range far away.
"""

from __future__ import annotations

import functools
import importlib
import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from engine.core.records import Problem
from engine.tasks.gym.catalogue import CATALOGUE
from engine.tasks.gym.checks import KEEPS
from engine.tasks.gym.distractors import Distractors

ASKED_FROM = 0
EXAMPLES_FROM = 500_000_000
RESERVED = 8
"""Distinct questions per level that serve as worked examples and are never asked, under any seed."""
OWN: Mapping[str, Callable[..., Any]] = {"distractors": Distractors}
"""By generator name, what is called with a seed and the level's configuration; its items are read by number."""
_PATIENCE = 2_000
"""Items in a row without a new question after which a generator counts as exhausted (at least; 5 times those found)."""
_FORM_ORDERS = re.compile(
    r"\s*(?:Give only the|Give the result as|Return only the|Respond only with|Provide the relationship|"
    r"Answer with a single word|Please follow the instruction|Final answer format|\(Answer Yes or No\))"
)


class Source:
    """The distinct questions of one generator at one level, made as far as they are needed and then kept."""

    def __init__(self, generator: str, level: str) -> None:
        self.generator, self.level = generator, level
        self._reserved = self._draw(EXAMPLES_FROM, RESERVED)
        self._texts = {_identity(self.generator, entry) for entry in self._reserved}
        self._entries: list[dict[str, Any]] = []
        self._more = self._distinct(ASKED_FROM, self._texts)

    def examples(self) -> list[dict[str, Any]]:
        """Entries that are never asked, answers alternating as far as they differ."""
        return _alternating(self._reserved)

    def first(self, count: int) -> list[dict[str, Any]]:
        """The first `count` distinct entries, fewer when the generator has no more."""
        while len(self._entries) < count:
            entry = next(self._more, None)
            if entry is None:
                break
            self._entries.append(entry)
        return self._entries[:count]

    def _draw(self, start: int, count: int) -> list[dict[str, Any]]:
        return [entry for entry, _ in zip(self._distinct(start, set()), range(count), strict=False)]

    def _distinct(self, start: int, seen: set[str]) -> Iterator[dict[str, Any]]:
        keep = KEEPS[CATALOGUE[self.generator].keep]
        found, idle = 0, 0
        for entry in self._items(start):
            idle += 1
            text = _identity(self.generator, entry)
            if text not in seen and entry["answer"] and keep(entry, self.level):
                seen.add(text)
                found, idle = found + 1, 0
                yield entry
            if idle > max(_PATIENCE, 5 * found):
                return

    def _items(self, start: int) -> Iterator[dict[str, Any]]:
        offer = CATALOGUE[self.generator]
        made = _create(self.generator, start, offer.reach, offer.preset(self.level))
        for item in range(offer.reach):
            try:
                yield json.loads(json.dumps(made[item], default=_plain))
            except (ValueError, ZeroDivisionError, OverflowError):
                continue


@functools.lru_cache(maxsize=32)
def source(generator: str, level: str) -> Source:
    """The one source per generator and level in this process."""
    return Source(generator, level)


def problem_parts(generator: str, entry: dict[str, Any]) -> tuple[str, str | None]:
    """Question text and context; a context is what a strategy may filter: the statements of a haystack or a story.

    Sentences on the form of the answer are dropped: they forbid reasoning or ask for a form that is awkward to write,
    and the same question worded twice would count as two. Our one sentence per generator stands in for them."""
    text = str(entry["question"]).strip()
    if generator == "needle_haystack":
        story, _, question = text.rpartition("\n")
        return question.removesuffix(" Reply only with a name."), story.strip()
    if generator in OWN:
        story, _, question = text.rpartition("\n")
        return question, story
    if generator == "calendar_arithmetic":
        asked, mark, _ = text.rpartition("? ")
        return (f"{asked}?" if mark else f"{text.rpartition('. ')[0]}."), None
    return _FORM_ORDERS.split(text, maxsplit=1)[0].strip(), None


def target(generator: str, entry: dict[str, Any]) -> str:
    """The answer as we state it."""
    if generator == "number_sorting":
        return ", ".join(entry["metadata"]["sorted_numbers"])
    return str(entry["answer"])


def flat_text(problem: Problem) -> str:
    """Context and question as one text, as a worked example shows them."""
    return f"{problem.context}\n{problem.text}" if problem.context else problem.text


def _create(generator: str, seed: int, size: int, config: Any) -> Any:
    if generator in OWN:
        return OWN[generator](seed=seed, **config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gym = importlib.import_module("reasoning_gym")
        return gym.create_dataset(generator, seed=seed, size=size, **config)


def _identity(generator: str, entry: dict[str, Any]) -> str:
    text, context = problem_parts(generator, entry)
    return " ".join(f"{context or ''} {text}".split())


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)


def _alternating(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    seen: dict[str, int] = {}
    ranks = []
    for entry in entries:
        ranks.append(seen.setdefault(entry["answer"], 0))
        seen[entry["answer"]] += 1
    return [entries[i] for i in sorted(range(len(entries)), key=lambda i: (ranks[i], i))]
