"""What accuracy costs: the next percentage point along the frontier, and each right answer.

Owns both prices with their intervals. Works on a board; reads no database.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from engine.analysis.advice.board import Advice, Board, Row, cell_of, setting
from engine.analysis.frontier import Cloud, places
from engine.analysis.stats import LEVEL, Estimate, Floats, Interval, percentiles, z_of
from engine.core import text

POINT = 0.01


def next_point(board: Board, spend: float | None = None) -> Advice:
    """What one more percentage point costs along the convex hull (mixing two settings), by the step it is on.

    Of the step at `spend`, in the unit of x; None: of the last, dearest one. Each replicate of the joint bootstrap has
    a hull of its own, read in the middle of the step; past its end a point is not to be had, which is infinitely dear.
    Evidence, one row per step: `from_`, `to`, x_from, x_to, accuracy_from, accuracy_to, cost, low, high.
    """
    corners = np.flatnonzero(places(board.point, "hull").on[0])
    corners = corners[np.unique(board.point.x[0, corners], return_index=True)[1]]
    if len(corners) < 2:
        return _no_step(board, int(corners[0]))
    steps = _steps(board, corners)
    chosen = _at(steps, spend)
    if chosen is None:
        return _no_step(board, int(corners[-1]), steps)
    return _told(board, chosen, steps, board.row(int(corners[0])))


def _steps(board: Board, corners: np.ndarray[Any, Any]) -> pl.DataFrame:
    x, accuracy = board.point.x[0, corners], board.point.accuracy[0, corners]
    slopes = _slopes(board.drawn, (x[1:] + x[:-1]) / 2)
    rows = []
    for at in range(len(corners) - 1):
        low, high = percentiles(slopes[:, at], board.clusters)
        first, second = board.row(int(corners[at])), board.row(int(corners[at + 1]))
        cost = POINT * (x[at + 1] - x[at]) / (accuracy[at + 1] - accuracy[at])
        rows.append(
            {
                "from_": setting(first),
                "to": setting(second),
                "x_from": x[at],
                "x_to": x[at + 1],
                "accuracy_from": accuracy[at],
                "accuracy_to": accuracy[at + 1],
                "cost": cost,
                "low": low,
                "high": high,
            }
        )
    return pl.DataFrame(rows)


def _slopes(drawn: Cloud, at: Floats) -> Floats:
    """Replicates x places: what a point costs on each replicate's hull; infinite past its end."""
    on = places(drawn, "hull").on
    found = np.full((len(on), len(at)), math.inf)
    for row, kept in enumerate(on):
        x, first = np.unique(drawn.x[row, kept], return_index=True)
        accuracy = drawn.accuracy[row, kept][first]
        if len(x) > 1:
            costs = np.append(POINT * np.diff(x) / np.diff(accuracy), math.inf)
            found[row] = costs[np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(costs) - 1)]
    return found


def _at(steps: pl.DataFrame, spend: float | None) -> Row | None:
    """The step at a spend: the first one before it, none past the last."""
    if spend is None:
        return steps.row(-1, named=True)
    ahead = steps.filter(pl.col("x_to") > spend)
    return ahead.row(0, named=True) if ahead.height else None


def _told(board: Board, step: Row, steps: pl.DataFrame, cheapest: Row) -> Advice:
    value = Estimate.of(step["cost"], (step["low"], step["high"]))
    decided = value.high is not None and math.isfinite(value.high)
    cost = f"{text.spend(step['cost'], board.x)} a question ({_range(board.x, value)})"
    sentence = (
        f"Between {step['from_']} ({text.percent(step['accuracy_from'])}) and {step['to']} "
        f"({text.percent(step['accuracy_to'])}) the next percentage point costs {cost}, on "
        f"{text.plural(board.n, 'question')}"
    )
    doubt = "." if decided else f"; {text.plural(board.n, 'question')} do not decide whether there is one to be had."
    return Advice("next_point", sentence + doubt, decided, board.n, cell_of(cheapest), value, None, steps)


def _no_step(board: Board, corner: int, steps: pl.DataFrame | None = None) -> Advice:
    row = board.row(corner)
    found = f"{setting(row)} with {text.percent(row['accuracy'])} on {text.plural(row['n_questions'], 'question')}"
    sentence = f"No spend here buys another percentage point: nothing stored is more accurate than {found}."
    table = pl.DataFrame() if steps is None else steps
    return Advice("next_point", sentence, False, board.n, cell_of(row), Estimate(math.inf), None, table)


def per_right(board: Board) -> Advice:
    """Spend per right answer (cost of pass), by setting: mean spend over accuracy, infinite where nothing is right.

    Erol et al. 2025 (arXiv 2504.13359) divide problem by problem and average; with few repeats that is infinite as soon
    as one question is never solved, so here it is all spend over all right answers; `unsolved` is the share of
    questions never solved. Evidence, cheapest first: x, accuracy, cost, low, high, unsolved.
    """
    rows = [_priced(board, cell, row) for cell, row in enumerate(board.frame.iter_rows(named=True))]
    table = pl.DataFrame(rows).sort("cost", "x", "condition_id")
    best = table.row(0, named=True)
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
    sentence = (
        f"A right answer is cheapest with {setting(best)}: {text.spend(best['cost'], board.x)} "
        f"({_range(board.x, value)}), right on {text.percent(best['accuracy'])} of "
        f"{text.plural(best['n_questions'], 'question')}.{none}"
    )
    return Advice("per_right", sentence, True, board.n, cell_of(best), value, None, table)


def _priced(board: Board, cell: int, row: Row) -> Mapping[str, Any]:
    accuracy, x = row["accuracy"], row["x"]
    low, high = _cost_interval(board, cell, row)
    named = {
        name: row[name] for name in ("condition_id", "label", "name", "axis", "budget", "x", "accuracy", "n_questions")
    }
    return {
        **named,
        "cost": x / accuracy if accuracy else math.inf,
        "low": low,
        "high": high,
        "unsolved": float((board.sums.of["unsolved"][cell]).sum() / board.sums.n[cell].sum()),
    }


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
    together = _correlation(board, cell)
    down = _reach(math.log(x / low), math.log(most / accuracy), together)
    up = _reach(math.log(high / x), math.log(accuracy / least), together) if least else math.inf
    return x / accuracy * math.exp(-down), x / accuracy * math.exp(up)


def _reach(spend: float, accuracy: float, together: float) -> float:
    return math.sqrt(max(0.0, spend**2 + accuracy**2 - 2 * together * spend * accuracy))


def _correlation(board: Board, cell: int) -> float:
    x, accuracy = board.drawn.x[:, cell], board.drawn.accuracy[:, cell]
    spread = float(x.std() * accuracy.std())
    return float(((x - x.mean()) * (accuracy - accuracy.mean())).mean()) / spread if spread > 1e-18 else 0.0


def _range(x: str, value: Estimate) -> str:
    if value.low is None or value.high is None:
        return "interval unknown"
    return f"95%: {text.spend(value.low, x)} to {text.spend(value.high, x)}"
