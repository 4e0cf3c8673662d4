"""A gate: whether settings keep what was demanded of them, by one-sided bounds; pass, fail, or not known yet.

A demand passes where its 95 % bound lies on the good side, and fails where the bound on the other side lies on the bad
one; what lies between is undecided, with the number of questions that would settle it. Several settings are one gate:
each has to pass by its own bound (which needs no correction, as all have to: Berger 1982), and the bounds that fail
hold together over all of them (Bonferroni), so that what is equal fails in at most 5 % of gates however many there are.
Owns the rule; the statistics are those of `stats` and `compare`, the sums those of `Results.measured`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any, Literal

import polars as pl

from engine.analysis import stats
from engine.analysis.cells import MEANS, scored_means
from engine.analysis.lens import STORED, Lens
from engine.analysis.pairs import compare
from engine.analysis.pairs.compare import Paired
from engine.analysis.results import Results
from engine.analysis.stats import Floats, Interval, Sample, Sums
from engine.core import names, text
from engine.core.errors import UnknownName, UsageError

ERROR = 0.05
"""Chance of a wrong pass of one setting, and of a wrong failure among all settings of a gate, by demand."""
Verdict = Literal["pass", "fail", "undecided"]
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Demands:
    """What a gate asks of each setting; None: not asked."""

    spends: Mapping[str, float]
    """Most mean spend a question by column of `cells.MEANS`, in its unit; usd in US dollars."""
    accuracy: float | None = None
    """Least accuracy, a share."""
    margin: float | None = None
    """How much less accurate than the baseline a setting may be, a share; 0: not at all."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One demand on one setting."""

    demand: str
    """accuracy, no_worse, the column of a spend; or `runs`, of a smoke test."""
    setting: str
    """Its name among those of the gate, with its budget."""
    task: str
    condition_id: str
    verdict: Verdict
    limit: float
    """What was demanded, in the unit of the value: a share, a difference (minus the margin), or a spend."""
    n: int
    """Questions it stands on; 0: none is scored."""
    value: float | None = None
    """As measured; None: unknown."""
    low: float | None = None
    high: float | None = None
    """One-sided bounds: that of 95 % on the side where it passes, and on the other the one that holds together with
    those of all other settings. None: unknown."""
    more_questions: int | None = None
    """Questions still needed to decide it with 80 % chance, if the truth is what was seen; None: it is decided, or no
    number of them would."""
    sees: float | None = None
    """Of a comparison with a baseline, the true loss, a share, that fails with 80% chance on as many questions that
    differ as often; None: unknown, or no such demand."""
    simulated: bool = False
    """Whether a script answered."""
    why: str = ""
    """What keeps it from being judged at all, such as a price that nobody knows; empty: nothing does."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A setting at the budget where a gate reads it."""

    row: Row
    """Its row of `Results.cells`."""
    units: pl.DataFrame
    """Its sums per question."""


def over_all(judged: Iterable[Judged], undecided: Verdict = "undecided") -> Verdict:
    """The verdict of the gate: one failure fails it; `undecided`: what those that are not known count as."""
    verdicts = {undecided if each.verdict == "undecided" else each.verdict for each in judged}
    return next((verdict for verdict in ("fail", "undecided") if verdict in verdicts), "pass")


def placed(results: Results, budget: int | None = None, lens: Lens = STORED, **filters: Any) -> list[Placed]:
    """The settings of a study, each at its largest budget, or at `budget` (in the unit of its axis).

    `lens`: the prices that usd is read at. Filters: `reader.FILTERS`. Raises UsageError where none is there."""
    cells, units = results.measured(None, None if budget is None else [budget], filters, lens, explain=False)
    found: dict[Any, Placed] = {}
    # Ascending: of a setting that ran once a budget the largest is kept.
    for row in cells.sort("budget").iter_rows(named=True):
        if budget is not None and row["budget"] != budget:
            continue
        # Sums of an anytime setting come once a budget.
        own = (pl.col("condition_id") == row["condition_id"]) & (pl.col("budget") == row["budget"])
        # By what it is and not by its id, which holds the budget unless it is anytime.
        found[names.variant(row), row["axis"]] = Placed(row, units.filter(own))
    if not found:
        at = "" if budget is None else f" at a budget of {budget:,}"
        raise UsageError(f"No setting{at} is there to check; `budgetscope report` lists those of the database.")
    return sorted(found.values(), key=lambda each: (each.row["task"], each.row["label"]))


def judge(
    settings: Sequence[Placed],
    demands: Demands,
    baseline: Mapping[str, Placed | str] | None = None,
    sample: Sample | None = None,
) -> list[Judged]:
    """Every demand on every setting, setting by setting.

    `baseline`: by condition_id what a setting is compared with, or why there is nothing. Raises UnknownName for a spend
    that is none."""
    for column in demands.spends:
        if column not in MEANS:
            raise UnknownName("spend", column, MEANS)
    rows = [each.row for each in settings]
    named = names.over(rows)
    judged = []
    for each in settings:
        row = each.row
        called = f"{named(row)}, {text.up_to(row['budget'], row['axis'])}"
        about = {
            "setting": called,
            "task": row["task"],
            "condition_id": row["condition_id"],
            "simulated": row["simulated"],
        }
        mine = [_spend(each, column, limit, len(rows)) for column, limit in demands.spends.items()]
        mine += [] if demands.accuracy is None else [_accuracy(each, demands.accuracy, len(rows))]
        if demands.margin is not None and baseline is not None:
            other = baseline[row["condition_id"]]
            mine.append(_no_worse(each, other, demands.margin, len(rows), sample or Sample()))
        judged += [replace(_if_whole(each, one), **about) for one in mine]
    return judged


def counterparts(
    settings: Sequence[Placed], results: Results, against: str | None = None, study: str | None = None
) -> dict[str, Placed | str]:
    """By condition_id what each setting is compared with in a baseline, at the same budget, or why there is nothing.

    That is `against`, the id of a condition there; else the same condition; else the one of the same strategy and
    parameters (by another model, or in another version); else the only one of its task. Raises UsageError where the
    baseline has none for any setting."""
    known = results.conditions().to_dicts()
    if study is not None:
        asked = {id for ids in results.studies().filter(study=study)["condition_ids"] for id in ids}
        known = [row for row in known if row["condition_id"] in asked]
    found: dict[str, Placed | str] = {}
    for each in settings:
        row = each.row
        there = [other for other in known if other["task"] == row["task"]]
        other = _counterpart(row, there, against)
        if isinstance(other, str):
            found[row["condition_id"]] = other
            continue
        filters = {"condition_id": other["condition_id"], "study": study}
        # On another axis the number means something else; then each is read at its own largest.
        budget = row["budget"] if other["axis"] == row["axis"] else None
        cells, units = results.measured(None, None if budget is None else [budget], filters, explain=False)
        at = cells.row(0, named=True) if cells.height else None
        if at is None or at["n_questions"] == 0:
            found[row["condition_id"]] = "the baseline scored no question of it at this budget"
        elif at["reader"] != row["reader"]:
            found[row["condition_id"]] = "the baseline was read by another version; run its study again"
        else:
            found[row["condition_id"]] = Placed(at, units.filter(pl.col("budget") == at["budget"]))
    if all(isinstance(other, str) for other in found.values()):
        why = next(str(other) for other in found.values())
        raise UsageError(f"{results.path} has nothing to compare with: {why}.")
    return found


def _counterpart(row: Row, there: Sequence[Row], against: str | None) -> Row | str:
    if against is not None:
        named = [other for other in there if other["condition_id"] == against]
        return named[0] if named else f"{against} is no condition of {row['task']} there"

    def same(*keys: str) -> list[Row]:
        alike = [other for other in there if all(other[key] == row[key] for key in keys)]
        # One condition a budget: that of the same wall, where there is one.
        at_wall = [o for o in alike if o["anytime"] or o["budget"] == row["budget"]]
        return at_wall or alike

    for keys in (
        ("condition_id",),
        ("strategy", "params", "model", "axis"),
        ("strategy", "params", "axis"),
        ("strategy", "params"),
        (),
    ):
        # From the very same setting to anything of the task, and the first that is the only one.
        fitting = same(*keys)
        if len(fitting) == 1:
            return fitting[0]
        if fitting and keys:
            return f"{len(fitting)} settings of the baseline fit; name one with --against"
    return f"it has no setting of {row['strategy']} on {row['task']}; name one with --against"


def _if_whole(each: Placed, judged: Judged) -> Judged:
    """A setting with too few scored questions is not judged: those that are missing may be the hard ones."""
    row = each.row
    # Under 95 % of the list, as everywhere.
    if not row["partial"] and row["stopped_at"] is None:
        return judged
    missing = row["n_planned"] - row["n_questions"]
    why = f"{text.count(row['n_questions'])} of {text.plural(row['n_planned'], 'question')} are scored"
    return replace(judged, verdict="undecided", more_questions=missing, why=why)


def _levels(settings: int) -> tuple[float, float]:
    """Two-sided levels whose ends are the bound that passes one setting, and the bounds that fail any of so many."""
    return 1 - 2 * ERROR, 1 - 2 * ERROR / settings


def _about(demand: str, limit: float, n: int) -> Judged:
    return Judged(demand, "", "", "", "undecided", limit, n)


def _at_least(judged: Judged, value: float, passing: float, failing: float, more: float | None) -> Judged:
    """A demand on something that may not be smaller: `passing` bounds it from below, `failing` from above."""
    verdict: Verdict = "pass" if passing >= judged.limit else "fail" if failing < judged.limit else "undecided"
    needed = None if verdict != "undecided" or more is None else max(1, math.ceil(more))
    return replace(judged, verdict=verdict, value=value, low=passing, high=failing, more_questions=needed)


def _sums(units: pl.DataFrame, column: str) -> tuple[Sums, int, float]:
    """By cluster (`Problem.cluster`); the number of questions; of scored trials. NaN: one is unknown."""
    means = scored_means(units)
    by_cluster = means.group_by("cluster").agg(pl.col(column).sum(), pl.len().cast(pl.Float64).alias("q"))
    # One question without a price makes the mean unknown: leaving it out would pass for cheap.
    if means[column].null_count():
        return Sums(math.nan, means.height, 0, 0, 0, 0), means.height, 0
    values: Floats = by_cluster[column].cast(pl.Float64).to_numpy()
    return Sums.of(values, by_cluster["q"].to_numpy()), means.height, float(means["n"].sum())


def _accuracy(each: Placed, least: float, settings: int) -> Judged:
    sums, n, scored = _sums(each.units, "accuracy")
    judged = _about("accuracy", least, n)
    if not n:
        return replace(judged, why="no question is scored")
    graded = bool((each.units["n_partly"] > 0).any())
    passing, failing = (stats.accuracy_interval(sums, scored, level, graded=graded) for level in _levels(settings))
    mean = sums.mean
    # From the side it lies on: the rule counts what is above the bar, and below it the same holds of the wrong ones.
    good = mean > least
    share, bar = (mean, least) if good else (1 - mean, 1 - least)
    needed = stats.sure_of_share(share, bar, stats.z_of(1 - 2 * ERROR))
    # In questions of this kind: repeats and texts that recur make each worth more or less than one.
    spread = mean * (1 - mean)
    worth = spread / sums.variance if sums.variance > 1e-15 and spread > 1e-12 else sums.clusters
    return _at_least(judged, mean, passing[0], failing[1], None if needed is None else (needed / worth - 1) * n)


def _spend(each: Placed, column: str, most: float, settings: int) -> Judged:
    """A spend that may not be larger: the negative of one that may not be smaller."""
    sums, n, _ = _sums(each.units, column)
    judged = _about(column, most, n)
    if not n or math.isnan(sums.total):
        what = "no question is scored" if not n else f"the {'price' if column == 'usd' else column} is unknown"
        return replace(judged, why=what)
    ends: list[Interval] = [stats.mean_interval(sums, level) for level in _levels(settings)]
    if math.isnan(ends[0][0]):
        return replace(judged, value=sums.mean, why="one question says nothing of how much they vary", more_questions=1)
    gap = abs(sums.mean - most)
    power = stats.z_of(1 - 2 * ERROR) + NormalDist().inv_cdf(stats.POWER)
    more = (sums.variance * power**2 / gap**2 - 1) * n if gap > 1e-12 * max(1.0, most) else None
    # Negated on both sides, so that spends and accuracies share one rule.
    turned = _at_least(replace(judged, limit=-most), -sums.mean, -ends[0][1], -ends[1][0], more)
    return replace(turned, limit=most, value=sums.mean, low=ends[1][0], high=ends[0][1])


def _no_worse(each: Placed, other: Placed | str, margin: float, settings: int, sample: Sample) -> Judged:
    if isinstance(other, str):
        return replace(_about("no_worse", -margin, 0), why=other)
    return beside(compare.paired(each.units, other.units), margin, settings, sample)


def beside(pair: Paired, margin: float, settings: int, sample: Sample) -> Judged:
    """Whether the first of a pair is at most `margin` (a share) less accurate than the second, as one of so many
    settings of a gate; its setting and task are not named."""
    judged = _about("no_worse", -margin, pair.n)
    if not pair.n:
        return replace(judged, why="it shares no question with the baseline")
    one, joint = _levels(settings)
    passing = compare.gap(pair, replace(sample, level=one))
    # For a single setting the two levels are one, and the resampling is not done twice.
    failing = passing if joint == one else compare.gap(pair, replace(sample, level=joint))
    if passing.mean is None or passing.low is None or failing.high is None or math.isnan(passing.low):
        return replace(
            judged, value=passing.mean, why="one question says nothing of how much they vary", more_questions=1
        )
    delta = pair.delta()
    # In independent questions: texts that recur and repeats are worth less than their number.
    worth = compare.effective(pair, delta)
    # Where no question differs the discordance is unknown, not 0: half a question more than was seen.
    discordance = (sum(compare.shares(delta)) * worth + 0.5) / (worth + 1)
    needed = stats.questions_needed(passing.mean + margin, discordance, level=1 - 2 * ERROR)
    more = None if needed is None else (needed / worth - 1) * pair.n
    # The bound that fails lies beyond the margin, so that what is lost has to be seen beside it and not beside 0.
    seen = stats.detectable(worth, discordance, level=joint)
    judged = replace(judged, sees=None if seen is None else margin + seen)
    return _at_least(judged, passing.mean, passing.low, failing.high, more)
