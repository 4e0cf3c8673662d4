"""Two databases of results become one: what is the same meets, what differs is told, nothing of theirs spends here."""

from __future__ import annotations

import gzip
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

import engine
from engine.cli import main
from engine.core.budget import Limits
from engine.core.errors import NotADatabase, UsageError
from engine.core.ids import request_of
from engine.store import merging
from engine.store.merging import merge
from engine.store.store import Store
from tests import ROOT
from tests.support import stores

EVERY = (
    "conditions",
    "questions",
    "trials",
    "trial_spends",
    "calls",
    "marks",
    "completions",
    "runs",
    "plans",
    "origins",
)
WANTS = {"questions": 2, "models": '"scripted/adder"', "strategies": ["direct", "self_consistency"]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("theirs") / "theirs.duckdb"
    return stores.studied(path, **WANTS, budgets=[32, 64])  # type: ignore[arg-type]


@pytest.fixture
def theirs(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copyfile(made, tmp_path / "theirs.duckdb"))


@pytest.fixture
def here(tmp_path: Path) -> Store:
    return Store(tmp_path / "here.duckdb")


def _rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def _change(path: Path, *statements: str) -> None:
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize(("memory_mb", "chunk"), [(256, 5_000), (1, 3)])
def test_a_merged_database_shows_the_same_cells_and_theirs_stays_as_it_was(
    memory_mb: int, chunk: int, here: Store, theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Row by row, and with less memory than its keys take, it is tried again with more.
    monkeypatch.setattr(merging, "MEMORY_MB", memory_mb)
    monkeypatch.setattr(merging, "CHUNK", chunk)
    before = theirs.read_bytes()
    merged = merge(here, theirs)
    assert merged.new["trials"] > 0 and not merged.conflicts and theirs.read_bytes() == before
    mine, yours = (engine.open(path).cells(study="*") for path in (here.path, theirs))
    assert mine.equals(yours)


def test_a_second_merge_changes_nothing(here: Store, theirs: Path) -> None:
    merge(here, theirs)
    before = {table: _rows(here.path, f"from {table} order by all") for table in (*EVERY, "steps", "numbers")}
    again = merge(here, theirs)
    assert not any(again.new.values()) and not again.conflicts
    assert before == {table: _rows(here.path, f"from {table} order by all") for table in before}


def test_a_merge_that_was_stopped_goes_on_and_has_no_reply_read_meanwhile(
    here: Store, theirs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = list[int]()

    def stopped(*given: Any) -> None:
        if steps:
            raise KeyboardInterrupt
        steps.append(1)
        whole(*given)

    whole = merging._trials
    with monkeypatch.context() as patch:
        patch.setattr(merging, "CHUNK", 3)
        patch.setattr(merging, "_trials", stopped)
        with pytest.raises(KeyboardInterrupt):
            merge(here, theirs)
    models = [str(model) for (model,) in _rows(theirs, "select distinct model from calls")]
    assert len(_rows(here.path, "select distinct trial_id from trials")) == 3
    assert not here.completion_keys(models, datetime(2000, 1, 1, tzinfo=UTC))
    assert merge(here, theirs).same["trials"] == 3
    merge(other := Store(tmp_path / "other.duckdb"), theirs)
    for table in (each for each in EVERY if each != "origins"):
        # It takes more flushes where it is stopped.
        sql = f"select columns(lambda name: name <> 'flush') from {table} order by all"
        assert _rows(here.path, sql) == _rows(other.path, sql)


def test_a_look_says_what_a_merge_does_and_stores_nothing(here: Store, theirs: Path) -> None:
    looked = merge(here, theirs, look=True)
    assert _rows(here.path, "select count(*)::int from trials") == [(0,)]
    assert looked == merge(here, theirs)


def test_what_differs_under_one_id_is_told_and_ours_stays(here: Store, theirs: Path) -> None:
    merge(here, theirs)
    ((trial,),) = _rows(theirs, "select min(trial_id) from trials")
    _change(theirs, f"update trials set answer = 'forged', verdict = 'right' where trial_id = '{trial}'")
    assert merge(here, theirs).conflicts == [f"trial {trial}/1"]
    assert _rows(here.path, "select count(*)::int from trials where answer = 'forged'") == [(0,)]


def test_their_attempts_and_leases_count_in_no_allowance(here: Store, theirs: Path) -> None:
    _change(
        theirs,
        "insert into leases by name select 'r' as run_id, strftime(now(), '%Y-%m-%d') as day, 10 as calls, 10 as tokens, "
        "10 as pusd, 5 as spent_calls, 5 as spent_tokens, 5 as spent_pusd, true as held, now()::timestamp as taken_at",
        "insert into meta values ('allowance', '{\"calls\": 1}')",
    )
    assert Store(theirs).read_book().held
    merge(here, theirs)
    assert not here.read_book().held and here.read_book().allowance == Limits()
    assert _rows(here.path, "select (select count(*) from attempts)::int, (select count(*) from leases)::int") == [
        (0, 0)
    ]


def test_their_replies_are_shown_and_replayed_only_where_they_are_trusted(here: Store, theirs: Path) -> None:
    models = [str(model) for (model,) in _rows(theirs, "select distinct model from calls")]
    since = datetime(2000, 1, 1, tzinfo=UTC)
    read = {str(key) for (key,) in _rows(theirs, "select key from calls join completions using (key)")}
    merge(here, theirs)
    assert read and not here.completion_keys(models, since)
    assert here.completions(read).keys() == read
    merge(here, theirs, trust=True)
    known = here.completion_keys(models, since)
    assert {known.get(request_of(key)) for key in read} == read and len(known) == len(read)


def test_origin_is_kept(here: Store, theirs: Path) -> None:
    merge(here, theirs)
    runs = {run for (run,) in _rows(theirs, "select run_id from runs")}
    assert set(_rows(here.path, "select run_id, source, trusted from origins")) >= {
        (r, "theirs.duckdb", False) for r in runs
    }


def test_what_is_no_json_is_refused_and_nothing_of_it_stays(here: Store, theirs: Path) -> None:
    _change(theirs, "update conditions set params = '{'")
    with pytest.raises(UsageError, match="has no JSON as it is read under 'params'"):
        merge(here, theirs)
    assert _rows(here.path, "select count(*)::int from runs") == [(0,)]


# None of these is a value that a record of ours has; each is refused before a reader stumbles over it.
WRONG = (
    ("questions", "text", "null::varchar", "has nothing under 'text'"),
    ("trials", "verdict", "'maybe'", "none of our words under 'verdict'"),
    ("calls", "output_tokens", "-7::bigint", "no count under 'output_tokens'"),
    ("marks", "score", "'nan'::double", "no number under 'score'"),
    ("runs", "started_at", "timestamp '290000-01-01'", "no time of ours under 'started_at'"),
    ("conditions", "lineup", "'[]'", "no JSON as it is read under 'lineup'"),
    ("prompts", "messages", "'[1]'", "no JSON as it is read under 'messages'"),
    ("runs", "study", """'{"budgets": "all"}'""", "no JSON as it is read under 'study'"),
    ("conditions", "task", "'elsewhere'", "asked for a condition of another task under"),
    ("trials", "framing_id", "'f'", "names a framing it lacks"),
    ("calls", "prompt_key", "'p'", "names a prompt it lacks"),
)


@pytest.mark.parametrize(("table", "column", "value", "says"), WRONG)
def test_a_value_that_no_row_of_ours_has_is_refused(
    here: Store, theirs: Path, table: str, column: str, value: str, says: str
) -> None:
    # Anew and without what guards it, as another hand would make it.
    _change(
        theirs,
        f"create table other as select * replace ({value} as {column}) from {table}",
        f"drop table {table}",
        f"alter table other rename to {table}",
    )
    with pytest.raises(UsageError, match=re.escape(says)):
        merge(here, theirs)
    assert _rows(here.path, "select count(*)::int from questions") == [(0,)]


@pytest.mark.parametrize(
    "program",
    [
        "create view all_day as select count(*) from range(10_000_000_000) a, range(10_000_000_000) b",
        "create macro greatest(a, b) as 0",
        "create type verdict as enum ('right')",
    ],
)
def test_what_would_run_is_refused_before_anything_of_the_file_is_read(here: Store, theirs: Path, program: str) -> None:
    _change(theirs, program)
    with pytest.raises(UsageError, match=r"holds a (view|macro|type), .*, which no database of Budgetscope has"):
        merge(here, theirs)


def test_a_column_of_another_kind_is_refused(here: Store, theirs: Path) -> None:
    _change(theirs, "alter table marks alter after_calls type varchar")
    with pytest.raises(UsageError, match="'after_calls' of marks is BIGINT in each database of ours, and it has"):
        merge(here, theirs)


def test_trials_without_their_questions_are_refused(here: Store, theirs: Path) -> None:
    _change(theirs, "delete from questions")
    with pytest.raises(UsageError, match="is not whole"):
        merge(here, theirs)


def test_theirs_of_an_earlier_version_comes_in_and_keeps_its_bytes(here: Store, tmp_path: Path) -> None:
    old = tmp_path / "kept.duckdb"
    old.write_bytes(gzip.decompress((ROOT / "tests/support/earlier/kept.duckdb.gz").read_bytes()))
    before = old.read_bytes()
    assert merge(here, old).new["trials"] == 18
    assert old.read_bytes() == before


def test_who_asked_at_a_larger_budget_brings_what_it_bought(theirs: Path, tmp_path: Path) -> None:
    more = stores.studied(tmp_path / "more.duckdb", **WANTS, budgets=[32, 64, 256])  # type: ignore[arg-type]
    kept = shutil.copyfile(theirs, tmp_path / "kept.duckdb")
    wanted = _figures(more)
    assert merge(Store(theirs), more).conflicts == []
    assert _figures(theirs) == wanted
    assert not any(merge(Store(theirs), more).new.values())
    # The other way round there is nothing to win, and nothing is lost.
    back = merge(Store(more), kept)
    assert not back.new["trials"] and not back.conflicts and _figures(more) == wanted


def _figures(path: Path) -> list[tuple[object, ...]]:
    cells = engine.open(path).cells(study="made")
    return cells.select("strategy", "budget", "accuracy", "n_questions", "output_tokens").rows()


@pytest.mark.parametrize("failed", ["here", "theirs"])
def test_an_answer_takes_the_place_of_a_failure_and_never_the_other_way_round(
    here: Store, theirs: Path, failed: str
) -> None:
    merge(here, theirs)
    wanted = _figures(theirs)
    broken = here.path if failed == "here" else theirs
    _change(broken, """update trials set "end" = 'failed', verdict = 'none', answer = null, score = null""")
    merged = merge(here, theirs)
    assert not merged.conflicts and bool(merged.new["trials"]) == (failed == "here")
    assert _figures(here.path) == wanted


def test_a_file_that_is_none_and_the_database_itself_are_refused(here: Store, theirs: Path, tmp_path: Path) -> None:
    (tmp_path / "x.duckdb").write_text("hello, this is no database")
    with pytest.raises(NotADatabase, match="is not a DuckDB database"):
        merge(here, tmp_path / "x.duckdb")
    with pytest.raises(UsageError, match="is the database itself"):
        merge(Store(theirs), theirs)


def test_the_verb_takes_a_database(theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    db = str(tmp_path / "team.duckdb")
    assert main(["import", str(theirs), "--db", db]) == 0
    assert "never read in place of a call" in capsys.readouterr().out
    assert main(["import", str(theirs), "--db", db]) == 0
    assert "came 0 runs" in capsys.readouterr().out
