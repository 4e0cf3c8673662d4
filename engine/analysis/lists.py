"""What a database holds, as lists: runs, conditions, studies, questions, answers down to their calls, prices and bills.

`Lists` opens the file for each question and closes it again. Nothing here writes, and nothing is estimated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any, Self

import polars as pl

from engine.analysis import reader
from engine.analysis.lens import STORED, Lens
from engine.analysis.reader import Look, Read
from engine.analysis.rounds import Decided, decided
from engine.analysis.sql import chains, listings, token_roles
from engine.analysis.sql.chains import Chain
from engine.core.errors import UnknownName
from engine.store import archive, parquet
from engine.store.identity import fingerprint
from engine.store.store import Store
from engine.strategies.calibration import LABEL


class Lists:
    """One database, read-only: what is stored in it, row by row. Times are naive UTC."""

    def __init__(self, path: Path | str, *, wait_s: float = 30.0) -> None:
        self._store = Store(path, wait_s=wait_s)
        self._look: Look | None = None
        self._last: tuple[Look, tuple[int, ...]] | None = None
        """The last look, and the file's fingerprint then."""

    @property
    def path(self) -> Path:
        """The database file."""
        return self._store.path

    def is_demo(self) -> bool:
        """Whether this is the demo that is only read."""
        return self._store.is_demo()

    @contextmanager
    def still(self) -> Iterator[Self]:
        """These results on one open connection, for this block: one state of the file, and each question cheaper."""
        with self._looking() as look:
            # A copy, so that this one goes on opening the file for each question, on any thread.
            same = copy(self)
            same._look = look
            yield same

    def runs(self) -> pl.DataFrame:
        """Runs, newest first: columns as `store.RunRow`; times naive UTC, money in pico-dollars."""
        return self._listing("runs")

    def conditions(self) -> pl.DataFrame:
        """Conditions with label, simulated and run_ids; columns else as the table; budget in the unit of axis.

        `reader`: the version that read their answers (`core.answers.READER_VERSION`), null where several did.
        `model` is the solver, or for a line-up all its models: 'small → large'.
        """
        with self._reading(STORED) as read:
            frame = read.look.conditions
        rows = reader.described(frame)
        kinds = {"model": pl.String, "label": pl.String, "simulated": pl.Boolean}
        return frame.with_columns(
            pl.Series(name, [row[name] for row in rows], dtype=kind) for name, kind in kinds.items()
        )

    def studies(self) -> pl.DataFrame:
        """What each study asked for, task by task, the one that ran last at the end: columns study, task, list (studies
        with the same number asked the same questions of the task), n_questions, and the condition_ids."""
        with self._reading(STORED) as read:
            asked = read.look.asked
        lists: dict[str, list[Any]] = {}
        rows = []
        for each in asked:
            known = lists.setdefault(each.task, [])
            if each.listed not in known:
                known.append(each.listed)
            place = known.index(each.listed)
            rows.append((each.study, each.task, place, each.planned, sorted(each.conditions)))
        schema = {"study": pl.String, "task": pl.String, "list": pl.Int64, "n_questions": pl.Int64}
        return pl.DataFrame(rows, schema=schema | {"condition_ids": pl.List(pl.String)}, orient="row")

    def questions_of(self, study: str, task: str) -> frozenset[str]:
        """Ids of the questions a study asked of a task; empty: it did not ask that task."""
        with self._reading(STORED) as read:
            lists = [each.questions for each in read.look.asked if (each.study, each.task) == (study, task)]
        return lists[0] if lists else frozenset()

    def asked_of(self, study: str) -> tuple[list[str], list[str]]:
        """Ids of the conditions and the questions a study asked for. Raises UnknownName for one that is not there."""
        with self._reading(STORED) as read:
            rows, within = read.look.within({"study": study})
            return [row["condition_id"] for row in rows], sorted(within.questions if within else ())

    def questions(self, *, counted: bool = True) -> pl.DataFrame:
        """Questions with text, target, category and the number of trials asked of each.

        `counted`: False leaves that number out, for which all trials are gone through."""
        return self._listing("counted" if counted else "questions")

    def decisions(self, study: str | None = None, run_id: str | None = None) -> list[Decided]:
        """What adaptive runs decided and why, a record for each run and task, oldest first; of one study or run."""
        with self._looking() as look:
            looked, stops = look.decided
            if not looked:
                return []
            known, lengths = look.known, listings.order_lengths(look.connection)
            members: dict[tuple[str, str], set[str]] = {}
            for each in look.asked:
                for condition, runs in each.conditions.items():
                    for run in runs:
                        members.setdefault((run, each.task), set()).add(condition)
        rows = {key: [row for row in known.conditions if row["condition_id"] in ids] for key, ids in members.items()}
        return decided(looked, stops, rows, known.studies, lengths, study, run_id)

    def trial_rows(self, condition_id: str) -> pl.DataFrame:
        """The last attempt of each trial of a condition: question, end, verdict, answer, spend; usd null if unknown."""
        with self._looking() as look:
            return listings.trial_rows(look.connection, condition_id)

    def transcript(self, trial_id: str) -> pl.DataFrame:
        """The calls of a trial's last attempt in order.

        messages is JSON [[role, content], ...]; reply is the whole stored text (a call cut by the budget was never
        shown to the strategy), null where there was none; answer and verdict are of the mark left right after the call.
        """
        with self._looking() as look:
            return listings.transcript(look.connection, trial_id)

    def chains(
        self,
        condition_id: str,
        study: str | None = None,
        *,
        most: int | None = None,
        keys: Collection[str] | None = None,
    ) -> list[Chain]:
        """The stored thoughts of a condition, on a study's questions or on all; see `analysis.sql.chains`."""
        return self.chains_of([condition_id], study, most=most, keys=keys)[condition_id]

    def chains_of(
        self,
        condition_ids: Iterable[str],
        study: str | None = None,
        *,
        most: int | None = None,
        keys: Collection[str] | None = None,
    ) -> dict[str, list[Chain]]:
        """`chains` of several conditions in one pass. Raises UnknownName for an id or a study that is not there."""
        ids = [*condition_ids]
        with self._looking() as look:
            questions = self._questions_on(look, ids, study)
            return chains.chains(look.connection, ids, questions, most=most, keys=keys)

    def n_chains(self, condition_id: str, study: str | None = None) -> tuple[int, int]:
        """How many thoughts `chains` has, and how many of them are visible. Raises UnknownName as it does."""
        with self._looking() as look:
            return chains.count(look.connection, condition_id, self._questions_on(look, [condition_id], study))

    def _questions_on(self, look: Look, condition_ids: Sequence[str], study: str | None) -> frozenset[str] | None:
        """What a study asked of the tasks of conditions; None: no study is named."""
        tasks = {row["task"] for row in look.known.named(condition_ids)}
        return None if study is None else frozenset().union(*(self.questions_of(study, task) for task in tasks))

    def token_roles(self, study: str | None = None) -> pl.DataFrame:
        """Where the tokens of a study's settings went, by the role of the calls: one row per condition for all calls
        together (role null), and one per role, in mean tokens per answer as it was run.

        Columns condition_id, task, label, model, strategy, setting (its name for people), role, calls, input_tokens (of
        them cached_tokens), output_tokens (of them reasoning_tokens), total_tokens with its 95% interval over questions
        (low, high; null for one question), n_answers, n_questions. None: all studies, on all questions. Raises
        UnknownName for a study that is not there."""
        # A calibration searches with the targets at hand: its tokens are no setting's.
        settings = self.conditions().filter(pl.col("strategy") != LABEL)
        questions = None
        if study is not None:
            asked = self.studies()
            if (rows := asked.filter(study=study)).is_empty():
                raise UnknownName("study", study, asked["study"].unique().sort())
            settings = settings.filter(pl.col("condition_id").is_in(rows["condition_ids"].explode().implode()))
            questions = {task: self.questions_of(study, task) for task in rows["task"]}
        with self._looking() as look:
            frame = token_roles.token_roles(look.connection, settings["condition_id"].to_list(), questions)
        return token_roles.arranged(frame, settings)

    def bill(self, run_id: str | None = None, by: Sequence[str] = ("run_id", "model", "role")) -> pl.DataFrame:
        """What runs paid, replayed and would pay afresh, one row per combination of `by` (some of `bill.BY`).

        calls: those of the last attempt of each trial, refused ones not counted. attempts, retries: dispatches, and
        those of them that repeat another. tokens, billed_pusd: charged for attempts with a known outcome; 0 for local
        models. replayed_pusd: what replies that were already paid had cost, once per reading. list_pusd: the replies of
        all calls at the price snapshot, cached input as plain, bought one by one; `assumed`: at a stand-in price.
        in_doubt_pusd: charged at the worst case for attempts without outcome. provider_pusd: what providers said they
        billed, null where none did; difference_pusd: that minus ours, where both are known. Money is null when the
        price of any part is unknown. An attempt counts for the call that read its reply first; role and condition_id
        are null where no stored trial did. With `model` comes `name`, what the study calls it.
        """
        with self._looking() as look:
            return listings.bill(look.connection, run_id, by)

    def failures(self, **filters: Any) -> list[tuple[str | None, int]]:
        """Why trials of what these filters show failed, with how many, those whose last attempt did; commonest first.

        None: no reason was stored. Filters: `reader.FILTERS`."""
        with self._reading(STORED) as read:
            rows, within = read.look.within(filters)
            questions = None if within is None else sorted(within.questions)
            return listings.failures(read.connection, [row["condition_id"] for row in rows], questions)

    def snapshots(self, *, counted: bool = True) -> pl.DataFrame:
        """Prices stored with trials, one row per snapshot and model, a model's newest first.

        Columns: name (what studies call it), model (identity), the rates in pico-dollars per token, source, as_of,
        assumed, snapshot_id, n_trials, first_used and last_used (naive UTC, null: no trial is left), and tiers: the
        rates by threshold, the base first, with the fee of a request; empty for a price of one rate. `counted`: False
        leaves n_trials, first_used and last_used out, for which all trials are gone through.
        """
        with self._reading(STORED) as read:
            frame = listings.snapshots(read.connection, counted)
            return frame if counted else frame.drop("n_trials", "first_used", "last_used")

    def older(self, **filters: Any) -> list[str]:
        """What is to be said of conditions that an older version of the reading of answers read; empty: there are none.

        Numbers of two versions never stand together: of each task those are read that the newest version read whole.
        Filters: `reader.FILTERS`.
        """
        with self._reading(STORED) as read:
            return reader.older(read.look.within(filters)[0])

    def notes(self, **filters: Any) -> list[str]:
        """What is to be said beside what these filters show: studies that are not pooled, as they asked other
        questions, and conditions that an older version read."""
        with self._reading(STORED) as read:
            rows, within = read.look.within(filters)
            return [
                *self.archived(filters.get("study")),
                *(within.notes if within else ()),
                *reader.older(rows),
                *reader.scored_unlike(rows),
            ]

    def archived(self, study: str | None = None) -> list[str]:
        """That this is an archive, where it is one; of a database what was archived of it, unless a study is named."""
        if parquet.is_archive(self._store.path):
            kept = parquet.manifest(self._store.path)
            back = "`budgetscope restore` brings it back"
            return [f"{kept.study} was archived on {kept.archived_at:%Y-%m-%d} and is read in place; {back}."]
        return [
            f"{kept.study} was archived on {kept.archived_at:%Y-%m-%d} and is in none of this; `budgetscope runs` says "
            "where it lies."
            for _, kept in (archive.archives(self._store.path) if study is None else ())
        ]

    def _listing(self, name: str) -> pl.DataFrame:
        with self._looking() as look:
            return listings.listing(look.connection, name)

    @contextmanager
    def _looking(self) -> Iterator[Look]:
        if self._look:
            yield self._look
            return
        last, before = self._last, fingerprint(self._store.path)
        with self._store.reading() as connection:
            # No other process writes to the file while it is open for reading.
            same = last is not None and last[1] == fingerprint(self._store.path)
            look = Look(connection, last[0] if last and same else None)
            # As it was before the look: what a thread of this process wrote since is never taken for what was read.
            self._last = look, before
            try:
                yield look
            finally:
                look.measured.clear()

    @contextmanager
    def _reading(self, lens: Lens) -> Iterator[Read]:
        with self._looking() as look:
            yield Read(look, lens)
