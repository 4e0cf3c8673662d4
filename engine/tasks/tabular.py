"""Reads chosen columns of a table file as text; knows formats and their limits, nothing of questions.

Every cell comes back as the text it was written as, None when it is missing. Nothing read is ever evaluated.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import UnknownName, UsageError, shortened

if TYPE_CHECKING:
    import polars as pl

MOST_BYTES = 200_000_000
MOST_ROWS = 1_000_000
Cells = tuple[str | None, ...]


def read_rows(path: Path, columns: Sequence[str]) -> list[Cells]:
    """The cells of `columns` for every row, in file order.

    Raises UnknownName for an ending or a column we do not know, UsageError, with file and row, for anything else: no
    such file, more than 200 MB or 1,000,000 rows, not UTF-8, not parseable, a cell that holds a list or an object.
    Rows of CSV and TSV files with nothing in them are left out."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UnknownName("file ending", path.suffix, _READERS)
    try:
        _check_file(path)
        rows = list(_limited(path, reader(path, columns)))
    except OSError as error:
        raise UsageError(f"The file {str(path)!r} cannot be read: {error.strerror or error}.") from None
    return rows


def _check_file(path: Path) -> None:
    if not path.exists():
        raise UsageError(f"There is no file {str(path)!r}.")
    if not path.is_file():
        raise UsageError(f"{str(path)!r} is not a file.")
    if path.stat().st_size > MOST_BYTES:
        raise UsageError(f"The file {str(path)!r} has {path.stat().st_size:,} bytes; at most {MOST_BYTES:,} are read.")


def _limited(path: Path, rows: Iterator[Cells]) -> Iterator[Cells]:
    for number, row in enumerate(rows, start=1):
        if number > MOST_ROWS:
            raise UsageError(f"The file {str(path)!r} has more than {MOST_ROWS:,} rows.")
        yield row


def _decoded(path: Path) -> str:
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UsageError(f"Line {line} of {str(path)!r} is not valid UTF-8; save the file as UTF-8.") from None


def _lines(path: Path, columns: Sequence[str]) -> Iterator[Cells]:
    row = 0
    for number, line in enumerate(_decoded(path).split("\n"), start=1):
        if line.strip():
            row += 1
            yield _picked(path, _parsed(path, line, f"line {number}"), columns, row)


def _document(path: Path, columns: Sequence[str]) -> Iterator[Cells]:
    rows = _parsed(path, _decoded(path), "it")
    if isinstance(rows, dict):
        lists = [value for value in rows.values() if isinstance(value, list)]
        if len(lists) != 1:
            raise UsageError(f"The object in {str(path)!r} holds {len(lists)} lists; rows are read from exactly one.")
        rows = lists[0]
    if not isinstance(rows, list):
        raise UsageError(f"The file {str(path)!r} holds no list of rows.")
    for number, row in enumerate(rows, start=1):
        yield _picked(path, row, columns, number)


def _parsed(path: Path, text: str, where: str) -> Any:
    """JSON with numbers left as they are written."""
    try:
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except ValueError as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "it cannot be parsed"
        raise UsageError(f"The file {str(path)!r} is not valid JSON: {where}: {reason}.") from None
    except RecursionError:
        raise UsageError(f"The file {str(path)!r} is not valid JSON: {where} is nested too deeply.") from None


def _picked(path: Path, row: Any, columns: Sequence[str], number: int) -> Cells:
    if not isinstance(row, dict):
        raise UsageError(f"Row {number} of {str(path)!r} is not an object with columns.")
    for column in columns:
        if column not in row:
            raise _no_column(path, column, list(row), number)
    return tuple(_text(path, row[column], column, number) for column in columns)


def _no_column(path: Path, column: str, known: Sequence[str], number: int | None = None) -> UsageError:
    where = f"{path.name} row {number}" if number else path.name
    return UnknownName(f"{where} column", column, known)


def _text(path: Path, cell: Any, column: str, number: int) -> str | None:
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, list | dict | bytes | tuple):
        raise UsageError(f"Row {number} of {str(path)!r} holds no plain text in {column!r}.")
    return str(cell)


def _separated(separator: str) -> Callable[[Path, Sequence[str]], Iterator[Cells]]:
    def read(path: Path, columns: Sequence[str]) -> Iterator[Cells]:
        records = _records(path, separator)
        head = next((cells for cells in records if _filled(cells)), [])
        for column in columns if head else ():
            if column not in head:
                raise _no_column(path, column, head)
        places = [head.index(column) for column in columns if head]
        for number, cells in enumerate(filter(_filled, records), start=1):
            if len(cells) > len(head):
                raise UsageError(f"The file {str(path)!r} is not a valid table: row {number} has {len(cells)} cells, "
                                 f"its head {len(head)}.")  # fmt: skip
            yield tuple(cells[at] if at < len(cells) else None for at in places)

    return read


def _filled(cells: Sequence[str]) -> bool:
    return any(cell.strip() for cell in cells)


def _records(path: Path, separator: str) -> Iterator[list[str]]:
    """The lines of a separated file as cells; an open quote would swallow the rest of the file, so it is refused."""
    csv.field_size_limit(MOST_BYTES)
    records = csv.reader(io.StringIO(_decoded(path), newline=""), delimiter=separator, strict=True)
    line = 1
    try:
        for cells in records:
            yield cells
            line = records.line_num + 1
    except csv.Error as error:
        reason = "a quote is opened and never closed" if "end of data" in str(error) else _first_line(error)
        raise UsageError(f"The file {str(path)!r} is not a valid table: line {line}: {reason}.") from None


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[Cells]:
    import polars as pl

    try:
        known = pl.read_parquet_schema(path)
        for column in columns:
            _check_type(path, column, known)
        frame = pl.read_parquet(path, columns=sorted(set(columns)), n_rows=MOST_ROWS + 1)
    except pl.exceptions.PolarsError as error:
        raise UsageError(f"The file {str(path)!r} is not a valid Parquet file: {_first_line(error)}.") from None
    series = [frame.get_column(column) for column in columns]
    for at in range(frame.height):
        cells = zip(series, columns, strict=True)
        yield tuple(_text(path, column[at], name, at + 1) for column, name in cells)


def _check_type(path: Path, column: str, known: Mapping[str, pl.DataType]) -> None:
    import polars as pl

    if column not in known:
        raise _no_column(path, column, list(known))
    kind = known[column]
    if kind.is_nested() or kind in (pl.Binary, pl.Object):
        raise UsageError(f"Column {column!r} of {str(path)!r} holds {shortened(str(kind))} values, not plain text.")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["it cannot be parsed"])[0].rstrip(".")[:160]


_READERS: dict[str, Callable[[Path, Sequence[str]], Iterator[Cells]]] = {
    ".csv": _separated(","),
    ".json": _document,
    ".jsonl": _lines,
    ".parquet": _parquet,
    ".tsv": _separated("\t"),
}
