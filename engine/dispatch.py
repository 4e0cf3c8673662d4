"""Buying completions: reserve, note the intent, send, note the outcome, settle; with our own bounded retries.

The one place that decides what is sent to a provider and what it may cost. Owns the per-model concurrency and the wait
for room under the ceiling; never looks at a trial or a strategy.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, Protocol

from engine.budget import Amount, Ceiling, spend_of
from engine.errors import CeilingReached, InDoubt, ProviderError, RunStopped
from engine.models import Model
from engine.records import Attempt, Completion, Request

RETRYABLE: frozenset[str] = frozenset({"rate_limit", "server", "connection", "malformed", "in_doubt"})
"""The closed list of provider failures that another attempt may mend."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how patiently a failed attempt is repeated."""

    attempts: int = 4
    """Dispatches per completion at most, the first included."""
    first_s: float = 1.0
    """Seconds before the first retry; doubles each time, with jitter."""
    longest_s: float = 60.0
    """Upper bound of one wait; a Retry-After beyond it fails the call at once."""

    def wait_s(self, ordinal: int, error: ProviderError) -> float | None:
        """Seconds to wait after attempt `ordinal` (from 0); None: do not try again."""
        if error.kind not in RETRYABLE or ordinal + 1 >= self.attempts:
            return None
        if error.retry_after_s is not None:
            return error.retry_after_s if error.retry_after_s <= self.longest_s else None
        return min(self.longest_s, self.first_s * 2**ordinal) * random.uniform(0.75, 1.25)


class Notes(Protocol):
    """Where intents and outcomes are written before anybody acts on them."""

    def intent(self, attempt: Attempt) -> None:
        """A request is about to be sent."""

    def outcome(self, attempt: Attempt, completion: Completion | None) -> None:
        """What became of it."""


class Gate:
    """Waiting for room under the ceiling, and the word to stop."""

    def __init__(self, ceiling: Ceiling) -> None:
        self.ceiling = ceiling
        self.stopped = False
        """True once the run was asked to stop: nothing more is dispatched."""
        self.reached = False
        """True once a call did not fit and nothing in flight could make room."""
        self._changed = asyncio.Event()

    async def reserve(self, amount: Amount) -> None:
        """Hold back the worst case. Raises RunStopped, or CeilingReached when nothing in flight can make room."""
        while True:
            if self.stopped:
                raise RunStopped("the run was asked to stop")
            if not self.reached and self.ceiling.try_reserve(amount):
                return
            if self.reached or not self.ceiling.in_flight:
                self.reached = True
                self._wake()
                raise CeilingReached("the next call does not fit under the run's ceiling")
            await self._changed.wait()

    def stop(self) -> None:
        """Let what is in flight finish and start nothing new."""
        self.stopped = True
        self._wake()

    def settle(self, reserved: Amount, actual: Amount) -> None:
        """Book what an attempt cost and let the next one look for room."""
        self.ceiling.settle(reserved, actual)
        self._wake()

    def doubt(self, reserved: Amount) -> None:
        """Keep an attempt charged whose outcome is unknown."""
        self.ceiling.doubt(reserved)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Dispatcher:
    """Buys completions for the pool; `buy` is what the pool calls."""

    def __init__(
        self,
        models: Mapping[str, Model],
        gate: Gate,
        notes: Notes,
        retries: Retries = Retries(),
        on_outcome: Callable[[Attempt, Completion | None], None] | None = None,
        run_id: str | None = None,
    ) -> None:
        self._models = models
        self._gate = gate
        self._notes = notes
        self._retries = retries
        self._on_outcome = on_outcome or (lambda attempt, completion: None)
        self._run_id = run_id
        self._slots = {name: asyncio.Semaphore(model.parallel) for name, model in models.items()}

    async def buy(self, request: Request) -> Completion:
        """One completion, at the price of as many attempts as it takes. Raises the last attempt's error."""
        model = self._models[request.model]
        async with self._slots[request.model]:
            ordinal = 0
            while True:
                try:
                    return await self._attempt(model, request, ordinal)
                except ProviderError as error:
                    wait_s = self._retries.wait_s(ordinal, error)
                    if wait_s is None:
                        raise
                await asyncio.sleep(wait_s)
                ordinal += 1

    async def _attempt(self, model: Model, request: Request, ordinal: int) -> Completion:
        bound = await model.bound(request.messages)
        worst = _worst(model, bound.tokens, request.asked_tokens)
        await self._gate.reserve(worst)
        attempt = _begun(model, request, ordinal, worst)
        began = time.monotonic()
        try:
            self._notes.intent(attempt)
            completion = replace(await model.complete(request), key=request.key, run_id=self._run_id)
        except BaseException as error:
            self._failed(replace(attempt, latency_ms=_since(began)), worst, error)
            raise
        actual = _cost(model, completion)
        done = replace(attempt, outcome="ok", charged_tokens=actual.tokens, latency_ms=_since(began))
        done = replace(done, charged_pusd=actual.pusd if model.setting.price else None)
        self._note(done, completion)
        self._gate.settle(worst, actual)
        return completion

    def _failed(self, attempt: Attempt, worst: Amount, error: BaseException) -> None:
        """A refused attempt costs nothing; one without a clear outcome, or with a rubbish reply, stays charged."""
        clear = isinstance(error, ProviderError) and not isinstance(error, InDoubt) and error.kind != "malformed"
        outcome: Literal["failed", "in_doubt"] = "failed" if clear else "in_doubt"
        done = replace(attempt, outcome=outcome, error=f"{type(error).__name__}: {error}"[:500])
        if clear:
            done = replace(done, charged_tokens=0, charged_pusd=None if done.reserved_pusd is None else 0)
        self._note(done, None)
        if clear:
            self._gate.settle(worst, Amount())
        else:
            self._gate.doubt(worst)

    def _note(self, attempt: Attempt, completion: Completion | None) -> None:
        self._notes.outcome(attempt, completion)
        self._on_outcome(attempt, completion)


def _worst(model: Model, bound: int, asked: int) -> Amount:
    price = model.setting.price
    money = 0 if price is None or model.local else bound * _dearest(price.input_pusd, price.cache_write_pusd)
    reply = 0 if price is None or model.local else asked * price.output_pusd
    return Amount(1, bound + asked, money + reply)


def _dearest(plain: int, write: int | None) -> int:
    return max(plain, write or 0)


def _cost(model: Model, completion: Completion) -> Amount:
    """What is billed: cached tokens at their own rate; a local model bills nothing."""
    spend = spend_of(completion.usage, completion.latency_ms)
    price = model.setting.price
    money = 0 if price is None or model.local else price.cost_pusd(spend, cache_discount=True)
    return Amount(1, spend.total_tokens, money)


def _begun(model: Model, request: Request, ordinal: int, worst: Amount) -> Attempt:
    money = worst.pusd if model.setting.price else None
    return Attempt(
        attempt_id=uuid.uuid4().hex,
        key=request.key,
        model=request.model,
        ordinal=ordinal,
        outcome="in_doubt",
        error=None,
        reserved_tokens=worst.tokens,
        reserved_pusd=money,
        charged_tokens=worst.tokens,
        charged_pusd=money,
        started_at=datetime.now(UTC),
        latency_ms=0,
    )


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)

