"""The only caller of engine.analysis in the dashboard; cached by the database's fingerprint.

A frame is computed once per (database as it is now, question asked of it); figures are never cached. Every cached
function takes `*state()` first: both parts belong to its key. Nothing here draws.
"""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import streamlit as st

import engine
from dashboard import access
from engine.errors import BudgetscopeError
from engine.store import default_path, fingerprint

if TYPE_CHECKING:
    import polars as pl

    from engine.analysis import Results
    from engine.budget import Limits

Print = tuple[int, int, int, int]
Kind = Literal["staircase", "hull"]
Ids = tuple[str, ...]
Budgets = tuple[int, ...] | None
"""None: those the studies declare."""
REPLICATES, SEED = 1000, 0
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""Openings a spreadsheet would run; some take the wide forms of East Asian keyboards for the narrow ones."""


def path() -> Path:
    """The database this dashboard shows: BUDGETSCOPE_DB, else the local copy, else the demo."""
    return default_path(Path(__file__).resolve().parent.parent)


def read_only() -> bool:
    """Whether nothing may be started or changed from this session."""
    return not access.may_spend()


def state() -> tuple[str, Print]:
    """What caches are keyed by: the path and the file as it is now."""
    return str(path()), fingerprint(path())


def trouble(db: str, mark: Print) -> str | None:
    """Why there is nothing to show, in one sentence; None: there are cells."""
    try:
        return "No trial is stored here yet." if cells(db, mark).is_empty() else None
    except BudgetscopeError as error:
        return str(error)


@st.cache_resource(max_entries=8, show_spinner=False)
def measured(
    db: str, mark: Print, axis: str | None = None, budgets: Budgets = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All cells, and the sums per question behind them: one pass over the database, shared by every filter."""
    return _results(db).measured(axis, budgets, {})


def cells(db: str, mark: Print, axis: str | None = None, budgets: Budgets = None) -> pl.DataFrame:
    """One row per condition and budget, columns `engine.analysis.curves.CELL_SCHEMA`."""
    return measured(db, mark, axis, budgets)[0]


@st.cache_data(max_entries=64, show_spinner=False)
def frontier(db: str, mark: Print, x: str, task: str, kind: Kind, budgets: Budgets, conditions: Ids) -> pl.DataFrame:
    """Cells of some conditions of a task with their place on the frontier; see `Results.frontier`."""
    from engine.analysis import frontier as of

    return of.frontier(*_chosen(db, mark, task, budgets, conditions), x, kind, REPLICATES, SEED)


@st.cache_data(max_entries=64, show_spinner=False)
def band(db: str, mark: Print, x: str, task: str, budgets: Budgets, conditions: Ids) -> pl.DataFrame:
    """Bootstrap band of the staircase of the same cells; see `Results.band`."""
    from engine.analysis import frontier as of

    return of.band(*_chosen(db, mark, task, budgets, conditions), x, REPLICATES, SEED)


@st.cache_data(max_entries=64, show_spinner=False)
def model_lines(
    db: str, mark: Print, x: str, task: str, kind: Kind, budgets: Budgets, conditions: Ids
) -> dict[str, pl.DataFrame]:
    """Per model the line through its own frontier; no chances are asked for, so nothing is resampled to speak of."""
    from engine.analysis import frontier as of

    chosen, units = _chosen(db, mark, task, budgets, conditions)
    models = sorted(set(chosen["model"].to_list()))
    return {model: line(of.frontier(chosen.filter(model=model), units, x, kind, 1, SEED), kind) for model in models}


@lru_cache(maxsize=8)
def _results(db: str) -> Results:
    """One reader for each file, which then looks only once whether the file is ours."""
    return engine.open(db)


def tasks(cells: pl.DataFrame) -> tuple[str, ...]:
    """Tasks, the one with most cells first."""
    return tuple(cells.group_by("task").len().sort("len", "task", descending=[True, False])["task"])


def line(frame: pl.DataFrame, kind: Kind) -> pl.DataFrame:
    """The points to join: columns task, x, accuracy."""
    from engine.analysis import frontier_line

    return frontier_line(frame, kind)


@st.cache_data(max_entries=64, show_spinner=False)
def curves(db: str, mark: Print, ids: Ids, axis: str) -> dict[str, pl.DataFrame]:
    """Per condition the curve on one budget axis, columns `engine.analysis.curves.CURVE_SCHEMA`."""
    found = _results(db).curves(ids, axis)
    return {condition: found.filter(condition_id=condition).drop("condition_id", "axis") for condition in ids}


@st.cache_data(max_entries=8, show_spinner=False)
def conditions(db: str, mark: Print) -> pl.DataFrame:
    """All conditions with `label`, `simulated` and `run_ids`."""
    return _results(db).conditions()


@st.cache_data(max_entries=8, show_spinner=False)
def runs(db: str, mark: Print) -> pl.DataFrame:
    """Runs, newest first."""
    return _results(db).runs()


@st.cache_data(max_entries=8, show_spinner=False)
def questions(db: str, mark: Print) -> pl.DataFrame:
    """Questions with target, category and number of trials."""
    return _results(db).questions()


@st.cache_data(max_entries=32, show_spinner=False)
def trial_rows(db: str, mark: Print, condition: str) -> pl.DataFrame:
    """The last attempt of each trial of a condition."""
    return _results(db).trial_rows(condition)


@st.cache_data(max_entries=64, show_spinner=False)
def transcript(db: str, mark: Print, trial: str) -> pl.DataFrame:
    """The calls of a trial's last attempt in order."""
    return _results(db).transcript(trial)


@st.cache_data(max_entries=32, show_spinner=False)
def bill(db: str, mark: Print, run_id: str) -> pl.DataFrame:
    """What a run paid, replayed and would pay afresh, by model and role; see `Results.bill`."""
    return _results(db).bill(run_id, by=("model", "role"))


@st.cache_data(max_entries=8, show_spinner=False, ttl=60)
def allowance(db: str, mark: Print) -> tuple[Limits, Limits]:
    """What today (UTC) allows to all runs together, and what of it is free."""
    from engine import status
    from engine.leases import day_of
    from engine.store import Store

    book = Store(db).read_book()
    return book.allowance, book.free(day_of(status.now()))


def as_csv(frame: pl.DataFrame) -> bytes:
    """The frame as CSV; text that a spreadsheet would run as a formula gets a leading apostrophe."""
    import polars as pl

    kinds = frame.schema.items()
    lists = [pl.col(name).list.join(" ") for name, kind in kinds if kind == pl.List(pl.String)]
    named = [pl.col(name).cast(pl.String) for name, kind in kinds if kind in (pl.Categorical, pl.Enum)]
    whole = frame.with_columns(*lists, *named)
    texts = [_unarmed(pl.col(name)).alias(name) for name, kind in whole.schema.items() if kind == pl.String]
    return whole.with_columns(*texts).write_csv().encode()


def as_parquet(frame: pl.DataFrame) -> bytes:
    """The frame as Parquet, types kept."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def _chosen(db: str, mark: Print, task: str, budgets: Budgets, conditions: Ids) -> tuple[pl.DataFrame, pl.DataFrame]:
    import polars as pl

    found, units = measured(db, mark, None, budgets)
    shown = distinct(found.filter(pl.col("condition_id").is_in(list(conditions)), task=task))
    return shown, units.join(shown.select("condition_id", "budget"), on=("condition_id", "budget"), how="semi")


def distinct(frame: pl.DataFrame) -> pl.DataFrame:
    """Without the larger budgets of a condition that changed neither accuracy, spend nor n: one point, not six."""
    same = ("condition_id", "accuracy", "n_questions", "n_censored", "calls", "input_tokens", "output_tokens")
    return frame.unique(subset=same, keep="first", maintain_order=True)


def _unarmed(text: pl.Expr) -> pl.Expr:
    import polars as pl

    return pl.when(text.str.slice(0, 1).is_in(FORMULA)).then(pl.concat_str(pl.lit("'"), text)).otherwise(text)
