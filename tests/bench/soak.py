"""A long run with people looking on: is its memory flat, does anything get lost, do pages stay quick?

    python -m tests.bench.soak [--calls 1000000] [--viewers 3] [--every 30] [--most-minutes 60]

One run of as many one-call trials (10,000 questions, repeated) on the scripted model, which answers at once, so at the
highest rate there is; beside it the dashboard over the same database and as many viewers of it in a browser, each of
which opens a page again every `--every` seconds. Sampled as often: resident memory of the worker and of the dashboard,
seconds to a page, stored trials. The table's growth is that of medians: the last tenth of the run against the tenth
behind the first fifth, which is the warm-up. At the end the trials that are stored are counted. `--viewers 0` starts no
dashboard. Stopped after `--most-minutes`, it says how far it came. Nothing is asserted: a busy machine is slower.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from engine.runs import run_dir
from engine.store.store import Store
from tests import ROOT
from tests.bench.dashboard import fresh_environment, processor_seconds, served

QUESTIONS = 10_000
PAGES = ("", "runs", "answers")


@dataclass(frozen=True, slots=True)
class Sample:
    """How things stood at one moment."""

    at_s: float
    done: int
    worker_mb: float
    dashboard_mb: float
    page_s: float | None
    """None: nobody looks on."""


def main() -> None:
    """Print a line a sample, then the growth and what is stored."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--viewers", type=int, default=3)
    parser.add_argument("--every", type=float, default=30)
    parser.add_argument("--most-minutes", type=float, default=60)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "results.duckdb"
        study = _study(Path(folder), args.calls)
        environment = fresh_environment(Path(folder), db)
        Store(db).create()
        with ExitStack() as stack:
            server = stack.enter_context(served(environment, db)) if args.viewers else None
            look = stack.enter_context(_looking(server.url, args.viewers)) if server else lambda: None
            worker = stack.enter_context(_worker(study, db))
            samples: list[Sample] = []
            print(f"{'s':>7s} {'trials':>9s} {'trials/s':>8s} {'worker MB':>9s} {'dashboard MB':>12s} {'page s':>6s}")
            began = time.monotonic()
            while worker.poll() is None and time.monotonic() - began < 60 * args.most_minutes:
                time.sleep(args.every)
                page_s = look()
                status = run_dir.list_runs(db)[-1:]
                done = status[0].done if status else 0
                now = time.monotonic() - began
                samples.append(Sample(now, done, _mb(worker.pid), _mb(server.pid) if server else 0.0, page_s))
                _say(samples)
            ended = worker.poll() is not None
            used = processor_seconds(worker.pid)
            if not ended:
                # Not the signal of a keyboard, which a process that was started in the background does not hear.
                worker.terminate()
            code = worker.wait(300)
        _sum_up(samples, db, args.calls, ended, code, used)


def _study(folder: Path, calls: int) -> Path:
    questions = min(QUESTIONS, calls)
    rows = [f"What is {n} + {n * 7 % 1013}?,{n + n * 7 % 1013}" for n in range(questions)]
    (folder / "sums.csv").write_text("question,answer\n" + "\n".join(rows))
    study = folder / "soak.toml"
    repeats = max(1, calls // questions)
    study.write_text(
        f'name="soak"\nbudgets=[64]\nrepeats={repeats}\ntasks=["file:sums.csv"]\nmodels=["scripted/adder"]\n'
        f'strategies=["direct"]\nceiling={{tokens={1000 * calls}}}\n'
    )
    return study


@contextmanager
def _worker(study: Path, db: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "engine", "run", str(study), "--db", str(db)]
    with (study.parent / "out.txt").open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@contextmanager
def _looking(url: str, viewers: int) -> Iterator[Callable[[], float]]:
    """What opens each viewer's page again and says the median seconds until it stands."""
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import launched

    with sync_playwright() as playwright:
        browser = launched(playwright.chromium)
        pages = [browser.new_context().new_page() for _ in range(viewers)]

        def look() -> float:
            seconds = []
            for at, page in enumerate(pages):
                page.set_default_timeout(180_000)
                began = time.perf_counter()
                page.goto(f"{url}/{PAGES[at % len(PAGES)]}")
                page.wait_for_selector("[data-testid=stMain] h1, [data-testid=stMain] h2")
                page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
                seconds.append(time.perf_counter() - began)
            return statistics.median(seconds)

        yield look
        browser.close()


def _mb(pid: int) -> float:
    """Resident memory of a process and its children; 0 where the process is gone or the system does not tell."""
    pages = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError):
            # The command that was started waits for the process that works, so its children count too.
            if pid in (int(stat.parent.name), int(stat.read_text().rpartition(")")[2].split()[1])):
                pages += int((stat.parent / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _say(samples: list[Sample]) -> None:
    last, before = samples[-1], samples[-2] if len(samples) > 1 else Sample(0, 0, 0, 0, None)
    rate = (last.done - before.done) / max(1e-9, last.at_s - before.at_s)
    page = "" if last.page_s is None else f"{last.page_s:6.2f}"
    memory = f"{last.worker_mb:9.0f} {last.dashboard_mb:12.0f}"
    print(f"{last.at_s:7.0f} {last.done:9,d} {rate:8.0f} {memory} {page}", flush=True)


def _sum_up(samples: list[Sample], db: Path, calls: int, ended: bool, code: int, used: float) -> None:
    alive = [each for each in samples if each.worker_mb]
    tenth = max(1, len(alive) // 10)
    first, last = alive[2 * tenth : 3 * tenth] or alive[:1], alive[-tenth:]
    for what in ("worker_mb", "dashboard_mb", "page_s"):
        ends = [[value for each in part if (value := getattr(each, what)) is not None] for part in (first, last)]
        if all(ends) and all(ends[0]):
            before, after = map(statistics.median, ends)
            print(
                f"{what}: {before:.4g} behind the warm-up, {after:.4g} at the end ({100 * (after / before - 1):+.1f} %)"
            )
    with Store(db).reading() as connection:
        ((trials, completions, attempts),) = connection.execute(
            "select (select count(*) from trials), (select count(*) from completions), (select count(*) from attempts)"
        ).fetchall()
    whole = "the run ended" if ended else "stopped before its end"
    print(f"{whole} with exit code {code}; {used:.0f} processor seconds of the worker at the last look")
    print(f"stored: {trials:,} trials, {completions:,} replies, {attempts:,} attempts of {calls:,}")
    print(f"database: {db.stat().st_size / 1e6:,.0f} MB, {db.stat().st_size / max(1, trials):,.0f} bytes a trial")


if __name__ == "__main__":
    main()
