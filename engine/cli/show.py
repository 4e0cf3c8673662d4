"""How the command line writes: numbers, tables, sentences, progress; and never a control character of somebody else's.

Numbers have three significant digits and separated thousands; an unknown value is a dash, never 0. Knows no verb.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
import unicodedata
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from engine.core.budget import Amount, Limits
from engine.core.records import PUSD_PER_USD, Axis, Condition

if TYPE_CHECKING:
    from engine.runs.run_dir import Status

UNKNOWN = "\u2014"
UNITS: dict[str, str] = {
    "output_tokens": "output tokens",
    "total_tokens": "tokens",
    "calls": "calls",
    "usd": "USD",
    "wh": "Wh",
}
EVERY_S = 5.0
"""Seconds between two lines of progress where lines cannot be rewritten."""


def clean(text: str) -> str:
    """The text on one line, without characters that steer a terminal."""
    return "".join(c if c.isprintable() and unicodedata.category(c) != "Cf" else " " for c in text)


def say(text: str = "", file: TextIO | None = None) -> None:
    """One line on standard output (or `file`), whatever encoding the terminal has."""
    out = file or sys.stdout
    encoding = getattr(out, "encoding", None) or "utf-8"
    print(clean(text).encode(encoding, "replace").decode(encoding), file=out)


def tell(text: str) -> None:
    """One line on standard error."""
    say(text, sys.stderr)


def emit(value: Any) -> None:
    """JSON on standard output."""
    print(json.dumps(value, indent=2, default=str, ensure_ascii=True))


def number(value: float | None) -> str:
    """Three significant digits, thousands separated; whole numbers in full."""
    if value is None:
        return UNKNOWN
    if isinstance(value, int) or (value == int(value) and abs(value) >= 1000):
        return f"{int(value):,}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if "e" not in f"{value:.3g}" else f"{value:.2e}"


def percent(value: float | None) -> str:
    """A share as a percentage with one decimal."""
    return UNKNOWN if value is None else f"{100 * value:.1f}%"


def usd(pusd: float | None) -> str:
    """Dollars of pico-dollars; None is a dash, never $0."""
    return dollars(None if pusd is None else pusd / PUSD_PER_USD)


def dollars(usd: float | None) -> str:
    """Dollars to three significant digits, cents at least; None is a dash, never $0."""
    if usd is None:
        return UNKNOWN
    return f"${usd:,.2f}" if usd >= 1 or usd == 0 else f"${_small(usd)}"


def duration(seconds: float) -> str:
    """Minutes and seconds, hours when there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def budget(axis: Axis | str, value: int | float) -> str:
    """A budget with its unit; millionths of millionths of a Wh on 'wh'."""
    return usd(value) if axis == "usd" else f"{number(value / 1e12 if axis == 'wh' else value)} {UNITS[axis]}"


def amount(spent: Amount, priced: bool) -> str:
    """Calls, tokens and money of a bill."""
    return f"{number(spent.calls)} calls, {number(spent.tokens)} tokens, {usd(spent.pusd if priced else None)}"


def limits(ceiling: Limits) -> str:
    """The ceiling in words."""
    parts = [f"{number(ceiling.tokens)} tokens"] if ceiling.tokens is not None else []
    parts += [f"{number(ceiling.calls)} calls"] if ceiling.calls is not None else []
    parts += [usd(ceiling.pusd)] if ceiling.pusd is not None else []
    return ", ".join(parts) or "none"


def strategy(condition: Condition) -> str:
    """A condition's strategy with the parameters that differ from their defaults."""
    return called(condition.strategy, condition.params)


def called(name: str, params: str) -> str:
    """`name(knob=value, ...)` with the parameters that differ from their defaults."""
    from engine.strategies import entries

    known = entries().get(name)
    usual = known.knobs if known else {}
    unusual = [f"{key}={value}" for key, value in json.loads(params).items() if usual.get(key, ...) != value]
    return f"{name}({', '.join(unusual)})" if unusual else name


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int] = ()) -> None:
    """Columns under a head, `numeric` ones to the right."""
    cells = [[clean(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(head))]
    for row in cells:
        fitted = (
            c.rjust(w) if at in numeric else c.ljust(w) for at, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        say("  ".join(fitted).rstrip())


def _small(usd: float) -> str:
    """Three significant digits without an exponent: 0.0123, 0.5 as 0.50."""
    places = min(12, 2 - math.floor(math.log10(usd)))
    whole, _, part = f"{usd:.{places}f}".partition(".")
    return f"{whole}.{part.rstrip('0'):0<2}"


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
    parts += [f"spent {amount(status.spent, status.priced)}"]
    parts += [f"reserved {number(status.reserved.tokens)} tokens"] if status.reserved.tokens else []
    parts += [f"in doubt {number(status.in_doubt.tokens)} tokens"] if status.in_doubt.tokens else []
    parts += [f"free {limits(status.free)}"] if status.free != Limits() else []
    parts += [f"ceiling {limits(status.ceiling)}"]
    parts += [f"{duration(status.seconds_left)} left"] if status.seconds_left is not None else []
    return " | ".join(parts)
