"""Whether the mechanism a strategy is named for was at work: rates of the facts that its trials state of it.

A fact says either that what the mechanism rests on was there ('estimate read'), or that it changed what was done
('escalated'). A vote that never disagreed is no fault of the strategy; an estimate that can never be read is: only the
first kind can show that a setting did not do what its name says. Reads no database.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from engine.analysis.stats import Sums, accuracy_interval
from engine.core import names, text

MECHANISM_SCHEMA: dict[str, Any] = {
    **dict.fromkeys(("condition_id", "axis"), pl.String),
    "budget": pl.Int64,
    **dict.fromkeys(("kind", "fact"), pl.String),
    **dict.fromkeys(("n_questions", "n_trials"), pl.Int64),
    **dict.fromkeys(("share", "low", "high"), pl.Float64),
    "idle": pl.Boolean,
}
IDLE_BELOW = 0.2
"""Where the mechanism could have worked surely on a smaller share of the questions, the setting is idle."""


def mechanisms(stated: pl.DataFrame, clusters: Mapping[int, str]) -> pl.DataFrame:
    """One row per (condition, budget, fact), columns MECHANISM_SCHEMA; see `Results.mechanisms`.

    `stated`: rows of `queries.facts`; `clusters`: by question_no, the cluster it is of."""
    key = ["condition_id", "axis", "budget", "kind", "fact"]
    each = stated.group_by(*key, "question_no", maintain_order=True).agg(pl.col("holds").mean(), n=pl.len())
    # Questions of one cluster are one thing asked, as for accuracies.
    named = each.with_columns(cluster=pl.col("question_no").replace_strict(clusters, return_dtype=pl.String))
    rows: list[dict[str, Any]] = []
    for values, part in named.group_by(key, maintain_order=True):
        by_cluster = part.group_by("cluster", maintain_order=True).agg(pl.col("holds").sum(), q=pl.len())
        sums = Sums.of(by_cluster["holds"].to_numpy().astype(float), by_cluster["q"].to_numpy().astype(np.float64))
        low, high = accuracy_interval(sums, float(part["n"].sum()))
        row = dict(zip(key, values, strict=True)) | {"n_questions": part.height, "n_trials": part["n"].sum()}
        idle = row["kind"] == "could_work" and high < IDLE_BELOW
        rows.append(row | {"share": sums.mean, "low": low, "high": high, "idle": idle})
    return pl.DataFrame(rows, schema=MECHANISM_SCHEMA).sort(*key[:4], "fact", descending=[False] * 3 + [True, False])


def told(cells: pl.DataFrame, rates: pl.DataFrame) -> pl.DataFrame:
    """Cells with their mechanism in words, one phrase a fact, and whether any of them shows the setting idle."""
    if rates.is_empty():
        return cells
    key = ["condition_id", "axis", "budget"]
    words = pl.Series("mechanism", [_phrase(row) for row in rates.iter_rows(named=True)], dtype=pl.String)
    by_cell = (
        rates.with_columns(words)
        .group_by(key, maintain_order=True)
        .agg(pl.col("mechanism").str.join("; "), pl.col("idle").any())
    )
    joined = cells.drop("mechanism", "idle").join(by_cell, on=key, how="left", maintain_order="left")
    return joined.select(cells.columns)


def _phrase(row: Mapping[str, Any]) -> str:
    """`estimate read: 17% (13–22) of 240 questions`."""
    share = partial(text.accuracy, n=row["n_questions"])
    asked = text.plural(row["n_questions"], "question")
    interval = text.interval(row["low"], row["high"], share)
    return f"{names.fact(row['fact'])}: {share(row['share'])} {interval} of {asked}"
