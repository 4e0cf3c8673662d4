"""What the frontier loses: when a model disappears, or when its price changes.

Owns the measures of the loss. Works on boards that share their bootstrap draws; reads no database.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from engine.analysis.advice.board import Advice, Board
from engine.analysis.frontier import Cloud
from engine.analysis.stats import Estimate, Flags, Floats, percentiles
from engine.core import text

POINTS = 41
"""Spends, evenly spaced on a log scale, at which two frontiers are compared."""


def without(board: Board, model: str, gone: Flags) -> Advice:
    """What the frontier loses without the settings that use a model; see `lost`."""
    if not gone.any():
        return _nothing(board, "without", f"No setting here uses {model}, so nothing is lost without it.")
    # Infinitely dear instead of left out, so that both frontiers keep the same columns and draws.
    after = Cloud(np.where(gone, np.inf, board.point.x), board.point.accuracy)
    drawn = Cloud(np.where(gone, np.inf, board.drawn.x), board.drawn.accuracy)
    if gone.all():
        return _nothing(board, "without", f"Every setting here uses {model}: without it nothing is left.")
    return lost(board, "without", f"Without {model} the frontier loses", after, drawn)


def priced(board: Board, model: str, factor: float, factors: Floats) -> Advice:
    """What the frontier loses when a model's price is multiplied; `factors` are the settings'. See `lost`."""
    after, drawn = (Cloud(cloud.x * factors, cloud.accuracy) for cloud in (board.point, board.drawn))
    if (factors == 1).all():
        return _nothing(board, "price", f"No setting here pays for {model}, so its price changes nothing.")
    verb = f"With the price of {model} times {factor:g} the frontier {'loses' if factor > 1 else 'gains'}"
    return lost(board, "price", verb, after, drawn)


def lost(board: Board, asked: str, verb: str, after: Cloud, drawn: Cloud) -> Advice:
    """Accuracy lost on average over spends on a log scale, from the cheapest to the dearest setting.

    The frontier's height at a spend is the best accuracy that costs at most that, 0 where nothing does. Intervals are
    those of the joint bootstrap, in which both frontiers see the same questions. Evidence: x, before, after, lost, low,
    high; the last row, x null, is about the hypervolume (reference: dearest spend, accuracy 0) as a share of its box.
    """
    at = spends(board.point)
    before_drawn, after_drawn = heights(board.drawn, at), heights(drawn, at)
    before, left = heights(board.point, at)[0], heights(after, at)[0]
    gone = before_drawn - after_drawn
    rows: list[dict[str, float | None]] = []
    for column, (x, b, a) in enumerate(zip(at.tolist(), before.tolist(), left.tolist(), strict=True)):
        loss = Estimate.of(b - a, percentiles(gone[:, column], board.clusters))
        rows.append({"x": x, "before": b, "after": a, "lost": b - a, "low": loss.low, "high": loss.high})
    value = Estimate.of(float((before - left).mean()), percentiles(gone.mean(axis=1), board.clusters))
    # The largest change, by size: a price that falls gains.
    worst = max(rows, key=lambda row: abs(row["lost"] or 0.0))
    first, last = (text.spend(float(at[place]), board.x) for place in (0, -1))
    moved = (
        f", most at {text.spend(worst['x'], board.x)}: {text.percent(worst['before'])} becomes "
        f"{text.percent(worst['after'])}"
    )
    mean = value.mean or 0.0
    amount = f"{text.points(abs(mean)).removeprefix('+')} of accuracy"
    if value.low is not None and value.high is not None:
        # A gain is told as a positive number, so its interval turns round.
        low, high = sorted(end * (-1 if mean < 0 else 1) for end in (value.low, value.high))
        amount = f"{amount} {text.interval(low, high, text.points)}"
    sentence = (
        f"{verb} {amount} on average over spends of {first} to {last} a question, on "
        f"{text.plural(board.n, 'question')}{moved if abs(worst['lost'] or 0.0) > 1e-9 else ''}."
    )
    # Hypervolumes as shares of the box: the mean height over spends on a linear scale.
    limit = float(at[-1])
    scale = limit or 1.0
    whole, rest = (float(hypervolume(cloud, limit)[0]) / scale for cloud in (board.point, after))
    shares = (hypervolume(board.drawn, limit) - hypervolume(drawn, limit)) / scale
    volume = Estimate.of(whole - rest, percentiles(shares, board.clusters))
    ends = {"lost": volume.mean, "low": volume.low, "high": volume.high}
    rows.append({"x": None, "before": whole, "after": rest, **ends})
    table = pl.DataFrame(rows, schema=dict.fromkeys(("x", "before", "after", "lost", "low", "high"), pl.Float64))
    return Advice(asked, sentence, value.settled, board.n, None, value, None, table)


def spends(point: Cloud) -> Floats:
    """Spends at which frontiers are compared: even steps on a log scale over all settings."""
    x = point.x[0]
    known = x[np.isfinite(x) & (x > 0)]
    if not len(known):
        return np.zeros(1)
    return np.geomspace(known.min(), known.max(), POINTS) if known.max() > known.min() else known[:1]


def heights(cloud: Cloud, at: Floats) -> Floats:
    """Replicates x spends: the best accuracy among cells that spend at most so much, 0 where there is none."""
    order = np.argsort(cloud.x, axis=1, kind="stable")
    x = np.take_along_axis(cloud.x, order, 1)
    best = np.maximum.accumulate(np.nan_to_num(np.take_along_axis(cloud.accuracy, order, 1)), axis=1)
    best = np.concatenate([np.zeros((len(best), 1)), best], axis=1)
    # A spend that is the cell's own must count it, whatever its logarithm lost.
    within = (x[:, :, None] <= at * (1 + 1e-12)).sum(axis=1)
    return np.take_along_axis(best, within, 1)


def hypervolume(cloud: Cloud, limit: float) -> Floats:
    """Per replicate the area under the staircase up to a spend, above accuracy 0."""
    order = np.argsort(cloud.x, axis=1, kind="stable")
    x = np.minimum(np.take_along_axis(cloud.x, order, 1), limit)
    best = np.maximum.accumulate(np.nan_to_num(np.take_along_axis(cloud.accuracy, order, 1)), axis=1)
    ends = np.concatenate([x[:, 1:], np.full((len(x), 1), limit)], axis=1)
    area: Floats = (best * (ends - x)).sum(axis=1)
    return area


def _nothing(board: Board, asked: str, sentence: str) -> Advice:
    return Advice(asked, sentence, True, board.n, None, None)
