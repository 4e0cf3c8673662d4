"""The only caller of engine.analysis in the dashboard; cached by the database's fingerprint.

A frame is computed once per (database as it is now, question asked of it); figures are never cached. Nothing here draws.
"""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import streamlit as st

import engine
from engine.records import Axis
from engine.store import default_path, fingerprint

Print = tuple[int, int, int, int]


def path() -> Path:
    """The database this dashboard shows: BUDGETSCOPE_DB, else the local copy, else the demo."""
    return default_path(Path(__file__).resolve().parent.parent)


def read_only() -> bool:
    """Whether nothing may be started or changed from here."""
    return os.environ.get("BUDGETSCOPE_READ_ONLY", "") not in ("", "0")


def state() -> tuple[str, Print]:
    """What caches are keyed by: the path and the file as it is now."""
    return str(path()), fingerprint(path())


@st.cache_data(max_entries=64, show_spinner=False)
def cells(db: str, _print: Print, axis: Axis | None = None) -> pl.DataFrame:
    """One row per condition and budget; see `engine.analysis`."""
    return engine.open(db).cells(axis=axis)
