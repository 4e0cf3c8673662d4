"""The event loop of a run: its clock stands still while the process does.

A process that was stopped (SIGSTOP, a suspended machine, a paused container) finds all its time-outs run out when it is
woken, though the replies it waits for may lie in its sockets: on an ordinary loop they would be given up unread, and
bought again. Here a wait that took longer than it was asked to counts as no time at all, so what has arrived is read
first, and what has not gets the rest of its time. Owns no timer and no task.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import time

GAP_S = 1.0
"""Seconds beyond those it meant to wait, or between two looks at its sockets, that no busy machine explains."""


class SteadyLoop(asyncio.SelectorEventLoop):
    """Give it to `asyncio.Runner`."""

    def __init__(self) -> None:
        self.lost_s = 0.0
        """Seconds left out of its clock."""
        self._seen_s = time.monotonic()
        super().__init__(_Watchful(self))

    def time(self) -> float:
        """Seconds in which the process was awake; never goes back."""
        self.saw(0.0)
        return self._seen_s - self.lost_s

    def saw(self, meant_s: float) -> None:
        """The process is awake and meant to wait so long since it last was."""
        now = time.monotonic()
        if now - self._seen_s > meant_s + GAP_S:
            self.lost_s += now - self._seen_s
        self._seen_s = now


class _Watchful(selectors.DefaultSelector):
    """Tells its loop how long each wait was to take."""

    def __init__(self, loop: SteadyLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """As any selector's."""
        self._loop.saw(0.0)
        found = super().select(timeout)
        # Without a timer to wait for, no length of a wait is too long.
        self._loop.saw(math.inf if timeout is None else max(0.0, timeout))
        return found
