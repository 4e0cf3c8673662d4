"""What models were told they may use, and what they then used: one row per trial with a told budget.

Owns the SQL and what counts as told: the parameter `told_tokens`, the run's own budget where that was told instead, or
the number TALE-EP's model stated. Makes no statistics.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from engine.answers import bracketed_integer

if TYPE_CHECKING:
    from engine.analysis.grid import Row
    from engine.database import Connection

ESTIMATE = "estimate"
"""Role of the call in which a model states its own budget."""
SCHEMA: dict[str, Any] = {
    **dict.fromkeys(("task", "model", "strategy", "settings"), pl.String),
    **dict.fromkeys(("simulated", "stated"), pl.Boolean),
    **dict.fromkeys(("question_id", "cluster"), pl.String),
    **dict.fromkeys(("repeat", "told", "used"), pl.Int64),
    "capped": pl.Boolean,
}

# The whole reply counts, also where the trial's budget showed a part of it: what the model would have used.
_CALLS = """
with latest as (
    select trial_id, attempt, condition_id, question_id, repeat from trials
    where list_contains($1::varchar[], condition_id) and "end" in ('finished', 'exhausted')
    qualify row_number() over (partition by trial_id order by attempt desc) = 1),
clusters as (select question_id, min(question_id) over (partition by task, text) as cluster from questions)
select l.condition_id, l.question_id, u.cluster, l.repeat, c.role, c.asked_tokens,
    coalesce(k.output_tokens, c.seen_output_tokens, c.output_tokens) as used, k.finish,
    if(c.role = $2, k.text, null) as said
from latest l join calls c using (trial_id, attempt) left join completions k using (key)
join clusters u using (question_id)
where c.calls > 0 order by l.condition_id, l.question_id, l.repeat, l.trial_id, c.ordinal"""


def conditions(known: Sequence[Row]) -> list[Row]:
    """The conditions that tell a budget in tokens, each with `told` (None: stated by the model itself)."""
    found = []
    for row in known:
        params = json.loads(row["params"])
        if row["strategy"] == "tale_ep":
            found.append({**row, "told": None})
        elif params.get("told_tokens") is not None:
            found.append({**row, "told": params["told_tokens"]})
        elif "told_tokens" in params and row["axis"] == "output_tokens":
            found.append({**row, "told": row["budget"]})
    return found


def trials(connection: Connection, told: Sequence[Row]) -> pl.DataFrame:
    """Columns SCHEMA: per trial the told tokens, the whole reply's tokens, and whether its own cap cut it.

    Trials of one question and repeat under several walls read the same reply and are one row. told is null where a
    model was to state its budget and no number can be read: it was told none.
    """
    ids = [row["condition_id"] for row in told]
    calls = connection.sql(_CALLS, params=[ids, ESTIMATE]).pl()
    by_id = {row["condition_id"]: row for row in told}
    rows = [
        found
        for (name, *_), part in calls.group_by("condition_id", "question_id", "repeat", maintain_order=True)
        if (found := _trial(by_id[str(name)], part.to_dicts())) is not None
    ]
    return pl.DataFrame(rows, schema=SCHEMA).unique(
        ["task", "model", "strategy", "settings", "question_id", "repeat", "told"], maintain_order=True
    )


def _trial(condition: Row, calls: Sequence[Row]) -> dict[str, Any] | None:
    answers = [call for call in calls if call["role"] != ESTIMATE]
    said = next((call["said"] for call in calls if call["role"] == ESTIMATE), None)
    told = condition["told"] if condition["told"] is not None else bracketed_integer(said or "")
    if not answers:
        return None
    return {
        **{name: condition[name] for name in ("task", "model", "strategy", "simulated")},
        **{name: answers[0][name] for name in ("question_id", "cluster", "repeat")},
        "settings": _settings(condition),
        "stated": condition["told"] is None,
        "told": told or None,
        "used": sum(call["used"] for call in answers),
        "capped": any(call["finish"] == "length" or call["used"] >= call["asked_tokens"] for call in answers),
    }


def _settings(condition: Row) -> str:
    """What else two conditions must share to be one series: parameters, version and prompting."""
    params = {key: value for key, value in json.loads(condition["params"]).items() if key != "told_tokens"}
    return json.dumps({**params, "version": condition["version"], "prompting": condition["prompting"]}, sort_keys=True)
