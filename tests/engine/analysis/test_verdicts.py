"""Verdicts on the frontier: the quick way over all pairs at once says what the plain one says, pair by pair."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.analysis.frontier import KINDS, SURE, Cloud, outdone, places, tails, verdicts
from engine.analysis.stats import Floats, replicate_weights
from tests.support.effort import cases


def world(cells: int, questions: int, seed: int, alike: bool, missing: float) -> tuple[Cloud, Cloud, int]:
    """Points and bootstrap of cells that share their questions; some may be twins, some questions not asked of some."""
    rng = np.random.default_rng(seed)
    hard, skill = rng.random(questions), rng.uniform(0.1, 0.9, cells)
    right = (hard < skill[:, None]) if alike else rng.random((cells, questions)) < skill[:, None]
    right = np.where(rng.random((cells, 1)) < 0.2, right[:1], right).astype(float)
    spend = rng.choice([1.0, 1.0, 2.0, 5.0], (cells, 1)) * (1 + 0.3 * rng.random((cells, questions)))
    asked = (rng.random((cells, questions)) >= missing).astype(float)
    asked[:, 0] = 1.0

    def means(weights: Floats) -> Cloud:
        with np.errstate(invalid="ignore"):
            n = weights @ asked.T
            return Cloud(weights @ (spend * asked).T / n, weights @ (right * asked).T / n)

    return means(np.ones((1, questions))), means(replicate_weights(questions, 60, seed)), questions


def plainly_beaten(point: Cloud, corners: list[int], drawn: Cloud, cell: int, clusters: int) -> bool:
    """The rule of a verdict, rival by rival."""
    _, widening = tails(clusters)
    far = -widening * math.sqrt(2 * math.log(math.log(max(clusters, 16))))
    x, y = point.x[0], point.accuracy[0]
    leads = [
        (y[rival] - y[cell], drawn.accuracy[:, rival] - drawn.accuracy[:, cell])
        for rival in range(len(x))
        if rival != cell and np.mean(drawn.x[:, rival] <= drawn.x[:, cell]) >= SURE
    ]
    left = [c for c in corners if x[c] <= x[cell]]
    right = [c for c in corners if x[c] > x[cell]]
    if left and right and cell not in (left[-1], right[0]):
        leads.append((_above(point, left[-1], right[0], cell)[0], _above(drawn, left[-1], right[0], cell)))
    off = [(lead, np.nan_to_num(found - lead)) for lead, found in leads]
    told = [(lead, each) for lead, each in off if each.std() > 1e-9 and lead / each.std() >= far]
    if not told:
        return False
    best = max(lead / each.std() for lead, each in told) / widening
    reached = np.max([each / each.std() for _, each in told], axis=0) >= best
    return bool(best > NormalDist().inv_cdf(SURE) and reached.mean() <= 1 - SURE)


def plainly_apart(drawn: Cloud, cell: int, clusters: int) -> bool:
    """One lead over each other cell that is sure by itself; half of the doubt for either while both are open."""
    tail, _ = tails(clusters)
    x, y = np.nan_to_num(drawn.x, nan=math.inf), np.nan_to_num(drawn.accuracy, nan=-1)
    x, y = np.round(x / np.nanmax(drawn.x), 12), np.round(y, 12)
    for rival in range(x.shape[1]):
        same = (x[:, rival] == x[:, cell]) & (y[:, rival] == y[:, cell])
        cheaper, better = np.mean((x[:, rival] > x[:, cell]) | same), np.mean((y[:, rival] < y[:, cell]) | same)
        of_spend, of_accuracy = (tail if lost <= tail else tail / 2 for lost in (better, cheaper))
        if cheaper < 1 - of_spend and better < 1 - of_accuracy:
            return False
    return True


def _above(cloud: Cloud, left: int, right: int, cell: int) -> Floats:
    x, y = cloud.x, cloud.accuracy
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.nan_to_num(np.clip((x[:, cell] - x[:, left]) / (x[:, right] - x[:, left]), 0, 1))
    above: Floats = y[:, left] + part * (y[:, right] - y[:, left]) - y[:, cell]
    return above


@cases(150)
@given(
    st.integers(1, 12),
    st.integers(1, 80),
    st.integers(0, 10**6),
    st.sampled_from(KINDS),
    st.booleans(),
    st.sampled_from([0.0, 0.0, 0.6]),
)
def test_a_verdict_is_what_comparing_the_cells_rival_by_rival_gives(cells, questions, seed, kind, alike, missing):
    point, drawn, clusters = world(cells, questions, seed, alike, missing)
    stands, found = places(point, kind).on[0], places(drawn, kind)
    hull = np.flatnonzero(stands) if kind == "hull" else np.array([], dtype=np.intp)
    hull = hull[np.argsort(point.x[0, hull])]
    tail, _ = tails(clusters)
    for cell, said in enumerate(verdicts(point, hull, drawn, found, clusters)):
        sure = found.on[:, cell].mean() >= 1 - tail and plainly_apart(drawn, cell, clusters)
        lost = not sure and found.share()[cell] <= tail
        beaten = clusters > 1 and lost and plainly_beaten(point, hull.tolist(), drawn, cell, clusters)
        assert said == ("frontier" if sure else "dominated" if beaten else "undecided")


def test_one_question_beats_nobody():
    assert not outdone(np.array([1.0]), np.zeros((1, 10)), 1)
    assert not outdone(np.array([]), np.zeros((0, 10)), 1)
