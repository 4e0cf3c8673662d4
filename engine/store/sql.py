"""What every statement of this room shares: the type of a connection, and how a literal is quoted."""

from __future__ import annotations

from collections.abc import Callable

import duckdb

Connection = duckdb.DuckDBPyConnection
TURNS = """case when contains(data, '"turns"') and json_valid(data) then data ->> '$.turns' end"""
"""What was said before a question, as `core.codec.turns` reads it; null: nothing."""
LAST = (
    "left join (select trial_id, max(attempt) as last from trials where attempt > 1 group by trial_id) using (trial_id)"
)
"""Behind `trials`: by trial the number of its last attempt, where there was a second; see `IS_LAST`."""
IS_LAST = "attempt = coalesce(last, 1)"
"""Whether a row is its trial's last attempt. Few have a second one, so numbering the attempts of all takes four times
as long."""


def of_last(connection: Connection, statement: str) -> str:
    """A statement with `LAST` and `IS_LAST` as it is quickest: where no trial has a second attempt, which the ends of
    the column tell at once, the ids of millions need not be read to find that out."""
    if connection.execute("select 1 from trials where attempt > 1 limit 1").fetchall():
        return statement
    return statement.replace(LAST, "").replace(IS_LAST, "attempt = 1")


def early(connection: Connection, enough: Callable[[str], bool]) -> str:
    """A condition that leaves the trials of the first few repeats alone, as few as are `enough` under it; of all where
    there is one repeat, or no few will do. Repeats are small numbers, of which DuckDB reads little or passes over whole
    blocks, where a condition's id is compared with those of all trials."""
    if connection.execute("select 1 from trials where repeat > 0 limit 1").fetchall():
        for repeats in (1, 16, 256):
            if enough(first := f"repeat < {repeats}"):
                return first
    return "true"


def quoted(text: str) -> str:
    """A SQL string literal, for the few statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"


def each(template: str, *names: str) -> str:
    """The template once per name, which stands for its @."""
    return ", ".join(template.replace("@", name) for name in names)
