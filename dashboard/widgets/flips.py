"""The questions on which two settings differ, each with a way to its two trials; drawn for the Compare page.

Question texts are shown letter by letter. Owns no statistics: which question was won is the analysis'.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboard.data import queries
from dashboard.figures.lettering import plain
from dashboard.text.transcript import visible
from dashboard.widgets import controls
from engine.core import text as fmt

if TYPE_CHECKING:
    import polars as pl

    from dashboard.text.differences import Compared

MOST = 25
"""Questions that are listed on a side."""
TALL, LINE, LONGEST = 330, 62, 150
Row = Mapping[str, Any]


def show(db: queries.Database, found: Compared, a: Row, b: Row) -> None:
    """Both lists, side by side."""
    if not found.whole.n:
        return
    st.markdown("##### Where they differ")
    texts = {row["question_id"]: row for row in queries.questions(db).to_dicts()}
    trials = _trials(db, a), _trials(db, b)
    heads = ("B is better", found.whole.won), ("A is better", found.whole.lost)
    for column, (head, ids) in zip(st.columns(2, gap="medium"), heads, strict=True):
        with column:
            _list(head, ids, texts, trials, (a, b))


def _trials(db: queries.Database, row: Row) -> dict[str, str]:
    """The first trial of each question under a condition."""
    rows: pl.DataFrame = queries.trial_rows(db, row["condition_id"])
    found: dict[str, str] = dict(rows.sort("repeat", descending=True).select("question_id", "trial_id").iter_rows())
    return found


def _list(
    head: str,
    ids: tuple[str, ...],
    texts: Mapping[str, Row],
    trials: tuple[dict[str, str], dict[str, str]],
    sides: tuple[Row, Row],
) -> None:
    st.markdown(f"**{head}** on {fmt.plural(len(ids), 'question')}")
    if not ids:
        return
    with st.container(height=min(TALL, 20 + LINE * 2 * len(ids)), border=True):
        for question in ids[:MOST]:
            _question(
                texts[question],
                [
                    (side, each[question], row)
                    for side, each, row in zip("AB", trials, sides, strict=True)
                    if question in each
                ],
            )
        if len(ids) > MOST:
            controls.caption(f"{fmt.count(len(ids) - MOST)} more; the Trials page has them all.")


def _question(told: Row, links: list[tuple[str, str, Row]]) -> None:
    st.markdown(controls.literal(plain(visible(told["text"]), LONGEST)))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        controls.caption(f"Target {plain(visible(told['target']), 40)}")
        for side, trial, row in links:
            query = {
                "condition": row["condition_id"],
                "budget": str(row["budget"]),
                "axis": row["axis"],
                "trial": trial,
            }
            controls.link_to("trials", f"Trial of {side}", query)
