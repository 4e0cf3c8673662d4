"""calibrate: the smallest token budget per question, as a run of its own, a table and a file. It uses the targets."""

from __future__ import annotations

import csv
import json
import os
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from engine.cli import show
from engine.core.budget import Limits
from engine.core.errors import UnknownName, UsageError
from engine.models.prices import pusd
from engine.strategies.calibration import FEASIBILITIES, LABEL, Search
from engine.study.calibrating import Found, calibration_of, found_in, row_of
from engine.study.schema import Study, load, parse, with_ceiling

if TYPE_CHECKING:
    from engine.study.plan import Plan

ENDINGS = (".jsonl", ".csv")
_FORMULAS = tuple("=+-@\t\r\n＝＋－＠")
_HEAD = (
    "task",
    "model",
    "feasibility",
    "questions",
    "feasible",
    "vanilla tokens",
    "found budget",
    "used there",
    "tokens saved",
)
_NOTES = (
    f"{LABEL}: it was told which answers are right, so no budget found here is a result of a strategy.",
    "feasible: questions whose vanilla chain is right; the other figures are medians over these, and tokens saved is "
    "what they save in all under the budgets found. Questions whose trial failed are left out.",
)


def study_of(options: Namespace) -> Study:
    """The calibration that was asked for, as a study. Raises UsageError, also where --out could not be written."""
    _check_target(options.out)
    return _limited(calibration_of(_asked(options), _feasibility(options)), options)


def write(out: Path, db: Path, planned: Plan) -> int:
    """What was found, one row a question; how many rows that are."""
    rows = [row_of(each) for each in found_in(db, planned)]
    _write(out, rows)
    return len(rows)


def results(db: Path, planned: Plan) -> None:
    """The table, a line for each task and model."""
    groups: dict[str, list[Found]] = {}
    for each in found_in(db, planned):
        groups.setdefault(each.condition.condition_id, []).append(each)
    show.table(_HEAD, [_row(group) for group in groups.values()], numeric=range(3, 9))
    show.say()
    for note in _NOTES:
        show.say(note)


def _asked(options: Namespace) -> Study:
    """The study named, or one of a single task and model."""
    if options.study is not None:
        if given := [flag for flag in ("task", "model", "questions") if getattr(options, flag) is not None]:
            raise UsageError(f"--{given[0]} goes without a study file; a study names its own.")
        return load(options.study)
    if options.task is None or options.model is None:
        raise UsageError(
            "Name a study, or a task and a model: `budgetscope calibrate --task gym:chain_sum --model "
            "local/smollm2-135m --questions 20`."
        )
    count = "" if options.questions is None else f"questions = {options.questions}\n"
    name, model = json.dumps(show.clean(options.task)), json.dumps(show.clean(options.model))
    return parse(
        f'name = {name}\nbudget_axis = "calls"\nbudgets = [1]\nstrategies = ["chain_of_thought"]\n'
        f"[[tasks]]\nname = {name}\n{count}[[models]]\nname = {model}\n",
        "this command",
        Path.cwd(),
    )


def _feasibility(options: Namespace) -> str:
    if options.feasibility not in FEASIBILITIES:
        raise UnknownName("feasibility", options.feasibility, FEASIBILITIES)
    return str(options.feasibility)


def _limited(study: Study, options: Namespace) -> Study:
    """Under the ceiling of the command line, if there is one."""
    usd = None if options.ceiling_usd is None else pusd(options.ceiling_usd)
    wished = Limits(tokens=options.ceiling_tokens, pusd=usd)
    return study if wished == Limits() else parse(with_ceiling(study.text, wished), study.name)


def _row(group: Sequence[Found]) -> tuple[str, ...]:
    condition = group[0].condition
    judged = [each.search for each in group if each.trial.end in ("finished", "exhausted")]
    feasible = [search for search in judged if search.found_budget is not None]
    told = (condition.task, condition.solver.name, json.loads(condition.params)["feasibility"])
    share = show.percent(len(feasible) / len(judged) if judged else None)
    names = ("vanilla_tokens", "found_budget", "found_tokens")
    return (*told, show.number(len(judged)), share, *(_median(feasible, name) for name in names), _saved(feasible))


def _median(searches: Sequence[Search], name: str) -> str:
    return show.number(median(getattr(each, name) for each in searches)) if searches else show.UNKNOWN


def _saved(searches: Sequence[Search]) -> str:
    before = sum(each.vanilla_tokens or 0 for each in searches)
    saved = before - sum(each.found_tokens or 0 for each in searches)
    return f"{saved:,} ({show.percent(saved / before)})" if before else show.UNKNOWN


def _check_target(path: Path | None) -> None:
    """Before anything is paid."""
    if path is None:
        return
    if path.suffix.lower() not in ENDINGS:
        raise UnknownName("ending of --out", path.suffix or path.name, ENDINGS)
    if not path.resolve().parent.is_dir():
        raise UsageError(f"There is no folder {path.resolve().parent} to write {path.name} to.")
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a file that may be replaced; choose another name.")


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("w", encoding="utf-8", errors="replace", newline="") as file:
            if path.suffix.lower() == ".csv":
                _write_csv(csv.writer(file), rows)
            else:
                file.writelines(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
        part.replace(path)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror}); the calibration is stored, so the same command "
            "with another --out pays nothing."
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _write_csv(writer: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Lists as JSON; a text that a spreadsheet would run as a formula gets a leading apostrophe."""
    for row in rows[:1]:
        writer.writerow(row)
    writer.writerows(map(_cells, rows))


def _cells(row: Mapping[str, Any]) -> Iterable[Any]:
    for value in row.values():
        if isinstance(value, (list, tuple)):
            yield json.dumps(value)
        elif isinstance(value, str):
            yield f"'{value}" if value.startswith(_FORMULAS) else value.replace("\0", "\ufffd")
        else:
            yield value
