"""The day's allowance: whatever runs do, are killed at or settle late, a day is never charged more than it allows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.core.allowance import KINDS, Book, Lease, day_of, end_of
from engine.core.budget import Amount, Ceiling, Limits
from engine.runs.allowance import refusal
from tests.support.effort import cases

NOON = datetime(2031, 5, 4, 12, tzinfo=UTC)
RUNS = ("a", "b", "c", "d")
allowances = st.builds(
    Limits, st.none() | st.integers(1, 9), st.none() | st.integers(10, 60), st.none() | st.integers(8, 40)
)
limits = st.just(Limits()) | st.builds(
    Limits, st.none() | st.integers(0, 9), st.none() | st.integers(0, 80), st.none() | st.integers(0, 60)
)
amounts = st.builds(Amount, st.just(1), st.integers(0, 25), st.integers(0, 20))


@dataclass
class Worker:
    """A run as its process sees it, and what its journal would tell after a kill."""

    ceiling: Ceiling
    day: str
    open: list[tuple[Amount, str]] = field(default_factory=list)
    alive: bool = True


class Days(RuleBasedStateMachine):
    """Several runs on one allowance; `charged` is kept apart from all leases, straight from what was reserved."""

    @initialize(allowance=allowances)
    def begin(self, allowance: Limits) -> None:
        self.allowance = allowance
        self.leases: list[Lease] = []
        self.workers: dict[str, Worker] = {}
        self.charged: dict[tuple[str, str], Amount] = {}
        self.now = NOON
        self.raises = 0

    def transaction(self) -> Book:
        return Book(self.allowance, self.leases)

    def commit(self, book: Book) -> None:
        kept = {(lease.run_id, lease.day): lease for lease in [*self.leases, *book.changed]}
        self.leases = list(kept.values())

    def journal(self, run: str) -> tuple[Amount, Amount]:
        """Spent and in doubt, an intent without outcome counted at its worst case."""
        worker = self.workers[run]
        return worker.ceiling.spent, worker.ceiling.in_doubt + worker.ceiling.reserved

    def living(self) -> list[str]:
        return [run for run, worker in self.workers.items() if worker.alive]

    @rule(run=st.sampled_from(RUNS), own=limits, look=st.booleans())
    def start(self, run: str, own: Limits, look: bool) -> None:
        """Start or resume a run; it may overlook the dead, as one that came a moment too early would."""
        if run in self.living():
            return
        book = self.transaction()
        for other in self.workers if look else ():
            if not self.workers[other].alive and other != run:
                book.settle(other, *self.journal(other))
        spent, doubt = self.journal(run) if run in self.workers else (Amount(), Amount())
        book.settle(run, spent, doubt)
        ceiling = Ceiling(own, spent, doubt)
        lease = book.lend(run, own.left(ceiling.charged), self.now)
        self.commit(book)
        self.workers[run] = Worker(ceiling, day_of(self.now), alive=lease is not None)
        if lease is not None:
            ceiling.lend(lease.lent.left(lease.charged))

    @precondition(lambda self: self.living())
    @rule(data=st.data(), amount=amounts)
    def reserve(self, data: st.DataObject, amount: Amount) -> None:
        run, worker = self.pick(data)
        if worker.ceiling.try_reserve(amount):
            worker.open.append((amount, worker.day))
            self.charge(run, worker.day, amount)

    @precondition(lambda self: any(self.workers[run].open for run in self.living()))
    @rule(data=st.data(), share=st.integers(0, 4), known=st.booleans())
    def outcome(self, data: st.DataObject, share: int, known: bool) -> None:
        run = data.draw(st.sampled_from([run for run in self.living() if self.workers[run].open]))
        worker = self.workers[run]
        reserved, day = worker.open.pop(data.draw(st.integers(0, len(worker.open) - 1)))
        if not known:
            worker.ceiling.doubt(reserved)
            return
        actual = Amount(int(share > 0), reserved.tokens * share // 4, reserved.pusd * share // 4)
        worker.ceiling.settle(reserved, actual)
        self.charge(run, day, actual - reserved)

    @precondition(lambda self: self.living())
    @rule(data=st.data(), killed=st.booleans())
    def end(self, data: st.DataObject, killed: bool) -> None:
        """A killed run gives nothing back; one that ends counts what is in flight as in doubt."""
        run, worker = self.pick(data)
        if not killed:
            book = self.transaction()
            book.settle(run, *self.journal(run))
            self.commit(book)
        worker.ceiling.in_doubt += worker.ceiling.reserved
        worker.ceiling.reserved, worker.ceiling.in_flight, worker.open, worker.alive = Amount(), 0, [], False

    @rule()
    def midnight(self) -> None:
        self.now += timedelta(days=1)

    @precondition(lambda self: self.living())
    @rule(data=st.data())
    def roll_over(self, data: st.DataObject) -> None:
        """Runs notice the new day one by one, and only when nothing is in flight."""
        run, worker = self.pick(data)
        if worker.day == day_of(self.now) or worker.open:
            return
        book = self.transaction()
        book.settle(run, *self.journal(run))
        lease = book.lend(run, worker.ceiling.limits.left(worker.ceiling.charged), self.now)
        self.commit(book)
        worker.day = day_of(self.now)
        worker.ceiling.lend(lease.lent.left(lease.charged) if lease else Limits(0, 0, 0))

    @precondition(lambda self: self.raises < 2)
    @rule(more=st.integers(0, 5))
    def allow_more(self, more: int) -> None:
        self.raises += 1
        self.allowance = self.allowance.beyond(Amount(more, more, more))

    def pick(self, data: st.DataObject) -> tuple[str, Worker]:
        run = data.draw(st.sampled_from(self.living()))
        return run, self.workers[run]

    def charge(self, run: str, day: str, amount: Amount) -> None:
        self.charged[run, day] = self.charged.get((run, day), Amount()) + amount

    @invariant()
    def no_day_is_charged_more_than_it_allows(self) -> None:
        for day in {day for _, day in getattr(self, "charged", {})}:
            assert self.allowance.allow(self.charged_to(day)), (day, self.charged, self.allowance)

    @invariant()
    def nor_could_it_be_if_all_runs_spent_what_they_may(self) -> None:
        workers = getattr(self, "workers", {})
        for day in {worker.day for worker in workers.values()}:
            living = [worker for worker in workers.values() if worker.alive and worker.day == day]
            for kind in KINDS:
                allowed = getattr(self.allowance, kind)
                if allowed is not None:
                    still = sum(getattr(worker.ceiling.free, kind) for worker in living)
                    assert getattr(self.charged_to(day), kind) + still <= allowed

    def charged_to(self, day: str) -> Amount:
        return sum((amount for (_, other), amount in self.charged.items() if other == day), Amount())

    @invariant()
    def a_settled_lease_says_what_was_charged(self) -> None:
        for lease in getattr(self, "leases", []):
            if not lease.held:
                assert lease.charged == self.charged.get((lease.run_id, lease.day), Amount()), lease

    @invariant()
    def a_run_never_passes_its_own_ceiling(self) -> None:
        for worker in getattr(self, "workers", {}).values():
            ceiling = worker.ceiling
            if worker.alive and worker.open:
                assert ceiling.limits.allow(ceiling.charged + ceiling.reserved)


TestDays = Days.TestCase
TestDays.settings = cases(150)


def lease(run: str, lent: Limits, spent: Amount = Amount(), *, held: bool = True, day: str = "2031-05-04") -> Lease:
    return Lease(run, day, lent, spent, Amount(), held, NOON)


def test_a_lease_is_what_is_left_of_the_ceiling_or_what_the_day_has_free() -> None:
    book = Book(Limits(tokens=100, pusd=50), [lease("old", Limits(tokens=30, pusd=50), Amount(1, 20, 5), held=False)])
    first = book.lend("a", Limits(calls=7, tokens=60), NOON)
    assert first is not None and first.lent == Limits(7, 60, 45)
    second = book.lend("b", Limits(tokens=60, pusd=0), NOON)
    assert second is not None and second.lent == Limits(None, 20, 0)


def test_a_run_is_refused_only_for_a_kind_it_wants_and_the_day_limits() -> None:
    book = Book(Limits(pusd=50), [lease("a", Limits(pusd=50))])
    assert book.lend("b", Limits(tokens=10), NOON) is None
    assert book.lend("local", Limits(tokens=10, pusd=0), NOON) is not None


def test_the_refusal_says_allowed_spent_in_doubt_held_and_until_when() -> None:
    done = Lease("a", "2031-05-04", Limits(tokens=60), Amount(3, 40, 0), Amount(1, 9, 0), False, NOON)
    book = Book(Limits(tokens=100), [done, lease("b", Limits(tokens=51))])
    said = refusal(book, Limits(), NOON)
    for part in (
        "100 tokens allowed",
        "40 tokens spent",
        "9 tokens in doubt",
        "51 tokens held by run b",
        "2031-05-05 00:00 UTC",
    ):
        assert part in said
    assert said.count(". ") == 0
    assert "$0.000002 allowed" in refusal(Book(Limits(pusd=2 * 10**6), [lease("b", Limits())]), Limits(), NOON)


def test_a_lease_without_limit_leaves_nothing_once_the_day_is_limited() -> None:
    book = Book(Limits(tokens=100), [lease("before", Limits())])
    assert book.free("2031-05-04") == Limits(None, 0, None)
    book.settle("before", Amount(1, 30, 0), Amount())
    assert book.free("2031-05-04") == Limits(None, 70, None)


def test_a_dead_run_without_a_journal_is_charged_all_it_was_lent() -> None:
    book = Book(Limits(tokens=100), [lease("lost", Limits(tokens=60), Amount(1, 10, 0))])
    book.forfeit("lost")
    (after,) = book.changed
    assert (after.spent.tokens, after.in_doubt.tokens, after.held) == (10, 50, False)


def test_a_dead_run_without_a_journal_is_charged_its_stored_attempts_where_it_was_lent_without_limit() -> None:
    yesterday = lease("lost", Limits(), Amount(2, 30, 4), held=False, day="2031-05-03")
    book = Book(Limits(), [yesterday, lease("lost", Limits(tokens=60), Amount(1, 10, 0))])
    book.forfeit("lost", Amount(9, 100, 50))
    (after,) = book.changed
    assert after.charged == Amount(7, 70, 46) and not after.held, "calls and money as stored, tokens as stored or lent"


@pytest.mark.parametrize("hours", [0, 11.99])
def test_a_day_ends_at_midnight_utc(hours: float) -> None:
    moment = NOON + timedelta(hours=hours)
    assert end_of(day_of(moment)) == datetime(2031, 5, 5, tzinfo=UTC)
    assert KINDS == ("calls", "tokens", "pusd")
