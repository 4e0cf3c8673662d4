"""Completions paid for by earlier runs, read from the store on demand.

Knows which keys may be replayed: of local and scripted models all, of remote ones those younger than `pool_max_age`.
A stored reply is refused once the model answers under another name or fingerprint than it was stored with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial

from engine.errors import RunStopped, StoreError
from engine.models import Model
from engine.patience import Patience
from engine.records import Completion
from engine.store import Store

_EVER = datetime(1970, 1, 1, tzinfo=UTC)


class StoredShelf:
    """The shelf of a run; reads that arrive together share one opening of the database."""

    def __init__(
        self,
        store: Store,
        models: Iterable[Model],
        max_age: timedelta,
        patience: Patience,
        on_trouble: Callable[[str], None],
    ) -> None:
        self._patience = patience
        self._on_trouble = on_trouble
        self._keys: dict[str, str] = {}
        self._models: dict[str, str] = {}
        self._says: dict[str, tuple[str | None, str | None]] = {}
        self._wanted: dict[str, asyncio.Future[Completion | None]] = {}
        self._reader: asyncio.Task[None] | None = None
        for model in models:
            since = _EVER if model.local else datetime.now(UTC) - max_age
            name = model.setting.identity
            found = store.completion_keys([name], since)
            self._keys |= found
            self._models |= dict.fromkeys(found, name)

    def saw(self, model: str, completion: Completion) -> None:
        """Remember under which name and fingerprint a model answers now."""
        self._says[model] = (completion.model_reported, completion.fingerprint)

    async def find(self, key: str) -> Completion | None:
        """The stored completion of this key; None: none that may be replayed."""
        if key not in self._models:
            return None
        waiting = self._wanted.setdefault(key, asyncio.get_running_loop().create_future())
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read())
        found = await asyncio.shield(waiting)
        return found if found is not None and self._still_valid(key, found) else None

    def _still_valid(self, key: str, stored: Completion) -> bool:
        says = self._says.get(self._models[key])
        return says is None or says == (stored.model_reported, stored.fingerprint)

    async def _read(self) -> None:
        while self._wanted:
            batch, self._wanted = self._wanted, {}
            keys = [self._keys[request] for request in batch]
            try:
                found = await self._patience.insist(partial(Store.completions, keys=keys))
            except StoreError as error:
                # What cannot be looked up is not bought either: it was paid for once.
                self._on_trouble(str(error))
                _refuse(batch.values(), RunStopped(str(error)))
                continue
            for request, waiting in batch.items():
                waiting.set_result(found.get(self._keys[request]))


def _refuse(all_waiting: Iterable[asyncio.Future[Completion | None]], error: RunStopped) -> None:
    for waiting in all_waiting:
        waiting.set_exception(error)
