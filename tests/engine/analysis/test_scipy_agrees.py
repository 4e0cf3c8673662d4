"""Distributions, quantiles and intervals agree with scipy's, which the program itself does without: it costs seconds to import."""

from __future__ import annotations

import numpy as np
import pytest
import scipy
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.analysis.stats import (
    Sums,
    adjusted,
    beta_cdf,
    beta_quantile,
    jeffreys,
    mcnemar_midp,
    mean_interval,
    t_quantile,
    t_test,
    wilson,
    z_of,
)

levels = st.floats(0.5, 0.999)
shapes = st.floats(0.05, 500)
counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(st.floats(0, 1), shapes, shapes)
def test_the_beta_distribution(x: float, a: float, b: float) -> None:
    assert beta_cdf(x, a, b) == pytest.approx(scipy.special.betainc(a, b, x), rel=1e-8, abs=1e-12)


@given(st.floats(0.001, 0.999), st.floats(0.5, 200), st.floats(0.5, 200))
def test_beta_quantiles(p: float, a: float, b: float) -> None:
    assert beta_quantile(p, a, b) == pytest.approx(scipy.special.betaincinv(a, b, p), abs=1e-8)


@given(levels, st.integers(1, 1_000))
def test_quantiles_of_student_and_of_the_normal_distribution(level: float, free: int) -> None:
    assert t_quantile(level, free) == pytest.approx(scipy.special.stdtrit(free, (1 + level) / 2), rel=1e-6)
    assert z_of(level) == pytest.approx(scipy.special.ndtri((1 + level) / 2), rel=1e-9)


@given(st.lists(st.integers(-13, 13), min_size=2, max_size=60))
def test_students_test_of_a_mean(thirteenths: list[int]) -> None:
    values = np.array(thirteenths) / 13
    assume(values.std() > 1e-6)
    found = t_test(Sums.of(values, np.ones(len(values))))
    assert found == pytest.approx(float(scipy.stats.ttest_1samp(values, 0).pvalue), rel=1e-6, abs=1e-12)


@given(counts, levels)
def test_wilsons_interval(case: tuple[int, int], level: float) -> None:
    right, n = case
    theirs = scipy.stats.binomtest(right, n).proportion_ci(level, "wilson")
    assert wilson(right, n, level) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@given(counts)
def test_the_interval_of_jeffreys_between_its_closed_ends(case: tuple[int, int]) -> None:
    right, n = case
    low, high = jeffreys(right, n)
    a, b = right + 0.5, n - right + 0.5
    assert low == pytest.approx(0 if right == 0 else scipy.special.betaincinv(a, b, 0.025), abs=1e-8)
    assert high == pytest.approx(1 if right == n else scipy.special.betaincinv(a, b, 0.975), abs=1e-8)


@given(st.integers(0, 80), st.integers(0, 80))
def test_the_mid_p_of_mcnemar_is_both_tails_less_the_observed_table(only_a: int, only_b: int) -> None:
    binomial = scipy.stats.binom(only_a + only_b, 0.5)
    least = min(only_a, only_b)
    assert mcnemar_midp(only_a, only_b) == pytest.approx(2 * binomial.cdf(least) - binomial.pmf(least), abs=1e-9)


@given(st.lists(st.floats(0.1, 1_000), min_size=2, max_size=60))
def test_the_interval_of_a_mean_with_a_question_in_each_cluster(spends: list[float]) -> None:
    values = np.array(spends)
    sums = Sums(values.sum(), len(spends), len(spends), (values**2).sum(), values.sum(), len(spends))
    assume(values.std() > 1e-6 * values.mean())
    low, high = scipy.stats.t.interval(0.95, len(spends) - 1, values.mean(), scipy.stats.sem(values))
    assert mean_interval(sums) == pytest.approx((max(low, 0), high), rel=1e-5, abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_false_discovery_adjustment(p_values: list[float]) -> None:
    assert adjusted(p_values, "bh") == pytest.approx(scipy.stats.false_discovery_control(p_values).tolist(), abs=1e-12)
