"""From per-question sums to cells and curves: means, intervals, counts.

Question means come first (over scored repeats), then the mean over questions; clusters of those that ask the
same make the intervals. Reads no database.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from engine.analysis.lens import SCALES
from engine.analysis.stats import Sums, accuracy_interval, mean_interval
from engine.store.deltas import SCORE

_TOKENS = ("input_tokens", "output_tokens", "total_tokens", "reasoning_tokens", "cached_tokens")
MEANS = ("calls", *_TOKENS, "latency_ms", "usd", "wh")
"""Spend columns of a cell: mean per question; `usd` in US dollars at list price, `wh` in watt-hours, the others in
their unit. `latency_ms` is what was measured, under whatever load there was: a call that a budget
cuts counts whole."""
WITH_INTERVAL = ("accuracy", "accuracy_finished", "calls", "output_tokens", "total_tokens", "latency_ms", "usd", "wh")
PARTIAL_BELOW = 0.95
"""A cell with a smaller share of its study's questions is partial and gets no verdict."""
MUCH_CUT = 0.10
"""A cell where a larger share of scored trials was ended by the budget says as much about the wall as the strategy."""

STOPPED = "stopped"
"""What is said of a cell of a setting that an adaptive study dropped, at a budget it did not judge."""

_COUNTS = ("n_right", "n_partly", "n_wrong", "n_none", "n_exhausted", "n_failed", "n_stopped", "n_censored")
_KEY = ("condition_id", "axis", "budget")

CELL_SCHEMA: dict[str, Any] = {
    **dict.fromkeys(("condition_id", "label", "task", "model", "strategy", "params"), pl.String),
    **dict.fromkeys(("anytime", "simulated", "local"), pl.Boolean),
    "reader": pl.Int64,
    "axis": pl.String,
    **dict.fromkeys(("budget", "n_questions", "n_planned", "n_trials", *_COUNTS, "n_shared", "n_draws"), pl.Int64),
    "partial": pl.Boolean,
    "stopped_at": pl.Int64,
    "stopped": pl.String,
    "much_cut": pl.Boolean,
    **{f"{name}{end}": pl.Float64 for name in ("accuracy", "accuracy_finished") for end in ("", "_low", "_high")},
    **{
        f"{name}{end}": pl.Float64
        for name in MEANS
        for end in (("", "_low", "_high") if name in WITH_INTERVAL else ("",))
    },
    "usd_assumed": pl.Boolean,
    **dict.fromkeys(("guess", "chance"), pl.Float64),
    "mechanism": pl.String,
    "idle": pl.Boolean,
}
CURVE_SCHEMA: dict[str, Any] = {
    "budget": pl.Int64,
    **dict.fromkeys(("accuracy", "low", "high"), pl.Float64),
    **dict.fromkeys(("n", "n_trials", "n_censored"), pl.Int64),
    "spend": pl.Float64,
}
CURVES_SCHEMA: dict[str, Any] = {"condition_id": pl.String, "axis": pl.String, **CURVE_SCHEMA}


def side_by_side(frame: pl.DataFrame) -> pl.Expr:
    """Cells that are judged beside each other: neither partial nor stopped early by an adaptive study."""
    full = ~pl.col("partial")
    # A frame that was frozen by an earlier version lacks the column.
    return full & pl.col("stopped_at").is_null() if "stopped_at" in frame.columns else full


def question_means(units: pl.DataFrame) -> pl.LazyFrame:
    """Per (condition, budget, question): `accuracy` and mean spends over scored repeats, null where none is scored.

    `accuracy_finished` is over the repeats that ended by themselves, null where none did. What nobody asks of it is not
    computed: a large study has millions of rows.
    """
    total = pl.col("input_tokens") + pl.col("output_tokens")
    finished = pl.col("n") - pl.col("n_exhausted")
    sums = units.lazy().with_columns(
        total_tokens=total,
        usd=pl.when(pl.col("n_unpriced") == 0).then(pl.col("pusd") / 1e12),
        wh=pl.when(pl.col("n_unmeasured") == 0).then(pl.col("pwh") / 1e12),
        accuracy=pl.col("n_right") + pl.col("partly") / SCORE,
        accuracy_finished=pl.when(finished > 0).then(
            (pl.col("n_right_finished") + pl.col("partly_finished") / SCORE) / finished
        ),
        n_finished=finished,
        n_none=pl.col("n") - pl.col("n_right") - pl.col("n_partly") - pl.col("n_wrong"),
    )
    scored = pl.when(pl.col("n") > 0)
    return sums.with_columns(scored.then(pl.col(name) / pl.col("n")).alias(name) for name in ("accuracy", *MEANS))


def scored_means(units: pl.DataFrame, *names: str) -> pl.DataFrame:
    """Those of `question_means` that have a scored repeat; `names`: of the measures no others than these."""
    columns = [*_KEY, "question_id", "cluster", "n", *names] if names else pl.all()
    return question_means(units).filter(pl.col("n") > 0).select(columns).collect()


_MEASURED = ("accuracy", "accuracy_finished", *MEANS)


def cells(units: pl.DataFrame, conditions: Sequence[Mapping[str, Any]], planned: Mapping[str, int]) -> pl.DataFrame:
    """One row per (condition, budget), columns as CELL_SCHEMA; see `Results.cells`."""
    known = {c["condition_id"]: c for c in conditions}
    rows: list[dict[str, Any]] = []
    for row in _summed(units).to_dicts():
        condition = known[row["condition_id"]]
        cell: dict[str, Any] = {name: condition.get(name, row.get(name)) for name in CELL_SCHEMA}
        # A condition has an axis and a budget too, which need not be those it is read at.
        cell |= {name: row[name] for name in ("axis", "usd_assumed", *_MEASURED)}
        cell |= {name: round(row[name]) for name in ("budget", "n_questions", "n_trials", *_COUNTS)}
        # One unknown question makes the mean unknown: polars' mean would be that of the others.
        cell |= {name: None for name in ("usd", "wh") if row[f"{name}_unknown"]}
        cell["much_cut"] = row["n_exhausted"] > MUCH_CUT * row["scored"]
        cell["n_planned"] = max(planned[row["condition_id"]], cell["n_questions"])
        cell["partial"] = cell["n_questions"] < PARTIAL_BELOW * cell["n_planned"] or cell["n_questions"] == 0
        stops: tuple[int | None, Mapping[tuple[Any, Any], str]] = condition.get("stops") or (None, {})
        asked, verdicts = stops
        cell["stopped_at"] = cell["stopped"] = None
        if cell["partial"] and asked is not None:
            # It was stopped because of what it answered, so no interval of a fixed number of questions holds.
            cell["partial"], cell["stopped_at"] = False, asked
            cell["stopped"] = verdicts.get((cell["axis"], cell["budget"]), STOPPED)
        for name in WITH_INTERVAL:
            ends = (None, None) if cell["stopped_at"] is not None else _interval(row, name, cell[name])
            cell[f"{name}_low"], cell[f"{name}_high"] = ends
        rows.append(cell)
    return pl.DataFrame(rows, schema=CELL_SCHEMA).sort("task", "label", "condition_id", "axis", "budget")


def _summed(units: pl.DataFrame) -> pl.DataFrame:
    """Counts and means of cells, and the cluster sums behind their intervals."""
    finished = pl.col("n_finished") > 0
    counted = [
        (pl.col("n") > 0).sum().alias("n_questions"),
        pl.sum_horizontal("n", "n_failed", "n_stopped", "n_censored").sum().alias("n_trials"),
        pl.col("n").sum().alias("scored"),
        *(pl.col(name).sum() for name in _COUNTS),
        *(pl.col(name).mean() for name in _MEASURED),
        pl.col("n_finished").sum(),
        finished.sum().alias("questions_finished"),
        *((pl.col(name).is_null() & (pl.col("n") > 0)).any().alias(f"{name}_unknown") for name in ("usd", "wh")),
        (pl.col("n_assumed") > 0).any().alias("usd_assumed"),
    ]
    # What counts the questions of a measure: q of all that are scored, q_finished of those with a finished repeat.
    sizes = {name: "q_finished" if name == "accuracy_finished" else "q" for name in WITH_INTERVAL}
    spread = [
        (pl.col("q") > 0).sum().alias("clusters"),
        (pl.col("q_finished") > 0).sum().alias("clusters_finished"),
        *((pl.col(q) ** 2).sum().alias(f"q{q}") for q in ("q", "q_finished")),
        *((pl.col(x) ** 2).sum().alias(f"{x}_ss") for x in WITH_INTERVAL),
        *((pl.col(x) * pl.col(sizes[x])).sum().alias(f"{x}_sq") for x in WITH_INTERVAL),
    ]
    # Made whole first: sums of what is still to be computed are added up in an order that hangs on what else is read.
    each = question_means(units).collect()
    each = each.with_columns(q=(pl.col("n") > 0).cast(pl.Float64), q_finished=finished.cast(pl.Float64))
    # Where each question is a cluster of its own, both come from one pass.
    if units["cluster"].n_unique() == units["question_id"].n_unique():
        return each.group_by(_KEY, maintain_order=True).agg(*counted, *spread)
    by_cluster = each.group_by(*_KEY, "cluster", maintain_order=True).agg(
        pl.col("q", "q_finished", *WITH_INTERVAL).sum()
    )
    spreads = by_cluster.group_by(_KEY, maintain_order=True).agg(*spread)
    return each.group_by(_KEY, maintain_order=True).agg(*counted).join(spreads, on=_KEY, maintain_order="left")


def _interval(row: Mapping[str, Any], name: str, mean: float | None) -> tuple[float | None, float | None]:
    if mean is None:
        return None, None
    some = "_finished" if name == "accuracy_finished" else ""
    n = row["questions_finished"] if some else row["n_questions"]
    sums = Sums(mean * n, n, row[f"clusters{some}"], row[f"{name}_ss"], row[f"{name}_sq"], row[f"qq{some}"])
    trials = row["n_finished"] if some else row["scored"]
    low, high = (
        accuracy_interval(sums, trials, graded=row["n_partly"] > 0)
        if name.startswith("accuracy")
        else mean_interval(sums)
    )
    return (None, None) if math.isnan(low) else (low, high)


def curves(steps: pl.DataFrame, grid: pl.DataFrame, points: Sequence[int] | None) -> pl.DataFrame:
    """Curves of the conditions of `grid`, columns as CURVES_SCHEMA: at every change of accuracy or n, or at `points`.

    `steps` are sorted by condition and budget; `scored` is what its trials are worth to an interval. The result is in
    the order of `grid`, then by budget.
    """
    if points is None:
        at = changed(steps)
    else:
        wanted = pl.DataFrame({"budget": sorted(set(points))}, schema={"budget": pl.Int64})
        # Each point takes the last step at or below it, which holds until the next.
        at = (
            grid.select("condition_id")
            .join(wanted, how="cross")
            .join_asof(
                steps.rename({"budget": "since"}),
                left_on="budget",
                right_on="since",
                by="condition_id",
                check_sortedness=False,
            )
        )
    rows: list[dict[str, Any]] = []
    for row in grid.select("condition_id", "axis").join(at, on="condition_id", maintain_order="left_right").to_dicts():
        n = round(row["n"] or 0)
        point = {name: row[name] for name in ("condition_id", "axis", "budget")}
        point |= {"n": n, "n_trials": round(row["n_trials"] or 0), "n_censored": round(row["n_censored"] or 0)}
        point |= dict.fromkeys(("accuracy", "low", "high", "spend"))
        if n:
            sums = Sums(row["mean"], n, row["clusters"], row["ss"], row["sq"], row["qq"])
            low, high = accuracy_interval(sums, row["scored"], graded=row["n_partly"] > 0)
            # Between two steps a call that the budget cuts goes on spending: a line in the budget.
            level = row["level"]
            # Null where an imported log does not report it.
            spend = None if level is None else (level + row["slope"] * row["budget"]) / n / SCALES.get(row["axis"], 1)
            # Sums of many changes carry rounding; an accuracy of nothing right is 0.
            accuracy = min(1.0, max(0.0, round(sums.mean, 12)))
            point |= {"accuracy": accuracy, "low": low, "high": high, "spend": spend}
        rows.append(point)
    return pl.DataFrame(rows, schema=CURVES_SCHEMA)


def changed(steps: pl.DataFrame) -> pl.DataFrame:
    """The steps at which accuracy or n changes; at the others it is the expected spend alone."""
    changes = [pl.col(name) - pl.col(name).shift(1).over("condition_id") for name in ("mean", "n_trials", "n_censored")]
    # The first step of a condition has none before it, and counts as a change.
    return steps.filter(pl.any_horizontal(change.abs().fill_null(1.0) > 1e-9 for change in changes))
