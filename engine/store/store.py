"""What is stored and read back as records: trials, completions, attempts and runs.

Owns every insert, delete and export. A flush is one transaction and idempotent. Never aggregates: that is
`analysis.sql.queries`; never decides how a file is opened: that is `database`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from engine.core import codec, files, places
from engine.core.allowance import Book
from engine.core.answers import READER_VERSION
from engine.core.budget import Limits
from engine.core.errors import StoreError, UnknownName
from engine.core.records import Attempt, Completion, End, Probe, Trial, TrialSpec
from engine.core.rounds import Round, Stop
from engine.core.text import FORMULA, NEXT_CELL
from engine.store import deltas, frames, parquet, rows, schema, tables
from engine.store.database import Database
from engine.store.reply_keys import ReplyKeys, reply_keys
from engine.store.sql import IS_LAST, LAST, Connection, of_last, quoted

if TYPE_CHECKING:
    import polars as pl

Format = Literal["csv", "parquet", "jsonl"]
Asked = tuple[str, str, str]
"""What a study asks for: the task, whether it is a condition or a question, and its id."""
CHUNK = 20_000
"""Rows in memory at once, where a table is written piece by piece."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one flush stores, all of it or nothing."""

    trials: tuple[Trial, ...] = ()
    completions: tuple[Completion, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    run_id: str | None = None
    """The run that paid for completions that do not say so, and that made the attempts."""
    probes: tuple[Probe, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """The last stored attempt of a trial."""

    attempt: int
    end: End
    budget: int
    final: bool
    """True: a larger budget would change nothing (it ended by itself, or its window or call limit was full)."""
    reader: int = 1
    """As `Trial.reader`."""

    @property
    def outdated(self) -> bool:
        """Whether its answers have to be read again: it says something, as an older version reads."""
        return self.end in ("finished", "exhausted") and self.reader < READER_VERSION


@dataclass(frozen=True, slots=True)
class RunRow:
    """One execution of a study. Money in pico-dollars; None: the price of some model is unknown."""

    run_id: str
    study: str
    """JSON of the declared plan; the analysis reads `name`, `budgets`, `budget_axis` and `planned_questions`."""
    state: str
    """running, finished, stopped, ceiling or failed."""
    started_at: datetime
    finished_at: datetime | None = None
    ceiling: str = "{}"
    """JSON of the run's limits."""
    planned_trials: int | None = None
    spent_calls: int = 0
    spent_tokens: int = 0
    spent_pusd: int | None = 0
    reserved_calls: int = 0
    reserved_tokens: int = 0
    reserved_pusd: int | None = 0
    in_doubt_calls: int = 0
    in_doubt_tokens: int = 0
    in_doubt_pusd: int | None = 0
    host: str | None = None
    version: str | None = None
    """Version of Budgetscope that ran it."""
    error: str | None = None
    estimate: str | None = None
    """JSON of what it was expected to spend when it started; None: nobody asked."""


def writable(path: Path | str) -> Path:
    """`path`, or the local copy of a demo database (made now if need be); tell the user when it differs."""
    path = Path(path)
    if not path.exists() or not Store(path).is_demo():
        return path
    local = places.local_copy(path)
    if not local.exists():
        Store(path).copy_to(local)
    if Store(local).is_demo():
        # Also of a copy that was made by hand, or by a process that was killed before this line.
        Store(local).set_demo(False)
    return local


class Store(Database):
    """The records of one database file. Every method opens, acts and closes; all raise StoreError."""

    @contextmanager
    def writing(self, *, demo: bool = False) -> Iterator[Connection]:
        """As `Database.writing`; a demo database is refused unless `demo`."""
        with super().writing() as connection:
            if not demo and schema.is_demo(connection):
                raise StoreError(f"{self.path} is the demo and is only read; write to its local copy instead.")
            yield connection

    def is_demo(self) -> bool:
        """Whether the file is the tracked demo, which is only read."""
        with self.reading() as connection:
            return schema.is_demo(connection)

    def set_demo(self, demo: bool) -> None:
        """Make the file a demo that is only read, or an ordinary database again."""
        with self.writing(demo=True) as connection:
            connection.execute("delete from meta where name = 'demo'")
            if demo:
                connection.execute("insert into meta values ('demo', 'true')")

    def flush(self, batch: Batch) -> int:
        """Store a batch in one transaction; returns how many trials were new. A second flush changes nothing."""
        with self.writing() as connection:
            fresh = tables.unstored(connection, batch.trials)
            content = rows.trial_tables(fresh, tables.next_flush(connection))
            unreported = {call.key: trial.unreported for trial in fresh for call in trial.calls if trial.unreported}
            content["completions"] = [
                rows.completion_row(c, batch.run_id, unreported.get(c.key, ())) for c in batch.completions
            ]
            content["attempts"] = [rows.attempt_row(a, batch.run_id) for a in batch.attempts]
            # Those that an older version read are replaced, others stay.
            content["probes"] = [rows.probe_row(p) for p in batch.probes]
            with deltas.stepped(connection, fresh, content):
                tables.insert(connection, content)
        return len(fresh)

    def save_run(self, run: RunRow, planned: Iterable[TrialSpec] = (), asked: Iterable[Asked] | None = None) -> None:
        """Store a run, or replace what was stored of it; `planned`: the trials its study asks for, whoever has them,
        or `asked`, what `asked_for` says of them, in any order and as often as one likes."""
        rest = iter(asked_for(planned) if asked is None else asked)
        with self.writing() as connection:
            connection.execute("delete from runs where run_id = ?", [run.run_id])
            tables.insert(connection, {"runs": [codec.plain(run)]})
            if not (some := list(itertools.islice(rest, CHUNK))):
                return
            # Piece by piece, as a log asks for as much as it has answers; the database finds what is the same.
            connection.execute("create or replace temp table asked as from plans limit 0")
            while some:
                plans = [{"run_id": run.run_id, "task": task, "kind": kind, "id": id} for task, kind, id in some]
                tables.insert(connection, {"asked": plans})
                some = list(itertools.islice(rest, CHUNK))
            connection.execute("delete from plans where run_id = ?", [run.run_id])
            connection.execute("insert into plans select distinct * from asked order by all")

    def planned(self, run_id: str) -> set[Asked] | None:
        """What a run's study asks for, as `asked_for` says it; None: that was not stored."""
        with self.reading() as connection:
            if not tables.has(connection, "plans"):
                return None
            stored = tables.fetch(connection, "select task, kind, id from plans where run_id = ?", [run_id])
        # A run that was stored before plans were kept has none, which is unknown and no empty study.
        return {(row["task"], row["kind"], row["id"]) for row in stored} or None

    def save_order(self, run_id: str, task: str, question_ids: Iterable[str]) -> None:
        """Keep the order in which an adaptive run asks a task's questions; what is kept stays."""
        placed = [
            {"run_id": run_id, "task": task, "place": place, "question_id": id} for place, id in enumerate(question_ids)
        ]
        with self.writing() as connection:
            tables.insert(connection, {"orders": placed})

    def save_round(self, decided: Round, stops: Iterable[Stop], study: str, question_ids: Iterable[str]) -> None:
        """Keep what a look at a task decided, in one transaction; from now on the run's list of questions there are
        `question_ids`, and its plan says `study`."""
        listed = [
            {"run_id": decided.run_id, "task": decided.task, "kind": "question", "id": id}
            for id in sorted(set(question_ids))
        ]
        with self.writing() as connection:
            tables.insert(
                connection, {"rounds": [codec.plain(decided)], "stops": [codec.plain(stop) for stop in stops]}
            )
            connection.execute(
                "delete from plans where run_id = ? and task = ? and kind = 'question'", [decided.run_id, decided.task]
            )
            tables.insert(connection, {"plans": listed})
            connection.execute("update runs set study = ? where run_id = ?", [study, decided.run_id])

    def rounds(self, run_id: str | None = None) -> tuple[list[Round], list[Stop]]:
        """What adaptive runs decided, in order, of one run or of all; nothing in a file of an earlier version."""
        with self.reading() as connection:
            return tables.rounds(connection, run_id)

    def tokens_read(self, conditions: Iterable[str], question_ids: Iterable[str]) -> list[tuple[str, str, int]]:
        """The stored replies that some conditions read on some questions: condition, completion, its tokens."""
        with self.reading() as connection:
            read = tables.matching(connection, _TOKENS_READ, question_ids, [list(conditions)])
        return [(row["condition_id"], row["key"], row["tokens"]) for row in read]

    def runs(self) -> list[RunRow]:
        """All runs, oldest first."""
        with self.reading() as connection:
            stored = tables.fetch(connection, "select * from runs order by started_at, run_id")
        times = ("started_at", "finished_at")
        return [RunRow(**{**row, **{name: row[name] and codec.aware(row[name]) for name in times}}) for row in stored]

    @contextmanager
    def book(self) -> Iterator[Book]:
        """The allowance and all leases in one transaction; what the block changed is stored unless it raises."""
        with self.writing() as connection:
            book = tables.book(connection)
            yield book
            tables.save_leases(connection, book.changed)

    def read_book(self) -> Book:
        """The allowance and all leases as they are now, to look at."""
        with self.reading() as connection:
            return tables.book(connection)

    def set_allowance(self, allowance: Limits) -> None:
        """From now on a day allows this much to all runs together; `Limits()`: as much as they like."""
        with self.writing() as connection:
            tables.save_allowance(connection, allowance)

    def trial(self, trial_id: str, attempt: int | None = None) -> Trial:
        """One stored trial; the last attempt unless told. Raises StoreError if there is none."""
        wanted = "from trials where trial_id = ? and attempt = coalesce(?, attempt) order by attempt desc limit 1"
        with self.reading() as connection:
            chosen = f"select {tables.place(connection)} {wanted}"
            trials = tables.whole_trials(connection, chosen, [trial_id, attempt])
        if not trials:
            raise StoreError(f"There is no answer {trial_id!r} in {self.path}.")
        return trials[0]

    def trials(self, condition_id: str) -> list[Trial]:
        """The last attempt of every trial of a condition, ordered by trial id."""
        with self.reading() as connection:
            chosen = f"select {tables.place(connection)} from trials {LAST} where {IS_LAST} and condition_id = ?"
            return tables.whole_trials(connection, of_last(connection, chosen), [condition_id])

    def done(self, trial_ids: Iterable[str]) -> dict[str, Done]:
        """How the last stored attempt of these trials ended; trials never stored are left out."""
        with self.reading() as connection:
            ends = tables.matching(connection, _DONE.format(reader=tables.reader(connection)), trial_ids)
        return {row.pop("trial_id"): Done(**row) for row in ends}

    def tried(self, condition_ids: Iterable[str]) -> set[str]:
        """Those of these conditions of which something is stored."""
        with self.reading() as connection:
            sql = "select condition_id from conditions semi join wanted on condition_id = id"
            return {str(row["condition_id"]) for row in tables.matching(connection, sql, condition_ids)}

    def replies_read(self, trial_ids: Iterable[str]) -> dict[str, str]:
        """By request, the stored completion that the last attempts of these trials read."""
        with self.reading() as connection:
            read = tables.matching(connection, _REPLIES_READ, trial_ids)
        return {row["request"]: row["key"] for row in read}

    def completion_keys(self, models: Iterable[str], since: datetime) -> ReplyKeys:
        """By request, the oldest stored completion of these model identities made at or after `since`."""
        with self.reading() as connection:
            # A file that is only read may be older than the table.
            ours = _OURS if tables.has(connection, "origins") else ""
            tables.want(connection, models)
            return reply_keys(connection, codec.naive(since), ours)

    def completions(self, keys: Iterable[str], when: tuple[datetime, datetime] | None = None) -> dict[str, Completion]:
        """The stored completions among `keys`. `when`: most of them were made between these times, so those of other
        times are looked through for what is missing alone: as completions lie in their order, a trial's own are found
        at once among millions."""
        missing, stored = set(keys), list[codec.Row]()
        passes = [("where true", list[object]())]
        if when is not None:
            passes.insert(0, ("where created_at between ? and ?", [codec.naive(time) for time in when]))
        with self.reading() as connection:
            for where, times in passes:
                if missing:
                    sql = f"select c.* from completions c semi join wanted on key = id {where}"
                    stored += tables.matching(connection, sql, missing, times)
                    missing -= {row["key"] for row in stored}
        return {row["key"]: rows.completion_of(row) for row in stored}

    def probes(self, chain_keys: Iterable[str]) -> list[Probe]:
        """All looks into these completions, by completion and place; none in a file of an earlier version."""
        with self.reading() as connection:
            if not tables.has(connection, "probes"):
                return []
            sql = "select p.* from probes p semi join wanted on chain_key = id order by all"
            return [rows.probe_of(row) for row in tables.matching(connection, sql, chain_keys)]

    def looked_into(self) -> set[str]:
        """The completions that were looked into."""
        with self.reading() as connection:
            if not tables.has(connection, "probes"):
                return set()
            found = connection.execute("select distinct chain_key from probes").fetchall()
        return {str(key) for (key,) in found}

    def looked_into_before(self) -> set[str]:
        """Conditions whose thoughts were looked into by looks that an older version of the reading of answers read."""
        with self.reading() as connection:
            if "probes" not in (layouts := tables.layouts(connection)):
                return set()
            reader = "p.reader" if ("reader", "BIGINT") in layouts["probes"] else "null"
            found = connection.execute(_OLD_LOOKS.format(reader=reader), [READER_VERSION]).fetchall()
        return {str(condition) for (condition,) in found}

    def attempts(self, run_id: str) -> list[tuple[Attempt, int | None]]:
        """All stored attempts of a run, each with the pico-dollars its provider reported; None: it did not."""
        with self.reading() as connection:
            stored = tables.fetch(connection, _ATTEMPTS, [run_id])
        return [(rows.attempt_of(row), row["provider_cost_pusd"]) for row in stored]

    def keep_link(self, link_id: str, view: str) -> None:
        """Keep what a short link shows; the same id again changes nothing."""
        with self.writing() as connection:
            row = [link_id, view, codec.naive(datetime.now(UTC))]
            connection.execute("insert into links values (?, ?, ?) on conflict do nothing", row)

    def link(self, link_id: str) -> str | None:
        """What a short link shows; None: there is none of this id."""
        with self.reading() as connection:
            kept = connection.execute("select view from links where link_id = ?", [link_id]).fetchone()
        return None if kept is None else str(kept[0])

    def sizes(self) -> tuple[dict[str, int], int]:
        """By table the bytes its rows take in the file, and how many trials there are. Blocks are counted, so a table
        of few rows counts a whole one; of an archive, the bytes of its files."""
        if parquet.is_archive(self.path):
            kept = parquet.manifest(self.path)
            return {table: file.bytes for table, file in kept.files.items()}, kept.trials
        with self.reading() as connection:
            ((block,),) = connection.execute(
                "select block_size from pragma_database_size() where database_name = current_database()"
            ).fetchall()
            sizes = {}
            for table in tables.layouts(connection):
                ((blocks,),) = connection.execute(
                    f"select count(distinct block_id) from pragma_storage_info({quoted(table)}) where persistent"
                ).fetchall()
                sizes[table] = int(blocks) * int(block)
            ((trials,),) = connection.execute("select count(*) from trials").fetchall()
        return sizes, int(trials)

    def delete_run(self, run_id: str) -> None:
        """Delete a run, its trials and what nothing else references; completions other runs paid for stay."""
        with self.writing() as connection, deltas.forgotten(connection, run_id):
            for statement in _DELETE_RUN:
                connection.execute(statement, [run_id] if "?" in statement else [])

    def export(self, path: Path | str, format: Format, table: str) -> None:
        """Write one table to a file. CSV text that a spreadsheet would run as a formula gets a leading apostrophe."""
        if table not in schema.TABLES:
            raise UnknownName("table", table, schema.TABLES)
        with self._written(path, format) as (connection, part):
            layout = tables.layouts(connection, table)[table]
            _copied(connection, table, layout, part, format)

    def export_frame(self, path: Path | str, format: Format, frame: pl.DataFrame) -> None:
        """Write a frame as `export` writes a table."""
        with self._written(path, format) as (connection, part):
            # Through Arrow, without a copy, and without duckdb having to know polars.
            frames.register(connection, "given", frame)
            # By the values' own types: a view has no layout of ours.
            kinds = connection.execute("describe select * from given").fetchall()
            _copied(connection, "given", [(name, kind) for name, kind, *_ in kinds], part, format)

    @contextmanager
    def _written(self, path: Path | str, format: Format) -> Iterator[tuple[Connection, Path]]:
        """A connection and the half-made file it may write, which becomes the target when the block has ended."""
        if format not in _COPY:
            raise UnknownName("export format", format, _COPY)
        target = Path(path).resolve()
        if not target.parent.is_dir():
            raise StoreError(f"There is no folder {target.parent} to write {target.name} to.")
        # Resolved, or a link to the database would be written over.
        if target == self.path.resolve() or (target.exists() and not target.is_file()):
            raise StoreError(f"{target} is not a file an export may replace; choose another name.")
        # Beside the target and renamed at the end: what was there before stays until the new file is whole.
        files.sweep(target.parent, lambda name: name == target.name)
        part = files.part_of(target)
        try:
            with self.writing_out(part) as connection:
                yield connection, part
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


def _copied(connection: Connection, relation: str, layout: tables.Layout, part: Path, format: Format) -> None:
    columns = ", ".join(
        _guarded(name) if format == "csv" and kind == "VARCHAR" else f'"{name}"' for name, kind in layout
    )
    connection.execute(f"copy (select {columns} from {relation}) to {quoted(str(part))} ({_COPY[format]})")


_COPY: dict[str, str] = {"csv": "format csv, header", "parquet": "format parquet", "jsonl": "format json"}

_OLD_LOOKS = """
select distinct t.condition_id from probes p join calls c on c.key = p.chain_key join trials t using (trial_id, attempt)
where coalesce({reader}, 1) < ? and t.question_id = p.question_id"""
_DONE = f"""
select trial_id, attempt, "end", budget, {{reader}} as reader,
    "end" = 'finished' or ("end" = 'exhausted' and coalesce(error, '') in {deltas.FINAL_CUTS}) as final
from trials semi join wanted on trial_id = id
qualify row_number() over (partition by trial_id order by attempt desc) = 1"""

# An attempt names the request it was made for; a completion and the calls that read it add the run that paid.
# Replies of a merged run are looked at, and read in place of a call only where it is trusted.
_OURS = "and (run_id is null or run_id not in (select run_id from origins where not trusted))"

_ATTEMPTS = """
select a.*, if(outcome = 'ok', provider_cost_pusd, null) as provider_cost_pusd
from attempts a left join completions k on k.key = a.key || '@' || a.run_id where a.run_id = ? order by attempt_id"""

_TOKENS_READ = """
select distinct t.condition_id, c.key, coalesce(k.input_tokens, 0) + coalesce(k.output_tokens, 0) as tokens
from trials t semi join wanted on t.question_id = id join calls c using (trial_id, attempt)
join completions k on k.key = c.key where t.condition_id in (select unnest(?::varchar[])) order by all"""

_OWN = "(trial_id, attempt) in (select (trial_id, attempt) from trials where run_id = ?)"
_REPLIES_READ = """
with latest as (
    select trial_id, max(attempt) as attempt from trials semi join wanted on trial_id = id group by trial_id)
select split_part(key, '@', 1) as request, min(key) as key
from calls semi join latest using (trial_id, attempt) semi join completions using (key) group by request"""

_SHARED = {"conditions": "condition_id", "questions": "question_id", "framings": "framing_id", "prices": "snapshot_id"}
# In this order: each statement asks what those before it have left.
_DELETE_RUN = (
    *(f"delete from {table} where {_OWN}" for table in ("calls", "marks", "mark_spends", "trial_spends", "facts")),
    "delete from trials where run_id = ?",
    "delete from attempts where run_id = ?",
    "delete from runs where run_id = ?",
    *(f"delete from {table} where run_id = ?" for table in ("plans", "orders", "rounds", "stops")),
    "delete from probes where chain_key not in (select key from calls)",
    """delete from completions where key not in (
            select key from calls union all select key from probes where key is not null)
        and (run_id = ? or run_id not in (select run_id from runs union all select run_id from trials))""",
    "delete from prompts where prompt_key not in (select prompt_key from calls)",
    *(f"delete from {table} where {key} not in (select {key} from trials)" for table, key in _SHARED.items()),
    """update conditions set budget = t.budget
    from (select condition_id, max(budget) as budget from trials group by condition_id) t
    where t.condition_id = conditions.condition_id and t.budget < conditions.budget""",
)


def _guarded(name: str) -> str:
    """A text column whose formulas are defused; real numbers such as -3.5 stay as they are."""
    number = f"""regexp_full_match("{name}", '[+-]?([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([eE][+-]?[0-9]+)?')"""
    text = f"""regexp_replace(replace("{name}", chr(0), '\ufffd'), '{NEXT_CELL}', ';''\\1', 'g')"""
    formula = f"""regexp_matches({text}, '{FORMULA}')"""
    return f"""case when {formula} and not {number} then '''' || {text} else {text} end as "{name}\""""


def asked_for(planned: Iterable[TrialSpec]) -> set[Asked]:
    """The conditions and questions of some trials: task, which of the two, and id."""
    return {
        (spec.condition.task, kind, id)
        for spec in planned
        for kind, id in (("condition", spec.condition.condition_id), ("question", spec.question.question_id))
    }


def paid(spec: TrialSpec, done: Done | None) -> bool:
    """Whether the store holds all this trial says: it ended by itself, or at a budget at least as large."""
    if done is None or done.end in ("failed", "stopped"):
        return False
    return done.final or done.budget >= spec.condition.budget


def settled(spec: TrialSpec, done: Done | None) -> bool:
    """Whether there is nothing left to do for this trial: it is stored, and today's version read it."""
    return done is not None and paid(spec, done) and not done.outdated
