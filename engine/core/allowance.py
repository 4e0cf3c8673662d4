"""Leases on a day's allowance: who may spend how much of a day (UTC), and what counts against it.

Pure rules over records: what is charged to a day, over all runs, stays within the day's allowance under any
interleaving, because a run spends only what it was lent before and gives back only what it can prove it did not spend.
Owns no clock, file, lock or database; `engine.runs.allowance` brings them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from engine.core.budget import Amount, Limits

KINDS = ("calls", "tokens", "pusd")


@dataclass(frozen=True, slots=True)
class Lease:
    """What a run was lent of a day, and what became of it."""

    run_id: str
    day: str
    """ISO date, UTC."""
    lent: Limits
    """Most the run may be charged on that day, in all; None: that kind is not limited."""
    spent: Amount
    """Charged with a known outcome; while the lease is held, as of the run's last look."""
    in_doubt: Amount
    """Charged at its worst case, without a known outcome; while the lease is held, as `spent`."""
    held: bool
    """True: the run may still spend it, or died and was not seen dead yet."""
    taken_at: datetime

    @property
    def charged(self) -> Amount:
        """Spent and in doubt."""
        return self.spent + self.in_doubt

    @property
    def rest(self) -> Amount:
        """What is held back of the day beyond what is charged; 0 of a kind without limit, or when settled."""
        return _known(self.lent.left(self.charged)) if self.held else Amount()

    @property
    def claim(self) -> Limits:
        """What counts against the day: all that was lent while it is held, what was charged afterwards."""
        return self.lent if self.held else Limits(0, 0, 0).beyond(self.charged)


class Book:
    """The allowance and the leases of a database, as one transaction reads and changes them."""

    def __init__(self, allowance: Limits, leases: Iterable[Lease] = ()) -> None:
        self.allowance = allowance
        """What a day allows to all runs together."""
        self._leases = {(lease.run_id, lease.day): lease for lease in leases}
        self._changed: set[tuple[str, str]] = set()

    @property
    def changed(self) -> list[Lease]:
        """Leases that differ from what was read."""
        return [self._leases[key] for key in sorted(self._changed)]

    @property
    def held(self) -> list[Lease]:
        """Leases that nobody has settled yet, of any day."""
        return [lease for lease in self._leases.values() if lease.held]

    def of_day(self, day: str) -> list[Lease]:
        """Leases on a day."""
        return [lease for lease in self._leases.values() if lease.day == day]

    def of_run(self, run_id: str) -> list[Lease]:
        """Leases of a run, on any day."""
        return [lease for lease in self._leases.values() if lease.run_id == run_id]

    def free(self, day: str) -> Limits:
        """What a day can still lend; None: it does not limit that kind."""
        claims = [lease.claim for lease in self.of_day(day)]
        free: list[int | None] = []
        for kind in KINDS:
            allowed, claimed = getattr(self.allowance, kind), [getattr(claim, kind) for claim in claims]
            # A run that holds a lease without limit leaves nothing to anybody else.
            left = 0 if None in claimed else max(0, (allowed or 0) - sum(claimed))
            free.append(None if allowed is None else left)
        return Limits(*free)

    def remember(self, run_id: str, day: str, spent: Amount, in_doubt: Amount, now: datetime) -> None:
        """Charge a day with what a run spent without any lease (by an older version, or of a lost database)."""
        self._put(Lease(run_id, day, Limits(), spent, in_doubt, False, now))

    def settle(self, run_id: str, spent: Amount, in_doubt: Amount) -> None:
        """Give back what a run's lease did not need, given all that was charged to the run, on any day.

        What the lease was charged before never falls."""
        for lease in (lease for lease in self.of_run(run_id) if lease.held):
            self._put(replace(self._charged(lease, spent, in_doubt), held=False))

    def _charged(self, lease: Lease, spent: Amount, in_doubt: Amount) -> Lease:
        """A lease with its part of all that was charged to its run; what it was charged never falls."""
        # A run counts all it was ever charged; what earlier days were charged of it is theirs.
        others = [other for other in self.of_run(lease.run_id) if not other.held]
        known = _without(spent, (other.spent for other in others)).most(lease.spent)
        # By the sum: what a day knows the outcome of may be known to be missing today, and then it is in doubt.
        whole = _without(spent + in_doubt, (other.charged for other in others)).most(lease.charged)
        return replace(lease, spent=whole.least(known), in_doubt=whole.above(known))

    def forfeit(self, run_id: str, stored: Amount = Amount()) -> None:
        """Settle the lease of a run whose journal is gone or damaged: all that it was lent counts as in doubt.

        `stored`: what is known of its attempts, on any day; charged where it was lent without limit.
        """
        own = self.of_run(run_id)
        known = _without(stored, (lease.charged for lease in own))
        for lease in (lease for lease in own if lease.held):
            # What is left of the lease may have been spent, and never less than the database knows of.
            left = _known(lease.lent.left(lease.charged))
            lost = Amount(*(max(getattr(left, kind), getattr(known, kind)) for kind in KINDS))
            self._put(replace(lease, in_doubt=lease.in_doubt + lost, held=False))

    def look(
        self, run_id: str, day: str, spent: Amount, in_doubt: Amount, in_flight: Amount, wants: Limits
    ) -> Lease | None:
        """Note what a run that holds a lease was charged so far, and fit the lease to the allowance as it is now.

        `spent` and `in_doubt`: all that was charged to the run, on any day; `in_flight`: its reservations, which no
        lease takes back; `wants`: what is left of the run's own ceiling, up to which its lease may grow. None: the run
        holds no lease on this day.
        """
        lease = self._leases.get((run_id, day))
        if lease is None or not lease.held:
            return None
        self._put(self._charged(lease, spent, in_doubt))
        self.share_out(day)
        lease = self._leases[run_id, day]
        needs, free, ceiling = lease.charged + in_flight, self.free(day), wants.beyond(lease.charged)
        lent: list[int | None] = []
        for kind in KINDS:
            now, spare, most = getattr(lease.lent, kind), getattr(free, kind), getattr(ceiling, kind)
            if now is not None:
                larger = [limit for limit in (most, None if spare is None else now + spare) if limit is not None]
                now = max(now, getattr(needs, kind), min(larger)) if larger else None
            lent.append(now)
        self._put(replace(lease, lent=Limits(*lent)))
        return self._leases[run_id, day]

    def share_out(self, day: str) -> None:
        """Where the leases of a day come to more than it allows, as when it was lowered: shrink those that are held.

        Each keeps what it was charged, and of what is left a share by its size; one without limit is as large as the
        day.
        """
        charged = sum((lease.charged for lease in self.of_day(day)), Amount())
        for kind in KINDS:
            allowed = getattr(self.allowance, kind)
            if allowed is None:
                continue
            held = [lease for lease in self.of_day(day) if lease.held]
            sizes = [allowed if getattr(each.lent, kind) is None else getattr(each.rest, kind) for each in held]
            left, whole = max(0, allowed - getattr(charged, kind)), sum(sizes)
            for lease, size in zip(held, sizes, strict=True):
                share = size if whole <= left else size * left // whole
                lent = {**_by_kind(lease.lent), kind: getattr(lease.charged, kind) + share}
                self._put(replace(lease, lent=Limits(**lent)))

    def lend(self, run_id: str, wants: Limits, now: datetime) -> Lease | None:
        """Lend a run what it wants of today, as far as today has it; None: today has nothing left of some kind.

        `wants`: what is left of the run's own ceiling; 0 of a kind it will not spend. Its last lease must be settled.
        """
        day = day_of(now)
        # Partly is not enough: a run without any tokens left cannot use the calls it could still have.
        if self.spent_kinds(wants, day):
            return None
        last = self._leases.get((run_id, day))
        spent, doubt = (last.spent, last.in_doubt) if last else (Amount(), Amount())
        # From what the day was charged by this run already, because a lease says the most it may come to in all.
        lent = wants.least(self.free(day)).beyond(spent + doubt)
        lease = Lease(run_id, day, lent, spent, doubt, True, now)
        self._put(lease)
        return lease

    def spent_kinds(self, wants: Limits, day: str) -> list[str]:
        """Kinds (calls, tokens, pusd) a run wants and the day has nothing left of."""
        free = self.free(day)
        return [kind for kind in KINDS if getattr(free, kind) == 0 and getattr(wants, kind) != 0]

    def _put(self, lease: Lease) -> None:
        if self._leases.get((lease.run_id, lease.day)) == lease:
            return
        self._leases[lease.run_id, lease.day] = lease
        self._changed.add((lease.run_id, lease.day))


def day_of(moment: datetime) -> str:
    """The day (UTC) a moment falls on."""
    return moment.astimezone(UTC).date().isoformat()


def end_of(day: str) -> datetime:
    """The first moment that is no longer of the day."""
    return datetime.combine(date.fromisoformat(day), time(), UTC) + timedelta(days=1)


def _known(limits: Limits) -> Amount:
    """Limits as an amount; 0 of a kind without limit."""
    return Amount(*(getattr(limits, kind) or 0 for kind in KINDS))


def _by_kind(limits: Limits) -> dict[str, int | None]:
    return {kind: getattr(limits, kind) for kind in KINDS}


def _without(total: Amount, parts: Iterable[Amount]) -> Amount:
    """What is left of a total, kind by kind, at least 0."""
    return total.above(sum(parts, Amount()))
