"""Scores between 0 and 1: stored, summed, compared and advised on, and how often their intervals hold the truth."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pytest

import engine
from engine.analysis import Results, stats
from engine.analysis.advice.decide import decide
from engine.analysis.pairs.compare import Cell, gap
from engine.analysis.sql.trial_list import trial_page
from engine.analysis.stats import Sample, Sums
from engine.core.records import Question
from engine.store import schema
from engine.store.store import Batch, RunRow, Store
from engine.trial.solve import Setting, solve
from tests.engine.analysis.advice.test_decide import board_of
from tests.engine.store.test_deltas import an_older
from tests.support.replayed import NOON, A, Ask, Say, planned, play
from tests.support.simulated import pair_of
from tests.support.trials_on_paper import FIVE, NoPool, asking, critic, in_loop, model, spec

SCORES = np.array([0, 0.25, 0.5, 0.75, 1])


def graded(skill: float, n: int, rng: np.random.Generator, ease: np.ndarray | None = None) -> np.ndarray:
    """Scores in quarters, half of what decides them the question's own."""
    ease = rng.normal(size=n) if ease is None else ease
    latent = 0.7 * ease + 0.7 * rng.normal(size=n) + skill
    return SCORES[np.searchsorted([-0.8, -0.2, 0.3, 0.9], latent)]


def two_settings(folder: Path, n: int = 40) -> Results:
    """Parts of a point for most answers, the second setting a little better and twice as dear."""
    rng, store, trials = np.random.default_rng(7), Store(folder / "results.duckdb"), []
    ease = rng.normal(size=n)
    for strategy, skill, tokens in (("first", 0.0, 8), ("second", 1.0, 16)):
        for q, score in enumerate(graded(skill, n, rng, ease)):
            said = {0.0: "wrong", 1.0: "right"}.get(float(score), f"partly {score}")
            spec = planned("output_tokens", 40, f"q{q}", strategy=strategy)
            trials.append(play(spec, [Ask(A, 5, 4, tokens, 20), Say(said)]))
    store.save_run(RunRow("r1", "{}", "finished", NOON))
    store.flush(Batch(tuple(trials)))
    return engine.open(store.path)


def test_a_score_between_is_carried_from_the_mark_to_the_frontier(tmp_path: Path) -> None:
    results = two_settings(tmp_path)
    frame = results.frontier()
    rows = {row["strategy"]: row for row in frame.to_dicts()}
    with duckdb.connect(str(tmp_path / "results.duckdb"), read_only=True) as connection:
        sql = """select strategy, avg(m.score), count(*) filter (m.verdict = 'partly') from marks m
            join trials using (trial_id, attempt) join conditions using (condition_id) group by strategy"""
        stored = {name: (mean, partly) for name, mean, partly in connection.execute(sql).fetchall()}
    for name, row in rows.items():
        mean, partly = stored[name]
        assert row["accuracy"] == pytest.approx(mean)
        assert row["n_partly"] == partly > 0
        assert row["accuracy_low"] < mean < row["accuracy_high"]
    assert frame["on_frontier"].to_list() == [True, True]
    with Store(tmp_path / "results.duckdb").reading() as connection:
        page = trial_page(connection, rows["first"]["condition_id"], "output_tokens", 40, show="partly")
    assert page.shown == page.fates["partly"] == stored["first"][1]


def test_two_settings_with_scores_between_are_compared_by_question_means_and_not_by_flips(tmp_path: Path) -> None:
    results = two_settings(tmp_path)
    ids = dict(results.conditions().select("strategy", "condition_id").iter_rows())
    found = results.compare(Cell(ids["second"]), Cell(ids["first"]))
    assert found.graded and found.method == "bootstrap"
    assert found.accuracy.mean is not None and found.accuracy.mean > 0.1 and found.settled
    assert found.p_value < 0.01
    assert len(found.won) > len(found.lost)


@pytest.mark.parametrize("n", [12, 30, 100])
@pytest.mark.parametrize("skill", [-1.2, 0.0, 1.5])
def test_the_interval_of_a_mean_score_holds_the_truth(skill: float, n: int) -> None:
    rng = np.random.default_rng(n)
    truth = float(graded(skill, 200_000, rng).mean())
    held = 0
    for _ in range(400):
        low, high = stats.accuracy_interval(Sums.of(graded(skill, n, rng), np.ones(n)), n, graded=True)
        held += low <= truth <= high
    assert held / 400 >= 0.92


@pytest.mark.parametrize("n", [12, 30, 100])
@pytest.mark.parametrize("differing", [0.06, 1.0], ids=["few differ", "most differ"])
def test_the_interval_of_a_paired_difference_holds_the_truth(n: int, differing: float) -> None:
    rng, held, truth = np.random.default_rng(n), 0, 0.0

    def pair(many: int) -> np.ndarray:
        ease = rng.normal(size=many)
        a = graded(0.3, many, rng, ease)
        return np.stack([a, np.where(rng.random(many) < differing, graded(0.0, many, rng, ease), a)], axis=1)

    large = pair(300_000)
    truth = float((large[:, 0] - large[:, 1]).mean())
    for _ in range(120):
        found = gap(pair_of(pair(n), np.arange(n), graded=True), Sample(300, 0))
        assert found.low is not None and found.high is not None
        held += found.low <= truth <= found.high
    assert held / 120 >= 0.9


def test_nothing_that_differs_is_no_proof_of_equality() -> None:
    same = np.full((20, 2), 0.5)
    found = gap(pair_of(same, np.arange(20), graded=True), Sample(300, 0))
    assert found.low is not None and found.high is not None
    assert found.low < -0.05 and found.high > 0.05 and found.p_value == 1


@pytest.mark.parametrize("n", [30, 120])
def test_the_bound_of_a_decision_covers_what_the_pick_loses(n: int) -> None:
    rng, skills, covered = np.random.default_rng(n), (0.0, 0.1, 0.2, 0.6), 0
    truth = [float(graded(skill, 200_000, rng).mean()) for skill in skills]
    for _ in range(40):
        ease = rng.normal(size=n)
        scores = np.stack([graded(skill, n, rng, ease) for skill in skills])
        decision = decide(board_of(scores, [10.0, 20.0, 30.0, 40.0], replicates=200))
        assert decision.cell is not None and decision.bound is not None
        loss = max(truth) - truth[int(decision.cell.condition_id[1:])]
        covered += decision.bound >= loss - 1e-9
    assert covered >= 36


def test_an_older_database_has_right_and_wrong_as_the_ends(tmp_path: Path) -> None:
    old = an_older(tmp_path / "old.duckdb", version=10)
    with duckdb.connect(str(old)) as connection:
        assert "score" not in {row[0] for row in connection.execute("describe marks").fetchall()}
    before = engine.open(old).cells()
    verdicts = Store(old).trials(before["condition_id"][0])
    assert all(mark.score == float(mark.verdict == "right") for trial in verdicts for mark in trial.marks)
    store = Store(old)
    store.set_demo(False)
    assert store.version() == schema.SCHEMA_VERSION
    with duckdb.connect(str(old)) as connection:
        wrong = "score is distinct from if(verdict = 'none', null, (verdict = 'right')::double)"
        for table in ("marks", "trials"):
            assert connection.execute(f"select count(*) from {table} where {wrong}").fetchall() == [(0,)]
    assert engine.open(old).cells().equals(before)
    assert Store(old).trials(before["condition_id"][0]) == verdicts


@pytest.mark.parametrize(
    ("given", "verdict", "kept"),
    [(True, "right", 1.0), (0.9999999999, "right", 1.0), (1.7, "right", 1.0), (0.4, "partly", 0.4), (-3, "wrong", 0.0)],
)
def test_a_scorers_number_is_kept_within_its_ends(given: float, verdict: str, kept: float) -> None:
    trial = scored_by(given)
    assert [(mark.verdict, mark.score) for mark in trial.marks] == [(verdict, kept)]
    assert (trial.verdict, trial.score) == (verdict, kept)


def test_a_score_that_is_no_number_fails_the_trial() -> None:
    trial = scored_by(float("nan"))
    assert (trial.end, trial.score) == ("failed", None)
    assert "a score is a number from 0 to 1, not nan" in str(trial.error)


def scored_by(given: float):
    def score(answer: str, question: Question) -> float:
        return given

    task, solver = spec("test", "output_tokens", 99), model(FIVE)
    models = {each.setting.identity: each for each in (solver, critic())}
    return in_loop(solve(task, asking(["say it"]), Setting("run", models, NoPool(solver)), score))
