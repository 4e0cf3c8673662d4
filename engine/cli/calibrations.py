"""calibrate: the smallest token budget per question, as a run of its own, a table and a file. It uses the targets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from engine.cli import options, show
from engine.cli.options import Verb, option
from engine.core import files, text
from engine.core.budget import Limits
from engine.core.errors import UnknownName, UsageError
from engine.models.prices import pusd
from engine.strategies.calibration import FEASIBILITIES
from engine.study.calibrating import calibration_of, found_in, row_of
from engine.study.schema import Study, load, parse, with_ceiling

ENDINGS = (".jsonl", ".csv")


@click.command(cls=Verb, works=True)
@options.study_file(required=False, help="its tasks and models are calibrated")
@options.task("one task", group="Without a study")
@option("--model", group="Without a study", shell_complete=options.among(options.model_names), help="one model")
@option("--questions", type=options.count, metavar="N", group="Without a study", help="how many questions of the task")
@option(
    "--feasibility",
    default="plain",
    shell_complete=options.among(FEASIBILITIES),
    help="plain: as long as the answer is right (plain); greedy: and takes fewer tokens than before",
)
@option("--ceiling-tokens", type=options.count, metavar="N", help="tokens the run may spend")
@option("--ceiling-usd", type=options.positive, metavar="USD", help="dollars the run may spend")
@option("--out", type=Path, metavar="FILE", help="write every question to a .jsonl or .csv file")
@options.plugin
def calibrate(
    db: Path,
    path: Path | None,
    task: str | None,
    model: str | None,
    questions: int | None,
    feasibility: str,
    ceiling_tokens: int | None,
    ceiling_usd: float | None,
    out: Path | None,
) -> int:
    """Search, show what was found, and write it to --out; a second calibration of the same reads what is stored."""
    from engine.cli import runs
    from engine.study.plan import plan

    if out is not None:
        # Before anything is paid.
        if out.suffix.lower() not in ENDINGS:
            raise UnknownName("ending of --out", out.suffix or out.name, ENDINGS)
        options.replaceable(db, out)
    if path is None:
        study = _study(task, model, questions)
    else:
        for flag, value in (("task", task), ("model", model), ("questions", questions)):
            if value is not None:
                raise UsageError(f"--{flag} goes without a study file; a study names its own.")
        study = load(path)
    if feasibility not in FEASIBILITIES:
        raise UnknownName("feasibility", feasibility, FEASIBILITIES)
    study = calibration_of(study, feasibility)
    ceiling = Limits(tokens=ceiling_tokens, pusd=None if ceiling_usd is None else pusd(ceiling_usd))
    if ceiling != Limits():
        study = parse(with_ceiling(study.text, ceiling), study.name)
    planned = plan(study)
    written, code = runs.start(planned, db)
    if out is not None:
        rows = [row_of(each) for each in found_in(written, planned)]
        _write(out, rows)
        show.say(f"{len(rows):,} questions were written to {out}.")
    return code


def _study(task: str | None, model: str | None, questions: int | None) -> Study:
    """A study of a single task and model. Raises UsageError where one of them is missing."""
    if task is None or model is None:
        raise UsageError(
            "Name a study, or a task and a model: `budgetscope calibrate --task gym:chain_sum --model "
            "local/smollm2-135m --questions 20`."
        )
    count = "" if questions is None else f"questions = {questions}\n"
    # a JSON string is a TOML string, once characters that TOML forbids are gone
    name = json.dumps(show.clean(task))
    return parse(
        f'name = {name}\nbudget_axis = "calls"\nbudgets = [1]\nstrategies = ["chain_of_thought"]\n'
        f"[[tasks]]\nname = {name}\n{count}[[models]]\nname = {json.dumps(show.clean(model))}\n",
        "this command",
        Path.cwd(),
    )


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    out = io.StringIO(newline="")
    if path.suffix.lower() == ".csv":
        cells = ([text.csv_cell(value) for value in row.values()] for row in rows)
        csv.writer(out).writerows([*rows[:1], *cells])
    else:
        out.writelines(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    try:
        files.replace(path, out.getvalue().encode(errors="replace"))
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({files.why(error)}); the calibration is stored, so the same command "
            "with another --out pays nothing."
        ) from error
