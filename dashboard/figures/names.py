"""What to call a cell on a figure: as short as keeps it apart from the others shown; plain text, not yet escaped."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.figures.lettering import plain, short_model
from engine.core import text as fmt

Row = Mapping[str, Any]
Variant = tuple[str, str, str, str]

__all__ = ["Name", "Row", "name_rows", "short_models", "variant"]


@dataclass(frozen=True, slots=True)
class Name:
    """A cell's name on the figure (`short`) and in full, for hover texts; `again` where the same condition is named
    beside it already, `at` its budget alone (empty when it is the only one shown)."""

    short: str
    full: str
    again: str
    at: str


def variant(row: Row) -> Variant:
    """What is the same along all budgets of a condition: task, strategy, model, parameters."""
    return str(row["task"]), str(row["strategy"]), str(row["model"]), str(row.get("params") or "{}")


def short_models(models: Sequence[str]) -> dict[str, str]:
    """The short form of each model name; the full one where two would look the same."""
    short = {model: short_model(model) for model in dict.fromkeys(models)}
    twice = {s for s in short.values() if list(short.values()).count(s) > 1}
    return {model: plain(model) if s in twice else s for model, s in short.items()}


def name_rows(rows: Sequence[Row]) -> tuple[Name, ...]:
    """Names for all cells of a figure: model, task, parameters and budget appear only where they tell cells apart."""
    models = short_models([str(row["model"]) for row in rows])
    tasks = {str(row["task"]) for row in rows}
    knobs, budgets = _knobs_that_differ(rows), _variants_at_several_budgets(rows)
    names = []
    for row in rows:
        key = variant(row)
        strategy = plain(str(row["strategy"])) + knobs.get(key, "")
        model, task = models[str(row["model"])], plain(str(row["task"]))
        simulated = bool(row.get("simulated"))
        solver = f"{model} (simulated)" if simulated else model
        at = f" @{fmt.budget(row['budget'], str(row['axis']))}" if key in budgets else ""
        lone = "simulated" if simulated else ""
        place = task if len(tasks) > 1 else ""
        short = _joined(strategy, solver if len(models) > 1 else lone, place)
        again = _joined(strategy, model if len(models) > 1 else "", place)
        names.append(Name(short + at, _joined(strategy, solver, task) + at, again + at, at.strip()))
    return tuple(names)


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


def _variants_at_several_budgets(rows: Sequence[Row]) -> set[Variant]:
    seen: dict[Variant, set[Any]] = defaultdict(set)
    for row in rows:
        seen[variant(row)].add((row["axis"], row["budget"]))
    return {key for key, budgets in seen.items() if len(budgets) > 1}


def _knobs_that_differ(rows: Sequence[Row]) -> dict[Variant, str]:
    """For strategies shown with several parameter sets: the parameters that differ, ` samples=8`."""
    kin: dict[tuple[str, str, str], list[Variant]] = defaultdict(list)
    for key in dict.fromkeys(variant(row) for row in rows):
        kin[key[:3]].append(key)
    told: dict[Variant, str] = {}
    for keys in kin.values():
        if len(keys) > 1:
            told |= _tell_apart(keys)
    return told


def _tell_apart(keys: Sequence[Variant]) -> dict[Variant, str]:
    knobs = {key: _read(key[3]) for key in keys}
    every = sorted({name for settings in knobs.values() for name in settings})
    differing = [n for n in every if len({json.dumps(s.get(n), default=str) for s in knobs.values()}) > 1]
    return {
        key: " " + plain(", ".join(f"{n}={settings[n]}" for n in differing if n in settings), 32)
        for key, settings in knobs.items()
    }


def _read(params: str) -> dict[str, Any]:
    try:
        found = json.loads(params)
    except ValueError:
        return {"params": params}
    return found if isinstance(found, dict) else {"params": found}
