"""The shape of the database: ordered, append-only migrations, and the check that a file is ours.

Owns every `create table`. A migration that has been released is never edited; a later one is appended. Each runs in a
transaction together with its own record, so a killed upgrade leaves whole steps only. Never reads or writes results.

Units stand in the column names (`_tokens`, `_ms`, `_pusd`: 1e-12 USD). `budget` is in the unit of `axis`, pico-dollars
on 'usd'. Timestamps are naive UTC. A missing value is null, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb

from engine.core.errors import NewerDatabase, NotADatabase
from engine.store import deltas


class Migration(NamedTuple):
    """One step of the schema; `number` counts from 1 without gaps."""

    number: int
    name: str
    sql: str
    backfill: str = ""
    """What else to do where trials are stored already."""


_VECTOR = """
    calls bigint not null, input_tokens bigint not null, cached_tokens bigint not null,
    cache_write_tokens bigint not null, output_tokens bigint not null, reasoning_tokens bigint not null,
    latency_ms bigint not null, metered_input_tokens bigint not null"""

_FIRST = f"""
create table meta (name varchar primary key, value varchar not null);
create table runs (
    run_id varchar primary key, study varchar not null, state varchar not null, started_at timestamp not null,
    finished_at timestamp, ceiling varchar not null, planned_trials bigint,
    spent_calls bigint not null, spent_tokens bigint not null, spent_pusd bigint,
    reserved_calls bigint not null, reserved_tokens bigint not null, reserved_pusd bigint,
    in_doubt_calls bigint not null, in_doubt_tokens bigint not null, in_doubt_pusd bigint,
    host varchar, version varchar, error varchar);
create table conditions (
    condition_id varchar primary key, task varchar not null, model varchar not null, lineup varchar not null,
    strategy varchar not null, params varchar not null, version bigint not null, anytime boolean not null,
    axis varchar not null, budget bigint not null, prompting varchar not null);
create table questions (
    question_id varchar primary key, task varchar not null, text varchar not null, context varchar,
    target varchar not null, category varchar, data varchar not null);
create table framings (
    framing_id varchar primary key, answer_kind varchar not null, instructions varchar not null,
    examples varchar not null);
create table prices (
    snapshot_id varchar, model varchar, input_pusd bigint, output_pusd bigint, cached_pusd bigint,
    cache_write_pusd bigint, source varchar, as_of varchar, assumed boolean,
    primary key (snapshot_id, model));
create table trials (
    trial_id varchar, attempt bigint, run_id varchar not null, condition_id varchar not null,
    question_id varchar not null, framing_id varchar not null, snapshot_id varchar not null, repeat bigint not null,
    "end" varchar not null, verdict varchar not null, answer varchar, error varchar,
    axis varchar not null, budget bigint not null, started_at timestamp not null, finished_at timestamp not null,
    primary key (trial_id, attempt));
create table trial_spends (
    trial_id varchar, attempt bigint, position bigint not null, model varchar, {_VECTOR},
    primary key (trial_id, attempt, model));
create table prompts (prompt_key varchar primary key, messages varchar not null);
create table completions (
    key varchar primary key, text varchar not null, finish varchar not null,
    input_tokens bigint not null, output_tokens bigint not null, cached_tokens bigint, cache_write_tokens bigint,
    reasoning_tokens bigint, estimated boolean not null, latency_ms bigint not null,
    model_reported varchar, fingerprint varchar, created_at timestamp not null, provider_cost_pusd bigint,
    run_id varchar);
create table attempts (
    attempt_id varchar primary key, run_id varchar, key varchar not null, model varchar not null,
    ordinal bigint not null, outcome varchar not null, error varchar, reserved_tokens bigint not null,
    reserved_pusd bigint, charged_tokens bigint not null, charged_pusd bigint, started_at timestamp not null,
    latency_ms bigint not null);
create table calls (
    trial_id varchar, attempt bigint, ordinal bigint, role varchar not null, model varchar not null,
    key varchar not null, prompt_key varchar not null, asked_tokens bigint not null, granted_tokens bigint not null,
    bound_tokens bigint not null, cut varchar, replayed boolean not null, seen_output_tokens bigint, {_VECTOR},
    primary key (trial_id, attempt, ordinal));
create table marks (
    trial_id varchar, attempt bigint, ordinal bigint, answer varchar not null, after_calls bigint not null,
    verdict varchar not null, primary key (trial_id, attempt, ordinal));
create table mark_spends (
    trial_id varchar, attempt bigint, ordinal bigint, position bigint not null, model varchar, {_VECTOR},
    primary key (trial_id, attempt, ordinal, model));
create table links (link_id varchar primary key, view varchar not null, created_at timestamp not null);
"""

_MONEY = """
create table leases (
    run_id varchar, day varchar, calls bigint, tokens bigint, pusd bigint,
    spent_calls bigint not null, spent_tokens bigint not null, spent_pusd bigint not null,
    held boolean not null, taken_at timestamp not null, primary key (run_id, day));
alter table runs add column estimate varchar;
"""

_DOUBT = "".join(f"alter table leases add column in_doubt_{kind} bigint;" for kind in ("calls", "tokens", "pusd"))

_READER = "alter table trials add column reader bigint"
"""Null: before it was kept, which is version 1."""

_RATES = """
create table price_tiers (
    snapshot_id varchar, model varchar, tier bigint, above_input_tokens bigint not null, input_pusd bigint not null,
    output_pusd bigint not null, cached_pusd bigint, cache_write_pusd bigint, reasoning_pusd bigint,
    request_pusd bigint not null, primary key (snapshot_id, model, tier));
"""
"""Rates of prices that are not one rate for input and one for output: the base (tier 0), and those above thresholds."""


def _tiered(table: str, columns: str, key: str) -> str:
    """A table of spends made anew with the tier in its key; what is in it had prices of one rate."""
    return f"""
    alter table {table} rename to {table}_flat;
    create table {table} (
        trial_id varchar, attempt bigint, {columns} position bigint not null, model varchar, {_VECTOR},
        tier bigint default 0, primary key ({key}, tier));
    insert into {table} by name select *, 0 as tier from {table}_flat;
    drop table {table}_flat;"""


_TIERS = (
    _RATES
    + _tiered("trial_spends", "", "trial_id, attempt, model")
    + _tiered("mark_spends", "ordinal bigint,", "trial_id, attempt, ordinal, model")
)

_PLANS = """
create table plans (
    run_id varchar not null, task varchar not null, kind varchar not null, id varchar not null)"""
"""The conditions and questions a run's study asked for, `kind` says which, whoever paid for their trials."""

_FACTS = """
create table facts (
    trial_id varchar, attempt bigint, ordinal bigint, kind varchar not null, name varchar not null,
    holds boolean not null, after_calls bigint not null, primary key (trial_id, attempt, ordinal))"""

_PARTS = (
    *("calls", "input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens"),
    "latency_ms",
)
_FOREIGN = (
    "".join(
        f"alter table {table} alter column {name} drop not null;"
        for table in ("trial_spends", "mark_spends", "calls")
        for name in _PARTS
    )
    + "".join(
        f"alter table completions alter column {name} drop not null;"
        for name in ("input_tokens", "output_tokens", "latency_ms")
    )
    + """
create table origins (
    run_id varchar primary key, source varchar not null, trusted boolean not null, merged_at timestamp not null)"""
)
"""A run in `origins` was merged from another database: its replies are replayed only where it is trusted."""

_PROBES = """
create table probes (
    chain_key varchar, question_id varchar, how varchar, grid varchar, place_tokens bigint, on_grid boolean not null,
    chain_tokens bigint not null, exact boolean not null, answer varchar, verdict varchar not null, key varchar,
    calls bigint not null, input_tokens bigint not null, cached_tokens bigint not null,
    cache_write_tokens bigint not null, output_tokens bigint not null, reasoning_tokens bigint not null,
    latency_ms bigint not null, run_id varchar, primary key (chain_key, question_id, how, grid, place_tokens))"""
"""Looks into stored replies: what was answered where a thought was stopped."""
_GRADED = "alter table probes add column score double"
"""Null: before it was kept; right and wrong say it then."""
_LOOKS_READER = "alter table probes add column reader bigint"
"""Null: before it was kept, which is version 1."""

_ROUNDS = """
create table orders (
    run_id varchar, task varchar, place bigint, question_id varchar not null, primary key (run_id, task, place));
create table rounds (
    run_id varchar, task varchar, number bigint, asked bigint not null, settings bigint not null,
    state varchar not null, condition_id varchar, budget bigint, bound double not null, goal double not null,
    primary key (run_id, task, number));
create table stops (
    run_id varchar, task varchar, number bigint not null, condition_id varchar, budget bigint, asked bigint not null,
    verdict varchar not null, by_condition varchar not null, by_budget bigint not null, high double not null,
    "out" boolean not null, saves_tokens double not null, primary key (run_id, task, condition_id, budget));
"""
"""Of adaptive runs: the order of their questions, fixed before the start, what each look decided, and who was dropped
why. Shares are from -1 to 1."""

_WHOLE = {
    "trials": "trial_id attempt run_id condition_id question_id framing_id snapshot_id repeat end verdict axis budget "
    "started_at finished_at",
    "trial_spends": "trial_id attempt position model tier metered_input_tokens",
    "prompts": "prompt_key messages",
    "completions": "key text finish estimated created_at",
    "calls": "trial_id attempt ordinal role model key prompt_key asked_tokens granted_tokens bound_tokens replayed "
    "metered_input_tokens",
    "marks": "trial_id attempt ordinal answer after_calls verdict",
    "mark_spends": "trial_id attempt ordinal position model tier metered_input_tokens",
    "facts": "trial_id attempt ordinal kind name holds after_calls",
}
"""The tables that grow with every answer, and their columns that are never null."""
_BARE = "".join(
    f"alter table {table} rename to {table}_keyed; create table {table} as from {table}_keyed; "
    f"drop table {table}_keyed;" + "".join(f'alter table {table} alter column "{name}" set not null;' for name in names)
    for table, names in ((table, names.split()) for table, names in _WHOLE.items())
) + "".join(f"alter table {table} alter column tier set default 0;" for table in ("trial_spends", "mark_spends"))
"""Without their keys: who writes asks for what is stored already (`tables.insert`), and is alone with the file. DuckDB
keeps an index for each, which was four fifths of a file of a million trials (1,700 MB; 310 without), and reads all of
it whenever rows are added (400 MB, more with every trial)."""

_UPTO = """
alter table holdings add column upto integer;
update holdings set upto = (select coalesce(max(trial_no), 0) from steps);"""
"""The last trial whose steps are in the sums that are held of a condition; those of later ones are read beside them."""

_FLUSHES = "".join(
    f"alter table {table} add column flush bigint;"
    for table in ("trials", "trial_spends", "prompts", "calls", "marks", "mark_spends", "facts")
)
"""Which flush stored a row, counted from 1; of a trial and all that is below it the same. Null: before it was kept.
Rows of a flush lie together, so that of a table of millions only the blocks of those that are wanted are read; ids are
hashes, by which nothing can be passed over."""

MIGRATIONS: tuple[Migration, ...] = (
    Migration(1, "first tables", _FIRST),
    Migration(2, "leases on the day's allowance; what a run was estimated to spend", _MONEY),
    Migration(3, "what is in doubt of a lease, apart from what was spent", _DOUBT),
    Migration(
        4,
        "what every trial adds at which wall, for the analysis",
        deltas.delta_tables(),
        # Its filling reads scores, which come to stay with a later step: so all files have their columns in one order.
        deltas.SCORED + deltas.filling() + deltas.UNSCORED,
    ),
    Migration(5, "sums per question that are kept, for large databases", deltas.HELD),
    Migration(6, "by which version of the reading of answers a trial was read", _READER),
    Migration(7, "the cap a completion was sent with", "alter table completions add column sent_tokens bigint"),
    Migration(8, "prices that are not one flat rate, and spends by their tiers", _TIERS),
    Migration(9, "what each run's study asked for, whoever paid for it", _PLANS),
    Migration(10, "what strategies state of their own mechanism", _FACTS),
    Migration(11, "scores from 0 to 1 beside verdicts", deltas.SCORED + deltas.PARTS),
    Migration(12, "spends that an imported log does not report, and where merged runs come from", _FOREIGN),
    Migration(13, "looks into stored thoughts", _PROBES),
    Migration(14, "scores from 0 to 1 of looks into thoughts", _GRADED),
    Migration(15, "what adaptive runs decided, look by look", _ROUNDS),
    Migration(16, "which address of a model answered", "alter table completions add column answered_by varchar"),
    Migration(17, "by which version of the reading of answers a look into a thought was read", _LOOKS_READER),
    Migration(18, "no index over the keys of what grows with every answer; how far sums are held", _BARE + _UPTO),
    Migration(19, "which flush stored a trial, so that what belongs to it is found", _FLUSHES),
)
SCHEMA_VERSION = MIGRATIONS[-1].number
READABLE = 3
"""The oldest version that is read as it is where the file may not be upgraded: later ones add what can be derived."""

TABLES: tuple[str, ...] = (
    "runs",
    "conditions",
    "questions",
    "framings",
    "prices",
    "price_tiers",
    "trials",
    "trial_spends",
    "prompts",
    "completions",
    "attempts",
    "calls",
    "marks",
    "mark_spends",
    "facts",
    "probes",
    "links",
    "leases",
    "plans",
    "orders",
    "rounds",
    "stops",
    "origins",
    "meta",
    "migrations",
)
"""Every table, as `Store.export` accepts them."""

RECORD = """create table if not exists migrations (
    number bigint primary key, name varchar not null, applied_at timestamp not null)"""


def version(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    """Schema version of an open database, 0 for one without tables; raises NotADatabase or NewerDatabase."""
    rows = connection.execute(
        "select table_name from duckdb_tables() where not internal and not temporary "
        "union all select view_name from duckdb_views() where not internal and not temporary"
    ).fetchall()
    tables = {name for (name,) in rows}
    # An upgrade that was killed before its first step leaves its own record alone.
    if not tables or tables == {"migrations"}:
        return 0
    if not {"meta", "migrations"} <= tables:
        raise NotADatabase(f"{path} is a DuckDB database but not one of Budgetscope's; choose another file name.")
    newest = _newest(connection)
    # Of other versions we do not know what they should have.
    if newest == SCHEMA_VERSION and (missing := set(TABLES) - tables):
        raise NotADatabase(f"{path} lacks the table {min(missing)!r}; it is damaged, restore it from a copy.")
    _refuse_newer(newest, path)
    return newest


def stay_known(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Raise NewerDatabase when another program upgraded an open database that was checked before.

    A later version may keep more about a trial than this one would write, and then read too little.
    """
    _refuse_newer(_newest(connection), path)


def _refuse_newer(newest: int, path: Path) -> None:
    if newest > SCHEMA_VERSION:
        raise NewerDatabase(
            f"{path} has schema version {newest} and this Budgetscope knows up to {SCHEMA_VERSION}; "
            "upgrade it with `pip install -U budgetscope`."
        )


def is_demo(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether an open database of ours is the demo, which nobody changes."""
    return bool(connection.execute("select 1 from meta where name = 'demo' and value = 'true'").fetchall())


def migrate(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring a database to SCHEMA_VERSION; does nothing when it is there already."""
    connection.execute(RECORD)
    done = _newest(connection)
    pending = [step for step in MIGRATIONS if step.number > done]
    # A database with trials keeps the steps it took, should the next be interrupted; a new one is made in one, which
    # takes half the time.
    for steps in [pending] if not done else [[step] for step in pending]:
        _apply(connection, steps)
    if pending:
        # What stands in the log alone is read again by everybody who opens the file.
        connection.execute("checkpoint")


def _apply(connection: duckdb.DuckDBPyConnection, steps: Sequence[Migration]) -> None:
    # The record in the same transaction: a step is done and told, or neither.
    connection.execute("begin")
    try:
        for step in steps:
            connection.execute(step.sql)
            if step.backfill and connection.execute("select 1 from trials limit 1").fetchall():
                connection.execute(step.backfill)
            connection.execute(
                "insert into migrations values (?, ?, current_timestamp at time zone 'UTC')", [step.number, step.name]
            )
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise


def _newest(connection: duckdb.DuckDBPyConnection) -> int:
    # All rows: a result that is not read to its end keeps the connection from taking the next tables.
    ((number,),) = connection.execute("select coalesce(max(number), 0) from migrations").fetchall()
    return int(number)
