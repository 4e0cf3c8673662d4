"""Simulations with a known truth: intervals hold as often as they say, and verdicts are not given by luck.

Small versions of `python -m tests.bench.coverage`; seeds are fixed, and bounds leave room for the noise of so few draws.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.simulated import (
    World,
    averaged,
    called,
    cost_coverage,
    exact_coverage,
    judgements,
    loss_coverage,
    paired_coverage,
    single_coverage,
    wrongly_apart,
    wrongly_best,
    wrongly_reaching,
)

SHARES = np.linspace(0.02, 0.98, 481)


@pytest.mark.parametrize("n", [10, 13, 15, 20, 29, 38, 60, 120, 300])
def test_the_interval_of_an_accuracy_covers_everywhere_and_on_average(n: int):
    coverage = exact_coverage(n, SHARES)
    assert 0.93 <= coverage.mean() <= 0.97
    assert coverage.min() >= 0.92


@pytest.mark.parametrize("world", [World((0.3,), 60, 15), World((0.9,), 80, 20), World((0.5,), 40, repeats=3)], ids=str)
def test_the_interval_of_an_accuracy_covers_with_clusters_and_repeats(world: World):
    assert single_coverage(world, 350) >= 0.92


@pytest.mark.parametrize(("n", "clusters", "repeats"), [(30, 0, 1), (60, 20, 1), (30, 0, 3)])
def test_intervals_cover_on_average_over_all_truths(n: int, clusters: int, repeats: int):
    single, paired = averaged(n, 260, clusters, repeats)
    assert 0.92 <= single <= 0.985
    assert 0.92 <= paired <= 0.99


@pytest.mark.parametrize(
    "world",
    [
        World((0.93, 0.9), 30),
        World((0.5, 0.5), 30),
        World((0.99, 0.95), 60),
        World((0.7, 0.4), 100, shared=0.2),
        World((0.97, 0.95), 30, repeats=4),
        World((0.55, 0.5), 30, 10),
        World((0.6, 0.5), 100, 10, shared=0.5),
        World((0.9, 0.8), 40, 8, repeats=2, shared=0.5),
    ],
    ids=str,
)
def test_the_interval_of_a_difference_covers_with_few_discordant_pairs_clusters_and_repeats(world: World):
    found = paired_coverage(world, 200)
    assert found.held >= 0.91


@pytest.mark.parametrize("world", [World((0.5, 0.5), 60), World((0.9, 0.9), 30), World((0.5, 0.5), 60, 12)], ids=str)
def test_mcnemar_holds_its_level_when_nothing_differs(world: World):
    assert paired_coverage(world, 350, replicates=50).rejected <= 0.075


@pytest.mark.parametrize(
    "world",
    [
        World((0.5, 0.5), 60),
        World((0.9, 0.9), 60, shared=0.95),
        World((0.9, 0.9), 30),
        World((0.5,) * 4, 60),
        World((0.9,) * 10, 60),
        World((0.5, 0.5), 60, 15),
        World((0.5,) * 6, 60, 15),
        World((0.2, 0.3, 0.4, 0.4), 60),
        World((0.9, 0.9), 30, repeats=3),
    ],
    ids=str,
)
def test_a_cell_whose_true_gap_is_nought_is_rarely_judged(world: World):
    frontier, dominated = called(world, 160)
    assert frontier + dominated <= 0.12


@pytest.mark.parametrize("dearer", [0.0, 0.02, 0.05])
@pytest.mark.parametrize(("world", "unlike"), [(World((0.9, 0.9), 100), 1.0), (World((0.5,) * 3, 60), 0.3)], ids=str)
def test_of_equals_that_spend_nearly_the_same_neither_is_called_the_frontier(
    world: World, unlike: float, dearer: float
):
    spends = (*(100.0,) * (len(world.skills) - 1), 100 * (1 + dearer))
    frontier, dominated = called(world, 160, spends=spends, unlike=unlike)
    assert frontier <= 0.1
    assert dominated <= 0.1


@pytest.mark.parametrize(
    ("world", "cell"),
    [
        (World((0.3, 0.4, 0.5), 60), 1),
        (World((0.1, 0.5, 0.9), 60, 15), 1),
        (World((0.2, 0.3, 0.4, 0.5, 0.6), 30), 2),
        (World((0.5, 0.5), 60), -1),
    ],
    ids=str,
)
def test_a_cell_on_the_line_between_two_others_is_rarely_judged_on_the_hull(world: World, cell: int):
    frontier, dominated = called(world, 130, cell, kind="hull")
    assert frontier + dominated <= 0.12


def test_clear_gaps_are_judged():
    said = list(judgements(World((0.3, 0.6, 0.5, 0.9), 100), 60))
    assert np.mean([verdicts == ["frontier", "frontier", "undecided", "frontier"] for verdicts in said]) < 0.9
    assert np.mean([verdicts[1] == verdicts[3] == "frontier" for verdicts in said]) > 0.9
    assert np.mean([verdicts[2] == "dominated" for verdicts in said]) > 0.4
    assert not any(verdicts[2] == "frontier" for verdicts in said)
    # On the hull as well: the best is far above the line, the third far below it.
    said = list(judgements(World((0.3, 0.35, 0.4, 0.9), 100), 40, kind="hull"))
    assert np.mean([verdicts[3] == "frontier" for verdicts in said]) > 0.9
    assert np.mean([verdicts[2] == "dominated" for verdicts in said]) > 0.9


@pytest.mark.parametrize("world", [World((0.599,) * 5, 60), World((0.899,) * 5, 100, 25)], ids=str)
def test_a_setting_is_rarely_said_to_reach_what_it_does_not(world: World):
    assert wrongly_reaching(world, round(world.skills[0], 1), 160) <= 0.15


@pytest.mark.parametrize("world", [World((0.5, 0.5), 60), World((0.7,) * 5, 60), World((0.5,) * 4, 60, 15)], ids=str)
def test_one_of_several_equals_is_rarely_called_the_best(world: World):
    assert wrongly_best(world, 130) <= 0.08


def test_of_several_equals_hardly_any_is_called_less_accurate_than_the_pick():
    assert wrongly_apart(World((0.5,) * 8, 60), 60) <= 0.15


@pytest.mark.parametrize("world", [World((0.5,), 60), World((0.05,), 60), World((0.95,), 60)], ids=str)
def test_the_interval_of_the_spend_per_right_answer_covers(world: World):
    assert cost_coverage(world, 130) >= 0.89


def test_the_interval_of_what_a_frontier_loses_covers():
    assert loss_coverage(World((0.3, 0.4, 0.8), 60), 120) >= 0.89
