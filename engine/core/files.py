"""Small files that are replaced whole: the one writer of them, what a killed one leaves, and why a disk refused.

A reader sees the old content or the new one, never half of either, also after a power cut. A half-made file is called
after its target, the process and chance (`.name.pid.hex`), so that whoever comes next can tell and remove it.
"""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

LONGEST_NAME_BYTES = 200
"""Of the name of a database: its log, its runs and its half-made files are called after it, and a name has 255."""
FULL_BYTES = 64 << 10
"""Free bytes of a disk below which it counts as full: no small file of a run is larger."""
_PART = re.compile(r"\.(?:(.+)\.(\d+)\.[0-9a-f]{8}(?:\.wal)?|(status)\.(\d+))", re.DOTALL)
"""Names of half-made files; the second form is an earlier release's."""
_WHY = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "this user's share of the disk is full",
    errno.EFBIG: "a file may grow no larger here",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "this user may not do that there",
    errno.EPERM: "this user may not do that there",
    errno.ENAMETOOLONG: "the name is too long",
}


def cache_folder() -> Path:
    """Where fetched files are kept: the user's cache, XDG_CACHE_HOME where it is set."""
    windows = os.environ.get("LOCALAPPDATA") if sys.platform == "win32" else None
    return Path(os.environ.get("XDG_CACHE_HOME") or windows or Path.home() / ".cache") / "budgetscope"


def replace(path: Path, content: str | bytes) -> None:
    """Write a file, or put another in its place, in one step that survives a power cut. Raises OSError, and then what
    was there stays."""
    part = part_of(path)
    try:
        with part.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        # No file: it has its name. Another trouble than the one that is being told would hide that.
        with suppress(OSError):
            part.unlink()


def part_of(path: Path) -> Path:
    """A name that nobody has, in the same folder, for what is to become this file or folder."""
    return path.with_name(f".{path.name}.{os.getpid()}.{random.getrandbits(32):08x}")


def leftovers(folder: Path, of: Callable[[str], bool] = lambda _: True) -> list[Path]:
    """Half-made files and folders of processes that are gone, for targets whose name fits `of`."""
    paths = sorted(folder.glob(".*")) if folder.is_dir() else ()
    return [
        path
        for path in paths
        if (match := _PART.fullmatch(path.name)) and of(match[1] or match[3]) and _is_gone(int(match[2] or match[4]))
    ]


def sweep(folder: Path, of: Callable[[str], bool] = lambda _: True) -> None:
    """Delete them; one that cannot be deleted stays and harms nobody."""
    for path in leftovers(folder, of):
        with suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def why(error: OSError) -> str:
    """What the system says, as the middle of a sentence."""
    return _WHY.get(error.errno or 0) or (error.strerror or str(error)).lower()


def is_full(folder: Path) -> bool:
    """Whether the disk under a folder has no room for another small file; False where that cannot be told."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    # Some file systems count no inodes at all.
    return disk.f_bavail * disk.f_frsize < FULL_BYTES or (disk.f_files > 0 and disk.f_favail == 0)


def _is_gone(pid: int) -> bool:
    try:
        # Signal 0 only asks whether there is such a process.
        os.kill(pid, 0)
    except PermissionError:
        # It lives, as somebody else's.
        return False
    except (OSError, OverflowError):
        return True
    return False
