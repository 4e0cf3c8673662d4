"""How much a workbook of Excel's old format (.xls) unpacks to, before its reader makes room for it.

Such a file is a small file system (compound file) with one stream of records (BIFF). Its reader believes what stands
there: that a sheet is as large as it says, that a chain of sectors ends, that no two sheets are the same bytes. None of
it is believed here, and of cells only places and lengths are looked at.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from mmap import mmap
from struct import unpack_from
from typing import NamedTuple

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
MOST_ROWS, MOST_COLUMNS = 65_536, 256
_FREE = 0xFFFFFFFA
"""Numbers of sectors from here on are none."""
_EOF, _FORMULA, _LABEL, _SHEET, _MANY, _STRINGS, _STRING, _SIZE, _CONTINUED = 10, 6, 516, 133, 189, 252, 253, 512, 60
_CELLS = {_FORMULA, _LABEL, _STRING, 214, 515, 517, 638, _MANY}


class Unpacked(NamedTuple):
    """What the sheets of a workbook come to."""

    cells: int
    """From the first of each sheet to its last, empty ones between others included."""
    letters: int


def unpacked(content: bytes | mmap, most_cells: int) -> Unpacked:
    """What the sheets come to; at more than `most_cells` the count ends. Raises ValueError for a damaged file."""
    try:
        stream = _workbook(content)
        cells = letters = read = 0
        places, lengths = _globals(stream)
        for place in places:
            row = column = 0
            for kind, start, size in _records(stream, place):
                read += size + 4
                if kind == _EOF:
                    break
                if kind == _SIZE and size >= 12:
                    first, last, left, right = unpack_from("<IIHH", stream, start)
                    # More than Excel's old sheets have; room is made for what is said here, whatever follows.
                    if last - first > MOST_ROWS or right - left > MOST_COLUMNS:
                        raise ValueError("a sheet of it is said to be larger than such sheets can be")
                elif kind in _CELLS:
                    at, beside = unpack_from("<HH", stream, start)
                    # A record of many cells ends with the last of its columns.
                    beside = unpack_from("<H", stream, start + size - 2)[0] if kind == _MANY else beside
                    row, column = max(row, at + 1), max(column, beside + 1)
                    if kind == _STRING:
                        number = unpack_from("<I", stream, start + 6)[0]
                        letters += lengths[number] if number < len(lengths) else 0
                if row * column > most_cells:
                    break
            cells += row * column
            # Sheets that lie over one another say the same cells again and again.
            if cells > most_cells or read > 2 * len(stream):
                return Unpacked(max(cells, most_cells + 1), letters)
    except (IndexError, MemoryError, OverflowError) as error:
        raise ValueError("its records are damaged") from error
    except Exception as error:
        # `struct` has an error of its own for what ends too early.
        raise ValueError(str(error)) from error
    return Unpacked(cells, letters)


def _workbook(content: bytes | mmap) -> bytes:
    """The stream of records. All chains of the file are walked: its reader follows them wherever they lead."""
    size = 1 << min(16, unpack_from("<H", content, 30)[0])
    small = 1 << min(16, unpack_from("<H", content, 32)[0])
    start, least, first_small, _, more = unpack_from("<I4xIIII", content, 48)
    most = len(content) // size + 1

    def chain(at: int, table: array[int], most: int) -> list[int]:
        walked: list[int] = []
        while at < _FREE:
            walked.append(at)
            if len(walked) > most:
                raise ValueError("its sectors go round in a circle")
            at = table[at]
        return walked

    def sectors(numbers: list[int]) -> bytes:
        return b"".join(content[(at + 1) * size : (at + 2) * size] for at in numbers)

    listed = array("I", content[76:512])
    walked = 0
    while more < _FREE:
        part = array("I", sectors([more]))
        more, walked = part.pop(), walked + 1
        listed.extend(part)
        if walked > most:
            raise ValueError("its sectors go round in a circle")
    table = array("I", sectors([at for at in listed if at < _FREE]))
    small_table = array("I", sectors(chain(first_small, table, most)))
    found, inner = None, b""
    entries = sectors(chain(start, table, most))
    for at in range(0, len(entries) - 127, 128):
        kind, begin, length = entries[at + 66], *unpack_from("<II", entries, at + 116)
        if kind not in (2, 5):
            continue
        called = entries[at : at + max(0, unpack_from("<H", entries, at + 64)[0] - 2)].decode("utf-16-le", "replace")
        if kind == 5:
            inner = sectors(chain(begin, table, most))
            continue
        inside = length < least
        own = chain(begin, small_table if inside else table, len(content) // small + 1 if inside else most)
        if length > len(own) * (small if inside else size):
            raise ValueError("a part of it is said to be longer than it is")
        if called in ("Workbook", "Book") and (found is None or called == "Workbook"):
            pieces = (inner[each * small : (each + 1) * small] for each in own)
            found = (b"".join(pieces) if inside else sectors(own))[:length]
    if found is None:
        raise ValueError("it holds no workbook")
    return found


def _records(stream: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Kind, start and size of the records from a place on."""
    while at + 4 <= len(stream):
        kind, size = unpack_from("<HH", stream, at)
        yield kind, at + 4, size
        at += 4 + size


def _globals(stream: bytes) -> tuple[list[int], array[int]]:
    """Where the sheets begin, and how long each text is that cells name by number."""
    places: list[int] = []
    parts: list[bytes] = []
    texts = False
    for kind, start, size in _records(stream, 0):
        if kind == _EOF:
            break
        if kind == _SHEET:
            places.append(unpack_from("<I", stream, start)[0])
        texts = kind == _STRINGS or (texts and kind == _CONTINUED)
        if texts:
            parts.append(stream[start : start + size])
    return places, _lengths(parts)


def _lengths(parts: list[bytes]) -> array[int]:
    """Letters of each text of the table of texts, whose letters go on in the next part behind a byte of its own."""
    lengths = array("I")
    part, at = 0, 8
    while part < len(parts):
        if at >= len(parts[part]):
            part, at = part + 1, at - len(parts[part])
            continue
        count, how = unpack_from("<HB", parts[part], at)
        lengths.append(count)
        at += 3
        runs = extra = 0
        if how & 8:
            runs, at = unpack_from("<H", parts[part], at)[0], at + 2
        if how & 4:
            extra, at = unpack_from("<I", parts[part], at)[0], at + 4
        wide = 1 + (how & 1)
        while count:
            here = min(count, (len(parts[part]) - at) // wide)
            count, at = count - here, at + here * wide
            if count:
                part, at = part + 1, 1
                if part == len(parts):
                    return lengths
                wide = 1 + (parts[part][0] & 1)
        at += 4 * runs + extra
    return lengths
