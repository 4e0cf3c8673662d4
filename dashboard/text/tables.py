"""What pages say in words and columns about cells: the tables, the sentence of reading, lines of one cell, evidence.

Pure: frames and rows in, text and frames out; knows neither Streamlit nor a database. Texts are plain, not escaped.
A table has one column per measured thing, its unit in the title; spends are those of the figure (money per 1,000
questions).
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
    "in_percent",
    "leader_sentence",
    "reading_sentence",
]


Row = Mapping[str, Any]
NO_BOUND = "no bound"
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
    drawn = fmt.draws(row.get("n_draws"))
    return f"{name(row)}, {fmt.up_to(row['budget'], row['axis'])}{f' ({drawn})' if drawn else ''}"


def cells_table(frame: pl.DataFrame, x: str, zone: str | None = None) -> pl.DataFrame:
    """The readable columns of a frontier frame on spend axis `x`, in its order; energy and CO2e where a grid `zone` is
    named."""
    import polars as pl

    lens, name, rows = AXES[x], names.over(frame.to_dicts()), []
    for row in frame.to_dicts():
        spend, low, high = (lens.value(row, end) for end in ("", "_low", "_high"))
        standing = "" if row["p_frontier"] is None else f"{fmt.share(row['p_frontier'])} ({row['verdict']})"
        cells = {
            "Setting": name(row),
            **_measures(row),
            _spend_title(lens): spend,
            f"{'Cost' if lens.money else 'Spend'}, 95% interval": fmt.interval(low, high, lens.form),
            **_energy(row, zone),
            "On the frontier": "partial, no verdict" if row["verdict"] == "partial" else standing,
            "Right": row["n_right"],
            "Wrong": row["n_wrong"],
            "No answer": row["n_none"],
            "Out of budget": row["n_exhausted"],
            "Failed": row["n_failed"],
            "Censored": row["n_censored"],
            "Notes": " · ".join(cell_notes(row, x)),
        }
        rows.append(cells)
    return pl.DataFrame(rows, infer_schema_length=None)


def curve_table(cells: pl.DataFrame, zone: str | None = None) -> pl.DataFrame:
    """The curves at the budgets of their studies: the readable columns of cells read on one budget axis."""
    import polars as pl

    # Over the rows of its task alone: the task has a column of its own.
    name = {str(task): names.over(part.to_dicts()) for (task,), part in cells.group_by("task")}
    rows = [
        {
            "Setting": name[row["task"]](row),
            "Task": names.task(row["task"]),
            **_measures(row),
            AXES[row["axis"]].title: AXES[row["axis"]].value(row),
            **_energy(row, zone),
            "Not observed so far": row["n_censored"],
            "Notes": " · ".join(cell_notes(row, row["axis"])),
        }
        for row in cells.to_dicts()
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def _measures(row: Row) -> dict[str, Any]:
    """Budget, accuracy, that of the trials the budget did not end, and how many it ended or that failed."""
    finished = {"Of those not cut off, %": row.get("accuracy_finished")}
    rates = finished | {f"{word.capitalize()}, %": share for word, share in shares(row).items()}
    return {
        "Budget": fmt.budget(row["budget"], row["axis"]),
        "Accuracy, %": in_percent(row["accuracy"]),
        "95% interval": fmt.interval(row["accuracy_low"], row["accuracy_high"], fmt.percent),
        "Questions": row["n_questions"],
        "Fixed answer, %": in_percent(row.get("guess")),
        **({} if row.get("chance") is None else {"Blind choice, %": in_percent(row["chance"])}),
        **{name: in_percent(share) for name, share in rates.items()},
    }


def _energy(row: Row, zone: str | None) -> dict[str, float | None]:
    if zone is None:
        return {}
    wh = AXES["wh"].value(row)
    grams = None if wh is None else grams_co2e(wh, zone)
    return {AXES["wh"].title: wh, "CO2e, g per 1,000 questions": grams}


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
    # Budget first: accuracies at different budgets are no race.
    top = max(rows, key=lambda row: (row["budget"], row["accuracy"]))
    name = names.over(rows)
    drawn = fmt.draws(top.get("n_draws"))
    called = f"{name(top)} ({drawn})" if drawn else name(top)
    return f"{called} leads {names.task(top['task'])} at {fmt.budget(top['budget'], top['axis'])}: {_scored(top)}"


def reading_sentence(frame: pl.DataFrame, x: str) -> str:
    """What the frontier says, with n: the most accurate cell on it and the cheapest one; empty without a frontier."""
    lens = AXES[x]
    rows = [row for row in frame.to_dicts() if row["on_frontier"] and lens.value(row) is not None]
    if not rows:
        return ""
    # Cheapest first, and of equally cheap ones the best, which is the one on the frontier.
    rows.sort(key=lambda row: (lens.value(row) or 0.0, -row["accuracy"]))
    top, low = max(rows, key=lambda row: row["accuracy"]), rows[0]
    most, least = (f"{lens.form(lens.value(row))} {lens.per}" for row in (top, low))
    name = names.over(frame.to_dicts())
    best = f"{cell_name(top, name)} is the most accurate, {_scored(top)} for {most}"
    if low == top:
        return f"{best}; nothing here is cheaper and as accurate."
    return f"{best}; {cell_name(low, name)} spends least, {least}, for {_scored(low)}."


def _scored(row: Row) -> str:
    ends = fmt.interval(row["accuracy_low"], row["accuracy_high"], fmt.percent)
    return f"{fmt.percent(row['accuracy'])} {ends} (n = {fmt.count(row['n_questions'])})"


def cell_facts(row: Row) -> list[Fact]:
    """Accuracy and all spends of a cell, each with its interval."""
    accuracy_ends = fmt.interval(row["accuracy_low"], row["accuracy_high"], fmt.percent)
    asides = (accuracy_ends, f"n = {fmt.plural(row['n_questions'], 'question')}")
    facts = [Fact("Accuracy", fmt.percent(row["accuracy"]), " · ".join(aside for aside in asides if aside))]
    for column in SPENDS:
        lens = AXES[column]
        note = "assumed price" if lens.money and row["usd_assumed"] else ""
        ends = fmt.interval(lens.value(row, "_low"), lens.value(row, "_high"), lens.form)
        # The title of an axis, cut in two: what it is before its value, per what behind it.
        what, _, per = lens.title.partition(" per ")
        aside = " · ".join(part for part in (f"{ends} per {per}".strip(), note) if part)
        facts.append(Fact(what, lens.form(lens.value(row)), aside))
    return facts


def cell_fates(row: Row) -> str:
    """What became of the trials: `41 right · 15 wrong · 4 without answer · ...`; right and wrong always stand there."""
    rates = {name: f" ({fmt.percent(share)})" for name, share in zip(CUT, shares(row).values(), strict=True) if share}
    fates = [
        f"{fmt.count(row[name])} {word}{rates.get(name, '')}" for name, word in FATES if row[name] or name in ALWAYS
    ]
    finished = row.get("accuracy_finished")
    if row["n_exhausted"] and finished is not None:
        ends = fmt.interval(row["accuracy_finished_low"], row["accuracy_finished_high"], fmt.percent)
        fates.append(f"{fmt.percent(finished)} {ends} right of those the budget did not end, which are the easy ones")
    return f"{fmt.plural(row['n_trials'], 'trial')}: " + " · ".join(fates)


def cell_notes(row: Row, x: str | None = None) -> list[str]:
    """Reservations about a cell: partial, simulated, priced by assumption or not at all."""
    notes, priced = [], x in (None, "usd")
    if row.get("much_cut"):
        notes.append("much cut off: read accuracy with the budget")
    if row.get("tied"):
        notes.append("as cheap and as accurate as another one here")
    if row["partial"]:
        notes.append(f"partial: {fmt.count(row['n_questions'])} of {fmt.plural(row['n_planned'], 'question')}")
    if drawn := fmt.draws(row.get("n_draws")):
        notes.append(drawn)
    if row["simulated"]:
        notes.append("simulated model")
    if row.get("idle"):
        notes.append(names.IDLE)
    if row.get("mechanism"):
        notes.append(str(row["mechanism"]))
    # An empty cell has no price because it has no question.
    if row["usd"] is None and row["n_questions"] and priced:
        notes.append("price unknown")
    elif row["usd_assumed"] and priced:
        notes.append("assumed price")
    return notes


def evidence_table(asked: str, evidence: pl.DataFrame, x: str, axis: str | None = None) -> pl.DataFrame:
    """What an answer was read off, in readable columns (`asked`: `Advice.asked`); `axis` counts the budgets of 'beats'.

    Settings that a larger budget did not change are told once, at the smallest."""
    import polars as pl

    if {"condition_id", "x", "accuracy"} <= set(evidence.columns):
        evidence = evidence.unique(["condition_id", "x", "accuracy"], keep="first", maintain_order=True)
    rows = [_evidence(asked, row, AXES[x], str(axis)) for row in evidence.to_dicts()]
    return pl.DataFrame(rows, infer_schema_length=None)


def _evidence(asked: str, row: Row, lens: Lens, axis: str) -> dict[str, Any]:
    """A row of evidence; each question has columns of its own."""

    def bound(value: float | None, infinite: str = NO_BOUND) -> str:
        return infinite if value is not None and math.isinf(value) else lens.form(value)

    unit = "$ per 1,000 questions" if lens.money else lens.per.removesuffix(" per question")
    if asked in ("per_right", "next_point"):
        low, high, cost = (None if row[part] is None else row[part] * lens.scale for part in ("low", "high", "cost"))
        interval = {"95% interval": fmt.interval(low, high, bound)}
    elif asked in ("without", "price", "beats"):
        interval = {"95% interval": fmt.interval(row["low"], row["high"], fmt.points)}
    if asked in ("reach", "under", "per_right"):
        setting = {
            "Setting": cell_name(row, lambda one: str(one["name"])),
            _spend_title(lens): row["x"] * lens.scale,
            "Accuracy, %": in_percent(row["accuracy"]),
            "Questions": row["n_questions"],
        }
        if asked == "reach":
            ends = {"At least, joint, %": in_percent(row["least"]), "At most, joint, %": in_percent(row["most"])}
            return setting | {"Reaches it": "yes" if row["reaches"] else ""} | ends
        if asked == "under":
            standing = "best seen" if row["behind"] == 0 else "may be as good" if row["maybe_best"] else "beaten"
            return setting | {"Behind, points": in_percent(row["behind"]), "Standing": standing}
        title = "Cost of 1,000 right answers, $" if lens.money else f"Cost of a right answer, {unit}"
        cheapest = {"Standing": "may be the cheapest" if row["maybe_best"] else "beaten"}
        shares = {"Never right, %": in_percent(row["unsolved"])}
        return setting | {title: bound(cost, "infinite"), **interval, **cheapest, **shares}
    if asked == "next_point":
        ends = {"From, %": in_percent(row["accuracy_from"]), "To, %": in_percent(row["accuracy_to"])}
        return {"From": row["from_"], "To": row["to"], **ends, f"A point more, {unit}": bound(cost), **interval}
    if asked == "beats":
        return {
            "Budget": fmt.budget(row["budget"], axis),
            "Difference, points": in_percent(row["difference"]),
            **interval,
            "Difference, p": None if row["p_value"] is None else float(f"{row['p_value']:.2g}"),
            "Questions": row["n"],
        }
    # What is lost without a setting or at another price; the last row, without a spend, is over all of them.
    spent = "hypervolume, share of its box" if row["x"] is None else lens.form(row["x"] * lens.scale)
    sides = {"Now, %": in_percent(row["before"]), "Then, %": in_percent(row["after"])}
    return {_spend_title(lens): spent, **sides, "Lost, points": in_percent(row["lost"]), **interval}


def _spend_title(lens: Lens) -> str:
    return f"{lens.title}{', $' if lens.money else ''}"


def in_percent(value: float | None) -> float | None:
    """A share in percent, or a difference of shares in points, to a tenth."""
    return None if value is None else round(100 * value, 1)
