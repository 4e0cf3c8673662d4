"""Instances of DuckDB that outlive the blocks that read a file: making one costs ten times what attaching a file does.

One for each of the files used last, which opens that file alone. Knows no table, no lock and no schema.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from engine.store import parquet
from engine.store.identity import fingerprint, identity_of
from engine.store.sql import Connection, quoted

# A database file may name an extension, and SQL may read any file: neither is allowed to what somebody sent us.
OPEN = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
_IDLE = 4
"""Instances that are kept for the next block; a process seldom has more files in use."""
_HEAVY = 2**27
"""Bytes of a file in memory, from which on an instance makes way for a new one as well: what it took for blocks, and
for sums on the way, it keeps though the file is detached (250 MB after a list of 400,000 answers)."""
_WORN = 32
"""Connections after which an instance makes way for a new one (some 20 ms): DuckDB remembers each block of memory it
ever handed out, 40 MB of them after 300 readings of a small database."""


class Instance:
    """DuckDB without a file, which may open one path alone: attached with its first user, detached with its last.

    Who wants to write is alone with it, who reads may share it: the file's readers-writer lock sees to that."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._guard = threading.Lock()
        self._root: Connection | None = None
        self._spills = f"{path}.tmp"
        self._archive = parquet.is_archive(Path(path))
        self._memory_mb: int | None = None
        self.users = 0
        """Blocks that have it now or wait for the file; with none it may be closed."""
        self._attached = 0
        self._writes = False
        self._lent = 0
        """Connections since it was started."""

    def connect(self, read_only: bool) -> Connection:
        """A connection whose tables are the file's; raises DuckDB's error where the file cannot be had."""
        with self._guard:
            if (root := self._root) is None:
                root, self._lent = self._start(), 0
            # An archive is there from the start: it is never held for writing.
            if not self._attached and not self._archive:
                self._attach(root, "type duckdb, read_only" if read_only else "type duckdb")
                self._writes = not read_only
            self._attached += 1
            self._lent += 1
            connection = root.cursor()
        connection.execute("use budgetscope")
        return connection

    def hold_to(self, memory_mb: int | None, connection: Connection) -> None:
        """From now on so much in memory, unless others have the file too; None: most of what the machine has."""
        with self._guard:
            if memory_mb != self._memory_mb and (memory_mb is None or self._attached == 1):
                connection.execute(f"set memory_limit = '{memory_mb}MB'" if memory_mb else "reset memory_limit")
                self._memory_mb = memory_mb

    def _attach(self, root: Connection, kind: str) -> None:
        """The file that has the name now: it may be written anew while it is being opened (`rewrite`)."""
        while True:
            before = identity_of(self._path)
            # Its kind is said, else DuckDB looks for an extension that reads a file which is none of its own.
            root.execute(f"attach {quoted(self._path)} as budgetscope ({kind})")
            if before == identity_of(self._path):
                return
            root.execute("detach budgetscope")

    def leave(self, connection: Connection) -> None:
        """Close a connection, which ends its transaction; with the last one the file is free for others."""
        connection.close()
        with self._guard:
            self._attached -= 1
            if self._attached or self._root is None:
                return
            much = self._read_much(self._root)
            if not self._archive:
                try:
                    self._root.execute("detach budgetscope")
                except duckdb.Error:
                    # What was committed stands in the log, as when a file is closed and there is no room to write it.
                    self.close()
                    return
            if much and not Path(self._spills).exists():
                # Beside what goes on: giving back a gigabyte takes half a second.
                threading.Thread(target=self._taken().close, name="gives memory back").start()
            elif much or self._lent > _WORN:
                # In place where it spilled: it ends by clearing that folder, in which the next one may write.
                self.close()

    def _read_much(self, root: Connection) -> bool:
        # A run that stores reads the same again every second, and would start anew each time.
        if self._writes:
            return False
        # Asking takes as long as attaching does, and of a small file there is not so much.
        if not self._archive and fingerprint(self._path)[0] < _HEAVY:
            return False
        ((held,),) = root.execute("select sum(memory_usage_bytes) from duckdb_memory()").fetchall()
        return int(held) > _HEAVY

    def close(self) -> None:
        """End it, if there is one."""
        if self._root is not None:
            self._taken().close()

    def _taken(self) -> Connection:
        root, self._root, self._memory_mb = self._root, None, None
        assert root is not None
        return root

    def _start(self) -> Connection:
        root = duckdb.connect(config={**OPEN, "temp_directory": self._spills})
        try:
            if self._archive:
                parquet.attach(root, Path(self._path), "budgetscope")
                allowed = parquet.paths(Path(self._path))
            else:
                allowed = own_paths(self._path)
            # In this order: access cannot be widened again.
            root.execute(f"set allowed_paths = [{', '.join(map(quoted, allowed))}]")
            root.execute("set enable_external_access = false")
        except BaseException:
            root.close()
            raise
        self._root = root
        return root


_GUARD = threading.Lock()
_INSTANCES: dict[str, Instance] = {}
"""By path, the one used last at the end."""


@contextmanager
def instance_of(path: Path) -> Iterator[Instance]:
    """The process's instance for a file; of those in nobody's hands the `_IDLE` used last are kept."""
    # As DuckDB calls it, which follows links before it asks whether it may.
    file = str(path.resolve())
    # An archive that was restored and made again has the name of the one before.
    name = f"{file}?{(path / parquet.MANIFEST).stat().st_mtime_ns}" if parquet.is_archive(path) else file
    with _GUARD:
        instance = _INSTANCES.pop(name, None) or Instance(file)
        _INSTANCES[name] = instance
        instance.users += 1
    try:
        yield instance
    finally:
        with _GUARD:
            instance.users -= 1
            idle = [name for name, each in _INSTANCES.items() if not each.users]
            closing = [_INSTANCES.pop(name) for name in idle[:-_IDLE]]
        for each in closing:
            each.close()


def own_paths(file: str) -> list[str]:
    """What DuckDB opens of a database: the file itself and its logs."""
    return [f"{file}{tail}" for tail in ("", ".wal", ".wal.checkpoint", ".wal.recovery")]
