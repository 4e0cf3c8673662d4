"""Who is asked on: nobody surely beaten, nobody dropped whose place is open, and what is recommended is good enough."""

from __future__ import annotations

import numpy as np

from engine.analysis.elimination import DOMINATED, NO_BETTER, Points, Settled, judge
from tests.bench.adaptive import World, alike, walk


def points(scores: np.ndarray, spends: list[float], settings: tuple[int, ...] | None = None) -> Points:
    cells, asked = scores.shape
    return Points(
        settings or tuple(range(cells)),
        tuple(range(cells)),
        scores,
        np.repeat(np.array(spends)[:, None], asked, axis=1),
        (asked,) * cells,
    )


def answers(*shares: float, n: int = 400) -> np.ndarray:
    """Settings that are right on so large a share of the questions, spread evenly."""
    return np.stack([(np.arange(n) * share % 1 < share).astype(float) for share in shares])


def test_a_setting_that_a_cheaper_one_surely_beats_is_dropped() -> None:
    judged = judge(points(answers(0.9, 0.2), [10, 20]), {}, 0.03)
    assert judged.dropped == {1}
    assert judged.settled[1].verdict == DOMINATED
    assert judged.settled[1].by == 0
    assert judged.settled[1].high < -0.5
    assert judged.settled[1].out


def test_a_cheap_setting_is_not_dropped_however_bad_it_is() -> None:
    judged = judge(points(answers(0.9, 0.2), [20, 10]), {}, 0.03)
    assert not judged.dropped
    assert judged.pick == 0
    assert judged.reached


def test_a_setting_stays_while_one_of_its_budgets_is_open() -> None:
    scores = np.concatenate([answers(0.9, 0.2), answers(0.95)])
    judged = judge(points(scores, [10, 20, 30], (0, 1, 1)), {}, 0.03)
    assert 1 in judged.settled
    assert not judged.dropped


def test_two_that_answer_alike_do_not_drop_each_other() -> None:
    same = answers(0.6)
    judged = judge(points(np.concatenate([same, same]), [10, 10]), {}, 0.03)
    assert judged.dropped == {1}
    assert judged.settled[1].verdict == NO_BETTER
    assert judged.pick == 0


def test_a_setting_that_costs_nothing_beside_the_others_is_asked_on() -> None:
    judged = judge(points(answers(0.9, 0.2), [10, 20]), {}, 0.03, frozenset({1}))
    assert 1 in judged.settled
    assert not judged.dropped


def test_a_point_with_many_failed_calls_settles_nothing() -> None:
    scores = answers(0.9, 0.2)
    scores[0, ::3] = np.nan
    judged = judge(points(scores, [10, 20]), {}, 0.03)
    assert not judged.dropped
    assert judged.pick == 1


def test_of_those_surely_within_the_goal_the_cheapest_is_recommended() -> None:
    same = answers(0.8, n=2000)
    judged = judge(points(np.concatenate([same, same, answers(0.3, n=2000)]), [30, 10, 5]), {}, 0.03)
    assert judged.reached
    assert judged.pick == 1
    assert judged.bound <= 0.03


def test_out_of_the_running_a_lead_that_chance_makes_keeps_nobody_and_a_larger_one_does() -> None:
    n = 2000
    right = answers(0.9, 0.4, n=n)
    for lead, dropped in ((0.0, {2}), (0.015, {2}), (0.03, set())):
        behind = right[1].copy()
        behind[np.flatnonzero(behind == 0)[: round(lead * n)]] = 1
        judged = judge(points(np.stack([*right, behind]), [30, 10, 20]), {}, 0.001)
        assert judged.dropped == dropped
        if dropped:
            assert judged.settled[2].by == 1
            assert 0 <= judged.settled[2].high <= 0.1


def test_what_was_dropped_earlier_counts_against_a_recommendation_unless_it_surely_is_not_the_best() -> None:
    scores = answers(0.5, 0.5, n=400)
    scores[1, 20:] = np.nan
    spread = Points((0, 1), (1, 1), scores, np.where(np.isnan(scores), np.nan, 10.0), (400, 20))
    maybe = judge(spread, {1: Settled(NO_BETTER, 0, 0.2, out=False)}, 0.03)
    beaten = judge(spread, {1: Settled(DOMINATED, 0, -0.1, out=True)}, 0.03)
    assert maybe.bound > 0.1
    assert not maybe.reached
    assert beaten.bound == 0
    assert beaten.reached


def test_in_worlds_whose_truth_is_known_a_pick_is_hardly_ever_worse_than_the_goal() -> None:
    """A short form of `tests.bench.adaptive`."""
    rng = np.random.default_rng(11)
    made: list[World] = [alike(rng, 600) for _ in range(12)]
    walked = [walk(world, 0.1) for world in made]
    wrong = sum(each.reached and each.regret > 0.1 for each in walked)
    assert wrong == 0
    assert any(each.reached for each in walked)
    # Every setting has asked the first questions of one order, and none more than the last look.
    assert all(max(each.asked) == each.looked for each in walked)
