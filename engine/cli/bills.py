"""bill: what runs were billed, what they replayed, and what they would cost afresh."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import engine
from engine.cli import show
from engine.cli.places import database
from engine.core import names
from engine.core.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from engine.analysis import Results

Row = Mapping[str, Any]
_WAYS = {"role": "role", "condition": "condition_id"}
_NOTES = (
    "billed: what this run paid. replayed: what the replies it read again had cost when they were bought, once per "
    "reading. list: what its calls would cost bought one by one, without the pool."
)


def bill(options: Namespace) -> int:
    """One run or all, by model and role or by condition."""
    if options.by not in _WAYS:
        raise UnknownName("way to split a bill", options.by, _WAYS)
    db = database(options)
    if not db.exists():
        raise UsageError(f"There is no database {db} yet; `budgetscope run examples/first.toml` makes one.")
    found = engine.open(db)
    run_id = None if options.run is None else _run(found, options.run)
    first = _WAYS[options.by]
    rows = found.bill(run_id, by=("run_id", first, "model")).to_dicts()
    if options.json:
        show.emit(rows)
    elif not rows:
        show.say("Nothing was sent yet, so nothing was billed.")
    else:
        _show(found, rows, first, found.bill(run_id, by=()).row(0, named=True))
    return 0


def _show(found: Results, rows: Sequence[Row], first: str, total: Row) -> None:
    names = _conditions(found) if first == "condition_id" else {}
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
    lines = [(row["run_id"] or show.UNKNOWN, _what(row[first], names), row["name"], *_figures(row)) for row in rows]
    show.table(head, [*lines, ("all", "", "", *_figures(total))], numeric=range(3, 12))
    show.say()
    show.say(_NOTES)
    for remark in _remarks(total, any(row[first] is None for row in rows)):
        show.say(remark)


def _conditions(found: Results) -> dict[str, str]:
    rows = found.conditions().to_dicts()
    called = names.conditions(rows)
    return {row["condition_id"]: f"{called[row['condition_id']]} on {row['task']}" for row in rows}


def _what(name: str | None, names: Mapping[str, str]) -> str:
    return "(not read)" if name is None else names.get(name, name)


def _figures(row: Row) -> tuple[str, ...]:
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


def _run(found: Results, asked: str) -> str:
    """A stored run by id, the beginning of one, or 'last'."""
    known = found.runs()["run_id"].to_list()
    if asked == "last" and known:
        return str(known[0])
    fitting = [run_id for run_id in known if asked and run_id.startswith(asked)]
    if len(fitting) > 1 and asked not in fitting:
        raise UsageError(f"Run {asked!r} fits {len(fitting)} runs; write more of its id.")
    if not fitting:
        raise UnknownName("run", asked, known)
    return asked if asked in fitting else str(fitting[0])
