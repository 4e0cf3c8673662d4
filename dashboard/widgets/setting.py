"""Study, task and setting, chosen one after the other: the row of controls of pages that show one setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from dashboard.data import queries
from dashboard.widgets import controls, url_state
from dashboard.widgets.url_state import Param
from engine.core import names


def named(db: queries.Database) -> dict[str, dict[str, Any]]:
    """All conditions by id, each with its `name`, which tells it from the others of its task."""
    return _named(queries.conditions(db).sort("task", "label").to_dicts())


def _named(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    called: dict[str, str] = {}
    for task in {row["task"] for row in rows}:
        called |= names.conditions([row for row in rows if row["task"] == task])
    return {row["condition_id"]: row | {"name": called[row["condition_id"]]} for row in rows}


def choose(
    db: queries.Database, view: str, by: Mapping[str, Param], conditions: Mapping[str, dict[str, Any]]
) -> tuple[str, dict[str, Any]]:
    """Draw the three controls; the study, and the condition that is chosen. The view's parameters `by` name have
    `study` and `condition`; the task stands in no address, the setting decides it."""
    study = controls.select(view, by["study"], "Study", controls.study_name, width=200)
    own = queries.studies(db).get(study)
    # What stands elsewhere changes no name: a study's own settings are told from each other alone.
    conditions = _named([row for name, row in conditions.items() if own is None or name in own])
    controls.narrowed(view, by["condition"], tuple(conditions))
    key, at = url_state.key(view, "condition"), task_key(view)
    tasks: dict[str, list[str]] = {}
    for name, row in conditions.items():
        tasks.setdefault(row["task"], []).append(name)
    st.session_state[at] = conditions[st.session_state[key]]["task"]

    def turned() -> None:
        st.session_state[key] = tasks[st.session_state[at]][0]

    called = names.tasks(tasks)
    st.selectbox("Task", list(tasks), key=at, format_func=called.__getitem__, on_change=turned, width=220)

    def name_of(condition: str) -> str:
        row = conditions[condition]
        return f"{row['name']}{' · simulated' if row['simulated'] else ''}"

    st.selectbox("Setting", tasks[st.session_state[at]], key=key, format_func=name_of, width=300)
    return study, conditions[st.session_state[key]]


def task_key(view: str) -> str:
    """Session key of the task of a view."""
    return f"{view}.task"
