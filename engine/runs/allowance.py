"""A run's part in the day's allowance: taking a lease, returning the rest, and settling what the dead left held.

Brings the rules of `engine.core.allowance` together with clock, locks, journals and database. Whether a run is dead is
asked inside the transaction that settles it, so nobody comes back to life and spends meanwhile. Never looks at a call.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from engine.core import text
from engine.core.allowance import Book, Lease, day_of, end_of
from engine.core.budget import Amount, Ceiling, Limits
from engine.core.errors import RunError, StoreError
from engine.core.records import PUSD_PER_USD, Attempt
from engine.runs import run_dir
from engine.runs.account import Account, account
from engine.runs.dispatcher import Gate
from engine.runs.journal import History
from engine.runs.run_dir import RunDir
from engine.store.store import Store

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]
LOOK_S = 2.0
"""Seconds between two looks of a running run at the allowance."""
RETURN_S = 10.0
"""Seconds an ending run waits for the database to return its lease; whoever sees it gone does it from its journal."""


class _Smaller(Exception):
    """Undoes a look that makes the run's lease smaller while it goes on reserving."""


class RunAllowance:
    """One run's dealings with the day's allowance, in the process that holds the run's lock."""

    def __init__(
        self,
        run: RunDir,
        clock: Clock = run_dir.now,
        *,
        billed: bool = True,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run = run
        self._store, self._looking = Store(run.db), Store(run.db, wait_s=LOOK_S)
        self._clock = clock
        self._billed = billed
        """False: nobody bills these models, so the run wants no money of the day."""
        self.day: str | None = None
        """The day of the last lease; None: none was taken yet."""
        self.forfeited = Amount()
        """What the leases say that the run was charged and nothing else knows of, when the last one was taken."""
        self._refused: str | None = None
        self._over = False
        self._steady = steady
        self._looked_at = steady()
        self._lent_from = Amount()
        """What the last lease was charged when it was taken."""
        self._free = False
        """Whether no allowance was ever seen since the last lease was taken."""
        self._dealing: asyncio.Task[None] | None = None

    @property
    def due(self) -> bool:
        """Whether the day of the lease is over."""
        return self.day is not None and day_of(self._clock()) > self.day

    def take(self, ceiling: Ceiling, past: Account | None = None) -> Limits:
        """Settle what can be settled and lease what the run can use of today; returns what was lent.

        `past`: the account of earlier sessions, for days of which the database knows no lease, and for a lease that was
        held when its journal was damaged. What the leases say above `ceiling` is charged to it as in doubt. Nothing may
        be in flight. Raises RunError when today has nothing left.
        """
        dead = reckoned(self._run.db, self._store.read_book().held, but=self._run.run_id)
        now = self._clock()
        with self._store.book() as book:
            settle_dead(book, dead)
            if past is not None and not book.of_run(self._run.run_id):
                # Spent before there were leases, or under a database that was lost: each day is charged its own part.
                by_day: dict[str, list[Attempt]] = {}
                for attempt in past.history.billed:
                    by_day.setdefault(day_of(attempt.started_at), []).append(attempt)
                days = {day: History(attempts=attempts) for day, attempts in by_day.items()}
                if past.untold != Amount():
                    days.setdefault(day_of(past.seen_at), History())
                for day, charged in days.items():
                    untold = past.untold if day == day_of(past.seen_at) else Amount()
                    book.remember(self._run.run_id, day, charged.spent, charged.in_doubt + untold, now)
            if past is not None and past.incomplete:
                book.forfeit(self._run.run_id, ceiling.charged)
            else:
                book.settle(self._run.run_id, ceiling.spent, ceiling.in_doubt)
            leased = sum((lease.charged for lease in book.of_run(self._run.run_id)), Amount())
            self.forfeited = leased.above(ceiling.charged)
            ceiling.in_doubt += self.forfeited
            wants = self._wants(ceiling)
            lease = book.lend(self._run.run_id, wants, now)
        self.day = day_of(now)
        if lease is None:
            raise RunError(refusal(book, wants, now))
        self._lent_from, self._free = lease.charged, book.allowance == Limits()
        return self._usable(lease)

    def _wants(self, ceiling: Ceiling) -> Limits:
        left = ceiling.limits.left(ceiling.charged)
        return left if self._billed else left.least(Limits(pusd=0))

    def _usable(self, lease: Lease) -> Limits:
        """What a lease lets the run spend beyond what it was charged when it was taken."""
        lent = lease.lent.left(self._lent_from)
        return lent if self._billed else replace(lent, pusd=None)

    def watch(self, gate: Gate) -> None:
        """Look at the clock. Every `LOOK_S`, say what was spent, and fit the lease to the allowance as it is by then.

        After midnight, let what is in flight settle under the old day's lease, then take another. A call is charged to
        the day whose lease reserved it; until the last one is settled, nothing is reserved.
        """
        if self._over or (self._dealing is not None and not self._dealing.done()):
            return
        if not self.due:
            if self.day is not None and self._steady() - self._looked_at >= LOOK_S:
                self._looked_at = self._steady()
                self._dealing = asyncio.create_task(self._look(gate, self.day))
            return
        # Calls in flight were reserved under the old day's lease and are settled on it, before the new one is taken.
        gate.ceiling.paused = True
        if not gate.ceiling.in_flight:
            self._dealing = asyncio.create_task(self._roll_over(gate))

    async def _look(self, gate: Gate, day: str) -> None:
        own, ceiling = self._run.run_id, gate.ceiling

        def adjust() -> Lease | None:
            # Nothing is shared out where nothing is limited; to see that costs a fraction of writing what was spent.
            if self._free and self._looking.read_book().allowance == Limits():
                return None
            self._free = False
            with self._looking.book() as book:
                lease = book.look(own, day, ceiling.spent, ceiling.in_doubt, ceiling.reserved, self._wants(ceiling))
                if lease is not None and not ceiling.paused and self._smaller(lease, ceiling):
                    raise _Smaller
            return lease

        try:
            try:
                lease = await asyncio.to_thread(adjust)
            except _Smaller:
                # What is in flight is counted and the lease cut to it; nothing more is reserved between the two.
                ceiling.paused = True
                lease = await asyncio.to_thread(adjust)
        except StoreError as error:
            # The lease it has holds; the next look comes soon.
            log.info("the allowance could not be looked at: %s", error)
            lease = None
        paused, ceiling.paused = ceiling.paused, False
        if lease is not None:
            gate.relend(self._usable(lease))
        elif paused and ceiling.lent is not None:
            gate.relend(ceiling.lent)

    def _smaller(self, lease: Lease, ceiling: Ceiling) -> bool:
        usable = self._usable(lease)
        return ceiling.lent is not None and usable.least(ceiling.lent) != ceiling.lent

    async def _roll_over(self, gate: Gate) -> None:
        try:
            gate.lend(await asyncio.to_thread(self.take, gate.ceiling))
        except RunError as error:
            self._refused = str(error)
            gate.lend(Limits(0, 0, 0))
        except StoreError as error:
            gate.stop(f"No lease could be taken on the new day: {error}")

    def why_full(self, ceiling: Ceiling) -> str:
        """What a run that ended for want of room ran into."""
        if self._refused:
            return self._refused
        if ceiling.day_is_short:
            return (
                f"What the run was lent of the allowance of {self.day} (UTC) leaves no room for the next call; resume "
                "when other runs have ended, tomorrow, or under a larger allowance (`budgetscope allowance`)."
            )
        return "The run's ceiling leaves no room for the next call; raise it and resume."

    async def give_back(self, ceiling: Ceiling) -> None:
        """Return what the run did not need; what is still in flight counts as in doubt.

        A database that cannot be written leaves the lease held, until somebody sees that this run is gone. Waits in a
        thread for one that others hold, so that the caller's heartbeat goes on; takes no lease from then on.
        """

        def settle() -> None:
            with Store(self._run.db, wait_s=RETURN_S).book() as book:
                book.settle(self._run.run_id, ceiling.spent, ceiling.in_doubt + ceiling.reserved)

        self._over = True
        if self._dealing is not None:
            await self._dealing
        try:
            if self.day is not None:
                await asyncio.to_thread(settle)
        except StoreError as error:
            log.warning("the lease could not be returned: %s", error)


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What a run that seems dead was charged."""

    run: RunDir
    size: int | None
    """Bytes of its journal that were read; None: there is none."""
    account: Account

    @property
    def holds(self) -> bool:
        """Whether nobody lives, or came to life and died again, since the journal was read."""
        return not run_dir.is_alive(self.run) and self.run.journal_bytes == self.size


def reckoned(db: Path, held: Iterable[Lease], but: str | None = None) -> Mapping[str, Reckoning]:
    """What runs that hold a lease and are dead were charged; read before the transaction, as journals can be long."""
    reckonings = {}
    for run_id in sorted({lease.run_id for lease in held} - {but}):
        run = run_dir.at(db, run_id)
        if run_dir.is_alive(run):
            continue
        # A lock that is missing proves nothing, as a folder can be moved or deleted under a living run: then only an
        # end in the database does.
        if not run_dir.is_dead(run) and not any(row.finished_at for row in Store(db).runs() if row.run_id == run_id):
            continue
        # Before the journal is read: one that grew since belongs to a run that is not dead.
        reckonings[run_id] = Reckoning(run, run.journal_bytes, account(run))
    return reckonings


def settle_dead(book: Book, dead: Mapping[str, Reckoning]) -> None:
    """Return what the dead did not spend, if they are still dead."""
    for run_id, reckoning in dead.items():
        if not reckoning.holds:
            continue
        charged = reckoning.account
        if charged.incomplete:
            book.forfeit(run_id, charged.spent + charged.in_doubt)
        else:
            book.settle(run_id, charged.spent, charged.in_doubt)


def settled(store: Store) -> Book:
    """The book of a database, after what the dead left held was returned. Raises StoreError."""
    book = store.read_book()
    dead = reckoned(store.path, book.held)
    if not dead:
        return book
    with store.book() as book:
        settle_dead(book, dead)
    return book


def refusal(book: Book, wants: Limits, now: datetime) -> str:
    """Why a run gets nothing of today, in one sentence about the first kind that is used up."""
    day = day_of(now)
    kind = book.spent_kinds(wants, day)[0]
    leases = book.of_day(day)

    def amount(value: int) -> str:
        return f"{value:,} {kind}" if kind != "pusd" else text.money(value / PUSD_PER_USD)

    accounts = [f"{amount(getattr(book.allowance, kind))} allowed"]
    accounts.append(f"{amount(sum(getattr(lease.spent, kind) for lease in leases))} spent")
    if doubt := sum(getattr(lease.in_doubt, kind) for lease in leases):
        accounts.append(f"{amount(doubt)} in doubt")
    for lease in leases:
        if lease.held and getattr(lease.lent, kind) is None:
            accounts.append(f"without limit held by run {lease.run_id}")
        elif rest := getattr(lease.rest, kind):
            accounts.append(f"{amount(rest)} held by run {lease.run_id}")
    return (
        f"Nothing is left of today's allowance: {', '.join(accounts)}; the day ends at "
        f"{end_of(day):%Y-%m-%d %H:%M} UTC, or change it with `budgetscope allowance`."
    )
