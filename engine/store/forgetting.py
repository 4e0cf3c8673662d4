"""Texts out of a database, results not: prompts and replies go, by age or of a study; ids, counts, scores and spends
stay, and so do questions, and the answers that were read.

A reply becomes a note (`core.answers.removed`), which is never read in place of a call. What a living run may still ask
for is left alone, and so is what another study reads as well. The file is written anew afterwards, because a database
keeps the bytes of what it deleted; that is the caller's to do.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from engine.core import answers, codec
from engine.core.answers import removed
from engine.store import tables
from engine.store.archive import runs_of_connection
from engine.store.extract import Part
from engine.store.sql import Connection, quoted
from engine.store.store import Store

CHUNK = 10_000
"""Replies in memory at once."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What lost its text."""

    replies: int
    prompts: int
    bytes: int
    """Of the texts of the replies."""
    running: int
    """Replies that were left because a run that is working may read them."""
    shared: int
    """Replies that were left because another study reads them too."""


def forget(
    store: Store, today: date, *, part: Part | None, before: datetime | None, alive: Sequence[str], look: bool = False
) -> Forgotten:
    """Remove texts, in one transaction. `part`: of this study alone; `before`: only what was made before; `alive`: the
    runs that are working. `look`: only say what would go."""
    # A writer that must not write is a reader.
    with store.reading() if look else store.writing() as connection:
        _choose(connection, part, before, alive)
        found = Forgotten(
            replies=_one(connection, "select count(*) from losing"),
            prompts=_one(connection, "select count(*) from losing_prompts"),
            bytes=_one(connection, _BYTES),
            running=_one(connection, "select count(*) from left_running"),
            shared=_one(connection, "select count(*) from left_shared"),
        )
        if look:
            return found
        keys = [key for (key,) in connection.execute("select key from losing order by key").fetchall()]
        for at in range(0, len(keys), CHUNK):
            _replace(connection, keys[at : at + CHUNK], today)
        gone = json.dumps([["user", removed.note(today)]])
        connection.execute(
            "update prompts set messages = ? where prompt_key in (select prompt_key from losing_prompts)", [gone]
        )
    return found


def without_text(store: Store) -> set[str]:
    """The stored replies whose text was removed."""
    with store.reading() as connection:
        sql = f"select key from completions where text like {quoted(removed.LIKE)}"
        return {key for (key,) in connection.execute(sql).fetchall()}


def _choose(connection: Connection, part: Part | None, before: datetime | None, alive: Sequence[str]) -> None:
    """Which replies and prompts lose their texts, as temporary tables."""
    wanted, given = [f"text not like {quoted(removed.LIKE)}"], list[object]()
    if before is not None:
        wanted.append("created_at < ?")
        given.append(codec.naive(before))
    connection.execute("create or replace temp table busy as select unnest(?::varchar[]) as run_id", [list(alive)])
    if part is not None:
        own = runs_of_connection(connection, part.study)
        connection.execute("create or replace temp table own as select unnest(?::varchar[]) as run_id", [own])
        for name, ids in (("conds", part.conditions), ("quests", part.questions)):
            connection.execute(f"create or replace temp table {name} as select unnest(?::varchar[]) as id", [list(ids)])
        wanted.append(f"(run_id in (from own) or key in ({_READ_BY} {_IN_PART}))")
    connection.execute(
        f"create or replace temp table chosen_keys as select key from completions where {' and '.join(wanted)}", given
    )
    asked = """exists (select 1 from plans c join plans q using (run_id) where run_id in (from {runs})
        and c.kind = 'condition' and c.id = t.condition_id and q.kind = 'question' and q.id = t.question_id)"""
    # What a living run has bought, read, or may ask for: its plan names the trials.
    busy = f"{_READ_BY} where t.run_id in (from busy) or {asked.format(runs='busy')}"
    connection.execute(
        f"""create or replace temp table left_running as select key from chosen_keys
        where key in (select key from completions where run_id in (from busy)) or key in ({busy})"""
        if alive
        else "create or replace temp table left_running as select ''::varchar as key where false"
    )
    others = "create or replace temp table left_shared as select key from chosen_keys where false"
    if part is not None:
        connection.execute(
            """create or replace temp table others as select run_id from runs where run_id not in (from own)"""
        )
        read = f"{_READ_BY} where (t.run_id in (from others) or {asked.format(runs='others')})"
        others = f"""create or replace temp table left_shared as select key from chosen_keys
            anti join left_running using (key) where key in ({read})"""
    connection.execute(others)
    connection.execute(
        """create or replace temp table losing as select key from chosen_keys
        anti join left_running using (key) anti join left_shared using (key)"""
    )
    # A prompt goes with the last of its replies.
    connection.execute(
        f"""create or replace temp table losing_prompts as select distinct prompt_key from calls semi join losing
        using (key) where prompt_key not in (
            select c.prompt_key from calls c join completions k using (key) anti join losing on losing.key = k.key
            where k.text not like {quoted(removed.LIKE)})"""
    )


def _replace(connection: Connection, keys: Iterable[str], today: date) -> None:
    """Put notes in place of some texts, with the answers they gave."""
    texts = tables.matching(connection, _ASKED, keys)
    connection.execute("create or replace temp table noted (key varchar, text varchar)")
    notes = [(row["key"], removed.note(today, _answer(row))) for row in texts]
    connection.execute("insert into noted select unnest(?), unnest(?)", [[k for k, _ in notes], [t for _, t in notes]])
    connection.execute("update completions set text = noted.text from noted where noted.key = completions.key")


def _answer(row: codec.Row) -> str | None:
    """What a reply gave: an answer to its question, or the budget that it estimates."""
    if row["role"] == "estimate":
        number = answers.bracketed_integer(row["text"])
        return None if number is None else f"[[{number}]]"
    if row["answer_kind"] is None:
        return None
    options, statement = codec.reading(row["data"])
    return answers.extract(row["text"], row["answer_kind"], statement=statement, options=options)


def _one(connection: Connection, sql: str) -> int:
    ((count,),) = connection.execute(sql).fetchall()
    return int(count)


_BYTES = "select coalesce(sum(strlen(text)), 0) from completions semi join losing using (key)"
_READ_BY = "select c.key from calls c join trials t using (trial_id, attempt)"
_IN_PART = "where t.condition_id in (from conds) and t.question_id in (from quests)"
# One of the calls that read it says what it was about; nearly always there is one question.
_ASKED = """
select k.key, any_value(k.text) as text, first(c.role order by c.trial_id) as role,
    first(f.answer_kind order by c.trial_id) as answer_kind, first(q.data order by c.trial_id) as data
from completions k semi join wanted on k.key = id left join calls c on c.key = k.key
left join trials t on t.trial_id = c.trial_id and t.attempt = c.attempt
left join questions q using (question_id) left join framings f using (framing_id) group by k.key"""
