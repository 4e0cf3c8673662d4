"""The price snapshots a database was written with: whose, from where, as of when. SQL without arithmetic."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl

from engine.records import Price

if TYPE_CHECKING:
    from engine.database import Connection

_SNAPSHOTS = """
select p.model, p.input_pusd, p.output_pusd, p.cached_pusd, p.cache_write_pusd, p.source, p.as_of,
    coalesce(p.assumed, false) as assumed, p.snapshot_id, count(t.trial_id) as n_trials,
    min(t.started_at) as first_used, max(t.started_at) as last_used
from prices p left join trials t using (snapshot_id) group by all
order by p.model, last_used desc nulls last, p.snapshot_id"""


def snapshots(connection: Connection) -> pl.DataFrame:
    """One row per stored snapshot and model, the newest of a model first; see `Results.snapshots`."""
    frame: pl.DataFrame = connection.sql(_SNAPSHOTS).pl()
    lineups = connection.execute("select distinct lineup from conditions order by lineup").fetchall()
    names = {identity: name for (lineup,) in lineups for _, name, identity in json.loads(lineup)}
    called = [names.get(identity, identity) for identity in frame["model"]]
    return frame.insert_column(0, pl.Series("name", called, dtype=pl.String))


def newest(frame: pl.DataFrame) -> dict[str, Price]:
    """The newest stored price by identity, as a lens takes it; a model without a price is left out."""
    rows = frame.filter(pl.col("input_pusd").is_not_null() & pl.col("output_pusd").is_not_null())
    return {row["model"]: _price(row) for row in reversed(rows.to_dicts())}


def _price(row: dict[str, object]) -> Price:
    names = ("input_pusd", "output_pusd", "cached_pusd", "cache_write_pusd", "source", "as_of", "assumed")
    return Price(**{name: row[name] for name in names})  # type: ignore[arg-type]
