"""Running planned trials concurrently: conditions interleaved, results flushed in batches, one end for each trial.

Owns the order of work, the flushes and the counts. It decides nothing about money (dispatcher) or meaning (trial), and
knows no run directory, signal or terminal (worker).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from engine.core import files, text
from engine.core.errors import StoreError
from engine.core.memory import rare_collections
from engine.core.records import Attempt, Completion, Trial, TrialSpec
from engine.runs import reasons
from engine.runs.actors.crew import Crew
from engine.runs.adaptive import Rounds
from engine.runs.completion_cache import CompletionCache, StoredCompletions
from engine.runs.dispatcher import Dispatcher, Gate, Notes, Overruns
from engine.runs.journal import History
from engine.runs.one_trial import Bench, tried
from engine.runs.rate_limits import Retries
from engine.store.retry import LockRetry
from engine.store.store import Batch, Done, Store, settled
from engine.study.plan import Plan
from engine.trial.solve import Setting

log = logging.getLogger(__name__)

FLUSH_S = 2.0
"""Seconds between flushes."""
PREPARED_EVERY = 100_000
"""Trials after whose storing the database is made quick to read again."""
HOPELESS = 8
"""Trials that fail in a row, none having worked, before the run gives up."""


@dataclass(slots=True)
class Progress:
    """Counts of a run, updated as trials end."""

    total: int = 0
    done: int = 0
    """Trials with a final result, those of earlier runs included."""
    before: int = 0
    """Of these, found in the store at the start."""
    ends: Counter[str] = field(default_factory=Counter)
    unjudged: int = 0
    """Trials of this session whose answers the judge gave no score that can be read."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Why trials failed, by sentence; see `runs.reasons`."""

    @property
    def hopeless(self) -> bool:
        """Whether everything fails."""
        return self.ends["failed"] >= HOPELESS and self.ends["failed"] == sum(self.ends.values())


class Runner:
    """One run's trials; `run` returns when all are done, the run was stopped, or the ceiling is reached."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        gate: Gate,
        notes: Notes,
        run_id: str,
        *,
        history: History | None = None,
        retries: Retries = Retries(),
        rounds: Rounds | None = None,
        crew: Crew | None = None,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        """`crew`: the actors that try trials and send calls; None: this process does both. `prepare`: what makes the
        database quick to read, after every `PREPARED_EVERY` trials that are stored."""
        self.progress = Progress(total=rounds.most if rounds else len(plan.specs))
        self.lock_retry = LockRetry(store.path)
        """How it gets at the database while others may hold it."""
        self._plan = plan
        self._gate = gate
        self._notes = notes
        self._run_id = run_id
        self._trials: list[Trial] = []
        self._over = asyncio.Event()
        self._prepare, self._unprepared = prepare, 0
        self._rounds = rounds
        # A round flushes when it is over, whenever the regular flush last did.
        self._flushing = asyncio.Lock()
        self._tried: set[str] = set()
        """Trials that were asked for in this session."""
        past = history or History()
        self._completions: list[Completion] = list(past.completions.values())
        self._attempts: list[Attempt] = list(past.attempts)
        age = timedelta(days=plan.study.pool_max_age_days)
        self._archive = StoredCompletions(store, plan.models.values(), age, self.lock_retry, self._broke, run_id)
        overruns = Overruns(past.billed)
        send = crew.send if crew else None
        self.buyer = buyer = Dispatcher(plan.models, gate, notes, retries, self._paid, run_id, overruns, send)
        self._pool = CompletionCache(buyer.purchase, self._archive, self._completions)
        self._bench = Bench(plan.tasks, plan.judges, Setting(run_id, plan.models, self._pool))
        self._crew = crew
        if crew:
            crew.serve(self._pool, gate)

    async def run(self) -> None:
        """Work through the plan. Raises StoreError when results can no longer be stored (the journal has them)."""
        with rare_collections():
            flusher = asyncio.create_task(self._flush_regularly())
            whole = self._in_rounds(self._rounds) if self._rounds else self._all(self._plan.specs)
            workers = asyncio.create_task(whole)
            both: list[asyncio.Future[Any]] = [workers, flusher]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                (flusher if flusher.done() else workers).result()
            finally:
                # Not given up however often we are told to stop waiting: a cut flush would lose what it was storing.
                landing = asyncio.create_task(self._land(workers, flusher))
                while not landing.done():
                    with suppress(asyncio.CancelledError):
                        await asyncio.shield(landing)
                landing.result()

    async def _in_rounds(self, rounds: Rounds) -> None:
        """Ask until the next look, store, decide, and again; a round that was cut short is decided when it is whole."""
        while True:
            asked = rounds.next()
            await self._all(asked)
            if rounds.over or self._gate.stopped or self._gate.reached:
                return
            await self._flush()
            await self.lock_retry.with_retry(rounds.decide)
            self.progress.total = rounds.most

    async def _all(self, specs: Sequence[TrialSpec]) -> None:
        """All trials that the store does not answer yet."""
        # What failed or was left in this session is not tried again by it.
        fresh = [spec for spec in specs if spec.trial_id not in self._tried]
        if not self._tried:
            self.progress.done = 0
        trial_ids = [spec.trial_id for spec in fresh]
        self._tried.update(trial_ids)
        stored = await self.lock_retry.with_retry(lambda store: store.done(trial_ids))
        open_specs = [spec for spec in fresh if not settled(spec, stored.get(spec.trial_id))]
        self.progress.before += len(fresh) - len(open_specs)
        self.progress.done += len(fresh) - len(open_specs)
        outdated = [trial_id for trial_id, done in stored.items() if done.outdated]
        if outdated:
            self._archive.admit(await self.lock_retry.with_retry(lambda store: store.replies_read(outdated)))
        # One iterator for all workers: each takes the next trial, with what is stored of it.
        todo = iter([_again(spec, stored.get(spec.trial_id)) for spec in open_specs])
        # Twice the calls at once: enough trials to keep every model's slots busy while others wait for their turn.
        width = 2 * sum(model.parallel for model in self._plan.models.values())
        await asyncio.gather(*(self._work(todo) for _ in range(width)))

    @property
    def remarks(self) -> list[str]:
        """What was ignored of replies, in a sentence for each model and matter."""
        # Only a remote model may have any.
        noted = ((model, getattr(model, "remarks", {})) for model in self._plan.models.values())
        told = [
            f"{model.setting.name} reported {what}, {count:,} times."
            for model, remarks in noted
            for what, count in remarks.items()
        ]
        if count := self._archive.without_text:
            told.append(f"{text.plural(count, 'reply', 'replies')} were bought again, as their texts were removed.")
        return told

    def abandon(self) -> None:
        """Give up what is in flight, which stays charged as in doubt, and wait for no database."""
        self.lock_retry.hurry(1)
        self._pool.abandon()

    async def _land(self, workers: asyncio.Task[None], flusher: asyncio.Task[None]) -> None:
        """Let what is in flight finish, then store what there is; a flush that has begun is not given up."""
        workers.cancel()
        self._over.set()
        await asyncio.gather(workers, flusher, return_exceptions=True)
        await self._pool.drain()
        await self._flush()

    async def _work(self, todo: Iterator[tuple[TrialSpec, Done | None]]) -> None:
        for spec, done in todo:
            # A trial that has begun is finished, or stopped by its next call; none begins any more.
            if self._gate.stopped or self._gate.reached:
                return
            again = done is not None and done.outdated
            attempt = done.attempt + 1 if done else 1
            if self._crew:
                trial = await self._crew.solve(spec, attempt)
            else:
                trial = await tried(spec, self._plan.strategies[spec.condition.condition_id], self._bench, attempt)
            # A reading that was cut off takes the place of none that was not.
            if not again or trial.end in ("finished", "exhausted"):
                self._trials.append(trial)
            self.progress.ends[trial.end] += 1
            self.progress.done += trial.end in ("finished", "exhausted")
            if trial.end == "stopped" and not (self._gate.stopped or self._gate.reached):
                self.progress.unjudged += 1
                log.warning("trial %s: %s", trial.spec.trial_id, trial.error)
            if trial.end == "failed":
                self.progress.reasons = reasons.grouped([*self.progress.reasons.items(), (trial.error, 1)])
                log.warning("trial %s failed: %s", trial.spec.trial_id, trial.error)
                if self.progress.hopeless:
                    self._gate.stop(f"Every trial failed, so the run gave up: {trial.error}")

    def _paid(self, attempt: Attempt, completion: Completion | None) -> None:
        self._attempts.append(attempt)
        if completion is not None:
            self._completions.append(completion)
            self._archive.saw(attempt.model, completion)

    async def _flush_regularly(self) -> None:
        while not self._over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), FLUSH_S)
            await self._flush()
            if self._prepare and self._unprepared >= PREPARED_EVERY and not self._over.is_set():
                self._unprepared = 0
                await asyncio.to_thread(self._prepare)

    async def _flush(self) -> None:
        """Store all that ended; on failure it stays here, and in the journal, for the next try."""
        async with self._flushing:
            await self._flush_once()

    async def _flush_once(self) -> None:
        # Copies: trials go on ending while this waits for the database.
        batch = Batch(tuple(self._trials), tuple(self._completions), tuple(self._attempts), self._run_id)
        if not (batch.trials or batch.completions or batch.attempts):
            return
        # The journal first, down to the disk: the store may refuse, and then it is all there is.
        await self._noted()
        try:
            await self.lock_retry.with_retry(lambda store: store.flush(batch), self._noted)
        except StoreError as error:
            journal = "the journal has it all" if await self._noted() else "neither could the journal"
            log.warning("the database could not be written, %s: %s", journal, error)
            raise
        self._unprepared += len(batch.trials)
        # More may have ended while the batch was being stored.
        del self._trials[: len(batch.trials)]
        del self._completions[: len(batch.completions)]
        del self._attempts[: len(batch.attempts)]
        self._pool.stored(completion.key for completion in batch.completions)

    def _broke(self, trouble: str) -> None:
        """End the run for a reason of its own, unless it is ending already."""
        if not self._gate.stopped:
            self._gate.stop(trouble)

    async def _noted(self) -> bool:
        """Whether the journal holds all there is, beyond the machine's own end; if not, the run stops."""
        try:
            await self._notes.written()
            await asyncio.to_thread(self._notes.sync)
        except OSError as error:
            self._broke(f"The journal cannot be written ({files.why(error)}), so nothing more is sent.")
            return False
        return True


def _again(spec: TrialSpec, done: Done | None) -> tuple[TrialSpec, Done | None]:
    """A trial to run, with what is stored of it; one that is read again goes as far as it went before."""
    if done and done.outdated and done.budget > spec.condition.budget:
        # Or the larger budgets would lose what they had.
        spec = replace(spec, condition=replace(spec.condition, budget=done.budget))
    return spec, done
