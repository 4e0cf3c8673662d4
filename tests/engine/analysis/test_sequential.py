"""Bounds that hold at every look together, whoever peeks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.analysis.sequential import gap_highs, mean_highs, spend_highs

VALUES = np.array([-1.0, 0.0, 1.0])
LOOKS = (10, 16, 25, 40, 63, 100, 158, 250, 400)


@pytest.mark.parametrize("chances", [(0.1, 0.8, 0.1), (0.02, 0.96, 0.02), (0.3, 0.1, 0.6)])
def test_a_bound_on_a_mean_fails_at_any_look_no_more_often_than_it_may(chances: tuple[float, ...]) -> None:
    doubt, worlds = 0.1, 400
    rng = np.random.default_rng(7)
    drawn = rng.choice(3, p=chances, size=(worlds, LOOKS[-1]))
    seen = np.stack([np.cumsum(drawn == value, axis=1) for value in range(3)], axis=2)
    truth = float(np.dot(chances, VALUES))
    failed = np.zeros(worlds, dtype=bool)
    for look in LOOKS:
        (high,) = mean_highs(seen[:, look - 1].astype(float), VALUES, (doubt,))
        failed |= high < truth
    # Three standard errors of a tenth beside it.
    assert failed.mean() <= doubt + 3 * (doubt * (1 - doubt) / worlds) ** 0.5


@given(st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=2, max_size=30), st.randoms(use_true_random=False))
def test_a_bound_depends_on_what_was_seen_and_not_on_its_order(scores: list[float], random: object) -> None:
    one, other = np.array(scores), np.array(scores[::-1])
    order = np.random.default_rng(len(scores)).permutation(len(scores))
    before = gap_highs(np.stack([one, other]), (0.05,))[0]
    after = gap_highs(np.stack([one[order], other[order]]), (0.05,))[0]
    assert (before == after).all()
    assert before[0, 1] >= (one - other).mean() - 1e-9
    assert before[0, 1] + before[1, 0] >= -1e-9


def test_more_questions_narrow_a_bound_and_more_certainty_widens_it() -> None:
    rng = np.random.default_rng(3)
    scores = (rng.random((2, 2000)) < 0.5).astype(float)
    few, many = (gap_highs(scores[:, :n], (0.05, 0.001)) for n in (100, 2000))
    assert many[0][0, 1] < few[0][0, 1] < few[1][0, 1]


def test_questions_that_one_of_two_lacks_are_not_counted() -> None:
    scores = np.array([[1.0, 1.0, np.nan, np.nan], [0.0, 1.0, 1.0, 1.0]])
    whole = gap_highs(scores, (0.05,))[0]
    assert (whole == gap_highs(scores[:, :2], (0.05,))[0]).all()
    nothing = np.array([[1.0, np.nan], [np.nan, 0.0]])
    assert gap_highs(nothing, (0.05,))[0][0, 1] == 1.0


def test_scores_too_many_to_tell_apart_only_widen_a_bound() -> None:
    rng = np.random.default_rng(5)
    fine = rng.random((2, 500))
    high = gap_highs(fine, (0.05,))[0][0, 1]
    assert (fine[0] - fine[1]).mean() <= high <= (fine[0] - fine[1]).mean() + 0.25


def test_a_spend_that_never_varied_is_certain_and_others_are_bounded() -> None:
    spends = np.array([[5.0] * 20, [7.0] * 20, [6.0, 8.0] * 10])
    high = spend_highs(spends, 0.01)
    assert high[0, 1] == -2.0
    assert high[1, 2] > 0 > -high[2, 0]
    assert spend_highs(np.array([[1.0, np.nan], [np.nan, 2.0]]), 0.01)[0, 1] == np.inf
