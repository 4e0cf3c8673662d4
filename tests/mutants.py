"""Takes the rules of the core away one at a time and sees whether the tests notice.

`python -m tests.mutants [NAME ...]` copies the tree for each mutant, changes one place, runs the tests that should
fail and says killed or SURVIVED. Ends with 1 if one survives or if its place is no longer found exactly once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests import ROOT
from tests.mutations import MUTANTS, Mutant

LIMIT_S = 120
"""A mutant whose tests take longer hangs, which counts as noticed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a mutant."""

    mutant: Mutant
    verdict: str

    @property
    def good(self) -> bool:
        return self.verdict.startswith("killed")


def tried(mutant: Mutant) -> Outcome:
    """Apply one mutant to a copy of the tree and run its tests there."""
    source = (ROOT / mutant.file).read_text()
    found = source.count(mutant.old)
    if found != 1:
        return Outcome(mutant, f"STALE: its place is found {found} times in {mutant.file}")
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        _copy(tree)
        (tree / mutant.file).write_text(source.replace(mutant.old, mutant.new))
        return Outcome(mutant, _judged(tree, mutant.tests))


def _copy(tree: Path) -> None:
    skip = shutil.ignore_patterns("__pycache__", "*.gguf", "*.duckdb")
    for room in ("engine", "tests"):
        shutil.copytree(ROOT / room, tree / room, ignore=skip)
    shutil.copy(ROOT / "pyproject.toml", tree)


def _judged(tree: Path, tests: tuple[str, ...]) -> str:
    env = {**os.environ, "HYPOTHESIS_PROFILE": "quick", "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "--no-header", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return "killed (hangs)"
    if done.returncode == 1 and "error" not in done.stdout.splitlines()[-1]:
        return "killed"
    return "SURVIVED" if done.returncode == 0 else f"BROKEN: pytest ended with {done.returncode}\n{done.stdout[-800:]}"


def main(names: list[str]) -> int:
    """Try the named mutants, or all."""
    unknown = set(names) - {mutant.name for mutant in MUTANTS}
    if unknown:
        print(f"Unknown mutants: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    bad = 0
    for outcome in map(tried, chosen):
        bad += not outcome.good
        print(f"{outcome.verdict:10} {outcome.mutant.name}", flush=True)
    print(f"{len(chosen) - bad} of {len(chosen)} killed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
