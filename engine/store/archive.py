"""A study out of the database into an archive, and back.

In this order, so that nothing is lost by whoever is killed: the archive is made under a name nobody reads and renamed
when it is whole, then the study is taken out of the database in one transaction. Between the two it stands in both, and
whoever archives again finds that and goes on. Bringing it back is one transaction too, before the archive is removed.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path

import duckdb

from engine.core import codec, files, ids
from engine.core.answers import removed
from engine.core.errors import NotADatabase, StoreError
from engine.store import deltas, merging, parquet, schema, sound, tables
from engine.store.extract import Part, extract
from engine.store.parquet import Manifest
from engine.store.sql import Connection, each, quoted
from engine.store.store import Store

_NO_KEY = ("plans",)
"""Tables whose rows have no key to meet by."""
_LEFT = ("migrations", "meta", "links", "leases", "steps", "numbers", "run_parts", "held", "holdings")
"""What does not come back: it is this database's own, or derived from what does."""


def folder_of(db: Path, study: str) -> Path:
    """Where a study of a database is archived: r.duckdb has r.archive, any other name N has N-archive."""
    stem = db.name.removesuffix(".duckdb")
    plain = re.sub("[^A-Za-z0-9_-]+", "-", study).strip("-")[:60]
    # Two names that are spelled alike without their signs are two folders.
    name = plain if plain == study else f"{plain or 'study'}-{ids.digest('a1', study)[3:9]}"
    return db.with_name(f"{stem}.archive" if stem != db.name else f"{db.name}-archive") / name


def archives(db: Path) -> Iterator[tuple[Path, Manifest]]:
    """The archives beside a database, by name; one that cannot be read is left out."""
    for path in sorted(folder_of(db, "x").parent.glob("*/")):
        try:
            yield path, parquet.manifest(path)
        except StoreError:
            continue


def runs_of(store: Store, study: str) -> tuple[str, ...]:
    """The stored runs of a study, oldest first."""
    return tuple(run.run_id for run in store.runs() if json.loads(run.study).get("name", run.run_id) == study)


def write(store: Store, part: Part) -> tuple[Path, Manifest]:
    """Make the archive of a study, or find the one that a killed process left beside the study it holds.

    Raises StoreError where there is one that holds other answers, and UsageError where the study has none."""
    folder = folder_of(store.path, part.study)
    folder.parent.mkdir(exist_ok=True)
    files.sweep(folder.parent)
    if folder.exists():
        kept = parquet.manifest(folder)
        if kept.study == part.study and _covers(store, folder, part):
            return folder, kept
        raise StoreError(
            f"{folder} is an archive already and holds other answers of {kept.study!r}; bring it back first "
            f"(`budgetscope restore {folder}`), then archive both together."
        )
    fresh = files.part_of(folder)
    fresh.mkdir()
    try:
        with tempfile.TemporaryDirectory(prefix=".budgetscope-", dir=folder.parent) as scratch:
            whole = Path(scratch) / "study.duckdb"
            extract(store, whole, part)
            with duckdb.connect(str(whole), read_only=True) as connection:
                done = parquet.write(connection, fresh, part.study, runs_of(store, part.study), datetime.now(UTC))
        _synced(fresh)
        fresh.rename(folder)
        _synced(folder.parent)
    except OSError as error:
        raise StoreError(f"{folder} cannot be made ({files.why(error)}); nothing was archived.") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder, done


def remove(store: Store, part: Part) -> int:
    """Take a study out of the database, in one transaction; returns how many trials went. What other studies ask for
    as well stays."""
    with store.writing() as connection:
        _choose(connection, part, runs_of_connection(connection, part.study))
        places = "create or replace temp table gone_places as select distinct t.condition_id, t.question_id, t.repeat"
        connection.execute(f"{places} from trials t semi join gone using (trial_id, attempt)")
        for statement in _REMOVE:
            connection.execute(statement)
        changed = "select distinct condition_id from gone_places"
        deltas.unhold(connection, (id for (id,) in connection.execute(changed).fetchall()))
        deltas.again(connection, "from gone_places")
        ((count,),) = connection.execute("select count(*) from gone").fetchall()
    return int(count)


def bring_back(store: Store, folder: Path) -> tuple[int, int]:
    """Put what an archive holds into a database, in one transaction; returns how many trials are new there, and how
    many trials and replies differ from what is there by now, which stays as it is. The archive stays too.

    Raises StoreError for one that is damaged, UsageError for one that holds what none of ours would."""
    if why := parquet.damage(folder):
        raise NotADatabase(f"{folder} is a damaged archive: {why}; restore it from a copy. Nothing was brought back.")
    kept = parquet.manifest(folder)
    with store.joined(folder) as connection:
        here = _own_layouts(connection)
        with Store(folder).as_it_is() as source:
            # One of an earlier version lacks columns, which are unknown of it; today's has them all.
            old = schema.version(source, folder) < schema.SCHEMA_VERSION
            theirs = {table: {name for name, _ in file.columns} for table, file in kept.files.items()}
            coming = {
                table: [column for column in here[table] if not old or column[0] in theirs[table]]
                for table in theirs
                if table in here and table not in _LEFT
            }
            sound.check(source, coming, tables.needed(connection), folder.name)
        differ = _choose_coming(connection)
        for table, layout in coming.items():
            columns = each('"@"', *(name for name, _ in layout if name != "attempt" or table not in _OF_TRIALS))
            source_of = f"origin.{table}"
            if table in _OF_TRIALS:
                columns += ', c.at as "attempt"'
                source_of += " join coming c using (trial_id, attempt)"
            rest = f"where run_id not in (select run_id from main.{table})" if table in _NO_KEY else ""
            tail = "" if table in _NO_KEY or table in _OF_TRIALS else "on conflict do nothing"
            if table in tables.KEYS:
                tables.add(connection, table, f"(select {columns} from {source_of})")
            else:
                connection.execute(f"insert into main.{table} by name select {columns} from {source_of} {rest} {tail}")
        connection.execute(
            """create or replace temp table mine as select t.* from main.trials t
            semi join coming c on t.trial_id = c.trial_id and t.attempt = c.at"""
        )
        merging.derive(connection)
        ((count,),) = connection.execute("select count(*) from coming").fetchall()
    return int(count), differ


def _choose_coming(connection: Connection) -> int:
    """Which trials of an archive come into a database, and as which attempt, as `coming`; how many trials and replies
    are another here."""
    connection.execute(
        """create temp table coming as select trial_id, attempt, attempt as at from origin.trials
        where trial_id not in (select trial_id from main.trials)"""
    )
    # Asked for again since: by the rule of merging, which two attempts that are one another's copy need not.
    same = " and ".join(f'm."{name}" is not distinct from o."{name}"' for name in ("attempt", *merging.OUTCOME))
    connection.execute(
        f"""create temp table met as select distinct trial_id from origin.trials o
        where trial_id in (select trial_id from main.trials)
            and not exists (select 1 from main.trials m where m.trial_id = o.trial_id and {same})"""
    )
    attempts: list[dict[str, list[codec.Row]]] = []
    for side in ("main", "origin"):
        every = tables.fetch(connection, f"select * from {side}.trials semi join met using (trial_id) order by all")
        attempts.append({id: list(rows) for id, rows in itertools.groupby(every, itemgetter("trial_id"))})
    differ, rows = 0, []
    for id, theirs in attempts[1].items():
        own = sorted(attempts[0][id], key=itemgetter("attempt"))
        more = merging.going_on(own, sorted(theirs, key=itemgetter("attempt")))
        differ += more is None
        rows += [(id, row["attempt"], own[-1]["attempt"] + n) for n, row in enumerate(more or (), 1)]
    if rows:
        connection.executemany("insert into coming values (?, ?, ?)", rows)
    ((replies,),) = connection.execute(
        f"""select count(*) from main.completions m join origin.completions o using (key)
        where m.text <> o.text and m.text not like {quoted(removed.LIKE)} and o.text not like {quoted(removed.LIKE)}"""
    ).fetchall()
    return differ + int(replies)


def discard(folder: Path) -> None:
    """Remove an archive that was brought back: gone by one rename, then deleted."""
    gone = files.part_of(folder)
    folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()


def runs_of_connection(connection: Connection, study: str) -> list[str]:
    """As `runs_of`, of an open database."""
    runs = connection.execute("select run_id, study from runs").fetchall()
    return [run_id for run_id, plan in runs if json.loads(plan).get("name", run_id) == study]


def _own_layouts(connection: Connection) -> dict[str, tables.Layout]:
    sql = """select table_name, column_name, data_type from duckdb_columns()
        where database_name = current_database() and not internal order by column_index"""
    layouts: dict[str, tables.Layout] = {}
    for table, column, kind in connection.execute(sql).fetchall():
        layouts.setdefault(table, []).append((column, kind))
    return layouts


def _choose(connection: Connection, part: Part, own: list[str]) -> None:
    """Which trials belong to a study alone, as `gone`, and its runs, as `own`."""
    connection.execute("create or replace temp table own as select unnest(?::varchar[]) as run_id", [own])
    connection.execute("create or replace temp table conds as select unnest(?::varchar[]) as id", [part.conditions])
    connection.execute("create or replace temp table quests as select unnest(?::varchar[]) as id", [part.questions])
    # Another run asks for them, or paid for them in a time when that was not written down.
    connection.execute(
        """create or replace temp table gone as
        select trial_id, attempt from trials t
        semi join conds on t.condition_id = conds.id semi join quests on t.question_id = quests.id
        where (run_id in (from own) or exists (select 1 from plans p where p.run_id = t.run_id)
                or run_id not in (select run_id from runs))
            and not exists (
                select 1 from plans c join plans q using (run_id) where run_id not in (from own)
                and c.kind = 'condition' and c.id = t.condition_id and c.id in (from conds)
                and q.kind = 'question' and q.id = t.question_id and q.id in (from quests))"""
    )


def _covers(store: Store, folder: Path, part: Part) -> bool:
    """Whether an archive holds every trial the database has of a study."""
    with store.joined(folder) as connection:
        _choose(connection, part, runs_of_connection(connection, part.study))
        missing = "select 1 from gone anti join origin.trials using (trial_id, attempt) limit 1"
        return not connection.execute(missing).fetchall()


def _synced(folder: Path) -> None:
    """A folder's names down to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_WITH_TRIALS = ("calls", "marks", "mark_spends", "trial_spends", "facts")
_OF_TRIALS = ("trials", *_WITH_TRIALS)
_SHARED = {"conditions": "condition_id", "questions": "question_id", "framings": "framing_id", "prices": "snapshot_id"}
# In this order: each statement asks what those before it have left.
_REMOVE = (
    *(
        f"delete from {table} where (trial_id, attempt) in (select (trial_id, attempt) from gone)"
        for table in (*_WITH_TRIALS, "trials")
    ),
    # What stays because others ask for it belongs to one of them from now on.
    """update trials set run_id = coalesce((
            select min(c.run_id) from plans c join plans q using (run_id) where c.run_id not in (from own)
            and c.kind = 'condition' and c.id = trials.condition_id
            and q.kind = 'question' and q.id = trials.question_id), run_id)
        where run_id in (from own)""",
    *(
        f"delete from {table} where run_id in (from own)"
        for table in ("attempts", "runs", "plans", "orders", "rounds", "stops", "run_parts", "origins")
    ),
    "delete from probes where chain_key not in (select key from calls)",
    """delete from completions where (run_id in (from own) or run_id is null or run_id not in (select run_id from runs))
        and key not in (select key from calls union all select key from probes where key is not null)""",
    "delete from prompts where prompt_key not in (select prompt_key from calls)",
    *(f"delete from {table} where {key} not in (select {key} from trials)" for table, key in _SHARED.items()),
    "delete from price_tiers where snapshot_id not in (select snapshot_id from trials)",
)
