"""How the command line writes: tables, sentences, progress; and never a control character of somebody else's.

Numbers are said by `core.text`, as everywhere. Knows no verb.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
import unicodedata
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from engine.core import text
from engine.core.budget import Amount, Limits
from engine.core.records import PUSD_PER_USD

if TYPE_CHECKING:
    from engine.runs.run_dir import Status

UNKNOWN, number, percent, points = text.UNKNOWN, text.number, text.percent, text.points
dollars, budget, interval = text.money, text.budget, text.interval
EVERY_S = 5.0
"""Seconds between two lines of progress where lines cannot be rewritten."""


def clean(line: str) -> str:
    """The text on one line, without characters that steer a terminal."""
    return "".join(c if c.isprintable() and unicodedata.category(c) != "Cf" else " " for c in line)


def say(line: str = "", file: TextIO | None = None) -> None:
    """One line on standard output (or `file`), whatever encoding the terminal has."""
    out = file or sys.stdout
    encoding = getattr(out, "encoding", None) or "utf-8"
    try:
        "−".encode(encoding)
    except UnicodeEncodeError:
        line = line.replace(text.MINUS, "-")
    print(clean(line).encode(encoding, "replace").decode(encoding), file=out)


def tell(line: str) -> None:
    """One line on standard error."""
    say(line, sys.stderr)


def emit(value: Any) -> None:
    """JSON on standard output."""
    print(json.dumps(value, indent=2, default=str, ensure_ascii=True))


def usd(pusd: float | None) -> str:
    """Dollars of pico-dollars; None is unknown, never $0."""
    return text.money(None if pusd is None else pusd / PUSD_PER_USD)


def duration(seconds: float) -> str:
    """A duration in the unit that reads best."""
    return text.duration(1000 * seconds)


def amount(spent: Amount, priced: bool) -> str:
    """Calls, tokens and money of a bill."""
    return f"{_bought(spent)}, {usd(spent.pusd if priced else None)}"


def charged(status: Status, part: Amount) -> str:
    """Calls, tokens and money of a part of a run's bill."""
    return f"{_bought(part)}, {money(status, part)}"


def _bought(part: Amount) -> str:
    return f"{text.plural(part.calls, 'call')}, {text.plural(part.tokens, 'token')}"


def money(status: Status, part: Amount) -> str:
    """Dollars of a part of a run's bill: free where nobody sends one, unknown where a price is not known."""
    return usd(part.pusd if status.priced else None) if status.billed else text.FREE


def limits(ceiling: Limits) -> str:
    """The ceiling in words."""
    parts = [text.plural(ceiling.tokens, "token")] if ceiling.tokens is not None else []
    parts += [text.plural(ceiling.calls, "call")] if ceiling.calls is not None else []
    parts += [usd(ceiling.pusd)] if ceiling.pusd is not None else []
    return ", ".join(parts) or "none"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int] = ()) -> None:
    """Columns under a head, `numeric` ones to the right."""
    cells = [[clean(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(head))]
    for row in cells:
        fitted = (
            c.rjust(w) if at in numeric else c.ljust(w) for at, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        say("  ".join(fitted).rstrip())


class Progress:
    """How a run stands: one line rewritten on a terminal, a line every few seconds elsewhere; leave it to end it."""

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
            self._write("\n")

    def show(self, status: Status) -> None:
        """Show the status, if it is time to; nothing is known before the plan is made."""
        if status.alive and not status.total:
            return
        text = line(status)
        if self._live:
            # one column less: a full last column wraps, and then the carriage return goes back one row too few
            self._write("\r\x1b[K" + text[: shutil.get_terminal_size().columns - 1])
            self._open = True
        elif text != self._last[1] and (not status.alive or time.monotonic() - self._last[0] >= EVERY_S):
            self._last = (time.monotonic(), text)
            self._write(text + "\n")

    def _write(self, text: str) -> None:
        """A terminal that went away does not end the run."""
        try:
            self._out.write(text)
            self._out.flush()
        except (OSError, UnicodeEncodeError):
            pass


def line(status: Status) -> str:
    """State, trials, spent, reserved, in doubt, free, ceiling and time left, on one line."""
    parts = [f"{clean(status.name)}: {status.state}", f"{status.done:,}/{status.total:,} trials"]
    failed = status.ends.get("failed", 0)
    parts += [f"{failed:,} failed"] if failed else []
    parts += [f"spent {charged(status, status.spent)}"]
    parts += [f"reserved {number(status.reserved.tokens)} tokens"] if status.reserved.tokens else []
    parts += [f"in doubt {number(status.in_doubt.tokens)} tokens"] if status.in_doubt.tokens else []
    parts += [f"free {limits(status.free)}"] if status.free != Limits() else []
    # A start that failed before its study was read has none to tell, which is not a run without a ceiling.
    parts += [f"ceiling {limits(status.ceiling)}"] if status.ceiling != Limits() else []
    parts += [f"{duration(status.seconds_left)} left"] if status.seconds_left is not None else []
    parts += [clean(status.message)] if status.alive and status.message else []
    return " | ".join(parts)
