"""What a database says: cells, curves, frontiers and differences as polars frames, and lists down to the transcript.

`Results` opens the file for each question and closes it again. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from engine.analysis import bill, curves, frontier, grid, lists, pairs, queries
from engine.analysis.frontier import frontier_line
from engine.analysis.pairs import Cell, Difference
from engine.errors import UnknownName
from engine.store import Store

__all__ = ["Cell", "Difference", "Results", "frontier_line"]


class Results:
    """Read-only view of one database. Money is US dollars in results, pico-dollars in budgets on the axis 'usd'."""

    def __init__(self, path: Path | str, *, wait_s: float = 30.0) -> None:
        self._store = Store(path, wait_s=wait_s)

    @property
    def path(self) -> Path:
        """The database file."""
        return self._store.path

    def is_demo(self) -> bool:
        """Whether this is the demo that is only read."""
        return self._store.is_demo()

    def cells(self, axis: str | None = None, budgets: Sequence[int] | None = None, **filters: Any) -> pl.DataFrame:
        """One row per (condition, budget), columns `curves.CELL_SCHEMA`.

        Anytime conditions are read at `budgets` (default: those their studies declare) on `axis` (default: their own;
        any other is a re-cut below each trial's horizon); others have the one cell they ran at. Filters, one value or
        several: `grid.FILTERS`.

        accuracy: question means over scored repeats, then over questions; `_low`, `_high` 95 %. Failed and stopped
        trials are counted, never scored; `n_censored` trials ran to a wall and say nothing at this budget;
        `n_exhausted` counts scored trials that the budget ended. usd: mean list price per question at the stored
        snapshot, null when the price of any model is unknown; `usd_assumed` when a price is a stand-in. Spends are null
        when nothing is scored.
        """
        return self.measured(axis, budgets, filters)[0]

    def curve(self, condition_id: str, axis: str | None = None, points: Sequence[int] | None = None) -> pl.DataFrame:
        """Accuracy of a condition by budget, columns `curves.CURVE_SCHEMA`.

        Rows at every budget where accuracy or n changes, or at `points`. `n` questions and `n_trials` scored trials,
        `n_censored` left at their horizon; `spend` is the expected spend at this budget on the axis (US dollars on
        'usd', where a call cut by the budget counts fractions of a token). A condition that is not anytime has one row.
        """
        return self.curves([condition_id], axis, points).drop("condition_id", "axis")

    def curves(self, ids: Sequence[str], axis: str | None = None, points: Sequence[int] | None = None) -> pl.DataFrame:
        """The curves of several conditions in one pass: columns condition_id, axis and those of `curve`.

        Numbers are those of `curve`, bit for bit. In the order of `ids`; `axis` says what budget and spend count, which
        may differ from condition to condition when none is asked for. Raises UnknownName for an id that is not there.
        """
        wanted = list(dict.fromkeys(ids))
        with self._store.reading() as connection:
            known, studies, _ = _known(connection)
            by_id = {row["condition_id"]: row for row in known}
            for missing in (name for name in wanted if name not in by_id):
                raise UnknownName("condition", missing, list(by_id))
            where = grid.grid([by_id[name] for name in wanted], studies, grid.checked_axis(axis), [])
            steps = queries.curves(connection, where)
        return curves.curves(_at_own_wall(steps, [by_id[name] for name in wanted]), where, points)

    def frontier(
        self,
        x: str = "output_tokens",
        task: str | Sequence[str] | None = None,
        kind: frontier.Kind = "staircase",
        replicates: int = 1000,
        seed: int = 0,
        axis: str | None = None,
        budgets: Sequence[int] | None = None,
        **filters: Any,
    ) -> pl.DataFrame:
        """Cells with their place on the frontier of their task: columns of `cells`, and

        x: mean spend per question (a column of `curves.MEANS`), never the budget; on_frontier: the point estimate;
        p_frontier: share of joint bootstrap replicates that put the cell on it; verdict: frontier (p >= 0.95),
        dominated (p <= 0.05), undecided, partial (under 95 % of the questions: neither judged nor compared with), null
        (spend or accuracy unknown). Ties: cells equal in spend and accuracy stand or fall together.
        """
        cells, units = self.measured(axis, budgets, {"task": task, **filters})
        return frontier.frontier(cells, units, x, kind, replicates, seed)

    def band(
        self,
        x: str = "output_tokens",
        task: str | Sequence[str] | None = None,
        replicates: int = 1000,
        seed: int = 0,
        axis: str | None = None,
        budgets: Sequence[int] | None = None,
        **filters: Any,
    ) -> pl.DataFrame:
        """10-90 % band of the bootstrap staircases on a log grid: columns task, x, low, middle, high."""
        cells, units = self.measured(axis, budgets, {"task": task, **filters})
        return frontier.band(cells, units, x, replicates, seed)

    def difference(self, a: Cell, b: Cell, replicates: int = 2000, seed: int = 0) -> Difference:
        """Accuracy of cell `a` minus that of `b` on the questions both have, with interval and exact test."""
        first, second = (self._units_of(cell) for cell in (a, b))
        return pairs.difference(first, second, replicates, seed)

    def bill(self, run_id: str | None = None, by: Sequence[str] = ("run_id", "model", "role")) -> pl.DataFrame:
        """What runs paid, replayed and would pay afresh, one row per combination of `by` (some of `bill.BY`).

        calls: those of the last attempt of each trial, refused ones not counted. attempts, retries: dispatches, and
        those of them that repeat another. tokens, billed_pusd: charged for attempts with a known outcome; 0 for local
        models. replayed_pusd: what replies that were already paid had cost, once per reading. list_pusd: the replies of
        all calls at the price snapshot, cached input as plain, bought one by one; `assumed`: at a stand-in price.
        in_doubt_pusd: charged at the worst case for attempts without outcome. provider_pusd: what providers said they
        billed, null where none did; difference_pusd: that minus ours, where both are known. Money is null when the
        price of any part is unknown. An attempt counts for the call that read its reply first; role and condition_id
        are null where no stored trial did. With `model` comes `name`, what the study calls it.
        """
        with self._store.reading() as connection:
            return bill.bill(connection, run_id, by)

    def runs(self) -> pl.DataFrame:
        """Runs, newest first: columns as `store.RunRow`; times naive UTC, money in pico-dollars."""
        return self._listing("runs")

    def conditions(self) -> pl.DataFrame:
        """Conditions with label, simulated and run_ids; columns else as the table; budget in the unit of axis."""
        with self._store.reading() as connection:
            frame = lists.listing(connection, "conditions")
        rows = grid.described(frame)
        return frame.with_columns(
            label=pl.Series([row["label"] for row in rows], dtype=pl.String),
            simulated=pl.Series([row["simulated"] for row in rows], dtype=pl.Boolean),
        )

    def questions(self) -> pl.DataFrame:
        """Questions with text, target, category and the number of trials asked of each."""
        return self._listing("questions")

    def trial_rows(self, condition_id: str) -> pl.DataFrame:
        """The last attempt of each trial of a condition: question, end, verdict, answer, spend; usd null if unknown."""
        with self._store.reading() as connection:
            return lists.trial_rows(connection, condition_id)

    def transcript(self, trial_id: str) -> pl.DataFrame:
        """The calls of a trial's last attempt in order.

        messages is JSON [[role, content], ...]; reply is the whole stored text (a call cut by the budget was never
        shown to the strategy), null where there was none; answer and verdict are of the mark left right after the call.
        """
        with self._store.reading() as connection:
            return lists.transcript(connection, trial_id)

    def _listing(self, name: str) -> pl.DataFrame:
        with self._store.reading() as connection:
            return lists.listing(connection, name)

    def measured(
        self, axis: str | None, budgets: Sequence[int] | None, filters: Mapping[str, Any]
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Cells and the per-question sums they are made of."""
        with self._store.reading() as connection:
            known, studies, asked = _known(connection)
            mine = grid.chosen(known, filters)
            where = grid.grid(mine, studies, grid.checked_axis(axis), budgets, lambda open_: _round(connection, open_))
            units = queries.questions_at(connection, where)
        return curves.cells(units, mine, grid.planned(mine, studies, asked)), units

    def _units_of(self, cell: Cell) -> pl.DataFrame:
        budgets = None if cell.budget is None else [cell.budget]
        cells, units = self.measured(cell.axis, budgets, {"condition_id": cell.condition_id})
        if cells.is_empty():
            raise UnknownName("condition", cell.condition_id, self.conditions()["condition_id"].to_list())
        return units.filter(pl.col("budget") == pl.col("budget").max())


def _known(connection: Any) -> tuple[list[grid.Row], dict[str, str], dict[tuple[str, str], int]]:
    """Conditions, study texts by run, and distinct questions by (run, task)."""
    conditions = grid.described(lists.listing(connection, "conditions"))
    runs = lists.listing(connection, "runs")
    asked = lists.listing(connection, "run_questions").rows()
    return conditions, dict(zip(runs["run_id"], runs["study"], strict=True)), {(run, task): n for run, task, n in asked}


def _at_own_wall(steps: pl.DataFrame, conditions: Sequence[grid.Row]) -> pl.DataFrame:
    """Steps of conditions that are not anytime, all at wall 0, moved to the one budget they ran at."""
    walls = {row["condition_id"]: row["budget"] for row in conditions if not row["anytime"]}
    own = pl.col("condition_id").replace_strict(walls, default=None, return_dtype=pl.Int64)
    last = own.is_null() | (pl.int_range(pl.len()).over("condition_id") == pl.len().over("condition_id") - 1)
    return steps.filter(last).with_columns(budget=pl.coalesce(own, "budget"))


def _round(connection: Any, open_conditions: pl.DataFrame) -> dict[str, list[int]]:
    """The same round budgets for all conditions whose studies declare none on the axis."""
    reach = queries.ranges(connection, open_conditions)
    if reach["first"].drop_nulls().is_empty():
        return {condition: [0] for condition in open_conditions["condition_id"]}
    lowest, highest = int(reach["first"].min()), int(reach["last"].max())  # type: ignore[arg-type]
    return dict.fromkeys(open_conditions["condition_id"], grid.series(lowest, highest - 1))
