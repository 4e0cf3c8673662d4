"""Reads chosen columns of a table file as text; knows formats and their limits, nothing of questions.

Every cell comes back as the text it was written as, None when it is missing. Nothing read is ever evaluated. Limits
hold for what a file unpacks to: a few packed bytes may stand for gigabytes. What separates the cells of a .csv file is
found in its first lines; of a workbook the first sheet with anything in it is read.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import math
import mmap
import re
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from engine.core.errors import UnknownName, UsageError, shortened
from engine.tasks import old_workbooks

# Both hold for what is packed and for what it unpacks to.
MOST_BYTES = 200_000_000
MOST_ROWS = 1_000_000
Cells = tuple[str | None, ...]
Rows = Callable[[Path, Sequence[str], int, Collection[str]], Iterator[Cells | UsageError]]
"""A row that cannot be read is the sentence that says why."""
SEPARATORS = (",", ";", "\t", "|")
_LOOKED_AT = 20
"""Rows that what separates cells is found in."""


class Kind(NamedTuple):
    """How files of one ending are read."""

    rows: Rows
    names: Callable[[Path], list[str]]


def read_rows(
    path: Path,
    columns: Sequence[str],
    *,
    lists: Collection[str] = (),
    bad: list[UsageError] | None = None,
    most_rows: int = MOST_ROWS,
    most_bytes: int = MOST_BYTES,
) -> list[Cells]:
    """The cells of `columns` for every row, in file order; no columns: as many empty rows as there are rows.

    Of the columns named by `lists` a list of texts is taken too, as JSON; so is one below the key text of an object,
    and a list of turns, objects with role and content. With `bad` a row that cannot be read is an empty one, and why is
    added there; without it the first ends all.

    Raises UnknownName for an ending or a column we do not know, UsageError, with file and row, for anything else: no
    such file, more bytes (packed or unpacked) or rows than allowed, not UTF-8, not parseable, a cell that holds a list
    or an object. Rows of CSV and TSV files with nothing in them are left out."""
    rows, size = list[Cells](), 0
    with _readable(path, most_bytes) as kind:
        for row in kind.rows(path, columns, most_bytes, lists):
            if isinstance(row, UsageError):
                if bad is None:
                    raise row
                bad.append(row)
                row = ()
            # Row by row, so that a packed file is given up at a limit and not after the whole of it.
            size += sum(len(cell) for cell in row if cell)
            if len(rows) == most_rows:
                raise UsageError(f"The file {str(path)!r} has more than {most_rows:,} rows.")
            if size > most_bytes:
                raise _too_much(path, most_bytes)
            rows.append(row)
    return rows


def column_names(path: Path, most_bytes: int = MOST_BYTES) -> list[str]:
    """The columns of a table file, by its head or its first row; empty when it has none. Raises as `read_rows`."""
    with _readable(path, most_bytes) as kind:
        names = kind.names(path)
    if any(not _whole(name) for name in names):
        raise UsageError(f"A column of {str(path)!r} has half a character in its name; mend the file.")
    return names


@contextmanager
def _readable(path: Path, most_bytes: int) -> Iterator[Kind]:
    """The kind of a file that is there and not too large; what the file system refuses becomes a sentence."""
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise UnknownName("file ending", path.suffix, _KINDS)
    try:
        if not path.exists():
            raise UsageError(f"There is no file {str(path)!r}.")
        if not path.is_file():
            raise UsageError(f"{str(path)!r} is not a file.")
        size = path.stat().st_size
        if size > most_bytes:
            raise UsageError(f"The file {str(path)!r} has {size:,} bytes; at most {most_bytes:,} are read.")
        yield kind
    except (OSError, MemoryError) as error:
        why = getattr(error, "strerror", None) or _first_line(error)
        raise UsageError(f"The file {str(path)!r} cannot be read: {why}.") from None


def encoding_of(head: bytes) -> str:
    """How a text file is written, by its first bytes: a mark, or the empty half of its first letter; else UTF-8."""
    if head[:4] in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
        return "utf-32"
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    if head[:1] and head[1:2] == b"\0" != head[:1]:
        return "utf-16-le"
    if head[:1] == b"\0" != head[1:2]:
        return "utf-16-be"
    # Spreadsheets write a mark before UTF-8 too, which is no part of the first column's name.
    return "utf-8-sig"


def _decoded(path: Path) -> str:
    raw = path.read_bytes()
    try:
        text = raw.decode(encoding_of(raw))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UsageError(f"Line {line} of {str(path)!r} is not valid UTF-8; save the file as UTF-8.") from None
    if (at := text.find("\0")) >= 0:
        line = text.count("\n", 0, at) + 1
        raise UsageError(f"Line {line} of {str(path)!r} holds a byte 0, which no text has; save the file as UTF-8.")
    return text


def _objects(values: Callable[[Path], Iterable[Any]]) -> Kind:
    """Files whose rows are JSON objects."""

    def rows(
        path: Path, columns: Sequence[str], most_bytes: int, lists: Collection[str]
    ) -> Iterator[Cells | UsageError]:
        for number, row in enumerate(values(path), start=1):
            try:
                if isinstance(row, UsageError):
                    raise row
                if not isinstance(row, dict):
                    raise UsageError(f"Row {number} of {str(path)!r} is not an object with columns.")
                for column in columns:
                    if column not in row:
                        raise UnknownName(f"{path.name} row {number} column", column, list(row))
                cells = tuple(_text(path, row[column], column, number, column in lists) for column in columns)
            except UsageError as error:
                yield error
            else:
                yield cells

    def names(path: Path) -> list[str]:
        first: Any = next(iter(values(path)), {})
        if isinstance(first, UsageError):
            raise first
        return list(first) if isinstance(first, dict) else []

    return Kind(rows, names)


def _json_lines(path: Path) -> Iterator[Any]:
    text = _decoded(path)
    if text.lstrip()[:1] == "[":
        # A list under the ending of lines: no row of a table is one.
        yield from _json_list(path)
        return
    # Not splitlines(): JSON strings may hold the line ends of Unicode, such as U+2028, as they are.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                row = _parsed(path, line, number)
            except UsageError as error:
                row = error
            yield row


def _json_list(path: Path) -> list[Any]:
    text = _decoded(path)
    first, _, others = text.strip().partition("\n")
    if others.lstrip()[:1] == "{" and first.rstrip()[-1:] == "}":
        # Lines under the ending of a list, as many data sets come.
        return [_parsed(path, line, at) for at, line in enumerate(text.split("\n"), 1) if line.strip()]
    body = _parsed(path, text)
    rows = _wrapped(path, body) if isinstance(body, dict) else body
    if not isinstance(rows, list):
        raise UsageError(f"The file {str(path)!r} holds no list of rows.")
    return rows


def _wrapped(path: Path, body: dict[str, Any]) -> list[Any]:
    """The rows in an object: its only list, {"version": 1, "data": [...]}, or its columns as pandas writes them, each
    a list or an object by row."""
    columns = [[*cells.values()] if isinstance(cells, dict) else cells for cells in body.values()]
    plain = [
        cells for cells in columns if isinstance(cells, list) and not any(isinstance(cell, dict) for cell in cells)
    ]
    lengths = {len(cells) for cells in plain}
    if len(columns) > 1 and len(plain) == len(columns) and len(lengths) == 1 and lengths != {0}:
        return [dict(zip(body, cells, strict=True)) for cells in zip(*plain, strict=True)]
    lists = [value for value in body.values() if isinstance(value, list)]
    if len(lists) != 1:
        raise UsageError(f"The object in {str(path)!r} holds {len(lists)} lists; rows are read from exactly one.")
    return lists[0]


def _parsed(path: Path, text: str, line: int = 1) -> Any:
    """JSON with numbers left as they are written."""
    try:
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else "it cannot be parsed"
        if isinstance(error, json.JSONDecodeError):
            line, reason = line + error.lineno - 1, f"{error.msg.removesuffix(' starting at')} (column {error.colno})"
        raise UsageError(f"The file {str(path)!r} is not valid JSON: line {line}: {reason}.") from None


def _constant(word: str) -> str | None:
    # What tables of numbers have in place of a missing cell.
    return None if word == "NaN" else word


def _day(moment: str) -> str:
    """A moment as its day where that is what was meant: workbooks and data frames have no days of their own."""
    midnight = _MIDNIGHT.fullmatch(moment)
    return midnight[1] if midnight else moment


_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d) 00:00:00(?:\+00:00)?")


def _text(path: Path, cell: Any, column: str, number: int, listed: bool = False) -> str | None:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if listed and isinstance(cell, dict | list | tuple):
        # Many benchmarks keep options as {"text": [...], "label": [...]}, others as {"A": ..., "B": ...}.
        items = cell
        if isinstance(cell, dict):
            lettered = [*cell] == [chr(ord("A") + at) for at in range(len(cell))]
            items = [*cell.values()] if lettered else cell.get("text", cell)
        if isinstance(items, dict):
            return json.dumps(items, ensure_ascii=False, default=str)
        if isinstance(items, list | tuple) and items and all(isinstance(item, dict) for item in items):
            return json.dumps(items, ensure_ascii=False, default=str)
        if isinstance(items, list | tuple):
            return json.dumps([_text(path, item, column, number) or "" for item in items], ensure_ascii=False)
    if isinstance(cell, str):
        if not _whole(cell):
            raise UsageError(f"Row {number} of {str(path)!r} has half a character in {column!r}; mend the file.")
        return cell
    # Before numbers: a bool is an int in Python.
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, list | dict | bytes | tuple):
        raise UsageError(f"Row {number} of {str(path)!r} holds no plain text in {column!r}.")
    return _day(str(cell))


def _whole(text: str) -> bool:
    """Whether a text can be written as UTF-8; JSON escapes can name one half of a pair alone."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def separator_of(text: str) -> str:
    """What separates the cells of a table: the sign that its head has and by which most of its first rows fit it."""

    def fit(sign: str) -> tuple[bool, float, int]:
        try:
            lines = csv.reader(io.StringIO(text, newline=""), delimiter=sign, strict=True)
            lengths = [len(cells) for _, cells in zip(range(_LOOKED_AT), filter(any, lines), strict=False)]
        except csv.Error:
            return False, 0.0, 0
        head = lengths[0] if lengths else 0
        # Cells left out at the end of a row are no sign of another separator; cells that go on beyond the head are.
        return head > 1, sum(length <= head for length in lengths) / max(1, len(lengths)), head

    csv.field_size_limit(MOST_BYTES)
    return max(SEPARATORS, key=fit)


_TOLD = re.compile(r"sep=([,;\t|])\r?\n")


def _separated(separator: str | None) -> Kind:
    """Files with a head and a row of cells in each line; without a separator it is found."""

    def records(path: Path) -> Iterator[list[str]]:
        """The head, if there is one, and then the rows; those with nothing in them are left out."""
        # The reader gives up at 131,072 characters of a cell by itself, and documents are longer.
        csv.field_size_limit(MOST_BYTES)
        # Strict: an open quote would swallow the rest of the file, so it is refused.
        text = _decoded(path)
        # A line by which spreadsheets tell each other what separates cells.
        told = _TOLD.match(text)
        sign = told[1] if told else separator or separator_of(text)
        reader = csv.reader(io.StringIO(text[told.end() if told else 0 :], newline=""), delimiter=sign, strict=True)
        line = 2 if told else 1
        try:
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield cells
                line = reader.line_num + (2 if told else 1)
        except csv.Error as error:
            reason = "a quote is opened and never closed" if "end of data" in str(error) else _first_line(error)
            raise UsageError(f"The file {str(path)!r} is not a valid table: line {line}: {reason}.") from None

    def rows(
        path: Path, columns: Sequence[str], most_bytes: int, lists: Collection[str]
    ) -> Iterator[Cells | UsageError]:
        lines = records(path)
        head = next(lines, [])
        places = _places(path, head, columns) if head else []
        for number, cells in enumerate(lines, start=1):
            if len(cells) > len(head):
                where = f"row {number} has {len(cells)} cells, its head {len(head)}"
                yield UsageError(f"The file {str(path)!r} is not a valid table: {where}.")
                continue
            # Spreadsheets leave out empty cells at the end of a row.
            yield tuple(cells[at] if at < len(cells) else None for at in places)

    return Kind(rows, lambda path: next(records(path), []))


def _places(path: Path, head: Sequence[str], columns: Sequence[str]) -> list[int]:
    """Where these columns stand. Raises for one that is not there, or that is there twice."""
    for column in columns:
        if column not in head:
            raise UnknownName(f"{path.name} column", column, head)
        if (times := [*head].count(column)) > 1:
            raise UsageError(
                f"The head of {str(path)!r} has {times} columns named {column!r}; give each a name of its own."
            )
    return [[*head].index(column) for column in columns]


def _sheet(path: Path) -> Any:
    """The first sheet of a workbook with anything in it, all cells as text."""
    try:
        import fastexcel
    except ImportError:
        raise UsageError(
            f'The file {str(path)!r} is a workbook; `pip install "budgetscope[excel]"` reads it, or save it as CSV.'
        ) from None
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as packed:
                if sum(part.file_size for part in packed.infolist()) > _UNPACKED * MOST_BYTES:
                    raise _too_much(path, _UNPACKED * MOST_BYTES)
                # All of its members: a workbook may call its sheets anything.
                if any(_spanned(packed, name) > MOST_CELLS for name in packed.namelist()):
                    raise _too_wide(path)
        elif path.suffix.lower() != ".xls":
            # One with a password is wrapped in the container of the old format.
            with path.open("rb") as file:
                locked = file.read(4) == b"\xd0\xcf\x11\xe0"
            why = (
                "is locked by a password; save it without"
                if locked
                else "is not a workbook that can be read; save it anew"
            )
            raise UsageError(f"The file {str(path)!r} {why}, or as CSV.")
        else:
            _check_old(path)
        book = fastexcel.read_excel(path)
        for name in book.sheet_names:
            sheet = book.load_sheet(name, header_row=None, dtypes="string")
            # What nobody sees is no table of questions but what others look up in.
            if sheet.height and sheet.visible == "visible":
                return sheet.to_arrow()
    except (fastexcel.FastExcelError, zipfile.BadZipFile) as error:
        raise UsageError(f"The file {str(path)!r} is not a workbook that can be read: {_first_line(error)}.") from None
    raise UsageError(f"No sheet of {str(path)!r} that is shown holds anything.")


def _check_old(path: Path) -> None:
    """Raise UsageError for a workbook of Excel's old format that unpacks to too much."""
    with path.open("rb") as file:
        if file.read(8) != old_workbooks.MAGIC:
            return
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                found = old_workbooks.unpacked(content, MOST_CELLS)
        except ValueError as error:
            why = f"is not a workbook that can be read: {_first_line(error)}"
            raise UsageError(f"The file {str(path)!r} {why}.") from None
    if found.cells > MOST_CELLS:
        raise _too_wide(path)
    if found.letters > MOST_BYTES:
        raise _too_much(path, MOST_BYTES)


def _too_wide(path: Path) -> UsageError:
    return UsageError(
        f"A sheet of {str(path)!r} reaches over more than {MOST_CELLS:,} cells; delete what stands far below or beside "
        "its table, or save it as CSV."
    )


MOST_CELLS = 10_000_000
"""From the first to the last of a sheet: its reader makes room for all between, also for one cell in the last row."""
_CELL = re.compile(rb"<(?:\w+:)?c\s[^<>]*?(?<![\w:])r\s*=\s*[\"']([A-Za-z]{1,3})([0-9]{1,9})[\"'][^<>]*(?<!/)>")
_FILLED = re.compile(rb"<(?:\w+:)?c(?=[\s>])[^<>]*(?<!/)>")
_ROW, _ANY = re.compile(rb"<(?:\w+:)?row(?=[\s/>])"), re.compile(rb"<(?:\w+:)?c(?=[\s/>])")
_NUMBER = re.compile(rb"[^<>]*?(?<![\w:])r\s*=\s*[\"']([0-9]{1,9})")
_OPEN_TAG = re.compile(rb"<(?:\w+:)?(table|table-row|table-cell)(?=[\s/>])([^<>]*)>")
_TIMES = re.compile(rb"number-(?:rows|columns)-repeated\s*=\s*[\"']([0-9]{1,9})")


def _spanned(packed: zipfile.ZipFile, name: str) -> int:
    """Over how many cells the largest sheet in a member of a workbook reaches, empty ones between others included."""
    row = column = last_row = last_column = 0
    rest = b""
    with packed.open(name) as part:
        while last_row * last_column <= MOST_CELLS and (chunk := part.read(1 << 20)):
            whole = rest + chunk
            end = whole.rfind(b">") + 1
            tags, rest = whole[:end], whole[end:]
            cells = _CELL.findall(tags)
            # One that says no place, as few write, stands right of the one before it.
            if len(cells) < len(_FILLED.findall(tags)):
                for place, own in enumerate(_ROW.split(tags)):
                    if place:
                        said = _NUMBER.match(own)
                        row, column = (int(said[1]) if said else row + 1), 0
                    if beside := len(_ANY.findall(own)):
                        column += beside
                        last_row, last_column = max(last_row, row), max(last_column, column)
            if cells:
                last_row = max(last_row, *(int(number) for _, number in cells))
                last_column = max(last_column, *(_column(letters) for letters in {letters for letters, _ in cells}))
            for kind, said in _OPEN_TAG.findall(tags):
                count = int(found[1]) if b"-repeated" in said and (found := _TIMES.search(said)) else 1
                if kind == b"table-cell":
                    column += count
                    # An empty one of an open document fills its row up to the last column.
                    if b"value-type" in said:
                        last_row, last_column = max(last_row, row), max(last_column, column)
                else:
                    row, column = (row + count if kind == b"table-row" else 0), 0
    return last_row * last_column


def _column(letters: bytes) -> int:
    """The number of a column called as spreadsheets do: A is 1, AA 27."""
    return sum(26**place * (letter - 64) for place, letter in enumerate(letters.upper()[::-1]))


_UNPACKED = 2
"""So many times the bytes of a file a workbook may unpack to: its cells are tagged, and stand in memory as a whole."""


def _sheet_lines(path: Path) -> Iterator[list[str | None]]:
    """The head and the rows of a sheet; those with nothing in them are left out."""
    table = _sheet(path)
    for batch in table.to_batches() if hasattr(table, "to_batches") else [table]:
        columns = [column.to_pylist() for column in batch.columns]
        for cells in zip(*columns, strict=True):
            if any(cell is not None and str(cell).strip() for cell in cells):
                yield [None if cell is None else _day(str(cell)) for cell in cells]


def _sheet_rows(
    path: Path, columns: Sequence[str], most_bytes: int, lists: Collection[str]
) -> Iterator[Cells | UsageError]:
    lines = _sheet_lines(path)
    places = _places(path, [cell or "" for cell in next(lines, [])], columns)
    for cells in lines:
        yield tuple(cells[at] for at in places)


def _sheet_names(path: Path) -> list[str]:
    return [cell for cell in next(_sheet_lines(path), []) if cell]


@contextmanager
def _parquet(path: Path, packed: Sequence[str] = ()) -> Iterator[Any]:
    """A Parquet file by Arrow's reader, which meets broken files with errors where others stop the whole process.

    Texts of the `packed` leaves come as the file holds them, each different one once."""
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, memory_map=False, read_dictionary=list(packed)) as table:
            yield table
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, IndexError, OverflowError) as error:
        raise UsageError(f"The file {str(path)!r} is not a valid Parquet file: {_first_line(error)}.") from None


def _parquet_rows(
    path: Path, columns: Sequence[str], most_bytes: int, lists: Collection[str]
) -> Iterator[Cells | UsageError]:
    """Batch by batch, so that a limit is met before the whole is unpacked."""
    from pyarrow import types

    binary = (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary)
    with _parquet(path) as table:
        meta, schema = table.metadata, table.schema_arrow
        _places(path, schema.names, columns)
        for column in columns:
            kind = schema.field(column).type
            plain = kind.value_type if types.is_dictionary(kind) else kind
            if (types.is_nested(plain) and column not in lists) or any(test(plain) for test in binary):
                named = shortened(str(kind))
                raise UsageError(f"Column {column!r} of {str(path)!r} holds {named} values, not plain text.")
        # Not column by column: Arrow aborts the process over a group that lacks one.
        if sum(meta.row_group(at).total_byte_size for at in range(meta.num_row_groups)) > most_bytes:
            raise _too_much(path, most_bytes)
        packed = _packed_leaves(path, meta, columns, most_bytes)
    with _parquet(path, packed) as table:
        number = size = 0
        for batch in table.iter_batches(batch_size=1024, columns=list(dict.fromkeys(columns))):
            # A few bytes may say one long text a thousand times: it is counted before it is written out.
            size += sum(_unpacked_bytes(batch.column(name)) for name in columns)
            if size > most_bytes:
                raise _too_much(path, most_bytes)
            cells = [batch.column(name).to_pylist() for name in columns]
            for at in range(batch.num_rows):
                number += 1
                try:
                    row = tuple(
                        _text(path, c[at], name, number, name in lists) for c, name in zip(cells, columns, strict=True)
                    )
                except UsageError as error:
                    yield error
                else:
                    yield row


_LISTED_BYTES = 32
"""What a text in a list takes at least."""


def _packed_leaves(path: Path, meta: Any, columns: Sequence[str], most_bytes: int) -> list[str]:
    """Leaves of these columns that hold texts. Raises UsageError for what cannot be read without unpacking too much."""
    leaves = dict[str, None]()
    for group in map(meta.row_group, range(meta.num_row_groups)):
        for place in range(group.num_columns):
            leaf = group.column(place)
            if leaf.path_in_schema.partition(".")[0] not in columns and leaf.path_in_schema not in columns:
                continue
            # Each text may repeat the one before it, by as much as the whole of the leaf.
            repeats = leaf.total_uncompressed_size if "DELTA_BYTE_ARRAY" in leaf.encodings else 1
            # Of a list, which is no row, each of its texts is an object of Python's first.
            each = _LISTED_BYTES if meta.schema.column(place).max_repetition_level else 1
            if leaf.num_values * max(repeats, each) > most_bytes:
                raise _too_much(path, most_bytes)
            if leaf.physical_type == "BYTE_ARRAY":
                leaves[leaf.path_in_schema] = None
    return list(leaves)


def _unpacked_bytes(column: Any) -> int:
    """Bytes of a column's texts once each is written out."""
    from pyarrow import compute, types

    if types.is_list(column.type) or types.is_large_list(column.type):
        return _unpacked_bytes(column.flatten())
    if types.is_struct(column.type):
        return sum(map(_unpacked_bytes, column.flatten()))
    if not types.is_dictionary(column.type):
        return int(column.nbytes)
    if not (types.is_string(column.type.value_type) or types.is_large_string(column.type.value_type)):
        return int(column.nbytes)
    lengths = compute.take(compute.binary_length(column.dictionary), column.indices)
    return int(compute.sum(lengths.cast("int64")).as_py() or 0)


def _parquet_names(path: Path) -> list[str]:
    with _parquet(path) as table:
        return list(table.schema_arrow.names)


def _too_much(path: Path, most_bytes: int) -> UsageError:
    return UsageError(f"The file {str(path)!r} unpacks to more than {most_bytes:,} bytes of text.")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["it cannot be parsed"])[0].rstrip(".")[:160]


_KINDS: dict[str, Kind] = {
    ".csv": _separated(None),
    ".json": _objects(_json_list),
    ".jsonl": _objects(_json_lines),
    ".parquet": Kind(_parquet_rows, _parquet_names),
    ".tsv": _separated("\t"),
    ".ods": Kind(_sheet_rows, _sheet_names),
    ".xls": Kind(_sheet_rows, _sheet_names),
    ".xlsx": Kind(_sheet_rows, _sheet_names),
}
