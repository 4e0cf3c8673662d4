"""From a study to the trials it asks for: every condition on every question, once per repeat, with content-hash ids.

Owns the expansion of the grid, the collapse of anytime conditions to their largest budget, and the rule that a billed
model needs a price and a money ceiling. Opens models and tasks; starts no server, calls no model, reads no database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from engine.core import ids
from engine.core.errors import UsageError
from engine.core.records import Condition, Question, TrialSpec
from engine.models import charges, open_model
from engine.models.model import Model
from engine.strategies import build, entry, lineups
from engine.strategies.registry import parameters
from engine.study.schema import StrategySpec, Study
from engine.tasks import open_task
from engine.tasks.task import Task, TaskSpec

MOST_TRIALS = 1_000_000
"""No run plans more."""
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

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Every condition once, in the order of the study."""
        return tuple({spec.condition.condition_id: spec.condition for spec in self.specs}.values())


@dataclass(frozen=True, slots=True)
class _Block:
    """A task with its questions and the conditions that are asked on them."""

    task: Task
    questions: tuple[Question, ...]
    conditions: tuple[Condition, ...]


def plan(study: Study, *, sends: bool = True) -> Plan:
    """Expand a study. Raises UsageError for unknown names, unreadable tasks, or a billed model without a ceiling.

    `sends`: False for a plan that will call nobody, which needs no key.
    """
    teams = _teams(study)
    models = _opened(study, teams, sends)
    strategies: dict[str, Any] = {}
    blocks = [_block(study, spec, teams, models, strategies) for spec in study.tasks]
    by_identity: dict[str, Model] = {}
    for model in models.values():
        twin = by_identity.setdefault(model.setting.identity, model)
        if twin is not model:
            raise UsageError(f"{model.setting.name!r} and {twin.setting.name!r} are the same model; name it once.")
    return Plan(
        study=study,
        specs=_specs(study, blocks),
        strategies=strategies,
        tasks={block.task.name: block.task for block in blocks},
        models=by_identity,
    )


def _teams(study: Study) -> Teams:
    """The models each strategy is run with, by role."""
    wanted = [entry(choice.name) for choice in study.strategies]
    teams = lineups.teams(wanted, [model.name for model in study.models if model.alone], study.lineups)
    if idle := lineups.idle([model.name for model in study.models], teams):
        raise UsageError(
            f"The model {idle!r} has no part in the study: no strategy is run with it alone or in a "
            "line-up; add one that is, or take the model out."
        )
    return teams


def _opened(study: Study, teams: Teams, sends: bool) -> dict[str, Model]:
    """By name, the declared ones first."""
    declared = {model.name: model for model in study.models}
    playing = {name: None for found in teams.values() for roles in found for _, name in roles}
    models = {name: open_model(name, declared, sends=sends) for name in {**dict.fromkeys(declared), **playing}}
    _check_money(study, [*models.values()])
    for name in (name for name in teams if entry(name).needs_prefix):
        solvers = [dict(roles)["solver"] for roles in teams[name]]
        if deaf := next((solver for solver in solvers if not models[solver].continues), None):
            raise UsageError(
                f"The strategy {name!r} begins replies for the model, and {deaf!r} does not go on with them: take one "
                f"of the two out, or put continues = true in the [[models]] table of an endpoint that does."
            )
    return models


def _check_money(study: Study, models: Sequence[Model]) -> None:
    billed = [model.setting for model in models if charges.costs(model)]
    needed = [model.setting for model in models] if study.budget_axis == "usd" else billed
    unknown = [setting.name for setting in needed if setting.price is None]
    if unknown:
        raise UsageError(
            f"The price of {unknown[0]!r} is unknown; give it in USD per million tokens under its [[models]] entry: "
            "prices = { input = ..., output = ... }."
        )
    if billed and study.ceiling.pusd is None:
        raise UsageError(
            f"{billed[0].name!r} is billed, so the study needs a money ceiling: add [ceiling] with usd = ... dollars."
        )


def _block(
    study: Study, spec: TaskSpec, teams: Teams, models: Mapping[str, Model], strategies: dict[str, Any]
) -> _Block:
    task = open_task(spec)
    distinct = {question.question_id: question for question in task.questions()}
    questions = tuple(distinct.values())[: study.first_questions]
    if not questions:
        raise UsageError(f"The task {task.name!r} has no questions.")
    prompting = ids.canonical(_prompting(study, questions[0]))
    blank = Condition("", task.name, (), "", "", 0, False, study.budget_axis, 0, prompting)
    conditions = []
    for nameless, strategy in _conditions(study, blank, teams, models):
        conditions.append(replace(nameless, condition_id=ids.condition_id(nameless)))
        strategies[conditions[-1].condition_id] = strategy
    return _Block(task, questions, tuple(conditions))


def _prompting(study: Study, question: Question) -> dict[str, Any]:
    """The study's part of every prompt; what is empty is left out, so that later fields change no old id."""
    problem = question.problem
    shots = [{key: value for key, value in asdict(shot).items() if value is not None} for shot in problem.examples]
    parts = {"system": study.system, "shots": shots, "instructions": problem.instructions}
    return {key: value for key, value in parts.items() if value}


def _conditions(
    study: Study, blank: Condition, teams: Teams, models: Mapping[str, Model]
) -> Iterator[tuple[Condition, Any]]:
    for choice in study.strategies:
        for roles in teams[choice.name]:
            for condition, strategy in _budgeted(study, choice, blank):
                yield replace(condition, lineup=tuple((role, models[name].setting) for role, name in roles)), strategy


def _budgeted(study: Study, choice: StrategySpec, blank: Condition) -> Iterator[tuple[Condition, Any]]:
    """One condition per budget; an anytime strategy answers for every smaller budget at the largest one."""
    strategy = build(choice.name, dict(choice.params))
    found = entry(choice.name)
    anytime = found.anytime(strategy)
    for budget in study.budgets[-1:] if anytime else study.budgets:
        yield (
            replace(
                blank,
                strategy=choice.name,
                params=parameters(strategy),
                version=found.version,
                anytime=anytime,
                budget=budget,
            ),
            strategy,
        )


def _specs(study: Study, blocks: Sequence[_Block]) -> tuple[TrialSpec, ...]:
    wanted = study.repeats * sum(len(block.questions) * len(block.conditions) for block in blocks)
    if wanted > MOST_TRIALS:
        raise UsageError(
            f"The study asks for {wanted:,} trials and a run plans at most {MOST_TRIALS:,}; ask for "
            "fewer questions, repeats or conditions."
        )
    # The first question of every task, then the second of every task, and so on: a run that is cut short is balanced.
    turns = [
        (block.questions[at], block.conditions)
        for at in range(max(len(block.questions) for block in blocks))
        for block in blocks
        if at < len(block.questions)
    ]
    specs: dict[str, TrialSpec] = {}
    for repeat in range(study.repeats):
        for question, conditions in turns:
            for condition in conditions:
                trial_id = ids.trial_id(condition, question.question_id, repeat)
                # Two tasks may share a question; a trial is planned once.
                specs.setdefault(trial_id, TrialSpec(trial_id, condition, question, repeat))
    return tuple(specs.values())
