"""What a study on the form will spend: worked out once per study and state of the database, and drawn as metrics.

Draws; decides and starts nothing.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.data import queries
from dashboard.text import progress
from dashboard.text.progress import Forecast
from dashboard.widgets import controls
from engine.core.errors import BudgetscopeError
from engine.study.pilot import QUESTIONS, pilot

PILOT = f"Pilot with {QUESTIONS} questions"
"""What the button says."""


def forecast(text: str) -> Forecast:
    """What the study in this text will spend by the history of the database that is shown."""
    return _forecast(text, queries.state())


def show(found: Forecast) -> None:
    """The metrics, and how to read them."""
    with st.container(horizontal=True, gap="large"):
        for what, value, aside in found.figures:
            with st.container(width="content", gap=None):
                st.metric(what, value)
                controls.caption(aside or "\u00a0")
    controls.caption(found.note)


@st.cache_data(max_entries=64, show_spinner="Working out what it can cost …")
def _forecast(text: str, db: queries.Database) -> Forecast:
    from engine.study.expected import expected_spend
    from engine.study.plan import plan
    from engine.study.schema import parse
    from engine.study.upper_bound import upper_bound

    try:
        study = parse(text, "this study")
        found = expected_spend(plan(study, sends=False), Path(db.path))
        return progress.forecast(found, upper_bound(plan(pilot(study), sends=False)) if found.unknown else None)
    except BudgetscopeError as error:
        return Forecast(fault=str(error))
