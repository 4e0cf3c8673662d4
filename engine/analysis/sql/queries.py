"""The arithmetic of the analysis in SQL: trials at any budget, read off the steps of one large run.

Every trial is a stream of changes: "from wall w on, these counts and spends are added", and where its data end all of
them are taken back and the trial is counted as censored (or failed). A number at budget b is the sum of all changes at
walls <= b, so cells and curves cost one pass over `steps`, whatever the number of budgets. Where a database has no
steps yet and may not be changed they are derived for the moment.

Callers hand in `grid` (condition_id, axis, anytime, sorted budgets; millionths of millionths on 'usd' and 'wh'),
`rates` (of a lens) and `within` (which questions, and which steps beside the stored). Sums that are kept, `held` and
`holdings`, are read and written here too; when they are made is the business of `materialize`, when they may be read
that of `reader`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from engine.analysis.lens import READING_AXES, Lens, ReadingAxis
from engine.analysis.sql import prices
from engine.store import deltas, frames, tables
from engine.store.sql import IS_LAST, LAST, TURNS, each

if TYPE_CHECKING:
    import polars as pl

    from engine.store.sql import Connection


class Held(NamedTuple):
    """What is held of a condition."""

    axis: str
    budgets: list[int]
    upto: int
    """Of trials up to this number; the steps of later ones are not in its sums."""

    def has(self, axis: str, budgets: Iterable[int]) -> bool:
        """Whether these budgets on an axis are among those it is held at."""
        return axis == self.axis and set(budgets) <= set(self.budgets)


def materialized(connection: Connection) -> dict[str, Held]:
    """By condition, what its sums are held at."""
    if not tables.has(connection, "holdings"):
        return {}
    # In a file of an earlier version, which is only read, they are whole.
    upto = "upto" if tables.has(connection, "holdings", "upto") else str(deltas.MOST)
    sql = f"select condition_id, axis, budgets, {upto} from holdings join {deltas.CONDITIONS} using (condition_no)"
    return {condition: Held(*rest) for condition, *rest in connection.execute(sql).fetchall()}


def growing(connection: Connection, condition_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """By condition that has steps which no held sums have in them: how many, and on how many questions about."""
    sql = f"""
        select condition_id, count(*), approx_count_distinct(question_no)
        from steps join {deltas.CONDITIONS} using (condition_no) left join holdings using (condition_no)
        where condition_id in (select unnest(?)) and trial_no > coalesce(upto, 0) group by all"""
    found = connection.execute(sql, [list(condition_ids)]).fetchall()
    return {condition: (steps, questions) for condition, steps, questions in found}


def read_sums(connection: Connection, grid: pl.DataFrame) -> pl.DataFrame:
    """What is held of conditions at their budgets in `grid` (condition_no, budgets): condition_no, budget, question_no
    and MEASURES."""
    which = ", ".join(map(str, grid["condition_no"]))
    walls = grid.select("condition_no", budget="budgets").explode("budget")
    measures = each("@::double as @", *MEASURES)
    at = ", ".join(map(str, sorted(set(walls["budget"]))))
    sql = f"select condition_no, budget, question_no, {measures} from held where condition_no in ({which})"
    frame = frames.read(connection.sql(f"{sql} and budget in ({at})"))
    # A budget of one may be held of another that is not read there.
    return frame.join(walls, on=["condition_no", "budget"], how="semi", maintain_order="left")


def write_sums(connection: Connection, sums: pl.DataFrame, grid: pl.DataFrame) -> None:
    """Keep the sums of all steps (columns of `held`), in order, of the conditions of `grid` (their numbers, axes and
    budgets)."""
    import polars as pl

    numbers = ", ".join(str(number) for number in grid["condition_no"])
    upto = pl.lit(deltas.newest(connection), pl.Int32).alias("upto")
    for table, frame in (("held", sums), ("holdings", grid.select("condition_no", "axis", "budgets", upto))):
        frames.register(connection, "fresh", frame)
        connection.execute(f"delete from {table} where condition_no in ({numbers})")
        connection.execute(f"insert into {table} by name select * from fresh")
        connection.unregister("fresh")


SPENDS = (*deltas.SPENDS, "pusd", "pwh")
COUNTS = (*deltas.COUNTS, "n_unpriced", "n_assumed", "n_unmeasured")
MEASURES = (*COUNTS, *deltas.SCORES, *SPENDS)

# A model the lens says nothing about keeps its stored price; one unknown part makes the whole line-up unknown. Walls
# weigh a call by the dearest rates of its tier and those below it, any of its output may be reasoning.
_RATES = f"""
with priced as (
    select snapshot_id, model, {each("z.@", *prices.RATES)}
    from prices p join lens z using (model) where z.priced
    union all select snapshot_id, model, {each("p.@", *prices.RATES)}
    from {prices.STORED} p anti join (from lens where priced) using (model)),
known as (
    select p.*, {each("z.@", "call_pwh", "input_pwh", "output_pwh")}
    from priced p left join (from lens where tier = 0) z using (model)),
flags as (
    select snapshot_id, bool_or(input_pusd is null) as unpriced, bool_or(assumed) as assumed,
        bool_or(input_pwh is null) as unmeasured
    from known group by snapshot_id)
select t.tariff_no, coalesce(k.tier, 0) as tier, if(k.tier > 0, k.above_input_tokens, -1) as above,
    coalesce(lead(k.above_input_tokens) over w, {deltas.MOST}) as upto,
    {each("coalesce(k.@, 0) as @", "request_pusd", "input_pusd", "output_pusd")},
    coalesce(k.cached_pusd, k.input_pusd, 0) as cached_pusd,
    coalesce(k.reasoning_pusd - k.output_pusd, 0) as thought_pusd,
    coalesce(max(k.input_pusd) over u, 0) as input_weight,
    coalesce(max(greatest(k.output_pusd, k.reasoning_pusd)) over u, 0) as output_weight,
    {each("coalesce(k.@, 0) as @", "call_pwh", "input_pwh", "output_pwh")},
    coalesce(f.unpriced, false) as unpriced, coalesce(f.assumed, false) as assumed,
    coalesce(f.unmeasured, true) as unmeasured
from {deltas.TARIFFS} t left join known k using (snapshot_id, model) left join flags f using (snapshot_id)
window w as (partition by t.tariff_no order by k.tier),
    u as (partition by t.tariff_no order by k.tier rows between unbounded preceding and current row)"""

_PLACES = f"with places as (select condition_no, g.* from grid g join {deltas.CONDITIONS} using (condition_id))"


def _by_call(steps: str) -> str:
    """Steps told apart call by call, as the relation `by_call`, for where a price has tiers that calls reach.

    What a step adds up over calls (the spends of a trial that is not anytime, and what is taken back) says nothing of
    their sizes, nor does any of it say how long a prompt might have been.
    """
    return f"""
sized as (
    select p.condition_no, q.question_no, l.repeat, l.snapshot_id, p.anytime, c.model, {each("c.@", *deltas.SPENDS)},
        row_number() over (partition by c.trial_id order by c.ordinal) - 1 as ordinal,
        greatest(c.bound_tokens, c.input_tokens) as reach
    from (
        select t.* from trials t {LAST} join places using (condition_id) where t.{IS_LAST}) l
    join places p using (condition_id) join {deltas.QUESTIONS} q using (question_id)
    join calls c on c.trial_id = l.trial_id and c.attempt = l.attempt),
reaches as (
    select condition_no, question_no, repeat, ordinal, max(reach) as reach from sized where anytime group by all),
apart as (
    select s.*, coalesce(r.reach, s.input_tokens) as reach
    from {steps} s semi join places using (condition_no)
    left join reaches r using (condition_no, question_no, repeat, ordinal) where s.kind in (1, 2)
    union all by name
    select s.* replace ({each("0 as @", *deltas.SPENDS)}), 0 as reach
    from {steps} s semi join places using (condition_no) where s.kind in (0, 3)
    union all by name
    select s.* replace ({", ".join(f"c.{name} as {name}" for name in deltas.SPENDS)}, f.tariff_no as tariff_no,
            {each("0 as @", *deltas.COUNTS, *deltas.SCORES)}), 0 as reach
    from sized c join (
        select * from {steps} where kind = 0 and n > 0
        qualify row_number() over (partition by condition_no, question_no, repeat order by trial_no) = 1) s
        using (condition_no, question_no, repeat)
    left join {deltas.TARIFFS} f using (snapshot_id, model) where not c.anytime
    union all by name
    select b.* replace ({", ".join(f"-s.{name} as {name}" for name in deltas.SPENDS)}, s.tariff_no as tariff_no,
            {each("0 as @", *deltas.COUNTS, *deltas.SCORES)}), 0 as reach
    from {steps} b join {steps} s using (trial_no) semi join places on places.condition_no = b.condition_no
    where b.kind = 3 and b.n <> 0 and s.kind = 1),
entries as (
    select a.*, r.output_weight, if(a.more_calls > 0, r.request_pusd, 0) as fee,
        coalesce(sum(o.input_weight * a.input_tokens) over (
            partition by a.trial_no, a.tariff_no order by a.ordinal
            rows between unbounded preceding and 1 preceding), 0) + r.input_weight * a.reach as peak
    from apart a left join rates r on r.tariff_no = a.tariff_no and a.reach > r.above and a.reach <= r.upto
    left join rates o on o.tariff_no = a.tariff_no and a.input_tokens > o.above and a.input_tokens <= o.upto
    where a.kind in (1, 2) and a.more_calls > 0),
metered as (
    select *, max(peak) over (partition by trial_no, tariff_no order by ordinal) as high from entries),
weighed as (
    select trial_no, ordinal, output_weight, fee + more_output * output_weight + high - coalesce(
        lag(high) over (partition by trial_no, tariff_no order by ordinal), 0) as more_pusd
    from metered),
by_call as (
    select a.*, coalesce(w.output_weight, 0)::bigint as output_weight, coalesce(w.more_pusd, 0)::bigint as more_pusd
    from apart a left join weighed w on w.trial_no = a.trial_no and w.ordinal = a.ordinal and a.kind in (1, 2))"""


class _Axis(NamedTuple):
    """How steps are read on an axis, as SQL; on money and energy by the rates of the lens."""

    wall: str
    """What a budget is held against."""
    weight: str
    """What one output token adds to the wall."""
    entry: str
    """What a call has spent before its first output token."""
    spent: str
    token: str = "1"
    """What one output token spends."""
    thought: str = "0"
    """What it spends besides where it is hidden reasoning, which comes first."""


_MORE_PUSD = (
    "s.more_calls * r.request_pusd + s.more_input::bigint * r.input_pusd + s.more_output::bigint * r.output_weight"
)
_MORE_PWH = "s.more_calls * r.call_pwh + s.more_input::bigint * r.input_pwh + s.more_output::bigint * r.output_pwh"
_SPENT_PUSD = "entry_pusd + output_tokens * output_pusd + reasoning_tokens * thought_pusd"
_SPENT_PWH = "entry_pwh + output_tokens * output_pwh"
_AXES: dict[ReadingAxis, _Axis] = {
    "output_tokens": _Axis("s.output_wall", "1", "0", "output_tokens"),
    "total_tokens": _Axis("s.total_wall", "1", "input_tokens", "input_tokens + output_tokens"),
    "calls": _Axis("greatest(s.ordinal + s.more_calls, 0)", "0", "0", "calls"),
    # Money and energy add up over a trial's own calls, so their walls need a window; the others are stored.
    "usd": _Axis(
        f"sum({_MORE_PUSD}) over w", "r.output_weight", "entry_pusd", _SPENT_PUSD, "output_pusd", "thought_pusd"
    ),
    "wh": _Axis(f"sum({_MORE_PWH}) over w", "r.output_pwh", "entry_pwh", _SPENT_PWH, "output_pwh"),
}
# The same rows call by call, each in the tier of its own input; walls are those of the most input it might have had.
_TIERED_USD = _AXES["usd"]._replace(wall="sum(s.more_pusd) over w", weight="s.output_weight")
_FLAT_RATES = "join places p using (condition_no) left join (from rates where tier = 0) r using (tariff_no)"
_TIERED_STEPS = """by_call s join places p using (condition_no) left join rates r
    on r.tariff_no = s.tariff_no and abs(s.input_tokens) > r.above and abs(s.input_tokens) <= r.upto"""
# Only what is shown may count cached input as cheaper: walls are cut at the plain price, as runs have them.
_PLAIN = "s.calls * r.request_pusd::double + s.input_tokens::double * r.input_pusd"
_DISCOUNTED = f"{_PLAIN} - s.cached_tokens::double * (r.input_pusd - r.cached_pusd)"

# Where money or energy is unknown, a trial read on that axis says nothing: its presence is counted by its fate.
_UNKNOWN = {"usd": "(p.anytime and r.unpriced)", "wh": "(p.anytime and r.unmeasured)"}
# By `fate` of the steps: 2 failed, 3 stopped, and the others never reached the end of their data.
_FATES = {
    "n_failed": "(s.fate = 2)::int",
    "n_stopped": "(s.fate = 3)::int",
    "n_censored": "(s.fate < 2)::int",
}


def _read(axis: ReadingAxis, as_observed: bool, tiered: bool, source: str, later_ones: bool) -> str:
    """Steps of the conditions read on one axis: what each adds at which wall, and how far it got there in parts.

    A row with `since` < wall is a call that budgets from `since` up to its wall cut: it `entered` at a wall, has spent
    `entry` on its prompt and adds one token per `weight`. Up to `bend` these are reasoning and spend `steep` per unit
    of the wall, `thought` more in all; from there on `slope`.
    """
    how, unknown = _TIERED_USD if tiered and axis == "usd" else _AXES[axis], _UNKNOWN.get(axis, "false")
    counted = (*deltas.COUNTS, *deltas.SCORES)
    counts = (f"if({unknown}, {_FATES.get(name, '0')}, s.{name}) as {name}" for name in counted)
    window = " window w as (partition by s.trial_no order by s.ordinal)" if axis in _UNKNOWN else ""
    later = " and s.trial_no > p.upto" if later_ones else ""
    return f"""
    select *, wall - weight * more_output as entered,
        if(kind in (1, 2) and weight > 0, entered + weight, wall) as since,
        {how.entry} as entry, {how.spent} as spent,
        coalesce({how.token} / nullif(weight, 0)::double, 0) as slope,
        coalesce(({how.token} + {how.thought}) / nullif(weight, 0)::double, 0) as steep,
        {how.thought} * reasoning_tokens as thought,
        if({how.thought} = 0, entered, entered + weight * least(reasoning_tokens, more_output)) as bend,
        {each("n * @::int as n_@", "unpriced", "assumed", "unmeasured")},
        {_SPENT_PUSD} as pusd, {_SPENT_PWH} as pwh
    from (
        select {each("s.@", "condition_no", "question_no", "repeat", "ordinal", "kind")},
            {how.wall}::bigint as wall, {how.weight}::bigint as weight,
            s.more_output, {", ".join(counts)}, {each("s.@", *deltas.SPENDS)},
            {_DISCOUNTED if as_observed else _PLAIN} as entry_pusd, r.output_pusd::double as output_pusd,
            r.thought_pusd::double as thought_pusd,
            s.calls * r.call_pwh + s.input_tokens::double * r.input_pwh as entry_pwh,
            r.output_pwh::double as output_pwh, {each("r.@", "unpriced", "assumed", "unmeasured")}
        from {source}
        where p.axis = '{axis}' and (s.kind = 0 or not {unknown}){later}{window})"""


class Within(NamedTuple):
    """Which steps are read."""

    questions: pl.Series | None = None
    """question_no of those that are read; None: all."""
    drawn: pl.DataFrame | None = None
    """More rows of steps, of trials that nobody ran; see `analysis.sql.draws`."""
    later: bool = False
    """Only of trials whose number is above the `upto` that the grid has for their condition."""


ALL_STEPS = Within()


class Rates(NamedTuple):
    """What calls cost through a lens."""

    table: pl.DataFrame
    """One row per price of a model in a snapshot (tariff_no) and tier of it."""
    tiered: bool
    """Whether some call reaches a tier above the lowest."""


def rates(connection: Connection, lens: pl.DataFrame) -> Rates:
    """Those of a lens, as `lens.table` has it. Apart from the readings: planning it takes a third as long as one."""
    frames.register(connection, "lens", lens)
    return Rates(frames.read(connection.sql(_RATES)), prices.tiered(connection, lens))


def _reading(grid: pl.DataFrame, lens: Lens, rates: Rates, within: Within) -> str:
    """Everything `grid` asks for as the relation `read`, to be followed by a comma or a select."""
    only = [] if within.questions is None else ["question_no in (from listed)"]
    if within.later:
        # Said once for all, as it stands in the order of the table: what is before it is not read at all.
        only.append(f"trial_no > {min(grid['upto'].to_list())}")
    listed = f" where {' and '.join(only)}" if only else ""
    more = "" if within.drawn is None else " union all by name from drawn"
    steps = f"(from steps{listed}{more})" if listed or more else "steps"
    present = set(grid["axis"]) or {READING_AXES[0]}
    source = _TIERED_STEPS if rates.tiered else f"{steps} s {_FLAT_RATES}"
    branches = (
        _read(axis, lens.as_observed, rates.tiered, source, within.later) for axis in READING_AXES if axis in present
    )
    by_call = f", {_by_call(steps)}" if rates.tiered else ""
    return f"{_PLACES}{by_call}, read as ({' union all '.join(branches)})"


def _cells(budgets: int, graded: bool) -> str:
    """Sums per (condition, question, slot): what is added from that budget on, and what is spent at it alone."""
    # A slot is how many of a condition's budgets lie below a wall.
    scores = deltas.SCORES if graded else ()
    slot, first = (" + ".join(f"({wall} > b{i})::int" for i in range(budgets)) or "0" for wall in ("wall", "since"))
    return f""",
placed as (
    select r.*, p.budgets, {slot} as slot, {first} as first_slot
    from read r join places p using (condition_no)),
begun as (
    select * exclude (slot), unnest(range(first_slot, slot)) as slot from placed where first_slot < slot),
capped as (
    select condition_no, question_no, slot, (budgets[slot + 1] - entered) // weight as cap, 1 as calls, input_tokens,
        cached_tokens, cap as output_tokens, least(reasoning_tokens, cap) as reasoning_tokens, latency_ms,
        entry_pusd + cap * output_pusd + least(reasoning_tokens, cap) * thought_pusd as pusd,
        entry_pwh + cap * output_pwh as pwh
    from begun)
select condition_no, question_no, slot, false as passing, {each("sum(@)::double as @", *COUNTS, *scores, *SPENDS)}
from placed where kind <> 2 and slot < len(budgets) group by all
union all
select condition_no, question_no, slot, true, {each("0", *COUNTS, *scores)}, {each("sum(@)::double", *SPENDS)}
from capped group by all"""


_SCORE = f"n_right * {deltas.SCORE}::bigint + partly"
_PER_CLUSTER = ("more", "n_censored", "k", "mean", "level", "slope")
_SQUARES = ("ss", "sq", "qq", "clusters")
_UNIT = 2**44
_SHARE = f"if(scored > 0, round(@ / scored * {_UNIT}), 0)::hugeint as @"
# Of what is in that unit already: a part of a call may spend a fraction of what it adds to a wall.
_SCALED_SHARE = "if(scored > 0, round(@ / scored), 0)::hugeint as @"
_DIVISORS = {
    **dict.fromkeys(("n_censored", "qq", "clusters"), 1),
    **dict.fromkeys(("mean", "level", "slope", "sq"), _UNIT),
    "ss": _UNIT**2,
}
# What `Problem.cluster` says: what asks the same is one cluster, called by the first of their ids, within a task.
_CLUSTERS = f"""
clusters as (
    select question_no, min(question_id) over (partition by task, text, context, {TURNS}) as cluster
    from questions join {deltas.QUESTIONS} using (question_id))"""

# A call that budget b cuts has spent its prompt and (b - entered) / weight tokens: a line in b while it lasts.
# Means of a question are whole numbers of 1/_UNIT: sums of integers do not depend on their order, so a curve has the
# same bits whatever it is asked together with.
_CURVES = f""",{_CLUSTERS},
lines as (
    select condition_no, question_no, wall as onset, n, {_SCORE} as score, n_censored, spent::double as level,
        0::double as slope
    from read where kind <> 2
    union all select condition_no, question_no, unnest([since, bend]), 0, 0, 0,
        unnest([level, -level]), unnest([steep, -steep])
    from (select *, entry - entered * steep as level from read where since < wall and since < bend)
    union all select condition_no, question_no, unnest([greatest(since, bend), wall]), 0, 0, 0,
        unnest([level, -level]), unnest([slope, -slope])
    from (select *, entry + thought - entered * slope as level from read where since < wall and bend < wall)),
merged as (
    select condition_no, question_no, onset,
        {each("sum(@::hugeint) as @", "n", "score", "n_censored")},
        {each(f"sum(round(@ * {_UNIT})::hugeint) as @", "level", "slope")}
    from lines group by condition_no, question_no, onset),
running as (
    select condition_no, question_no, onset, n as more, n_censored, sum(n) over w as scored,
        (sum(score) over w)::double / {deltas.SCORE} as mean, {each("(sum(@) over w)::double as @", "level", "slope")}
    from merged window w as (partition by condition_no, question_no order by onset)),
means as (
    select condition_no, question_no, onset, more, n_censored, (scored > 0)::hugeint as k,
        {each(_SHARE, "mean")}, {each(_SCALED_SHARE, "level", "slope")} from running),
deltas as (
    select condition_no, question_no, onset, more, n_censored,
        {each("@ - coalesce(lag(@) over w, 0) as @", "k", "mean", "level", "slope")}
    from means window w as (partition by condition_no, question_no order by onset)),
by_cluster as (
    select condition_no, cluster, onset, {each("sum(@) as @", *_PER_CLUSTER)}
    from deltas join clusters using (question_no) group by condition_no, cluster, onset),
sums as (
    select *, sum(mean) over w as s, sum(k) over w as q
    from by_cluster window w as (partition by condition_no, cluster order by onset)),
squares as (
    select *, s * s - coalesce(lag(s * s) over w, 0) as ss, s * q - coalesce(lag(s * q) over w, 0) as sq,
        q * q - coalesce(lag(q * q) over w, 0) as qq,
        (q > 0)::hugeint - coalesce(lag((q > 0)::hugeint) over w, 0) as clusters
    from sums window w as (partition by condition_no, cluster order by onset)),
stacked as (
    select condition_no, onset, {each("sum(@) as @", *_PER_CLUSTER, *_SQUARES)}
    from squares group by condition_no, onset),
between as (
    select condition_no, wall as onset, sum(n_partly) as n_partly from read where n_partly <> 0 group by all),
totals as (
    select condition_no, onset as budget, (sum(k) over w)::double as n, (sum(more) over w)::double as n_trials,
        {", ".join(f"(sum({name}) over w)::double / {unit}::double as {name}" for name, unit in _DIVISORS.items())},
        (sum(coalesce(n_partly, 0)) over w)::double as n_partly
    from stacked left join between using (condition_no, onset) window w as (partition by condition_no order by onset))
select condition_id, t.* exclude (condition_no) from totals t join {deltas.CONDITIONS} using (condition_no)
order by condition_id, budget"""

# A trial without a call says something from wall 0 on; a presence that counts nothing says nothing.
_RANGES = f"""
select condition_id, min(wall) filter (wall > 0) as first, max(wall) as last
from read join {deltas.CONDITIONS} using (condition_no) where kind > 0 or n > 0 group by condition_id"""

_WALKS = f"""
select {", ".join(("condition_no", "question_no", "repeat", "ordinal", "kind", "wall", "entered", "since"))},
    bend, {each("@::double as @", "entry", "spent", "slope", "steep", "thought")}, n,
    ({_SCORE})::double / {deltas.SCORE} as score, n_partly, n_censored
from read order by condition_no, question_no, repeat, ordinal"""

# A fact counts from the wall of its call on, and no further than the trial's data reach; a trial that is not anytime is
# read whole. Several trials of one place say one thing between them.
_FACTS = f""",
stated as (
    select i.condition_no, q.question_no, t.repeat, f.kind as fact_kind, f.name, f.holds,
        if(p.anytime, f.after_calls - 1, -1) as ordinal
    from facts f join (
        select trial_id, max(attempt) as attempt from trials semi join grid using (condition_id) group by trial_id)
        using (trial_id, attempt)
    join trials t using (trial_id, attempt) join {deltas.CONDITIONS} i using (condition_id)
    join {deltas.QUESTIONS} q using (question_id) join places p using (condition_no)),
reach as (
    select condition_no, question_no, repeat, min(wall) as last from read where kind = 3 group by all),
since as (
    select condition_no, question_no, repeat, ordinal, min(wall) as wall
    from read where kind = 1 or (kind = 0 and n > 0) group by all),
told as (
    select s.*, p.condition_id, p.axis, unnest(p.budgets) as budget, w.wall, r.last
    from stated s join since w using (condition_no, question_no, repeat, ordinal) join places p using (condition_no)
    left join reach r using (condition_no, question_no, repeat))
select condition_id, axis, budget, question_no, repeat, fact_kind as kind, name as fact, bool_or(holds) as holds
from told where (wall <= budget or ordinal = -1) and (last is null or budget < last) group by all"""

_QUESTIONS = f"with {_CLUSTERS.strip()} select q.*, cluster from clusters join {deltas.QUESTIONS} q using (question_no)"


def prepare(connection: Connection) -> None:
    """See that there are steps, scores and prices to read; called once per connection, before anything else here."""
    prices.stand_in(connection)
    deltas.scored(connection)
    if not tables.has(connection, "steps"):
        deltas.stand_in(connection)


def changes(
    connection: Connection, grid: pl.DataFrame, lens: Lens, rates: Rates, within: Within = ALL_STEPS
) -> pl.DataFrame:
    """Sums of MEASURES per (condition_no, question_no, slot), a slot being the place of a budget in its list.

    A row adds to its slot and to all later ones, or to its slot alone where `passing`. Where no score lies between 0
    and 1 the columns of `deltas.SCORES` are left out.
    """
    import polars as pl

    # The wall of no budget is above every wall, so a condition with fewer budgets than others never comes to it.
    most = max((len(budgets) for budgets in grid["budgets"]), default=0)
    spread = {f"b{i}": pl.col("budgets").list.get(i, null_on_oob=True).fill_null(2**63 - 1) for i in range(most)}
    return _over(
        connection,
        grid.with_columns(**spread),
        rates,
        within,
        _reading(grid, lens, rates, within) + _cells(most, _graded(connection, within)),
    )


def _graded(connection: Connection, within: Within) -> bool:
    """Whether some score lies between 0 and 1; told by the ends of the column, which costs nothing."""
    sql = "select coalesce(max(n_partly), 0) > 0 from steps"
    ((stored,),) = connection.execute(sql).fetchall()
    return bool(stored) or (within.drawn is not None and bool(within.drawn["n_partly"].sum()))


def curves(
    connection: Connection, grid: pl.DataFrame, lens: Lens, rates: Rates, within: Within = ALL_STEPS
) -> pl.DataFrame:
    """One row per (condition, wall at which its accuracy, spend or n changes): sums over questions and clusters.

    Ordered by condition and budget; `mean` is the sum of question means. A condition without trials has no row.
    """
    return _over(connection, grid, rates, within, _reading(grid, lens, rates, within) + _CURVES)


def ranges(
    connection: Connection, grid: pl.DataFrame, lens: Lens, rates: Rates, within: Within = ALL_STEPS
) -> pl.DataFrame:
    """Smallest and largest wall each condition has anything to say about, on its grid's axis."""
    return _over(connection, grid, rates, within, _reading(grid, lens, rates, within) + _RANGES)


def walks(
    connection: Connection, grid: pl.DataFrame, lens: Lens, rates: Rates, within: Within = ALL_STEPS
) -> pl.DataFrame:
    """Every step of the conditions of `grid`, trial by trial, in order."""
    return _over(connection, grid, rates, within, _reading(grid, lens, rates, within) + _WALKS)


def facts(
    connection: Connection, grid: pl.DataFrame, lens: Lens, rates: Rates, within: Within = ALL_STEPS
) -> pl.DataFrame:
    """What trials stated of their mechanism, as far as each budget covers it: one row per (condition_id, axis, budget,
    question_no, repeat, kind, fact) with `holds`."""
    return _over(connection, grid, rates, within, _reading(grid, lens, rates, within) + _FACTS)


def questions(connection: Connection) -> pl.DataFrame:
    """What question_no stands for: question_id and cluster, the first id among those that ask the same."""
    frame = frames.read(connection.sql(_QUESTIONS))
    return frame


def numbers(connection: Connection) -> pl.DataFrame:
    """What condition_no stands for."""
    frame = frames.read(connection.sql(f"from {deltas.CONDITIONS}"))
    return frame


def _over(connection: Connection, grid: pl.DataFrame, rates: Rates, within: Within, sql: str) -> pl.DataFrame:
    frames.register(connection, "grid", grid)
    frames.register(connection, "rates", rates.table)
    if within.questions is not None:
        frames.register(connection, "listed", within.questions.to_frame("question_no"))
    if within.drawn is not None:
        frames.register(connection, "drawn", within.drawn)
    frame = frames.read(connection.sql(sql))
    return frame
