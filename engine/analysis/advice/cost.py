"""What accuracy costs: the next percentage point along the frontier, and each right answer.

Owns both prices with their intervals. Works on a board; reads no database.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl

from engine.analysis.advice.board import COLUMNS, Advice, Board, Row, cell_of, maybe_best, setting
from engine.analysis.frontier import Cloud, places
from engine.analysis.stats import LEVEL, Estimate, Floats, Interval, percentiles, z_of
from engine.core import text

POINT = 0.01  # one percentage point, as a share


def next_point(board: Board, spend: float | None = None) -> Advice:
    """What one more percentage point costs along the convex hull (mixing two settings), by the step it is on.

    Of the step at `spend`, in the unit of x; None: of the last, dearest one. Each replicate of the joint bootstrap has
    a hull of its own, read in the middle of the step; past its end a point is not to be had, which is infinitely dear.
    Evidence, one row per step: `from_`, `to`, x_from, x_to, accuracy_from, accuracy_to, cost, low, high.
    """
    corners = np.flatnonzero(places(board.point, "hull").on[0])
    # Cells equal in spend and accuracy are on the hull together; one of them is a corner.
    corners = corners[np.unique(board.point.x[0, corners], return_index=True)[1]]
    if len(corners) < 2:
        return _no_step(board, int(corners[0]))
    x, accuracy = board.point.x[0, corners], board.point.accuracy[0, corners]
    costs = _costs(board.drawn, (x[1:] + x[:-1]) / 2)
    rows: list[dict[str, Any]] = []
    for at in range(len(corners) - 1):
        low, high = percentiles(costs[:, at], board.clusters)
        row = {"from_": setting(board.row(int(corners[at]))), "to": setting(board.row(int(corners[at + 1])))}
        ends = {"x_from": x[at], "x_to": x[at + 1], "accuracy_from": accuracy[at], "accuracy_to": accuracy[at + 1]}
        cost = POINT * (x[at + 1] - x[at]) / (accuracy[at + 1] - accuracy[at])
        rows.append({**row, **ends, "cost": cost, "low": low, "high": high})
    steps = pl.DataFrame(rows)
    # The step at a spend: the first one before it, none past the last.
    ahead = steps.tail(1) if spend is None else steps.filter(pl.col("x_to") > spend)
    if ahead.is_empty():
        return _no_step(board, int(corners[-1]), steps)
    step = ahead.row(0, named=True)
    value = Estimate.of(step["cost"], (step["low"], step["high"]))
    # An infinite end: in more replicates than the tail a point is not to be had at all there.
    decided = value.high is not None and math.isfinite(value.high)
    cost = f"{text.spend(step['cost'], board.x)} a question ({_range(board.x, value)})"
    sentence = (
        f"Between {step['from_']} ({text.accuracy(step['accuracy_from'], board.n)}) and {step['to']} "
        f"({text.accuracy(step['accuracy_to'], board.n)}) the next percentage point costs {cost}, on "
        f"{text.plural(board.n, 'question')}"
    )
    doubt = "." if decided else "; they are too few to tell whether there is one to be had."
    cheapest = cell_of(board.row(int(corners[0])))
    return Advice("next_point", sentence + doubt, decided, board.n, cheapest, value, None, steps)


def _costs(drawn: Cloud, at: Floats) -> Floats:
    """Replicates x places: what a point costs on each replicate's hull; infinite past its end."""
    on = places(drawn, "hull").on
    costs = np.full((len(on), len(at)), math.inf)
    for row, corners in enumerate(on):
        # Cells equal in spend and accuracy are on it together, and make no step.
        x, first = np.unique(drawn.x[row, corners], return_index=True)
        accuracy = drawn.accuracy[row, corners][first]
        if len(x) > 1:
            steps = np.append(POINT * np.diff(x) / np.diff(accuracy), math.inf)
            costs[row] = steps[np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(steps) - 1)]
    return costs


def _no_step(board: Board, corner: int, steps: pl.DataFrame | None = None) -> Advice:
    row = board.row(corner)
    best = f"{setting(row)} with {text.percent(row['accuracy'])} on {text.plural(row['n_questions'], 'question')}"
    sentence = f"No spend here buys another percentage point: nothing stored is more accurate than {best}."
    table = pl.DataFrame() if steps is None else steps
    return Advice("next_point", sentence, False, board.n, cell_of(row), Estimate(math.inf), None, table)


def per_right(board: Board) -> Advice:
    """Spend per right answer (cost of pass), by setting: mean spend over accuracy, infinite where nothing is right.

    Erol et al. 2025 (arXiv 2504.13359) divide problem by problem and average; with few repeats that is infinite as soon
    as one question is never solved, so here it is all spend over all right answers; `unsolved` is the share of
    questions never solved. Which is the cheapest is decided like the best under a budget, by right answers per spend.
    Evidence, cheapest first: x, accuracy, cost, low, high, unsolved, `maybe_best`.
    """
    rows: list[dict[str, Any]] = []
    for cell, row in enumerate(board.frame.iter_rows(named=True)):
        low, high = _cost_interval(board, cell, row)
        cost = row["x"] / row["accuracy"] if row["accuracy"] else math.inf
        unsolved = float(board.sums.of["unsolved"][cell].sum() / board.sums.n[cell].sum())
        numbers = {"cost": cost, "low": low, "high": high, "unsolved": unsolved}
        rows.append({name: row[name] for name in COLUMNS} | numbers)
    table = pl.DataFrame(rows).with_row_index("cell").sort("cost", "x", "condition_id")
    # Right answers per spend, since a cost may be infinite; of no spend at all, by the least there is.
    free = float(board.frame.filter(pl.col("x") > 0)["x"].min() or 1.0) * 1e-9  # type: ignore[arg-type]
    yields, drawn = (cloud.accuracy / np.maximum(cloud.x, free) for cloud in (board.point, board.drawn))
    stay = maybe_best(yields[0], drawn, int(table["cell"][0]), board.clusters)
    table = table.with_columns(maybe_best=pl.Series([stay[cell] for cell in table["cell"]])).drop("cell")
    # A setting that a larger budget did not change is one rival, not two.
    alike = table.filter("maybe_best").unique(["condition_id", "x", "accuracy"], keep="first", maintain_order=True)
    best, rivals = table.row(0, named=True), alike.height - 1
    if math.isinf(best["cost"]):
        sentence = (
            f"Nothing was right on {text.plural(board.n, 'question')}, so a right answer has no price: it is infinite."
        )
        return Advice(
            "per_right", sentence, False, board.n, None, Estimate(math.inf, best["low"], math.inf), None, table
        )
    value = Estimate(best["cost"], best["low"], best["high"])
    hopeless = table.filter(pl.col("cost").is_infinite()).height
    none = f" {hopeless} of {table.height} settings were never right: theirs is infinite." if hopeless else ""
    doubt = ""
    if rivals:
        second = alike.row(1, named=True)
        doubt = (
            f", but {rivals} other{'s' * (rivals > 1)} may be as cheap, first {setting(second)} with "
            f"{text.spend(second['cost'], board.x)}"
        )
    opening = "Not decided: a right answer was seen cheapest" if rivals else "A right answer is cheapest"
    sentence = (
        f"{opening} with {setting(best)}: {text.spend(best['cost'], board.x)} ({_range(board.x, value)}), right on "
        f"{text.percent(best['accuracy'])} of {text.plural(best['n_questions'], 'question')}{doubt}.{none}"
    )
    return Advice("per_right", sentence, not rivals, board.n, cell_of(best), value, None, table)


def _cost_interval(board: Board, cell: int, row: Row) -> Interval:
    """From the intervals of accuracy and spend and how they go together, on a log scale (MOVER, Donner & Zou 2012).

    Infinite above where the accuracy may be 0; where it is 0, the lower end alone is known.
    """
    accuracy, x, (least, most) = row["accuracy"], row["x"], board.interval(cell, z_of(LEVEL))
    low, high = percentiles(board.drawn.x[:, cell], board.clusters)
    if math.isnan(low) or x <= 0 or low <= 0:
        return x / most, x / least if least else math.inf
    if accuracy == 0:
        return low / most, math.inf
    # On the log scale the cost is a difference, log x - log accuracy; MOVER takes each side from the ends of both:
    # sqrt(a^2 + b^2 - 2 r a b), with r the correlation of the two in the bootstrap.
    spends, shares = board.drawn.x[:, cell], board.drawn.accuracy[:, cell]
    spread = float(spends.std() * shares.std())
    together = float(((spends - spends.mean()) * (shares - shares.mean())).mean()) / spread if spread > 1e-18 else 0.0

    def reach(spend: float, share: float) -> float:
        return math.sqrt(max(0.0, spend**2 + share**2 - 2 * together * spend * share))

    down = reach(math.log(x / low), math.log(most / accuracy))
    up = reach(math.log(high / x), math.log(accuracy / least)) if least else math.inf
    return x / accuracy * math.exp(-down), x / accuracy * math.exp(up)


def _range(x: str, value: Estimate) -> str:
    if value.low is None or value.high is None:
        return "interval unknown"
    return f"95%: {text.spend(value.low, x)} to {text.spend(value.high, x)}"
