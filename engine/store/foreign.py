"""What is stored already of things that come from elsewhere, so that they meet what is here and nothing comes twice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from engine.store import tables
from engine.store.store import Store


class StoredQuestion(NamedTuple):
    """A question as far as its content decides whether another is the same."""

    question_id: str
    task: str
    text: str
    context: str | None
    target: str
    options: tuple[str, ...]


class StoredAnswer(NamedTuple):
    """A trial as far as another log of it may agree or not."""

    trial_id: str
    answer: str | None
    score: float | None


def questions(store: Store) -> Iterator[StoredQuestion]:
    """All questions, by id; none where there is no database yet."""
    if not store.path.exists():
        return
    with store.reading() as connection:
        cursor = connection.execute(
            "select question_id, task, text, context, target, data from questions order by question_id"
        )
        while batch := cursor.fetchmany(1000):
            for question_id, task, text, context, target, data in batch:
                yield StoredQuestion(question_id, task, text, context, target, _options(data))


def answers(store: Store, trial_ids: Iterable[str]) -> list[StoredAnswer]:
    """Those of these trials that are stored, as their last attempt has them."""
    if not store.path.exists():
        return []
    # A file that is only read may be older than the column.
    with store.reading() as connection:
        score = "score" if tables.has(connection, "trials", "score") else "null"
        sql = f"select trial_id, arg_max_null(answer, attempt) as answer, arg_max_null({score}, attempt) as score"
        stored = tables.matching(
            connection, f"{sql} from trials semi join wanted on trial_id = id group by trial_id", trial_ids
        )
    return [StoredAnswer(**row) for row in stored]


class StoredRepeats(NamedTuple):
    """Which repeats there are of one condition on one question."""

    asked: tuple[str, str]
    """Condition and question."""
    last: int
    others: list[int] | None
    """All of them; None: every one up to the last."""


def stored(
    store: Store, trial_ids: Iterable[str], asked: Iterable[tuple[str, str]]
) -> tuple[set[str], list[StoredRepeats]]:
    """Which of these trials are stored, and which repeats there are of these conditions on these questions."""
    if not store.path.exists():
        return set(), []
    conditions, questions = zip(*asked, strict=True)
    with store.reading() as connection:
        sql = "select trial_id from trials semi join wanted on trial_id = id"
        known = {row["trial_id"] for row in tables.matching(connection, sql, trial_ids)}
        repeats = tables.matching(connection, _REPEATS, set(questions), [list(set(conditions))])
    pairs = ((row["condition_id"], row["question_id"]) for row in repeats)
    return known, [StoredRepeats(pair, row["last"], row["others"]) for pair, row in zip(pairs, repeats, strict=True)]


_REPEATS = """
select condition_id, question_id, max(repeat) as last,
    if(count(distinct repeat) <= max(repeat), list(distinct repeat), null) as others
from trials semi join wanted on question_id = id where condition_id in (select unnest(?::varchar[])) group by all"""


def _options(data: str) -> tuple[str, ...]:
    body = json.loads(data)
    reading = body.get("reading") if isinstance(body, dict) else None
    options = reading.get("options") if isinstance(reading, dict) else None
    return tuple(map(str, options)) if isinstance(options, list) else ()
