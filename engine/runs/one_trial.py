"""One planned trial from its first call to its score, the same in a run's own process and in an actor of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.core.records import Trial, TrialSpec
from engine.strategies import is_oracle
from engine.tasks.task import Task
from engine.trial.judge import Judge, judged
from engine.trial.solve import Setting, solve


@dataclass(frozen=True, slots=True)
class Bench:
    """What trials are made with."""

    tasks: Mapping[str, Task]
    """By the task's own name."""
    judges: Mapping[str, Judge]
    """By the name of their task; other tasks score themselves."""
    setting: Setting


async def tried(spec: TrialSpec, strategy: Any, bench: Bench, attempt: int) -> Trial:
    """The trial, solved and scored. Never raises for what a strategy, a scorer, a budget or a provider does."""
    judge = bench.judges.get(spec.condition.task)
    score = None if judge else bench.tasks[spec.condition.task].score
    trial = await solve(spec, strategy, bench.setting, score, attempt, oracle=is_oracle(strategy))
    if judge and trial.end != "stopped":
        trial = await judged(trial, judge, bench.setting.source)
    return trial
