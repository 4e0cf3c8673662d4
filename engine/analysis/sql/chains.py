"""The stored thoughts of a setting: replies that its trials read as chains, each with its question, and how they score.

A thought is a call of the role *solve* that was seen whole, or that its own asked cap ended; one that goes on with
words begun for the model is not a thought of its own, and one whose reasoning is hidden cannot be cut. Writes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.analysis.majority_at_k import answer_of, kind_of, score_of
from engine.core.answers import removed
from engine.core.records import AnswerKind, Message, Prompt
from engine.store import tables
from engine.store.sql import IS_LAST, LAST, early, of_last

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.store.sql import Connection

    _Wanted = Mapping[str, list[str] | None]

# What failed or was stopped thought things that were never judged.
_ENDED = f"""
with ended as (
    select repeat, question_id, t.{{key}} as key, attempt, condition_id from trials t {LAST}
    where {IS_LAST} and {{early}} and "end" in ('finished', 'exhausted')
        and condition_id in (select unnest($conditions))
        and ($questions::varchar[] is null or question_id in (select unnest($questions::varchar[]))))"""
# Where the few lie is found first: ids of all would be read for theirs.
_TOLD = f"""
create or replace temp table told as {_ENDED}, few as ({{some}})
select l.repeat, l.question_id, t.trial_id, t.attempt, {{flush}}, l.condition_id, t.framing_id
from few l join trials t on t.{{key}} = l.key and t.attempt = l.attempt"""
_AT_LEAST = f"{_ENDED} select condition_id from ended group by 1 having count(*) >= {{trials}}"
_ALL = "from ended"
# By repeat, then by question: the least so many are kept while reading, and the others never sorted.
_FIRST = """select unnest(least, recursive := true)
    from (select min(ended, {trials}) as least from ended group by condition_id)"""
_FROM = """
from told l join {calls} c using (trial_id, attempt) join completions k using (key) join prompts p using (prompt_key)
{about} where k.output_tokens is not null and c.role = 'solve' and coalesce(c.cut, 'own') = 'own'"""
_ABOUT = "join questions q using (question_id) join framings f using (framing_id)"
_KEYS = " and c.key in (select unnest($keys))"
_CHAINS = """
select l.condition_id, k.key, l.question_id, l.repeat, c.ordinal, c.model, c.asked_tokens, c.cut, p.messages, k.text,
    k.finish, k.output_tokens, coalesce(k.reasoning_tokens, 0) as reasoning_tokens, f.answer_kind, q.task,
    q.text as question, q.context, q.target, q.category, q.data,
    dense_rank() over (order by l.question_id) as question_no"""
_ORDER = " order by l.repeat, c.ordinal, l.question_id"
_COUNT = f"""
select count(*), count(*) filter (where shown) from (
    select distinct k.key, l.question_id, coalesce(k.reasoning_tokens, 0) = 0 and not k.text like '{removed.LIKE}'
        and regexp_matches(k.text, '\\S') as shown
    {_FROM.replace("{about}", "")} and json_extract_string(p.messages, '$[#-1][0]') <> 'assistant')"""
_GROWTH = 16
"""So many times more trials are read where too few of the first have a visible thought, but some have."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A stored thought and the question it is about."""

    key: str
    """The completion; trials of several settings may read one."""
    question_id: str
    model: str
    """Identity of the model that thought it."""
    messages: Prompt
    """What it was asked."""
    text: str
    cut: bool
    """Its own cap ended it, so that it has no answer of its own."""
    asked_tokens: int
    output_tokens: int
    """As its provider counted, the end token included."""
    hidden: bool
    """Part of it is reasoning that nobody has shown, or its text was removed."""
    row: Mapping[str, Any] = field(compare=False, repr=False)

    @property
    def kind(self) -> AnswerKind:
        """How answers to its question look."""
        return kind_of(self.row)

    def read(self, text: str) -> str | None:
        """The answer that a text states."""
        return answer_of(self.row, text)

    def score(self, answer: str | None) -> float | None:
        """An answer to its question, from 0, wrong, to 1, right; None: no answer. Raises LookupError where nobody here
        knows the task."""
        if answer is None:
            return None
        score = score_of(self.row, answer, {})
        if score is None:
            raise LookupError(self.row["task"])
        return score

    @property
    def answer(self) -> str | None:
        """Its own answer: None where it states none, or was cut off."""
        return None if self.cut else self.read(self.text)


def chains(
    connection: Connection,
    condition_ids: Iterable[str],
    questions: frozenset[str] | None = None,
    *,
    most: int | None = None,
    keys: Iterable[str] | None = None,
) -> dict[str, list[Chain]]:
    """The thoughts of conditions, of each one of every question before the second of any.

    `questions`: those that count; None: all. `keys`: of these completions alone. `most`: so many visible ones of each
    condition are enough, so that a study of a million answers costs what one of a thousand does, and a model that shows
    none in its first 16 times as many answers is taken to show none; None: all."""
    asked = None if questions is None else [*questions]
    found: dict[str, list[Chain]] = {each: [] for each in condition_ids}
    only = None if keys is None else {"keys": [*keys]}
    short, trials = [*found], most
    more = ("" if keys is None else _KEYS) + _ORDER
    while short:
        wanted = {"conditions": short, "questions": asked}
        if trials is None:
            calls = _told(connection, _ALL, wanted)
        else:
            calls = _told(connection, _FIRST.format(trials=trials), wanted, _early(connection, wanted, trials))
        found |= _read(connection.execute(_CHAINS + _FROM.format(about=_ABOUT, calls=calls) + more, only), short)
        if most is None or trials is None:
            break
        # Of a model that shows none of its thoughts the first trials tell.
        least = 0 if trials == most else 1
        if short := [each for each in short if least <= len(visible(found[each])) < most]:
            wanted = {"conditions": short, "questions": asked}
            short = _with(connection, wanted, trials + 1, _early(connection, wanted, trials + 1))
        trials *= _GROWTH
    return found


def _early(connection: Connection, wanted: _Wanted, trials: int) -> str:
    """Of which repeats each of the conditions has so many trials that ended; see `sql.early`."""
    many = len(wanted["conditions"] or ())
    return early(connection, lambda first: len(_with(connection, wanted, trials, first)) == many)


def _with(connection: Connection, wanted: _Wanted, trials: int, first: str) -> list[str]:
    """The conditions that have so many trials that ended."""
    sql = of_last(connection, _AT_LEAST.format(key=tables.row_name(connection), trials=trials, early=first))
    return [condition for (condition,) in connection.execute(sql, wanted).fetchall()]


def _told(connection: Connection, some: str, wanted: _Wanted, first: str = "true") -> str:
    """Put the trials whose thoughts are read into `told`; the relation of their calls, and of others."""
    sql = _TOLD.format(key=tables.row_name(connection), some=some, flush=tables.flush(connection, "t"), early=first)
    connection.execute(of_last(connection, sql), wanted)
    return tables.of_flushes("calls", "*", tables.near(connection, "told"))


def count(connection: Connection, condition_id: str, questions: frozenset[str] | None = None) -> tuple[int, int]:
    """How many thoughts a condition has, and how many of them are visible; no text is fetched."""
    asked = None if questions is None else [*questions]
    calls = _told(connection, _ALL, {"conditions": [condition_id], "questions": asked})
    ((stored, shown),) = connection.execute(_COUNT.format(calls=calls)).fetchall()
    return stored, shown


def _read(cursor: Connection, conditions: Sequence[str]) -> dict[str, list[Chain]]:
    """By condition what a query finds, each thought once."""
    names = [column[0] for column in cursor.description or ()]
    found: dict[str, dict[tuple[str, str], Chain]] = {condition: {} for condition in conditions}
    prompts: dict[str, Prompt] = {}
    for values in cursor.fetchall():
        row = dict(zip(names, values, strict=True))
        # Many replies were asked for by one prompt.
        if (messages := prompts.get(row["messages"])) is None:
            messages = tuple(Message(role, content) for role, content in json.loads(row["messages"]))
            prompts[row["messages"]] = messages
        # Begun for the model: its end alone is the model's, and cannot be cut by itself.
        if messages[-1].role == "assistant":
            continue
        chain = Chain(
            key=row["key"],
            question_id=row["question_id"],
            model=row["model"],
            messages=messages,
            text=row["text"],
            # Either says it: a provider's own cap leaves no cut of ours.
            cut=row["cut"] is not None or row["finish"] != "stop",
            asked_tokens=row["asked_tokens"],
            output_tokens=row["output_tokens"],
            hidden=row["reasoning_tokens"] > 0 or removed.is_note(row["text"]),
            row=row,
        )
        # Several trials may read one stored reply; it was thought once.
        found[row["condition_id"]].setdefault((chain.key, chain.question_id), chain)
    return {condition: list(own.values()) for condition, own in found.items()}


def visible(every: Iterable[Chain]) -> list[Chain]:
    """Those whose thought stands in the text and says something."""
    return [chain for chain in every if not chain.hidden and chain.text.strip()]
