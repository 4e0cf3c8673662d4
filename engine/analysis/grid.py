"""Which condition is read at which budgets, and what it is called.

Owns labels and default budgets. Works on lists of conditions and runs; never touches a trial.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from engine.analysis.lens import READING_AXES, ReadingAxis
from engine.calibration import LABEL
from engine.errors import UnknownName, UsageError
from engine.lineups import ARROW, called

Row = dict[str, Any]
FILTERS = ("condition_id", "task", "model", "strategy", "anytime", "simulated")
"""Columns `cells` and `frontier` can be narrowed by: one value or several."""

_SCHEMA: dict[str, Any] = {
    "condition_id": pl.String, "axis": pl.String, "anytime": pl.Boolean, "budgets": pl.List(pl.Int64),
}  # fmt: skip


def described(conditions: pl.DataFrame) -> list[Row]:
    """Conditions with `label` and `simulated`; params and line-up stay JSON text.

    `model` is the solver's name, or 'small → large' for a line-up of several; `simulated`: any of them is scripted.
    """
    rows = [{**row, "model": _played(row)} for row in conditions.to_dicts()]
    names = _labels(rows)
    return [
        {**row, "label": name, "simulated": any(m.startswith("scripted/") for m in row["model"].split(ARROW))}
        for row, name in zip(rows, names, strict=True)
    ]


def _played(row: Row) -> str:
    """All models of a condition that has several."""
    players = json.loads(row["lineup"])
    return called(name for _, name, _ in players) if len(players) > 1 else str(row["model"])


def _short(model: str) -> str:
    """Without the providers: 'openai/a → b/c' is 'a → c'."""
    return called(name.rsplit("/", 1)[-1] for name in model.split(ARROW))


def _labels(rows: Sequence[Row]) -> list[str]:
    """Strategy with the parameters that tell conditions apart, model if there are several; made unique by the id."""
    varying = _varying(rows)
    many = len({row["model"] for row in rows}) > 1
    names = [_label(row, varying[row["strategy"]], many) for row in rows]
    twins: dict[tuple[str, str], list[Row]] = {}
    for row, name in zip(rows, names, strict=True):
        twins.setdefault((row["task"], name), []).append(row)
    return [f"{name}{_told(row, twins[row['task'], name])}" for row, name in zip(rows, names, strict=True)]


def _told(row: Row, twins: Sequence[Row]) -> str:
    """What tells a condition from others of the same name: nothing, its wall, or the start of its id."""
    if len(twins) == 1:
        return ""
    if len({_wall(twin) for twin in twins}) == len(twins):
        return f" · {_wall(row)}"
    return f" · {row['condition_id'].rsplit('-', 1)[-1][:6]}"


def _label(row: Row, varying: Iterable[str], many: bool) -> str:
    params = json.loads(row["params"])
    shown = ", ".join(f"{name}={params[name]}" for name in varying if name in params)
    name = f"{row['strategy']}({shown})" if shown else str(row["strategy"])
    return f"{name} · {_short(row['model'])}" if many else name


def _varying(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Per strategy the parameters that take more than one value."""
    seen: dict[str, dict[str, set[str]]] = {}
    for row in rows:
        mine = seen.setdefault(row["strategy"], {})
        for name, value in json.loads(row["params"]).items():
            mine.setdefault(name, set()).add(json.dumps(value))
    return {s: sorted(name for name, values in mine.items() if len(values) > 1) for s, mine in seen.items()}


def _wall(row: Row) -> str:
    return f"${row['budget'] / 1e12:.3g}" if row["axis"] == "usd" else f"{row['budget']:,} {row['axis']}"


def chosen(rows: Iterable[Row], filters: Mapping[str, Any]) -> list[Row]:
    """The conditions every filter lets through; None lets all through.

    Those of calibrations, which use targets, only where a filter names them by id or by strategy."""
    for name in filters:
        if name not in FILTERS:
            raise UnknownName("filter", name, FILTERS)
    wanted = {name: _several(value) for name, value in filters.items() if value is not None}
    named = not wanted.keys().isdisjoint(("condition_id", "strategy"))
    shown = [row for row in rows if named or row["strategy"] != LABEL]
    return [row for row in shown if all(row[name] in values for name, values in wanted.items())]


def _several(value: Any) -> list[Any]:
    return [value] if isinstance(value, str | bool | int) else list(value)


def checked_axis(axis: str | None) -> ReadingAxis | None:
    """A known axis, or None for each condition's own; raises UnknownName."""
    for known in READING_AXES:
        if axis == known:
            return known
    if axis is None:
        return None
    raise UnknownName("axis", axis, READING_AXES)


def grid(
    conditions: Iterable[Row],
    studies: Mapping[str, str],
    axis: ReadingAxis | None = None,
    budgets: Sequence[int] | None = None,
    derive: Callable[[pl.DataFrame], Mapping[str, list[int]]] | None = None,
) -> pl.DataFrame:
    """Columns condition_id, axis, anytime, budgets: where each condition is read.

    A condition that is not anytime is read at its own wall only. An anytime one at `budgets`, else at the budgets its
    studies declare for the axis, else at what `derive` makes of the walls its trials reach.
    """
    if budgets is not None and any(b < 0 for b in budgets):
        raise UsageError(f"A budget must be 0 or more, not {min(budgets)}.")
    rows = [_entry(c, studies, axis, budgets) for c in conditions]
    open_rows = [row for row in rows if not row["budgets"]]
    if open_rows and derive and budgets is None:
        found = derive(pl.DataFrame(open_rows, schema=_SCHEMA))
        for row in open_rows:
            row["budgets"] = found.get(row["condition_id"], [])
    return pl.DataFrame(rows, schema=_SCHEMA)


def _entry(condition: Row, studies: Mapping[str, str], axis: ReadingAxis | None, budgets: Sequence[int] | None) -> Row:
    own = condition["axis"]
    at = axis if axis and condition["anytime"] else own
    if not condition["anytime"]:
        walls = {condition["budget"]}
    elif budgets is not None:
        walls = set(budgets)
    else:
        walls = declared(condition["run_ids"] or [], studies, at) | ({condition["budget"]} if at == own else set())
    return {name: condition[name] for name in ("condition_id", "anytime")} | {"axis": at, "budgets": sorted(walls)}


def declared(run_ids: Iterable[str], studies: Mapping[str, str], axis: str) -> set[int]:
    """Budgets the studies of these runs declare for an axis (`budgets` with `budget_axis`, in the axis' unit)."""
    plans = [json.loads(studies[run_id]) for run_id in run_ids if run_id in studies]
    return {int(b) for plan in plans if plan.get("budget_axis") == axis for b in plan.get("budgets", ())}


def series(first: int, last: int) -> list[int]:
    """1, 2, 5, 10, 20, ... from `first` to `last`, both ends included: round budgets where nobody declared any."""
    if last < 1:
        return [max(0, last)]
    steps = [m * 10**e for e in range(len(str(last))) for m in (1, 2, 5)]
    return sorted({max(1, first), last, *(s for s in steps if first <= s <= last)})


def planned(rows: Iterable[Row], studies: Mapping[str, str], asked: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """Questions of a condition's task in its runs' studies; by what was asked where no study says."""
    return {
        row["condition_id"]: max((_of_run(run, row["task"], studies, asked) for run in row["run_ids"] or ()), default=0)
        for row in rows
    }


def _of_run(run_id: str, task: str, studies: Mapping[str, str], asked: Mapping[tuple[str, str], int]) -> int:
    plan = json.loads(studies.get(run_id, "{}"))
    said = plan.get("planned_questions", {}).get(task)
    return int(said) if said is not None else asked.get((run_id, task), 0)
