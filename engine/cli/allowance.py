"""allowance: what a day (UTC) allows to all runs of a database together, and how today stands."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.cli import places, show
from engine.core.allowance import Book, Lease, day_of, end_of
from engine.core.budget import Amount, Limits
from engine.core.errors import UsageError
from engine.models.prices import pusd
from engine.run import run_dir

if TYPE_CHECKING:
    from engine.store.store import Store

_KINDS = (("calls", "calls"), ("tokens", "tokens"), ("pusd", "money"))


def allowance(options: Namespace) -> int:
    """Set the allowance if asked to; show it with what is spent, in doubt, held and free today."""
    wished = Limits(options.calls, options.tokens, None if options.usd is None else pusd(options.usd))
    if options.none and wished != Limits():
        raise UsageError("--none takes every limit away; leave it out to set one.")
    changes = options.none or wished != Limits()
    book = _changed(places.writable(options), wished) if changes else _seen(places.database(options))
    now = run_dir.now()
    if options.json:
        show.emit(_plain(book, now))
    else:
        _show(book, now)
    return 0


def _changed(db: Path, wished: Limits) -> Book:
    """Kinds that are not named stay as they were; nothing named takes all of them away."""
    from engine.store.store import Store

    store = Store(db)
    store.create()
    known = store.read_book().allowance
    new = Limits(*(_either(getattr(wished, kind), getattr(known, kind)) for kind, _ in _KINDS))
    store.set_allowance(new if wished != Limits() else Limits())
    return _settled(store)


def _either(wished: int | None, known: int | None) -> int | None:
    return known if wished is None else wished


def _seen(db: Path) -> Book:
    from engine.store.store import Store

    if not db.exists():
        return Book(Limits())
    store = Store(db)
    return store.read_book() if store.is_demo() else _settled(store)


def _settled(store: Store) -> Book:
    from engine.run import allowance as run_allowance

    return run_allowance.settled(store)


def _show(book: Book, now: datetime) -> None:
    day = day_of(now)
    leases = book.of_day(day)
    show.say(f"{day} (UTC), until {end_of(day):%Y-%m-%d %H:%M}:")
    rows = [_row(book, leases, kind, name, day) for kind, name in _KINDS]
    show.table(("", "allowed", "spent", "in doubt", "held by runs", "free"), rows, numeric=range(1, 6))
    for lease in leases:
        if lease.held:
            show.say(f"run {lease.run_id} was lent {_lent(lease)}.")
    if book.allowance == Limits():
        show.say("No allowance is set: each run is bounded by its own ceiling alone.")


def _row(book: Book, leases: Sequence[Lease], kind: str, name: str, day: str) -> tuple[str, ...]:
    spent, doubt, held = _totals(leases)
    amounts = [getattr(part, kind) for part in (spent, doubt, held)]
    allowed, free = getattr(book.allowance, kind), getattr(book.free(day), kind)
    return (name, _limit(allowed, kind), *(_figure(amount, kind) for amount in amounts), _limit(free, kind))


def _totals(leases: Sequence[Lease]) -> tuple[Amount, Amount, Amount]:
    return (
        sum((lease.spent for lease in leases), Amount()),
        sum((lease.in_doubt for lease in leases), Amount()),
        sum((lease.rest for lease in leases), Amount()),
    )


def _figure(value: int, kind: str) -> str:
    return show.usd(value) if kind == "pusd" else show.number(value)


def _limit(value: int | None, kind: str) -> str:
    return "no limit" if value is None else _figure(value, kind)


def _lent(lease: Lease) -> str:
    rest = _beyond(lease)
    return ", ".join(f"{name}: {_limit(getattr(rest, kind), kind)}" for kind, name in _KINDS)


def _beyond(lease: Lease) -> Limits:
    return lease.lent.left(lease.charged)


def _plain(book: Book, now: datetime) -> dict[str, Any]:
    day = day_of(now)
    leases = book.of_day(day)
    spent, doubt, held = map(asdict, _totals(leases))
    holders = [{"run_id": lease.run_id, "lent": asdict(_beyond(lease))} for lease in leases if lease.held]
    return {
        "day": day,
        "ends_at": end_of(day),
        "allowed": asdict(book.allowance),
        "spent": spent,
        "in_doubt": doubt,
        "held": held,
        "free": asdict(book.free(day)),
        "holders": holders,
    }
