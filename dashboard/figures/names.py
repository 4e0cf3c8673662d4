"""What to call a cell on a figure: as short as keeps it apart from the others shown; plain text, not yet escaped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.figures.lettering import plain
from engine.core import names, text
from engine.core.names import Row, Variant, variant

__all__ = ["Name", "Row", "name_rows", "short_models", "variant"]


@dataclass(frozen=True, slots=True)
class Name:
    """A cell's name on the figure (`short`) and in full, for hover texts; `again` where the same condition is named
    beside it already, `at` its budget alone (empty when it is the only one shown)."""

    short: str
    full: str
    again: str
    at: str


def short_models(models: Sequence[str]) -> dict[str, str]:
    """The short form of each model name; the full one where two would look the same."""
    return {model: plain(name) for model, name in names.models(models).items()}


def name_rows(rows: Sequence[Row]) -> tuple[Name, ...]:
    """Names for all cells of a figure: model, task, parameters and budget appear only where they tell cells apart."""
    budgets: dict[Variant, set[Any]] = defaultdict(set)
    for row in rows:
        budgets[variant(row)].add((row["axis"], row["budget"]))
    named = []
    for row, setting in zip(rows, names.settings(rows), strict=True):
        strategy, task = plain(setting.strategy), plain(setting.task)
        model, told = plain(setting.model), plain(names.model(str(row["model"])))
        at = text.up_to(row["budget"], str(row["axis"])) if len(budgets[variant(row)]) > 1 else ""
        # A simulated model is never taken for a real one, so this is said even where no model is named.
        note = " (simulated)" if row.get("simulated") else ""
        lone = model + note if model else note.strip(" ()")
        short, full, again = (
            " · ".join(filter(None, parts)) + (f", {at}" if at else "")
            for parts in (
                (strategy, lone, task),
                (strategy, told + note, plain(names.task(str(row["task"])))),
                (strategy, model, task),
            )
        )
        named.append(Name(short, full, again, at))
    return tuple(named)
