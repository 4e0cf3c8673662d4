"""How far every door that spends goes beyond a ceiling while its provider misbehaves: a line a mode, door and ceiling.

    python -m tests.bench.modes [--modes 32] [--doors NAME ...] [--ceilings 600 4000]

Each is a real process against the local provider, every reply of which has the same fault; rests between tries are cut
to a hundredth. Overshoot is what the day was charged beyond the ceiling, in tokens; beside it the dearest single
attempt, which it may not pass: the first reply tells what a provider is like. Exit code 1 if any does.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support import killer, walks
from tests.support.faults import MODES, Fault
from tests.support.walks import Held, Walk

CEILINGS = (600, 4_000)
"""Tokens: about three worst cases, and twenty."""
# Beside other work a run may take minutes; this measures no speed.
killer.DONE_S = 900.0
ASKING = [walk for walk in walks.WALKS if walk.asks]


class Always(deque[Fault | None]):
    """A fault that comes back with every reply."""

    def popleft(self) -> Fault | None:
        return self[0]


def lines(doors: Sequence[Walk], ceilings: Sequence[int], modes: int) -> Iterator[tuple[str, Held]]:
    """Every mode at every door under every ceiling."""
    with tempfile.TemporaryDirectory() as name, walks.made(Path(name)) as (ground, provider):
        for mode in MODES[:modes]:
            for walk in doors:
                for ceiling in ceilings:
                    provider.faults = Always([mode.fault])
                    with tempfile.TemporaryDirectory() as folder:
                        home = Path(folder) / "own"
                        held = walks.under_ceiling(walk, ground, provider, home, ceiling)
                    yield f"{mode.name[:34]:34s} {walk.name[:36]:36s} {ceiling:6,}", held


def main() -> int:
    """Print the table as it grows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modes", type=int, default=len(MODES))
    parser.add_argument("--doors", nargs="*", default=[walk.name for walk in ASKING])
    parser.add_argument("--ceilings", type=int, nargs="*", default=list(CEILINGS))
    given = parser.parse_args()
    doors = [walk for walk in ASKING if walk.name in given.doors]
    print(
        f"{'mode':34s} {'door':36s} {'ceil.':>6s} exit  calls         charged       overshoot  dearest attempt     money"
    )
    beyond = 0
    for name, held in lines(doors, given.ceilings, given.modes):
        wrong = held.over > held.largest
        beyond += wrong
        print(
            f"{name} {held.code:4} {held.calls:6,} {held.charged:15,} {held.over:15,} {held.largest:16,} "
            f"${held.money:9.5f}{'  BEYOND' if wrong else ''}",
            flush=True,
        )
    print(f"{beyond} beyond the one call that told")
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
