"""The completion pool of a run: each draw is bought once, whoever asks for it, and then read by all.

`Flights` is single flight, `CompletionCache` adds replay. What is in flight is never cancelled or bought again: a draw
that nobody waits for any more finishes into the pool and the run pays for it. What a completion costs, and whether it
may be bought at all, is decided by the dispatcher.

A run of a million calls keeps the latest replies in memory and reads older ones of its own back from the store: a
filter of fixed size tells which those may be.

`StoredCompletions` are those paid for by earlier runs, read from the store on demand. Of local and scripted models all
may be replayed, of remote ones those younger than `pool_max_age`; a stored reply is refused once the model answers
under another name or fingerprint than it was stored with, where it would be sent with another cap today, and where it
had not finished, which earlier versions kept, and where its text was removed.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol

from engine.core.answers import removed
from engine.core.errors import ActorLost, RunStopped, StoreError
from engine.core.ids import request_of
from engine.core.records import Completion, Request
from engine.models.model import Model
from engine.store.reply_keys import ReplyKeys
from engine.store.retry import LockRetry
from engine.store.store import Store

Buy = Callable[[Request], Awaitable[Completion]]
KEPT = 20_000
"""Replies that stay in memory once they are stored; trials that share one run near each other."""
Fetch = Callable[[Request], Coroutine[Any, Any, tuple[Completion, bool]]]
"""A completion, and whether it was paid for before."""


class Sieve:
    """Keys that were let go, in a memory that does not grow (a Bloom filter): it misses none, and of the others that a
    run of millions asks for it takes less than one in a thousand for one of them, which costs a look into the store."""

    _BITS = 26
    _HASHES = 4

    def __init__(self) -> None:
        self._bits: bytearray | None = None

    def add(self, key: str) -> None:
        """Remember a key."""
        if self._bits is None:
            self._bits = bytearray(1 << (self._BITS - 3))
        for place in self._places(key):
            self._bits[place >> 3] |= 1 << (place & 7)

    def __contains__(self, key: str) -> bool:
        bits = self._bits
        return bits is not None and all(bits[place >> 3] >> (place & 7) & 1 for place in self._places(key))

    def _places(self, key: str) -> Iterator[int]:
        number = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=16).digest(), "big")
        for _ in range(self._HASHES):
            yield number & ((1 << self._BITS) - 1)
            number >>= self._BITS


class Archive(Protocol):
    """Completions paid for before this run."""

    async def find(self, request: Request) -> Completion | None:
        """The oldest stored completion of this request; None: there is none that may be replayed."""

    def let_go(self, key: str) -> None:
        """Note that the pool has this request's reply no longer, so that it is read from the store."""


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

    def __init__(
        self, buy: Buy, archive: Archive | None = None, bought: Iterable[Completion] = (), kept: int = KEPT
    ) -> None:
        super().__init__(self._found_or_bought)
        self._buy = buy
        self._kept = kept
        self._stored: deque[str] = deque()
        """Requests whose replies the store has, and so does this memory; in the order they came."""
        self._archive = archive
        self._earlier = {request_of(done.key): done for done in bought if _whole(done)}

    def stored(self, keys: Iterable[str]) -> None:
        """Say that the store has these replies now, by key; the oldest are let go."""
        if self._archive is None:
            return
        self._stored.extend(map(request_of, keys))
        for _ in range(len(self._stored) - self._kept):
            key = self._stored.popleft()
            # What nobody has read yet stays: its first reader is the one who is billed.
            if key in self._taken and (flight := self._flights.get(key)) is not None and flight.done():
                del self._flights[key]
                self._taken.discard(key)
                self._archive.let_go(key)

    async def _found_or_bought(self, request: Request) -> tuple[Completion, bool]:
        known = self._earlier.get(request.key)
        if known is None and self._archive is not None:
            known = await self._archive.find(request)
        if known is not None:
            self._stored.append(request.key)
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
        run_id: str | None = None,
    ) -> None:
        self._run_id = run_id
        self._own = Sieve()
        self._lock_retry = lock_retry
        self._on_trouble = on_trouble
        self._keys: list[ReplyKeys] = []
        """Of each model."""
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
            self._keys.append(store.completion_keys([name], since))
            self._models[name] = model

    def admit(self, keys: Mapping[str, str]) -> None:
        """Replay these stored replies, by request, however old they are: trials that read them are read again."""
        self._again |= keys

    def let_go(self, key: str) -> None:
        """A reply that the run has read, or bought and stored, is read from the store from now on."""
        self._own.add(key)

    def saw(self, model: str, completion: Completion) -> None:
        """Remember under which name and fingerprint a model answers now."""
        self._answers_as[model] = (completion.model_reported, completion.fingerprint)

    async def find(self, request: Request) -> Completion | None:
        """The stored completion of this request; None: none that may be replayed."""
        key, again = request.key, request.key in self._again
        if not again and key not in self._own and self._earlier(key) is None:
            return None
        waiting = self._wanted.setdefault(key, asyncio.get_running_loop().create_future())
        # One opening of the database for all that ask while it lasts: opening costs more than reading.
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read())
        completion = await asyncio.shield(waiting)
        model = self._models[request.model]
        if completion is not None and completion.run_id is not None and completion.run_id == self._run_id:
            # Bought by this very run, which has read it before: whatever the model calls itself by now.
            return completion if _whole(completion) else None
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
            keys = {request: self._keys_of(request) for request in batch}
            every = [key for each in keys.values() for key in each]
            try:
                completions = await self._lock_retry.with_retry(partial(Store.completions, keys=every))
            except StoreError as error:
                # What cannot be looked up is not bought either: it was paid for once.
                self._on_trouble(str(error))
                for waiting in batch.values():
                    waiting.set_exception(RunStopped(str(error)))
                continue
            for request, waiting in batch.items():
                waiting.set_result(next((completions[key] for key in keys[request] if key in completions), None))

    def _keys_of(self, request: str) -> list[str]:
        """Under which keys a reply to a request may be stored, the run's own first."""
        own = [f"{request}@{self._run_id}"] if request in self._own else []
        earlier = self._again.get(request) or self._earlier(request)
        return own if earlier is None else [*own, earlier]

    def _earlier(self, request: str) -> str | None:
        return next((key for each in self._keys if (key := each.get(request)) is not None), None)


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
