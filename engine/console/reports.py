"""report and export: what the database knows, asked of the same analysis the dashboard asks."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import engine
from engine.console import show
from engine.console.places import database
from engine.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from engine.analysis import Results

Row = Mapping[str, Any]
_HEAD = ("condition", "strategy", "model", "budget", "n", "accuracy", "95% interval", "output", "tokens", "cost", "")
_NOTES = {
    "simulated": "simulated: answered by a script, not by a language model.",
    "usd_assumed": "assumed price: a stand-in, because nobody bills this model.",
    "partial": "partial: fewer than 95% of the study's questions are scored, so it gets no verdict.",
}


def results(db: Path, conditions: Iterable[str]) -> None:
    """The cells of some conditions, task by task, and what the labels mean."""
    _show(engine.open(db).cells(condition_id=list(conditions)).to_dicts())


def report(options: Namespace) -> int:
    """Cells with the frontier marked, or one condition's curve."""
    found = engine.open(_existing(options))
    if options.curve is not None:
        return _curve(found, options)
    if options.task is not None:
        _check_task(found, options.task)
    x = options.x or options.axis or "output_tokens"
    rows = found.frontier(x=x, axis=options.axis, task=options.task).to_dicts()
    if options.json:
        show.emit(rows)
    elif rows:
        _show(rows)
        show.say(f"frontier (p): no other setting has at least this accuracy for at most this mean {_named(x)}; "
                 "p is the share of bootstrap replicates that say so.")  # fmt: skip
    else:
        show.say("Nothing to report yet; start with `budgetscope run examples/first.toml`.")
    return 0


def export(options: Namespace) -> int:
    """Write one table to a file."""
    from engine.store import Store

    db = _existing(options)
    if options.out.is_dir() or not options.out.parent.is_dir():
        raise UsageError(f"{options.out} cannot be written: it is a folder, or its folder does not exist.")
    Store(db).export(options.out, options.format, options.table)
    show.say(f"{options.table} written to {options.out}.")
    return 0


def _curve(found: Results, options: Namespace) -> int:
    condition = _condition(found, options.curve, options.task)
    axis = options.axis or condition["axis"]
    rows = found.curve(condition["condition_id"], axis=options.axis).to_dicts()
    if options.json:
        show.emit(rows)
        return 0
    show.say(f"{condition['label']} on {condition['task']}")
    cells = [
        (show.budget(axis, row["budget"]), show.number(row["n"]), show.percent(row["accuracy"]),
         _interval(row["low"], row["high"]), show.number(row["spend"]))
        for row in rows
    ]  # fmt: skip
    show.table(("budget", "n", "accuracy", "95% interval", "mean spend"), cells, numeric=range(5))
    return 0


def _condition(found: Results, asked: str, task: str | None) -> Row:
    """A condition by the beginning of its id, with or without the tag, or by its label (on one task)."""
    known = [row for row in found.conditions().to_dicts() if task in (None, row["task"])]
    fitting = [row for row in known if asked and _fits(row, asked)]
    if len(fitting) > 1:
        raise UsageError(f"{asked!r} fits {len(fitting)} conditions; write more of the id, or add --task.")
    if not fitting:
        raise UnknownName("condition", asked, [*map(_short, known), *(row["label"] for row in known)])
    return fitting[0]


def _fits(row: Row, asked: str) -> bool:
    name = str(row["condition_id"])
    return asked == row["label"] or name.startswith(asked) or name.partition("-")[2].startswith(asked)


def _check_task(found: Results, task: str) -> None:
    known = set(found.conditions()["task"].to_list())
    if task not in known:
        raise UnknownName("task", task, known)


def _show(rows: Sequence[Row]) -> None:
    for task, cells in groupby(sorted(rows, key=lambda row: str(row["task"])), key=lambda row: str(row["task"])):
        show.say(task)
        show.table(_HEAD, [_cell(row) for row in cells], numeric=range(3, 10))
        show.say()
    for name, note in _NOTES.items():
        if any(row[name] for row in rows):
            show.say(note)


def _cell(row: Row) -> tuple[str, ...]:
    return (
        _short(row),
        show.called(row["strategy"], row["params"]),
        row["model"],
        show.budget(row["axis"], row["budget"]),
        show.number(row["n_questions"]),
        show.percent(row["accuracy"]),
        _interval(row["accuracy_low"], row["accuracy_high"]),
        show.number(row["output_tokens"]),
        show.number(row["total_tokens"]),
        show.dollars(row["usd"]),
        ", ".join(_labels(row)),
    )


def _interval(low: float | None, high: float | None) -> str:
    return show.UNKNOWN if low is None or high is None else f"{show.percent(low)} to {show.percent(high)}"


def _labels(row: Row) -> Iterator[str]:
    if row.get("on_frontier"):
        chance = row.get("p_frontier")
        yield "frontier" if chance is None else f"frontier ({chance:.2f})"
    for name in ("simulated", "partial"):
        if row[name]:
            yield name
    if row["usd_assumed"] and row["usd"] is not None:
        yield "assumed price"
    if row["n_failed"]:
        yield f"{row['n_failed']:,} failed"


def _short(row: Row) -> str:
    return str(row["condition_id"]).partition("-")[2][:8]


def _named(x: str) -> str:
    return show.UNITS.get(x, x.replace("_", " "))


def _existing(options: Namespace) -> Path:
    db = database(options)
    if not db.exists():
        raise UsageError(f"There is no database {db} yet; `budgetscope run examples/first.toml` makes one.")
    return db
