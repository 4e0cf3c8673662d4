"""Files that need not survive a power cut, since no test cuts the power: what a process wrote stands in the system's
memory, also when the process is killed. Waiting for a disk takes a run of one trial as long as all else it does.

And one thread for each instance of DuckDB: tests run on all processors already, and a query over a few thousand rows is
planned for several threads before there turns out to be work for one.

And what a process reads as it starts: freed memory that is kept at hand for who asks next, since a plan of DuckDB's is a
hundred thousand small pieces, and one thread for products of matrices, as the dashboard has it.
"""

from __future__ import annotations

import os

from engine.store import instances


def files() -> None:
    """From now on this process waits for no disk; the processes that it starts do, as users' do."""
    os.fsync = _written  # type: ignore[assignment]
    instances.OPEN.update(fsync_mode="none", threads="1")


def started() -> None:
    """Processes started from now on, workers of the tests among them, take a twentieth less of a processor."""
    # Free pieces of each small size and thread, where glibc hands memory out; of seven, its own number, most are gone.
    os.environ.setdefault("GLIBC_TUNABLES", "glibc.malloc.tcache_count=2000")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _written(_: object) -> None:
    """As `os.fsync` on a disk that takes no time."""
