"""Which setting costs least where a wrong answer, a missing one and a second cost money.

A question's expected loss is its price and what comes of the answer, in one unit (Zellinger & Thomson 2025,
arXiv 2507.03834), so that one setting is cheapest however many lie on the frontier. Works on a board; reads no
database.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from engine.analysis.advice.board import LOSSES, Board, cell_of, maybe_best
from engine.analysis.pairs.compare import Cell
from engine.analysis.stats import Bootstrap, Estimate, percentiles
from engine.core import text
from engine.core.errors import UsageError

SCHEMA = {
    **dict.fromkeys(("condition_id", "axis"), pl.String),
    "budget": pl.Int64,
    **dict.fromkeys(("price", "wrong", "none", "seconds", "loss", "loss_low", "loss_high", "chance"), pl.Float64),
    "maybe_cheapest": pl.Boolean,
}
"""Columns of `Loss.table`."""


@dataclass(frozen=True, slots=True)
class Loss:
    """The setting that costs least in all, how sure that is, and how it is said."""

    sentence: str
    """The answer in plain English, with what was left out."""
    n: int
    """Questions it stands on."""
    cell: Cell | None
    """The cheapest in all; None: no setting's price (or time, where seconds cost) is known."""
    loss: Estimate | None
    """Its expected loss in US dollars a question, with the 95% interval; None without a cell."""
    chance: float | None
    """Share of joint bootstrap replicates in which none is cheaper; None without a cell."""
    decided: bool
    """Whether it is cheaper than all others beyond luck (max-t, 95%)."""
    left_out: int
    """Points whose price or time is not known, which is not the same as nothing."""
    table: pl.DataFrame = field(compare=False, repr=False)
    """One row per point, the cheapest first: condition_id, axis, budget; price (US dollars a question), wrong and none
    (shares of answers that are wrong, and that are missing), seconds a question, null where not known; loss (US dollars
    a question) with its 95% interval, chance of being the cheapest, maybe_cheapest (none is cheaper beyond luck), null
    for points left out."""


def cost_of(
    board: Board, wrong_usd: float, missing_usd: float | None = None, second_usd: float = 0.0, seed: int = 0
) -> Loss:
    """Expected loss a question: price + wrong share x `wrong_usd` + no-answer share x `missing_usd` + seconds x
    `second_usd`, in US dollars.

    `missing_usd` None: as much as a wrong one. Of equal losses the setting that spends less on `board.x` is named.
    Raises UsageError for a cost below 0.
    """
    missing = wrong_usd if missing_usd is None else missing_usd
    for value, what in ((wrong_usd, "wrong answer"), (missing, "missing answer"), (second_usd, "second")):
        if not (math.isfinite(value) and value >= 0):
            raise UsageError(f"What a {what} costs is a number of dollars from 0 on, not {value:g}.")
    n, sums = board.sums.n, board.sums.of
    wrong, none, usd, waited = (sums[name] / (1000 if name == "latency_ms" else 1) for name in LOSSES)
    # Seconds that cost nothing need not be known.
    whole = usd + wrong_usd * wrong + missing * none + (second_usd * waited if second_usd else 0.0)
    losses = whole.sum(axis=1) / n.sum(axis=1)
    known = np.flatnonzero(np.isfinite(losses))
    means = [(each.sum(axis=1) / n.sum(axis=1)).tolist() for each in (usd, wrong, none, waited)]
    points = [*zip(board.frame.select("condition_id", "axis", "budget").iter_rows(), *means, strict=True)]
    left_out = board.frame.height - len(known)
    costs = [(wrong_usd, "a wrong answer"), (missing, "a missing one"), (second_usd, "a second")]
    stakes = f"At {text.joined(f'{text.money(usd)} {what}' for usd, what in costs if usd) or 'no cost of mistakes'}"
    unknown = "price" + (" or time" if second_usd else "")
    lacking = f" {text.plural(left_out, 'point')} left out: {unknown} unknown." if left_out else ""
    if not len(known):
        rows = [(*key, *map(_number, values), None, None, None, None, None) for key, *values in points]
        sentence = f"{stakes} no setting can be called cheapest: no point's {unknown} is known here."
        return Loss(sentence, board.n, None, None, None, False, left_out, pl.DataFrame(rows, SCHEMA, orient="row"))

    resampled = Bootstrap(board.clusters, len(board.drawn.x), seed).sums(np.vstack([n[known], whole[known]]).T)
    asked, lost = np.split(resampled, 2, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = np.where(asked > 0, lost / asked, np.inf)
    values = losses[known]
    best = int(np.argmin(np.round(values, 15)))
    least = drawn <= drawn.min(axis=1, keepdims=True) * (1 + 1e-12)
    chances = least.mean(axis=0)
    # In parts of the smallest, as tests of shares take what is under a billionth for no difference.
    scale = float(min(values[values > 0], default=1.0))
    stay = maybe_best(-values / scale, -drawn / scale, best, board.clusters)
    ends = [Estimate.of(float(values[at]), percentiles(drawn[:, at], board.clusters)) for at in range(len(known))]
    by_cell = dict(zip(known.tolist(), range(len(known)), strict=True))
    rows = []
    for cell, (key, *parts) in enumerate(points):
        at = by_cell.get(cell)
        told: tuple[float | None, ...] = (None,) * 5
        if at is not None:
            told = (ends[at].mean, ends[at].low, ends[at].high, float(chances[at]), stay[at])
        rows.append((*key, *map(_number, parts), *told))
    table = pl.DataFrame(rows, SCHEMA, orient="row").sort("loss", nulls_last=True, maintain_order=True)
    row, loss = board.row(int(known[best])), ends[best]
    # One that costs the same in every draw is the same point at another budget.
    others = [at for at, kept in enumerate(stay) if kept and not np.allclose(drawn[:, at], drawn[:, best], 1e-12, 0)]
    rivals = sorted(others, key=lambda at: values[at])
    called = [f"{each['name']} {text.up_to(each['budget'], each['axis'])}" for each in map(board.row, known.tolist())]
    many = f"{text.money(1000 * float(values[best]))} per 1,000 questions"
    interval = text.interval(loss.low, loss.high, lambda usd: text.money(None if usd is None else 1000 * usd))
    price = text.money(1000 * means[0][int(known[best])])
    part = f", {price} of it the price of the model" if any(usd for usd, _ in costs) else ""
    sentence = f"{stakes} {called[best]} costs least in all: {many} {interval}{part}."
    if len(known) > 1:
        doubt = f"; {called[rivals[0]]} may cost no more" if rivals else ""
        sentence += f" It is the cheapest in {text.share(float(chances[best]))} of resamples{doubt}."
    return Loss(
        *(sentence + lacking, board.n, cell_of(row), loss, float(chances[best])),
        *(not rivals, left_out, table),
    )


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
