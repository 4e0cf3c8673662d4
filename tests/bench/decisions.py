"""How often the bound of a decision covers what its pick truly loses, and how wide it is; simulated.

    python -m tests.bench.decisions [WORLDS]

Prints for three truths and three numbers of questions: coverage (95% is promised), median bound, and one and a half
times the pair's half-width plus the true loss, which the median may not exceed.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor

from tests.engine.analysis.advice.test_decide import ALIKE, BETTER, GRADED, shortfalls

TRUTHS = {"all equal": ALIKE, "one better": BETTER, "twelve graded": GRADED}
SIZES = (20, 60, 200)


def main() -> None:
    """Simulate and print."""
    worlds = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    cells = [(name, n) for name in TRUTHS for n in SIZES]
    with ProcessPoolExecutor() as pool:
        jobs = [pool.submit(shortfalls, TRUTHS[name], n, worlds, 1000 + n) for name, n in cells]
        for (name, n), job in zip(cells, jobs, strict=True):
            covered, bound, allowed = job.result()
            print(f"{name:14} n {n:4}  covered {covered:.3f}  bound {bound:.3f}  at most {1.5 * allowed:.3f}")


if __name__ == "__main__":
    main()
