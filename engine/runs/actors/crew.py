"""The run's side of its actors: who tries what, what they want and are leased, and who takes a dead one's place.

A shard is a set of questions; all trials of a question are tried by the actor of its shard, so draws are shared there
without a word to anybody. What an actor wants goes through the run's own pool and dispatcher, so ceiling, lease of the
day, rates, journal and single flight between shards are those of any run: a call is sent by an actor only once its
worst case is held back and its intent is in the journal, and its reply is there before a strategy sees it. An actor
that dies leaves its calls in flight in doubt; another takes its shard and begins its trials again, with all that was
bought. Nothing is tried again by a transport.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from engine.core import text
from engine.core.errors import ActorLost, RunError
from engine.core.records import Completion, Request, Trial, TrialSpec
from engine.models.model import Model
from engine.runs.actors import wire
from engine.runs.actors.places import Place, Seat
from engine.runs.actors.wire import Bought, Drop, FromActor, Lease, Message, Sent, Solve, Solved, Wanted
from engine.runs.dispatcher import Gate

log = logging.getLogger(__name__)

HOPELESS = 8
"""Actors that die in a row, no trial having ended meanwhile, before the run gives up."""
_Answer = TypeVar("_Answer", Solved, Sent)


class Pool(Protocol):
    """Where completions come from; see `CompletionCache`."""

    async def get(self, request: Request) -> tuple[Completion, bool]:
        """The completion, and whether it was already paid for."""


class Link:
    """What is said to one actor and by it, for as long as it lives."""

    def __init__(self, seat: Seat, on_wanted: Callable[[Link, Wanted], None]) -> None:
        self.seat = seat
        self.lost: ActorLost | None = None
        """Why it is gone; None: it lives."""
        self._on_wanted = on_wanted
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Solved | Sent]] = {}
        self._unsaid: list[Message] = []
        self._listening = asyncio.create_task(self._listen())

    async def ask(self, said: Callable[[int], Solve | Lease], kind: type[_Answer]) -> _Answer:
        """Say something and wait for the answer. Raises ActorLost."""
        if self.lost:
            raise self.lost
        number = next(self._numbers)
        answer: asyncio.Future[Solved | Sent] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        message = said(number)
        self.tell(message)
        try:
            heard = await answer
        except asyncio.CancelledError:
            if isinstance(message, Solve):
                self.tell(Drop(number))
            raise
        finally:
            self._waiting.pop(number, None)
        assert isinstance(heard, kind)
        return heard

    def tell(self, message: Message) -> None:
        """Say something, with all else that is said in this turn of the loop."""
        if not self._unsaid:
            asyncio.get_running_loop().call_soon(self._deliver)
        self._unsaid.append(message)

    def end(self, why: ActorLost) -> None:
        """Let it be gone; whoever waits for an answer is told why."""
        if self.lost:
            return
        self.lost = why
        self._listening.cancel()
        self.seat.end()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(why)
                answer.exception()  # Looked at: whoever waited may have given up meanwhile.

    def _deliver(self) -> None:
        unsaid, self._unsaid = self._unsaid, []
        if not self.lost:
            self.seat.deliver(wire.encoded(unsaid))

    async def _listen(self) -> None:
        try:
            while True:
                for message in wire.decoded(await self.seat.collect(), list[FromActor]):
                    if isinstance(message, Wanted):
                        self._on_wanted(self, message)
                    elif (answer := self._waiting.get(message.number)) and not answer.done():
                        answer.set_result(message)
        except ActorLost as error:
            self.end(error)
        except Exception as error:
            log.exception("an actor cannot be understood")
            self.end(ActorLost(f"what it said cannot be read: {error}"))


class Shard:
    """Some of a run's questions, and the actor that has them."""

    def __init__(self) -> None:
        self.trials = 0
        """Under way."""
        self.link: Link | None = None
        self.hiring: asyncio.Task[Link] | None = None


class Crew:
    """A run's actors."""

    def __init__(self, place: Place, setup: wire.Setup, models: Mapping[str, Model]) -> None:
        """`models`: those of the run, by identity; they are asked for bounds and for what they learned."""
        self.replaced = 0
        """Actors that died and were made again."""
        self._models = models
        self._place = place
        self._setup = wire.encoded(setup)
        self._run_id = setup.run_id
        self._shards: list[Shard] = []
        self._homes: dict[str, Shard] = {}
        self._askers: dict[str, Shard] = {}
        self._in_a_row = 0
        self._gate: Gate | None = None
        self._pool: Pool | None = None
        self._answering: set[asyncio.Task[None]] = set()

    @property
    def says(self) -> str | None:
        """What became of its actors, in a sentence; None: nothing did."""
        if not self.replaced:
            return None
        died = text.plural(self.replaced, "actor")
        return f"{died} died and others took their questions; what they had in flight is in doubt."

    async def open(self) -> None:
        """Get the actors. Raises UsageError or RunError where there are none to be had, or one of them cannot work."""
        count = await self._place.open()
        self._shards = [Shard() for _ in range(count)]
        try:
            await asyncio.gather(*(self._linked(shard) for shard in self._shards))
        except ActorLost as error:
            raise RunError(f"No actors could be made on {self._place.name}: {error}.") from error

    def serve(self, pool: Pool, gate: Gate) -> None:
        """From here on what actors want comes from this pool."""
        self._pool, self._gate = pool, gate

    async def solve(self, spec: TrialSpec, attempt: int) -> Trial:
        """One trial, by the actor that has its question, as often as that dies."""
        shard = self._homes.get(spec.question.question_id)
        if shard is None:
            # Where the least is under way; from then on it stays there.
            shard = self._homes[spec.question.question_id] = min(self._shards, key=lambda each: each.trials)
        shard.trials += 1
        try:
            while True:
                try:
                    link = await self._linked(shard)
                    solved = await link.ask(lambda number: Solve(number, spec, attempt), Solved)
                except (ActorLost, RunError) as error:
                    if self._gate and self._gate.stopped:
                        return _left(spec, self._run_id, attempt, error)
                    continue
                self._in_a_row = 0
                if solved.trial is None:
                    raise wire.raised(solved.failure or wire.Failure("", "no reason told"))
                return solved.trial
        finally:
            shard.trials -= 1

    async def send(self, model: Model, request: Request) -> Completion:
        """Have a call sent by the actor that wants it. Raises what the model raised there, and ActorLost."""
        asker = self._askers.get(request.key)
        # Any can send it. Where the one that wanted it is dead, its heir will want it too, and that may take a while
        # to come, in which this call would keep others from their turn.
        living = [shard for shard in self._shards if shard.link and not shard.link.lost]
        shard = asker if asker in living else min(living or self._shards, key=lambda each: each.trials)
        link = await self._linked(shard)
        # Of a model at several addresses: all actors hold them to the one that answered first in the whole run.
        spread = getattr(model, "spread", None)
        sent = await link.ask(lambda number: Lease(number, request, spread and spread.known), Sent)
        if sent.remarks:
            getattr(model, "remarks", {}).update(sent.remarks)
        if sent.failure:
            raise wire.raised(sent.failure)
        assert sent.completion is not None
        if spread:
            spread.held(sent.completion)
        # What a template adds to prompts is learned by whoever bounds them, and that is this side.
        learn = getattr(model, "learn", None)
        if learn and not sent.completion.usage.estimated:
            learn(request.messages, sent.completion.usage.input_tokens)
        return sent.completion

    async def close(self) -> None:
        """Let all actors go."""
        for task in [*self._answering, *(shard.hiring for shard in self._shards if shard.hiring)]:
            task.cancel()
        for shard in self._shards:
            if shard.link:
                shard.link.end(ActorLost("the run is over"))
        await self._place.close()

    async def _linked(self, shard: Shard) -> Link:
        """The actor of a shard, another one where the last is gone. Raises ActorLost."""
        if shard.link and not shard.link.lost:
            return shard.link
        if shard.hiring is None or shard.hiring.done():
            if self._gate and self._gate.stopped:
                raise ActorLost("the run was asked to stop")
            shard.hiring = asyncio.create_task(self._hired(shard))
            # Looked at: whoever waited for it may have given up meanwhile.
            shard.hiring.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(shard.hiring)

    async def _hired(self, shard: Shard) -> Link:
        if shard.link and shard.link.lost:
            log.warning("an actor is gone: %s", shard.link.lost)
            self.replaced += 1
            self._count(shard.link.lost)
        try:
            seat = await self._place.hire()
            trouble = await seat.open(self._setup)
        except ActorLost as error:
            self._count(error)
            raise
        if trouble:
            seat.end()
            if self._gate:
                self._gate.stop(f"An actor cannot work: {trouble}")
            raise RunError(f"An actor on {self._place.name} cannot work: {trouble}")
        shard.link = Link(seat, lambda link, wanted: self._hear(shard, link, wanted))
        return shard.link

    def _count(self, error: ActorLost) -> None:
        self._in_a_row += 1
        if self._gate and self._in_a_row >= HOPELESS:
            self._gate.stop(f"{self._in_a_row} actors died before any trial ended, so the run gave up: {error}.")

    def _hear(self, shard: Shard, link: Link, wanted: Wanted) -> None:
        answering = asyncio.create_task(self._answer(shard, link, wanted))
        self._answering.add(answering)
        answering.add_done_callback(self._answering.discard)

    async def _answer(self, shard: Shard, link: Link, wanted: Wanted) -> None:
        request, pool = wanted.request, self._pool
        assert pool is not None
        answer = Bought(wanted.number)
        while not link.lost:
            self._askers[request.key] = shard
            try:
                completion, paid = await pool.get(request)
                window = self._models[request.model].context_tokens
                answer = Bought(wanted.number, completion, paid, window_tokens=window)
            except ActorLost:
                # Another shard's actor, which was asked for the same draw first: it is in doubt there, and bought here.
                continue
            except Exception as error:
                window = self._models[request.model].context_tokens
                answer = Bought(wanted.number, failure=wire.failure(error), window_tokens=window)
            break
        self._askers.pop(request.key, None)
        link.tell(answer)


def _left(spec: TrialSpec, run_id: str, attempt: int, why: Exception) -> Trial:
    """A trial that nobody is left to try."""
    now = datetime.now(UTC)
    return Trial(spec, run_id, attempt, "stopped", "none", None, str(why), (), (), (), now, now)
