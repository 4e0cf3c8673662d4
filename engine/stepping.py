"""Keeps `steps` true while trials come and go, within the transaction that stores or deletes them.

Owns the rows of a trial that is being stored: the very rows that the SQL of `steps` derives from it once it is stored,
without asking the database for what is at hand. Opens and commits nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from engine import rows, steps, tables
from engine.database import Connection
from engine.records import Call, Mark, Spend, Trial
from engine.values import Row

_CLOSING = ("budget", "refused", "failed")
_BEYOND = ("context", "limit")
_FATES = {"finished": 0, "exhausted": 1, "failed": 2, "stopped": 3}
_VERDICTS = {"n_right": "right", "n_wrong": "wrong"}
_EMPTY = dict.fromkeys(("more_calls", "more_input", "more_output", "output_wall", "total_wall", *steps.COUNTS,
                        *steps.SPENDS), 0)  # fmt: skip

Named = tuple[str, str, str | None]
"""Kind, id and model: what a number stands for."""

_KNOWN = """
select kind, id, model, number from numbers where id in (select id from wanted)
union all select kind, '', null, max(number) from numbers group by kind
union all select 'trial', '', null, coalesce(max(trial_no), 0) from steps"""
_WAITING = "select key, input_tokens from completions where key in (select id from wanted)"


@contextmanager
def stepped(connection: Connection, trials: Sequence[Trial], content: rows.Tables) -> Iterator[None]:
    """Add to `content`, before the block stores it, what the steps of these new trials need.

    Where an attempt of one of them is stored already, all are derived again once the block has stored them.
    """
    ids = {trial.spec.trial_id for trial in trials}
    stored = tables.matching(connection, "select 1 from trials semi join wanted on trial_id = id limit 1", ids)
    known = tables.matching(connection, _KNOWN, {id for trial in trials for _, id, _ in _names(trial)})
    numbers = _Numbers({(row["kind"], row["id"], row["model"]): row["number"] for row in known})
    for trial in trials:
        numbers.add(_names(trial))
    content["numbers"] = numbers.new
    content["run_parts"] = _parts(connection, trials, numbers)
    twice = bool(stored) or len(ids) < len(trials)
    if not twice:
        content["steps"] = _steps(connection, trials, numbers)
    yield
    steps.unhold(connection, {trial.spec.condition.condition_id for trial in trials})
    if twice:
        # Another trial may stand at the same place, so it is by place that steps are replaced.
        tables.matching(connection, f"create or replace temp table again as {_PLACES}", ids)
        steps.again(connection, "from again")


@contextmanager
def forgotten(connection: Connection, run_id: str) -> Iterator[None]:
    """Take out the steps of a run the block deletes; where an attempt of another run is left, that one counts again."""
    sql = "create or replace temp table gone as select distinct condition_id, question_id, repeat from trials"
    connection.execute(f"{sql} where run_id = ?", [run_id])
    yield
    connection.execute("delete from run_parts where run_id = ?", [run_id])
    steps.unhold(connection, (id for (id,) in connection.execute("select distinct condition_id from gone").fetchall()))
    steps.again(connection, "from gone")


_PLACES = "select distinct condition_id, question_id, repeat from trials semi join wanted on trial_id = id"


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


def _names(trial: Trial) -> list[Named]:
    condition = trial.spec.condition
    models = dict.fromkeys(setting.identity for _, setting in condition.lineup)
    tariffs: list[Named] = [("tariff", rows.snapshot_id(condition), model) for model in models]
    return [("condition", condition.condition_id, None), ("question", trial.spec.question.question_id, None), *tariffs]


def _parts(connection: Connection, trials: Sequence[Trial], numbers: _Numbers) -> list[Row]:
    """Conditions and questions that runs are first seen with."""
    named = {(t.run_id, kind, numbers.of(kind, id)) for t in trials for kind, id, _ in _names(t) if kind != "tariff"}
    sql = "select * from run_parts where run_id in (select id from wanted)"
    stored = tables.matching(connection, sql, {trial.run_id for trial in trials})
    fresh = sorted(named - {(row["run_id"], row["kind"], row["number"]) for row in stored}, key=repr)
    return [dict(zip(("run_id", "kind", "number"), part, strict=True)) for part in fresh]


def _steps(connection: Connection, trials: Sequence[Trial], numbers: _Numbers) -> list[Row]:
    waiting = {call.key for trial in trials for call in trial.calls if call.spend.calls == 0 and call.cut in _CLOSING}
    sizes = (
        {row["key"]: row["input_tokens"] for row in tables.matching(connection, _WAITING, waiting)} if waiting else {}
    )
    return [row for trial in trials for row in _Told(trial, numbers, sizes).rows()]


@dataclass
class _Told:
    """One trial, told in steps."""

    trial: Trial
    numbers: _Numbers
    sizes: Mapping[str, int]
    """Prompt tokens of completions that nobody read, by key."""
    _high: dict[str, int] = field(default_factory=dict)
    _walls: tuple[int, int] = (0, 0)
    """Output and total tokens so far."""
    _end: tuple[int, int] = (0, 0)
    """The same at the call that closed the trial."""

    def rows(self) -> list[Row]:
        """All rows in order."""
        trial, anytime = self.trial, self.trial.spec.condition.anytime
        calls = sorted(trial.calls, key=lambda call: call.ordinal) if anytime and trial.end != "stopped" else []
        self.closed = any(call.cut in _CLOSING for call in calls)
        full = any(call.cut in _BEYOND for call in calls)
        self.forever = trial.end == "exhausted" and (full or not anytime)
        self.scored = trial.end != "stopped" and (self.closed or trial.end == "finished" or self.forever)
        self.last = len(calls) - 1
        self.changes = _changes(trial.marks, self.last) if anytime and self.scored else {}
        self.head = self._head()
        told = [*self._present(), *(self._call(at, call) for at, call in enumerate(calls) if self.scored)]
        return [*told, *self._back(calls)] if self.scored and self.closed else told

    def _head(self) -> Row:
        spec = self.trial.spec
        return _EMPTY | {
            "trial_no": self.numbers.next("trial"), "condition_no": self.numbers.of(*_names(self.trial)[0]),
            "question_no": self.numbers.of(*_names(self.trial)[1]), "repeat": _whole(spec.repeat),
            "fate": _FATES[self.trial.end],
        }  # fmt: skip

    def _tariff(self, model: str) -> int | None:
        """The number of a model's price; None for a model that is not of the line-up, whose price nobody asked."""
        return self.numbers.of("tariff", rows.snapshot_id(self.trial.spec.condition), model)

    def _home(self) -> int | None:
        """The first price of the line-up, which stands for it where no model was called."""
        return self.numbers.of(*min(_names(self.trial)[2:], key=lambda name: str(name[2])))

    def _present(self) -> list[Row]:
        """Kind 0: one row, or one per model where the strategy is not anytime."""
        trial, anytime = self.trial, self.trial.spec.condition.anytime
        spends = [] if anytime or not self.scored else list(trial.spends)
        first = {"n": 1, "n_exhausted": int(self.forever or self.last >= 0)} if self.scored else _LOST[trial.end]
        told = self.changes.get(-1, {}) if anytime else _verdict(trial, self.scored)
        alone = trial.end == "finished" and self.last < 0 and trial.verdict == "right"
        first = first | told | {"n_right_finished": int(self.scored and alone)}
        parts = [(self._tariff(s.model) or self._home(), _spent(s.spend)) for s in spends] or [(self._home(), {})]
        return [
            self.head | {"ordinal": -1, "kind": 0, "tariff_no": tariff} | spent | (first if place == 0 else {})
            for place, (tariff, spent) in enumerate(parts)
        ]

    def _call(self, at: int, call: Call) -> Row:
        """Kind 1, or 2 for the call that closed the trial."""
        closing = call.cut in _CLOSING
        more = self._more(call)
        self._walls = (self._walls[0] + more["more_output"], self._walls[1] + more["more_input"] + more["more_output"])
        row = self.head | {name: _whole(value) for name, value in more.items()} | _at(self._walls) | _spent(call.spend)
        row |= {"ordinal": at, "kind": 2 if closing else 1, "tariff_no": self._tariff(call.model)}
        if closing:
            self._end = (max(self._end[0], self._walls[0]), max(self._end[1], self._walls[1]))
            prompt = self.sizes.get(call.key, call.bound_tokens) if call.spend.calls == 0 else call.spend.input_tokens
            return row | {"calls": 1, "input_tokens": _whole(prompt)}
        last = at == self.last and not self.closed and not self.forever
        ended = {"n_exhausted": -1, "n_right_finished": int(self.trial.verdict == "right")} if last else {}
        return row | self.changes.get(at, {}) | ended

    def _more(self, call: Call) -> Row:
        """What a call adds to any wall: its whole reply, or one token where none was seen; nothing if it never went."""
        before, self._high[call.model] = self._high.get(call.model, 0), call.metered_input_tokens
        if call.cut in _BEYOND:
            return dict.fromkeys(("more_calls", "more_input", "more_output"), 0)
        unseen = 1 if call.cut in _CLOSING else call.spend.output_tokens
        seen = unseen if call.seen_output_tokens is None else call.seen_output_tokens
        return {"more_calls": 1, "more_input": call.metered_input_tokens - before, "more_output": seen}

    def _back(self, calls: Sequence[Call]) -> list[Row]:
        """Kind 3: everything taken back, one row per model that spent."""
        sums: defaultdict[str, Spend] = defaultdict(Spend)
        for call in calls:
            if call.cut not in _CLOSING:
                sums[call.model] += call.spend
        spent = [(self._tariff(model), spend) for model, spend in sorted(sums.items())] or [(None, Spend())]
        counts = {"n": -1, "n_exhausted": -1, "n_failed" if self.trial.end == "failed" else "n_censored": 1}
        counts |= {name: -sum(told.get(name, 0) for told in self.changes.values()) for name in _VERDICTS}
        return [
            self.head | _at(self._end) | {"ordinal": self.last + 1, "kind": 3, "tariff_no": tariff or self._home()}
            | {name: -value for name, value in _spent(spend).items()} | (counts if place == 0 else {})
            for place, (tariff, spend) in enumerate(spent)
        ]  # fmt: skip


_LOST: dict[str, Row] = {
    "failed": {"n_failed": 1}, "stopped": {"n_stopped": 1},
    "finished": {"n_censored": 1}, "exhausted": {"n_censored": 1},
}  # fmt: skip


def _changes(marks: Sequence[Mark], last: int) -> dict[int, Row]:
    """By call, -1 for before any, what its marks change in the verdict."""
    found: defaultdict[int, Row] = defaultdict(lambda: dict.fromkeys(_VERDICTS, 0))
    before = "none"
    for mark in sorted(marks, key=lambda mark: mark.ordinal):
        at = found[min(mark.after_calls - 1, last)]
        for name, verdict in _VERDICTS.items():
            at[name] += (mark.verdict == verdict) - (before == verdict)
        before = mark.verdict
    return dict(found)


def _verdict(trial: Trial, scored: bool) -> Row:
    return {name: int(scored and trial.verdict == verdict) for name, verdict in _VERDICTS.items()}


def _spent(spend: Spend) -> Row:
    return {name: _whole(getattr(spend, name)) for name in steps.SPENDS}


def _at(walls: tuple[int, int]) -> Row:
    return {"output_wall": _whole(walls[0]), "total_wall": _whole(walls[1])}


def _whole(value: int) -> int:
    """A number that fits its column."""
    return max(-steps.MOST, min(steps.MOST, value))
