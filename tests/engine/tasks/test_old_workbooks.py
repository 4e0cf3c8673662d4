"""Workbooks of Excel's old format are read, and one that unpacks to gigabytes is a sentence before it takes memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from struct import pack

import pytest

from engine.core.errors import UsageError
from engine.tasks import tabular
from engine.tasks.old_workbooks import MAGIC
from engine.tasks.tabular import read_rows

TEXTS = ("question", "answer", "1 + 1?", "two")
CELLS = ((0, 0, 0), (0, 1, 1), (1, 0, 2), (1, 1, 3))
"""Row, column and number of the text."""
END, FREE = 0xFFFFFFFE, 0xFFFFFFFF


def _record(kind: int, body: bytes = b"") -> bytes:
    return pack("<HH", kind, len(body)) + body


def _workbook(
    path: Path,
    cells: Sequence[tuple[int, int, int]] = CELLS,
    texts: Sequence[str] = TEXTS,
    says: tuple[int, int, int, int] | None = None,
    sheets: int = 1,
    last: int = END,
) -> Path:
    """A workbook whose sheets are all the same bytes, and whose last sector is followed by `last`."""
    top = _record(0x809, pack("<HHHHII", 0x600, 5, 0, 0, 0, 0))
    table = pack("<II", len(texts), len(texts)) + b"".join(pack("<HB", len(each), 0) + each.encode() for each in texts)
    sheet = _record(0x809, pack("<HHHHII", 0x600, 0x10, 0, 0, 0, 0))
    sheet += _record(0x200, pack("<IIHHH", *says, 0)) if says else b""
    sheet += b"".join(_record(0xFD, pack("<HHHI", row, column, 0, number)) for row, column, number in cells)
    place = len(top) + 14 * sheets + len(table) + 8
    named = b"".join(_record(0x85, pack("<IBBBB", place, 0, 0, 2, 0) + b"%02d" % n) for n in range(sheets))
    stream = top + named + _record(0xFC, table) + _record(10) + sheet + _record(10)
    count = max(8, -(-len(stream) // 512))
    chains = [FREE - 2, END, *range(3, 2 + count), last]

    def entry(name: str, kind: int, start: int, length: int) -> bytes:
        told = name.encode("utf-16-le") + b"\0\0"
        links = pack("<HBBIII", len(told), kind, 1, FREE, FREE, 1 if kind == 5 else FREE)
        return told.ljust(64, b"\0") + links + bytes(36) + pack("<IQ", start, length)

    parts = (
        MAGIC + bytes(16) + pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6) + pack("<9I", 0, 1, 1, 0, 4096, END, 0, END, 0),
        pack("<I", 0) + b"\xff" * 432,
        pack("<128I", *chains, *[FREE] * (128 - len(chains))),
        (entry("Root Entry", 5, END, 0) + entry("Workbook", 2, 2, 512 * count)).ljust(512, b"\0"),
        stream.ljust(512 * count, b"\0"),
    )
    path.write_bytes(b"".join(parts))
    return path


def test_an_old_workbook_is_read(tmp_path: Path) -> None:
    for sheets in (1, 2):
        path = _workbook(tmp_path / "own.xls", says=(0, 2, 0, 2), sheets=sheets)
        assert read_rows(path, ["question", "answer"]) == [("1 + 1?", "two")]


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ({"says": (0, FREE, 0, 0xFFFF)}, "a sheet of it is said to be larger than such sheets can be"),
        ({"last": 2}, "its sectors go round in a circle"),
        ({"cells": [*CELLS, (65_535, 255, 0)]}, "reaches over more than 10,000,000 cells"),
        ({"cells": [*CELLS, (65_535, 20, 0)], "sheets": 99}, "reaches over more than 10,000,000 cells"),
        (
            {"texts": [*TEXTS[:3], "x" * 30_000], "cells": [(n, 0, 3) for n in range(99)]},
            "unpacks to more than 1,000,000",
        ),
    ],
    ids=["lies of its size", "goes round", "reaches far", "same sheet", "same text"],
)
def test_an_old_workbook_that_unpacks_to_too_much_gets_a_sentence(
    made: dict[str, object], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tabular, "MOST_BYTES", 1_000_000)
    with pytest.raises(UsageError, match=why):
        read_rows(_workbook(tmp_path / "own.xls", **made), ["question", "answer"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "at", [30, 44, 48, 68, 76, 512, 640, 1024 + 116, 1024 + 128 + 116, 1024 + 128 + 120, 1536, 1556]
)
def test_an_old_workbook_with_other_bytes_anywhere_is_read_or_gets_a_sentence(at: int, tmp_path: Path) -> None:
    path = _workbook(tmp_path / "own.xls")
    whole = path.read_bytes()
    for put in (b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\1\0\0\0"):
        path.write_bytes(whole[:at] + put + whole[at + 4 :])
        try:
            read_rows(path, ["question", "answer"])
        except UsageError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("size", [0, 1, 8, 100, 512, 600])
def test_an_old_workbook_that_ends_early_gets_a_sentence(size: int, tmp_path: Path) -> None:
    path = _workbook(tmp_path / "own.xls")
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UsageError, match="own.xls"):
        read_rows(path, ["question", "answer"])
