"""Home: which conditions buy the most accuracy for what they spend, and the way down from a point to its trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import streamlit as st

from dashboard import figures
from dashboard.data import lens, queries
from dashboard.data.lens import Looking
from dashboard.text import tables
from dashboard.widgets import controls, filters, price_panel, url_state
from dashboard.widgets.url_state import Param
from engine.core import names
from engine.core import text as fmt
from engine.strategies.lineups import roster

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

    from dashboard.figures import FrontierInfo, PanelsInfo

VIEW = "frontier"
SPENDS = {
    "output_tokens": "Output tokens",
    "total_tokens": "Total tokens",
    "calls": "Calls",
    "usd": "Cost",
    "wh": "Energy (Wh)",
    "latency_ms": "Seconds",
}
MEASURED = "Seconds are those of the calls one after the other, under the load there was; a call cut short counts whole"
LINES = {"staircase": "Staircase", "hull": "Hull (mixing two)"}
PARAMS = (
    filters.PARAM,
    Param("task", pinned=True),
    Param("x", "output_tokens", tuple(SPENDS)),
    Param("line", "staircase", tuple(LINES)),
    Param("model", (), many=True),
    Param("strategy", (), many=True),
    Param("budget", "all"),
    Param("labels", None, ("all",)),
    Param("cell"),
)


@dataclass(frozen=True)
class Wish:
    """What the controls ask for."""

    task: str
    x: str
    kind: queries.Kind
    budgets: queries.Budgets
    conditions: tuple[str, ...]
    label_all: bool
    total: int
    """Conditions of the task, filtered away or not."""
    looking: Looking
    """Prices and energy figures."""


def render() -> None:
    """Draw the page."""
    db = queries.state()
    if why := queries.trouble(db):
        controls.nothing(why)
        return
    cells = queries.cells(db)
    params = _params(cells, db)
    problems = url_state.load(VIEW, params)
    head = st.container()
    wish, unmet = _controls(cells, params, db)
    cells, frame = queries.cells(db, None, None, wish.looking), queries.frontier(db, *_asked(wish))
    info = _info(db, wish, controls.dark(), controls.narrow())
    with head:
        _sentences(info, frame, wish)
        controls.warn([*problems, *unmet])
    _figure(info, frame, wish)
    _cell(cells, frame, wish)
    url_state.save(VIEW, params)
    _table(frame, wish)
    _panels(db, frame, wish)
    _downloads(info, frame, wish, params)


def _asked(wish: Wish) -> tuple[Any, ...]:
    """The wish as `data.frontier` and its kin take it."""
    return wish.x, wish.task, wish.kind, wish.budgets, wish.conditions, wish.looking


def _params(cells: pl.DataFrame, db: queries.Database) -> tuple[Param, ...]:
    """The page's parameters with the choices this database offers."""
    budgets = _budget_choices(cells)
    offered = {
        "study": filters.choices(queries.studies(db)),
        "task": queries.tasks(cells),
        "model": tuple(roster(cells["model"])),
        "strategy": tuple(sorted(set(cells["strategy"]))),
        "budget": ("all", *budgets) if len(budgets) > 1 else ("all",),
    }
    return *controls.offering(PARAMS, offered), *price_panel.params(queries.models(db))


def _budget_choices(cells: pl.DataFrame) -> tuple[str, ...]:
    """Budgets in the URL's words: the bare number, or with its axis where the database has several of them."""
    pairs = sorted(set(cells.select("axis", "budget").iter_rows()))
    if len({axis for axis, _ in pairs}) > 1:
        return tuple(f"{axis}:{budget}" for axis, budget in pairs)
    return ("largest", *(str(budget) for _, budget in pairs)) if len(pairs) > 1 else ()


def _controls(cells: pl.DataFrame, params: tuple[Param, ...], db: queries.Database) -> tuple[Wish, list[str]]:
    import polars as pl

    by = {param.name: param for param in params}
    axis = str(cells["axis"][0])
    with st.container(horizontal=True, gap="medium"):
        study = filters.choose(VIEW, by["study"])
        task = controls.choose(VIEW, by["task"], "Task")
        x = controls.choose(VIEW, by["x"], "Accuracy against", SPENDS.__getitem__)
        kind = controls.choose(VIEW, by["line"], "Frontier", LINES.__getitem__)
        budget = controls.choose(VIEW, by["budget"], "Budgets shown", lambda choice: _budget_name(choice, axis))
        models = controls.choose_many(VIEW, by["model"], "Model", controls.short)
        strategies = controls.choose_many(VIEW, by["strategy"], "Strategy")
        label_all = controls.switch(VIEW, by["labels"], "Labels", "Label all points")
    looking, unmet = price_panel.draw(VIEW, queries.models(db), models)
    mine = filters.within(cells.filter(task=task), queries.studies(db), study)
    budgets, kept = _at(mine, budget or "all")
    kept = kept.filter(pl.col("model").is_in(models), pl.col("strategy").is_in(strategies))
    ids = tuple(sorted(set(kept["condition_id"])))
    total = mine["condition_id"].n_unique()
    return Wish(str(task), str(x), cast("queries.Kind", kind), budgets, ids, label_all, total, looking), unmet


def _budget_name(choice: str, axis: str) -> str:
    if choice in ("all", "largest"):
        return choice.capitalize()
    own, _, budget = choice.rpartition(":")
    return fmt.up_to(int(budget), own or axis).capitalize()


def _at(cells: pl.DataFrame, choice: str) -> tuple[queries.Budgets, pl.DataFrame]:
    """The budgets to read cells at, and the cells of conditions that have something to say there.

    A budget on one axis says nothing about conditions that have theirs on another: those are left out."""
    import polars as pl

    if choice == "all" or cells.is_empty():
        return None, cells
    axis, _, said = choice.rpartition(":")
    mine = cells.filter(axis=axis) if axis else cells
    budget = max(cells["budget"]) if said == "largest" else int(said)
    return (budget,), mine.filter((pl.col("budget") == budget) | pl.col("anytime"))


@st.cache_data(max_entries=64, show_spinner=False)
def _info(db: queries.Database, wish: Wish, dark: bool, narrow: bool) -> FrontierInfo:
    """The figure's plain data, labels placed."""
    frame, cells = queries.frontier(db, *_asked(wish)), queries.cells(db)
    x, task, kind, *rest = _asked(wish)
    band = queries.band(db, x, task, *rest) if kind == "staircase" else None
    return figures.frontier_info(
        frame,
        queries.line(frame, wish.kind),
        band,
        x=wish.x,
        label_all=wish.label_all,
        narrow=narrow,
        dark=dark,
        models=roster(cells["model"]),
        strategies=sorted(set(cells["strategy"])),
        said=lens.said(wish.looking, x),
    )


@st.cache_data(max_entries=64, show_spinner=False)
def _panels_info(db: queries.Database, wish: Wish, dark: bool, narrow: bool) -> PanelsInfo:
    own = queries.model_lines(db, *_asked(wish))
    return figures.panels_info(_info(db, wish, dark, narrow), own, narrow=narrow)


def _sentences(info: FrontierInfo, frame: pl.DataFrame, wish: Wish) -> None:
    shown = frame["condition_id"].n_unique()
    aside = f" ({fmt.count(shown)} of {fmt.count(wish.total)} shown)" if shown < wish.total else ""
    controls.heading(f"{figures.title_sentence(info)}{aside}")
    controls.say(tables.reading_sentence(frame, wish.x))
    controls.caption(figures.caption_sentence(info))
    controls.caption(MEASURED if wish.x == "latency_ms" else "")
    controls.caption(lens.caption(wish.looking, queries.models(queries.state())))


def _figure(info: FrontierInfo, frame: pl.DataFrame, wish: Wish) -> None:
    if wish.x in ("usd", "wh") and not frame.is_empty() and frame[wish.x].null_count() == frame.height:
        price_panel.missing(wish.x, wish.looking, "No price is known for these models, so there is no cost to show")
        return
    figure, key = _ringed(figures.frontier_figure(info), info), "frontier.figure"
    st.plotly_chart(
        figure,
        theme=None,
        key=key,
        on_select=url_state.on_click(VIEW, key),
        selection_mode="points",
        alt=figures.title_sentence(info),
        config=controls.figure_config("frontier"),
    )


def _ringed(figure: go.Figure, info: FrontierInfo) -> go.Figure:
    """A ring round the selected cell."""
    chosen = st.session_state.get(url_state.key(VIEW, "cell"))
    ring = {"size": 24, "symbol": "circle-open", "color": controls.ink(), "line": {"width": 1.5}}
    for point in info.points:
        if url_state.cell(point.condition_id, point.budget) == chosen:
            place = {"x": [info.x_scale.place(point.x)], "y": [point.y]}
            figure.add_scatter(**place, mode="markers", marker=ring, hoverinfo="skip", showlegend=False)
    return figure


def _cell(cells: pl.DataFrame, frame: pl.DataFrame, wish: Wish) -> None:
    """The picker, and the selected cell in full."""
    rows = {url_state.cell(row["condition_id"], row["budget"]): row for row in (*cells.to_dicts(), *frame.to_dicts())}
    shown = [url_state.cell(*pair) for pair in frame.select("condition_id", "budget").iter_rows()]
    key = url_state.key(VIEW, "cell")
    asked = st.session_state.get(key)
    if asked is not None and asked not in rows:
        st.warning(controls.literal(f"This link asks for cell {asked!r}, which is not there (any more)."))
        st.session_state[key] = asked = None
    name = names.over([*rows.values()])
    options = shown if asked is None or asked in shown else [*shown, asked]
    st.selectbox(
        "Cell",
        options,
        index=None,
        key=key,
        format_func=lambda k: tables.cell_name(rows[k], name),
        placeholder="Click a point or a row, or choose a cell here",
        label_visibility="collapsed",
    )
    if asked := st.session_state.get(key):
        with st.container(border=True):
            _card(rows[asked], tables.cell_name(rows[asked], name), asked in shown, wish.looking.zone)


def _card(row: dict[str, Any], name: str, shown: bool, zone: str | None) -> None:
    st.markdown(f"**{controls.literal(name)}** · {controls.literal(names.task(row['task']))}")
    facts = tables.cell_facts(row)
    for column, fact in zip(st.columns(len(facts), gap="small"), facts, strict=True):
        column.metric(fact.what, fact.value)
        column.caption(controls.literal(fact.aside or "no interval"))
    notes = [*tables.cell_notes(row), *([] if shown else ["hidden by the filters above"])]
    controls.caption(tables.energy_line(row, zone))
    controls.caption(" · ".join([tables.cell_fates(row), *notes]))
    controls.caption(f"Model {row['model']} · parameters {row['params']}")
    query = {"condition": row["condition_id"], "budget": str(row["budget"]), "axis": row["axis"]}
    with st.container(horizontal=True):
        controls.link_to("trials", "Open its trials", query)
        asked = {"task": row["task"], "a": url_state.cell(row["condition_id"], row["budget"])}
        controls.link_to("compare", "Compare it with another", asked)


def _table(frame: pl.DataFrame, wish: Wish) -> None:
    if frame.is_empty():
        return
    keys = [url_state.cell(*pair) for pair in frame.select("condition_id", "budget").iter_rows()]
    chosen = st.session_state.get(url_state.key(VIEW, "cell"))
    rows = [keys.index(chosen)] if chosen in keys else []
    st.session_state["frontier.table"] = {"selection": {"rows": rows, "columns": [], "cells": []}}

    def picked() -> None:
        found = cast("dict[str, Any]", st.session_state["frontier.table"])["selection"]["rows"]
        st.session_state[url_state.key(VIEW, "cell")] = keys[found[0]] if found else None

    table = tables.cells_table(frame, wish.x, wish.looking.zone)
    st.dataframe(
        table,
        key="frontier.table",
        on_select=picked,
        selection_mode="single-row",
        hide_index=True,
        column_config=controls.columns(table),
        height=min(38 + 35 * table.height, 420),
    )


def _panels(db: queries.Database, frame: pl.DataFrame, wish: Wish) -> None:
    if frame["model"].n_unique() < 2:
        return
    key = "frontier.panels"
    info = _panels_info(db, wish, controls.dark(), controls.narrow())
    st.markdown("##### Each model on its own")
    st.plotly_chart(
        figures.panels_figure(info),
        theme=None,
        key=key,
        selection_mode="points",
        on_select=url_state.on_click(VIEW, key),
        config=controls.figure_config("models"),
        alt="The frontier of each model",
    )


def _downloads(info: FrontierInfo, frame: pl.DataFrame, wish: Wish, params: tuple[Param, ...]) -> None:
    title, caption = figures.title_sentence(info), figures.caption_sentence(info)
    with st.container(horizontal=True):
        controls.copy_link(VIEW, params)
        controls.download_table("frontier", frame)
        controls.download_figure("frontier", lambda: controls.as_html(figures.frontier_figure(info), title, caption))


render()
