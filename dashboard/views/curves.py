"""What a larger budget buys: exact accuracy at every budget, one panel a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from dashboard import figures
from dashboard.data import lens, queries
from dashboard.data.lens import Looking
from dashboard.text import tables
from dashboard.widgets import controls, filters, price_panel, url_state
from dashboard.widgets.url_state import Param
from engine.core import names
from engine.core import text as fmt
from engine.core.records import AXES
from engine.strategies.lineups import roster

if TYPE_CHECKING:
    import polars as pl

    from dashboard.figures import CurvesInfo

VIEW = "curves"
BUDGETS = {
    "output_tokens": "Output tokens",
    "total_tokens": "Total tokens",
    "calls": "Calls",
    "usd": "Money",
    "wh": "Energy (Wh)",
}
PARAMS = (
    filters.PARAM,
    Param("axis", "output_tokens", tuple(BUDGETS), pinned=True),
    Param("task", (), many=True),
    Param("model", (), many=True),
    Param("strategy", (), many=True),
    Param("votes", None, ("orders",)),
    Param("cell"),
)
VARIANT = ("task", "model", "strategy", "params")
ORDERS = 64
MOST = 60  # More curves are too many to read and slow to draw; the most accurate ones are shown.


@dataclass(frozen=True)
class Wish:
    """What the controls ask for."""

    conditions: tuple[str, ...]
    """Those of the study."""
    axis: str
    tasks: tuple[str, ...]
    models: tuple[str, ...]
    strategies: tuple[str, ...]
    orders: int | None
    """Of the draws of a vote; None: the one they came in."""
    looking: Looking


def render() -> None:
    """Draw the page."""
    import polars as pl

    db = queries.state()
    if why := queries.trouble(db):
        controls.nothing(why)
        return
    every = queries.cells(db)
    params = _params(every, db)
    problems = url_state.load(VIEW, params)
    head = st.container()
    wish, unmet = _controls(every, params, db)
    every = every.filter(pl.col("condition_id").is_in(list(wish.conditions)))
    url_state.save(VIEW, params)
    cells = _cells(db, wish)
    info = _info(db, wish, controls.dark(), controls.narrow())
    with head:
        _sentences(info, cells, every, wish)
        controls.warn([*problems, *unmet])
    _figure(info, wish)
    _links(cells)
    _table(cells, wish)
    _downloads(info, cells, params)


def _params(cells: pl.DataFrame, db: queries.Database) -> tuple[Param, ...]:
    offered = {name: tuple(sorted(set(cells[name].to_list()))) for name in ("task", "strategy")}
    offered |= {"model": tuple(roster(cells["model"])), "study": filters.choices(studies := queries.studies(db))}
    own = str(filters.within(cells, studies, offered["study"][0])["axis"].mode().sort()[0])
    mine = (
        Param("axis", own, tuple(BUDGETS), pinned=True) if param.name == "axis" else param
        for param in controls.offering(PARAMS, offered)
    )
    return *mine, *price_panel.params(queries.models(db))


def _controls(every: pl.DataFrame, params: tuple[Param, ...], db: queries.Database) -> tuple[Wish, list[str]]:
    by = {param.name: param for param in params}
    with st.container(horizontal=True, gap="medium"):
        study = filters.choose(VIEW, by["study"])
        axis = controls.choose(VIEW, by["axis"], "Budget in", BUDGETS.__getitem__)
        tasks = controls.choose_many(VIEW, by["task"], "Task")
        models = controls.choose_many(VIEW, by["model"], "Model", controls.short)
        strategies = controls.choose_many(VIEW, by["strategy"], "Strategy")
        voted = queries.votes(strategies) and controls.switch(
            VIEW, by["votes"], "Votes", "Average over orders of draws"
        )
    looking, unmet = price_panel.draw(VIEW, queries.models(db), models)
    ids = tuple(sorted(set(filters.within(every, queries.studies(db), study)["condition_id"])))
    return Wish(ids, str(axis), tasks, models, strategies, ORDERS if voted else None, looking), unmet


def _cells(db: queries.Database, wish: Wish) -> pl.DataFrame:
    """The cells the filters leave, read on the axis asked for; at most `MOST` conditions.

    A condition that ran under a budget on another axis is read on this one, but where the same strategy, parameters
    and model also ran under a budget on this axis, that one stands for both: column `own_axis`."""
    import polars as pl

    own = queries.cells(db).select("condition_id", own_axis="axis").unique()
    found, _ = _read(db, wish)
    cells = found.join(own, on="condition_id", maintain_order="left").filter(
        pl.col("task").is_in(wish.tasks),
        pl.col("model").is_in(wish.models),
        pl.col("strategy").is_in(wish.strategies),
        axis=wish.axis,
    )
    home, one = pl.col("own_axis") == wish.axis, pl.col("condition_id")
    cells = cells.filter(home | (~home.any().over(VARIANT) & (one == one.first().over(VARIANT))))
    heights = cells.group_by("condition_id").agg(pl.col("accuracy").max())
    best = heights.sort("accuracy", "condition_id", descending=True, nulls_last=True).head(MOST)
    return cells.join(best, on="condition_id", how="semi", maintain_order="left")


def _read(db: queries.Database, wish: Wish) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """Cells and curves of the whole study at once, where they are few, so that the next filter finds them read."""
    return queries.budgets(db, wish.axis, wish.conditions, wish.looking, wish.orders, MOST)


@st.cache_data(max_entries=64, show_spinner=False)
def _info(db: queries.Database, wish: Wish, dark: bool, narrow: bool) -> CurvesInfo:
    """The figure's plain data."""
    cells, every = _cells(db, wish), queries.cells(db)
    ids = tuple(sorted(set(cells.filter("anytime")["condition_id"])))
    _, found = _read(db, wish)
    found = found or queries.curves(db, ids, wish.axis, wish.looking, wish.orders)
    return figures.curves_info(
        cells,
        {condition: found[condition] for condition in ids},
        axis=wish.axis,
        narrow=narrow,
        dark=dark,
        models=roster(every["model"]),
        strategies=sorted(set(every["strategy"].to_list())),
        said=lens.said(wish.looking, wish.axis),
    )


def _sentences(info: CurvesInfo, cells: pl.DataFrame, every: pl.DataFrame, wish: Wish) -> None:
    shown, total = cells["condition_id"].n_unique(), every["condition_id"].n_unique()
    leaders = [tables.leader_sentence(part) for part in cells.partition_by("task", maintain_order=True)]
    found = [sentence for sentence in leaders if sentence]
    counts = f"{fmt.count(shown)} of {fmt.plural(total, 'condition')} shown"
    several = f"What a larger budget buys on {fmt.plural(len(leaders), 'task')}"
    controls.heading(found[0] if len(found) == 1 else several)
    controls.say("; ".join(found) + "." if len(found) > 1 else "")
    simulated = "simulated answers" if not cells.is_empty() and cells["simulated"].any() else ""
    assumed = "some prices are assumed" if info.lens.money and cells["usd_assumed"].any() else ""
    left_out = shown < total and every["axis"].n_unique() > 1
    elsewhere = "others ran under budgets in another unit: choose it above" if left_out else ""
    orders = f"votes are averaged over {wish.orders} orders of their draws" if wish.orders else ""
    parts = (figures.curves_caption(info), orders, counts, _recut(cells), elsewhere, simulated, assumed)
    text = " · ".join(part for part in parts if part)
    controls.caption(f"{text[:1].upper()}{text[1:]}")
    controls.caption(lens.caption(wish.looking, queries.models(queries.state())))


def _recut(cells: pl.DataFrame) -> str:
    """How many conditions ran under a budget on another axis; empty when none did."""
    import polars as pl

    foreign = cells.filter(pl.col("own_axis") != pl.col("axis"))["condition_id"].n_unique()
    return f"{fmt.count(foreign)} ran under budgets on another axis and are read on this one" if foreign else ""


def _figure(info: CurvesInfo, wish: Wish) -> None:
    if not info.panels and wish.axis in ("usd", "wh"):
        why = "No price is known for these models, so there is no budget in money"
        price_panel.missing(wish.axis, wish.looking, why)
        return
    key = "curves.figure"
    st.plotly_chart(
        figures.curves_figure(info),
        theme=None,
        key=key,
        on_select=url_state.on_click(VIEW, key),
        selection_mode="points",
        alt="Accuracy by budget, one panel a task",
        config=controls.figure_config("curves"),
    )


def _links(cells: pl.DataFrame) -> None:
    """From the selected point to its trials."""
    chosen = str(st.session_state.get(url_state.key(VIEW, "cell")) or "")
    condition, _, budget = chosen.rpartition("~")
    found = cells.filter(condition_id=condition).to_dicts()
    if not chosen:
        controls.caption("Click a step of a curve to go to its trials.")
    elif not found:
        controls.caption("The selected condition is not among those shown.")
    else:
        name = tables.cell_name(
            {**found[0], "budget": int(budget) if budget.isdigit() else None}, names.over(cells.to_dicts())
        )
        query = {"condition": condition, "budget": budget, "axis": str(found[0]["axis"])}
        query = query if found[0]["axis"] in AXES else {"condition": condition}
        controls.link_to("trials", f"Open the trials of {name}", query)


def _table(cells: pl.DataFrame, wish: Wish) -> None:
    if cells.is_empty():
        return
    table = tables.curve_table(cells, wish.looking.zone)
    st.dataframe(
        table,
        key="curves.table",
        hide_index=True,
        column_config=controls.columns(table),
        height=min(38 + 35 * table.height, 420),
    )


def _downloads(info: CurvesInfo, cells: pl.DataFrame, params: tuple[Param, ...]) -> None:
    title, caption = "Budget curves", figures.curves_caption(info)
    with st.container(horizontal=True):
        controls.copy_link(VIEW, params)
        controls.download_table("curves", cells)
        controls.download_figure("curves", lambda: controls.as_html(figures.curves_figure(info), title, caption))


render()
