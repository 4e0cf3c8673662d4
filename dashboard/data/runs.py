"""Starts, resumes, stops and watches runs. A run is the command line's own process, in a session of its own.

It outlives the tab, the dashboard and a reload, and any other terminal can stop or resume it. Every door here that
spends or changes something asks `access` first, and raises RunError where it says no. Knows no page.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from dashboard.data import access
from engine.core.budget import Limits
from engine.core.errors import BudgetscopeError, RunError
from engine.core.records import PUSD_PER_USD
from engine.models import bundled
from engine.models.declared import ModelSpec
from engine.models.reach import check_study
from engine.runs import run_dir
from engine.runs.run_dir import RunDir, Status
from engine.study.schema import Study, load, parse

LONGEST_TEST_S = 180.0  # The longest a test of a model is waited for.
LOG_BYTES = 20_000  # How much of a log's end is shown.
_children: dict[str, tuple[subprocess.Popen[bytes], datetime]] = {}  # By run, and when each was started.


def settle(db: Path) -> Path:
    """Where results go: `db`, or the local copy of a demo, which this process shows from then on."""
    from engine.store.store import writable

    access.require()
    own = writable(db)
    if own != db:
        os.environ["BUDGETSCOPE_DB"] = str(own.resolve())  # `queries.path` reads it: every session shows the copy.
    return own


def start(study: Study, db: Path) -> RunDir:
    """Make a run of a study that was planned before, and set a process to work on it."""
    from engine.runs.worker import prepare

    access.require()
    check_study(study.models, access.limits())
    run = prepare(study, db.resolve())
    _spawn(run, [])
    return run


def pilot(study: Study, db: Path) -> RunDir:
    """Make a run of the study's first questions, under a ceiling of what they can cost, and set a process to it."""
    from engine.study import pilot
    from engine.study.plan import plan
    from engine.study.upper_bound import upper_bound

    cut = pilot.pilot(study)
    return start(pilot.capped(cut, upper_bound(plan(cut, sends=False))), db)


def resume(run: RunDir, ceiling: Limits = Limits()) -> None:
    """Go on with a run, under a new ceiling where one is given. Raises AlreadyRunning when somebody works on it."""
    access.require()
    status = run_dir.read(run)
    if status.alive or starting(status):
        raise RunError(f"Run {run.run_id} is already being worked on.")
    try:
        models = load(run.study).models
    except BudgetscopeError:
        models = ()  # Its own process says what is wrong with it, and is held to the same limits.
    # Whoever started it, a terminal perhaps, could reach more than a page.
    check_study(models, access.limits())
    usd = None if ceiling.pusd is None else f"{ceiling.pusd / PUSD_PER_USD:.12f}"  # Pico-dollars, to the last one.
    wished = {"--tokens": ceiling.tokens, "--calls": ceiling.calls, "--usd": usd}
    _spawn(run, [str(part) for pair in wished.items() if pair[1] is not None for part in pair])


def stop(run: RunDir, now: bool = False) -> None:
    """Ask a run to stop; it keeps what is in flight, unless `now`."""
    access.require()
    run_dir.request_stop(run, now=now)


def reap() -> None:
    """Collect the exit of finished children, so that none stays behind as a zombie."""
    for run_id, (child, _) in list(_children.items()):  # A copy: other sessions start and reap at the same time.
        if child.poll() is not None:
            _children.pop(run_id, None)


def starting(status: Status) -> bool:
    """Whether a process of ours is still on its way to the run's lock, so that its status is an old one."""
    reap()
    started = _children[status.run_id][1] if status.run_id in _children else None
    return started is not None and (status.heartbeat_at is None or status.heartbeat_at < started)


def runs(db: Path) -> list[Status]:
    """All runs beside a database, newest first."""
    return run_dir.list_runs(db)[::-1]


def find(db: Path, run_id: str) -> RunDir:
    """A run by its whole id. Raises UnknownName."""
    return run_dir.find(db, run_id)


def log_tail(run: RunDir) -> str:
    """The end of a run's log; empty when there is none."""
    try:
        with run.log.open("rb") as file:
            file.seek(max(0, run.log.stat().st_size - LOG_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def declared(db: Path) -> dict[str, ModelSpec]:
    """Models that studies of earlier runs declared with more than a name, the newest of each name."""
    models: dict[str, ModelSpec] = {}
    for status in run_dir.list_runs(db):
        with suppress(BudgetscopeError):  # A study of another version, or one that somebody edited, declares none.
            study = load(run_dir.find(db, status.run_id).study)
            models |= {model.name: model for model in study.models if model != ModelSpec(model.name)}
    return models


def here(run: RunDir) -> bool:
    """Whether every model of a run works on this machine, so that nobody bills it; False where its study is gone."""
    try:
        models = load(run.study).models
    except BudgetscopeError:
        return False
    free = (model.gguf or model.name in bundled.BUNDLED or model.name.startswith("scripted/") for model in models)
    return bool(models) and all(free)


def uploads(db: Path) -> Path:
    """Where uploaded task files of a database are kept."""
    return db.with_name(f"{db.stem}.uploads").resolve()


def missing(models: Iterable[str]) -> list[str]:
    """Those of the models that come along by name and are not on this machine yet."""
    return [name for name in models if name in bundled.BUNDLED and bundled.file_of(name) is None]


def fetch(name: str) -> None:
    """Bring a bundled model's file to this machine. Raises RunError where it cannot be had."""
    access.require()
    bundled.fetch(name)


def ask_once(name: str, study: str, db: Path) -> tuple[bool, str]:
    """One call to a model of a study's text, which bills; whether it replied, and what came back, in lines."""
    access.require()
    check_study(parse(study, "this study").models, access.limits())
    own = settle(db)
    with tempfile.NamedTemporaryFile("w", dir=own.resolve().parent, prefix=".test-", suffix=".toml") as file:
        file.write(study)
        file.flush()
        # A process of its own, as a run is: what calls models takes seconds to load, and keys are handed on to it.
        flags = ["--study", file.name, "--db", str(own.resolve())]
        command = [sys.executable, "-m", "engine", "models", *flags, "--", "test", name]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                cwd=Path(__file__).resolve().parents[2],
                env=access.run_environment(),
                timeout=LONGEST_TEST_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False, "The test took too long and was given up; what it may have cost stays counted for today."
    said = done.stdout + (b"" if done.returncode == 0 else done.stderr)
    return done.returncode == 0, said.decode("utf-8", "replace").replace("budgetscope: ", "").strip()


def _spawn(run: RunDir, flags: Sequence[str]) -> None:
    """`budgetscope resume`, which starts what never ran; its output goes to the run's log."""
    reap()
    command = [sys.executable, "-m", "engine", "resume", run.run_id, "--db", str(run.db.resolve()), *flags]
    with run.log.open("ab") as log:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Control-C at the dashboard's terminal ends the dashboard and no run.
            cwd=Path(__file__).resolve().parents[2],
            env={**access.run_environment(), "PYTHONUNBUFFERED": "1"},
        )
    _children[run.run_id] = child, run_dir.now()
