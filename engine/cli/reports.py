"""report and export: what the database knows, asked of the same analysis the dashboard asks."""

from __future__ import annotations

import tempfile
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import engine
from engine.cli import places, savings, show
from engine.core import names, text
from engine.core.errors import UnknownName, UsageError

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
    found = engine.open(places.existing(options))
    if options.curve is not None:
        return _curve(found, options)
    if options.task is not None:
        _check_task(found, options.task)
    x = options.x or options.axis or "output_tokens"
    listed = found.snapshots()
    view = savings.view(listed, options.prices)
    rows = found.frontier(x=x, axis=options.axis, task=options.task, lens=view).to_dicts()
    if options.json:
        show.emit(rows)
    elif rows:
        _show(rows)
        show.say(
            f"frontier (p): no other setting has at least this accuracy for at most this mean {_named(x)}; "
            "p is the share of bootstrap replicates that say so."
        )
        for sentence in savings.said(listed, view) if options.prices else ():
            show.say(sentence)
    else:
        show.say("Nothing to report yet; start with `budgetscope run examples/first.toml`.")
    return 0


def export(options: Namespace) -> int:
    """Write one table to a file."""
    from engine.store.store import Store

    db = places.existing(options)
    _check_target(options.out)
    Store(db).export(options.out, options.format, options.table)
    show.say(f"{options.table} written to {options.out}.")
    return 0


def _check_target(out: Path) -> None:
    """Tried rather than asked: rights, read-only disks and quotas all end here. Raises UsageError."""
    if out.is_dir():
        raise UsageError(f"{out} is a folder; name a file in it.")
    if not out.parent.is_dir():
        raise UsageError(f"{out} cannot be written: there is no folder {out.parent}; make it first, or name another.")
    try:
        with tempfile.TemporaryFile(dir=out.parent) as file:
            file.write(b"x")
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise UsageError(f"{out} cannot be written: nothing can be made in {out.parent} ({why}).") from None


def _curve(found: Results, options: Namespace) -> int:
    condition = places.condition(found, options.curve, options.task)
    axis = options.axis or condition["axis"]
    view = savings.view(found.snapshots(), options.prices)
    rows = found.curve(condition["condition_id"], axis=options.axis, lens=view).to_dicts()
    if options.json:
        show.emit(rows)
        return 0
    show.say(f"{names.over([condition])(condition)} on {names.task(condition['task'])}")
    cells = [
        (
            show.budget(row["budget"], axis),
            show.number(row["n"]),
            show.percent(row["accuracy"]),
            _interval(row["low"], row["high"]),
            show.number(row["spend"]),
        )
        for row in rows
    ]
    show.table(("budget", "n", "accuracy", "95% interval", "mean spend"), cells, numeric=range(5))
    return 0


def _check_task(found: Results, task: str) -> None:
    known = set(found.conditions()["task"].to_list())
    if task not in known:
        raise UnknownName("task", task, known)


def _show(rows: Sequence[Row]) -> None:
    for task, group in groupby(sorted(rows, key=lambda row: str(row["task"])), key=lambda row: str(row["task"])):
        cells = [*group]
        called = [setting.strategy for setting in names.settings(cells)]
        show.say(f"{names.task(task)} [{task}]")
        show.table(_HEAD, [*map(_cell, cells, called)], numeric=range(3, 10))
        show.say()
    for name, note in _NOTES.items():
        if any(row[name] for row in rows):
            show.say(note)


def _cell(row: Row, name: str) -> tuple[str, ...]:
    return (
        places.short(row),
        name,
        names.model(row["model"]),
        show.budget(row["budget"], row["axis"]),
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
        yield "frontier" if chance is None else f"frontier ({text.share(chance)})"
    for name in ("simulated", "partial"):
        if row[name]:
            yield name
    if row["usd_assumed"] and row["usd"] is not None:
        yield "assumed price"
    if row["n_failed"]:
        yield f"{row['n_failed']:,} failed"


def _named(x: str) -> str:
    return text.UNITS.get(x, x.replace("_", " "))
