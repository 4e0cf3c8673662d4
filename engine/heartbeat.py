"""What the process of a run does besides its work: a heartbeat, an ear for signals and an eye on the stop file.

Owns when somebody asked for the end, and how long the process was suspended. What an end means is the worker's.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Literal

from engine import status
from engine.status import RunDir

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

    async def attend(self, act: Coroutine[None, None, None]) -> None:
        """Do it; cancelled by the wish to end now, which raises nothing here. Raises what the act raises."""
        work = asyncio.create_task(act)
        self._listen(work)
        while not work.done():
            await asyncio.wait([work], timeout=EVERY_S)
            self._measure()
            if (wish := status.stop_requested(self._run)) and not work.done():
                self._obey(work, "now" if wish == "now" else "stop")
            self._on_beat()
        with suppress(asyncio.CancelledError):
            work.result()

    def _listen(self, work: asyncio.Task[None]) -> None:
        loop = asyncio.get_running_loop()
        for name in STOPPING:
            # Who was started to outlive its terminal (nohup) does.
            with suppress(ValueError, RuntimeError, NotImplementedError):
                if signal.getsignal(name) is not signal.SIG_IGN:
                    loop.add_signal_handler(name, self._interrupt, work)

    def _interrupt(self, work: asyncio.Task[None]) -> None:
        """First time: finish what is in flight. Second time: give it up."""
        self._obey(work, "now" if self._asked else "stop")

    def _obey(self, work: asyncio.Task[None], wish: Wish) -> None:
        self._asked = True
        self._on_wish(wish)
        if wish == "now":
            work.cancel()

    def _measure(self) -> None:
        last, self._last = self._last, time.monotonic()
        if self._last - last > SUSPENDED_S:
            self.suspended_s += self._last - last
            log.warning("nothing was done for %.0f s: machine or process was suspended", self._last - last)
