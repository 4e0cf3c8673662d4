"""Does the model obey a token budget, and what is too small a budget: used against told tokens, task by task."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import polars as pl
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import figures
from dashboard.data import infos, queries
from dashboard.text import stated_budgets
from dashboard.views.halves.by_budget import VIEW, chosen, filtering, filters
from dashboard.widgets import controls, url_state
from dashboard.widgets.url_state import Param
from engine.core import names
from engine.core import text as fmt

MOST = 6  # Sentences on the page; the table has all.


def draw(
    db: queries.Database,
    params: Sequence[Param],
    study: str,
    places: tuple[DeltaGenerator, DeltaGenerator],
    problems: Sequence[str],
) -> None:
    """Draw the rest of the page: its controls and its finding in two `places`; `problems` are those of the address."""
    more, head = places
    stating = {row["condition_id"] for row in queries.told(db)}
    if not stating & {*queries.studies(db).get(study, stating)}:
        url_state.save(VIEW, params)
        with head:
            controls.warn(problems)
            controls.empty(
                "No prompt of this study states a budget yet",
                "Run Stated budget, whose prompt names a number of tokens, with several numbers; small ones show "
                "whether asking for less ends in more. In a study file:",
                stated_budgets.RUN,
                ("runs", "Start a run", {"strategy": "told_budget"}),
            )
        return
    # What states no budget is no choice here.
    by, every = filters(params, queries.elasticity(db, study)[0]), queries.cells(db, study=study)
    shown = chosen(by)
    with more, filtering(by, every.filter(pl.col("condition_id").is_in(list(stating)))):
        pass
    points, summary, accuracy = infos.told_frames(db, shown, study)
    info = infos.told_info(db, shown, study, controls.dark(), controls.room())
    url_state.save(VIEW, params)
    title, series = figures.told_caption(info), stated_budgets.sentences(points, summary)
    with head:
        controls.heading(stated_budgets.heading(points, summary))
        controls.say(stated_budgets.advice(points, summary))
        controls.caption(title, "simulated answers" if points["simulated"].any() else "", capital=True)
        for sentence in queries.notes(db, study):
            controls.caption(sentence)
        controls.warn(problems)
    alt = "Used output tokens against stated tokens, one panel a task"
    controls.chart(figures.told_figure(info), "told.used", VIEW, alt, selects=VIEW)
    if point := controls.way_down(VIEW, accuracy, "a point", "point"):
        row, budget = point
        name = f"{names.task(row['task'])} at {fmt.number(row['told'])} stated tokens"
        query = {"study": study, "condition": row["condition_id"], "budget": budget}
        controls.link_to("answers", f"Read the answers of {name}", query)
    alt = "Accuracy against stated tokens"
    controls.chart(figures.obeyed_figure(info), "told.accuracy", "told-accuracy", alt, selects=VIEW)
    if series:
        st.markdown("## Task by task")
        st.markdown("\n".join(f"- {controls.literal(sentence)}" for sentence in series[:MOST]))
        left = len(series) - MOST
        rest = f"{fmt.plural(left, 'more series', 'more series')} in the table" if left > 0 else ""
        controls.caption(stated_budgets.OURS, rest, capital=True)
    beside: dict[str, tuple[str, pl.DataFrame, str | None]] = {"Accuracy": ("told-accuracy", accuracy, "told.accuracy")}
    table = stated_budgets.summary_table(summary)
    if not table.is_empty():  # One told budget alone has no elasticity.
        controls.table(table, "told.table.elasticity")
        beside = {"Elasticity": ("elasticity", summary, None), **beside}
    table = stated_budgets.points_table(points, accuracy)
    if not table.is_empty():
        controls.table(table, "told.table.told")
        draw_again = partial(figures.told_figure, info)
        controls.downloads(VIEW, points, params, draw_again, "Stated budgets", title, "told.used", beside)
