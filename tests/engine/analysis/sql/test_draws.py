"""Closed forms over stored draws: what trying every choice and every order gives."""

from __future__ import annotations

from itertools import combinations, permutations
from math import comb, factorial
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.analysis.majority_at_k import all_right, best_of, leading, majority, pass_at
from engine.core.answers import Votes
from tests.support.effort import cases

ballots = st.lists(st.sampled_from([None, "a", "b", "c", "d"]), min_size=1, max_size=6)


def led(order: tuple[str | None, ...]) -> str | None:
    votes = Votes()
    for answer in order:
        votes.add(answer)
    return votes.leader


def numbered(drawn: list[str | None]) -> tuple[list[str], tuple[int, ...], int]:
    answers = sorted({a for a in drawn if a is not None})
    return answers, tuple(drawn.count(a) for a in answers), drawn.count(None)


@given(ballots)
@cases(60)
def test_a_majority_is_the_mean_over_every_subset_in_every_order(drawn: list[str | None]) -> None:
    answers, counts, abstained = numbered(drawn)
    for k in range(1, len(drawn) + 1):
        leaders = [led(order) for order in permutations(drawn, k)]
        assert len(leaders) == comb(len(drawn), k) * factorial(k)
        chances = dict(zip(answers, majority(counts, abstained, k), strict=True))
        assert chances == pytest.approx({a: leaders.count(a) / len(leaders) for a in answers})
        assert sum(chances.values()) == pytest.approx(1 - leaders.count(None) / len(leaders))


@given(st.lists(st.integers(1, 9), max_size=6), st.integers(0, 5))
@cases(60)
def test_somebody_leads_unless_all_abstain(counts: list[int], abstained: int) -> None:
    n = sum(counts) + abstained
    tables = leading(tuple(counts), abstained)
    for k in range(1, n + 1):
        assert sum(table[k] for table in tables) == pytest.approx(1 - comb(abstained, k) / comb(n, k))
    assert all(table[0] == 0 for table in tables)
    assert all(
        abs(a[k] - b[k]) < 1e-9
        for a, b, x, y in ((tables[i], tables[j], counts[i], counts[j]) for i in range(len(counts)) for j in range(i))
        if x == y
        for k in range(n + 1)
    )


def test_two_answers_follow_the_hypergeometric_tail() -> None:
    for k in (1, 2, 5, 8):
        tail = sum(
            comb(5, h) * comb(7, k - h) * (1 if 2 * h > k else 0.5 if 2 * h == k else 0) for h in range(k + 1)
        ) / comb(12, k)
        assert majority((5, 7), 0, k)[0] == pytest.approx(tail)


def test_many_draws_of_many_answers_stay_exact() -> None:
    counts = (9, 8, 7, 5, *[1] * 20)
    for k in (1, 13, 49):
        assert sum(majority(counts, 11, k)) == pytest.approx(1 - (comb(11, k) / comb(60, k)))
    assert majority(counts, 11, 1) == pytest.approx([c / 60 for c in counts])
    assert majority((9, 8), 0, 17) == (1.0, 0.0)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=7))
@cases(80)
def test_best_pass_and_all_right_are_means_over_every_subset(scored: list[tuple[int, bool]]) -> None:
    n, right = len(scored), sum(r for _, r in scored)
    for k in range(1, n + 1):
        chosen = list(combinations(scored, k))
        best = [mean(r for s, r in some if s == max(x for x, _ in some)) for some in chosen]
        assert best_of(scored, k) == pytest.approx(mean(best))
        assert pass_at(n, right, k) == pytest.approx(mean(any(r for _, r in some) for some in chosen))
        assert all_right(n, right, k) == pytest.approx(mean(all(r for _, r in some) for some in chosen))


@pytest.mark.parametrize("k", [0, 4, -1])
def test_more_draws_than_there_are_is_refused(k: int) -> None:
    for ask in (lambda: pass_at(3, 1, k), lambda: majority((2, 1), 0, k), lambda: best_of([(1, True)] * 3, k)):
        with pytest.raises(ValueError, match="3 draws"):
            ask()
