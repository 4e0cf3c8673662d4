"""The arithmetic of the analysis in SQL: trials at any budget, read off the marks and calls of one large run.

Every trial is a stream of changes: "from wall w on, these counts and spends are added", and at its horizon all of them
are taken back and the trial is counted as censored (or failed). A number at budget b is the sum of all changes at walls
<= b, so cells and curves cost one pass over marks and calls, whatever the number of budgets. A trial that is not
anytime is one change at wall 0. The last attempt of a trial is the one that counts.

Callers hand in `grid`: condition_id, axis and sorted budgets (pico-dollars on 'usd').
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from engine.database import Connection

VECTOR = ("calls", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "latency_ms")
COUNTS = ("n", "n_right", "n_wrong", "n_exhausted", "n_failed", "n_stopped", "n_censored", "n_unpriced", "n_assumed")
MEASURES = (*COUNTS, *VECTOR, "pusd")

_NEVER = 2**63 - 1
_VECTOR_ROW = {name: f"x.{name}" for name in VECTOR}


def _measures(sign: str = "", **given: str) -> str:
    """All measures in order, 0 where not given, so that changes can be stacked."""
    return ", ".join(f"{sign}({given.get(name, '0')})::double as {name}" for name in MEASURES)


def _each(template: str, *names: str) -> str:
    """The template once per name, which stands for its @."""
    return ", ".join(template.replace("@", name) for name in names)


_LATEST = """
latest as (
    select t.trial_id, t.attempt, t.condition_id, t.question_id, t.snapshot_id, t."end", t.verdict, g.axis, c.anytime
    from trials t join grid g using (condition_id) join conditions c using (condition_id)
    qualify row_number() over (partition by t.trial_id order by t.attempt desc) = 1),
snapshots as (
    select snapshot_id, bool_or(input_pusd is null) as unpriced, bool_or(coalesce(assumed, false)) as assumed
    from prices group by snapshot_id)"""

# `entry` is what a call adds to the wall before its first output token, `rest` what its whole reply adds.
_STEPS = f"""
priced as (
    select l.condition_id, l.question_id, l.axis, c.*,
        coalesce(c.cut in ('budget', 'refused', 'failed'), false) as closing,
        coalesce(c.cut in ('context', 'limit'), false) as beyond,
        case when c.calls = 0 then coalesce(k.input_tokens, c.bound_tokens) else c.input_tokens end as prompt_tokens,
        c.metered_input_tokens - coalesce(
            lag(c.metered_input_tokens) over (partition by c.trial_id, c.model order by c.ordinal), 0) as more_input,
        case l.axis when 'total_tokens' then 1 when 'usd' then p.input_pusd else 0 end as input_weight,
        case l.axis when 'calls' then 0 when 'usd' then p.output_pusd else 1 end as output_weight,
        p.input_pusd, p.output_pusd
    from latest l join calls c using (trial_id, attempt)
    left join prices p on p.snapshot_id = l.snapshot_id and p.model = c.model
    left join completions k on c.calls = 0 and k.key = c.key
    where l.anytime),
weighed as (
    select *,
        case when beyond then 0 else (axis = 'calls')::bigint + input_weight * more_input end as entry,
        case when beyond then 0 when closing then output_weight * coalesce(seen_output_tokens, 1)
            else output_weight * coalesce(seen_output_tokens, output_tokens) end as rest
    from priced),
steps as (
    select *, sum(entry + rest) over (partition by trial_id order by ordinal)::bigint as wall from weighed),
reach as (
    select trial_id, max(wall) as last_wall, max(wall) filter (closing) as close_wall, bool_or(beyond) as beyond
    from steps group by trial_id),
ends as (
    select l.*, coalesce(s.unpriced, false) as unpriced, coalesce(s.assumed, false) as assumed,
        case when l."end" = 'stopped' or (l.anytime and l.axis = 'usd' and coalesce(s.unpriced, false)) then 0
            when r.close_wall is not null then r.close_wall
            when l."end" = 'finished' or (l."end" = 'exhausted' and (r.beyond or not l.anytime)) then {_NEVER}
            else 0 end as horizon,
        case when l."end" = 'exhausted' and (r.beyond or not l.anytime) then {_NEVER}
            else coalesce(r.last_wall, 0) end as covered
    from latest l left join reach r using (trial_id) left join snapshots s using (snapshot_id))"""

_SHIFTS = """
mark_walls as (
    select m.trial_id, m.ordinal, m.verdict, coalesce(sum(
        case e.axis when 'output_tokens' then s.output_tokens when 'calls' then s.calls
            when 'total_tokens' then s.metered_input_tokens + s.output_tokens
            else s.metered_input_tokens * p.input_pusd + s.output_tokens * p.output_pusd end), 0)::bigint as wall
    from ends e join marks m using (trial_id, attempt)
    left join mark_spends s on s.trial_id = m.trial_id and s.attempt = m.attempt and s.ordinal = m.ordinal
    left join prices p on p.snapshot_id = e.snapshot_id and p.model = s.model
    where e.anytime group by m.trial_id, m.ordinal, m.verdict),
shifts as (
    select trial_id, wall,
        (verdict = 'right')::int - coalesce(lag(verdict = 'right') over (marks_in_order), false)::int as rights,
        (verdict = 'wrong')::int - coalesce(lag(verdict = 'wrong') over (marks_in_order), false)::int as wrongs
    from mark_walls window marks_in_order as (partition by trial_id order by ordinal)
    union all
    select trial_id, 0, (verdict = 'right')::int, (verdict = 'wrong')::int from ends where not anytime),
spent as (
    select trial_id, wall, calls, input_tokens, cached_tokens, output_tokens, reasoning_tokens, latency_ms,
        input_tokens::double * input_pusd + output_tokens::double * output_pusd as pusd
    from steps where not closing
    union all
    select e.trial_id, 0, s.calls, s.input_tokens, s.cached_tokens, s.output_tokens, s.reasoning_tokens, s.latency_ms,
        s.input_tokens::double * p.input_pusd + s.output_tokens::double * p.output_pusd
    from ends e join trial_spends s using (trial_id, attempt)
    left join prices p on p.snapshot_id = e.snapshot_id and p.model = s.model
    where not e.anytime)"""

_PRESENT = _measures(
    n="1", n_unpriced="e.unpriced::int", n_assumed="e.assumed::int", n_exhausted="(e.covered > 0)::int"
)
_ABSENT = _measures(
    n="-1",
    n_unpriced="-e.unpriced::int",
    n_assumed="-e.assumed::int",
    n_failed="(e.\"end\" = 'failed')::int",
    n_stopped="(e.\"end\" = 'stopped')::int",
    n_censored="(e.\"end\" in ('finished', 'exhausted'))::int",
)
_SPENT = {**_VECTOR_ROW, "pusd": "coalesce(x.pusd, 0)"}
_SHIFTED = {"n_right": "x.rights", "n_wrong": "x.wrongs"}


def _pair(source: str, columns: dict[str, str]) -> str:
    """A change at its wall, taken back at the horizon of its trial."""
    head = "select e.condition_id, e.question_id"
    tail = f"from ends e join {source} x using (trial_id) where x.wall < e.horizon"
    return f"{head}, x.wall as onset, {_measures(**columns)} {tail} union all {head}, e.horizon, " + (
        f"{_measures('-', **columns)} {tail}"
    )


_CHANGES = f"""
changes as (
    select e.condition_id, e.question_id, 0::bigint as onset, {_PRESENT} from ends e
    union all select e.condition_id, e.question_id, e.horizon, {_ABSENT} from ends e
    union all select e.condition_id, e.question_id, least(e.covered, e.horizon), {_measures(n_exhausted="-1")}
        from ends e where e.covered > 0
    union all {_pair("shifts", _SHIFTED)}
    union all {_pair("spent", _SPENT)}),
partials as (
    select s.condition_id, s.question_id, s.wall - s.rest as entered, s.output_weight,
        s.wall - s.rest + s.output_weight as since, least(s.wall, e.horizon) as until,
        s.prompt_tokens, s.cached_tokens, s.reasoning_tokens, s.latency_ms, s.input_pusd, s.output_pusd
    from steps s join ends e using (trial_id)
    where s.output_weight > 0 and since < least(s.wall, e.horizon)),
clusters as (select question_id, min(question_id) over (partition by task, text) as cluster from questions)"""

_BASE = ",".join(("with " + _LATEST.lstrip(), _STEPS, _SHIFTS, _CHANGES))

_CELLS = f"""{_BASE},
bucketed as (
    select condition_id, question_id, len(list_filter(g.budgets, lambda b: b < onset)) as slot,
        {_each("sum(c.@) as @", *MEASURES)}
    from changes c join grid g using (condition_id) where onset < {_NEVER} group by all),
slots as (
    select condition_id, question_id, unnest(range(len(budgets))) as slot
    from (select distinct condition_id, question_id from latest) join grid using (condition_id)),
whole as (
    select condition_id, question_id, slot,
        {_each("sum(coalesce(b.@, 0)) over so_far as @", *MEASURES)}
    from slots left join bucketed b using (condition_id, question_id, slot)
    window so_far as (partition by condition_id, question_id order by slot)),
begun as (
    select p.*, g.budgets, unnest(range(
        len(list_filter(g.budgets, lambda b: b < since)), len(list_filter(g.budgets, lambda b: b < until)))) as slot
    from partials p join grid g using (condition_id)),
capped as (
    select *, (budgets[slot + 1] - entered) // output_weight as cap from begun),
started as (
    select condition_id, question_id, slot, count(*) as calls, sum(prompt_tokens) as input_tokens,
        sum(cached_tokens) as cached_tokens, sum(cap) as output_tokens,
        sum(least(reasoning_tokens, cap)) as reasoning_tokens, sum(latency_ms) as latency_ms,
        sum(coalesce(prompt_tokens::double * input_pusd + cap::double * output_pusd, 0)) as pusd
    from capped group by all)
select w.condition_id, g.axis, g.budgets[slot + 1] as budget, w.question_id, k.cluster,
    {_each("w.@", *COUNTS)}, {_each("w.@ + coalesce(s.@, 0) as @", *VECTOR, "pusd")}
from whole w join grid g using (condition_id) left join started s using (condition_id, question_id, slot)
join clusters k using (question_id)
order by w.condition_id, budget, w.question_id"""

_AXIS_SPENT = """case g.axis when 'calls' then c.calls when 'output_tokens' then c.output_tokens
    when 'total_tokens' then c.input_tokens + c.output_tokens else c.pusd end"""
_AXIS_PROMPT = """case g.axis when 'output_tokens' then 0 when 'total_tokens' then prompt_tokens
    else prompt_tokens::double * input_pusd end"""

_PER_CLUSTER = ("more", "n_censored", "k", "mean", "level", "slope")
_SQUARES = ("ss", "sq", "qq", "clusters")
_UNIT = 2**44
_SHARE = f"if(scored > 0, round(@ / scored * {_UNIT}), 0)::hugeint as @"
_DIVISORS = {
    **dict.fromkeys(("n_censored", "qq", "clusters"), 1),
    **dict.fromkeys(("mean", "level", "slope", "sq"), _UNIT),
    "ss": _UNIT**2,
}

# A call that budget b cuts has spent its prompt and (b - entered) / weight tokens: a line in b while it lasts.
# Means of a question are whole numbers of 1/_UNIT: sums of integers do not depend on their order, so a curve has the
# same bits whatever it is asked together with.
_CURVES = f"""{_BASE},
lines as (
    select condition_id, question_id, onset, n, n_right, n_censored, {_AXIS_SPENT} as level, 0::double as slope
    from changes c join grid g using (condition_id) where onset < {_NEVER}
    union all select condition_id, question_id, since, 0, 0, 0, {_AXIS_PROMPT} - entered::double, 1
    from partials join grid g using (condition_id)
    union all select condition_id, question_id, until, 0, 0, 0, entered::double - {_AXIS_PROMPT}, -1
    from partials join grid g using (condition_id)),
merged as (
    select condition_id, question_id, onset,
        {_each("sum(@::hugeint) as @", "n", "n_right", "n_censored", "level", "slope")}
    from lines group by condition_id, question_id, onset),
running as (
    select condition_id, question_id, onset, n as more, n_censored, sum(n) over w as scored,
        (sum(n_right) over w)::double as mean, {_each("(sum(@) over w)::double as @", "level", "slope")}
    from merged window w as (partition by condition_id, question_id order by onset)),
means as (
    select condition_id, question_id, onset, more, n_censored, (scored > 0)::hugeint as k,
        {_each(_SHARE, "mean", "level", "slope")} from running),
deltas as (
    select condition_id, question_id, onset, more, n_censored,
        {_each("@ - coalesce(lag(@) over w, 0) as @", "k", "mean", "level", "slope")}
    from means window w as (partition by condition_id, question_id order by onset)),
by_cluster as (
    select condition_id, cluster, onset, {_each("sum(@) as @", *_PER_CLUSTER)}
    from deltas join clusters using (question_id) group by condition_id, cluster, onset),
sums as (
    select *, sum(mean) over w as s, sum(k) over w as q
    from by_cluster window w as (partition by condition_id, cluster order by onset)),
squares as (
    select *, s * s - coalesce(lag(s * s) over w, 0) as ss, s * q - coalesce(lag(s * q) over w, 0) as sq,
        q * q - coalesce(lag(q * q) over w, 0) as qq,
        (q > 0)::hugeint - coalesce(lag((q > 0)::hugeint) over w, 0) as clusters
    from sums window w as (partition by condition_id, cluster order by onset)),
stacked as (
    select condition_id, onset, {_each("sum(@) as @", *_PER_CLUSTER, *_SQUARES)}
    from squares group by condition_id, onset)
select condition_id, onset::bigint as budget, (sum(k) over w)::double as n, (sum(more) over w)::double as n_trials,
    {", ".join(f"(sum({name}) over w)::double / {unit}::double as {name}" for name, unit in _DIVISORS.items())}
from stacked window w as (partition by condition_id order by onset) order by condition_id, onset"""

_RANGES = f"""{_BASE}
select condition_id, min(wall) filter (wall > 0) as first, max(least(covered, horizon)) as last
from ends left join steps using (trial_id, condition_id) where ends.anytime and horizon > 0 group by condition_id"""


def questions_at(connection: Connection, grid: pl.DataFrame) -> pl.DataFrame:
    """One row per (condition, budget, question): counts of trials by fate, and summed spends of the scored ones."""
    return _over(connection, grid, _CELLS)


def curves(connection: Connection, grid: pl.DataFrame) -> pl.DataFrame:
    """One row per (condition, wall at which its accuracy, spend or n changes): sums over questions and clusters.

    Ordered by condition and budget; `mean` is the sum of question means. A condition without trials has no row.
    """
    return _over(connection, grid, _CURVES)


def ranges(connection: Connection, grid: pl.DataFrame) -> pl.DataFrame:
    """Smallest and largest wall each anytime condition has anything to say about, on its grid's axis."""
    return _over(connection, grid, _RANGES)


def _over(connection: Connection, grid: pl.DataFrame, sql: str) -> pl.DataFrame:
    connection.register("grid", grid.to_arrow())
    frame: pl.DataFrame = connection.sql(sql).pl()
    return frame
