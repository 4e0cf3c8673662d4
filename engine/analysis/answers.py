"""The record every piece of advice is given in."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from engine.analysis.boards import Row
from engine.analysis.compare import Estimate
from engine.analysis.pairs import Cell


@dataclass(frozen=True, slots=True)
class Advice:
    """One answer with what it stands on."""

    asked: str
    """reach, under, beats, next_point, without, price or per_right."""
    sentence: str
    """The answer in plain English, with n; or that n questions do not decide it."""
    decided: bool
    """Whether the data answer with 95 % confidence."""
    n: int
    """Questions it stands on."""
    cell: Cell | None = None
    """The setting it names; None where it names none."""
    value: Estimate | None = None
    """The number it gives: accuracy (reach, under), difference (beats), spend (next_point, per_right), loss of
    accuracy (without, price), as a share or in the unit of the spend. Infinite: never, at any spend."""
    more_questions: int | None = None
    """How many more questions would decide it with 80 % chance, if the truth is what was seen; None: it is decided, or
    there is nothing to go by."""
    evidence: pl.DataFrame = field(default_factory=pl.DataFrame, compare=False, repr=False)
    """What it was read off, one row per setting, budget or step; columns are named by the method that gives it."""


def cell_of(row: Row) -> Cell:
    """The cell a row is about."""
    return Cell(row["condition_id"], row["budget"], row["axis"])
