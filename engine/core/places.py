"""Where results are: which database is meant when none is named, what stands in for a demo, and names that cannot be.

Opens nothing: a command that only starts the dashboard does not wait for what reads databases.
"""

from __future__ import annotations

import os
from pathlib import Path

from engine.core import files, shipped
from engine.core.errors import StoreError, shortened

FOLDER = "BUDGETSCOPE_FOLDER"
"""Variable with the folder a dashboard was started in, which its own process has left."""


def default_path(cwd: Path | str = ".") -> Path:
    """BUDGETSCOPE_DB, else results.local.duckdb where it exists, else results.duckdb, else the demo of the package."""
    if named := os.environ.get("BUDGETSCOPE_DB"):
        return Path(named)
    local, here = Path(cwd) / "results.local.duckdb", Path(cwd) / "results.duckdb"
    if local.exists():
        return local
    return here if here.exists() else shipped.demo() or here


def local_copy(demo: Path) -> Path:
    """Where results go in place of a demo: beside it, or to the working folder from inside the package."""
    name = f"{demo.stem}.local.duckdb"
    inside = shipped.demo()
    if inside is None or demo.resolve() != inside:
        return demo.with_name(name)
    return Path(os.environ.get(FOLDER) or ".") / name


def refuse_by_name(path: Path) -> None:
    """Raise StoreError for a path that DuckDB would read as another, or beside which nothing can be kept."""
    whole = str(path.absolute())
    # What follows a ? is a list of options to DuckDB, and a backslash is a slash.
    odd = next((f"a {sign}" for sign in "?\\" if sign in whole), None)
    if whole.endswith(".wal"):
        odd = "the ending of a database's own log (.wal)"
    elif not odd and whole != whole.encode("utf-8", "replace").decode():
        odd = "letters that are no UTF-8"
    if odd:
        raise StoreError(f"{path} has {odd} in its path, which the database cannot keep; choose another name.")
    if (size := len(os.fsencode(path.name))) > files.LONGEST_NAME_BYTES:
        raise StoreError(
            f"The name of the database has {size:,} bytes, and the most is {files.LONGEST_NAME_BYTES}: its log and "
            "its runs are called after it; choose a shorter one."
        )
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        # What is missing is said where it is needed.
        return
    except OSError as error:
        raise StoreError(f"The database {shortened(str(path))} cannot be reached: {files.why(error)}.") from None
