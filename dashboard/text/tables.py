"""What pages say in words and columns about cells: the table, the sentence of reading, the lines of one cell.

Pure: frames and rows in, text and frames out; knows neither Streamlit nor a database. Texts are plain, not escaped.

What an answer was read off, as a table people can read: one column per measured thing, units in the titles.

Pure: frames in, frames out. Spends are those of the figure (money per 1,000 questions); infinite is written out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dashboard.figures import AXES
from dashboard.figures.axes import Lens
from dashboard.figures.marks import shares
from engine.core import names
from engine.core import text as fmt
from engine.models.energy import grams_co2e

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "NO_BOUND",
    "SPENDS",
    "Fact",
    "cell_facts",
    "cell_fates",
    "cell_name",
    "cell_notes",
    "cells_table",
    "curve_table",
    "energy_line",
    "evidence_table",
    "leader_sentence",
    "reading_sentence",
]


Row = Mapping[str, Any]
SPENDS = ("output_tokens", "total_tokens", "calls", "usd")
FATES = (
    ("n_right", "right"),
    ("n_wrong", "wrong"),
    ("n_none", "without answer"),
    ("n_exhausted", "ended by the budget"),
    ("n_failed", "failed"),
    ("n_stopped", "stopped"),
    ("n_censored", "not observed up to this budget"),
)
CUT = ("n_exhausted", "n_none", "n_failed")
"""Fates told with their share, in the order of `shares`."""
ALWAYS = ("n_right", "n_wrong", "n_none", "n_failed")
"""Fates that are told even when they befell no trial."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A measured value of a cell: what it is, the value, its interval or what stands in for one."""

    what: str
    value: str
    aside: str


def cell_name(row: Row, name: Callable[[Row], str]) -> str:
    """`Self-consistency ×12, up to 256 tokens`: the setting with the budget it is read at."""
    return f"{name(row)}, {fmt.up_to(row['budget'], row['axis'])}"


def cells_table(frame: pl.DataFrame, x: str, zone: str | None = None) -> pl.DataFrame:
    """The readable columns of a frontier frame on spend axis `x`, in its order; energy and CO2e where a grid `zone` is
    named."""
    import polars as pl

    lens, name = AXES[x], names.over(frame.to_dicts())
    spend = f"{lens.title}{', $' if lens.money else ''}"
    rows = [
        {
            "Setting": name(row),
            "Budget": fmt.budget(row["budget"], row["axis"]),
            "Accuracy, %": None if row["accuracy"] is None else round(row["accuracy"] * 100, 1),
            "95% interval": _bare(row["accuracy_low"], row["accuracy_high"], fmt.percent),
            "Questions": row["n_questions"],
            **_rates(row),
            spend: _rounded(lens.value(row)),
            f"{'Cost' if lens.money else 'Spend'}, 95% interval": _bare(
                lens.value(row, "_low"), lens.value(row, "_high"), lens.form
            ),
            **_energy(row, zone),
            "On the frontier": _standing(row),
            "Right": row["n_right"],
            "Wrong": row["n_wrong"],
            "No answer": row["n_none"],
            "Out of budget": row["n_exhausted"],
            "Failed": row["n_failed"],
            "Censored": row["n_censored"],
            "Notes": " · ".join(cell_notes(row, x)),
        }
        for row in frame.to_dicts()
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def curve_table(cells: pl.DataFrame, zone: str | None = None) -> pl.DataFrame:
    """The curves at the budgets of their studies: the readable columns of cells read on one budget axis."""
    import polars as pl

    name = names.over(cells.to_dicts())
    rows = [
        {
            "Setting": name(row),
            "Task": names.task(row["task"]),
            "Budget": fmt.budget(row["budget"], row["axis"]),
            "Accuracy, %": None if row["accuracy"] is None else round(row["accuracy"] * 100, 1),
            "95% interval": _bare(row["accuracy_low"], row["accuracy_high"], fmt.percent),
            "Questions": row["n_questions"],
            **_rates(row),
            AXES[row["axis"]].title: _rounded(AXES[row["axis"]].value(row)),
            **_energy(row, zone),
            "Not observed so far": row["n_censored"],
            "Notes": " · ".join(cell_notes(row, row["axis"])),
        }
        for row in cells.to_dicts()
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def _rates(row: Row) -> dict[str, float | None]:
    """Accuracy of the trials the budget did not end, and how many it ended, gave no answer or failed."""
    finished = {"Of those not cut off, %": row.get("accuracy_finished")}
    named = {f"{word.capitalize()}, %": share for word, share in shares(row).items()}
    return {name: None if share is None else round(share * 100, 1) for name, share in (finished | named).items()}


def _energy(row: Row, zone: str | None) -> dict[str, float | None]:
    if zone is None:
        return {}
    wh = AXES["wh"].value(row)
    grams = None if wh is None else _rounded(grams_co2e(wh, zone))
    return {AXES["wh"].title: _rounded(wh), "CO2e, g per 1,000 questions": grams}


def energy_line(row: Row, zone: str | None) -> str:
    """`12.3 Wh and 5.6 g CO2e per 1,000 questions (zone FRA)`; empty without a zone."""
    if zone is None:
        return ""
    wh = AXES["wh"].value(row)
    if wh is None:
        return "energy unknown: no size of every model is known"
    return f"{fmt.number(wh)} Wh and {fmt.number(grams_co2e(wh, zone))} g CO2e per 1,000 questions (zone {zone})"


def leader_sentence(cells: pl.DataFrame) -> str:
    """The most accurate condition of a task at the largest budget everyone there is read at, with interval and n."""
    rows = [row for row in cells.to_dicts() if row["accuracy"] is not None and not row["partial"]]
    if not rows:
        return ""
    top = max(rows, key=lambda row: (row["budget"], row["accuracy"]))
    name = names.over(rows)
    return f"{name(top)} leads {names.task(top['task'])} at {fmt.budget(top['budget'], top['axis'])}: {_scored(top)}"


def reading_sentence(frame: pl.DataFrame, x: str) -> str:
    """What the frontier says, with n: the most accurate cell on it and the cheapest one; empty without a frontier."""
    lens = AXES[x]
    rows = [row for row in frame.to_dicts() if row["on_frontier"] and lens.value(row) is not None]
    if not rows:
        return ""
    rows.sort(key=lambda row: (lens.value(row) or 0.0, -row["accuracy"]))
    top, low = max(rows, key=lambda row: row["accuracy"]), rows[0]
    name = names.over(frame.to_dicts())
    best = f"{cell_name(top, name)} is the most accurate, {_scored(top)} for {_spent(top, lens)}"
    if low == top:
        return f"{best}; nothing here is cheaper and as accurate."
    return f"{best}; {cell_name(low, name)} spends least, {_spent(low, lens)}, for {_scored(low)}."


def cell_facts(row: Row) -> list[Fact]:
    """Accuracy and all spends of a cell, each with its interval."""
    asked = fmt.plural(row["n_questions"], "question")
    facts = [Fact("Accuracy", fmt.percent(row["accuracy"]), _aside(row, "accuracy", fmt.percent, f"n = {asked}"))]
    for column in SPENDS:
        lens = AXES[column]
        note = "assumed price" if lens.money and row["usd_assumed"] else ""
        ends = _bare(lens.value(row, "_low"), lens.value(row, "_high"), lens.form)
        what, _, per = lens.title.partition(" per ")
        aside = " · ".join(part for part in (f"{ends} per {per}".strip(), note) if part)
        facts.append(Fact(what, lens.form(lens.value(row)), aside))
    return facts


def cell_fates(row: Row) -> str:
    """What became of the trials: `41 right · 15 wrong · 4 without answer · ...`; right and wrong always stand there."""
    part = {name: f" ({fmt.percent(part)})" for name, part in zip(CUT, shares(row).values(), strict=True) if part}
    told = [f"{fmt.count(row[name])} {word}{part.get(name, '')}" for name, word in FATES if row[name] or name in ALWAYS]
    finished = row.get("accuracy_finished")
    if row["n_exhausted"] and finished is not None:
        ends = _bare(row["accuracy_finished_low"], row["accuracy_finished_high"], fmt.percent)
        told.append(f"{fmt.percent(finished)} {ends} right of those the budget did not end, which are the easy ones")
    return f"{fmt.plural(row['n_trials'], 'trial')}: " + " · ".join(told)


def cell_notes(row: Row, x: str | None = None) -> list[str]:
    """Reservations about a cell: partial, simulated, priced by assumption or not at all."""
    notes = []
    if row.get("much_cut"):
        notes.append("much cut off: read accuracy with the budget")
    if row["partial"]:
        notes.append(f"partial: {fmt.count(row['n_questions'])} of {fmt.plural(row['n_planned'], 'question')}")
    if row["simulated"]:
        notes.append("simulated model")
    if row["usd"] is None and row["n_questions"] and x in (None, "usd"):
        notes.append("price unknown")
    elif row["usd_assumed"] and x in (None, "usd"):
        notes.append("assumed price")
    return notes


def _standing(row: Row) -> str:
    if row["verdict"] == "partial":
        return "partial, no verdict"
    return "" if row["p_frontier"] is None else f"{fmt.share(row['p_frontier'])} ({row['verdict']})"


def _scored(row: Row) -> str:
    ends = _bare(row["accuracy_low"], row["accuracy_high"], fmt.percent)
    return f"{fmt.percent(row['accuracy'])} {ends} (n = {fmt.count(row['n_questions'])})"


def _spent(row: Row, lens: Lens) -> str:
    return f"{lens.form(lens.value(row))} {lens.per}"


def _aside(row: Row, column: str, form: Callable[[float | None], str], more: str) -> str:
    return " · ".join(part for part in (_bare(row[f"{column}_low"], row[f"{column}_high"], form), more) if part)


def _bare(low: float | None, high: float | None, form: Callable[[float | None], str]) -> str:
    return fmt.interval(low, high, form)


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.3g}") if abs(value) < 1000 else round(value)


NO_BOUND = "no bound"


def evidence_table(asked: str, evidence: pl.DataFrame, x: str, axis: str | None = None) -> pl.DataFrame:
    """The readable columns of the evidence of a question (`Advice.asked`); `axis` counts the budgets of 'beats'.

    Settings that a larger budget did not change are told once, at the smallest."""
    import polars as pl

    shown = evidence
    if {"condition_id", "x", "accuracy"} <= set(evidence.columns):
        shown = evidence.unique(["condition_id", "x", "accuracy"], keep="first", maintain_order=True)
    made: Callable[[Row, Lens], dict[str, Any]] = _ROWS[asked]
    lens = AXES[x]
    rows = [made(row | {"_axis": axis}, lens) for row in shown.to_dicts()]
    return pl.DataFrame(rows, infer_schema_length=None)


def _setting(row: Row, lens: Lens) -> dict[str, Any]:
    return {
        "Setting": cell_name(row, lambda one: str(one["name"])),
        _spent_in(lens): _number(row["x"] * lens.scale),
        "Accuracy, %": _share(row["accuracy"]),
        "Questions": row["n_questions"],
    }


def _reach(row: Row, lens: Lens) -> dict[str, Any]:
    return _setting(row, lens) | {
        "Reaches it": "yes" if row["reaches"] else "",
        "At least, %": _share(row["least"]),
        "At most, %": _share(row["most"]),
    }


def _under(row: Row, lens: Lens) -> dict[str, Any]:
    standing = "best seen" if row["behind"] == 0 else "may be as good" if row["maybe_best"] else "beaten"
    return _setting(row, lens) | {"Behind, points": _share(row["behind"]), "Standing": standing}


def _right(row: Row, lens: Lens) -> dict[str, Any]:
    unit = "of 1,000 right answers, $" if lens.money else f"of a right answer, {_unit(lens)}"
    scale = lens.scale
    return _setting(row, lens) | {
        f"Cost {unit}": _bound(row["cost"] * scale, lens, "infinite"),
        "95% interval": _range(row, lens),
        "Never right, %": _share(row["unsolved"]),
    }


def _next(row: Row, lens: Lens) -> dict[str, Any]:
    return {
        "From": row["from_"],
        "To": row["to"],
        "From, %": _share(row["accuracy_from"]),
        "To, %": _share(row["accuracy_to"]),
        f"A point more, {_unit(lens)}": _bound(row["cost"] * lens.scale, lens),
        "95% interval": _range(row, lens),
    }


def _lost(row: Row, lens: Lens) -> dict[str, Any]:
    spent = "hypervolume, share of its box" if row["x"] is None else lens.form(row["x"] * lens.scale)
    ends = fmt.interval(row["low"], row["high"], fmt.points)
    return {
        _spent_in(lens): spent,
        "Now, %": _share(row["before"]),
        "Then, %": _share(row["after"]),
        "Lost, points": _share(row["lost"]),
        "95% interval": ends,
    }


def _beats(row: Row, lens: Lens) -> dict[str, Any]:
    ends = fmt.interval(row["low"], row["high"], fmt.points)
    return {
        "Budget": fmt.budget(row["budget"], str(row["_axis"])),
        "Difference, points": _share(row["difference"]),
        "95% interval": ends,
        "Mid-p": None if row["p_value"] is None else float(f"{row['p_value']:.2g}"),
        "Questions": row["n"],
    }


_ROWS: dict[str, Callable[[Row, Lens], dict[str, Any]]] = {
    "reach": _reach,
    "under": _under,
    "per_right": _right,
    "next_point": _next,
    "without": _lost,
    "price": _lost,
    "beats": _beats,
}


def _spent_in(lens: Lens) -> str:
    return f"{lens.title}{', $' if lens.money else ''}"


def _unit(lens: Lens) -> str:
    return "$ per 1,000 questions" if lens.money else lens.per.removesuffix(" per question")


def _number(value: float) -> float:
    return float(f"{value:.3g}") if abs(value) < 1000 else round(value)


def _share(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 1)


def _bound(value: float | None, lens: Lens, infinite: str = NO_BOUND) -> str:
    return infinite if value is not None and math.isinf(value) else lens.form(value)


def _range(row: Row, lens: Lens) -> str:
    low, high = (None if row[end] is None else row[end] * lens.scale for end in ("low", "high"))
    return fmt.interval(low, high, lambda end: _bound(end, lens))
