"""What lives in an actor: trials of its questions, on an event loop of its own, and the calls the run lets it send.

It holds no ceiling, journal or database and buys nothing: a completion is wanted of the run, which answers, or leases
the call to this actor, and then hears what became of it before any strategy does. Whoever draws the same twice waits
for one answer. Models are opened here, with the keys of this machine's environment. Knows no transport.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Coroutine
from importlib import metadata
from typing import Any

from engine.core.errors import BudgetscopeError, UsageError
from engine.core.records import Completion, Request
from engine.models import open_model
from engine.models.model import Model
from engine.runs.actors import wire
from engine.runs.actors.wire import Bought, Drop, FromActor, Lease, Message, Sent, Setup, Solve, Solved, ToActor, Wanted
from engine.runs.completion_cache import KEPT, Fetch, Flights
from engine.runs.one_trial import Bench, tried
from engine.strategies import build, plugins
from engine.strategies.registry import parameters
from engine.study.schema import parse
from engine.tasks import open_task
from engine.trial.judge import Judge
from engine.trial.solve import Setting

log = logging.getLogger(__name__)


class Lent(Flights):
    """Single flight for one actor. The run has every reply, so the ones read last are enough here: an older one that is
    wanted again is asked of the run again, which has paid for it."""

    def __init__(self, fetch: Fetch, kept: int) -> None:
        super().__init__(fetch)
        self._kept = kept
        # A dict for its order: what was read longest ago stands in front.
        self._read: dict[str, None] = {}

    async def get(self, request: Request) -> tuple[Completion, bool]:
        """As any flight; the reply that was read longest ago is let go where there are too many."""
        found = await super().get(request)
        self._read.pop(request.key, None)
        self._read[request.key] = None
        if len(self._read) > self._kept:
            oldest = next(iter(self._read))
            del self._read[oldest]
            self._flights.pop(oldest, None)
            self._taken.discard(oldest)
        return found


class Actor:
    """One actor; `open` comes first, `deliver` and `collect` as often as the run likes."""

    def __init__(self, kept: int = KEPT) -> None:
        """`kept`: how many replies stay in its memory."""
        self._models: dict[str, Model] = {}
        self._strategies: dict[tuple[str, str], Any] = {}
        self._bench: Bench | None = None
        self._pool = Lent(self._wanted, kept)
        self._numbers = itertools.count()
        self._answers: dict[int, asyncio.Future[Bought]] = {}
        self._trials: dict[int, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._said: list[Message] = []
        self._more = asyncio.Event()

    async def open(self, setup: bytes) -> str | None:
        """Get ready for a run's trials; one sentence where that is impossible here, else None."""
        told = wire.decoded(setup, Setup)
        try:
            return await self._opened(told)
        except (BudgetscopeError, OSError) as error:
            return str(error)
        except Exception as error:
            log.exception("an actor cannot be opened")
            return f"{type(error).__name__}: {error}"

    async def _opened(self, told: Setup) -> str | None:
        if (here := metadata.version("budgetscope")) != told.version:
            raise UsageError(f"Budgetscope {here} is installed there, and the run is of {told.version}.")
        # The run's user told it to run this study, and the run tells us.
        with plugins.trusting():
            study = parse(told.text, "the study of the run")
        declared = {model.name: model for model in study.models}
        by_name = {name: open_model(name, declared) for name, _ in told.models}
        for name, identity in told.models:
            if (here := by_name[name].setting.identity) != identity:
                raise UsageError(f"The model {name!r} is {here} on this machine and {identity} on that of the run.")
        self._models = {model.setting.identity: model for model in by_name.values()}
        built = [(choice.name, build(choice.name, dict(choice.params))) for choice in study.strategies]
        self._strategies = {(name, parameters(strategy)): strategy for name, strategy in built}
        tasks, judges = {}, {}
        for spec in study.tasks:
            task = open_task(spec)
            tasks[task.name] = task
            if spec.judge and spec.rubric:
                judges[task.name] = Judge(by_name[spec.judge], spec.rubric)
        self._bench = Bench(tasks, judges, Setting(told.run_id, self._models, self._pool))
        for model in self._models.values():
            if trouble := await model.probe():
                return trouble
        return None

    async def deliver(self, batch: bytes) -> None:
        """Hear what the run says."""
        for message in wire.decoded(batch, list[ToActor]):
            match message:
                case Solve(number=number):
                    self._trials[number] = self._begin(self._solve(message))
                case Lease():
                    self._begin(self._send(message))
                case Bought(number=number):
                    if (waiting := self._answers.pop(number, None)) and not waiting.done():
                        waiting.set_result(message)
                case Drop(number=number):
                    if trial := self._trials.get(number):
                        trial.cancel()

    async def collect(self) -> bytes:
        """All that is to be said to the run, once there is something."""
        await self._more.wait()
        # Whatever else this turn of the loop brings goes along.
        await asyncio.sleep(0)
        self._more.clear()
        said, self._said = self._said, []
        return wire.encoded(said)

    def abandon(self) -> None:
        """Give up all that is going on."""
        for task in self._tasks:
            task.cancel()
        self._pool.abandon()

    async def close(self) -> None:
        """Give up all that is going on, and give connections back."""
        self.abandon()
        for model in self._models.values():
            await model.close()

    def _begin(self, act: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(act)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _say(self, message: FromActor) -> None:
        self._said.append(message)
        self._more.set()

    async def _solve(self, asked: Solve) -> None:
        assert self._bench is not None
        condition = asked.spec.condition
        try:
            strategy = self._strategies[condition.strategy, condition.params]
            trial = await tried(asked.spec, strategy, self._bench, asked.attempt)
            self._say(Solved(asked.number, trial))
        except Exception as error:
            # Or the run would wait for ever.
            log.exception("a trial cannot be tried")
            self._say(Solved(asked.number, failure=wire.failure(error)))
        finally:
            self._trials.pop(asked.number, None)

    async def _wanted(self, request: Request) -> tuple[Completion, bool]:
        number = next(self._numbers)
        answer: asyncio.Future[Bought] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        self._say(Wanted(number, request))
        bought = await answer
        model = self._models[request.model]
        if model.context_tokens is None:
            model.context_tokens = bought.window_tokens
        if bought.failure:
            raise wire.raised(bought.failure)
        assert bought.completion is not None
        return bought.completion, bought.paid

    async def _send(self, lease: Lease) -> None:
        try:
            model: Any = self._models[lease.request.model]
            if lease.known:
                model.spread.adopt(lease.known)
            completion = await model.complete(lease.request)
        except Exception as error:
            self._say(Sent(lease.number, failure=wire.failure(error)))
            return
        # Only a remote model may have any; they are the run's to count.
        remarks = getattr(model, "remarks", None) or {}
        self._say(Sent(lease.number, completion, remarks=dict(remarks)))
        if remarks:
            remarks.clear()
