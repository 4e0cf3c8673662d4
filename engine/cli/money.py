"""bill and allowance: what runs were billed and what they replayed, and what a day (UTC) allows to all of them.

The allowance is the database's: every run of it borrows from the same day, whichever process it is in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import engine
from engine.cli import options, show
from engine.cli.options import Row, Verb, option
from engine.core.allowance import Book, Lease, day_of, end_of
from engine.core.budget import Amount, Limits
from engine.core.errors import UnknownName, UsageError
from engine.models.prices import pusd
from engine.runs import run_dir

if TYPE_CHECKING:
    from engine.analysis import Results

_WAYS = {"role": "role", "condition": "condition_id"}
_KINDS = (("calls", "calls"), ("tokens", "tokens"), ("pusd", "money"))
"""Field of an amount, and its name in the table."""
_DAY = "The allowance of a day, charged by all runs of the database"
_NOTES = (
    "billed: what this run paid. replayed: what the replies it read again had cost when they were bought, once per "
    "reading. list: what its calls would cost bought one by one, without the pool."
)


@click.command(cls=Verb)
@options.run_id(required=False)
@option("--by", default="role", shell_complete=options.among(_WAYS), help="role or condition (role)")
@options.as_json
def bill(db: Path, name: str | None, by: str, as_json: bool) -> int:
    """One run or all, by model and role or by condition."""
    if by not in _WAYS:
        raise UnknownName("way to split a bill", by, _WAYS)
    found = engine.open(options.existing(db))
    run_id = None if name is None else _run(found, name)
    first = _WAYS[by]
    rows = found.bill(run_id, by=("run_id", first, "model")).to_dicts()
    if as_json:
        show.emit(rows)
    elif not rows:
        show.say("Nothing was sent yet, so nothing was billed.")
    else:
        _show_bill(found, rows, first, found.bill(run_id, by=()).row(0, named=True))
    return 0


def _show_bill(found: Results, rows: Sequence[Row], first: str, total: Row) -> None:
    names: dict[str | None, str] = {None: "(not read)"}
    if first == "condition_id":
        names |= {row["condition_id"]: f"{row['label']} on {row['task']}" for row in found.conditions().to_dicts()}
    head = (
        "run",
        first.removesuffix("_id"),
        "model",
        "calls",
        "attempts",
        "retries",
        "tokens",
        "billed",
        "replayed",
        "list price",
        "in doubt",
        "provider says",
    )
    lines = [
        (row["run_id"] or show.UNKNOWN, names.get(row[first], row[first]), row["name"], *_charges(row)) for row in rows
    ]
    show.table(head, [*lines, ("all", "", "", *_charges(total))], numeric=range(3, 12))
    show.say()
    show.say(_NOTES)
    for remark in _remarks(total, any(row[first] is None for row in rows)):
        show.say(remark)


def _charges(row: Row) -> tuple[str, ...]:
    listed = show.usd(row["list_pusd"])
    if row["assumed"] and row["list_pusd"] is not None:
        listed += " assumed"
    counts = (show.number(row[name]) for name in ("calls", "attempts", "retries", "tokens"))
    before, after = (show.usd(row[f"{name}_pusd"]) for name in ("billed", "replayed")), ("in_doubt", "provider")
    return (*counts, *before, listed, *(show.usd(row[f"{name}_pusd"]) for name in after))


def _remarks(total: Row, unread: bool) -> list[str]:
    said = []
    if unread:
        said.append("(not read): replies that no stored trial looked at, and attempts that brought none.")
    if total["assumed"]:
        said.append("assumed: a stand-in price, because nobody bills this model.")
    if (gap := total["difference_pusd"]) is not None:
        more = "more" if gap > 0 else "less"
        apart = "exactly what was billed here" if not gap else f"{show.usd(abs(gap))} {more} than was billed here"
        said.append(f"Where providers reported a cost, it is {apart}; a ceiling counts the larger one of every call.")
    return said


def _run(found: Results, name: str) -> str:
    """A stored run by id, the beginning of one, or 'last'."""
    known = found.runs()["run_id"].to_list()
    if name == "last" and known:
        return str(known[0])
    fitting = [run_id for run_id in known if name and run_id.startswith(name)]
    if len(fitting) > 1 and name not in fitting:
        raise UsageError(f"Run {name!r} fits {len(fitting)} runs; write more of its id.")
    if not fitting:
        raise UnknownName("run", name, known)
    return name if name in fitting else str(fitting[0])


@click.command(cls=Verb)
@options.limits(_DAY, "dollars a day", "tokens a day", "calls a day")
@option("--none", is_flag=True, group=_DAY, help="no allowance: runs have their own ceilings alone")
@options.as_json
def allowance(db: Path, usd: float | None, tokens: int | None, calls: int | None, none: bool, as_json: bool) -> int:
    """Set the allowance if asked to; show it with what is spent, in doubt, held and free today."""
    limits = Limits(calls, tokens, None if usd is None else pusd(usd))
    if none and limits != Limits():
        raise UsageError("--none takes every limit away; leave it out to set one.")
    book = _changed(options.writable(db), limits) if none or limits != Limits() else _read(db)
    now = run_dir.now()
    if as_json:
        show.emit(_plain(book, now))
    else:
        _show_book(book, now)
    return 0


def _changed(db: Path, limits: Limits) -> Book:
    """Kinds that are not named stay as they were; nothing named takes all of them away."""
    from engine.runs.allowance import settled
    from engine.store.store import Store

    store = Store(db)
    store.create()
    if limits != Limits():
        limits = replace(store.read_book().allowance, **{k: v for k, v in asdict(limits).items() if v is not None})
    store.set_allowance(limits)
    return settled(store)


def _read(db: Path) -> Book:
    """The book as it stands once what ended runs still hold was given back; that of a demo as it is stored."""
    from engine.runs.allowance import settled
    from engine.store.store import Store

    if not db.exists():
        return Book(Limits())
    store = Store(db)
    return store.read_book() if store.is_demo() else settled(store)


def _show_book(book: Book, now: datetime) -> None:
    day = day_of(now)
    leases = book.of_day(day)
    show.say(f"{day} (UTC), until {end_of(day):%Y-%m-%d %H:%M}:")
    rows = [_row(book, leases, kind, name, day) for kind, name in _KINDS]
    show.table(("", "allowed", "spent", "in doubt", "held by runs", "free"), rows, numeric=range(1, 6))
    for lease in leases:
        if lease.held:
            rest = lease.lent.left(lease.charged)
            lent = ", ".join(f"{name}: {_limit(getattr(rest, kind), kind)}" for kind, name in _KINDS)
            show.say(f"run {lease.run_id} was lent {lent}.")
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


def _plain(book: Book, now: datetime) -> dict[str, Any]:
    day = day_of(now)
    leases = book.of_day(day)
    spent, doubt, held = map(asdict, _totals(leases))
    holders = [
        {"run_id": lease.run_id, "lent": asdict(lease.lent.left(lease.charged))} for lease in leases if lease.held
    ]
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
