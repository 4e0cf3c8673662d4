"""What an import has read and will need again, in files: it is as long as the log, and memory is not."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import IO, Any
from weakref import finalize

from engine.core.records import Message, Spend
from engine.interop import ImportedAnswer

GATHERED = 64 << 10
"""Bytes that are written at once."""
MOST_KEPT_BYTES = 512 << 20
"""Of the answers of a log; those of a longer one are read anew."""


class Kept:
    """Records that wait in a file, each at its place."""

    def __init__(self, file: IO[bytes]) -> None:
        """`file`: an empty one."""
        self._file, self._end = file, 0
        self._new = bytearray()
        """Behind what the file has: a write of its own for each costs more than what is written."""

    def put(self, record: Any) -> int:
        """Where it stands from now on."""
        at, words = self._end, pickle.dumps(record, pickle.HIGHEST_PROTOCOL)
        self._new += words
        self._end += len(words)
        if len(self._new) >= GATHERED:
            self._write()
        return at

    def get(self, at: int) -> Any:
        """What was put there."""
        self._write()
        self._file.seek(at)
        return pickle.load(self._file)

    def _write(self) -> None:
        if self._new:
            self._file.seek(self._end - len(self._new))
            self._file.write(self._new)
            self._new.clear()


_FIELDS = tuple(each.name for each in fields(ImportedAnswer))
_VALUES = attrgetter(*_FIELDS)
_SPEND_AT, _PROMPT_AT = _FIELDS.index("spend"), _FIELDS.index("prompt")
_SPENT = attrgetter(*(each.name for each in fields(Spend)))


class KeptAnswers:
    """The answers of a log as they were read: to read it once more takes several times as long as to read these."""

    def __init__(self, folder: Path) -> None:
        """`folder`: where there is room for them, if files may be made there."""
        self._file = _nameless(folder)
        finalize(self, self._file.close)
        self._size = 0
        self.whole = False
        """Whether all are here."""

    def through(self, answers: Iterable[ImportedAnswer]) -> Iterator[ImportedAnswer]:
        """The answers as they are; at their end all are here, unless there is no room."""
        keeps = True
        for answer in answers:
            keeps = keeps and self._keep(answer)
            yield answer
        self.whole = keeps

    def __iter__(self) -> Iterator[ImportedAnswer]:
        """All of them, from the first, in their order."""
        self._file.seek(0)
        while self._file.tell() < self._size:
            values = pickle.load(self._file)
            if (spend := values[_SPEND_AT]) is not None:
                values[_SPEND_AT] = Spend(*spend)
            values[_PROMPT_AT] = tuple(Message(*turn) for turn in values[_PROMPT_AT])
            yield ImportedAnswer(*values)

    def _keep(self, answer: ImportedAnswer) -> bool:
        # As plain values, which are put away in a quarter of the time.
        values = list(_VALUES(answer))
        if answer.spend is not None:
            values[_SPEND_AT] = _SPENT(answer.spend)
        values[_PROMPT_AT] = [(turn.role, turn.content) for turn in answer.prompt]
        words = pickle.dumps(values, pickle.HIGHEST_PROTOCOL)
        self._size += len(words)
        try:
            if self._size > MOST_KEPT_BYTES:
                raise OSError
            self._file.write(words)
        except OSError:
            # What there is would only take room of others.
            self._size = 0
            self._file.truncate(0)
            return False
        return True


def _nameless(folder: Path | None) -> IO[bytes]:
    """A file that ends with the process."""
    try:
        return tempfile.TemporaryFile(buffering=GATHERED, dir=folder)
    except OSError:
        if folder is None:
            raise
    return _nameless(None)
