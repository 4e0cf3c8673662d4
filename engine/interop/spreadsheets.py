"""A table of answers, for everything that has no importer: one row an answer, columns by these names.

    question, model        what was asked, and who answered: needed
    answer, target, score  what was said, what is right, and from 0 (wrong) to 1 (right)
    setting, task, repeat, category, scorer, error
    calls, input_tokens, cached_tokens, output_tokens, reasoning_tokens, latency_ms

An empty cell is unknown and not 0. Commas, semicolons, tabs or bars separate; the first row names the columns.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from engine.core.errors import UsageError
from engine.core.text import plural
from engine.interop import ImportedAnswer, importer, logs

NEEDED = ("question", "model")
SPENDS = ("calls", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "latency_ms")
COLUMNS = (*NEEDED, "answer", "target", "score", "setting", "task", "repeat", "category", "scorer", "error", *SPENDS)
SUFFIXES = (".csv", ".tsv")


@importer("csv")
class Spreadsheet:
    """One file of answers."""

    def reads(self, path: Path) -> bool:
        """By the names of its columns: a question, a model, and an answer or a score."""
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            return False
        try:
            # In another encoding its columns may be read all the same, and who reads on says what is wrong.
            with path.open(encoding=_encoding(path), errors="replace", newline="") as file:
                head = file.readline(logs.HEAD_BYTES)
        except (OSError, UnicodeError):
            return False
        columns = {name.strip().lower() for name in next(csv.reader([head], delimiter=_separator(head)), ())}
        return columns.issuperset(NEEDED) and not columns.isdisjoint(("answer", "score"))

    def answers(self, path: Path) -> Iterator[ImportedAnswer]:
        """Row by row."""
        # The library's own limit of 128 kB is less than a long reply; it is set for the whole process.
        csv.field_size_limit(logs.MOST_LINE_BYTES)
        try:
            with path.open(encoding=_encoding(path), newline="") as file:
                head = file.readline()
                names = [name.strip().lower() for name in next(csv.reader([head], delimiter=_separator(head)), ())]
                if missing := [name for name in NEEDED if name not in names]:
                    raise UsageError(f"{path.name!r} has no column {missing[0]!r}; its columns are {', '.join(names)}.")
                if len(set(names)) < len(names):
                    twice = next(name for name in names if names.count(name) > 1)
                    raise UsageError(f"{path.name!r} has two columns {twice!r}; name them apart.")
                # From 2, as a spreadsheet counts with the head in row 1.
                for number, cells in enumerate(csv.reader(file, delimiter=_separator(head)), 2):
                    if any(cells):
                        where = f"{path.name!r}, row {number},"
                        answer = logs.attempt(where, _answer, names, cells, number, where)
                        if answer is not None:
                            yield answer
        except UnicodeError:
            raise UsageError(f"{path.name!r} is no text in UTF-8 or UTF-16; save it so.") from None
        except csv.Error as error:
            raise UsageError(f"{path.name!r} is no table: {error}.") from None


def _encoding(path: Path) -> str:
    """UTF-16 where the file begins as spreadsheets begin it, else UTF-8 with a mark at its beginning or without."""
    with path.open("rb") as file:
        return "utf-16" if file.read(2) in logs.UTF_16 else "utf-8-sig"


def _separator(head: str) -> str:
    # The one the head has most of: names of columns hold none of them.
    return max(",;\t|", key=head.count)


def _answer(names: list[str], cells: list[str], number: int, where: str) -> ImportedAnswer:
    if len(cells) != len(names):
        raise UsageError(f"{where} has {plural(len(cells), 'cell')} where the head has {len(names)}.")
    row = dict(zip(names, cells, strict=True))
    for name in NEEDED:
        if not row[name].strip():
            raise UsageError(f"{where} has no {name}.")
    score = _number(row, "score", where)
    if score is not None and logs.unit(score) is None:
        raise UsageError(f"{where} has a score of {score:g}; a score is from 0 to 1.")
    spends: dict[str, int | None] = {}
    for name in SPENDS:
        value = _number(row, name, where)
        if value is not None and logs.count_of(value) is None:
            raise UsageError(f"{where} has {value:g} under {name!r}; it counts from 0.")
        spends[name] = logs.count_of(value)
    spend, unreported = logs.spend(spends)
    asked = _number(row, "repeat", where) or 0.0
    if (repeat := round(asked)) != asked or not 0 <= repeat < logs.MOST_REPEATS:
        raise UsageError(f"{where} has {row['repeat'].strip()[:40]!r} under 'repeat'; repeats are counted from 0.")
    error = row.get("error") or None
    return ImportedAnswer(
        tool="csv",
        setting=row.get("setting") or "as logged",
        model=row["model"].strip(),
        question=row["question"],
        target=row.get("target") or None,
        answer=row.get("answer") or None,
        score=None if error else score,
        scorer=row.get("scorer") or None,
        repeat=repeat,
        spend=spend,
        error=error,
        unreported=unreported,
        task=row.get("task") or "",
        # The same question twice is asked twice, whether or not a column says so.
        sample=str(number),
        category=row.get("category") or None,
        reply=row.get("answer") or None,
    )


def _number(row: dict[str, str], name: str, where: str) -> float | None:
    text = (row.get(name) or "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"{where} has {text[:40]!r} under {name!r}, which is no number.") from None
    # Also nan, which is less than nothing.
    if not abs(value) < 1 << 62:
        raise UsageError(f"{where} has {text[:40]!r} under {name!r}, which is no number.")
    return value
