"""The interpreter's search for cycles, made rare while very many objects come to stay.

Planning two million trials spends a third of its time on walking over those it has made, and a run an eighth on all
that litellm keeps alive; in neither is there a cycle worth finding soon.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_GUARD = threading.Lock()
_RARE = (100_000, 50, 100)
_users = 0
_before: tuple[int, int, int] = gc.get_threshold()
_kept = False


def wait() -> None:
    """No search before `keep`: a process that starts imports for seconds and leaves a megabyte to be found."""
    gc.disable()


def keep() -> None:
    """What is there now stays as long as the process: no search walks through it again."""
    global _kept
    with _GUARD:
        gc.freeze()
        gc.enable()
        # Told here: Python counts what is frozen by walking through it.
        _kept = True


@contextmanager
def rare_collections() -> Iterator[None]:
    """Look for cycles rarely inside the block; blocks may overlap, in any thread."""
    global _users, _before
    with _GUARD:
        _users += 1
        if _users == 1:
            _before = gc.get_threshold()
            # What was imported lives as long as the process; only what comes now is worth looking at.
            if not _kept:
                gc.freeze()
            gc.set_threshold(*_RARE)
    try:
        yield
    finally:
        with _GUARD:
            _users -= 1
            if not _users:
                gc.set_threshold(*_before)
                if not _kept:
                    gc.unfreeze()
