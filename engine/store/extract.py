"""A part of a database as a database of its own: what one study asked for, with or without its texts.

Owns which rows belong to a study and what is left of a text in an anonymous copy: no prompt, no answer and no
completion. Ids stay, so the copy meets its origin question by question, and what was equal stays equal, so that
intervals over repeated texts and votes over answers come out the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engine.core import files
from engine.core.errors import UsageError
from engine.store import deltas
from engine.store.sql import TURNS, Connection, each, quoted
from engine.store.store import Store


@dataclass(frozen=True, slots=True)
class Part:
    """What a study asked for."""

    study: str
    conditions: tuple[str, ...]
    questions: tuple[str, ...]


_KEPT_PLAN = ("name", "budget_axis", "budgets", "repeats", "planned_questions")
"""Of a study's declaration, in an anonymous copy: what the analysis reads."""

_OWN = "(trial_id, attempt) in (select (trial_id, attempt) from main.trials)"
_OF = {
    "conditions": "condition_id in (select id from kept where kind = 'condition')",
    "questions": "question_id in (select id from kept where kind = 'question')",
    "runs": "run_id in (select id from kept where kind = 'run')",
    "plans": "run_id in (select id from kept where kind = 'run') and id in (select id from kept)",
    **dict.fromkeys(("attempts", "orders", "rounds", "stops"), "run_id in (select id from kept where kind = 'run')"),
    "trials": "condition_id in (select id from kept where kind = 'condition') "
    "and question_id in (select id from kept where kind = 'question')",
    "framings": "framing_id in (select framing_id from main.trials)",
    "prices": "snapshot_id in (select snapshot_id from main.trials)",
    "price_tiers": "snapshot_id in (select snapshot_id from main.trials)",
    **dict.fromkeys(("calls", "marks", "mark_spends", "trial_spends", "facts"), _OWN),
    "prompts": "prompt_key in (select prompt_key from main.calls)",
    "probes": "chain_key in (select key from main.calls)",
    "completions": "key in (select key from main.calls) or key in (select key from main.probes)",
    "origins": "run_id in (select run_id from main.runs union all select run_id from main.completions)",
}
"""Which rows of each table go along, in this order: later ones ask what is there. Links, leases and the allowance are
this machine's own."""

# Numbered by what they say, so that equal texts stay equal and say nothing.
_SAID = """
create temp table said as
select question_id, answer, 'answer ' || dense_rank() over (partition by question_id order by md5(answer)) as word
from (select question_id, answer from origin.trials
    union select question_id, m.answer from origin.marks m join origin.trials using (trial_id, attempt))
where answer <> ''"""
_HIDDEN = {
    "questions": f"""select * replace (
        'question ' || dense_rank() over (order by md5(text || coalesce({TURNS}, ''))) as text,
        if(target = '', '', 'target ' || dense_rank() over (order by md5(target))) as target,
        if(context is null, null, 'document ' || dense_rank() over (order by md5(context))) as context, '{{}}' as data)
        from origin.questions""",
    "conditions": """select * replace (
        if(prompting = '{}', '{}', '{"hidden":' || dense_rank() over (order by md5(prompting)) || '}') as prompting)
        from origin.conditions""",
    "trials": """select t.* replace (coalesce(s.word, if(t.answer is null, null, '')) as answer,
        if("end" = 'failed' and error is not null, 'a provider''s words, left out', error) as error)
        from origin.trials t left join said s on s.question_id = t.question_id and s.answer = t.answer""",
    "marks": """select m.* replace (coalesce(s.word, '') as answer)
        from origin.marks m join origin.trials t using (trial_id, attempt)
        left join said s on s.question_id = t.question_id and s.answer = m.answer""",
    "framings": "select * replace ('' as instructions, '[]' as examples) from origin.framings",
    "prompts": "select * replace ('[]' as messages) from origin.prompts",
    "completions": """select * replace ('' as text, null::varchar as model_reported, null::varchar as fingerprint)
        from origin.completions""",
    "attempts": "select * replace (null::varchar as error) from origin.attempts",
    "origins": "select * replace ('' as source) from origin.origins",
    "probes": "select * replace (if(answer is null, null, '') as answer) from origin.probes",
    "runs": """select r.* replace (k.plan as study, null::varchar as host, null::varchar as error)
        from origin.runs r join plan k using (run_id)""",
}
"""What goes along of a table in an anonymous copy. The texts themselves never enter the file: what a database has
deleted may still stand in its blocks."""


_LEFT_OUT = ("answered_by",)
"""Columns of nullable places, such as somebody's own servers, that an anonymous copy has empty."""


def extract(store: Store, target: Path, part: Part, *, anonymous: bool = False) -> int:
    """Write a part as a database under a name that may be replaced; returns the number of its trials.

    Raises UsageError where the part has none. Trials another study paid for count as this study's own."""
    files.sweep(target.parent, lambda name: name == target.name)
    fresh = files.part_of(target)
    try:
        with store.copying_to(fresh) as connection:
            count = _filled(connection, part, anonymous)
            if not count:
                raise UsageError(f"The study {part.study!r} has no trial yet; run it first.")
            # What an older database knew as right and wrong alone.
            connection.execute(deltas.SCORED)
            deltas.fill(connection)
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)
        Path(f"{fresh}.wal").unlink(missing_ok=True)
    return count


def _filled(connection: Connection, part: Part, anonymous: bool) -> int:
    runs = connection.execute("select run_id, study from origin.runs order by started_at, run_id").fetchall()
    plans = {run_id: json.loads(plan) for run_id, plan in runs}
    own = [run_id for run_id, plan in plans.items() if plan.get("name", run_id) == part.study]
    if anonymous:
        connection.execute(_SAID)
        connection.execute("create temp table plan (run_id varchar, plan varchar)")
        for run_id in own:
            kept = {name: value for name, value in plans[run_id].items() if name in _KEPT_PLAN}
            connection.execute("insert into plan values (?, ?)", [run_id, json.dumps(kept)])
    connection.execute("create temp table kept (kind varchar, id varchar)")
    for kind, ids in (("condition", part.conditions), ("question", part.questions), ("run", own)):
        connection.execute("insert into kept select ?, unnest(?)", [kind, list(ids)])
    there = _columns(connection, "origin")
    for table, which in _OF.items():
        # A database of an older schema that is only read lacks tables and columns of later ones.
        left_out = _LEFT_OUT if anonymous else ()
        own_columns = (name for name in _columns(connection, "main")[table] if name not in left_out)
        if named := [name for name in own_columns if name in there.get(table, ())]:
            columns = each('"@"', *named)
            source = f"({_HIDDEN[table]})" if anonymous and table in _HIDDEN else f"origin.{table}"
            connection.execute(f"insert into main.{table} by name select {columns} from {source} where {which}")
    _planned(connection, own)
    ((count,),) = connection.execute("select count(*) from trials").fetchall()
    return int(count)


def _planned(connection: Connection, runs: Iterable[str]) -> None:
    """The study's runs asked for all that is there: also those of before that was stored, and for trials that a run
    which is not there paid for."""
    for run_id in runs:
        asked = "select {id} as id, task, '{kind}' as kind from {kind}s"
        parts = " union all ".join(asked.format(id=f"{kind}_id", kind=kind) for kind in ("condition", "question"))
        connection.execute(
            f"insert into plans by name select ? as run_id, task, kind, id from ({parts}) "
            "where not exists (select 1 from plans where run_id = ?)",
            [run_id, run_id],
        )
    last = "(select run_id from runs order by started_at desc, run_id desc limit 1)"
    connection.execute(
        f"update trials set run_id = coalesce({last}, run_id) where run_id not in (from (select run_id from runs))"
    )


def _columns(connection: Connection, database: str) -> dict[str, list[str]]:
    """By table its columns, of this database or of the attached one."""
    name = "current_database()" if database == "main" else quoted(database)
    rows = connection.execute(
        f"select table_name, column_name from duckdb_columns() where database_name = {name} and not internal "
        "order by table_name, column_index"
    ).fetchall()
    found: dict[str, list[str]] = {}
    for table, column in rows:
        found.setdefault(table, []).append(column)
    return found
