"""What each study asked for: its conditions, and on each task the list of its questions. Only like is compared with
like, so a figure stands on one list.

A run stores what its study asks for when it starts (`plans`), whoever pays for the trials. Of a run from before that,
its own trials say it: the conditions and questions it stored trials of. Where these are fewer questions than it
planned (the others had been paid for by then, or it was stopped), the list is the questions that all its conditions
have if they are as many as it planned, else that of an earlier run of the study that planned as many; else the list is
known by its length alone, and the questions it stored stand for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.core import names, text
from engine.core.errors import UnknownName
from engine.store import deltas

if TYPE_CHECKING:
    from engine.store.sql import Connection

Row = Mapping[str, Any]

_PLANS = "select run_id, task, kind, list(id) from plans group by all"
# What the trials say that a run stored itself.
_PARTS = f"""
select p.run_id, c.task, 'condition', list(c.condition_id) from run_parts p
join {deltas.CONDITIONS} i on i.condition_no = p.number join conditions c using (condition_id)
where p.kind = 'condition' and p.run_id in (select unnest($1)) group by all
union all
select p.run_id, q.task, 'question', list(q.question_id) from run_parts p
join {deltas.QUESTIONS} i on i.question_no = p.number join questions q using (question_id)
where p.kind = 'question' and p.run_id in (select unnest($1)) group by all"""
_SHARED = """
select question_id from trials where condition_id in (select unnest($1)) group by question_id
having count(distinct condition_id) = $2"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a study asked for on one task."""

    study: str
    task: str
    conditions: Mapping[str, tuple[str, ...]]
    """By condition the runs of this study that asked for it."""
    questions: frozenset[str]
    """The list: that of the study's newest run on the task."""
    planned: int
    """Length of the list; more than `questions` where a run of before left no more than its length."""

    @property
    def listed(self) -> tuple[frozenset[str], int]:
        """What studies must have in common to be pooled."""
        return self.questions, self.planned


@dataclass(frozen=True, slots=True)
class Scope:
    """What stands in a figure: conditions that were asked on one list of questions a task."""

    asked: Mapping[str, tuple[Asked, ...]]
    """By task the studies that are shown, all with the same list."""
    notes: tuple[str, ...] = ()
    """What is to be said of studies that asked other questions, and are left out."""

    @property
    def questions(self) -> frozenset[str]:
        """The lists of all tasks."""
        return frozenset().union(*(shown[0].questions for shown in self.asked.values()))

    def planned(self, conditions: Iterable[Row]) -> dict[str, int]:
        """By condition the length of its task's list."""
        return {row["condition_id"]: self.asked[row["task"]][0].planned for row in conditions}

    def of(self, conditions: Iterable[Row], studies: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Those of the conditions that were asked for, as these studies asked: their runs and their largest budget."""
        for row in conditions:
            runs = [
                run
                for asked in self.asked.get(row["task"], ())
                for run in asked.conditions.get(row["condition_id"], ())
            ]
            if not runs:
                continue
            plans = [json.loads(studies.get(run, "{}")) for run in runs]
            own = [b for plan in plans if plan.get("budget_axis") == row["axis"] for b in plan.get("budgets", ())]
            # One that another study asked at more is read here at what was asked here.
            largest = min(row["budget"], max(own)) if own and row["anytime"] else row["budget"]
            yield {**row, "run_ids": runs, "budget": largest}


def asked(connection: Connection, studies: Mapping[str, str], planned: bool) -> list[Asked]:
    """What every study asked for, task by task, the study that ran last at the end.

    `studies`: the declared plan by run, oldest first, as JSON; `planned`: whether the database has `plans`.
    """
    parts: dict[tuple[str, str, str], list[str]] = {}
    if planned:
        parts = {(run, task, kind): ids for run, task, kind, ids in connection.execute(_PLANS).fetchall()}
    told = {run for run, _, _ in parts}
    runs = connection.execute("select distinct run_id from run_parts").fetchall()
    before = [run for (run,) in runs if run not in told]
    if before:
        parts |= {(run, task, kind): ids for run, task, kind, ids in connection.execute(_PARTS, [before]).fetchall()}
    order = {run: place for place, run in enumerate(studies)}
    # A trial may be of a run that nobody stored: then the run is its own study.
    by_study: dict[tuple[str, str], list[str]] = {}
    for run, task in sorted({(run, task) for run, task, _ in parts}, key=lambda each: (order.get(each[0], -1), *each)):
        by_study.setdefault((_name(run, studies), task), []).append(run)
    found: list[Asked] = []
    for (study, task), ran in by_study.items():
        conditions: dict[str, tuple[str, ...]] = {}
        for run in ran:
            for condition in parts.get((run, task, "condition"), ()):
                conditions[condition] = (*conditions.get(condition, ()), run)
        questions = frozenset(parts.get((ran[-1], task, "question"), ()))
        length = _length(ran[-1], task, studies, len(questions))
        for run in reversed(ran if len(questions) < length else ()):
            own = parts.get((run, task, "condition"), [])
            shared = frozenset(id for (id,) in connection.execute(_SHARED, [own, len(own)]).fetchall())
            if len(shared) == length == _length(run, task, studies, 0):
                questions = shared
                break
        found.append(Asked(study, task, conditions, questions, length))
    return found


def _length(run: str, task: str, studies: Mapping[str, str], least: int) -> int:
    """How many questions of a task a run planned; `least` where it does not say, or says fewer."""
    return max(least, int(json.loads(studies.get(run, "{}")).get("planned_questions", {}).get(task) or 0))


def _name(run: str, studies: Mapping[str, str]) -> str:
    return str(json.loads(studies.get(run, "{}")).get("name") or run)


def scope(every: Sequence[Asked], wanted: Sequence[str] | None, conditions: Iterable[Row]) -> Scope:
    """Of these studies, or of all, those that asked the same questions, task by task.

    Where lists differ, the one most of `conditions` were asked is shown (then the longer, then the newer), and it is
    said which others there are. Raises UnknownName for a study that is not there.
    """
    known = list(dict.fromkeys(each.study for each in every))
    for name in wanted or ():
        if name not in known:
            raise UnknownName("study", name, known)
    there = {row["condition_id"] for row in conditions}
    lists: dict[str, dict[tuple[frozenset[str], int], list[Asked]]] = {}
    for each in every:
        if wanted is None or each.study in wanted:
            lists.setdefault(each.task, {}).setdefault(each.listed, []).append(each)

    def weight(alike: Sequence[Asked]) -> tuple[int, int, int]:
        shown = {condition for each in alike for condition in each.conditions} & there
        return len(shown), alike[0].planned, max(map(every.index, alike))

    shown: dict[str, tuple[Asked, ...]] = {}
    apart: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for task, groups in lists.items():
        ranked = sorted((alike for alike in groups.values() if weight(alike)[0]), key=weight, reverse=True)
        if not ranked:
            continue
        # Also those without any of the conditions: what they bought of the same questions belongs to it.
        shown[task] = tuple(ranked[0])
        called = [
            tuple(names.study(each.study) for each in alike if not there.isdisjoint(each.conditions))
            for alike in ranked
        ]
        if len(ranked) > 1:
            listed = tuple(
                f"{text.plural(alike[0].planned, 'question')} ({text.joined(studies)})"
                for studies, alike in zip(called, ranked, strict=True)
            )
            apart.setdefault((called[0], listed), []).append(names.task(task))
    notes = tuple(
        f"Studies that asked unlike questions are not pooled; on {text.joined(tasks)} they asked "
        f"{text.joined(listed)}. Shown there: {text.joined(studies)}; choose a study to see another."
        for (studies, listed), tasks in apart.items()
    )
    return Scope(shown, notes)
