"""Calibrations as studies of their own: made of a study, and what their stored trials found, question by question."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.core.errors import UsageError
from engine.core.records import Condition, Trial
from engine.strategies.calibration import LABEL, Search, search_of
from engine.study.schema import Study, parse

if TYPE_CHECKING:
    from engine.study.plan import Plan


@dataclass(frozen=True, slots=True)
class Found:
    """What was found on one question."""

    trial: Trial
    search: Search

    @property
    def condition(self) -> Condition:
        """Task, model and feasibility."""
        return self.trial.spec.condition


def found_in(db: Path, planned: Plan) -> list[Found]:
    """What the stored trials of a plan found, in the plan's order; trials that are still to be run are left out."""
    from engine.store.store import Store

    store = Store(db)
    stored = {t.spec.trial_id: t for condition in planned.conditions for t in store.trials(condition.condition_id)}
    trials = [stored[spec.trial_id] for spec in planned.specs if spec.trial_id in stored]
    replies = store.completions({call.key for trial in trials for call in trial.calls})
    feasibility = str(planned.study.calibration)
    return [Found(t, search_of(t, feasibility, replies, planned.tasks[t.spec.condition.task].score)) for t in trials]


def row_of(each: Found) -> dict[str, Any]:
    """One question for the file; null: unknown, or there is none."""
    question, search = each.trial.spec.question, each.search
    return {
        "label": LABEL,
        "task": each.condition.task,
        "model": each.condition.solver.name,
        "feasibility": json.loads(each.condition.params)["feasibility"],
        "question_id": question.question_id,
        "text": question.problem.text,
        "end": each.trial.end,
        "vanilla_tokens": search.vanilla_tokens,
        "vanilla_right": search.vanilla_right,
        "tried": [asdict(tried) for tried in search.tried],
        "found_budget": search.found_budget,
        "found_tokens": search.found_tokens,
        "ideal_range": search.ideal_range,
    }


def calibration_of(study: Study, feasibility: str) -> Study:
    """That of the study's tasks and models."""
    if study.calibration:
        raise UsageError(f"{study.name!r} is a calibration already; `budgetscope resume` goes on with its run.")
    return parse(f"calibration = {json.dumps(feasibility)}\n{study.text}", study.name)
