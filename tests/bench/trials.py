"""Seconds and memory of the Answers page over one setting with many answers, page by page, with filter, search and budget.

    python -m tests.bench.trials [--answers 100000]

One answer of three calls is made by the engine and stored again under as many questions. Each question is asked in a
process of its own, whose growth over an empty database's is what is told. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import engine
from engine.core import ids
from engine.store.store import Batch, Store
from tests import ROOT
from tests.support import stores

ASKED: dict[str, dict[str, str]] = {
    "the first page": {},
    "a trial in the middle": {"trial": "MIDDLE"},
    "only the wrong": {"show": "wrong"},
    "a search": {"find": "is 777 +"},
    "at 30 output tokens": {"budget": "30", "axis": "output_tokens"},
    "at 2 calls, only right": {"budget": "2", "axis": "calls", "show": "right"},
}
_ONE = """
import os, sys, time
def peak():
    # MB; of this process alone, unlike what getrusage says of one that was forked.
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024
os.environ["BUDGETSCOPE_DB"] = sys.argv[1]
from tests.support.pages import run_page
run_page("answers")
os.environ["BUDGETSCOPE_DB"] = sys.argv[2]
before = peak()
began, used = time.perf_counter(), time.process_time()
page = run_page("answers", **dict(pair.split("=", 1) for pair in sys.argv[3:]))
seconds, used = time.perf_counter() - began, time.process_time() - used
assert not page.exception, page.exception
shown = [each.value for each in page.caption if "shown" in each.value][0]
print(f"{seconds:6.2f} s ({used:.2f} s of processor)  {peak() - before:6.0f} MB more  {shown}")
"""


def made(path: Path, answers: int) -> tuple[str, str]:
    """A database whose one setting has so many answers; the ids of its condition and of a trial in the middle."""
    stores.studied(path, questions=40, models='"scripted/adder"', strategies=["self_consistency"], budgets=[64])
    store = Store(path)
    condition = engine.open(path).conditions()["condition_id"][0]
    first = store.trials(condition)
    middle = ""
    for start in range(0, answers, 10_000):
        batch = []
        for n in range(start, min(start + 10_000, answers)):
            trial = first[n % len(first)]
            spec = trial.spec
            problem = replace(spec.question.problem, text=f"What is {n} + {n % 13}?")
            question = replace(
                spec.question,
                problem=problem,
                question_id=ids.question_id(spec.question.task, problem, spec.question.target),
            )
            trial_id = ids.trial_id(spec.condition, question.question_id, 0)
            middle = trial_id if n == answers // 2 else middle
            batch.append(replace(trial, spec=replace(spec, question=question, trial_id=trial_id)))
        store.flush(Batch(tuple(batch)))
    return condition, middle


def main() -> None:
    """Make both databases and ask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=100_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        little, large = Path(folder) / "little" / "r.duckdb", Path(folder) / "large" / "r.duckdb"
        little.parent.mkdir()
        large.parent.mkdir()
        began = time.perf_counter()
        with ThreadPoolExecutor(1) as other:
            other.submit(stores.one_trial, little).result()
            condition, middle = other.submit(made, large, given.answers).result()
        print(f"made {given.answers:,} answers in {time.perf_counter() - began:.0f} s, {large.stat().st_size:,} bytes")
        for what, query in ASKED.items():
            pairs = {"condition": condition, **query}
            words = [f"{name}={value.replace('MIDDLE', middle)}" for name, value in pairs.items()]
            command = [sys.executable, "-c", _ONE, str(little), str(large), *words]
            done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, env=os.environ)
            print(f"{what:24s} {done.stdout.strip() or done.stderr[-400:]}", flush=True)


if __name__ == "__main__":
    main()
