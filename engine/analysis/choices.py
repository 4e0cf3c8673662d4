"""What to choose: the cheapest setting that reaches an accuracy, and the best one under a budget.

Owns the rules of these two answers and the sentences they are told in. Works on a board; reads no database.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import polars as pl

from engine.analysis import power, words
from engine.analysis.answers import Advice, cell_of
from engine.analysis.boards import Board, Row, critical
from engine.analysis.compare import Estimate
from engine.analysis.stats import LEVEL, z_of
from engine.analysis.verdicts import Floats, outdone
from engine.errors import UsageError


def reach(board: Board, least: float) -> Advice:
    """The cheapest setting that has at least this accuracy (a share) with 95 % confidence.

    The lower bounds of all settings hold together (max-t over the joint bootstrap), so that the cheapest of those that
    pass may be picked: in at most 5 % of studies the pick has less. Evidence: x, accuracy, `least` and `most` (joint
    one-sided bounds), `reaches`. Raises UsageError for a share outside of (0, 1).
    """
    if not 0 < least < 1:
        raise UsageError(f"An accuracy to reach is a share between 0 and 1, not {least:g}.")
    z = critical(board)
    bounds = [board.interval(cell, z) for cell in range(board.frame.height)]
    table = board.frame.select("condition_id", "label", "axis", "budget", "x", "accuracy", "n_questions").with_columns(
        least=pl.Series([low for low, _ in bounds]), most=pl.Series([high for _, high in bounds])
    )
    table = table.with_columns(reaches=pl.col("least") >= least)
    passing = table.filter("reaches")
    if passing.is_empty():
        return _short(board, table, least, z)
    return _reached(board, table, passing.row(0, named=True), least)


def _reached(board: Board, table: pl.DataFrame, row: Row, least: float) -> Advice:
    sentence = (
        f"The cheapest setting that reaches {words.percent(least)} with 95 % confidence is {words.setting(row)}: "
        f"{words.percent(row['accuracy'])} (at least {words.percent(row['least'])}) on "
        f"{words.questions(row['n_questions'])}, for {words.spend(board.x, row['x'])} a question."
    )
    value = Estimate(row["accuracy"], row["least"], row["most"])
    return Advice("reach", sentence, True, row["n_questions"], cell_of(row), value, None, table)


def _short(board: Board, table: pl.DataFrame, least: float, z: float) -> Advice:
    """Nothing passes: because nothing does, or because the questions are too few to tell."""
    best = table.sort("accuracy", "x", descending=[True, False]).row(0, named=True)
    value = Estimate(best["accuracy"], best["least"], best["most"])
    if float(table["most"].max() or 0) < least:  # type: ignore[arg-type]
        sentence = (f"No setting reaches {words.percent(least)}: the best, {words.setting(best)}, has "
                    f"{words.percent(best['accuracy'])} on {words.questions(best['n_questions'])}, and at most "
                    f"{words.percent(best['most'])} with 95 % confidence.")  # fmt: skip
        return Advice("reach", sentence, True, best["n_questions"], None, value, None, table)
    more = _questions_to_reach(board, table, least, z)
    sentence = (f"Not decided by {words.questions(board.n)}: the best setting, {words.setting(best)}, has "
                f"{words.percent(best['accuracy'])}, and may have {words.percent(best['least'])} to "
                f"{words.percent(best['most'])}{words.more(more)}.")  # fmt: skip
    return Advice("reach", sentence, False, board.n, None, value, more, table)


def _questions_to_reach(board: Board, table: pl.DataFrame, least: float, z: float) -> int | None:
    """Of the setting that needs fewest."""
    found = []
    for cell, row in enumerate(table.iter_rows(named=True)):
        needed = power.sure_of_share(row["accuracy"], least, z)
        if needed is not None:
            design = _design(board, cell)
            found.append(max(1, math.ceil(needed * design - row["n_questions"])))
    return min(found, default=None)


def _design(board: Board, cell: int) -> float:
    """How many questions are worth one independent right-or-wrong answer; under 1 with repeats."""
    sums = board.cell_sums(cell)
    plain = sums.mean * (1 - sums.mean) / sums.n
    return sums.variance / plain if min(sums.variance, plain) > 1e-15 else 1.0


BEST = (1 + LEVEL) / 2
"""Where two are equal either may be ahead by luck, so each way takes half of the doubt."""


def under(board: Board, budget: int) -> Advice:
    """The most accurate setting of the board, which was read at this budget.

    Settings that may as well be the best stay in the run: one is out when another beats it beyond what the best of so
    many would by luck (max-t); a lone best is wrongly named in at most 5 % of studies. Of equal accuracy the cheaper is
    named. Evidence: x, accuracy, `behind` (share behind the best), `maybe_best`.
    """
    accuracy = board.point.accuracy[0]
    best = int(np.lexsort((board.frame["x"].to_numpy(), -accuracy))[0])
    stay = [
        cell == best or not outdone(*_leads_over(board, cell), board.clusters, BEST) for cell in range(len(accuracy))
    ]
    table = board.frame.select("condition_id", "label", "axis", "budget", "x", "accuracy", "n_questions").with_columns(
        behind=pl.Series(accuracy[best] - accuracy), maybe_best=pl.Series(stay)
    )
    row = table.row(best, named=True)
    rivals = [cell for cell, kept in enumerate(stay) if kept and cell != best]
    limit = words.budget(row["axis"], budget)
    said = (f"{words.setting(row)}: {words.percent(row['accuracy'])} on {words.questions(row['n_questions'])}, for "
            f"{words.spend(board.x, row['x'])} a question")  # fmt: skip
    value = Estimate(row["accuracy"], *board.interval(best, z_of(LEVEL)))
    if not rivals:
        sentence = f"Under {limit} a question the best setting is {said}."
        return Advice("under", sentence, True, board.n, cell_of(row), value, None, table)
    more, next_best = _questions_between(board, best, rivals)
    sentence = (f"Not decided by {words.questions(board.n)}: under {limit} a question the best seen is {said}, but "
                f"{len(rivals)} other{'s' * (len(rivals) > 1)} may be as good, first {words.setting(next_best)} with "
                f"{words.percent(next_best['accuracy'])}{words.more(more)}.")  # fmt: skip
    return Advice("under", sentence, False, board.n, cell_of(row), value, more, table)


def _leads_over(board: Board, cell: int) -> tuple[Floats, Floats]:
    """Leads of all others over a cell, and how far each replicate's is off."""
    others = np.arange(board.frame.height) != cell
    leads = board.point.accuracy[0, others] - board.point.accuracy[0, cell]
    return leads, (board.drawn.accuracy[:, others] - board.drawn.accuracy[:, [cell]] - leads).T


def _questions_between(board: Board, best: int, rivals: Sequence[int]) -> tuple[int | None, Row]:
    """Questions that would tell the best from the next, and the next."""
    accuracy = board.point.accuracy[0]
    rival = max(rivals, key=lambda cell: (accuracy[cell], -cell))
    gap = float(accuracy[best] - accuracy[rival])
    variance = float((board.drawn.accuracy[:, best] - board.drawn.accuracy[:, rival]).var())
    needed = power.questions_needed(gap, variance * board.n + gap**2)
    return None if needed is None else max(1, math.ceil(needed) - board.n), board.row(rival)
