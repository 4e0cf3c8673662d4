"""One readers-writer lock per database file and process.

DuckDB refuses to open a file read-only while the same process holds it for writing, so threads of one process take
turns here; other processes are met by retries in `store`. Never opens a file.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class ReadWriteLock:
    """Many readers or one writer; a waiting writer holds back new readers, so it is not starved."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._readers = 0
        self._writing = False
        self._waiting = 0

    @contextmanager
    def shared(self, timeout_s: float) -> Iterator[None]:
        """Hold as one of many readers; raises TimeoutError after `timeout_s` seconds."""
        with self._turn:
            self._wait(lambda: not self._writing and not self._waiting, timeout_s)
            self._readers += 1
        try:
            yield
        finally:
            with self._turn:
                self._readers -= 1
                self._turn.notify_all()

    @contextmanager
    def alone(self, timeout_s: float) -> Iterator[None]:
        """Hold alone; raises TimeoutError after `timeout_s` seconds."""
        with self._turn:
            self._waiting += 1
            try:
                self._wait(lambda: not self._writing and not self._readers, timeout_s)
            finally:
                self._waiting -= 1
                self._turn.notify_all()
            self._writing = True
        try:
            yield
        finally:
            with self._turn:
                self._writing = False
                self._turn.notify_all()

    def _wait(self, free: Callable[[], bool], timeout_s: float) -> None:
        if not self._turn.wait_for(free, timeout_s):
            raise TimeoutError


_LOCKS: dict[Path, ReadWriteLock] = {}
_GUARD = threading.Lock()


def lock_for(path: Path) -> ReadWriteLock:
    """The process's lock of a file, whatever way its path is written."""
    with _GUARD:
        return _LOCKS.setdefault(path.resolve(), ReadWriteLock())
