"""How advice names numbers and settings: three significant digits, units, and never a 0 for what is unknown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

UNITS = {"output_tokens": "output tokens", "total_tokens": "tokens", "latency_ms": "ms", "wh": "Wh"}
_PUSD = 10**12


def spend(x: str, value: float) -> str:
    """A spend with its unit: '$0.0012', '1,020 output tokens', 'no bound' for infinity."""
    if math.isinf(value):
        return "no bound"
    return f"${number(value)}" if x == "usd" else f"{number(value)} {UNITS.get(x, x.replace('_', ' '))}"


def budget(axis: str, value: int) -> str:
    """A budget with its unit; pico-dollars on 'usd'."""
    return spend(axis, value / _PUSD if axis == "usd" else value)


def number(value: float) -> str:
    """Three significant digits, thousands separated, no exponent."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    places = 2 - math.floor(math.log10(abs(value)))
    text = f"{value:,.{max(0, min(15, places))}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float) -> str:
    """A share as a percentage."""
    return f"{100 * share:.1f} %"


def points(share: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{100 * share:+.1f} points"


def questions(n: int) -> str:
    """A number of questions."""
    return f"{n:,} question{'' if n == 1 else 's'}"


def setting(row: Mapping[str, Any]) -> str:
    """A cell by its label and budget."""
    return f"{row['label']} at {budget(row['axis'], row['budget'])}"


def more(n: int | None) -> str:
    """What would decide it: the end of a sentence."""
    return "" if n is None else f"; about {n:,} more would, if the truth is what was seen"
