"""Rows in and out of an open connection: bulk inserts, matching by ids, whole trials, and the book of leases.

Owns the SQL that puts a trial's rows together again. Opens nothing, commits nothing, aggregates nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from operator import itemgetter
from typing import Any

import duckdb

from engine.core import codec
from engine.core.allowance import Book, Lease
from engine.core.answers import removed
from engine.core.budget import Amount, Limits
from engine.core.records import Price, Trial
from engine.core.rounds import Round, Stop
from engine.store import frames, rows
from engine.store.sql import Connection, quoted

Layout = list[tuple[str, str]]

_ON_CONFLICT = {
    "conditions": "on conflict (condition_id) do update set budget = greatest(budget, excluded.budget)",
    # A look that is read again by a newer version; who paid for it and what it took stay.
    "probes": "on conflict do update set answer = excluded.answer, verdict = excluded.verdict, score = excluded.score, "
    "reader = excluded.reader where coalesce(excluded.reader, 1) > coalesce(probes.reader, 1)",
    **dict.fromkeys(("numbers", "run_parts", "steps", "plans", "asked", "incoming"), ""),
    # Rows of trials that are new, and of what was deleted before: looking for their keys would double what they cost.
    **dict.fromkeys(("trials", "trial_spends", "calls", "marks", "mark_spends", "facts", "runs", "leases"), ""),
}
"""What to do about a key that is stored; nothing for a table without keys, and for rows whose keys cannot be."""

KEYS = {"prompts": "prompt_key", "completions": "key"}
"""Keys without an index, of rows that may be stored already."""

_HEADS = """
select t.*, c.task, c.lineup, c.strategy, c.params, c.version, c.anytime, c.prompting, q.task as question_task,
    q.text, q.context, q.target, q.category, q.data, f.answer_kind, f.instructions, f.examples
from ({trials}) t
join conditions c using (condition_id) join questions q using (question_id) join framings f using (framing_id)
order by trial_id"""

_CHILDREN = {
    "calls": ("calls", "trial_id, ordinal"),
    "marks": ("marks", "trial_id, ordinal"),
    "mark_spends": ("mark_spends", "trial_id, ordinal, position"),
    "spends": ("trial_spends", "trial_id, position"),
    "facts": ("facts", "trial_id, ordinal"),
}
"""By what they are called below a trial their tables and orders."""

_FEW = 200
"""Flushes that are looked for one by one."""


def fetch(connection: Connection, sql: str, parameters: Sequence[Any] = ()) -> list[codec.Row]:
    """All rows of a query as dicts."""
    cursor = connection.execute(sql, list(parameters))
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]


def want(connection: Connection, ids: Iterable[str]) -> None:
    """From now on the view `wanted` (column `id`) has these."""
    import polars as pl

    frames.register(connection, "wanted", pl.DataFrame({"id": list(ids)}, schema={"id": pl.String}))


def matching(connection: Connection, sql: str, ids: Iterable[str], parameters: Sequence[Any] = ()) -> list[codec.Row]:
    """Rows of a query that names the view `wanted` (column `id`)."""
    want(connection, ids)
    return fetch(connection, sql, parameters)


def unstored(connection: Connection, trials: Sequence[Trial]) -> list[Trial]:
    """Trials whose (id, attempt) is new: an older one keeps all its rows, marks and calls included."""
    # Of two with one key the first counts; a dict keeps the last it is told, so both ways round.
    keys = {(trial.spec.trial_id, trial.attempt): trial for trial in reversed(trials)}
    sql = "select trial_id, attempt from trials semi join wanted on trial_id = id"
    stored = {(row["trial_id"], row["attempt"]) for row in matching(connection, sql, {key for key, _ in keys})}
    return [trial for key, trial in reversed(keys.items()) if key not in stored]


def insert(connection: Connection, content: rows.Tables) -> None:
    """Bulk insert through Arrow; rows whose key is stored are left as they are, but for `_ON_CONFLICT`.

    The database has the newest schema, as everything has that is written to."""
    # pyarrow's own way from rows to columns is many times slower, and imports pandas.
    import polars as pl

    kinds = {"VARCHAR": pl.String(), "BOOLEAN": pl.Boolean(), "TIMESTAMP": pl.Datetime("us"), "DOUBLE": pl.Float64()}
    content = {table: fresh for table, fresh in content.items() if fresh}
    if lacking := content.keys() - _LAYOUTS.keys():
        _LAYOUTS.update(layouts(connection, *lacking))
    for table, fresh in content.items():
        # By the table's own layout: from the values alone a column of nulls would have no type at all. By columns, as a
        # list of rows would be cast without a word: 1.5 to 1.
        shape = {name: kinds.get(kind, pl.Int64()) for name, kind in _LAYOUTS[table]}
        try:
            frame = pl.DataFrame(_by_columns(fresh, shape), schema=shape)
        except UnicodeEncodeError:
            # A lone surrogate somewhere; looked for only now, since nearly no text has one.
            clean = [{k: codec.storable(v) if isinstance(v, str) else v for k, v in row.items()} for row in fresh]
            frame = pl.DataFrame(_by_columns(clean, shape), schema=shape)
        frames.register(connection, "fresh", frame)
        if table in KEYS:
            stored = add(connection, table, "fresh")
            if stored and table == "completions":
                # Bought again by the run that had it, after its text was removed.
                note = quoted(removed.LIKE)
                connection.execute(
                    "update completions set text = f.text from fresh f where f.key = completions.key "
                    "and completions.key in (select unnest(?)) "
                    f"and completions.text like {note} and f.text not like {note}",
                    [stored],
                )
        else:
            tail = _ON_CONFLICT.get(table, "on conflict do nothing")
            connection.execute(f"insert into {table} by name select * from fresh {tail}")
        connection.unregister("fresh")


def add(connection: Connection, table: str, source: str) -> list[str]:
    """Put the rows of `source` whose key is new into a table of `KEYS`; returns the keys that were stored before."""
    key = KEYS[table]
    found = connection.execute(f"select {key} from main.{table} semi join {source} using ({key})").fetchall()
    stored = [each for (each,) in found]
    new = f"select distinct on ({key}) * from {source}"
    if stored:
        connection.execute(f"insert into main.{table} by name {new} where {key} not in (select unnest(?))", [stored])
    else:
        connection.execute(f"insert into main.{table} by name {new}")
    return stored


def _by_columns(rows: Sequence[codec.Row], names: Iterable[str]) -> dict[str, Sequence[Any]]:
    """The rows' values by column; null where a row has none."""
    names = tuple(names)
    try:
        # In one go, which takes two thirds of the time; the rows of a table nearly always have all its columns.
        columns = zip(*map(itemgetter(*names), rows), strict=True) if len(names) > 1 else None
        return dict(zip(names, columns, strict=True)) if columns else {names[0]: [row[names[0]] for row in rows]}
    except KeyError:
        return {name: [row.get(name) for row in rows] for name in names}


_LAYOUTS: dict[str, Layout] = {}
"""Tables of the newest schema that were written to: asking for the columns takes as long as a small insert."""


def layouts(connection: Connection, *only: str) -> dict[str, Layout]:
    """Name and DuckDB type of every table's columns, in order; of some tables alone where they are named, which takes
    a quarter of the time. A file that is only read may be older than a table or a column."""
    layouts: dict[str, Layout] = {}
    which = f" and table_name in ({', '.join(map(quoted, only))})" if only else ""
    sql = f"select table_name, column_name, data_type from duckdb_columns() where not internal{which}"
    for table, name, kind in connection.execute(f"{sql} order by column_index").fetchall():
        layouts.setdefault(table, []).append((name, kind))
    return layouts


def has(connection: Connection, table: str, column: str | None = None) -> bool:
    """Whether there is such a table or view, with such a column. Where there is not, a transaction is aborted; what is
    written to has the newest schema."""
    try:
        # A quarter of what a look into the catalog costs.
        connection.execute(f"select {column or 1} from {table} limit 0").fetchall()
    except (duckdb.CatalogException, duckdb.BinderException):
        return False
    return True


def needed(connection: Connection) -> dict[str, set[str]]:
    """By table the columns that are never null."""
    found: dict[str, set[str]] = {}
    sql = "select table_name, column_name from duckdb_columns() where not internal and not is_nullable"
    for table, column in connection.execute(sql).fetchall():
        found.setdefault(table, set()).add(column)
    return found


def reader(connection: Connection) -> str:
    """By which version a row of `trials` was read, as SQL; a file that is only read may be older than the column."""
    return "coalesce(reader, 1)" if has(connection, "trials", "reader") else "1"


def next_flush(connection: Connection) -> int:
    """The number of the flush that is about to be stored."""
    ((last,),) = connection.execute("select coalesce(max(flush), 0) from trials").fetchall()
    return int(last) + 1


def flush(connection: Connection, trials: str = "trials") -> str:
    """The column of `trials` that says which flush stored a row; a file that is only read may be older than it."""
    return f"{trials}.flush" if has(connection, "trials", "flush") else "null::bigint as flush"


def place(connection: Connection, trials: str = "trials") -> str:
    """Columns of `trials` that say where a trial and all that is below it are found; see `whole_trials`."""
    return f"trial_id, attempt, {flush(connection, trials)}"


def row_name(connection: Connection) -> str:
    """The column that names a row of `trials` in the least memory: rows of an archive have no place of their own."""
    return "rowid" if has(connection, "trials", "rowid") else "trial_id"


def whole_trials(connection: Connection, chosen: str, parameters: Sequence[Any]) -> list[Trial]:
    """Whole trials, by the columns of `place` that `chosen` selects."""
    connection.execute(f"create or replace temp table picked as {chosen}", list(parameters))
    flushes = near(connection, "picked")
    heads = fetch(connection, _HEADS.format(trials=_wanted(connection, "trials", flushes)))
    snapshots = prices(connection)
    found = layouts(connection, *(table for table, _ in _CHILDREN.values()))
    children: dict[str, dict[str, list[codec.Row]]] = {}
    for name, (table, order) in _CHILDREN.items():
        # A file that is only read may be older than the table.
        own = fetch(connection, f"{_wanted(connection, table, flushes)} order by {order}") if table in found else []
        children[name] = _grouped(own, "trial_id")
    _prompted(connection, children["calls"], flushes)
    return [
        rows.trial_of(
            head,
            snapshots.get(head["snapshot_id"], {}),
            **{name: grouped.get(head["trial_id"], []) for name, grouped in children.items()},
        )
        for head in heads
    ]


def near(connection: Connection, table: str) -> list[int]:
    """The flushes of the trials in a table; none where that is not known, and where they are so many that little would
    be passed over."""
    flushes = [number for (number,) in connection.execute(f"select distinct flush from {table}").fetchall()]
    return [] if None in flushes or len(flushes) > _FEW else sorted(flushes)


def of_flushes(table: str, columns: str, flushes: Sequence[int]) -> str:
    """Columns of the rows that these flushes stored, as a relation; of all where none is named."""
    if not flushes:
        return f"(select {columns} from {table})"
    # One by one: of a list DuckDB only asks which blocks of 122,880 rows could hold one, and reads these whole.
    return f"({' union all '.join(f'select {columns} from {table} where flush = {number:d}' for number in flushes)})"


def _wanted(connection: Connection, table: str, flushes: Sequence[int]) -> str:
    """The rows of a table that belong to the trials in `picked`."""
    picked = "semi join picked using (trial_id, attempt)"
    # Rows of an archive have no place of their own.
    if not has(connection, table, "rowid"):
        return f"select * from {of_flushes(table, '*', flushes)} {picked}"
    # The keys of all rows are read, and of the others no more than that: a third of the time.
    keys = of_flushes(table, "rowid as own, trial_id, attempt", flushes)
    return f"select * from {table} where rowid in (select own from {keys} {picked})"


def _prompted(connection: Connection, calls: Mapping[str, Sequence[codec.Row]], near: Sequence[int]) -> None:
    """Add to calls the messages of their prompts, most of which the flush of their trial stored."""
    every = [call for own in calls.values() for call in own]
    messages: dict[str, str] = {}
    for flushes in (near, ()) if near else ((),):
        if missing := {call["prompt_key"] for call in every} - messages.keys():
            prompts = of_flushes("prompts", "prompt_key, messages", flushes)
            found = matching(connection, f"from {prompts} semi join wanted on prompt_key = id", missing)
            messages |= {row["prompt_key"]: row["messages"] for row in found}
    for call in every:
        call["messages"] = messages[call["prompt_key"]]


def prices(connection: Connection) -> dict[str, dict[str, Price | None]]:
    """By snapshot and model identity, the prices that are stored. All of them: they are few."""
    tiers: dict[tuple[str, str], list[codec.Row]] = {}
    # A file that is only read may be older than the table.
    if has(connection, "price_tiers"):
        for row in fetch(connection, "select * from price_tiers"):
            tiers.setdefault((row["snapshot_id"], row["model"]), []).append(row)
    snapshots: dict[str, dict[str, Price | None]] = {}
    for row in fetch(connection, "select * from prices order by snapshot_id, model"):
        key = row["snapshot_id"], row["model"]
        snapshots.setdefault(key[0], {})[key[1]] = rows.price_of(row, tiers.get(key, []))
    return snapshots


def book(connection: Connection) -> Book:
    """The day's allowance and all leases, as this connection sees them."""
    stored = connection.execute("select value from meta where name = 'allowance'").fetchone()
    leases: list[Lease] = []
    for row in fetch(connection, "select * from leases order by day, taken_at"):
        # Leases of before a column was added have null in it.
        spent, doubt = (Amount(*(row[f"{part}_{kind}"] or 0 for kind in _KINDS)) for part in ("spent", "in_doubt"))
        lent = Limits(*(row[kind] for kind in _KINDS))
        taken_at = codec.aware(row["taken_at"])
        leases.append(Lease(row["run_id"], row["day"], lent, spent, doubt, row["held"], taken_at))
    return Book(Limits(**json.loads(stored[0])) if stored else Limits(), leases)


def rounds(connection: Connection, run_id: str | None = None) -> tuple[list[Round], list[Stop]]:
    """What adaptive runs decided, in order, of one run or of all; nothing in a file of an earlier version."""
    if not has(connection, "rounds"):
        return [], []
    where = "where run_id = coalesce(?, run_id)"
    looked = fetch(connection, f"select * from rounds {where} order by run_id, task, number", [run_id])
    sql = f"select * from stops {where} order by run_id, task, number, condition_id, budget"
    return [Round(**row) for row in looked], [Stop(**row) for row in fetch(connection, sql, [run_id])]


def save_allowance(connection: Connection, allowance: Limits) -> None:
    """Keep the day's allowance; no limit at all leaves nothing behind."""
    connection.execute("delete from meta where name = 'allowance'")
    if allowance != Limits():
        connection.execute("insert into meta values ('allowance', ?)", [json.dumps(asdict(allowance))])


def save_leases(connection: Connection, leases: Iterable[Lease]) -> None:
    """Store leases, or replace what was stored of them."""
    content: list[codec.Row] = []
    for lease in leases:
        connection.execute("delete from leases where run_id = ? and day = ?", [lease.run_id, lease.day])
        row = {"run_id": lease.run_id, "day": lease.day, "held": lease.held, "taken_at": codec.naive(lease.taken_at)}
        for prefix, part in (("", lease.lent), ("spent_", lease.spent), ("in_doubt_", lease.in_doubt)):
            row |= {f"{prefix}{kind}": getattr(part, kind) for kind in _KINDS}
        content.append(row)
    insert(connection, {"leases": content})


_KINDS = ("calls", "tokens", "pusd")


def _grouped(content: Iterable[codec.Row], name: str) -> dict[str, list[codec.Row]]:
    ordered = sorted(content, key=lambda row: str(row[name]))
    return {key: list(group) for key, group in groupby(ordered, key=lambda row: str(row[name]))}
