"""How the command line writes: tables, sentences, JSON; and never a control character of somebody else's.

Numbers are said by `core.text`, as everywhere. Knows no verb.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any, TextIO

from engine.core import text
from engine.core.budget import Amount, Limits
from engine.core.records import PUSD_PER_USD

UNKNOWN, number, percent, points = text.UNKNOWN, text.number, text.percent, text.points
dollars, budget, interval = text.money, text.budget, text.interval


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
    return f"{number(spent.calls)} calls, {number(spent.tokens)} tokens, {usd(spent.pusd if priced else None)}"


def limits(ceiling: Limits) -> str:
    """The ceiling in words."""
    parts = [f"{number(ceiling.tokens)} tokens"] if ceiling.tokens is not None else []
    parts += [f"{number(ceiling.calls)} calls"] if ceiling.calls is not None else []
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
