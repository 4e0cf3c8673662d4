"""Which file a path names now, and whether it changed; looks at the file system alone."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from engine.store import parquet


def fingerprint(path: Path | str) -> tuple[int, int, int, int]:
    """Size and mtime (ns) of the file and of its write-ahead log; zeros where there is none."""
    return (*_size_and_time(str(path)), *_size_and_time(f"{path}.wal"))


def _size_and_time(path: str) -> tuple[int, int]:
    if os.path.isdir(path):
        path = os.path.join(path, parquet.MANIFEST)
    with suppress(OSError):
        status = os.stat(path)
        return status.st_size, status.st_mtime_ns
    return 0, 0


def identity(path: Path | str) -> tuple[int, int]:
    """Device and number of the file; raises OSError where there is none."""
    status = os.stat(path)
    return status.st_dev, status.st_ino


def identity_of(path: Path | str) -> tuple[int, int] | None:
    """As `identity`; None: there is no such file."""
    with suppress(OSError):
        return identity(path)
    return None
