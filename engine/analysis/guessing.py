"""What somebody scores who does not read the questions: one fixed answer to all of them, or a blind choice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import polars as pl

from engine.analysis.majority_at_k import task_of
from engine.core import answers, codec, names, text
from engine.core.records import AnswerKind, Problem, Question
from engine.store import frames
from engine.tasks import named
from engine.tasks.text_scorers import of_several

if TYPE_CHECKING:
    from engine.store.sql import Connection

MOST = 10_000
"""Answers that a scorer of its own judges for one task: its questions times the answers that are tried on them."""


@dataclass(frozen=True, slots=True)
class Guessing:
    """Two marks to hold an accuracy against, as shares of a task's questions."""

    constant: float | None
    """Best mean score of one fixed answer, of those that its questions have: of the most frequent, as many as `MOST`
    allows, where its own scorer decides. None: a target is unknown or names no answer, a judge decides, or there is one
    question, whose own answer is always right on all."""
    chance: float | None
    """Mean of 1 / options; None where a question is no choice."""


_QUESTIONS = """
select task, question_id, target, case when contains(data, '"reading"') then data end as data
from questions where task in (select unnest($1)) order by question_id"""
_WHOLE = """
select q.question_id, q.text, q.context, q.target, q.data, any_value(f.answer_kind) as kind
from questions q left join trials t using (question_id) left join framings f using (framing_id)
where q.question_id in (select unnest($1)) group by all order by 1"""


def guessing(connection: Connection, tasks: Iterable[str], questions: frozenset[str] | None) -> dict[str, Guessing]:
    """By task, on these questions; None: on all that are stored."""
    wanted = sorted(tasks)
    every = frames.read(connection.sql(_QUESTIONS, params=[wanted]))
    if questions is not None:
        every = every.filter(pl.col("question_id").is_in(pl.Series(sorted(questions), dtype=pl.String).implode()))
    own = {name: every.filter(task=name) for name in wanted}

    def constant(name: str, each: pl.DataFrame) -> float | None:
        if each.height < 2:
            return None
        if not _own_scorer(name):
            return _constant(tuple(each["target"]))
        stored = connection.execute(_WHOLE, [each["question_id"].to_list()]).fetchall()
        return _scored(name, tuple(stored))

    return {name: Guessing(constant(name, each), _chance(each["data"].to_list())) for name, each in own.items()}


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


def _own_scorer(task: str) -> bool:
    """Whether more than being equal to the target decides: a scorer behind a plus, or a benchmark's own."""
    return "+" in task or (named.known(task) and named.benchmark(task.partition("/")[0]).score is not None)


@lru_cache(maxsize=64)
def _scored(name: str, stored: tuple[tuple[str, str, str | None, str, str, AnswerKind | None], ...]) -> float | None:
    task = task_of(name)
    if task is None or not stored or not all(target.strip() for *_, target, _, _ in stored):
        return None
    questions = []
    for id, said, context, target, data, kind in stored:
        options, statement = codec.reading(data)
        problem = Problem(said, kind or "text", context=context, options=options, statement=statement)
        questions.append(Question(id, name, problem, target, None, data))
    # Of several right answers of one question each may be given.
    tried = Counter(one for question in questions for one in (of_several(question.target)[1:] or (question.target,)))
    kept = [answer for answer, _ in tried.most_common(max(1, MOST // len(questions)))]
    sums = (sum(min(1.0, max(0.0, float(task.score(answer, each)))) for each in questions) for answer in kept)
    # Not even right where it comes from: the targets name no answers, as those of a checker.
    return max(sums) / len(questions) or None


@lru_cache(maxsize=8)
def _constant(targets: tuple[str, ...]) -> float | None:
    # Kept: the targets of a large task are read for every look at it, and a run changes none of them.
    if not targets or not all(map(str.strip, targets)):
        return None
    counts: dict[str, int] = {}
    for target, n in Counter(targets).items():
        key = answers.vote_key(target)
        counts[key] = counts.get(key, 0) + n
    return max(counts.values()) / len(targets)


def _chance(data: Sequence[str | None]) -> float | None:
    if not data or None in data:
        return None
    options = [len(codec.reading(str(text))[0]) for text in data]
    return None if min(options) < 2 else sum(1 / n for n in options) / len(options)
