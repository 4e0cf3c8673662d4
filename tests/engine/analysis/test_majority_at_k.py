"""Votes read in every order: exact over all of them on the axis of calls, run by run on the others."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from statistics import mean

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import engine
from engine.analysis import Results
from engine.analysis.majority_at_k import orders_of, task_of, votes_by_trial
from engine.core.answers import Votes
from engine.core.records import AXES, Axis, Completion, Cut, Trial, Usage
from engine.store.store import Batch, RunRow, Store
from tests.engine.analysis.test_curves import close
from tests.support import stores
from tests.support.effort import cases
from tests.support.replayed import NOON, A, Ask, Full, Say, planned, play, read

Draw = tuple[str | None, int]
"""The answer, None for a reply that was cut off, and its length."""
draws = st.tuples(st.sampled_from(["right", "wrong a", "wrong b", None]), st.integers(1, 9))
questions = st.lists(st.lists(draws, min_size=3, max_size=3), min_size=1, max_size=4)


def leaders(drawn: Sequence[Draw]) -> list[str | None]:
    votes, found = Votes(), list[str | None]()
    for answer, _ in drawn:
        votes.add(answer)
        found.append(votes.leader)
    return found


def vote(question: int, drawn: Sequence[Draw], limit: int = 1000, samples: int | None = None, repeat: int = 0) -> Trial:
    """One trial of a vote over these draws, in this order; its prompt is bounded too high, as prompts are."""
    spec = planned(
        "output_tokens",
        limit,
        f"q{question}",
        strategy="self_consistency",
        task="file:t",
        repeat=repeat,
        params=json.dumps({"samples": samples or len(drawn)}),
    )
    script: list[Ask | Say | Full] = []
    for (_, length), leader in zip(drawn, leaders(drawn), strict=True):
        script += [Ask(A, 7, 4, length, 50), *([Say(leader)] if leader else [])]
    trial = play(spec, script)
    calls = tuple(
        replace(call, key=f"c-{question}-{repeat}-{place}", cut=call.cut or (None if drawn[place][0] else Cut.OWN))
        for place, call in enumerate(trial.calls)
    )
    return replace(trial, calls=calls)


def replies(trials: Sequence[Trial], drawn: Sequence[Sequence[Draw]]) -> tuple[Completion, ...]:
    return tuple(
        Completion(call.key, f"Answer: {answer or 'right'}", "stop", Usage(4, length), 1, None, None, NOON)
        for trial, group in zip(trials, drawn, strict=True)
        for call, (answer, length) in zip(trial.calls, group, strict=False)
    )


def stored(folder: Path, trials: Sequence[Trial], bought: Sequence[Completion]) -> Results:
    store = Store(folder / "results.duckdb")
    store.save_run(RunRow("r1", "{}", "finished", NOON))
    store.flush(Batch(tuple(trials), tuple(bought)))
    return engine.open(store.path)


def of(results: Results, axis: Axis, points: list[int] | None, orders: int | None) -> pl.DataFrame:
    return results.curves(results.conditions()["condition_id"].to_list(), axis, points, orders=orders)


@given(questions)
@cases(12)
def test_on_the_axis_of_calls_it_is_the_mean_over_all_orders(drawn: list[list[Draw]]) -> None:
    trials = [vote(i, group) for i, group in enumerate(drawn)]
    with tempfile.TemporaryDirectory() as folder:
        curve = of(stored(Path(folder), trials, replies(trials, drawn)), "calls", [0, 1, 2, 3, 4], 64)
    for k, accuracy in curve.select("budget", "accuracy").rows():
        right = [
            [leaders(o)[min(k, 3) - 1] == "right" for o in permutations(group)] if k else [False] for group in drawn
        ]
        assert accuracy == pytest.approx(mean(map(mean, right)), abs=1e-12)
    assert curve["spend"].to_list() == pytest.approx([0, 1, 2, 3, 3])


@given(questions, st.sampled_from([axis for axis in AXES if axis != "calls"]), st.integers(2, 7))
@cases(15)
def test_on_other_axes_it_is_the_mean_over_runs_of_the_same_draws(drawn, axis: Axis, orders: int) -> None:
    trials = [vote(i, group) for i, group in enumerate(drawn)]
    points = list(range(0, 60, 3)) if axis != "usd" else list(range(0, 300, 11))
    with tempfile.TemporaryDirectory() as folder:
        curve = of(stored(Path(folder), trials, replies(trials, drawn)), axis, points, orders)
    runs = [
        [vote(i, [group[place] for place in order]) for order in orders_of(3, orders)] for i, group in enumerate(drawn)
    ]
    for row in curve.to_dicts():
        readings = [[read(run, axis, row["budget"]) for run in group] for group in runs]
        assert close(row["accuracy"], mean(mean(r.verdict == "right" for r in group) for group in readings))
        if axis == "output_tokens":
            assert close(row["spend"], mean(mean(r.spend.output_tokens for r in group) for group in readings))
        if axis == "total_tokens":
            assert close(row["spend"], mean(mean(r.spend.total_tokens for r in group) for group in readings))


def test_a_trial_that_a_wall_closed_keeps_its_one_order(tmp_path: Path) -> None:
    long = [("right", 9), ("wrong a", 9), ("wrong a", 9)]
    short = [("wrong a", 2), ("right", 2), ("right", 2)]
    trials = [vote(0, long, limit=20), vote(1, short, limit=20)]
    results = stored(tmp_path, trials, replies(trials, [long, short]))
    direct, exact = (of(results, "calls", [1, 2, 3], orders) for orders in (None, 64))
    assert [call.cut for call in trials[0].calls] == [None, None, "budget"]
    assert exact["n_censored"].to_list() == direct["n_censored"].to_list() == [0, 0, 1]
    assert direct["accuracy"].to_list() == [1 / 2, 1 / 2, 1.0]
    assert exact["accuracy"].to_list() == pytest.approx([(1 + 2 / 3) / 2, (1 + 2 / 3) / 2, 1.0])


@pytest.mark.parametrize("loss", ["a reply", "a mark"])
def test_draws_that_do_not_give_the_stored_marks_are_left_in_their_order(tmp_path: Path, loss: str) -> None:
    drawn = [("right", 3), ("wrong a", 2), ("wrong b", 2)]
    trial = vote(0, drawn)
    bought = replies([trial], [drawn])[1 if loss == "a reply" else 0 :]
    kept = trial if loss == "a reply" else replace(trial, marks=(replace(trial.marks[0], after_calls=2),))
    results = stored(tmp_path, [kept], bought)
    assert of(results, "calls", [1, 2, 3], 64).equals(of(results, "calls", [1, 2, 3], 1))


def test_a_vote_that_may_stop_early_is_never_reordered(tmp_path: Path) -> None:
    drawn = [("right", 3), ("right", 2)]
    trial = vote(0, drawn, samples=5)
    results = stored(tmp_path, [trial], replies([trial], [drawn]))
    assert of(results, "output_tokens", None, 64).equals(of(results, "output_tokens", None, 1))


def test_repeats_of_a_question_are_averaged_before_questions_are(tmp_path: Path) -> None:
    first, second, other = [("right", 3), ("wrong a", 2)], [("wrong a", 1)] * 2, [("right", 4)] * 2
    drawn = [first, second, other]
    trials = [vote(0, first), vote(0, second, repeat=1), vote(1, other)]
    results = stored(tmp_path, trials, replies(trials, drawn))
    assert of(results, "calls", [1], 64)["accuracy"].to_list() == pytest.approx([((1 / 2 + 0) / 2 + 1) / 2])


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return engine.open(stores.demo(tmp_path_factory.mktemp("demo") / "results.duckdb"))


@pytest.mark.parametrize("axis", AXES)
def test_one_order_is_the_run_itself(demo: Results, axis: Axis) -> None:
    ids = demo.conditions()["condition_id"].to_list()[::7]
    points = demo.curves(ids, axis)["budget"].unique().to_list()[::7]
    direct, one = demo.curves(ids, axis, points), demo.curves(ids, axis, points, orders=1)
    for name in direct.columns:
        assert all(
            close(a, b) if isinstance(a, float) else a == b for a, b in zip(direct[name], one[name], strict=True)
        )


def test_the_order_of_storing_changes_no_bit_and_intervals_narrow(demo: Results, tmp_path: Path) -> None:
    votes = demo.cells(budgets=[10**9], strategy="self_consistency", axis="output_tokens")
    ids = votes.filter(n_censored=0)["condition_id"].to_list()[::6]
    source = Store(demo.path)
    trials = [trial for name in reversed(ids) for trial in reversed(source.trials(name))]
    keys = [call.key for trial in trials for call in trial.calls]
    target = Store(tmp_path / "results.duckdb")
    target.flush(Batch(tuple(trials[::2]), tuple(reversed(source.completions(keys).values()))))
    target.flush(Batch(tuple(trials[1::2])))
    other = engine.open(target.path)
    for axis, points in (("calls", [0, 1, 2, 3, 5, 8, 12]), ("output_tokens", [100, 300, 900, 2000])):
        exact = demo.curves(ids, axis, points, orders=64)
        assert exact.equals(other.curves(ids, axis, points, orders=64))
        direct = demo.curves(ids, axis, points)
        assert (direct["accuracy"] - exact["accuracy"]).abs().max() < 0.12  # type: ignore[operator]
    at_one = [
        demo.curves(ids, "calls", [1], orders=orders).select(w=pl.col("high") - pl.col("low")) for orders in (1, 64)
    ]
    assert (at_one[1]["w"] / at_one[0]["w"]).max() < 0.6  # type: ignore[operator]


def test_a_reply_that_a_filter_ended_is_no_vote_of_a_ballot() -> None:
    place = {"condition_no": 1, "question_no": 1, "repeat": 0}
    said = [("Answer: 2", "stop", None), ("I cannot help with 3", "filter", None), ("Answer: 2", "length", "own")]
    rows = [
        {
            **place,
            "params": '{"samples": 3}',
            "text": text,
            "finish": finish,
            "cut": cut,
            "answer_kind": "number",
            "data": "{}",
        }
        for text, finish, cut in said
    ]
    marks = [{**place, "after_calls": 1, "answer": "2", "score": 1.0}]
    (found,) = votes_by_trial(rows, marks).values()
    assert (found.votes, found.scores) == ((0, None, None), (1.0,))


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("file:x", True),
        ("file:c++", True),
        ("file:x+number(tolerance=1%)", True),
        ("file:x+of_nobody", False),
        ("file:x+judge(m, 01234567)", False),
    ],
)
def test_a_scorer_that_nobody_brought_is_not_replaced_by_being_equal_to_the_target(name: str, known: bool) -> None:
    assert (task_of(name) is not None) == known
