"""The interpreter's search for cycles, made rare while very many objects come to stay; and the allocator's pools.

Planning two million trials spends a third of its time on walking over those it has made, and a run an eighth on all
that litellm keeps alive; in neither is there a cycle worth finding soon.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_GUARD = threading.Lock()
_RARE = (100_000, 50, 100)
_M_ARENA_MAX = -8
"""As glibc's malloc.h numbers it."""
_users = 0
_before: tuple[int, int, int] = gc.get_threshold()
_kept = False


def few_pools() -> None:
    """Two pools of memory for all threads of a server, where glibc hands it out: left to itself it makes eight for each
    processor, and what a thread's frames leave free in one is of no use to the next thread, which gets another."""
    # Other C libraries have no such call, and no such pools.
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_ARENA_MAX, 2)


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
