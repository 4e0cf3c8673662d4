"""Frames go into DuckDB and come out of it as they are, and nobody waits for pyarrow."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime

import duckdb
import polars as pl

from engine.store import frames
from tests import ROOT

SCRIPT = """
import sys, duckdb, polars as pl
from engine.store import frames
connection = duckdb.connect()
frames.register(connection, "given", pl.DataFrame({"a": [1]}))
assert frames.read(connection.sql("from given")).rows() == [(1,)]
assert not {"pyarrow", "pandas"} & {*sys.modules}
"""


def test_a_frame_comes_back_as_it_went_in_however_often_it_is_read() -> None:
    frame = pl.DataFrame(
        {
            "number": [1, None, -(2**62)],
            "text": ["", None, "ü\U0001f600"],
            "share": [0.1, None, float("inf")],
            "yes": [True, None, False],
            "at": [datetime(2026, 1, 1, microsecond=1), None, datetime(1970, 1, 1)],
            "many": [["a"], None, []],
        }
    )
    with duckdb.connect() as connection:
        frames.register(connection, "given", frame)
        assert frames.read(connection.sql("from given")).equals(frame)
        assert connection.execute("select count(*) from given a join given b using (number)").fetchall() == [(2,)]
        assert frames.read(connection.sql("from given where false")).schema == frame.schema


def test_types_are_those_that_duckdb_gives_polars_itself() -> None:
    sql = "select sum(n) as total, avg(n) as mean, 1.5 as exact, 'a'::enum('a', 'b') as kind, {'n': 1} as both from range(9) r(n)"
    with duckdb.connect() as connection:
        assert frames.read(connection.sql(sql)).equals(connection.sql(sql).pl())
        assert frames.read(connection.sql(sql)).schema == connection.sql(sql).pl().schema


def test_nothing_of_it_imports_pyarrow() -> None:
    subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, check=True)
