"""Seconds until the dashboard shows something, on the tracked demo, in a real browser and without one.

    python -m tests.bench.dashboard [--rounds 5]

Browser: a server is started as `budgetscope` starts it, and a browser that has loaded nothing opens it; then a filter
is changed, to one that was not seen before and back. The page itself notes when its first figure is painted, and Chromium
runs without lazy source positions: watched from outside it reads Plotly again for the stacks of errors that Plotly
catches, half a second that no visitor waits, and Playwright hears of a figure as long after it is there. (A Chromium that
nobody watches, started cold on the same page, has it painted 2.95 s after it began; as measured here it is 2.9 s, and as
Playwright tells with neither 3.8.) Server: what one run of a page's script costs, by AppTest, in a
process that has its imports and has shown a page: the first time a page is opened, again with nothing changed, and with
a filter that was not seen before. Medians over the rounds. Imports come from bytecode, as in any installation
that was started before. Nothing here is asserted: a busy machine is slower, so processor seconds stand beside wall ones.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import ROOT

DEMO = ROOT / "results.duckdb"
PORT_S, OPEN_S, REPAINT_S, RERUN_S = 1.5, 3.0, 0.5, 0.3
"""Targets: start to open port; server up to first chart; a filter to its repaint; the server's part of one run."""
FILTERS = {
    "explore": ("explore.x", "calls"),
    "budgets": ("budgets.axis", "calls"),
    "answers": ("answers.show", "wrong"),
    "runs": ("form.axis", "calls"),
}
"""Per page a control, and what to set it to."""
Row = tuple[str, float, float | None]
"""What, seconds, target."""
UNWATCHED = "--js-flags=--no-enable-lazy-source-positions"
_NOTES = """
const look = () => {
  const figure = document.querySelector(".js-plotly-plot .main-svg");
  const there = figure?.getBoundingClientRect().width > 0 && getComputedStyle(figure).visibility === "visible";
  if (there) setTimeout(() => { window.drawnAt = Date.now() / 1000; }); else requestAnimationFrame(look);
};
requestAnimationFrame(look);"""
"""Notes when a figure was painted: behind the frame that first has it."""


@dataclass(frozen=True)
class Served:
    """A dashboard that answers."""

    url: str
    started: float
    """When its process was started, by `time.perf_counter`."""
    pid: int


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--reruns", nargs=2, metavar=("PAGE", "DB"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.reruns:
        print(json.dumps(reruns(*args.reruns)))
        return
    with tempfile.TemporaryDirectory() as folder:
        db = Path(shutil.copyfile(DEMO, Path(folder) / "results.duckdb"))
        environment = fresh_environment(Path(folder), db)
        show("In a browser, wall seconds", in_browser(environment, db, args.rounds))
        show("On the server, processor seconds of one run", on_server(environment, db, args.rounds))


def fresh_environment(folder: Path, db: Path) -> dict[str, str]:
    """Ours, with bytecode kept in `folder`."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "BUDGETSCOPE_DB": str(db)}


def show(title: str, rows: list[Row]) -> None:
    """A title and its rows."""
    print(f"\n{title}")
    for what, seconds, target in rows:
        aim = "" if target is None else f"  target {target:.1f}  {'ok' if seconds <= target else 'MISSED'}"
        print(f"  {what:58s} {seconds:6.2f}{aim}")


def in_browser(environment: dict[str, str], db: Path, rounds: int) -> list[Row]:
    """The first chart and a repaint, each round with a server and a browser context of its own."""
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import launched

    with sync_playwright() as playwright:
        browser = launched(playwright.chromium, UNWATCHED)
        found = [_round(browser, environment, db) for _ in range(rounds + 1)][1:]
    names = list(found[0])
    targets = dict(zip(names, (PORT_S, OPEN_S, None, None, REPAINT_S, REPAINT_S, None), strict=True))
    return [(name, statistics.median(each[name] for each in found), targets[name]) for name in names]


def _round(browser: Any, environment: dict[str, str], db: Path) -> dict[str, float]:
    with served(environment, db) as server:
        ready, clock = time.perf_counter(), time.time()
        page = browser.new_context(viewport={"width": 1280, "height": 1000}).new_page()
        page.set_default_timeout(120_000)
        page.add_init_script(_NOTES)
        page.goto(server.url)
        page.wait_for_selector(".js-plotly-plot .main-svg")
        told = time.perf_counter()
        used = processor_seconds(server.pid)
        page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
        drawn = ready + page.evaluate("window.drawnAt") - clock
        new, seen = (_repaint(page, words) for words in ("Calls", "Output tokens"))
        page.context.close()
    return {
        "process start to port open": ready - server.started,
        "server up to first chart drawn": drawn - ready,
        "process start to first chart drawn": drawn - server.started,
        "(server up to first chart, as Playwright tells it)": told - ready,
        "a filter not seen before, to repaint": new,
        "a filter seen before, to repaint": seen,
        "(processor seconds of the server until the first chart)": used,
    }


_DRAWN = "words => document.querySelector('.js-plotly-plot .infolayer')?.textContent.includes(words)"


def _repaint(page: Any, choice: str) -> float:
    """Click an axis, until the figure's own axis title says it."""
    button = page.get_by_test_id("stButtonGroup").filter(has_text="Accuracy against").get_by_text(choice, exact=True)
    began = time.perf_counter()
    button.click()
    page.wait_for_function(_DRAWN, arg=f"{choice} per question")
    return time.perf_counter() - began


@contextmanager
def served(environment: dict[str, str], db: Path) -> Iterator[Served]:
    """`budgetscope` over a database, from its process' start until it answered on its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "engine", "--db", str(db), "--port", str(port)]
    began = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(f"{url}/_stcore/health")
            yield Served(url, began, process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _wait(url: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.01)
    raise TimeoutError(f"{url} did not answer.")


def processor_seconds(pid: int) -> float:
    """What a process and its children have used so far; 0 where the system does not tell (only Linux does here)."""
    total = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if pid in (int(stat.parent.name), int(fields[1])):
                total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def on_server(environment: dict[str, str], db: Path, rounds: int) -> list[Row]:
    """Each page in a fresh process."""
    rows: list[Row] = []
    for page in FILTERS:
        command = [sys.executable, "-m", "tests.bench.dashboard", "--reruns", page, str(db)]
        found = [_asked(command, environment) for _ in range(rounds)]
        for what in found[0]:
            target = None if what.startswith("first") else RERUN_S
            rows.append((f"{page}: {what}", statistics.median(each[what] for each in found), target))
    return rows


def _asked(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    said = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    answer: dict[str, float] = json.loads(re.findall(r"^\{.*\}$", said, re.MULTILINE)[-1])
    return answer


def reruns(page: str, db: str) -> dict[str, float]:
    """Processor seconds of a page's runs in this process."""
    from streamlit.testing.v1 import AppTest

    # Nobody else can ask a page that has no server, and the form of Runs is drawn for who may launch.
    os.environ |= {"BUDGETSCOPE_DB": db, "BUDGETSCOPE_NO_TOKEN": "1"}
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=120)
    if page != "explore":
        app.switch_page(f"views/{page}.py")
    name, choice = FILTERS[page]
    first, again = (_used(app.run) for _ in range(2))
    assert not app.exception, app.exception[0].value
    new = _used(lambda: app.button_group(key=name).set_value(choice).run())
    assert not app.exception, app.exception[0].value
    return {"first, with imports": first, "nothing changed": again, "a filter not seen before": new}


def _used(act: Callable[[], Any]) -> float:
    began = time.process_time()
    act()
    return time.process_time() - began


if __name__ == "__main__":
    main()
