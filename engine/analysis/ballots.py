"""Which answer each stored draw of a vote gave, and whether it is right.

Owns the reading of stored replies as votes. A trial is only taken whose votes, counted again, leave the very marks
that are stored: then its draws may be counted in any other order too. Asks no model and no database.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_args

from engine import answers
from engine.errors import BudgetscopeError
from engine.records import AnswerKind, Problem, Question
from engine.votes import Votes

VOTING = ("self_consistency",)
"""Strategies that draw all their samples whatever these say, each a vote of weight 1."""


Row = Mapping[str, Any]
Place = tuple[int, int, int]
"""Where a trial stands: condition_no, question_no, repeat."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """The draws of one trial in the order it made them."""

    votes: tuple[int | None, ...]
    """Per draw its answer, numbered in the order they were first seen; None: no vote."""
    right: tuple[bool, ...]
    """Per answer."""

    @property
    def counts(self) -> tuple[int, ...]:
        """Votes per answer."""
        return tuple(sum(vote == answer for vote in self.votes) for answer in range(len(self.right)))


def ballots(draws: Iterable[Row], marks: Iterable[Row]) -> dict[Place, Ballot]:
    """By (condition_no, question_no, repeat), the ballots of trials that drew all they could and count as stored.

    `draws` and `marks` are rows of `lists.draws` and `lists.marks`, in order.
    """
    told = _grouped(marks)
    judge = _Judge({(m["question_no"], m["answer"]): m["verdict"] == "right" for group in told.values() for m in group})
    found = {at: _ballot(rows, told.get(at, []), judge) for at, rows in _grouped(draws).items()}
    return {at: ballot for at, ballot in found.items() if ballot is not None}


def _ballot(rows: Sequence[Row], marks: Sequence[Row], judge: _Judge) -> Ballot | None:
    if len(rows) != json.loads(rows[0]["params"]).get("samples") or any(row["text"] is None for row in rows):
        return None
    said = [None if row["cut"] else answers.extract(row["text"], row["answer_kind"]) for row in rows]
    if _marks(said) != [(mark["after_calls"], mark["answer"]) for mark in marks]:
        return None
    keys = [None if answer is None else answers.normalise(answer) for answer in said]
    first = {key: answer for key, answer in reversed(list(zip(keys, said, strict=True))) if key is not None}
    order = list(dict.fromkeys(key for key in keys if key is not None))
    verdicts = [judge.right(str(first[key]), rows[0]) for key in order]
    if None in verdicts:
        return None
    votes = tuple(None if key is None else order.index(key) for key in keys)
    return Ballot(votes, tuple(bool(verdict) for verdict in verdicts))


def _marks(said: Sequence[str | None]) -> list[tuple[int, str]]:
    """The marks that counting these answers in this order leaves."""
    votes, found = Votes(), list[tuple[int, str]]()
    for place, answer in enumerate(said, start=1):
        votes.add(answer)
        leader = votes.leader
        if leader is not None and (not found or found[-1][1] != leader):
            found.append((place, leader))
    return found


class _Judge:
    """Whether an answer is right: as some mark says, else by the task's scorer; None where nobody can tell."""

    def __init__(self, known: dict[tuple[int, str], bool]) -> None:
        self._known: dict[tuple[int, str], bool | None] = dict(known)

    def right(self, answer: str, row: Row) -> bool | None:
        at = (row["question_no"], answer)
        if at not in self._known:
            task = _task(row["task"])
            self._known[at] = None if task is None else task.score(answer, _question(row))
        return self._known[at]


@lru_cache(maxsize=64)
def _task(name: str) -> Any:
    from engine.tasks import TaskSpec, open_task

    try:
        return open_task(TaskSpec(name))
    except BudgetscopeError:
        return None


def _question(row: Row) -> Question:
    kind: AnswerKind = row["answer_kind"] if row["answer_kind"] in get_args(AnswerKind) else "text"
    problem = Problem(row["question"], kind, context=row["context"])
    return Question(row["question_id"], row["task"], problem, row["target"], row["category"], row["data"])


def _grouped(rows: Iterable[Row]) -> dict[Place, list[Row]]:
    found: dict[Place, list[Row]] = {}
    for row in rows:
        found.setdefault((row["condition_no"], row["question_no"], row["repeat"]), []).append(row)
    return found
