"""From a question about results to the frames that answer it: which conditions, read where, through which lens.

Owns the order of the queries within one open connection. Opens nothing and computes no statistics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from engine.analysis import ballots, curves, grid, held, lists, queries
from engine.analysis import lens as lenses
from engine.analysis.lens import Lens
from engine.analysis.orders import Draws
from engine.analysis.units import Codebook, held_units, units
from engine.errors import UnknownName

if TYPE_CHECKING:
    from engine.database import Connection


@dataclass(frozen=True, slots=True)
class Known:
    """What a database has: conditions, study texts by run, and distinct questions by (run, task)."""

    conditions: list[grid.Row]
    studies: dict[str, str]
    asked: dict[tuple[str, str], int]

    def named(self, ids: Iterable[str]) -> list[grid.Row]:
        """The conditions of these ids, once each, in this order; raises UnknownName."""
        by_id = {row["condition_id"]: row for row in self.conditions}
        for missing in (name for name in ids if name not in by_id):
            raise UnknownName("condition", missing, list(by_id))
        return [by_id[name] for name in dict.fromkeys(ids)]


class Look:
    """One look at a file: the open connection, and what there is to read, which is read once."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @cached_property
    def known(self) -> Known:
        """Conditions with labels, and what their runs planned."""
        queries.prepare(self.connection)
        conditions = grid.described(lists.listing(self.connection, "conditions"))
        studies = dict(lists.listing(self.connection, "studies").rows())
        asked = lists.listing(self.connection, "run_questions").rows()
        return Known(conditions, studies, {(run, task): n for run, task, n in asked})


@dataclass(frozen=True, slots=True)
class Read:
    """A look at a file, and the lens everything is read through."""

    look: Look
    lens: Lens

    @property
    def connection(self) -> Connection:
        """The open file."""
        return self.look.connection

    def known(self) -> Known:
        """Conditions with labels, and what their runs planned."""
        return self.look.known

    def placed(
        self, known: Known, mine: Sequence[grid.Row], axis: str | None, budgets: Sequence[int] | None
    ) -> pl.DataFrame:
        """Where each of the conditions is read; see `grid.grid`."""

        def derive(open_: pl.DataFrame) -> Mapping[str, list[int]]:
            return _round(queries.ranges(self.connection, open_, self.lens, self._rates(mine)), open_)

        return grid.grid(mine, known.studies, grid.checked_axis(axis), budgets, derive)

    def units(self, mine: Sequence[grid.Row], where: pl.DataFrame) -> pl.DataFrame:
        """One row per (condition, budget, question), columns `units.UNIT_SCHEMA`."""
        kept = held.holdings(self.connection) if self.lens == lenses.STORED else {}
        same = [kept.get(id) == (axis, budgets) for id, axis, _, budgets in where.iter_rows()]
        found = [self._held(where.filter(same))] if any(same) else []
        if not all(same) or not found:
            found.append(self._summed(mine, where.filter([not one for one in same])))
        return found[0] if len(found) == 1 else pl.concat(found).sort("condition_id", "budget", "question_id")

    def _held(self, where: pl.DataFrame) -> pl.DataFrame:
        book = self._book(where)
        return held_units(held.sums(self.connection, book.conditions["condition_no"].to_list()), book)

    def _summed(self, mine: Sequence[grid.Row], where: pl.DataFrame) -> pl.DataFrame:
        """From the steps."""
        changes = queries.changes(self.connection, where, self.lens, self._rates(mine))
        return units(changes, self._book(where))

    def _book(self, where: pl.DataFrame) -> Codebook:
        return Codebook(
            queries.numbers(self.connection).join(where, on="condition_id").sort("condition_id"),
            queries.questions(self.connection).sort("question_id"),
        )

    def steps(self, mine: Sequence[grid.Row], where: pl.DataFrame) -> pl.DataFrame:
        """The sums behind curves, one row per change."""
        went = queries.curves(self.connection, where, self.lens, self._rates(mine))
        return _at_own_wall(went.with_columns(scored="n_trials"), mine)

    def recounted(
        self, steps: pl.DataFrame, mine: Sequence[grid.Row], where: pl.DataFrame, points: Sequence[int] | None,
        orders: int,
    ) -> pl.DataFrame:  # fmt: skip
        """`steps` with those of votes over many orders of their draws; see `Results.curves`.

        At `points`, else where the one order changes, which is at every call on that axis.
        """
        theirs = pl.col("condition_id").is_in(
            [row["condition_id"] for row in mine if row["anytime"] and row["strategy"] in ballots.VOTING]
        )
        voting = where.filter(theirs)
        if voting.is_empty():
            return steps
        draws = self._draws(mine, voting)
        went = curves.changed(steps)
        parts = [
            draws.curve(id, axis, went.filter(condition_id=id)["budget"] if points is None else points, orders)
            for id, axis in voting.select("condition_id", "axis").iter_rows()
        ]
        read = pl.concat(parts).select(steps.columns)
        return pl.concat([steps.filter(~theirs), read]).sort("condition_id", "budget")

    def _draws(self, mine: Sequence[grid.Row], voting: pl.DataFrame) -> Draws:
        rows = queries.walks(self.connection, voting, self.lens, self._rates(mine))
        names = queries.numbers(self.connection).join(voting, on="condition_id")
        ids = voting["condition_id"].to_list()
        drawn, marks = (read(self.connection, ids).to_dicts() for read in (lists.draws, lists.marks))
        told = ballots.ballots(drawn, marks)
        return Draws(rows.join(names.select("condition_no", "condition_id"), on="condition_no", maintain_order="left"),
                     queries.questions(self.connection).sort("question_id"), told)  # fmt: skip

    def _rates(self, mine: Sequence[grid.Row]) -> pl.DataFrame:
        return lenses.table(self.lens, (row["lineup"] for row in mine))


def _at_own_wall(steps: pl.DataFrame, conditions: Sequence[grid.Row]) -> pl.DataFrame:
    """Steps of conditions that are not anytime, all at wall 0, moved to the one budget they ran at."""
    walls = {row["condition_id"]: row["budget"] for row in conditions if not row["anytime"]}
    own = pl.col("condition_id").replace_strict(walls, default=None, return_dtype=pl.Int64)
    last = own.is_null() | (pl.int_range(pl.len()).over("condition_id") == pl.len().over("condition_id") - 1)
    return steps.filter(last).with_columns(budget=pl.coalesce(own, "budget"))


def _round(reach: pl.DataFrame, open_conditions: pl.DataFrame) -> dict[str, list[int]]:
    """The same round budgets for all conditions whose studies declare none on the axis."""
    if reach["first"].drop_nulls().is_empty():
        return {condition: [0] for condition in open_conditions["condition_id"]}
    lowest, highest = int(reach["first"].min()), int(reach["last"].max())  # type: ignore[arg-type]
    return dict.fromkeys(open_conditions["condition_id"], grid.series(lowest, highest - 1))
