"""From a study to the trials it asks for: every condition on every question, once per repeat, with content-hash ids.

Owns the expansion of the grid, the collapse of anytime conditions to their largest budget, and the rule that a billed
model needs a price and a money ceiling. Opens models and tasks; starts no server, calls no model, reads no database.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from engine.core import ids, names, text, used_questions
from engine.core.errors import UsageError
from engine.core.memory import rare_collections
from engine.core.records import Condition, Problem, Question, TrialSpec
from engine.models import charges, open_model, prepare
from engine.models.model import Model
from engine.strategies import build, entry, lineups
from engine.strategies.registry import parameters
from engine.study.schema import StrategySpec, Study
from engine.tasks import open_task
from engine.tasks.task import Task
from engine.trial.judge import Judge

MOST_TRIALS = 4_000_000
MOST_CONDITIONS = 20_000
"""No run plans more of them."""
Teams = Mapping[str, Sequence[lineups.Roles]]
"""By strategy, the models it is run with."""


@dataclass(frozen=True)
class Plan:
    """What a run works through."""

    study: Study
    specs: tuple[TrialSpec, ...]
    """By repeat, then question (tasks taking turns), then condition: a run stopped half-way is balanced, and trials
    that share draws run together."""
    strategies: Mapping[str, Any]
    """Strategy instance by condition id."""
    tasks: Mapping[str, Task]
    """By the task's own name, as conditions and questions carry it."""
    models: Mapping[str, Model]
    """By model identity."""
    judges: Mapping[str, Judge] = field(default_factory=dict)
    """By the name of their task, the models that score its answers; other tasks score them themselves."""
    notes: tuple[str, ...] = ()
    """How the answers to each file will be read and why, a sentence each; to be read before a run."""

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Every condition once, in the order of the study."""
        return tuple({spec.condition.condition_id: spec.condition for spec in self.specs}.values())


def plan(study: Study, *, sends: bool = True) -> Plan:
    """Expand a study. Raises UsageError for unknown names, unreadable tasks, or a billed model without a ceiling.

    `sends`: False for a plan that will call nobody, which needs no key.
    """
    with rare_collections():
        return _expanded(study, sends)


def _expanded(study: Study, sends: bool) -> Plan:
    prepare(study.models, sends=sends)
    wanted = [entry(choice.name) for choice in study.strategies]
    teams = lineups.teams(wanted, [model.name for model in study.models if model.alone], study.lineups)
    judging = {spec.judge for spec in study.tasks if spec.judge}
    if idle := lineups.idle([model.name for model in study.models if model.name not in judging], teams):
        raise UsageError(
            f"The model {idle!r} has no part in the study: no strategy is run with it alone or in a "
            "line-up; add one that is, or take the model out."
        )
    budgets = {choice: 1 if _anytime(choice) else len(study.budgets) for choice in study.strategies}
    asked = len(study.tasks) * sum(len(teams[choice.name]) * number for choice, number in budgets.items())
    # Before anything is opened: making each of them takes its time.
    if asked > MOST_CONDITIONS:
        raise UsageError(
            f"The study asks for {asked:,} conditions (tasks × models × strategies × budgets) and a run plans at "
            f"most {MOST_CONDITIONS:,}; ask for fewer of them."
        )
    models = _opened(study, teams, sends)
    tasks: dict[str, Task] = {}
    judges: dict[str, Judge] = {}
    strategies: dict[str, Any] = {}
    grids: list[tuple[tuple[Question, ...], list[Condition]]] = []
    notes: list[str] = []
    used = frozenset(id for each in study.without for id in used_questions.read(Path(each)))
    for spec in study.tasks:
        task = open_task(spec)
        tasks[task.name] = task
        if spec.judge and spec.rubric:
            judges[task.name] = Judge(models[spec.judge], spec.rubric)
            if told := next((each.name for each in wanted if each.oracle), None):
                raise UsageError(
                    f"The strategy {told!r} is told which answers are right, which the judge of "
                    f"{names.task(task.name)} says only afterwards; take one of the two out."
                )
        questions, left = _asked(study, task, used)
        notes += [left] if left else []
        # Rows of another kind are put in other words; the condition is named by those of most.
        framings = Counter((question.problem.instructions, question.problem.examples) for question in questions)
        usual = framings.most_common(1)[0][0]
        problem = next(q.problem for q in questions if (q.problem.instructions, q.problem.examples) == usual)
        built = list(_conditions(study, task.name, problem, teams, models))
        strategies |= {condition.condition_id: strategy for condition, strategy in built}
        grids.append((questions, [condition for condition, _ in built]))
    by_identity: dict[str, Model] = {}
    for model in models.values():
        twin = by_identity.setdefault(model.setting.identity, model)
        if twin is not model:
            raise UsageError(f"{model.setting.name!r} and {twin.setting.name!r} are the same model; name it once.")
    trials = study.repeats * sum(len(questions) * len(conditions) for questions, conditions in grids)
    if trials > MOST_TRIALS:
        raise UsageError(
            f"The study asks for {trials:,} trials and a run plans at most {MOST_TRIALS:,}; ask for "
            "fewer questions, repeats or conditions."
        )
    specs: dict[str, TrialSpec] = {}
    named = [(questions, conditions, [ids.setting(each) for each in conditions]) for questions, conditions in grids]
    # The first question of every task, then the second of every task, and so on: a run that is cut short is balanced.
    for repeat, at in itertools.product(range(study.repeats), range(max(len(questions) for questions, _ in grids))):
        for questions, conditions, settings in named:
            for question in questions[at : at + 1]:
                trial_ids = ids.trial_ids(settings, question.question_id, repeat)
                for condition, trial_id in zip(conditions, trial_ids, strict=True):
                    # Two tasks may share a question; a trial is planned once.
                    if trial_id not in specs:
                        specs[trial_id] = TrialSpec(trial_id, condition, question, repeat)
    notes += [note for task in tasks.values() if (note := getattr(task, "note", ""))]
    return Plan(study, tuple(specs.values()), strategies, tasks, by_identity, judges, tuple(notes))


def _asked(study: Study, task: Task, used: frozenset[str]) -> tuple[tuple[Question, ...], str]:
    """The questions of a task that a study asks, and what is to be said of those it leaves out. Raises UsageError where
    none is left."""
    distinct = {question.question_id: question for question in task.questions()}
    note = ""
    if left := distinct.keys() & used:
        # Of all settings and not of the trained one alone: what is compared stands on the same questions.
        distinct = {id: question for id, question in distinct.items() if id not in used}
        note = f"{text.plural(len(left), 'question')} of {names.task(task.name)} were trained on and are left out."
    questions = tuple(distinct.values())[: study.first_questions]
    if not questions:
        why = ": those it has were trained on, as without says" if left else ""
        raise UsageError(f"The task {names.task(task.name)!r} has no questions{why}.")
    return questions if study.until is None else in_random_order(questions), note


def in_random_order(questions: Sequence[Question]) -> tuple[Question, ...]:
    """The one order in which adaptive studies ask: as random as the hash of what a question asks, and so the same in
    every study that asks it, whoever looked at what before. Those that ask the same stay together."""

    def place(question: Question) -> str:
        text, document, turns = question.problem.cluster
        # The text alone where there is no more, as ever: an order that was fixed stays.
        whole = [text, document, *([turn.role, turn.content] for turn in turns)]
        return ids.digest("o1", text if whole == [text, None] else whole)

    return tuple(sorted(questions, key=place))


def _anytime(choice: StrategySpec) -> bool:
    """Whether a strategy answers for every smaller budget at the largest one."""
    return entry(choice.name).anytime(build(choice.name, dict(choice.params)))


def _opened(study: Study, teams: Teams, sends: bool) -> dict[str, Model]:
    """By name, the declared ones first; what is billed has its price and its ceiling."""
    declared = {model.name: model for model in study.models}
    playing = {name: None for lineups in teams.values() for roles in lineups for _, name in roles}
    judging = {spec.judge: None for spec in study.tasks if spec.judge}
    every = {**dict.fromkeys(declared), **playing, **judging}
    models = {name: open_model(name, declared, sends=sends) for name in every}
    billed = [model.setting for model in models.values() if charges.costs(model)]
    # A budget in dollars needs the price of local models too: they are what it is counted in.
    priced = [model.setting for model in models.values()] if study.budget_axis == "usd" else billed
    if unknown := [setting for setting in priced if setting.price is None]:
        counted = "" if unknown[0] in billed else ", which budgets in dollars are counted in: count tokens or calls, or"
        raise UsageError(
            f"The price of {unknown[0].name!r} is unknown{counted or ';'} give it in USD per million tokens under its "
            "[[models]] entry: prices = { input = ..., output = ... }."
        )
    if billed and study.ceiling.pusd is None:
        raise UsageError(
            f"{billed[0].name!r} is billed, so the study needs a money ceiling: add [ceiling] with usd = ... dollars."
        )
    for name in (name for name in teams if entry(name).needs_prefix):
        solvers = [dict(roles)["solver"] for roles in teams[name]]
        if deaf := next((solver for solver in solvers if not models[solver].continues), None):
            raise UsageError(
                f"The strategy {name!r} begins replies for the model, and {deaf!r} does not go on with them: take one "
                f"of the two out, or put continues = true in the [[models]] table of an endpoint that does."
            )
    return models


def _conditions(
    study: Study, task: str, problem: Problem, teams: Teams, models: Mapping[str, Model]
) -> Iterator[tuple[Condition, Any]]:
    """The conditions of a task, by one of its problems, each with its strategy."""
    shots = [{key: value for key, value in asdict(shot).items() if value is not None} for shot in problem.examples]
    parts = {"system": study.system, "shots": shots, "instructions": problem.instructions}
    # What is empty is left out of an id, so that later fields change no old one.
    prompting = ids.canonical({key: value for key, value in parts.items() if value})
    for choice in study.strategies:
        registered = entry(choice.name)
        for roles in teams[choice.name]:
            lineup = tuple((role, models[name].setting) for role, name in roles)
            strategy = build(choice.name, dict(choice.params))
            anytime = registered.anytime(strategy)
            # An anytime strategy answers for every smaller budget at the largest one.
            for budget in study.budgets[-1:] if anytime else study.budgets:
                condition = Condition(
                    condition_id="",
                    task=task,
                    lineup=lineup,
                    strategy=choice.name,
                    params=parameters(strategy),
                    version=registered.version,
                    anytime=anytime,
                    axis=study.budget_axis,
                    budget=budget,
                    prompting=prompting,
                )
                yield replace(condition, condition_id=ids.condition_id(condition)), strategy
