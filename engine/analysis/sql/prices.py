"""What calls cost, in SQL: the rule of `records.Price` for rows of a database.

A price is rates per tier; a call's own input decides its tier. Knows no budget, and converts nothing to dollars.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from engine.store import tables
from engine.store.sql import each

if TYPE_CHECKING:
    from engine.store.sql import Connection

_AMOUNTS = ("input_pusd", "output_pusd", "cached_pusd", "cache_write_pusd", "reasoning_pusd", "request_pusd")
RATES = ("tier", "above_input_tokens", "assumed", *(name for name in _AMOUNTS if name != "cache_write_pusd"))
"""Columns of a price's tiers that money is reckoned with, stored or of a lens."""
STORED = f"""(
    select snapshot_id, p.model, coalesce(t.tier, 0) as tier, coalesce(t.above_input_tokens, 0) as above_input_tokens,
        coalesce(p.assumed, false) as assumed, {each("coalesce(t.@, p.@) as @", *_AMOUNTS[:4])},
        t.reasoning_pusd, coalesce(t.request_pusd, 0) as request_pusd,
        if(coalesce(t.tier, 0) = 0, -1, t.above_input_tokens) as above,
        coalesce(lead(t.above_input_tokens) over w, 1::bigint << 62) as upto
    from prices p left join price_tiers t using (snapshot_id, model)
    window w as (partition by snapshot_id, p.model order by t.tier))"""
"""Stored prices, one row per snapshot, model and tier; calls with more input than `above`, up to `upto`, are in it."""


def cost(spend: str, rates: str) -> str:
    """List price of calls of one tier in pico-dollars, cached input as plain; null where the price is unknown."""
    return (
        f"({spend}.calls::hugeint * {rates}.request_pusd + {spend}.input_tokens::hugeint * {rates}.input_pusd"
        f" + {spend}.output_tokens::hugeint * {rates}.output_pusd + {spend}.reasoning_tokens::hugeint"
        f" * coalesce({rates}.reasoning_pusd - {rates}.output_pusd, 0))"
    )


def stand_in(connection: Connection) -> None:
    """See that there is a table of tiers; a database of an older schema that is only read had prices of one rate."""
    if not tables.has(connection, "price_tiers"):
        columns = ", ".join(f"{name} bigint" for name in ("tier", "above_input_tokens", *_AMOUNTS))
        connection.execute(f"create temp table price_tiers (snapshot_id varchar, model varchar, {columns})")


def tiered(connection: Connection, lens: pl.DataFrame) -> bool:
    """Whether some call is, or might have been, longer than a threshold of the stored prices or of the lens."""
    ((stored,),) = connection.execute("select min(above_input_tokens) from price_tiers where tier > 0").fetchall()
    own = lens.filter(pl.col("tier") > 0)["above_input_tokens"].min()
    thresholds = [threshold for threshold in (stored, own) if threshold is not None]
    if not thresholds:
        return False
    # All rows are fetched: a result that is not read to its end keeps the connection from what comes next.
    ((longest,),) = connection.execute(
        "select greatest((select max(greatest(bound_tokens, input_tokens)) from calls),"
        " (select max(input_tokens) from steps where kind = 2))"
    ).fetchall()
    return longest is not None and bool(longest > min(thresholds))
