"""The server gets ready before anybody asks, and a page that is asked for meanwhile is drawn all the same."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dashboard import ready
from dashboard.data import queries
from tests import ROOT
from tests.support import stores

MEANWHILE = """
import sys
from streamlit.testing.v1 import AppTest
from dashboard import ready
from dashboard.data import queries
from dashboard.widgets import modules
ready.PATIENCE_S = 0
ready.begin()
app = AppTest.from_file("dashboard/app.py", default_timeout=120).run()
print(len(app.exception), len(app.get("plotly_chart")), {*modules.MODULES, *modules.TABLES} <= set(sys.modules))
"""


def test_a_page_asked_for_while_the_server_gets_ready_is_drawn(tmp_path: Path) -> None:
    """A fresh process: both threads need modules nobody has imported yet."""
    db = stores.one_trial(tmp_path / "results.duckdb")
    code = MEANWHILE.replace("dashboard/app.py", str(ROOT / "dashboard" / "app.py"))
    environment = {**os.environ, "BUDGETSCOPE_DB": str(db)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, text=True, check=True, **pipes)  # type: ignore[call-overload]
    assert done.stdout.split() == ["0", "1", "True"]


@pytest.mark.parametrize("make", [stores.empty, stores.all_failed, None], ids=["empty", "all failed", "missing"])
def test_a_database_with_nothing_to_show_is_no_trouble(
    make: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = tmp_path / "results.duckdb"
    if callable(make):
        make(db)
    monkeypatch.setenv("BUDGETSCOPE_DB", str(db))
    ready.look()
    assert db.exists() == (make is not None)


def read_ahead(db: queries.Database, name: str, reads: list[Callable[[], object]]) -> None:
    """Ask for it, and wait until it is done."""
    ready.ahead(db, name, reads)
    for thread in threading.enumerate():
        if thread.name == "ahead":
            thread.join(30)


def test_what_a_next_click_asks_for_is_read_once_where_the_file_rests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, done = tmp_path / "results.duckdb", list[str]()
    path.write_bytes(b"as it is")
    os.utime(path, (1, 1))
    monkeypatch.setenv("BUDGETSCOPE_DB", str(path))
    db = queries.state()
    read_ahead(db, "curves", [lambda: done.append("no server")])
    monkeypatch.setattr(ready, "_served", threading.Event())
    ready._served.set()
    reads: list[Callable[[], object]] = [lambda: done.append("one"), lambda: 1 / 0, lambda: done.append("two")]
    read_ahead(db, "curves", reads)
    read_ahead(db, "curves", reads)
    assert done == ["one", "two"]
    # A run stores something.
    path.write_bytes(b"more than before")
    read_ahead(queries.state(), "curves", reads)
    read_ahead(db, "others", reads)
    assert done == ["one", "two"]


def test_the_widgets_leave_plotly_and_polars_to_the_thread_that_gets_ready() -> None:
    code = (
        "import sys; from dashboard.widgets import controls; print({'dashboard.figures', 'polars'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, check=True, stdout=subprocess.PIPE)
    assert done.stdout.strip() == "set()"
