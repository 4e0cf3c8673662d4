"""Frames that pages show, asked of `engine.analysis` and cached by the version of the database file.

A frame is computed once per database as it is now and question asked of it; figures are never cached. Every cached
function takes `state()` first, which belongs to its key. Nothing here draws.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

import engine
from dashboard.data import comparison
from dashboard.data.lens import PLAIN, Looking, Models, build
from dashboard.text import differences
from engine.core.errors import BudgetscopeError
from engine.store.store import default_path, fingerprint

if TYPE_CHECKING:
    import polars as pl

    from engine.analysis import Cell, Results
    from engine.analysis.savings import Savings


@dataclass(frozen=True, slots=True)
class Database:
    """A database file in one version: what every cache is keyed by."""

    path: str
    version: tuple[int, int, int, int]
    """See `engine.store.store.fingerprint`; it changes with the file."""


Kind = Literal["staircase", "hull"]
Ids = tuple[str, ...]
Budgets = tuple[int, ...] | None
"""None: those the studies declare."""
REPLICATES, SEED = 1000, 0


def path() -> Path:
    """The database this dashboard shows: BUDGETSCOPE_DB, else the local copy, else the demo."""
    return default_path(Path(__file__).resolve().parents[2])


def state() -> Database:
    """The database that is shown, as its file is now."""
    return Database(str(path()), fingerprint(path()))


def trouble(db: Database) -> str | None:
    """Why there is nothing to show, in one sentence; None: there are cells."""
    try:
        return "No trial is stored here yet." if cells(db).is_empty() else None
    except BudgetscopeError as error:
        return str(error)


@st.cache_resource(max_entries=16, show_spinner=False)
def _measured(db: Database, axis: str | None, budgets: Budgets, looking: Looking) -> tuple[pl.DataFrame, pl.DataFrame]:
    # The cache keys calls by the arguments as they are written: callers that leave defaults out must not read twice.
    return results(db.path).measured(axis, budgets, {}, build(looking, models(db))[0])


def measured(
    db: Database, axis: str | None = None, budgets: Budgets = None, looking: Looking = PLAIN
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All cells, and the sums per question behind them: one pass over the database, shared by every filter."""
    return _measured(db, axis, budgets, looking)


def cells(db: Database, axis: str | None = None, budgets: Budgets = None, looking: Looking = PLAIN) -> pl.DataFrame:
    """One row per condition and budget, columns `engine.analysis.curves.CELL_SCHEMA`."""
    return _measured(db, axis, budgets, looking)[0]


@st.cache_data(max_entries=8, show_spinner=False)
def models(db: Database) -> Models:
    """The models prices are stored of, with the newest one each."""
    from engine.analysis.listings import newest

    listed = results(db.path).snapshots()
    names, stored = dict(sorted(listed.select("name", "model").unique().rows())), newest(listed)
    return Models(tuple(names), tuple((name, stored[of]) for name, of in names.items() if of in stored))


@st.cache_data(max_entries=64, show_spinner=False)
def frontier(
    db: Database,
    x: str,
    task: str,
    kind: Kind,
    budgets: Budgets,
    conditions: Ids,
    looking: Looking = PLAIN,
) -> pl.DataFrame:
    """Cells of some conditions of a task with their place on the frontier; see `Results.frontier`."""
    from engine.analysis import frontier as of

    return of.frontier(*_chosen(db, task, budgets, conditions, looking), x, kind, REPLICATES, SEED)


@st.cache_data(max_entries=64, show_spinner=False)
def band(db: Database, x: str, task: str, budgets: Budgets, conditions: Ids, looking: Looking = PLAIN) -> pl.DataFrame:
    """Bootstrap band of the staircase of the same cells; see `Results.band`."""
    from engine.analysis import frontier as of

    return of.band(*_chosen(db, task, budgets, conditions, looking), x, REPLICATES, SEED)


@st.cache_data(max_entries=64, show_spinner=False)
def model_lines(
    db: Database,
    x: str,
    task: str,
    kind: Kind,
    budgets: Budgets,
    conditions: Ids,
    looking: Looking = PLAIN,
) -> dict[str, pl.DataFrame]:
    """Per model the line through its own frontier; no chances are asked for, so nothing is resampled to speak of."""
    from engine.analysis import frontier as of

    chosen, units = _chosen(db, task, budgets, conditions, looking)
    names = sorted(set(chosen["model"].to_list()))
    return {model: line(of.frontier(chosen.filter(model=model), units, x, kind, 1, SEED), kind) for model in names}


@lru_cache(maxsize=8)
def results(path: str) -> Results:
    """One reader for each file, which then looks only once whether the file is ours."""
    return engine.open(path)


def votes(strategies: Iterable[str]) -> bool:
    """Whether one of them is a vote whose draws could have come in another order."""
    from engine.analysis.majority_at_k import VOTING

    return not set(VOTING).isdisjoint(strategies)


def tasks(cells: pl.DataFrame) -> tuple[str, ...]:
    """Tasks, the one with most cells first."""
    return tuple(cells.group_by("task").len().sort("len", "task", descending=[True, False])["task"])


def line(frame: pl.DataFrame, kind: Kind) -> pl.DataFrame:
    """The points to join: columns task, x, accuracy."""
    from engine.analysis import frontier_line

    return frontier_line(frame, kind)


@st.cache_data(max_entries=64, show_spinner=False)
def curves(
    db: Database, ids: Ids, axis: str, looking: Looking = PLAIN, orders: int | None = None
) -> dict[str, pl.DataFrame]:
    """Per condition the curve on one budget axis, columns `engine.analysis.curves.CURVE_SCHEMA`."""
    found = results(db.path).curves(ids, axis, None, build(looking, models(db))[0], orders)
    return _by_condition(found, ids)


@st.cache_resource(max_entries=16, show_spinner=False)
def budgets(
    db: Database, axis: str, ids: Ids, looking: Looking, orders: int | None, most: int
) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """Cells of some conditions on a budget axis, and the curves of the anytime ones unless these are over `most`."""
    lens = build(looking, models(db))[0]
    with results(db.path).still() as same:
        found, _ = same.measured(axis, None, {"condition_id": list(ids)}, lens)
        drawn = sorted(set(found.filter("anytime")["condition_id"]))
        if len(drawn) > most:
            return found, {}
        lines = same.curves(drawn, axis, None, lens, orders)
    return found, _by_condition(lines, drawn)


def _by_condition(found: pl.DataFrame, ids: Iterable[str]) -> dict[str, pl.DataFrame]:
    return {condition: found.filter(condition_id=condition).drop("condition_id", "axis") for condition in ids}


@st.cache_data(max_entries=8, show_spinner=False)
def elasticity(db: Database) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Told against used tokens: the points and the summary of `engine.analysis.elasticity.Elasticity`."""
    found = results(db.path).elasticity()
    return found.points, found.summary


@st.cache_data(max_entries=8, show_spinner=False)
def told(db: Database) -> list[dict[str, Any]]:
    """Conditions that tell a budget in tokens, each with `told`; see `engine.analysis.told.conditions`."""
    from engine.analysis import stated_budgets as of

    return [dict(row) for row in of.conditions(conditions(db).to_dicts())]


@st.cache_data(max_entries=64, show_spinner=False)
def settings(db: Database, task: str, axis: str | None) -> pl.DataFrame:
    """Scored cells of a task with `on_frontier` in tokens; budgets on `axis`, None: on each condition's own."""
    from engine.analysis import frontier as of

    found, units = measured(db, axis)
    mine = found.filter(found["accuracy"].is_not_null(), task=task, **({"axis": axis} if axis else {}))
    return of.frontier(mine, theirs(mine, units), "total_tokens", "staircase", 1, SEED)


@st.cache_data(max_entries=64, show_spinner=False)
def compared(db: Database, a: Cell, b: Cell, by: str, left: differences.Side) -> differences.Compared:
    """A against B in all and group by group; see `Results.compare` and `Results.equity`."""
    return comparison.compared(results(db.path), a, b, by, left, (REPLICATES, SEED))


@st.cache_data(max_entries=32, show_spinner=False)
def against(db: Database, others: tuple[Cell, ...], a: Cell) -> pl.DataFrame:
    """Other settings minus A; see `Results.comparisons`."""
    return results(db.path).comparisons(others, a, replicates=REPLICATES, seed=SEED)


@st.cache_data(max_entries=32, show_spinner=False)
def month(db: Database, a: Cell, b: Cell, lineups: Ids, wish: comparison.Month) -> Savings:
    """A month with A and with B; see `Results.savings`."""
    return comparison.month(results(db.path), a, b, lineups, wish, (REPLICATES, SEED))


@st.cache_data(max_entries=8, show_spinner=False)
def conditions(db: Database) -> pl.DataFrame:
    """All conditions with `label`, `simulated` and `run_ids`."""
    return results(db.path).conditions()


@st.cache_data(max_entries=8, show_spinner=False)
def studies(db: Database) -> dict[str, tuple[str, ...]]:
    """Condition ids by the name of the study that ran them, the study with most tasks first."""
    import polars as pl

    names = results(db.path).runs().select("run_id", name=pl.col("study").str.json_path_match("$.name"))
    ran = conditions(db).select("condition_id", "task", run_id="run_ids").explode("run_id")
    named = ran.join(names, on="run_id").drop_nulls("name").unique(["name", "condition_id"]).sort("condition_id")
    found = named.group_by("name").agg("condition_id", tasks=pl.col("task").n_unique())
    return {name: tuple(ids) for name, ids, _ in found.sort("tasks", "name", descending=[True, False]).iter_rows()}


@st.cache_data(max_entries=8, show_spinner=False)
def questions(db: Database) -> pl.DataFrame:
    """Questions with target, category and number of trials."""
    return results(db.path).questions()


@st.cache_data(max_entries=32, show_spinner=False)
def trial_rows(db: Database, condition: str) -> pl.DataFrame:
    """The last attempt of each trial of a condition."""
    return results(db.path).trial_rows(condition)


@st.cache_data(max_entries=32, show_spinner=False)
def bill(db: Database, run_id: str) -> pl.DataFrame:
    """What a run paid, replayed and would pay afresh, by model and role; see `Results.bill`."""
    return results(db.path).bill(run_id, by=("model", "role"))


def _chosen(
    db: Database, task: str, budgets: Budgets, conditions: Ids, looking: Looking
) -> tuple[pl.DataFrame, pl.DataFrame]:
    import polars as pl

    found, units = measured(db, None, budgets, looking)
    shown = distinct(found.filter(pl.col("condition_id").is_in(list(conditions)), task=task))
    return shown, theirs(shown, units)


def theirs(shown: pl.DataFrame, units: pl.DataFrame) -> pl.DataFrame:
    """The sums per question behind some cells."""
    return units.join(shown.select("condition_id", "budget"), on=("condition_id", "budget"), how="semi")


def distinct(frame: pl.DataFrame) -> pl.DataFrame:
    """Without the larger budgets of a condition that changed neither accuracy, spend nor n: one point, not six."""
    same = ("condition_id", "accuracy", "n_questions", "n_censored", "calls", "input_tokens", "output_tokens")
    return frame.unique(subset=same, keep="first", maintain_order=True)
