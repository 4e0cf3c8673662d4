"""Answers to the questions of the Advice page, and what they were read off; cached as in `data`. Draws nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboard import asked, data
from dashboard.asked import Ask

if TYPE_CHECKING:
    import polars as pl

    from engine.analysis import Advice


@st.cache_data(max_entries=64, show_spinner=False)
def advice(db: str, mark: data.Print, ask: Ask) -> Advice:
    """The answer to one question; strategies that see targets are no advice and take no part."""
    kept: dict[str, Any] = {"strategy": list(ask.strategies)} if ask.strategies else {}
    return asked.answered(ask, data.results(db).advise(ask.task, ask.x, ask.axis, data.REPLICATES, data.SEED, **kept))


@st.cache_data(max_entries=64, show_spinner=False)
def advised(db: str, mark: data.Print, ask: Ask) -> pl.DataFrame:
    """The cells an answer was picked from, with their place on the frontier; see `Results.frontier`."""
    from engine.analysis import frontier as of

    wall = ask.wall
    found, units = data.measured(db, mark, ask.axis if wall else None, (wall,) if wall else None)
    shown = data.distinct(asked.candidates(found, ask))
    return of.frontier(shown, data.theirs(shown, units), ask.x, "staircase", data.REPLICATES, data.SEED)


@st.cache_data(max_entries=64, show_spinner=False)
def differences(db: str, mark: data.Print, ask: Ask) -> pl.DataFrame:
    """Accuracy of `ask.b` minus that of `ask.a` at many budgets both were measured at: columns of the evidence."""
    found = advice(db, mark, ask).evidence
    lines = data.curves(db, mark, (ask.a, ask.b), str(ask.axis)).values()
    steps = [budget for line in lines for budget in line["budget"]]
    walls = asked.walls(found, steps)
    _, units = data.results(db).measured(ask.axis, walls, {"condition_id": [ask.a, ask.b]})
    return asked.differences(ask, found, walls, units, (data.REPLICATES, data.SEED))
