"""Told against used output tokens: who obeys, who ignores, and where asking for less buys more.

Told is the parameter `told_tokens`, the run's own budget where that was told instead, or the number TALE-EP's model
stated; the SQL that reads it stands here. Token elasticity is TALE's observation that use rises again below some told
budget (Han et al. 2024, arXiv 2412.18547); that paper has no number for it. The number here is our own definition:
d ln(used) / d ln(told), from a regression in which every question has its own level. 1 obeys, 0 ignores, below 0 is the
rebound. Questions (those of one cluster together) are the unit; all intervals are 95 %.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.analysis import stats
from engine.analysis.stats import Estimate, Floats, Sums
from engine.core.answers import bracketed_integer, estimate_in
from engine.store import frames

if TYPE_CHECKING:
    from engine.analysis.reader import Row
    from engine.store.sql import Connection


ESTIMATE = "estimate"
"""Role of the call in which a model states its own budget."""
SCHEMA: dict[str, Any] = {
    **dict.fromkeys(("task", "model", "strategy", "settings"), pl.String),
    **dict.fromkeys(("simulated", "stated"), pl.Boolean),
    **dict.fromkeys(("question_id", "cluster"), pl.String),
    **dict.fromkeys(("repeat", "told", "used"), pl.Int64),
    "capped": pl.Boolean,
}

# The whole reply counts, also where the trial's budget showed a part of it: what the model would have used.
_CALLS = """
with latest as (
    select trial_id, attempt, condition_id, question_id, repeat from trials
    where list_contains($1::varchar[], condition_id) and "end" in ('finished', 'exhausted')
    qualify row_number() over (partition by trial_id order by attempt desc) = 1),
clusters as (select question_id, min(question_id) over (partition by task, text) as cluster from questions)
select l.condition_id, l.question_id, u.cluster, l.repeat, c.role, c.asked_tokens,
    coalesce(k.output_tokens, c.seen_output_tokens, c.output_tokens) as used, k.finish,
    if(c.role = $2, k.text, null) as said
from latest l join calls c using (trial_id, attempt) left join completions k using (key)
join clusters u using (question_id)
where c.calls > 0 order by l.condition_id, l.question_id, l.repeat, l.trial_id, c.ordinal"""


def conditions(known: Sequence[Row]) -> list[Row]:
    """The conditions that tell a budget in tokens, each with `told` (None: stated by the model itself)."""
    telling: list[Row] = []
    for row in known:
        params = json.loads(row["params"])
        if row["strategy"] == "tale_ep":
            telling.append({**row, "told": None})
        elif params.get("told_tokens") is not None:
            telling.append({**row, "told": params["told_tokens"]})
        elif "told_tokens" in params and row["axis"] == "output_tokens":
            # On any other axis the run's budget is no number of tokens that a model could be told.
            telling.append({**row, "told": row["budget"]})
    return telling


def trials(connection: Connection, told: Sequence[Row]) -> pl.DataFrame:
    """Columns SCHEMA: per trial the told tokens, the whole reply's tokens, and whether its own cap cut it.

    Trials of one question and repeat under several walls read the same reply and are one row. told is null where a
    model was to state its budget and no number can be read: it was told none.
    """
    ids = [row["condition_id"] for row in told]
    calls = frames.read(connection.sql(_CALLS, params=[ids, ESTIMATE]))
    by_id = {row["condition_id"]: row for row in told}
    rows: list[dict[str, Any]] = []
    for (name, *_), part in calls.group_by("condition_id", "question_id", "repeat", maintain_order=True):
        condition, answers = by_id[str(name)], part.filter(pl.col("role") != ESTIMATE).to_dicts()
        if not answers:
            continue
        estimates = part.filter(role=ESTIMATE)["said"].to_list()
        # As the strategy read it: version 1 saw no other form than the one it asked for.
        stated = (estimate_in if condition["version"] > 1 else bracketed_integer)((estimates or [""])[0] or "")
        # What else two conditions must share to be one series: parameters, version and prompting.
        params = {key: value for key, value in json.loads(condition["params"]).items() if key != "told_tokens"}
        params |= {"version": condition["version"], "prompting": condition["prompting"]}
        rows.append(
            {
                **{column: condition[column] for column in ("task", "model", "strategy", "simulated")},
                **{column: answers[0][column] for column in ("question_id", "cluster", "repeat")},
                "settings": json.dumps(params, sort_keys=True),
                "stated": condition["told"] is None,
                "told": (stated if condition["told"] is None else condition["told"]) or None,
                "used": sum(call["used"] for call in answers),
                # By either sign: a provider may report a stop for a reply as long as its cap.
                "capped": any(c["finish"] == "length" or c["used"] >= c["asked_tokens"] for c in answers),
            }
        )
    return pl.DataFrame(rows, schema=SCHEMA).unique(
        ["task", "model", "strategy", "settings", "question_id", "repeat", "told"], maintain_order=True
    )


SERIES = ("task", "model", "strategy", "settings")
"""What a series of told budgets shares."""


def _floats(*names: str) -> dict[str, Any]:
    return dict.fromkeys((f"{name}{end}" for name in names for end in ("", "_low", "_high")), pl.Float64)


POINTS: dict[str, Any] = {
    **dict.fromkeys(SERIES, pl.String),
    "simulated": pl.Boolean,
    "stated": pl.Boolean,
    "told": pl.Float64,
    **dict.fromkeys(("n_questions", "n_trials", "n_untold"), pl.Int64),
    **_floats("used", "obeyed"),
    "capped": pl.Float64,
}
SUMMARY: dict[str, Any] = {
    **dict.fromkeys(SERIES, pl.String),
    "simulated": pl.Boolean,
    "n_questions": pl.Int64,
    **dict.fromkeys(("least_told", "most_told"), pl.Float64),
    **_floats("elasticity", "above_floor", "floor", "rebound"),
    **dict.fromkeys(("p_rebound", "p_adjusted"), pl.Float64),
}


@dataclass(frozen=True, slots=True)
class Elasticity:
    """Two frames about the same trials."""

    points: pl.DataFrame = field(compare=False)
    """Columns POINTS, one row per told budget of a series. used: mean output tokens of the whole reply. obeyed: share
    of trials that used at most what they were told. capped: share whose reply the request's own cap cut, so that used
    is too low. A `stated` row is TALE-EP: told is the mean of what models stated, used counts the answer alone, and
    n_untold trials stated nothing that can be read, were told nothing and count nowhere else."""
    summary: pl.DataFrame = field(compare=False)
    """Columns SUMMARY, one row per series with two told budgets or more, on the questions that have all of them
    (n_questions). elasticity: our slope over all told budgets; above_floor: from the floor upwards. floor: the told
    budget with the least mean use, least_told where use only falls. rebound: mean use at least_told minus that at the
    floor, in tokens, its interval with the floor held where it is, null where the two are one. p_rebound: one-sided,
    that use at least_told is above the minimum, allowing for the minimum's having been looked for. Null: fewer than two
    distinct questions. p_adjusted: that by Holm over the series of the frame."""


@dataclass(frozen=True, slots=True)
class _Grid:
    """Complete questions of one series: used tokens, questions x told budgets."""

    told: Floats
    used: Floats
    where: NDArray[np.intp]
    """Question to its cluster, counted from 0."""
    bootstrap: stats.Bootstrap
    """Resamples of the clusters, whose questions move together."""

    @property
    def clusters(self) -> int:
        """Their number."""
        return self.bootstrap.clusters

    def added(self, values: Floats) -> Floats:
        """Sums by cluster of questions x told budgets."""
        sums = np.zeros((self.clusters, values.shape[1]))
        np.add.at(sums, self.where, values)
        return sums

    def means(self, values: Floats) -> Floats:
        """Of questions x told budgets, a row a replicate, behind that of the data themselves."""
        sums = self.bootstrap.sums(self.added(np.column_stack([values, np.ones(len(values))])))
        return np.vstack([values.mean(axis=0), sums[:, :-1] / sums[:, -1:]])

    def slopes(self) -> Floats:
        """d ln used / d ln told from each told budget upwards: as `means` x starts, NaN for the last."""
        # A reply of no token has no logarithm; it counts as one.
        x, y = np.log(self.told), self.means(np.log(np.maximum(self.used, 1.0)))
        slopes = np.full(y.shape, np.nan)
        for start in range(len(x) - 1):
            # Every question has all told budgets, so its own level falls out of the least squares.
            centred = x[start:] - x[start:].mean()
            slopes[:, start] = y[:, start:] @ centred / (centred @ centred)
        return slopes


def elasticity(trials: pl.DataFrame, replicates: int, seed: int) -> Elasticity:
    """From the trials of `told.trials`; see `Results.elasticity`."""
    levels = trials.with_columns(level=pl.when(~pl.col("stated")).then("told"))
    parts = levels.partition_by(*SERIES, "level", maintain_order=True)
    points = [_point(part) for part in parts if part["told"].is_not_null().any()]
    prompted = trials.filter(~pl.col("stated"))
    series = [_summary(part, replicates, seed) for part in prompted.partition_by(*SERIES, maintain_order=True)]
    return Elasticity(
        pl.DataFrame(points, schema=POINTS).sort(*SERIES, "told"),
        corrected(pl.DataFrame([row for row in series if row], schema=SUMMARY).sort(*SERIES)),
    )


def corrected(summary: pl.DataFrame) -> pl.DataFrame:
    """Some series of a summary, `p_adjusted` counting these alone: who names several looked for a rebound in each."""
    known = summary["p_rebound"].drop_nulls().to_list()
    found = iter(stats.adjusted(known, "holm"))
    adjusted = [None if p is None else next(found) for p in summary["p_rebound"]]
    return summary.with_columns(p_adjusted=pl.Series(adjusted, dtype=pl.Float64))


def _point(whole: pl.DataFrame) -> dict[str, Any]:
    """One told budget: question means over repeats, then over questions."""
    part = whole.filter(pl.col("told").is_not_null())
    means = part.with_columns(obeyed=pl.col("used") <= pl.col("told")).group_by("question_id", maintain_order=True)
    by_question = means.agg(pl.first("cluster"), *(pl.col(name).mean() for name in ("used", "obeyed", "told")))
    sums: dict[str, Sums] = {}
    for name in ("used", "obeyed"):
        size = pl.len().cast(pl.Float64)
        clusters = by_question.group_by("cluster").agg(pl.col(name).sum().alias("s"), size.alias("q"))
        sums[name] = Sums.of(clusters["s"].to_numpy(), clusters["q"].to_numpy())
    used, obeyed = sums["used"], sums["obeyed"]
    return {
        **_head(part),
        "stated": part["stated"][0],
        "told": by_question["told"].mean(),
        "n_questions": by_question.height,
        "n_trials": part.height,
        "n_untold": whole.height - part.height,
        **Estimate.of(used.mean, stats.mean_interval(used)).columns("used"),
        **Estimate.of(obeyed.mean, stats.accuracy_interval(obeyed, part.height)).columns("obeyed"),
        "capped": part["capped"].mean(),
    }


def _head(part: pl.DataFrame) -> dict[str, Any]:
    return {name: part[name][0] for name in (*SERIES, "simulated")}


def _summary(part: pl.DataFrame, replicates: int, seed: int) -> dict[str, Any] | None:
    """None for a series with a single told budget."""
    wide = part.group_by("question_id", "cluster", "told").agg(pl.col("used").mean())
    table = wide.pivot("told", index=("question_id", "cluster"), values="used").drop_nulls().sort("question_id")
    budgets = sorted(part["told"].unique())
    if len(budgets) < 2:
        return None
    head = {**_head(part), "n_questions": table.height, "least_told": budgets[0], "most_told": budgets[-1]}
    if table["cluster"].n_unique() < 2:
        return head
    names = table["cluster"].unique().sort()
    where = names.search_sorted(table["cluster"]).to_numpy().astype(np.intp)
    used = table.select(str(each) for each in budgets).to_numpy().astype(np.float64)
    grid = _Grid(np.array(budgets, np.float64), used, where, stats.Bootstrap(len(names), replicates, seed))
    every = grid.means(grid.used)
    seen, means = every[0], every[1:]
    floor, floors = int(seen.argmin()), means.argmin(axis=1)
    every = grid.slopes()
    slope, slopes = every[0], every[1:]
    # Above the floor: unknown where that is the largest told budget; replicates in which it is are left out.
    above = slopes[np.arange(len(floors)), floors]
    above = above[np.isfinite(above)]
    known = math.isfinite(slope[floor])
    span = stats.percentiles(above, grid.clusters) if known and len(above) else (math.nan, math.nan)
    # The floor held where it is: a floor that moved with the replicate would be the least of each by choice.
    gaps = means[:, 0] - means[:, floor]
    rebound = float(seen[0] - seen[floor]) if floor else None
    return {
        **head,
        **Estimate.of(float(slope[0]), stats.percentiles(slopes[:, 0], grid.clusters)).columns("elasticity"),
        **Estimate.of(float(slope[floor]) if known else None, span).columns("above_floor"),
        **Estimate.of(float(grid.told[floor]), stats.percentiles(grid.told[floors], grid.clusters)).columns("floor"),
        **Estimate.of(rebound, stats.percentiles(gaps, grid.clusters)).columns("rebound"),
        "p_rebound": _p_rebound(grid),
    }


def _p_rebound(grid: _Grid) -> float:
    """One-sided, by the largest studentised gap of the least told budget to any other; signs flipped by question.

    The minimum was looked for among all larger told budgets, so the largest of all their gaps is the yardstick.
    """
    gaps = grid.added(grid.used[:, :1] - grid.used[:, 1:])
    error = np.sqrt((gaps**2).sum(axis=0))
    error[error == 0] = np.inf  # no question differs: no gap, whatever the signs
    signs = np.random.default_rng(grid.bootstrap.seed).choice(
        (-1.0, 1.0), size=(grid.bootstrap.replicates, grid.clusters)
    )
    worst, seen = (signs @ gaps / error).max(axis=1), (gaps.sum(axis=0) / error).max()
    return float((1 + (worst >= seen - 1e-9).sum()) / (1 + len(worst)))
