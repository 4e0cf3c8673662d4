"""The progress line of a run: rewritten in place on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import shutil
import time
from types import TracebackType
from typing import TextIO

from engine.cli import show
from engine.core.budget import Limits
from engine.run.run_dir import Status

EVERY_S = 5.0
"""Seconds between two lines where lines cannot be rewritten."""


class Progress:
    """Shows how a run stands; leave it to end the line."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._live = out.isatty()
        self._open = False
        self._last: tuple[float, str] = (0.0, "")

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open:
            self._out.write("\n")
            self._out.flush()

    def show(self, status: Status) -> None:
        """Show the status, if it is time to; nothing is known before the plan is made."""
        if status.alive and not status.total:
            return
        text = line(status)
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            self._write("\r\x1b[K" + text[:width])
            self._open = True
        elif text != self._last[1] and self._due(status):
            self._last = (time.monotonic(), text)
            self._write(text + "\n")

    def _due(self, status: Status) -> bool:
        return not status.alive or time.monotonic() - self._last[0] >= EVERY_S

    def _write(self, text: str) -> None:
        """A terminal that went away does not end the run."""
        try:
            self._out.write(text)
            self._out.flush()
        except (OSError, UnicodeEncodeError):
            pass


def line(status: Status) -> str:
    """State, trials, spent, reserved, in doubt, free, ceiling and time left, on one line."""
    parts = [f"{show.clean(status.name)}: {status.state}", f"{status.done:,}/{status.total:,} trials"]
    failed = status.ends.get("failed", 0)
    parts += [f"{failed:,} failed"] if failed else []
    parts += [f"spent {show.amount(status.spent, status.priced)}"]
    parts += [f"reserved {show.number(status.reserved.tokens)} tokens"] if status.reserved.tokens else []
    parts += [f"in doubt {show.number(status.in_doubt.tokens)} tokens"] if status.in_doubt.tokens else []
    parts += [f"free {show.limits(status.free)}"] if status.free != Limits() else []
    parts += [f"ceiling {show.limits(status.ceiling)}"]
    parts += [f"{show.duration(status.seconds_left)} left"] if status.seconds_left is not None else []
    return " | ".join(parts)
