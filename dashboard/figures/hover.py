"""What a mark says when pointed at: its name, accuracy, spend, chance and n, each with its interval; escaped HTML."""

from __future__ import annotations

from collections.abc import Callable

from dashboard import format as fmt
from dashboard.figures.axes import AXES, Lens
from dashboard.figures.lettering import safe
from dashboard.figures.names import Row

__all__ = ["count_line", "hover_text", "measured"]


def hover_text(row: Row, name: str, lens: Lens, chance: float | None, muted: str) -> str:
    """The lines of a cell, for plotly; `muted` is the ink of what comes second."""
    other = AXES["total_tokens"] if lens.money else AXES["usd"]
    lines = [
        f"<b>{safe(name)}</b>",
        measured(row["accuracy"], row["accuracy_low"], row["accuracy_high"], fmt.percent, "accuracy", muted),
        _spend(row, lens, muted),
        _other_spend(row, other),
        _standing(row, chance),
        _ink(count_line(row), muted),
    ]
    return "<br>".join(line for line in lines if line)


def measured(
    value: float | None,
    low: float | None,
    high: float | None,
    form: Callable[[float | None], str],
    what: str,
    muted: str,
) -> str:
    """`67.4%  [63.2 – 71.4]  accuracy`."""
    bare = fmt.interval(low, high, lambda end: form(end).removesuffix("%"))
    return f"{safe(form(value))}  {_ink(safe(bare), muted) + '  ' if bare else ''}{what}"


def count_line(row: Row) -> str:
    """`n = 500 questions · 95% intervals`, with what was left out."""
    parts = [f"n = {fmt.plural(int(row['n_questions'] or 0), 'question')}", "95% intervals"]
    for column, word in (("n_failed", "failed"), ("n_exhausted", "out of budget"), ("n_censored", "censored")):
        if row.get(column):
            parts.append(f"{fmt.count(int(row[column]))} {word}")
    if row.get("simulated"):
        parts.append("simulated model")
    return " · ".join(parts)


def _spend(row: Row, lens: Lens, muted: str) -> str:
    what = lens.per + (" (assumed price)" if lens.money and row["usd_assumed"] else "")
    return measured(lens.value(row), lens.value(row, "_low"), lens.value(row, "_high"), lens.form, what, muted)


def _other_spend(row: Row, lens: Lens) -> str:
    value = lens.value(row)
    if value is None:
        return "price unknown" if lens.money else ""
    return f"{safe(lens.form(value))} {lens.per}" + (" (assumed price)" if lens.money and row["usd_assumed"] else "")


def _standing(row: Row, chance: float | None) -> str:
    if row["partial"]:
        done, planned = int(row["n_questions"] or 0), int(row["n_planned"] or 0)
        return f"partial: {fmt.count(done)} of {fmt.plural(planned, 'question')}, no verdict"
    return "" if chance is None else f"{safe(fmt.share(chance))} chance of being on the frontier"


def _ink(text: str, colour: str) -> str:
    return f'<span style="color:{colour}">{text}</span>'
