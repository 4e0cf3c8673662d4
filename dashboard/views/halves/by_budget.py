"""The first half of Budgets: exact accuracy at every budget, one panel a task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import polars as pl
from streamlit.delta_generator import DeltaGenerator

from dashboard import figures, ready
from dashboard.data import infos, lens, queries
from dashboard.text import tables
from dashboard.widgets import controls, price_panel, url_state
from dashboard.widgets.url_state import Param
from engine.analysis import guessing
from engine.analysis.advice import decide
from engine.core import names
from engine.core import text as fmt
from engine.core.records import AXES
from engine.strategies.lineups import roster

VIEW = "budgets"
BUDGETS = controls.SPENDS | {"usd": "Cost", "wh": "Energy (Wh)"}
ORDERS = 64  # Of the draws of a vote, to average over.


def filters(params: Sequence[Param], rows: pl.DataFrame) -> dict[str, Param]:
    """The parameters by name; those of the filter offer what stands in `rows` alone."""
    by = {param.name: param for param in params}
    here = {name: sorted(set(rows[name])) for name in ("task", "strategy")} | {"model": roster(rows["model"])}
    return by | {name: controls.narrowed(VIEW, by[name], choices) for name, choices in here.items()}


def chosen(by: Mapping[str, Param]) -> infos.Filter:
    """What the filter leaves."""
    return infos.Filter(*(controls.chosen(VIEW, by[name]) for name in ("task", "model", "strategy")))


@contextmanager
def filtering(by: Mapping[str, Param], rows: pl.DataFrame) -> Iterator[None]:
    """The popover with the filter of these rows, for more to stand below it."""
    left, total = (frame["condition_id"].n_unique() for frame in (chosen(by).of(rows), rows))
    with controls.filters(left, total):
        controls.choose_many(VIEW, by["task"], "Task", controls.task_form(by["task"]))
        controls.choose_many(VIEW, by["model"], "Model", controls.short)
        controls.choose_many(VIEW, by["strategy"], "Strategy", names.strategy)
        yield


def draw(
    db: queries.Database,
    params: Sequence[Param],
    study: str,
    places: tuple[DeltaGenerator, DeltaGenerator],
    problems: Sequence[str],
) -> None:
    """Draw the rest of the page: its controls and its finding in two `places`; `problems` are those of the address."""
    more, head = places
    prices, every = queries.models(db), queries.cells(db, study=study)
    by = filters(params, every)
    with more:
        axis = str(controls.choose(VIEW, by["axis"], "Budget in", BUDGETS.__getitem__))
        shown = chosen(by)
        with filtering(by, every):
            voted = queries.votes(shown.strategies) and controls.switch(
                VIEW, by["votes"], "Votes", "Average over orders of draws"
            )
            looking, unmet = price_panel.draw(VIEW, prices, shown.models)
    ids = tuple(sorted(set(every["condition_id"])))
    wish = infos.CurveSelection(ids, axis, shown, ORDERS if voted else None, looking, study)
    url_state.save(VIEW, params)
    cells = infos.curve_cells(db, wish)
    info = infos.curves_info(db, wish, controls.dark(), controls.room())
    title = figures.curves_caption(info)
    with head:
        count, total = cells["condition_id"].n_unique(), every["condition_id"].n_unique()
        finding, by_task = tables.leaders(cells)
        unknown = decide.unknown(cells, axis).heading if count else "No setting here has a budget to read it at"
        controls.heading(finding or unknown)
        controls.say(by_task)
        recut = cells.filter(pl.col("own_axis") != pl.col("axis"))["condition_id"].n_unique()
        imported = every.filter(pl.col("strategy").str.starts_with(names.IMPORTED))["condition_id"].n_unique()
        left_out = count < total - imported
        full = left_out and count == infos.MOST
        elsewhere = left_out and not full and every["axis"].n_unique() > 1
        controls.caption(
            title,
            f"votes are averaged over {wish.orders} orders of their draws" if wish.orders else "",
            f"{fmt.count(count)} of {fmt.plural(total, 'setting')} shown{', the most accurate' if full else ''}",
            f"{fmt.count(recut)} ran under budgets on another axis and are read on this one" if recut else "",
            "others ran under budgets in another unit: choose it above" if elsewhere else "",
            f"{fmt.count(imported)} imported, whose budgets nobody knows: Explore shows them" if imported else "",
            "simulated answers" if not cells.is_empty() and cells["simulated"].any() else "",
            "some prices are assumed" if info.lens.money and cells["usd_assumed"].any() else "",
            capital=True,
        )
        controls.caption(lens.caption(looking, prices))
        controls.warn([*problems, *unmet])
    if unread := not info.panels and axis in ("usd", "wh"):
        price_panel.missing(axis, looking, "No price is known for these models, so there is no budget in money")
    else:
        alt = "Accuracy by budget, one panel a task"
        controls.chart(figures.curves_figure(info), "budgets.figure", VIEW, alt, selects=VIEW)
    if info.panels and (point := controls.way_down(VIEW, cells, "a step of a curve", "setting")):
        row, budget = point
        row = row | {"budget": int(budget) if budget.isdigit() else None}
        name = tables.cell_name(row, names.over(cells.to_dicts()))
        # Trials are read at budgets of the engine's axes; energy is none of them.
        named = {"study": study}
        place = {"budget": budget, "axis": str(row["axis"])} if row["axis"] in AXES else {}
        controls.link_to("answers", f"Read the answers of {name}", named | {"condition": row["condition_id"], **place})
    if not cells.is_empty() and not unread:
        controls.table(tables.curve_table(cells, looking.zone), "budgets.table")
    for sentence in (*guessing.sentences(cells), *queries.notes(db, study)):
        controls.caption(sentence)
    others = (replace(wish, axis=other) for other in BUDGETS if other != axis)
    ready.ahead(db, (ids, looking, study), [partial(infos.curve_cells, db, each) for each in others])
    controls.downloads(
        VIEW, cells, params, partial(figures.curves_figure, info), "Budget curves", title, "budgets.figure"
    )
