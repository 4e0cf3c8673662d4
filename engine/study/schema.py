"""A study: the declared plan, read from TOML and checked to the last key.

Owns the words of the study file. Opens no model, task or database and plans nothing (that is `plan`). Budgets on the
`usd` axis are dollars in the file and integer pico-dollars here; prices are USD per million tokens in the file and
pico-dollars per token here. Secrets never enter a study: it names the environment variable that holds a key.
"""

from __future__ import annotations

import itertools
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from engine.core import shipped, toml
from engine.core.budget import Limits
from engine.core.errors import UnknownName, UsageError
from engine.core.records import PUSD_PER_USD, Axis, Example
from engine.core.toml import LARGEST, Table, Text
from engine.models.declared import KEYS, ModelSpec, model_spec
from engine.models.prices import pusd
from engine.strategies import build, calibration, entries, entry, lineups, plugins
from engine.strategies.lineups import Lineup
from engine.strategies.registry import parameters
from engine.tasks import named
from engine.tasks.scorers import open_checker, open_scorer
from engine.tasks.task import TASKS, TaskSpec

CEILING_TOKENS = 50_000_000
"""Token ceiling of a run whose study sets none."""
_MOST_CHOICES = 1_000
_Count = Annotated[int, Meta(ge=1, le=LARGEST)]
_Budget = Annotated[int, Meta(ge=1, le=10**9)]
_Dollars = Annotated[float, Meta(ge=1e-12, le=1_000_000)]
REGRET = 0.03
"""The regret at which an adaptive study that does not say stops; a share."""
_TOP = (
    *("name", "base", "budget_axis", "budgets", "repeats", "system", "first_questions", "pool_max_age_days", "ceiling"),
    *("plan", "until"),
    *("models", "lineups", "tasks", "strategies", "examples", "plugins", "plugin_folders", "calibration", "without"),
)
_TASK = tuple(field.name for field in fields(TaskSpec))


@dataclass(frozen=True, slots=True)
class StrategySpec:
    """A strategy with one value for each of its parameters."""

    name: str
    params: tuple[tuple[str, Any], ...] = ()
    """Those the study sets, sorted by name; the others keep their defaults."""


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
    until: float | None = None
    """An adaptive study: it asks on while the regret of its recommendation may be more than this, a share; None: the
    whole grid is asked."""
    without: tuple[str, ...] = ()
    """Files that list questions which are left out, because a model was trained on them; see `core.used_questions`."""
    calibration: str | None = None
    """Feasibility of a calibration, which is run in place of the strategies; None: an ordinary study."""
    text: str = ""
    """The source, with `base` written into it: it can be read from any folder."""


def load(path: Path | str) -> Study:
    """The study in a file, or the example of that name (`first`); a file of one's own goes before.

    Raises UsageError with the file, the key and what is wrong."""
    path = Path(path)
    if path.name == str(path) and not path.suffix and not os.path.lexists(path):
        known = shipped.examples()
        if path.name not in known:
            raise UnknownName("study file or example", path.name, known)
        path = known[path.name]
    return parse(toml.read(path), path.name, path.resolve().parent)


def parse(text: str, where: str, base: Path | None = None) -> Study:
    """The study in a text; `where` names it in errors, relative paths start at `base` (the working directory)."""
    top = Table(where, "", toml.parse(text, where))
    top.known(_TOP)
    written = top.value("base", Text, None)
    folder = Path(written) if written else base or Path.cwd()
    axis: Axis = top.value("budget_axis", Axis, "output_tokens")
    shared = _examples(top)
    # Loaded before anything asks which strategies there are.
    own = plugins.of_study(top, folder)
    study = Study(
        name=top.value("name", Text),
        tasks=tuple(_task(table, folder, shared) for table in top.tables("tasks", lambda _: _TASK)),
        # A study with line-ups may leave the models out that it has nothing to say about.
        models=()
        if "lineups" in top.body and "models" not in top.body
        else tuple(model_spec(table, folder) for table in top.tables("models", lambda _: KEYS)),
        # A calibration needs none of what is compared.
        strategies=() if "calibration" in top.body else _strategies(top),
        budgets=_budgets(top, axis),
        budget_axis=axis,
        repeats=top.value("repeats", Annotated[int, Meta(ge=1, le=10_000)], 1),
        system=top.value("system", Text, None),
        ceiling=_ceiling(top),
        first_questions=top.value("first_questions", Annotated[int, Meta(ge=1, le=10_000_000)], None),
        pool_max_age_days=top.value("pool_max_age_days", Annotated[float, Meta(ge=0, le=36_500)], 30.0),
        lineups=lineups.read(top),
        plugins=own,
        until=_until(top),
        without=tuple(
            str(toml.located(top.checked("each of without", Text, each), folder)) for each in top.items("without")
        )
        if "without" in top.body
        else (),
        # The user's own text with its comments; the line in front makes it readable from any folder.
        text=text if "base" in top.body else toml.dump({"base": str(folder)}) + text,
    )
    named = {
        "model": [model.name for model in study.models],
        "line-up": [lineup.name for lineup in study.lineups],
        # Defaults written out, so that a parameter set to its default is no other strategy.
        "strategy": [f"{c.name} {parameters(build(c.name, dict(c.params)))}" for c in study.strategies],
        "task": [f"{task.name} (seed {task.seed}, {task.level})" for task in study.tasks],
    }
    for kind, names in named.items():
        for name, count in Counter(names).items():
            if count > 1:
                raise UsageError(f"The {kind} {name} stands {count} times in {where}; once is enough.")
    if "calibration" not in top.body:
        return study
    # Written by `calibrate` alone: the search for token budgets stands in place of what a study compares.
    feasibility = top.value("calibration", Literal[calibration.FEASIBILITIES])
    judging = {task.judge for task in study.tasks}
    models = tuple(model for model in study.models if model.alone or model.name in judging)
    if not any(model.alone for model in models):
        raise UsageError(f"{where} has no model that is asked alone, so there is nothing to calibrate.")
    return replace(
        study,
        name=f"{study.name}: {calibration.LABEL}",
        models=models,
        strategies=(StrategySpec(calibration.LABEL, (("feasibility", feasibility),)),),
        budgets=(calibration.BudgetSearch().calls,),
        budget_axis="calls",
        repeats=1,
        lineups=(),
        until=None,
        calibration=feasibility,
    )


def regret(words: str) -> float:
    """The share in `regret <= 3 points` (or `3%`, or `3`). Raises UsageError."""
    found = re.fullmatch(r"\s*(?:regret\s*<=?\s*)?(\d{1,3}(?:\.\d{1,4})?)\s*(?:points?|%)?\s*", words)
    if found is None:
        raise UsageError(f"until is written as 'regret <= 3 points', not {words[:80]!r}.")
    if not 0.1 <= (points := float(found[1])) <= 50:
        raise UsageError(f"A regret to stop at lies between 0.1 and 50 points, not at {points:g}.")
    return points / 100


def until_words(share: float) -> str:
    """As `regret` reads it."""
    return f"regret <= {round(100 * share, 4):g} points"


def adaptive(study: Study, until: str | None = None) -> Study:
    """The study as an adaptive one, whatever its text says; `until` None: as it says there, or 3 points."""
    body = toml.parse(study.text, "the study")
    wished = {"until": until_words(regret(until))} if until is not None else {}
    return parse(toml.dump({**body, "plan": "adaptive", **wished}), "the study")


def with_ceiling(text: str, wished: Limits) -> str:
    """The study's text with a new ceiling; limits that are None stay as they were. Raises UsageError.

    The text is written anew, so comments in it are lost: it is the run's own copy, and the user's file stays."""
    top = Table("study.toml", "", toml.parse(text, "study.toml"))
    before = top.table("ceiling")
    usd = None if wished.pusd is None else wished.pusd / PUSD_PER_USD
    named = {"tokens": wished.tokens, "calls": wished.calls, "usd": usd}
    given = {key: value for key, value in named.items() if value is not None}
    changed = toml.dump({**top.body, "ceiling": {**(before.body if before else {}), **given}})
    parse(changed, "study.toml")
    return changed


def as_json(study: Study) -> dict[str, Any]:
    """The plan for the store and for reports; no secret is in it, because none is in a study."""
    together = [{"name": lineup.name, **dict(lineup.roles)} for lineup in study.lineups]
    models = []
    for model in study.models:
        body = asdict(model)
        # Settings stand beside the other keys, as in the file.
        del body["settings"]
        models.append({**_set_only(body, ModelSpec("")), **model.settings.given})
    return {
        "name": study.name,
        "budget_axis": study.budget_axis,
        "budgets": list(study.budgets),
        "repeats": study.repeats,
        "system": study.system,
        "tasks": [_set_only(asdict(task), TaskSpec("")) for task in study.tasks],
        "models": models,
        "strategies": [{"name": choice.name, **dict(choice.params)} for choice in study.strategies],
        "ceiling": asdict(study.ceiling),
        **({"lineups": together} if together else {}),
        **({"plugins": list(study.plugins)} if study.plugins else {}),
        **({"plan": "adaptive", "until": until_words(study.until)} if study.until is not None else {}),
        **({"without": [Path(each).name for each in study.without]} if study.without else {}),
        **({"calibration": study.calibration} if study.calibration else {}),
    }


def _set_only(body: dict[str, Any], usual: Any) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key == "name" or value != getattr(usual, key)}


def _strategies(top: Table) -> tuple[StrategySpec, ...]:
    """Each combination of the listed values, since a list sweeps."""

    def known(body: Mapping[str, Any]) -> Iterable[str]:
        name = body.get("name")
        return ("name", *entry(name).knobs) if isinstance(name, str) else body

    choices: list[StrategySpec] = []
    combinations = 0
    for table in top.tables("strategies", known):
        name = table.value("name", Text)
        if not entry(name).listed:
            raise UnknownName("strategy", name, entries())
        # Sorted, so that the order of a table decides nothing.
        knobs = {key: value for key, value in sorted(table.body.items()) if key != "name"}
        swept = [table.items(key) if isinstance(value, list) else [value] for key, value in knobs.items()]
        combinations += math.prod(len(values) for values in swept)
        if combinations > _MOST_CHOICES:
            raise UsageError(
                f"{table.place} sweeps over more than {_MOST_CHOICES:,} combinations, with those before it."
            )
        for values in itertools.product(*swept):
            choices.append(StrategySpec(name, tuple(zip(knobs, values, strict=True))))
            try:
                build(name, dict(choices[-1].params))
            except UsageError as error:
                raise UsageError(f"{table.place}: {error}") from None
    return tuple(choices)


def _budgets(top: Table, axis: Axis) -> tuple[int, ...]:
    # On `usd` the file says dollars; here they are whole pico-dollars.
    kind = _Dollars if axis == "usd" else _Budget
    values = [top.checked("each of budgets", kind, value) for value in top.items("budgets")]
    budgets = [pusd(value) if axis == "usd" else value for value in values]
    if len(set(budgets)) < len(budgets):
        raise UsageError(f"budgets in {top.where} names a budget twice; every budget once is enough.")
    return tuple(sorted(budgets))


def _until(top: Table) -> float | None:
    words = top.value("until", Text, None)
    if top.value("plan", Literal["grid", "adaptive"], "grid") == "grid":
        if words is not None:
            raise UsageError(f'{top.where} has until, which an adaptive study takes; add plan = "adaptive".')
        return None
    if words is None:
        return REGRET
    try:
        return regret(words)
    except UsageError as error:
        raise UsageError(f"{top.where}: {error}") from None


def _ceiling(top: Table) -> Limits:
    table = top.table("ceiling")
    if table is None:
        return Limits(tokens=CEILING_TOKENS)
    table.known(("tokens", "calls", "usd"))
    usd = table.value("usd", Annotated[float, Meta(ge=0, le=1_000_000)], None)
    return Limits(
        calls=table.value("calls", _Count, None),
        tokens=table.value("tokens", _Count, CEILING_TOKENS),
        pusd=None if usd is None else pusd(usd),
    )


def task_alone(table: Mapping[str, Any], where: str, base: Path | None = None) -> TaskSpec:
    """One [[tasks]] table as a study would take it; `where` names it in errors. Raises UsageError in its words."""
    usual = 'name = "task"\nbudgets = [1]\nmodels = ["scripted/adder"]\nstrategies = ["direct"]\n'
    return parse(usual + toml.dump({"tasks": [dict(table)]}), where, base).tasks[0]


_OF_FILES = (
    *("kind", "statement", "choices_column", "checker"),
    *("id_column", "kind_column", "messages_column", "stratify_column", "skip_bad", "judge", "rubric"),
)
"""What is said of files, and of public benchmarks as far as it stands in `_OF_BOTH`."""
_OF_BOTH = ("statement", "stratify_column")


def _task(table: Table, folder: Path, shared: tuple[Example, ...]) -> TaskSpec:
    task = table.fields(TaskSpec, examples=_examples(table))
    if task.shots and task.examples:
        raise UsageError(f"{table.place} has both shots and examples; give one of them.")
    file, public = task.name.startswith("file:"), named.known(task.name) and task.name not in TASKS
    if file:
        task = replace(task, name=f"file:{toml.located(task.name.removeprefix('file:'), folder)}")
    elif task.scorer is not None and not public:
        raise UsageError(f"{table.place} has a scorer, which tasks of files take; {task.name} has its own.")
    elif own := [key for key in _OF_FILES if key in table.body and not (public and key in _OF_BOTH)]:
        raise UsageError(f"{table.place} has {own[0]}, which tasks of files take; {task.name} says it itself.")
    if not public and (theirs := [key for key in ("subset", "path", "revision") if key in table.body]):
        raise UsageError(f"{table.place} has {theirs[0]}, which public benchmarks take, such as gsm8k.")
    if task.path is not None:
        task = replace(task, path=f"{toml.located(task.path, folder)}")
    if task.scorer is not None:
        open_scorer(task.scorer)
    if task.checker is not None:
        open_checker(task.checker)
    # Examples of the whole study go to tasks that bring none of their own.
    return task if task.shots or task.examples else replace(task, examples=shared)


def _examples(table: Table) -> tuple[Example, ...]:
    if "examples" not in table.body:
        return ()
    tables = table.tables("examples", lambda _: ("question", "reasoning", "answer"))
    return tuple(
        Example(each.value("question", Text), each.value("answer", Text), each.value("reasoning", Text, None))
        for each in tables
    )
