"""Home: which conditions buy the most accuracy for what they spend, and the way down from a point to its trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import polars as pl
import streamlit as st

from dashboard import figures, theme
from dashboard.data import infos, lens, queries
from dashboard.text import tables
from dashboard.widgets import controls, price_panel, url_state
from dashboard.widgets.url_state import Param
from engine.analysis import guessing
from engine.analysis.common import shared_sentences
from engine.core import names
from engine.core import text as fmt
from engine.strategies.lineups import roster

VIEW = "frontier"
SPENDS = controls.SPENDS | {"usd": "Cost", "wh": "Energy (Wh)", "latency_ms": "Seconds"}
MEASURED = "Seconds are those of the calls one after the other, under the load there was; a call cut short counts whole"
LINES = {"staircase": "Staircase", "hull": "Hull (mixing two)"}
PARAMS = (
    Param("study", pinned=True),
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

    selection: queries.Selection
    label_all: bool
    total: int  # Conditions of the task, filtered away or not.

    @classmethod
    def drawn(cls, db: queries.Database, params: Sequence[Param]) -> tuple[Wish, list[str]]:
        """Draw the controls; what they ask for, and what of it cannot be had."""
        by, first = {param.name: param for param in params}, str(queries.every(db)["axis"][0])

        def budget_name(choice: str) -> str:
            if choice in ("all", "largest"):
                return choice.capitalize()
            axis, _, budget = choice.rpartition(":")
            return fmt.up_to(int(budget), axis or first).capitalize()

        with st.container(horizontal=True, gap="medium"):
            study = controls.study(VIEW, by["study"])
            cells = queries.cells(db, study=study)
            tasks = controls.narrowed(VIEW, by["task"], queries.tasks(cells))
            task = controls.choose(VIEW, tasks, "Task", controls.task_form(tasks))
            x = controls.choose(VIEW, by["x"], "Accuracy against", SPENDS.__getitem__)
            kind = controls.choose(VIEW, by["line"], "Frontier", LINES.__getitem__)
            choice = controls.choose(VIEW, by["budget"], "Budgets shown", budget_name) or "all"
            models = controls.choose_many(VIEW, by["model"], "Model", controls.short)
            strategies = controls.choose_many(VIEW, by["strategy"], "Strategy", names.strategy)
            label_all = controls.switch(VIEW, by["labels"], "Labels", "Label all points")
        looking, unmet = price_panel.draw(VIEW, queries.models(db), models)
        own = cells.filter(task=task)
        total, budgets = own["condition_id"].n_unique(), None
        if choice != "all" and not own.is_empty():
            # A budget on one axis says nothing about conditions that have theirs on another: those are left out.
            axis, _, number = choice.rpartition(":")
            budget = max(own["budget"]) if number == "largest" else int(number)
            own = (own.filter(axis=axis) if axis else own).filter((pl.col("budget") == budget) | pl.col("anytime"))
            budgets = (budget,)
        own = own.filter(pl.col("model").is_in(models), pl.col("strategy").is_in(strategies))
        ids, line = tuple(sorted(set(own["condition_id"]))), cast("queries.Kind", kind)
        return cls(queries.Selection(str(x), str(task), line, budgets, ids, looking, study), label_all, total), unmet


def render() -> None:
    """Draw the page."""
    if (db := controls.database()) is None:
        return
    every, pairs = queries.every(db), queries.budget_pairs(db)
    # A bare number is enough in the URL where all budgets are on one axis; "largest" of several axes says nothing.
    budgets = [f"{axis}:{budget}" for axis, budget in pairs]
    if len({axis for axis, _ in pairs}) < 2:
        budgets = ["largest", *(str(budget) for _, budget in pairs)]
    offered = {
        "study": queries.study_choices(db),
        "task": queries.tasks(every),
        "model": tuple(roster(every["model"])),
        "strategy": tuple(sorted(set(every["strategy"]))),
        "budget": ("all", *budgets) if len(pairs) > 1 else ("all",),
    }
    params = (*controls.offering(PARAMS, offered), *price_panel.params(queries.models(db)))
    problems = url_state.load(VIEW, params)
    head = st.container()
    wish, unmet = Wish.drawn(db, params)
    selection, look = wish.selection, (controls.dark(), controls.narrow())
    x, looking, frame = selection.x, selection.looking, queries.frontier(db, selection)
    info = infos.frontier_info(db, selection, wish.label_all, *look)
    title, shown = figures.title_sentence(info), frame["condition_id"].n_unique()
    with head:  # Sentences stand above the controls and need what these chose.
        aside = f" ({fmt.count(shown)} of {fmt.count(wish.total)} shown)" if shown < wish.total else ""
        controls.heading(f"{title}{aside}")
        controls.say(tables.reading_sentence(frame, x))
        controls.caption(figures.caption_sentence(info), *guessing.sentences(frame))
        for sentence in (*shared_sentences(frame), *queries.notes(db, selection.study)):
            controls.caption(sentence)
        controls.caption(MEASURED if x == "latency_ms" else "")
        controls.caption(lens.caption(looking, queries.models(db)))
        controls.warn([*problems, *unmet])
    if x in ("usd", "wh") and not frame.is_empty() and frame[x].null_count() == frame.height:
        price_panel.missing(x, looking, "No price is known for these models, so there is no cost to show")
    else:
        figure = figures.frontier_figure(info)
        ink = theme.inks(controls.dark()).text
        ring = {"size": 24, "symbol": "circle-open", "color": ink, "line": {"width": 1.5}}
        for point in info.points:
            if url_state.cell(point.condition_id, point.budget) == url_state.value(VIEW, "cell"):
                place = {"x": [info.x_scale.place(point.x)], "y": [point.y]}
                figure.add_scatter(**place, mode="markers", marker=ring, hoverinfo="skip", showlegend=False)
        controls.chart(figure, "frontier.figure", VIEW, title, selects=VIEW)
    keys = [url_state.cell(*pair) for pair in frame.select("condition_id", "budget").iter_rows()]
    _cell(queries.cells(db, None, None, looking, selection.study), frame, keys, looking.zone, selection.study)
    url_state.save(VIEW, params)

    def pick(row: int | None) -> None:
        st.session_state[url_state.key(VIEW, "cell")] = None if row is None else keys[row]

    if not frame.is_empty():
        chosen = url_state.value(VIEW, "cell")
        row = keys.index(chosen) if chosen in keys else None
        controls.table(tables.cells_table(frame, x, looking.zone), "frontier.table", row=row, pick=pick)
    if frame["model"].n_unique() > 1:
        st.markdown("##### Each model on its own")
        panels = figures.panels_figure(infos.panels_info(db, selection, wish.label_all, *look))
        controls.chart(panels, "frontier.panels", "models", "The frontier of each model", selects=VIEW)
    # The file shows the figure without the ring: what a visitor clicked is no part of the finding.
    figure_of = partial(figures.frontier_figure, info)
    controls.downloads(VIEW, frame, params, figure_of, title, figures.caption_sentence(info))


def _cell(cells: pl.DataFrame, frame: pl.DataFrame, shown: list[str], zone: str | None, study: str) -> None:
    """The picker, and the selected cell in full."""
    rows = dict(zip(shown, frame.to_dicts(), strict=True))
    key = url_state.key(VIEW, "cell")
    chosen = st.session_state.get(key)
    if chosen is not None and chosen not in rows:
        # A link may name a cell that the filters hide.
        for row in cells.filter(condition_id=str(chosen).rpartition("~")[0]).to_dicts():
            if url_state.cell(row["condition_id"], row["budget"]) == chosen:
                rows[chosen] = row
    if chosen is not None and chosen not in rows:
        st.warning(
            controls.literal(f"This link asks for cell {url_state.quoted(chosen)}, which is not there (any more).")
        )
        st.session_state[key] = chosen = None
    called = names.over([*rows.values()])
    st.selectbox(
        "Cell",
        list(rows),
        index=None,
        key=key,
        format_func=lambda name: tables.cell_name(rows[name], called),
        placeholder="Click a point or a row, or choose a cell here",
        label_visibility="collapsed",
    )
    chosen = st.session_state.get(key)
    if not chosen:
        return
    row = rows[chosen]
    with st.container(border=True):
        name, task = tables.cell_name(row, called), names.task(row["task"])
        st.markdown(f"**{controls.literal(name)}** · {controls.literal(task)}")
        facts = tables.cell_facts(row)
        for column, fact in zip(st.columns(len(facts), gap="small"), facts, strict=True):
            column.metric(fact.what, fact.value)
            column.caption(controls.literal(fact.aside or "no interval"))
        controls.caption(tables.energy_line(row, zone))
        aside = "" if chosen in shown else "hidden by the filters above"
        controls.caption(tables.cell_fates(row), *tables.cell_notes(row), aside)
        controls.caption(f"Model {row['model']} · parameters {row['params']}")
        query = {"condition": row["condition_id"], "budget": str(row["budget"]), "axis": row["axis"]}
        named = {"study": study}
        with st.container(horizontal=True):
            controls.link_to("trials", "Open its trials", named | query)
            controls.link_to("compare", "Compare it with another", named | {"task": row["task"], "a": chosen})


render()
