"""What a database from elsewhere must hold before a row of it becomes ours: tables and nothing that runs, columns of
our kinds, values that a record of ours may have, JSON of the form it is read in, and whatever a row names.

One sentence names table, row and column of the first thing that is otherwise. What is right here may still be wrong,
but no reader stumbles over it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, NoReturn, get_args

import msgspec
from msgspec import Meta

from engine.core import codec, records
from engine.core.errors import UsageError, shortened
from engine.core.records import Cut
from engine.store import tables
from engine.store.sql import Connection, quoted

# Views and macros are programs: they may take all day, and stand in for a function that the analysis calls.
_PROGRAMS = """
select 'view', view_name from duckdb_views() where not internal and database_name = current_database()
union all select 'macro', function_name from duckdb_functions()
    where not internal and database_name = current_database()
union all select 'type', type_name from duckdb_types() where not internal and database_name = current_database()
order by all limit 1"""


@dataclass(frozen=True, slots=True)
class _Study:
    """What the analysis reads of a declared study; whatever else one says is read by nobody."""

    name: str | None = None
    budget_axis: records.Axis | None = None
    budgets: tuple[int | float, ...] = ()
    repeats: int = 1
    planned_questions: dict[str, records.Count] = field(default_factory=dict)


_FORMS: Mapping[str, Mapping[str, Any]] = {
    "runs": {"study": _Study, "ceiling": dict[str, Any], "estimate": Any},
    "conditions": {
        "lineup": Annotated[list[tuple[str, str, str]], Meta(min_length=1)],
        "params": dict[str, Any],
        "prompting": dict[str, Any],
    },
    "questions": {"data": dict[str, Any]},
    "framings": {"examples": list[tuple[str, str, str | None]]},
    "prompts": {"messages": list[tuple[str, str]]},
}
"""By table the columns that are JSON, and of which form."""
_VERDICTS = get_args(records.Verdict)
_WORDS: Mapping[str, Mapping[str, Iterable[str]]] = {
    "conditions": {"axis": records.AXES},
    "framings": {"answer_kind": get_args(records.AnswerKind)},
    "trials": {"end": get_args(records.End), "verdict": _VERDICTS, "axis": records.AXES},
    "marks": {"verdict": _VERDICTS},
    "probes": {"verdict": _VERDICTS},
    "calls": {"cut": tuple(Cut)},
    "completions": {"finish": get_args(records.Finish)},
    "facts": {"kind": get_args(records.FactKind)},
    "plans": {"kind": ("condition", "question")},
}
"""By table the columns that hold one of few words."""
_NAMED = (
    ("trials", "condition_id", "conditions", "condition"),
    ("trials", "question_id", "questions", "question"),
    ("trials", "framing_id", "framings", "framing"),
    ("calls", "prompt_key", "prompts", "prompt"),
)
"""What a row names by its id, and in which table that stands."""
_ELSEWHERE = """
select run_id, p.task from plans p join conditions c on p.kind = 'condition' and p.id = c.condition_id
where p.task <> c.task limit 1"""
"""Plans that have a condition under another task than it says itself."""
_SPOKEN = {"BIGINT": "no count", "DOUBLE": "no number", "TIMESTAMP": "no time of ours", "VARCHAR": "none of our words"}


def refuse_programs(connection: Connection, name: str) -> None:
    """Raise UsageError for a database that holds more than tables; asked before anything else is."""
    for kind, called in connection.execute(_PROGRAMS).fetchall():
        raise UsageError(
            f"{name!r} holds a {kind}, {shortened(called)!r}, which no database of Budgetscope has, so nothing of it "
            "is read; write its study anew with `budgetscope export --format duckdb`."
        )


def check(connection: Connection, ours: Mapping[str, tables.Layout], needed: Mapping[str, set[str]], name: str) -> None:
    """Raise UsageError where a database of today's schema holds what none of ours would.

    `ours`: the tables that are looked at, as they are here; `needed`: of each the columns that are never null."""
    theirs = tables.layouts(connection)
    for table, layout in ours.items():
        kinds = dict(theirs.get(table, ()))
        for column, kind in layout:
            if kinds.get(column) != kind:
                there = "lacks it" if column not in kinds else f"has it as {shortened(kinds[column])}"
                _damaged(name, f"the column {column!r} of {table} is {kind} in each database of ours, and it {there}")
        _values(connection, table, layout, needed.get(table, set()), name)
        for column, form in _FORMS.get(table, {}).items():
            _form(connection, table, column, form, name)
    for table, key, other, called in _NAMED:
        sql = f"select {table}.trial_id from {table} anti join {other} using ({key}) limit 1"
        for (trial,) in connection.execute(sql).fetchall():
            raise UsageError(f"{name!r} is not whole: trial {trial} names a {called} it lacks; nothing of it came in.")
    for run, task in connection.execute(_ELSEWHERE).fetchall():
        _damaged(name, f"run {shortened(run)} asked for a condition of another task under {shortened(task)!r}")


def _values(connection: Connection, table: str, layout: tables.Layout, needed: set[str], name: str) -> None:
    # One look at a table tells whether all is well, which it nearly always is; only then is the column looked for.
    bad = {column: _otherwise(table, column, kind, column in needed) for column, kind in layout}
    wrong = " or ".join(f"coalesce({condition}, false)" for condition in bad.values())
    row = tables.fetch(connection, f'select * from "{table}" where {wrong} limit 1')
    if not row:
        return
    for column, kind in layout:
        found = connection.execute(f'select 1 from "{table}" where {bad[column]} limit 1').fetchall()
        if found:
            what = "nothing" if row[0][column] is None and column in needed else _SPOKEN.get(kind, "no value of ours")
            _damaged(name, f"a row of {table} ({_called(row[0], layout)}) has {what} under {column!r}")


def _otherwise(table: str, column: str, kind: str, needed: bool) -> str:
    """Whether a value is none that a record of ours may have, as SQL."""
    own = f'"{column}"'
    checks = [f"{own} is null"] if needed else []
    if words := _WORDS.get(table, {}).get(column):
        checks.append(f"{own} not in ({', '.join(map(quoted, words))})")
    elif kind == "BIGINT":
        checks.append(f"{own} < 0")
    elif kind == "DOUBLE":
        # NaN is above all numbers to DuckDB, and no share is outside of these.
        low, high = ("0", "1") if column == "score" else ("-1e15", "1e15")
        checks.append(f"{own} not between {low} and {high}")
    elif kind == "TIMESTAMP":
        checks.append(f"{own} not between timestamp '1970-01-01' and timestamp '3000-01-01'")
    return "(" + (" or ".join(checks) or "false") + ")"


def _form(connection: Connection, table: str, column: str, form: Any, name: str) -> None:
    cursor = connection.execute(f'select "{column}" from "{table}" where "{column}" is not null')
    while batch := cursor.fetchmany(10_000):
        for (value,) in batch:
            try:
                msgspec.convert(codec.parsed(value), form)
            except (ValueError, msgspec.ValidationError):
                _damaged(name, f"a row of {table} has no JSON as it is read under {column!r}: {shortened(value)!r}")


def _called(row: codec.Row, layout: tables.Layout) -> str:
    """A row by its first column, which is its key or begins it."""
    return shortened(str(row[layout[0][0]]))


def _damaged(name: str, what: str) -> NoReturn:
    raise UsageError(f"{name!r} is damaged or was edited: {what}; nothing of it came in.")
