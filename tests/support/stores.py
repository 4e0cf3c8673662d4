"""Databases to look at: what a dashboard may be given, made by the engine from scripted models."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Concatenate, ParamSpec

from engine.core import ids
from engine.core.records import Condition, ModelSetting, Problem, Question, Trial, TrialSpec
from engine.runs import run_dir, worker
from engine.store.identity import fingerprint
from engine.store.store import Batch, Store
from engine.study.schema import parse
from tests import ROOT

PRICED = '{name="scripted/adder", prices={input=0.15, output=0.6, assumed=true}}, {name="scripted/sure-adder", prices={input=2.5, output=10.0}}'
EVERY = ("direct", "chain_of_thought", "self_consistency", "told_budget")

_Choice = ParamSpec("_Choice")


def _lasting() -> Path:
    """Where a database may be made that is there until the process ends."""
    folder = tempfile.mkdtemp(prefix="budgetscope-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder) / "results.duckdb"


@cache
def to_read(make: Callable[[Path], Path]) -> Path:
    """One database of a kind for all tests of a process that only look at it: what a page read of it is still there for
    the next test. Whoever changes one makes its own; `changed` says whether somebody did not."""
    path = make(_lasting())
    _AS_MADE[path] = fingerprint(path)
    return path


_AS_MADE: dict[Path, tuple[int, int, int, int]] = {}


def changed() -> list[Path]:
    """Databases of `to_read` that somebody wrote to."""
    return [path for path, made in _AS_MADE.items() if fingerprint(path) != made]


def made_once(make: Callable[Concatenate[Path, _Choice], Path]) -> Callable[Concatenate[Path, _Choice], Path]:
    """A process makes such a database once; from then on it is copied, with its questions and its runs."""
    originals: dict[object, Path] = {}

    def copied(path: Path, /, *choice: _Choice.args, **more: _Choice.kwargs) -> Path:
        if path.exists():
            return make(path, *choice, **more)
        key = (choice, tuple(sorted(more.items())))
        if key not in originals:
            # It stays until the process ends: a copied run still names the folder of its questions.
            originals[key] = make(_lasting(), *choice, **more)
        original = originals[key]
        shutil.copyfile(original, path)
        if run_dir.folder(original).exists():
            shutil.copytree(run_dir.folder(original), run_dir.folder(path), dirs_exist_ok=True)
        for questions in original.parent.glob("*.csv"):
            shutil.copyfile(questions, path.parent / questions.name)
        return path

    return copied


@made_once
def demo(path: Path) -> Path:
    """The demo's studies of the bundled model, without the one of several models."""
    shutil.copyfile(ROOT / "results.duckdb", path)
    store = Store(path)
    # The demo itself is written by nobody.
    store.set_demo(False)
    for run in store.runs():
        if json.loads(run.study)["name"] == "which_model":
            store.delete_run(run.run_id)
    store.set_demo(True)
    return path


def empty(path: Path) -> Path:
    """A database without a trial."""
    Store(path).create()
    return path


def studied(
    path: Path,
    *,
    questions: int,
    models: str,
    strategies: Sequence[str],
    budgets: Sequence[float],
    tasks: Sequence[str] = ("sums",),
    axis: str = "output_tokens",
    off: int = 0,
    more: str = "",
) -> Path:
    """A database with one finished run over sums in CSV files; `models` is the inside of a TOML list.

    Right answers are `off` too large, so that models which add find none of them; `more` is the end of the study."""
    for offset, task in enumerate(tasks):
        rows = [f"What is {n + offset} + {n * 7 % 13}?,{n + offset + n * 7 % 13 + off}" for n in range(questions)]
        (path.parent / f"{task}.csv").write_text("question,answer\n" + "\n".join(rows))
    files = ", ".join(f'"file:{task}.csv"' for task in tasks)
    named = ", ".join(f'"{name}"' for name in strategies)
    text = f'name="made"\nbudget_axis="{axis}"\nbudgets={list(budgets)}\ntasks=[{files}]\nmodels=[{models}]\nstrategies=[{named}]\n{more}'
    run = worker.prepare(parse(text, "made.toml", path.parent), path)
    final = worker.run(run, lambda _: None)
    assert final.state == "finished", final.message
    return path


@made_once
def one_trial(path: Path) -> Path:
    """A single trial by a model without a price."""
    return studied(path, questions=1, models='"scripted/adder"', strategies=["direct"], budgets=[64])


@made_once
def all_wrong(path: Path) -> Path:
    """A model that only says rubbish, and answers nobody would hit by chance."""
    return studied(path, questions=6, models='"scripted/noise"', strategies=EVERY[:2], budgets=[32, 256], off=7_777_777)


@made_once
def small(path: Path, questions: int = 12) -> Path:
    """Two tasks, two models, four strategies, three budgets; one price is assumed."""
    return studied(
        path, questions=questions, models=PRICED, strategies=EVERY, budgets=[32, 128, 512], tasks=("sums", "more")
    )


@made_once
def mixed(path: Path) -> Path:
    """One task studied under budgets in tokens, then in calls, then in money."""
    for axis, budgets in (("output_tokens", [32, 512]), ("calls", [1, 4]), ("usd", [0.00001, 0.001])):
        studied(path, questions=4, models=PRICED, strategies=EVERY[:3:2], budgets=budgets, axis=axis)
    return path


@made_once
def two_studies(path: Path) -> Path:
    """`wide` asks 16 sums; `narrow` asks the first 10 of them, again of `direct`, which is paid by then, and of more."""
    rows = [f"What is {n} + {n * 7 % 13}?,{n + n * 7 % 13}" for n in range(16)]
    for name, asked, strategies in (("wide", 16, EVERY[:2]), ("narrow", 10, (EVERY[0], *EVERY[2:]))):
        (path.parent / "sums.csv").write_text("question,answer\n" + "\n".join(rows[:asked]))
        text = f'name="{name}"\nbudgets=[32, 512]\ntasks=["file:sums.csv"]\nmodels=["scripted/adder"]\n'
        study = parse(f"{text}strategies={list(strategies)}\n", "made.toml", path.parent)
        final = worker.run(worker.prepare(study, path), lambda _: None)
        assert final.state == "finished", final.message
    return path


def many(path: Path) -> Path:
    """150 settings of one strategy, which differ in the number they state."""
    (path.parent / "sums.csv").write_text("question,answer\nWhat is 1 + 2?,3\nWhat is 4 + 4?,8\n")
    asked = 'name="made"\nbudgets=[64]\ntasks=["file:sums.csv"]\nmodels=["scripted/adder"]\n'
    text = f'{asked}[[strategies]]\nname="told_budget"\ntold_tokens={[*range(1, 151)]}\n'
    final = worker.run(worker.prepare(parse(text, "made.toml", path.parent), path), lambda _: None)
    assert final.state == "finished", final.message
    return path


def all_failed(path: Path) -> Path:
    """Every trial failed, so nothing is scored."""
    model = ModelSetting("openai/gone", "openai/gone@nowhere")
    raw = Condition("", "sums", (("solver", model),), "direct", "{}", 1, True, "output_tokens", 64)
    condition = Condition(ids.condition_id(raw), *[getattr(raw, name) for name in _AFTER_ID])
    Store(path).flush(Batch(trials=tuple(_failed(condition, n) for n in range(3)), run_id="r"))
    return path


_AFTER_ID = ("task", "lineup", "strategy", "params", "version", "anytime", "axis", "budget", "prompting")


def _failed(condition: Condition, n: int) -> Trial:
    problem = Problem(f"What is {n} + 1?", "number")
    question = Question(ids.question_id("sums", problem, str(n + 1)), "sums", problem, str(n + 1))
    spec = TrialSpec(ids.trial_id(condition, question.question_id, 0), condition, question, 0)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Trial(spec, "r", 1, "failed", "none", None, "The provider gave up.", (), (), (), now, now)
