"""The other draws of settings that make one request: what their trials would have said with each.

A trial that is one request read draw 0 of it; self-consistency on the same questions bought draws 0, 1, 2, ... of the
same request, identical in everything sent. Each of these is read as a trial of its own, with what the budget leaves of
it (the rows here are those `store.deltas` would have made of it), so accuracy and spend are means over m draws, the
first m there are, and the luck of the first one no longer decides. m is the same for all questions of a setting: the
number that the question with fewest draws has. Only strategies count that draw all their samples whatever these say: a
vote that stops early has few draws because of what they were. Writes nothing.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from engine.analysis.majority_at_k import VOTING, answer_of, score_of
from engine.analysis.sql import listings
from engine.core.records import verdict_of
from engine.store import deltas, frames
from engine.store.sql import IS_LAST, LAST

if TYPE_CHECKING:
    from engine.store.sql import Connection

Row = Mapping[str, Any]

# Of both sides the last attempts. `own`: scored trials that made one call; a condition with any other has no row.
_SOURCE = f"""
with latest as (
    select trial_id, attempt, condition_id, question_id, repeat, "end", answer, framing_id from trials {LAST}
    where {IS_LAST} and (condition_id in (select unnest($1)) or condition_id in (select unnest($2)))),
own as (
    select l.*, c.granted_tokens, c.asked_tokens, c.metered_input_tokens, c.cut, c.key as own_key,
        split_part(c.key, '@', 1) as request, count(*) over (partition by l.trial_id) as n_calls
    from latest l join calls c using (trial_id, attempt)
    where l.condition_id in (select unnest($1)) and l."end" in ('finished', 'exhausted')),
alone as (
    select condition_id from own group by condition_id
    having max(n_calls) = 1 and bool_and(coalesce(cut, 'own') in ('own', 'budget'))),
drawn as (
    select c.key, c.cut, row_number() over w - 1 as draw, first_value(split_part(c.key, '@', 1)) over w as request
    from latest l join calls c using (trial_id, attempt) where l.condition_id in (select unnest($2))
    window w as (partition by l.trial_id, c.model, c.prompt_key, c.asked_tokens order by c.ordinal))
select o.condition_id, o.trial_id, i.condition_no, n.question_no, o.repeat, o.answer, o.granted_tokens, o.asked_tokens,
    o.metered_input_tokens, o.cut, coalesce(d.draw, 0) as draw, k.text, k.finish, k.input_tokens, k.cached_tokens,
    k.output_tokens, k.reasoning_tokens, k.latency_ms, f.answer_kind, q.question_id, q.task, q.text as question,
    q.context, q.target, q.category, q.data
from own o semi join alone using (condition_id)
left join (
    select * from drawn where draw > 0 and request <> split_part(key, '@', 1)
        and coalesce(cut, 'own') in ('own', 'budget')
    qualify row_number() over (partition by request, draw order by key) = 1
    union all select distinct own_key, null, 0, request from own) d using (request)
join {deltas.CONDITIONS} i using (condition_id) join {deltas.QUESTIONS} n using (question_id)
join questions q using (question_id) join framings f using (framing_id) left join completions k on k.key = d.key
order by i.condition_no, n.question_no, o.repeat, d.draw"""
_MANY = f"""
select count(*) from (select 1 from steps join {deltas.CONDITIONS} using (condition_no)
    where kind > 0 and condition_id in (select unnest($1)) limit {{more}})"""
# A trial's home price, and a number that no trial has.
_HOMES = """
select condition_no, question_no, repeat, tariff_no from steps
where kind = 0 and tariff_no is not null and condition_no in (select unnest($1))
qualify row_number() over (partition by condition_no, question_no, repeat order by trial_no) = 1"""


MOST = 20_000
"""Draws of votes that are looked through. Reading a reply takes a tenth of a millisecond to a whole one, at every look;
of so large a study each setting's own replies say enough."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Trials that nobody ran."""

    steps: pl.DataFrame
    """Rows as the table `steps` has them, of the draws 1 ... m - 1."""
    counts: Mapping[str, int]
    """By condition its m; conditions with draw 0 alone are left out."""


def voting(conditions: Iterable[Row]) -> list[str]:
    """Ids of those that draw a fixed number of times."""
    return [row["condition_id"] for row in conditions if row["strategy"] in VOTING]


def singles(conditions: Iterable[Row]) -> list[str]:
    """Ids of those that make one request of one model, which others may have drawn more often."""
    return [
        row["condition_id"]
        for row in conditions
        if row["anytime"] and row["strategy"] not in VOTING and len(json.loads(row["lineup"])) == 1
    ]


def drawn(
    connection: Connection, single: Sequence[str], votes: Sequence[str], questions: frozenset[str] | None
) -> Drawn | None:
    """What the draws that `votes` (condition ids) bought add to the conditions `single` on some questions (None: on all
    they have); None: nothing, or they bought more than `MOST`."""
    if not votes or not single:
        return None
    ((many,),) = connection.execute(_MANY.format(more=MOST + 1), [list(votes)]).fetchall()
    if many > MOST:
        return None
    rows = frames.read(connection.sql(_SOURCE, params=[list(single), list(votes)]))
    if questions is not None:
        rows = rows.filter(pl.col("question_id").is_in(pl.Series(sorted(questions), dtype=pl.String).implode()))
    # Draws of every trial from 0 on without a gap, and over a condition's trials the fewest.
    there = rows.filter(pl.col("text").is_not_null()).with_columns(
        unbroken=pl.col("draw") == pl.int_range(pl.len()).over("trial_id")
    )
    per_trial = (
        rows.select("condition_id", "trial_id")
        .unique()
        .join(there.filter("unbroken").group_by("trial_id").agg(n=pl.len()), on="trial_id", how="left")
    )
    fewest = per_trial.group_by("condition_id").agg(m=pl.col("n").fill_null(0).min()).filter(pl.col("m") > 1)
    counts = dict(fewest.iter_rows())
    rows = there.join(fewest, on="condition_id").filter(pl.col("draw") < pl.col("m"))
    if not counts:
        return None
    known = _scores(connection, [*counts, *votes])
    scored: dict[str, list[tuple[Row, str | None, float | None]]] = defaultdict(list)
    for row in rows.sort("condition_no", "question_no", "repeat", "draw").iter_rows(named=True):
        answer = _answer(row)
        score = 0.0 if answer is None else score_of(row, answer, known)
        # Read as it was stored, or this is no setting whose answers these are; and what nobody judges is not judged.
        uncut = row["draw"] > 0 or row["cut"] == "budget" or answer == row["answer"]
        if not uncut or score is None:
            counts.pop(row["condition_id"], None)
        scored[row["condition_id"]].append((row, answer, score))
    numbers = [each[0][0]["condition_no"] for id, each in scored.items() if id in counts]
    if not numbers:
        return None
    homes = {tuple(key): tariff for *key, tariff in connection.execute(_HOMES, [numbers]).fetchall()}
    ((last,),) = connection.execute("select coalesce(max(trial_no), 0) from steps").fetchall()
    steps: list[dict[str, Any]] = []
    for id in counts:
        for draw, answer, score in scored[id]:
            if draw["draw"] > 0:
                last += 1
                tariff = homes.get((draw["condition_no"], draw["question_no"], draw["repeat"]))
                steps += _steps(draw, answer, score or 0.0, {"trial_no": last, "tariff_no": tariff})
    return Drawn(pl.DataFrame(steps, schema=dict.fromkeys(_COLUMNS, pl.Int64)), counts)


def _scores(connection: Connection, ids: list[str]) -> dict[tuple[int, str], float | None]:
    """By question and answer its score, as marks say."""
    marks = listings.marks(connection, ids).select("question_no", "answer", "score").unique()
    return {(question, answer): score or 0.0 for question, answer, score in marks.iter_rows()}


def _answer(row: Row) -> str | None:
    """What a draw says where no budget cuts it; a reply that its own cap or a filter cut has no vote."""
    if row["finish"] in ("length", "filter") or row["output_tokens"] > row["asked_tokens"]:
        return None
    return answer_of(row, row["text"])


_PLACE = ("trial_no", "ordinal", "condition_no", "question_no", "repeat", "tariff_no", "kind", "fate")
_WALLS = ("more_calls", "more_input", "more_output", "output_wall", "total_wall")
_COLUMNS = (*_PLACE, *_WALLS, *deltas.COUNTS, *deltas.SPENDS, *deltas.SCORES)


def _steps(row: Row, answer: str | None, score: float, place: dict[str, Any]) -> list[dict[str, Any]]:
    """One draw as the trial it would have been, in rows of `steps`; see `store.deltas`."""
    granted, output = row["granted_tokens"], row["output_tokens"]
    # A wall that left the whole cap ends no reply: a longer one was cut by its own.
    closing = granted < row["asked_tokens"] and output > granted
    head = dict.fromkeys(_COLUMNS, 0) | place | {"fate": int(closing)}
    head |= {name: row[name] for name in ("condition_no", "question_no", "repeat")}
    walls = {"output_wall": output, "total_wall": row["metered_input_tokens"] + output}
    shown = min(output, granted) if closing else output
    call = {
        "calls": 1,
        "input_tokens": row["input_tokens"],
        "cached_tokens": row["cached_tokens"] or 0,
        "output_tokens": shown,
        "reasoning_tokens": min(row["reasoning_tokens"] or 0, shown),
        "latency_ms": row["latency_ms"],
        "more_calls": 1,
        "more_input": row["metered_input_tokens"],
        "more_output": output,
    }
    present = head | {"ordinal": -1, "kind": 0, "n": 1, "n_exhausted": 1}
    if closing:
        back = {"ordinal": 1, "kind": 3, "n": -1, "n_exhausted": -1, "n_censored": 1}
        return [present, head | walls | call | {"kind": 2}, head | walls | back]
    verdict = "none" if answer is None else verdict_of(score)
    said = {f"n_{name}": int(verdict == name) for name in ("right", "partly", "wrong")}
    said["partly"] = round(score * deltas.SCORE) if verdict == "partly" else 0
    ended = {"kind": 1, "n_exhausted": -1, "n_right_finished": said["n_right"], "partly_finished": said["partly"]}
    return [present, head | walls | call | said | ended]
