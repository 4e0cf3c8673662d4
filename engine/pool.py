"""The completion pool of a run: each draw is bought once, whoever asks for it, and then read by all.

Owns single flight and replay. It never cancels or buys again what is in flight: a draw that nobody waits for any more
finishes into the pool and the run pays for it. What a completion costs, and whether it may be bought at all, is decided
by the dispatcher.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from engine.identity import request_of
from engine.records import Completion, Request

Buy = Callable[[Request], Awaitable[Completion]]


class Shelf(Protocol):
    """Completions paid for before this run."""

    async def find(self, key: str) -> Completion | None:
        """The oldest stored completion of this request; None: there is none that may be replayed."""


class EmptyShelf:
    """No earlier completions; with it every draw is bought."""

    async def find(self, key: str) -> Completion | None:
        """Always None."""
        return None


class Pool:
    """Completions by key: on the shelf, in flight, or bought in this run."""

    def __init__(self, buy: Buy, shelf: Shelf | None = None, bought: Iterable[Completion] = ()) -> None:
        self._buy = buy
        self._shelf = shelf or EmptyShelf()
        self._earlier = {request_of(completion.key): completion for completion in bought}
        self._flights: dict[str, asyncio.Task[tuple[Completion, bool]]] = {}
        self._taken: set[str] = set()

    async def take(self, request: Request) -> tuple[Completion, bool]:
        """The completion and whether it was already paid for when this call took it.

        Raises what the purchase raised; a failed purchase stays failed for this run.
        """
        flight = self._flight(request)
        completion, stored = await asyncio.shield(flight)
        replayed = stored or request.key in self._taken
        self._taken.add(request.key)
        return completion, replayed

    def warm(self, request: Request) -> None:
        """Put a draw in flight unless it is known."""
        self._flight(request)

    async def drain(self) -> None:
        """Wait for all flights, also those nobody consumes; their failures concern nobody."""
        while pending := [flight for flight in self._flights.values() if not flight.done()]:
            await asyncio.wait(pending)

    def abandon(self) -> None:
        """Cancel what is in flight, because the user wants out now; the dispatcher keeps it charged."""
        for flight in self._flights.values():
            flight.cancel()

    def _flight(self, request: Request) -> asyncio.Task[tuple[Completion, bool]]:
        flight = self._flights.get(request.key)
        if flight is None:
            flight = asyncio.create_task(self._fetch(request))
            flight.add_done_callback(_seen)
            self._flights[request.key] = flight
        return flight

    async def _fetch(self, request: Request) -> tuple[Completion, bool]:
        known = self._earlier.get(request.key) or await self._shelf.find(request.key)
        if known is not None:
            return known, True
        return await self._buy(request), False


def _seen(flight: asyncio.Task[tuple[Completion, bool]]) -> None:
    """Look at the exception, so that a draw nobody consumed does not warn."""
    if not flight.cancelled():
        flight.exception()
