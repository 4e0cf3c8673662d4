"""What to use: the pick, the bound on what it loses, verdicts and sentences; simulated where a level is promised."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as some

from engine.analysis import Results, stats
from engine.analysis.advice.board import Board
from engine.analysis.advice.decide import MOST_WORDS, SCHEMA, Decision, decide, unknown
from engine.analysis.frontier import Cloud, ClusterSums
from engine.core.errors import UnknownName, UsageError
from engine.core.records import ModelSetting, Price
from tests.support.effort import cases
from tests.support.outcomes import stored, trials_of
from tests.support.replayed import A, Ask, planned, play

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
            "n_right": (right == 1).sum(axis=1),
            "n_partly": ((right > 0) & (right < 1)).sum(axis=1),
            "n_wrong": (right == 0).sum(axis=1),
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
    covered, bound, allowed = shortfalls(truth, n, many=30, seed=n)
    # 95% less two standard errors of 30 worlds; `tests/bench/decisions.py` has many more.
    assert covered >= 0.95 - 2 * math.sqrt(0.95 * 0.05 / 30)
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


@pytest.mark.parametrize(
    ("guess", "said"),
    [
        (0.70, "One fixed answer to all gets 70% for nothing."),
        (0.55, "Not surely better than one fixed answer to all, 55%."),
        (0.40, None),
        (None, None),
    ],
)
def test_the_pick_is_held_beside_who_does_not_read_the_questions(guess: float | None, said: str | None) -> None:
    right = np.zeros((2, 100))
    right[0, :50], right[1, :63] = 1, 1
    board = board_of(right, [10, 50])
    decision = decide(replace(board, frame=board.frame.with_columns(guess=pl.lit(guess, pl.Float64))), margin=0.0)
    assert (said in decision.rest) if said else ("fixed answer" not in decision.rest)


def test_limits_bound_the_corner_and_what_lies_outside_is_told() -> None:
    right = np.zeros((3, 100))
    right[0, :50], right[1, :63], right[2, :80] = 1, 1, 1
    decision = decide(board_of(right, [10, 50, 200]), spend_at_most=100, reach_at_least=0.6)
    assert decision.cell is not None and decision.cell.condition_id == "k1"
    verdicts = dict(decision.verdicts.select("condition_id", "verdict").iter_rows())
    assert verdicts == {"k0": "not accurate enough", "k1": "recommended", "k2": "spends too much"}
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


def test_one_question_does_not_say_how_many_more_would_tell() -> None:
    decision = decide(board_of(np.array([[1.0], [0.0]]), [10, 100]), margin=0.0)
    assert decision.more_questions is None and "more question" not in decision.rest


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


@pytest.mark.parametrize(("most", "where"), [(None, "here"), (50, "within these limits")])
def test_what_is_never_right_is_not_recommended(most: float | None, where: str) -> None:
    right = np.zeros((2, 20))
    right[1] = most is not None
    decision = decide(board_of(right, [10, 100]), spend_at_most=most)
    assert decision.cell is None and "recommended" not in decision.verdicts["verdict"].to_list()
    assert decision.sentence.startswith(f"Use none of these: nothing {where} got one of 20 questions right.")


def test_a_heading_does_not_praise_the_cheap_alone_where_the_advice_is_the_other() -> None:
    right = np.zeros((2, 100))
    right[0, :40], right[1, 55:] = 1, 1
    decision = decide(board_of(right, [10, 100]))
    leads = "Chain of thought leads with 45%, not measurably; Direct gets 40% for a tenth of the output tokens"
    assert decision.heading == leads
    assert decision.lead.startswith("Use Chain of thought")


def test_of_cheap_settings_that_cost_alike_the_heading_names_the_better_one() -> None:
    right = np.zeros((3, 100))
    right[0, :32], right[1, :40], right[2, :63] = 1, 1, 1
    heading = decide(board_of(right, [10.2, 10.7, 199])).heading
    assert heading.startswith(f"{NAMES[2]} is most accurate, 63%; {NAMES[1]} gets 40% for a twentieth")


@pytest.mark.parametrize(("spend", "part"), [(62, "two thirds"), (52, "half"), (35, "a third")])
def test_the_heading_rounds_what_the_cheap_one_spends_to_the_nearest_part(spend: float, part: str) -> None:
    right = np.zeros((2, 100))
    right[0, :40], right[1, :90] = 1, 1
    assert decide(board_of(right, [spend, 100])).heading.endswith(f"gets 40% for {part} of the output tokens")


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
    assert (decision.cell is None) == (not any(scores[i] > 0 for i in corner))
    if decision.cell is not None:
        pick = board.frame["condition_id"].to_list().index(decision.cell.condition_id)
        highest = max(scores[i] for i in corner)
        assert pick in corner and scores[pick] >= highest - 0.03 - 1e-6
        assert decision.bound is not None and decision.bound >= decision.regret - 1e-9  # type: ignore[operator]
        assert all(spends[i] >= spends[pick] for i in corner if scores[i] >= highest - 0.03)


def table_of(right: np.ndarray, spends: Sequence[float], **limits: float) -> dict[str, str]:
    return dict(decide(board_of(right, spends), **limits).verdicts.select("condition_id", "verdict").iter_rows())


def test_a_heading_calls_the_cheapest_of_equals_as_accurate_as_any() -> None:
    right = np.zeros((2, 40))
    right[:, :30] = 1
    assert decide(board_of(right, [10, 12])).heading == "Direct is as accurate as any, 75% for 10 output tokens"
    right[1, 5] = 0
    assert decide(board_of(right, [10, 12])).heading == "Direct is most accurate, 75% for 10 output tokens"


def test_what_is_never_right_is_no_call_to_make_beside_others_or_alone() -> None:
    assert table_of(np.zeros((1, 20)), [10]) == {"k0": "never right"}
    beside = table_of(np.zeros((3, 20)), [10, 20, 30], spend_at_most=25)
    assert beside == {"k0": "never right", "k1": "never right", "k2": "spends too much"}


def test_verdicts_say_what_a_dearer_point_adds() -> None:
    right = np.zeros((3, 400))
    right[0, :200], right[1, :202], right[2, :260] = 1, 1, 1
    assert table_of(right, [10, 20, 30], margin=0.2) == {
        "k0": "recommended",
        "k1": "costs more, no better",
        "k2": "measurably better, costs more",
    }


def test_a_point_that_is_the_pick_again_adds_nothing_and_the_smaller_budget_names_it() -> None:
    right = np.zeros((3, 60))
    right[0, :30], right[1, 20:52], right[2, 20:52] = 1, 1, 1
    once, twice = decide(board_of(right[:2], [10, 20])), decide(board_of(right, [10, 20, 20]))
    assert once.bound == twice.bound
    assert twice.verdicts["verdict"].to_list().count("recommended") == 2
    assert twice.cell is not None and twice.cell.condition_id == once.cell.condition_id  # type: ignore[union-attr]


def test_where_no_question_tells_two_apart_the_bound_is_exact() -> None:
    right = np.tile(np.arange(20) < 9, (2, 1))
    bound = decide(board_of(right, [10, 20])).bound
    # A rival better on a share p of the questions is never seen ahead in 20 of them with probability (1 - p)^20.
    assert bound is not None and (1 - bound) ** 20 <= 0.05


@cases(60)
@given(
    only_a=some.integers(0, 12), only_b=some.integers(0, 12), more=some.integers(0, 60), level=some.floats(0.5, 0.99)
)
def test_many_upper_ends_are_those_of_single_intervals(only_a: int, only_b: int, more: int, level: float) -> None:
    n = float(only_a + only_b + more + 1)
    many = stats.tango_high(np.array([float(only_a)]), np.array([float(only_b)]), np.array([n]), stats.z_of(level))
    single = stats.tango(only_a, only_b, n, level)[1]
    assert many[0] >= single - 1e-6
    assert many[0] == pytest.approx(single, abs=1e-6) or only_a == only_b == 0


def test_limits_that_are_none_are_refused() -> None:
    board = board_of(np.array([[1.0, 0.0] * 10]), [12])
    for wrong in ({"spend_at_most": -1.0}, {"reach_at_least": 60.0}, {"margin": -0.1}):
        with pytest.raises(UsageError):
            decide(board, **wrong)


N = 60
DEAR = ModelSetting("scripted/dear", "scripted/dear@1", Price(3_000_000, 7_000_000))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Cheap and poor, middling, and dear and good."""
    return stored(
        tmp_path_factory.mktemp("decided"),
        trials_of("cheap", [(10 + i % 3, i % 10 < 2) for i in range(N)]),
        trials_of("middling", [(50 + i % 5, i % 10 < 6) for i in range(N)]),
        trials_of("good", [(200 + i % 7, i % 10 < 9) for i in range(N)], lineup=(("solver", DEAR),)),
    )


def test_a_database_is_asked_what_to_use(results: Results) -> None:
    decision = results.decide(spend_at_most=100)
    assert decision.lead.startswith("Use Middling · a up to ")
    assert decision.verdicts.columns == [*SCHEMA]
    assert decision.verdicts["verdict"].to_list() == ["recommended", "less accurate", "spends too much"]
    assert decision.sentence.startswith(f"{decision.lead}: 60% (")
    assert results.decide().lead.startswith("Use Good · dear")
    assert decision.heading == (
        "Good · dear is most accurate, 90%; Middling · a gets 60% for a quarter of the output tokens"
    )


def test_where_answers_failed_the_run_is_resumed_and_not_waited_for(tmp_path: Path) -> None:
    failed = [
        play(planned("output_tokens", 1000, f"q{i}", strategy="a", anytime=False), [Ask(A, 5, 4, 10, 1000, fails=True)])
        for i in (8, 9)
    ]
    decision = unknown(stored(tmp_path, trials_of("a", [(10, True)] * 8), failed).cells(), "output_tokens")
    assert decision.sentence.startswith(
        "Resume the run: 2 failed and are asked again; the fullest setting has answered"
    )


def test_an_unknown_spend_is_said_and_never_taken_for_none(results: Results) -> None:
    decision = results.decide(x="wh")
    assert decision.heading == "The energy of these settings is not known"
    assert (decision.cell, decision.bound, decision.n, decision.verdicts.height) == (None, None, 0, 0)
    with pytest.raises(UnknownName, match="output_tokens"):
        results.decide(x="output_token")


@pytest.mark.parametrize(("wrong", "named"), [(0.0, "Cheap · a"), (1.0, "Good · dear")])
def test_what_a_mistake_costs_decides_which_setting_is_cheapest(results: Results, wrong: float, named: str) -> None:
    loss = results.advise().cost_of(wrong)
    assert loss.cell is not None and loss.loss is not None
    assert f" {named} up to " in loss.sentence
    rows = loss.table.to_dicts()
    assert [row["loss"] for row in rows] == sorted(row["loss"] for row in rows)
    for row in rows:
        assert row["loss"] == pytest.approx(row["price"] + wrong * (row["wrong"] + row["none"]))
        assert row["loss_low"] <= row["loss"] <= row["loss_high"]
    assert loss.decided and loss.chance is not None and loss.chance > 0.95


def test_settings_whose_price_is_unknown_are_left_out_of_decisions_in_money_and_that_is_said(tmp_path: Path) -> None:
    unpriced = ModelSetting("scripted/dear", "scripted/dear@2", None)
    results = stored(
        tmp_path,
        trials_of("cheap", [(10 + i % 3, i % 10 < 2) for i in range(N)]),
        trials_of("good", [(200 + i % 7, i % 10 < 9) for i in range(N)], lineup=(("solver", unpriced),)),
    )
    loss = results.advise().cost_of(1.0)
    assert (loss.left_out, loss.cell is not None) == (1, True)
    assert loss.sentence.endswith("1 point left out: price unknown.")
    assert loss.table.filter(pl.col("loss").is_null()).height == 1
    with pytest.raises(UsageError, match="a number of dollars"):
        results.advise().cost_of(-1.0)
