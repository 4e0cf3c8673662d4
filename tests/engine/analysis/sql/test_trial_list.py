"""The list of trials, page by page, says of every trial what reading it one by one says."""

from __future__ import annotations

import shutil
from collections import Counter
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

import engine
from engine.analysis.sql import trial_list
from engine.analysis.sql.trial_list import TrialPage, trial_page
from engine.core import replay
from engine.core.errors import UsageError
from engine.core.records import Axis, Trial
from engine.store.store import Store
from tests.support import stores
from tests.support.effort import cases

SHOW = ("all", "right", "wrong", "none", "exhausted", "failed")


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("list")
    return stores.mixed(stores.small(folder / "r.duckdb", 9))


@pytest.fixture(scope="module")
def conditions(db: Path) -> list[dict[str, Any]]:
    return engine.open(db).conditions().sort("condition_id").to_dicts()


def page(db: Path, condition: str, axis: Axis = "output_tokens", budget: int | None = None, **more: Any) -> TrialPage:
    with Store(db).reading() as connection:
        return trial_page(connection, condition, axis, budget, **more)


@cache
def one_by_one(db: Path, condition: str) -> list[Trial]:
    return sorted(
        Store(db).trials(condition), key=lambda t: (t.spec.question.question_id, t.spec.repeat, t.spec.trial_id)
    )


@cases(60)
@given(data=st.data())
def test_every_trial_stands_at_every_budget_as_reading_it_alone_says(
    db: Path, conditions: list[dict[str, Any]], data: st.DataObject
) -> None:
    condition = data.draw(st.sampled_from(conditions))["condition_id"]
    axis: Axis = data.draw(st.sampled_from(("output_tokens", "total_tokens", "calls", "usd")))
    top = {"calls": 8, "usd": 10**9}.get(axis, 900)
    budget = data.draw(st.none() | st.integers(0, top))
    show = data.draw(st.sampled_from(SHOW))
    whole = one_by_one(db, condition)
    try:
        readings = [replay.read(trial, axis, budget) for trial in whole]
    except UsageError:
        with pytest.raises(UsageError):
            page(db, condition, axis, budget)
        return
    listed = page(db, condition, axis, budget, show=show)
    assert listed.fates == Counter(reading.fate for reading in readings)
    assert listed.ended == sum(reading.exhausted for reading in readings)
    fitting = [t for t, reading in zip(whole, readings, strict=True) if replay.matches(reading, show)]
    assert (listed.shown, list(listed.trials)) == (len(fitting), fitting)
    assert listed.chosen == (fitting[0] if fitting else None)


def test_the_first_few_are_one_of_every_question_before_the_second_of_any(
    db: Path, conditions: list[dict[str, Any]], tmp_path: Path
) -> None:
    shutil.copy(db, repeated := tmp_path / "repeated.duckdb")
    with duckdb.connect(str(repeated)) as connection:
        connection.execute("update trials set repeat = rowid % 3 * 20")
    # Of every strategy, task and model some: what differs between the others is nothing a list looks at.
    for each, row in product((db, repeated), conditions[::8]):
        whole = sorted(one_by_one(each, row["condition_id"]), key=lambda trial: trial.spec.repeat)
        some = frozenset({whole[-1].spec.question.question_id})
        theirs = [trial for trial in whole if trial.spec.question.question_id in some]
        for n in (3, len(whole) + 1):
            with Store(each).reading() as connection:
                assert trial_list.first_trials(connection, row["condition_id"], n, None) == whole[:n]
            with Store(each).reading() as connection:
                assert trial_list.first_trials(connection, row["condition_id"], n, some) == theirs[:n]


def test_pages_follow_each_other_and_a_link_to_any_trial_opens_its_page(
    db: Path, conditions: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial_list, "PAGE", 2)
    condition = conditions[0]["condition_id"]
    whole = one_by_one(db, condition)
    ids = [trial.spec.trial_id for trial in whole]
    assert len(ids) > 4
    walked, at = [], page(db, condition)
    while True:
        walked += [trial.spec.trial_id for trial in at.trials]
        if at.page_after is None:
            break
        at = page(db, condition, trial_id=at.page_after.trial_id)
        assert at.page_before is not None and at.at == at.first
    assert walked == ids
    for place, trial in enumerate(whole):
        links: list[dict[str, Any]] = [
            {"trial_id": trial.spec.trial_id},
            {"question_id": trial.spec.question.question_id},
        ]
        for link in links:
            found = page(db, condition, **link)
            assert found.known and found.chosen is not None and found.at is not None
            assert found.chosen in found.trials and found.first == found.at // 2 * 2
        found = page(db, condition, trial_id=trial.spec.trial_id)
        assert (found.at, found.chosen) == (place, trial)
        assert (found.before and found.before.trial_id) == (ids[place - 1] if place else None)
        assert (found.after and found.after.trial_id) == (ids[place + 1] if place + 1 < len(ids) else None)


def test_a_link_to_a_trial_the_filter_hides_shows_it_and_the_page_where_it_would_be(
    db: Path, conditions: list[dict[str, Any]]
) -> None:
    for row in conditions:
        whole = one_by_one(db, row["condition_id"])
        hidden = next((trial for trial in whole if trial.verdict != "right"), None)
        if hidden is not None and any(trial.verdict == "right" for trial in whole):
            found = page(db, row["condition_id"], show="right", trial_id=hidden.spec.trial_id)
            assert (found.chosen, found.at, found.before, found.after) == (hidden, None, None, None)
            assert hidden not in found.trials and found.shown == len(found.trials)
            return
    raise AssertionError("no condition has both")


@pytest.mark.parametrize("wanted", [{"trial_id": "t1-none"}, {"question_id": "'; drop table trials; --"}])
def test_what_is_not_there_is_told_and_the_first_is_shown(
    db: Path, conditions: list[dict[str, Any]], wanted: dict[str, Any]
) -> None:
    found = page(db, conditions[0]["condition_id"], **wanted)
    assert not found.known and found.at == 0
    assert page(db, "nowhere").chosen is None and page(db, "nowhere").total == 0


@pytest.mark.parametrize("find", ["what is", "3 +", "%", "_", "'", "\\", "нет", "A" * 500])
def test_a_search_finds_words_as_they_are_in_question_target_and_answer(
    db: Path, conditions: list[dict[str, Any]], find: str
) -> None:
    condition = conditions[0]["condition_id"]
    fitting = [
        trial
        for trial in one_by_one(db, condition)
        if any(
            find.lower() in str(text).lower()
            for text in (trial.spec.question.problem.text, trial.spec.question.target, trial.answer or "")
        )
    ]
    assert list(page(db, condition, find=find).trials) == fitting


def test_only_the_questions_of_a_study_are_counted(db: Path, conditions: list[dict[str, Any]]) -> None:
    condition = conditions[0]["condition_id"]
    kept = frozenset(trial.spec.question.question_id for trial in one_by_one(db, condition)[:3])
    found = page(db, condition, questions=kept)
    assert {trial.spec.question.question_id for trial in found.trials} == kept
    assert found.total == found.shown == len(found.trials)
