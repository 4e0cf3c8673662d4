"""Home: what to use for a task, and what every setting buys for what it spends; from a point down to its answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import polars as pl
import streamlit as st

from dashboard import figures, ready
from dashboard.data import cuts, frozen, infos, lens, queries
from dashboard.figures import Handles
from dashboard.text import tables
from dashboard.widgets import controls, panel, price_panel, url_state
from dashboard.widgets.url_state import Param
from engine.analysis import guessing
from engine.analysis.advice.decide import Decision
from engine.analysis.common import shared_sentences
from engine.core import names
from engine.core import text as fmt
from engine.core.errors import BudgetscopeError
from engine.strategies.lineups import roster

VIEW = "explore"
SPENDS = controls.SPENDS | {"usd": "Cost", "latency_ms": "Seconds", "wh": "Energy (Wh)"}
UNITS = {"usd": "$ per 1,000", "wh": "Wh per 1,000"}
"""Units of the first handle where the axis is called otherwise."""
MEASURED = "Seconds are those of the calls one after the other, under the load there was; a call cut short counts whole"
LINES = {"staircase": "Staircase", "hull": "Hull (mixing two)"}
OFF = "off"
"""What an emptied handle says in the address."""
LONGEST = 12
"""Letters of a handle."""
CLICK = "Click a point, or a row of the table (by keyboard: Shift and Space), to see what is behind it."
PARAMS = (
    Param("study", pinned=True),
    Param("task", pinned=True),
    Param("x", "output_tokens", tuple(SPENDS)),
    Param("most", pinned=True),
    Param("least", pinned=True),
    Param("line", "staircase", tuple(LINES)),
    Param("model", (), many=True),
    Param("strategy", (), many=True),
    Param("budget", "all"),
    Param("cell"),
    Param("open", (), ("areas", "stakes"), many=True),
    Param("wrong"),
    Param("missing"),
    Param("second"),
)
STAKES = {
    "wrong": ("A wrong answer costs, $", "such as 0.50"),
    "missing": ("A missing answer costs, $", "as much as a wrong one"),
    "second": ("A second of waiting costs, $", "nothing"),
}
"""What mistakes and waiting cost: label, and what an empty field means."""


@dataclass(frozen=True)
class Wish:
    """What the controls ask for."""

    selection: queries.Selection
    handles: Handles
    """In the unit of the axis."""

    @property
    def most(self) -> float | None:
        """The spend per question that is accepted at most, as frames have it."""
        return None if self.handles.most is None else self.handles.most / figures.AXES[self.selection.x].scale


def _handles(x: str) -> tuple[Handles, list[str]]:
    """What the two fields say, and a sentence for each that says no number."""
    problems, values = list[str](), list[float | None]()
    for name, what, top in (
        ("most", UNITS.get(x, SPENDS[x].lower()), 1e15),
        ("least", "an accuracy in percent", 100.0),
    ):
        typed = str(url_state.value(VIEW, name) or "").strip()
        value = None
        if typed and typed != OFF:
            try:
                # As the chips and tables write it; float also takes nan and inf, which the range below refuses.
                value = float(typed.removeprefix("$").removesuffix("%").replace(",", ""))
            except ValueError:
                value = math.nan
            if not 0 < value <= top:
                problems.append(f"{url_state.quoted(typed)} is no number of {what}; the limit is left off.")
                value = None
        values.append(value)
    most, least = values
    return Handles(most, None if least is None else least / 100), problems


def _field(name: str, label: str, unit: str) -> None:
    key = url_state.key(VIEW, name)

    def emptied() -> None:
        # Emptied is not untouched: without a word for it the handle would come back with the next link.
        if not str(st.session_state.get(key) or "").strip():
            st.session_state[key] = OFF

    with st.container(horizontal=True, vertical_alignment="center", width="content", gap="xsmall", key=f"bar-{name}"):
        st.text_input(label, key=key, max_chars=LONGEST, placeholder="off", width=170, on_change=emptied)
        st.caption(controls.literal(unit), width="content")


def _filter(by: dict[str, Param], own: pl.DataFrame) -> tuple[dict[str, Param], pl.DataFrame, queries.Budgets]:
    """What the filter offers of the settings at hand, the points it leaves, and the budgets they are read at."""
    by = by | {"model": controls.narrowed(VIEW, by["model"], roster(own["model"]))}
    by |= {"strategy": controls.narrowed(VIEW, by["strategy"], sorted(set(own["strategy"])))}
    choice, budgets = str(url_state.value(VIEW, "budget") or "all"), None
    if choice != "all" and not own.is_empty():
        # A budget on one axis says nothing about settings that have theirs on another: those are left out.
        axis, _, number = choice.rpartition(":")
        budget = max(own["budget"]) if number == "largest" else int(number)
        own = (own.filter(axis=axis) if axis else own).filter((pl.col("budget") == budget) | pl.col("anytime"))
        budgets = (budget,)
    models, strategies = (controls.chosen(VIEW, by[name]) for name in ("model", "strategy"))
    return by, own.filter(pl.col("model").is_in(models), pl.col("strategy").is_in(strategies)), budgets


def _choices(by: dict[str, Param], first: str) -> None:
    """The controls inside the popover; `first`: the axis of budgets that name none."""

    def budget_name(choice: str) -> str:
        if choice in ("all", "largest"):
            return choice.capitalize()
        axis, _, budget = choice.rpartition(":")
        return fmt.up_to(int(budget), axis or first).capitalize()

    controls.choose_many(VIEW, by["model"], "Model", controls.short)
    controls.choose_many(VIEW, by["strategy"], "Strategy", names.strategy)
    controls.choose(VIEW, by["budget"], "Budgets shown", budget_name)
    controls.choose(VIEW, by["line"], "Frontier", LINES.__getitem__)


def _wish(db: queries.Database, params: Sequence[Param]) -> tuple[Wish, list[str]]:
    """Draw the row of controls; what they ask for, and what of it cannot be had."""
    by, first = {param.name: param for param in params}, str(queries.every(db)["axis"][0])
    x = str(url_state.value(VIEW, "x"))
    with st.container(horizontal=True, vertical_alignment="center", key="bar"):
        study = controls.select(VIEW, by["study"], "Study", controls.study_name)
        tasks = controls.narrowed(VIEW, by["task"], queries.study_tasks(db, study))
        task = controls.select(VIEW, tasks, "Task", controls.task_form(tasks))
        own = queries.cells(db, study=study, task=task)
        by, left, budgets = _filter(by, own)
        ids = tuple(sorted(set(left["condition_id"])))
        with controls.filters(len(ids), own["condition_id"].n_unique()):
            _choices(by, first)
            # Inside the popover: prices are a filter of sorts, and the row of controls is full.
            looking, unmet = price_panel.draw(VIEW, queries.models(db), sorted(set(left["model"])))
        st.space("stretch")
        _field("most", "Spend at most", UNITS.get(x, SPENDS[x].lower()))
        _field("least", "Reach at least", "%")
    handles, wrong = _handles(x)
    kind = cast("queries.Kind", url_state.value(VIEW, "line"))
    selection = queries.Selection(x, task, kind, budgets, ids, looking, study)
    return Wish(selection, handles), [*unmet, *wrong]


def _follow(db: queries.Database, offered: Mapping[str, tuple[str, ...]]) -> tuple[str, str]:
    """Where the handles start for the study, task and axis that address and controls name now; what stood where it
    started for others moves along."""

    query = url_state.current()
    # A link, Back or Forward: what controls say is of before.
    led = query != url_state.value(VIEW, "url")

    def named(name: str, choices: Sequence[str]) -> str:
        typed = next(iter(query.get(name, ())), None) if led else url_state.value(VIEW, name)
        return str(typed) if typed in choices else next(iter(choices), "")

    study, x = named("study", offered["study"]), named("x", tuple(SPENDS))
    start = infos.first_handles(db, study, named("task", queries.study_tasks(db, study)), x)
    before, axis = st.session_state.get(f"{VIEW}.start", (start, x))
    for name, old, new in zip(("most", "least"), before, start, strict=True):
        key = url_state.key(VIEW, name)
        # A spend is a number of one axis only.
        if (
            not led
            and key in st.session_state
            and ((st.session_state[key] or "") == old or (name == "most" and axis != x))
        ):
            st.session_state[key] = new or None
    st.session_state[f"{VIEW}.start"] = start, x
    return start


def _params(db: queries.Database) -> tuple[Param, ...]:
    """The page's parameters with what the data offers."""
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
    start = dict(zip(("most", "least"), _follow(db, offered), strict=True))
    own = [replace(param, default=start[param.name] or None) if param.name in start else param for param in PARAMS]
    return (*controls.offering(own, offered), *price_panel.params(queries.models(db)))


def render() -> None:
    """Draw the page."""
    if (db := controls.database()) is None:
        return
    params = _params(db)
    problems = url_state.load(VIEW, params)
    controls.keep(VIEW, STAKES)
    wish, unmet = _wish(db, params)
    selection, look = wish.selection, (controls.dark(), controls.room())
    x, looking, frame = selection.x, selection.looking, queries.frontier(db, selection)
    rows = {url_state.cell(row["condition_id"], row["budget"]): row for row in frame.to_dicts()}
    decision = queries.decision(db, selection, wish.most, wish.handles.least)
    pick = decision.cell and url_state.cell(decision.cell.condition_id, decision.cell.budget)
    asked = url_state.value(VIEW, "cell")
    if asked and asked not in rows:
        problems.append(f"This link asks for the point {url_state.quoted(asked)}; the filter hides it, or it is gone.")
        asked = None
    # The pick itself may be hidden by the filter; a scored point that is alone needs no choice.
    alone = next((cell for cell, row in rows.items() if len(rows) == 1 and row["accuracy"] is not None), None)
    chosen = asked or (pick if pick in rows else alone)
    controls.heading(decision.heading)
    controls.lead(decision.lead, decision.rest)
    controls.warn([*problems, *unmet])
    # Only what is scored has a place in the figure; the table has the others too.
    scored = chosen is not None and rows[chosen]["accuracy"] is not None
    at = (rows[chosen]["condition_id"], rows[chosen]["budget"]) if chosen and scored else None
    info = figures.select(infos.frontier_info(db, selection, wish.handles, *look), at)
    with st.container(key="explore"):
        left, right = st.columns([1016, 320], gap="medium")
    with left:
        if x in ("usd", "wh") and not frame.is_empty() and frame[x].null_count() == frame.height:
            price_panel.missing(x, looking, "No price is known for these models, so there is no cost to show")
        else:
            controls.chart(figures.frontier_figure(info), "explore.figure", VIEW, decision.heading, selects=VIEW)
        with st.container(horizontal=True, vertical_alignment="center", key="switch"):
            by = {param.name: param for param in params}
            controls.choose(VIEW, by["x"], "Accuracy against", SPENDS.__getitem__)
            st.space("stretch")
            controls.caption(figures.caption_sentence(info))
    with right, st.container(border=True, key="panel"):
        _beside(db, selection, frame, rows.get(chosen or ""), bool(info.points))
    # Before the rest is drawn: whoever copies the address early gets this view.
    url_state.save(VIEW, params)
    if not frame.is_empty():
        # The pick is in the panel without being anybody's choice, so its row is not marked.
        _table(frame, decision, selection, chosen if asked else None)
    _areas(db, selection, frame)
    _stakes(db, selection)
    for sentence in (
        *guessing.sentences(frame),
        *shared_sentences(frame),
        *queries.notes(db, selection.study),
        MEASURED if x == "latency_ms" else "",
        lens.caption(looking, queries.models(db)),
    ):
        controls.caption(sentence)

    def view() -> frozen.Frozen:
        query = url_state.written(
            params, {param.name: url_state.value(VIEW, param.name) for param in params}, whole=True
        )
        return frozen.of(db, selection, wish.handles, at, query)

    if chosen:
        # The panel leads to its answers.
        model = str(rows[chosen]["model"])
        ready.ahead(db, ("answers", model), [partial(cuts.begin, model)])
    link = url_state.address(VIEW, params)
    controls.share(
        VIEW, frame, params, lambda: frozen.as_page(view(), link), lambda: frozen.freeze(db, view()), "explore.figure"
    )


def _beside(
    db: queries.Database, selection: queries.Selection, frame: pl.DataFrame, row: dict[str, Any] | None, drawn: bool
) -> None:
    """The panel beside the figure: what is behind the chosen point, or how to choose one; `drawn`: there are some."""
    if row:
        name = names.over(frame.to_dicts())(row)
        # What the budget cut and what prices rest on stand in lines of their own there.
        notes = tables.cell_notes(row | {"much_cut": None}, "")
        panel.draw(db, row, name, selection.study, selection.looking.zone, [" · ".join(notes)] if notes else [])
        return
    controls.caption(CLICK if drawn else "What is behind a point stands here, once there is one.")
    if not frame.is_empty() and not drawn:
        query = {"study": selection.study, "condition": frame["condition_id"][0]}
        controls.link_to("answers", "Read the answers", query)


def _areas(db: queries.Database, selection: queries.Selection, frame: pl.DataFrame) -> None:
    """One number for each setting over all its budgets, computed when it is opened."""
    with controls.fold(
        VIEW, "areas", "One number for each setting: area under the curve, hypervolume, OckScore"
    ) as opened:
        if not opened:
            return
        found = queries.areas(db, selection)
        table = tables.areas_table(found, frame)
        if table.is_empty():
            controls.caption("No setting here has a known spend and accuracy on all questions.")
            return
        controls.table(table, "explore.areas")
        controls.caption(tables.AREAS)
        controls.downloads("explore-areas", found)


def _stakes(db: queries.Database, selection: queries.Selection) -> None:
    """What is cheapest once wrong and missing answers and waiting cost money, computed when it is opened."""
    with controls.fold(VIEW, "stakes", "Which is cheapest when mistakes cost money?") as opened:
        if not opened:
            return
        costs: dict[str, float | None] = {}
        for column, (name, (label, empty)) in zip(st.columns(3), STAKES.items(), strict=True):
            key = url_state.key(VIEW, name)
            column.text_input(label, key=key, max_chars=LONGEST, placeholder=empty)
            typed = str(st.session_state.get(key) or "").strip().removeprefix("$").replace(",", "")
            try:
                costs[name] = float(typed) if typed else None
            except ValueError:
                st.warning(controls.literal(f"{url_state.quoted(typed)} is no number of dollars."))
                return
        if costs["wrong"] is None:
            controls.caption("Say what a wrong answer costs you; prices of models are added to it.")
            return
        try:
            controls.say(queries.loss(db, selection, costs["wrong"], costs["missing"], costs["second"] or 0.0))
        except BudgetscopeError as error:
            controls.fault(error)


def _table(frame: pl.DataFrame, decision: Decision, selection: queries.Selection, chosen: str | None) -> None:
    """All points; a row selects its point."""
    verdicts = tables.verdicts(decision.verdicts)
    table = tables.settings_table(frame, verdicts, selection.x, selection.looking.zone)
    keys = [url_state.cell(*pair) for pair in table.select("condition_id", "budget").iter_rows()]

    def pick(row: int | None) -> None:
        st.session_state[url_state.key(VIEW, "cell")] = None if row is None else keys[row]

    settings, points = fmt.plural(frame["condition_id"].n_unique(), "setting"), fmt.plural(frame.height, "point")
    st.html(f'<h2 class="bs-title">All settings <small>{settings}, {points}, best first</small></h2>')
    row = keys.index(chosen) if chosen in keys else None
    shown = table.drop("condition_id", "budget")
    controls.table(shown, "explore.table", formats=controls.settings_columns(), row=row, pick=pick)


render()
