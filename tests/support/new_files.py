"""New databases as copies of the first one a process makes: hundreds of tests begin with one, and each would run all
statements of the schema again."""

from __future__ import annotations

import tempfile
from pathlib import Path

from engine.store import database

made = database._make
"""Makes one as users get it, statement by statement."""


def copied(*, at_once: bool = False) -> None:
    """From now on the first new file is made, and every later one is that file's bytes; `at_once`: it is made here, for
    processes that are forked from this one."""
    content = b""

    def copy(path: Path) -> None:
        nonlocal content
        if not content:
            made(path)
            content = path.read_bytes()
        else:
            path.write_bytes(content)

    database._make = copy
    if at_once:
        with tempfile.TemporaryDirectory() as folder:
            copy(Path(folder) / "first.duckdb")
