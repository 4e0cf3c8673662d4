"""What pages say about told budgets: how often they are kept, whether use rises again below some floor, the tables.

Pure: frames in, text and frames out. A told series is held against its accuracy at the same told budget, and against
the chain of thought of the same model that is told nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from dashboard.figures.lettering import short_model
from dashboard.figures.stated_budgets import KEY, SURE
from dashboard.text.tables import in_percent
from engine.core import names
from engine.core import text as fmt

if TYPE_CHECKING:
    import polars as pl

Row = Mapping[str, Any]
UNTOLD = "chain_of_thought"
TOLD = "told_tokens"
CELL = ("accuracy", "accuracy_low", "accuracy_high", "n_questions", "condition_id", "budget")
"""What `told_info` takes of the cell a told budget is scored in."""
RUN = """[[strategies]]
name = "told_budget"
told_tokens = [2, 4, 8, 16, 32, 64, 128, 256]"""
"""How a study tells budgets."""
OURS = (
    "kept: at most what was stated, mean over stated budgets · elasticity is our own number: 1 follows what is stated, "
    "0 ignores it, below 0 asking for less gets more (slope of log used on log stated, with a level for each question) "
    "· p is corrected for all series shown (Holm)"
)

__all__ = ["OURS", "RUN", "accuracy_told", "advice", "heading", "points_table", "sentences", "summary_table", "untold"]


def accuracy_told(points: pl.DataFrame, cells: pl.DataFrame, told: Sequence[Row]) -> pl.DataFrame:
    """Accuracy at each told budget, read at the largest wall: the columns `told_info` takes.

    `told`: conditions with the tokens they tell in `told`; those a model states itself have none."""
    import polars as pl

    last = {row["condition_id"]: row for row in cells.sort("budget").to_dicts()}
    settings = {name: json.loads(name) for name in set(points["settings"])}
    scored: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in told:
        # What conditions share that differ in the told budget alone, as `Results.elasticity` names it.
        shared = {name: value for name, value in json.loads(row["params"]).items() if name != TOLD}
        shared |= {"version": row["version"], "prompting": row["prompting"]}
        cell = last.get(row["condition_id"])
        name = next((name for name, known in settings.items() if known == shared), None)
        if cell is not None and name is not None and row["told"] is not None and cell["accuracy"] is not None:
            # Two conditions may tell the same budget under other walls; the larger wall cuts less.
            key = (*(row[part] for part in KEY[:3]), name, float(row["told"]))
            if key not in scored or scored[key]["budget"] < cell["budget"]:
                scored[key] = dict(zip((*KEY, "told"), key, strict=True)) | {part: cell[part] for part in CELL}
    schema: dict[str, Any] = dict.fromkeys(KEY, pl.String) | dict.fromkeys(("told", *CELL[:3]), pl.Float64)
    schema |= {"n_questions": pl.Int64, "condition_id": pl.String, "budget": pl.Int64}
    return pl.DataFrame(list(scored.values()), schema=schema)


def untold(points: pl.DataFrame, cells: pl.DataFrame, conditions: pl.DataFrame) -> pl.DataFrame:
    """For each series the chain of thought it is held against: columns KEY, used, accuracy."""
    import polars as pl

    # At the largest budget each has: a chain of thought that a budget cuts uses less than it would.
    plain = conditions.filter(strategy=UNTOLD).select("condition_id", "prompting")
    rows = cells.sort("budget").unique("condition_id", keep="last").join(plain, on="condition_id").to_dicts()
    against = []
    for key in points.select(KEY).unique(maintain_order=True).to_dicts():
        wanted = json.loads(key["settings"])
        best, most_alike = None, (False, False, -1)
        for row in rows:
            if (row["task"], row["model"]) == (key["task"], key["model"]):
                # Of the same prompting and longest chain where there is one; on most questions.
                chain = json.loads(row["params"]).get("chain_tokens") == wanted.get("chain_tokens")
                alike = (row["prompting"] == wanted.get("prompting"), chain, row["n_questions"] or 0)
                if alike > most_alike:
                    best, most_alike = row, alike
        if best is not None:
            against.append(key | {"used": best["output_tokens"], "accuracy": best["accuracy"]})
    schema: dict[str, Any] = {**dict.fromkeys(KEY, pl.String), "used": pl.Float64, "accuracy": pl.Float64}
    return pl.DataFrame(against, schema=schema)


HEEDED = 0.25
"""Elasticity under which, at the upper end of its interval, a stated budget is not heeded: ten times the number stated
changes the tokens used by less than 1.8 times."""


def heading(points: pl.DataFrame, summary: pl.DataFrame) -> str:
    """The finding of the series shown, in at most 18 words: whether stated budgets are heeded, and kept."""
    rows = summary.to_dicts()
    shares = [share for row in rows if (share := _kept(points, row)[0]) is not None]
    if not shares:
        return "Too few stated budgets to compare yet"
    models = {short_model(row["model"]) for row in rows}
    ends = [row["elasticity_high"] for row in rows]
    least, most = (pick(row[end] for row in rows) for pick, end in ((min, "least_told"), (max, "most_told")))
    span = f"from {fmt.number(least)} to {fmt.number(most)} stated tokens"
    if rebounds := sum(_rebounds(row) for row in rows):
        many = fmt.plural(len(rows), "series", "series")
        return f"Stating less than some floor costs more, in {fmt.count(rebounds)} of {many}"
    if all(end is not None and end < HEEDED for end in ends):
        if len(models) == 1:
            return f"{models.pop()} ignores a stated budget: {span}, its replies hardly change"
        return f"No model here heeds a stated budget: {span}, replies hardly change"
    low, high = (fmt.accuracy(share, None) for share in (min(shares), max(shares)))
    spread = low if low == high else f"{low} to {high}"
    return f"A stated budget is kept in {spread} of replies, {span}"


def advice(points: pl.DataFrame, summary: pl.DataFrame) -> str:
    """What to do about it, in one line; empty where too few budgets are stated to say."""
    rows = [row for row in summary.to_dicts() if _kept(points, row)[0] is not None]
    if not rows:
        return ""
    if any(map(_rebounds, rows)):
        return "State no less than the floor of a task, and set a budget that cuts where a limit must hold."
    ends = [row["elasticity_high"] for row in rows]
    if all(end is not None and end < HEEDED for end in ends):
        return "Where length matters, set a budget that cuts: a number in the prompt does not hold replies back."
    if any(row["elasticity_low"] is not None and row["elasticity_low"] > 0 for row in rows):
        return "Stating a budget moves how long replies are; set one that cuts where a limit must hold."
    return "Whether stating a budget moves how long replies are is too close to call; set one that cuts instead."


def sentences(points: pl.DataFrame, summary: pl.DataFrame) -> list[str]:
    """One for each series, with n and intervals."""
    rows = _by_task(summary)
    several = summary["model"].n_unique() > 1 if rows else False
    names = [f"{short_model(row['model'])} on " if several else "" for row in rows]
    return [f"{name}{_sentence(points, row)}." for name, row in zip(names, rows, strict=True)]


def _sentence(points: pl.DataFrame, row: Row) -> str:
    share, low, high = _kept(points, row)
    told = partial(fmt.accuracy, n=row["n_questions"])
    kept = f"kept in {told(share)} {fmt.interval(low, high, told)} of replies".replace("  ", " ")
    n, least = fmt.plural(row["n_questions"], "question"), row["least_told"]
    floor = fmt.quantity(row["floor"], "tokens")
    if row["p_rebound"] is None:
        rebound = f"too few questions with every stated budget to see whether stating less costs more ({n})"
    elif not _rebounds(row):
        where = "down to" if row["floor"] == least else "below"
        rebound = f"no sign {where} {floor} that stating less costs more ({n}, p {fmt.p_value(row['p_adjusted'])})"
    else:
        more = fmt.interval(row["rebound_low"], row["rebound_high"], fmt.number)
        rebound = f"use rises again below {floor}: {fmt.number(row['rebound'])} {more} tokens more when stated"
        rebound += f" {fmt.number(least)}, on {n}"
    ends = fmt.interval(row["elasticity_low"], row["elasticity_high"], _signed)
    slope = f"elasticity {_signed(row['elasticity'])} {ends}".rstrip()
    return f"{names.task(row['task'])}: {kept}, {rebound}, {slope}"


def _rebounds(row: Row) -> bool:
    return row["p_adjusted"] is not None and row["p_adjusted"] <= SURE


def _kept(points: pl.DataFrame, row: Row) -> list[float | None]:
    """Share of replies within what was told, every told budget counting alike, and the ends of its interval."""
    # What a model states itself it was not told, so it cannot have kept to it.
    series = points.filter(stated=False, **{name: row[name] for name in KEY})
    # Means of ends, which is never too narrow: told budgets share their questions.
    means: list[Any] = [series[f"obeyed{end}"].mean() for end in ("", "_low", "_high")]
    return [None if mean is None else float(mean) for mean in means]


def points_table(points: pl.DataFrame, accuracy: pl.DataFrame) -> pl.DataFrame:
    """One row per told budget of a series, readable."""
    import polars as pl

    place = (*KEY, "told")
    scored: dict[tuple[Any, ...], Row] = {tuple(row[name] for name in place): row for row in accuracy.to_dicts()}
    rows = []
    for row in _by_task(points):
        cell, n = scored.get(tuple(row[name] for name in place), {}), row["n_questions"]
        accuracy_ends = (cell.get("accuracy_low"), cell.get("accuracy_high"))
        notes = (
            "stated by the model itself" if row["stated"] else "",
            f"{fmt.count(row['n_untold'])} replies stated none" if row["n_untold"] else "",
            f"{fmt.accuracy(row['capped'], n)} cut by their own cap" if row["capped"] else "",
            "simulated model" if row["simulated"] else "",
        )
        readable = {
            "Task": names.task(row["task"]),
            "Model": short_model(row["model"]),
            "Strategy": names.strategy(row["strategy"]),
            "Stated tokens": row["told"],
            "Used tokens": row["used"],
            "Used, 95% interval": fmt.interval(row["used_low"], row["used_high"], fmt.number),
            "Kept, %": in_percent(row["obeyed"]),
            "Kept, 95% interval": fmt.interval(row["obeyed_low"], row["obeyed_high"], partial(fmt.accuracy, n=n)),
            "Accuracy, %": in_percent(cell.get("accuracy")),
            "Accuracy, 95% interval": fmt.interval(*accuracy_ends, partial(fmt.accuracy, n=n)),
            "Scored questions": cell.get("n_questions"),
            "Questions": row["n_questions"],
            "Notes": " · ".join(note for note in notes if note),
        }
        rows.append(readable)
    return pl.DataFrame(rows, infer_schema_length=None)


def summary_table(summary: pl.DataFrame) -> pl.DataFrame:
    """One row per series, readable."""
    import polars as pl

    rows = [
        {
            "Task": names.task(row["task"]),
            "Model": short_model(row["model"]),
            "Strategy": names.strategy(row["strategy"]),
            "Stated": f"{fmt.number(row['least_told'])}–{fmt.number(row['most_told'])}",
            "Elasticity": None if row["elasticity"] is None else round(row["elasticity"], 3),
            "95% interval": fmt.interval(row["elasticity_low"], row["elasticity_high"], _signed),
            "Least use when stated": row["floor"],
            "Costs more below it": "found" if _rebounds(row) else "not found" if row["p_rebound"] is not None else "",
            "p": row["p_rebound"],
            "p, Holm": row["p_adjusted"],
            "Questions": row["n_questions"],
        }
        for row in _by_task(summary)
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def _by_task(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Its rows in the order of the panels: by the names of their tasks."""
    return sorted(frame.to_dicts(), key=lambda row: names.task(str(row["task"])))


def _signed(value: float | None) -> str:
    return fmt.UNKNOWN if value is None else f"{value:.2f}".replace("-", fmt.MINUS)
