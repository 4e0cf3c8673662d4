"""Cells and curves: the SQL says what the rules say, at every budget and on every axis."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import mean

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import engine
from engine.analysis import Results
from engine.analysis.cells import CELL_SCHEMA, CURVE_SCHEMA
from engine.core import codec
from engine.core.errors import UnknownName, UsageError
from engine.core.records import AXES, Axis, Message, ModelSetting, Problem, Trial
from engine.store.store import Batch, RunRow, Store
from tests.support.effort import cases
from tests.support.replayed import NO_PRICE, NOON, A, Ask, B, Full, Lineup, Reading, Say, Script, planned, play, read

LINEUPS: list[Lineup] = [(("solver", A),), (("solver", A), ("critic", B)), (("solver", A), ("critic", NO_PRICE))]
LARGEST: dict[Axis, int] = {"output_tokens": 40, "total_tokens": 120, "calls": 6, "usd": 500}
small = st.integers(0, 12)


@st.composite
def scripts(draw: st.DrawFn, lineup: Lineup) -> Script:
    models = [setting for _, setting in lineup]
    answers = st.sampled_from(
        ["right", "wrong 1", "wrong 2", "none", "right too", "partly 0.25", "partly 0.7", "partly 0.333333333"]
    ).map(Say)

    def ask() -> Ask:
        bound, asked = draw(st.integers(1, 12)), draw(st.integers(1, 12))
        output = draw(st.integers(1, asked))
        return Ask(
            draw(st.sampled_from(models)),
            bound,
            draw(st.integers(0, bound)),
            output,
            asked,
            draw(st.integers(0, 11)) == 0,
            draw(small),
            draw(small),
            draw(small),
        )

    steps: list[Ask | Say | Full] = [
        ask() if draw(st.booleans()) else draw(answers) for _ in range(draw(st.integers(0, 9)))
    ]
    if draw(st.integers(0, 7)) == 0:
        steps.append(Full(models[0], 5))
    return steps


@st.composite
def conditions(draw: st.DrawFn, /, **how) -> list[Trial]:
    """Trials of one condition, anytime unless `how` says otherwise: two questions of equal text or not, repeats, walls, stops and failures."""
    lineup = draw(st.sampled_from(LINEUPS))
    axis = draw(st.sampled_from([a for a in AXES if a != "usd" or lineup is not LINEUPS[2]]))
    limit = draw(st.integers(1, LARGEST[axis]))
    trials = []
    for question in range(draw(st.integers(1, 3))):
        for repeat in range(draw(st.integers(1, 2))):
            spec = planned(axis, limit, f"q{question}", lineup=lineup, repeat=repeat, **how)
            stop = draw(st.none() | st.none() | st.integers(0, 3))
            trials.append(play(spec, draw(scripts(lineup)), stopped_after=stop))
    return trials


def stored(trials: Sequence[Trial], folder: Path, study: str = "{}") -> Results:
    store = Store(folder / "results.duckdb")
    store.save_run(RunRow("r1", study, "finished", NOON))
    store.flush(Batch(tuple(trials)))
    return engine.open(store.path)


def expected(trials: Sequence[Trial], axis: Axis, budget: int) -> dict[str, float | None]:
    """A cell, slowly."""
    readings = [(t.spec.question.question_id, read(t, axis, budget)) for t in trials]
    scored: dict[str, list[Reading]] = {}
    for question, reading in readings:
        if reading.fate == "scored":
            scored.setdefault(question, []).append(reading)

    def average(value) -> float | None:
        return mean(mean(value(r) for r in group) for group in scored.values()) if scored else None

    flat = [r for group in scored.values() for r in group]
    unpriced = any(r.pusd is None for r in flat)
    whole = [[r.score for r in group if not r.exhausted] for group in scored.values()]
    ended = [mean(group) for group in whole if group]
    return {
        "n_questions": len(scored),
        "n_trials": len(trials),
        "n_right": sum(r.verdict == "right" for r in flat),
        "n_partly": sum(r.verdict == "partly" for r in flat),
        "n_wrong": sum(r.verdict == "wrong" for r in flat),
        "n_none": sum(r.verdict == "none" for r in flat),
        "n_exhausted": sum(r.exhausted for r in flat),
        **{f"n_{fate}": sum(r.fate == fate for _, r in readings) for fate in ("failed", "stopped", "censored")},
        "accuracy": average(lambda r: r.score),
        **{
            name: average(lambda r, name=name: getattr(r.spend, name))
            for name in (
                "calls",
                "input_tokens",
                "output_tokens",
                "total_tokens",
                "reasoning_tokens",
                "cached_tokens",
                "latency_ms",
            )
        },
        "usd": None if unpriced else average(lambda r: r.pusd / 1e12),
        "accuracy_finished": mean(ended) if ended else None,
        "much_cut": sum(r.exhausted for r in flat) > 0.1 * len(flat),
    }


def close(value: float | None, to: float | None, absolute: float = 1e-9) -> bool:
    """Equal but for rounding; missing equals missing alone."""
    return value is to is None or (None not in (value, to) and value == pytest.approx(to, rel=1e-9, abs=absolute))


@given(conditions(), st.sampled_from(AXES), st.data())
@cases(40)
def test_a_cell_is_what_reading_each_trial_at_the_budget_gives(trials: list[Trial], axis: Axis, data: st.DataObject):
    budgets = data.draw(st.lists(st.integers(0, 2 * LARGEST[axis]), min_size=1, max_size=8, unique=True))
    with tempfile.TemporaryDirectory() as folder:
        frame = stored(trials, Path(folder)).cells(axis, budgets)
    assert frame["budget"].to_list() == sorted(budgets)
    for row in frame.to_dicts():
        want = expected(trials, axis, row["budget"])
        wrong = {name: (row[name], value) for name, value in want.items() if not close(row[name], value, 1e-15)}
        assert not wrong, row["budget"]
        assert row["axis"] == axis


@given(
    st.sampled_from(LINEUPS[:2]).flatmap(lambda lineup: st.tuples(st.just(lineup), scripts(lineup))),
    st.sampled_from(AXES),
    st.sampled_from(AXES),
    st.data(),
)
@cases(300)
def test_reading_a_large_trial_below_its_horizon_is_running_a_small_one(case, own: Axis, axis: Axis, data):
    lineup, script = case
    whole = play(planned(own, data.draw(st.integers(1, LARGEST[own])), "q", lineup=lineup), script)
    budget = data.draw(st.integers(0, 2 * LARGEST[axis]))
    reading = read(whole, axis, budget)
    if reading.fate != "scored":
        return
    direct = play(planned(axis, budget, "q", lineup=lineup), script)
    assert direct.verdict == reading.verdict
    assert (direct.end == "exhausted") == reading.exhausted
    assert sum((m.spend.output_tokens for m in direct.spends), 0) == reading.spend.output_tokens
    assert sum((m.spend.input_tokens for m in direct.spends), 0) == reading.spend.input_tokens
    assert sum((m.spend.calls for m in direct.spends), 0) == reading.spend.calls


@given(conditions(), st.sampled_from(AXES))
@cases(20)
def test_a_curve_agrees_with_the_cell_at_every_budget(trials: list[Trial], axis: Axis):
    condition = trials[0].spec.condition.condition_id
    points = list(range(0, 2 * LARGEST[axis], max(1, LARGEST[axis] // 30)))
    with tempfile.TemporaryDirectory() as folder:
        results = stored(trials, Path(folder))
        cells = {row["budget"]: row for row in results.cells(axis, points).to_dicts()}
        curve = results.curve(condition, axis, points)
        exact = results.curve(condition, axis)
    for row in curve.to_dicts():
        cell = cells[row["budget"]]
        assert (row["n"], row["n_censored"]) == (cell["n_questions"], cell["n_censored"])
        assert close(row["accuracy"], cell["accuracy"])
        assert close(row["low"], cell["accuracy_low"], 1e-6)
        assert close(row["high"], cell["accuracy_high"], 1e-6)
        assert close(row["spend"], cell[axis], 7e-12 if axis == "usd" else 1e-9)
        last = exact.filter(pl.col("budget") <= row["budget"]).tail(1).to_dicts()
        assert close(last[0]["accuracy"], row["accuracy"])
    changed = exact.select("accuracy", "n_trials", "n_censored").rows()
    assert all(a != b for a, b in pairwise(changed))


def right_after(tokens: int, answer: str = "right") -> Script:
    return [Ask(A, 5, 4, tokens, 50), Say(answer)]


def one_condition(tmp_path: Path, scripts: Sequence[Script], study: str = "{}", **how) -> Results:
    trials = [play(planned("output_tokens", 40, f"q{i}", **how), script) for i, script in enumerate(scripts)]
    return stored(trials, tmp_path, study)


def test_an_empty_database_gives_empty_frames_with_all_columns(tmp_path: Path):
    store = Store(tmp_path / "results.duckdb")
    store.create()
    results = engine.open(store.path)
    assert dict(results.cells().schema) == {k: v() if isinstance(v, type) else v for k, v in CELL_SCHEMA.items()}
    assert results.frontier().height == 0
    assert results.band().height == 0
    for frame in (
        results.runs(),
        results.conditions(),
        results.questions(),
        results.trial_rows("k"),
        results.transcript("t"),
    ):
        assert frame.height == 0
    with pytest.raises(UnknownName):
        results.curve("none")


def test_one_trial_gives_one_cell_with_a_wide_interval(tmp_path: Path):
    cell = one_condition(tmp_path, [right_after(10)]).cells().to_dicts()
    assert len(cell) == 1
    assert (cell[0]["accuracy"], cell[0]["n_questions"], cell[0]["output_tokens"]) == (1.0, 1, 10.0)
    assert cell[0]["accuracy_low"] < 0.25
    assert cell[0]["accuracy_high"] == 1.0
    assert [cell[0][f"accuracy_finished{end}"] for end in ("", "_low", "_high")] == [
        cell[0][f"accuracy{end}"] for end in ("", "_low", "_high")
    ]
    assert cell[0]["output_tokens_low"] is None


def test_all_wrong_is_zero_and_not_missing(tmp_path: Path):
    results = one_condition(tmp_path, [right_after(10, "wrong")] * 4)
    cell = results.cells().to_dicts()[0]
    assert (cell["accuracy"], cell["accuracy_low"], cell["n_wrong"]) == (0.0, 0.0, 4)
    assert 0 < cell["accuracy_high"] < 0.6
    curve = results.curve(cell["condition_id"])
    assert curve["accuracy"].to_list() == [0.0]
    assert results.frontier()["on_frontier"].to_list() == [True]


def test_all_failed_is_counted_and_not_scored(tmp_path: Path):
    results = one_condition(tmp_path, [[Ask(A, 5, 4, 3, 9, fails=True)]] * 3)
    cell = results.cells().to_dicts()[0]
    assert (cell["n_failed"], cell["n_trials"], cell["n_questions"], cell["accuracy"]) == (3, 3, 0, None)
    assert cell["partial"]
    assert results.frontier()["verdict"].to_list() == ["partial"]
    assert results.curve(cell["condition_id"], points=[40])["accuracy"].to_list() == [None]


def test_a_failed_trial_is_scored_below_the_call_that_failed(tmp_path: Path):
    script = [*right_after(10), Ask(A, 9, 9, 5, 9, fails=True)]
    cells = one_condition(tmp_path, [script]).cells(budgets=[5, 10, 11])
    assert cells["n_failed"].to_list() == [0, 0, 1]
    assert cells["accuracy"].to_list() == [0.0, 1.0, None]


def test_the_study_says_at_which_budgets_a_condition_is_read(tmp_path: Path):
    study = json.dumps({"budget_axis": "output_tokens", "budgets": [5, 10, 40], "planned_questions": {"t": 4}})
    results = one_condition(tmp_path, [right_after(10), right_after(30)], study)
    cells = results.cells()
    assert cells["budget"].to_list() == [5, 10, 40]
    assert cells["accuracy"].to_list() == [0.0, 0.5, 1.0]
    assert cells["n_planned"].to_list() == [4, 4, 4]
    assert cells["partial"].to_list() == [True, True, True]
    recut = results.cells("total_tokens")
    assert recut["budget"].to_list() == [15, 20, 34]
    assert set(recut["axis"]) == {"total_tokens"}


def test_a_fixed_budget_condition_has_the_one_cell_it_ran_at(tmp_path: Path):
    trials = [
        play(planned("output_tokens", 40, f"q{i}", anytime=False), script)
        for i, script in enumerate([right_after(10), [*right_after(30), Ask(A, 5, 4, 20, 20)], right_after(50)])
    ]
    results = stored(trials, tmp_path)
    for frame in (results.cells(), results.cells("usd"), results.cells(budgets=[1])):
        row = frame.to_dicts()[0]
        assert (frame.height, row["axis"], row["budget"]) == (1, "output_tokens", 40)
        assert (row["n_right"], row["n_none"], row["n_exhausted"]) == (2, 1, 2)
        assert row["output_tokens"] == pytest.approx((10 + 40 + 40) / 3)
    assert results.curve(trials[0].spec.condition.condition_id)["budget"].to_list() == [40]


def test_a_cell_says_how_much_the_budget_cut_and_what_the_others_reached(tmp_path: Path):
    cells = one_condition(tmp_path, [right_after(10)] * 9 + [right_after(30)] * 2 + [[Ask(A, 5, 4, 9, 9)]]).cells(
        budgets=[9, 20, 40]
    )
    assert cells["n_exhausted"].to_list() == [12 - 1, 2, 0]
    assert cells["much_cut"].to_list() == [True, True, False]
    assert cells["n_none"].to_list() == [12, 3, 1]
    assert cells["accuracy"].to_list() == [0, 9 / 12, 11 / 12]
    assert cells["accuracy_finished"].to_list() == [0, 9 / 10, 11 / 12]
    narrow = cells.filter(budget=20).to_dicts()[0]
    assert narrow["accuracy_finished_low"] < 0.9 < narrow["accuracy_finished_high"]
    assert cells["accuracy_finished_high"][2] == cells["accuracy_high"][2]


def test_the_last_attempt_counts(tmp_path: Path):
    spec = planned("output_tokens", 40, "q")
    results = stored([play(spec, right_after(10, "wrong")), play(spec, right_after(9), attempt=2)], tmp_path)
    cell = results.cells().to_dicts()[0]
    assert (cell["n_trials"], cell["accuracy"], cell["output_tokens"]) == (1, 1.0, 9.0)


def test_questions_that_ask_the_same_are_one_cluster(tmp_path: Path):
    def twins(target: str) -> Trial:
        trial = play(planned("output_tokens", 40, "same"), right_after(10))
        question = replace(trial.spec.question, question_id=f"q1-{target}", target=target)
        return replace(trial, spec=replace(trial.spec, question=question, trial_id=f"t1-{target}"))

    one = stored([twins(str(i)) for i in range(6)], tmp_path).cells().to_dicts()[0]
    assert one["n_questions"] == 6
    assert one["accuracy_low"] < 0.25


def test_one_instruction_over_many_documents_or_behind_many_chats_is_many_questions(tmp_path: Path):
    def answered(problem: Problem, at: int) -> Trial:
        trial = play(planned("output_tokens", 40, f"q{at}"), right_after(10) if at < 3 else right_after(9, "wrong"))
        question = replace(trial.spec.question, problem=problem, data=codec.with_reading(problem))
        return replace(trial, spec=replace(trial.spec, question=question))

    def interval(name: str, problems: list[Problem]) -> dict[str, object]:
        (tmp_path / name).mkdir()
        trials = [answered(problem, at) for at, problem in enumerate(problems)]
        columns = ["n_questions", "accuracy_low", "accuracy_high"]
        return stored(trials, tmp_path / name).cells().select(columns).row(0, named=True)

    asked = "Which kind of note is it?"
    one = interval("documents", [Problem(asked, context=f"note {at}") for at in range(6)])
    assert one == interval("texts", [Problem(f"text {at}") for at in range(6)])
    assert one == interval("chats", [Problem(asked, turns=(Message("user", f"note {at}"),)) for at in range(6)])
    assert one == pytest.approx({"n_questions": 6, "accuracy_low": 0.136, "accuracy_high": 0.864}, abs=0.001)
    same = interval("same", [Problem(asked, context="note", turns=(Message("user", "a"),))] * 6)
    assert same["accuracy_low"] < one["accuracy_low"]  # type: ignore[operator]


def test_an_unknown_price_is_unknown_and_an_assumed_one_is_said(tmp_path: Path):
    # Called as the study likes.
    kinds = {"f": "local", "s": "scripted", "h": "hosted"}
    others = [ModelSetting(name, f"{kind}/{name}@3", None) for name, kind in kinds.items()]
    lineups: list[Lineup] = [(("solver", each),) for each in (A, NO_PRICE, B, *others)]
    trials = [
        play(planned("output_tokens", 40, "q", lineup=lineup), [Ask(lineup[0][1], 5, 4, 10, 50)]) for lineup in lineups
    ]
    cells = {row["model"]: row for row in stored(trials, tmp_path).cells().to_dicts()}
    assert cells["scripted/a"]["usd"] == pytest.approx((4 * 3 + 10 * 7) / 1e12)
    assert cells["local/c"]["usd"] is None
    assert cells["local/c"]["accuracy"] == 0.0
    assert cells["scripted/b"]["usd"] == pytest.approx(8 / 1e12)
    assert [cells[m]["usd_assumed"] for m in ("scripted/a", "local/c", "scripted/b")] == [False, False, True]
    assert [cells[m]["simulated"] for m in ("scripted/a", "local/c", "f", "s")] == [True, False, False, True]
    assert [cells[m]["local"] for m in ("scripted/a", "f", "s", "h")] == [True, True, True, False]
    recut = stored(trials, tmp_path).cells("usd", [10**6])
    assert dict(zip(recut["model"], recut["n_censored"], strict=True))["local/c"] == 1


def test_labels_show_what_tells_conditions_apart(tmp_path: Path):
    trials = [
        play(planned("output_tokens", 40, "q", strategy=s, params=json.dumps({"samples": n, "cap": 9})), right_after(3))
        for s, n in (("vote", 4), ("vote", 8), ("direct", 1))
    ] + [play(planned("output_tokens", b, "q", strategy="tale", anytime=False), right_after(3)) for b in (20, 40)]
    labels = stored(trials, tmp_path).conditions()["label"].to_list()
    assert sorted(labels) == [
        "direct",
        "tale · 20 output_tokens",
        "tale · 40 output_tokens",
        "vote(samples=4)",
        "vote(samples=8)",
    ]


def test_filters_and_axes_nobody_knows_are_named(tmp_path: Path):
    results = one_condition(tmp_path, [right_after(10)])
    assert results.cells(strategy="vote").height == 1
    assert results.cells(strategy=["vote", "other"], task="t").height == 1
    assert results.cells(model="other").height == 0
    with pytest.raises(UnknownName, match="strategy"):
        results.cells(stratgy="vote")
    with pytest.raises(UnknownName, match="output_tokens"):
        results.cells("output_token")
    with pytest.raises(UsageError):
        results.cells(budgets=[-1])


def test_the_way_down_to_the_transcript(tmp_path: Path):
    script = [*right_after(10, "wrong"), *right_after(7), Ask(A, 5, 4, 50, 50)]
    results = one_condition(tmp_path, [script])
    row = results.trial_rows(results.cells()["condition_id"][0]).to_dicts()[0]
    assert (row["end"], row["verdict"], row["calls"], row["output_tokens"]) == ("exhausted", "right", 3, 40)
    assert row["usd"] == pytest.approx((12 * 3 + 40 * 7) / 1e12)
    calls = results.transcript(row["trial_id"])
    assert calls["answer"].to_list() == ["wrong", "right", None]
    assert calls["cut"].to_list() == [None, None, "budget"]
    assert json.loads(calls["messages"][0]) == [["user", "call 0"]]


def test_schema_names_of_a_curve_are_those_documented(tmp_path: Path):
    results = one_condition(tmp_path, [right_after(10)])
    assert results.curve(results.cells()["condition_id"][0]).columns == list(CURVE_SCHEMA)
