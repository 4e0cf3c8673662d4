"""What a mark says when pointed at: its name, accuracy, spend, chance and n, each with its interval; escaped HTML."""

from __future__ import annotations

from collections.abc import Callable

from dashboard import format as fmt
from dashboard.figures.axes import AXES, Lens
from dashboard.figures.lettering import safe
from dashboard.figures.names import Row

__all__ = ["count_line", "cut_line", "hover_text", "measured", "shares"]


def hover_text(row: Row, name: str, lens: Lens, chance: float | None, muted: str) -> str:
    """The lines of a cell, for plotly; `muted` is the ink of what comes second."""
    other = AXES["total_tokens"] if lens.money else AXES["usd"]
    lines = [
        f"<b>{safe(name)}</b>",
        measured(row["accuracy"], row["accuracy_low"], row["accuracy_high"], fmt.percent, "accuracy", muted),
        _spend(row, lens, muted),
        _other_spend(row, other),
        _standing(row, chance),
        _ink(cut_line(row), muted),
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


def cut_line(row: Row) -> str:
    """`12.5% out of budget · 4.0% no answer · 0.0% failed`, and accuracy without those the budget ended."""
    parts = [f"{fmt.percent(share)} {word}" for word, share in shares(row).items() if share is not None]
    if row.get("n_exhausted") and row.get("accuracy_finished") is not None:
        parts.append(f"{fmt.percent(row['accuracy_finished'])} of the others right")
    return " · ".join(parts)


def shares(row: Row) -> dict[str, float | None]:
    """What share of a cell's trials did not come to an answer by themselves; None: there are none to count.

    Of the scored trials, but failed ones, which are never scored, of all."""
    scored = sum(int(row.get(name) or 0) for name in ("n_right", "n_wrong", "n_none"))
    every = int(row.get("n_trials") or 0)
    counts = (("n_exhausted", "out of budget", scored), ("n_none", "no answer", scored), ("n_failed", "failed", every))
    return {word: int(row.get(name) or 0) / of if of else None for name, word, of in counts}


def count_line(row: Row) -> str:
    """`n = 500 questions · 95% intervals`, with what was left out."""
    parts = [f"n = {fmt.plural(int(row['n_questions'] or 0), 'question')}", "95% intervals"]
    if row.get("n_censored"):
        parts.append(f"{fmt.count(int(row['n_censored']))} censored")
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
