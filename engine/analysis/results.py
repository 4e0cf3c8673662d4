"""What a database says: cells, curves, frontiers and differences as polars frames, and what follows from a choice.

What it holds, down to the transcript, is in `lists`. Nothing here writes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from engine.analysis import advice, frontier, stats
from engine.analysis import cells as curves
from engine.analysis.advice import Advisor
from engine.analysis.advice.decide import MARGIN, Decision
from engine.analysis.guessing import guessing
from engine.analysis.lens import STORED, Lens
from engine.analysis.lists import Lists
from engine.analysis.mechanisms import told
from engine.analysis.pairs import compare, equity, savings
from engine.analysis.pairs.compare import Cell, Comparison, Difference, Measured
from engine.analysis.pairs.equal_spend import EqualSpend, equal_spend
from engine.analysis.pairs.equity import Equity
from engine.analysis.pairs.savings import Savings, Traffic
from engine.analysis.stats import Correction
from engine.analysis.thinking import stated_budgets
from engine.analysis.thinking.stated_budgets import Elasticity
from engine.core.errors import UnknownName, UsageError
from engine.models.energy import WORLD, EnergyRange
from engine.strategies.calibration import LABEL


class Results(Lists):
    """Read-only view of one database. Money is US dollars and energy watt-hours in results; budgets on the axes 'usd'
    and 'wh' count millionths of a millionth of these."""

    def cells(
        self, axis: str | None = None, budgets: Sequence[int] | None = None, lens: Lens = STORED, **filters: Any
    ) -> pl.DataFrame:
        """One row per (condition, budget), columns `cells.CELL_SCHEMA`, on the questions of one study, or of studies
        that asked the same; see `reader.FILTERS` and `notes`.

        Anytime conditions are read at `budgets` (default: those their studies declare) on `axis` (default: their own;
        any other of `lens.READING_AXES` is a re-cut below each trial's horizon); others have the one cell they ran at.
        Filters, one value or several: `reader.FILTERS`. `lens`: other prices, energy figures; see `lens.Lens`.
        n_planned: questions on the list; partial: fewer than 95 % of them are scored. n_shared: see `frontier`.
        stopped_at: after so many questions an adaptive study asked the setting no further (null: it did not), and
        stopped the verdict that ended it; such a cell is not partial, has no interval and is judged beside no other.
        n_draws: settings that make one request are read with so many draws of it, as means; 1: as they were run, and
        where votes drew more than 20,000 (`analysis.sql.draws`). Their trials are counted once a draw. guess, chance:
        what one fixed answer to all questions of the list scores, and a blind choice of an option; null where nobody
        knows (`analysis.guessing`).
        mechanism, idle: what trials state of the strategy's mechanism, see `mechanisms`; null where nothing was stated.

        accuracy: question means over scored repeats, then over questions; `_low`, `_high` 95 %. Failed and stopped
        trials are counted, never scored; `n_censored` trials ran to a wall and say nothing at this budget;
        `n_exhausted` counts scored trials that the budget ended (`much_cut`: over 10 % of them), `n_none` those without
        an answer. accuracy_finished: over the others alone, which are the easy ones where the budget ends many: read it
        beside accuracy, never for it; null when none finished. usd: mean list price per question at the stored
        snapshot or the lens's, null when the price of any model is unknown; `usd_assumed` when a price is a stand-in.
        local: all its models run on this machine, so that nobody bills them whatever their price.
        wh: watt-hours by the lens, null when it lacks a model. Spends are null when nothing is scored.
        """
        return self.measured(axis, budgets, filters, lens)[0]

    def curve(
        self,
        condition_id: str,
        axis: str | None = None,
        points: Sequence[int] | None = None,
        lens: Lens = STORED,
        study: str | None = None,
    ) -> pl.DataFrame:
        """Accuracy of a condition by budget, columns `curves.CURVE_SCHEMA`.

        Rows at every budget where accuracy or n changes, or at `points`. `n` questions and `n_trials` scored trials,
        `n_censored` left at their horizon; `spend` is the expected spend at this budget on the axis (US dollars on
        'usd', watt-hours on 'wh'; a call cut by the budget counts fractions of a token there). A condition that is not
        anytime has one row.
        """
        return self.curves([condition_id], axis, points, lens, study=study).drop("condition_id", "axis")

    def curves(
        self,
        ids: Sequence[str],
        axis: str | None = None,
        points: Sequence[int] | None = None,
        lens: Lens = STORED,
        orders: int | None = None,
        study: str | None = None,
    ) -> pl.DataFrame:
        """The curves of several conditions in one pass: columns condition_id, axis and those of `curve`.

        Numbers are those of `curve`, bit for bit. In the order of `ids`; `axis` says what budget and spend count, which
        may differ from condition to condition when none is asked for. `study`: on its questions; None: on all that a
        condition has. Raises UnknownName for an id that is not there, UsageError for one the study did not ask for.

        `orders`: read votes (`majority_at_k.VOTING`) not in the one order their draws came in but in so many seeded
        random ones, exactly over all of them on the axis of calls; 64 is plenty, 1 is the run itself. Trials that a
        wall closed keep their one order. The same expectation with less noise: over 12 draws a question the squared
        width of intervals on the tracked runs falls 5.8-fold at 1 draw, 2.4-fold at 4, 1.4-fold at 8, not at all from
        11 on. Off by default: cells, frontiers and differences read the run that was paid for, and its curve passes
        through its cells. Where a vote is tied the orders disagree, so the last point may differ from the run's.
        """
        with self._reading(lens) as read:
            known = read.known()
            conditions = known.named(ids)
            # The questions of the study, and what one version read of each task; which conditions there are is known
            # already.
            shown = read.look.shown({"study": study, "condition_id": list(ids)})
            if study is not None:
                asked = {row["condition_id"]: row for row in read.look.within({"study": study, "condition_id": ids})[0]}
                for id in (id for id in ids if id not in asked):
                    raise _not_asked(study, id)
                # The study's own rows: they name the budgets that it asked for, and other studies may have asked for
                # more.
                conditions = [asked[id] for id in dict.fromkeys(ids)]
            read = read.of(replace(shown, conditions=conditions))
            # No budgets: a curve is read at every wall, and only needs to know on which axis.
            where = read.placed(known, conditions, axis, [])
            steps = read.steps(conditions, where)
            if orders is not None:
                # After the steps were summed: the orders change what is answered, and no spend.
                steps = read.recounted(steps, conditions, where, points, orders)
        return curves.curves(steps, where, points)

    def frontier(
        self,
        x: str = "output_tokens",
        task: str | Sequence[str] | None = None,
        kind: frontier.Kind = "staircase",
        replicates: int = 1000,
        seed: int = 0,
        axis: str | None = None,
        budgets: Sequence[int] | None = None,
        lens: Lens = STORED,
        **filters: Any,
    ) -> pl.DataFrame:
        """Cells with their place on the frontier of their task: columns of `cells`, and

        x: mean spend per question (a column of `curves.MEANS`), never the budget; on_frontier: the point estimate;
        p_frontier: share of joint bootstrap replicates that put the cell on it, those that only a tie with a cheaper
        cell keeps off counted half, null of one question, document or point; verdict: frontier (on it, ties not
        counted, in 95 % of the replicates, more where questions are few, and beside every other cell surely cheaper or
        surely more accurate), dominated (p at most 5 %, and one cheaper cell better beyond what the best of so many
        would be by luck), undecided, partial (under 95 % of the questions: neither judged nor compared with), null
        (spend or accuracy unknown). Ties: cells equal in spend and accuracy stand or fall together; tied: on it with
        such a one of another setting.

        n_shared: questions that all full cells of the task have scored. Where they are 90 % of the list, all numbers of
        full cells are those on them, else each cell's on its own; `common.shared_sentences` says which.
        """
        cells, units = self.measured(axis, budgets, {"task": task, **filters}, lens)
        return frontier.frontier(cells, units, x, kind, replicates, seed)

    def band(
        self,
        x: str = "output_tokens",
        task: str | Sequence[str] | None = None,
        replicates: int = 1000,
        seed: int = 0,
        axis: str | None = None,
        budgets: Sequence[int] | None = None,
        lens: Lens = STORED,
        **filters: Any,
    ) -> pl.DataFrame:
        """10-90 % band of the bootstrap staircases on a log grid: columns task, x, low, middle, high."""
        cells, units = self.measured(axis, budgets, {"task": task, **filters}, lens, explain=False)
        return frontier.band(cells, units, x, replicates, seed)

    def difference(
        self, a: Cell, b: Cell, replicates: int = 2000, seed: int = 0, study: str | None = None
    ) -> Difference:
        """Accuracy of cell `a` minus that of `b` on the questions both have, with interval and test.

        `study`: on its questions alone; here and in every comparison."""
        read = self._read([a, b], study=study)
        return compare.difference(read[a].units, read[b].units, stats.Sample(replicates, seed))

    def compare(
        self,
        a: Cell,
        b: Cell,
        by: str = "category",
        replicates: int = 2000,
        seed: int = 0,
        lens: Lens = STORED,
        study: str | None = None,
    ) -> Comparison:
        """Cell `a` against cell `b` in full, on the questions both have; see `Comparison`.

        `by`: a column of `questions`, or a key of their `data`, as for `equity`. Raises UnknownName for a condition or
        a column that is not there.
        """
        groups = equity.groups(self._asked_of(a, b), by)
        read = self._read([a, b], lens, study)
        return compare.compare(read[a], read[b], groups, stats.Sample(replicates, seed))

    def equal_spend(
        self,
        a: str,
        b: Cell,
        x: str = "output_tokens",
        axis: str | None = None,
        budgets: Sequence[int] | None = None,
        replicates: int = 2000,
        seed: int = 0,
        lens: Lens = STORED,
        study: str | None = None,
    ) -> EqualSpend:
        """Condition `a`, at the budget where its mean spend `x` equals that of cell `b`, against `b`; see `EqualSpend`.

        `a` is read at `budgets` on `axis` (default: those its studies declare, b's axis). Raises UnknownName for a
        condition or a spend that is not there.
        """
        if x not in curves.MEANS:
            raise UnknownName("spend", x, curves.MEANS)
        read = self._read([b], lens, study)[b]
        frame, units = self.measured(
            axis or read.cell.axis, budgets, {"condition_id": a, "study": study}, lens, explain=False
        )
        if frame.is_empty():
            raise UnknownName("condition", a, self.conditions()["condition_id"].to_list())
        by_budget = [units.filter(budget=wall) for wall in sorted(set(frame["budget"]))]
        return equal_spend(by_budget, read.units, x, stats.Sample(replicates, seed))

    def comparisons(
        self,
        asked: Sequence[tuple[Cell, Cell]] | Sequence[Cell],
        against: Cell | None = None,
        correction: Correction = "holm",
        replicates: int = 2000,
        seed: int = 0,
        study: str | None = None,
    ) -> pl.DataFrame:
        """Pairs of cells, or cells each `against` one baseline: a frame of columns `compare.MANY_SCHEMA`, in order.

        p_adjusted counts all rows: by Holm (the chance of any false finding) or 'bh' (the expected share of false
        ones). The 95 % intervals are those of each row alone.
        """
        both = compare.both(asked, against)
        read = self._read([cell for pair in both for cell in pair], study=study)
        sample = stats.Sample(replicates, seed)
        return compare.comparisons([(read[a], read[b]) for a, b in both], correction, sample)

    def mechanisms(
        self, axis: str | None = None, budgets: Sequence[int] | None = None, lens: Lens = STORED, **filters: Any
    ) -> pl.DataFrame:
        """Whether the mechanism each strategy is named for was at work: columns `mechanisms.MECHANISM_SCHEMA`, one row
        per (condition, budget, fact), read as `cells` are.

        kind: could_work, whether what the mechanism rests on was there; acted, whether it changed what was done.
        share: of the questions on which it was stated by a call that the budget covers, mean over their trials; low,
        high: 95 %. idle: what it rests on was surely there on fewer than one question in five. No row: nothing was
        stated, which is unknown.
        """
        with self._reading(lens) as read:
            shown = read.look.shown(filters)
            read = read.of(shown)
            return read.mechanisms(shown.conditions, read.placed(read.known(), shown.conditions, axis, budgets))

    def measured(
        self,
        axis: str | None,
        budgets: Sequence[int] | None,
        filters: Mapping[str, Any],
        lens: Lens = STORED,
        *,
        explain: bool = True,
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Cells and the per-question sums they are made of: of each task those that one version read; see `older`.

        `explain`: False where nobody looks at the mechanism, which costs a pass over the steps of its own."""
        with self._reading(lens) as read:
            shown = read.look.shown(filters)
            asked = shown.key, axis, None if budgets is None else tuple(budgets), lens, explain
            if (found := read.look.measured.get(asked)) is not None:
                return found
            kept, read = read.look.measured, read.of(shown)
            where = read.placed(read.known(), shown.conditions, axis, budgets)
            units = read.units(shown.conditions, where)
            stated = read.mechanisms(shown.conditions, where) if explain else None
            stops = {row["condition_id"]: read.look.stops(row) for row in shown.conditions}
            blind = guessing(read.connection, {row["task"] for row in shown.conditions}, shown.questions)
        draws = read.drawn.counts if read.drawn else {}
        conditions = [
            {
                **row,
                "n_draws": draws.get(row["condition_id"], 1),
                "stops": stops[row["condition_id"]],
                "guess": blind[row["task"]].constant,
                "chance": blind[row["task"]].chance,
            }
            for row in shown.conditions
        ]
        cells = curves.cells(units, conditions, shown.planned)
        kept[asked] = cells if stated is None else told(cells, stated), units
        return kept[asked]

    def tasks(self, **filters: Any) -> tuple[str, ...]:
        """Tasks of the settings that filters leave, the one with most cells first; reads no answer."""
        with self._reading(STORED) as read:
            shown = read.look.shown(filters)
            where = replace(read, questions=shown.questions).placed(read.known(), shown.conditions, None, None)
        task_of, sizes = {row["condition_id"]: row["task"] for row in shown.conditions}, Counter[str]()
        for id, budgets in where.select("condition_id", "budgets").iter_rows():
            sizes[task_of[id]] += len(budgets)
        return tuple(sorted(sizes, key=lambda task: (-sizes[task], task)))

    def placed(self, axis: str | None = None, **filters: Any) -> pl.DataFrame:
        """Where settings are read, without reading an answer: as fast for a hundred thousand of them.

        Columns: condition_id, axis, anytime, budgets (those of `cells`, in the axis' unit, ascending) and n_draws.
        axis, filters: see `cells`.
        """
        with self._reading(STORED) as read:
            shown = read.look.shown(filters)
            drawn = read.of(shown).drawn
            where = read.of(shown).placed(read.known(), shown.conditions, axis, None)
        draws = [(drawn.counts if drawn else {}).get(id, 1) for id in where["condition_id"]]
        return where.with_columns(n_draws=pl.Series(draws, dtype=pl.Int64))

    def advise(
        self,
        task: str | None = None,
        x: str | None = None,
        axis: str | None = None,
        replicates: int = 1000,
        seed: int = 0,
        lens: Lens = STORED,
        **filters: Any,
    ) -> Advisor:
        """Whom to ask what to choose on a task: the cheapest setting that reaches, the best one under, and so on.

        x: the spend that is meant (default: the axis, else output_tokens); axis: what budgets count (default: each
        condition's own). No task: the only one there is. Raises UsageError, UnknownName.
        """
        # A calibration looks at the targets, so it is nothing to choose.
        known, sample = self.conditions().filter(pl.col("strategy") != LABEL), stats.Sample(replicates, seed)
        if filters.get("study") is not None:
            with self._reading(STORED) as read:
                asked = [row["condition_id"] for row in read.look.shown({"study": filters["study"]}).conditions]
            known = known.filter(pl.col("condition_id").is_in(asked))
        theirs = advice.task_of(known["task"], task)
        return Advisor(self, known, theirs, x or axis or "output_tokens", axis, filters, sample, lens)

    def decide(
        self,
        task: str | None = None,
        x: str = "output_tokens",
        *,
        spend_at_most: float | None = None,
        reach_at_least: float | None = None,
        margin: float = MARGIN,
        **filters: Any,
    ) -> Decision:
        """What to use for a task: the cheapest setting within `margin` of the most accurate one that is accepted.

        Accepted is a mean spend `x` a question of at most `spend_at_most` (in the column's unit) and a mean accuracy of
        at least `reach_at_least` (a share); None: no such limit. See `Decision`, and `advise` for lens, axis, seed and
        filters. No task: the only one there is. Raises UsageError, UnknownName.
        """
        return self.advise(task, x, **filters).decide(spend_at_most, reach_at_least, margin)

    def _read(self, cells: Sequence[Cell], lens: Lens = STORED, study: str | None = None) -> dict[Cell, Measured]:
        """Cells with budget and axis known, and their per-question sums; one reading for all at the same wall."""
        # A dict and no set: which of several unknown conditions is named must not depend on hashes.
        walls = {(cell.axis, cell.budget): None for cell in cells}
        measured: dict[Cell, Measured] = {}
        readers: set[int | None] = set()
        for axis, budget in walls:
            at_wall = [cell for cell in cells if (cell.axis, cell.budget) == (axis, budget)]
            ids = [cell.condition_id for cell in at_wall]
            filters = {"condition_id": ids, "study": study}
            frame, units = self.measured(axis, None if budget is None else [budget], filters, lens, explain=False)
            # Of every wall, since a pair may be read at two of them and has to be of one version all the same.
            readers |= set(frame["reader"])
            draws = dict(frame.select("condition_id", "n_draws").iter_rows())
            measured |= {cell: compare.at_largest(cell, units, draws.get(cell.condition_id, 1)) for cell in at_wall}
        missing = [cell for cell, read in measured.items() if read.units.is_empty()]
        # Looked at before what is missing: settings of an older version drop out of a reading, and are there all the
        # same.
        if (missing or len(readers) > 1) and self._players(*cells)["reader"].n_unique() > 1:
            raise UsageError(
                "These settings were read by different versions and cannot be compared; run the study of "
                "the older one again, which reads it anew from its stored replies."
            )
        for cell in missing:
            if study is not None and self._players(cell).height:
                raise _not_asked(study, cell.condition_id)
            raise UnknownName("condition", cell.condition_id, self.conditions()["condition_id"].to_list())
        return measured

    def elasticity(self, replicates: int = 2000, seed: int = 0, **filters: Any) -> Elasticity:
        """Told against used output tokens by task and model, of conditions that tell a budget; see `Elasticity`.

        Filters: `reader.FILTERS`. Empty frames where nothing was told.
        """
        with self._reading(STORED) as read:
            shown = read.look.shown(filters)
            trials = stated_budgets.trials(read.connection, stated_budgets.conditions(shown.conditions))
            if shown.questions is not None:
                trials = trials.filter(pl.col("question_id").is_in(sorted(shown.questions)))
        return stated_budgets.elasticity(trials, replicates, seed)

    def equity(
        self,
        a: Cell,
        b: Cell,
        by: str = "category",
        replicates: int = 2000,
        seed: int = 0,
        study: str | None = None,
    ) -> Equity:
        """Who pays for moving from `a` to the cheaper `b`: the change in accuracy group by group; see `Equity`.

        `by`: a column of `questions`, or a key of their `data` (dots go down, 'metadata.' is left out). Raises
        UnknownName for a condition or column that is not there, UsageError where the cells share no question.
        """
        groups, read = equity.groups(self._asked_of(a, b), by), self._read([a, b], study=study)
        cells, units = (read[a].cell, read[b].cell), (read[a].units, read[b].units)
        # Either is enough: a difference with a script in it says nothing about models.
        simulated = bool(self._players(a, b)["simulated"].any())
        return equity.equity(cells, units, groups, by, (replicates, seed), simulated)

    def savings(
        self,
        a: Cell,
        b: Cell,
        questions_per_day: float,
        zone: str = WORLD,
        energy: Mapping[str, EnergyRange] | None = None,
        lens: Lens = STORED,
        replicates: int = 2000,
        seed: int = 0,
        study: str | None = None,
    ) -> Savings:
        """Money, energy and carbon of a month with `a` and with `b`, and the accuracy between them; see `Savings`.

        `energy`: weights by model identity or name; None: those of models whose size is known (`energy.known_size`).
        Figures in `lens` come first. Raises UnknownName for a condition or zone, UsageError where the cells share no
        question.
        """
        traffic, players = Traffic(questions_per_day, zone), self._players(a, b)
        views = savings.lenses(lens, players["lineup"], energy)
        # The same trials through each lens: once half-way, and for ranges of sizes at both their ends.
        reads = [self._read([a, b], view, study) for view in views]
        cells, units = (reads[0][a].cell, reads[0][b].cell), [(read[a].units, read[b].units) for read in reads]
        labels = {"simulated": bool(players["simulated"].any()), "sources": savings.sources(views[0])}
        return savings.savings(cells, units, traffic, (replicates, seed), labels)

    def _asked_of(self, *cells: Cell) -> pl.DataFrame:
        """The questions of the tasks of some cells: those of others would blur what a column holds."""
        tasks, questions = self._players(*cells)["task"].unique(), self.questions(counted=False)
        return questions.filter(pl.col("task").is_in(tasks.implode())) if len(tasks) else questions

    def _players(self, *cells: Cell) -> pl.DataFrame:
        return self.conditions().filter(pl.col("condition_id").is_in([cell.condition_id for cell in cells]))


def _not_asked(study: str, condition_id: str) -> UsageError:
    return UsageError(f"The study {study!r} did not ask for {condition_id}; name a study that did, or none.")
