"""One run as a process: directory, lock, journal, heartbeat, signals, stop and resume.

Owns everything about a run that outlives an event loop. Starting and resuming are the same thing: read the journal,
skip what is stored, go on.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import platform
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path

from engine import identity, journal, status
from engine.budget import Ceiling, Limits
from engine.dispatch import Gate, Retries
from engine.errors import BudgetscopeError, RunError
from engine.plan import Plan, plan
from engine.runner import Progress, Runner
from engine.status import RunDir, State, Status
from engine.store import RunRow, Store
from engine.study import Study, as_json, load

log = logging.getLogger(__name__)

HEARTBEAT_S = 0.5
"""Seconds between two looks at the stop file and two writes of the status."""
Report = Callable[[Status], None]


def prepare(study: Study, db: Path) -> RunDir:
    """Make the directory of a new run, with the study as it is now; nothing runs yet."""
    run_id = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
    run = RunDir(status.folder(db) / run_id, run_id, db)
    try:
        return _laid_out(run, study)
    except OSError as error:
        raise RunError(f"{run.path} cannot be made ({error.strerror}).") from error


def _laid_out(run: RunDir, study: Study) -> RunDir:
    run.path.mkdir(parents=True)
    run.study.write_text(study.text, encoding="utf-8")
    status.write(run, Status(run.run_id, study.name, "new", False, None, 0, 0))
    return run


def run(directory: RunDir, on_status: Report, retries: Retries = Retries()) -> Status:
    """Start or resume a run and work until it is done, stopped or at its ceiling; returns how it ended.

    Raises AlreadyRunning when a living worker holds the run, and BudgetscopeError for what makes it impossible; then
    nothing of it is lost and `resume` goes on.
    """
    with status.held(directory):
        (directory.path / "stop").unlink(missing_ok=True)
        handler = _log_to(directory.log)
        try:
            return _Worker(directory, on_status, retries).work()
        finally:
            logging.getLogger("engine").removeHandler(handler)
            handler.close()


class _Worker:
    """A run being worked on, by the process that holds its lock."""

    def __init__(self, directory: RunDir, on_status: Report, retries: Retries) -> None:
        self._dir = directory
        self._report = on_status
        self._retries = retries
        self._began = time.monotonic()
        self._last = status.read(directory)
        self._started_at = self._last.started_at or status.now()
        self._study = load(directory.study)
        self._progress = Progress()
        self._gate: Gate | None = None
        self._priced = False

    def work(self) -> Status:
        """Plan, run, and leave the final word in status and store."""
        self._tell("running")
        try:
            planned = plan(self._study)
            state, message = asyncio.run(self._run(planned))
        except BudgetscopeError as error:
            self._tell("failed", str(error))
            raise
        except OSError as error:
            trouble = f"{self._dir.path} cannot be written ({error.strerror}); mend that and resume."
            self._tell("failed", trouble)
            raise RunError(trouble) from error
        except BaseException as error:
            self._tell("failed", f"Stopped by {type(error).__name__}; see {self._dir.log}.")
            log.exception("the run broke")
            raise
        return self._tell(state, message)

    async def _run(self, planned: Plan) -> tuple[State, str | None]:
        _same_as_before(self._dir, planned)
        await _reach(planned)
        store = Store(self._dir.db)
        store.create()
        history = journal.read(self._dir.journal)
        ceiling = Ceiling(self._study.ceiling, history.spent, history.in_doubt)
        self._gate = Gate(ceiling)
        self._priced = all(model.setting.price is not None for model in planned.models.values())
        notes = journal.Journal(self._dir.journal)
        runner = Runner(planned, store, self._gate, notes, self._dir.run_id, history=history, retries=self._retries)
        self._progress = runner.progress
        store.save_run(self._row(planned, "running"))
        try:
            await self._attended(runner)
        finally:
            notes.close()
            for model in planned.models.values():
                await model.close()
        state, message = self._verdict()
        store.save_run(replace(self._row(planned, state), finished_at=status.now(), error=message))
        return state, message

    async def _attended(self, runner: Runner) -> None:
        """Run, with a heartbeat, an ear for signals and an eye on the stop file."""
        work = asyncio.create_task(runner.run())
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            with suppress(ValueError, RuntimeError, NotImplementedError):
                loop.add_signal_handler(name, self._interrupt, runner, work)
        while not work.done():
            await asyncio.wait([work], timeout=HEARTBEAT_S)
            self._obey(runner, work)
            self._tell("stopping" if self._gate and self._gate.stopped else "running")
        with suppress(asyncio.CancelledError):
            work.result()

    def _interrupt(self, runner: Runner, work: asyncio.Task[None]) -> None:
        """First time: finish what is in flight. Second time: give it up."""
        self._stop(runner, work, "now" if self._gate and self._gate.stopped else "stop")

    def _obey(self, runner: Runner, work: asyncio.Task[None]) -> None:
        wish = status.stop_requested(self._dir)
        if wish:
            self._stop(runner, work, wish)

    def _stop(self, runner: Runner, work: asyncio.Task[None], wish: str) -> None:
        if self._gate:
            self._gate.stop()
        if wish == "now":
            runner.abandon()
            work.cancel()

    def _verdict(self) -> tuple[State, str | None]:
        progress = self._progress
        if self._gate and self._gate.trouble:
            return "failed", self._gate.trouble
        if self._gate and self._gate.reached:
            return "ceiling", "The run's ceiling leaves no room for the next call; raise it and resume."
        if self._gate and self._gate.stopped:
            return "stopped", "Stopped as asked; resume goes on."
        return "finished", " ".join(_remarks(progress, self._gate)) or None

    def _tell(self, state: State, message: str | None = None) -> Status:
        now = replace(
            self._figures(),
            name=self._study.name,
            state=state,
            alive=state in ("running", "stopping"),
            pid=os.getpid(),
            seconds_left=self._seconds_left() if state == "running" else None,
            started_at=self._started_at,
            heartbeat_at=status.now(),
            message=message,
        )
        try:
            status.write(self._dir, now)
        except OSError as error:
            # The status is display; the run goes on without it, the journal decides what can still be sent.
            log.warning("the status cannot be written: %s", error)
        self._report(now)
        return now

    def _figures(self) -> Status:
        """Counts and money as they stand; what was last known until this session has read the journal."""
        if self._gate is None:
            return self._last
        ceiling, progress = self._gate.ceiling, self._progress
        return replace(
            self._last,
            done=progress.done,
            total=progress.total,
            ends=dict(progress.ends),
            spent=ceiling.spent,
            reserved=ceiling.reserved,
            in_doubt=ceiling.in_doubt,
            overrun=ceiling.overrun,
            ceiling=ceiling.limits,
            priced=self._priced,
        )

    def _seconds_left(self) -> float | None:
        """By the pace of this session; trials are interleaved, so the first are like the last."""
        ended = self._progress.done - self._progress.before
        if ended < 3:
            return None
        left = self._progress.total - self._progress.done
        return (time.monotonic() - self._began) / ended * left

    def _row(self, planned: Plan, state: State) -> RunRow:
        ceiling = self._gate.ceiling if self._gate else Ceiling(Limits())
        spent, doubt = ceiling.spent, ceiling.in_doubt
        counts = {name: len({s.question.question_id for s in planned.specs if s.question.task == name})
                  for name in planned.tasks}  # fmt: skip
        return RunRow(
            run_id=self._dir.run_id,
            study=json.dumps({**as_json(self._study), "planned_questions": counts}),
            state=state,
            started_at=self._started_at,
            ceiling=json.dumps(asdict(ceiling.limits)),
            planned_trials=len(planned.specs),
            spent_calls=spent.calls,
            spent_tokens=spent.tokens,
            spent_pusd=spent.pusd if self._priced else None,
            in_doubt_calls=doubt.calls,
            in_doubt_tokens=doubt.tokens,
            in_doubt_pusd=doubt.pusd if self._priced else None,
            host=platform.node(),
            version=metadata.version("budgetscope"),
        )


def _remarks(progress: Progress, gate: Gate | None) -> Iterator[str]:
    """What a finished run should not keep to itself."""
    if failed := progress.ends["failed"]:
        yield f"{failed} trials failed; resume tries them again."
    if gate and (over := gate.ceiling.overrun.tokens):
        yield f"{over:,} tokens were billed beyond what was reserved: a provider ignores the cap it is given."


def _same_as_before(directory: RunDir, planned: Plan) -> None:
    """A run is one plan: data that changed since it started would be mixed with what is stored. Raises RunError."""
    now = identity.digest("r1", sorted(spec.trial_id for spec in planned.specs))
    noted = directory.path / "plan"
    if not noted.exists():
        noted.write_text(now, encoding="utf-8")
    elif noted.read_text(encoding="utf-8") != now:
        raise RunError(
            f"The questions or strategies of run {directory.run_id} are not what they were when it started; put the "
            "data back, or start a new run."
        )


async def _reach(planned: Plan) -> None:
    """Find out before the first trial whether an endpoint is not there at all. Raises RunError."""
    for model in planned.models.values():
        trouble = await model.probe()
        if trouble:
            raise RunError(trouble)


def _log_to(path: Path) -> logging.Handler:
    handler = logging.FileHandler(path, delay=True, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.getLogger("engine").addHandler(handler)
    return handler
