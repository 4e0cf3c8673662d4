"""One number for a setting over all its budgets, each with its interval: area, hypervolume, OckScore.

Owns the three definitions. Works on boards, whose bootstrap draws the same questions for all settings; reads no
database. Numbers like these hide where a setting is good: they stand beside the curve, never instead of it.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from engine.analysis.advice.board import Board
from engine.analysis.advice.what_if import hypervolume
from engine.analysis.frontier import Cloud
from engine.analysis.stats import Estimate, Floats, percentiles
from engine.core import names

MEASURES = ("area", "hypervolume", "ockscore")
"""Columns, each with _low and _high."""
SCHEMA = {
    "condition_id": pl.String,
    "axis": pl.String,
    "budget": pl.Int64,
    "n": pl.Int64,
    "n_budgets": pl.Int64,
    "budget_from": pl.Int64,
    "budget_to": pl.Int64,
    "largest": pl.Boolean,
    **{f"{name}{end}": pl.Float64 for name in MEASURES for end in ("", "_low", "_high")},
}
OCKBENCH_TOKENS = 10_000
"""The tokens at which an OckScore is the accuracy alone."""


def areas(board: Board, tokens: Board) -> pl.DataFrame:
    """Each point of a board with the numbers of its setting, columns `SCHEMA`.

    area: mean accuracy over the logarithm of the budget, by trapezoids between the setting's smallest and largest
    (`budget_from`, `budget_to`); null for a single budget. hypervolume: area under the setting's own staircase of
    accuracy against mean spend x, from spend 0 and accuracy 0 to the dearest setting of the board, as a share of that
    box (Zitzler & Thiele 1999). Both are shares and the same on all points of a setting; they compare where the budgets
    do. ockscore: accuracy in percent minus 10 log10(output tokens / 10,000), of this point (OckBench, arXiv 2511.05722,
    which does not name the base: 10 is our reading); null where no token was written. `tokens`: the same board by
    output tokens. Intervals: 95%, joint bootstrap over questions. `n`: questions; `largest`: the setting's largest
    budget, at which its OckScore is told.
    """
    settings: dict[object, list[int]] = {}
    for cell, row in enumerate(board.frame.iter_rows(named=True)):
        settings.setdefault((names.variant(row), row["axis"]), []).append(cell)
    scores = ockscores(tokens)
    limit = float(np.max(board.point.x[np.isfinite(board.point.x)], initial=0.0))
    rows = []
    for cells in settings.values():
        cells = sorted(cells, key=lambda cell: board.row(cell)["budget"])
        budgets = np.array([board.row(cell)["budget"] for cell in cells], dtype=np.float64)
        own = {"area": _area(board, cells, budgets), "hypervolume": _volume(board, cells, limit)}
        shared = {
            "n_budgets": len(cells),
            "budget_from": int(budgets[0]),
            "budget_to": int(budgets[-1]),
            **{name: value for measure, each in own.items() for name, value in each.columns(measure).items()},
        }
        for cell in cells:
            point = board.row(cell)
            key = point["condition_id"], point["axis"], point["budget"]
            rows.append(
                dict(zip(("condition_id", "axis", "budget"), key, strict=True))
                | {"n": point["n_questions"], "largest": cell == cells[-1]}
                | shared
                | scores.get(key, Estimate(None)).columns("ockscore")
            )
    return pl.DataFrame(rows, schema=SCHEMA)


def ockscores(board: Board) -> dict[tuple[str, str, int], Estimate]:
    """By condition, axis and budget of a board by output tokens; None where no token was written."""
    scores = {}
    for cell, row in enumerate(board.frame.iter_rows(named=True)):
        point, drawn = (_ockscore(cloud.accuracy[:, cell], cloud.x[:, cell]) for cloud in (board.point, board.drawn))
        seen = None if np.isnan(point[0]) else float(point[0])
        ends = percentiles(drawn[~np.isnan(drawn)], board.clusters)
        scores[row["condition_id"], row["axis"], row["budget"]] = Estimate.of(seen, ends)
    return scores


def _ockscore(accuracy: Floats, tokens: Floats) -> Floats:
    spent = np.where(tokens > 0, tokens, np.nan)
    score: Floats = 100 * accuracy - 10 * np.log10(spent / OCKBENCH_TOKENS)
    return score


def log_weights(budgets: Floats) -> Floats:
    """How much each accuracy counts in the trapezoids over the logarithm of sorted budgets; they add up to 1."""
    steps = np.diff(np.log(budgets))
    weights: Floats = (np.append(steps, 0.0) + np.insert(steps, 0, 0.0)) / 2 / steps.sum()
    return weights


def _area(board: Board, cells: list[int], budgets: Floats) -> Estimate:
    """One budget has no area, and an imported setting none that we know of."""
    if budgets[0] <= 0 or budgets[0] == budgets[-1]:
        return Estimate(None)
    weights = log_weights(budgets)
    drawn = board.drawn.accuracy[:, cells] @ weights
    return Estimate.of(float(board.point.accuracy[0, cells] @ weights), percentiles(drawn, board.clusters))


def _volume(board: Board, cells: list[int], limit: float) -> Estimate:
    if limit <= 0:
        return Estimate(None)
    own, drawn = (
        hypervolume(Cloud(cloud.x[:, cells], cloud.accuracy[:, cells]), limit) / limit
        for cloud in (board.point, board.drawn)
    )
    return Estimate.of(float(own[0]), percentiles(drawn, board.clusters))
