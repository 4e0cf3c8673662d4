"""A dashboard server over a small database, and one browser for all pages of this package.

Needs Playwright and a Chromium: the system's, else Playwright's own, which is installed once where the network allows.
Without one the tests are skipped and say so; with CI=true they fail, so that nobody believes they ran.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests import ROOT
from tests.support import stores

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL = "No Chromium to test with: run `uv pip install playwright && playwright install chromium`."
INSTALL_S = 240
"""The longest an attempt to install one may take; without a network it fails within seconds."""
PATIENCE_MS = 90_000
ARGS = ["--no-sandbox", "--disable-gpu", "--process-per-site", "--renderer-process-limit=1"]
"""Without a graphics card pixels are computed, in one process less and for half the time where it is not looked for.

Pages of a context share a process: what one of them read and compiled need not be again while it stays open. A page with
a figure takes 1.7 s of a processor then, and 3.6 s in a process of its own.
"""
STILL = {"reduced_motion": "reduce"}
"""What turns and pulses while a page is loading is drawn sixty times a second, by a processor that has to load it."""
POLL_MS = 100
"""How often a condition is looked at: at every frame, as a browser is asked unless told, it has to draw sixty a second."""
FIGURE = ".js-plotly-plot .main-svg"
PROBES = ("/_stcore/health", "/_stcore/host-config")


@dataclass
class Site:
    """The dashboard as a browser sees it, with everything that went wrong in the browser so far."""

    url: str
    browser: Any
    context: Any
    """Of a browser that has read the program already; `fresh` pages get one of their own."""
    wrong: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def open(
        self,
        path: str = "/",
        *,
        width: int = 1280,
        height: int = 1000,
        scheme: str = "light",
        fresh: bool = False,
        figure: bool = True,
    ) -> Any:
        """A page with its figure drawn, or, where it has none (`figure=False`), with its headline."""
        page = (self.browser.new_context(**STILL) if fresh else self.context).new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2] if "//" in request.url else ""))
        page.goto(f"{self.url}{path}")
        settled(page, FIGURE if figure else "h1")
        return page

    def check(self) -> None:
        """No page had anything to complain about, or asked anybody else."""
        assert not self.wrong
        assert self.hosts <= {self.url.removeprefix("http://")}

    def _hear(self, message: Any) -> None:
        """Keep errors, but for Streamlit's own search of its root, which a deep link answers with 404."""
        if message.type == "error" and not str(message.location.get("url", "")).endswith(PROBES):
            self.wrong.append(message.text)


def dress(page: Any, scheme: str, dressed: str, ink: str) -> None:
    """Turn the browser's theme while the page stands, and wait until `dressed` holds there for this ink.

    The program hears of the change by an event, which a busy browser was once seen to lose: then the page is loaded
    anew in that theme.
    """
    from playwright.sync_api import TimeoutError as Lost

    page.emulate_media(color_scheme=scheme)
    try:
        page.wait_for_function(dressed, arg=ink, timeout=PATIENCE_MS / 3, polling=POLL_MS)
    except Lost:
        page.evaluate("localStorage.clear()")
        page.reload()
        page.wait_for_function(dressed, arg=ink, polling=POLL_MS)


_ENDED = """patience => { window.ended = new Promise(done => {
  const app = document.querySelector('[data-testid=stApp]'), name = 'data-test-script-state';
  const rests = () => app.getAttribute(name) === 'notRunning';
  let began = false, late = false;
  const watch = new MutationObserver(changes => {
    began ||= changes.some(each => each.oldValue !== 'notRunning') || !rests();
    look();
  });
  const look = () => { if ((began || late) && rests()) { watch.disconnect(); done(began); } };
  watch.observe(app, { attributes: true, attributeFilter: [name], attributeOldValue: true });
  setTimeout(() => { late = true; look(); }, patience);
}); }"""
"""Begins to watch for a run of the page that starts after this, and for its end: whether one was seen."""
_LED = "path => { history.pushState({}, '', path); dispatchEvent(new PopStateEvent('popstate')); }"
LOOK_MS = 9_000
"""A busy browser may draw a short run's beginning and end as one, and nothing is seen of it: so long it is waited for."""


def lead(page: Any, path: str) -> None:
    """Bring a page that stands to another address, as Back and Forward do, and wait until the server is done with it.

    It takes a third of what loading the dashboard there does; what the visitor's session holds stays.
    """
    for _ in range(PATIENCE_MS // LOOK_MS):
        if drawn_anew(page, lambda: page.evaluate(_LED, path)):
            return
    raise AssertionError(f"The dashboard does not go to {path}")


def visit(page: Any, path: str, drawn: str = FIGURE) -> None:
    """Lead a page that stands to another one of another title, and wait for what `drawn` selects there."""
    before, tries = page.title(), 0
    # What a page says of its window in the same moment may bring the server back to it.
    while page.title() == before:
        assert (tries := tries + 1) < 4, f"The dashboard does not go to {path}"
        lead(page, path)
    settled(page, drawn)


def drawn_anew(page: Any, act: Callable[[], object]) -> bool:
    """Do what makes the server draw the page anew, and wait until that is done; whether it was seen."""
    page.evaluate(_ENDED, LOOK_MS)
    act()
    return bool(page.evaluate("window.ended"))


def settled(page: Any, drawn: str = FIGURE) -> None:
    """Wait until the figure (or what else `drawn` selects) is there and the server is done with this run."""
    page.wait_for_selector(drawn)
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")


_STILL = """() => {
    const now = performance.now();
    if (window.seenAt !== location.href) { window.seenAt = location.href; window.seenSince = now; }
    return now - window.seenSince > 800;
}"""


def still(page: Any) -> None:
    """Wait until the address has rested: a step back right after a change is taken for the change's own echo."""
    settled(page)
    page.wait_for_function(_STILL, polling=POLL_MS)


@pytest.fixture(scope="package")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages of `site` show."""
    with ThreadPoolExecutor(1) as other:
        return other.submit(stores.small, tmp_path_factory.mktemp("site") / "results.duckdb").result()


@pytest.fixture(scope="package")
def server(database: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "dashboard/app.py", "--server.port", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "BUDGETSCOPE_DB": str(database)}, **quiet)  # type: ignore[call-overload]
    try:
        url = f"http://localhost:{port}"
        _wait_for(f"{url}/_stcore/health", process)
        yield url
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        _missing()
    with sync_playwright() as playwright:
        try:
            started = launched(playwright.chromium)
        except Error:
            _missing()
        yield started


@pytest.fixture(scope="package")
def warm(server: str, browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser with a profile on disk and a page that stays open: the program is read and compiled once."""
    profile = tmp_path_factory.mktemp("profile")
    context = browser.browser_type.launch_persistent_context(profile, executable_path=found(), args=ARGS, **STILL)
    context.set_default_timeout(PATIENCE_MS)
    context.pages[0].goto(server)
    settled(context.pages[0])
    yield context
    context.close()


@pytest.fixture
def site(server: str, browser: Any, warm: Any) -> Iterator[Site]:
    """A site whose pages are closed, and must have had nothing to complain about, when the test ends."""
    here = Site(server, browser, warm)
    yield here
    # The first page stays: it holds the program.
    for page in [*warm.pages[1:], *(page for context in browser.contexts for page in context.pages)]:
        page.close()
    here.check()


def launched(chromium: Any, *more: str) -> Any:
    """A headless browser: the system's Chromium, else Playwright's own, installed if need be, with `more` arguments.

    Raises Playwright's Error."""
    if found() is None and not Path(chromium.executable_path).exists():
        _install()
    return chromium.launch(executable_path=found(), args=[*ARGS, *more])


def found() -> str | None:
    """Where the system's Chromium lies; None: it has none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def _install() -> None:
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(command, timeout=INSTALL_S, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def _missing() -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(INSTALL)
    pytest.skip(INSTALL)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("The dashboard did not start.")
