"""A run's study as far as it has come: every setting it asked for, whoever paid, on the questions all of them have.

A frame is worked out again only once the database changed, and no more than a fifth of the time is spent on that.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.data import queries
from dashboard.data.kept import kept
from dashboard.text import progress
from dashboard.text.progress import Result
from engine.core.errors import BudgetscopeError

if TYPE_CHECKING:
    import polars as pl

from dashboard.data.queries import Database

REPLICATES = 200
"""Enough for the intervals of a figure that is drawn again in two seconds."""
FEWEST = 5
"""Questions that all have answered before somebody is called ahead."""


@dataclass(frozen=True)
class Live:
    """What a study has brought so far."""

    study: str
    task: str
    """The task that is drawn; empty: nothing is stored."""
    tasks: tuple[str, ...]
    settings: tuple[Result, ...]
    frame: pl.DataFrame
    """Frontier frame on the common questions."""
    line: pl.DataFrame
    common: int
    """Questions that all settings with an answer have answered."""
    leader: str | None
    """The setting that is most accurate on them; None: they are fewer than `FEWEST`, or several are."""


def live(study: str, run_id: str, busy: bool) -> Live | None:
    """The study as far as it has come; None: nothing of it is stored yet."""
    key, began = f"run.live.{run_id}", time.monotonic()
    kept: Live | None
    kept, due = st.session_state.get(key, (None, 0.0))
    if busy and began < due:
        return kept
    try:
        kept = so_far(queries.state(), study)
    except BudgetscopeError:
        kept = None
    # Every stored answer changes the file, and with it all that is worked out from it.
    now = time.monotonic()
    st.session_state[key] = kept, now + max(1.0, 4 * (now - began))
    return kept


@kept(4)
def so_far(db: Database, study: str) -> Live | None:
    """The first task of a study that has answers, on the questions all its settings have."""
    from engine.analysis import frontier as of
    from engine.analysis.cells import cells as cells_of

    if study not in queries.studies(db):
        return None
    tasks = queries.study_tasks(db, study)
    if not tasks:
        return None
    asked, units = queries.measured(db, study=study, task=tasks[0])
    # Those that an adaptive study stopped would hold all others to the few questions they have.
    cells = asked.filter(asked["stopped_at"].is_null())
    own = queries.theirs(cells, units)
    points = cells.select("condition_id", "axis", "budget").unique().height
    answered = own.filter(own["n"] > 0).group_by("question_id").len().filter(len=points)["question_id"]
    alike = own.filter(own["question_id"].is_in(answered.to_list()))
    planned = dict.fromkeys(cells["condition_id"], len(answered))
    shared = cells_of(alike, cells.to_dicts(), planned) if len(answered) else cells.clear()
    x = "usd" if (cells["axis"] == "usd").all() else "output_tokens"
    frame = of.frontier(shared, alike, x, "staircase", REPLICATES, queries.SEED)
    settings = tuple(progress.results(asked))
    leader = progress.leader(shared, settings) if len(answered) >= FEWEST else None
    line = queries.line(frame, "staircase")
    return Live(study, tasks[0], tasks, settings, frame, line, len(answered), leader)
