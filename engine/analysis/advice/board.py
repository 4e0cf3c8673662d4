"""The settings of one task side by side: mean spend, accuracy, and one joint bootstrap of both; what advice stands on.

Cells that are partial, or whose spend or accuracy is unknown, do not take part. `Advice` is the record that every
answer is given in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np
import polars as pl

from engine.analysis import frontier
from engine.analysis.cells import scored_means
from engine.analysis.common import on_common
from engine.analysis.frontier import Cloud, ClusterSums, tails
from engine.analysis.pairs.compare import Cell
from engine.analysis.stats import LEVEL, Estimate, Flags, Floats, Interval, Sums, accuracy_interval
from engine.core import names, text
from engine.core.errors import UsageError

Row = Mapping[str, Any]
COLUMNS = ("condition_id", "label", "name", "axis", "budget", "x", "accuracy", "n_questions", "n_draws")
"""What every table of evidence about settings begins with."""
LOSSES = ("wrong", "none", "usd", "latency_ms")
"""What a question may cost: shares of answers that are wrong, and that are none, dollars and milliseconds. Not a
number where one is not known."""


@dataclass(frozen=True, slots=True)
class Board:
    """Cells of one task by mean spend; arrays are in the order of `frame`."""

    x: str
    """What spend is meant: a column of `curves.MEANS`."""
    frame: pl.DataFrame
    """Columns of `Results.cells`, `name` (what people call the setting among these) and x, sorted by it."""
    sums: ClusterSums
    """Of accuracy, of `unsolved` (the questions that are never right), and of `LOSSES`."""
    drawn: Cloud
    """Joint bootstrap, replicates x cells."""

    @property
    def clusters(self) -> int:
        """Distinct questions: those that ask the same are one."""
        return int(self.sums.n.shape[1])

    @property
    def n(self) -> int:
        """Questions of the cell that has most."""
        return int(self.frame["n_questions"].max() or 0)  # type: ignore[arg-type]

    @property
    def point(self) -> Cloud:
        """What was measured, as a cloud of one."""
        return frontier.cloud_of(self.frame, list(range(self.frame.height)))

    def row(self, cell: int) -> Row:
        """A cell by its column."""
        return self.frame.row(cell, named=True)

    def only(self, keep: Flags) -> Board:
        """Some of the cells, in the same draws."""
        sums = ClusterSums(self.sums.n[keep], {name: each[keep] for name, each in self.sums.of.items()})
        drawn = Cloud(self.drawn.x[:, keep], self.drawn.accuracy[:, keep])
        return Board(self.x, self.frame.filter(pl.Series(keep)), sums, drawn)

    def cell_sums(self, cell: int) -> Sums:
        """What the interval of a cell's accuracy is made of."""
        return Sums.of(self.sums.of["accuracy"][cell], self.sums.n[cell])

    def interval(self, cell: int, critical: float) -> Interval:
        """Interval of a cell's accuracy at a normal quantile other than 1.96."""
        level = min(2 * NormalDist().cdf(critical) - 1, 1 - 1e-9)
        row = self.row(cell)
        scored = sum(row[name] for name in ("n_right", "n_partly", "n_wrong", "n_none"))
        return accuracy_interval(self.cell_sums(cell), scored, level, graded=row["n_partly"] > 0)


def board(cells: pl.DataFrame, units: pl.DataFrame, x: str, replicates: int, seed: int) -> Board:
    """The cells of one task; raises UsageError where none can be judged."""
    frontier.check(x)
    cells, units = on_common(cells, units)
    sort = cells.with_columns(x=pl.col(x).cast(pl.Float64)).sort("x", "accuracy", "condition_id", nulls_last=True)
    frame = frontier.judged(sort).drop("row")
    if frame.is_empty():
        raise UsageError(
            f"There is nothing to go by: no setting has a known accuracy and {x} on 95% of its study's questions here."
        )
    # Named among those that are judged: what no longer differs is not said.
    name = names.over(frame.to_dicts())
    frame = frame.with_columns(name=pl.Series([name(row) for row in frame.iter_rows(named=True)], dtype=pl.String))
    drawn = frontier.resampled(frame, units, x, replicates, seed)
    if len(drawn) > 1:
        raise UsageError("Advice is about one task at a time.")
    means = scored_means(units, "accuracy", "usd", "latency_ms", "n_wrong", "n_none").with_columns(
        unsolved=(pl.col("accuracy") == 0).cast(pl.Float64),
        wrong=pl.col("n_wrong") / pl.col("n"),
        none=pl.col("n_none") / pl.col("n"),
    )
    return Board(x, frame, frontier.cluster_sums(frame, means, ("accuracy", "unsolved", *LOSSES)), drawn[0].cloud)


def critical(board: Board) -> float:
    """The normal quantile at which the lower bounds of all cells hold together with 95% confidence, and so the upper.

    From the largest studentised deviation in the joint bootstrap, which knows how alike the settings are; half of the
    doubt is set aside, by Bonferroni, for cells that are always right or never, whose deviation it cannot see.
    """
    deviations = board.drawn.accuracy - board.point.accuracy
    spread = deviations.std(axis=0)
    varies = spread > 1e-9
    hidden = int((~varies).sum())
    doubt = (1 - LEVEL) / (2 if hidden and varies.any() else 1)
    quantiles = [NormalDist().inv_cdf(1 - doubt / hidden)] if hidden else []
    if varies.any():
        _, widening = tails(board.clusters)
        scores = deviations[:, varies] / spread[varies] * (widening if math.isfinite(widening) else 1.0)
        # Both ways, as deviations of shares near 0 or 1 are lopsided.
        quantiles += [float(np.quantile(side.max(axis=1), 1 - doubt)) for side in (scores, -scores)]
    return max(quantiles)


BEST = (1 + LEVEL) / 2
"""Where two are equal either may be ahead by luck, so each way takes half of the doubt."""


def maybe_best(values: Floats, drawn: Floats, best: int, clusters: int) -> list[bool]:
    """Which cells may as well have the largest value as the one seen `best`; `drawn`: replicates x cells.

    One is out when another beats it beyond what the best of so many would by luck (max-t); a lone best is wrongly named
    in at most 5% of studies.
    """
    stay: list[bool] = []
    for cell in range(len(values)):
        # Leads of all others over a cell, and how far each replicate's is off.
        others = np.arange(len(values)) != cell
        leads = values[others] - values[cell]
        off = (drawn[:, others] - drawn[:, [cell]] - leads).T
        stay.append(cell == best or not frontier.outdone(leads, off, clusters, BEST))
    return stay


@dataclass(frozen=True, slots=True)
class Advice:
    """One answer with what it stands on."""

    asked: str
    """reach, under, beats, next_point, without, price or per_right."""
    sentence: str
    """The answer in plain English, with n; or that n questions do not decide it."""
    decided: bool
    """Whether the data answer with 95% confidence."""
    n: int
    """Questions it stands on."""
    cell: Cell | None = None
    """The setting it names; None where it names none."""
    value: Estimate | None = None
    """The number it gives: accuracy (reach, under), difference (beats), spend (next_point, per_right), loss of
    accuracy (without, price), as a share or in the unit of the spend. Infinite: never, at any spend."""
    more_questions: int | None = None
    """How many more questions would decide it with 80% chance, if the truth is what was seen; None: it is decided, or
    there is nothing to go by."""
    evidence: pl.DataFrame = field(default_factory=pl.DataFrame, compare=False, repr=False)
    """What it was read off, one row per setting, budget or step; columns are named by the method that gives it."""


def setting(row: Row) -> str:
    """A cell of a board in a sentence: its setting and budget."""
    drawn = text.draws(row.get("n_draws"))
    return f"{row['name']} {text.within(row['budget'], row['axis'])}{f' ({drawn})' if drawn else ''}"


def more_needed(n: int | None) -> str:
    """What would decide it: the end of a sentence; empty for None."""
    return "" if n is None else f"; about {text.count(n)} more would, if the truth is what was seen"


def cell_of(row: Row) -> Cell:
    """The cell a row is about."""
    return Cell(row["condition_id"], row["budget"], row["axis"])
