"""Gets the server ready for its first page while the browser still loads the program.

`begin` imports early what pages need, in a thread of its own, and asks `data` for the figure the home page opens with,
which the caches then share. `ahead` reads what a next click asks for. Never draws on a page.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING

from dashboard.widgets import modules
from engine.core import memory

if TYPE_CHECKING:
    from dashboard.data.queries import Database

PATIENCE_S = 60.0
"""How long the server may take to begin before this gives up."""
RESTED_S = 20.0
"""A file that did not change for so long is no run's."""
_served = threading.Event()
_asked: deque[tuple[Database, Hashable]] = deque(maxlen=64)


def begin() -> None:
    """Get ready in the background as soon as the server is up, so that it is up no later for it."""
    threading.Thread(target=_get_ready, name="ready", daemon=True).start()


def ahead(db: Database, name: Hashable, reads: Iterable[Callable[[], object]]) -> None:
    """Do in the background what the next click will ask for, one read after the other, each name once a database.

    Nothing where no server got ready, and nothing while the file changes: what a run stores would undo it at once."""
    # Since the file or its log was written to.
    rested_s = time.time() - max(db.version[1], db.version[3]) / 1e9
    if not _served.is_set() or rested_s < RESTED_S or (db, name) in _asked:
        return
    _asked.append((db, name))

    def read() -> None:
        from engine.store.identity import fingerprint

        for each in reads:
            # Another state of the file has caches of its own.
            if fingerprint(db.path) == db.version:
                with suppress(Exception):
                    each()

    threading.Thread(target=read, name="ahead", daemon=True).start()


def look() -> None:
    """Ask for what the home page shows when it is opened without a wish, and draw it once for nobody."""
    from dashboard import figures
    from dashboard.data import infos, queries

    db, x = queries.state(), "output_tokens"
    if queries.trouble(db) is None:
        study = queries.study_choices(db)[0]
        task = queries.study_tasks(db, study)[0]
        ids = tuple(sorted(set(queries.cells(db, study=study, task=task)["condition_id"])))
        # Every argument as the page has it: the caches share only what was asked for in the same words.
        selection = queries.Selection(x, task, "staircase", None, ids, study=study)
        most, least = (float(text) if text else None for text in infos.first_handles(db, study, task, x))
        handles = figures.Handles(most, None if least is None else least / 100)
        queries.decision(db, selection, handles.most, handles.least)
        figures.frontier_figure(infos.frontier_info(db, selection, handles, False, "wide")).to_dict()


def _get_ready() -> None:
    try:
        # What goes wrong here goes wrong again on the page, and is explained there.
        with suppress(Exception):
            _await_server()
            _served.set()
            modules.load()
            with modules.drawing():
                look()
    finally:
        # Streamlit collects garbage behind every run of a page, and would walk through all that was imported each time.
        memory.keep()


def _await_server() -> None:
    """Until the server answers: work done earlier would only keep it from getting there.

    A connection alone says nothing: the port listens long before anybody reads from it."""
    from streamlit import get_option, runtime

    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        # Options asked for before the server exists would be read without its flags.
        with suppress(OSError, HTTPException):
            if runtime.exists():
                where = (get_option("server.address") or "localhost", get_option("server.port"))
                with closing(HTTPConnection(*where, timeout=PATIENCE_S)) as health:
                    health.request("GET", "/_stcore/health")
                    if health.getresponse().status == 200:
                        return
        time.sleep(0.02)
