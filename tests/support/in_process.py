"""A place for actors that needs no cluster: they live in the run's own process, and can be killed one by one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from engine.core.errors import ActorLost
from engine.runs.actors import wire
from engine.runs.actors.actor import Actor

Way = Literal["to", "from"]
Tap = Callable[["InProcessSeat", Way, list[wire.Message]], None]


@dataclass
class InProcess:
    """Actors on the run's own loop, with the same bytes between them as between machines.

    An actor that is ended takes all it was doing with it, as a process that is killed does.
    """

    actors: int = 2
    latency_s: float = 0.0
    """What each way takes."""
    tap: Tap | None = None
    """Told of all that is said, right before it arrives; may end the actor, and then it does not arrive."""
    kept: int = 1
    """How many replies an actor keeps in memory: so few that it asks for some again."""
    seats: list[InProcessSeat] = field(default_factory=list)
    """Every actor there ever was, oldest first."""
    name: str = "this process"

    async def open(self) -> int:
        """As many as it was made for."""
        return self.actors

    async def hire(self) -> InProcessSeat:
        """Another one."""
        seat = InProcessSeat(self)
        self.seats.append(seat)
        return seat

    async def close(self) -> None:
        """End them all and give their connections back."""
        for seat in self.seats:
            seat.end()
            await seat.actor.close()


class InProcessSeat:
    """An actor on this loop."""

    def __init__(self, place: InProcess) -> None:
        self.actor = Actor(place.kept)
        self.alive = True
        self._place = place
        self._gone = asyncio.get_running_loop().create_future()
        self._acts: set[asyncio.Task[None]] = set()

    async def open(self, setup: bytes) -> str | None:
        """See `Seat`."""
        return await self.actor.open(setup)

    def deliver(self, batch: bytes) -> None:
        """See `Seat`."""
        act = asyncio.create_task(self._delivered(batch))
        self._acts.add(act)
        act.add_done_callback(self._acts.discard)

    async def _delivered(self, batch: bytes) -> None:
        await self._on_the_way("to", batch)
        if self.alive:
            await self.actor.deliver(batch)

    async def collect(self) -> bytes:
        """See `Seat`."""
        said = asyncio.ensure_future(self.actor.collect())
        try:
            await asyncio.wait([said, self._gone], return_when=asyncio.FIRST_COMPLETED)
            if self.alive:
                await self._on_the_way("from", said.result())
            if not self.alive:
                raise ActorLost("an actor was ended")
            return said.result()
        finally:
            said.cancel()

    async def _on_the_way(self, way: Way, batch: bytes) -> None:
        if self._place.latency_s:
            await asyncio.sleep(self._place.latency_s)
        if self._place.tap:
            kind = list[wire.ToActor] if way == "to" else list[wire.FromActor]
            self._place.tap(self, way, list(wire.decoded(batch, kind)))

    def end(self) -> None:
        """See `Seat`."""
        if self.alive:
            self.alive = False
            self._gone.set_result(None)
            self.actor.abandon()


def killer(seed: int, one_in: int, most: int) -> Tap:
    """Ends one actor in so many batches, at most so often."""
    chance, left = random.Random(seed), [most]

    def tap(seat: InProcessSeat, way: Way, batch: list[wire.Message]) -> None:
        if left[0] and chance.randrange(one_in) == 0:
            left[0] -= 1
            seat.end()

    return tap
