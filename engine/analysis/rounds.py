"""What adaptive runs decided and why, as people read it: who was asked how far, and what stopped whom.

Works on what the store keeps of each look; decides nothing and reads no database.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.core import names, text
from engine.core.rounds import Round, Stop

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SettingAsked:
    """How far one setting was asked."""

    condition_id: str
    name: str
    strategy: str
    asked: int
    """Questions, the first of the order."""
    stopped: bool
    """Whether it was dropped, at all its budgets."""
    reason: str
    """Why it was asked no further, or why it still is; a sentence without its end."""


@dataclass(frozen=True, slots=True)
class Decided:
    """One adaptive run on one task."""

    run_id: str
    study: str
    task: str
    asked: int
    """Questions of the last look."""
    listed: int
    """Questions there are in the order."""
    looks: int
    state: str
    """goes on, reached or all asked, as `core.rounds.Round`."""
    goal: float
    """The regret asked for, a share."""
    bound: float
    """What the recommendation may be behind the best at most, a share."""
    pick: str | None
    """The recommended point by name; None: none can be named yet."""
    settings: tuple[SettingAsked, ...]
    """Those asked furthest first."""
    saved_tokens: float
    """What the stopped settings would have cost on the questions the others were asked besides, replies that others
    drew as well not counted."""

    @property
    def sentence(self) -> str:
        """What it came to, in plain English."""
        so_far = f"{text.count(self.asked)} of {text.plural(self.listed, 'question')}"
        if self.pick is None:
            return f"After {so_far} nothing can be said yet: too few answers are scored."
        # Up to the next tenth: a bound is never told smaller than it is.
        most = text.distance(math.ceil(1000 * self.bound - 1e-6) / 1000)
        behind = f"at most {most} behind the best (95%, at every look)"
        if self.state == "reached":
            head = f"Done after {so_far}: use {self.pick}, {behind}."
        elif self.state == "all asked":
            asked = f"All {text.plural(self.listed, 'question')} asked"
            head = f"{asked} without being sure of {text.distance(self.goal)}: {self.pick} is {behind}."
        else:
            head = f"So far, after {so_far}: {self.pick}, {behind}."
        stopped = sum(each.stopped for each in self.settings)
        saved = f", which saved about {text.count(round(self.saved_tokens))} tokens" if self.saved_tokens >= 1 else ""
        return f"{head} {text.plural(stopped, 'setting')} stopped earlier{saved}." if stopped else head


def decided(
    looked: Sequence[Round],
    stops: Sequence[Stop],
    conditions: Mapping[tuple[str, str], Sequence[Row]],
    studies: Mapping[str, str],
    lengths: Mapping[tuple[str, str], int],
    study: str | None,
    run_id: str | None,
) -> list[Decided]:
    """By run and task, in the order of `studies`: the plans by run, as JSON. By run and task `conditions` are those the
    run asked for, `lengths` the questions of its order."""
    last = {(each.run_id, each.task): each for each in looked}
    plans = {run: json.loads(plan) for run, plan in studies.items()}
    order = {run: place for place, run in enumerate(plans)}
    told = []
    for key in sorted(last, key=lambda key: (order.get(key[0], -1), key)):
        name = str(plans.get(key[0], {}).get("name") or key[0])
        if (study is None or name == study) and (run_id is None or key[0] == run_id):
            own = [stop for stop in stops if (stop.run_id, stop.task) == key]
            told.append(_of(name, last[key], own, conditions.get(key, ()), lengths.get(key, last[key].asked)))
    return told


def _of(study: str, last: Round, stops: Sequence[Stop], conditions: Sequence[Row], listed: int) -> Decided:
    by_id = {row["condition_id"]: row for row in conditions}
    name = names.over(list(conditions))

    def point(condition: str, budget: int) -> str:
        row = by_id.get(condition)
        return f"{name(row)} {text.up_to(budget, row['axis'])}" if row else "a setting that is not stored here"

    settings: dict[str, SettingAsked] = {}
    for condition, row in by_id.items():
        own = [stop for stop in stops if stop.condition_id == condition]
        if own:
            stop = max(own, key=lambda stop: stop.budget)
            by = point(stop.by_condition, stop.by_budget)
            if stop.high < 0:
                why = f"{by} surely costs no more and is at least {text.distance(-stop.high)} more accurate"
            else:
                why = f"surely costs no less than {by} and is at most {text.distance(stop.high)} more accurate"
            asked = SettingAsked(condition, name(row), row["strategy"], stop.asked, True, why)
        elif condition == last.condition_id:
            asked = SettingAsked(condition, name(row), row["strategy"], last.asked, False, "recommended")
        else:
            why = "its place is open" if last.state == "goes on" else "asked to the end"
            asked = SettingAsked(condition, name(row), row["strategy"], last.asked, False, why)
        # The budgets of a strategy that runs once for each are one setting.
        kept = settings.setdefault(asked.name, asked)
        if asked.reason == "recommended" and not kept.stopped:
            settings[asked.name] = asked
    pick = None
    if last.condition_id is not None and last.budget is not None:
        pick = point(last.condition_id, last.budget)
    saved = {stop.condition_id: stop.saves_tokens * (last.asked - stop.asked) for stop in stops}
    ordered = sorted(settings.values(), key=lambda each: (each.stopped, -each.asked, each.reason != "recommended"))
    return Decided(
        *(last.run_id, study, last.task, last.asked, listed, last.number, last.state, last.goal, last.bound, pick),
        *(tuple(ordered), sum(saved.values())),
    )


def sentences(every: Iterable[Decided]) -> list[str]:
    """One for each run and task, with the task's name."""
    return [f"{names.task(each.task)}, adaptive: {each.sentence}" for each in every]
