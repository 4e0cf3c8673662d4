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
from pathlib import Path
from types import ModuleType
from typing import Any

from engine.core.errors import UsageError
from engine.core.records import Problem
from engine.tasks.gym.catalogue import CATALOGUE, LEVELS, Generator
from engine.tasks.gym.checks import is_asked
from engine.tasks.gym.distractors import Distractors

ASKED_FROM = 0
# So far off that no study asks its way there.
EXAMPLES_FROM = 500_000_000
RESERVED = 8
"""Distinct questions per level that serve as worked examples and are never asked, under any seed."""
OWN: Mapping[str, Callable[..., Any]] = {"distractors": Distractors}
"""By generator name, what is called with a seed and the level's configuration; its items are read by number."""
STORED = Path(__file__).with_name("stored")
"""Folder of entries that come along, a file per generator and level."""
_LISTS = {"number_sorting": "sorted_numbers", "number_filtering": "result"}
_PATIENCE = 2_000
"""Items in a row without a new question after which a generator counts as exhausted (at least; 5 times those found)."""
_FORM_ORDERS = re.compile(
    r"\s*(?:Give only the|Give the result as|Return only the|Respond only with|Provide the relationship|"
    r"Answer with a single word|Please follow the instruction|Final answer format|\(Answer Yes or No\)|"
    r"Provide only the|Return the new list|Please respond with a reduced)"
)


_turn = threading.RLock()
_lent: dict[str, ModuleType] = {}


@contextmanager
def lean() -> Iterator[None]:
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


def can_generate() -> bool:
    """Whether the generators that are not our own are installed."""
    return importlib.util.find_spec("reasoning_gym") is not None


def dataset(generator: str, level: str, start: int) -> Any:
    """What makes the items from number `start` on, by reasoning_gym or of our own; items are read by number.

    Within `lean`. Raises UsageError where no generator is installed."""
    offer = CATALOGUE[generator]
    if generator in OWN:
        return OWN[generator](seed=start, **offer.preset(level))
    if not can_generate():
        kept = max(0, len(stored(generator, level)) - RESERVED)
        have = f"{kept} of its questions come along" if kept else "none of its questions come along"
        raise UsageError(f'gym:{generator}/{level} takes a generator ({have}): `pip install "budgetscope[gym]"`.')
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = f"reasoning_gym.{offer.module}"
        # From the package down, each being looked for in the one above it.
        for part in list(itertools.accumulate(module.split("."), "{}.{}".format))[:-1]:
            _stands_empty(part)
        # Before any generator: some import the factory first, which then imports itself by way of this one.
        importlib.import_module("reasoning_gym.coaching")
        importlib.import_module(module)
        factory = importlib.import_module("reasoning_gym.factory")
        config = (
            offer.preset(level) if level in LEVELS else _curriculum(factory.create_curriculum(generator), level, offer)
        )
        return factory.create_dataset(generator, seed=start, size=offer.reach, **config)


def _curriculum(curriculum: Any, level: str, offer: Generator) -> Mapping[str, object]:
    """Configuration at a level of a generator's own curriculum: each of its attributes at that level, or at its last.

    Ranges are the level's own and do not take in those below, so that questions get harder from level to level."""
    coaching = importlib.import_module("reasoning_gym.coaching.base_curriculum")
    for name, attribute in curriculum.attributes.items():
        curriculum.set_attr_level(name, min(int(level), len(attribute.levels)) - 1)
    context = coaching.DefaultCurriculumContext(mode=coaching.RangeAttributeMode.UPPER_BOUND)
    config = curriculum.generate_configuration(defaults=dict(offer.easy), context=context)
    return {name: value for name, value in vars(config).items() if name not in ("seed", "size")}


def stored(generator: str, level: str) -> list[dict[str, Any]]:
    """What comes along of a generator, which then need not be installed: the reserved entries, then the first asked.

    Empty: nothing. `python -m tests.engine.tasks.test_stored` writes them."""
    path = STORED / f"{generator}.{level}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def _distinct(generator: str, level: str, start: int, seen: set[str]) -> Iterator[dict[str, Any]]:
    """Entries from item `start` on whose text is not among those seen, and which are worth asking."""
    offer, made = CATALOGUE[generator], dataset(generator, level, start)
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
        text = identity(generator, entry)
        # Without an answer there is nothing to score against.
        if text not in seen and entry["answer"] and is_asked(offer.keep, entry, level):
            seen.add(text)
            questions, idle = questions + 1, 0
            yield entry
        if idle > max(_PATIENCE, 5 * questions):
            return


class Source:
    """The distinct questions of one generator at one level, made as far as they are needed and then kept."""

    def __init__(self, generator: str, level: str, kept: list[dict[str, Any]]) -> None:
        """`kept`: the entries that come along; beyond them the generator makes all, from the start."""
        self.generator, self.level = generator, level
        self.reserved, self._entries = kept[:RESERVED], kept[RESERVED:]
        """Entries that are never asked; empty until something was, where none came along."""
        self._more: Iterator[dict[str, Any]] | None = None

    def examples(self) -> list[dict[str, Any]]:
        """Entries that are never asked, answers alternating as far as they differ."""
        if not self.reserved:
            self.first(1)
        times = Counter[str]()
        ranks = []
        for entry in self.reserved:
            # The first of each answer come first, then the second of each.
            ranks.append(times[entry["answer"]])
            times[entry["answer"]] += 1
        return [self.reserved[i] for i in sorted(range(len(ranks)), key=lambda i: (ranks[i], i))]

    def first(self, count: int) -> list[dict[str, Any]]:
        """The first `count` distinct entries, fewer when the generator has no more."""
        with lean():
            if count > len(self._entries) and self._more is None:
                name, level = self.generator, self.level
                self.reserved = list(itertools.islice(_distinct(name, level, EXAMPLES_FROM, set()), RESERVED))
                texts = {identity(name, entry) for entry in self.reserved}
                self._entries, self._more = [], _distinct(name, level, ASKED_FROM, texts)
            if self._more is not None:
                self._entries += itertools.islice(self._more, max(0, count - len(self._entries)))
        return self._entries[:count]


@functools.lru_cache(maxsize=32)
def source(generator: str, level: str) -> Source:
    """The one source per generator and level in this process."""
    return Source(generator, level, stored(generator, level))


def problem_parts(generator: str, entry: dict[str, Any]) -> tuple[str, str | None]:
    """Question text and context; a context is what a strategy may filter: the statements of a haystack or a story."""
    text = str(entry["question"]).strip()
    if generator == "needle_haystack":
        story, _, question = text.rpartition("\n")
        return question.removesuffix(" Reply only with a name."), story.strip()
    if generator in OWN:
        story, _, question = text.rpartition("\n")
        return question, story
    if generator == "bitwise_arithmetic":
        # Theirs forbids reasoning in its middle.
        bits = "There are as many bits as needed, numbers are signed, and negative ones are written with a minus sign."
        return f"Compute {entry['metadata']['problem']}. {bits}", None
    if generator == "calendar_arithmetic":
        asked, mark, _ = text.rpartition("? ")
        return (f"{asked}?" if mark else f"{text.rpartition('. ')[0]}."), None
    # Sentences on the form of the answer are dropped: they forbid reasoning or ask for a form that is awkward to write,
    # and the same question worded twice would count as two. Our one sentence per generator stands in for them.
    return _FORM_ORDERS.split(text, maxsplit=1)[0].strip(), None


def target(generator: str, entry: dict[str, Any]) -> str:
    """The answer as we state it."""
    # Their answer is the text of a Python list, in which numbers stand in quotes.
    if generator in _LISTS:
        return ", ".join(entry["metadata"][_LISTS[generator]])
    return str(entry["answer"])


def flat_text(problem: Problem) -> str:
    """Context and question as one text, as a worked example shows them."""
    return f"{problem.context}\n{problem.text}" if problem.context else problem.text


def identity(generator: str, entry: dict[str, Any]) -> str:
    """What makes two entries the same question."""
    text, context = problem_parts(generator, entry)
    return " ".join(f"{context or ''} {text}".split())
