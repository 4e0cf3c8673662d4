"""Databases made of outcomes: who was right on which question, for how many tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import engine
from engine.analysis import Results
from engine.core.records import Trial
from engine.store.store import Batch, RunRow, Store
from tests.support.replayed import NOON, A, Ask, Lineup, Say, planned, play

Outcome = tuple[int, bool]
"""Output tokens, right."""


def trials_of(
    strategy: str,
    outcomes: Sequence[Outcome | None],
    task: str = "t",
    *,
    lineup: Lineup = (("solver", A),),
    repeat: int = 0,
    categories: Sequence[str] = (),
) -> list[Trial]:
    """One trial per question; None: not asked. Questions are named by their place, so strategies share them."""
    found = []
    for i, outcome in enumerate(outcomes):
        if outcome is not None:
            spec = planned(
                "output_tokens",
                1000,
                f"q{i}",
                strategy=strategy,
                task=task,
                anytime=False,
                lineup=lineup,
                repeat=repeat,
            )
            if categories:
                spec = replace(spec, question=replace(spec.question, category=categories[i]))
            model = lineup[0][1]
            found.append(play(spec, [Ask(model, 5, 4, outcome[0], 1000), Say("right" if outcome[1] else "wrong")]))
    return found


def growing(strategy: str, rights: Sequence[int | None], budget: int = 100, step: int = 10) -> list[Trial]:
    """Anytime trials of ten calls of `step` tokens; a question is right from the given call on, None: never."""
    found = []
    for i, first in enumerate(rights):
        script: list[Ask | Say] = []
        for call in range(10):
            right = first is not None and call >= first
            script += [Ask(A, 5, 4, step, 100), Say("right" if right else f"wrong{call}")]
        found.append(play(planned("output_tokens", budget, f"q{i}", strategy=strategy), script))
    return found


def stored(folder: Path, *groups: list[Trial], study: str = "{}") -> Results:
    """A database of these trials."""
    store = Store(folder / "results.duckdb")
    store.save_run(RunRow("r1", study, "finished", NOON))
    store.flush(Batch(tuple(trial for group in groups for trial in group)))
    return engine.open(store.path)


def id_of(trials: Sequence[Trial]) -> str:
    """The condition of some trials."""
    return trials[0].spec.condition.condition_id
