"""Numbers as people read them: three significant digits, thousands separated, thin units; never NaN, never HTML.

None always means "not known" and is written so; zero is written as zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable

THIN = "\u202f"
"""Narrow no-break space: stands between a number and its unit."""
UNKNOWN = "unknown"
MINUS = "\u2212"

__all__ = [
    "MINUS",
    "THIN",
    "UNKNOWN",
    "budget",
    "count",
    "duration",
    "interval",
    "money",
    "money_tick",
    "number",
    "number_tick",
    "percent",
    "plural",
    "points",
    "quantity",
    "share",
]


def count(value: int | None) -> str:
    """An exact count: `12,345`."""
    return UNKNOWN if value is None else f"{value:,}".replace("-", MINUS)


def number(value: float | None, digits: int = 3) -> str:
    """A measured number to `digits` significant digits, without trailing zeros: `0.0819`, `12.3`, `1,230`, `8`."""
    text = _rounded(value, digits)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def money(usd: float | None, digits: int = 3) -> str:
    """US dollars to `digits` significant digits: `$0.0819`, `$1.20`, `$1,230`; an unknown price is `unknown`."""
    if usd is None:
        return UNKNOWN
    sign = MINUS if usd < 0 else ""
    return f"{sign}${_rounded(abs(usd), digits)}"


def percent(fraction: float | None, decimals: int = 1) -> str:
    """A fraction as a percentage: 0.674 is `67.4%`."""
    return UNKNOWN if fraction is None else f"{fraction * 100:.{decimals}f}%".replace("-", MINUS)


def points(fraction: float | None) -> str:
    """A difference of two fractions, signed, in percentage points: `+3.2 points`."""
    if fraction is None:
        return UNKNOWN
    return f"{fraction * 100:+.1f}{THIN}points".replace("-", MINUS)


def share(chance: float | None) -> str:
    """A chance in whole percent that never claims certainty: `97%`, `>99%`, `<1%`."""
    if chance is None:
        return UNKNOWN
    if chance > 0.99:
        return ">99%"
    return "<1%" if chance < 0.01 else f"{chance * 100:.0f}%"


def quantity(value: float | None, unit: str) -> str:
    """A measured number with its unit after a thin space: `104 tokens`."""
    return UNKNOWN if value is None else f"{number(value)}{THIN}{unit}"


def duration(milliseconds: float | None) -> str:
    """A duration in the unit that reads best: `820 ms`, `4.2 s`, `3.5 min`, `2.1 h`."""
    if milliseconds is None:
        return UNKNOWN
    for size, unit in ((3_600_000, "h"), (60_000, "min"), (1_000, "s")):
        if abs(milliseconds) >= size:
            return quantity(milliseconds / size, unit)
    return quantity(milliseconds, "ms")


def budget(value: int | None, axis: str) -> str:
    """A budget as a label names it: `256`, `8 calls`, `$0.02`; on the `usd` and `wh` axes budgets are in pico-units."""
    if value is None:
        return UNKNOWN
    if axis == "usd":
        return money_tick(float(f"{value / 1e12:.3g}"))
    if axis == "wh":
        return quantity(value / 1e12, "Wh")
    return f"{count(value)}{THIN}{'call' if value == 1 else 'calls'}" if axis == "calls" else count(value)


def interval(low: float | None, high: float | None, form: Callable[[float | None], str]) -> str:
    """An interval in brackets, `[63.2% – 71.4%]`; empty when an end is not known."""
    return "" if low is None or high is None else f"[{form(low)} – {form(high)}]"


def plural(n: int, noun: str, many: str | None = None) -> str:
    """A count with its noun: `1 condition`, `4 conditions`."""
    return f"{count(n)} {noun if n == 1 else many or noun + 's'}"


def number_tick(value: float) -> str:
    """A tick of a log axis, in full: `0.5`, `200`, `10,000`."""
    return f"{value:,.{_needed(value)}f}"


def money_tick(usd: float) -> str:
    """A tick of a money axis: `$0.05`, `$0.50`, `$1`, `$1.50`, `$1,000`."""
    needed = _needed(usd)
    return f"${usd:,.{needed if needed == 0 else max(2, needed)}f}"


def _needed(value: float) -> int:
    """Decimals without which `value` would lose one of its first three digits."""
    if value == 0:
        return 0
    text = f"{abs(value):.2e}"
    digits, exponent = text.split("e")
    return max(0, len(digits.rstrip("0").rstrip(".").replace(".", "")) - 1 - int(exponent))


def _rounded(value: float | None, digits: int) -> str:
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if value == 0:
        return "0"
    exact = float(f"{value:.{digits - 1}e}")
    exponent = int(f"{exact:e}".split("e")[1])
    if exponent < -9:
        return f"{exact:.{digits - 1}e}".replace("-", MINUS)
    return f"{exact:,.{max(0, digits - 1 - exponent)}f}".replace("-", MINUS)
