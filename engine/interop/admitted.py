"""A log's answers on their way in: held to what can be kept, told apart from one another, and known again where the log
is a longer one of before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from operator import attrgetter
from pathlib import Path

import msgspec

from engine.core import text
from engine.core.errors import BudgetscopeError, UsageError, shortened
from engine.core.records import Spend
from engine.interop import ImportedAnswer, Importer, logs
from engine.interop.tally import Tally
from engine.store.store import Store


def answers(reader: Importer, path: Path) -> Iterator[ImportedAnswer]:
    """What a reader gives, held to what can be kept. Raises UsageError, also where a plugin's reader breaks."""
    seen = Tally()
    try:
        for number, answer in enumerate(reader.answers(path), 1):
            where = f"{path.name!r}, sample {shortened(str(getattr(answer, 'sample', '')) or text.count(number))},"
            if (kept := logs.attempt(where, _kept, answer, where)) is not None:
                # What a log tells apart by nothing is one more answer to its question.
                told = (kept.log, kept.task, kept.model, kept.setting, kept.scorer, kept.target, kept.sample)
                key = hash((told, kept.repeat, kept.question, kept.parameters))
                before = seen.add(key)
                yield replace(kept, repeat=kept.repeat + before) if before else kept
    except (BudgetscopeError, OSError):
        raise
    except Exception as error:
        name = type(reader).__name__
        raise UsageError(f"{path.name!r} cannot be read by the importer {name}: {shortened(repr(error))}.") from None


_FIELDS = tuple(each.name for each in fields(ImportedAnswer))
_VALUES = attrgetter(*_FIELDS)
_PARTS = tuple(each.name for each in fields(Spend))
_SPENT = attrgetter(*_PARTS)
# As `repr` writes it, which databases of before have digests of, in a third of the time.
_SPEND = f"Spend({', '.join(f'{part}={{}}' for part in _PARTS)})"


def _kept(answer: ImportedAnswer, where: str) -> ImportedAnswer:
    # By field: what is no text, number or moment where one belongs would break whoever stores it.
    try:
        answer = msgspec.convert(dict(zip(_FIELDS, _VALUES(answer), strict=True)), ImportedAnswer)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where} holds a value of another kind than its place has: {error}.") from None
    if answer.score is not None and not 0 <= answer.score <= 1:
        raise UsageError(f"{where} has a score of {answer.score:g}; a score is a number from 0 to 1.")
    if not 0 <= answer.repeat < logs.MOST_REPEATS:
        raise UsageError(f"{where} says repeat {shortened(str(answer.repeat))}; up to {logs.MOST_REPEATS:,} are kept.")
    if not answer.model.strip():
        raise UsageError(f"{where} names no model.")
    if not answer.question.strip():
        raise UsageError(f"{where} has no question.")
    return answer


class Growth:
    """Whether a log is a longer one of before: its first answers are all of that one's, in their order.

    A log that tools write on has no other sign of it; without it, what was here already would come in again."""

    def __init__(self, earlier: Mapping[tuple[int, str], str], digest: str) -> None:
        """`earlier`: by number of answers and their digest what named that log."""
        self._earlier, self.origin = earlier, digest
        self._hash, self._count = hashlib.blake2b(digest_size=16), 0

    def through(self, answers: Iterator[ImportedAnswer]) -> Iterator[ImportedAnswer]:
        """The answers as they are."""
        for answer in answers:
            if not answer.log:
                said = (answer.question, answer.target, answer.answer, answer.error)
                told = (*answer.parameters, answer.task, answer.model, answer.setting, answer.scorer, answer.sample)
                spend = None if answer.spend is None else _SPEND.format(*_SPENT(answer.spend))
                whole = f"({said!r}, {told!r}, {answer.score!r}, {answer.repeat!r}, {spend})"
                self._hash.update(whole.encode("utf-8", "replace"))
                self._count += 1
                self.origin = self._earlier.get(self.reached, self.origin)
            yield answer

    @property
    def reached(self) -> tuple[int, str]:
        """So far."""
        return self._count, self._hash.hexdigest()


def earlier(store: Store) -> dict[tuple[int, str], str]:
    """Of the logs without an id that came in before, how far they reached, and what names them."""
    if not store.path.exists():
        return {}
    # What a database that was merged says of its logs may be anything.
    studies = [logs.fields_of(json.loads(run.study)) for run in store.runs()]
    reached = [logs.fields_of(study.get("log")) for study in studies]
    return {
        (int(each["answers"]), str(each["digest"])): str(each["origin"])
        for each in reached
        if {"answers", "digest", "origin"} <= each.keys() and isinstance(each["answers"], int)
    }
