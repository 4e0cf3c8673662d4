"""What a budget does: accuracy at every budget, and whether a model keeps a budget that its prompt states."""

from __future__ import annotations

import polars as pl
import streamlit as st

from dashboard.data import queries
from dashboard.views.halves import by_budget, stated
from dashboard.views.halves.by_budget import BUDGETS, VIEW
from dashboard.widgets import controls, price_panel, url_state
from dashboard.widgets.url_state import Param
from engine.strategies.lineups import roster

SHOW = {"curves": "Accuracy by budget", "stated": "Stated budgets"}
PARAMS = (
    Param("show", "curves", tuple(SHOW)),
    Param("study", pinned=True),
    Param("axis", "output_tokens", tuple(BUDGETS), pinned=True),
    Param("task", (), many=True),
    Param("model", (), many=True),
    Param("strategy", (), many=True),
    Param("votes", None, ("orders",)),
    Param("cell"),
)


def render() -> None:
    """Draw the page."""
    if (db := controls.database()) is None:
        return
    every, prices = queries.every(db), queries.models(db)
    offered = {name: tuple(sorted(set(every[name]))) for name in ("task", "strategy")}
    offered |= {"model": tuple(roster(every["model"])), "study": queries.study_choices(db)}
    # At first the axis that most budgets of the first study are on.
    first = queries.studies(db).get(offered["study"][0], tuple(every["condition_id"]))
    usual = str(every.filter(pl.col("condition_id").is_in(first))["axis"].mode().sort()[0])
    own = (Param("axis", usual, tuple(BUDGETS), pinned=True) if param.name == "axis" else param for param in PARAMS)
    params = (*controls.offering(tuple(own), offered), *price_panel.params(prices))
    problems, by = url_state.load(VIEW, params), {param.name: param for param in params}
    # Controls of the other half are not drawn, and Streamlit forgets what is not drawn.
    controls.keep(VIEW, by)
    with st.container(horizontal=True, vertical_alignment="center", key="bar"):
        study = controls.select(VIEW, by["study"], "Study", controls.study_name)
        show = controls.choose(VIEW, by["show"], "Show", SHOW.__getitem__)
        more = st.container(horizontal=True, vertical_alignment="center", width="content", key="bar-more")
    head = st.container(gap="xsmall")
    (stated if show == "stated" else by_budget).draw(db, params, study, (more, head), problems)


render()
