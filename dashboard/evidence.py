"""What an answer was read off, as a table people can read: one column per measured thing, units in the titles.

Pure: frames in, frames out. Spends are those of the figure (money per 1,000 questions); infinite is written out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dashboard import format as fmt
from dashboard.figures import AXES
from dashboard.figures.axes import Lens
from dashboard.tables import cell_name

if TYPE_CHECKING:
    import polars as pl

Row = Mapping[str, Any]
NO_BOUND = "no bound"

__all__ = ["NO_BOUND", "evidence_table"]


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
        "Setting": cell_name(row), _spent(lens): _number(row["x"] * lens.scale), "Accuracy, %": _share(row["accuracy"]),
        "Questions": row["n_questions"],
    }  # fmt: skip


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
        "From": row["from_"], "To": row["to"], "From, %": _share(row["accuracy_from"]),
        "To, %": _share(row["accuracy_to"]), f"A point more, {_unit(lens)}": _bound(row["cost"] * lens.scale, lens),
        "95% interval": _range(row, lens),
    }  # fmt: skip


def _lost(row: Row, lens: Lens) -> dict[str, Any]:
    spent = "hypervolume, share of its box" if row["x"] is None else lens.form(row["x"] * lens.scale)
    ends = fmt.interval(row["low"], row["high"], lambda end: fmt.number(100 * (end or 0)))
    return {
        _spent(lens): spent, "Now, %": _share(row["before"]), "Then, %": _share(row["after"]),
        "Lost, points": _share(row["lost"]), "95% interval": ends,
    }  # fmt: skip


def _beats(row: Row, lens: Lens) -> dict[str, Any]:
    ends = fmt.interval(row["low"], row["high"], lambda end: fmt.number(100 * (end or 0)))
    return {
        "Budget": fmt.budget(row["budget"], str(row["_axis"])), "Difference, points": _share(row["difference"]),
        "95% interval": ends, "Mid-p": None if row["p_value"] is None else float(f"{row['p_value']:.2g}"),
        "Questions": row["n"],
    }  # fmt: skip


_ROWS: dict[str, Callable[[Row, Lens], dict[str, Any]]] = {
    "reach": _reach, "under": _under, "per_right": _right, "next_point": _next, "without": _lost, "price": _lost,
    "beats": _beats,
}  # fmt: skip


def _spent(lens: Lens) -> str:
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
