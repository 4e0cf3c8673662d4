"""A study before it runs: what it will probably spend, per condition and in all, beside what it can spend at most.

Two bills. `spent`: what trials spend of their budgets, replays in full, at list price. `bought`: what a run pays for. A
draw that several conditions share is bought by the first of them in the study; one that a finished condition of the
study has bought on the same question is not bought again. Replies of conditions outside the study would replay too, and
are not looked for: that takes a rehearsal of every trial.

Questions are the unit: conditions of a task are summed question by question before an interval is taken, because they
share their questions and draws; tasks err on their own. Reads the store's history, calls no model and writes nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean

from engine.core.budget import Limits, money_weights
from engine.core.records import Condition
from engine.store.store import Store, paid
from engine.study import history
from engine.study.history import NOTHING, QUANTITIES, USUAL_CV, Asked, Past, Vector
from engine.study.plan import Plan
from engine.study.prediction import Range, apart, further, slowest, together
from engine.study.upper_bound import Worst, upper_bound

Left = Mapping[frozenset[int], float]
"""Questions left to each set of conditions: a question belongs to the set that has yet to answer it."""
_Series = Mapping[str, Vector]
"""By question, what all its repeats come to."""
_Sides = tuple[list[Range], list[Range]]
"""What is spent and what is bought, each per quantity."""


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
    _sides: dict[tuple[int, ...], _Sides] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Worked out once for all who ask."""

    def line(self, place: int) -> Expectation | None:
        """One condition; None: it has no history and trials are left."""
        return self._expectation([place], [self._group([place])]) if self._known([place]) else None

    def total(self) -> Expectation | None:
        """All conditions; None while one that is left to run has no history."""
        places = sorted(set().union(*self.left)) if self.left else []
        if not self._known(places):
            return None
        # Tasks err on their own, so each is worked out as a whole before they are added.
        whole = self._expectation(places, [self._group(group) for group in self._by_task(places)] or [self._group([])])
        seconds = None if whole.seconds is None else together([whole.seconds, self.past.around])
        return replace(whole, seconds=seconds)

    def _known(self, places: Iterable[int]) -> bool:
        return all(place in self.past.trials for place in places if any(place in group for group in self.left))

    def _by_task(self, places: Sequence[int]) -> list[list[int]]:
        tasks = dict.fromkeys(self.conditions[place].task for place in places)
        return [[place for place in places if self.conditions[place].task == task] for task in tasks]

    def _expectation(self, places: Sequence[int], groups: Sequence[_Sides]) -> Expectation:
        """Of some conditions, by what each of their tasks comes to."""
        spent, bought = ([apart(each) for each in zip(*side, strict=True)] for side in zip(*groups, strict=True))
        calls, sent, got, tokens, money, _ = spent
        lineups = [(place, setting) for place in places for _, setting in self.conditions[place].lineup]
        unpriced = [(place, setting) for place, setting in lineups if setting.price is None]
        unbilled = all(self.local[place] or setting.identity in self.past.free for place, setting in unpriced)
        seconds = None
        if {setting.identity for _, setting in lineups} <= set(self.past.pace):
            # Models work side by side, so the slowest counts; a line-up's calls are one after another, its solver's.
            models: dict[str, list[int]] = {}
            for place in places:
                models.setdefault(self.conditions[place].solver.identity, []).append(place)
            times = (
                apart(self._group(group)[1][-1] for group in self._by_task(own)).times(self.past.pace[model])
                for model, own in models.items()
            )
            seconds = slowest(times) or Range()
        return Expectation(
            *(calls, sent, got, tokens, None if unpriced else money),
            *(bought[0], bought[3], bought[4] if unbilled else None),
            seconds,
        )

    def _group(self, places: Sequence[int]) -> _Sides:
        """Spent and bought of conditions of one task, per quantity."""
        key = tuple(places)
        if key in self._sides:
            return self._sides[key]
        known = [self.past.trials.get(place, {}) for place in places if any(place in group for group in self.left)]
        shared = sorted(set.intersection(*map(set, known))) if known else []
        if len(known) < 2 or 2 * len(shared) >= min(map(len, known)):
            sides: list[_Sides] = []
            for group, questions in self.left.items():
                if open_places := [place for place in places if place in group]:
                    paid = {question: self._spent(open_places, question) for question in shared}
                    bill = {question: self._bought(open_places, group, question) for question in shared}
                    ranges = (self._ranges(open_places, each, paid, questions) for each in (paid, bill))
                    sides.append((next(ranges), next(ranges)))
        else:
            # Too few questions were asked of all of them to learn from them together.
            sides = [self._group([place]) for place in places]
        spent, bought = (
            [together(each) for each in zip(*(side[at] for side in sides), strict=True)]
            if sides
            else [Range()] * len(QUANTITIES)
            for at in (0, 1)
        )
        self._sides[key] = spent, bought
        return spent, bought

    def _asked(self, place: int, question: str) -> tuple[Asked, ...]:
        return self.past.trials.get(place, {}).get(question, ())

    def _spent(self, places: Iterable[int], question: str) -> Vector:
        return _sum(self._repeated([answer.spend for answer in self._asked(place, question)]) for place in places)

    def _repeated(self, vectors: Sequence[Vector]) -> Vector:
        """What all repeats come to, by those that are stored."""
        return _scaled(_sum(vectors), self.repeats / len(vectors)) if vectors else NOTHING

    def _bought(self, places: Sequence[int], group: frozenset[int], question: str) -> Vector:
        """What is bought for `places` on a question that `group` has yet to answer."""
        task = self.conditions[places[0]].task
        beside = [place for place, condition in enumerate(self.conditions) if condition.task == task]
        repeats = []
        for at in range(min(len(self._asked(place, question)) for place in places)):
            known: set[str] = set()
            bills: list[Vector] = []
            # Who answered the question already has bought first; a draw is paid by the first that asks for it.
            for place in sorted(beside, key=lambda place: (place in group, place)):
                for answer in self._asked(place, question)[at : at + 1]:
                    for key, cost in answer.bought.items():
                        if place in places and key not in known:
                            bills.append((*cost[:4], 0.0, cost[5]) if self.local[place] else cost)
                        known.add(key)
            repeats.append(_sum(bills))
        return self._repeated(repeats)

    def _ranges(self, places: Sequence[int], bill: _Series, paid: _Series, questions: float) -> list[Range]:
        """Intervals of what `questions` further questions come to, from what each of the seen ones did."""
        means = [_scaled(_sum(self._spent([place], question) for question in paid), 1 / len(paid)) for place in places]
        spreads = [self.past.spread.get(self.conditions[place].strategy, USUAL_CV) for place in places]
        # How far one trial at its cap stands above the mean.
        lifts = []
        for place, mean in zip(places, means, strict=True):
            calls, _, got, _, _, work = (value / self.repeats for value in mean)
            more = max(0.0, self.worst[place].output_tokens - got)
            price = max((money_weights(s.price).output for _, s in self.conditions[place].lineup if s.price), default=0)
            more_calls = max(0.0, self.worst[place].calls - calls)
            lifts.append((more_calls, 0.0, more, more, more * price, work * more / got if got else 0.0))
        ranges = []
        for at, quantity in enumerate(QUANTITIES):
            # The spread of a sum: half-way between parts that rise and fall together and parts that know nothing of
            # each other.
            parts = [mean[at] * cv[quantity] for mean, cv in zip(means, spreads, strict=True)]
            spread = (sum(parts) + math.hypot(*parts)) / 2 / (sum(mean[at] for mean in means) or 1)
            seen = [vector[at] for vector in bill.values()]
            mean_bill, mean_paid = fmean(seen), fmean(vector[at] for vector in paid.values())
            # Runaways of several conditions are rarely joint, so their lifts add in squares.
            lift = math.hypot(*(each[at] for each in lifts))
            cap = mean_bill + lift * (mean_bill / mean_paid if mean_paid else 1.0)
            # Nothing bounds time, nor money without a price.
            bounds = [None if quantity == "work_ms" else getattr(self.worst[place], quantity) for place in places]
            most = None if None in bounds else self.repeats * float(sum(filter(None, bounds)))
            ranges.append(further(seen, questions, spread, cap, most))
        return ranges


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
    """Of these, paid for: they run no more, or are only read again."""
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
    places = {condition.condition_id: place for place, condition in enumerate(conditions)}
    local = [all(plan.models[setting.identity].local for _, setting in one.lineup) for one in conditions]
    # Of a setting that nobody has tried nothing is stored, which its id says at once among millions of trials.
    tried = store.tried([condition.condition_id for condition in conditions]) if store.path.exists() else set()
    asked = [spec.trial_id for spec in plan.specs if spec.condition.condition_id in tried]
    done = store.done(asked) if asked else {}
    trials_left: Counter[int] = Counter()
    by_question: dict[str, Counter[int]] = {}
    for spec in plan.specs:
        # What is only to be read again costs nothing.
        if not paid(spec, done.get(spec.trial_id)):
            place = places[spec.condition.condition_id]
            trials_left[place] += 1
            by_question.setdefault(spec.question.question_id, Counter())[place] += 1
    # A question counts for the condition that has most repeats of it left.
    left: Counter[frozenset[int]] = Counter()
    for counts in by_question.values():
        left[frozenset(counts)] += max(counts.values())
    questions_left = {group: trials / plan.study.repeats for group, trials in left.items()}
    prospects = Prospects(conditions, each, local, past, questions_left, plan.study.repeats)
    lines = [
        Prospect(
            condition=line.condition,
            trials=line.worst.trials,
            stored=line.worst.trials - trials_left[place],
            seen=len(past.trials.get(place, ())),
            short=place in past.short,
            expected=prospects.line(place),
            worst=each[place].times(trials_left[place]),
        )
        for place, line in enumerate(bound.lines)
    ]
    worst = sum((line.worst for line in lines), Worst())
    return ExpectedSpend(tuple(lines), prospects.total(), worst, bound.ceiling, bound.assumed)
