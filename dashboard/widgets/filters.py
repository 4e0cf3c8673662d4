"""Which study's conditions a page shows: several studies together may have their budgets on different axes.

Owns the parameter `study` and what it means. Reads no database: the caller brings the conditions by study.

Parts of a page that are computed when a visitor opens them, with what is open in the address.

Owns the tie between expanders and the parameter `open` of a view, and keeps controls of a closed part alive: Streamlit
forgets a control that is not drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.widgets import controls, url_state
from dashboard.widgets.url_state import Param

if TYPE_CHECKING:
    import polars as pl

__all__ = ["OPEN", "fold", "keep"]


ALL = "*"
PARAM = Param("study", pinned=True)
Studies = Mapping[str, tuple[str, ...]]
"""Condition ids by the name of the study that ran them; the first is shown at first."""


def choices(studies: Studies) -> tuple[str, ...]:
    """Studies by name, and all of them together."""
    names = tuple(name for name in studies if name != ALL)
    return (*names, ALL) if len(names) > 1 else (ALL,)


def choose(view: str, param: Param) -> str:
    """The study asked for, or `ALL`."""
    return controls.choose(view, param, "Study", lambda name: "All studies" if name == ALL else name) or ALL


def within(cells: pl.DataFrame, studies: Studies, study: str) -> pl.DataFrame:
    """The cells of a study's conditions."""
    import polars as pl

    return cells.filter(pl.col("condition_id").is_in(list(studies[study]))) if study in studies else cells


OPEN = "open"
"""The parameter, a list of the names of open parts."""


def keep(view: str, names: Iterable[str]) -> None:
    """Hold on to controls of a closed part; call it before anything is drawn."""
    for key in (url_state.key(view, name) for name in names):
        if key in st.session_state:
            st.session_state[key] = st.session_state[key]


@contextmanager
def fold(view: str, name: str, label: str) -> Iterator[bool]:
    """A part of the page below its label; yields whether it is open, which is when it is worth computing."""
    key, shown = f"{view}.fold.{name}", url_state.key(view, OPEN)
    st.session_state[key] = name in (st.session_state.get(shown) or ())

    def turned() -> None:
        others = [each for each in st.session_state.get(shown) or () if each != name]
        st.session_state[shown] = sorted([*others, name] if st.session_state[key] else others)

    with st.expander(label, key=key, on_change=turned) as part:
        yield bool(part.open)
