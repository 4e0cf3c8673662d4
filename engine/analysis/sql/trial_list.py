"""The trials of a condition as a list in pages: how each stands at a budget, and one page of them whole.

Count, order, filter and search are SQL over all trials; texts and calls are read for the trials of the page alone.
What a wall lets through is read off the steps. Money walls hang on prices, and an older file has no steps: there each
trial is replayed, a few at a time, which takes its time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from engine.core import codec, replay
from engine.core.records import Axis, Trial
from engine.store import deltas, frames, tables
from engine.store.sql import IS_LAST, LAST, early, of_last

if TYPE_CHECKING:
    from engine.store.sql import Connection

PAGE = 50
"""Trials of a page."""
_AT_ONCE = 2_000
_WALLS = {"output_tokens": "output_wall", "total_tokens": "total_wall", "calls": "greatest(ordinal + more_calls, 0)"}
# A trial is named by where it lies, and a question by its place among all: a tenth of what their ids take in memory.
_LATEST = f"""
create temp table latest as
select t.{{key}} as key, place, repeat, if("end" in ('failed', 'stopped'), "end", verdict) as fate,
    "end" = 'exhausted' as exhausted
from trials t {LAST} join places using (question_id) where {IS_LAST} and condition_id = ?"""
_PLACES = """
create temp table places as
select question_id, row_number() over (order by question_id)::integer as place from questions"""
_COUNTED = ("n_failed", "n_stopped", "n", "n_right", "n_partly", "n_wrong", "n_exhausted")
# Each comes to 0 or 1 where one trial stands at a place. Summed as bytes of one number: a sum of its own for each would
# take as much memory as all the rest.
_PACKED = " + ".join(f"{name}::bigint * {256**at}" for at, name in enumerate(_COUNTED))
_AT_BUDGET = f"""
create temp table told as select place, repeat,
    case when n_failed > 0 then 'failed' when n_stopped > 0 then 'stopped' when n = 0 then 'censored'
        when n_right > 0 then 'right' when n_partly > 0 then 'partly' when n_wrong > 0 then 'wrong' else 'none'
    end as fate,
    n > 0 and n_exhausted > 0 as exhausted
from (select question_no, repeat, {", ".join(f"packed // {256**at} % 256 as {n}" for at, n in enumerate(_COUNTED))}
    from (select question_no, repeat, sum({_PACKED})::bigint as packed from steps
        where condition_no = (select condition_no from {deltas.CONDITIONS} where condition_id = $condition)
        and {{wall}} <= $budget group by all))
join {deltas.QUESTIONS} using (question_no) join places using (question_id)"""
# Steps stand by place: two trials at one (of two price lists), or one without any, are read one by one.
_EACH_ONCE = """
select (select count(*) from latest) = (select count(*) from latest join told using (place, repeat))
    and not exists (select 1 from latest group by place, repeat having count(*) > 1)"""
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
    key = tables.row_name(connection)
    connection.execute(_PLACES)
    connection.execute(of_last(connection, _LATEST.format(key=key)), [condition_id])
    read = _read(connection, condition_id, axis, budget)
    within, sought, words = "true", "true", []
    if questions is not None:
        connection.execute("create temp table asked as select unnest(?::varchar[]) as question_id", [[*questions]])
        within = "place in (select place from places semi join asked using (question_id))"
    if find:
        sought = f"""(place in (select place from places join questions using (question_id)
                where contains(lower(concat_ws(chr(10), text, target)), lower(?)))
            or key in (select {key} from trials where condition_id = ? and contains(lower(answer), lower(?))))"""
        words = [find, condition_id, find]
    # Only a word of our own list is put into SQL; any other shows nothing.
    fits = _SHOWN.get(show, f"fate = '{show}'" if show in replay.FATES else "false")
    connection.execute(
        f"create temp table listed as select *, {fits} and {sought} as fits from {read} where {within}", words
    )
    fates = dict(connection.execute("select fate, count(*) from listed group by fate order by 2 desc, 1").fetchall())
    counted = connection.execute("select count(*) filter (exhausted), count(*) filter (fits) from listed").fetchall()
    ((ended, shown),) = counted
    # A link names both: the trial may have been run again under another id, and its question is still the one.
    linked = f"key in (select {key} from trials where trial_id = ?)"
    about = "place in (select place from places where question_id = ?)"
    chosen = _first(connection, linked, trial_id) or _first(connection, about, question_id)
    known = chosen is not None or (trial_id is None and question_id is None)
    chosen = chosen or _first(connection, "fits = ?", True)
    place = 0
    if chosen:
        # Where it stands, or would stand, among those shown.
        at = [chosen[name] for name in ("place", "repeat", "key")]
        sql = "select count(*) from listed where fits and (place, repeat, key) < (?, ?, ?)"
        ((place,),) = connection.execute(sql, at).fetchall()
    fitting = bool(chosen and chosen["fits"])
    # A hidden trial may stand behind the last one shown.
    first = min(place, max(shown - 1, 0)) // PAGE * PAGE
    # One page before and one trial after come along, so that both neighbours have their names.
    start = max(0, first - PAGE)
    sql = f"""select key from listed where fits order by place, repeat, key
        limit {first + PAGE + 1 - start} offset {start}"""
    around = dict(enumerate((each for (each,) in connection.execute(sql).fetchall()), start))
    # Wanted by its link though the filter hides it: it is read all the same.
    own = {each for at, each in around.items() if first <= at < first + PAGE} | ({chosen["key"]} if chosen else set())
    names = _names(connection, key, {*around.values(), *own})
    whole = _whole(connection, key, own)
    keys = {at: names[each] for at, each in around.items()}
    page = tuple(whole[keys[at].trial_id] for at in range(first, first + PAGE) if at in keys)
    return TrialPage(
        fates=fates,
        ended=ended,
        shown=shown,
        first=first,
        trials=page,
        chosen=whole[names[chosen["key"]].trial_id] if chosen else None,
        at=place if fitting else None,
        known=known,
        before=keys.get(place - 1) if fitting else None,
        after=keys.get(place + 1) if fitting else None,
        page_before=keys.get(first - PAGE),
        page_after=keys.get(first + PAGE),
    )


def first_trials(connection: Connection, condition_id: str, n: int, questions: frozenset[str] | None) -> list[Trial]:
    """The first `n` trials of a condition, one of every question before the second of any; `questions`: only of these,
    None: of all.

    Reads how none of the others stands, so it costs the same in a list of any length."""
    key, asked = tables.row_name(connection), None if questions is None else [*questions]
    # Where they lie is found first: ids of all would be read to put them in order.
    sql = of_last(
        connection,
        f"""select t.{key} from trials t {LAST} where {IS_LAST} and {{early}} and condition_id = ?
        and (?::varchar[] is null or question_id in (select unnest(?::varchar[])))
        order by repeat, question_id, t.{key} limit {n:d}""",
    )

    @cache
    def found(repeats: str) -> list[object]:
        rows = connection.execute(sql.format(early=repeats), [condition_id, asked, asked]).fetchall()
        return [own for (own,) in rows]

    first = found(early(connection, lambda repeats: len(found(repeats)) == n))
    names, whole = _names(connection, key, first), _whole(connection, key, first)
    return [whole[names[own].trial_id] for own in first]


def _read(connection: Connection, condition_id: str, axis: Axis, budget: int | None) -> str:
    """A relation that says how each of the latest trials stands."""
    anytime = connection.execute("select anytime from conditions where condition_id = ?", [condition_id]).fetchone()
    # Others ran at one budget and are no answer at any smaller one.
    if budget is None or not (anytime and anytime[0]):
        return "latest"
    if axis in _WALLS and tables.has(connection, "steps"):
        deltas.scored(connection)
        at = {"condition": condition_id, "budget": budget}
        connection.execute(_AT_BUDGET.format(wall=_WALLS[axis]), at)
        ((whole,),) = connection.execute(_EACH_ONCE).fetchall()
        if whole:
            return "(select key, place, repeat, t.fate, t.exhausted from latest join told t using (place, repeat))"
    import polars as pl

    key = tables.row_name(connection)
    kind = {"key": pl.Int64 if key == "rowid" else pl.String, "fate": pl.String, "exhausted": pl.Boolean}
    frames.register(connection, "fresh", pl.DataFrame(list(_replayed(connection, key, axis, budget)), schema=kind))
    connection.execute("create temp table replayed as from fresh")
    # Copied by now; a registered frame would be kept alive by the connection.
    connection.unregister("fresh")
    return "(select key, place, repeat, r.fate, r.exhausted from latest join replayed r using (key))"


def _replayed(connection: Connection, key: str, axis: Axis, budget: int) -> Iterator[codec.Row]:
    every = [each for (each,) in connection.execute("select key from latest order by key").fetchall()]
    for start in range(0, len(every), _AT_ONCE):
        some = every[start : start + _AT_ONCE]
        whole = _whole(connection, key, some)
        for own, (trial_id, _) in _names(connection, key, some).items():
            reading = replay.read(whole[trial_id], axis, budget)
            yield {"key": own, "fate": reading.fate, "exhausted": reading.exhausted}


def _whole(connection: Connection, key: str, some: Collection[object]) -> dict[str, Trial]:
    """By id the trials that these name."""
    named = f"t.{key} in (select unnest(?))"
    chosen = f"select {tables.place(connection, 't')} from trials t {LAST} where {IS_LAST} and {named}"
    return {
        trial.spec.trial_id: trial for trial in tables.whole_trials(connection, of_last(connection, chosen), [[*some]])
    }


def _names(connection: Connection, key: str, some: Collection[object]) -> dict[object, Key]:
    """What links call the trials that these name."""
    sql = f"select {key}, trial_id, question_id from trials where {key} in (select unnest(?))"
    return {
        own: Key(trial_id, question_id) for own, trial_id, question_id in connection.execute(sql, [[*some]]).fetchall()
    }


def _first(connection: Connection, where: str, value: object) -> codec.Row | None:
    sql = f"select * from listed where {where} order by fits desc, place, repeat, key limit 1"
    return next(iter(tables.fetch(connection, sql, [value])), None)
