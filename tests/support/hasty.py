"""Files that need not survive a power cut, since no test cuts the power: what a process wrote stands in the system's
memory, also when the process is killed. Waiting for a disk takes a run of one trial as long as all else it does.

And one thread for each instance of DuckDB: tests run on all processors already, and a query over a few thousand rows is
planned for several threads before there turns out to be work for one.

And memory that is given back is kept for who asks next: a plan of DuckDB's is a hundred thousand small pieces, and of all
but seven of a size the C library would look for a better place each time.
"""

from __future__ import annotations

import os

from engine.store import instances


def files() -> None:
    """From now on this process waits for no disk; the processes that it starts do, as users' do."""
    os.fsync = _written  # type: ignore[assignment]
    instances.OPEN.update(fsync_mode="none", threads="1")


def memory() -> None:
    """Processes started from now on, workers of the tests among them, keep 2,000 free pieces of each small size at hand
    in every thread, where glibc hands memory out: DuckDB takes a twelfth less of a processor. It reads this as it starts."""
    os.environ.setdefault("GLIBC_TUNABLES", "glibc.malloc.tcache_count=2000")


def _written(_: object) -> None:
    """As `os.fsync` on a disk that takes no time."""
