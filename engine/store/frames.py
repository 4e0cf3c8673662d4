"""Frames of polars in and out of DuckDB, handed over by Arrow's C interface.

Each way of DuckDB's own, `register` of a frame and `pl`, goes through pyarrow, whose import takes a tenth of a second
and 50 MB of every process that reads or writes anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import duckdb
    import polars as pl

    from engine.store.sql import Connection


class _Streams(Protocol):
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


class _Stream:
    """Shows nothing of a frame or a relation but its stream, or its type would be known and pyarrow asked."""

    def __init__(self, source: _Streams) -> None:
        self._source = source

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._source.__arrow_c_stream__(requested_schema)


def register(connection: Connection, name: str, frame: pl.DataFrame) -> None:
    """From now on the view `name` has the rows of a frame, which the connection keeps alive until it is unregistered;
    it may be read as often as one likes."""
    connection.register(name, _Stream(frame))


def read(relation: duckdb.DuckDBPyRelation) -> pl.DataFrame:
    """All rows of a relation; types as its own `pl` has them."""
    import polars as pl

    return pl.DataFrame(_Stream(relation))
