"""Parts of a page that are computed when a visitor opens them, with what is open in the address.

Owns the tie between expanders and the parameter `open` of a view, and keeps controls of a closed part alive: Streamlit
forgets a control that is not drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import streamlit as st

from dashboard import links

OPEN = "open"
"""The parameter, a list of the names of open parts."""

__all__ = ["OPEN", "fold", "keep"]


def keep(view: str, names: Iterable[str]) -> None:
    """Hold on to controls of a closed part; call it before anything is drawn."""
    for key in (links.key(view, name) for name in names):
        if key in st.session_state:
            st.session_state[key] = st.session_state[key]


@contextmanager
def fold(view: str, name: str, label: str) -> Iterator[bool]:
    """A part of the page below its label; yields whether it is open, which is when it is worth computing."""
    key, shown = f"{view}.fold.{name}", links.key(view, OPEN)
    st.session_state[key] = name in (st.session_state.get(shown) or ())

    def turned() -> None:
        others = [each for each in st.session_state.get(shown) or () if each != name]
        st.session_state[shown] = sorted([*others, name] if st.session_state[key] else others)

    with st.expander(label, key=key, on_change=turned) as part:
        yield bool(part.open)
