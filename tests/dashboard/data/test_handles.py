"""Where the two handles of a first visit stand: they leave the best, and somebody to compare it with."""

from __future__ import annotations

import polars as pl
import pytest

from dashboard.data import infos, queries
from tests import ROOT


@pytest.mark.parametrize("study", ["demo", "which_model"])
def test_the_first_corner_holds_the_best_and_where_there_is_one_another(
    study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(ROOT / "results.duckdb"))
    db = queries.state()
    cells = queries.cells(db, study=study).filter(~pl.col("partial"))
    for task in queries.tasks(cells):
        for x in ("output_tokens", "usd"):
            most, least = infos.first_handles(db, study, task, x)
            scale = 1000 if x == "usd" else 1
            over = cells.filter(pl.col("task") == task, pl.col("accuracy") >= float(least or 0) / 100)
            corner = over.filter(pl.col(x) * scale <= float(most))
            assert corner["accuracy"].max() == over["accuracy"].max()
            assert corner["condition_id"].n_unique() >= min(2, over["condition_id"].n_unique())
