"""Another database of results into this one: rows with one content-hash id meet, what differs under one id is reported
and stays as it is here, and a second merge changes nothing.

A trial is known by its last attempt. Where theirs goes on from ours (a later attempt, a larger budget, an answer where
ours failed) it comes in as the next attempt of ours, as if it had been tried on here.

The other file is nobody's word: it is copied, opened apart from ours with no access to anything else, looked over
(`sound`) and read table by table as values. Its attempts and leases stay behind, for they count in no allowance or
ceiling here; so do its links and settings. Its runs are noted in `origins`, and their replies are shown but never read
in place of a call, unless the merge is trusted.
"""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from operator import itemgetter
from pathlib import Path

from engine.core import codec
from engine.core.errors import NotADatabase, UsageError
from engine.store import deltas, sound, tables
from engine.store.database import is_database
from engine.store.sql import Connection
from engine.store.store import Store

CHUNK, CHUNK_LETTERS = 10_000, 8_000_000
"""Rows in memory at once, and letters of their texts."""
MEMORY_MB = 128
"""What DuckDB may have in memory of either database."""
_SAME = {
    "runs": (("run_id",), ("study",)),
    "conditions": (("condition_id",), ("task", "lineup", "strategy", "params", "version", "prompting")),
    "questions": (("question_id",), ("text", "context", "target")),
    "framings": (("framing_id",), ("answer_kind", "instructions", "examples")),
    "prices": (("snapshot_id", "model"), ("input_pusd", "output_pusd")),
    "price_tiers": (("snapshot_id", "model", "tier"), ("input_pusd", "output_pusd")),
    "prompts": (("prompt_key",), ("messages",)),
    "completions": (("key",), ("text", "finish")),
    "probes": (("chain_key", "question_id", "how", "grid", "place_tokens"), ("answer", "verdict", "reader")),
}
"""By table its key, and what must agree where both have it."""
_WITH_TRIALS = ("trial_spends", "calls", "marks", "mark_spends", "facts")
"""Come with a trial that is new, and with no other."""
_OF_RUNS = ("plans", "orders", "rounds", "stops")
"""Come with a run that is new."""
_MERGED = (*_SAME, "trials", *_WITH_TRIALS, *_OF_RUNS, "origins")
OUTCOME = ("condition_id", "question_id", "end", "verdict", "answer", "score", "axis", "budget", "reader")
"""Columns of what two attempts at a trial have in common where one is a copy of the other."""
_OUTCOME = itemgetter(*OUTCOME)
_CALLED = {"runs": "run", "prices": "price", "price_tiers": "price tier"}


@dataclass(slots=True)
class Merged:
    """What a merge brought, or would."""

    new: Counter[str] = field(default_factory=Counter)
    """By table the rows that are new here."""
    same: Counter[str] = field(default_factory=Counter)
    """By table the rows that were here already."""
    conflicts: list[str] = field(default_factory=list)
    """What stands under one id with another content; what is here stays."""


Step = Callable[[Connection, Merged], object]
"""A part of a merge that does all it does or nothing, and says what it did."""


def merge(store: Store, other: Path, *, trust: bool = False, look: bool = False) -> Merged:
    """Merge a database file; `look`: only say what would happen. Raises StoreError or UsageError.

    Step by step, each in a transaction of its own, as one for all would keep all of it in memory. Where it was stopped
    halfway a further merge goes on: of what is in, nothing comes twice."""
    if not other.is_file() or not is_database(other):
        raise NotADatabase(f"{other.name!r} is not a DuckDB database; name one of Budgetscope's, or a log.")
    # By the file and not by its name: a link would merge it into itself.
    if store.path.exists() and other.samefile(store.path):
        raise UsageError(f"{other.name!r} is the database itself; name another to merge into it.")
    with tempfile.TemporaryDirectory(prefix="budgetscope-") as folder:
        # A copy, so that reading an older one upgrades nothing of theirs.
        copy = Path(folder) / "other.duckdb"
        Store(other).copy_to(copy)
        theirs = Store(copy)
        with theirs.as_it_is() as source:
            sound.refuse_programs(source, other.name)
        # Opening it to write is what brings the copy to today's schema.
        with theirs.writing(demo=True):
            pass
        ours = Store(store.path, wait_s=store.wait_s, memory_mb=MEMORY_MB)
        theirs.memory_mb, stored = MEMORY_MB, Counter[str]()

        def act() -> Merged:
            merged, before = Merged(), stored.copy()

            def stepped(step: Step) -> None:
                own = ours.within_memory(lambda: _alone(ours, step))
                stored.update(own.new)
                merged.same.update(own.same)
                merged.conflicts.extend(own.conflicts)

            shape, needed = ours.within_memory(lambda: _shape(ours))
            with theirs.reading() as source:
                sound.check(source, shape, needed, other.name)
                if look:
                    return ours.within_memory(lambda: _looked(source, ours, other.name, trust))
                _merge(source, stepped, other.name, trust)
            # What an earlier try brought in, before the memory was too little for theirs, this one found here.
            merged.new, merged.same = stored, merged.same - before
            return merged

        return theirs.within_memory(act)


def _shape(ours: Store) -> tuple[dict[str, tables.Layout], dict[str, set[str]]]:
    """How the tables look that are merged, and their columns that are never null."""
    with ours.writing() as here:
        layouts = tables.layouts(here)
        return {table: layouts[table] for table in _MERGED}, tables.needed(here)


def _alone(ours: Store, step: Step) -> Merged:
    """A step in a transaction of its own."""
    merged = Merged()
    with ours.writing() as here:
        step(here, merged)
    return merged


def _looked(source: Connection, ours: Store, name: str, trust: bool) -> Merged:
    """What a merge would do: the merge itself, in one transaction, undone."""
    merged = Merged()
    with suppress(_Looked), ours.writing() as here:
        _merge(source, lambda step: step(here, merged), name, trust)
        raise _Looked
    return merged


class _Looked(Exception):
    """Ends the transaction of a look."""


def _merge(source: Connection, act: Callable[[Step], object], name: str, trust: bool) -> None:
    # First whose the replies are: not for a moment is one read in place of a call that may not be.
    act(partial(_runs, source, name, trust))
    # Conditions and questions come before trials, which need what they name.
    for table in _SAME:
        for chunk in _chunks(source, table) if table != "runs" else ():
            act(partial(_same, table, chunk))
    every = itertools.chain.from_iterable(_chunks(source, "trials", "order by trial_id, attempt"))
    theirs = (list(attempts) for _, attempts in itertools.groupby(every, itemgetter("trial_id")))
    # Beside the cursor that is being read.
    with closing(source.cursor()) as beside:
        beside.execute("use budgetscope")
        while some := list(itertools.islice(theirs, CHUNK)):
            act(partial(_trials, beside, some))


def _runs(source: Connection, name: str, trust: bool, here: Connection, merged: Merged) -> None:
    """Merge runs, with what they asked for and whose they are."""
    new: set[str] = set()
    for chunk in _chunks(source, "runs"):
        new |= {row["run_id"] for row in _same("runs", chunk, here, merged)}
    _note(source, here, new, name, trust)


def _same(table: str, chunk: list[codec.Row], here: Connection, merged: Merged) -> list[codec.Row]:
    """Merge rows that are known by a key; returns those that came in."""
    key, content = _SAME[table]
    known = _known(here, table, key, content, chunk)
    rows = []
    for row in chunk:
        id = tuple(row[part] for part in key)
        if id not in known:
            # Their own file may hold an id twice; the first counts, and the second is a conflict.
            known[id] = tuple(row[part] for part in content)
            rows.append(row)
            continue
        if table == "probes" and (row["reader"] or 1) != (known[id][-1] or 1):
            # One look as two versions read it: no conflict, and the newer counts, whichever it is.
            rows.append(row)
            continue
        merged.same[table] += 1
        if known[id] != tuple(row[part] for part in content):
            called = _CALLED.get(table, table.removesuffix("s"))
            merged.conflicts.append(f"{called} {'/'.join(map(str, id))}")
    tables.insert(here, {table: rows})
    merged.new[table] += len(rows)
    return rows


def _chunks(source: Connection, table: str, order: str = "") -> Iterator[list[codec.Row]]:
    cursor = source.execute(f"select * from {table} {order}")
    columns = [column[0] for column in cursor.description or ()]
    chunk: list[codec.Row] = []
    letters = 0
    while batch := cursor.fetchmany(500):
        chunk += (dict(zip(columns, values, strict=True)) for values in batch)
        letters += sum(len(value) for values in batch for value in values if isinstance(value, str))
        if len(chunk) >= CHUNK or letters >= CHUNK_LETTERS:
            yield chunk
            chunk, letters = [], 0
    if chunk:
        yield chunk


def _known(
    here: Connection, table: str, key: tuple[str, ...], content: tuple[str, ...], chunk: list[codec.Row]
) -> dict[tuple[object, ...], tuple[object, ...]]:
    """By key what is here of these rows."""
    columns = ", ".join(f't."{name}"' for name in (*key, *content))
    sql = f"select {columns} from {table} t semi join wanted on t.{key[0]} = id"
    stored = tables.matching(here, sql, {row[key[0]] for row in chunk})
    return {tuple(row[part] for part in key): tuple(row[part] for part in content) for row in stored}


def _trials(source: Connection, some: Sequence[Sequence[codec.Row]], here: Connection, merged: Merged) -> None:
    """Merge trials, each with all its attempts, and what comes with those that are new."""
    ids = {attempts[0]["trial_id"] for attempts in some}
    sql = "select * from trials semi join wanted on trial_id = id order by trial_id, attempt"
    mine: dict[str, list[codec.Row]] = {}
    for row in tables.matching(here, sql, ids):
        mine.setdefault(row["trial_id"], []).append(row)
    rows: list[codec.Row] = []
    # Together in the tables from now on, however they lay in theirs.
    flush = tables.next_flush(here)
    # By trial and attempt of theirs, which attempt it is here, of those that come in.
    incoming: dict[tuple[str, int], int] = {}
    for attempts in some:
        own = mine.get(attempts[0]["trial_id"], [])
        coming = going_on(own, attempts)
        if coming is None:
            merged.conflicts.append(f"trial {attempts[-1]['trial_id']}/{attempts[-1]['attempt']}")
        merged.same["trials"] += len(attempts) - len(coming or ())
        last = own[-1]["attempt"] if own else 0
        for row in coming or ():
            # Behind ours; a trial that is new here keeps its numbers.
            last = last + 1 if own else row["attempt"]
            incoming[row["trial_id"], row["attempt"]] = last
            rows.append({**row, "attempt": last, "flush": flush})
    merged.new["trials"] += len(rows)
    if not rows:
        return
    tables.insert(here, {"trials": rows})
    fresh = {trial_id for trial_id, _ in incoming}
    for table in _WITH_TRIALS:
        tables.want(source, fresh)
        for chunk in _chunks(source, table, "semi join wanted on trial_id = id"):
            # A trial that is here has its calls and marks; theirs would double them.
            numbered = ((row, incoming.get((row["trial_id"], row["attempt"]))) for row in chunk)
            fresh_rows = [{**row, "attempt": own, "flush": flush} for row, own in numbered if own is not None]
            tables.insert(here, {table: fresh_rows})
    tables.want(here, fresh)
    here.execute("create or replace temp table mine as select * from trials semi join wanted on trial_id = id")
    derive(here)


def going_on(own: Sequence[codec.Row], theirs: Sequence[codec.Row]) -> Sequence[codec.Row] | None:
    """Which of their attempts at a trial come behind ours; None: theirs says another thing than ours."""
    if not own:
        return theirs
    outcomes, last = [_OUTCOME(row) for row in own], _OUTCOME(theirs[-1])
    if last in outcomes:
        return ()
    for place, row in enumerate(theirs):
        if _OUTCOME(row) == outcomes[-1]:
            return theirs[place + 1 :]
    if _reach(theirs[-1]) > _reach(own[-1]):
        return theirs[-1:]
    return () if _reach(theirs[-1]) < _reach(own[-1]) else None


def _reach(row: codec.Row) -> tuple[bool, int]:
    """How far an attempt came: to a score at all, and up to which budget."""
    scored = row["end"] in ("finished", "exhausted")
    return scored, row["budget"] if scored else 0


def _note(source: Connection, here: Connection, new_runs: set[str], name: str, trust: bool) -> None:
    """Whose the new runs are, and what they asked for."""
    for table in _OF_RUNS:
        for chunk in _chunks(source, table):
            tables.insert(here, {table: [row for row in chunk if row["run_id"] in new_runs]})
    # Also of runs that nobody stored, whose trials and replies name them all the same.
    named = """select run_id from trials union select run_id from completions where run_id is not null
        union select run_id from runs"""
    theirs = {run for (run,) in source.execute(named).fetchall()}
    noted = {run for (run,) in here.execute("select run_id from origins").fetchall()}
    # What was run here keeps no origin, though it comes back with a copy of our own database.
    own = {run for (run,) in here.execute("select run_id from attempts union select run_id from leases").fetchall()}
    origins = {row["run_id"]: row for row in tables.fetch(source, "select * from origins")}
    now = codec.naive(datetime.now(UTC))
    rows = [
        {
            "run_id": run,
            "source": (origins[run]["source"] if run in origins else name),
            "trusted": trust,
            "merged_at": now,
        }
        for run in sorted(theirs - noted - own)
    ]
    tables.insert(here, {"origins": rows})
    if trust:
        tables.matching(
            here, "update origins set trusted = true where run_id in (select id from wanted) returning run_id", theirs
        )


def derive(here: Connection) -> None:
    """Make what the analysis reads of trials that came in, which the temporary table `mine` holds."""
    # A condition's budget is the largest that any of its trials had.
    here.execute(
        """update conditions set budget = largest.budget
        from (select condition_id, max(budget) as budget from mine group by all) largest
        where conditions.condition_id = largest.condition_id and conditions.budget < largest.budget"""
    )
    # First: sums and steps name conditions and questions by these numbers.
    deltas.number(here)
    deltas.unhold(here, (id for (id,) in here.execute("select distinct condition_id from mine").fetchall()))
    deltas.again(here, "from (select distinct condition_id, question_id, repeat from mine)")
