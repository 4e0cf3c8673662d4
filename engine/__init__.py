"""Budgetscope: which model and strategy buys the most accuracy for a given number of tokens, dollars or calls.

`engine.open(path)` gives the results of a database; everything heavy is imported when it is first needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine import former_names

if TYPE_CHECKING:
    from engine.analysis import Results

former_names.install()


def open(path: Path | str) -> Results:
    """The results stored at `path`, read-only. Raises StoreError on first use if the file cannot be read."""
    from engine.analysis import Results

    return Results(path)
