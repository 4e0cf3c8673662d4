"""Buying completions: reserve, note the intent, send, note the outcome, settle; with bounded retries.

The one place that decides what is sent to a provider and what it may cost. Owns the wait for room under the ceiling,
and how much more than the worst case is reserved for models that went beyond it; keeps to each model's pace; never
looks at a trial or a strategy.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, Protocol, TypeVar

from engine.core import files
from engine.core.budget import Amount, Ceiling, Limits
from engine.core.errors import CeilingReached, ContextOverflow, ProviderError, RunStopped
from engine.core.ids import completion_key
from engine.core.records import Attempt, Completion, Request, Usage
from engine.models import charges, faults
from engine.models.model import Model
from engine.runs.rate_limits import Lane, Retries


@dataclass(frozen=True, slots=True)
class Excess:
    """The most that came of a worst case: so many times as much, and so much more, whichever is larger."""

    times: Fraction = Fraction(1)
    more: int = 0
    """What a fee adds to a small call is not in its ratio to a large one, nor in any ratio to a price of 0."""

    def on(self, worst: int) -> int:
        """What is held back for a worst case; no fraction of a token or pico-dollar is left out."""
        # Fractions, rounded up: a float would lose the last token of a large reservation.
        return max(math.ceil(worst * self.times), worst + self.more)

    def under(self, reserved: int) -> int:
        """The worst case for which so much was held back."""
        return max(0, min(int(reserved / self.times), reserved - self.more))

    def after(self, worst: int, billed: int) -> Excess:
        """Once so much was billed of a worst case."""
        times = Fraction(billed, worst) if worst else self.times
        return Excess(max(self.times, times), max(self.more, billed - worst))


@dataclass(frozen=True, slots=True)
class Factor:
    """What a model's worst case is widened by; nothing while it keeps to its caps."""

    tokens: Excess = Excess()
    pusd: Excess = Excess()


class Overruns:
    """By model: the worst it made of a reservation in this run, earlier sessions included."""

    def __init__(self, past: Iterable[Attempt] = ()) -> None:
        self._factors: dict[str, Factor] = {}
        billed = [attempt for attempt in past if attempt.outcome != "in_doubt" and attempt.charged_tokens]
        kept = (a for a in billed if a.outcome == "ok" and a.charged_tokens <= a.reserved_tokens)
        self.met = frozenset(attempt.model for attempt in kept)
        """Models that told what a call took, within what was reserved for it."""
        # Attempts know their widened reservation alone: it held the factor of the replies that had come by then. So
        # starts and ends are gone through as they happened; the first time an attempt is met it starts.
        moments = [(attempt.started_at, n) for n, attempt in enumerate(billed)]
        moments += [(a.started_at + timedelta(milliseconds=a.latency_ms + 1), n) for n, a in enumerate(billed)]
        begun: dict[int, Factor] = {}
        for _, n in sorted(moments):
            attempt = billed[n]
            if n not in begun:
                begun[n] = self._factors.get(attempt.model, Factor())
                continue
            tokens, pusd = (
                begun[n].tokens.under(attempt.reserved_tokens),
                begun[n].pusd.under(attempt.reserved_pusd or 0),
            )
            self.saw(
                attempt.model, Amount(1, tokens, pusd), Amount(1, attempt.charged_tokens, attempt.charged_pusd or 0)
            )

    def widened(self, model: str, worst: Amount) -> Amount:
        """The worst case a model was seen to be capable of."""
        # Of most nothing is known, and every call asks twice.
        factor = self._factors.get(model)
        if factor is None:
            return worst
        return replace(worst, tokens=factor.tokens.on(worst.tokens), pusd=factor.pusd.on(worst.pusd))

    def saw(self, model: str, worst: Amount, billed: Amount) -> None:
        """Remember what a call was billed, whose worst case by the cap it was given was `worst`."""
        if billed.tokens <= worst.tokens and billed.pusd <= worst.pusd:
            return
        known = self._factors.get(model, Factor())
        seen = Factor(known.tokens.after(worst.tokens, billed.tokens), known.pusd.after(worst.pusd, billed.pusd))
        self._factors[model] = seen


_T = TypeVar("_T")
Send = Callable[[Model, Request], Awaitable[Completion]]


class Notes(Protocol):
    """Where intents and outcomes are written before anybody acts on them."""

    def intent(self, attempt: Attempt) -> None:
        """A request is about to be sent."""

    def outcome(self, attempt: Attempt, completion: Completion | None) -> None:
        """What became of it."""

    async def written(self) -> None:
        """Wait until all notes so far survive this process. Raises OSError."""

    def sync(self) -> None:
        """Make all notes so far survive the machine. Raises OSError."""


class Gate:
    """Waiting for room under the ceiling, and the word to stop."""

    def __init__(self, ceiling: Ceiling) -> None:
        self.ceiling = ceiling
        self.stopped = False
        """True once the run was asked to stop: nothing more is dispatched."""
        self.trouble: str | None = None
        """Why it stopped when nobody asked for it; None: it was asked to, or did not stop."""
        self.reached = False
        """True once a call did not fit and nothing in flight could make room."""
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()
        self._waits: set[asyncio.Future[Any]] = set()

    async def until(self, turn: asyncio.Future[_T]) -> _T:
        """What a future brings. Raises RunStopped as soon as the run is asked to stop, and gives the future up."""
        self._waits.add(turn)
        if self.stopped:
            turn.cancel()
        try:
            return await turn
        except asyncio.CancelledError:
            # Our own cancelling of the future, or somebody's of the task that waits? Only the first means a stop.
            task = asyncio.current_task()
            if self.stopped and not (task is not None and task.cancelling()):
                raise RunStopped("the run was asked to stop") from None
            raise
        finally:
            self._waits.discard(turn)

    async def rest(self, seconds: float) -> None:
        """Wait before another attempt. Raises RunStopped as soon as the run is asked to stop."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)
        if self.stopped:
            raise RunStopped("the run was asked to stop")

    async def reserve(self, amount: Amount) -> None:
        """Hold back the worst case. Raises RunStopped, or CeilingReached when nothing in flight can make room."""
        while True:
            if self.stopped:
                raise RunStopped("the run was asked to stop")
            if not self.reached and self.ceiling.try_reserve(amount):
                return
            # What is in flight is reserved at its worst and may yet leave room; only without it is the ceiling reached.
            if self.reached or not (self.ceiling.in_flight or self.ceiling.paused):
                self.reached = True
                self._wake()
                raise CeilingReached("the next call does not fit under the run's ceiling")
            await self._changed.wait()

    def stop(self, trouble: str | None = None) -> None:
        """Let what is in flight finish and start nothing new; `trouble` says why, if nobody asked for it."""
        self.stopped = True
        self.trouble = self.trouble or trouble
        self._ended.set()
        for turn in tuple(self._waits):
            turn.cancel()
        self._wake()

    def lend(self, lease: Limits) -> None:
        """Go on under another lease, once nothing is in flight under the last one."""
        self.ceiling.lend(lease)
        self._wake()

    def relend(self, lease: Limits) -> None:
        """Go on under a lease that was made smaller or larger, whatever is in flight."""
        self.ceiling.relend(lease)
        self._wake()

    def close(self, reserved: Amount, bill: Amount | None) -> None:
        """Book what an attempt cost (None: unknown, it stays charged) and let the next one look for room."""
        if bill is None:
            self.ceiling.doubt(reserved)
        else:
            self.ceiling.settle(reserved, bill)
        self._wake()

    def _wake(self) -> None:
        # A fresh event, because whoever waits looks for room once and then waits for the next change.
        self._changed.set()
        self._changed = asyncio.Event()


class Dispatcher:
    """Buys completions for the pool, which calls `purchase`."""

    def __init__(
        self,
        models: Mapping[str, Model],
        gate: Gate,
        notes: Notes,
        retries: Retries = Retries(),
        on_outcome: Callable[[Attempt, Completion | None], None] | None = None,
        run_id: str | None = None,
        overruns: Overruns | None = None,
        send: Send | None = None,
    ) -> None:
        """`send`: what carries a call to its model once it may go; None: this process does."""
        self._send = send or (lambda model, request: model.complete(request))
        self._overruns = overruns or Overruns()
        self._models = models
        self._gate = gate
        self._notes = notes
        self._retries = retries
        self._on_outcome = on_outcome or (lambda attempt, completion: None)
        self._run_id = run_id
        # A fresh random id per attempt costs half a millisecond of system call; one per dispatcher and a count do not.
        self._series, self._sent_so_far = uuid.uuid4().hex, itertools.count()
        self._lanes = {
            name: Lane(
                model.parallel,
                model.rates,
                gate,
                name=model.setting.name,
                careful=not model.local,
                met=name in self._overruns.met,
            )
            for name, model in models.items()
        }

    @property
    def says(self) -> str | None:
        """What is unusual about the models now, in a sentence each; None: nothing."""
        return " ".join(says for lane in self._lanes.values() if (says := lane.says)) or None

    async def purchase(self, request: Request) -> Completion:
        """One completion, at the price of as many attempts as it takes. Raises the last attempt's error.

        A call that is refused because its cap does not fit the window is sent once more with the room there is.
        """
        model, lane = self._models[request.model], self._lanes[request.model]
        resent = 0
        wait_s: float | None = None
        for ordinal in itertools.count():
            await lane.enter()
            try:
                completion = await self._attempt(model, lane, request, ordinal)
                break
            except ContextOverflow as error:
                request = _fitted(model, request, error)
                resent, wait_s = 1, None
            except ProviderError as error:
                if lane.closed and len(self._models) == 1:
                    # Nobody else is left to ask.
                    self._gate.stop(lane.says)
                wait_s = self._retries.wait_s(ordinal - resent, error)
                if wait_s is None:
                    raise
            finally:
                lane.leave()
            if wait_s:
                await self._gate.rest(wait_s)
        try:
            # Nobody sees a reply before the journal has it: after a kill it would be paid for again. Another call has
            # its place among those in flight meanwhile.
            await self._notes.written()
        except OSError as error:
            self._stop_unwritten(error)
        return completion

    async def _attempt(self, model: Model, lane: Lane, request: Request, ordinal: int) -> Completion:
        bound = await model.bound(request.messages)
        by_cap = charges.worst(model, bound.tokens, request.cap_tokens)
        worst, sent = await self._reserved(lane, request.model, by_cap)
        bill: Amount | None = Amount()
        try:
            money = charges.money(model, worst)
            # Noted as one in doubt before it is sent: what it is if nothing more is heard of it.
            attempt = Attempt(
                attempt_id=f"{self._series}-{next(self._sent_so_far)}",
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
            try:
                self._notes.intent(attempt)
                await self._notes.written()
            except OSError as error:
                self._stop_unwritten(error)
                raise RunStopped(str(error)) from error
            # From here on it may have been billed, whatever happens; until there is an outcome it stays charged.
            bill = None
            completion, bill = await self._sent(model, request, attempt, by_cap)
            kept = bill is None or bill.above(worst) == Amount()
            lane.speed_up(told=not completion.usage.estimated, kept=kept)
            return completion
        except ProviderError as error:
            bill = _charged(model, error)
            if bill is None:
                lane.doubt(self._retries)
            lane.pause(self._retries.pause_s(error))
            if error.kind == "rate_limit":
                lane.slow_down(sent)
            raise
        finally:
            # Without a known outcome the reservation stays charged, whatever went wrong here.
            self._gate.close(worst, bill)

    async def _reserved(self, lane: Lane, model: str, by_cap: Amount) -> tuple[Amount, int]:
        """Hold back the worst the model is known to make of a cap, also when it became known while we waited.

        Returns it with what the lane wants to know when the call is sent."""
        while True:
            worst = self._overruns.widened(model, by_cap)
            await self._gate.reserve(worst)
            try:
                sent = await lane.pace(worst.tokens)
            except BaseException:
                self._gate.close(worst, Amount())
                raise
            if worst == self._overruns.widened(model, by_cap):
                return worst, sent
            self._gate.close(worst, Amount())

    async def _sent(
        self, model: Model, request: Request, attempt: Attempt, by_cap: Amount
    ) -> tuple[Completion, Amount | None]:
        """The reply, noted, and what it counts against the ceiling; None: nobody knows its bill."""
        began = asyncio.get_running_loop().time()
        try:
            reply = await self._send(model, request)
            completion = replace(reply, key=completion_key(request, self._run_id), run_id=self._run_id)
        except BaseException as error:
            failed = replace(attempt, error=f"{type(error).__name__}: {error}"[:500], latency_ms=_since(began))
            if (bill := _charged(model, error)) is not None:
                if bill.calls:
                    self._overruns.saw(request.model, by_cap, bill)
                money = None if attempt.reserved_pusd is None else bill.pusd
                failed = replace(failed, outcome="failed", charged_tokens=bill.tokens, charged_pusd=money)
            self._note(failed, None)
            raise
        latency_ms, counted = _since(began), charges.counted(model, completion)
        if _unknown(completion, counted, attempt):
            self._note(replace(attempt, latency_ms=latency_ms), completion)
            return completion, None
        actual = charges.cost(model, completion)
        self._overruns.saw(request.model, by_cap, counted)
        money = charges.money(model, actual)
        done = replace(attempt, outcome="ok", charged_tokens=actual.tokens, charged_pusd=money, latency_ms=latency_ms)
        self._note(done, completion)
        return completion, counted

    def _note(self, attempt: Attempt, completion: Completion | None) -> None:
        try:
            self._notes.outcome(attempt, completion)
        except OSError as error:
            self._stop_unwritten(error)
        self._on_outcome(attempt, completion)

    def _stop_unwritten(self, error: OSError) -> None:
        """Stop the run, which then stores what it has; what was paid for is kept, and nothing more is bought."""
        self._gate.stop(f"The journal cannot be written ({files.why(error)}), so nothing more is sent.")


def _fitted(model: Model, request: Request, error: ContextOverflow) -> Request:
    """The request with the room a refusal says its prompt leaves. Raises the refusal where there is none."""
    room = error.room_tokens
    if not room:
        raise error
    if request.sent_tokens is not None or room >= request.asked_tokens:
        # What fits by the provider's own numbers was refused: its window is not what it says.
        raise ProviderError(
            f"{str(error).rstrip('.')}, though it was sent with what room it says there is.", kind="refused"
        )
    if model.context_tokens is None:
        model.context_tokens = error.window_tokens
    return replace(request, sent_tokens=room)


def _charged(model: Model, error: BaseException) -> Amount | None:
    """What a failed attempt is charged by the table of `faults`; None: its worst case, as in doubt."""
    charge = faults.charge(error)
    if isinstance(charge, Usage):
        return charges.taken(model, charge)
    return Amount() if charge == "nothing" else None


def _unknown(completion: Completion, counted: Amount, attempt: Attempt) -> bool:
    """Whether nobody knows a kept reply's bill, so that it stays at its worst case: its provider told no usage.

    Of one that is longer than its cap by our own count we know at least that it is more.
    """
    within = counted.tokens <= attempt.reserved_tokens and counted.pusd <= (attempt.reserved_pusd or counted.pusd)
    return completion.usage.estimated and within


def _since(began: float) -> int:
    return round((asyncio.get_running_loop().time() - began) * 1000)
