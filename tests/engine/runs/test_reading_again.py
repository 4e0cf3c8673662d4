"""Trials that an older version read are read again from their stored replies, unpaid, and never mixed with newer ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest

import engine
from engine.core.answers import READER_VERSION
from engine.core.errors import ProviderError, UsageError
from engine.models import llama, local
from engine.store.store import Store, settled
from engine.study import plan, schema
from tests import ROOT
from tests.support import stores

OLD = READER_VERSION - 1
TWO = ("direct", "self_consistency")


def made(path: Path, budgets: Sequence[int] = (64, 256), strategies: Sequence[str] = TWO) -> Path:
    return stores.studied(path, questions=4, models='"scripted/adder"', strategies=strategies, budgets=list(budgets))


def aged(db: Path, where: str = "true") -> None:
    """As an older version would have left it: another answer read, long ago."""
    with duckdb.connect(str(db)) as connection:
        chosen = f"select trial_id from trials join conditions using (condition_id) where {where}"
        connection.execute(
            f"update trials set reader = {OLD}, answer = 'misread', verdict = 'wrong' where trial_id in ({chosen})"
        )
        connection.execute("update completions set created_at = timestamp '2020-01-01'")


def rows(db: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(db), read_only=True) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize(
    "study",
    [
        "demo",
        "token_economies",
        "which_model",
        "which_asking",
        "which_texts",
        "which_largest",
        "which_domains",
        "which_steps",
        "which_brief",
        "which_reading",
    ],
)
def test_the_demo_holds_all_its_studies_ask_as_today_s_reader_reads(
    study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The weights of two models do not come along: their files' hashes stand in the study, and that is all a plan asks.
    text = (ROOT / "examples" / f"{study}.toml").read_text(encoding="utf-8")
    hashes = dict(
        re.findall(r"#\s+(\S+\.gguf).*sha256 (\w{16})", (ROOT / "examples/which_model.toml").read_text("utf-8"))
    )
    for name in hashes:
        (tmp_path / name).write_bytes(b"weights")
        text = text.replace(f'"{name}"', f'"{tmp_path / name}"')
    monkeypatch.setattr(local, "content_hash", lambda file: hashes.get(file.name) or llama.content_hash(file))
    specs = plan.plan(schema.parse(text, study, ROOT / "examples")).specs
    found = Store(ROOT / "results.duckdb").done(spec.trial_id for spec in specs)
    open_ = [spec for spec in specs if not settled(spec, found.get(spec.trial_id))]
    assert specs and not open_, f"{len(open_)} of {len(specs)} would be asked again: {open_[0].condition}"


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return made(tmp_path / "results.duckdb")


def test_a_trial_says_which_version_read_it(db: Path) -> None:
    assert rows(db, "select distinct reader from trials") == [(READER_VERSION,)]
    (condition, *_) = engine.open(db).conditions()["condition_id"]
    assert {trial.reader for trial in Store(db).trials(condition)} == {READER_VERSION}


def test_a_study_run_again_reads_them_anew_and_pays_nothing(db: Path) -> None:
    ids = rows(db, "select trial_id, answer, verdict from trials order by 1")
    bought = rows(db, "select count(*) from attempts")
    aged(db)
    made(db)
    assert rows(db, "select count(*) from attempts") == bought
    latest = "select trial_id, answer, verdict from trials where attempt = 2 order by 1"
    assert rows(db, latest) == ids
    assert rows(db, "select distinct reader from trials where attempt = 2") == [(READER_VERSION,)]
    made(db)
    assert rows(db, "select max(attempt) from trials") == [(2,)]


def test_a_missing_draw_is_bought(db: Path) -> None:
    before = rows(db, "select count(*) from attempts")[0][0]
    aged(db)
    with duckdb.connect(str(db)) as connection:
        connection.execute("delete from completions where key = (select min(key) from completions)")
    made(db)
    assert rows(db, "select count(*) from attempts") == [(int(str(before)) + 1,)]


def test_a_smaller_budget_reads_again_as_far_as_the_larger_one_went(db: Path) -> None:
    aged(db)
    made(db, budgets=[64])
    assert rows(db, "select distinct budget from trials where attempt = 2") == [(256,)]


def test_a_reading_that_fails_takes_the_place_of_none(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rows(db, "select trial_id, attempt from trials order by 1")
    aged(db)
    with duckdb.connect(str(db)) as connection:
        connection.execute("delete from completions")
    monkeypatch.setattr("engine.models.scripted.ScriptedModel.complete", refused)
    with pytest.raises(AssertionError):
        made(db)
    assert rows(db, "select trial_id, attempt from trials order by 1") == before


async def refused(*_: object) -> None:
    raise ProviderError("no model answers", kind="refused")


def test_of_a_task_only_what_one_version_read_stands_together(db: Path) -> None:
    results = engine.open(db)
    assert results.older() == []
    aged(db, "strategy = 'direct'")
    assert set(results.cells()["strategy"]) == {"self_consistency"}
    assert set(results.frontier()["strategy"]) == {"self_consistency"}
    (said,) = results.older()
    assert said.startswith("1 setting on sums was read by an older version and left out here; ")
    by_name = results.conditions().filter(strategy="direct")["condition_id"].to_list()
    assert results.cells(condition_id=by_name)["reader"].unique().to_list() == [OLD]
    both = results.conditions()["condition_id"].to_list()
    assert set(results.frontier(condition_id=both)["strategy"]) == {"self_consistency"}


def test_where_all_were_read_by_an_older_version_they_are_shown_and_say_so(db: Path) -> None:
    aged(db)
    results = engine.open(db)
    assert set(results.cells()["strategy"]) == set(TWO)
    (said,) = results.older()
    assert said.startswith("Read by an older version: 2 settings on sums; run their study again")


def test_a_setting_read_partly_anew_stands_with_none_that_was_read_whole(db: Path) -> None:
    aged(db, "strategy = 'direct' and repeat = 0 and question_id = (select min(question_id) from questions)")
    results = engine.open(db)
    assert set(results.cells()["strategy"]) == {"self_consistency"}
    assert results.conditions().filter(strategy="direct")["reader"].to_list() == [None]


def test_two_settings_of_unlike_readings_are_not_compared(db: Path) -> None:
    aged(db, "strategy = 'direct'")
    results = engine.open(db)
    a, b = (engine.analysis.Cell(id, None, None) for id in results.conditions()["condition_id"])
    with pytest.raises(UsageError, match="read by different versions"):
        results.difference(a, b)


def test_a_database_from_before_versions_were_kept_counts_as_the_first(tmp_path: Path) -> None:
    db = made(tmp_path / "results.duckdb")
    with duckdb.connect(str(db)) as connection:
        connection.execute("""
            alter table trials drop column reader; alter table completions drop column sent_tokens;
            alter table completions drop column answered_by;
            drop table facts; drop table plans; drop table price_tiers; drop table origins; drop table probes;
            drop table orders; drop table rounds; drop table stops; alter table holdings drop column upto;
            delete from migrations where number >= 6""")
        for table in ("trials", "trial_spends", "prompts", "calls", "marks", "mark_spends"):
            connection.execute(f"alter table {table} drop column flush")
        for table in ("trial_spends", "mark_spends"):
            connection.execute(f"""create table flat as select * exclude (tier) from {table}; drop table {table};
                alter table flat rename to {table}""")
    ids = [str(trial_id) for (trial_id,) in rows(db, "select trial_id from trials")]
    assert {done.reader for done in Store(db).done(ids).values()} == {1}
    assert not engine.open(db).cells().is_empty()
