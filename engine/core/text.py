"""Numbers, money, units and budgets as people read them: one voice for sentences, tables, figures and terminals.

None and not-a-number mean "not known" and are written so; zero is written as zero. Never HTML, never an exponent.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from typing import overload

from engine.core.records import PUSD_PER_USD

UNKNOWN = "unknown"
AS_RUN = "as run"
"""In place of a budget: an imported setting had none that we know of, and stores 0."""
MINUS = "\u2212"
UNITS = {
    "output_tokens": "output tokens",
    "total_tokens": "tokens in all",
    "calls": "calls",
    "usd": "US dollars",
    "wh": "Wh",
    "latency_ms": "ms",
}
"""What an axis counts, as it follows a number or heads a column."""
_COUNTED = re.compile(r"(?:(?<=\btoken)|(?<=\bcall)|(?<=\bbyte))s\b")
_RUN = "[=+@＝＋－＠-]"
FORMULA = f"^(?:[\t\r\n]|[ \u00a0\u2000-\u200f\u2060\u3000\ufeff]*{_RUN})"
"""How a text begins that a spreadsheet would run, as a regular expression of any of our libraries; in East Asia they
take the wide signs for the narrow ones, and some take no notice of blanks."""
NEXT_CELL = f";({_RUN})"
"""Where a text would go on in a cell of its own that is run, in countries whose lists are parted by semicolons."""
FREE = "free (runs here)"
"""The cost of a model of this machine, for which nobody sends a bill."""
SIMULATED = "free (simulated)"
"""The cost of a script that stands for a model."""
FINE = 500
"""Questions from which on an accuracy is told to a tenth of a percent."""

_ADDRESS = re.compile(r"(?:https?|ftp)(?=://)|www(?=\.)|@(?=[\w-]+\.)", re.IGNORECASE)
"""What Markdown makes a link of by itself: a scheme, www before its dot, the sign of a mail address."""
_MARKDOWN = str.maketrans({**{sign: f"\\{sign}" for sign in "\\`*_[]>|#!~$@"}, "&": "&amp;", "<": "&lt;"})


def count(value: int | None) -> str:
    """An exact count: `12,345`."""
    return UNKNOWN if value is None else f"{value:,}".replace("-", MINUS)


def about(value: int, exact: bool) -> str:
    """A count, marked where it is about right and no more: `about 1,234`."""
    return count(value) if exact else f"about {count(value)}"


def rates(input_usd: float | None, output_usd: float | None) -> str:
    """What a million tokens cost: `$0.15 in, $0.60 out`."""
    return f"{money(input_usd)} in, {money(output_usd)} out"


def times(value: float) -> str:
    """How many times another number: `×2.0`, `×18.6`, `×0.91`, `×1,234`."""
    return f"×{number(value) if round(value, 1) >= 100 else f'{value:.{1 if value >= 0.95 else 2}f}'}"


def number(value: float | None) -> str:
    """A measured number, three significant digits below 100 (`0.0000123`, `12.3`, `8`), from there whole `1,234`."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    # Zero is added, or a negative one would be written with its sign.
    text = f"{value + 0.0:,.{_decimals(value)}f}".replace("-", MINUS)
    return text.rstrip("0").rstrip(".") if "." in text else text


def money(usd: float | None) -> str:
    """US dollars: `$0.0819`, `$0.50`, `$1.20`, from $100 on whole: `$1,230`; an unknown price is `unknown`."""
    if usd is None or not math.isfinite(usd):
        return UNKNOWN
    # Rounded first, or $99.999 would be written $100.00.
    size = abs(usd)
    whole, _, cents = f"{size:,.{0 if round(size, 2) >= 100 else max(2, _decimals(size))}f}".partition(".")
    if not cents:
        return f"{MINUS if usd < 0 else ''}${whole}"
    # $12.3 and $0.5 read like a slip of the pen: cents are always two digits.
    return f"{MINUS if usd < 0 else ''}${whole}.{cents.rstrip('0'):0<2}"


def money_tick(usd: float) -> str:
    """A tick of a money axis: `$0.05`, `$0.50`, `$1`, `$1,000`."""
    return money(usd).removesuffix(".00")


def percent(fraction: float | None) -> str:
    """A fraction as a percentage: 0.674 is `67.4%`."""
    if fraction is None or not math.isfinite(fraction):
        return UNKNOWN
    return f"{_tenths(fraction)}%".replace("-", MINUS)


def whole_percent(fraction: float) -> str:
    """A part of a whole that nobody estimated: `30%`."""
    return f"{round(100 * fraction):,}%"


def small_share(share: float | None) -> str:
    """A share in percent that is not none where it is little."""
    return "under 0.1%" if share is not None and 0 < share < 0.0005 else percent(share)


def accuracy(fraction: float | None, n: int | None) -> str:
    """A share of so many questions as it supports: `67%` under 500 of them, `67.4%` from there on."""
    # A few in hundreds are not none, nor all but a few all.
    if fraction is None or (n or 0) >= FINE or 0 < fraction < 0.005 or 0.995 < fraction < 1:
        return percent(fraction)
    return f"{round(100 * fraction)}%"


def points(fraction: float | None, n: int | None = None) -> str:
    """A difference of two fractions in percentage points, signed: `+3.2 points`; of under 500 questions `n`, where
    they are told, whole ones: `+3 points`."""
    if fraction is None or not math.isfinite(fraction):
        return UNKNOWN
    # Less than half a point is not none, as far as a tenth tells it.
    whole = n is not None and n < FINE and not 0.0005 <= abs(fraction) < 0.005
    text = f"{round(100 * fraction)}" if whole else _tenths(fraction)
    return f"{text if text.startswith('-') or not float(text) else '+' + text} points".replace("-", MINUS)


def share(chance: float | None) -> str:
    """A chance in whole percent that never claims certainty: `97%`, `over 99%`, `under 1%`."""
    if chance is None or not math.isfinite(chance):
        return UNKNOWN
    if chance > 0.99:
        return "over 99%"
    return "under 1%" if chance < 0.01 else f"{chance * 100:.0f}%"


def p_value(p: float | None) -> str:
    """A p-value to what its size supports: `0.23`, `0.012`, `< 0.001`."""
    if p is None or not math.isfinite(p):
        return UNKNOWN
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def quantity(value: float | None, unit: str) -> str:
    """A measured number with its unit, a plural: `104 tokens`, `1 token`, `1 output token`."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    said = number(value)
    return f"{said} {_COUNTED.sub('', unit) if said == '1' else unit}"


def size(bytes: int | None) -> str:
    """A size of files or memory in the unit that reads best, of 1,000 each."""
    if bytes is None:
        return UNKNOWN
    for unit, of in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if bytes >= of:
            return quantity(bytes / of, unit)
    return quantity(bytes, "bytes")


def duration(milliseconds: float | None) -> str:
    """A duration in the unit that reads best: `820 ms`, `4.2 s`, `90 s`, `25 min`, `2.1 h`."""
    if milliseconds is None:
        return UNKNOWN
    # Seconds up to two minutes and minutes up to an hour and a half: 90 s and 75 min are how people say it.
    for size, most, unit in ((1, 1_000, "ms"), (1_000, 120_000, "s"), (60_000, 5_400_000, "min")):
        if abs(milliseconds) < most:
            return quantity(milliseconds / size, unit)
    return quantity(milliseconds / 3_600_000, "h")


def roughly(milliseconds: float) -> str:
    """A duration that is a guess, in whole units: `14 s`, `3 min`, `2 h`."""
    for size, most, unit in ((1_000, 90_000, "s"), (60_000, 5_400_000, "min")):
        if milliseconds < most:
            return quantity(max(1, round(milliseconds / size)), unit)
    return quantity(round(milliseconds / 3_600_000), "h")


def spend(value: float | None, axis: str) -> str:
    """A spend in dollars, tokens, calls, Wh or ms: `$0.0012`, `1,020 output tokens`; infinity is `no bound`."""
    if value is not None and math.isinf(value):
        return "no bound"
    if axis == "usd":
        return money(value)
    if axis == "latency_ms":
        return duration(value)
    return quantity(value, UNITS.get(axis, axis.replace("_", " ")))


def budget(value: float | None, axis: str) -> str:
    """A budget with its unit: `512 tokens`, `2,000 tokens in all`, `8 calls`, `$0.02`, `0.5 Wh`.

    On the `usd` and `wh` axes budgets are whole numbers of millionths of a millionth."""
    if value is not None and axis in ("usd", "wh"):
        value = value / PUSD_PER_USD
    return quantity(value, "tokens") if axis == "output_tokens" else spend(value, axis)


def up_to(value: float | None, axis: str) -> str:
    """A budget as the limit it is: `up to 512 tokens`; `as run` for an imported setting, which had none."""
    return AS_RUN if value == 0 else f"up to {budget(value, axis)}"


def within(value: float | None, axis: str) -> str:
    """A budget behind the name of a setting: `with up to 512 tokens`, or `as run`."""
    limit = up_to(value, axis)
    return limit if limit == AS_RUN else f"with {limit}"


def interval(low: float | None, high: float | None, form: Callable[[float | None], str]) -> str:
    """An interval in brackets, without the unit said before it: `(63.2–71.4)`, `(+7 to +40)`; empty without an end."""
    if low is None or high is None:
        return ""
    # A dash between two signed numbers would read as a minus.
    first, last = (form(end).removesuffix("%").removesuffix(" points") for end in (low, high))
    signed = first[:1] in ("+", MINUS) or last[:1] in ("+", MINUS)
    return f"({first} to {last})" if signed else f"({first}–{last})"


def words(sentence: str) -> int:
    """How many words a sentence has; signs that stand alone, as the dot and the arrow of a name, are none."""
    return sum(any(map(str.isalnum, part)) for part in sentence.split())


def joined(words: Iterable[str]) -> str:
    """A list in words: `a`, `a and b`, `a, b and c`; empty for none."""
    *before, last = [*words] or [""]
    return f"{', '.join(before)} and {last}" if before else last


def draws(n: int | None) -> str:
    """`mean of 12 draws`, of a number that is one; empty for a setting that is read as it was run."""
    return f"mean of {count(n)} draws" if n is not None and n > 1 else ""


def distance(share: float) -> str:
    """How far two fractions lie apart, without a sign: `3 points`, `1 point`, `0.1 points`."""
    points = number(100 * share)
    return f"{points} {'point' if points == '1' else 'points'}"


def plural(n: int, noun: str, many: str | None = None) -> str:
    """A count with its noun: `1 setting`, `4 settings`."""
    return f"{count(n)} {noun if n == 1 else many or noun + 's'}"


def _decimals(value: float) -> int:
    """Decimals that show three significant digits of what is under 100 once rounded; none from there on."""
    if value == 0:
        return 0
    # By way of its text, since rounding may lift it to the next power of ten: 9.996 has the digits of 10.0.
    exponent = int(f"{value:.2e}".partition("e")[2])
    return 0 if exponent >= 2 else 2 - exponent


def _tenths(fraction: float) -> str:
    """In percent with one decimal; never a minus before a zero."""
    text = f"{100 * fraction:.1f}"
    return text if float(text) else text.removeprefix("-")


def linkless(text: str) -> str:
    """Text in which Markdown finds no address: it looks for them once escapes are gone, so an invisible sign stands in
    each."""
    return _ADDRESS.sub(lambda found: f"{found[0]}\u2060", text)


def in_markdown(text: str) -> str:
    """Text that Markdown shows letter by letter on one line, in a table too: no markup, link or mention."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    # GitHub looks for mentions in what is shown.
    return re.sub(r"(?<!\w)@(?=\w)", "@\u2060", linkless(line)).translate(_MARKDOWN)


@overload
def csv_cell(value: str) -> str: ...
@overload
def csv_cell(value: object) -> object: ...
def csv_cell(value: object) -> object:
    """A value as CSV takes it: a list as JSON, and a text that a spreadsheet would run behind an apostrophe."""
    if isinstance(value, (list, tuple)):
        return json.dumps(value)
    if isinstance(value, str):
        value = re.sub(NEXT_CELL, r";'\1", value.replace("\0", "\ufffd"))
        return f"'{value}" if re.match(FORMULA, value) else value
    return value
