"""bill and allowance: what runs were billed and what they replayed, and what a day (UTC) allows to all of them.

The allowance is the database's: every run of it borrows from the same day, whichever process it is in.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

import engine
from engine.cli import options, show
from engine.cli.options import Row, Verb, option
from engine.core.allowance import Book, day_of, end_of
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
_BILL_HEAD = (
    *("calls", "attempts", "retries", "tokens"),
    *("billed", "replayed", "list price", "in doubt", "provider says"),
)


@click.command(cls=Verb)
@options.run_id(required=False)
@option("--by", default="role", shell_complete=options.among(_WAYS), help="role or condition (role)")
@options.as_json
def bill(db: Path, name: str | None, by: str, as_json: bool) -> None:
    """One run or all, by model and role or by condition."""
    if by not in _WAYS:
        raise UnknownName("way to split a bill", by, _WAYS)
    results = engine.open(options.existing(db))
    run_id = None if name is None else _run(results, name)
    first = _WAYS[by]
    rows = results.bill(run_id, by=("run_id", first, "model")).to_dicts()
    if as_json:
        show.emit(rows)
        return
    if not rows:
        show.say("Nothing was sent yet, so nothing was billed.")
        return
    total = results.bill(run_id, by=()).row(0, named=True)
    names: dict[str | None, str] = {None: "(not read)"}
    if first == "condition_id":
        names |= {row["condition_id"]: f"{row['label']} on {row['task']}" for row in results.conditions().to_dicts()}
    lines = [
        (row["run_id"] or show.UNKNOWN, names.get(row[first], row[first]), row["name"], *_charges(row)) for row in rows
    ]
    head = ("run", by, "model", *_BILL_HEAD)
    show.table(head, [*lines, ("all", "", "", *_charges(total))], numeric=range(3, 12))
    show.say()
    show.say(
        "billed: what this run paid. replayed: what the replies it read again had cost when they were bought, once per "
        "reading. list: what its calls would cost bought one by one, without the pool."
    )
    if any(row[first] is None for row in rows):
        show.say("(not read): replies that no stored trial looked at, and attempts that brought none.")
    if total["assumed"]:
        show.say("assumed: a stand-in price, because nobody bills this model.")
    # None where no provider reported a cost; 0 where all of them reported what was counted here.
    if (gap := total["difference_pusd"]) is not None:
        more = "more" if gap > 0 else "less"
        apart = "exactly what was billed here" if not gap else f"{show.usd(abs(gap))} {more} than was billed here"
        show.say(f"Where providers reported a cost, it is {apart}; a ceiling counts the larger one of every call.")


def _charges(row: Row) -> tuple[str, ...]:
    counts = (show.number(row[name]) for name in ("calls", "attempts", "retries", "tokens"))
    billed, replayed, listed, doubt, provider = (
        show.usd(row[f"{name}_pusd"]) for name in ("billed", "replayed", "list", "in_doubt", "provider")
    )
    assumed = " assumed" if row["assumed"] and row["list_pusd"] is not None else ""
    return (*counts, billed, replayed, f"{listed}{assumed}", doubt, provider)


def _run(results: Results, name: str) -> str:
    """A stored run by id, the beginning of one, or 'last'."""
    known = results.runs()["run_id"].to_list()
    # The newest run is the first of the table.
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
def allowance(db: Path, usd: float | None, tokens: int | None, calls: int | None, none: bool, as_json: bool) -> None:
    """Set the allowance if asked to; show it with what is spent, in doubt, held and free today."""
    from engine.runs.allowance import settled
    from engine.store.store import Store

    limits = Limits(calls, tokens, None if usd is None else pusd(usd))
    if none and limits != Limits():
        raise UsageError("--none takes every limit away; leave it out to set one.")
    if none or limits != Limits():
        store = Store(options.writable(db))
        store.create()
        if not none:
            # Kinds that are not named stay as they were.
            named = {kind: limit for kind, limit in asdict(limits).items() if limit is not None}
            limits = replace(store.read_book().allowance, **named)
        store.set_allowance(limits)
        book = settled(store)
    elif db.exists():
        store = Store(db)
        # As it stands once what ended runs still hold was given back; a demo is only read.
        book = store.read_book() if store.is_demo() else settled(store)
    else:
        book = Book(Limits())
    day = day_of(run_dir.now())
    leases = book.of_day(day)
    spent, doubt, held = (
        sum((getattr(lease, part) for lease in leases), Amount()) for part in ("spent", "in_doubt", "rest")
    )
    columns = {"allowed": book.allowance, "spent": spent, "in_doubt": doubt, "held": held, "free": book.free(day)}
    lent = [(lease.run_id, lease.lent.left(lease.charged)) for lease in leases if lease.held]
    if as_json:
        holders = [{"run_id": run_id, "lent": asdict(rest)} for run_id, rest in lent]
        amounts = {name: asdict(column) for name, column in columns.items()}
        show.emit({"day": day, "ends_at": end_of(day), **amounts, "holders": holders})
        return
    show.say(f"{day} (UTC), until {end_of(day):%Y-%m-%d %H:%M}:")
    rows = [(name, *(_figure(getattr(column, kind), kind) for column in columns.values())) for kind, name in _KINDS]
    show.table(("", "allowed", "spent", "in doubt", "held by runs", "free"), rows, numeric=range(1, 6))
    for run_id, rest in lent:
        parts = ", ".join(f"{name}: {_figure(getattr(rest, kind), kind)}" for kind, name in _KINDS)
        show.say(f"run {run_id} was lent {parts}.")
    if book.allowance == Limits():
        show.say("No allowance is set: each run is bounded by its own ceiling alone.")


def _figure(value: int | None, kind: str) -> str:
    """An amount, or a limit, which None takes away."""
    if value is None:
        return "no limit"
    return show.usd(value) if kind == "pusd" else show.number(value)
