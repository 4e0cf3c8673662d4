"""Rows of a benchmark's file as its publisher wrote them, lists and records included; nothing read is evaluated."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from engine.core.errors import UnknownName, UsageError
from engine.tasks.json_rows import lines, parsed

MOST_BYTES = 1_000_000_000
"""Of a Parquet file once it is unpacked."""
ENDINGS = (".csv", ".json", ".jsonl", ".parquet", ".tsv")


def rows(path: Path, columns: Sequence[str], head: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Each row by column. `head`: the columns of a table that has no head of its own.

    Raises UsageError with file and row for what cannot be read, UnknownName for a column that is not there."""
    if path.suffix.lower() not in ENDINGS:
        raise UnknownName("file ending", path.suffix, ENDINGS)
    if not path.is_file():
        raise UsageError(f"There is no file {str(path)!r}.")
    try:
        if path.suffix.lower() == ".parquet":
            yield from _parquet(path, columns)
            return
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"The file {str(path)!r} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"The file {str(path)!r} is not valid UTF-8.") from None
    listed = _table(path, text, head) if path.suffix.lower() in (".csv", ".tsv") else _objects(path, text)
    for number, row in enumerate(listed, start=1):
        for column in columns:
            if column not in row:
                raise UnknownName(f"{path.name} row {number} column", column, [str(name) for name in row])
        yield row


def _objects(path: Path, text: str) -> Iterator[dict[str, Any]]:
    """Rows of JSON, one a line or all in one list, which may be the only one of an object."""
    values: Any
    if path.suffix.lower() == ".jsonl":
        values = [parsed(path, line, number, as_written=False) for number, line in lines(text)]
    else:
        values = parsed(path, text, as_written=False)
    if isinstance(values, dict):
        values = next((value for value in values.values() if isinstance(value, list)), None)
    if not isinstance(values, list):
        raise UsageError(f"The file {str(path)!r} holds no list of rows.")
    for number, value in enumerate(values, start=1):
        if not isinstance(value, dict):
            raise UsageError(f"Row {number} of {str(path)!r} is not an object with columns.")
        yield value


def _table(path: Path, text: str, head: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Rows of a table; one without a head is TSV as it is written by hand, in which quotes are text."""
    csv.field_size_limit(MOST_BYTES)
    if path.suffix.lower() == ".tsv":
        cells = csv.reader(io.StringIO(text, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        cells = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        lines = [line for line in cells if any(cell.strip() for cell in line)]
    except csv.Error as error:
        raise UsageError(f"The file {str(path)!r} is not a valid table: line {cells.line_num}: {error}.") from None
    names = tuple(head) or tuple(lines[0] if lines else ())
    for number, line in enumerate(lines, start=1):
        if tuple(line) == names:
            continue
        if len(line) > len(names):
            raise UsageError(f"Row {number} of {str(path)!r} has {len(line)} cells, its head {len(names)}.")
        yield dict(zip(names, line, strict=False))


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """By Arrow's reader, which meets broken files with errors where others stop the whole process."""
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, memory_map=False) as table:
            names = table.schema_arrow.names
            for column in columns:
                if column not in names:
                    raise UnknownName(f"{path.name} column", column, names)
            meta = table.metadata
            size = sum(meta.row_group(at).total_byte_size for at in range(meta.num_row_groups))
            if size > MOST_BYTES:
                raise UsageError(f"The file {str(path)!r} unpacks to more than {MOST_BYTES:,} bytes.")
            # All columns: a study may group by one that the benchmark does not need. Pictures are no text.
            plain = [name for name in names if name in columns or not _binary(table.schema_arrow.field(name).type)]
            for batch in table.iter_batches(batch_size=1024, columns=plain):
                yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, IndexError, OverflowError) as error:
        why = (str(error).strip().splitlines() or ["it cannot be parsed"])[0].rstrip(".")[:160]
        raise UsageError(f"The file {str(path)!r} is not a valid Parquet file: {why}.") from None


def _binary(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_struct(kind) and any(types.is_binary(kind.field(at).type) for at in range(kind.num_fields)))
