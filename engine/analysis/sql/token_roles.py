"""Where the tokens of settings went, by the role of the calls: means per answer as it was run, over questions.

Calls that were made count in full, also the part of one that the budget cut off that was paid; a role that an answer
did not use counts 0 for it. Failed and stopped answers are left out, as everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from engine.analysis.stats import Sums, mean_interval
from engine.core import names
from engine.store import frames
from engine.store.sql import IS_LAST, LAST, of_last

if TYPE_CHECKING:
    from engine.store.sql import Connection

PARTS = ("calls", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
ROLE_SCHEMA: dict[str, type[pl.DataType]] = {
    "condition_id": pl.String,
    "role": pl.String,
    **dict.fromkeys(PARTS, pl.Float64),
    "total_tokens": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "n_answers": pl.Int64,
    "n_questions": pl.Int64,
}
"""low, high: 95% interval of `total_tokens` over questions, null for a single one; role null: all calls together."""

# Repeats of a question are averaged first: questions are the sampling unit.
_SQL = f"""
with latest as (
    select trial_id, attempt, condition_id, question_id, "end" from trials {LAST}
    where {IS_LAST} and condition_id in (select unnest($1::varchar[]))),
scored as (from latest where "end" not in ('failed', 'stopped')),
answers as (select condition_id, question_id, count(*) as answers from scored group by all),
used as (
    select s.condition_id, s.question_id, c.role, {", ".join(f"sum(c.{part})::double as {part}" for part in PARTS)}
    from scored s join calls c using (trial_id, attempt) group by all)
select a.condition_id, q.task, a.question_id, a.answers, u.role,
    {", ".join(f"coalesce(u.{part}, 0) / a.answers as {part}" for part in PARTS)}
from answers a join questions q using (question_id) left join used u using (condition_id, question_id)
order by 1, 3, 5"""


def token_roles(
    connection: Connection, condition_ids: list[str], questions: Mapping[str, frozenset[str]] | None
) -> pl.DataFrame:
    """Columns `ROLE_SCHEMA`: of each condition a row for all calls, then one a role, the dearest first.

    `questions`: by task, those that count; None: all that a condition answered."""
    frame = frames.read(connection.sql(of_last(connection, _SQL), params=[condition_ids]))
    rows = []
    for (condition,), part in frame.group_by(["condition_id"], maintain_order=True):
        if questions is not None:
            part = part.filter(pl.col("question_id").is_in([*questions.get(str(part["task"][0]), ())]))
        asked = part.unique("question_id").select("question_id", "answers")
        if asked.is_empty():
            continue
        whole = part.group_by("question_id").agg(pl.col(*PARTS).sum())
        roles = [(str(role), of) for (role,), of in part.drop_nulls("role").group_by(["role"])]
        made = [_row(str(condition), role, of, asked) for role, of in roles]
        made.sort(key=lambda row: (-row["total_tokens"], row["role"]))
        rows += [_row(str(condition), None, whole, asked), *made]
    return pl.DataFrame(rows, schema=ROLE_SCHEMA, orient="row")


def _row(condition: str, role: str | None, used: pl.DataFrame, asked: pl.DataFrame) -> dict[str, Any]:
    """Means over all questions that were asked, those without such a call included."""
    by_question = asked.join(used.select("question_id", *PARTS), on="question_id", how="left").fill_null(0)
    totals = (by_question["input_tokens"] + by_question["output_tokens"]).to_numpy()
    low, high = mean_interval(Sums.of(totals, np.ones(len(totals))))
    return {
        "condition_id": condition,
        "role": role,
        **{part: by_question[part].mean() for part in PARTS},
        "total_tokens": float(totals.mean()),
        "low": None if math.isnan(low) else low,
        "high": None if math.isnan(high) else high,
        "n_answers": int(asked["answers"].sum()),
        "n_questions": len(asked),
    }


def arranged(roles: pl.DataFrame, settings: pl.DataFrame) -> pl.DataFrame:
    """Rows of `token_roles` with what their settings are called, the dearest setting of a task first."""
    called: dict[str, str] = {}
    for (_,), rows in settings.group_by("task"):
        called |= names.conditions(rows.to_dicts())
    about = settings.select("condition_id", "task", "label", "model", "strategy").with_columns(
        setting=pl.col("condition_id").replace_strict(called, return_dtype=pl.String)
    )
    joined = roles.join(about, on="condition_id", maintain_order="left")
    spent = pl.col("total_tokens").filter(pl.col("role").is_null()).first().over("condition_id")
    ordered = joined.with_columns(spent=spent).sort(
        *("task", "spent", "condition_id", pl.col("role").is_not_null(), "total_tokens", "role"),
        descending=[False, True, False, False, True, False],
    )
    return ordered.select(*about.columns, *roles.columns[1:])
