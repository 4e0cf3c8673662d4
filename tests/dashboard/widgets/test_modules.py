"""What tables need is imported behind the first figure, and never while somebody draws one."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from dashboard.widgets import modules
from tests import ROOT

ORDER = """
import gc, sys
import streamlit as st
from streamlit.testing.v1 import AppTest

seen, draw = [], st.plotly_chart
st.plotly_chart = lambda *args, **more: (seen.append({"pandas", "pyarrow"} & {*sys.modules}), draw(*args, **more))[1]
app = AppTest.from_file("dashboard/app.py", default_timeout=120).run()
print(seen, "pandas" in sys.modules, len(app.dataframe), len(app.exception), gc.get_freeze_count() > 100_000)
"""


def test_the_first_figure_waits_for_nothing_that_tables_alone_need_and_then_no_search_walks_through_it() -> None:
    code = ORDER.replace("dashboard/app.py", str(ROOT / "dashboard" / "app.py"))
    environment = {**os.environ, "BUDGETSCOPE_DB": str(ROOT / "results.duckdb")}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, text=True, check=True, **pipes)  # type: ignore[call-overload]
    assert done.stdout.strip() == "[set()] True 1 0 True"


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Threads that imported what tables need, which nobody has done so far; how many drew meanwhile."""
    drew: list[int] = []
    monkeypatch.setattr(modules, "TABLES", ("told",))
    monkeypatch.setattr(modules, "_tables", threading.Event())
    monkeypatch.setattr(importlib, "import_module", lambda _: drew.append(len(modules._drawing)))
    return drew


def test_who_draws_keeps_others_from_importing_until_the_end(imported: list[int]) -> None:
    drawing, enough = threading.Event(), threading.Event()

    def draws() -> None:
        with modules.drawing():
            drawing.set()
            enough.wait(30)
            assert imported == []

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(draws)
        drawing.wait(30)
        other = pool.submit(modules.tables)
        enough.set()
        one.result(30)
        other.result(30)
    assert imported == [0]
    assert not modules._drawing


def test_two_that_draw_and_come_to_their_tables_do_not_wait_for_each_other(imported: list[int]) -> None:
    both = threading.Barrier(2, timeout=30)

    def draws() -> bool:
        with modules.drawing():
            both.wait()
            modules.tables()
            # Whoever goes on draws again.
            return threading.get_ident() in modules._drawing

    with ThreadPoolExecutor(2) as pool:
        assert all(list(pool.map(lambda _: draws(), range(2))))
    assert imported == [0]


def test_a_page_that_fails_while_it_draws_stands_in_nobodys_way(imported: list[int]) -> None:
    with pytest.raises(ZeroDivisionError), modules.drawing():
        raise ZeroDivisionError
    assert imported == [0]
    assert not modules._drawing
