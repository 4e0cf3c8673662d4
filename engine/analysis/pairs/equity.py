"""Who pays for a saving: how accuracy changes, group by group, when one setting is left for another.

Owns the test of one group against all others and the choice of groups. Works on per-question sums; reads no database
and judges no spend.

The test asks whether a group loses more than the rest, not whether it loses. Two tests must both find it: Welch's t
with Holm's correction (groups may differ in how much their questions vary), and a permutation of the groups' names over
the questions with the largest of all statistics as the yardstick (Westfall & Young 1993; exact for small groups where
most answers change the same way). Each alone is too bold where the other holds: in simulations without a difference the
first warned up to 41 % of the time, the second up to 21 %, both together at most 7 %. Questions of one cluster move
together.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.analysis.pairs import compare
from engine.analysis.pairs.compare import Cell, Difference
from engine.analysis.stats import Floats, Sample, adjusted, beta_cdf
from engine.core.errors import UnknownName, UsageError

ENOUGH = 15
"""Distinct questions a group, and the rest, need before anything is said about them."""
WARN_BELOW = 0.05
"""Of the corrected p-value."""
MANY = 8
"""A numeric column with more values than these is cut at its quartiles."""
SCHEMA: dict[str, Any] = {
    "group": pl.String,
    "n": pl.Int64,
    **dict.fromkeys(("accuracy_a", "accuracy_b", "change", "low", "high", "rest_change", "gap", "p_value"), pl.Float64),
    "enough": pl.Boolean,
    "warning": pl.Boolean,
}


@dataclass(frozen=True, slots=True)
class Equity:
    """The change from cell a to cell b, in all and by group; changes are b minus a, as shares."""

    a: Cell
    b: Cell
    by: str
    whole: Difference
    """Over all questions both have."""
    groups: pl.DataFrame
    """Columns SCHEMA, largest loss first. `low`, `high`: 95 %, each group's own. `gap`: the group's change minus that
    of all other questions. `p_value`: one-sided, that the gap is not below 0, corrected for the number of groups; null
    where there are too few questions (`enough` is false), and then nothing is warned of."""
    simulated: bool = False
    """True: a scripted model answered for a or b."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Groups that lose significantly more than the rest."""
        return tuple(self.groups.filter("warning")["group"])


def equity(
    cells: tuple[Cell, Cell],
    units: tuple[pl.DataFrame, pl.DataFrame],
    groups: pl.DataFrame,
    by: str,
    draws: tuple[int, int] = (2000, 0),
    simulated: bool = False,
) -> Equity:
    """From the per-question sums of a and b and a frame question_id, group; see `Results.equity`.

    `draws`: how many permutations and bootstrap replicates, and their seed. Raises UsageError without shared questions.
    """
    pair = compare.paired(units[1], units[0])
    if not pair.n:
        raise UsageError("The two settings share no scored question, so nobody's change can be told.")
    named = compare.in_groups(pair, groups).fill_null("(none)")
    names = named.unique().sort().to_list()
    # Clusters are what is permuted: their questions move together.
    by_cluster = pair.summed(pair.delta()) / pair.sizes()
    first = np.unique(pair.where, return_index=True)[1]
    member = np.array([[name == own for name in names] for own in named.gather(first)], dtype=np.float64)
    sizes = member.sum(axis=0)
    fits = (sizes >= ENOUGH) & (len(by_cluster) - sizes >= ENOUGH)
    p_values = worst_of_all(by_cluster, member, fits, *draws) if fits.any() else np.ones(len(names))
    delta, rows = pair.delta(), list[dict[str, Any]]()
    for name, enough, p in zip(names, fits.tolist(), p_values.tolist(), strict=True):
        inside = (named == name).to_numpy()
        part = pair.within(inside)
        change = compare.gap(part, Sample(*draws))
        rest = float(delta[~inside].mean()) if not inside.all() else None
        row = {"group": name, "n": change.n, "change": change.mean, "low": change.low, "high": change.high}
        # The pair is the later setting against the earlier, so that a loss is negative.
        before, after = (float(part.frame[name].to_numpy().mean()) for name in ("accuracy_b", "accuracy"))
        row |= {"accuracy_a": before, "accuracy_b": after}
        row |= {"rest_change": rest, "gap": None if rest is None or change.mean is None else change.mean - rest}
        row |= {"enough": enough, "p_value": p if enough else None, "warning": enough and p < WARN_BELOW}
        rows.append(row)
    table = pl.DataFrame(rows, schema=SCHEMA).sort("change", "group")
    return Equity(*cells, by, compare.gap(pair, Sample(*draws)), table, simulated)


def worst_of_all(delta: Floats, member: Floats, fits: NDArray[np.bool_], permutations: int, seed: int) -> Floats:
    """Corrected one-sided p-values that a group (a column of `member`) changes no less than the rest."""
    seen = _statistics(delta[None, :], member)[0]
    rng, least = np.random.default_rng(seed), []
    # 200 at a time, since each draw is a row as long as there are questions.
    for start in range(0, permutations, 200):
        drawn = rng.permuted(np.tile(delta, (min(200, permutations - start), 1)), axis=1)
        least.append(_statistics(drawn, member)[:, fits].min(axis=1))
    worst = np.concatenate(least)
    # The data as they are count as one permutation more, so that no p-value is 0.
    drawn_worse: Floats = (1 + (worst[:, None] <= seen[None, :] + 1e-12).sum(axis=0)) / (1 + permutations)
    # Both tests have to find it; see above.
    return np.where(fits, np.maximum(drawn_worse, _welch(delta, member, fits)), 1.0)


def _welch(delta: Floats, member: Floats, fits: NDArray[np.bool_]) -> Floats:
    """Welch's one-sided p-values, corrected by Holm over the groups that fit."""
    n, inside = len(delta), member.sum(axis=0)
    statistics = _statistics(delta[None, :], member)[0]
    common, sums, own = delta.var(), delta @ member, delta**2 @ member
    ones = _error(sums, own, inside, common)
    others = _error(delta.sum() - sums, (delta**2).sum() - own, n - inside, common)
    tails: list[float] = []
    for at in np.flatnonzero(fits).tolist():
        t, one, other = float(statistics[at]), float(ones[at]), float(others[at])
        # Degrees of freedom by Satterthwaite: (a + b)^2 / (a^2 / (m - 1) + b^2 / (n - m - 1)).
        spread = one**2 / (inside[at] - 1) + other**2 / (n - inside[at] - 1)
        free = float((one + other) ** 2 / spread) if spread > 0 else 1.0
        # Chance of Student's t below t.
        beyond = beta_cdf(free / (free + t * t), free / 2, 0.5) / 2
        tails.append(beyond if t < 0 else 1 - beyond)
    p_values = np.ones(len(inside))
    p_values[fits] = adjusted(tails)
    return p_values


def _statistics(delta: Floats, member: Floats) -> Floats:
    """Gap of each group over its standard error; rows of `delta` are draws. 0 where nothing varies."""
    n, inside = delta.shape[1], member.sum(axis=0)
    total, squares = delta.sum(axis=1, keepdims=True), (delta**2).sum(axis=1, keepdims=True)
    common = squares / n - (total / n) ** 2
    sums, own = delta @ member, delta**2 @ member
    # A group of one, or of all, divides by 0; it does not fit and is not looked at.
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = sums / inside - (total - sums) / (n - inside)
        error = _error(sums, own, inside, common) + _error(total - sums, squares - own, n - inside, common)
        statistics: Floats = np.nan_to_num(np.where(error > 1e-12, gap / np.sqrt(error), 0.0))
    return statistics


@np.errstate(divide="ignore", invalid="ignore")
def _error(sums: Floats, squares: Floats, n: Floats, common: Floats) -> Floats:
    """Squared standard error of a mean, its variance shrunk by one observation of the common variance; none of a group
    of one, or of all but one."""
    # Shrunk, or a small group without a single change would have no error and be infinitely sure.
    error: Floats = np.maximum(0.0, squares - sums**2 / n + common) / n / (n - 1)
    return error


def groups(questions: pl.DataFrame, by: str) -> pl.DataFrame:
    """question_id and group: a column of the questions, or a key of their `data`, one below `metadata` included.

    A dotted key reaches down ('difficulty.level'). Numbers of many values, written as text or not, are cut at their
    quartiles. Raises UnknownName with the keys there are.
    """
    if by in questions.columns and by not in ("data", "question_id"):
        values = questions[by].to_list()
    else:
        data = [_flat(json.loads(text)) for text in questions["data"]]
        if not any(by in each for each in data):
            known = {key for each in data for key in each}
            raise UnknownName("column of the questions", by, {"category", "task", *known})
        values = [each.get(by) for each in data]
    if (read := _numbers(values)) is not None:
        values = read
    # True is a number to Python, and a name here.
    numbers = sorted(value for value in values if isinstance(value, int | float) and not isinstance(value, bool))
    if len(set(numbers)) <= MANY or len(numbers) < sum(value is not None for value in values):
        names = [None if value is None else value if isinstance(value, str) else json.dumps(value) for value in values]
    else:
        cuts = [float(cut) for cut in np.quantile(np.array(numbers, float), (0.25, 0.5, 0.75))]
        quarter = {value: int(np.searchsorted(cuts, float(value))) for value in numbers}
        spans = [[value for value in numbers if quarter[value] == at] for at in range(len(cuts) + 1)]
        # By the numbers that are in it: a cut between them is nobody's.
        ends = [" to ".join(dict.fromkeys(f"{end:g}" for end in (span[0], span[-1]))) if span else "" for span in spans]
        names = [None if value is None else ends[quarter[value]] for value in values]
    return questions.select("question_id", group=pl.Series(names, dtype=pl.String))


def _numbers(values: list[Any]) -> list[Any] | None:
    """Texts that are all numbers of more than `MANY` values, as numbers; None where they are not."""
    if not all(value is None or isinstance(value, str) for value in values):
        return None
    texts = {value for value in values if value is not None}
    if len(texts) <= MANY:
        return None
    try:
        read = {text: float(text.replace(",", "")) for text in texts}
    except ValueError:
        return None
    return [read.get(value) for value in values] if all(map(math.isfinite, read.values())) else None


def _flat(data: Any, above: str = "") -> dict[str, Any]:
    """Keys with dots down to the values; those below `metadata` without it."""
    if not isinstance(data, Mapping):
        return {above.removeprefix("metadata."): data} if above else {}
    return {
        name: value
        for key, below in data.items()
        for name, value in _flat(below, f"{above}.{key}" if above else str(key)).items()
    }
