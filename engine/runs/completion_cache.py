"""The completion pool of a run: each draw is bought once, whoever asks for it, and then read by all.

`Flights` is single flight, `CompletionCache` adds replay. What is in flight is never cancelled or bought again: a draw
that nobody waits for any more finishes into the pool and the run pays for it. What a completion costs, and whether it
may be bought at all, is decided by the dispatcher.

`StoredCompletions` are those paid for by earlier runs, read from the store on demand. Of local and scripted models all
may be replayed, of remote ones those younger than `pool_max_age`; a stored reply is refused once the model answers
under another name or fingerprint than it was stored with, where it would be sent with another cap today, and where it
had not finished, which earlier versions kept, and where its text was removed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol

from engine.core.answers import removed
from engine.core.errors import ActorLost, RunStopped, StoreError
from engine.core.ids import request_of
from engine.core.records import Completion, Request
from engine.models.model import Model
from engine.store.retry import LockRetry
from engine.store.store import Store

Buy = Callable[[Request], Awaitable[Completion]]
Fetch = Callable[[Request], Coroutine[Any, Any, tuple[Completion, bool]]]
"""A completion, and whether it was paid for before."""


class Archive(Protocol):
    """Completions paid for before this run."""

    async def find(self, request: Request) -> Completion | None:
        """The oldest stored completion of this request; None: there is none that may be replayed."""


class Flights:
    """Single flight: each draw is fetched once, whoever asks for it, and then read by all."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._flights: dict[str, asyncio.Task[tuple[Completion, bool]]] = {}
        self._taken: set[str] = set()

    async def get(self, request: Request) -> tuple[Completion, bool]:
        """The completion and whether it was already paid for when this call took it.

        Raises what the fetch raised; a failed one stays failed for this run, unless an actor was lost with it.
        """
        flight = self._flight(request)
        # Shielded: a trial that gives up takes nothing down that others wait for, and that is paid in any case.
        completion, stored = await asyncio.shield(flight)
        # Bought once in this run and read again, it is paid for as well: only its first reader is billed.
        replayed = stored or request.key in self._taken
        self._taken.add(request.key)
        return completion, replayed

    def prefetch(self, request: Request) -> None:
        """Put a draw in flight unless it is known."""
        self._flight(request)

    async def drain(self) -> None:
        """Wait for all flights, also those nobody consumes; their failures concern nobody."""
        # Again, because a flight that lands may wake a trial that puts another draw in flight.
        while pending := [flight for flight in self._flights.values() if not flight.done()]:
            await asyncio.wait(pending)

    def abandon(self) -> None:
        """Cancel what is in flight, because the user wants out now; the dispatcher keeps it charged."""
        for flight in self._flights.values():
            flight.cancel()

    def _flight(self, request: Request) -> asyncio.Task[tuple[Completion, bool]]:
        flight = self._flights.get(request.key)
        if flight is None or _lost(flight):
            flight = asyncio.create_task(self._fetch(request))
            # Look at the exception, so that a draw nobody consumed does not warn.
            flight.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._flights[request.key] = flight
        return flight


def _lost(flight: asyncio.Task[tuple[Completion, bool]]) -> bool:
    return flight.done() and not flight.cancelled() and isinstance(flight.exception(), ActorLost)


class CompletionCache(Flights):
    """Completions by key: in the archive, in flight, or bought in this run."""

    def __init__(self, buy: Buy, archive: Archive | None = None, bought: Iterable[Completion] = ()) -> None:
        super().__init__(self._found_or_bought)
        self._buy = buy
        self._archive = archive
        self._earlier = {request_of(done.key): done for done in bought if _whole(done)}

    async def _found_or_bought(self, request: Request) -> tuple[Completion, bool]:
        known = self._earlier.get(request.key)
        if known is None and self._archive is not None:
            known = await self._archive.find(request)
        if known is not None:
            return known, True
        return await self._buy(request), False


_EVER = datetime(1970, 1, 1, tzinfo=UTC)


class StoredCompletions:
    """The archive of a run; reads that arrive together share one opening of the database."""

    def __init__(
        self,
        store: Store,
        models: Iterable[Model],
        max_age: timedelta,
        lock_retry: LockRetry,
        on_trouble: Callable[[str], None],
    ) -> None:
        self._lock_retry = lock_retry
        self._on_trouble = on_trouble
        self._keys: dict[str, str] = {}
        self._again: dict[str, str] = {}
        self._models: dict[str, Model] = {}
        self._answers_as: dict[str, tuple[str | None, str | None]] = {}
        self._wanted: dict[str, asyncio.Future[Completion | None]] = {}
        self._reader: asyncio.Task[None] | None = None
        self.without_text = 0
        """Replies that were asked for and whose texts were removed, so that they are bought again."""
        for model in models:
            # What runs here answers as it did, and its identity holds the hash of its weights.
            since = _EVER if model.local else datetime.now(UTC) - max_age
            name = model.setting.identity
            keys = store.completion_keys([name], since)
            self._keys |= keys
            self._models[name] = model

    def admit(self, keys: Mapping[str, str]) -> None:
        """Replay these stored replies, by request, however old they are: trials that read them are read again."""
        self._again |= keys

    def saw(self, model: str, completion: Completion) -> None:
        """Remember under which name and fingerprint a model answers now."""
        self._answers_as[model] = (completion.model_reported, completion.fingerprint)

    async def find(self, request: Request) -> Completion | None:
        """The stored completion of this request; None: none that may be replayed."""
        key, again = request.key, request.key in self._again
        if key not in self._keys and not again:
            return None
        waiting = self._wanted.setdefault(key, asyncio.get_running_loop().create_future())
        # One opening of the database for all that ask while it lasts: opening costs more than reading.
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read())
        completion = await asyncio.shield(waiting)
        model = self._models[request.model]
        if completion is not None and removed.is_note(completion.text):
            self.without_text += 1
        if completion is None or not _whole(completion) or not _sent_alike(completion, request, model):
            return None
        if again:
            return completion
        # Before the model's first reply nobody can tell; a changed model is seen from then on.
        now = self._answers_as.get(model.setting.identity)
        return completion if now in (None, (completion.model_reported, completion.fingerprint)) else None

    async def _read(self) -> None:
        while self._wanted:
            batch, self._wanted = self._wanted, {}
            keys = {request: self._again.get(request) or self._keys[request] for request in batch}
            try:
                completions = await self._lock_retry.with_retry(partial(Store.completions, keys=keys.values()))
            except StoreError as error:
                # What cannot be looked up is not bought either: it was paid for once.
                self._on_trouble(str(error))
                for waiting in batch.values():
                    waiting.set_exception(RunStopped(str(error)))
                continue
            for request, waiting in batch.items():
                waiting.set_result(completions.get(keys[request]))


def _whole(stored: Completion) -> bool:
    """Whether a stored reply can be read in place of a call: it had finished, and its text is there."""
    return stored.finish != "other" and not removed.is_note(stored.text)


def _sent_alike(stored: Completion, request: Request, model: Model) -> bool:
    """Whether the request would be sent today with the cap this reply was, cut or not.

    Buying again only what was cut would favour short replies.
    """
    if request.sent_tokens is not None or stored.sent_tokens is None:
        return stored.sent_tokens == request.sent_tokens
    # With bounds alone the asked cap goes out first, and the provider's refusal leaves what its window does.
    return model.context_tokens is not None and stored.sent_tokens == model.context_tokens - stored.usage.input_tokens
