"""Other tools' files, in: importers by name, each of which reads one kind of log as answered questions.

    @importer("our_logs")
    class OurLogs:
        def reads(self, path: Path) -> bool: ...
        def answers(self, path: Path) -> Iterator[ImportedAnswer]: ...

An importer reads; it stores nothing, calls nobody and runs nothing of what it reads. What a log does not say stays
None. `engine.testing.ImporterContract` holds it to that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from engine.core.errors import UsageError
from engine.core.records import Spend
from engine.core.registry import Registry

__all__ = ["IMPORTERS", "ImportedAnswer", "Importer", "importer", "importer_for"]


@dataclass(frozen=True, slots=True)
class ImportedAnswer:
    """One question answered by one setting of another tool."""

    tool: str
    """Whose log it is; settings carry it, because prompts differ."""
    setting: str
    """What the tool calls its solver or strategy."""
    model: str
    """As the log names it, to be matched to prices by whoever stores it."""
    question: str
    """The input as the model got it; with the target it decides which question it is, never a sample id alone."""
    target: str | None
    """None: the log does not say."""
    answer: str | None
    """What was scored; None: no answer was found."""
    score: float | None
    """The log's own, from 0 to 1; None: it was not scored."""
    scorer: str | None
    """Who gave that score; None: the log does not say."""
    repeat: int = 0
    """Epoch of the same question, from 0."""
    spend: Spend | None = None
    """Calls, tokens and milliseconds as reported; None: the log does not say, which is not 0."""
    answered_at: datetime | None = None
    """UTC; None: the log does not say."""
    error: str | None = None
    """Why it failed, in the tool's words; None: it did not. A failed answer has no score."""


class Importer(Protocol):
    """Made without arguments."""

    def reads(self, path: Path) -> bool:
        """Whether this file, or folder, is of its kind; looks at its beginning and never raises for what is in it."""

    def answers(self, path: Path) -> Iterator[ImportedAnswer]:
        """Every answer, one at a time, in a fixed order. Raises UsageError, with file and row, for rubbish."""


IMPORTERS: Registry[type[Importer]] = Registry("importer")
importer = IMPORTERS.register


def importer_for(path: Path) -> Importer:
    """The first importer, by name, that reads a path. Raises UsageError where none does, naming them all."""
    # By name: which of two wins must not hang on what was imported first.
    for name in IMPORTERS.names():
        reader = IMPORTERS.get(name)()
        if reader.reads(path):
            return reader
    known = ", ".join(IMPORTERS.names()) or "none is registered"
    raise UsageError(f"{path.name!r} is no log that an importer reads ({known}).")
