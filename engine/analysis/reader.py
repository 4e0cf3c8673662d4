"""Which condition is read at which budgets, and what it is called.

Owns labels and default budgets. Works on lists of conditions and runs; never touches a trial.

From sums of changes to sums per question: at every budget what all changes up to it add up to.

The sums of one question in one cell are a unit; cells, frontiers and comparisons are made of units. Pure arrays in,
frames out; reads no database.

From a question about results to the frames that answer it: which conditions, read where, through which lens.

Owns the order of the queries within one open connection. Opens nothing and computes no statistics.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.analysis import cells, listings, majority_at_k, queries
from engine.analysis import lens as lenses
from engine.analysis.lens import READING_AXES, Lens, ReadingAxis
from engine.analysis.majority_at_k import VotingTrials
from engine.analysis.queries import MEASURES
from engine.analysis.stats import Ints
from engine.core.errors import UnknownName, UsageError
from engine.core.names import ARROW
from engine.strategies.calibration import LABEL
from engine.strategies.lineups import called

if TYPE_CHECKING:
    from engine.store.sql import Connection


Row = dict[str, Any]
FILTERS = ("condition_id", "task", "model", "strategy", "anytime", "simulated")
"""Columns `cells` and `frontier` can be narrowed by: one value or several."""

_SCHEMA: dict[str, Any] = {
    "condition_id": pl.String,
    "axis": pl.String,
    "anytime": pl.Boolean,
    "budgets": pl.List(pl.Int64),
}


def described(conditions: pl.DataFrame) -> list[Row]:
    """Conditions with `label` and `simulated`; params and line-up stay JSON text.

    `model` is the solver's name, or 'small → large' for a line-up of several; `simulated`: any of them is scripted.
    """
    rows = [{**row, "model": _played(row)} for row in conditions.to_dicts()]
    names = _labels(rows)
    return [
        {**row, "label": name, "simulated": any(m.startswith("scripted/") for m in row["model"].split(ARROW))}
        for row, name in zip(rows, names, strict=True)
    ]


def _played(row: Row) -> str:
    """All models of a condition that has several."""
    players = json.loads(row["lineup"])
    return called(name for _, name, _ in players) if len(players) > 1 else str(row["model"])


def _short(model: str) -> str:
    """Without the providers: 'openai/a → b/c' is 'a → c'."""
    return called(name.rsplit("/", 1)[-1] for name in model.split(ARROW))


def _labels(rows: Sequence[Row]) -> list[str]:
    """Strategy with the parameters that tell conditions apart, model if there are several; made unique by the id."""
    varying = _varying(rows)
    many = len({row["model"] for row in rows}) > 1
    names = [_label(row, varying[row["strategy"]], many) for row in rows]
    twins: dict[tuple[str, str], list[Row]] = {}
    for row, name in zip(rows, names, strict=True):
        twins.setdefault((row["task"], name), []).append(row)
    return [f"{name}{_told(row, twins[row['task'], name])}" for row, name in zip(rows, names, strict=True)]


def _told(row: Row, twins: Sequence[Row]) -> str:
    """What tells a condition from others of the same name: nothing, its wall, or the start of its id."""
    if len(twins) == 1:
        return ""
    if len({_wall(twin) for twin in twins}) == len(twins):
        return f" · {_wall(row)}"
    return f" · {row['condition_id'].rsplit('-', 1)[-1][:6]}"


def _label(row: Row, varying: Iterable[str], many: bool) -> str:
    params = json.loads(row["params"])
    shown = ", ".join(f"{name}={params[name]}" for name in varying if name in params)
    name = f"{row['strategy']}({shown})" if shown else str(row["strategy"])
    return f"{name} · {_short(row['model'])}" if many else name


def _varying(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Per strategy the parameters that take more than one value."""
    seen: dict[str, dict[str, set[str]]] = {}
    for row in rows:
        mine = seen.setdefault(row["strategy"], {})
        for name, value in json.loads(row["params"]).items():
            mine.setdefault(name, set()).add(json.dumps(value))
    return {s: sorted(name for name, values in mine.items() if len(values) > 1) for s, mine in seen.items()}


def _wall(row: Row) -> str:
    return f"${row['budget'] / 1e12:.3g}" if row["axis"] == "usd" else f"{row['budget']:,} {row['axis']}"


def chosen(rows: Iterable[Row], filters: Mapping[str, Any]) -> list[Row]:
    """The conditions every filter lets through; None lets all through.

    Those of calibrations, which use targets, only where a filter names them by id or by strategy."""
    for name in filters:
        if name not in FILTERS:
            raise UnknownName("filter", name, FILTERS)
    wanted = {name: _several(value) for name, value in filters.items() if value is not None}
    named = not wanted.keys().isdisjoint(("condition_id", "strategy"))
    shown = [row for row in rows if named or row["strategy"] != LABEL]
    return [row for row in shown if all(row[name] in values for name, values in wanted.items())]


def _several(value: Any) -> list[Any]:
    return [value] if isinstance(value, str | bool | int) else list(value)


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
    rows = [_entry(c, studies, axis, budgets) for c in conditions]
    open_rows = [row for row in rows if not row["budgets"]]
    if open_rows and derive and budgets is None:
        found = derive(pl.DataFrame(open_rows, schema=_SCHEMA))
        for row in open_rows:
            row["budgets"] = found.get(row["condition_id"], [])
    return pl.DataFrame(rows, schema=_SCHEMA)


def _entry(condition: Row, studies: Mapping[str, str], axis: ReadingAxis | None, budgets: Sequence[int] | None) -> Row:
    own = condition["axis"]
    at = axis if axis and condition["anytime"] else own
    if not condition["anytime"]:
        walls = {condition["budget"]}
    elif budgets is not None:
        walls = set(budgets)
    else:
        walls = declared(condition["run_ids"] or [], studies, at) | ({condition["budget"]} if at == own else set())
    return {name: condition[name] for name in ("condition_id", "anytime")} | {"axis": at, "budgets": sorted(walls)}


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
    return {
        row["condition_id"]: max((_of_run(run, row["task"], studies, asked) for run in row["run_ids"] or ()), default=0)
        for row in rows
    }


def _of_run(run_id: str, task: str, studies: Mapping[str, str], asked: Mapping[tuple[str, str], int]) -> int:
    plan = json.loads(studies.get(run_id, "{}"))
    said = plan.get("planned_questions", {}).get(task)
    return int(said) if said is not None else asked.get((run_id, task), 0)


UNIT_SCHEMA: dict[str, Any] = {
    "condition_id": pl.String,
    "axis": pl.String,
    "budget": pl.Int64,
    "question_id": pl.String,
    "cluster": pl.String,
    **dict.fromkeys(MEASURES, pl.Float64),
}
"""Columns of units: sums over the scored trials of a question, counts of all its trials by fate."""


@dataclass(frozen=True, slots=True)
class Codebook:
    """What the numbers in the database stand for, in the order of the ids."""

    conditions: pl.DataFrame
    """condition_no, condition_id, axis, budgets; sorted by condition_id."""
    questions: pl.DataFrame
    """question_no, question_id, cluster; sorted by question_id."""


def units_of_changes(changes: pl.DataFrame, book: Codebook) -> pl.DataFrame:
    """One row per (condition, budget, question), in this order; columns as UNIT_SCHEMA."""
    if changes.is_empty():
        return pl.DataFrame(schema=UNIT_SCHEMA)
    condition = _ranks(book.conditions["condition_no"])[changes["condition_no"].to_numpy()]
    question = _ranks(book.questions["question_no"])[changes["question_no"].to_numpy()]
    most = int(book.conditions["budgets"].list.len().max())  # type: ignore[arg-type]
    pairs, place = np.unique(condition * len(book.questions) + question, return_inverse=True)
    owner, asked = np.divmod(pairs, len(book.questions))
    sums = _running(changes, place * most + changes["slot"].to_numpy(), len(pairs), most)
    rows, slots = _order(owner, book.conditions["budgets"].list.len().to_numpy(), most)
    return _frame(book, owner[rows], asked[rows], slots, sums, rows * most + slots)


def _ranks(numbers: pl.Series) -> Ints:
    """By number, its place in the series."""
    ranks = np.zeros(int(numbers.max() or 0) + 1, np.int64)  # type: ignore[arg-type]
    ranks[numbers.to_numpy()] = np.arange(len(numbers))
    return ranks


def _running(changes: pl.DataFrame, at: Ints, pairs: int, most: int) -> dict[str, NDArray[np.float64]]:
    """Per measure the sum at each budget of each pair, flat."""
    passing = changes["passing"].to_numpy()
    found = {}
    for name in MEASURES:
        values = changes[name].to_numpy()
        sums = np.zeros(pairs * most)
        sums[at[~passing]] = values[~passing]
        sums = sums.reshape(pairs, most).cumsum(axis=1).ravel() if most > 1 else sums
        sums[at[passing]] += values[passing]
        found[name] = sums
    return found


def _order(owner: Ints, budgets: Ints, most: int) -> tuple[Ints, Ints]:
    """Pair and slot of every row: by condition, budget, question; slots a condition does not have are left out."""
    slots = np.tile(np.arange(most), len(owner))
    rows = np.repeat(np.arange(len(owner)), most)
    kept = slots < budgets[owner[rows]]
    rows, slots = rows[kept], slots[kept]
    order = np.argsort(owner[rows] * most + slots, kind="stable") if most > 1 else slice(None)
    return rows[order], slots[order]


def units_of_sums(held: pl.DataFrame, book: Codebook) -> pl.DataFrame:
    """What is held, as units; see `queries.held`."""
    if held.is_empty():
        return pl.DataFrame(schema=UNIT_SCHEMA)
    owner = _ranks(book.conditions["condition_no"])[held["condition_no"].to_numpy()]
    asked = _ranks(book.questions["question_no"])[held["question_no"].to_numpy()]
    sums = {name: held[name].to_numpy() for name in MEASURES}
    budgets = held["budget"].to_numpy()
    if not _sorted(owner, budgets, asked):
        order = np.lexsort((asked, budgets, owner))
        owner, budgets, asked = owner[order], budgets[order], asked[order]
        sums = {name: values[order] for name, values in sums.items()}
    return _named(book, owner, asked, pl.Series(budgets), sums)


def _sorted(*keys: Ints) -> bool:
    """Whether rows come in the order of these keys, the first counting most."""
    after = np.ones(max(0, len(keys[0]) - 1), np.bool_)
    for key in reversed(keys):
        step = np.diff(key)
        after = (step > 0) | ((step == 0) & after)
    return bool(after.all())


def _frame(
    book: Codebook, owner: Ints, asked: Ints, slots: Ints, sums: dict[str, NDArray[np.float64]], at: Ints
) -> pl.DataFrame:
    lists = book.conditions["budgets"]
    starts = np.concatenate([[0], lists.list.len().to_numpy().cumsum()])[:-1]
    budgets = lists.explode().drop_nulls().gather(starts[owner] + slots)
    return _named(book, owner, asked, budgets, {name: values[at] for name, values in sums.items()})


def _named(
    book: Codebook, owner: Ints, asked: Ints, budgets: pl.Series, sums: dict[str, NDArray[np.float64]]
) -> pl.DataFrame:
    ids, which = book.conditions, book.questions
    named = {
        "condition_id": ids["condition_id"].gather(owner),
        "axis": ids["axis"].gather(owner),
        "budget": budgets,
        "question_id": which["question_id"].gather(asked),
        "cluster": which["cluster"].gather(asked),
    }
    return pl.DataFrame(named | sums, schema=UNIT_SCHEMA)


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


class Look:
    """One look at a file: the open connection, and what there is to read, which is read once."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @cached_property
    def known(self) -> Known:
        """Conditions with labels, and what their runs planned."""
        queries.prepare(self.connection)
        conditions = described(listings.listing(self.connection, "conditions"))
        studies = dict(listings.listing(self.connection, "studies").rows())
        asked = listings.listing(self.connection, "run_questions").rows()
        return Known(conditions, studies, {(run, task): n for run, task, n in asked})


@dataclass(frozen=True, slots=True)
class Read:
    """A look at a file, and the lens everything is read through."""

    look: Look
    lens: Lens

    @property
    def connection(self) -> Connection:
        """The open file."""
        return self.look.connection

    def known(self) -> Known:
        """Conditions with labels, and what their runs planned."""
        return self.look.known

    def placed(
        self, known: Known, mine: Sequence[Row], axis: str | None, budgets: Sequence[int] | None
    ) -> pl.DataFrame:
        """Where each of the conditions is read; see `grid.grid`."""

        def derive(open_: pl.DataFrame) -> Mapping[str, list[int]]:
            return _round(queries.ranges(self.connection, open_, self.lens, self._rates(mine)), open_)

        return placed_at(mine, known.studies, checked_axis(axis), budgets, derive)

    def units(self, mine: Sequence[Row], where: pl.DataFrame) -> pl.DataFrame:
        """One row per (condition, budget, question), columns `units.UNIT_SCHEMA`."""
        kept = queries.materialized(self.connection) if self.lens == lenses.STORED else {}
        same = [kept.get(id) == (axis, budgets) for id, axis, _, budgets in where.iter_rows()]
        found = [self._held(where.filter(same))] if any(same) else []
        if not all(same) or not found:
            found.append(self._summed(mine, where.filter([not one for one in same])))
        return found[0] if len(found) == 1 else pl.concat(found).sort("condition_id", "budget", "question_id")

    def _held(self, where: pl.DataFrame) -> pl.DataFrame:
        book = self._book(where)
        return units_of_sums(queries.read_sums(self.connection, book.conditions["condition_no"].to_list()), book)

    def _summed(self, mine: Sequence[Row], where: pl.DataFrame) -> pl.DataFrame:
        """From the steps."""
        changes = queries.changes(self.connection, where, self.lens, self._rates(mine))
        return units_of_changes(changes, self._book(where))

    def _book(self, where: pl.DataFrame) -> Codebook:
        return Codebook(
            queries.numbers(self.connection).join(where, on="condition_id").sort("condition_id"),
            queries.questions(self.connection).sort("question_id"),
        )

    def steps(self, mine: Sequence[Row], where: pl.DataFrame) -> pl.DataFrame:
        """The sums behind curves, one row per change."""
        went = queries.curves(self.connection, where, self.lens, self._rates(mine))
        return _at_own_wall(went.with_columns(scored="n_trials"), mine)

    def recounted(
        self,
        steps: pl.DataFrame,
        mine: Sequence[Row],
        where: pl.DataFrame,
        points: Sequence[int] | None,
        orders: int,
    ) -> pl.DataFrame:
        """`steps` with those of votes over many orders of their draws; see `Results.curves`.

        At `points`, else where the one order changes, which is at every call on that axis.
        """
        theirs = pl.col("condition_id").is_in(
            [row["condition_id"] for row in mine if row["anytime"] and row["strategy"] in majority_at_k.VOTING]
        )
        voting = where.filter(theirs)
        if voting.is_empty():
            return steps
        draws = self._draws(mine, voting)
        went = cells.changed(steps)
        parts = [
            draws.curve(id, axis, went.filter(condition_id=id)["budget"] if points is None else points, orders)
            for id, axis in voting.select("condition_id", "axis").iter_rows()
        ]
        read = pl.concat(parts).select(steps.columns)
        return pl.concat([steps.filter(~theirs), read]).sort("condition_id", "budget")

    def _draws(self, mine: Sequence[Row], voting: pl.DataFrame) -> VotingTrials:
        rows = queries.walks(self.connection, voting, self.lens, self._rates(mine))
        names = queries.numbers(self.connection).join(voting, on="condition_id")
        ids = voting["condition_id"].to_list()
        drawn, marks = (read(self.connection, ids).to_dicts() for read in (listings.draws, listings.marks))
        told = majority_at_k.votes_by_trial(drawn, marks)
        return VotingTrials(
            rows.join(names.select("condition_no", "condition_id"), on="condition_no", maintain_order="left"),
            queries.questions(self.connection).sort("question_id"),
            told,
        )

    def _rates(self, mine: Sequence[Row]) -> pl.DataFrame:
        return lenses.table(self.lens, (row["lineup"] for row in mine))


def _at_own_wall(steps: pl.DataFrame, conditions: Sequence[Row]) -> pl.DataFrame:
    """Steps of conditions that are not anytime, all at wall 0, moved to the one budget they ran at."""
    walls = {row["condition_id"]: row["budget"] for row in conditions if not row["anytime"]}
    own = pl.col("condition_id").replace_strict(walls, default=None, return_dtype=pl.Int64)
    last = own.is_null() | (pl.int_range(pl.len()).over("condition_id") == pl.len().over("condition_id") - 1)
    return steps.filter(last).with_columns(budget=pl.coalesce(own, "budget"))


def _round(reach: pl.DataFrame, open_conditions: pl.DataFrame) -> dict[str, list[int]]:
    """The same round budgets for all conditions whose studies declare none on the axis."""
    if reach["first"].drop_nulls().is_empty():
        return {condition: [0] for condition in open_conditions["condition_id"]}
    lowest, highest = int(reach["first"].min()), int(reach["last"].max())  # type: ignore[arg-type]
    return dict.fromkeys(open_conditions["condition_id"], series(lowest, highest - 1))
