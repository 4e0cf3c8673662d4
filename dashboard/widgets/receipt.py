"""The bill of a run and the day's allowance, as the Run page shows them. Draws; charges nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboard.data import queries
from dashboard.widgets import controls
from engine.core import text as fmt
from engine.core.errors import BudgetscopeError
from engine.core.records import PUSD_PER_USD

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from engine.core.budget import Limits

NOTE = (
    "Billed: what this run paid. Replayed: what replies it read again had cost when they were bought. List: what its "
    "calls would cost bought one by one today. In doubt: sent, and no outcome came back. The three are never added up. "
    "A ceiling counts the larger of our price and what the provider says, call by call."
)
MONEY = {
    "Billed": "billed_pusd",
    "Replayed": "replayed_pusd",
    "List": "list_pusd",
    "In doubt": "in_doubt_pusd",
    "Provider says": "provider_pusd",
}


def show(run_id: str) -> None:
    """What a run paid, read again and would pay afresh, by model and role; nothing before its first call."""
    try:
        rows = queries.bill(queries.state(), run_id).to_dicts()
    except BudgetscopeError:
        return
    if not rows:
        return
    with st.expander("Bill", icon=":material/receipt_long:"):
        st.dataframe(_table(rows), hide_index=True, alt="Bill of the run by model and role")
        controls.caption(NOTE)
        if any(row["assumed"] for row in rows):
            controls.caption("List prices marked assumed stand in for a model nobody bills.")


def today() -> None:
    """How the day's allowance stands; nothing where none is set."""
    try:
        allowed, free = _allowance(queries.state())
    except BudgetscopeError:
        return
    parts = [
        part
        for part in (
            _part("calls", allowed.calls, free.calls),
            _part("tokens", allowed.tokens, free.tokens),
            _dollars(allowed.pusd, free.pusd),
        )
        if part
    ]
    if parts:
        controls.caption(f"Free today (UTC) for all runs together: {', '.join(parts)}.")


@st.cache_data(max_entries=8, show_spinner=False, ttl=60)
def _allowance(db: queries.Database) -> tuple[Limits, Limits]:
    """What today (UTC) allows to all runs together, and what of it is free."""
    from engine.core.allowance import day_of
    from engine.runs import run_dir
    from engine.store.store import Store

    book = Store(db.path).read_book()
    return book.allowance, book.free(day_of(run_dir.now()))


def _part(noun: str, allowed: int | None, free: int | None) -> str:
    return "" if allowed is None or free is None else f"{fmt.count(free)} of {fmt.count(allowed)} {noun}"


def _dollars(allowed: int | None, free: int | None) -> str:
    return "" if allowed is None or free is None else f"{_money(free)} of {_money(allowed)}"


def _table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame([_line(row) for row in rows])


def _line(row: Mapping[str, Any]) -> dict[str, str]:
    counts = {name: fmt.count(row[name.lower()]) for name in ("Calls", "Attempts", "Retries", "Tokens")}
    money = {name: _money(row[column]) for name, column in MONEY.items()}
    if row["assumed"] and row["list_pusd"] is not None:
        money["List"] += " assumed"
    return {"Model": controls.short(row["name"] or row["model"]), "Role": row["role"] or "not read", **counts, **money}


def _money(pusd: int | None) -> str:
    return fmt.money(None if pusd is None else pusd / PUSD_PER_USD)
