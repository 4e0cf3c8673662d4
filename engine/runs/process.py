"""What the process of a run does besides its work: a heartbeat, an ear for signals, and a clock that knows it slept.

A process that was stopped (SIGSTOP, a suspended machine, a paused container) finds all its time-outs run out when it is
woken, though the replies it waits for may lie in its sockets: on an ordinary loop they would be given up unread, and
bought again. On `SteadyLoop` a wait that took longer than it was asked to counts as no time at all, so what has arrived
is read first, and what has not gets the rest of its time.

`Heartbeat` owns when somebody asked for the end, and how long the process was suspended; what an end means is the
worker's.
"""

from __future__ import annotations

import asyncio
import logging
import math
import selectors
import signal
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Literal

from engine.runs import run_dir
from engine.runs.run_dir import RunDir

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
        events = super().select(timeout)
        # Without a timer to wait for, no length of a wait is too long.
        self._loop.saw(math.inf if timeout is None else max(0.0, timeout))
        return events


log = logging.getLogger(__name__)

EVERY_S = 0.5
"""Seconds between two looks at the stop file and two beats."""
SUSPENDED_S = 10.0
"""Seconds without a beat that no busy machine explains."""
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that ask for a clean end; a closed terminal is one."""
Wish = Literal["stop", "now"]


class Heartbeat:
    """Attends to one run; `on_wish` is told of every wish to end, `on_beat` at least twice a second."""

    def __init__(self, run: RunDir, on_beat: Callable[[], None], on_wish: Callable[[Wish], None]) -> None:
        self.suspended_s = 0.0
        """Seconds in which machine or process stood still."""
        self._run = run
        self._on_beat = on_beat
        self._on_wish = on_wish
        self._last = time.monotonic()
        self._asked = False
        self._work: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        """Where signals are heard."""

    async def attend(self, act: Coroutine[None, None, None]) -> None:
        """Do it; cancelled by the wish to end now, which raises nothing here. Raises what the act raises."""
        self._work = work = asyncio.create_task(act)
        if self._loop is not (loop := asyncio.get_running_loop()):
            self._loop = loop
            self._listen(loop)
        while not work.done():
            await asyncio.wait([work], timeout=EVERY_S)
            last, self._last = self._last, time.monotonic()
            if self._last - last > SUSPENDED_S:
                self.suspended_s += self._last - last
                log.warning("nothing was done for %.0f s: machine or process was suspended", self._last - last)
            if (wish := run_dir.stop_requested(self._run)) and not work.done():
                self._on_stop_request("now" if wish == "now" else "stop")
            self._on_beat()
        with suppress(asyncio.CancelledError):
            work.result()

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hear signals for as long as the loop runs, whatever is being done then."""
        for name in STOPPING:
            # Who was started to outlive its terminal (nohup) does.
            with suppress(ValueError, RuntimeError, NotImplementedError):
                if signal.getsignal(name) is not signal.SIG_IGN:
                    # The first lets what is in flight finish, the second gives it up.
                    loop.add_signal_handler(name, lambda: self._on_stop_request("now" if self._asked else "stop"))

    def _on_stop_request(self, wish: Wish) -> None:
        self._asked = True
        self._on_wish(wish)
        if wish == "now" and self._work:
            self._work.cancel()
