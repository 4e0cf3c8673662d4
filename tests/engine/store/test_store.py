"""The store: what goes in comes out, all of it or nothing, whoever else is at the file."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core import ids as identity
from engine.core import places
from engine.core.errors import NewerDatabase, NotADatabase, StoreBusy, StoreError, UnknownName
from engine.core.records import (
    Call,
    Completion,
    Condition,
    Mark,
    Message,
    ModelSetting,
    ModelSpend,
    Price,
    Problem,
    Question,
    Spend,
    Trial,
    TrialSpec,
    Usage,
)
from engine.store import schema, tables
from engine.store.identity import fingerprint
from engine.store.store import Batch, Done, RunRow, Store, writable
from tests import ROOT
from tests.support import records
from tests.support.children import spawned
from tests.support.effort import cases

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MODEL = "scripted/a"


def a_trial(
    n: int = 0,
    *,
    run: str = "r1",
    attempt: int = 1,
    budget: int = 100,
    end: str = "finished",
    key: str | None = None,
    error: str | None = None,
) -> Trial:
    setting = ModelSetting(MODEL, MODEL, Price(150_000, 600_000))
    raw = Condition("", "t", (("solver", setting),), "direct", "{}", 1, True, "output_tokens", budget)
    condition = replace(raw, condition_id=identity.condition_id(raw))
    problem = Problem(f"what is {n}?")
    question = Question(identity.question_id("t", problem, "1"), "t", problem, "1")
    spec = TrialSpec(identity.trial_id(condition, question.question_id, 0), condition, question, 0)
    spend = Spend(1, 5, 0, 0, 7, 0, 3)
    parts = (ModelSpend(MODEL, spend, 9),)
    prompt = (Message("user", f"what is {n}?"),)
    call = Call(0, "solve", MODEL, key or f"c-{n}", prompt, 50, 50, 9, None, False, spend, 7, 9)
    mark = Mark(0, "1", 1, parts, "right")
    return Trial(spec, run, attempt, end, "right", "1", error, (call,), (mark,), parts, NOON, NOON)  # type: ignore[arg-type]


def a_completion(key: str, run: str | None = "r1") -> Completion:
    return Completion(key, "=1", "stop", Usage(5, 7), 3, None, None, NOON, None, run)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made_here = Store(tmp_path / "results.duckdb")
    made_here.create()
    return made_here


def count(store: Store, table: str) -> int:
    with store.reading() as connection:
        found = connection.execute(f"select count(*) from {table}").fetchone()
    assert found is not None
    return int(found[0])


def everything(store: Store) -> dict[str, list[tuple[object, ...]]]:
    with store.reading() as connection:
        return {t: sorted(connection.execute(f"from {t}").fetchall(), key=repr) for t in schema.TABLES}


@cases(20)
@given(
    st.lists(records.trials(), max_size=3),
    st.lists(records.completions, max_size=3),
    st.lists(records.attempts, max_size=2),
)
def test_what_is_flushed_reads_back_equal_and_a_second_flush_changes_nothing(trials, completions, attempts):
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "results.duckdb")
        batch = Batch(tuple(trials), tuple(completions), tuple(attempts), "r9")
        distinct = {(t.spec.trial_id, t.attempt): t for t in reversed(trials)}
        assert store.flush(batch) == len(distinct)
        for (trial_id, attempt), trial in distinct.items():
            assert store.trial(trial_id, attempt) == trial
        assert store.completions([c.key for c in completions]) == {c.key: c for c in completions}
        before = everything(store)
        assert store.flush(batch) == 0
        assert everything(store) == before


def test_trials_of_a_condition_come_back_at_their_last_attempt(store: Store):
    first, again, other = a_trial(0, budget=100), a_trial(0, attempt=2, budget=400), a_trial(1, budget=100)
    store.flush(Batch((first, other)))
    store.flush(Batch((again,)))
    found = store.trials(first.spec.condition.condition_id)
    assert sorted(found, key=lambda t: t.attempt) == [other, again]
    assert store.trial(first.spec.trial_id) == again
    assert store.trial(first.spec.trial_id, 1) == first


def test_a_condition_grows_to_its_largest_budget_in_any_order(store: Store):
    for budget, attempt in ((100, 1), (400, 2), (200, 3)):
        store.flush(Batch((a_trial(0, budget=budget, attempt=attempt),)))
    with store.reading() as connection:
        assert connection.execute("select budget from conditions").fetchall() == [(400,)]


def test_a_second_trial_under_a_stored_id_never_mixes_its_calls_with_the_first(store: Store):
    first = a_trial(0)
    longer = replace(first, run_id="r2", calls=(*first.calls, replace(first.calls[0], ordinal=1)))
    store.flush(Batch((first,)))
    assert store.flush(Batch((longer,))) == 0
    assert store.trial(first.spec.trial_id) == first


def test_one_question_asked_with_other_examples_keeps_both_framings(store: Store):
    bare = a_trial(0)
    problem = replace(bare.spec.question.problem, instructions="Answer with a number.")
    question = replace(bare.spec.question, problem=problem)
    framed = replace(bare, spec=replace(bare.spec, question=question, repeat=1, trial_id="t1-other"))
    store.flush(Batch((bare, framed)))
    assert store.trial("t1-other") == framed
    assert store.trial(bare.spec.trial_id) == bare
    assert count(store, "questions") == 1


def test_done_says_what_the_last_attempt_left(store: Store):
    trials = (
        a_trial(0),
        a_trial(1, end="exhausted", error="budget"),
        a_trial(2, end="exhausted", error="context"),
        a_trial(3, end="failed"),
        a_trial(3, attempt=2, budget=300, end="exhausted", error="budget"),
    )
    store.flush(Batch(trials))
    ids = [trials[i].spec.trial_id for i in (0, 1, 2, 4)]
    assert store.done([*ids, "unknown"]) == {
        ids[0]: Done(1, "finished", 100, True),
        ids[1]: Done(1, "exhausted", 100, False),
        ids[2]: Done(1, "exhausted", 100, True),
        ids[3]: Done(2, "exhausted", 300, False),
    }
    assert store.done([]) == {}


def test_completion_keys_are_found_by_model_and_age(store: Store):
    store.flush(Batch((a_trial(0),), (a_completion("c-0"), a_completion("c-lonely"))))
    found = store.completion_keys([MODEL], NOON)
    assert len(found) == 1 and found.get("c-0") == "c-0" and "c-lonely" not in found
    assert not store.completion_keys([MODEL], NOON + timedelta(seconds=1))
    assert not store.completion_keys(["other"], NOON)


def test_settings_that_nobody_tried_are_told_from_the_others(store: Store) -> None:
    store.flush(Batch((a_trial(0), a_trial(1, budget=300))))
    tried = {a_trial(n, budget=budget).spec.condition.condition_id for n, budget in ((0, 100), (1, 300))}
    assert store.tried([*tried, "k1-none"]) == tried and store.tried([]) == set()


def test_replies_are_found_whenever_they_were_made(store: Store) -> None:
    store.flush(Batch((a_trial(0, key="c-0"),), (a_completion("c-0"), a_completion("c-1"))))
    for when in (None, (NOON, NOON), (NOON + timedelta(days=1), NOON + timedelta(days=2))):
        assert store.completions(["c-0", "c-1", "c-none"], when).keys() == {"c-0", "c-1"}
        assert store.completions([], when) == {}


def test_a_run_is_replaced_by_its_later_state(store: Store):
    run = RunRow("r1", "{}", "running", NOON, planned_trials=3, spent_pusd=None)
    store.save_run(run)
    ended = replace(run, state="finished", finished_at=NOON, spent_calls=2, error="é\x00")
    store.save_run(ended)
    assert store.runs() == [ended]


def test_deleting_a_run_leaves_what_others_use_or_paid_for(store: Store):
    shared = a_trial(1, run="r2", key="c-shared")
    store.flush(
        Batch(
            (a_trial(0, key="c-shared"), shared),
            (a_completion("c-shared"), a_completion("c-mine"), a_completion("c-theirs", "r2")),
        )
    )
    store.save_run(RunRow("r1", "{}", "finished", NOON))
    store.delete_run("r1")
    assert store.runs() == []
    assert set(store.completions(["c-shared", "c-mine", "c-theirs"])) == {"c-shared", "c-theirs"}
    assert store.trial(shared.spec.trial_id) == shared
    assert (count(store, "trials"), count(store, "questions"), count(store, "prompts")) == (1, 1, 1)
    store.delete_run("r2")
    left = {table: count(store, table) for table in schema.TABLES if table not in ("migrations", "meta")}
    assert not any(left.values()), left


def test_deleting_the_run_with_the_largest_budget_narrows_the_condition(store: Store):
    store.flush(Batch((a_trial(0, budget=100, run="r1"), a_trial(1, budget=400, run="r2"))))
    store.delete_run("r2")
    with store.reading() as connection:
        assert connection.execute("select budget from conditions").fetchall() == [(100,)]


def test_text_no_encoding_can_hold_is_stored_readable(store: Store):
    store.flush(Batch((), (replace(a_completion("c"), text="a\ud800b"),)))
    assert store.completions(["c"])["c"].text == "a\ufffdb"


@pytest.mark.parametrize("content", [b"", b"hello", b"text\n" * 4000])
def test_what_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    assert_refused_untouched(path, NotADatabase)


def test_a_sqlite_file_is_refused_and_left_alone(tmp_path: Path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("create table t (a)")
    other.close()
    assert_refused_untouched(path, NotADatabase)


def test_a_foreign_duckdb_file_is_refused_and_left_alone(tmp_path: Path):
    path = tmp_path / "theirs.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table t (a int)")
    assert_refused_untouched(path, NotADatabase)


def test_a_newer_database_is_refused_with_both_versions(store: Store):
    with duckdb.connect(str(store.path)) as connection:
        connection.execute("insert into migrations values (99, 'future', current_timestamp::timestamp)")
    with pytest.raises(NewerDatabase, match=rf"99.*{schema.SCHEMA_VERSION}.*upgrade"):
        assert_refused_untouched(store.path, NewerDatabase)
        Store(store.path).runs()


def test_a_database_upgraded_by_a_newer_program_takes_nothing_more_from_this_one(store: Store):
    store.flush(Batch((a_trial(0),)))
    with duckdb.connect(str(store.path)) as connection:
        connection.execute("insert into migrations values (99, 'future', current_timestamp::timestamp)")
    with pytest.raises(NewerDatabase, match=r"99.*upgrade"):
        store.flush(Batch((a_trial(1),)))
    with duckdb.connect(str(store.path)) as connection:
        assert connection.execute("select count(*) from trials").fetchone() == (1,)


def assert_refused_untouched(path: Path, kind: type[StoreError]) -> None:
    before = path.read_bytes(), path.stat().st_mtime_ns, sorted(path.parent.iterdir())
    for act in (lambda s: s.runs(), lambda s: s.flush(Batch()), lambda s: s.create()):
        with pytest.raises(kind):
            act(Store(path))
    assert (path.read_bytes(), path.stat().st_mtime_ns, sorted(path.parent.iterdir())) == before


def test_a_device_and_a_pipe_are_no_databases_and_nobody_is_told_to_remove_them(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.duckdb")
    for path in (tmp_path / "pipe.duckdb", Path("/dev/null")):
        with pytest.raises(NotADatabase, match="no ordinary file") as refused, Store(path).reading():
            pass
        assert "remove" not in str(refused.value)


def test_a_folder_a_missing_file_and_a_missing_folder_are_named(tmp_path: Path):
    with pytest.raises(NotADatabase, match="folder"):
        Store(tmp_path).runs()
    with pytest.raises(StoreError, match="no database"):
        Store(tmp_path / "none.duckdb").runs()
    with pytest.raises(StoreError, match="no folder"):
        Store(tmp_path / "nowhere" / "x.duckdb").flush(Batch())
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_database_is_refused_in_one_sentence(store: Store):
    content = store.path.read_bytes()
    store.path.write_bytes(content[:5000])
    with pytest.raises(StoreError) as caught:
        Store(store.path).runs()
    assert "\n" not in str(caught.value)


def test_a_missing_trial_is_named(store: Store):
    with pytest.raises(StoreError, match="t1-none"):
        store.trial("t1-none")


def test_a_busy_file_is_reported_after_the_bound(store: Store):
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(store.path)]
    with spawned(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreBusy, match="0.2 s"):
            Store(store.path, wait_s=0.2).runs()
        holder.stdin.close()
    assert Store(store.path).runs() == []


def test_threads_of_one_process_take_turns(store: Store):
    errors: list[BaseException] = []

    def act(n: int) -> None:
        try:
            for i in range(3):
                store.flush(Batch((a_trial(100 * n + i),)))
                Store(store.path).runs()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=act, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert count(store, "trials") == 12


def _write(path: Path, n: int) -> None:
    for i in range(4):
        Store(path).flush(Batch((a_trial(1000 * n + i),), (a_completion(f"c-{1000 * n + i}"),)))


def _read(path: Path, n: int) -> None:
    seen = 0
    for _ in range(5):
        now = count(Store(path), "trials")
        assert now >= seen
        seen = now


def test_two_writing_and_two_reading_processes_lose_nothing(store: Store):
    work = [("_write", 1), ("_write", 2), ("_read", 1), ("_read", 2)]
    with ExitStack() as started:
        commands = [[sys.executable, "-c", _APART.format(*task), str(store.path)] for task in work]
        processes = [started.enter_context(spawned(command)) for command in commands]
        assert [process.wait(120) for process in processes] == [0, 0, 0, 0]
    assert count(store, "trials") == 8
    assert count(store, "completions") == 8


_APART = (
    "import sys; from pathlib import Path; from tests.engine.store import test_store as t; t.{}(Path(sys.argv[1]), {})"
)

_ENDLESS = """
import sys
from pathlib import Path
from engine.store.store import Batch, Store
from tests.engine.store.test_store import a_trial, a_completion
for i in range(100000):
    trials = tuple(a_trial(10 * i + j) for j in range(10))
    Store(Path(sys.argv[1])).flush(Batch(trials, tuple(a_completion(f"c-{10 * i + j}") for j in range(10))))
    print(i, flush=True)
"""


def test_a_killed_writer_leaves_whole_batches_only(store: Store):
    command = [sys.executable, "-c", _ENDLESS, str(store.path)]
    with spawned(command, stdout=subprocess.PIPE, cwd=ROOT) as writer:
        assert writer.stdout is not None
        first = [int(writer.stdout.readline()) for _ in range(3)]
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged = max([*first, *(int(line) for line in writer.stdout.read().splitlines())])
    stored = count(store, "trials")
    assert stored >= 10 * (acknowledged + 1)
    assert stored % 10 == 0
    assert count(store, "calls") == count(store, "marks") == count(store, "completions") == stored
    assert store.flush(Batch((a_trial(10**9),))) == 1


def test_a_demo_is_only_read_and_its_copy_is_written(tmp_path: Path):
    demo = Store(tmp_path / "results.duckdb")
    demo.flush(Batch((a_trial(0),)))
    demo.set_demo(True)
    before = demo.path.read_bytes()
    with pytest.raises(StoreError, match="demo"):
        demo.flush(Batch((a_trial(1),)))
    local = writable(demo.path)
    assert local == tmp_path / "results.local.duckdb"
    assert Store(local).flush(Batch((a_trial(0), a_trial(1)))) == 1
    assert writable(demo.path) == local
    assert writable(local) == local
    assert count(Store(local), "trials") == 2
    assert demo.path.read_bytes() == before
    assert places.default_path(tmp_path) == local
    assert sorted(p.name for p in tmp_path.iterdir()) == ["results.duckdb", "results.local.duckdb"]


def test_the_default_database_is_the_one_named_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("BUDGETSCOPE_DB", raising=False)
    assert places.default_path(tmp_path) == tmp_path / "results.duckdb"
    monkeypatch.setenv("BUDGETSCOPE_DB", "/data/mine.duckdb")
    assert places.default_path(tmp_path) == Path("/data/mine.duckdb")


def test_the_fingerprint_changes_with_the_file(store: Store):
    before = fingerprint(store.path)
    assert fingerprint(store.path) == before
    time.sleep(0.01)
    store.flush(Batch((a_trial(0),)))
    assert fingerprint(store.path) != before
    assert fingerprint(store.path.with_name("none")) == (0, 0, 0, 0)


def test_reading_changes_no_byte(store: Store):
    store.flush(Batch((a_trial(0),)))
    before = fingerprint(store.path)
    store.trial(a_trial(0).spec.trial_id)
    store.runs()
    assert fingerprint(store.path) == before


def test_no_spreadsheet_runs_an_exported_cell(store: Store, tmp_path: Path):
    hostile = ["=1+1", "+cmd", "-2+3", "@x", "\tx", "\rx", "-3.5", "+7", "1e3", "plain", "-"]
    store.flush(Batch((), tuple(replace(a_completion(f"c{i:02}"), text=t) for i, t in enumerate(hostile))))
    store.export(tmp_path / "out.csv", "csv", "completions")
    with duckdb.connect() as connection:
        sql = f"select text from read_csv('{tmp_path / 'out.csv'}', all_varchar=true) order by key"
        cells = [cell for (cell,) in connection.execute(sql).fetchall()]
    assert cells == [f"'{t}" if i < 6 or t == "-" else t for i, t in enumerate(hostile)]


@pytest.mark.parametrize(("format", "reader"), [("parquet", "read_parquet"), ("jsonl", "read_json_auto")])
def test_an_export_holds_every_row(store: Store, tmp_path: Path, format: str, reader: str):
    store.flush(Batch((a_trial(0), a_trial(1))))
    target = tmp_path / "it's.out"
    store.export(target, format, "trials")  # type: ignore[arg-type]
    with duckdb.connect() as connection:
        quoted = str(target).replace("'", "''")
        found = connection.execute(f"select trial_id, answer from {reader}('{quoted}') order by all").fetchall()
    assert found == sorted((a_trial(n).spec.trial_id, "1") for n in (0, 1)) or [f[1] for f in found] == [1, 1]
    with pytest.raises(UnknownName, match="trials"):
        store.export(target, "csv", "trails; drop table trials")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["it's.out", "results.duckdb"]


def test_an_unusual_but_legal_path_works(tmp_path: Path):
    folder = tmp_path / "a b'é"
    folder.mkdir()
    store = Store(folder / "re sults.duckdb")
    assert store.flush(Batch((a_trial(0),))) == 1
    store.export(folder / "o;u't.csv", "csv", "trials")
    assert (folder / "o;u't.csv").exists()


def test_migrations_are_numbered_without_gaps_and_recorded(store: Store):
    assert [step.number for step in schema.MIGRATIONS] == list(range(1, schema.SCHEMA_VERSION + 1))
    with store.reading() as connection:
        found = connection.execute("select number, name from migrations order by number").fetchall()
    assert found == [(step.number, step.name) for step in schema.MIGRATIONS]


GROWING = ("trials", "trial_spends", "calls", "marks", "mark_spends", "facts", "completions", "prompts")


def test_what_grows_with_every_answer_has_no_index_that_is_read_whole_whenever_rows_are_added(tmp_path: Path):
    new, old = Store(tmp_path / "new.duckdb"), tmp_path / "old.duckdb"
    new.create()
    with duckdb.connect(str(old)) as connection:
        connection.execute(schema.RECORD)
        schema._apply(connection, schema.MIGRATIONS[:17])
    Store(old).create()
    found = []
    for path in (new.path, old):
        with duckdb.connect(str(path), read_only=True) as connection:
            keyed = connection.execute("select table_name from duckdb_tables() where has_primary_key").fetchall()
            columns = "select * exclude (database_name, database_oid, table_oid) from duckdb_columns() order by all"
            found.append((connection.execute(columns).fetchall(), tables.needed(connection)))
        assert not {name for (name,) in keyed} & {*GROWING}
    assert found[0] == found[1]
    needed = found[0][1]
    assert all({"trial_id", "attempt"} <= needed[table] for table in GROWING[:6])
    assert "answer" not in needed["trials"] and "input_tokens" not in needed["calls"]


def test_of_replies_and_prompts_under_one_key_the_first_is_kept(store: Store):
    first, second = a_completion("k"), replace(a_completion("k"), text="another")
    store.flush(Batch(completions=(first, second)))
    store.flush(Batch((a_trial(0), a_trial(0, attempt=2)), completions=(second, a_completion("other"))))
    assert count(store, "completions") == 2
    assert store.completions(["k"])["k"].text == first.text
    assert count(store, "prompts") == 1 and count(store, "calls") == 2


@pytest.mark.parametrize("device", ["/dev/null", "."])
def test_an_export_replaces_files_alone_and_never_the_database(tmp_path: Path, device: str) -> None:
    store = Store(tmp_path / "a.duckdb")
    store.create()
    before = store.path.read_bytes()
    for target in (Path(device), store.path):
        with pytest.raises(StoreError, match="choose another name"):
            store.export(target, "csv", "trials")
    assert not Path(device).is_file() and store.path.read_bytes() == before


def test_a_database_that_lacks_a_table_is_refused_in_a_sentence(store: Store, tmp_path: Path) -> None:
    with duckdb.connect(str(store.path)) as connection:
        connection.execute("drop table mark_spends")
    with pytest.raises(NotADatabase, match="lacks the table 'mark_spends'"):
        Store(store.path).export(tmp_path / "out.csv", "csv", "trials")


def test_a_value_of_another_kind_is_refused_and_not_cast():
    with duckdb.connect() as connection:
        connection.execute("create table t (k bigint primary key, n bigint, b boolean, s varchar)")
        for wrong in ({"n": 1.5}, {"n": "3"}, {"b": 7}, {"s": 7}):
            with pytest.raises(TypeError):
                tables.insert(connection, {"t": [wrong]})
        tables.insert(connection, {"t": [{"k": 1, "n": 3, "b": True}, {"k": 2, "s": "x"}]})
        assert connection.execute("from t order by k").fetchall() == [(1, 3, True, None), (2, None, None, "x")]


def test_a_file_with_the_newest_schema_is_not_asked_for_it_again_until_it_changes(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    store.flush(Batch((a_trial(0),)))
    with monkeypatch.context() as patched:
        patched.setattr(schema, "version", lambda *_: pytest.fail("asked again"))
        assert Store(store.path).runs() == []
    with duckdb.connect(str(store.path)) as connection:
        connection.execute("insert into migrations values (999, 'of a later version', current_timestamp)")
    with pytest.raises(NewerDatabase):
        Store(store.path).runs()
