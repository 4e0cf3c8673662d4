"""Turns a generator and a level into one endless-looking list of distinct entries; the only import of reasoning_gym.

Generators of our own take the same road: `OWN` names what makes their items.

Item i of a generator uses Random(seed + i), so neighbouring seeds share items: everything we ask comes from one range
of items, cut into blocks, and worked examples from another range far away.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import itertools
import json
import re
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from engine.core.records import Problem
from engine.tasks.gym.catalogue import CATALOGUE
from engine.tasks.gym.checks import is_asked
from engine.tasks.gym.distractors import Distractors

ASKED_FROM = 0
# So far off that no study asks its way there.
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


_turn = threading.RLock()
_lent: dict[str, ModuleType] = {}


@contextmanager
def _lean() -> Iterator[None]:
    """reasoning_gym as far as it is asked for, for as long as the block lasts.

    The package and its parts import all generators at once, and with them a symbolic algebra and a plotting library:
    seconds in every process that asks one kind of question; some of what those need we do not even install. Whoever
    imports it outside of the block gets all of it.
    """
    with _turn:
        if "reasoning_gym" in sys.modules:
            yield
            return
        sys.modules.update(_lent)
        try:
            yield
        finally:
            for name in [name for name in sys.modules if name.partition(".")[0] == "reasoning_gym"]:
                _lent[name] = sys.modules.pop(name)


def _stands_empty(package: str) -> None:
    """A package whose modules can be imported though its own file is not run."""
    if package not in sys.modules:
        spec = importlib.util.find_spec(package)
        if spec is None:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        sys.modules[package] = importlib.util.module_from_spec(spec)


def dataset(generator: str, level: str, start: int) -> Any:
    """What makes the items from number `start` on, by reasoning_gym or of our own; items are read by number."""
    offer = CATALOGUE[generator]
    if generator in OWN:
        return OWN[generator](seed=start, **offer.preset(level))
    with _lean(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = f"reasoning_gym.{offer.module}"
        # From the package down, each being looked for in the one above it.
        for part in list(itertools.accumulate(module.split("."), "{}.{}".format))[:-1]:
            _stands_empty(part)
        importlib.import_module(module)
        create = importlib.import_module("reasoning_gym.factory").create_dataset
        return create(generator, seed=start, size=offer.reach, **offer.preset(level))


class Source:
    """The distinct questions of one generator at one level, made as far as they are needed and then kept."""

    def __init__(self, generator: str, level: str) -> None:
        self.generator, self.level = generator, level
        with _lean():
            self._reserved = list(itertools.islice(self._distinct(EXAMPLES_FROM, set()), RESERVED))
        texts = {_identity(generator, entry) for entry in self._reserved}
        self._entries: list[dict[str, Any]] = []
        self._more = self._distinct(ASKED_FROM, texts)

    def examples(self) -> list[dict[str, Any]]:
        """Entries that are never asked, answers alternating as far as they differ."""
        times = Counter[str]()
        ranks = []
        for entry in self._reserved:
            # The first of each answer come first, then the second of each.
            ranks.append(times[entry["answer"]])
            times[entry["answer"]] += 1
        return [self._reserved[i] for i in sorted(range(len(ranks)), key=lambda i: (ranks[i], i))]

    def first(self, count: int) -> list[dict[str, Any]]:
        """The first `count` distinct entries, fewer when the generator has no more."""
        with _lean():
            self._entries += itertools.islice(self._more, max(0, count - len(self._entries)))
        return self._entries[:count]

    def _distinct(self, start: int, seen: set[str]) -> Iterator[dict[str, Any]]:
        """Entries from item `start` on whose text is not among those seen, and which are worth asking."""
        offer, made = CATALOGUE[self.generator], dataset(self.generator, self.level, start)
        questions, idle = 0, 0
        for item in range(offer.reach):
            try:
                # Through JSON, so that what is asked now and what is read back later are equal; numbers of numpy become
                # plain ones, dates and fractions are written out.
                entry = json.loads(json.dumps(made[item], default=lambda v: v.item() if hasattr(v, "item") else str(v)))
            except (ValueError, ZeroDivisionError, OverflowError):
                # Some items of some generators cannot be made; they are not counted as idle either.
                continue
            idle += 1
            text = _identity(self.generator, entry)
            # Without an answer there is nothing to score against.
            if text not in seen and entry["answer"] and is_asked(offer.keep, entry, self.level):
                seen.add(text)
                questions, idle = questions + 1, 0
                yield entry
            if idle > max(_PATIENCE, 5 * questions):
                return


@functools.lru_cache(maxsize=32)
def source(generator: str, level: str) -> Source:
    """The one source per generator and level in this process."""
    return Source(generator, level)


def problem_parts(generator: str, entry: dict[str, Any]) -> tuple[str, str | None]:
    """Question text and context; a context is what a strategy may filter: the statements of a haystack or a story."""
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
    # Sentences on the form of the answer are dropped: they forbid reasoning or ask for a form that is awkward to write,
    # and the same question worded twice would count as two. Our one sentence per generator stands in for them.
    return _FORM_ORDERS.split(text, maxsplit=1)[0].strip(), None


def target(generator: str, entry: dict[str, Any]) -> str:
    """The answer as we state it."""
    # Its answer is the text of a Python list, in which numbers stand in quotes.
    if generator == "number_sorting":
        return ", ".join(entry["metadata"]["sorted_numbers"])
    return str(entry["answer"])


def flat_text(problem: Problem) -> str:
    """Context and question as one text, as a worked example shows them."""
    return f"{problem.context}\n{problem.text}" if problem.context else problem.text


def _identity(generator: str, entry: dict[str, Any]) -> str:
    text, context = problem_parts(generator, entry)
    return " ".join(f"{context or ''} {text}".split())
