"""What the stored study `token_economies` says about the claims of the two papers, with intervals and n.

    python examples/token_economies.py [results.duckdb]

Owns no statistics: every number is asked of `engine.open`. Paired differences carry 95 % intervals and p-values
adjusted by Holm over each table.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import polars as pl

import engine
from engine.analysis import Cell, Results, stats

STUDY, AXIS, BUDGETS = "token_economies", "total_tokens", (500, 1000, 2000)
BASELINE = "self_consistency"
DEMO = Path(__file__).resolve().parent.parent / "results.duckdb"


def main(path: str) -> None:
    """Print the three tables."""
    results = engine.open(path)
    mine = conditions(results)
    told = pl.col("strategy") == "told_budget"
    for title, frame in (
        (f"{BASELINE} against the others under equal caps on {AXIS}", against(results, mine.filter(~told))),
        (
            f"{BASELINE} against the others where both have spent the same {AXIS}",
            at_equal_spend(results, mine.filter(~told)),
        ),
        ("More budget against less: 2,000 against 500 tokens", grown(results, mine.filter(~told))),
        ("Input tokens of a debate, round by round", debate(results, mine)),
        ("Output tokens by told budget", obeyed(results, mine.filter(told))),
    ):
        print(f"\n{title}\n")
        with pl.Config(
            tbl_rows=-1,
            tbl_cols=-1,
            fmt_str_lengths=60,
            tbl_formatting="ASCII_MARKDOWN",
            float_precision=3,
            tbl_hide_dataframe_shape=True,
            tbl_hide_column_data_types=True,
        ):
            print(frame)


def conditions(results: Results) -> pl.DataFrame:
    """The study's conditions, whichever run of it they belong to."""
    plans = pl.col("study").str.json_path_match("$.name")
    runs = results.runs().filter(plans == STUDY)["run_id"].to_list()
    found = results.conditions().filter(axis=AXIS)
    return found.filter(pl.col("run_ids").list.eval(pl.element().is_in(runs)).list.any())


def against(results: Results, mine: pl.DataFrame) -> pl.DataFrame:
    """The baseline minus every other strategy, per task and budget."""
    pairs = [
        (row["task"], row["strategy"], budget, Cell(base, budget, AXIS), Cell(row["condition_id"], budget, AXIS))
        for task, base in mine.filter(strategy=BASELINE).select("task", "condition_id").iter_rows()
        for row in mine.filter(pl.col("strategy") != BASELINE, task=task).iter_rows(named=True)
        for budget in BUDGETS
    ]
    return _told(results, pairs)


def at_equal_spend(results: Results, mine: pl.DataFrame) -> pl.DataFrame:
    """The baseline, at the budget where it has spent as much as the other under the largest cap, minus that other."""
    rows = []
    for task, base in mine.filter(strategy=BASELINE).select("task", "condition_id").iter_rows():
        for row in mine.filter(pl.col("strategy") != BASELINE, task=task).iter_rows(named=True):
            other = Cell(row["condition_id"], BUDGETS[-1], AXIS)
            found = results.equal_spend(base, other, x=AXIS, axis=AXIS, study=STUDY)
            rows.append(
                {
                    "task": task,
                    "strategy": row["strategy"],
                    "spend": found.spend,
                    "n": found.n,
                    "difference": found.difference.mean,
                    "low": found.difference.low,
                    "high": found.difference.high,
                    "p_value": found.p_value,
                    "beyond": found.beyond,
                }
            )
    frame = pl.DataFrame(rows)
    adjusted = pl.Series("p_adjusted", stats.adjusted(frame["p_value"].to_list(), "holm"))
    return frame.with_columns(adjusted).drop("p_value").sort("task", "strategy")


def grown(results: Results, mine: pl.DataFrame) -> pl.DataFrame:
    """Every strategy at the largest budget minus itself at the smallest of `BUDGETS`."""
    pairs = [
        (
            row["task"],
            row["strategy"],
            BUDGETS[-1],
            Cell(row["condition_id"], BUDGETS[-1], AXIS),
            Cell(row["condition_id"], BUDGETS[0], AXIS),
        )
        for row in mine.iter_rows(named=True)
    ]
    return _told(results, pairs)


def _told(results: Results, pairs: list[tuple[str, str, int, Cell, Cell]]) -> pl.DataFrame:
    names = pl.DataFrame([pair[:3] for pair in pairs], schema=["task", "strategy", "budget"], orient="row")
    found = results.comparisons([pair[3:] for pair in pairs])
    wanted = found.select("n", "difference", "low", "high", "p_adjusted")
    return names.hstack(wanted).sort("task", "strategy", "budget")


def debate(results: Results, mine: pl.DataFrame) -> pl.DataFrame:
    """Mean input tokens of one call in each round, over the calls the budget let through."""
    rows = [
        {"task": row["task"], "round": call["ordinal"] // json.loads(row["params"])["agents"] + 1, **call}
        for row in mine.filter(strategy="multi_agent_debate").iter_rows(named=True)
        for trial in results.trial_rows(row["condition_id"])["trial_id"]
        for call in results.transcript(trial)
        .filter(pl.col("input_tokens") > 0)
        .select("ordinal", "input_tokens")
        .iter_rows(named=True)
    ]
    calls = pl.DataFrame(rows).group_by("task", "round").agg(pl.len().alias("calls"), pl.col("input_tokens").mean())
    return calls.sort("task", "round")


def obeyed(results: Results, mine: pl.DataFrame) -> pl.DataFrame:
    """What was used under each told budget."""
    told = mine.select("condition_id", told=pl.col("params").str.json_path_match("$.told_tokens").cast(pl.Int64))
    cells = results.cells(condition_id=mine["condition_id"].to_list(), budgets=[BUDGETS[-1]])
    found = cells.join(told, on="condition_id").sort("task", "told")
    return found.select(
        "task",
        "told",
        "n_questions",
        "output_tokens",
        "output_tokens_low",
        "output_tokens_high",
        "accuracy",
        "accuracy_low",
        "accuracy_high",
    )


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else str(DEMO))
