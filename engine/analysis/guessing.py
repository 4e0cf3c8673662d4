"""What somebody scores who does not read the questions: one fixed answer to all of them, or a blind choice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from engine.core import answers, codec, names, text

if TYPE_CHECKING:
    from engine.store.sql import Connection


@dataclass(frozen=True, slots=True)
class Guessing:
    """Two marks to hold an accuracy against, as shares of a task's questions."""

    constant: float | None
    """Best mean score of one fixed answer; None: a scorer of its own decides what is right, or a target is unknown."""
    chance: float | None
    """Mean of 1 / options; None where a question is no choice."""


_QUESTIONS = """
select task, question_id, target, case when contains(data, '"reading"') then data end as data
from questions where task in (select unnest($1))"""


def guessing(connection: Connection, tasks: Iterable[str], questions: frozenset[str] | None) -> dict[str, Guessing]:
    """By task, on these questions; None: on all that are stored."""
    wanted = sorted(tasks)
    every: pl.DataFrame = connection.sql(_QUESTIONS, params=[wanted]).pl()
    if questions is not None:
        every = every.filter(pl.col("question_id").is_in(pl.Series(sorted(questions), dtype=pl.String).implode()))
    own = {name: every.filter(task=name) for name in wanted}
    return {
        name: Guessing(_constant(name, each["target"]), _chance(each["data"].to_list())) for name, each in own.items()
    }


def sentences(frame: pl.DataFrame) -> Iterator[str]:
    """What is to be said of the tasks of a frame of cells, in one sentence; nothing where nothing is known."""
    rows = frame.group_by("task").agg(pl.first("guess", "chance"), n=pl.max("n_questions")).sort("task").to_dicts()
    parts: list[str] = []
    for column, what in (("guess", "one fixed answer to all is right on"), ("chance", "a blind choice on")):
        known = [row for row in rows if row[column] is not None]
        # Of one task alone everybody sees which.
        of = {row["task"]: f" of {names.task(row['task'])}" if len(rows) > 1 else "" for row in known}
        if known:
            parts.append(
                f"{what} " + ", ".join(f"{text.accuracy(row[column], row['n'])}{of[row['task']]}" for row in known)
            )
    if parts:
        yield f"Without reading the questions, {'; '.join(parts)}."


def _constant(task: str, targets: pl.Series) -> float | None:
    # Behind the last plus stands a scorer that need not go by the target.
    if targets.is_empty() or "+" in task or not targets.str.strip_chars().str.len_chars().min():
        return None
    counts: dict[str, int] = {}
    for target, n in targets.value_counts().iter_rows():
        key = answers.vote_key(target)
        counts[key] = counts.get(key, 0) + n
    return max(counts.values()) / len(targets)


def _chance(data: Sequence[str | None]) -> float | None:
    if not data or None in data:
        return None
    options = [len(codec.reading(str(text))[0]) for text in data]
    return None if min(options) < 2 else sum(1 / n for n in options) / len(options)
