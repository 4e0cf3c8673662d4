"""Three kinds of money that are never mixed: billed now, already paid and replayed, and list price.

Owns the SQL of a run's bill: attempts on one side, the calls they were made for on the other. Sums are whole
pico-dollars, and one unknown part makes its sum unknown. Converts nothing to dollars and knows no budget.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.errors import UnknownName

if TYPE_CHECKING:
    import polars as pl

    from engine.database import Connection

BY = ("run_id", "condition_id", "model", "role")
"""What a bill can be split by."""
COUNTS = ("calls", "attempts", "retries", "tokens")
MONEY = ("billed", "replayed", "list", "in_doubt")

# A reply is bought for the call that read it first; a trial that was tried again counts once, as its last attempt.
_BILL = """
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
        k.input_tokens::hugeint * p.input_pusd + k.output_tokens::hugeint * p.output_pusd as list
    from used u left join completions k on k.key = u.key
    left join prices p on p.snapshot_id = u.snapshot_id and p.model = u.model
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
    keys = ", ".join(by)
    counts = ", ".join(f"sum({name})::bigint as {name}" for name in COUNTS)
    money = ", ".join(
        f"if(sum({name}_unknown) > 0, null, try_cast(sum({name}) as bigint)) as {name}_pusd" for name in MONEY
    )
    frame: pl.DataFrame = connection.sql(
        f"""{_BILL} select {keys}{"," if keys else ""} {counts}, {money}, sum(provider)::bigint as provider_pusd,
            sum(difference)::bigint as difference_pusd, coalesce(bool_or(assumed), false) as assumed
        from parts where $1 is null or run_id = $1 {f"group by {keys} order by {keys}" if keys else ""}""",
        params=[run_id],
    ).pl()
    return _named(connection, frame) if "model" in by else frame


def _named(connection: Connection, frame: pl.DataFrame) -> pl.DataFrame:
    """With `name`: what a study calls the model; its identity where no stored condition has it."""
    import polars as pl

    lineups = connection.execute("select distinct lineup from conditions order by lineup").fetchall()
    names = {identity: name for (lineup,) in lineups for _, name, identity in json.loads(lineup)}
    called = [names.get(identity, identity) for identity in frame["model"]]
    return frame.with_columns(name=pl.Series(called, dtype=pl.String))
