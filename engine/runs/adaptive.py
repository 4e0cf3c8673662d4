"""An adaptive run's way through its rounds: who is asked how many questions next, decided from what is stored.

A round brings every strategy × model that was not dropped to the same number of questions of the one order; then what
is stored decides (`analysis.elimination`), so decisions do not depend on how many calls ran at once, and whoever reads
the same trials decides the same. Each is stored with its reason before the next question is asked, and what is stored
is not decided again: a run that was killed goes on where it was.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from engine.core import names, text
from engine.core.records import Cluster, TrialSpec
from engine.core.rounds import Round, RoundState, Stop, looks
from engine.store.store import Store
from engine.study.plan import Plan
from engine.study.schema import as_json

if TYPE_CHECKING:
    from engine.analysis.elimination import Points

Setting = tuple[object, ...]
"""A strategy × model: all its budgets together."""


@dataclass
class _Course:
    """One task's rounds."""

    task: str
    goal: float
    groups: list[tuple[str, ...]]
    """Ids of its questions in their order, those of one cluster together."""
    specs: dict[str, list[TrialSpec]]
    """By question all trials of it."""
    settings: dict[str, int]
    """By condition the strategy × model it is of."""
    budgets: dict[str, tuple[int, ...]]
    """By condition where it is read."""
    rounds: list[Round] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Whether there is nothing more to ask."""
        return bool(self.rounds) and self.rounds[-1].state != "goes on"

    @property
    def dropped(self) -> set[int]:
        """The settings that are asked no further."""
        return {self.settings[stop.condition_id] for stop in self.stops}

    def seen(self, number: int) -> list[str]:
        """The questions that the look of this number sees; 0: none."""
        every = looks(len(self.groups))
        return [id for group in self.groups[: every[number - 1] if number else 0] for id in group]

    def asked(self, setting: int) -> int:
        """Up to which look a setting is asked."""
        last = {self.settings[stop.condition_id]: stop.number for stop in self.stops}
        return last.get(setting, len(self.rounds) + (not self.over))

    def next(self) -> list[TrialSpec]:
        """The trials of the round that comes, and of those before it: what is stored of them is not asked again."""
        allowed = {setting: set(self.seen(self.asked(setting))) for setting in set(self.settings.values())}
        return [
            spec
            for id in self.seen(len(self.rounds) + (not self.over))
            for spec in self.specs[id]
            if id in allowed[self.settings[spec.condition.condition_id]]
        ]


class Rounds:
    """The rounds of one adaptive run, over all its tasks."""

    def __init__(self, plan: Plan, run_id: str, store: Store) -> None:
        assert plan.study.until is not None
        self._plan = plan
        self._run_id = run_id
        self._places = {spec.trial_id: place for place, spec in enumerate(plan.specs)}
        self._due: list[_Course] = []
        """Tasks that are to be looked at once what was asked is stored."""
        looked, stopped = store.rounds(run_id)
        self._courses = []
        for task in plan.tasks:
            rounds, stops = [r for r in looked if r.task == task], [s for s in stopped if s.task == task]
            self._courses.append(_course(plan, task, plan.study.until, rounds, stops))
        for course in self._courses:
            store.save_order(run_id, course.task, (id for group in course.groups for id in group))

    @property
    def over(self) -> bool:
        """Whether every task has come to its end."""
        return all(course.over for course in self._courses)

    def next(self) -> list[TrialSpec]:
        """What is to be asked until the next look, tasks taking turns, what is stored already included."""
        self._due = [course for course in self._courses if not course.over]
        lists = [course.next() for course in self._courses]
        return sorted((spec for each in lists for spec in each), key=lambda spec: self._places[spec.trial_id])

    @property
    def most(self) -> int:
        """Trials the run can still come to, those asked included: every setting that is left on every question."""
        total = 0
        for course in self._courses:
            whole, dropped = len(looks(len(course.groups))), course.dropped
            settled = {s: course.over or s in dropped for s in course.settings.values()}
            allowed = {s: set(course.seen(course.asked(s) if ends else whole)) for s, ends in settled.items()}
            total += sum(
                id in allowed[course.settings[spec.condition.condition_id]]
                for id, specs in course.specs.items()
                for spec in specs
            )
        return total

    def listed(self) -> dict[str, list[str]]:
        """By task the questions of the last look, which its figures stand on; before the first those it will see."""
        return {course.task: course.seen(len(course.rounds) or 1) for course in self._courses}

    def planned(self) -> list[TrialSpec]:
        """The trials of all settings on these questions."""
        listed = self.listed()
        return [spec for course in self._courses for id in listed[course.task] for spec in course.specs[id]]

    def study(self) -> str:
        """The plan as the store keeps it, with the number of these questions."""
        counts = {task: len(ids) for task, ids in self.listed().items()}
        return json.dumps({**as_json(self._plan.study), "planned_questions": counts})

    def decide(self, store: Store) -> None:
        """Look at every task that goes on, and store what comes of it. Raises StoreError; what it had stored by then it
        does not decide again."""
        while self._due:
            self._decide(self._due[0], store)
            del self._due[0]

    @property
    def said(self) -> str | None:
        """How it ended, in a sentence a task; None: it has not."""
        if not self.over:
            return None
        lines = []
        for course in self._courses:
            last, whole = course.rounds[-1], sum(map(len, course.groups))
            stopped = len(course.dropped)
            early = f"; {text.plural(stopped, 'setting')} stopped earlier" if stopped else ""
            if last.state == "reached":
                what = f"surely within {text.distance(last.goal)} of the best after {text.count(last.asked)} of"
                lines.append(f"{names.task(course.task)}: {what} {text.plural(whole, 'question')}{early}.")
            else:
                behind, goal = text.distance(last.bound), text.distance(last.goal)
                bound = f"{behind} behind the best, more than the {goal} asked for"
                asked = f"all {text.plural(whole, 'question')} asked"
                what = f"{asked}, and what is recommended may be {bound}{early}."
                lines.append(f"{names.task(course.task)}: {what}")
        return " ".join(lines)

    def _decide(self, course: _Course, store: Store) -> None:
        # Here, because it loads polars, which no other part of a run needs.
        from engine.analysis import elimination

        number = len(course.rounds) + 1
        seen = course.seen(number)
        points, keys = _points(course, number, store, self._plan)
        place = {key: at for at, key in enumerate(keys)}
        before = {
            place[stop.condition_id, stop.budget]: elimination.Settled(
                stop.verdict, place[stop.by_condition, stop.by_budget], stop.high, stop.out
            )
            for stop in course.stops
        }
        marginal = _marginal_tokens(course, seen, store)
        free = frozenset(setting for setting, tokens in marginal.items() if tokens == 0)
        judged = elimination.judge(points, before, course.goal, free)
        last = number == len(looks(len(course.groups)))
        state: RoundState = "reached" if judged.reached else "all asked" if last else "goes on"
        stops = [
            Stop(
                *(self._run_id, course.task, number, *keys[point], len(seen), settled.verdict, *keys[settled.by]),
                *(settled.high, settled.out, marginal.get(points.settings[point], 0.0)),
            )
            for point, settled in judged.settled.items()
            # Where the task ends anyway nobody is stopped early.
            if state == "goes on" and points.settings[point] in judged.dropped
        ]
        gone = course.dropped | {course.settings[stop.condition_id] for stop in stops}
        left = len(set(course.settings.values()) - gone)
        condition, budget = (None, None) if judged.pick is None else keys[judged.pick]
        decided = Round(
            self._run_id, course.task, number, len(seen), left, state, condition, budget, judged.bound, course.goal
        )
        course.rounds.append(decided)
        try:
            store.save_round(decided, stops, self.study(), seen)
        except BaseException:
            course.rounds.pop()
            raise
        course.stops += stops


def _course(plan: Plan, task: str, goal: float, rounds: list[Round], stops: list[Stop]) -> _Course:
    specs: dict[str, list[TrialSpec]] = defaultdict(list)
    settings: dict[Setting, int] = {}
    owners: dict[str, int] = {}
    budgets: dict[str, tuple[int, ...]] = {}
    asked: dict[str, Cluster] = {}
    for spec in plan.specs:
        condition = spec.condition
        if condition.task != task:
            continue
        specs[spec.question.question_id].append(spec)
        asked.setdefault(spec.question.question_id, spec.question.problem.cluster)
        key: Setting = (condition.lineup, condition.strategy, condition.params, condition.version)
        owners[condition.condition_id] = settings.setdefault(key, len(settings))
        budgets[condition.condition_id] = plan.study.budgets if condition.anytime else (condition.budget,)
    groups = [tuple(ids) for _, ids in groupby(asked, key=lambda id: asked[id])]
    return _Course(task, goal, groups, dict(specs), owners, budgets, rounds, stops)


def _points(course: _Course, number: int, store: Store, plan: Plan) -> tuple[Points, list[tuple[str, int]]]:
    """Every budget of every condition as the store has it on the questions of a look, and which each is."""
    import polars as pl

    from engine.analysis import Results
    from engine.analysis.cells import scored_means
    from engine.analysis.elimination import Points

    keys = [(condition, budget) for condition, own in course.budgets.items() for budget in own]
    _, units = Results(store.path).measured(
        plan.study.budget_axis, plan.study.budgets, {"condition_id": list(course.budgets)}, explain=False
    )
    group_of = {id: at for at, group in enumerate(course.groups) for id in group}
    seen = course.seen(number)
    means = scored_means(units.filter(pl.col("question_id").is_in(seen)))
    place = {key: at for at, key in enumerate(keys)}
    shape = len(keys), group_of[seen[-1]] + 1
    sums = {name: np.zeros(shape) for name in ("accuracy", plan.study.budget_axis)}
    counts = np.zeros(shape)
    columns = means.select("condition_id", "budget", "question_id", *sums).iter_rows()
    asked = {key: set(course.seen(course.asked(course.settings[key[0]]))) for key in keys}
    for condition, budget, question, *values in columns:
        # What another study stored beyond the prefix a setting was asked is not looked at.
        if (key := (condition, budget)) in place and question in asked[key]:
            at = place[key], group_of[question]
            counts[at] += 1
            for total, value in zip(sums.values(), values, strict=True):
                total[at] += value
    with np.errstate(invalid="ignore", divide="ignore"):
        accuracy, spend = (np.where(counts > 0, total / counts, np.nan) for total in sums.values())
    whole = tuple(len({group_of[id] for id in asked[key]}) for key in keys)
    owners = tuple(course.settings[condition] for condition, _ in keys)
    return Points(owners, tuple(budget for _, budget in keys), accuracy, spend, whole), keys


def _marginal_tokens(course: _Course, seen: Iterable[str], store: Store) -> dict[int, float]:
    """By setting that is asked on, what a question costs the run beside all others: replies that another draws on as
    well are free."""
    live = {condition: s for condition, s in course.settings.items() if s not in course.dropped}
    # What was asked since the look before says enough.
    fresh = set(seen) - set(course.seen(len(course.rounds)))
    readers: dict[str, set[int]] = defaultdict(set)
    tokens: dict[str, int] = {}
    for condition, key, size in store.tokens_read(live, fresh):
        readers[key].add(live[condition])
        tokens[key] = size
    own: dict[int, float] = dict.fromkeys(live.values(), 0.0)
    for key, settings in readers.items():
        if len(settings) == 1:
            own[next(iter(settings))] += tokens[key] / len(fresh)
    return own
