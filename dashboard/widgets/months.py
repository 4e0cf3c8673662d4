"""What a month comes to with either of two settings: the controls of traffic, grid and size, and the table.

Drawn for the Compare page when it is opened. What is unknown stays unknown; every number is the analysis'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboard.data import comparison, queries
from dashboard.text import differences
from dashboard.widgets import controls, filters, url_state
from dashboard.widgets.url_state import Param
from engine.core.errors import UsageError
from engine.models import energy

if TYPE_CHECKING:
    from engine.analysis import Cell

CONTROLS = ("per_day", "zone", "size")
"""Parameters of the view that live in here."""
Row = Mapping[str, Any]


def show(view: str, db: queries.Database, params: Sequence[Param], cells: tuple[Cell, Cell]) -> None:
    """The part of the page, computed when it is open."""
    with filters.fold(view, "savings", "Savings: a month with A and with B") as opened:
        if not opened:
            return
        lineups = _lineups(db, cells)
        unknown = comparison.unknown_sizes(lineups)
        asked = _asked(view, params, unknown)
        try:
            found = queries.month(db, *cells, lineups, asked)
        except UsageError as error:
            st.warning(controls.literal(str(error)))
            return
        table = differences.month_table(found)
        st.dataframe(table, key=f"{view}.month", hide_index=True, column_config=controls.columns(table))
        controls.caption(differences.month_remarks(found, () if asked.size else unknown))
        with st.container(horizontal=True):
            controls.download_table("compare-month", found.lines)


def _grid(zone: str) -> str:
    return f"{zone} · {energy.GRID[zone]:.0f} g CO2e per kWh"


def _lineups(db: queries.Database, cells: tuple[Cell, Cell]) -> tuple[str, ...]:
    """Who plays in either setting."""
    known = queries.conditions(db)
    rows = known.filter(known["condition_id"].is_in([cell.condition_id for cell in cells]))
    return tuple(sorted(set(rows["lineup"])))


def _asked(view: str, params: Sequence[Param], unknown: tuple[str, ...]) -> comparison.Month:
    by = {param.name: param for param in params}
    for name in ("per_day", "size"):
        st.session_state[url_state.key(view, name)] = (
            st.session_state.get(url_state.key(view, name)) or by[name].default or ""
        )
    first, second, third = st.columns(3, gap="small", vertical_alignment="bottom")
    with first:
        per_day = st.text_input("Questions per day", key=url_state.key(view, "per_day"))
    with second:
        zone = controls.choose(view, by["zone"], "Electricity", _grid)
    with third:
        size = st.text_input(
            "Size of models nobody knows",
            key=url_state.key(view, "size"),
            disabled=not unknown,
            placeholder="billions, such as 8 or 3.6/20.9" if unknown else "every size here is known",
            help="Billions of parameters: active, or active/total. Energy stays unknown without it.",
        )
    return comparison.Month(per_day, str(zone), size if unknown else "")
