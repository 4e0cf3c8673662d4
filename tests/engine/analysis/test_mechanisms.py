"""Facts of a strategy's mechanism: stored whole, read at every budget as far as their calls are covered, and judged."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import mean

from hypothesis import given
from hypothesis import strategies as st

from engine.analysis.mechanisms import IDLE_BELOW, MECHANISM_SCHEMA
from engine.core import replay
from engine.core.records import AXES, Axis, Fact, FactKind, Trial
from tests.engine.analysis.test_curves import LARGEST, conditions, stored
from tests.support.effort import cases
from tests.support.outcomes import growing
from tests.support.replayed import read

NAMED: list[tuple[FactKind, str]] = [
    ("could_work", "estimate read"),
    ("acted", "stopped early"),
    ("acted", "escalated"),
]


def stating(trial: Trial, *facts: tuple[FactKind, str, bool, int]) -> Trial:
    return replace(trial, facts=tuple(Fact(at, *fact) for at, fact in enumerate(facts)))


@st.composite
def explained(draw: st.DrawFn, /, **how: bool) -> list[Trial]:
    """Trials of a condition with facts stated after calls that were consumed."""
    trials = []
    for trial in draw(conditions(**how)):
        consumed = sum(not (call.cut and call.cut.closes) for call in trial.calls)
        places = sorted(draw(st.lists(st.integers(0, consumed), max_size=4)))
        stated = [(*draw(st.sampled_from(NAMED)), draw(st.booleans()), place) for place in places]
        trials.append(stating(trial, *stated))
    return trials


def expected(trials: list[Trial], axis: Axis, budget: int) -> dict[tuple[str, str], tuple[int, int, float]]:
    """By kind and name: questions, trials and share, slowly."""
    told: dict[tuple[str, str], dict[str, list[bool]]] = {}
    for trial in trials:
        if read(trial, axis, budget).fate != "scored":
            continue
        anytime = trial.spec.condition.anytime
        covered = replay.read(trial, axis, budget).covered if anytime else len(trial.calls)
        for name, holds in replay.stated(trial, covered).items():
            told.setdefault(name, {}).setdefault(trial.spec.question.question_id, []).append(holds)
    return {
        name: (len(by), sum(map(len, by.values())), round(mean(mean(map(float, holds)) for holds in by.values()), 9))
        for name, by in told.items()
    }


@given(st.booleans().flatmap(lambda anytime: explained(anytime=anytime)), st.sampled_from(AXES), st.data())
@cases(60)
def test_a_rate_is_what_reading_each_trial_at_the_budget_gives(trials: list[Trial], axis: Axis, data: st.DataObject):
    condition = trials[0].spec.condition
    at = axis if condition.anytime else condition.axis
    budgets = data.draw(st.lists(st.integers(0, 2 * LARGEST[at]), min_size=1, max_size=5, unique=True))
    with tempfile.TemporaryDirectory() as folder:
        results = stored(trials, Path(folder))
        frame = results.mechanisms(axis, budgets)
    assert dict(frame.schema) == MECHANISM_SCHEMA
    for budget in budgets if condition.anytime else [condition.budget]:
        rows = frame.filter(budget=budget).to_dicts()
        found = {
            (row["kind"], row["fact"]): (row["n_questions"], row["n_trials"], round(row["share"], 9)) for row in rows
        }
        assert found == expected(trials, at, budget)
        assert all(row["low"] <= row["share"] + 1e-9 and row["share"] <= row["high"] + 1e-9 for row in rows)


def test_a_fact_counts_from_the_call_on_that_it_was_stated_after(tmp_path: Path) -> None:
    trials = [stating(trial, ("acted", "escalated", True, 3)) for trial in growing("cascade", [0] * 4)]
    rates = stored(trials, tmp_path).mechanisms(budgets=[29, 30])
    assert rates.select("budget", "n_questions", "share").rows() == [(30, 4, 1.0)]


def test_a_mechanism_that_surely_never_could_work_makes_the_setting_idle_and_one_that_never_acted_does_not(
    tmp_path: Path,
) -> None:
    unread, quiet = ("estimate read", False, 1), ("stopped early", False, 1)
    trials = [stating(trial, ("could_work", *unread), ("acted", *quiet)) for trial in growing("tale_ep", [0] * 30)]
    results = stored(trials, tmp_path)
    rates = {row["fact"]: row for row in results.mechanisms(budgets=[100]).to_dicts()}
    assert rates["estimate read"]["high"] < IDLE_BELOW and rates["estimate read"]["idle"]
    assert rates["stopped early"]["share"] == 0 and not rates["stopped early"]["idle"]
    (cell,) = results.cells(budgets=[100]).to_dicts()
    assert cell["idle"] and cell["mechanism"].startswith("estimate read: 0% (0–12) of 30 questions; stopped early")


def test_few_questions_make_no_setting_idle(tmp_path: Path) -> None:
    trials = [stating(trial, ("could_work", "estimate read", False, 1)) for trial in growing("tale_ep", [0] * 10)]
    assert stored(trials, tmp_path).mechanisms(budgets=[100])["idle"].to_list() == [False]


def test_nothing_stated_is_unknown_and_not_never(tmp_path: Path) -> None:
    results = stored(growing("self_consistency", [0] * 30), tmp_path)
    assert results.mechanisms(budgets=[100]).is_empty()
    assert results.cells(budgets=[100]).select("mechanism", "idle").rows() == [(None, None)]


def test_facts_come_back_with_their_trial_and_go_with_their_run(tmp_path: Path) -> None:
    facts = [("could_work", "estimate read", True, 1), ("acted", "escalated", False, 2)]
    (trial,) = [stating(trial, *facts) for trial in growing("tale_ep", [0])]  # type: ignore[arg-type]
    store = stored([trial], tmp_path)._store
    assert store.trial(trial.spec.trial_id).facts == trial.facts
    store.delete_run("r1")
    with store.reading() as connection:
        assert connection.execute("select count(*) from facts").fetchall() == [(0,)]
