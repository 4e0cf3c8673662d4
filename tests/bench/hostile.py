"""Hostile strings on every page of the dashboard in Chromium: what ran, what was asked of others, what links away.

    python -m tests.bench.hostile [--databases N]

Each database holds a dozen of the strings as names of models, as questions, targets, answers, replies, in its runs, and
in a log that was imported; each page is opened as it is, by a link full of them and for each study, each answer by
itself, each string typed into Tokens, and every study as a snapshot and as a saved page. Exit code 1 if anything ran,
went out, or led away.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.conftest import launched
from tests.browser.stage import staged
from tests.support import hostile
from tests.support.hostile import PER_DATABASE, STRINGS, Walked


def main() -> int:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--databases", type=int, default=99, help="at most so many, of a dozen strings each")
    given = parser.parse_args()
    walked, began = Walked(), time.monotonic()
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = launched(playwright.chromium)
        for start in range(0, len(STRINGS), PER_DATABASE)[: given.databases]:
            some = STRINGS[start : start + PER_DATABASE]
            home = Path(folder) / str(start)
            home.mkdir()
            db = hostile.in_thread(hostile.database, home / "r.duckdb", some)
            hostile.in_thread(hostile.logged, db, some)
            seen = hostile.in_thread(hostile.visits, db, some)
            with staged(db, browser, "--read-only") as stage:
                hostile.walk(stage, some, walked, seen)
            print(f"{walked.strings} strings, {walked.loads} pages, {time.monotonic() - began:.0f} s", flush=True)
    for name in ("executed", "outside", "live", "broken"):
        found = getattr(walked, name)
        print(f"{name:9s} {len(found)}")
        for each in found[:20]:
            print(f"    {each[:300]}")
    print(f"{walked.strings} strings x pages: {walked.shown:,} showings on {walked.loads} loads")
    return 1 if walked.executed or walked.outside or walked.live or walked.broken else 0


if __name__ == "__main__":
    sys.exit(main())
