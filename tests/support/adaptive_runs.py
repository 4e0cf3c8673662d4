"""An adaptive study that decides much with few questions: a model that is nearly always right in few words, another hardly
ever in many."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.core.records import Request
from engine.models import scripted
from engine.runs import worker
from engine.runs.run_dir import Status
from engine.study.plan import plan
from engine.study.schema import Study

STUDY = """
name = "which"
plan = "adaptive"
until = "regret <= 8 points"
budgets = [64]
models = ["scripted/cheap", "scripted/dear"]
strategies = ["direct", {name = "chain_of_thought", chain_tokens = 64}]
[[tasks]]
name = "gym:chain_sum/easy"
questions = 60
"""


@contextmanager
def models() -> Iterator[None]:
    """Inside the block there are the two."""

    def script(right: float, words: int) -> scripted.Script:
        def say(request: Request, rng: random.Random) -> str:
            good = scripted.adder(1.0)(request, rng).rsplit("Answer:")[1]
            return f"{'so ' * words}Answer: {good if rng.random() < right else 0}"

        return say

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(scripted._SCRIPTS, "cheap", script(0.97, 1))
        patch.setitem(scripted._SCRIPTS, "dear", script(0.1, 30))
        yield


def quiet(_: Status) -> None:
    """Nobody watches."""


def ran(db: Path, study: Study, parallel: int | None = None) -> Status:
    """A run of the study, with so many calls of a model at once."""
    planned = plan(study)
    for model in planned.models.values():
        if parallel is not None:
            model.parallel = parallel
    return worker.run(worker.prepare(study, db), quiet, planned=planned)
