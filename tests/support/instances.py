"""Instances of DuckDB that go from file to file: a test opens a file or two of its own, and making an instance for it
costs as much as ten questions do."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb

from engine.store import instances
from engine.store.sql import Connection, quoted

_MOST = 4
"""Instances that wait for their next file."""


def shared() -> None:
    """From now on an instance that would be closed is kept for another file below the folder of temporary files. It may
    open all of them, and nothing else; archives and files from elsewhere have one of their own, as they have without."""
    start, close = instances.Instance._start, instances.Instance.close
    folder = str(Path(tempfile.gettempdir()).resolve())
    free: list[Connection] = []
    roaming: dict[int, Connection] = {}

    def fetched(instance: instances.Instance) -> Connection:
        if instance._archive or not instance._path.startswith(f"{folder}/"):
            return start(instance)
        root = free.pop() if free else _roaming(folder)
        instance._root = roaming[id(root)] = root
        return root

    def given_back(instance: instances.Instance) -> None:
        root = instance._root
        if root is None or id(root) not in roaming or len(free) == _MOST or _holds(root):
            close(instance)
            roaming.pop(id(root), None)
        else:
            instance._root = None
            free.append(root)

    for name, own in (("_start", fetched), ("close", given_back)):
        setattr(instances.Instance, name, own)


def _roaming(folder: str) -> Connection:
    spilled = {"temp_directory": f"{folder}/budgetscope-spilled"}
    root = duckdb.connect(config={**instances.OPEN, **spilled})
    root.execute(f"set allowed_directories = [{quoted(folder)}]")
    root.execute("set enable_external_access = false")
    return root


def _holds(root: Connection) -> bool:
    """Whether it could not let go of its file."""
    return bool(root.execute("select 1 from duckdb_databases() where database_name = 'budgetscope'").fetchall())
