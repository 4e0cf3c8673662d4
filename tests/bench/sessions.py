"""Several people on one database beside a run: what the run loses, how long pages take, what the server holds.

    python -m tests.bench.sessions [--minutes 10] [--sessions 10] [--every 10] [--alone 1]

A run of the command line stores answers into the database of a dashboard: for some minutes alone, then while each
session turns over the pages, one load in so many seconds (0: one after another). Told are the calls a minute of both
times, the wall seconds of a load, and the memory (RSS) of the server after every round, which should be flat once every
page was seen: growth is the last quarter's mean beyond the second's. A browser works on the same processors.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests import ROOT
from tests.bench.kill import STUDY
from tests.browser.conftest import launched
from tests.browser.stage import staged
from tests.support import doors, hostile, killer, stores
from tests.support.provider import Provider, serving


def memory_mb(port: str) -> float:
    """What the processes of the server on a port hold."""
    total = 0.0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            words = (status.parent / "cmdline").read_bytes().replace(b"\0", b" ")
            if f"--server.port={port} ".encode() in words:
                total += int(re.search(r"VmRSS:\s+(\d+)", status.read_text())[1]) / 1024  # type: ignore[index]
        except (OSError, TypeError):
            continue
    return total


def calls_a_minute(provider: Provider, minutes: float) -> float:
    """What a run asks while nobody looks, once it has begun."""
    while not provider.good:
        time.sleep(0.1)
    before, began = provider.good, time.monotonic()
    time.sleep(60 * minutes)
    return (provider.good - before) / ((time.monotonic() - began) / 60)


def main() -> None:
    """Print a line a round, then pages, run and growth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--every", type=float, default=10.0, help="seconds from load to load of a session")
    parser.add_argument("--alone", type=float, default=1.0, help="minutes the run has for itself before")
    given = parser.parse_args()
    seen, loads, broken = list[tuple[float, float]](), list[float](), 0
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as name, serving(latency_s=0.3) as provider:
        folder = Path(name)
        db = hostile.in_thread(stores.small, folder / "r.duckdb")
        data = killer.sums(folder / "sums.jsonl", 2_000)
        study = folder / "s.toml"
        text = STUDY.format(api_base=provider.api_base, data=data, ceiling=5_000_000)
        study.write_text(text.replace("parallel = 8", "parallel = 2"), encoding="utf-8")
        command = [sys.executable, "-m", "engine", "run", str(study), "--db", str(db)]
        quiet = subprocess.DEVNULL
        with (
            staged(db, launched(playwright.chromium), "--read-only") as stage,
            subprocess.Popen(command, cwd=ROOT, stdout=quiet, stderr=quiet) as run,
        ):
            port = stage.url.rpartition(":")[2]
            quietly = calls_a_minute(provider, given.alone)
            pages = [stage.open("/") for _ in range(given.sessions)]
            views, began, rounds, served = doors.doors("page"), time.monotonic(), 0, provider.good
            while time.monotonic() - began < 60 * given.minutes:
                for at, page in enumerate(pages):
                    due = began + rounds * given.every + at * given.every / given.sessions
                    time.sleep(max(0.0, due - time.monotonic()))
                    # Of the page that was drawn to its end meanwhile.
                    broken += page.locator("[data-testid=stException]").count()
                    clicked = time.monotonic()
                    page.goto(f"{stage.url}/{views[(rounds + at) % len(views)].path}")
                    page.locator("h1").first.wait_for()
                    loads.append(time.monotonic() - clicked)
                rounds += 1
                seen.append(((time.monotonic() - began) / 60, memory_mb(port)))
                print(f"{seen[-1][0]:6.1f} min {seen[-1][1]:7.0f} MB, {rounds * given.sessions} loads", flush=True)
            watched = (provider.good - served) / ((time.monotonic() - began) / 60)
            print(f"the run was {'still working' if run.poll() is None else 'done'}")
            run.terminate()
            run.wait()
            stage.wrong.clear()
    late = sorted(loads)
    print(f"a load took {statistics.median(late):.2f} s, nine of ten at most {late[int(0.9 * (len(late) - 1))]:.2f} s")
    print(f"{broken} of {len(loads)} pages broke")
    print(f"the run: {quietly:.0f} calls a minute alone, {watched:.0f} beside them ({watched / quietly - 1:+.0%})")
    sizes = [size for _, size in seen]
    quarter = max(1, len(sizes) // 4)
    grown = statistics.mean(sizes[-quarter:]) - statistics.mean(sizes[quarter : 2 * quarter] or sizes[:1])
    print(f"grown by {grown:+.0f} MB from the second quarter to the last, of {sizes[-1]:.0f} MB")


if __name__ == "__main__":
    main()
