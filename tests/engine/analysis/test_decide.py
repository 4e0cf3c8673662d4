"""What to use: the pick, the bound on what it loses, verdicts and sentences; simulated where a level is promised."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as some

from engine.analysis import stats
from engine.analysis.advice.board import Board
from engine.analysis.advice.decide import MOST_WORDS, Decision, decide
from engine.analysis.frontier import Cloud, ClusterSums
from tests.support.effort import cases

NAMES = [
    "Direct",
    "Chain of thought",
    "TALE",
    "Self-consistency ×12",
    "Self-refine",
    "Debate",
    "Chain of draft",
    "Router",
]


def board_of(right: np.ndarray, spends: Sequence[float], *, x: str = "output_tokens", replicates: int = 400) -> Board:
    """A board of settings whose answers are the rows of `right` (settings x questions, 0 or 1)."""
    settings, n = right.shape
    order = np.lexsort((right.mean(axis=1), spends))
    right, spends = right[order].astype(float), [float(spends[i]) for i in order]
    names = [NAMES[i] if i < len(NAMES) else f"Setting {i}" for i in order]
    frame = pl.DataFrame(
        {
            "condition_id": [f"k{i}" for i in order],
            "label": names,
            "name": names,
            "axis": ["output_tokens"] * settings,
            "budget": [256] * settings,
            "x": spends,
            "accuracy": right.mean(axis=1),
            "n_questions": [n] * settings,
            "n_draws": [None] * settings,
            "n_right": right.sum(axis=1).astype(int),
            "n_wrong": n - right.sum(axis=1).astype(int),
            "n_none": [0] * settings,
        },
        schema_overrides={"n_draws": pl.Int64},
    )
    weights = stats.replicate_weights(n, replicates, 0)
    drawn = Cloud(np.tile(spends, (replicates, 1)), weights @ right.T / n)
    return Board(x, frame, ClusterSums(np.ones((settings, n)), {"accuracy": right}), drawn)


def worlds(truth: Sequence[float], n: int, many: int, seed: int) -> list[np.ndarray]:
    """Answers of settings with these true accuracies, alike as strategies of one model are: a hard question is hard
    for all."""
    rng = np.random.default_rng(seed)
    # Half of the variance of the latent ease is the question's own.
    ease = rng.normal(size=(many, 1, n)) * math.sqrt(0.5)
    own = rng.normal(size=(many, len(truth), n)) * math.sqrt(0.5)
    cuts = np.array([NormalDist().inv_cdf(share) for share in truth])[None, :, None]
    return list((ease + own < cuts).astype(float))


ALIKE, BETTER, GRADED = [0.6] * 4, [0.5, 0.5, 0.5, 0.65], [0.35 + 0.03 * i for i in range(12)]


def shortfalls(truth: Sequence[float], n: int, many: int, seed: int) -> tuple[float, float, float]:
    """Over worlds: share whose bound covers what the pick truly loses, median bound, median of the pair's half-width
    plus the true loss."""
    covered, bounds, allowed = 0, [], []
    spends = [10.0 * (i + 1) for i in range(len(truth))]
    for right in worlds(truth, n, many, seed):
        decision = decide(board_of(right, spends, replicates=200))
        assert decision.cell is not None and decision.bound is not None
        pick = int(decision.cell.condition_id[1:])
        loss = max(truth) - truth[pick]
        best = int(np.argmax(truth)) if loss > 0 else (pick + 1) % len(truth)
        apart = right[best] - right[pick]
        half = 1.96 * float(apart.std()) / math.sqrt(n)
        covered += decision.bound >= loss - 1e-9
        bounds.append(decision.bound)
        allowed.append(half + loss)
    return covered / many, float(np.median(bounds)), float(np.median(allowed))


@pytest.mark.parametrize("n", [20, 60, 200])
@pytest.mark.parametrize("truth", [ALIKE, BETTER, GRADED], ids=["all equal", "one better", "twelve graded"])
def test_the_bound_covers_what_the_pick_loses_and_is_no_wider_than_it_must_be(truth: list[float], n: int) -> None:
    covered, bound, allowed = shortfalls(truth, n, many=40, seed=n)
    # 95% less two standard errors of 40 worlds; `tests/bench/decisions.py` has many more.
    assert covered >= 0.95 - 2 * math.sqrt(0.95 * 0.05 / 40)
    assert bound <= 1.5 * allowed


def test_the_pick_is_the_cheapest_within_the_margin_of_the_best() -> None:
    right = np.zeros((3, 100))
    right[0, :50], right[1, :63], right[2, :65] = 1, 1, 1
    decision = decide(board_of(right, [10, 50, 200]))
    assert decision.cell is not None and decision.cell.condition_id == "k1"
    assert decision.regret == pytest.approx(0.02)
    assert decision.lead == "Use Chain of thought up to 256 tokens"
    assert "gets 65% and costs ×4" in decision.rest
    assert decide(board_of(right, [10, 50, 200]), margin=0.0).cell.condition_id == "k2"  # type: ignore[union-attr]


def test_limits_bound_the_corner_and_what_lies_outside_is_told() -> None:
    right = np.zeros((3, 100))
    right[0, :50], right[1, :63], right[2, :80] = 1, 1, 1
    decision = decide(board_of(right, [10, 50, 200]), spend_at_most=100, reach_at_least=0.6)
    assert decision.cell is not None and decision.cell.condition_id == "k1"
    verdicts = dict(decision.verdicts.select("condition_id", "verdict").iter_rows())
    assert verdicts == {"k0": "under the accuracy", "k1": "recommended", "k2": "over the spend"}
    assert "the only point within these limits" in decision.rest


def test_where_nothing_is_accepted_the_nearest_is_named() -> None:
    right = np.zeros((2, 100))
    right[0, :50], right[1, :63] = 1, 1
    decision = decide(board_of(right, [10, 50]), spend_at_most=20, reach_at_least=0.9)
    assert decision.cell is None and decision.bound is None
    assert decision.lead == "Nothing reaches 90% within 20 output tokens"
    assert decision.rest.startswith("the nearest is Direct up to 256 tokens, 50%")


def test_two_that_answer_alike_are_equivalent_and_the_rest_is_less_accurate() -> None:
    right = np.zeros((3, 400))
    right[0, :280], right[1, :282], right[2, :150] = 1, 1, 1
    table = decide(board_of(right, [10, 20, 30])).verdicts
    assert dict(table.select("condition_id", "equivalent").iter_rows()) == {"k0": True, "k1": True, "k2": False}
    assert dict(table.select("condition_id", "verdict").iter_rows())["k2"] == "less accurate"


def test_a_rival_too_close_to_call_is_named_with_the_questions_that_would_tell() -> None:
    rng = np.random.default_rng(3)
    right = (rng.random((2, 60)) < [[0.45], [0.58]]).astype(float)
    decision = decide(board_of(right, [10, 100]), margin=0.0)
    assert decision.more_questions is not None and decision.more_questions > 0
    assert "Too close to call with" in decision.rest and "more questions would tell" in decision.rest


@pytest.mark.parametrize(
    ("shares", "heading"),
    [
        ([0.0, 0.0], "No setting answered a question right here"),
        ([0.40, 0.41], "No setting is measurably better than Direct, 40% for 10 output tokens"),
        ([0.30, 0.80], "Chain of thought is most accurate, 80%; Direct gets 30% for a tenth of the output tokens"),
    ],
)
def test_the_heading_states_the_finding(shares: list[float], heading: str) -> None:
    right = np.zeros((2, 100))
    for row, share in zip(right, shares, strict=True):
        row[: round(100 * share)] = 1
    assert decide(board_of(right, [10, 100])).heading == heading


def test_a_lone_setting_has_nothing_to_be_compared_with() -> None:
    decision = decide(board_of(np.array([[1.0, 0.0] * 30]), [12]))
    assert decision.heading == "Direct gets 50% for 12 output tokens; there is nothing to compare it with yet"
    assert decision.bound == 0.0


@cases(40)
@given(
    shares=some.lists(some.floats(0, 1), min_size=1, max_size=8),
    n=some.integers(2, 60),
    most=some.none() | some.floats(1, 100),
    least=some.none() | some.floats(0.01, 1),
    seed=some.integers(0, 99),
)
def test_every_decision_keeps_its_promises(
    shares: list[float], n: int, most: float | None, least: float | None, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    right = (rng.random((len(shares), n)) < np.array(shares)[:, None]).astype(float)
    board = board_of(right, [7.0 * (i + 1) for i in range(len(shares))], replicates=100)
    decision: Decision = decide(board, spend_at_most=most, reach_at_least=least)
    assert len(decision.heading.split()) <= MOST_WORDS
    assert decision.verdicts.height == len(shares)
    spends, scores = board.point.x[0], board.point.accuracy[0]
    corner = [
        i for i in range(len(shares)) if (most is None or spends[i] <= most) and (least is None or scores[i] >= least)
    ]
    assert (decision.cell is None) == (not corner)
    if decision.cell is not None:
        pick = board.frame["condition_id"].to_list().index(decision.cell.condition_id)
        highest = max(scores[i] for i in corner)
        assert pick in corner and scores[pick] >= highest - 0.03 - 1e-6
        assert decision.bound is not None and decision.bound >= decision.regret - 1e-9  # type: ignore[operator]
        assert all(spends[i] >= spends[pick] for i in corner if scores[i] >= highest - 0.03)
