"""Does the model obey a token budget, and what is too small a budget: used against told tokens, task by task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from dashboard import figures
from dashboard.data import queries
from dashboard.text import stated_budgets
from dashboard.widgets import controls, url_state
from dashboard.widgets.url_state import Param
from engine.core import text as fmt
from engine.strategies.lineups import roster

if TYPE_CHECKING:
    import polars as pl

    from dashboard.figures import ToldInfo

VIEW = "told"
PARAMS = (Param("task", (), many=True), Param("model", (), many=True), Param("strategy", (), many=True), Param("cell"))
MOST = 6
"""Sentences on the page; the table has all."""
FIGURES = (("told.used", "told"), ("told.accuracy", "told-accuracy"))
"""Keys of the two charts, and the names of their pictures."""


@dataclass(frozen=True)
class Wish:
    """What the controls ask for."""

    tasks: tuple[str, ...]
    models: tuple[str, ...]
    strategies: tuple[str, ...]


def render() -> None:
    """Draw the page."""
    db = queries.state()
    if why := queries.trouble(db):
        controls.nothing(why)
        return
    every, _ = queries.elasticity(db)
    params = _params(every)
    problems = url_state.load(VIEW, params)
    if every.is_empty():
        url_state.save(VIEW, params)
        controls.warn(problems)
        _untold()
        return
    head = st.container()
    wish = _controls(params)
    points, summary, accuracy = _frames(db, wish)
    info = _info(db, wish, controls.dark(), controls.narrow())
    url_state.save(VIEW, params)
    with head:
        _sentences(info, points, summary)
        controls.warn(problems)
    _figures(info, accuracy)
    _tables(info, points, summary, accuracy, params)


def _params(points: pl.DataFrame) -> tuple[Param, ...]:
    offered = {name: tuple(sorted(set(points[name]))) for name in ("task", "strategy")}
    return controls.offering(PARAMS, offered | {"model": tuple(roster(points["model"]))})


def _untold() -> None:
    controls.empty(
        "No model was told a token budget here yet",
        "Run told_budget, which states the budget in the prompt, with several budgets; small ones show whether asking "
        "for less ends in more. In a study file:",
        stated_budgets.RUN,
    )


def _controls(params: tuple[Param, ...]) -> Wish:
    by = {param.name: param for param in params}
    with st.container(horizontal=True, gap="medium"):
        tasks = controls.choose_many(VIEW, by["task"], "Task")
        models = controls.choose_many(VIEW, by["model"], "Model", controls.short)
        strategies = controls.choose_many(VIEW, by["strategy"], "Strategy")
    return Wish(tasks, models, strategies)


def _frames(db: queries.Database, wish: Wish) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Points, summary and accuracy of what the filters leave."""
    import polars as pl

    points, summary = (
        frame.filter(
            pl.col("task").is_in(wish.tasks),
            pl.col("model").is_in(wish.models),
            pl.col("strategy").is_in(wish.strategies),
        )
        for frame in queries.elasticity(db)
    )
    return points, summary, stated_budgets.accuracy_told(points, queries.cells(db), queries.told(db))


@st.cache_data(max_entries=64, show_spinner=False)
def _info(db: queries.Database, wish: Wish, dark: bool, narrow: bool) -> ToldInfo:
    """The figures' plain data."""
    cells = queries.cells(db)
    points, summary, accuracy = _frames(db, wish)
    return figures.told_info(
        points,
        summary,
        accuracy,
        stated_budgets.untold(points, cells, queries.conditions(db)),
        narrow=narrow,
        dark=dark,
        models=roster(cells["model"]),
        strategies=sorted(set(cells["strategy"])),
    )


def _sentences(info: ToldInfo, points: pl.DataFrame, summary: pl.DataFrame) -> None:
    controls.heading(stated_budgets.heading(points, summary))
    told = stated_budgets.sentences(points, summary)
    if told:
        st.markdown("\n".join(f"- {controls.literal(sentence)}" for sentence in told[:MOST]))
    more = f"{fmt.plural(len(told) - MOST, 'more series', 'more series')} in the table" if len(told) > MOST else ""
    simulated = "simulated answers" if points["simulated"].any() else ""
    parts = (figures.told_caption(info), stated_budgets.OURS, more, simulated)
    text = " · ".join(part for part in parts if part)
    controls.caption(f"{text[:1].upper()}{text[1:]}")


def _figures(info: ToldInfo, accuracy: pl.DataFrame) -> None:
    drawn = (figures.told_figure(info), figures.obeyed_figure(info))
    said = ("Used output tokens against told tokens, one panel a task", "Accuracy against told tokens")
    for (key, name), figure, alt in zip(FIGURES, drawn, said, strict=True):
        st.plotly_chart(
            figure,
            theme=None,
            key=key,
            on_select=url_state.on_click(VIEW, key),
            selection_mode="points",
            alt=alt,
            config=controls.figure_config(name),
        )
        if key == FIGURES[0][0]:
            _links(accuracy)


def _links(accuracy: pl.DataFrame) -> None:
    """From the selected point to its trials."""
    chosen = str(st.session_state.get(url_state.key(VIEW, "cell")) or "")
    condition, _, budget = chosen.rpartition("~")
    found = accuracy.filter(condition_id=condition).to_dicts()
    if not chosen:
        controls.caption("Click a point to go to its trials.")
    elif not found:
        controls.caption("The selected point is not among those shown.")
    else:
        name = f"{found[0]['task']} told {fmt.number(found[0]['told'])} tokens"
        controls.link_to("trials", f"Open the trials of {name}", {"condition": condition, "budget": budget})


def _tables(
    info: ToldInfo, points: pl.DataFrame, summary: pl.DataFrame, accuracy: pl.DataFrame, params: tuple[Param, ...]
) -> None:
    for name, raw, table in (
        ("elasticity", summary, stated_budgets.summary_table(summary)),
        ("told", points, stated_budgets.points_table(points, accuracy)),
    ):
        if table.is_empty():
            continue
        st.dataframe(
            table,
            key=f"told.table.{name}",
            hide_index=True,
            column_config=controls.columns(table),
            height=min(38 + 35 * table.height, 420),
        )
        with st.container(horizontal=True):
            if name == "told":
                controls.copy_link(VIEW, params)
            controls.download_table(name, raw)
            if name == "told":
                _download(info)


def _download(info: ToldInfo) -> None:
    title, caption = "Told budgets", figures.told_caption(info)
    controls.download_figure("told", lambda: controls.as_html(figures.told_figure(info), title, caption))


render()
