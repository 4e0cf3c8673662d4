"""Whole lists, and the way down from a condition to its trials and their calls; SQL without arithmetic over budgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import steps

if TYPE_CHECKING:
    import polars as pl

    from engine.database import Connection

_LISTS = {
    "conditions": f"""select c.*, (select list(run_id order by run_id) from run_parts p
        where p.kind = 'condition' and p.number = i.condition_no) as run_ids
        from conditions c left join {steps.CONDITIONS} i using (condition_id) order by condition_id""",
    "studies": "select run_id, study from runs",
    "runs": "from runs order by started_at desc, run_id",
    "questions": """select q.*, count(distinct t.trial_id) as n_trials from questions q
        left join trials t using (question_id) group by all order by task, question_id""",
    "run_questions": f"""select p.run_id, q.task, count(*) as questions
        from run_parts p join {steps.QUESTIONS} i on i.question_no = p.number join questions q using (question_id)
        where p.kind = 'question' group by all""",
}

_TRIAL_ROWS = """
select t.trial_id, t.attempt, t.question_id, q.text as question, q.target, q.category, t.repeat, t."end", t.verdict,
    t.answer, t.error, t.budget, s.calls, s.input_tokens, s.output_tokens, s.reasoning_tokens, s.latency_ms,
    s.pusd / 1e12 as usd, t.run_id, t.started_at, t.finished_at
from trials t join questions q using (question_id) left join (
    select t.trial_id, t.attempt, sum(x.calls)::bigint as calls, sum(x.input_tokens)::bigint as input_tokens,
        sum(x.output_tokens)::bigint as output_tokens, sum(x.reasoning_tokens)::bigint as reasoning_tokens,
        sum(x.latency_ms)::bigint as latency_ms, if(bool_or(p.input_pusd is null), null, sum(
            x.input_tokens::double * p.input_pusd + x.output_tokens::double * p.output_pusd)) as pusd
    from trials t join trial_spends x using (trial_id, attempt)
    left join prices p on p.snapshot_id = t.snapshot_id and p.model = x.model
    where t.condition_id = $1 group by all) s using (trial_id, attempt)
where t.condition_id = $1
qualify row_number() over (partition by t.trial_id order by t.attempt desc) = 1
order by t.question_id, t.repeat"""

_TRANSCRIPT = """
select c.ordinal, c.role, c.model, p.messages, k.text as reply, k.finish, c.cut, c.replayed, c.asked_tokens,
    c.granted_tokens, c.bound_tokens, c.seen_output_tokens, c.input_tokens, c.cached_tokens, c.output_tokens,
    c.reasoning_tokens, c.latency_ms, m.answer, m.verdict
from calls c join prompts p using (prompt_key) left join completions k using (key)
left join (
    select * from marks where trial_id = $1
    qualify row_number() over (partition by attempt, after_calls order by ordinal desc) = 1
) m on m.trial_id = c.trial_id and m.attempt = c.attempt and m.after_calls = c.ordinal + 1
where c.trial_id = $1 and c.attempt = (select max(attempt) from trials where trial_id = $1)
order by c.ordinal"""


_TOLD = f"""
with told as (
    select t.trial_id, t.attempt, t.repeat, t."end", t.framing_id, t.question_id, c.params, i.condition_no,
        n.question_no
    from trials t join conditions c using (condition_id) join {steps.CONDITIONS} i using (condition_id)
    join {steps.QUESTIONS} n using (question_id) where t.condition_id in (select unnest($1))
    qualify row_number() over (partition by t.trial_id order by t.attempt desc) = 1)"""
_DRAWS = f"""{_TOLD}
select t.condition_no, t.question_no, t.repeat, t.params, x.ordinal, x.cut, k.text, f.answer_kind, q.question_id,
    q.task, q.text as question, q.context, q.target, q.category, q.data
from told t join calls x using (trial_id, attempt) join questions q using (question_id)
join framings f using (framing_id) left join completions k using (key)
where t."end" = 'finished' order by 1, 2, 3, x.ordinal"""
_MARKS = f"""{_TOLD}
select t.condition_no, t.question_no, t.repeat, m.after_calls, m.answer, m.verdict
from told t join marks m using (trial_id, attempt) order by 1, 2, 3, m.ordinal"""


def draws(connection: Connection, condition_ids: list[str]) -> pl.DataFrame:
    """The calls of finished trials of some conditions with their replies and questions, in order."""
    return _frame(connection, _DRAWS, condition_ids)


def marks(connection: Connection, condition_ids: list[str]) -> pl.DataFrame:
    """The marks of the trials of some conditions, in order."""
    return _frame(connection, _MARKS, condition_ids)


def listing(connection: Connection, name: str) -> pl.DataFrame:
    """A whole list: 'conditions', 'runs', 'studies', 'questions' or 'run_questions'; see `queries.prepare`."""
    return _frame(connection, _LISTS[name])


def trial_rows(connection: Connection, condition_id: str) -> pl.DataFrame:
    """The last attempt of each trial of a condition."""
    return _frame(connection, _TRIAL_ROWS, condition_id)


def transcript(connection: Connection, trial_id: str) -> pl.DataFrame:
    """The calls of a trial's last attempt with prompts and replies."""
    return _frame(connection, _TRANSCRIPT, trial_id)


def _frame(connection: Connection, sql: str, *parameters: str | list[str]) -> pl.DataFrame:
    frame: pl.DataFrame = connection.sql(sql, params=list(parameters)).pl()
    return frame
