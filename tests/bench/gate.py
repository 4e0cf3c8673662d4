"""How often a gate fails what lost accuracy and what is equal: `python -m tests.bench.gate`.

Two settings of known accuracy answer the same questions, whose difficulty they share in part; the first is held beside
the second as `budgetscope check --no-worse-than` does.
"""

from __future__ import annotations

import math
import sys
from statistics import NormalDist

from tests.support.simulated import World, gates


def main(times: int = 1000) -> None:
    """One line a world: shares of gates that passed, failed and were undecided."""
    print("truth of both     shared  n     margin  pass   fail   undecided  theory")
    for skills in ((0.6, 0.7), (0.5, 0.6), (0.8, 0.9), (0.6, 0.6), (0.9, 0.9)):
        for shared in (0.8, 0.5, 0.0):
            for margin in (0.0, 0.03):
                world = World(skills, 400, shared=shared)
                found = gates(world, times, margin)
                shown = "  ".join(f"{found[verdict]:5.3f}" for verdict in ("pass", "fail", "undecided"))
                shown += "" if shared else f"      {at_most(*skills, 400, margin):5.3f}"
                print(f"{skills[0]:.0%} beside {skills[1]:.0%}   {shared:3.1f}     400   {margin:.0%}      {shown}")


def at_most(low: float, high: float, n: int, margin: float) -> float:
    """How often any test can fail what lost so much, where nothing is shared between the settings: the power of the
    likelihood ratio at a one-sided 5 %, which is the largest there is (Neyman and Pearson 1933), in large samples."""
    error = math.sqrt((low * (1 - low) + high * (1 - high)) / n)
    return NormalDist().cdf((high - low - margin) / error - NormalDist().inv_cdf(0.95))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
