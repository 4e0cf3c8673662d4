"""The tables of sums that are kept, `held` and `holdings`: what is in them, read and written.

Owns their SQL. When they are made and when they may be read is the business of `holding` and `reading`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine import steps
from engine.analysis import queries

if TYPE_CHECKING:
    import polars as pl

    from engine.database import Connection


def holdings(connection: Connection) -> dict[str, tuple[str, list[int]]]:
    """By condition, the axis and the budgets its sums are held at."""
    if not queries.has(connection, "holdings"):
        return {}
    sql = f"select condition_id, axis, budgets from holdings join {steps.CONDITIONS} using (condition_no)"
    return {condition: (axis, budgets) for condition, axis, budgets in connection.execute(sql).fetchall()}


def sums(connection: Connection, condition_nos: Sequence[int]) -> pl.DataFrame:
    """What is held of these conditions: condition_no, budget, question_no and MEASURES."""
    which = ", ".join(map(str, condition_nos))
    measures = queries.each("@::double as @", *queries.MEASURES)
    sql = f"select condition_no, budget, question_no, {measures} from held where condition_no in ({which})"
    frame: pl.DataFrame = connection.sql(sql).pl()
    return frame


def keep(connection: Connection, sums: pl.DataFrame, grid: pl.DataFrame) -> None:
    """Keep `sums` (columns of `held`), in order, for the conditions of `grid` (condition_no, axis, budgets)."""
    numbers = ", ".join(str(number) for number in grid["condition_no"])
    for table, frame in (("held", sums), ("holdings", grid.select("condition_no", "axis", "budgets"))):
        connection.register("fresh", frame.to_arrow())
        connection.execute(f"delete from {table} where condition_no in ({numbers})")
        connection.execute(f"insert into {table} by name select * from fresh")
        connection.unregister("fresh")
