"""How often intervals hold the truth and verdicts are given by luck, over many worlds whose truth is known.

    python -m tests.bench.coverage [--times 2000] [--only single|paired|verdicts|hull|near|advice]

Targets: 93-97 % on average over truths drawn evenly from 0.02 to 0.98; for one accuracy 92 % or more at every truth,
for a paired difference 90 % (n >= 30); a cell whose true gap is 0 is judged in at most 12 % of worlds, on the staircase
and on the hull; one that spends within 5 % of an equal is called the frontier in at most 10 %.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import product

import numpy as np

from tests.support.simulated import (
    World,
    averaged,
    called,
    cost_coverage,
    exact_coverage,
    loss_coverage,
    paired_coverage,
    point_coverage,
    single_coverage,
    wrongly_apart,
    wrongly_best,
    wrongly_reaching,
)

SHARES = np.linspace(0.02, 0.98, 4801)
CLUSTERED = [World((p,), n, c, r) for p in (0.05, 0.3, 0.9) for n, c, r in ((60, 15, 1), (100, 50, 1), (40, 0, 3))]
PAIRED = [
    World((b + gap, b), n, c, r, shared)
    for b, gap in ((0.5, 0.0), (0.5, 0.1), (0.9, 0.05), (0.3, 0.3))
    for shared in (0.3, 0.9)
    for n, c, r in ((30, 0, 1), (100, 0, 1), (60, 15, 1), (30, 0, 4))
]
NOUGHT = [
    World(skills, n, c, r, shared)
    for skills in ((0.5, 0.5), (0.95, 0.95), (0.5,) * 4, (0.9,) * 11, (0.2, 0.3, 0.4, 0.4))
    for shared in (0.6, 0.95)
    for n, c, r in ((30, 0, 1), (60, 0, 1), (200, 0, 1), (60, 15, 1), (30, 0, 3))
]


def single(times: int) -> None:
    """One accuracy: exactly where questions are distinct, else by simulation."""
    for n in (10, 20, 30, 60, 100, 200, 500):
        coverage = exact_coverage(n, SHARES)
        print(f"n={n:4}  mean {coverage.mean():6.1%}  least {coverage.min():6.1%} at {SHARES[coverage.argmin()]:.3f}")
    for world in CLUSTERED:
        print(f"{world}  {single_coverage(world, times):6.1%}")


def paired(times: int) -> None:
    """A difference: on average over truths, and world by world."""
    for n, clusters, repeats in ((30, 0, 1), (60, 0, 1), (60, 15, 1), (30, 0, 4)):
        one, two = averaged(n, times, clusters, repeats)
        print(f"n={n} clusters={clusters} repeats={repeats}  one {one:6.1%}  difference {two:6.1%}")
    for world in PAIRED:
        found = paired_coverage(world, times)
        print(f"{world}  held {found.held:6.1%}  by score {found.by_score:6.1%}  mid-p < 0.05 {found.rejected:6.1%}")


def verdicts(times: int) -> None:
    """The last cell's true gap to the best of the cheaper ones is 0."""
    for world in NOUGHT:
        frontier, dominated = called(world, times)
        print(f"{world}  frontier {frontier:6.1%}  dominated {dominated:6.1%}  together {frontier + dominated:6.1%}")


def hull(times: int) -> None:
    """A cell on the line between two others, or as good as a cheaper one: its true gap to the hull is 0."""
    for skills, cell in (((0.3, 0.4, 0.5), 1), ((0.1, 0.5, 0.9), 1), ((0.2, 0.3, 0.4, 0.5, 0.6), 2), ((0.5, 0.5), -1)):
        for n, clusters in ((30, 0), (60, 0), (200, 0), (60, 15)):
            world = World(skills, n, clusters)
            frontier, dominated = called(world, times, cell, kind="hull")
            print(f"{world} hull {cell}  frontier {frontier:6.1%}  dominated {dominated:6.1%}")


def near(times: int) -> None:
    """The last of several equals, which spends so much more than the others and not alike question by question."""
    for skills in ((0.5, 0.5), (0.9, 0.9), (0.5,) * 4):
        for n, dearer, unlike in product((30, 60, 200), (0.0, 0.02, 0.05), (0.05, 0.3, 1.0)):
            world, spends = World(skills, n), (*(100.0,) * (len(skills) - 1), 100 * (1 + dearer))
            frontier, dominated = called(world, times, spends=spends, unlike=unlike)
            print(f"{world} +{dearer:.0%} unlike {unlike}  frontier {frontier:6.1%}  dominated {dominated:6.1%}")


def advice(times: int) -> None:
    """What is said to be decided and is not so, and the intervals of derived numbers."""
    for world in (World((0.5999,), 60), World((0.599,) * 5, 60), World((0.599,) * 10, 60, shared=0.2)):
        print(f"reach 0.6 wrongly  {world}  {wrongly_reaching(world, 0.6, times):6.1%}")
    for world in (World((0.5, 0.5), 60), World((0.5,) * 6, 60), World((0.9,) * 6, 60, 15), World((0.3, 0.5, 0.5), 100)):
        print(f"best wrongly  {world}  {wrongly_best(world, times):6.1%}")
    for world in (World((0.5, 0.5), 60), World((0.5,) * 6, 60), World((0.5,) * 12, 60), World((0.9,) * 12, 100)):
        print(f"apart wrongly  {world}  {wrongly_apart(world, times):6.1%}")
    for world in (World((0.5,), 60), World((0.05,), 60), World((0.9,), 60), World((0.5,), 100, 20)):
        print(f"spend per right answer held  {world}  {cost_coverage(world, times):6.1%}")
    for world in (World((0.3, 0.6), 60), World((0.3, 0.4, 0.8), 60), World((0.5, 0.55), 100)):
        print(f"loss held  {world}  {loss_coverage(world, times):6.1%}")
    for world in (World((0.3, 0.6), 60), World((0.3, 0.8), 200)):
        print(f"next point held  {world}  {point_coverage(world, times):6.1%}")


PARTS: dict[str, Callable[[int], None]] = {
    "single": single,
    "paired": paired,
    "verdicts": verdicts,
    "hull": hull,
    "near": near,
    "advice": advice,
}


def main() -> None:
    """All parts, or one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=2000)
    parser.add_argument("--only", choices=PARTS)
    options = parser.parse_args()
    for name, part in PARTS.items():
        if options.only in (None, name):
            began = time.perf_counter()
            part(options.times)
            print(f"{name}: {time.perf_counter() - began:.0f} s\n", flush=True)


if __name__ == "__main__":
    main()
