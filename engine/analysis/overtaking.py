"""From which budget on one setting beats another: two anytime curves, paired question by question.

Owns the walk down the budgets and the sentence it ends in. Reads no database: it is handed a way to read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import polars as pl

from engine.analysis import compare, pairs, words
from engine.analysis.answers import Advice
from engine.analysis.compare import Estimate, Sample
from engine.analysis.pairs import Difference
from engine.errors import UsageError

Units = tuple[pl.DataFrame, pl.DataFrame]
Read = Callable[[Sequence[int]], Mapping[int, Units]]
"""Per-question sums of the two conditions at some budgets."""
COARSE = 40
"""Budgets at which two curves are compared before the place where they part is looked at closely."""


def beats(names: tuple[str, str], axis: str, budgets: Sequence[int], read: Read, sample: Sample) -> Advice:
    """From which budget on the first condition is more accurate than the second, at that and every larger one.

    Budgets are tried from the largest down until the 95 % interval of the paired difference touches 0: a fixed
    sequence, so that no correction is due; first a few of them, then those between the last two. Evidence: budget, n,
    difference, low, high, p_value. Raises UsageError where the two have no budget or no question in common.
    """
    asked = sorted(set(budgets))
    if not asked:
        raise UsageError(f"{names[0]} and {names[1]} have no budget in common on {axis}.")
    tried: dict[int, Difference] = {}
    first, below = _down(_some(asked), tried, read, sample)
    if first is not None and below is not None:
        closer, _ = _down(_some([budget for budget in asked if below < budget < first]), tried, read, sample)
        first = first if closer is None else closer
    found = None if first is None else tried[first]
    if found is None:
        return _unbeaten(names, words.budget(axis, asked[-1]), tried[asked[-1]], read, asked[-1], _table(tried))
    last = tried[asked[-1]]
    sentence = (f"{names[0]} beats {names[1]} from {words.budget(axis, first or 0)} on, up to the "
                f"{words.budget(axis, asked[-1])} both were measured at: {_told(found)} there, {_told(last)} at the "
                f"end, on {words.questions(found.n)}.")  # fmt: skip
    return Advice("beats", sentence, True, found.n, None, _estimate(found), None, _table(tried))


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
        tried[budget] = pairs.difference(*units[budget], sample.replicates, sample.seed)
        if (tried[budget].low or 0.0) <= 0:
            return first, budget
        first = budget
    return first, None


def _unbeaten(
    names: tuple[str, str], limit: str, last: Difference, read: Read, budget: int, table: pl.DataFrame
) -> Advice:
    """a is not ahead at the largest budget."""
    if last.mean is None:
        raise UsageError(f"{names[0]} and {names[1]} share no question, so they cannot be compared.")
    said = f"at {limit}, the largest budget both were measured at, the difference is {_told(last)}"
    if (last.high or 0.0) < 0:
        sentence = f"{names[0]} does not beat {names[1]}: {said}, on {words.questions(last.n)}."
        return Advice("beats", sentence, True, last.n, None, _estimate(last), None, table)
    more = compare.more_questions(pairs.paired(*read([budget])[budget]), last) if last.mean > 0 else None
    doubt = f"Not decided by {words.questions(last.n)} whether {names[0]} beats {names[1]}"
    return Advice("beats", f"{doubt}: {said}{words.more(more)}.", False, last.n, None, _estimate(last), more, table)


def _told(found: Difference) -> str:
    ends = f"95 %: {100 * (found.low or 0):+.1f} to {100 * (found.high or 0):+.1f}"
    return f"{words.points(found.mean or 0)} ({ends})"


def _estimate(found: Difference) -> Estimate:
    return Estimate(found.mean, found.low, found.high)


def _table(tried: dict[int, Difference]) -> pl.DataFrame:
    rows = [
        {"budget": budget, "n": found.n, "difference": found.mean, "low": found.low, "high": found.high,
         "p_value": found.p_value} for budget, found in sorted(tried.items())
    ]  # fmt: skip
    kinds = {"budget": pl.Int64, "n": pl.Int64}
    numbers = dict.fromkeys(("difference", "low", "high", "p_value"), pl.Float64)
    return pl.DataFrame(rows, schema={**kinds, **numbers})
