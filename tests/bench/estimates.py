"""How often the 90 % intervals of `engine.forecast` hold: pilots resampled from the conditions of a database.

    python -m tests.bench.estimates [results.duckdb] [--pilots 200] [--size 5]

Each pilot draws its questions per task, for all conditions alike, and predicts what the other questions came to. The
spread that is learnt from the store leaves out the task under test. Peers on the same pilots: the interval of Student,
and the same with logarithms. Prints one line per condition and one in all, for each quantity.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, stdev

from engine.core.records import Condition
from engine.models import open_model
from engine.store.store import Store
from engine.strategies import build
from engine.study import history
from engine.study.expected import Prospects
from engine.study.history import QUANTITIES, USUAL_CV, Past
from engine.study.plan import Plan
from engine.study.prediction import Range
from engine.study.schema import Study
from engine.study.upper_bound import Worst, upper_bound
from tests import ROOT

STUDENT = {2: 2.92, 3: 2.353, 4: 2.132, 5: 2.015, 7: 1.895, 9: 1.833, 11: 1.796, 15: 1.753, 23: 1.714}
SHOWN = ("output_tokens", "total_tokens", "pusd")


@dataclass
class Score:
    """Intervals of one kind: how many there were, held, lay above what came, and how wide they were."""

    held: list[bool] = field(default_factory=list)
    above: list[bool] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)

    def add(self, found: Range, actual: float) -> None:
        self.held.append(found.holds(actual))
        self.above.append(not self.held[-1] and actual < found.low)
        self.widths.append((found.high - found.low) / actual if actual else 0.0)

    @property
    def coverage(self) -> float:
        return fmean(self.held)

    def line(self) -> str:
        return (
            f"{self.coverage:6.1%} held, {fmean(self.above):5.1%} too high, width {fmean(self.widths):.2f} of what came"
        )


Scores = dict[tuple[str, str], Score]
"""By what was predicted (a condition, 'bought', a peer) and quantity."""


@dataclass(frozen=True)
class Stored:
    """The conditions of a database, and all that is known of them."""

    conditions: list[Condition]
    worst: list[Worst]
    past: Past

    @property
    def tasks(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for place, condition in enumerate(self.conditions):
            found.setdefault(condition.task, []).append(place)
        return found


def stored(db: Path, axis: str = "%") -> Stored:
    """What a copy of the database says, of conditions with budgets on `axis`; the file itself is not touched."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(shutil.copy(db, folder))
        plan = _plan(store, _names(store, axis))
        bound = upper_bound(plan)
        conditions = [line.condition for line in bound.lines]
        each = [line.worst.each() for line in bound.lines]
        return Stored(conditions, each, history.read(store, conditions, sum(one.calls for one in each)))


def _names(store: Store, axis: str) -> list[str]:
    with store.reading() as connection:
        sql = "select condition_id from conditions where axis like ? order by task, strategy, params"
        found = connection.execute(sql, [axis]).fetchall()
    return [name for (name,) in found]


def _plan(store: Store, names: Sequence[str]) -> Plan:
    trials = [trial for name in names for trial in store.trials(name)]
    conditions = {trial.spec.condition.condition_id: trial.spec.condition for trial in trials}
    settings = {setting.identity: setting for c in conditions.values() for _, setting in c.lineup}
    models = {identity: open_model(setting.name, {}, sends=False) for identity, setting in settings.items()}
    for identity, model in models.items():
        model.setting = settings[identity]
    strategies = {name: build(c.strategy, json.loads(c.params)) for name, c in conditions.items()}
    return Plan(Study("stored", (), (), (), ()), tuple(trial.spec for trial in trials), strategies, {}, models)


def measure(known: Stored, pilots: int, size: int, seed: int = 0) -> Scores:
    """Intervals from this many pilots of `size` questions against what the other questions came to."""
    scores: Scores = {}
    for task, places in known.tasks.items():
        questions = sorted(set.intersection(*(set(known.past.trials[place]) for place in places)))
        source = replace(known.past, spread=_others(known, task))
        chance = random.Random(f"{seed} {task}")
        for _ in range(pilots):
            chance.shuffle(questions)
            _one(known, source, places, questions[:size], questions[size:], scores)
    return scores


def _one(known: Stored, source: Past, places: list[int], asked: list[str], rest: list[str], scores: Scores) -> None:
    seen = {place: {question: source.trials[place][question] for question in asked} for place in places}
    left = {frozenset(places): float(len(rest))}
    local = [False] * len(known.conditions)
    prospects = Prospects(known.conditions, known.worst, local, replace(source, trials=seen), left)
    for place in places:
        found = prospects.line(place)
        assert found is not None
        for quantity in SHOWN:
            came = [_spent(known, place, question, quantity) for question in rest]
            shown = [_spent(known, place, question, quantity) for question in asked]
            _score(scores, _named(known.conditions[place]), quantity).add(getattr(found, quantity), sum(came))
            for peer, interval in PEERS.items():
                _score(scores, peer, quantity).add(interval(shown, len(rest)), sum(came))
    whole = prospects.total()
    assert whole is not None
    for quantity in SHOWN:
        came = [_spent(known, place, question, quantity) for question in rest for place in places]
        _score(scores, "all of a task", quantity).add(getattr(whole, quantity), sum(came))
    _score(scores, "bought for a task", "total_tokens").add(whole.bought_tokens, _bought(known, places, rest))


def _score(scores: Scores, what: str, quantity: str) -> Score:
    return scores.setdefault((what, quantity), Score())


def _spent(known: Stored, place: int, question: str, quantity: str) -> float:
    at = QUANTITIES.index(quantity)
    return fmean(asked.spend[at] for asked in known.past.trials[place][question])


def _bought(known: Stored, places: Sequence[int], questions: Sequence[str]) -> float:
    """Distinct completions, in tokens, of the first repeat."""
    at = QUANTITIES.index("total_tokens")
    bills = (known.past.trials[place][question][0].bought for question in questions for place in places)
    return sum({key: cost[at] for bill in bills for key, cost in bill.items()}.values())


def _others(known: Stored, task: str) -> dict[str, dict[str, float]]:
    """The spread of each strategy on the other tasks; what `history` learns when this one is new."""
    squares: dict[str, list[list[float]]] = {}
    for place, condition in enumerate(known.conditions):
        if condition.task != task:
            vectors = [asked[0].spend for asked in known.past.trials[place].values()]
            squares.setdefault(condition.strategy, []).append(
                [_cv(column) ** 2 for column in zip(*vectors, strict=True)]
            )
    return {
        strategy: dict(zip(QUANTITIES, (math.sqrt(fmean(column)) for column in zip(*each, strict=True)), strict=True))
        for strategy, each in squares.items()
    } or dict.fromkeys({condition.strategy for condition in known.conditions}, USUAL_CV)


def _cv(values: Sequence[float]) -> float:
    return stdev(values) / fmean(values) if len(values) > 1 and fmean(values) else 0.0


def _student(seen: Sequence[float], more: int) -> Range:
    reach = _quantile(len(seen)) * stdev(seen) * math.sqrt(1 / len(seen) + 1 / more)
    return Range(more * fmean(seen), more * (fmean(seen) - reach), more * (fmean(seen) + reach))


def _logarithms(seen: Sequence[float], more: int) -> Range:
    spread = math.log1p(_cv(seen) ** 2 * (1 / len(seen) + 1 / more))
    reach = math.exp(_quantile(len(seen)) * math.sqrt(spread))
    return Range(more * fmean(seen), more * fmean(seen) / reach, more * fmean(seen) * reach)


def _quantile(n: int) -> float:
    return STUDENT[max(df for df in STUDENT if df <= max(2, n - 1))]


PEERS: dict[str, Callable[[Sequence[float], int], Range]] = {"Student": _student, "Student on logarithms": _logarithms}


def _named(condition: Condition) -> str:
    return f"{condition.strategy} {condition.params} {condition.task}"


def summary(scores: Scores, quantity: str) -> Score:
    """All conditions together."""
    whole = Score()
    for score in _conditions(scores, quantity):
        whole.held += score.held
        whole.above += score.above
        whole.widths += score.widths
    return whole


def _conditions(scores: Scores, quantity: str) -> Iterator[Score]:
    yield from (score for (what, q), score in scores.items() if q == quantity and "{" in what)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("db", type=Path, nargs="?", default=ROOT / "results.duckdb")
    parser.add_argument("--pilots", type=int, default=200)
    parser.add_argument("--size", type=int, default=5)
    options = parser.parse_args()
    scores = measure(stored(options.db), options.pilots, options.size)
    for (what, quantity), score in sorted(scores.items(), key=lambda pair: (pair[0][1], pair[0][0])):
        print(f"{quantity:14}{what[:100]:102}{score.line()}")
    for quantity in SHOWN:
        each = [score.coverage for score in _conditions(scores, quantity)]
        inside = sum(0.85 <= share <= 0.95 for share in each)
        print(
            f"{quantity}: {summary(scores, quantity).line()}; {inside} of {len(each)} conditions at 85 to 95 %, "
            f"least {min(each):.0%}"
        )


if __name__ == "__main__":
    main()
