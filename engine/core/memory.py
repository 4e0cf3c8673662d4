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
_froze = False


@contextmanager
def rare_collections() -> Iterator[None]:
    """Look for cycles rarely inside the block; blocks may overlap, in any thread."""
    global _users, _before, _froze
    with _GUARD:
        _users += 1
        if _users == 1:
            _before = gc.get_threshold()
            # What was imported lives as long as the process; only what comes now is worth looking at. A process that
            # has seen to that itself keeps what it froze.
            _froze = gc.get_freeze_count() == 0
            if _froze:
                gc.freeze()
            gc.set_threshold(*_RARE)
    try:
        yield
    finally:
        with _GUARD:
            _users -= 1
            if not _users:
                gc.set_threshold(*_before)
                if _froze:
                    gc.unfreeze()
