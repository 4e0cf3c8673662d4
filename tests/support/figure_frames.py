"""Frames as engine.analysis hands them to figures: cells with a verdict, lines, bands and curves, invented."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

STRATEGIES = (
    "direct",
    "concise",
    "chain_of_thought",
    "chain_of_draft",
    "tale_ep",
    "self_consistency",
    "adaptive_consistency",
    "debate",
)
SCHEMA: dict[str, Any] = {
    "condition_id": pl.String,
    "label": pl.String,
    "task": pl.String,
    "model": pl.String,
    "strategy": pl.String,
    "params": pl.String,
    "anytime": pl.Boolean,
    "simulated": pl.Boolean,
    "local": pl.Boolean,
    "axis": pl.String,
    "budget": pl.Int64,
    **{
        f"n_{n}": pl.Int64
        for n in ("questions", "planned", "trials", "right", "wrong", "none", "exhausted", "failed", "censored")
    },
    "partial": pl.Boolean,
    **{
        n + e: pl.Float64
        for n in ("accuracy", "calls", "output_tokens", "total_tokens", "usd")
        for e in ("", "_low", "_high")
    },
    "input_tokens": pl.Float64,
    "latency_ms": pl.Float64,
    "usd_assumed": pl.Boolean,
    "on_frontier": pl.Boolean,
    "p_frontier": pl.Float64,
    "verdict": pl.String,
    "mechanism": pl.String,
    "idle": pl.Boolean,
}


def cell(**changes: Any) -> dict[str, Any]:
    """One row of a frontier frame; `spend` sets all spend columns."""
    spend, accuracy = float(changes.pop("spend", 100.0)), changes.get("accuracy", 0.5)
    row: dict[str, Any] = {
        "condition_id": "c0",
        "label": "direct",
        "task": "sums",
        "model": "local/tiny",
        "strategy": "direct",
        "params": "{}",
        "anytime": True,
        "simulated": False,
        "local": True,
        "axis": "total_tokens",
        "budget": 1024,
        "partial": False,
        "accuracy": accuracy,
        "input_tokens": spend * 0.4,
        "latency_ms": spend * 9,
        "usd_assumed": False,
        "on_frontier": False,
        "p_frontier": 0.02,
        "verdict": "undecided",
    }
    row |= {f"n_{n}": 0 for n in ("wrong", "none", "exhausted", "failed", "censored", "right")}
    row |= {"n_questions": 100, "n_planned": 100, "n_trials": 100}
    row |= {"accuracy_low": max(0.0, (accuracy or 0) - 0.05), "accuracy_high": min(1.0, (accuracy or 0) + 0.05)}
    for name, factor in (("calls", 0.01), ("output_tokens", 0.6), ("total_tokens", 1.0), ("usd", 1e-6)):
        row |= {name: spend * factor, name + "_low": spend * factor * 0.9, name + "_high": spend * factor * 1.1}
    return row | changes


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    """A frontier frame, also without rows."""
    return pl.DataFrame(list(rows), schema=SCHEMA)


def study(
    cells: int, seed: int = 0, models: tuple[str, ...] = ("a/nano", "a/small", "a/large", "a/xl")
) -> pl.DataFrame:
    """So many cells on a rising cloud, with chances that fall with the distance from its upper edge."""
    rng = np.random.default_rng(seed)
    spend = np.exp(rng.uniform(np.log(40), np.log(40_000), cells))
    height = 0.35 + 0.55 * np.log(spend / 40) / np.log(1000) - rng.exponential(0.05, cells)
    chance = np.clip(1.1 - (0.4 + 0.55 * np.log(spend / 40) / np.log(1000) - height) * 9, 0, 1)
    return frame(
        *(
            cell(
                condition_id=f"c{i}",
                model=models[i % len(models)],
                strategy=STRATEGIES[(i // len(models)) % len(STRATEGIES)],
                params=f'{{"k": {i // 32}}}',
                spend=spend[i],
                accuracy=float(max(0.0, height[i])),
                p_frontier=float(chance[i]),
            )
            for i in range(cells)
        )
    )


def line_of(cells: pl.DataFrame, x: str = "total_tokens") -> pl.DataFrame:
    """The staircase of a frame's point estimates."""
    best, kept = -1.0, []
    for row in cells.drop_nulls([x, "accuracy"]).sort([x, "accuracy"], descending=[False, True]).to_dicts():
        if row["accuracy"] > best:
            best = row["accuracy"]
            kept.append((row[x], best))
    return pl.DataFrame(kept, schema={"x": pl.Float64, "accuracy": pl.Float64}, orient="row")


def band_of(line: pl.DataFrame) -> pl.DataFrame:
    """A band of four points round a line."""
    return line.select("x", low=pl.col("accuracy") - 0.02, high=pl.col("accuracy") + 0.02)


def curve(budgets: tuple[int, ...], accuracies: tuple[float, ...], censored: int = 0) -> pl.DataFrame:
    """A curve frame; the last value has `censored` trials that were not observed so far."""
    n = len(budgets)
    return pl.DataFrame(
        {
            "budget": budgets,
            "accuracy": accuracies,
            "low": [a - 0.05 for a in accuracies],
            "high": [a + 0.05 for a in accuracies],
            "n": [100] * n,
            "n_censored": [0] * (n - 1) + [censored],
            "spend": [b * 0.8 for b in budgets],
        }
    )
