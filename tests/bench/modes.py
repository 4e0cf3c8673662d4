"""How far a run goes beyond its ceiling while its provider misbehaves: one line for each mode and ceiling.

    python -m tests.bench.modes [--modes 32] [--questions 12]

Each run is `budgetscope run` against the local provider, every reply of which has the same fault. What the provider
billed by its own word stands beside what the run charged and what the ceiling allowed; overshoot is what was charged
beyond the ceiling, in tokens and dollars, and how many calls reached the provider.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from engine.runs import journal
from tests.support import killer
from tests.support.faults import MODES, Fault, Mode
from tests.support.provider import serving

CEILINGS = (600, 4_000)
"""Tokens: about three worst cases, and twenty."""
STUDY = """
name = "modes"
budgets = [200]
models = [{{name = "m", api_base = "{api_base}", parallel = 4, prices = {{input = 1.0, output = 2.0}}}}]
tasks = ["file:{data}"]
strategies = [{{name = "chain_of_thought", chain_tokens = 48}}]
[ceiling]
usd = 0.01
tokens = {ceiling}
"""


class _Always(deque[Fault | None]):
    """A fault that comes back with every reply."""

    def popleft(self) -> Fault | None:
        return self[0]


# A model that answers nothing of use is probed more and more seldom before a run gives it up.
killer.DONE_S = 900.0


def one(folder: Path, mode: Mode, ceiling: int, questions: int) -> str:
    """A line of the table."""
    db, study = folder / "results.duckdb", folder / "study.toml"
    with serving() as provider:
        provider.faults = _Always([mode.fault])
        data = killer.sums(folder / "sums.jsonl", questions)
        study.write_text(STUDY.format(api_base=provider.api_base, data=data, ceiling=ceiling), encoding="utf-8")
        code = killer.run(["run", str(study), "--db", str(db)], folder / "out")
        asked = len(provider.served)
    history = journal.read(killer.run_of(db).journal)
    tokens = history.spent.tokens + history.in_doubt.tokens
    dollars = (history.spent.pusd + history.in_doubt.pusd) / 1e12
    over, beyond = max(0, tokens - ceiling), max(0.0, dollars - 0.01)
    return f"{mode.name[:34]:34s} {ceiling:6,} {code:4} {asked:6,} {tokens:15,} {over:15,} ${dollars:11.5f} ${beyond:10.5f}"


def lines(questions: int, modes: int) -> Iterator[str]:
    """Every mode under every ceiling."""
    yield f"{'mode':34s} {'ceil.':>6s} exit  calls         charged       overshoot       charged  overshoot"
    for mode in MODES[:modes]:
        for ceiling in CEILINGS:
            with tempfile.TemporaryDirectory() as folder:
                yield one(Path(folder), mode, ceiling, questions)


def main() -> None:
    """Print the table as it grows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modes", type=int, default=len(MODES))
    parser.add_argument("--questions", type=int, default=12)
    given = parser.parse_args()
    for line in lines(given.questions, given.modes):
        print(line, flush=True)


if __name__ == "__main__":
    main()
