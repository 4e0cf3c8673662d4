"""How what a log brings meets what is stored: questions by content, and repeats behind those that are there."""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Iterable
from functools import lru_cache

from engine.interop.tally import Tally
from engine.store import foreign
from engine.store.store import Store


def content_key(shown: str, target: str | None) -> int:
    """What decides that two questions are the same: input and target, with spaces and forms of letters made alike. Of
    this process alone, as `hash` is."""
    return hash((alike(shown), alike(target or "")))


# Of one question it is asked three times over.
@lru_cache(maxsize=4)
def alike(words: str) -> str:
    """A text with spaces and forms of letters made alike."""
    return " ".join(unicodedata.normalize("NFKC", cleaned(words) or "").split())


def cleaned(words: str | None) -> str | None:
    """A text as the store keeps it: a lone surrogate has no place in it."""
    if words is None or words.isascii():
        return words
    # Through UTF-16, where the two halves of a pair that a log wrote apart come together again.
    return words.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def with_options(question: str, options: tuple[str, ...]) -> str:
    """A question with its options, which some logs keep apart: without them it would be another question."""
    if not options or all(option in question for option in options):
        return question
    listed = (f"{chr(ord('A') + place)}) {option}" for place, option in enumerate(options[:26]))
    return "\n".join((question, "", *listed))


class Here:
    """The questions that are stored, by content; their texts may be more than the memory holds, so of each there are
    id and task, in arrays and not as objects."""

    def __init__(self, store: Store) -> None:
        self._places, self._names, self._ids = Tally(), list[str](), bytearray()
        self._ends, self._tasks = array("q", (0,)), array("i")
        numbers: dict[str, int] = {}
        for place, each in enumerate(foreign.questions(store)):
            self._places[_content_of(each)] = place
            self._ids += each.question_id.encode()
            self._ends.append(len(self._ids))
            self._tasks.append(numbers.setdefault(each.task, len(numbers)))
        self._names += numbers

    def __len__(self) -> int:
        return len(self._tasks)

    def get(self, key: int) -> tuple[str, str] | None:
        """Id and task of the question with this content; None: it is not here."""
        if (place := self._places.get(key, -1)) < 0:
            return None
        return self._ids[self._ends[place] : self._ends[place + 1]].decode(), self._names[self._tasks[place]]


def _content_of(stored: foreign.StoredQuestion) -> int:
    text = stored.text if stored.context is None else f"{stored.context}\n\n{stored.text}"
    return content_key(with_options(text, stored.options), stored.target)


class Repeats:
    """Which repeats of what was asked are there; nearly always all up to a last one, which is one number."""

    def __init__(self, stored: Iterable[foreign.StoredRepeats] = ()) -> None:
        self._last: dict[object, int] = {}
        self._others: dict[object, set[int]] = {}
        for asked, last, others in stored:
            self._last[asked] = last
            if others is not None:
                self._others[asked] = set(others)

    def free(self, asked: object, wanted: int) -> int:
        """The one that is wanted where nobody has it, else the next behind all."""
        others = self._others.get(asked)
        last = self._last.get(asked, -1)
        if wanted not in others if others is not None else wanted > last:
            return wanted
        return last + 1

    def add(self, asked: object, repeat: int) -> None:
        """This one is there from now on."""
        last = self._last.get(asked, -1)
        if asked not in self._others and repeat > last + 1:
            self._others[asked] = set(range(last + 1))
        if asked in self._others:
            self._others[asked].add(repeat)
        self._last[asked] = max(last, repeat)
