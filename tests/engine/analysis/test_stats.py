"""Intervals and tests against brute force, published values and simulation."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.analysis.stats import (
    FEW,
    Bootstrap,
    Sums,
    accuracy_interval,
    beta_cdf,
    beta_quantile,
    guarded_wilson,
    jeffreys,
    mcnemar_midp,
    mean_interval,
    percentiles,
    replicate_weights,
    t_quantile,
    tango,
    wilson,
    z_of,
)

Z = z_of(0.95)
pairs = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def sums_of(clusters: list[list[float]]) -> Sums:
    s, q = [sum(c) for c in clusters], [len(c) for c in clusters]
    return Sums(
        sum(s),
        sum(q),
        len(q),
        sum(x * x for x in s),
        sum(x * y for x, y in zip(s, q, strict=True)),
        sum(y * y for y in q),
    )


@given(pairs)
def test_the_ends_of_wilson_are_where_the_score_test_just_rejects(case: tuple[int, int]):
    right, n = case
    for end in wilson(right, n):
        if 0 < end < 1:
            assert abs(right / n - end) / math.sqrt(end * (1 - end) / n) == pytest.approx(Z, rel=1e-6)
    low, high = wilson(right, n)
    assert 0 <= low <= right / n <= high <= 1
    assert (low == 0) == (right == 0)
    assert (high == 1) == (right == n)


@given(pairs)
def test_wilson_is_symmetric(case: tuple[int, int]):
    right, n = case
    low, high = wilson(right, n)
    assert wilson(n - right, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)


def test_wilson_gives_published_values():
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.001, 0.999))
def test_the_beta_distribution_counts_binomial_tails(a: int, b: int, x: float):
    n = a + b - 1
    tail = math.fsum(math.comb(n, k) * x**k * (1 - x) ** (n - k) for k in range(a, n + 1))
    assert beta_cdf(x, a, b) == pytest.approx(tail, rel=1e-9, abs=1e-12)


@given(st.floats(0.5, 200), st.floats(0.5, 200), st.floats(0.01, 0.99))
def test_a_beta_quantile_is_undone_by_the_distribution(a: float, b: float, p: float):
    assert beta_cdf(beta_quantile(p, a, b), a, b) == pytest.approx(p, abs=1e-8)


def test_jeffreys_gives_published_values_and_closes_at_the_ends():
    assert jeffreys(5, 20) == pytest.approx((0.1023, 0.4642), abs=2e-4)
    assert jeffreys(0, 10)[0] == 0.0
    assert jeffreys(10, 10)[1] == 1.0


@pytest.mark.parametrize(("free", "value"), [(1, 12.7062), (2, 4.30265), (10, 2.22814), (30, 2.04227), (1000, 1.96234)])
def test_student_quantiles_match_the_tables(free: int, value: float):
    assert t_quantile(0.95, free) == pytest.approx(value, rel=1e-5)


@given(st.integers(0, 12), st.integers(0, 12))
def test_mcnemar_midp_counts_half_of_the_observed_table(only_a: int, only_b: int):
    n = only_a + only_b
    less = min(only_a, only_b)
    chances = [Fraction(math.comb(n, k), 2**n) for k in range(n + 1)]
    exact = 2 * sum(chances[:less]) + chances[less] if n else Fraction(1)
    assert mcnemar_midp(only_a, only_b) == pytest.approx(min(1.0, float(exact)))
    assert mcnemar_midp(only_a, only_b) == mcnemar_midp(only_b, only_a)


def test_mcnemar_midp_gives_the_published_airway_example():
    assert mcnemar_midp(1, 7) == pytest.approx(0.0391, abs=5e-5)
    assert mcnemar_midp(600, 500) == pytest.approx(0.0026, abs=3e-4)


tables = st.integers(1, 40).flatmap(
    lambda n: st.integers(0, n).flatmap(lambda a: st.tuples(st.just(a), st.integers(0, n - a), st.just(n)))
)


@given(tables)
def test_tango_is_antisymmetric_and_holds_the_estimate(table: tuple[int, int, int]):
    only_a, only_b, n = table
    low, high = tango(only_a, only_b, n)
    assert -1 <= low <= (only_a - only_b) / n <= high <= 1
    assert tango(only_b, only_a, n) == pytest.approx((-high, -low), abs=1e-9)


@given(tables)
def test_the_ends_of_tango_are_where_the_restricted_likelihood_just_rejects(table: tuple[int, int, int]):
    only_a, only_b, n = table
    for end in tango(only_a, only_b, n):
        if -0.999 < end < 0.999:
            p_b = _most_likely(only_a, only_b, n, end)
            spread = math.sqrt(n * (2 * p_b + end * (1 - end)))
            assert abs(only_a - only_b - n * end) / spread == pytest.approx(Z, rel=2e-3, abs=2e-3)


def _most_likely(only_a: int, only_b: int, n: int, delta: float) -> float:
    """The share that succeed under b alone, given the difference: by ternary search on the likelihood."""

    def likelihood(p: float) -> float:
        chances = ((only_a, p + delta), (only_b, p), (n - only_a - only_b, 1 - 2 * p - delta))
        return sum(count * math.log(max(chance, 1e-300)) for count, chance in chances if count)

    low, high = max(0.0, -delta), (1 - delta) / 2
    for _ in range(200):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (left, high) if likelihood(left) < likelihood(right) else (low, right)
    return (low + high) / 2


def test_tango_holds_its_level_with_few_discordant_pairs():
    rng = random.Random(3)
    n, p_a, p_b, hits = 40, 0.08, 0.03, 0
    for _ in range(1500):
        draws = [rng.random() for _ in range(n)]
        low, high = tango(sum(d < p_a for d in draws), sum(p_a <= d < p_a + p_b for d in draws), n)
        hits += low <= p_a - p_b <= high
    assert 0.93 <= hits / 1500 <= 0.985


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=30))
def test_one_repeat_of_distinct_questions_has_the_guarded_wilson_interval(scores: list[float]):
    assert accuracy_interval(sums_of([[s] for s in scores]), len(scores)) == pytest.approx(
        guarded_wilson(sum(scores), len(scores))
    )


@given(pairs)
def test_bounds_are_wilsons_at_a_larger_quantile_and_further_out_for_few_right_or_few_wrong_answers(
    case: tuple[int, int],
):
    right, n = case
    low, high = wilson(right, n, 2 * NormalDist().cdf(Z * (1 + 0.5 / n)) - 1)
    guarded_low, guarded_high = guarded_wilson(right, n)
    assert 0 <= guarded_low <= low + 1e-9 <= high + 2e-9 <= guarded_high + 3e-9
    assert (guarded_low < low - 1e-9) == (0 < right <= 3)
    assert (guarded_high > high + 1e-9) == (0 < n - right <= 3)
    assert guarded_low <= wilson(right, n)[0]
    assert guarded_high >= wilson(right, n)[1]


def test_the_guard_is_the_poisson_bound_of_the_count():
    for right, mean in ((1, 0.0513), (2, 0.3554), (3, 0.8177)):
        assert guarded_wilson(right, 100)[0] * 100 == pytest.approx(mean, abs=1e-4)
        assert sum(math.exp(-mean) * mean**k / math.factorial(k) for k in range(right)) == pytest.approx(0.95, abs=1e-4)


def test_expanded_percentiles_are_wider_with_few_clusters_and_turn_with_the_sign():
    means = np.random.default_rng(1).normal(size=2000)
    few, many = percentiles(means, 5), percentiles(means, 500)
    assert few[0] < many[0] < -1.8
    assert 1.8 < many[1] < few[1]
    assert percentiles(-means, 5) == pytest.approx((-few[1], -few[0]))
    assert percentiles(np.array([1.0, 2.0, math.inf]), 9)[1] == math.inf
    assert all(math.isnan(end) for end in percentiles(means, 1))


@given(st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=4), min_size=1, max_size=12))
def test_the_cluster_variance_is_that_of_its_definition(clusters: list[list[float]]):
    sums = sums_of(clusters)
    n = sum(len(c) for c in clusters)
    mean = sum(map(sum, clusters)) / n
    direct = sum(sum(x - mean for x in c) ** 2 for c in clusters) / n**2
    assert sums.mean == pytest.approx(mean)
    assert sums.variance == pytest.approx(direct, abs=1e-12)


@pytest.mark.parametrize(("questions", "repeats", "skill"), [(20, 4, 0.9), (60, 1, 0.05), (30, 3, 0.5)])
def test_accuracy_intervals_cover_the_truth_with_repeats(questions: int, repeats: int, skill: float):
    rng = random.Random(questions)
    a, b, hits = 2 * skill, 2 * (1 - skill), 0
    for _ in range(800):
        hard = [rng.betavariate(a, b) for _ in range(questions)]
        means = [sum(rng.random() < p for _ in range(repeats)) / repeats for p in hard]
        low, high = accuracy_interval(sums_of([[m] for m in means]), questions * repeats)
        hits += low <= skill <= high
    assert 0.91 <= hits / 800 <= 0.985


def test_mean_intervals_cover_the_truth_of_skewed_spends():
    rng = random.Random(5)
    hits = 0
    for _ in range(800):
        low, high = mean_interval(sums_of([[rng.gammavariate(2, 50)] for _ in range(25)]))
        hits += low <= 100 <= high
    assert 0.91 <= hits / 800 <= 0.98


def test_one_cluster_says_nothing_about_the_spread_of_a_mean():
    assert all(math.isnan(end) for end in mean_interval(sums_of([[3.0, 4.0]])))


def test_replicates_draw_as_many_clusters_as_there_are_and_are_repeatable():
    weights = replicate_weights(7, 50, seed=1)
    assert weights.shape == (50, 7)
    assert set(weights.sum(axis=1)) == {7.0}
    assert (weights == replicate_weights(7, 50, seed=1)).all()
    assert (weights != replicate_weights(7, 50, seed=2)).any()


@pytest.mark.parametrize("clusters", [40, FEW + 1], ids=["few", "many"])
def test_what_resamples_add_up_to_varies_as_their_clusters_do(clusters: int):
    values = np.random.default_rng(3).normal(5, 2, clusters)
    bootstrap = Bootstrap(clusters, 400, seed=1)
    sums, n = bootstrap.sums(np.column_stack([values, np.ones(clusters)])).T
    # In whatever order the measures stand.
    turned = bootstrap.sums(np.column_stack([np.ones(clusters), values, values])).T
    assert np.allclose(turned, [n, sums, sums], rtol=1e-12)
    assert set(n) == {float(clusters)}
    # Alone or beside others, one draw of clusters is summed up.
    assert np.allclose(sums, bootstrap.sums(values), rtol=1e-12)
    assert (sums != Bootstrap(clusters, 400, seed=2).sums(values)).any()
    error = values.std() / math.sqrt(clusters)
    assert abs((sums / n).mean() - values.mean()) < 4 * error / math.sqrt(400)
    assert (sums / n).std() == pytest.approx(error, rel=0.15)  # Four times 1 / sqrt(2 * 400).
