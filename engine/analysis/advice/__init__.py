"""Whom to ask what to choose: binds the readings of one database to the rules that make answers of them.

Owns which cells an answer looks at. The rules are in `choose`, `cost` and `what_if`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import polars as pl

from engine.analysis import frontier
from engine.analysis.advice import areas, choose, cost, decide, loss, what_if
from engine.analysis.advice import board as boards
from engine.analysis.advice.board import Advice, Board
from engine.analysis.advice.decide import Decision
from engine.analysis.advice.loss import Loss
from engine.analysis.common import on_common
from engine.analysis.lens import STORED, Lens
from engine.analysis.stats import Sample
from engine.core import names, text
from engine.core.errors import UnknownName, UsageError
from engine.core.records import Price

_KEY = ("condition_id", "axis", "budget")
MOST_BUDGETS = 2000
"""Budgets of two curves that are looked at, evenly picked where there are more."""


class Readings(Protocol):
    """What advice reads: `Results`, which makes advisors and so cannot be imported here."""

    def measured(
        self, axis: str | None, budgets: Sequence[int] | None, filters: Mapping[str, Any], lens: Lens
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Cells, and the sums per question they were made of."""

    def curves(self, condition_ids: Sequence[str], *, axis: str, lens: Lens, study: str | None) -> pl.DataFrame:
        """Accuracy at every budget that changes anything, by condition."""


@dataclass(frozen=True)
class Advisor:
    """Advice on one task; every method gives an `Advice`. Made by `Results.advise`.

    Partial cells, and those whose spend or accuracy is unknown, are left out. Raises UsageError where nothing is left.
    """

    results: Readings
    conditions: pl.DataFrame
    """Those of `Results.conditions`, of all tasks."""
    task: str
    x: str
    """The spend that is meant by cheap: a column of `cells.MEANS`."""
    axis: str | None
    """What budgets count; None: each condition's own axis."""
    filters: Mapping[str, Any]
    sample: Sample
    lens: Lens = STORED
    """The prices and energy figures money and watt-hours are reckoned with."""

    def reach(self, accuracy: float) -> Advice:
        """The cheapest setting with at least this accuracy, a share, with 95% confidence: `choose.reach`."""
        return choose.reach(self._board(), accuracy)

    def under(self, budget: int) -> Advice:
        """The most accurate setting within a budget a question (the wall, in the axis' unit): `choose.under`.

        Anytime conditions are read at this budget, others count where they ran at most at it, on the same axis.
        """
        axis = self.axis or self._own_axis()
        cells, units = self.results.measured(axis, [budget], {"task": self.task, **self.filters}, self.lens)
        # A budget of calls is no budget of tokens, whatever the number.
        within = self._choosable(cells).filter((pl.col("axis") == axis) & (pl.col("budget") <= budget))
        return choose.under(boards.board(within, units, self.x, self.sample.replicates, self.sample.seed), budget)

    def beats(self, a: str, b: str) -> Advice:
        """From which budget on condition `a` beats `b`, both ids: `choose.beats`."""
        axis = self.axis or self._own_axis()
        study = self.filters.get("study")
        curves = self.results.curves([a, b], axis=axis, lens=self.lens, study=study)
        # Its one budget is on its own axis, so on this one it has no place.
        if set(curves["axis"].unique()) - {axis}:
            raise UsageError(f"A condition that is not anytime cannot be read by {axis}; leave the axis out.")
        rows = [self.conditions.row(by_predicate=pl.col("condition_id") == name, named=True) for name in (a, b)]
        names_by_id = names.conditions(rows)
        there = {"condition_id": [a, b], "study": study}
        drawn = dict(
            self.results.measured(None, None, there, self.lens)[0].select("condition_id", "n_draws").iter_rows()
        )
        many = {id: f" ({text.draws(n)})" for id, n in drawn.items() if n > 1}
        called = [
            names_by_id[row["condition_id"]]
            + many.get(row["condition_id"], "")
            + ("" if row["anytime"] else f" (at its own {text.budget(row['budget'], row['axis'])})")
            for row in rows
        ]
        # Where both curves change, and the smaller of their own budgets where both have one on the axis.
        own = [row["budget"] for row in rows if row["axis"] == axis and row["anytime"]]
        walls = {*curves["budget"].to_list(), min(own) if len(own) == 2 else 0}
        # While both stand on nearly all of their questions: beyond, the ones left are those that end early.
        full = pl.col("n") >= 0.95 * pl.col("n").max().over("condition_id")
        thin = curves.filter(~full & (pl.col("budget") > curves.filter(full)["budget"].min()))
        end = min(thin["budget"].to_list(), default=math.inf)
        budgets = sorted(budget for budget in walls if 0 < budget < end)
        if len(budgets) > MOST_BUDGETS:
            # Rounded up, so that at most so many are left.
            budgets = budgets[:: -(-len(budgets) // MOST_BUDGETS)]

        def read(budgets: Sequence[int]) -> dict[int, choose.Units]:
            _, units = self.results.measured(axis, budgets, {"condition_id": [a, b], "study": study}, self.lens)
            pairs: dict[int, choose.Units] = {}
            for budget in budgets:
                # One that is not anytime is at its own budget, whatever the other's.
                at = (pl.lit(not row["anytime"]) | (pl.col("budget") == budget) for row in rows)
                one, other = (
                    units.filter((pl.col("condition_id") == name) & here) for name, here in zip((a, b), at, strict=True)
                )
                pairs[budget] = one, other
            return pairs

        return choose.beats((called[0], called[1]), axis, budgets, read, self.sample)

    def decide(
        self, spend_at_most: float | None = None, reach_at_least: float | None = None, margin: float = decide.MARGIN
    ) -> Decision:
        """What to use within these limits: `decide.decide`; where nothing can be judged, what is missing."""
        cells, units = self._measured(self.lens)
        return decided(cells, units, self.x, self.sample, spend_at_most, reach_at_least, margin)

    def cost_of(self, wrong_usd: float, missing_usd: float | None = None, second_usd: float = 0.0) -> Loss:
        """Which setting costs least where mistakes and waiting cost money: `loss.cost_of`."""
        return loss.cost_of(self._board(), wrong_usd, missing_usd, second_usd, self.sample.seed)

    def next_point(self, spend: float | None = None) -> Advice:
        """What the next percentage point costs at a spend: `cost.next_point`."""
        return cost.next_point(self._board(), spend)

    def per_right(self) -> Advice:
        """Spend per right answer: `cost.per_right`."""
        return cost.per_right(self._board())

    def areas(self) -> pl.DataFrame:
        """Area under the curve, hypervolume and OckScore of every point's setting: `areas.areas`."""
        cells, units = self._measured(self.lens)
        return measured_areas(cells, units, self.x, self.sample)

    def without(self, model: str) -> Advice:
        """What the frontier loses if a model, in whatever role, disappears: `what_if.without`."""
        board = self._board()
        using = self._using(model, board)
        return what_if.without(board, model, using)

    def priced(self, model: str, factor: float) -> Advice:
        """What the frontier loses if a model costs `factor` times as much, in dollars: `what_if.priced`."""
        if self.x != "usd" or (self.axis or self._own_axis()) == "usd":
            raise UsageError("A price moves spends in dollars: weigh by usd, with budgets that are not in dollars.")
        if not 0 <= factor < 1e6:
            raise UsageError(f"A price is multiplied by a number from 0 to a million, not by {factor:g}.")
        board = self._board()
        using = self._using(model, board)
        # Which part of each setting's dollars goes to the model: what is saved where it is free.
        free, _ = self._measured(replace(self.lens, prices=(*self.lens.prices, (model, Price(0, 0)))))
        # In the board's own order, for the weights below are a plain array.
        rest = board.frame.join(free.select(*_KEY, free="usd"), on=_KEY, how="left", maintain_order="left")
        x, left = rest["x"].to_numpy(), rest["free"].fill_null(0.0).to_numpy()
        part = np.where(using & (x > 0), 1 - left / np.where(x > 0, x, 1.0), 0.0)
        return what_if.priced(board, model, factor, 1 + (factor - 1) * part)

    @property
    def cells(self) -> pl.DataFrame:
        """The settings advice chooses among, columns of `Results.cells`, on the questions that full ones share."""
        return on_common(*self._measured(self.lens))[0]

    def _measured(self, lens: Lens) -> tuple[pl.DataFrame, pl.DataFrame]:
        cells, units = self.results.measured(self.axis, None, {"task": self.task, **self.filters}, lens)
        return self._choosable(cells), units

    def _choosable(self, cells: pl.DataFrame) -> pl.DataFrame:
        """Without oracles, whose names say so: nobody can choose to be told what is right. Kept if asked for."""
        chosen = {"strategy", "condition_id"} & {name for name, value in self.filters.items() if value is not None}
        return cells if chosen else choosable(cells)

    def _board(self) -> Board:
        cells, units = self._measured(self.lens)
        return boards.board(cells, units, self.x, self.sample.replicates, self.sample.seed)

    def _own_axis(self) -> str:
        """The axis that most conditions of the task have budgets on."""
        # Sorted: of two that are equally frequent always the same.
        return str(self.conditions.filter(pl.col("task") == self.task)["axis"].mode().sort()[0])

    def _using(self, model: str, board: Board) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which settings have the model in their line-up, by the study's name for it or its identity."""
        lineups = {
            row["condition_id"]: {name for _, *names in json.loads(row["lineup"]) for name in names}
            for row in self.conditions.to_dicts()
        }
        known = {name for models in lineups.values() for name in models}
        if model not in known:
            raise UnknownName("model", model, known)
        return np.array([model in lineups[name] for name in board.frame["condition_id"]], dtype=np.bool_)


def choosable(cells: pl.DataFrame) -> pl.DataFrame:
    """Without oracles, whose names say so: nobody can choose to be told what is right."""
    return cells.filter(~pl.col("strategy").str.contains("oracle", literal=True))


def decided(
    cells: pl.DataFrame,
    units: pl.DataFrame,
    x: str,
    sample: Sample,
    spend_at_most: float | None,
    reach_at_least: float | None,
    margin: float,
) -> Decision:
    """`decide.decide` on cells of one task and the sums per question behind them; where nothing can be judged, what is
    missing. Raises UnknownName for a spend nobody knows."""
    frontier.check(x)
    known = ~pl.col("partial") & pl.col(x).is_not_null() & pl.col("accuracy").is_not_null()
    if cells.filter(known).is_empty():
        return decide.unknown(cells, x)
    board = boards.board(cells, units, x, sample.replicates, sample.seed)
    return decide.decide(board, spend_at_most=spend_at_most, reach_at_least=reach_at_least, margin=margin)


def measured_areas(cells: pl.DataFrame, units: pl.DataFrame, x: str, sample: Sample) -> pl.DataFrame:
    """`areas.areas` on cells of one task and the sums per question behind them; no rows where none can be judged."""
    frontier.check(x)
    if frontier.judged(cells.with_columns(x=pl.col(x))).is_empty():
        return pl.DataFrame(schema=areas.SCHEMA)
    by = {name: boards.board(cells, units, name, sample.replicates, sample.seed) for name in {x, "output_tokens"}}
    return areas.areas(by[x], by["output_tokens"])


def task_of(known: Iterable[str], task: str | None) -> str:
    """The task advice is about: the one asked for, or the only one there is."""
    tasks = sorted(set(known))
    if task is None and len(tasks) != 1:
        names = ", ".join(tasks) or "none is stored yet"
        raise UsageError(f"Advice is about one task; name it ({names}).")
    if task is not None and task not in tasks:
        raise UnknownName("task", task, tasks)
    return task or tasks[0]
