"""Which one should I use: a question, the answer in one sentence with n and interval, what it was read off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboard import figures, theme
from dashboard.data import advice, queries
from dashboard.data.advice import QUESTIONS, Ask
from dashboard.text import tables
from dashboard.text import tables as evidence
from dashboard.widgets import controls, inputs, url_state
from dashboard.widgets.url_state import Param
from engine.core import names
from engine.core import text as fmt
from engine.core.errors import BudgetscopeError
from engine.core.names import ARROW
from engine.strategies import entries
from engine.strategies.lineups import roster

if TYPE_CHECKING:
    import polars as pl

    from dashboard.figures import AdvisedInfo, CrossingInfo
    from engine.analysis import Advice

VIEW = "advice"
SPENDS = {"output_tokens": "Output tokens", "total_tokens": "Total tokens", "calls": "Calls", "usd": "Cost"}
PARAMS = (
    Param("task", pinned=True),
    Param("axis", "output_tokens", tuple(SPENDS)),
    Param("ask", "reach", tuple(QUESTIONS)),
    Param("accuracy", "50"),
    Param("budget"),
    Param("spend"),
    Param("a"),
    Param("b"),
    Param("model", pinned=True),
    Param("factor", "2"),
)
TAKES = {
    "reach": ("accuracy",),
    "under": ("budget",),
    "beats": ("b", "a"),
    "next": ("spend",),
    "right": (),
    "without": ("model",),
    "price": ("model", "factor"),
}
"""The inputs of each question."""


@dataclass(frozen=True)
class Wish:
    """What the controls ask for."""

    task: str
    axis: str
    question: str


def render() -> None:
    """Draw the page."""
    db = queries.state()
    if why := queries.trouble(db):
        controls.nothing(why)
        return
    cells = queries.cells(db)
    params = _params(cells)
    problems = url_state.load(VIEW, params)
    head = st.container()
    wish = _controls(params)
    mine = cells.filter(task=wish.task)
    if "usd" in (wish.axis, *_money(wish)) and mine["usd"].null_count() == mine.height:
        _priceless(params, problems)
        return
    try:
        answer: Advice | str = advice.advice(db, ask := _ask(wish, mine, params))
    except BudgetscopeError as error:
        answer, ask = str(error), Ask(wish.question, wish.task, wish.axis)
    url_state.save(VIEW, params)
    with head:
        _sentence(answer, mine, wish)
        controls.warn(problems)
    if not isinstance(answer, str):
        _shown(db, ask, answer, cells, params)


def _priceless(params: tuple[Param, ...], problems: list[str]) -> None:
    url_state.save(VIEW, params)
    controls.warn(problems)
    controls.empty(
        "No price is known for these models, so there is no cost to go by",
        "Give prices in the study file and run it; until then count spend in tokens or calls.",
        controls.PRICES,
    )


def _params(cells: pl.DataFrame) -> tuple[Param, ...]:
    models = dict.fromkeys(name for model in roster(cells["model"]) for name in model.split(ARROW))
    return controls.offering(PARAMS, {"task": queries.tasks(cells), "model": tuple(models)})


def _controls(params: tuple[Param, ...]) -> Wish:
    by = {param.name: param for param in params}
    with st.container(horizontal=True, gap="medium"):
        task = controls.choose(VIEW, by["task"], "Task")
        axis = controls.choose(VIEW, by["axis"], "Spend counted in", SPENDS.__getitem__)
    question = controls.choose(VIEW, by["ask"], "Question", QUESTIONS.__getitem__)
    inputs.keep(VIEW, [name for name in by if name not in ("task", "axis", "ask", *TAKES[str(question)])])
    return Wish(str(task), str(axis), str(question))


def _ask(wish: Wish, cells: pl.DataFrame, params: tuple[Param, ...]) -> Ask:
    """The question with what was typed; draws its inputs. Raises UsageError for what cannot be meant."""
    own = str(cells["axis"].mode().sort()[0])
    kept = _honest(cells)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        match wish.question:
            case "reach":
                typed = inputs.typed(VIEW, "accuracy", "Accuracy to reach, %")
                return Ask("reach", wish.task, wish.axis, None, advice.accuracy(typed), strategies=kept)
            case "under":
                usual = inputs.usual(cells, wish.axis)
                typed = inputs.typed(VIEW, "budget", f"Budget, {advice.UNITS[wish.axis]}", usual)
                wall = advice.wall(typed or usual, wish.axis)
                return Ask("under", wish.task, wish.axis, wish.axis, wall, strategies=kept)
            case "beats":
                a, b = inputs.pair(VIEW, cells)
                free = cells.filter(cells["condition_id"].is_in([a, b]))["anytime"].all()
                return Ask("beats", wish.task, wish.axis, wish.axis if free else own, a=a, b=b)
            case "next":
                typed = inputs.typed(VIEW, "spend", f"At a spend of, {advice.UNITS[wish.axis]}", "the last step")
                return Ask("next", wish.task, wish.axis, None, advice.spend(typed, wish.axis), strategies=kept)
            case "without":
                return Ask("without", wish.task, wish.axis, model=_model(params), strategies=kept)
            case "price":
                model = _model(params)
                typed = inputs.typed(VIEW, "factor", f"Price of {controls.short(model)} times")
                return Ask("price", wish.task, "usd", None, advice.factor(typed), model=model, strategies=kept)
    return Ask("right", wish.task, wish.axis, strategies=kept)


def _model(params: tuple[Param, ...]) -> str:
    chosen = controls.choose(VIEW, next(param for param in params if param.name == "model"), "Model", controls.short)
    return str(chosen)


def _honest(cells: pl.DataFrame) -> tuple[str, ...]:
    """The strategies that see no targets, where some do; else empty: all take part."""
    known = entries()
    every = sorted(set(cells["strategy"]))
    fair = tuple(name for name in every if not (name in known and known[name].oracle))
    return fair if fair and len(fair) < len(every) else ()


def _sentence(answer: Advice | str, cells: pl.DataFrame, wish: Wish) -> None:
    if isinstance(answer, str):
        controls.heading(answer)
        controls.say("Choose another question, task or spend, or run more on the Run page.")
        return
    controls.heading(answer.sentence)
    fair = set(_honest(cells)) if wish.question != "beats" else set()
    left_out = sorted(set(cells["strategy"]) - fair) if fair else []
    lone = cells["condition_id"].n_unique() < 2
    judged = wish.question not in ("next", "right") and answer.value is not None and not lone
    verdict = "decided with 95% confidence" if answer.decided else "not decided with 95% confidence"
    parts = [
        wish.task,
        verdict if judged else "",
        f"{fmt.plural(answer.n, 'question')}" if answer.n else "",
        "one setting, so no choice" if lone else "",
        "simulated answers" if cells["simulated"].any() else "",
        "some prices are assumed" if "usd" in (wish.axis, *_money(wish)) and cells["usd_assumed"].any() else "",
        "weighed in dollars" if wish.question == "price" and wish.axis != "usd" else "",
        f"left out, as oracles that see targets: {', '.join(left_out)}" if left_out else "",
    ]
    controls.caption(" · ".join(part for part in parts if part))


def _money(wish: Wish) -> tuple[str, ...]:
    return ("usd",) if wish.question == "price" else ()


def _shown(db: queries.Database, ask: Ask, answer: Advice, cells: pl.DataFrame, params: tuple[Param, ...]) -> None:
    """Figure, way down, evidence, downloads."""
    look = (controls.dark(), controls.narrow())
    if ask.question == "beats":
        crossing = _crossing_info(db, ask, *look)
        figure, caption = figures.crossing_figure(crossing), figures.crossing_caption(crossing)
    else:
        marked = _advised_info(db, ask, *look)
        figure, caption = figures.advised_figure(marked), figures.advised_caption(marked)
    st.plotly_chart(
        figure, theme=None, key="advice.figure", alt=answer.sentence, config=controls.figure_config("advice")
    )
    controls.caption(f"{caption[:1].upper()}{caption[1:]}")
    _links(ask, answer, cells)
    _table(ask, answer)
    with st.container(horizontal=True):
        controls.copy_link(VIEW, params)
        if answer.evidence.height:
            controls.download_table("advice", answer.evidence)
        controls.download_figure("advice", lambda: controls.as_html(figure, answer.sentence, caption))


@st.cache_data(max_entries=64, show_spinner=False)
def _advised_info(db: queries.Database, ask: Ask, dark: bool, narrow: bool) -> AdvisedInfo:
    """The marked frontier's plain data."""
    answer, frame, every = advice.advice(db, ask), advice.advised(db, ask), queries.cells(db)
    plain = figures.frontier_info(
        frame,
        queries.line(frame, "staircase"),
        None,
        x=ask.x,
        narrow=narrow,
        dark=dark,
        models=roster(every["model"]),
        strategies=sorted(set(every["strategy"])),
    )
    cell = (answer.cell.condition_id, answer.cell.budget) if answer.cell else None
    value = answer.value.mean if answer.value else None
    level = ask.number if ask.question == "reach" else None
    return figures.advised_info(plain, answer.asked, answer.evidence, cell, value, level)


@st.cache_data(max_entries=64, show_spinner=False)
def _crossing_info(db: queries.Database, ask: Ask, dark: bool, narrow: bool) -> CrossingInfo:
    """The difference's plain data."""
    answer, every = advice.advice(db, ask), queries.cells(db)
    rows = {row["condition_id"]: row for row in every.to_dicts()}
    names = inputs.named(every.filter(task=ask.task))
    colours = theme.strategy_colours(sorted(set(every["strategy"])), dark=dark)
    return figures.crossing_info(
        advice.differences(db, ask),
        (names[ask.b], names[ask.a]),
        axis=str(ask.axis),
        narrow=narrow,
        dark=dark,
        first=advice.ahead(answer.evidence),
        colour=colours[rows[ask.b]["strategy"]],
    )


def _links(ask: Ask, answer: Advice, cells: pl.DataFrame) -> None:
    """From the settings the answer is about to their trials."""
    rows = {row["condition_id"]: row for row in cells.to_dicts()}
    called = names.over([*rows.values()])
    pairs: list[tuple[str, Any, Any]] = [(name, None, None) for name in (ask.b, ask.a) if name]
    if answer.cell is not None and ask.question != "next":
        pairs = [(answer.cell.condition_id, answer.cell.budget, answer.cell.axis)]
    with st.container(horizontal=True, gap="medium"):
        for name, budget, axis in pairs:
            row = rows[name] | ({"budget": budget, "axis": axis} if budget is not None else {})
            query = {"condition": name, "budget": str(row["budget"]), "axis": str(row["axis"])}
            said = tables.cell_name(row, called) if budget is not None else called(row)
            controls.link_to("trials", f"Open the trials of {said}", query)


def _table(ask: Ask, answer: Advice) -> None:
    if answer.evidence.is_empty():
        return
    table = evidence.evidence_table(answer.asked, answer.evidence, ask.x, ask.axis)
    tenths = {name: st.column_config.NumberColumn(format="%.1f") for name in table.columns if name.endswith("points")}
    st.dataframe(
        table,
        key="advice.table",
        hide_index=True,
        column_config=controls.columns(table) | tenths,
        height=min(38 + 35 * table.height, 420),
    )


render()
