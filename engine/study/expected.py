"""A study before it runs: what it will probably spend, per condition and in all, beside what it can spend at most.

Two bills. `spent`: what trials spend of their budgets, replays in full, at list price. `bought`: what a run pays for. A
draw that several conditions share is bought by the first of them in the study; one that a finished condition of the
study has bought on the same question is not bought again. Replies of conditions outside the study would replay too, and
are not looked for: that takes a rehearsal of every trial.

Questions are the unit: conditions of a task are summed question by question before an interval is taken, because they
share their questions and draws; tasks err on their own. Reads the store's history, calls no model and writes nothing.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from engine.core.budget import Limits
from engine.core.records import Condition
from engine.store.store import Store, settled
from engine.study import history
from engine.study.history import NOTHING, QUANTITIES, USUAL_CV, Asked, Past, Vector
from engine.study.plan import Plan
from engine.study.prediction import Range, apart, further, slowest, together
from engine.study.upper_bound import Worst, upper_bound

Left = Mapping[frozenset[int], float]
"""Questions left to each set of conditions: a question belongs to the set that has yet to answer it."""
_Series = Mapping[str, Vector]
"""By question, what all its repeats come to."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected of the trials that are left to run, quantity by quantity."""

    calls: Range
    input_tokens: Range
    output_tokens: Range
    total_tokens: Range
    pusd: Range | None
    """List price; None: the price of a model is unknown."""
    bought_calls: Range
    bought_tokens: Range
    bought_pusd: Range | None
    """What counts towards a money ceiling: 0 for a local model; None: the price is unknown."""
    seconds: Range | None
    """By the pace the store has seen; in all with a run's start and end. None: it has seen no pace."""


@dataclass(frozen=True)
class Prospects:
    """Everything an expectation is made of; conditions go by their place in the study."""

    conditions: Sequence[Condition]
    worst: Sequence[Worst]
    """Of one trial of each."""
    local: Sequence[bool]
    """Whether nobody bills its models."""
    past: Past
    left: Left
    repeats: int = 1

    def line(self, place: int) -> Expectation | None:
        """One condition; None: it has no history and trials are left."""
        return self._expectation([place], [self._group([place])]) if self._known([place]) else None

    def total(self) -> Expectation | None:
        """All conditions; None while one that is left to run has no history."""
        places = sorted(set().union(*self.left)) if self.left else []
        if not self._known(places):
            return None
        found = self._expectation(places, [self._group(group) for group in self._by_task(places)] or [self._group([])])
        seconds = None if found.seconds is None else together([found.seconds, self.past.around])
        return replace(found, seconds=seconds)

    def _known(self, places: Iterable[int]) -> bool:
        return all(place in self.past.trials for place in places if any(place in group for group in self.left))

    def _by_task(self, places: Sequence[int]) -> list[list[int]]:
        tasks = dict.fromkeys(self.conditions[place].task for place in places)
        return [[place for place in places if self.conditions[place].task == task] for task in tasks]

    def _expectation(self, places: Sequence[int], groups: Sequence[tuple[list[Range], list[Range]]]) -> Expectation:
        spent, bought = ([apart(each) for each in zip(*side, strict=True)] for side in zip(*groups, strict=True))
        calls, sent, got, tokens, money, _ = spent
        unpriced = [(place, s) for place in places for _, s in self.conditions[place].lineup if s.price is None]
        return Expectation(
            calls,
            sent,
            got,
            tokens,
            None if unpriced else money,
            bought[0],
            bought[3],
            None
            if any(not self.local[place] and s.identity not in self.past.free for place, s in unpriced)
            else bought[4],
            self._seconds(places),
        )

    def _seconds(self, places: Sequence[int]) -> Range | None:
        """Models work side by side, so the slowest counts; a line-up's calls are one after another, its solver's."""
        models: dict[str, list[int]] = {}
        for place in places:
            models.setdefault(self.conditions[place].solver.identity, []).append(place)
        if not {s.identity for place in places for _, s in self.conditions[place].lineup} <= set(self.past.pace):
            return None
        times = (
            apart(self._group(group)[1][-1] for group in self._by_task(mine)).times(self.past.pace[model])
            for model, mine in models.items()
        )
        return slowest(times) or Range()

    def _group(self, places: Sequence[int]) -> tuple[list[Range], list[Range]]:
        """As `_worked_out`, once for all who ask."""
        key = tuple(places)
        if key not in self._kept:
            self._kept[key] = self._worked_out(places)
        return self._kept[key]

    @functools.cached_property
    def _kept(self) -> dict[tuple[int, ...], tuple[list[Range], list[Range]]]:
        return {}

    def _worked_out(self, places: Sequence[int]) -> tuple[list[Range], list[Range]]:
        """Spent and bought of conditions of one task, per quantity."""
        shared = self._shared(places)
        if shared is None:
            alone = [self._group([place]) for place in places]
            return _summed([each[0] for each in alone]), _summed([each[1] for each in alone])
        spent, bought = [], []
        for group, questions in self.left.items():
            mine = [place for place in places if place in group]
            if mine:
                paid = {question: self._spent(mine, question) for question in shared}
                spent.append(self._ranges(mine, paid, paid, questions))
                bill = {question: self._bought(mine, group, question) for question in shared}
                bought.append(self._ranges(mine, bill, paid, questions))
        return _summed(spent), _summed(bought)

    def _shared(self, places: Sequence[int]) -> list[str] | None:
        """Questions that all these conditions have been asked; None: too few to learn from them together."""
        known = [self.past.trials.get(place, {}) for place in places if any(place in group for group in self.left)]
        shared = sorted(set.intersection(*map(set, known))) if known else []
        enough = len(known) < 2 or 2 * len(shared) >= min(map(len, known))
        return shared if enough else None

    @functools.cached_property
    def _beside(self) -> dict[int, list[int]]:
        """By condition, all conditions of its task."""
        groups = self._by_task(range(len(self.conditions)))
        return {place: group for group in groups for place in group}

    def _asked(self, place: int, question: str) -> tuple[Asked, ...]:
        return self.past.trials.get(place, {}).get(question, ())

    def _spent(self, places: Iterable[int], question: str) -> Vector:
        return _sum(self._repeated([asked.spend for asked in self._asked(place, question)]) for place in places)

    def _repeated(self, vectors: Sequence[Vector]) -> Vector:
        """What all repeats come to, by those that are stored."""
        return _scaled(_sum(vectors), self.repeats / len(vectors)) if vectors else NOTHING

    def _bought(self, places: Sequence[int], group: frozenset[int], question: str) -> Vector:
        """What is bought for `places` on a question that `group` has yet to answer."""
        stored = min(len(self._asked(place, question)) for place in places)
        return self._repeated([_sum(self._bills(places, group, question, at)) for at in range(stored)])

    def _bills(self, places: Sequence[int], group: frozenset[int], question: str, at: int) -> Iterator[Vector]:
        known: set[str] = set()
        for place in sorted(self._beside[places[0]], key=lambda place: (place in group, place)):
            found = self._asked(place, question)[at : at + 1]
            for key, cost in found[0].bought.items() if found else ():
                if place in places and key not in known:
                    yield (*cost[:4], 0.0, cost[5]) if self.local[place] else cost
                known.add(key)

    def _ranges(self, places: Sequence[int], bill: _Series, paid: _Series, questions: float) -> list[Range]:
        """Intervals of what `questions` further questions come to, from what each of the seen ones did."""
        means = [self._means(place, list(paid)) for place in places]
        lifts, spreads, most = self._lift(places, means), self._spread(places, means), self._most(places)
        found = []
        for at, quantity in enumerate(QUANTITIES):
            seen = [vector[at] for vector in bill.values()]
            mean, whole = fmean(seen), fmean(vector[at] for vector in paid.values())
            cap = mean + lifts[at] * (mean / whole if whole else 1.0)
            found.append(further(seen, questions, spreads[at], cap, most.get(quantity)))
        return found

    def _means(self, place: int, questions: Sequence[str]) -> Vector:
        return _scaled(_sum(self._spent([place], question) for question in questions), 1 / len(questions))

    def _spread(self, places: Sequence[int], means: Sequence[Vector]) -> Vector:
        """Of a sum: half-way between parts that rise and fall together and parts that know nothing of each other."""
        known = [self.past.spread.get(self.conditions[place].strategy, USUAL_CV) for place in places]
        found = []
        for at, quantity in enumerate(QUANTITIES):
            parts = [mean[at] * cv[quantity] for mean, cv in zip(means, known, strict=True)]
            found.append((sum(parts) + math.hypot(*parts)) / 2 / (sum(mean[at] for mean in means) or 1))
        return tuple(found)

    def _lift(self, places: Sequence[int], means: Sequence[Vector]) -> Vector:
        """How far one trial at its cap stands above the mean; of several conditions, that runaways are rarely joint."""
        each = [self._runaway(place, mean) for place, mean in zip(places, means, strict=True)]
        return tuple(math.hypot(*(lift[at] for lift in each)) for at in range(len(QUANTITIES)))

    def _runaway(self, place: int, means: Vector) -> Vector:
        worst = self.worst[place]
        calls, _, got, _, _, work = (mean / self.repeats for mean in means)
        more = max(0.0, worst.output_tokens - got)
        price = max((s.price.output_pusd for _, s in self.conditions[place].lineup if s.price), default=0)
        return (max(0.0, worst.calls - calls), 0.0, more, more, more * price, work * more / got if got else 0.0)

    def _most(self, places: Sequence[int]) -> dict[str, float]:
        """What one question can cost at most; nothing bounds time, nor money without a price."""
        bounds = {q: [getattr(self.worst[place], q) for place in places] for q in QUANTITIES if q != "work_ms"}
        return {q: self.repeats * float(sum(each)) for q, each in bounds.items() if None not in each}


def _summed(parts: Sequence[Sequence[Range]]) -> list[Range]:
    return [together(each) for each in zip(*parts, strict=True)] if parts else [Range()] * len(QUANTITIES)


def _sum(vectors: Iterable[Vector]) -> Vector:
    return tuple(map(sum, zip(NOTHING, *vectors, strict=True)))


def _scaled(vector: Vector, factor: float) -> Vector:
    return tuple(value * factor for value in vector)


@dataclass(frozen=True, slots=True)
class Prospect:
    """One condition."""

    condition: Condition
    trials: int
    """Planned."""
    stored: int
    """Of these, answered by the store: they run no more."""
    seen: int
    """Questions of history the expectation is learnt from."""
    short: bool
    """True: it has stored trials, but a smaller budget cut them, so they are no history."""
    expected: Expectation | None
    """Of the trials left to run; None: no history."""
    worst: Worst
    """Of the trials left to run."""


@dataclass(frozen=True, slots=True)
class ExpectedSpend:
    """All of it."""

    lines: tuple[Prospect, ...]
    expected: Expectation | None
    """In all; None while a condition that is left to run has no history."""
    worst: Worst
    ceiling: Limits
    assumed: bool
    """True: some price is a stand-in for a model nobody bills."""

    @property
    def unknown(self) -> int:
        """Conditions that are left to run and have no history."""
        return sum(line.expected is None for line in self.lines)

    @property
    def stored(self) -> int:
        """Trials the store answers already."""
        return sum(line.stored for line in self.lines)


def expected_spend(plan: Plan, db: Path) -> ExpectedSpend:
    """What `plan` will probably spend by the history in `db`; a database that is not there has none.

    Raises StoreError when it cannot be read.
    """
    bound, store = upper_bound(plan), Store(db)
    conditions = [line.condition for line in bound.lines]
    each = [line.worst.each() for line in bound.lines]
    free = frozenset(name for name, model in plan.models.items() if model.local)
    past = history.read(store, conditions, sum(one.calls for one in each), free)
    left = _left(plan, store)
    places = {condition.condition_id: place for place, condition in enumerate(conditions)}
    local = [all(plan.models[setting.identity].local for _, setting in one.lineup) for one in conditions]
    prospects = Prospects(conditions, each, local, past, _groups(plan, left, places), plan.study.repeats)
    trials_left = Counter(left.values())
    lines = []
    for place, line in enumerate(bound.lines):
        rest = trials_left[line.condition.condition_id]
        lines.append(
            Prospect(
                line.condition,
                line.worst.trials,
                line.worst.trials - rest,
                len(past.trials.get(place, ())),
                place in past.short,
                prospects.line(place),
                each[place].times(rest),
            )
        )
    worst = sum((line.worst for line in lines), Worst())
    return ExpectedSpend(tuple(lines), prospects.total(), worst, bound.ceiling, bound.assumed)


def _left(plan: Plan, store: Store) -> dict[tuple[str, int], str]:
    """Condition of every trial that is left to run, by its place in the plan."""
    done = store.done([spec.trial_id for spec in plan.specs]) if store.path.exists() else {}
    return {
        (spec.question.question_id, at): spec.condition.condition_id
        for at, spec in enumerate(plan.specs)
        if not settled(spec, done.get(spec.trial_id))
    }


def _groups(plan: Plan, left: dict[tuple[str, int], str], places: dict[str, int]) -> dict[frozenset[int], float]:
    """How many questions are left to which conditions, by the condition that has most repeats of them left."""
    open_trials: dict[str, Counter[int]] = {}
    for (question, _), condition in left.items():
        open_trials.setdefault(question, Counter())[places[condition]] += 1
    found: Counter[frozenset[int]] = Counter()
    for counts in open_trials.values():
        found[frozenset(counts)] += max(counts.values())
    return {group: trials / plan.study.repeats for group, trials in found.items()}
