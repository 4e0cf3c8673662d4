"""The dashboard as `budgetscope` starts it, over a database of its own: for tests that start runs or show hostile text."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests import ROOT
from tests.browser.conftest import PATIENCE_MS, STILL

PROBES = ("/_stcore/health", "/_stcore/host-config")
"""Streamlit looks for these below the page's own path first, finds nothing there, and goes on."""


@dataclass
class Stage:
    """A dashboard of its own, and what went wrong in the browser so far."""

    url: str
    db: Path
    browser: Any
    context: Any
    """Where its pages live; the first stays open until the end, since the others find the program in it."""
    strangers: list[Any] = field(default_factory=list)
    """Browsers that nobody let in."""
    wrong: list[str] = field(default_factory=list)

    @property
    def host(self) -> str:
        """Its host and port."""
        return urlsplit(self.url).netloc

    def open(
        self, path: str, *, width: int = 1440, height: int = 1000, scheme: str = "light", stranger: bool = False
    ) -> Any:
        """A page, once the server is done with its first run; a `stranger`'s is in a browser that nobody let in."""
        return self.open_watched(path, [], width=width, height=height, scheme=scheme, stranger=stranger)

    def open_watched(
        self,
        path: str,
        requests: list[str],
        *,
        width: int = 1440,
        height: int = 1000,
        scheme: str = "light",
        stranger: bool = False,
    ) -> Any:
        """The same; every address the browser asks for is added to `requests`."""
        if stranger:
            self.strangers.append(self.browser.new_context(**STILL))
        page = (self.strangers[-1] if stranger else self.context).new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        page.on("console", lambda m: self._heard(m.type, m.text, m.location.get("url", "")))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("dialog", self._met)
        page.on("request", lambda request: requests.append(request.url))
        page.goto(f"{self.url}{path}")
        page.locator("h1").first.wait_for()
        return page

    def _heard(self, kind: str, text: str, url: str) -> None:
        if kind == "error" and not ("404" in text and url.endswith(PROBES)):
            self.wrong.append(text)

    def _met(self, dialog: Any) -> None:
        self.wrong.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def close(self, page: Any) -> None:
        """Close a page, unless it is the one that stays."""
        if page != self.context.pages[0]:
            page.close()

    def leave(self) -> None:
        """Close every page but the one that stays; none may have complained."""
        for opened in [*self.context.pages[1:], *self.strangers]:
            opened.close()
        self.strangers.clear()
        assert not self.wrong


@contextmanager
def staged(db: Path, browser: Any, *flags: str) -> Iterator[Stage]:
    """A dashboard over `db` for the duration of the block."""
    command = [sys.executable, "-m", "engine", "--db", str(db), "--port", str(_free_port()), *flags]
    environment = {**os.environ, "BUDGETSCOPE_READ_ONLY": ""}
    with (
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment) as process,
        closing(browser.new_context(**STILL)) as context,
    ):
        try:
            assert process.stdout is not None
            found = re.search(r"(http://[^/\s]+)(/login\S+)?", process.stdout.readline())
            assert found
            context.set_default_timeout(PATIENCE_MS)
            if found[2]:
                _let_in(context, found[0])
            stage = Stage(found[1], db, browser, context)
            yield stage
            stage.leave()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _let_in(context: Any, link: str) -> None:
    """Follow the printed link, which leaves a cookie and leads away from itself."""
    led = context.request.get(link)
    assert led.ok and "login" not in led.url and "code" not in led.url


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
