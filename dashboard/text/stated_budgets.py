"""What pages say about told budgets: how often they are kept, whether use rises again below some floor, the tables.

Pure: frames in, text and frames out. Owns what a told series is held against: accuracy at the same told budget, and
the chain of thought of the same model that is told nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from dashboard.figures.lettering import short_model
from dashboard.figures.stated_budgets import KEY, SURE
from engine.core import names
from engine.core import text as fmt

if TYPE_CHECKING:
    import polars as pl

Row = Mapping[str, Any]
UNTOLD = "chain_of_thought"
TOLD = "told_tokens"
RUN = """[[strategies]]
name = "told_budget"
told_tokens = [2, 4, 8, 16, 32, 64, 128, 256]"""
"""How a study tells budgets."""
OURS = (
    "kept: at most what was told, mean over told budgets · elasticity is our own number: d ln(used) / d ln(told) with "
    "a level for each question, so 1 follows what is told, 0 ignores it, and below 0 asking for less gets more"
)

__all__ = ["OURS", "RUN", "accuracy_told", "heading", "points_table", "sentences", "summary_table", "untold"]


def accuracy_told(points: pl.DataFrame, cells: pl.DataFrame, told: Sequence[Row]) -> pl.DataFrame:
    """Accuracy at each told budget, read at the largest wall: the columns `told_info` takes.

    `told`: conditions with the tokens they tell in `told`; those a model states itself have none."""
    import polars as pl

    last = {row["condition_id"]: row for row in cells.sort("budget").to_dicts()}
    settings = {name: json.loads(name) for name in set(points["settings"])}
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in told:
        cell, mine = last.get(row["condition_id"]), _settings(row)
        name = next((name for name, known in settings.items() if known == mine), None)
        if cell is not None and name is not None and row["told"] is not None and cell["accuracy"] is not None:
            key = (*(row[part] for part in KEY[:3]), name, float(row["told"]))
            if key not in found or found[key]["budget"] < cell["budget"]:
                found[key] = dict(zip((*KEY, "told"), key, strict=True)) | {part: cell[part] for part in _CELL}
    schema: dict[str, Any] = {
        **dict.fromkeys(KEY, pl.String),
        "told": pl.Float64,
        **dict.fromkeys(_CELL[:3], pl.Float64),
        "n_questions": pl.Int64,
        "condition_id": pl.String,
        "budget": pl.Int64,
    }
    return pl.DataFrame(list(found.values()), schema=schema)


_CELL = ("accuracy", "accuracy_low", "accuracy_high", "n_questions", "condition_id", "budget")


def untold(points: pl.DataFrame, cells: pl.DataFrame, conditions: pl.DataFrame) -> pl.DataFrame:
    """For each series the chain of thought it is held against: columns KEY, used, accuracy.

    Of the same task and model; of the same longest chain and prompting where there is one; on most questions."""
    import polars as pl

    plain = conditions.filter(strategy=UNTOLD).select("condition_id", "prompting")
    rows = cells.sort("budget").unique("condition_id", keep="last").join(plain, on="condition_id").to_dicts()
    found = []
    for key in points.select(KEY).unique(maintain_order=True).to_dicts():
        mine = [row for row in rows if row["task"] == key["task"] and row["model"] == key["model"]]
        if mine:
            wanted = json.loads(key["settings"])
            best = max(mine, key=partial(_alike, wanted))
            found.append(key | {"used": best["output_tokens"], "accuracy": best["accuracy"]})
    schema: dict[str, Any] = {**dict.fromkeys(KEY, pl.String), "used": pl.Float64, "accuracy": pl.Float64}
    return pl.DataFrame(found, schema=schema)


def _alike(wanted: Mapping[str, Any], row: Row) -> tuple[bool, bool, int]:
    chain = json.loads(row["params"]).get("chain_tokens")
    return row["prompting"] == wanted.get("prompting"), chain == wanted.get("chain_tokens"), row["n_questions"] or 0


def _settings(row: Row) -> dict[str, Any]:
    """What two conditions share that differ in the told budget alone, as `Results.elasticity` names it."""
    params = {name: value for name, value in json.loads(row["params"]).items() if name != TOLD}
    return {**params, "version": row["version"], "prompting": row["prompting"]}


def heading(points: pl.DataFrame, summary: pl.DataFrame) -> str:
    """The finding of the series shown, in one sentence; that of a single one has its n and interval."""
    rows = summary.to_dicts()
    if len(rows) == 1:
        return f"{short_model(rows[0]['model'])} on {_sentence(points, rows[0])}"
    kept = [share for row in rows if (share := _kept(points, row)[0]) is not None]
    if not kept:
        return "Too few told budgets to compare yet"
    found = sum(_rebounds(row) for row in rows)
    spread = f"{fmt.percent(min(kept))} to {fmt.percent(max(kept))}"
    many = fmt.plural(len(rows), "series", "series")
    said = f"use rises again below some floor in {found or 'none'} of {many}"
    return f"A told budget is kept in {spread} of replies; {said}"


def sentences(points: pl.DataFrame, summary: pl.DataFrame) -> list[str]:
    """One for each of several series."""
    rows = summary.to_dicts()
    several = summary["model"].n_unique() > 1 if rows else False
    names = [f"{short_model(row['model'])} on " if several else "" for row in rows]
    return [f"{name}{_sentence(points, row)}." for name, row in zip(names, rows, strict=True)] if len(rows) > 1 else []


def _sentence(points: pl.DataFrame, row: Row) -> str:
    share, low, high = _kept(points, row)
    kept = f"kept in {fmt.percent(share)} {_ends(low, high, fmt.percent)} of replies".replace("  ", " ")
    ends = _ends(row["elasticity_low"], row["elasticity_high"], _signed)
    slope = f"elasticity (ours) {_signed(row['elasticity'])} {ends}".rstrip()
    return f"{names.task(row['task'])}: {kept}, {_rebound(row)}, {slope}"


def _rebound(row: Row) -> str:
    n = fmt.plural(row["n_questions"], "question")
    if row["p_rebound"] is None:
        return f"too few questions with every told budget to look for a rebound ({n})"
    floor = f"{fmt.number(row['floor'])} tokens"
    if not _rebounds(row):
        where = "down to" if row["floor"] == row["least_told"] else "below"
        return f"no rebound {where} {floor} seen in {n} (p = {fmt.number(row['p_rebound'], 2)})"
    more = f"{fmt.number(row['rebound'])} {_ends(row['rebound_low'], row['rebound_high'], fmt.number)} tokens more"
    return f"use rises again below {floor}: {more} when told {fmt.number(row['least_told'])}, on {n}"


def _rebounds(row: Row) -> bool:
    return row["p_rebound"] is not None and row["p_rebound"] <= SURE


def _kept(points: pl.DataFrame, row: Row) -> tuple[float | None, float | None, float | None]:
    """Share of replies within what was told, every told budget counting alike.

    The ends are means of ends, which is never too narrow: told budgets share their questions."""
    mine = points.filter(stated=False, **{name: row[name] for name in KEY})
    share, low, high = (mine[f"obeyed{end}"].mean() for end in ("", "_low", "_high"))
    return tuple(None if value is None else float(value) for value in (share, low, high))  # type: ignore[return-value,arg-type]


def points_table(points: pl.DataFrame, accuracy: pl.DataFrame) -> pl.DataFrame:
    """One row per told budget of a series, readable."""
    import polars as pl

    scored = {(*(row[name] for name in KEY), row["told"]): row for row in accuracy.to_dicts()}
    return pl.DataFrame(
        [_point(row, scored.get((*(row[name] for name in KEY), row["told"]), {})) for row in points.to_dicts()],
        infer_schema_length=None,
    )


def _point(row: Row, cell: Row) -> dict[str, Any]:
    notes = (
        "stated by the model itself" if row["stated"] else "",
        f"{fmt.count(row['n_untold'])} replies stated none" if row["n_untold"] else "",
        f"{fmt.percent(row['capped'])} cut by their own cap" if row["capped"] else "",
        "simulated model" if row["simulated"] else "",
    )
    return {
        "Task": row["task"],
        "Model": short_model(row["model"]),
        "Strategy": row["strategy"],
        "Told tokens": _three(row["told"]),
        "Used tokens": _three(row["used"]),
        "Used, 95% interval": _ends(row["used_low"], row["used_high"], fmt.number),
        "Kept, %": _share(row["obeyed"]),
        "Kept, 95% interval": _ends(row["obeyed_low"], row["obeyed_high"], fmt.percent),
        "Accuracy, %": _share(cell.get("accuracy")),
        "Accuracy, 95% interval": _ends(cell.get("accuracy_low"), cell.get("accuracy_high"), fmt.percent),
        "Scored questions": cell.get("n_questions"),
        "Questions": row["n_questions"],
        "Notes": " · ".join(note for note in notes if note),
    }


def summary_table(summary: pl.DataFrame) -> pl.DataFrame:
    """One row per series, readable."""
    import polars as pl

    rows = [
        {
            "Task": row["task"],
            "Model": short_model(row["model"]),
            "Strategy": row["strategy"],
            "Told": f"{fmt.number(row['least_told'])} – {fmt.number(row['most_told'])}",
            "Elasticity (ours)": None if row["elasticity"] is None else round(row["elasticity"], 3),
            "95% interval": _ends(row["elasticity_low"], row["elasticity_high"], _signed),
            "Least use when told": _three(row["floor"]),
            "Rebound below it": "found" if _rebounds(row) else "not found" if row["p_rebound"] is not None else "",
            "Chance by luck, p": None if row["p_rebound"] is None else round(row["p_rebound"], 3),
            "Questions": row["n_questions"],
        }
        for row in summary.to_dicts()
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def _signed(value: float | None) -> str:
    return fmt.UNKNOWN if value is None else f"{value:.2f}".replace("-", fmt.MINUS)


def _ends(low: float | None, high: float | None, form: Any) -> str:
    return fmt.interval(low, high, form)


def _three(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.3g}")


def _share(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 1)
