"""How fast a model is asked, and how patiently again: calls at once, requests and tokens a minute, rests and retries.

Decides when a call goes out and how often it is tried, never what it says: no completion and no id depends on it.
Fewer calls at once after a rate-limit error, and slowly more again, is ours, and so is the circuit breaker that keeps
an outage from costing a worst case for every call that waits; the buckets are aiolimiter's, imported here alone and
only for a model whose study sets a rate. Reads no reply, no price and no budget.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from engine.core.errors import RETRYABLE, ProviderError
from engine.models.model import Rates

log = logging.getLogger(__name__)

MINUTE_S = 60.0
BURST = 10
"""A tenth of a minute's allowance may go at once; the rest is spread over the minute."""
STEP = 10
"""Good replies in a row that earn one more call at once."""
DOUBTFUL = 5
"""Doubtful outcomes in a row after which a model is asked one call at a time, as it is before its first usage."""
PROBES = 5
"""Calls, one at a time, that may end in doubt before the model is asked no more in this run."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how patiently a failed attempt is repeated."""

    attempts: int = 4
    """Dispatches per completion at most, the first included."""
    first_s: float = 1.0
    """Seconds before the first retry; doubles each time, with jitter."""
    longest_s: float = 60.0
    """Upper bound of one wait; a Retry-After beyond it fails the call at once."""
    limited_attempts: int = 8
    """The same as `attempts` after a rate-limit error, which costs nothing: enough to outlast a provider's minute."""

    def wait_s(self, ordinal: int, error: ProviderError) -> float | None:
        """Seconds to wait after attempt `ordinal` (from 0); None: do not try again."""
        most = self.limited_attempts if error.kind == "rate_limit" else self.attempts
        if error.kind not in RETRYABLE or ordinal + 1 >= most:
            return None
        if error.retry_after_s is not None:
            # What a provider asks for is exact and needs no jitter; beyond our bound it is an outage, not a pause.
            return error.retry_after_s if error.retry_after_s <= self.longest_s else None
        return min(self.longest_s, self.first_s * 2.0**ordinal * random.uniform(0.75, 1.25))

    def probe_s(self, probes: int) -> float:
        """Seconds a model rests before the next call in an outage: waiting costs nothing, and every call its worst."""
        return min(self.longest_s, self.first_s * 4.0**probes)

    def pause_s(self, error: ProviderError) -> float:
        """Seconds the whole model rests after this error; 0: not at all."""
        pause = error.retry_after_s or 0.0
        return pause if pause <= self.longest_s else 0.0


class Stoppable(Protocol):
    """Waits that end with the run; see `Gate`."""

    def until(self, turn: asyncio.Future[_T]) -> Awaitable[_T]:
        """What a future brings. Raises RunStopped as soon as the run is asked to stop."""

    def rest(self, seconds: float) -> Awaitable[None]:
        """Wait. Raises RunStopped as soon as the run is asked to stop."""


class Bucket:
    """So many units in any minute, handed out in order of arrival.

    What is larger than a tenth of the allowance is gathered piece by piece while everybody behind it waits, so a
    request larger than a whole minute's allowance takes as many minutes as it needs and never waits for ever.
    """

    def __init__(self, per_minute: int, gate: Stoppable) -> None:
        from aiolimiter import AsyncLimiter

        self._most = max(1, per_minute // BURST)
        # What goes at once and what drains in a minute are together the minute's allowance.
        steady = (per_minute + 1 - self._most) / MINUTE_S
        self._limiter = AsyncLimiter(self._most, self._most / steady)
        self._first = asyncio.Lock()
        self._gate = gate

    async def take(self, amount: int) -> None:
        """Wait until this much is there. Raises RunStopped as soon as the run is asked to stop."""
        if amount <= self._most and not self._first.locked() and self._limiter.has_capacity(amount):
            await self._limiter.acquire(amount)
            return

        async def gathered() -> None:
            # Holding the lock all along: small requests would overtake a large one for ever.
            async with self._first:
                for at in range(0, amount, self._most):
                    await self._limiter.acquire(min(self._most, amount - at))

        await self._gate.until(asyncio.ensure_future(gathered()))


class Lane:
    """The calls of one model on their way out."""

    def __init__(
        self, parallel: int, rates: Rates, gate: Stoppable, *, name: str = "", careful: bool = False, met: bool = False
    ) -> None:
        """`careful`: a call may cost, so an outage, and what the model makes of a cap, is met with as few as possible.
        `met`: it told its usage before, and kept to what was reserved for it."""
        self.name = name
        self.width = parallel
        """Calls at once, as of now: halved by a rate-limit error, at least 1; one more after every STEP successes."""
        self._parallel = parallel
        self._gate = gate
        self._busy = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._slowed = 0
        self._streak = 0
        self._resumes_at = 0.0
        self._careful = careful
        self._met = met
        self._untold = self._doubts = self._probes = 0
        wanted = (rates.requests_per_minute, rates.tokens_per_minute)
        self._requests, self._tokens = (None if rate is None else Bucket(rate, gate) for rate in wanted)

    @property
    def says(self) -> str | None:
        """What is unusual about this model now, in one sentence; None: nothing."""
        if self._doubts < DOUBTFUL:
            if not self._untold:
                return None
            return f"{self.name} tells no usage, so each call counts at its worst case, and it is asked one at a time."
        calls = f"{self._doubts} calls of {self.name} in a row ended in doubt"
        if self.closed:
            return f"{calls}, each charged at its worst case, so it is asked no more; resume tries again."
        return f"{calls}, so it is asked one call at a time."

    @property
    def closed(self) -> bool:
        """Whether the model is asked no more in this run."""
        return self._probes >= PROBES

    @property
    def _places(self) -> int:
        """Calls at once, as of now; in doubt no more than may end so."""
        if not self._careful:
            return self.width
        # What a provider makes of a cap is not known before it told a usage within it: until then one call may tell.
        if not self._met:
            return 1
        if not self._doubts:
            return self.width
        return max(1, min(self.width, DOUBTFUL - self._doubts))

    async def enter(self) -> None:
        """Wait for a place among the calls at once.

        Raises RunStopped as soon as the run is asked to stop, ProviderError('outage') once the model is asked no more.
        """
        self._refuse()
        if self._busy < self._places and not self._queue:
            self._busy += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await self._gate.until(turn)
            self._refuse()
        except BaseException:
            # The place may have been given to us in the moment we stopped waiting for it.
            if turn.done() and not turn.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """Give the place to whoever waits longest."""
        self._busy -= 1
        self._admit()

    def doubt(self, retries: Retries) -> None:
        """Count an outcome in doubt: an outage, if more follow."""
        # Many may have been on their way when it began; the one that was alone is a probe.
        self._probes += self._doubts >= DOUBTFUL and self._busy == 1
        self._doubts += 1
        if self._careful and self._doubts >= DOUBTFUL:
            self.pause(retries.probe_s(self._probes))
            log.warning("%s", self.says)

    def _refuse(self) -> None:
        if self._careful and self.closed:
            raise ProviderError(f"{self.says}", kind="outage")

    async def pace(self, tokens: int) -> int:
        """Wait until a call of at most this many tokens, prompt and reply, may go out.

        Returns what `slow_down` wants to know. Raises RunStopped as soon as the run is asked to stop.
        """
        if self._requests is not None:
            await self._requests.take(1)
        if self._tokens is not None:
            await self._tokens.take(tokens)
        # Again after each rest: another call may have been told to wait longer meanwhile.
        while (left := self._resumes_at - _now()) > 0:
            await self._gate.rest(left)
        return self._slowed

    def pause(self, seconds: float) -> None:
        """Let no call of this model out for so long: the others would hit the same wall."""
        self._resumes_at = max(self._resumes_at, _now() + seconds)

    def slow_down(self, sent: int) -> None:
        """Halve the calls at once, unless this call was on its way already when they were halved last."""
        self._streak = 0
        # A burst that was on its way meets one limit; halving for each of its refusals would end at one call at once.
        if sent != self._slowed:
            return
        self._slowed += 1
        self.width = max(1, self.width // 2)
        log.info("rate limited: at most %d calls at once", self.width)

    def speed_up(self, *, told: bool, kept: bool = True) -> None:
        """Count a good reply; `told`: its usage came with it, `kept`: it is within what was reserved."""
        self._streak += 1
        if self._streak >= STEP and self.width < self._parallel:
            self._streak = 0
            self.width += 1
        self._met = kept and (self._met or told)
        self._untold = 0 if told or self._met or not self._careful else self._untold + 1
        self._doubts = self._probes = 0
        if self._untold == 1:
            log.warning("%s", self.says)
        self._admit()

    def _admit(self) -> None:
        # All of them once the model is asked no more: each is told so in its turn.
        while self._queue and (self._busy < self._places or (self._careful and self.closed)):
            turn = self._queue.popleft()
            if not turn.done():
                self._busy += 1
                turn.set_result(None)


def _now() -> float:
    return asyncio.get_running_loop().time()
