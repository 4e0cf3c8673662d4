"""Frames that pages show, asked of `engine.analysis` and kept for the version of the database file.

A frame is computed once per database as it is now and question asked of it; figures are never kept. Every function that
keeps what it gives takes `state()` first. Nothing here draws.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import streamlit as st

import engine
from dashboard.data import access
from dashboard.data.kept import kept
from dashboard.data.lens import PLAIN, Looking, Models, build
from dashboard.text.progress import Forecast, forecast
from engine.core import places
from engine.core.errors import BudgetscopeError
from engine.core.names import ALL_STUDIES
from engine.models.reach import check_study
from engine.store.identity import fingerprint
from engine.store.store import Store

if TYPE_CHECKING:
    import polars as pl

    from engine.analysis import Results
    from engine.analysis.advice.decide import Decision
    from engine.analysis.rounds import Decided
    from engine.analysis.sql.trial_list import TrialPage
    from engine.core.budget import Limits
    from engine.core.records import Axis, Completion, Trial

Kind = Literal["staircase", "hull"]
Ids = tuple[str, ...]
Wanted = tuple[str | None, str | None]  # A trial and a question; None: none was asked for.
Budgets = tuple[int, ...] | None  # None: those the studies declare.
REPLICATES, SEED = 1000, 0
ALL = ALL_STUDIES


class Database(NamedTuple):
    """A database file in one version, for which everything is kept."""

    path: str
    version: tuple[int, int, int, int]  # See `engine.store.identity.fingerprint`; it changes with the file.


class Selection(NamedTuple):
    """Cells of a task that a frontier is drawn through, and how it is drawn."""

    x: str
    task: str
    kind: Kind
    budgets: Budgets
    conditions: Ids
    looking: Looking = PLAIN
    study: str = ALL  # On whose questions.


def path() -> Path:
    """The database this dashboard shows: BUDGETSCOPE_DB, else the local copy, else the demo."""
    # From the package's own place, whatever folder Streamlit was started in.
    return places.default_path(Path(__file__).resolve().parents[2])


def state() -> Database:
    """The database that is shown, as its file is now."""
    return Database(str(path()), fingerprint(path()))


def trouble(db: Database) -> str | None:
    """Why there is nothing to show, in one sentence; None: there are cells."""
    try:
        # Conditions are stored with their trials, and cost far less to read than what came of them.
        return "No answer is stored here yet." if every(db).is_empty() else None
    except BudgetscopeError as error:
        return str(error)


@lru_cache(maxsize=8)
def results(path: str) -> Results:
    """One reader for each file, which then looks only once whether the file is ours."""
    return engine.open(path)


@kept(16)
def measured(
    db: Database,
    axis: str | None = None,
    budgets: Budgets = None,
    looking: Looking = PLAIN,
    study: str = ALL,
    task: str | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All cells of a study, or of one of its tasks, and the sums per question behind them: one pass over the database
    for every filter.

    ALL: of all studies that asked the same questions of a task; see `Results.notes`."""
    # What is not shown is not read: the first figure would wait for all tasks of a study.
    return results(db.path).measured(axis, budgets, {"study": study, "task": task}, build(looking, models(db))[0])


def cells(
    db: Database,
    axis: str | None = None,
    budgets: Budgets = None,
    looking: Looking = PLAIN,
    study: str = ALL,
    task: str | None = None,
) -> pl.DataFrame:
    """One row per condition and budget, columns `engine.analysis.curves.CELL_SCHEMA`."""
    return measured(db, axis, budgets, looking, study, task)[0]


@kept()
def models(db: Database) -> Models:
    """The models prices are stored of, with the newest one each."""
    from engine.analysis.sql.listings import newest

    listed = results(db.path).snapshots(counted=False)
    names, stored = dict(sorted(listed.select("name", "model").unique().rows())), newest(listed)
    return Models(tuple(names), tuple((name, stored[of]) for name, of in names.items() if of in stored))


@kept(16)
def _selected(db: Database, selection: Selection) -> tuple[pl.DataFrame, pl.DataFrame]:
    import polars as pl

    from engine.analysis.common import on_common

    frame, units = measured(db, None, selection.budgets, selection.looking, selection.study, selection.task)
    own = pl.col("condition_id").is_in(list(selection.conditions))
    shown = distinct(frame.filter(own))
    return on_common(shown, theirs(shown, units))


@kept()
def frontier(db: Database, selection: Selection) -> pl.DataFrame:
    """Cells of some conditions of a task with their place on the frontier; see `Results.frontier`."""
    from engine.analysis import frontier as of

    return of.frontier(*_selected(db, selection), selection.x, selection.kind, REPLICATES, SEED)


@kept()
def band(db: Database, selection: Selection) -> pl.DataFrame:
    """Bootstrap band of the staircase of the same cells; see `Results.band`."""
    from engine.analysis import frontier as of

    return of.band(*_selected(db, selection), selection.x, REPLICATES, SEED)


@kept()
def decision(db: Database, selection: Selection, most: float | None, least: float | None) -> Decision:
    """What to use of the settings selected, within these limits, and why there is nothing to say where there is not;
    see `Results.decide`. Strategies that nobody can choose are left out."""
    from engine.analysis import advice, stats
    from engine.analysis.advice.decide import MARGIN, Decision

    shown, units = _selected(db, selection)
    shown, sample = advice.choosable(shown), stats.Sample(REPLICATES, SEED)
    try:
        return advice.decided(shown, theirs(shown, units), selection.x, sample, most, least, MARGIN)
    except BudgetscopeError as error:
        return Decision(str(error), "", "", 0)


@kept()
def loss(db: Database, selection: Selection, wrong: float, missing: float | None, second: float) -> str:
    """Which of the settings selected is cheapest at these costs in US dollars; see `Advisor.cost_of`."""
    from engine.analysis import advice, stats

    shown, units = _selected(db, selection)
    shown, sample = advice.choosable(shown), stats.Sample(REPLICATES, SEED)
    board = advice.boards.board(shown, theirs(shown, units), selection.x, sample.replicates, sample.seed)
    return advice.loss.cost_of(board, wrong, missing, second, sample.seed).sentence


@kept()
def areas(db: Database, selection: Selection) -> pl.DataFrame:
    """Area under the curve, hypervolume and OckScore of the settings selected; see `Advisor.areas`."""
    from engine.analysis import advice, stats

    shown, units = _selected(db, selection)
    shown = advice.choosable(shown)
    return advice.measured_areas(shown, theirs(shown, units), selection.x, stats.Sample(REPLICATES, SEED))


def line(frame: pl.DataFrame, kind: Kind) -> pl.DataFrame:
    """The points to join: columns task, x, accuracy."""
    from engine.analysis import frontier_line

    return frontier_line(frame, kind)


def theirs(shown: pl.DataFrame, units: pl.DataFrame) -> pl.DataFrame:
    """The sums per question behind some cells."""
    return units.join(shown.select("condition_id", "budget"), on=("condition_id", "budget"), how="semi")


def distinct(frame: pl.DataFrame) -> pl.DataFrame:
    """Without the larger budgets of a condition that changed neither accuracy, spend nor n: one point, not six."""
    same = ("condition_id", "accuracy", "n_questions", "n_censored", "calls", "input_tokens", "output_tokens")
    return frame.unique(subset=same, keep="first", maintain_order=True)


def votes(strategies: Iterable[str]) -> bool:
    """Whether one of them is a vote whose draws could have come in another order."""
    from engine.analysis.majority_at_k import VOTING

    return not set(VOTING).isdisjoint(strategies)


def tasks(cells: pl.DataFrame) -> tuple[str, ...]:
    """Tasks, the one with most cells first."""
    return tuple(cells.group_by("task").len().sort("len", "task", descending=[True, False])["task"])


@kept()
def study_tasks(db: Database, study: str) -> tuple[str, ...]:
    """Tasks of a study, the one with most cells first; reads none of them."""
    return results(db.path).tasks(study=study)


def _by_condition(frame: pl.DataFrame, ids: Iterable[str]) -> dict[str, pl.DataFrame]:
    return {condition: frame.filter(condition_id=condition).drop("condition_id", "axis") for condition in ids}


@kept()
def curves(
    db: Database,
    ids: Ids,
    axis: str,
    looking: Looking = PLAIN,
    orders: int | None = None,
    study: str = ALL,
) -> dict[str, pl.DataFrame]:
    """Per condition the curve on one budget axis, columns `engine.analysis.curves.CURVE_SCHEMA`."""
    lens = build(looking, models(db))[0]
    return _by_condition(results(db.path).curves(ids, axis, None, lens, orders, study), ids)


STEPS = 500_000
"""So many steps of curves are read in about a second."""


def read_soon(cells: pl.DataFrame) -> bool:
    """Whether the curves of the anytime settings among these cells are: a trial is a step, and so is each call."""
    import polars as pl

    trials = cells.filter("anytime").group_by("condition_id").agg(pl.max("n_trials"), pl.max("calls").fill_null(1))
    return bool((trials["n_trials"] * (1 + trials["calls"])).sum() <= STEPS)


@kept(16)
def budgets(
    db: Database, axis: str, ids: Ids, looking: Looking, orders: int | None, most: int, study: str | None
) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """Cells of some conditions on a budget axis, and the curves of the anytime ones unless these are over `most`, or
    are not read soon."""
    lens = build(looking, models(db))[0]
    # One state of the file for both reads: a run that works on it may store trials between them.
    with results(db.path).still() as same:
        frame, _ = same.measured(axis, None, {"condition_id": list(ids), "study": study}, lens)
        # Sorted: the cache keys by the order of ids as well.
        drawn = sorted(set(frame.filter("anytime")["condition_id"]))
        if len(drawn) > most or not read_soon(frame):
            return frame, {}
        lines = same.curves(drawn, axis, None, lens, orders, study)
    return frame, _by_condition(lines, drawn)


@kept()
def elasticity(db: Database, study: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Told against used tokens: the points and the summary of `engine.analysis.elasticity.Elasticity`."""
    elasticity = results(db.path).elasticity(study=study)
    return elasticity.points, elasticity.summary


@kept()
def told(db: Database) -> list[dict[str, Any]]:
    """Conditions that tell a budget in tokens, each with `told`; see `engine.analysis.told.conditions`."""
    from engine.analysis.thinking import stated_budgets as of

    return [dict(row) for row in of.conditions(conditions(db).to_dicts())]


@kept()
def conditions(db: Database) -> pl.DataFrame:
    """All conditions with `label`, `simulated` and `run_ids`."""
    return results(db.path).conditions()


@kept()
def every(db: Database) -> pl.DataFrame:
    """All settings of all studies, whichever is shown: what filters offer and colours go by; calibrations left out."""
    from engine.strategies.calibration import LABEL

    frame = conditions(db)
    return frame.filter(frame["strategy"] != LABEL)


@kept(32)
def archived(db: Database) -> tuple[bool, list[str]]:
    """Whether an archive is shown, which is only read; and what is to be said of archives."""
    from engine.store import parquet

    return parquet.is_archive(Path(db.path)), results(db.path).archived()


@kept(32)
def notes(db: Database, study: str) -> list[str]:
    """What is to be said of studies and settings that are left out; see `Results.notes`."""
    return results(db.path).notes(study=study)


@kept()
def studies(db: Database) -> dict[str, Ids]:
    """By study the conditions it asked for: one's own first, the newest of them in front, then those that came with the
    database, the oldest first; see `Results.studies`. One's own have a run beside the database."""
    import json

    import polars as pl

    from engine.runs import run_dir

    shown = pl.col("condition_ids").list.set_intersection(every(db)["condition_id"].to_list())
    asked = results(db.path).studies().with_columns(condition_ids=shown).filter(pl.col("condition_ids").list.len() > 0)
    beside = {path.name for path in run_dir.folder(Path(db.path)).glob("*") if path.is_dir()}
    ran = results(db.path).runs().sort("started_at", descending=True).select("run_id", "study").rows()
    named = [(run_id, json.loads(study).get("name") or run_id) for run_id, study in ran]
    # Whoever goes on with a study it came with, or adds tasks to one of them, does not change what is shown at first.
    order = dict.fromkeys(name for run_id, name in named if run_id in beside)
    order |= dict.fromkeys(name for _, name in reversed(named))
    exploded, known = asked.explode("condition_ids"), sorted(set(asked["study"]))
    ordered = [*(name for name in order if name in known), *(name for name in known if name not in order)]
    return {study: tuple(exploded.filter(study=study)["condition_ids"].sort()) for study in ordered}


@kept()
def budget_pairs(db: Database) -> list[tuple[str, int]]:
    """Axes and budgets anything is read at: those that studies declare or that conditions ran at."""
    import json

    pairs = {*every(db).select("axis", "budget").iter_rows()}
    for study in results(db.path).runs()["study"]:
        declared = json.loads(study)
        pairs |= {(declared["budget_axis"], int(budget)) for budget in declared.get("budgets", ())}
    return sorted(pairs)


def study_choices(db: Database, having: Iterable[str] | None = None) -> tuple[str, ...]:
    """Studies by name, the one shown at first in front, and all of them together; `having`: those that asked for any of
    these conditions."""
    # Several studies together may have their budgets on different axes: that is asked for, never met at first.
    some = None if having is None else set(having)
    names = tuple(name for name, ids in studies(db).items() if name != ALL and (some is None or some & {*ids}))
    # Of one study all there is comes first, and its name is there for the links that name it.
    return (*names, ALL) if len(names) > 1 else (ALL, *names)


@kept(32)
def questions_of(db: Database, study: str, task: str) -> frozenset[str] | None:
    """The questions a study asked of a task; None: all that are there."""
    return None if study == ALL else results(db.path).questions_of(study, task)


@kept()
def questions(db: Database) -> pl.DataFrame:
    """Questions with target and category."""
    return results(db.path).questions(counted=False)


def asked(db: Database, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Rows of `questions` by id, with all of `ids` among them: a run that works on the file may have stored some, and
    what came of them, since its questions were read."""
    rows = {row["question_id"]: row for row in questions(db).to_dicts()}
    if rows.keys() >= {*ids}:
        return rows
    return {row["question_id"]: row for row in results(db.path).questions(counted=False).to_dicts()}


@kept(32)
def trial_rows(db: Database, condition: str) -> pl.DataFrame:
    """The last attempt of each trial of a condition."""
    return results(db.path).trial_rows(condition)


def any_trial(db: Database) -> Trial | None:
    """An answer to look at where none was named: the first of the first setting; None: there is none."""
    for condition, task in every(db).sort("condition_id").select("condition_id", "task").iter_rows():
        if found := first_trials(db, ALL, task, condition, 1):
            return found[0]
    return None


@kept(16)
def token_roles(db: Database, study: str) -> pl.DataFrame:
    """Where the tokens of a study's settings went; see `Results.token_roles`."""
    return results(db.path).token_roles(None if study == ALL else study)


@kept(32)
def placed(db: Database, axis: str | None, study: str) -> pl.DataFrame:
    """At which budgets the settings of a study are read, and as the mean of how many draws; see `Results.placed`."""
    return results(db.path).placed(axis, study=study)


@kept(32, says="Reading the answers …")
def trial_page(
    db: Database,
    study: str,
    task: str,
    condition: str,
    axis: Axis,
    budget: int | None,
    show: str,
    find: str,
    wanted: Wanted,
) -> TrialPage:
    """A page of the trials of a condition on a study's questions, around the trial or question that is wanted."""
    from engine.analysis.sql.trial_list import trial_page as of

    asked = questions_of(db, study, task)
    with Store(db.path).reading() as connection:
        return of(
            connection,
            condition,
            axis,
            budget,
            show=show,
            find=find,
            questions=asked,
            trial_id=wanted[0],
            question_id=wanted[1],
        )


@kept()
def first_trials(db: Database, study: str, task: str, condition: str, n: int) -> list[Trial]:
    """The first few trials of a condition on a study's questions, in the order of the list of answers."""
    from engine.analysis.sql.trial_list import first_trials as of

    asked = questions_of(db, study, task)
    with Store(db.path).reading() as connection:
        return of(connection, condition, n, asked)


@kept(256)
def completions(db: Database, keys: tuple[str, ...], when: tuple[datetime, datetime]) -> dict[str, Completion]:
    """Stored replies by the key of their calls; `when`: most were made between these times."""
    return Store(db.path).completions(keys, when)


@kept(32)
def bill(db: Database, run_id: str) -> pl.DataFrame:
    """What a run paid, replayed and would pay afresh, by model and role; see `Results.bill`."""
    return results(db.path).bill(run_id, by=("model", "role"))


@kept(32)
def decisions(db: Database, run_id: str) -> list[Decided]:
    """What an adaptive run decided and why, task by task; empty: it is none, or nothing is decided yet."""
    return results(db.path).decisions(run_id=run_id) if Path(db.path).exists() else []


@st.cache_data(max_entries=8, show_spinner=False, ttl=60)  # Seconds; a day ends without the file being touched.
def allowance(db: Database) -> tuple[Limits, Limits]:
    """The day's allowance (UTC) for all runs together, and what of it is free."""
    from engine.core.allowance import day_of
    from engine.runs import run_dir

    book = Store(db.path).read_book()
    return book.allowance, book.free(day_of(run_dir.now()))


@kept(says="Working out what it can cost …")
def _expected(db: Database, text: str) -> Forecast:
    from engine.study.expected import expected_spend
    from engine.study.pilot import pilot
    from engine.study.plan import plan
    from engine.study.schema import parse
    from engine.study.upper_bound import upper_bound

    study = parse(text, "this study")
    check_study(study.models, access.limits())
    planned = plan(study, sends=False)
    spend = expected_spend(planned, Path(db.path))
    told = forecast(spend, upper_bound(plan(pilot(study), sends=False)) if spend.unknown else None)
    return replace(told, reading=" ".join(planned.notes))


def expected(db: Database, text: str) -> Forecast:
    """What the study in this text will spend by the history of a database, or the fault it cannot run with."""
    try:
        return _expected(db, text)
    except BudgetscopeError as error:
        # Not kept: a benchmark's file may be there the next time.
        return Forecast(fault=str(error))
