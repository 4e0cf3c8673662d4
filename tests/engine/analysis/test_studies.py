"""Only like is compared with like: a study shows what it asked for, on its own questions, whoever paid."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import engine
from engine.analysis import Cell, Lens, Results
from engine.analysis.cells import cells as cells_of
from engine.analysis.common import COMMON_FROM, on_common, shared_sentences
from engine.analysis.pairs import compare
from engine.analysis.sql import queries
from engine.core.answers import READER_VERSION
from engine.core.errors import UnknownName, UsageError
from engine.core.records import Price, Trial, TrialSpec
from engine.store.store import Batch, RunRow, Store
from tests import ROOT
from tests.support import stores
from tests.support.effort import cases
from tests.support.outcomes import stored, trials_of
from tests.support.replayed import NOON, A, Ask, Say, planned, play


def asked(strategy: str, questions: Sequence[int], budget: int = 500, task: str = "t") -> list[TrialSpec]:
    """The trials of one strategy on some questions."""
    return [planned("output_tokens", budget, f"q{i}", strategy=strategy, task=task) for i in questions]


def answered(specs: Sequence[TrialSpec], run: str, right: Sequence[int]) -> list[Trial]:
    """Each with one call of ten tokens, right on the questions of these numbers."""
    trials = []
    for spec in specs:
        answer = "right" if int(spec.question.problem.text[1:]) in right else "wrong"
        trials.append(replace(play(spec, [Ask(A, 5, 5, 10, 20), Say(answer)], run=run), reader=READER_VERSION))
    return trials


def ran(
    store: Store, run: str, study: str, plan: Sequence[TrialSpec], trials: Sequence[Trial], *, tells: bool = True
) -> None:
    """A run of a study: its plan (a run of before tells no more than its length) and the trials it paid for."""
    counts = {
        task: len({s.question.question_id for s in plan if s.condition.task == task})
        for task in {s.condition.task for s in plan}
    }
    budgets = sorted({s.condition.budget for s in plan})
    declared = {"name": study, "budget_axis": "output_tokens", "budgets": budgets, "planned_questions": counts}
    started = NOON + timedelta(minutes=len(store.runs()))
    store.save_run(RunRow(run, json.dumps(declared), "finished", started), plan if tells else ())
    store.flush(Batch(trials=tuple(trials), run_id=run))


@pytest.fixture(scope="module")
def demo() -> Results:
    return engine.open(ROOT / "results.duckdb")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "db.duckdb")
    store.create()
    return store


def shown(frame: pl.DataFrame) -> dict[str, tuple[int, Any]]:
    return {row["strategy"]: (row["n_questions"], row["accuracy"]) for row in frame.to_dicts()}


def sixty_and_forty(store: Store, *, tells: bool = True) -> Results:
    """Study `wide` asks `direct` 60 questions and pays; `narrow` asks it the first 40 and adds `votes`."""
    wide = asked("direct", range(60))
    ran(store, "r1", "wide", wide, answered(wide, "r1", range(25)), tells=tells)
    votes = asked("votes", range(40))
    ran(store, "r2", "narrow", [*wide[:40], *votes], answered(votes, "r2", range(20)), tells=tells)
    return engine.open(store.path)


def test_a_study_shows_a_condition_that_another_paid_for_on_its_own_questions(store: Store):
    results = sixty_and_forty(store)
    assert shown(results.cells(study="wide")) == {"direct": (60, pytest.approx(25 / 60))}
    assert shown(results.cells(study="narrow")) == {"direct": (40, 25 / 40), "votes": (40, 0.5)}
    assert set(results.cells(study="narrow")["n_planned"]) == {40}
    direct = results.cells(study="narrow").filter(strategy="direct")["condition_id"][0]
    assert results.curve(direct, points=[500], study="narrow")["n"].to_list() == [40]
    assert results.curve(direct, points=[500])["n"].to_list() == [60]


def test_a_study_reads_a_condition_at_the_budgets_it_asked_for_itself(store: Store):
    large, small = asked("direct", range(4), 500), asked("direct", range(4), 50)
    ran(store, "r1", "large", large, answered(large, "r1", [0]))
    ran(store, "r2", "small", small, [])
    results = engine.open(store.path)
    assert results.cells(study="large")["budget"].to_list() == [500]
    assert results.cells(study="small")["budget"].to_list() == [50]


def test_all_studies_pool_those_with_equal_lists(store: Store):
    direct, votes = asked("direct", range(6)), asked("votes", range(6))
    ran(store, "r1", "one", direct, answered(direct, "r1", [0]))
    ran(store, "r2", "two", votes, answered(votes, "r2", [1]))
    results = engine.open(store.path)
    assert set(shown(results.cells())) == {"direct", "votes"}
    assert results.notes() == []
    assert results.studies()["list"].to_list() == [0, 0]


def test_studies_with_unlike_lists_are_not_pooled_and_it_is_said_which_there_are(store: Store):
    results = sixty_and_forty(store)
    # Two conditions were asked 40 questions and one was asked 60: the list of most is shown, and nothing stands twice.
    assert shown(results.cells()) == {"direct": (40, 25 / 40), "votes": (40, 0.5)}
    (note,) = results.notes()
    assert "not pooled" in note and "40 questions (Narrow)" in note and "60 questions (Wide)" in note
    assert results.notes(study="wide") == []
    assert results.studies().select("study", "list", "n_questions").rows() == [("wide", 0, 60), ("narrow", 1, 40)]


def test_as_many_questions_are_not_the_same_questions(store: Store):
    first, second = asked("direct", range(5)), asked("votes", range(5, 10))
    ran(store, "r1", "first", first, answered(first, "r1", [0]))
    ran(store, "r2", "second", second, answered(second, "r2", [5]))
    results = engine.open(store.path)
    assert len(shown(results.cells())) == 1
    assert len(results.notes()) == 1


def test_why_trials_failed_is_said_of_what_is_shown_alone(store: Store):
    wide, votes = asked("direct", range(60)), asked("votes", range(40))
    failed = [replace(t, end="failed", verdict="none", score=None, error="late") for t in answered(wide, "r1", [])]
    ran(store, "r1", "wide", wide, failed)
    ran(store, "r2", "narrow", [*wide[:40], *votes], [replace(failed[0], spec=votes[0], run_id="r2", error="early")])
    results = engine.open(store.path)
    assert results.failures(study="wide") == [("late", 60)]
    assert results.failures(study="narrow") == [("late", 40), ("early", 1)]
    assert results.failures(study="narrow", strategy="votes") == [("early", 1)]
    assert results.failures(task="other") == []


def test_tasks_are_pooled_one_by_one(store: Store):
    one = [*asked("direct", range(5), task="same"), *asked("direct", range(5), task="other")]
    two = [*asked("votes", range(5), task="same"), *asked("votes", range(4), task="other")]
    ran(store, "r1", "one", one, answered(one, "r1", [0]))
    ran(store, "r2", "two", two, answered(two, "r2", [0]))
    frame = engine.open(store.path).cells()
    assert frame.group_by("task").len().sort("task").rows() == [("other", 1), ("same", 2)]


def test_one_task_of_a_study_is_read_alone_as_with_all_others(demo: Results):
    frame, units = demo.measured(None, None, {"study": "demo"})
    sizes = frame.group_by("task").len().sort("len", "task", descending=[True, False])
    assert demo.tasks(study="demo") == tuple(sizes["task"])
    task = "gym:letter_counting/easy"
    own, own_units = demo.measured(None, None, {"study": "demo", "task": task})
    place = ("condition_id", "budget")
    assert own.sort(place).equals(frame.filter(task=task).sort(place))
    theirs = units.join(own.select(place), on=place, how="semi")
    assert own_units.sort(*place, "question_id").equals(theirs.sort(*place, "question_id"))


def test_of_a_run_from_before_the_trials_say_what_it_asked_for(store: Store):
    results = sixty_and_forty(store, tells=False)
    assert shown(results.cells(study="wide")) == {"direct": (60, pytest.approx(25 / 60))}
    # Nobody knows any more that it asked for `direct` too, whose trials were there.
    assert shown(results.cells(study="narrow")) == {"votes": (40, 0.5)}


def test_a_run_from_before_that_went_on_with_bought_questions_has_its_whole_list(store: Store):
    plan = asked("direct", range(20))
    ran(store, "r1", "mine", plan[:12], answered(plan[:12], "r1", range(6)), tells=False)
    ran(store, "r2", "mine", plan, answered(plan[12:], "r2", range(12, 16)), tells=False)
    assert shown(engine.open(store.path).cells(study="mine")) == {"direct": (20, 0.5)}


def test_a_run_from_before_that_was_stopped_keeps_the_list_of_the_run_it_goes_on_from(store: Store):
    first, more = asked("direct", range(20)), asked("votes", range(20))
    ran(store, "r1", "mine", first, answered(first, "r1", range(10)), tells=False)
    ran(store, "r2", "mine", [*first, *more], answered(more[:3], "r2", [0]), tells=False)
    frame = engine.open(store.path).cells(study="mine")
    assert shown(frame) == {"direct": (20, 0.5), "votes": (3, pytest.approx(1 / 3))}
    assert dict(frame.select("strategy", "partial").rows()) == {"direct": False, "votes": True}


def test_a_point_with_less_than_95_of_100_questions_of_the_list_is_partial(store: Store):
    most, fewer = asked("most", range(100)), asked("fewer", range(100))
    ran(store, "r1", "s", [*most, *fewer], [*answered(most[:95], "r1", [0]), *answered(fewer[:94], "r1", [0])])
    frame = engine.open(store.path).frontier(replicates=50)
    assert dict(frame.select("strategy", "verdict").rows()) == {"most": "frontier", "fewer": "partial"}


def lacking(tmp_path: Path, *gaps: Sequence[int], n: int = 20) -> pl.DataFrame:
    """The frontier of strategies that each lack some questions of n: right on even ones."""
    parts = [
        trials_of(f"s{at}", [None if i in gap else (10 + at, i % 2 == 0) for i in range(n)])
        for at, gap in enumerate(gaps)
    ]
    study = json.dumps({"name": "s", "planned_questions": {"t": n}})
    return stored(tmp_path, *parts, trials_of("whole", [(99, i % 2 == 0) for i in range(n)]), study=study).frontier(
        replicates=50
    )


def test_full_points_stand_on_the_questions_all_of_them_have_where_these_are_nine_in_ten(tmp_path: Path):
    frame = lacking(tmp_path, [0], [1])
    # 18 of 20, nine of them right: each alone would be 9 of 19, 10 of 19 and 10 of 20.
    assert frame["n_shared"].to_list() == [18, 18, 18]
    assert frame["n_questions"].to_list() == [18, 18, 18]
    assert frame["accuracy"].to_list() == [0.5, 0.5, 0.5]
    assert frame["n_planned"].to_list() == [20, 20, 20]
    assert not frame["partial"].any()
    assert list(shared_sentences(frame)) == [
        "t: points are read on the 18 of 20 questions that all full ones have scored."
    ]


def test_full_points_stand_each_on_its_own_where_fewer_are_left_and_it_is_said(tmp_path: Path):
    frame = lacking(tmp_path, [0], [1], [2])
    assert frame["n_shared"].to_list() == [17] * 4
    assert frame["n_questions"].to_list() == [19, 19, 19, 20]
    assert list(shared_sentences(frame)) == [
        "t: all full points share 17 of 20 questions only, so each stands on its own questions."
    ]


def test_a_partial_point_takes_no_questions_from_the_others(tmp_path: Path):
    frame = lacking(tmp_path, range(2), [])
    assert frame["n_shared"].to_list() == [None, 20, 20]
    assert frame["n_questions"].to_list() == [18, 20, 20]
    assert list(shared_sentences(frame)) == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Cells and units of four strategies that have all of 20 questions."""
    parts = [trials_of(f"s{at}", [(10 + at, i % 2 == 0) for i in range(20)]) for at in range(4)]
    study = json.dumps({"name": "s", "planned_questions": {"t": 20}})
    return stored(tmp_path_factory.mktemp("whole"), *parts, study=study).measured(None, None, {})


@cases(60)
@given(gaps=st.lists(st.sets(st.integers(0, 19), max_size=1), min_size=4, max_size=4))
def test_common_questions_are_those_a_count_by_hand_finds(
    whole: tuple[pl.DataFrame, pl.DataFrame], gaps: list[set[int]]
):
    every, units = whole
    names = sorted(set(units["question_id"]))
    for gap, condition in zip(gaps, every["condition_id"], strict=True):
        lacks = pl.col("question_id").is_in([names[i] for i in gap])
        units = units.filter((pl.col("condition_id") != condition) | ~lacks)
    cells, _ = on_common(cells_of(units, every.to_dicts(), dict.fromkeys(every["condition_id"], 20)), units)
    common = set(range(20)).difference(*gaps)
    assert cells["n_shared"].to_list() == [len(common)] * 4
    for gap, row in zip(gaps, cells.to_dicts(), strict=True):
        own = [names[i] for i in (common if len(common) >= COMMON_FROM * 20 else set(range(20)) - gap)]
        right = units.filter(pl.col("question_id").is_in(own), condition_id=row["condition_id"])["n_right"]
        assert (row["n_questions"], row["accuracy"]) == (len(own), pytest.approx(right.sum() / len(own)))


def test_putting_points_on_common_questions_twice_is_putting_them_once(tmp_path: Path):
    lacking(tmp_path, [0], [1])
    cells, units = engine.open(next(tmp_path.glob("*.duckdb"))).measured(None, None, {})
    once = on_common(cells, units)
    twice = on_common(*once)
    assert once[0].equals(twice[0])
    assert once[1].sort(pl.all()).equals(twice[1].sort(pl.all()))


def test_a_pair_is_compared_on_the_questions_it_shares_within_the_study(store: Store):
    results = sixty_and_forty(store)
    ids = dict(results.cells(study="narrow").select("strategy", "condition_id").rows())
    direct, votes = Cell(ids["direct"]), Cell(ids["votes"])
    assert results.difference(direct, votes).n == 40
    assert results.difference(direct, votes, study="narrow").mean == pytest.approx(5 / 40)
    with pytest.raises(UsageError, match="'wide' did not ask for"):
        results.difference(direct, votes, study="wide")
    assert isinstance(results.compare(direct, votes, study="narrow"), compare.Comparison)


def test_a_study_that_is_not_there_is_named_with_its_neighbour(store: Store):
    results = sixty_and_forty(store)
    with pytest.raises(UnknownName, match="narow.*narrow"):
        results.cells(study="narow")


def test_advice_speaks_of_the_questions_its_study_asked(store: Store):
    results = sixty_and_forty(store)
    assert results.advise(study="narrow", x="output_tokens").reach(0.4).n == 40
    assert results.advise(study="wide", x="output_tokens").reach(0.2).n == 60


def test_what_a_newer_version_read_elsewhere_hides_nothing_of_a_study(store: Store):
    old, new = asked("direct", range(5)), asked("votes", range(4))
    ran(store, "r1", "old", old, answered(old, "r1", [0]))
    with store.writing() as connection:
        connection.execute("update trials set reader = 1")
    ran(store, "r2", "new", new, answered(new, "r2", [0]))
    results = engine.open(store.path)
    assert shown(results.cells(study="old")) == {"direct": (5, 0.2)}
    (said,) = results.older(study="old")
    assert said.startswith("Read by an older version")
    assert results.older(study="new") == []


def test_deleting_a_run_forgets_what_it_asked_for(store: Store):
    sixty_and_forty(store)
    store.delete_run("r2")
    results = engine.open(store.path)
    assert results.studies()["study"].to_list() == ["wide"]


def test_a_table_and_its_advice_are_counted_once_and_say_what_each_says_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[Any] = []
    changes = queries.changes

    def told(*asked: Any) -> pl.DataFrame:
        counted.append(asked)
        return changes(*asked)

    monkeypatch.setattr(queries, "changes", told)
    results = engine.open(stores.two_studies(tmp_path / "results.duckdb"))
    cells, decided = results.cells(study="narrow"), results.decide(study="narrow")
    others = results.cells(study="wide")
    counted.clear()
    with results.still() as still:
        assert still.cells(study="narrow").equals(cells)
        again = still.decide(study="narrow")
        assert (again.heading, again.sentence) == (decided.heading, decided.sentence) and len(counted) == 1
        # Another budget, another study, another lens: none of them is answered with what was asked before.
        assert not still.cells(budgets=[32], study="narrow").equals(cells)
        assert still.cells(study="wide").equals(others) and not others.equals(cells)
        dear = Lens.of({"scripted/adder": Price(7, 7)})
        assert still.cells(lens=dear, study="narrow")["usd"].null_count() == 0 < cells["usd"].null_count()
