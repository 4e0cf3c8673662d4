"""The [[strategies]] tables of a study: which strategies are compared, with which parameters; a list sweeps.

Owns their keys and the spreading of sweeps. Makes no strategy but to see that its parameters are taken.

What a [[models]] table of a study says, checked to the last key.

Owns its words: endpoint, key variable, file, prices, rates. Opens no model and holds no secret: a study names the
environment variable a key is in.

A study: the declared plan, read from TOML and checked to the last key.

Owns the words of the study file. Opens no model, task or database and plans nothing (that is `plan`). Budgets on the
`usd` axis are dollars in the file and integer pico-dollars here; prices are USD per million tokens in the file and
pico-dollars per token here. Secrets never enter a study: it names the environment variable that holds a key.
"""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from engine.core import codec
from engine.core.budget import Limits
from engine.core.errors import UnknownName, UsageError
from engine.core.records import AXES, PUSD_PER_USD, Axis, Example
from engine.models.declared import KEYS, ModelSpec, model_spec
from engine.models.prices import pusd
from engine.strategies import build, calibration, entries, entry, lineups, plugins
from engine.strategies.lineups import Lineup
from engine.strategies.registry import parameters
from engine.tasks.scorers import open_scorer
from engine.tasks.task import TaskSpec

_MOST_CHOICES = 1_000


@dataclass(frozen=True, slots=True)
class StrategySpec:
    """A strategy with one value for each of its parameters."""

    name: str
    params: tuple[tuple[str, Any], ...] = ()
    """Those the study sets, sorted by name; the others keep their defaults."""


def read(top: codec.Table) -> tuple[StrategySpec, ...]:
    """What is compared; a calibration compares nothing, so it needs none of what is named."""
    if "calibration" in top.body:
        return ()
    return tuple(choice for table in top.tables("strategies", _knobs) for choice in _strategy_specs(table))


def _strategy_specs(table: codec.Table) -> list[StrategySpec]:
    """Each combination of the listed values; a list sweeps."""
    name = table.required("name")
    if not entry(name).listed:
        raise UnknownName("strategy", name, entries())
    knobs = {key: value for key, value in sorted(table.body.items()) if key != "name"}
    swept = [table.items(key) if isinstance(value, list) else [value] for key, value in knobs.items()]
    if math.prod(len(values) for values in swept) > _MOST_CHOICES:
        raise UsageError(f"{table.place} sweeps over more than {_MOST_CHOICES:,} combinations.")
    found = [StrategySpec(name, tuple(zip(knobs, values, strict=True))) for values in itertools.product(*swept)]
    for choice in found:
        _tried(choice, table.place)
    return found


def _tried(choice: StrategySpec, place: str) -> None:
    try:
        build(choice.name, dict(choice.params))
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from None


def _knobs(body: Mapping[str, Any]) -> Iterable[str]:
    name = body.get("name")
    return ("name", *entry(name).knobs) if isinstance(name, str) else body


CEILING_TOKENS = 50_000_000
"""Token ceiling of a run whose study sets none."""
_MOST_REPEATS = 10_000
_MOST_USD = 1_000_000


@dataclass(frozen=True)
class Study:
    """The declared grid: strategies x tasks x models x budgets, each question `repeats` times."""

    name: str
    tasks: tuple[TaskSpec, ...]
    models: tuple[ModelSpec, ...]
    strategies: tuple[StrategySpec, ...]
    """Sweeps already spread out."""
    budgets: tuple[int, ...]
    """Ascending, in the unit of the axis; pico-dollars on `usd`."""
    budget_axis: Axis = "output_tokens"
    repeats: int = 1
    system: str | None = None
    """System prompt before every call; None: none."""
    ceiling: Limits = Limits(tokens=CEILING_TOKENS)
    """What a run may spend at most; tokens are always limited."""
    first_questions: int | None = None
    """Ask only so many of each task's questions, the first ones; None: all."""
    pool_max_age_days: float = 30.0
    """Completions of remote models older than this are bought anew."""
    lineups: tuple[Lineup, ...] = ()
    """Models that work together, for strategies that ask more than one."""
    plugins: tuple[str, ...] = ()
    """Modules of the user's own strategies."""
    calibration: str | None = None
    """Feasibility of a calibration, which is run in place of the strategies; None: an ordinary study."""
    text: str = ""
    """The source, with `base` written into it: it can be read from any folder."""


def load(path: Path | str) -> Study:
    """The study in a file. Raises UsageError with the file, the key and what is wrong."""
    path = Path(path)
    return parse(codec.read(path), path.name, path.resolve().parent)


def parse(text: str, where: str, base: Path | None = None) -> Study:
    """The study in a text; `where` names it in errors, relative paths start at `base` (the working directory)."""
    top = codec.Table(where, "", codec.parse(text, where), _TOP)
    written = top.text("base", None)
    folder = Path(written) if written else base or Path.cwd()
    axis = cast(Axis, top.one_of("budget_axis", "output_tokens", AXES))
    shared = _examples(top)
    own = plugins.of_study(top, folder)
    study = Study(
        name=top.required("name"),
        tasks=tuple(_task(table, folder, shared) for table in top.tables("tasks", lambda _: _TASK)),
        models=_models(top, folder),
        strategies=read(top),
        budgets=_budgets(top, axis),
        budget_axis=axis,
        repeats=top.integer("repeats", 1, 1, _MOST_REPEATS),
        system=top.text("system", None),
        ceiling=_ceiling(top),
        first_questions=top.integer("first_questions", None, 1, 10_000_000),
        pool_max_age_days=float(top.number("pool_max_age_days", Decimal(30), 0, 36_500)),
        lineups=lineups.read(top),
        plugins=own,
        text=text if "base" in top.body else f"base = {json.dumps(str(folder), ensure_ascii=False)}\n{text}",
    )
    return _calibrated(_without_twins(study, where), top)


def with_ceiling(text: str, wished: Limits) -> str:
    """The study's text with a new ceiling; limits that are None stay as they were. Raises UsageError."""
    usd = None if wished.pusd is None else wished.pusd / PUSD_PER_USD
    named = {"tokens": wished.tokens, "calls": wished.calls, "usd": usd}
    changed = codec.with_table(text, "ceiling", {key: value for key, value in named.items() if value is not None})
    if changed is None:
        raise UsageError("The ceiling could not be written into study.toml of the run; change it there by hand.")
    parse(changed, "study.toml")
    return changed


def as_json(study: Study) -> dict[str, Any]:
    """The plan for the store and for reports; no secret is in it, because none is in a study."""
    together = [{"name": lineup.name, **dict(lineup.roles)} for lineup in study.lineups]
    return {
        "name": study.name,
        "budget_axis": study.budget_axis,
        "budgets": list(study.budgets),
        "repeats": study.repeats,
        "system": study.system,
        "tasks": [_set_only(asdict(task), TaskSpec("")) for task in study.tasks],
        "models": [_declared(model) for model in study.models],
        "strategies": [{"name": choice.name, **dict(choice.params)} for choice in study.strategies],
        "ceiling": asdict(study.ceiling),
        **({"lineups": together} if together else {}),
        **({"plugins": list(study.plugins)} if study.plugins else {}),
        **({"calibration": study.calibration} if study.calibration else {}),
    }


_TOP = (
    "name",
    "base",
    "budget_axis",
    "budgets",
    "repeats",
    "system",
    "first_questions",
    "pool_max_age_days",
    "ceiling",
    "models",
    "lineups",
    "tasks",
    "strategies",
    "examples",
    "plugins",
    "plugin_folders",
    "calibration",
)
_TASK = tuple(field.name for field in fields(TaskSpec))


def _models(top: codec.Table, folder: Path) -> tuple[ModelSpec, ...]:
    """Those declared; a study with line-ups may leave them out."""
    if "lineups" in top.body and "models" not in top.body:
        return ()
    return tuple(model_spec(table, folder) for table in top.tables("models", lambda _: KEYS))


def _budgets(top: codec.Table, axis: Axis) -> tuple[int, ...]:
    budgets = [_budget(top, value, axis) for value in top.items("budgets")]
    twins = [value for value, count in Counter(budgets).items() if count > 1]
    if twins:
        raise UsageError(f"budgets in {top.where} names a budget twice; every budget once is enough.")
    return tuple(sorted(budgets))


def _budget(top: codec.Table, value: object, axis: Axis) -> int:
    one = codec.Table(top.where, "", {"each of budgets": value}, ("each of budgets",))
    if axis != "usd":
        return one.integer("each of budgets", 0, 1, 10**9)
    dollars = one.number("each of budgets", Decimal(0), 1e-12, _MOST_USD)
    return pusd(dollars)


def _ceiling(top: codec.Table) -> Limits:
    table = top.table("ceiling", ("tokens", "calls", "usd"))
    if table is None:
        return Limits(tokens=CEILING_TOKENS)
    usd = table.number("usd", None, 0, _MOST_USD)
    return Limits(
        calls=table.integer("calls", None, 1),
        tokens=table.integer("tokens", CEILING_TOKENS, 1),
        pusd=None if usd is None else pusd(usd),
    )


def _task(table: codec.Table, folder: Path, shared: tuple[Example, ...]) -> TaskSpec:
    shots = table.integer("shots", 0, 0, 64)
    examples = _examples(table) or (() if shots else shared)
    if shots and examples:
        raise UsageError(f"{table.place} has both shots and examples; give one of them.")
    return TaskSpec(
        name=_located(table.required("name"), folder),
        questions=table.integer("questions", None, 1, 10_000_000),
        seed=table.integer("seed", 0, 0, 10**6),
        level=table.text("level", "easy"),
        shots=shots,
        examples=examples,
        question_column=table.text("question_column", "question"),
        answer_column=table.text("answer_column", "answer"),
        category_column=table.text("category_column", None),
        context_column=table.text("context_column", None),
        scorer=_scorer(table),
    )


def _scorer(table: codec.Table) -> str | None:
    name = table.text("scorer", None)
    if name is not None and not table.required("name").startswith("file:"):
        raise UsageError(
            f"{table.place} has a scorer, which tasks of files take; {table.required('name')} has its own."
        )
    if name is not None:
        open_scorer(name)
    return name


def _located(name: str, folder: Path) -> str:
    if not name.startswith("file:"):
        return name
    return f"file:{codec.path(name.removeprefix('file:'), folder)}"


def _examples(table: codec.Table) -> tuple[Example, ...]:
    if "examples" not in table.body:
        return ()
    found = table.tables("examples", lambda _: ("question", "reasoning", "answer"))
    return tuple(
        Example(each.required("question"), each.required("answer"), each.text("reasoning", None)) for each in found
    )


def _without_twins(study: Study, where: str) -> Study:
    """Refuse what is declared twice, parameters at their defaults included."""
    listed = {
        "model": [model.name for model in study.models],
        "line-up": [lineup.name for lineup in study.lineups],
        "strategy": [f"{c.name} {parameters(build(c.name, dict(c.params)))}" for c in study.strategies],
        "task": [f"{task.name} (seed {task.seed}, {task.level})" for task in study.tasks],
    }
    for kind, names in listed.items():
        for name, count in Counter(names).items():
            if count > 1:
                raise UsageError(f"The {kind} {name} stands {count} times in {where}; once is enough.")
    return study


def _calibrated(study: Study, top: codec.Table) -> Study:
    """With the search for token budgets in place of what it compares, if it says so: written by `calibrate` alone."""
    if "calibration" not in top.body:
        return study
    told = top.one_of("calibration", "", calibration.FEASIBILITIES)
    search = StrategySpec(calibration.LABEL, (("feasibility", told),))
    models = tuple(model for model in study.models if model.alone)
    if not models:
        raise UsageError(f"{top.where} has no model that is asked alone, so there is nothing to calibrate.")
    return replace(
        study,
        name=f"{study.name}: {calibration.LABEL}",
        models=models,
        strategies=(search,),
        budgets=(calibration.BudgetSearch().calls,),
        budget_axis="calls",
        repeats=1,
        lineups=(),
        calibration=told,
    )


def _declared(model: ModelSpec) -> dict[str, Any]:
    """Settings stand beside the other keys, as in the file."""
    body = asdict(model)
    del body["settings"]
    return {**_set_only(body, ModelSpec("")), **model.settings.given}


def _set_only(body: dict[str, Any], usual: Any) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key == "name" or value != getattr(usual, key)}
