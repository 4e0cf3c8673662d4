"""Reads the text of a JSON file: rows, one a line or all in a list. What a row holds is not looked at.

A fault is one sentence that names the file and the line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.core.errors import UsageError


def by_line(path: Path, text: str) -> Iterator[Any]:
    """Rows that have a line each; one that cannot be read is the sentence that says why."""
    if text.lstrip()[:1] == "[":
        # A list under the ending of lines: no row of a table is one.
        yield from listed(path, text)
        return
    for number, line in lines(text):
        try:
            row = parsed(path, line, number)
        except UsageError as error:
            row = error
        yield row


def listed(path: Path, text: str) -> list[Any]:
    """The rows of a list, which may be the only one of an object; lines under the ending of a list are read too."""
    first, _, others = text.strip().partition("\n")
    if others.lstrip()[:1] == "{" and first.rstrip()[-1:] == "}":
        # As many data sets come.
        return [parsed(path, line, number) for number, line in lines(text)]
    rows = parsed(path, text)
    if isinstance(rows, dict):
        rows = _wrapped(path, rows)
    if not isinstance(rows, list):
        raise UsageError(f"The file {str(path)!r} holds no list of rows.")
    return rows


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with anything in them, by their numbers from 1."""
    # Not splitlines(): JSON strings may hold the line ends of Unicode, such as U+2028, as they are.
    return ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())


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


def parsed(path: Path, text: str, line: int = 1, *, as_written: bool = True) -> Any:
    """JSON that begins in this line of a file. `as_written`: numbers are left as texts. Raises UsageError."""
    kept: dict[str, Any] = {"parse_int": str, "parse_float": str, "parse_constant": _constant} if as_written else {}
    try:
        return json.loads(text, **kept)
    except ValueError as error:
        why = " cannot be parsed"
        if isinstance(error, json.JSONDecodeError):
            early = error.msg.startswith("Unterminated") or not text[error.pos :].strip()
            line, why = line + error.lineno - 1, " ends too early" if early else f": {error.msg}"
        raise UsageError(f"The file {str(path)!r} is not valid JSON: line {line}{why}.") from None
    except RecursionError:
        raise UsageError(f"The file {str(path)!r} is not valid JSON: line {line} is nested too deeply.") from None


def _constant(word: str) -> str | None:
    # What tables of numbers have in place of a missing cell.
    return None if word == "NaN" else word
