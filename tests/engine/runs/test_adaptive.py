"""Adaptive runs: a prefix of one order for every setting, decisions that are stored, replayable and survive anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import engine
from engine.core.budget import Limits
from engine.core.errors import StoreError, UsageError
from engine.core.rounds import Round, Stop, looks
from engine.runs import run_dir, worker
from engine.store.store import Store
from engine.study.schema import adaptive, as_json, load, parse, until_words, with_ceiling
from tests import ROOT
from tests.support import adaptive_runs
from tests.support.adaptive_runs import STUDY, quiet, ran


@pytest.fixture(scope="module", autouse=True)
def models() -> Iterator[None]:
    with adaptive_runs.models():
        yield


def decisions(db: Path) -> tuple[list[Round], list[Stop]]:
    """What was decided, whatever the run is called."""
    looked, stops = Store(db).rounds()
    return [replace(each, run_id="") for each in looked], [replace(each, run_id="") for each in stops]


def asked(db: Path) -> dict[str, list[str]]:
    """By condition the questions it was asked."""
    with Store(db).reading() as connection:
        rows = connection.execute("select condition_id, question_id from trials group by all").fetchall()
    by_condition: dict[str, list[str]] = {}
    for condition, question in rows:
        by_condition.setdefault(condition, []).append(question)
    return by_condition


def order(db: Path) -> list[str]:
    with Store(db).reading() as connection:
        return [id for (id,) in connection.execute("select question_id from orders order by place").fetchall()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed, one call at a time."""
    db = tmp_path_factory.mktemp("whole") / "whole.duckdb"
    assert ran(db, parse(STUDY, "test"), 1).state == "finished"
    return db


def test_every_setting_was_asked_the_first_questions_of_one_order_fixed_before(whole: Path) -> None:
    first, by_condition = order(whole), asked(whole)
    assert len(first) == 60
    lengths = {len(ids) for ids in by_condition.values()}
    assert lengths <= set(looks(60))
    assert len(lengths) > 1
    for ids in by_condition.values():
        assert set(ids) == set(first[: len(ids)])


def test_what_is_surely_beaten_at_every_budget_is_asked_no_further_and_says_why(whole: Path) -> None:
    looked, stops = decisions(whole)
    by_condition = asked(whole)
    stopped = {stop.condition_id for stop in stops}
    cells = engine.open(whole).cells()
    assert stopped == set(cells.filter(model="scripted/dear")["condition_id"])
    for stop in stops:
        assert len(by_condition[stop.condition_id]) == stop.asked < looked[-1].asked
        assert stop.verdict == ("dominated" if stop.high < 0 else "costs more, no better")
        assert stop.high <= 0.1
        assert stop.by_condition not in stopped
    (told,) = engine.open(whole).decisions()
    reasons = {each.condition_id: each.reason for each in told.settings if each.stopped}
    assert reasons.keys() == stopped
    assert all("surely costs no" in reason for reason in reasons.values())
    assert told.pick is not None
    assert told.pick in told.sentence
    assert "stopped earlier" in told.sentence


def test_a_stopped_setting_is_not_partial_has_no_interval_and_is_judged_beside_no_other(whole: Path) -> None:
    frame = engine.open(whole).frontier(study="which")
    early = frame.filter(frame["stopped_at"].is_not_null())
    assert early.height == 2
    assert not early["partial"].any()
    assert set(early["verdict"]) <= {"dominated", "costs more, no better"}
    assert early["accuracy_low"].null_count() == early["p_frontier"].null_count() == 2
    assert (early["n_questions"] == early["stopped_at"]).all()
    others = frame.filter(frame["stopped_at"].is_null())
    assert not others["partial"].any()
    assert others["accuracy_low"].null_count() == 0
    assert (others["n_planned"] == others["n_questions"]).all()
    decided = engine.open(whole).decide("gym:chain_sum/easy", study="which")
    assert set(decided.verdicts["condition_id"]) == set(others["condition_id"])


def test_decisions_are_the_same_however_many_calls_run_at_once(whole: Path, tmp_path: Path) -> None:
    wide = tmp_path / "wide.duckdb"
    ran(wide, parse(STUDY, "test"), 8)
    assert decisions(wide) == decisions(whole)
    assert {id: set(ids) for id, ids in asked(wide).items()} == {id: set(ids) for id, ids in asked(whole).items()}


def test_a_run_that_ended_between_its_looks_goes_on_to_the_same_decisions(whole: Path, tmp_path: Path) -> None:
    db = tmp_path / "cut.duckdb"
    study = parse(with_ceiling(STUDY, Limits(calls=75)), "test")
    assert ran(db, study, 1).state == "ceiling"
    cut, _ = decisions(db)
    assert cut == decisions(whole)[0][: len(cut)]
    assert len(cut) < len(decisions(whole)[0])
    directory = run_dir.find(db, "last")
    directory.study.write_text(with_ceiling(directory.study.read_text(), Limits(calls=10_000)))
    assert worker.run(directory, quiet).state == "finished"
    assert decisions(db) == decisions(whole)
    # And once more there is nothing left to decide or to ask.
    again = worker.run(directory, quiet)
    assert (again.state, decisions(db)) == ("finished", decisions(whole))
    assert again.done == again.total == sum(map(len, asked(whole).values()))


def test_a_decision_that_could_not_be_stored_is_made_again_from_what_is_stored(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db, kept = tmp_path / "torn.duckdb", Store.save_round

    def torn(store: Store, decided: Round, *rest: object) -> None:
        if decided.number == 3:
            raise StoreError("the disk went away")
        kept(store, decided, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "save_round", torn)
    with pytest.raises(StoreError, match="went away"):
        ran(db, parse(STUDY, "test"), 1)
    assert len(decisions(db)[0]) == 2
    monkeypatch.undo()
    assert worker.run(run_dir.find(db, "last"), quiet).state == "finished"
    assert decisions(db) == decisions(whole)


def test_a_study_whose_trials_are_stored_decides_without_paying(whole: Path, tmp_path: Path) -> None:
    db = tmp_path / "paid.duckdb"
    grid = STUDY.replace('plan = "adaptive"\nuntil = "regret <= 8 points"\n', "").replace('"which"', '"whole"')
    assert ran(db, parse(grid, "test")).state == "finished"
    free = ran(db, parse(STUDY, "test"))
    assert free.spent.calls == 0
    assert decisions(db) == decisions(whole)
    # A study that asked them all shows them all; the adaptive one shows what it looked at.
    frames = {name: engine.open(db).cells(study=name) for name in ("whole", "which")}
    assert frames["whole"]["stopped_at"].null_count() == frames["whole"].height


def test_until_says_a_regret_in_points_and_belongs_to_adaptive_studies() -> None:
    study = parse(STUDY, "test")
    assert study.until == 0.08
    assert as_json(study)["until"] == until_words(0.08) == "regret <= 8 points"
    assert parse(STUDY.replace('until = "regret <= 8 points"\n', ""), "test").until == 0.03
    grid = STUDY.replace('plan = "adaptive"\nuntil = "regret <= 8 points"\n', "")
    assert parse(grid, "test").until is None
    assert adaptive(parse(grid, "test"), "regret <= 2.5 points").until == 0.025
    for wrong, why in (
        ("regret < soon", "written as 'regret <= 3 points'"),
        ("regret <= 0 points", "between 0.1 and 50"),
        ("regret <= 99 points", "between 0.1 and 50"),
    ):
        with pytest.raises(UsageError, match=why):
            parse(STUDY.replace("regret <= 8 points", wrong), "test")
    with pytest.raises(UsageError, match="which an adaptive study takes"):
        parse(STUDY.replace('plan = "adaptive"\n', ""), "test")
    with pytest.raises(UsageError, match="plan"):
        parse(STUDY.replace('"adaptive"', '"adaptiv"'), "test")


def test_the_example_is_an_adaptive_study() -> None:
    assert load(ROOT / "examples" / "adaptive.toml").until == 0.12


def test_looks_grow_by_a_quarter_and_end_with_all_questions() -> None:
    assert looks(60) == [16, 20, 25, 32, 40, 50, 60]
    assert looks(5) == [5]
    assert looks(16) == [16]
