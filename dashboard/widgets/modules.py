"""Imports what pages need, once and in one thread at a time.

plotly and polars look at modules that another thread is only half done importing, and fail. So a page begins with
`load`, and what tables alone need comes behind its first figure, by `tables`, while no other thread is `drawing`.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from engine.core import memory

MODULES = (
    "numpy",
    "polars",
    "duckdb",
    "plotly.graph_objs._figure",
    "plotly.graph_objs._scatter",
    "plotly.subplots",
    "engine.analysis",
)
"""What every page needs."""
TABLES = ("pandas", "pandas.io.formats.style")
"""Streamlit's tables load pandas and ours its styles, in a third of a second that no figure has to wait for."""
_turn, _tables = threading.Lock(), threading.Event()
_pens = threading.Condition()
_drawing: set[int] = set()
"""Threads that may be making figures; `_pens` guards it."""


def load() -> None:
    """Import `MODULES`; who comes while another thread does it waits for that. Costs nothing the second time."""
    with _turn:
        for name in MODULES:
            importlib.import_module(name)


@contextmanager
def drawing() -> Iterator[None]:
    """Here figures are made, for which plotly looks at pandas where it is there: nobody is half done importing it.

    At the end it is there, so that what is drawn later without asking, such as a part of the page, may look too."""
    with _pens:  # Waits for whoever imports it now.
        _drawing.add(threading.get_ident())
    try:
        yield
    finally:
        tables()
        with _pens:
            _drawing.discard(threading.get_ident())
            _pens.notify_all()


def tables() -> None:
    """Import what tables need as soon as no other thread is `drawing`. Costs nothing the second time."""
    if _tables.is_set():
        return
    with _pens:
        # Two that wait here would wait for each other.
        mine = threading.get_ident() in _drawing
        _drawing.discard(threading.get_ident())
        _pens.notify_all()
        _pens.wait_for(lambda: _tables.is_set() or not _drawing)
        if not _tables.is_set():
            for name in TABLES:
                importlib.import_module(name)
            # Streamlit collects garbage behind every run of a page, and would walk through all of this each time.
            memory.keep()
            _tables.set()
        if mine:
            _drawing.add(threading.get_ident())
