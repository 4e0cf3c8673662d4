"""An archive: a study as a folder of Parquet files, one a table, that is read in place as if it were a database.

`archive.json` says which files belong to it, with rows, bytes, columns and SHA-256 of each; it is written last, so that
a folder without it is no archive. Sizes and columns are looked at whenever an archive is opened, hashes where it is
read to its end. Nothing in it is ever changed.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from engine.core import codec, files
from engine.core.errors import NewerDatabase, NotADatabase
from engine.core.records import Count, Moment
from engine.store.sql import Connection, quoted

MANIFEST = "archive.json"
FORMAT = 1
_TABLE = re.compile(r"[a-z_]{1,40}")


@dataclass(frozen=True, slots=True)
class File:
    """One table of an archive."""

    rows: Count
    bytes: Count
    sha256: str
    columns: tuple[tuple[str, str], ...]
    """Name and DuckDB type, in order."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive says of itself."""

    study: str
    archived_at: Moment
    trials: Count
    runs: tuple[str, ...]
    """Ids of the study's own runs."""
    files: Mapping[str, File]
    """By table."""
    format: Annotated[int, Meta(ge=1)] = FORMAT

    @property
    def bytes(self) -> int:
        """All its files together."""
        return sum(file.bytes for file in self.files.values())


def is_archive(path: Path) -> bool:
    """Whether a path is a folder that says it is an archive."""
    return (path / MANIFEST).is_file()


def manifest(folder: Path) -> Manifest:
    """What an archive says of itself, and that its files are there. Raises NotADatabase or NewerDatabase."""
    try:
        said = codec.parsed((folder / MANIFEST).read_bytes())
        if isinstance(said, dict) and isinstance(number := said.get("format"), int) and number > FORMAT:
            raise NewerDatabase(
                f"{folder} is an archive of format {number} and this Budgetscope knows up to {FORMAT}; upgrade it with "
                "`pip install -U budgetscope`."
            )
        kept = codec.record(Manifest, said)
    except OSError as error:
        raise NotADatabase(f"{folder} is no archive that can be read ({files.why(error)}).") from None
    except ValueError:
        raise _damaged(folder, f"its {MANIFEST} cannot be read") from None
    if odd := next((table for table in kept.files if not _TABLE.fullmatch(table)), None):
        raise _damaged(folder, f"its {MANIFEST} names a table {odd[:40]!r}")
    for table, file in kept.files.items():
        path = file_of(folder, table)
        # A link would be read wherever it leads.
        if path.is_symlink() or not path.is_file():
            raise _damaged(folder, f"{path.name} is missing")
        if (size := path.stat().st_size) != file.bytes:
            raise _damaged(folder, f"{path.name} has {size:,} bytes of {file.bytes:,}")
    return kept


def file_of(folder: Path, table: str) -> Path:
    """Where a table lies."""
    return folder / f"{table}.parquet"


def paths(folder: Path) -> list[str]:
    """The files of an archive, as DuckDB is allowed to read them."""
    return [str(file_of(folder.resolve(), table)) for table in manifest(folder).files]


def attach(connection: Connection, folder: Path, name: str) -> None:
    """Make an archive's tables views of a database `name` of this connection. Raises NotADatabase."""
    kept = manifest(folder)
    connection.execute(f"attach ':memory:' as {name}")
    for table in kept.files:
        path = quoted(str(file_of(folder.resolve(), table)))
        connection.execute(f"create view {name}.main.{table} as select * from read_parquet({path})")
    there: dict[str, list[tuple[str, str]]] = {}
    sql = (
        "select table_name, column_name, data_type from duckdb_columns() where database_name = ? order by column_index"
    )
    for table, column, kind in connection.execute(sql, [name]).fetchall():
        there.setdefault(table, []).append((column, kind))
    for table, file in kept.files.items():
        if tuple(there.get(table, ())) != file.columns:
            raise _damaged(folder, f"{table}.parquet is not the file that was archived")


def write(connection: Connection, folder: Path, study: str, runs: tuple[str, ...], now: datetime) -> Manifest:
    """Write all tables of an open database into an empty folder, and what they are beside them, down to the disk."""
    tables: dict[str, list[tuple[str, str]]] = {}
    sql = "select table_name, column_name, data_type from duckdb_columns() where not internal order by column_index"
    for table, column, kind in connection.execute(sql).fetchall():
        tables.setdefault(table, []).append((column, kind))
    kept: dict[str, File] = {}
    for table, columns in sorted(tables.items()):
        path = file_of(folder, table)
        connection.execute(f"copy {table} to {quoted(str(path))} (format parquet, compression zstd)")
        ((rows,),) = connection.execute(f"select count(*) from {table}").fetchall()
        kept[table] = File(rows, path.stat().st_size, _hashed(path), tuple(columns))
    done = Manifest(study, now, kept["trials"].rows, runs, kept)
    files.replace(folder / MANIFEST, codec.dumped(codec.jsonable(done)))
    return done


def damage(folder: Path) -> str | None:
    """What is wrong with an archive that is read to its end; None: nothing."""
    for table, file in manifest(folder).files.items():
        if _hashed(file_of(folder, table)) != file.sha256:
            return f"{table}.parquet is not the file that was archived"
    return None


def _hashed(path: Path) -> str:
    """The SHA-256 of a file, which is on the disk by then."""
    with path.open("rb") as file:
        whole = hashlib.file_digest(file, "sha256")
        os.fsync(file.fileno())
    return whole.hexdigest()


def _damaged(folder: Path, why: str) -> NotADatabase:
    return NotADatabase(f"{folder} is a damaged archive: {why}; restore it from a copy.")
