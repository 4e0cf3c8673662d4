"""A place for actors that needs no cluster: they live in the run's own process, and can be killed one by one."""

from __future__ import annotations

import asyncio

from engine.core.errors import ActorLost
from engine.runs.actors.actor import Actor


class InProcess:
    """Actors on the run's own loop, with the same bytes between them as between machines.

    `latency_s` is what each way takes. An actor that is ended takes all it was doing with it, as a process that is
    killed does.
    """

    name = "this process"

    def __init__(self, actors: int = 2, latency_s: float = 0.0) -> None:
        self._actors = actors
        self._latency_s = latency_s
        self.seats: list[InProcessSeat] = []
        """Every actor there ever was, oldest first."""

    async def open(self) -> int:
        """As many as it was made for."""
        return self._actors

    async def hire(self) -> InProcessSeat:
        """Another one."""
        seat = InProcessSeat(self._latency_s)
        self.seats.append(seat)
        return seat

    async def close(self) -> None:
        """End them all and give their connections back."""
        for seat in self.seats:
            seat.end()
            await seat.actor.close()


class InProcessSeat:
    """An actor on this loop."""

    def __init__(self, latency_s: float) -> None:
        self.actor = Actor()
        self.alive = True
        self._latency_s = latency_s
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
        if self._latency_s:
            await asyncio.sleep(self._latency_s)
        if self.alive:
            await self.actor.deliver(batch)

    async def collect(self) -> bytes:
        """See `Seat`."""
        said = asyncio.ensure_future(self.actor.collect())
        try:
            await asyncio.wait([said, self._gone], return_when=asyncio.FIRST_COMPLETED)
            if self.alive and self._latency_s:
                await asyncio.sleep(self._latency_s)
            if not self.alive:
                raise ActorLost("an actor was ended")
            return said.result()
        finally:
            said.cancel()

    def end(self) -> None:
        """See `Seat`."""
        if not self.alive:
            return
        self.alive = False
        self._gone.set_result(None)
        self.actor.abandon()
