"""What every trial adds at which wall, in whole numbers: the tables the analysis reads instead of calls and marks.

A materialised view: it says nothing that the trials do not say, may be dropped and made again, and is kept true within
the transaction that stores or deletes trials. The SQL here derives it from stored trials; for trials that are being
stored the very same rows are made in Python. Only the last attempt of a trial is in it. Opens and commits nothing,
knows no price and no budget.

A trial is rows of `steps`, in the order of `ordinal`, each adding its counts and spends from its wall on. There are
four kinds of them; what each adds stands at `_PRESENT`, `_CALL`, `_CUT` and `_BACK`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from engine.core.codec import Row
from engine.core.records import Condition, Cut, Mark, Spend, Trial
from engine.store import rows, tables
from engine.store.sql import Connection, each

SPENDS = ("calls", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "latency_ms")
COUNTS = ("n", "n_right", "n_wrong", "n_exhausted", "n_failed", "n_stopped", "n_censored", "n_right_finished")
SCORES = ("n_partly", "partly", "partly_finished")
"""Scores between 0 and 1: how many, what they come to in billionths, and that of the trials that ended by themselves.
Where none is between, these are 0 throughout and cost nothing to read."""
SCORE = 10**9
"""A score of 1 in these; whole numbers, so that sums do not depend on their order."""

ENOUGH = 200_000
"""Steps from which on it pays to hold sums (`analysis.holding`); fewer are read in no time to speak of."""
MOST = 2**31 - 1
"""The largest number a step holds."""
PORTION = 1_000_000
"""Trials whose steps are derived at once, in some 2 GB, where all are."""

# Long ids and names of models stand here once; a step, of which there are most, holds their numbers.
_NUMBERS = """
create {temp} table numbers (kind varchar not null, id varchar not null, model varchar, number integer not null);
create {temp} table run_parts (run_id varchar not null, kind varchar not null, number integer not null);
"""
# `more_*` is what a row adds to any wall: calls, metered input, output. `*_wall` are sums of these; on the axis of
# calls the wall is the ordinal plus `more_calls`, at least 0. `fate` on kind 0: see `_FATES`.
_STEPS = f"""
create {{temp}} table steps (
    trial_no integer not null, ordinal integer not null, condition_no integer not null, question_no integer not null,
    repeat integer not null, tariff_no integer, kind utinyint not null, fate utinyint not null,
    more_calls tinyint not null, more_input integer not null, more_output integer not null,
    output_wall integer not null, total_wall integer not null,
    {", ".join(f"{name} tinyint not null" for name in COUNTS)},
    {", ".join(f"{name} integer not null" for name in SPENDS)},
    n_partly tinyint default 0, partly integer default 0, partly_finished integer default 0);
"""
OPEN_CUTS, FINAL_CUTS = (
    "(" + ", ".join(f"'{cut}'" for cut in Cut if cut.closes and cut.beyond is open_) + ")" for open_ in (True, False)
)
"""Cuts beyond which data are censored, and those that end a trial at every budget, as SQL lists."""

# Numbers go up by one within a kind, and are kept when what they stand for is deleted.
_NUMBERED = """
insert into numbers select kind, id, model, start + row_number() over (partition by kind order by id, model) from (
    select distinct 'condition' as kind, condition_id as id, null as model from mine
    union all select distinct 'question', question_id, null from mine
    union all select distinct 'tariff', snapshot_id, model from prices semi join mine using (snapshot_id)) f
anti join numbers k on k.kind = f.kind and k.id = f.id and k.model is not distinct from f.model
join (select kind, coalesce(max(number), 0) as start from (values ('condition'), ('question'), ('tariff')) v(kind)
    left join numbers using (kind) group by kind) using (kind);
insert into run_parts select * from (
    select distinct run_id, kind, number
    from (select run_id, unnest(['condition', 'question']) as kind, unnest([condition_id, question_id]) as id from mine)
    join numbers using (kind, id))
anti join run_parts using (run_id, kind, number);
"""
CONDITIONS = "(select id as condition_id, number as condition_no from numbers where kind = 'condition')"
QUESTIONS = "(select id as question_id, number as question_no from numbers where kind = 'question')"
TARIFFS = "(select id as snapshot_id, model, number as tariff_no from numbers where kind = 'tariff')"
"""What a number in `steps` stands for: a condition, a question, the price of a model in a snapshot."""


def _row(kind: int, ordinal: str, tariff: str, walls: str, given: dict[str, str], tail: str) -> str:
    """One kind of rows, columns as in the table; `walls` stands before output_wall and total_wall."""
    more = ", ".join(_whole(given.get(name, "0")) for name in ("more_input", "more_output"))
    at = ", ".join(_whole(f"{walls}{name}") if walls else "0" for name in ("output_wall", "total_wall"))
    counts, spends, scores = ([given.get(name, "0") for name in names] for names in (COUNTS, SPENDS, SCORES))
    rest = ", ".join((*counts, *map(_whole, spends), *scores))
    head = f"l.trial_no, {ordinal}, l.condition_no, l.question_no, {_whole('l.repeat')}, {tariff}, {kind}, l.fate"
    return f"select {head}, {given.get('more_calls', '0')}, {more}, {at}, {rest} from known l {tail}"


def _whole(value: str) -> str:
    """A number that fits its column: no trial spends two thousand million tokens, whatever a file says."""
    return value if value == "0" else f"least(greatest({value}, {-MOST}), {MOST})"


_CHANGES = ("rights", "wrongs", "partlies", "parts")
# What a score between 0 and 1 comes to in whole numbers, rounded as `_parts` rounds.
_PARTLY = (
    f"if({{0}}.verdict = 'partly', floor(least(greatest(coalesce({{0}}.score, 0), 0), 1) * {SCORE} + 0.5)::int, 0)"
)


def _changed(anytime: str, once: str) -> str:
    """A change of the answer, on the first row of a trial; of one that is not anytime what it came to."""
    return f"if({_FIRST}, if(l.anytime, coalesce(c.{anytime}, 0), if(l.scored, {once}, 0)), 0)"


# Of the rows a trial has for each of its models, the first alone counts the trial.
_FIRST = "coalesce(p.place, 1) = 1"
_AT_ONCE = f"({_FIRST} and l.scored and l.fate = 0 and (not l.anytime or l.last < 0))"

# A call the model never finished for the trial counts as its whole reply, or one token where none was seen.
_TOLD = f"""
with homes as (select snapshot_id, arg_min(tariff_no, model) as home_no from {TARIFFS} group by snapshot_id),
told as (
    select t.trial_id, t.attempt, t.repeat, t.snapshot_id, t.verdict, {_PARTLY.format("t")} as partly, c.anytime,
        h.home_no,
        i.condition_no, q.question_no,
        case t."end" when 'finished' then 0 when 'exhausted' then 1 when 'failed' then 2 else 3 end as fate,
        (select coalesce(max(trial_no), 0) from steps)
            + row_number() over (order by i.condition_no, q.question_no, t.repeat, t.trial_id) as trial_no
    from trials t semi join chosen using (trial_id, attempt) join conditions c using (condition_id)
    join {CONDITIONS} i using (condition_id) join {QUESTIONS} q using (question_id)
    left join homes h using (snapshot_id)),
asked as (
    select l.*, row_number() over (partition by l.trial_no order by c.ordinal) - 1 as ordinal,
        f.tariff_no, c.model, {each("c.@", "calls", *SPENDS[2:])},
        coalesce(c.cut in {OPEN_CUTS}, false) as closing,
        coalesce(c.cut in {FINAL_CUTS}, false) as final,
        final and c.calls = 0 as unmade,
        if(c.calls = 0 and closing, coalesce(k.input_tokens, c.bound_tokens), c.input_tokens) as input_tokens,
        if(unmade, 0, 1) as more_calls,
        if(unmade, 0, c.metered_input_tokens - coalesce(lag(c.metered_input_tokens) over (
            partition by l.trial_no, c.model order by c.ordinal), 0)) as more_input,
        if(unmade, 0, coalesce(c.seen_output_tokens, if(closing, 1, c.output_tokens))) as more_output
    from told l join calls c using (trial_id, attempt)
    left join {TARIFFS} f on f.snapshot_id = l.snapshot_id and f.model = c.model
    left join completions k on c.calls = 0 and k.key = c.key
    where l.anytime and l.fate <> 3),
walled as (
    select *, sum(more_output) over w as output_wall, sum(more_input + more_output) over w as total_wall
    from asked window w as (partition by trial_no order by ordinal)),
reach as (
    select trial_no, max(ordinal) as last, bool_or(closing) as closed, bool_or(final) as full,
        {each("max(@) filter (closing) as @", "output_wall", "total_wall")}
    from walled group by trial_no),
known as (
    select l.*, coalesce(r.last, -1) as last, coalesce(r.closed, false) as closed,
        l.fate = 1 and (coalesce(r.full, false) or not l.anytime) as forever,
        l.fate <> 3 and (coalesce(r.closed, false) or l.fate = 0 or forever) as scored,
        {each("r.@", "output_wall", "total_wall")}
    from told l left join reach r using (trial_no)),
marked as (
    select k.trial_no, least(m.after_calls - 1, k.last) as ordinal, (m.verdict = 'right')::int
            - coalesce(lag(m.verdict = 'right') over w, false)::int as rights,
        (m.verdict = 'wrong')::int - coalesce(lag(m.verdict = 'wrong') over w, false)::int as wrongs,
        (m.verdict = 'partly')::int - coalesce(lag(m.verdict = 'partly') over w, false)::int as partlies,
        {_PARTLY.format("m")} - coalesce(lag({_PARTLY.format("m")}) over w, 0) as parts
    from known k join marks m using (trial_id, attempt) where k.anytime and k.scored
    window w as (partition by k.trial_no order by m.ordinal)),
changes as (select trial_no, ordinal, {each("sum(@) as @", *_CHANGES)} from marked group by all),
spent as (
    select l.trial_no, f.tariff_no, row_number() over (partition by l.trial_no order by s.position) as place,
        {each("s.@", *SPENDS)}
    from known l join trial_spends s using (trial_id, attempt)
    left join {TARIFFS} f on f.snapshot_id = l.snapshot_id and f.model = s.model
    where not l.anytime and l.scored),
sums as (
    select trial_no, tariff_no, row_number() over (partition by trial_no order by model) as place,
        {each("sum(@) as @", *SPENDS)}
    from walled semi join (select trial_no from known where closed and scored) using (trial_no)
    where not closing group by trial_no, tariff_no, model)"""

# Kind 0, its presence at wall 0; a trial of a strategy that is not anytime is nothing else, one row a model.
_PRESENT = {
    "n": f"(l.scored and {_FIRST})::int",
    "n_right": _changed("rights", "(l.verdict = 'right')::int"),
    "n_wrong": _changed("wrongs", "(l.verdict = 'wrong')::int"),
    "n_partly": _changed("partlies", "(l.verdict = 'partly')::int"),
    "partly": _changed("parts", "l.partly"),
    "n_exhausted": f"(l.scored and {_FIRST} and (l.forever or l.last >= 0))::int",
    "n_right_finished": f"({_AT_ONCE} and l.verdict = 'right')::int",
    "partly_finished": f"if({_AT_ONCE}, l.partly, 0)",
    "n_failed": "(not l.scored and l.fate = 2)::int",
    "n_stopped": "(not l.scored and l.fate = 3)::int",
    "n_censored": "(not l.scored and l.fate < 2)::int",
    **{name: f"coalesce(p.{name}, 0)" for name in SPENDS},
}
# Kind 1, a whole call, with what it changed in the answer. From the last one on no budget exhausts a trial that ended
# by itself, which is what its presence says below that wall.
_LAST = "(w.ordinal = l.last and not l.closed and not l.forever)"
_CALL = {
    **{name: f"w.{name}" for name in ("more_calls", "more_input", "more_output", *SPENDS)},
    "n_right": "coalesce(c.rights, 0)",
    "n_wrong": "coalesce(c.wrongs, 0)",
    "n_partly": "coalesce(c.partlies, 0)",
    "partly": "coalesce(c.parts, 0)",
    "n_exhausted": f"-{_LAST}::int",
    "n_right_finished": f"({_LAST} and l.verdict = 'right')::int",
    "partly_finished": f"if({_LAST}, l.partly, 0)",
}
# Kind 2, the call that closed it, with what it would have spent whole: never added, only read in parts.
_CUT = {name: f"w.{name}" for name in ("more_calls", "more_input", "more_output", *SPENDS[1:])} | {"calls": "1"}
# Kind 3, all of it taken back at the wall where the data end, one row a model.
_BACK = {
    "n": f"-({_FIRST})::int",
    "n_right": f"if({_FIRST}, -coalesce(c.rights, 0), 0)",
    "n_wrong": f"if({_FIRST}, -coalesce(c.wrongs, 0), 0)",
    "n_partly": f"if({_FIRST}, -coalesce(c.partlies, 0), 0)",
    "partly": f"if({_FIRST}, -coalesce(c.parts, 0), 0)",
    "n_exhausted": f"-({_FIRST})::int",
    "n_failed": f"({_FIRST} and l.fate = 2)::int",
    "n_censored": f"({_FIRST} and l.fate < 2)::int",
    **{name: f"-coalesce(p.{name}, 0)" for name in SPENDS},
}
_TOTAL = f"(select trial_no, {each('sum(@) as @', *_CHANGES)} from changes group by trial_no)"
_CALLS = "join walled w using (trial_no) left join changes c on c.trial_no = l.trial_no and c.ordinal = w.ordinal"

_HOME = "coalesce(p.tariff_no, l.home_no)"
_BEFORE = "left join spent p using (trial_no) left join changes c on c.trial_no = l.trial_no and c.ordinal = -1"
_AFTER = f"left join sums p using (trial_no) left join {_TOTAL} c on c.trial_no = l.trial_no"
_ROWS = (
    _row(0, "-1", _HOME, "", _PRESENT, _BEFORE),
    _row(1, "w.ordinal", "w.tariff_no", "w.", _CALL, f"{_CALLS} where l.scored and not w.closing"),
    _row(2, "w.ordinal", "w.tariff_no", "w.", _CUT, f"{_CALLS} where l.scored and w.closing"),
    _row(3, "l.last + 1", _HOME, "l.", _BACK, f"{_AFTER} where l.scored and l.closed"),
)
_DERIVED = f"insert into steps {_TOLD} {' union all '.join(_ROWS)} order by 1, 2"

_LATEST = "create or replace temp table chosen as select trial_id, max(attempt) as attempt from trials"
_PLACED = "(condition_id, question_id, repeat) in (select (condition_id, question_id, repeat) from places)"
_CLEARED = f"""
delete from steps where (condition_no, question_no, repeat) in (
    select (i.condition_no, q.question_no, p.repeat) from places p
    join {CONDITIONS} i using (condition_id) join {QUESTIONS} q using (question_id))"""


HELD = """
create table held (
    condition_no integer not null, budget bigint not null, question_no integer not null, n bigint not null,
    n_right bigint not null, n_wrong bigint not null, n_exhausted bigint not null, n_failed bigint not null,
    n_stopped bigint not null, n_censored bigint not null, n_right_finished bigint not null,
    n_unpriced bigint not null, n_assumed bigint not null, n_unmeasured bigint not null, calls bigint not null,
    input_tokens bigint not null, cached_tokens bigint not null, output_tokens bigint not null,
    reasoning_tokens bigint not null, latency_ms bigint not null, pusd double not null, pwh double not null);
create table holdings (condition_no integer not null, axis varchar not null, budgets bigint[] not null);
"""
"""Sums per question made from steps, for conditions in `holdings`; see `analysis.holding`."""


SCORED = """
alter table marks add column if not exists score double;
alter table trials add column if not exists score double;
update marks set score = if(verdict = 'right', 1, 0) where verdict in ('right', 'wrong') and score is null;
update trials set score = if(verdict = 'right', 1, 0) where verdict in ('right', 'wrong') and score is null;
"""
"""Scores beside verdicts, in a database that knew right and wrong alone."""
UNSCORED = "alter table marks drop column score; alter table trials drop column score;"
PARTS = "".join(
    f"alter table {table} add column if not exists {name} {kind} default 0;"
    for table, kinds in (("steps", ("tinyint", "integer", "integer")), ("held", ("bigint",) * 3))
    for name, kind in zip(SCORES, kinds, strict=True)
)


def scored(connection: Connection) -> None:
    """See that marks and trials have scores and steps their parts; a database of an older schema that is only read had
    none between 0 and 1."""
    # One migration brought the first to both tables that have it, another the second.
    if tables.has(connection, "trials", "score") and tables.has(connection, "steps", "partly"):
        return
    verdicts = "if(verdict in ('right', 'wrong'), (verdict = 'right')::double, null) as score"
    lacking = {"marks": verdicts, "trials": verdicts, **dict.fromkeys(("steps", "held"), each("0 as @", *SCORES))}
    known = tables.layouts(connection, *lacking)
    ((own,),) = connection.execute("select current_database()").fetchall()
    for table, columns in lacking.items():
        if table in known and not {"score", "partly"} & dict(known[table]).keys():
            name = own.replace('"', '""')
            connection.execute(f'create temp view {table} as select *, {columns} from "{name}".main.{table}')


def delta_tables(temp: bool = False) -> str:
    """The statements that make the empty tables."""
    return (_NUMBERS + _STEPS).replace("{temp}", "temp" if temp else "")


def filling() -> str:
    """The statements that derive everything from the stored trials at once, into empty tables; see `fill`."""
    return f"{_NUMBERED.replace('mine', 'trials')} {_LATEST} group by trial_id; {_DERIVED}; drop table chosen;"


def fill(connection: Connection) -> None:
    """Derive everything from the stored trials, into empty tables, some conditions at a time."""
    connection.execute(_NUMBERED.replace("mine", "trials"))
    sql = f"select condition_no, count(*) from trials join {CONDITIONS} using (condition_id) group by all order by 1"
    first, waiting = 0, 0
    for last, trials in [*connection.execute(sql).fetchall(), (MOST, PORTION)]:
        waiting += trials
        if waiting >= PORTION:
            own = f"select condition_id from {CONDITIONS} where condition_no between {first} and {last}"
            connection.execute(f"{_LATEST} where condition_id in ({own}) group by trial_id; {_DERIVED}")
            first, waiting = last + 1, 0
    connection.execute("drop table chosen")


def stand_in(connection: Connection) -> None:
    """Derive everything into temporary tables, for a database of an older schema that is only read."""
    connection.execute(delta_tables(temp=True))
    fill(connection)


def number(connection: Connection) -> None:
    """Number the conditions, questions and prices of the trials in the temporary table `mine`, where they are new."""
    connection.execute(_NUMBERED)


def size(connection: Connection) -> int:
    """How many steps there are to read."""
    ((count,),) = connection.execute("select count(*) from steps").fetchall()
    return int(count)


def newest(connection: Connection) -> int:
    """The number of the trial that was stored last, 0: of none. Told by the ends of the column."""
    ((number,),) = connection.execute("select coalesce(max(trial_no), 0) from steps").fetchall()
    return int(number)


def unhold(connection: Connection, condition_ids: Iterable[str]) -> None:
    """Say that what is held of these conditions holds no more."""
    sql = f"select condition_no from {CONDITIONS} where condition_id in (select unnest(?))"
    connection.execute(f"delete from holdings where condition_no in ({sql})", [list(condition_ids)])


def again(connection: Connection, which: str) -> None:
    """Derive the steps of the trials at the places `which` selects (condition_id, question_id, repeat) from what is
    stored now, in place of those that are there."""
    connection.execute(f"create or replace temp table places as {which}")
    connection.execute(_CLEARED)
    # Numbers of trials that are gone are given again, and what is held has nothing of their next owners.
    connection.execute("update holdings set upto = least(upto, (select coalesce(max(trial_no), 0) from steps))")
    connection.execute(f"{_LATEST} where {_PLACED} group by trial_id")
    # Of a run that is deleted nothing is left as a rule, and planning the query takes as long as all that deletes it.
    if connection.execute("select 1 from chosen limit 1").fetchone():
        connection.execute(_DERIVED)


_FATES = {"finished": 0, "exhausted": 1, "failed": 2, "stopped": 3}
_VERDICTS = {"n_right": "right", "n_wrong": "wrong", "n_partly": "partly"}
_EMPTY: Row = dict.fromkeys(
    ("more_calls", "more_input", "more_output", "output_wall", "total_wall", *COUNTS, *SPENDS, *SCORES), 0
)

Named = tuple[str, str, str | None]
"""Kind, id and model: what a number stands for."""

_KNOWN = """
select kind, id, model, number from numbers where id in (select id from wanted)
union all select kind, '', null, max(number) from numbers group by kind
union all select 'trial', '', null, coalesce(max(trial_no), 0) from steps"""
_SEEN = """
select * from run_parts where run_id in (select id from wanted) and number in (select unnest(?::integer[]))"""
_WAITING = "select key, input_tokens from completions where key in (select id from wanted)"


@contextmanager
def stepped(connection: Connection, trials: Sequence[Trial], content: rows.Tables) -> Iterator[None]:
    """Add to `content`, before the block stores it, what the steps of these new trials need.

    Where an attempt of one of them is stored already, all are derived again once the block has stored them.
    """
    ids = {trial.spec.trial_id for trial in trials}
    stored = tables.matching(connection, "select 1 from trials semi join wanted on trial_id = id limit 1", ids)
    shared = rows.by_condition(trials, _shared_names)
    names = [_names(trial, shared) for trial in trials]
    known = tables.matching(connection, _KNOWN, {id for own in names for _, id, _ in own})
    numbers = _Numbers({(row["kind"], row["id"], row["model"]): row["number"] for row in known})
    parts: set[tuple[str, str, int | None]] = set()
    for trial, own in zip(trials, names, strict=True):
        numbers.add(own)
        parts |= {(trial.run_id, kind, numbers.of(kind, id)) for kind, id, _ in own if kind != "tariff"}
    # Conditions and questions that runs are first seen with: of those with a new number nothing is here.
    new = {(row["kind"], row["number"]) for row in numbers.new}
    old = {number for _, kind, number in parts if (kind, number) not in new}
    seen = tables.matching(connection, _SEEN, {trial.run_id for trial in trials}, [list(old)]) if old else []
    fresh = sorted(parts - {(row["run_id"], row["kind"], row["number"]) for row in seen})
    content["numbers"] = numbers.new
    content["run_parts"] = [dict(zip(("run_id", "kind", "number"), part, strict=True)) for part in fresh]
    twice = bool(stored) or len(ids) < len(trials)
    if not twice:
        # The rows SQL would derive; made here because the plan of that query alone costs a third of a flush.
        calls = [call for trial in trials for call in trial.calls]
        unread = {call.key for call in calls if call.spend.calls == 0 and call.cut is not None and call.cut.beyond}
        sizes = tables.matching(connection, _WAITING, unread) if unread else []
        prompts = {row["key"]: row["input_tokens"] for row in sizes}
        content["steps"] = [
            row for trial, own in zip(trials, names, strict=True) for row in _steps_of(trial, own, numbers, prompts)
        ]
    yield
    if twice:
        unhold(connection, {trial.spec.condition.condition_id for trial in trials})
        # Another trial may stand at the same place, so it is by place that steps are replaced.
        places = "select distinct condition_id, question_id, repeat from trials semi join wanted on trial_id = id"
        tables.matching(connection, f"create or replace temp table again as {places}", ids)
        again(connection, "from again")


@contextmanager
def forgotten(connection: Connection, run_id: str) -> Iterator[None]:
    """Take out the steps of a run the block deletes; where an attempt of another run is left, that one counts again."""
    sql = "create or replace temp table gone as select distinct condition_id, question_id, repeat from trials"
    connection.execute(f"{sql} where run_id = ?", [run_id])
    yield
    connection.execute("delete from run_parts where run_id = ?", [run_id])
    unhold(connection, (id for (id,) in connection.execute("select distinct condition_id from gone").fetchall()))
    again(connection, "from gone")


class _Numbers:
    """Numbers of conditions, questions and tariffs; `new` are the rows of those that had none."""

    def __init__(self, known: dict[Named, int]) -> None:
        self._known = known
        self.new: list[Row] = []

    def add(self, names: Sequence[Named]) -> None:
        for name in (name for name in names if name not in self._known):
            self._known[name] = self.next(name[0])
            self.new.append(dict(zip(("kind", "id", "model", "number"), (*name, self._known[name]), strict=True)))

    def next(self, kind: str) -> int:
        """A number that nothing of this kind has."""
        self._known[kind, "", None] = self._known.get((kind, "", None), 0) + 1
        return self._known[kind, "", None]

    def of(self, kind: str, id: str, model: str | None = None) -> int | None:
        return self._known.get((kind, id, model))


def _shared_names(condition: Condition) -> list[Named]:
    """Of a condition and its prices."""
    snapshot = rows.snapshot_id(condition)
    models = dict.fromkeys(setting.identity for _, setting in condition.lineup)
    return [("condition", condition.condition_id, None), *(("tariff", snapshot, model) for model in models)]


def _names(trial: Trial, shared: Mapping[int, list[Named]]) -> list[Named]:
    """Condition, question and prices of a trial."""
    condition, *tariffs = shared[id(trial.spec.condition)]
    return [condition, ("question", trial.spec.question.question_id, None), *tariffs]


def _steps_of(trial: Trial, names: list[Named], numbers: _Numbers, prompts: Mapping[str, int]) -> list[Row]:
    """All rows of one trial in order. `prompts`: tokens of completions that nobody read, by key."""
    spec, anytime, finished = trial.spec, trial.spec.condition.anytime, trial.end == "finished"
    condition, question, *tariffs = names
    # A model that is not of the line-up has no number here: nobody knows its price.
    tariff = {str(name[2]): numbers.of(*name) for name in tariffs}
    # Where no model was called, the first price of the line-up stands for it.
    home = tariff[min(tariff)]
    # A trial that is not anytime is read at its own budget alone, so its calls make no steps.
    calls = sorted(trial.calls, key=lambda call: call.ordinal) if anytime and trial.end != "stopped" else []
    closed = any(call.cut and call.cut.beyond for call in calls)
    full = any(call.cut and call.cut.closes and not call.cut.beyond for call in calls)
    forever = trial.end == "exhausted" and (full or not anytime)
    scored = trial.end != "stopped" and (closed or finished or forever)
    last = len(calls) - 1
    whole: Row = {"n_right_finished": int(trial.verdict == "right"), "partly_finished": _parts(trial)}
    changes = _changes(trial.marks, last) if anytime and scored else {}
    head = _EMPTY | {"trial_no": numbers.next("trial"), "repeat": _as_whole(spec.repeat), "fate": _FATES[trial.end]}
    head |= {"condition_no": numbers.of(*condition), "question_no": numbers.of(*question)}
    present: Row = {"failed": {"n_failed": 1}, "stopped": {"n_stopped": 1}}.get(trial.end, {"n_censored": 1})
    if scored:
        verdict = changes.get(-1, {}) if anytime else _counted(trial)
        present = {"n": 1, "n_exhausted": int(forever or last >= 0), **verdict}
        present |= whole if finished and last < 0 else {}
    own = (
        [] if anytime or not scored else [(tariff.get(part.model) or home, _spent(part.spend)) for part in trial.spends]
    )
    steps = [
        head | {"ordinal": -1, "kind": 0, "tariff_no": number} | spent | (present if place == 0 else {})
        for place, (number, spent) in enumerate(own or [(home, {})])
    ]
    if not scored:
        return steps

    high: dict[str, int] = {}
    output_wall = total_wall = 0
    end = (0, 0)
    sums: defaultdict[str, Spend] = defaultdict(Spend)
    for place, call in enumerate(calls):
        before, high[call.model] = high.get(call.model, 0), call.metered_input_tokens
        closing = call.cut is not None and call.cut.beyond
        more = dict.fromkeys(("more_calls", "more_input", "more_output"), 0)
        if closing or call.cut is None or not call.cut.closes or call.spend.calls:
            # A closing call counts as its whole reply, or as one token where none was seen.
            unseen = 1 if closing else call.spend.output_tokens
            output = unseen if call.seen_output_tokens is None else call.seen_output_tokens
            more = {"more_calls": 1, "more_input": call.metered_input_tokens - before, "more_output": output}
        output_wall += more["more_output"]
        total_wall += more["more_input"] + more["more_output"]
        row = head | {name: _as_whole(value) for name, value in more.items()} | _at(output_wall, total_wall)
        row |= _spent(call.spend) | {"ordinal": place, "kind": 2 if closing else 1, "tariff_no": tariff.get(call.model)}
        if closing:
            end = (max(end[0], output_wall), max(end[1], total_wall))
            prompt = prompts.get(call.key, call.bound_tokens) if call.spend.calls == 0 else call.spend.input_tokens
            row |= {"calls": 1, "input_tokens": _as_whole(prompt)}
        else:
            sums[call.model] += call.spend
            row |= changes.get(place, {})
            if place == last and not closed and not forever:
                row |= {"n_exhausted": -1, **whole}
        steps.append(row)
    if not closed:
        return steps
    back: Row = {"n": -1, "n_exhausted": -1, "n_failed" if trial.end == "failed" else "n_censored": 1}
    back |= {name: -sum(change.get(name, 0) for change in changes.values()) for name in (*_VERDICTS, "partly")}
    paid = [(tariff.get(model) or home, spend) for model, spend in sorted(sums.items())] or [(home, Spend())]
    for place, (number, spend) in enumerate(paid):
        taken = {name: -value for name, value in _spent(spend).items()} | (back if place == 0 else {})
        steps.append(head | _at(*end) | {"ordinal": last + 1, "kind": 3, "tariff_no": number} | taken)
    return steps


def _changes(marks: Sequence[Mark], last: int) -> dict[int, Row]:
    """By call, -1 for before any, what its marks change in verdict and score."""
    before = dict.fromkeys((*_VERDICTS, "partly"), 0)
    changes: defaultdict[int, Row] = defaultdict(lambda: dict.fromkeys(before, 0))
    for mark in sorted(marks, key=lambda mark: mark.ordinal):
        at, now = changes[min(mark.after_calls - 1, last)], _counted(mark)
        for name in now:
            at[name] += now[name] - before[name]
        before = now
    return dict(changes)


def _counted(scored: Mark | Trial) -> Row:
    """Which verdict it is, and how much a score between comes to."""
    return {name: int(scored.verdict == verdict) for name, verdict in _VERDICTS.items()} | {"partly": _parts(scored)}


def _parts(scored: Mark | Trial) -> int:
    if scored.verdict != "partly":
        return 0
    return math.floor(min(1.0, max(0.0, scored.score or 0.0)) * SCORE + 0.5)


def _spent(spend: Spend) -> Row:
    return {name: _as_whole(getattr(spend, name)) for name in SPENDS}


def _at(output_wall: int, total_wall: int) -> Row:
    return {"output_wall": _as_whole(output_wall), "total_wall": _as_whole(total_wall)}


def _as_whole(value: int) -> int:
    """A number that fits its column."""
    return max(-MOST, min(MOST, value))
