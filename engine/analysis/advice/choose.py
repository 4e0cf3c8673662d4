"""What to choose: the cheapest setting that reaches an accuracy, the best under a budget, and which of two is ahead.

The first two are read off a board; the third walks down the budgets of two anytime curves, paired question by question.
Owns these rules and the sentences they are told in. Reads no database: it is handed a way to read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import polars as pl

from engine.analysis import stats
from engine.analysis.advice.board import COLUMNS, Advice, Board, cell_of, critical, maybe_best, more_needed, setting
from engine.analysis.pairs import compare
from engine.analysis.pairs.compare import Difference
from engine.analysis.stats import LEVEL, Estimate, Sample, z_of
from engine.core import text
from engine.core.errors import UsageError


def reach(board: Board, least: float) -> Advice:
    """The cheapest setting that has at least this accuracy (a share) with 95% confidence.

    The lower bounds of all settings hold together (max-t over the joint bootstrap), so that the cheapest of those that
    pass may be picked: in at most 5% of studies the pick has less. Evidence: x, accuracy, `least` and `most` (joint
    one-sided bounds), `reaches`. Raises UsageError for a share outside of (0, 1).
    """
    if not 0 < least < 1:
        raise UsageError(f"An accuracy to reach is a share between 0 and 1, not {least:g}.")
    z = critical(board)
    bounds = [board.interval(cell, z) for cell in range(board.frame.height)]
    table = board.frame.select(COLUMNS).with_columns(
        least=pl.Series([low for low, _ in bounds]), most=pl.Series([high for _, high in bounds])
    )
    table = table.with_columns(reaches=pl.col("least") >= least)
    wanted, joint = text.percent(least), ""
    if table.height > 1:
        joint = f", a bound that holds for all {text.count(table.height)} settings together"
    passing = table.filter("reaches")
    if not passing.is_empty():
        # The board is sorted by spend, so the first is the cheapest.
        row = passing.row(0, named=True)
        sentence = (
            f"The cheapest setting that reaches {wanted} with 95% confidence is {setting(row)}: "
            f"{text.percent(row['accuracy'])} (at least {text.percent(row['least'])}{joint}) on "
            f"{text.plural(row['n_questions'], 'question')}, for {text.spend(row['x'], board.x)} a question."
        )
        value = Estimate(row["accuracy"], row["least"], row["most"])
        return Advice("reach", sentence, True, row["n_questions"], cell_of(row), value, None, table)

    # Nothing passes: because nothing does, or because the questions are too few to tell.
    best = table.sort("accuracy", "x", descending=[True, False]).row(0, named=True)
    value = Estimate(best["accuracy"], best["least"], best["most"])
    if float(table["most"].max() or 0) < least:  # type: ignore[arg-type]
        sentence = (
            f"No setting reaches {wanted}: the best, {setting(best)}, has "
            f"{text.percent(best['accuracy'])} on {text.plural(best['n_questions'], 'question')}, and at most "
            f"{text.percent(best['most'])} with 95% confidence{joint}."
        )
        return Advice("reach", sentence, True, best["n_questions"], None, value, None, table)
    # Of the setting that needs fewest.
    needs: list[int] = []
    for cell, row in enumerate(table.iter_rows(named=True)):
        answers = stats.sure_of_share(row["accuracy"], least, z)
        if answers is not None:
            # Design effect: how many questions are worth one independent right-or-wrong answer; under 1 with repeats.
            sums = board.cell_sums(cell)
            plain = sums.mean * (1 - sums.mean) / sums.n
            design = sums.variance / plain if min(sums.variance, plain) > 1e-15 else 1.0
            needs.append(max(1, math.ceil(answers * design - row["n_questions"])))
    more = min(needs, default=None)
    sentence = (
        f"Not decided by {text.plural(board.n, 'question')}: the best setting, {setting(best)}, has "
        f"{text.percent(best['accuracy'])}, and may have {text.percent(best['least'])} to "
        f"{text.percent(best['most'])}{joint.replace('a bound that holds', 'bounds that hold')}{more_needed(more)}."
    )
    return Advice("reach", sentence, False, board.n, None, value, more, table)


def under(board: Board, budget: int) -> Advice:
    """The most accurate setting of the board, which was read at this budget.

    Settings that may as well be the best stay in the run: one is out when another beats it beyond what the best of so
    many would by luck (max-t); a lone best is wrongly named in at most 5% of studies. Of equal accuracy the cheaper is
    named. Evidence: x, accuracy, `behind` (share behind the best), `maybe_best`.
    """
    accuracy = board.point.accuracy[0]
    best = int(np.lexsort((board.frame["x"].to_numpy(), -accuracy))[0])
    stay = maybe_best(accuracy, board.drawn.accuracy, best, board.clusters)
    table = board.frame.select(COLUMNS).with_columns(
        behind=pl.Series(accuracy[best] - accuracy), maybe_best=pl.Series(stay)
    )
    row = table.row(best, named=True)
    rivals = [cell for cell, kept in enumerate(stay) if kept and cell != best]
    limit = text.budget(budget, row["axis"])
    named = (
        f"{setting(row)}: {text.percent(row['accuracy'])} on {text.plural(row['n_questions'], 'question')}, for "
        f"{text.spend(row['x'], board.x)} a question"
    )
    value = Estimate(row["accuracy"], *board.interval(best, z_of(LEVEL)))
    if not rivals:
        sentence = f"Under {limit} a question the best setting is {named}."
        return Advice("under", sentence, True, board.n, cell_of(row), value, None, table)
    # Questions that would tell the best from the next; of rivals that are equal the cheapest.
    rival = max(rivals, key=lambda cell: (accuracy[cell], -cell))
    gap = float(accuracy[best] - accuracy[rival])
    variance = float((board.drawn.accuracy[:, best] - board.drawn.accuracy[:, rival]).var())
    # The discordance of single answers that would vary as this bootstrap does: n Var + gap^2.
    needed = stats.questions_needed(gap, variance * board.n + gap**2)
    more = None if needed is None else max(1, math.ceil(needed) - board.n)
    next_best = board.row(rival)
    sentence = (
        f"Not decided by {text.plural(board.n, 'question')}: under {limit} a question the best seen is {named}, but "
        f"{len(rivals)} other{'s' * (len(rivals) > 1)} may be as good, first {setting(next_best)} with "
        f"{text.percent(next_best['accuracy'])}{more_needed(more)}."
    )
    return Advice("under", sentence, False, board.n, cell_of(row), value, more, table)


Units = tuple[pl.DataFrame, pl.DataFrame]
Read = Callable[[Sequence[int]], Mapping[int, Units]]
"""Per-question sums of the two conditions at some budgets."""
COARSE = 40
"""Budgets at which two curves are compared before the place where they part is looked at closely."""


def beats(names: tuple[str, str], axis: str, budgets: Sequence[int], read: Read, sample: Sample) -> Advice:
    """From which budget on the first condition is more accurate than the second, at that and every larger one.

    Budgets are tried from the largest down until the 95% interval of the paired difference touches 0: a fixed
    sequence, so that no correction is due; first a few of them, then those between the last two. Evidence: budget, n,
    difference, low, high, p_value. Raises UsageError where the two have no budget or no question in common.
    """
    walls = sorted(set(budgets))
    if not walls:
        raise UsageError(f"{names[0]} and {names[1]} have no budget in common on {axis}.")
    tried: dict[int, Difference] = {}
    first, below = _down(_some(walls), tried, read, sample)
    if first is not None and below is not None:
        closer, _ = _down(_some([budget for budget in walls if below < budget < first]), tried, read, sample)
        first = first if closer is None else closer
    numbers = dict.fromkeys(("difference", "low", "high", "p_value"), pl.Float64)
    rows = [{"budget": budget, **compare.columns(difference)} for budget, difference in sorted(tried.items())]
    table = pl.DataFrame(rows, schema={"budget": pl.Int64, "n": pl.Int64, **numbers})
    largest, end = walls[-1], tried[walls[-1]]
    limit = text.budget(largest, axis)
    if first is not None:
        ahead = tried[first]
        sentence = (
            f"{names[0]} beats {names[1]} from {text.budget(first, axis)} on, up to the "
            f"{limit} both were measured at: {_gap(ahead)} there, {_gap(end)} at the "
            f"end, on {text.plural(ahead.n, 'question')}."
        )
        return Advice("beats", sentence, True, ahead.n, None, ahead.estimate, None, table)

    # Not ahead at the largest budget, so nowhere that could be told.
    if end.mean is None:
        raise UsageError(f"{names[0]} and {names[1]} share no question, so they cannot be compared.")
    seen = f"at {limit}, the largest budget both were measured at, the difference is {_gap(end)}"
    if (end.high or 0.0) < 0:
        sentence = f"{names[0]} does not beat {names[1]}: {seen}, on {text.plural(end.n, 'question')}."
        return Advice("beats", sentence, True, end.n, None, end.estimate, None, table)
    more = compare.more_questions(compare.paired(*read([largest])[largest]), end) if end.mean > 0 else None
    doubt = f"{names[0]} is not measurably better than {names[1]} on {text.plural(end.n, 'question')}"
    return Advice("beats", f"{doubt}: {seen}{more_needed(more)}.", False, end.n, None, end.estimate, more, table)


def _some(budgets: Sequence[int]) -> list[int]:
    """Evenly picked, first and last among them."""
    last = len(budgets) - 1
    return sorted({budgets[round(at * last / (COARSE - 1))] for at in range(COARSE)}) if budgets else []


def _down(
    budgets: Sequence[int], tried: dict[int, Difference], read: Read, sample: Sample
) -> tuple[int | None, int | None]:
    """The last budget at which a is ahead when going down, and the first at which it is not."""
    first, units = None, read(budgets) if budgets else {}
    for budget in reversed(budgets):
        tried[budget] = compare.difference(*units[budget], sample)
        if (tried[budget].low or 0.0) <= 0:
            return first, budget
        first = budget
    return first, None


def _gap(difference: Difference) -> str:
    low, high = difference.low or 0, difference.high or 0
    told = partial(text.points, n=difference.n)
    return f"{told(difference.mean or 0)} {text.interval(low, high, told)}"
