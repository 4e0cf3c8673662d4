"""The trials of a condition as a list in pages: how each stands at a budget, and one page of them whole.

Count, order, filter and search are SQL over all trials; texts and calls are read for the trials of the page alone.
What a wall lets through is read off the steps. Money walls hang on prices, and an older file has no steps: there each
trial is replayed, a few at a time, which takes its time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from engine.core import codec, replay
from engine.core.records import Axis, Trial
from engine.store import deltas, tables
from engine.store.sql import IS_LAST, LAST

if TYPE_CHECKING:
    from engine.store.sql import Connection

PAGE = 50
"""Trials of a page."""
_AT_ONCE = 2_000
_WALLS = {"output_tokens": "output_wall", "total_tokens": "total_wall", "calls": "greatest(ordinal + more_calls, 0)"}
_LATEST = f"""
create temp table latest as
select trial_id, attempt, question_id, repeat, "end", verdict from trials {LAST} where {IS_LAST} and condition_id = ?"""
_AS_RUN = """
select trial_id, attempt, question_id, repeat, if("end" in ('failed', 'stopped'), "end", verdict) as fate,
    "end" = 'exhausted' as exhausted from latest"""
_AT_BUDGET = f"""
with told as (
    select question_no, repeat, {", ".join(f"sum({name}) as {name}" for name in (*deltas.COUNTS, "n_partly"))}
    from steps join {deltas.CONDITIONS} using (condition_no)
    where condition_id = $condition and {{wall}} <= $budget group by all)
select trial_id, attempt, question_id, l.repeat,
    case when n_failed > 0 then 'failed' when n_stopped > 0 then 'stopped' when n = 0 then 'censored'
        when n_right > 0 then 'right' when n_partly > 0 then 'partly' when n_wrong > 0 then 'wrong' else 'none'
    end as fate,
    n > 0 and n_exhausted > 0 as exhausted
from latest l join {deltas.QUESTIONS} using (question_id) join told t using (question_no) where t.repeat = l.repeat"""
_EACH_ONCE = """
select (select count(*) from latest) = (select count(distinct trial_id) from read)
    and not exists (select 1 from latest group by question_id, repeat having count(*) > 1)"""
_READ = {"trial_id": str, "attempt": int, "question_id": str, "repeat": int, "fate": str, "exhausted": bool}
_SHOWN = {
    "all": "true",
    "exhausted": f"exhausted and fate in {replay.SCORED}",
    "failed": "fate in ('failed', 'stopped')",
}
"""As `replay.matches` says it; every other choice is a fate."""


class Key(NamedTuple):
    """What a link calls a trial."""

    trial_id: str
    question_id: str


@dataclass(frozen=True, slots=True)
class TrialPage:
    """A page of the list around one trial."""

    fates: Mapping[str, int]
    """Trials by fate, of all there are."""
    ended: int
    """Of these, ended by the budget or the window."""
    shown: int
    """How many the filter and the search leave."""
    first: int
    """Place of the page's first trial among these, from 0."""
    trials: tuple[Trial, ...]
    """The page."""
    chosen: Trial | None
    """The trial that was wanted, else the first shown; None: there is none."""
    at: int | None
    """Its place among those shown; None: the filter hides it."""
    known: bool
    """False: a trial or question was wanted, and the condition has none such."""
    before: Key | None
    """The trial before it, which may stand on the page before; None: there is none."""
    after: Key | None
    page_before: Key | None
    """The first trial of the page before."""
    page_after: Key | None

    @property
    def total(self) -> int:
        """All trials there are."""
        return sum(self.fates.values())


def trial_page(
    connection: Connection,
    condition_id: str,
    axis: Axis,
    budget: int | None = None,
    *,
    show: str = "all",
    find: str = "",
    questions: frozenset[str] | None = None,
    trial_id: str | None = None,
    question_id: str | None = None,
) -> TrialPage:
    """The page with the trial of this id, else with the first of this question, else the first page.

    `budget` None: as they were run. `find`: words that question, target or answer hold, in any case. `questions`: only
    trials of these; None: of all. Raises UsageError on 'usd' where a price is unknown.
    """
    connection.execute(_LATEST, [condition_id])
    _read(connection, condition_id, axis, budget)
    within = "true"
    if questions is not None:
        connection.execute("create temp table asked as select unnest(?::varchar[]) as id", [[*questions]])
        within = "question_id in (select id from asked)"
    sought, words = "true", []
    if find:
        texts = "concat_ws(chr(10), q.text, q.target, t.answer)"
        sought = f"""trial_id in (select r.trial_id from read r join questions q using (question_id)
            join trials t using (trial_id, attempt) where contains(lower({texts}), lower(?)))"""
        words = [find]
    # Only a word of our own list is put into SQL; any other shows nothing.
    fits = _SHOWN.get(show, f"fate = '{show}'" if show in replay.FATES else "false")
    connection.execute(
        f"create temp table listed as select *, {fits} and {sought} as fits from read where {within}", words
    )
    fates = dict(connection.execute("select fate, count(*) from listed group by fate order by 2 desc, 1").fetchall())
    counted = connection.execute("select count(*) filter (exhausted), count(*) filter (fits) from listed").fetchall()
    ((ended, shown),) = counted
    # A link names both: the trial may have been run again under another id, and its question is still the one.
    chosen = _first(connection, "trial_id = ?", trial_id) or _first(connection, "question_id = ?", question_id)
    known = chosen is not None or (trial_id is None and question_id is None)
    chosen = chosen or _first(connection, "fits = ?", True)
    place = 0
    if chosen:
        # Where it stands, or would stand, among those shown.
        at = [chosen[name] for name in ("question_id", "repeat", "trial_id")]
        sql = "select count(*) from listed where fits and (question_id, repeat, trial_id) < (?, ?, ?)"
        ((place,),) = connection.execute(sql, at).fetchall()
    fitting = bool(chosen and chosen["fits"])
    # A hidden trial may stand behind the last one shown.
    first = min(place, max(shown - 1, 0)) // PAGE * PAGE
    # One page before and one trial after come along, so that both neighbours have their names.
    start = max(0, first - PAGE)
    sql = f"""select trial_id, attempt, question_id from listed where fits
        order by question_id, repeat, trial_id limit {first + PAGE + 1 - start} offset {start}"""
    rows = [{**row, "place": start + n} for n, row in enumerate(tables.fetch(connection, sql))]
    keys = {row["place"]: Key(row["trial_id"], row["question_id"]) for row in rows}
    own = [row["trial_id"] for row in rows if first <= row["place"] < first + PAGE]
    # Wanted by its link though the filter hides it: it is read all the same.
    if chosen and chosen["trial_id"] not in own:
        own.append(chosen["trial_id"])
    whole = {trial.spec.trial_id: trial for trial in _whole(connection, own)}
    page = tuple(whole[row["trial_id"]] for row in rows if first <= row["place"] < first + PAGE)
    return TrialPage(
        fates=fates,
        ended=ended,
        shown=shown,
        first=first,
        trials=page,
        chosen=whole[chosen["trial_id"]] if chosen else None,
        at=place if fitting else None,
        known=known,
        before=keys.get(place - 1) if fitting else None,
        after=keys.get(place + 1) if fitting else None,
        page_before=keys.get(first - PAGE),
        page_after=keys.get(first + PAGE),
    )


def first_trials(connection: Connection, condition_id: str, n: int, questions: frozenset[str] | None) -> list[Trial]:
    """The first `n` trials of a condition in the order of its list; `questions`: only of these, None: of all.

    Reads how none of the others stands, so it costs the same in a list of any length."""
    sql = f"""select {tables.place(connection)} from trials {LAST} where {IS_LAST} and condition_id = ?
        and (?::varchar[] is null or question_id in (select unnest(?::varchar[])))
        order by question_id, repeat, trial_id limit {n:d}"""
    asked = None if questions is None else [*questions]
    own = connection.execute(sql, [condition_id, asked, asked]).fetchall()
    chosen = "select unnest(?::varchar[]) as trial_id, unnest(?::bigint[]) as attempt"
    ids, attempts = [trial_id for trial_id, _ in own], [attempt for _, attempt in own]
    whole = {trial.spec.trial_id: trial for trial in tables.whole_trials(connection, chosen, [ids, attempts])}
    return [whole[trial_id] for trial_id in ids]


def _read(connection: Connection, condition_id: str, axis: Axis, budget: int | None) -> None:
    """Make `read`, a table or a view: how each of the latest trials stands."""
    anytime = connection.execute("select anytime from conditions where condition_id = ?", [condition_id]).fetchone()
    # Others ran at one budget and are no answer at any smaller one.
    if budget is None or not (anytime and anytime[0]):
        # Read once, for `listed`, so there is nothing to keep.
        connection.execute(f"create temp view read as {_AS_RUN}")
        return
    if axis in _WALLS and tables.has(connection, "steps"):
        deltas.scored(connection)
        sql = f"create temp table read as {_AT_BUDGET.format(wall=_WALLS[axis])}"
        connection.execute(sql, {"condition": condition_id, "budget": budget})
        # Steps stand by place: two trials at one (of two price lists), or one without any, are read one by one.
        ((whole,),) = connection.execute(_EACH_ONCE).fetchall()
        if whole:
            return
        connection.execute("drop table read")
    import polars as pl

    connection.register("fresh", pl.DataFrame(list(_replayed(connection, axis, budget)), schema=_READ).to_arrow())
    connection.execute("create temp table read as from fresh")
    # Copied by now; a registered frame would be kept alive by the connection.
    connection.unregister("fresh")


def _replayed(connection: Connection, axis: Axis, budget: int) -> Iterator[codec.Row]:
    ids = [trial_id for (trial_id,) in connection.execute("select trial_id from latest order by trial_id").fetchall()]
    for start in range(0, len(ids), _AT_ONCE):
        for trial in _whole(connection, ids[start : start + _AT_ONCE]):
            reading = replay.read(trial, axis, budget)
            yield {
                "trial_id": trial.spec.trial_id,
                "attempt": trial.attempt,
                "question_id": trial.spec.question.question_id,
                "repeat": trial.spec.repeat,
                "fate": reading.fate,
                "exhausted": reading.exhausted,
            }


def _whole(connection: Connection, ids: Sequence[str]) -> list[Trial]:
    chosen = "select trial_id, attempt from latest where trial_id in (select unnest(?::varchar[]))"
    return tables.whole_trials(connection, chosen, [list(ids)])


def _first(connection: Connection, where: str, value: object) -> codec.Row | None:
    sql = f"select * from listed where {where} order by fits desc, question_id, repeat, trial_id limit 1"
    return next(iter(tables.fetch(connection, sql, [value])), None)
