"""What somebody froze: the finding, the figure and the table of a view as they were, whatever the database says now."""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st

from dashboard import figures
from dashboard.data import frozen, queries
from dashboard.text.tables import said, short_questions
from dashboard.widgets import controls, url_state
from dashboard.widgets.url_state import Param
from engine.core.errors import BudgetscopeError

VIEW = "snapshot"
PARAMS = (Param("id"),)
LONGEST = 60
"""Letters of a question."""


def render() -> None:
    """Draw the page."""
    problems = url_state.load(VIEW, PARAMS)
    link = str(url_state.value(VIEW, "id") or "")
    url_state.save(VIEW, PARAMS)
    db, kept = queries.state(), None
    try:
        kept = frozen.thaw(db, link)
    except BudgetscopeError as error:
        problems.append(str(error))
    if kept is None:
        why = "It was made in another database, or its link is cut short."
        controls.empty("There is no such snapshot here", why, way=("explore", "See what is here", {}))
        controls.warn(problems)
        return
    controls.caption(f"Snapshot of {kept.made[:10]}", frozen.title(kept), f"Budgetscope {kept.program}")
    controls.heading(kept.heading)
    if kept.lead:
        st.markdown(
            f":primary[**{controls.literal(kept.lead)}{':' if kept.rest else ''}**] {controls.literal(kept.rest)}"
        )
    controls.warn(problems)
    try:
        newer = frozen.mark(db, kept.study, kept.task) != kept.mark
    except BudgetscopeError:
        newer = False
    if newer:
        st.info("The database says something else by now; this page shows what was frozen.", icon=":material/update:")
    info = kept.info(controls.dark(), controls.room())
    controls.chart(figures.frontier_figure(info), "snapshot.figure", VIEW, kept.heading)
    controls.caption(figures.caption_sentence(info))
    st.markdown("## All settings")
    controls.table(kept.table(), "snapshot.table", formats=controls.settings_columns())
    controls.downloads(VIEW, kept.table(), chart="snapshot.figure")
    if kept.answers:
        st.markdown(f"## Some answers of {controls.literal(kept.answering())}")
    called = short_questions([(answer.question, answer.document or None) for answer in kept.answers], LONGEST)
    for name, answer in zip(called, kept.answers, strict=True):
        mark, words = said(answer.fate, answer.said, answer.expected)
        controls.say(f"{mark} {name} · {words}")
    for sentence in kept.notes:
        controls.caption(sentence)
    with st.container(horizontal=True, vertical_alignment="center"):
        live = urlencode(kept.query, doseq=True)
        controls.link_to("explore", "See it live", kept.query)
        address = f"{url_state.root()}/?{live}"
        page = lambda: frozen.as_page(kept, address).encode()  # noqa: E731
        st.download_button("Save as one page", page, "snapshot.html", "text/html", on_click="ignore")


render()
