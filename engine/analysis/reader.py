"""From a question about results to the frames that answer it: which conditions, read where, through which lens.

First labels and default budgets, on lists of conditions and runs; then `Read`, which owns the order of the queries
within one open connection. Opens nothing and computes no statistics.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl

from engine.analysis import cells, majority_at_k
from engine.analysis import lens as lenses
from engine.analysis.lens import READING_AXES, Lens, ReadingAxis
from engine.analysis.majority_at_k import VotingTrials
from engine.analysis.mechanisms import MECHANISM_SCHEMA, mechanisms
from engine.analysis.sql import listings, queries
from engine.analysis.sql.draws import Drawn, drawn, singles, voting
from engine.analysis.sql.queries import Rates, Within
from engine.analysis.studies import Asked, Scope, asked, scope
from engine.analysis.units import Codebook, units_of_changes, units_of_sums
from engine.core import names, text
from engine.core.answers import READER_VERSION
from engine.core.errors import UnknownName, UsageError
from engine.core.names import ARROW
from engine.core.rounds import Round, Stop
from engine.store import deltas, tables
from engine.strategies.calibration import LABEL
from engine.strategies.lineups import called

if TYPE_CHECKING:
    from engine.store.sql import Connection


Row = dict[str, Any]
FILTERS = ("study", "condition_id", "task", "model", "strategy", "anytime", "simulated")
"""What `cells` and `frontier` can be narrowed by, one value or several: studies by name, and columns of conditions.

A study shows what it asked for, on its own questions, whoever paid. Without one, conditions that `condition_id` names
stand on all questions they have; else, and with `names.ALL_STUDIES`, studies that asked the same questions of a task
are pooled; see `Results.notes`.
"""

_SCHEMA: dict[str, Any] = {
    "condition_id": pl.String,
    "axis": pl.String,
    "anytime": pl.Boolean,
    "budgets": pl.List(pl.Int64),
}


def described(conditions: pl.DataFrame) -> list[Row]:
    """Conditions with `label`, `simulated` and `local`; params and line-up stay JSON text.

    `model` is the solver's name, or 'small → large' for a line-up of several; `simulated`: any of them is scripted;
    `local`: all of them run on this machine, scripts too, where nobody bills them.
    `label`: strategy with the parameters that tell conditions apart, model if there are several; made unique by the
    wall, or by the start of the id.
    """
    rows = conditions.to_dicts()
    seen: dict[str, dict[str, set[str]]] = {}
    for row in rows:
        players = json.loads(row["lineup"])
        row["model"] = called(name for _, name, _ in players) if len(players) > 1 else str(row["model"])
        # By the identities: a study calls its models as it likes.
        row["simulated"] = any(identity.startswith("scripted/") for _, _, identity in players)
        row["local"] = all(identity.startswith(("local/", "scripted/")) for _, _, identity in players)
        values = seen.setdefault(row["strategy"], {})
        for name, value in json.loads(row["params"]).items():
            values.setdefault(name, set()).add(json.dumps(value))
    # Only what tells settings apart belongs in their names.
    varying = {s: sorted(name for name, each in values.items() if len(each) > 1) for s, values in seen.items()}
    many = len({row["model"] for row in rows}) > 1
    twins: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        params = json.loads(row["params"])
        shown = ", ".join(f"{name}={params[name]}" for name in varying[row["strategy"]] if name in params)
        label = f"{row['strategy']}({shown})" if shown else str(row["strategy"])
        if many:
            # Without the providers: 'openai/a → b/c' is 'a → c'.
            label = f"{label} · {called(name.rsplit('/', 1)[-1] for name in row['model'].split(ARROW))}"
        twins.setdefault((row["task"], label), []).append(row)
    for (_, label), same in twins.items():
        # By budget where that is enough: an id says nothing to people.
        apart = len({_wall(row) for row in same}) == len(same)
        for row in same:
            more = _wall(row) if apart else row["condition_id"].rsplit("-", 1)[-1][:6]
            row["label"] = label if len(same) == 1 else f"{label} · {more}"
    return rows


def _wall(row: Row) -> str:
    return f"${row['budget'] / 1e12:.3g}" if row["axis"] == "usd" else f"{row['budget']:,} {row['axis']}"


def chosen(rows: Iterable[Row], filters: Mapping[str, Any]) -> list[Row]:
    """The conditions every filter lets through; None lets all through.

    Those of calibrations, which use targets, only where a filter names them by id or by strategy."""
    for name in filters:
        if name not in FILTERS:
            raise UnknownName("filter", name, FILTERS)
    wanted = {
        name: [value] if isinstance(value, str | bool | int) else list(value)
        for name, value in filters.items()
        if value is not None
    }
    # No column of conditions; `Look.within` takes care of it.
    wanted.pop("study", None)
    # Asked for by name it is shown: somebody wants to look at the search itself.
    named = not wanted.keys().isdisjoint(("condition_id", "strategy"))
    shown = [row for row in rows if named or row["strategy"] != LABEL]
    return [row for row in shown if all(row[name] in values for name, values in wanted.items())]


def alike(rows: Iterable[Row]) -> list[Row]:
    """Of each task the conditions read by the newest version that read one of them whole: numbers of two versions
    stand in no figure together. Those read partly by one and partly by another, only where there are no others."""
    known = list(rows)
    newest: dict[str, int] = {}
    for row in known:
        # 0: its trials were read partly by one version and partly by another.
        newest[row["task"]] = max(newest.get(row["task"], 0), row["reader"] or 0)
    return [row for row in known if (row["reader"] or 0) == newest[row["task"]]]


def older(rows: Iterable[Row]) -> list[str]:
    """What is to be said of conditions that an older version read: who is left out, and who is shown all the same."""
    known = list(rows)
    shown = {row["condition_id"] for row in alike(known)}
    left = [row for row in known if row["condition_id"] not in shown]
    old = [row for row in known if row["condition_id"] in shown and row["reader"] != READER_VERSION]
    said: list[str] = []
    if left:
        verb = "was" if len(left) == 1 else "were"
        said.append(
            f"{text.plural(len(left), 'setting')} on {_tasks(left)} {verb} read by an older version and left out here"
        )
    if old:
        said.append(f"Read by an older version: {text.plural(len(old), 'setting')} on {_tasks(old)}")
    again = "run their study again and they are read anew from the stored replies, unpaid"
    return [f"{sentence}; {again}." for sentence in said]


def scored_unlike(rows: Iterable[Row]) -> list[str]:
    """What is to be said where settings of one task were scored by unlike scorers: an imported score is its log's."""
    scorers: dict[str, dict[str, None]] = {}
    for row in rows:
        ours = not names.is_imported(row["strategy"])
        named = "our own" if ours else str(json.loads(row["params"]).get("scorer") or "one its log does not name")
        scorers.setdefault(row["task"], {})[named] = None
    return [
        f"Settings on {names.task(task)} were scored by different scorers ({', '.join(sorted(each))}); imported ones "
        f"keep the score of their log{_read_again(each)}."
        for task, each in scorers.items()
        if len(each) > 1
    ]


def _read_again(scorers: Iterable[str]) -> str:
    again = any(each.startswith(names.READ_AGAIN) for each in scorers)
    return f", and those of {names.READ_AGAIN} are its own reading of the same replies" if again else ""


def _tasks(rows: Iterable[Row]) -> str:
    return ", ".join(dict.fromkeys(names.task(row["task"]) for row in rows))


def checked_axis(axis: str | None) -> ReadingAxis | None:
    """A known axis, or None for each condition's own; raises UnknownName."""
    for known in READING_AXES:
        if axis == known:
            return known
    if axis is None:
        return None
    raise UnknownName("axis", axis, READING_AXES)


def placed_at(
    conditions: Iterable[Row],
    studies: Mapping[str, str],
    axis: ReadingAxis | None = None,
    budgets: Sequence[int] | None = None,
    derive: Callable[[pl.DataFrame], Mapping[str, list[int]]] | None = None,
) -> pl.DataFrame:
    """Columns condition_id, axis, anytime, budgets: where each condition is read.

    A condition that is not anytime is read at its own wall only. An anytime one at `budgets`, else at the budgets its
    studies declare for the axis, else at what `derive` makes of the walls its trials reach.
    """
    if budgets is not None and any(b < 0 for b in budgets):
        raise UsageError(f"A budget must be 0 or more, not {min(budgets)}.")
    rows: list[Row] = []
    for condition in conditions:
        own, anytime = condition["axis"], condition["anytime"]
        at = axis if axis and anytime else own
        if not anytime:
            walls = {condition["budget"]}
        elif budgets is not None:
            walls = set(budgets)
        else:
            walls = declared(condition["run_ids"] or [], studies, at)
            # Its own largest budget always, whatever a study of before declared.
            walls |= {condition["budget"]} if at == own else set()
        row = {"condition_id": condition["condition_id"], "axis": at, "anytime": anytime, "budgets": sorted(walls)}
        rows.append(row)
    open_rows = [row for row in rows if not row["budgets"]]
    if open_rows and derive and budgets is None:
        # All at once, so that they get the same round budgets and stand side by side.
        derived = derive(pl.DataFrame(open_rows, schema=_SCHEMA))
        for row in open_rows:
            row["budgets"] = derived.get(row["condition_id"], [])
    return pl.DataFrame(rows, schema=_SCHEMA)


def declared(run_ids: Iterable[str], studies: Mapping[str, str], axis: str) -> set[int]:
    """Budgets the studies of these runs declare for an axis (`budgets` with `budget_axis`, in the axis' unit)."""
    plans = [json.loads(studies[run_id]) for run_id in run_ids if run_id in studies]
    return {int(b) for plan in plans if plan.get("budget_axis") == axis for b in plan.get("budgets", ())}


def series(first: int, last: int) -> list[int]:
    """1, 2, 5, 10, 20, ... from `first` to `last`, both ends included: round budgets where nobody declared any."""
    if last < 1:
        return [max(0, last)]
    steps = [m * 10**e for e in range(len(str(last))) for m in (1, 2, 5)]
    return sorted({max(1, first), last, *(s for s in steps if first <= s <= last)})


def planned(rows: Iterable[Row], studies: Mapping[str, str], asked: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """Questions of a condition's task in its runs' studies; by what was asked where no study says."""
    most: dict[str, int] = {}
    for row in rows:
        numbers = [0]
        for run_id in row["run_ids"] or ():
            # Runs of earlier versions did not say how many they planned.
            stated = json.loads(studies.get(run_id, "{}")).get("planned_questions", {}).get(row["task"])
            numbers.append(int(stated) if stated is not None else asked.get((run_id, row["task"]), 0))
        most[row["condition_id"]] = max(numbers)
    return most


_TOKENS = frozenset({"input_tokens", "output_tokens"})
_UNKNOWN_COUNTS = ("n_unpriced", "n_unmeasured")


@dataclass(frozen=True, slots=True)
class Known:
    """What a database has: conditions, study texts by run, and distinct questions by (run, task)."""

    conditions: list[Row]
    studies: dict[str, str]
    asked: dict[tuple[str, str], int]

    def named(self, ids: Iterable[str]) -> list[Row]:
        """The conditions of these ids, once each, in this order; raises UnknownName."""
        by_id = {row["condition_id"]: row for row in self.conditions}
        for missing in (name for name in ids if name not in by_id):
            raise UnknownName("condition", missing, list(by_id))
        return [by_id[name] for name in dict.fromkeys(ids)]


@dataclass(frozen=True, slots=True)
class Shown:
    """What filters leave of a database, to stand side by side."""

    conditions: list[Row]
    """With the runs and the largest budget of the studies that are shown."""
    planned: dict[str, int]
    """By condition how many questions its task's list has."""
    questions: frozenset[str] | None
    """Those of the lists; None: all that a condition has."""
    voting: list[str]
    """Ids of the conditions, shown or not, that draw a fixed number of times and stand in the same studies."""

    @property
    def key(self) -> Hashable:
        """The same of two that show the same, whatever filters they come from."""
        rows = ((row["condition_id"], row["budget"], *(row["run_ids"] or ())) for row in self.conditions)
        return (*rows,), tuple(sorted(self.planned.items())), self.questions, tuple(self.voting)


_KEPT = 8
"""Choices of settings of which draws and rates are kept from look to look."""
Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")


def _once(kept: dict[Key, Answer], key: Key, ask: Callable[[], Answer]) -> Answer:
    """What was kept under a key, else what is asked for now, in place of the oldest where there are many."""
    if key in kept:
        return kept[key]
    if len(kept) >= _KEPT:
        kept.pop(next(iter(kept)), None)
    answer = kept[key] = ask()
    return answer


class Look:
    """One look at a file: the open connection, and what there is to read, which is read once."""

    def __init__(self, connection: Connection, before: Look | None = None) -> None:
        """`before`: an earlier look at the file as it still is; what it has read is not read again."""
        self._drawn: dict[tuple[tuple[str, ...], frozenset[str] | None], Drawn | None] = {}
        self._rates: dict[tuple[Lens, frozenset[str]], Rates] = {}
        if before is not None:
            vars(self).update(vars(before))
        self.connection = connection
        self.measured: dict[Hashable, tuple[pl.DataFrame, pl.DataFrame]] = {}
        """Cells and sums that were asked for, by what was asked: a table and its advice stand on the same ones."""
        if "conditions" in vars(self):
            queries.prepare(connection)

    @cached_property
    def conditions(self) -> pl.DataFrame:
        """Every condition there is."""
        queries.prepare(self.connection)
        return listings.listing(self.connection, "conditions")

    @cached_property
    def known(self) -> Known:
        """Conditions with labels, and what their runs planned."""
        conditions = described(self.conditions)
        studies = dict(listings.listing(self.connection, "studies").rows())
        planned = listings.listing(self.connection, "run_questions").rows()
        return Known(conditions, studies, {(run, task): n for run, task, n in planned})

    @cached_property
    def questions(self) -> pl.DataFrame:
        """What numbers of questions stand for; see `sql.queries.questions`."""
        return queries.questions(self.connection)

    @cached_property
    def numbers(self) -> pl.DataFrame:
        """What numbers of conditions stand for."""
        return queries.numbers(self.connection)

    @cached_property
    def unreported(self) -> dict[str, frozenset[str]]:
        """By imported condition the spends its log does not report."""
        if not any(names.is_imported(row["strategy"]) for row in self.known.conditions):
            return {}
        return listings.unreported(self.connection)

    @cached_property
    def asked(self) -> list[Asked]:
        """What every study asked for, task by task."""
        studies = self.known.studies
        return asked(self.connection, studies, tables.has(self.connection, "plans"))

    def shown(self, filters: Mapping[str, Any]) -> Shown:
        """What the filters leave, see `FILTERS`. Raises UnknownName for a filter or a study that is not there."""
        rows, within = self.within(filters)
        # Whose reading is the newest is asked of what is shown: what stands elsewhere hides nothing here.
        tasks = {row["task"] for row in rows}
        votes = [row for row in self.known.conditions if row["task"] in tasks]
        if within is None:
            return Shown(alike(rows), planned(rows, self.known.studies, self.known.asked), None, voting(votes))
        votes = list(within.of(votes, self.known.studies))
        return Shown(alike(rows), within.planned(rows), within.questions, voting(votes))

    @cached_property
    def decided(self) -> tuple[list[Round], list[Stop]]:
        """What adaptive runs decided, look by look."""
        return tables.rounds(self.connection)

    def stops(self, condition: Row) -> tuple[int, dict[tuple[str, int], str]] | None:
        """At how many questions the newest of a condition's runs stopped asking it, and the verdict by axis and budget;
        None: none of them did."""
        runs = condition["run_ids"] or []
        own = [s for s in self.decided[1] if s.condition_id == condition["condition_id"] and s.run_id in runs]
        if not own:
            return None
        last = max(own, key=lambda stop: runs.index(stop.run_id)).run_id
        verdicts = {(condition["axis"], stop.budget): stop.verdict for stop in own if stop.run_id == last}
        return max(stop.asked for stop in own if stop.run_id == last), verdicts

    @cached_property
    def explained(self) -> frozenset[str]:
        """Ids of the conditions whose trials state facts of their mechanism."""
        if not tables.has(self.connection, "facts"):
            return frozenset()
        # Once a look: facts of a large study are the longest table there is but for calls.
        sql = "select distinct condition_id from trials semi join facts using (trial_id)"
        return frozenset(id for (id,) in self.connection.execute(sql).fetchall())

    def drawn(self, shown: Shown) -> Drawn | None:
        """More draws of what filters left; see `sql.draws.drawn`. Cells and curves of a look ask for the same."""
        single, votes = sorted(singles(shown.conditions)), sorted(shown.voting)
        key = (*single, "", *votes), shown.questions
        return _once(self._drawn, key, lambda: drawn(self.connection, single, votes, shown.questions))

    def rates(self, lens: Lens, lineups: frozenset[str]) -> Rates:
        """What the calls of these line-ups cost through a lens."""
        return _once(self._rates, (lens, lineups), lambda: queries.rates(self.connection, lenses.table(lens, lineups)))

    def within(self, filters: Mapping[str, Any]) -> tuple[list[Row], Scope | None]:
        """The conditions the filters leave, whichever version read them, and the studies they stand in; None: none."""
        study, rows = filters.get("study"), chosen(self.known.conditions, filters)
        if study is None and filters.get("condition_id") is not None:
            return rows, None
        wanted = None if study in (None, names.ALL_STUDIES) else [study] if isinstance(study, str) else study
        within = scope(self.asked, wanted, rows)
        return list(within.of(rows, self.known.studies)), within


@dataclass(frozen=True, slots=True)
class Read:
    """A look at a file, and the lens everything is read through."""

    look: Look
    lens: Lens
    questions: frozenset[str] | None = None
    """Those that are read; None: all."""
    drawn: Drawn | None = None
    """More draws of settings that make one request."""

    @property
    def connection(self) -> Connection:
        """The open file."""
        return self.look.connection

    def known(self) -> Known:
        """Conditions with labels, and what their runs planned."""
        return self.look.known

    def of(self, shown: Shown) -> Read:
        """The same look at what filters left: its questions, and all draws there are of its settings."""
        return replace(self, questions=shown.questions, drawn=self.look.drawn(shown))

    def placed(
        self, known: Known, conditions: Sequence[Row], axis: str | None, budgets: Sequence[int] | None
    ) -> pl.DataFrame:
        """Where each of the conditions is read; see `placed_at`."""

        def derive(undeclared: pl.DataFrame) -> Mapping[str, list[int]]:
            # The same round budgets for all conditions whose studies declare none on the axis.
            reach = queries.ranges(self.connection, undeclared, self.lens, self._rates(conditions), self._within)
            if reach["first"].drop_nulls().is_empty():
                return {condition: [0] for condition in undeclared["condition_id"]}
            lowest, highest = int(reach["first"].min()), int(reach["last"].max())  # type: ignore[arg-type]
            # A trial is censored at its last wall already, so the last budget stays below it.
            return dict.fromkeys(undeclared["condition_id"], series(lowest, highest - 1))

        return placed_at(conditions, known.studies, checked_axis(axis), budgets, derive)

    def units(self, conditions: Sequence[Row], where: pl.DataFrame) -> pl.DataFrame:
        """One row per (condition, budget, question), columns `units.UNIT_SCHEMA`."""
        # Sums are kept at the stored prices alone; any other lens reads the steps.
        held = queries.materialized(self.connection) if self.lens == lenses.STORED else {}
        more = self.drawn.counts if self.drawn else {}
        newest = deltas.newest(self.connection) if held else 0
        # A tier is that of all calls of a trial's place, and not to be told of later trials alone.
        alone = bool(held) and not self._rates(conditions).tiered
        materialized = [
            # Kept sums are those of one draw, at some budgets.
            id not in more and id in held and held[id].has(axis, budgets) and (alone or held[id].upto >= newest)
            for id, axis, _, budgets in where.iter_rows()
        ]
        parts: list[pl.DataFrame] = []
        if any(materialized):
            parts.append(self._held(conditions, where.filter(materialized), held, newest))
        if not all(materialized) or not parts:
            fresh = where.filter([not each for each in materialized])
            changes = queries.changes(self.connection, fresh, self.lens, self._rates(conditions), self._within)
            parts.append(units_of_changes(changes, self._book(fresh)))
        # Both came sorted; together they have to be sorted again, as resampling goes by order.
        units = parts[0] if len(parts) == 1 else pl.concat(parts).sort("condition_id", "budget", "question_id")
        return self._unknown_where_unreported(units)

    def _held(
        self, conditions: Sequence[Row], where: pl.DataFrame, held: Mapping[str, queries.Held], newest: int
    ) -> pl.DataFrame:
        """Units of what is held, and of the steps that were stored since."""
        book = self._book(where)
        sums = queries.read_sums(self.connection, book.conditions)
        if (listed := self._within.questions) is not None:
            sums = sums.filter(pl.col("question_no").is_in(listed.implode()))
        units = units_of_sums(sums, book)
        where = where.with_columns(upto=pl.Series([held[id].upto for id in where["condition_id"]], dtype=pl.Int64))
        behind = where.filter(pl.col("upto") < newest)
        if behind.is_empty():
            return units
        within = self._within._replace(drawn=None, later=True)
        changes = queries.changes(self.connection, behind, self.lens, self._rates(conditions), within)
        later = units_of_changes(changes, self._book(behind))
        if later.is_empty():
            return units
        keys = [name for name in units.columns if name not in queries.MEASURES]
        both = pl.concat([units, later]).group_by(keys).agg(pl.col(queries.MEASURES).sum())
        return both.select(units.columns).sort("condition_id", "budget", "question_id")

    def _unknown_where_unreported(self, units: pl.DataFrame) -> pl.DataFrame:
        """Spends that an imported log does not report are null and not 0, and so is money that needs them."""
        missing = {id: parts for id, parts in self.look.unreported.items() if parts}
        if not missing:
            return units

        def of(*parts: str) -> pl.Expr:
            ids = [id for id, unknown in missing.items() if not unknown.isdisjoint(parts)]
            return pl.col("condition_id").is_in(ids)

        priced = of("input_tokens", "output_tokens")
        return units.with_columns(
            *(pl.when(~of(name)).then(pl.col(name)).alias(name) for name in deltas.SPENDS),
            *(pl.when(priced).then(pl.col("n")).otherwise(pl.col(name)).alias(name) for name in _UNKNOWN_COUNTS),
        )

    def mechanisms(self, conditions: Sequence[Row], where: pl.DataFrame) -> pl.DataFrame:
        """Rates of what trials state of their mechanism, columns `mechanisms.MECHANISM_SCHEMA`."""
        theirs = where.filter(pl.col("condition_id").is_in(sorted(self.look.explained)))
        if theirs.is_empty():
            return pl.DataFrame(schema=MECHANISM_SCHEMA)
        stated = queries.facts(self.connection, theirs, self.lens, self._rates(conditions), self._within)
        clusters = dict(self.look.questions.select("question_no", "cluster").iter_rows())
        return mechanisms(stated, clusters)

    def _book(self, where: pl.DataFrame) -> Codebook:
        return Codebook(
            self.look.numbers.join(where, on="condition_id").sort("condition_id"),
            self.look.questions.sort("question_id"),
        )

    def steps(self, conditions: Sequence[Row], where: pl.DataFrame) -> pl.DataFrame:
        """The sums behind curves, one row per change."""
        rates = self._rates(conditions)
        steps = queries.curves(self.connection, where, self.lens, rates, self._within).with_columns(scored="n_trials")
        # Those of conditions that are not anytime, all at wall 0, move to the one budget they ran at.
        walls = {row["condition_id"]: row["budget"] for row in conditions if not row["anytime"]}
        own = pl.col("condition_id").replace_strict(walls, default=None, return_dtype=pl.Int64)
        last = own.is_null() | (pl.int_range(pl.len()).over("condition_id") == pl.len().over("condition_id") - 1)
        steps = steps.filter(last).with_columns(budget=pl.coalesce(own, "budget"))
        axes, needed = dict(where.select("condition_id", "axis").iter_rows()), {"total_tokens": _TOKENS, "usd": _TOKENS}
        unknown = [
            id
            for id, parts in self.look.unreported.items()
            if not parts.isdisjoint(needed.get(axes.get(id, ""), {axes.get(id, "")}))
        ]
        return steps.with_columns(level=pl.when(~pl.col("condition_id").is_in(unknown)).then("level"))

    def recounted(
        self,
        steps: pl.DataFrame,
        conditions: Sequence[Row],
        where: pl.DataFrame,
        points: Sequence[int] | None,
        orders: int,
    ) -> pl.DataFrame:
        """`steps` with those of votes over many orders of their draws; see `Results.curves`.

        At `points`, else where the one order changes, which is at every call on that axis.
        """
        votes = [c["condition_id"] for c in conditions if c["anytime"] and c["strategy"] in majority_at_k.VOTING]
        theirs = pl.col("condition_id").is_in(votes)
        voting = where.filter(theirs)
        if voting.is_empty():
            return steps
        walks = queries.walks(self.connection, voting, self.lens, self._rates(conditions), self._within)
        names = self.look.numbers.join(voting, on="condition_id").select("condition_no", "condition_id")
        ids = voting["condition_id"].to_list()
        draws, marks = (read(self.connection, ids).to_dicts() for read in (listings.draws, listings.marks))
        trials = VotingTrials(
            walks.join(names, on="condition_no", maintain_order="left"),
            self.look.questions.sort("question_id"),
            majority_at_k.votes_by_trial(draws, marks),
        )
        changed = cells.changed(steps)
        parts = [
            trials.curve(id, axis, changed.filter(condition_id=id)["budget"] if points is None else points, orders)
            for id, axis in voting.select("condition_id", "axis").iter_rows()
        ]
        recounted = pl.concat(parts).select(steps.columns)
        return pl.concat([steps.filter(~theirs), recounted]).sort("condition_id", "budget")

    @property
    def _within(self) -> Within:
        """The steps that are read."""
        steps = None if self.drawn is None else self.drawn.steps
        if self.questions is None:
            return Within(None, steps)
        every = self.look.questions
        wanted = pl.Series("question_id", sorted(self.questions), dtype=pl.String)
        listed = every.filter(pl.col("question_id").is_in(wanted.implode()))["question_no"]
        # All of them is no filter, which spares the database a join.
        return Within(None if len(listed) == every.height else listed, steps)

    def _rates(self, conditions: Sequence[Row]) -> Rates:
        return self.look.rates(self.lens, frozenset(row["lineup"] for row in conditions))
