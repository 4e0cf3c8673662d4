"""Whole lists, the way down from a condition to its trials and their calls, price snapshots, and the bill of a run.

SQL without arithmetic over budgets. A bill has three kinds of money that are never mixed: billed now, already paid and
replayed, and list price; its sums are whole pico-dollars, and one unknown part makes its sum unknown. Converts nothing
to dollars.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from engine.analysis.sql import prices
from engine.core import names
from engine.core.answers import READER_VERSION
from engine.core.errors import UnknownName
from engine.core.records import Price
from engine.store import deltas, frames, tables
from engine.store.rows import price_of
from engine.store.sql import IS_LAST, LAST, of_last

if TYPE_CHECKING:
    from engine.store.sql import Connection


_LISTS = {
    "conditions": f"""select c.*, (select list(run_id order by run_id) from run_parts p
        where p.kind = 'condition' and p.number = i.condition_no) as run_ids
        from conditions c left join {deltas.CONDITIONS} i using (condition_id) order by condition_id""",
    "studies": "select run_id, study from runs order by started_at, run_id",
    "runs": "from runs order by started_at desc, run_id",
    "questions": "from questions order by task, question_id",
    "counted": """select q.*, count(distinct t.trial_id) as n_trials from questions q
        left join trials t using (question_id) group by all order by task, question_id""",
    "run_questions": f"""select p.run_id, q.task, count(*) as questions
        from run_parts p join {deltas.QUESTIONS} i on i.question_no = p.number join questions q using (question_id)
        where p.kind = 'question' group by all""",
}

_ORDERS = "select run_id, task, count(*) from orders group by all"

# At the plain list price, and unknown as a whole where the price of any model is.
_TRIAL_ROWS = """
select t.trial_id, t.attempt, t.question_id, q.text as question, q.target, q.category, t.repeat, t."end", t.verdict,
    t.score, t.answer, t.error, t.budget, s.calls, s.input_tokens, s.output_tokens, s.reasoning_tokens, s.latency_ms,
    s.pusd / 1e12 as usd, t.run_id, t.started_at, t.finished_at
from trials t {last} join questions q using (question_id) left join (
    select t.trial_id, t.attempt, sum(x.calls)::bigint as calls, sum(x.input_tokens)::bigint as input_tokens,
        sum(x.output_tokens)::bigint as output_tokens, sum(x.reasoning_tokens)::bigint as reasoning_tokens,
        sum(x.latency_ms)::bigint as latency_ms,
        if(bool_or(p.input_pusd is null), null, sum({cost})::double) as pusd
    from trials t join {spends} x using (trial_id, attempt)
    left join {stored} p on p.snapshot_id = t.snapshot_id and p.model = x.model and p.tier = x.tier
    where t.condition_id = $1 group by all) s using (trial_id, attempt)
where t.condition_id = $1 and t.{is_last}
order by t.question_id, t.repeat"""

# Of several marks after one call the last is the one that call left.
_TRANSCRIPT = """
select c.ordinal, c.role, c.model, p.messages, k.text as reply, k.finish, c.cut, c.replayed, c.asked_tokens,
    c.granted_tokens, c.bound_tokens, c.seen_output_tokens, c.input_tokens, c.cached_tokens, c.output_tokens,
    c.reasoning_tokens, c.latency_ms, m.answer, m.verdict, m.score
from calls c join prompts p using (prompt_key) left join completions k using (key)
left join (
    select * from marks where trial_id = $1
    qualify row_number() over (partition by attempt, after_calls order by ordinal desc) = 1
) m on m.trial_id = c.trial_id and m.attempt = c.attempt and m.after_calls = c.ordinal + 1
where c.trial_id = $1 and c.attempt = (select max(attempt) from trials where trial_id = $1)
order by c.ordinal"""


_TOLD = f"""
with told as (
    select t.trial_id, t.attempt, t.repeat, t."end", t.framing_id, t.question_id, c.params, i.condition_no,
        n.question_no
    from trials t {LAST} join conditions c using (condition_id) join {deltas.CONDITIONS} i using (condition_id)
    join {deltas.QUESTIONS} n using (question_id) where t.condition_id in (select unnest($1)) and t.{IS_LAST})"""
# Of finished trials alone: one that a wall closed drew few because its draws were long.
_DRAWS = f"""{_TOLD}
select t.condition_no, t.question_no, t.repeat, t.params, x.ordinal, x.cut, k.text, k.finish, f.answer_kind,
    q.question_id, q.task, q.text as question, q.context, q.target, q.category, q.data
from told t join calls x using (trial_id, attempt) join questions q using (question_id)
join framings f using (framing_id) left join completions k using (key)
where t."end" = 'finished' order by 1, 2, 3, x.ordinal"""
_MARKS = f"""{_TOLD}
select t.condition_no, t.question_no, t.repeat, m.after_calls, m.answer, m.score
from told t join marks m using (trial_id, attempt) order by 1, 2, 3, m.ordinal"""


# A reading that is not today's may have been followed by one that is.
_READERS = f"""
select condition_id, min({{reader}}) as oldest, max({{reader}}) as newest from trials {LAST}
where {IS_LAST} group by condition_id having oldest <> ? or newest <> ?"""


_UNREPORTED = f"""
select t.condition_id, {", ".join(f"bool_or(s.{name} is null) as {name}" for name in deltas.SPENDS)}
from trials t join conditions c using (condition_id) left join trial_spends s using (trial_id, attempt)
where c.strategy like '{names.IMPORTED}%' and t."end" in ('finished', 'exhausted') group by all"""


_FAILURES = f"""
select error, count(*)::bigint as n from (
    select "end", error, question_id from trials {LAST} where {IS_LAST} and condition_id in (select unnest($1)))
where "end" = 'failed' and ($2::varchar[] is null or question_id in (select unnest($2::varchar[])))
group by error order by n desc, error"""


def order_lengths(connection: Connection) -> dict[tuple[str, str], int]:
    """By adaptive run and task how many questions its order has."""
    return {(run, task): count for run, task, count in connection.execute(_ORDERS).fetchall()}


def unreported(connection: Connection) -> dict[str, frozenset[str]]:
    """By condition the spends that the log of one of its scored trials does not report: their means are unknown."""
    frame = _frame(connection, _UNREPORTED)
    return {row["condition_id"]: frozenset(n for n in deltas.SPENDS if row[n]) for row in frame.to_dicts()}


def draws(connection: Connection, condition_ids: list[str]) -> pl.DataFrame:
    """The calls of finished trials of some conditions with their replies and questions, in order."""
    return _frame(connection, _DRAWS, condition_ids)


def marks(connection: Connection, condition_ids: list[str]) -> pl.DataFrame:
    """The marks of the trials of some conditions, in order."""
    return _frame(connection, _MARKS, condition_ids)


def listing(connection: Connection, name: str) -> pl.DataFrame:
    """A whole list, one of 'conditions', 'runs', 'studies', 'questions', 'counted' and 'run_questions'; see
    `queries.prepare`."""
    frame = _frame(connection, _LISTS[name])
    if name != "conditions":
        return frame
    versions = _versions(connection)
    # An imported answer was read and scored by its own tool; no version of ours reads it again.
    read_by = [
        READER_VERSION if names.is_imported(strategy) else versions.get(condition, READER_VERSION)
        for condition, strategy in frame.select("condition_id", "strategy").iter_rows()
    ]
    return frame.with_columns(reader=pl.Series(read_by, dtype=pl.Int64))


def _versions(connection: Connection) -> dict[str, int | None]:
    """By condition, which version read its trials, None: several; conditions that today's has read are left out."""
    reader = tables.reader(connection)
    if not connection.execute(f"select 1 from trials where {reader} <> ? limit 1", [READER_VERSION]).fetchall():
        return {}
    rows = connection.execute(_READERS.format(reader=reader), [READER_VERSION, READER_VERSION]).fetchall()
    return {condition: oldest if oldest == newest else None for condition, oldest, newest in rows}


def failures(
    connection: Connection, condition_ids: list[str], questions: list[str] | None
) -> list[tuple[str | None, int]]:
    """Why trials of these conditions failed whose last attempt did, with how many, on these questions; None: on all."""
    return connection.execute(of_last(connection, _FAILURES), [condition_ids, questions]).fetchall()


def trial_rows(connection: Connection, condition_id: str) -> pl.DataFrame:
    """The last attempt of each trial of a condition."""
    prices.stand_in(connection)
    deltas.scored(connection)
    # A database of an older schema that is only read had prices of one rate.
    tiered = tables.has(connection, "trial_spends", "tier")
    relation = "trial_spends" if tiered else "(select *, 0 as tier from trial_spends)"
    sql = _TRIAL_ROWS.format(
        last=LAST, is_last=IS_LAST, cost=prices.cost("x", "p"), spends=relation, stored=prices.STORED
    )
    return _frame(connection, sql, condition_id)


def transcript(connection: Connection, trial_id: str) -> pl.DataFrame:
    """The calls of a trial's last attempt with prompts and replies."""
    deltas.scored(connection)
    return _frame(connection, _TRANSCRIPT, trial_id)


def _frame(connection: Connection, sql: str, *parameters: str | list[str]) -> pl.DataFrame:
    frame = frames.read(connection.sql(sql, params=list(parameters)))
    return frame


# Trials are counted before prices meet them: a snapshot has as many rows as models.
_SNAPSHOTS = """
with used as (
    select snapshot_id, count(*) as n_trials, min(started_at) as first_used, max(started_at) as last_used
    from trials where {which} group by snapshot_id)
select p.model, p.input_pusd, p.output_pusd, p.cached_pusd, p.cache_write_pusd, p.source, p.as_of,
    coalesce(p.assumed, false) as assumed, p.snapshot_id, coalesce(u.n_trials, 0) as n_trials, u.first_used,
    u.last_used, coalesce((
        select list(r order by r.tier) from price_tiers r where r.snapshot_id = p.snapshot_id and r.model = p.model),
        []) as tiers
from prices p left join used u using (snapshot_id)
order by p.model, last_used desc nulls last, p.snapshot_id"""


# The order of one is known without its uses.
_OF_SEVERAL = """snapshot_id in (
    select snapshot_id from prices where model in (select model from prices group by model having count(*) > 1))"""


def snapshots(connection: Connection, counted: bool = True) -> pl.DataFrame:
    """One row per stored snapshot and model, the newest of a model first; see `Results.snapshots`."""
    prices.stand_in(connection)
    frame = _frame(connection, _SNAPSHOTS.format(which="true" if counted else _OF_SEVERAL))
    return frame.insert_column(0, _names(connection, frame))


def newest(frame: pl.DataFrame) -> dict[str, Price]:
    """The newest stored price by identity, as a lens takes it; a model without a price is left out."""
    # A model's newest stands first, and the last that a dict is told of one key stays.
    stored = ((row["model"], price_of(row, row["tiers"])) for row in reversed(frame.to_dicts()))
    return {model: price for model, price in stored if price is not None}


BY = ("run_id", "condition_id", "model", "role")
"""What a bill can be split by."""
COUNTS = ("calls", "attempts", "retries", "tokens")
MONEY = ("billed", "replayed", "list", "in_doubt")

# A reply is bought for the call that read it first; a trial that was tried again counts once, as its last attempt.
_BILL = f"""
with used as (
    select t.run_id, t.condition_id, t.snapshot_id, t.started_at, c.trial_id, c.attempt, c.ordinal, c.role, c.model,
        c.calls, c.key, split_part(c.key, '@', 1) as request, c.replayed,
        t.attempt = max(t.attempt) over (partition by t.run_id, t.trial_id) as latest
    from trials t join calls c using (trial_id, attempt)),
readers as (
    select run_id, request, condition_id, role, trial_id, attempt, ordinal from used
    qualify row_number() over (
        partition by run_id, request order by latest desc, replayed, started_at, trial_id, attempt, ordinal) = 1),
bought as (
    select a.run_id, a.key as request, a.charged_pusd, k.provider_cost_pusd
    from attempts a left join completions k on k.key = a.key || '@' || a.run_id where a.outcome = 'ok'
    qualify row_number() over (partition by a.run_id, a.key order by a.started_at, a.attempt_id) = 1),
read as (
    select u.run_id, u.condition_id, u.model, u.role, u.calls, k.key is not null as answered,
        k.key is not null and not (k.run_id is not distinct from u.run_id and r.trial_id is not null) as again,
        coalesce(b.charged_pusd, if(regexp_matches(u.model, '^(local|scripted)/'), 0, null)) as paid, p.assumed,
        {prices.cost("k", "p")} as list
    from used u
    left join (select * replace (coalesce(reasoning_tokens, 0) as reasoning_tokens), 1 as calls from completions) k
        on k.key = u.key
    left join {prices.STORED} p on p.snapshot_id = u.snapshot_id and p.model = u.model
        and coalesce(k.input_tokens, 0) > p.above and coalesce(k.input_tokens, 0) <= p.upto
    left join readers r on r.run_id = u.run_id and r.request = u.request and r.trial_id = u.trial_id
        and r.attempt = u.attempt and r.ordinal = u.ordinal
    left join bought b on b.request = u.request and b.run_id = k.run_id
    where u.latest),
sent as (
    select a.run_id, r.condition_id, a.model, r.role, a.ordinal > 0 as retry, a.outcome = 'in_doubt' as doubtful,
        a.charged_tokens, a.charged_pusd, if(a.outcome = 'ok', b.provider_cost_pusd, null) as provider
    from attempts a left join readers r on r.run_id = a.run_id and r.request = a.key
    left join bought b on b.run_id = a.run_id and b.request = a.key),
parts as (
    select run_id, condition_id, model, role, calls, 0 as attempts, 0 as retries, 0 as tokens, assumed and answered
            as assumed,
        0 as billed, 0 as billed_unknown,
        if(again, paid, 0) as replayed, (again and paid is null)::int as replayed_unknown,
        if(answered, list, 0) as list, (answered and list is null)::int as list_unknown,
        0 as in_doubt, 0 as in_doubt_unknown, null::bigint as provider, null::bigint as difference
    from read
    union all
    select run_id, condition_id, model, role, 0, 1, retry::int, if(doubtful, 0, charged_tokens), false,
        if(doubtful, 0, charged_pusd), (not doubtful and charged_pusd is null)::int, 0, 0, 0, 0,
        if(doubtful, charged_pusd, 0), (doubtful and charged_pusd is null)::int, provider, provider - charged_pusd
    from sent)
"""


def bill(connection: Connection, run_id: str | None, by: Sequence[str]) -> pl.DataFrame:
    """The bill of one run, or of all, split by some of `BY`; see `Results.bill`. Raises UnknownName."""
    for name in (name for name in by if name not in BY):
        raise UnknownName("column to split a bill by", name, BY)
    prices.stand_in(connection)
    keys = ", ".join(by)
    counts = ", ".join(f"sum({name})::bigint as {name}" for name in COUNTS)
    # try_cast: a sum of hugeints beyond a bigint is null, which reads as unknown, and no error.
    money = ", ".join(
        f"if(sum({name}_unknown) > 0, null, try_cast(sum({name}) as bigint)) as {name}_pusd" for name in MONEY
    )
    bill = connection.sql(
        f"""{_BILL} select {keys}{"," if keys else ""} {counts}, {money}, sum(provider)::bigint as provider_pusd,
            sum(difference)::bigint as difference_pusd, coalesce(bool_or(assumed), false) as assumed
        from parts where $1 is null or run_id = $1 {f"group by {keys} order by {keys}" if keys else ""}""",
        params=[run_id],
    )
    frame = frames.read(bill)
    return frame.with_columns(_names(connection, frame)) if "model" in by else frame


def _names(connection: Connection, frame: pl.DataFrame) -> pl.Series:
    """`name`: what a study calls each model of the frame; its identity where no stored condition has it."""
    lineups = connection.execute("select distinct lineup from conditions order by lineup").fetchall()
    names = {identity: name for (lineup,) in lineups for _, name, identity in json.loads(lineup)}
    return pl.Series("name", [names.get(identity, identity) for identity in frame["model"]], dtype=pl.String)
