"""export: what the database knows as files: a table, a study's answers, a study as a database, records for others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import click

import engine
from engine.cli import options, show
from engine.cli.options import Row, Verb, among, option
from engine.core import names, text
from engine.core.errors import UnknownName, UsageError

if TYPE_CHECKING:
    import polars as pl

FILES = ("csv", "jsonl", "parquet")
"""Formats of any table."""
STUDIES = ("markdown", "duckdb", "every-eval-ever")
"""Formats of a study."""
_ENDINGS = {f".{form}": form for form in (*FILES, "duckdb")} | {".md": "markdown"}
_HEAD = ("setting", "task", "budget", "n", "accuracy", "95% interval", "output tokens", "tokens", "cost", "verdict")


@click.command(cls=Verb)
@option(
    "--table",
    help="answers (a row an answer), cells (a row a setting and budget), or a table of the database (trials)",
)
@option(
    "--format",
    "form",
    metavar="FORMAT",
    shell_complete=among((*FILES, *STUDIES)),
    help="csv, jsonl or parquet of a table; markdown, duckdb or every-eval-ever of a study (as --out ends, else csv)",
)
@option("--study", metavar="NAME", help="which study (default: the only one there is)")
@option("--anonymous", is_flag=True, help="no prompts, answers or completions: of duckdb, answers and cells")
@option("--out", type=Path, required=True, metavar="FILE", help="the file to write; of every-eval-ever a folder")
def export(db: Path, table: str | None, form: str | None, study: str | None, anonymous: bool, out: Path) -> None:
    """Write one table, or one study."""
    from engine.interop.long_tables import LONG

    form = options.form_of(form, out, _ENDINGS, "csv")
    if form not in (*FILES, *STUDIES):
        raise UnknownName("export format", form, (*FILES, *STUDIES))
    if form in STUDIES and table is not None:
        raise UsageError(f"--table goes with {', '.join(FILES)}; {form} writes a whole study.")
    if form in FILES and table not in LONG and (anonymous or study is not None):
        what = "--anonymous" if anonymous else "--study"
        raise UsageError(f"{what} goes with --table answers or cells, or --format duckdb; a table is written whole.")
    if anonymous and form in ("markdown", "every-eval-ever"):
        says = "has no prompts or answers in it" if form == "markdown" else "is made of prompts and answers"
        raise UsageError(f"{form} {says}; leave --anonymous out, or use --format duckdb.")
    options.existing(db)
    if form == "every-eval-ever":
        _records(db, out, study)
    elif form == "duckdb":
        _database(db, out, study, anonymous)
    elif form == "markdown":
        _markdown(db, out, study)
    else:
        _table(db, out, table or "trials", cast(Literal["csv", "jsonl", "parquet"], form), study, anonymous)


def _table(
    db: Path, out: Path, table: str, form: Literal["csv", "jsonl", "parquet"], study: str | None, anonymous: bool
) -> None:
    from engine.interop import long_tables
    from engine.store import schema
    from engine.store.store import Store

    if table not in (*long_tables.LONG, *schema.TABLES):
        raise UnknownName("table", table, (*long_tables.LONG, *schema.TABLES))
    target = options.replaceable(db, out)
    if table in long_tables.LONG:
        results = engine.open(db)
        make = long_tables.answers if table == "answers" else long_tables.settings
        frame: pl.DataFrame = make(results, study)
        # Not strict: cells have none of these columns.
        frame = frame.drop(long_tables.TEXTS, strict=False) if anonymous else frame
        Store(db).export_frame(target, form, frame)
        show.say(f"{text.plural(frame.height, 'row')} of {table} written to {out}.")
    else:
        Store(db).export(target, form, table)
        show.say(f"{table} written to {out}.")


def _database(db: Path, out: Path, study: str | None, anonymous: bool) -> None:
    from engine.interop.long_tables import asked
    from engine.store.extract import Part, extract
    from engine.store.store import Store

    name, questions, conditions = asked(engine.open(db), study)
    # Sorted, so that the same study is written in the same order.
    every = tuple(sorted(id for ids in questions.values() for id in ids))
    count = extract(Store(db), _fresh(db, out), Part(name, tuple(conditions), every), anonymous=anonymous)
    left = " without prompts, answers and completions" if anonymous else ""
    show.say(f"{name}: {text.plural(count, 'trial')} written to {out}{left}.")


def _fresh(db: Path, out: Path) -> Path:
    """A name for a database. Raises UsageError for one that is taken: what is in it may be another's work."""
    if out.exists():
        raise UsageError(f"{out} is there already; choose another name, or remove it first.")
    return options.replaceable(db, out)


def _records(db: Path, out: Path, study: str | None) -> None:
    from engine.interop import records_out
    from engine.store.store import Store

    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; name a folder, in which `data` is made.")
    # One folder is made for the user, not a path of them: that would hide a slip of the pen.
    if not out.resolve().parent.is_dir():
        raise UsageError(f"{out} cannot be written: there is no folder {out.resolve().parent}; make it first.")
    done = records_out.write(Store(db), out, study)
    show.say(
        f"{text.plural(done.records, 'record')} of {text.plural(len(done.aggregates), 'setting')} written to "
        f"{out / 'data'} (Every Eval Ever, schema {records_out.SCHEMA})."
    )
    if done.left_out:
        show.say(f"{text.plural(done.left_out, 'trial')} failed or were stopped: they have no score and are left out.")


def _markdown(db: Path, out: Path, study: str | None) -> None:
    from engine.core import files
    from engine.interop import long_tables

    target = options.replaceable(db, out)
    results = engine.open(db)
    name, _, _ = long_tables.asked(results, study)
    # With verdicts, which cells alone do not have.
    rows = results.frontier(study=name).to_dicts()
    called = names.over(rows)
    lines = [f"# {text.in_markdown(name)}", "", f"| {' | '.join(_HEAD)} |", f"|{'---|' * 3}{'---:|' * 6}---|"]
    lines += [f"| {' | '.join(map(text.in_markdown, _cells(row, called(row))))} |" for row in rows]
    notes = results.notes(study=name)
    if any(row["simulated"] for row in rows):
        notes = ["simulated: answered by a script, not by a language model.", *notes]
    files.replace(target, "\n".join([*lines, "", *(f"{text.in_markdown(note)}\n" for note in notes)]))
    show.say(f"{text.plural(len(rows), 'point')} of {name} written to {out}.")


def _cells(row: Row, setting: str) -> tuple[str, ...]:
    interval = text.interval(row["accuracy_low"], row["accuracy_high"], text.percent)
    labels = [label for label in ("simulated", "partial") if row[label]]
    labels += [early] if (early := names.stopped(row)) else []
    return (
        *(", ".join([setting, *labels]), row["task"], text.budget(row["budget"], row["axis"])),
        *(text.count(row["n_questions"]), text.percent(row["accuracy"]), interval.strip("()") or text.UNKNOWN),
        *(text.number(row["output_tokens"]), text.number(row["total_tokens"])),
        names.unpriced(row) if row["usd"] is None else text.money(row["usd"]),
        row["verdict"] or "",
    )
