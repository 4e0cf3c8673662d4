"""Which study's conditions a page shows: several studies together may have their budgets on different axes.

Owns the parameter `study` and what it means. Reads no database: the caller brings the conditions by study.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dashboard import controls
from dashboard.links import Param

if TYPE_CHECKING:
    import polars as pl

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
