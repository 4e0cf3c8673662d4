"""Seconds and memory of reading results at scale: all cells, a frontier with 1,000 replicates, one condition's curve.

    python -m tests.bench.analysis [--trials 100000 1000000] [--folder /tmp] [--keep]

Stores are made inside DuckDB: 500 conditions, half of them anytime with three calls and up to two marks a trial, half
with a fixed budget; 1,000 questions, as many repeats as the trials need, one in twenty closed by its wall or stopped.
Trials, their spends, calls and marks are filled with plausible numbers and the steps are derived from them, as an
upgrade of such a database would; then sums are held, as the end of a run would. Each reading runs three times in a process of its own (median); memory is the
peak of that process, imports included. Nothing here is asserted: a busy machine is slower. Ten million trials take some
ten minutes to make and 10 GB on the disk.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb

from engine.analysis.materialize import materialize
from engine.core.answers import READER_VERSION
from engine.store import deltas, schema
from engine.store.store import RunRow, Store
from tests import ROOT
from tests.support.replayed import NOON

CONDITIONS, QUESTIONS = 500, 1000
FLUSH = 2000
"""Trials a flush."""
TARGETS = {"cells": 0.3, "frontier": 0.6, "curve": 0.3}
MEMORY_GB = 1.5
_VECTOR = "1 as calls, {i} as input_tokens, 0 as cached_tokens, 0 as cache_write_tokens, {o} as output_tokens, " + (
    "0 as reasoning_tokens, {o} * 20 as latency_ms, {i} as metered_input_tokens"
)


def made(path: Path, trials: int, budgets: list[int], conditions: int = CONDITIONS) -> None:
    """A database of so many trials of so many conditions, of a study with these budgets in output tokens."""
    asked = min(QUESTIONS, trials // conditions)
    study = {"budget_axis": "output_tokens", "budgets": budgets, "planned_questions": {"t": asked}}
    store = Store(path)
    store.create()
    store.save_run(RunRow("r1", json.dumps(study), "finished", NOON))
    with duckdb.connect(str(path)) as connection:
        connection.execute("set preserve_insertion_order = false")
        for name, sql in _statements(trials, conditions):
            began = time.perf_counter()
            connection.execute(sql)
            print(f"    made {name:14s} {time.perf_counter() - began:7.1f} s", file=sys.stderr)
        began = time.perf_counter()
        deltas.fill(connection)
        connection.execute("checkpoint")
        print(f"    made steps          {time.perf_counter() - began:7.1f} s", file=sys.stderr)
    began = time.perf_counter()
    print(f"    held {materialize(path):5} conditions {time.perf_counter() - began:7.1f} s", file=sys.stderr)


def _statements(trials: int, conditions: int) -> list[tuple[str, str]]:
    size = "least(300, 5 + hash(i * 3 + c) % 200 + hash(i * 5) % 100)"
    told = f"""create temp table told as
        select 't1-' || md5(i::varchar) as trial_id, i % {conditions} as k, (i // {conditions}) % {QUESTIONS} as q,
            i // {conditions * QUESTIONS} as repeat, k < {conditions // 2} as anytime, i, i // {FLUSH} + 1 as flush, hash(i * 7) % 100 as luck,
            case when luck = 0 then 'stopped' when luck < 5 and anytime then 'exhausted' else 'finished' end as ended
        from range({trials}) r(i)"""
    vector = _VECTOR.format(i="(20 + hash(i) % 60)::bigint", o="o::bigint")
    summed = vector.replace("1 as calls", "3 as calls")
    return [
        (
            "conditions",
            f"""insert into conditions select 'k1-' || md5(i::varchar), 't', 'scripted/m' || i % 5,
            '[["solver","scripted/m' || i % 5 || '","scripted/m' || i % 5 || '@1"]]', 's' || i % 20,
            '{{"n":' || i || '}}', 1, i < {conditions // 2}, 'output_tokens', 1000, '{{}}' from range({conditions}) r(i)""",
        ),
        (
            "questions",
            f"""insert into questions select 'q1-' || md5(i::varchar), 't', 'Question ' || i, null, '1', null,
            '{{}}' from range({QUESTIONS}) r(i)""",
        ),
        ("framings", "insert into framings values ('f1', 'number', '', '[]')"),
        ("prompts", """insert into prompts values ('p', '[["user","Question"]]', 1)"""),
        (
            "prices",
            """insert into prices by name select 'm1-a' as snapshot_id, 'scripted/m' || i || '@1' as model,
            1000 as input_pusd, 4000 as output_pusd, false as assumed, 'bench' as source from range(5) r(i)""",
        ),
        ("told", told),
        (
            "trials",
            f"""insert into trials select trial_id, 1, 'r1', 'k1-' || md5(k::varchar), 'q1-' || md5(q::varchar),
            'f1', 'm1-a', repeat, ended, if(luck % 3 = 0, 'right', 'wrong'), '1', null, 'output_tokens', 1000,
            timestamp '2026-03-01', timestamp '2026-03-01', {READER_VERSION}, (luck % 3 = 0)::double, flush from told""",
        ),
        (
            "trial_spends",
            f"""insert into trial_spends by name select trial_id, 1 as attempt, flush, 0 as position,
            'scripted/m' || k % 5 || '@1' as model, {summed} from (select *, 20 + hash(i) % 400 as o from told)""",
        ),
        (
            "calls",
            f"""insert into calls by name select trial_id, 1 as attempt, flush, c as ordinal, 'solver' as role,
            'scripted/m' || k % 5 || '@1' as model, 'c' as key, 'p' as prompt_key, 300 as asked_tokens,
            300 as granted_tokens, 90 as bound_tokens, if(ended = 'exhausted' and c = 2, 'budget', null) as cut,
            false as replayed, o as seen_output_tokens,
            {vector.replace("as metered_input_tokens", "* (c + 1) as metered_input_tokens")}
            from (select *, {size} as o from told, range(3) x(c) where anytime)""",
        ),
        (
            "marks",
            """insert into marks
            select trial_id, 1, c, c::varchar, c + 1, if(good, 'right', 'wrong'), good::double, flush
            from (select *, if(c = 0, luck % 2, luck % 3) = 0 as good from told, range(2) x(c))
            where anytime and (c = 0 or luck % 2 = 0)""",
        ),
        (
            "mark_spends",
            f"""insert into mark_spends by name select m.trial_id, 1 as attempt, m.flush, m.ordinal, 0 as position,
            model, {", ".join(f"c.{name}" for name in _names(vector))} from marks m join calls c using (trial_id, ordinal)""",
        ),
    ]


def _names(vector: str) -> list[str]:
    return [part.rsplit(" ", 1)[-1] for part in vector.split(", ")]


def readings(db: Path) -> dict[str, Callable[[], Any]]:
    """What is measured."""
    import engine

    results = engine.open(db)
    one = results.conditions().filter("anytime")["condition_id"][0]
    return {
        "cells": results.cells,
        "frontier": lambda: results.frontier(replicates=1000),
        "curve": lambda: results.curve(one),
    }


def timed(name: str, db: Path, rounds: int = 3) -> dict[str, float]:
    """Wall and processor seconds, and the peak of this process in GB."""
    act = readings(db)[name]
    walls, used = [], []
    for _ in range(rounds):
        wall, processor = time.perf_counter(), time.process_time()
        rows = len(act())
        walls.append(time.perf_counter() - wall)
        used.append(time.process_time() - processor)
    return {
        "first": walls[0],
        "wall": statistics.median(walls),
        "processor": statistics.median(used),
        "gb": peak_gb(),
        "rows": rows,
    }


def peak_gb() -> float:
    """Most memory this process ever had; where the system does not say, what it counts with the parent's."""
    with suppress(OSError):
        (line,) = (x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measured(db: Path, trials: int) -> None:
    """Print one line a reading."""
    for name, target in TARGETS.items():
        command = [sys.executable, "-m", "tests.bench.analysis", "--one", name, str(db)]
        said = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
        found = json.loads(said.splitlines()[-1])
        met = "ok" if found["wall"] <= target and found["gb"] <= MEMORY_GB else "MISSED"
        print(
            f"  {trials:>10,}  {name:9s} {found['wall']:7.2f} s (first {found['first']:.2f}, processor "
            f"{found['processor']:.2f})  {found['gb']:.2f} GB  {found['rows']:>5.0f} rows  target {target} s  {met}",
            flush=True,
        )


def main() -> None:
    """Make, measure and remove a store per size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", nargs="+", type=int, default=[100_000, 1_000_000])
    parser.add_argument("--conditions", type=int, default=CONDITIONS)
    parser.add_argument("--budgets", nargs="+", type=int, default=[1000], help="of the anytime half of the conditions")
    parser.add_argument("--folder", default=None, help="where the stores are made; needs 1 KB a trial")
    parser.add_argument("--keep", action="store_true", help="leave the stores there, and read those that are")
    parser.add_argument("--one", nargs=2, metavar=("READING", "DB"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(timed(args.one[0], Path(args.one[1]))))
        return
    with tempfile.TemporaryDirectory(dir=args.folder) as fresh:
        for trials in args.trials:
            name = f"bench-{schema.SCHEMA_VERSION}-{trials}-{args.conditions}-{'-'.join(map(str, args.budgets))}.duckdb"
            db = Path(args.folder if args.keep and args.folder else fresh) / name
            if not db.exists():
                made(db, trials, args.budgets, args.conditions)
            print(f"  {trials:>10,}  {db.stat().st_size / 2**20:,.0f} MB")
            measured(db, trials)
            if not args.keep:
                db.unlink()


if __name__ == "__main__":
    main()
