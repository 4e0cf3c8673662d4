"""What follows from a choice: tokens a told budget really saves, who loses by a saving, and what a month comes to.

The part of `Results` that answers these; it asks the rest of it for cells and lists, and owns no SQL and no statistics.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import polars as pl

from engine.analysis import elasticity, equity, grid, savings, tariffs, told
from engine.analysis.elasticity import Elasticity
from engine.analysis.equity import Equity
from engine.analysis.lens import STORED, Lens
from engine.analysis.pairs import Cell
from engine.analysis.reading import Read
from engine.analysis.savings import Savings, Traffic
from engine.energy import WORLD, EnergyRange


class Consequences(ABC):
    """Base of `Results`."""

    @abstractmethod
    def conditions(self) -> pl.DataFrame:
        """Conditions with label, line-up and simulated."""

    @abstractmethod
    def questions(self) -> pl.DataFrame:
        """Questions with category and data."""

    @abstractmethod
    def _read(self, cells: Sequence[Cell], lens: Lens = STORED) -> Mapping[Cell, tuple[Cell, pl.DataFrame]]: ...

    @abstractmethod
    def _reading(self, lens: Lens) -> AbstractContextManager[Read]: ...

    def elasticity(self, replicates: int = 2000, seed: int = 0, **filters: Any) -> Elasticity:
        """Told against used output tokens by task and model, of conditions that tell a budget; see `Elasticity`.

        Filters: `grid.FILTERS`. Empty frames where nothing was told.
        """
        with self._reading(STORED) as read:
            mine = told.conditions(grid.chosen(read.known().conditions, filters))
            trials = told.trials(read.connection, mine)
        return elasticity.elasticity(trials, replicates, seed)

    def equity(self, a: Cell, b: Cell, by: str = "category", replicates: int = 2000, seed: int = 0) -> Equity:
        """Who pays for moving from `a` to the cheaper `b`: the change in accuracy group by group; see `Equity`.

        `by`: a column of `questions`, or a key of their `data` (dots go down, 'metadata.' is left out). Raises
        UnknownName for a condition or column that is not there, UsageError where the cells share no question.
        """
        groups, read = equity.groups(self.questions(), by), self._read([a, b])
        cells, units = (read[a][0], read[b][0]), (read[a][1], read[b][1])
        simulated = bool(self._players(a, b)["simulated"].any())
        return equity.equity(cells, units, groups, by, (replicates, seed), simulated)

    def savings(
        self,
        a: Cell,
        b: Cell,
        questions_per_day: float,
        zone: str = WORLD,
        energy: Mapping[str, EnergyRange] | None = None,
        lens: Lens = STORED,
        replicates: int = 2000,
        seed: int = 0,
    ) -> Savings:
        """Money, energy and carbon of a month with `a` and with `b`, and the accuracy between them; see `Savings`.

        `energy`: weights by model identity or name; None: those of models whose size is known (`sizes`). Figures in
        `lens` come first. Raises UnknownName for a condition or zone, UsageError where the cells share no question.
        """
        traffic, players = Traffic(questions_per_day, zone), self._players(a, b)
        views = savings.lenses(lens, players["lineup"], energy)
        reads = [self._read([a, b], view) for view in views]
        cells, units = (reads[0][a][0], reads[0][b][0]), [(read[a][1], read[b][1]) for read in reads]
        labels = {"simulated": bool(players["simulated"].any()), "sources": savings.sources(views[0])}
        return savings.savings(cells, units, traffic, (replicates, seed), labels)

    def snapshots(self) -> pl.DataFrame:
        """Prices stored with trials, one row per snapshot and model, a model's newest first.

        Columns: name (what studies call it), model (identity), the rates in pico-dollars per token, source, as_of,
        assumed, snapshot_id, n_trials, first_used and last_used (naive UTC, null: no trial is left).
        """
        with self._reading(STORED) as read:
            return tariffs.snapshots(read.connection)

    def _players(self, *cells: Cell) -> pl.DataFrame:
        return self.conditions().filter(pl.col("condition_id").is_in([cell.condition_id for cell in cells]))
