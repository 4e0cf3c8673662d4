"""A run's way to its database while others may hold it: tries again and again, in a thread, so that the run lives on.

Owns how long a run waits, and the sentence shown meanwhile. What was paid is safe in the journal while it waits; only
where the journal is not, any trouble of the database is waited for. Knows no trial and no row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from engine.core.errors import StoreBusy, StoreError
from engine.store.store import Store

STEP_S = 2.0
"""Seconds of one try to get at a database that others hold, and between two tries where it is not held."""
TRIES = 300
"""Tries before a run gives up: ten minutes, not counting those it was suspended for."""
TRIES_WHEN_STOPPED = 15
"""The same once it was asked to stop: half a minute."""
_T = TypeVar("_T")


class LockRetry:
    """One run's; once it ran out it stays so."""

    def __init__(self, db: Path, *, step_s: float = STEP_S, tries: int = TRIES) -> None:
        self.waiting: str | None = None
        """What is waited for, as a sentence; None: nothing."""
        self._store = Store(db, wait_s=step_s)
        self._step_s = step_s
        self._tries = tries

    def hurry(self, tries: int = TRIES_WHEN_STOPPED) -> None:
        """The run is to end: try no more than so often from now on."""
        self._tries = min(self._tries, tries)

    async def with_retry(self, act: Callable[[Store], _T], safe: Callable[[], Awaitable[bool]] | None = None) -> _T:
        """What `act` returns, once nobody else holds the database; `safe` says whether giving up would lose nothing.

        Raises StoreBusy when patience ran out, other StoreErrors at once, or then where giving up is not safe."""
        tries = 0
        while True:
            try:
                result = await asyncio.to_thread(act, self._store)
            except StoreError as error:
                tries += 1
                busy = isinstance(error, StoreBusy)
                if tries >= self._tries:
                    # Ran out once, so for good: a run that ends flushes several times, and must not wait each time.
                    self._tries = 1
                elif busy:
                    # The store itself waited for `step_s` already.
                    self.waiting = (
                        "Waiting for the database, which another program holds; what was paid is in the journal."
                    )
                    continue
                elif safe is not None and not await safe():
                    self.waiting = (
                        f"Neither journal nor database can be written, so it waits with what was paid: {error}"
                    )
                    await asyncio.sleep(self._step_s)
                    continue
                self.waiting = None
                if not busy:
                    raise
                waited = f"{self._store.path} stayed locked by another program for {tries * self._step_s:g} s"
                raise StoreBusy(f"{waited}; nothing that was paid is lost: close it there, and resume.") from error
            self.waiting = None
            return result
