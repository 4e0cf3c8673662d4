"""What a question takes, asked for on the page: numbers typed as text, and two settings to set against each other.

Owns how inputs that are not on screen keep what they said, and what an empty one stands for. Reads no database.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.widgets import controls, url_state
from engine.core import names
from engine.core.errors import UsageError
from engine.strategies import entries

if TYPE_CHECKING:
    import polars as pl

LONGEST = 40


def keep(view: str, names: Iterable[str]) -> None:
    """Have inputs that are not drawn in this run remember what they said; Streamlit forgets them otherwise."""
    for name in names:
        key = url_state.key(view, name)
        if key in st.session_state:
            st.session_state[key] = st.session_state[key]


def typed(view: str, name: str, label: str, empty: str = "") -> str:
    """A short text; `empty` is what an empty one stands for."""
    key = url_state.key(view, name)
    st.text_input(controls.literal(label), key=key, max_chars=LONGEST, placeholder=empty, width=280)
    return str(st.session_state.get(key) or "")


def usual(cells: pl.DataFrame, axis: str) -> str:
    """A budget worth asking about, as it would be typed: halfway on a log scale between least and most mean spend.

    Raises UsageError where no spend is known."""
    known = [float(value) for value in cells[axis].drop_nulls() if value > 0]
    if not known:
        raise UsageError("There is nothing to go by: no setting of this task has a scored question.")
    middle = float(f"{math.sqrt(min(known) * max(known)):.2g}")
    return f"{middle:.12f}".rstrip("0").rstrip(".") if axis == "usd" else str(max(1, round(middle)))


def pair(view: str, cells: pl.DataFrame) -> tuple[str, str]:
    """Conditions A and B of one task, by id; by default B is the most accurate and A the cheapest other one.

    Raises UsageError where there is only one, or one is set against itself."""
    names = named(cells)
    if len(names) < 2:
        raise UsageError("There is one setting only, so there is nothing it could beat.")
    b = _chosen(view, "b", "Does B …", names, best := _best(cells))
    a = _chosen(view, "a", "… beat A?", names, _cheapest(cells, b or best))
    if a == b:
        raise UsageError("A setting cannot beat itself: choose two.")
    return a, b


def named(cells: pl.DataFrame) -> dict[str, str]:
    """Conditions by id, said so that no two are alike; strategies that see targets are called oracles."""
    known, found = entries(), dict[str, str]()
    rows = {row["condition_id"]: row for row in cells.to_dicts()}
    called = names.conditions([*rows.values()])
    for name, row in rows.items():
        oracle = row["strategy"] in known and known[row["strategy"]].oracle
        notes = (called[name], "oracle" if oracle else "", "simulated" if row["simulated"] else "")
        found[name] = " · ".join(note for note in notes if note)
    alike = {said for said in found.values() if list(found.values()).count(said) > 1}
    return {name: f"{said} · {name[-6:]}" if said in alike else said for name, said in found.items()}


def _chosen(view: str, name: str, label: str, names: dict[str, str], default: str) -> str:
    key = url_state.key(view, name)
    asked = st.session_state.get(key)
    if asked and asked not in names:
        st.session_state[key] = None
        controls.warn([f"This link asks for {name} = {asked!r}, which is not a setting of this task (any more)."])
    st.selectbox(
        label, list(names), index=None, key=key, format_func=names.__getitem__, placeholder=names[default], width=350
    )
    return str(st.session_state.get(key) or default)


def _best(cells: pl.DataFrame) -> str:
    found = cells.sort("accuracy", "budget", "condition_id", descending=[True, False, False], nulls_last=True)
    return str(found["condition_id"][0])


def _cheapest(cells: pl.DataFrame, other: str) -> str:
    rest = cells.filter(cells["condition_id"] != other).select("condition_id", "output_tokens")
    rest = rest.group_by("condition_id").max()
    return str(rest.sort("output_tokens", "condition_id", nulls_last=True)["condition_id"][0])
