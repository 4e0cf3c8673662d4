"""One run as a process: directory, lock, journal, heartbeat, signals, stop and resume.

Owns everything about a run that outlives an event loop: what is checked before its first trial, the status it shows,
and how it ends. Starting and resuming are the same thing: read the journal, skip what is stored, go on.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import platform
import re
import shutil
import time
from collections.abc import Callable, Set
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cache, partial
from importlib import metadata
from pathlib import Path

from engine.core import files, ids, text, toml
from engine.core.budget import Amount, Ceiling, Limits
from engine.core.errors import BudgetscopeError, RunError, StoreError, UsageError
from engine.core.records import PUSD_PER_USD
from engine.models import charges
from engine.runs import allowance, expectation, journal, reasons, run_dir
from engine.runs.account import Account, account
from engine.runs.actors.crew import Crew
from engine.runs.actors.places import Place
from engine.runs.actors.wire import Setup
from engine.runs.adaptive import Rounds
from engine.runs.allowance import RunAllowance
from engine.runs.dispatcher import Gate
from engine.runs.process import Heartbeat, SteadyLoop, Wish
from engine.runs.rate_limits import Retries
from engine.runs.run_dir import RunDir, State, Status
from engine.runs.runner import Progress, Runner
from engine.store import deltas
from engine.store.store import RunRow, Store, asked_for
from engine.strategies import plugins
from engine.study.plan import Plan, plan
from engine.study.schema import Study, as_json, load

log = logging.getLogger(__name__)

Report = Callable[[Status], None]
WORTH = 4
"""Steps that pages read anew, for each sum that would have to be written, from which on sums are made while a run goes
on: one of few questions and many repeats."""


def prepare(study: Study, db: Path) -> RunDir:
    """Make the directory of a new run, with the study as it is now; nothing runs yet."""
    second, rest = divmod(time.time(), 1)
    # The part of the second keeps runs in the order of their starts, by which the last one is found.
    run_id = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(second))}-{int(rest * 0x10000):04x}"
    run = run_dir.at(db, run_id)
    source = _kept_text(study)
    sweep(run)
    part = replace(run, path=files.part_of(run.path))
    try:
        part.path.mkdir(parents=True)
        files.replace(part.study, source)
        run_dir.write(part, Status(run.run_id, study.name, "new", False, None, 0, 0))
        # Whole or not at all, whenever this is killed.
        part.path.rename(run.path)
    except OSError as error:
        shutil.rmtree(part.path, ignore_errors=True)
        raise RunError(f"{run.path} cannot be made ({files.why(error)}).") from error
    return run


def sweep(run: RunDir) -> None:
    """Delete what processes that were killed left half-made beside a database, among its runs and in this one."""
    db = run.db.resolve()
    files.sweep(db.parent, lambda name: name == db.name)
    files.sweep(run.path.parent)
    files.sweep(run.path)


def kept_study(run: RunDir) -> Study:
    """The study a run was started with. Raises RunError where its own copy is damaged, which is nobody's mistake."""
    try:
        if toml.read(run.study).strip():
            return load(run.study)
        why = "it is empty"
    except UsageError as error:
        # What it was started with was a study: what is wrong with it was written by hand, or is damage.
        why = str(error).rstrip(".")
    raise RunError(
        f"The copy of the study that run {run.run_id} keeps cannot be used: {why}. Put it right in {run.study}, or run "
        "the study from its own file again: what is stored is not paid again."
    )


def _kept_text(study: Study) -> str:
    """What a run keeps of its study: the text, naming the plugins that any later process has to load."""
    return plugins.noted(study.text, (choice.name for choice in study.strategies))


def run(
    directory: RunDir,
    on_status: Report,
    retries: Retries = Retries(),
    clock: allowance.Clock = run_dir.now,
    planned: Plan | None = None,
    place: Place | None = None,
) -> Status:
    """Start or resume a run and work until it is done, stopped or at its ceiling; returns how it ended.

    `clock` says of which day's allowance the run takes its lease. `planned`: the plan of the run's study, where the
    caller has made it; None: it is made here. `place`: where actors try the trials; None: this process does. Raises
    AlreadyRunning when a living worker holds the run, and BudgetscopeError for what makes it impossible; then nothing
    of it is lost and `resume` goes on.
    """
    with run_dir.held(directory):
        sweep(directory)
        # A wish to stop that the last session obeyed, or never saw, is none of this one's.
        (directory.path / "stop").unlink(missing_ok=True)
        handler = _RunLog(directory.log, delay=True, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        logging.getLogger("engine").addHandler(handler)
        try:
            return _Worker(directory, on_status, retries, clock, planned, place).work()
        finally:
            logging.getLogger("engine").removeHandler(handler)
            # What a full disk did not take is still to be written, and is refused again.
            with suppress(OSError):
                handler.close()


class _RunLog(logging.FileHandler):
    """A run's log: a line that a full disk refuses is lost, and nothing is said of that anywhere else."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Of a line that cannot be written."""


class _Worker:
    """A run being worked on, by the process that holds its lock."""

    def __init__(
        self,
        directory: RunDir,
        on_status: Report,
        retries: Retries,
        clock: allowance.Clock,
        planned: Plan | None,
        place: Place | None,
    ) -> None:
        self._dir = directory
        self._report = on_status
        self._retries = retries
        self._clock = clock
        self._place = place
        self._began = time.monotonic()
        self._last = run_dir.read(directory)
        self._started_at = self._last.started_at or run_dir.now()
        self._before_s = run_dir.running_s(self._last) or 0.0
        # Under the lock nobody changes the file any more; before it, another process may have raised the ceiling.
        current = planned is not None and toml.read(directory.study) == _kept_text(planned.study)
        self._planned = planned if current else None
        self._study = self._planned.study if self._planned else kept_study(directory)
        self._progress = Progress()
        self._gate: Gate | None = None
        self._allowance: RunAllowance | None = None
        self._runner: Runner | None = None
        self._rounds: Rounds | None = None
        self._crew: Crew | None = None
        self._wish: Wish | None = None
        self._heart = Heartbeat(directory, self._beat, self._wished)
        self._past: Account | None = None
        self._unwritten: str | None = None
        """Why the last status could not be written; None: it was."""
        self._priced, self._billed = False, True
        self._estimate: str | None = None

    def work(self) -> Status:
        """Plan, run, and leave the final word in status and store."""
        # Before planning, which can take seconds: whoever started the run sees that somebody works on it.
        self._tell("running")
        try:
            planned = self._planned or plan(self._study)
            self._estimate = expectation.noted(self._dir, planned)
            with asyncio.Runner(loop_factory=SteadyLoop) as loop:
                state, message = loop.run(self._run(planned))
        except BudgetscopeError as error:
            self._tell("failed", str(error))
            raise
        except OSError as error:
            trouble = f"{error.filename or self._dir.path} cannot be used ({files.why(error)}); mend that and resume."
            self._tell("failed", trouble)
            raise RunError(trouble) from error
        except BaseException as error:
            # Also KeyboardInterrupt and SystemExit: the status must not say "running" of a run that nobody works on.
            self._tell("failed", f"Stopped by {type(error).__name__}; see {self._dir.log}.")
            log.exception("the run broke")
            raise
        return self._tell(state, message)

    async def _run(self, planned: Plan) -> tuple[State, str | None]:
        """Lease what today gives, work through the plan under it, and store how it ended."""
        same_as_before(self._dir, planned)
        try:
            return await self._under_lease(planned)
        finally:
            if self._crew:
                await self._heart.attend(self._crew.close())

    async def _sent_for(self, planned: Plan) -> None:
        """See that models can be reached, by the actors where there are any."""
        if self._place:
            # As the run keeps it: with the plugins that its strategies came from.
            known = tuple((model.setting.name, model.setting.identity) for model in planned.models.values())
            setup = Setup(_kept_text(planned.study), known, self._dir.run_id, _version())
            self._crew = Crew(self._place, setup, planned.models)
            await self._heart.attend(self._crew.open())
            return
        # An endpoint that is not there at all fails the run before its first trial, not every trial of it.
        for model in planned.models.values():
            if trouble := await model.probe():
                raise RunError(trouble)

    async def _under_lease(self, planned: Plan) -> tuple[State, str | None]:
        await self._sent_for(planned)
        store = Store(self._dir.db)
        store.create()
        past = self._past = account(self._dir)
        if past.damage:
            log.warning("%s", past.damage)
        ceiling = Ceiling(self._study.ceiling, past.spent, past.in_doubt)
        self._gate = Gate(ceiling)
        if self._wish:
            # While the actors were being made.
            self._gate.stop()
        self._priced = all(model.setting.price is not None for model in planned.models.values())
        self._billed = any(map(charges.costs, planned.models.values()))
        self._allowance = lease = RunAllowance(self._dir, self._clock, billed=self._billed)
        # Whoever finds this run dead learns from its journal that nothing was sent.
        self._dir.journal.touch(mode=0o600)
        try:
            ceiling.lend(lease.take(ceiling, past))
            notes = journal.Journal(self._dir.journal)
            if past.damage or lease.forfeited != Amount():
                notes.restore(past.lacking, past.untold + lease.forfeited)
            told, retries = past.history, self._retries
            rounds = self._rounds = None if planned.study.until is None else Rounds(planned, self._dir.run_id, store)
            runner = Runner(
                planned,
                store,
                self._gate,
                notes,
                self._dir.run_id,
                history=told,
                retries=retries,
                rounds=rounds,
                crew=self._crew,
                prepare=partial(materialize, store.path, worth=WORTH),
            )
            self._runner, self._progress = runner, runner.progress
            # Until the store was asked, what was last known: a bar that falls back to 0 looks like lost work.
            self._progress.done = min(self._last.done, self._progress.total)
            store.save_run(self._row(planned, "running"), rounds.planned() if rounds else planned.specs)
            try:
                await self._heart.attend(runner.run())
            finally:
                try:
                    notes.close()
                except OSError as error:
                    # What it could not take by now is in the database, or was reported when it was noted.
                    log.error("the journal could not be written to its end: %s", error)
            conditions = {spec.condition.condition_id for spec in planned.specs}
            await self._heart.attend(asyncio.to_thread(read_looks_again, store, conditions))
            state, message = self._verdict()
            ended = replace(self._row(planned, state), finished_at=run_dir.now(), error=message)
            await self._heart.attend(runner.lock_retry.with_retry(lambda store: store.save_run(ended)))
            await self._heart.attend(asyncio.to_thread(materialize, store.path))
            return state, message
        finally:
            # Under the heartbeat: waiting for a busy database may take seconds, and a second stop must still be heard.
            await self._heart.attend(lease.give_back(ceiling))
            for model in planned.models.values():
                await model.close()

    def _beat(self) -> None:
        if self._allowance and self._gate:
            self._allowance.watch(self._gate)
        waiting = self._runner.lock_retry.waiting if self._runner else None
        odd = (self._runner.buyer.says if self._runner else None) or (self._crew.says if self._crew else None)
        self._tell("stopping" if self._gate and self._gate.stopped else "running", waiting or odd)

    def _wished(self, wish: Wish) -> None:
        self._wish = wish
        if self._gate:
            self._gate.stop()
        if self._runner:
            self._runner.lock_retry.hurry()
        # What is in flight is not paid for twice: the journal knows it, and it stays charged as in doubt.
        if self._runner and wish == "now":
            self._runner.abandon()

    def _verdict(self) -> tuple[State, str | None]:
        gate = self._gate
        if gate and gate.trouble:
            return "failed", gate.trouble
        remarks = [damage] if (damage := self._damage) else []
        over = gate.ceiling.overrun if gate else Amount()
        if over.tokens:
            remarks.append(
                f"{over.tokens:,} tokens were billed beyond what was reserved: a provider ignores the cap it is given."
            )
        elif over.pusd:
            why = "a provider reports a higher cost than its price says"
            remarks.append(f"{text.money(over.pusd / PUSD_PER_USD)} were charged beyond what was reserved: {why}.")
        # A run that was told to stop may have reached its ceiling as well; what ended it for good is what counts.
        if gate and gate.reached:
            why = self._allowance.why_full(gate.ceiling) if self._allowance else ""
            return "ceiling", " ".join([why, *remarks])
        if gate and gate.stopped:
            return "stopped", " ".join(["Stopped as asked; resume goes on.", *remarks])
        if failed := self._progress.ends["failed"]:
            why = reasons.said(self._progress.reasons)
            remarks.insert(0, f"{text.plural(failed, 'trial')} failed ({why}); resume tries them again.")
        if unjudged := self._progress.unjudged:
            remarks.insert(0, f"{text.plural(unjudged, 'trial')} not scored: no judgement of the answer can be read.")
        if self._rounds and (said := self._rounds.said):
            remarks.insert(0, said)
        if self._runner:
            remarks += self._runner.remarks
        if self._crew and (said := self._crew.says):
            remarks.append(said)
        return "finished", " ".join(remarks) or None

    @property
    def _damage(self) -> str | None:
        """What is wrong with the journal of earlier sessions and what came of it; None: nothing."""
        damage = self._past.damage if self._past else None
        lost = self._allowance.forfeited if self._allowance else Amount()
        if lost == Amount():
            return damage
        money = f" and {text.money(lost.pusd / PUSD_PER_USD)}" if self._priced else ""
        said = damage or "The run's journal holds less than its leases were charged."
        return f"{said[:-1]}: {text.count(lost.tokens)} tokens{money} more, as in doubt."

    def _tell(self, state: State, message: str | None = None) -> Status:
        ran_s = time.monotonic() - self._began - self._heart.suspended_s
        ended = self._progress.done - self._progress.before
        # By the pace of this session; trials are interleaved, so the first are like the last, but two say nothing.
        paced = state == "running" and ended >= 3
        seconds_left = ran_s / ended * (self._progress.total - self._progress.done) if paced else None
        # Until this session has read the journal, what was last known of counts and money.
        figures = self._last
        if self._runner:
            progress = self._progress
            ends, why = dict(progress.ends), dict(progress.reasons)
            figures = replace(figures, done=progress.done, total=progress.total, ends=ends, reasons=why)
        if self._gate:
            ceiling = self._gate.ceiling
            figures = replace(
                figures,
                spent=ceiling.spent,
                reserved=ceiling.reserved,
                in_doubt=ceiling.in_doubt,
                overrun=ceiling.overrun,
                ceiling=ceiling.limits,
                lease=ceiling.lent,
                free=ceiling.free,
                priced=self._priced,
                billed=self._billed,
            )
        now = replace(
            figures,
            name=self._study.name,
            state=state,
            alive=state in ("running", "stopping"),
            pid=os.getpid(),
            seconds_left=seconds_left,
            started_at=self._started_at,
            heartbeat_at=run_dir.now(),
            ran_s=self._before_s + ran_s,
            noted_bytes=(self._dir.journal_bytes or 0) if self._gate else self._last.noted_bytes,
            message=message,
        )
        before, self._unwritten = self._unwritten, None
        try:
            run_dir.write(self._dir, now)
        except OSError as error:
            # The status is display; the run goes on without it, the journal decides what can still be sent.
            self._unwritten = f"Its status cannot be written: {files.why(error)}."
            now = replace(now, message=message or self._unwritten)
            # Once, not with every beat: the log would help to fill the disk.
            if self._unwritten != before:
                log.warning("the status cannot be written: %s", files.why(error))
        self._report(now)
        return now

    def _row(self, planned: Plan, state: State) -> RunRow:
        ceiling = self._gate.ceiling if self._gate else Ceiling(Limits())
        spent, doubt = ceiling.spent, ceiling.in_doubt
        counts = {
            name: len({s.question.question_id for s in planned.specs if s.question.task == name})
            for name in planned.tasks
        }
        return RunRow(
            run_id=self._dir.run_id,
            study=self._rounds.study()
            if self._rounds
            else json.dumps({**as_json(self._study), "planned_questions": counts}),
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
            version=_version(),
            estimate=self._estimate,
        )


@cache
def _version() -> str:
    # Looked up in a folder of hundreds of packages, and in a text of many lines there.
    return metadata.version("budgetscope")


def same_as_before(directory: RunDir, planned: Plan) -> None:
    """A run is one plan: data that changed since it started would be mixed with what is stored. Raises RunError.

    A note of the plan that is missing, empty or torn is written anew where the database knows the plan, or nothing
    was sent."""
    now = ids.digest("r1", sorted(spec.trial_id for spec in planned.specs))
    note = directory.path / "plan"
    noted = note.read_text(encoding="utf-8", errors="replace").strip() if note.exists() else None
    if noted == now:
        return
    changed = bool(re.fullmatch("r1-[0-9a-f]{32}", noted or ""))
    if not changed:
        store = Store(directory.db)
        stored = store.planned(directory.run_id) if directory.db.exists() else None
        sent = directory.journal.exists() and directory.journal.stat().st_size > 0
        if stored is None and noted is not None and sent:
            raise RunError(
                f"The note of what run {directory.run_id} asks is damaged ({note}), so nobody can tell whether its "
                "questions are still the same; delete that file to go on with them as they are now."
            )
        every = asked_for(planned.specs)
        # An adaptive run's list grows look by look.
        whole = stored == every if planned.study.until is None else stored is not None and stored <= every
        changed = stored is not None and not whole
    if changed:
        raise RunError(
            f"The questions or strategies of run {directory.run_id} are not what they were when it started; put the "
            "data back, or start a new run."
        )
    files.replace(note, now)


def read_looks_again(store: Store, conditions: Set[str]) -> None:
    """Read looks into these conditions' thoughts as today's reader reads them, as their trials were by now.

    A database that is busy keeps them as they are, and they stay said to be of an older version."""
    try:
        if store.looked_into_before() & conditions:
            # Here, because it loads numpy and polars, which few runs need.
            from engine.runs.probing import read_again

            read_again(store, conditions)
    except StoreError as error:
        log.warning("looks into thoughts were not read again: %s", error)


def materialize(path: Path, enough: int = deltas.ENOUGH, worth: float = 0) -> None:
    """Materialise the sums of a database of `enough` steps, which makes a large one quick to read.

    The end of a run is the moment for it, and before where it is `worth` it. A database that is busy stays as it is and
    is only slower to read.
    """
    try:
        with Store(path).reading() as connection:
            large = deltas.size(connection) >= enough
        if large:
            # Here, because it loads polars, which no other part of a run needs.
            from engine.analysis.materialize import materialize as hold

            hold(path, enough=enough, worth=worth)
    except StoreError as error:
        log.warning("the results of this run are stored, but not prepared for quick reading: %s", error)
