"""Dropped logs of other tools: looked at, and brought into the database that is shown. The files are never kept."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dashboard.data import access, runs
from engine.core.errors import UsageError
from engine.interop import logs_in
from engine.interop.derived import Wishes
from engine.interop.importing import NOTHING_MORE, Survey, bring_in, survey
from engine.store.store import Store

MOST_BYTES = 200_000_000
"""Of one dropped file."""
LONGEST_NAME = 120


class Dropped(Protocol):
    """A file as the browser sent it."""

    name: str

    def getvalue(self) -> bytes:
        """All of it."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What dropped files would bring."""

    lines: tuple[str, ...]
    """What comes in and what is missing, in one line each."""
    fresh: int
    """Answers that are not here yet."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import brought."""

    answers: int
    studies: tuple[str, ...]
    """Names, in order."""
    db: Path
    """Where it went: the database that was shown, or the copy of a demo."""


def look(dropped: Sequence[Dropped], db: Path, wishes: Wishes = NOTHING_MORE) -> Preview:
    """Read the files to their end and store nothing. Raises UsageError, RunError where this session may only look."""
    access.require()
    with _laid_out(dropped) as folder:
        surveys = [survey(Store(db), log, wishes=wishes) for log in logs_in(folder)]
    lines = [line for each in surveys for part in each.parts.values() for line in part.lines()]
    return Preview(tuple(lines), sum(each.fresh for each in surveys))


def take(dropped: Sequence[Dropped], db: Path, wishes: Wishes = NOTHING_MORE) -> Imported:
    """Bring the files in. Raises UsageError, StoreError, and RunError where this session may only look."""
    own, answers, studies = runs.settle(db), 0, dict[str, None]()
    with _laid_out(dropped) as folder:
        for log in logs_in(folder):
            found: Survey = survey(Store(own), log, wishes=wishes)
            answers += bring_in(Store(own), found)
            studies |= dict.fromkeys(part.study for part in found.parts.values())
    return Imported(answers, tuple(studies), own)


@contextmanager
def _laid_out(dropped: Sequence[Dropped]) -> Iterator[Path]:
    """The files side by side in a folder of their own, as a tool's run left them; removed when the block ends."""
    with tempfile.TemporaryDirectory(prefix="budgetscope-") as folder:
        names: set[str] = set()
        for file in dropped:
            # A browser may send any name: its last part alone, and no hidden one.
            name = file.name.replace("\\", "/").rpartition("/")[2].replace("\0", "").lstrip(".")
            if not name or len(name.encode()) > LONGEST_NAME or name in names:
                raise UsageError(f"{name[:LONGEST_NAME]!r} is no name for a log, or stands twice; rename the file.")
            names.add(name)
            (Path(folder) / name).write_bytes(file.getvalue())
        # Of one file the file itself, so that a refusal names it.
        yield Path(folder) / names.pop() if len(names) == 1 else Path(folder)
