"""The day's allowance: whatever runs do, are killed at or settle late, a day is never charged more than it allows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
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
    lent_from: Amount = Amount()
    """What its lease was charged when it was taken."""

    def lend(self, lease: Lease | None) -> None:
        self.lent_from = lease.charged if lease else Amount()
        self.ceiling.lend(lease.lent.left(lease.charged) if lease else Limits(0, 0, 0))


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
            self.workers[run].lend(lease)

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

    @precondition(lambda self: self.living())
    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        """A living run says what it spent, and takes what became free."""
        run, worker = self.pick(data)
        book, ceiling = self.transaction(), worker.ceiling
        wants = ceiling.limits.left(ceiling.charged)
        seen = book.look(run, worker.day, ceiling.spent, ceiling.in_doubt, ceiling.reserved, wants)
        if seen is None:
            return
        assert seen.charged == self.charged_so_far(run, worker)
        self.commit(book)
        ceiling.relend(seen.lent.left(worker.lent_from))

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
        worker.lend(lease)

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

    def charged_so_far(self, run: str, worker: Worker) -> Amount:
        """What the day was charged by a run but for what is in flight."""
        return self.charged.get((run, worker.day), Amount()) - worker.ceiling.reserved

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


sizes = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 40), st.integers(0, 30)), min_size=1, max_size=5)


@given(runs=sizes, lowered=st.integers(0, 200), data=st.data())
@cases(150)
def test_a_lowered_allowance_leaves_each_run_what_it_was_charged_what_flies_and_its_share(
    runs: list[tuple[int, int, int]], lowered: int, data: st.DataObject
) -> None:
    spent = {f"r{n}": Amount(0, each[0]) for n, each in enumerate(runs)}
    flying = {f"r{n}": Amount(0, each[1]) for n, each in enumerate(runs)}
    rest = {f"r{n}": each[2] for n, each in enumerate(runs)}
    held = [lease(run, Limits(tokens=spent[run].tokens + flying[run].tokens + rest[run]), spent[run]) for run in spent]
    book = Book(Limits(tokens=lowered), held)
    for run in data.draw(st.permutations(sorted(spent))):
        seen = book.look(run, "2031-05-04", spent[run], Amount(), flying[run], Limits(tokens=0))
        assert seen is not None and seen.charged == spent[run]
        assert seen.lent.tokens is not None and seen.lent.tokens >= (spent[run] + flying[run]).tokens
    left = max(0, lowered - sum(amount.tokens for amount in spent.values()))
    whole = sum(flying[run].tokens + rest[run] for run in spent)
    for run in spent:
        share = (flying[run].tokens + rest[run]) * min(left, whole) // (whole or 1)
        (after,) = book.of_run(run)
        assert after.lent.tokens is not None
        assert after.lent.tokens - spent[run].tokens <= max(flying[run].tokens, share)
    excess = sum(amount.tokens for amount in flying.values())
    assert (
        sum(each.lent.tokens or 0 for each in book.held)
        <= max(lowered, sum(each.tokens for each in spent.values())) + excess
    )


def test_a_share_goes_by_the_size_of_the_lease_and_all_shrink_at_the_first_look() -> None:
    book = Book(Limits(tokens=70), [lease("a", Limits(tokens=100), Amount(0, 10)), lease("b", Limits(tokens=30))])
    seen = book.look("a", "2031-05-04", Amount(0, 30), Amount(), Amount(), Limits(tokens=900))
    assert seen is not None and seen.lent.tokens == 30 + 28 and book.of_run("b")[0].lent.tokens == 12
    assert book.free("2031-05-04").tokens == 0


def test_a_raised_allowance_lets_a_lease_grow_to_the_runs_own_ceiling() -> None:
    book = Book(Limits(tokens=500), [lease("a", Limits(tokens=100), Amount(0, 60)), lease("b", Limits(tokens=50))])
    seen = book.look("a", "2031-05-04", Amount(0, 90), Amount(), Amount(0, 10), Limits(tokens=200))
    assert seen is not None and (seen.lent.tokens, seen.charged.tokens) == (290, 90)
    book.allowance = Limits()
    seen = book.look("a", "2031-05-04", Amount(0, 90), Amount(), Amount(), Limits())
    assert seen is not None and seen.lent == Limits()


def test_a_lease_without_limit_is_given_one_once_the_day_has() -> None:
    book = Book(Limits(tokens=100), [lease("a", Limits()), lease("b", Limits(tokens=300))])
    seen = book.look("a", "2031-05-04", Amount(0, 40), Amount(), Amount(), Limits())
    assert seen is not None and seen.lent == Limits(None, 40 + 15, None)


def test_what_a_lease_was_charged_never_falls() -> None:
    book = Book(Limits(tokens=100), [lease("a", Limits(tokens=60), Amount(3, 40, 5))])
    book.look("a", "2031-05-04", Amount(1, 10), Amount(), Amount(), Limits(tokens=9))
    book.settle("a", Amount(2, 20), Amount(0, 9))
    (after,) = book.of_run("a")
    assert after.charged == Amount(3, 40, 5) and not after.held


@pytest.mark.parametrize("hours", [0, 11.99])
def test_a_day_ends_at_midnight_utc(hours: float) -> None:
    moment = NOON + timedelta(hours=hours)
    assert end_of(day_of(moment)) == datetime(2031, 5, 5, tzinfo=UTC)
    assert KINDS == ("calls", "tokens", "pusd")
