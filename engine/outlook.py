"""A study before it runs: what it will probably spend and what it can spend at most, per condition and in all.

Brings the plan, its worst case and the store's history together, and keeps what a run was expected to spend when it
started, so that it can be held against what it spent. Calls no model; writes nothing but a run's own `estimate.json`.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine import history
from engine.budget import Limits
from engine.estimate import Estimate, Worst, estimate
from engine.expected import Expectation, Prospects
from engine.forecast import Range
from engine.history import Past
from engine.plan import Plan
from engine.records import Condition
from engine.runner import settled
from engine.status import RunDir, Status, running_s
from engine.store import Store

log = logging.getLogger(__name__)


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
class Outlook:
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


@dataclass(frozen=True, slots=True)
class Held:
    """What was expected of one quantity, and what came."""

    what: str
    """calls, tokens, pusd or seconds."""
    expected: Range
    actual: float
    inside: bool
    """Whether the interval holds what came."""


def outlook(plan: Plan, db: Path) -> Outlook:
    """What `plan` will probably spend by the history in `db`; a database that is not there has none.

    Raises StoreError when it cannot be read.
    """
    bound, store = estimate(plan), Store(db)
    conditions = [line.condition for line in bound.lines]
    each = [line.worst.each() for line in bound.lines]
    free = frozenset(name for name, model in plan.models.items() if model.local)
    past = history.read(store, conditions, sum(one.calls for one in each), free)
    left = _left(plan, store)
    places = {condition.condition_id: place for place, condition in enumerate(conditions)}
    prospects = Prospects(conditions, each, _local(plan, conditions), past, _groups(plan, left, places), _repeats(plan))
    return _outlook(bound, prospects, Counter(left.values()))


def noted(run: RunDir, plan: Plan) -> str | None:
    """What this run was expected to spend when it first started, as JSON; None: that could not be found out.

    Worked out once and kept in the run's directory. Never raises: no run fails for want of an estimate.
    """
    kept = run.path / "estimate.json"
    try:
        if not kept.exists():
            kept.write_text(json.dumps(_note(outlook(plan, run.db))), encoding="utf-8")
        return kept.read_text(encoding="utf-8")
    except Exception as error:
        log.warning("no estimate: %s", error)
        return None


def held(run: RunDir, now: Status) -> tuple[Held, ...]:
    """What the run was expected to spend against what it has; empty when nothing was expected.

    Compares what is bought: replays of earlier runs are in neither.
    """
    spent = now.spent
    actual = {"calls": float(spent.calls), "tokens": float(spent.tokens)}
    actual |= {"pusd": float(spent.pusd)} if now.priced else {}
    if (ran := running_s(now)) is not None:
        actual["seconds"] = ran
    found = []
    for what, came in actual.items():
        if (expected := _read(run).get(what)) is not None:
            found.append(Held(what, expected, came, expected.holds(came)))
    return tuple(found)


def _read(run: RunDir) -> dict[str, Range]:
    """The ranges of a run's note; empty for whatever else lies there."""
    try:
        total = json.loads((run.path / "estimate.json").read_bytes())["expected"] or {}
        return {what: Range(*map(float, ends)) for what, ends in total.items() if ends is not None}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _note(found: Outlook) -> dict[str, Any]:
    lines = [{"condition_id": line.condition.condition_id, "trials": line.trials, "stored": line.stored,
              "seen": line.seen, "expected": _ends(line.expected)} for line in found.lines]  # fmt: skip
    return {"expected": _ends(found.expected), "worst": asdict(found.worst), "stored": found.stored, "lines": lines}


def _ends(expected: Expectation | None) -> dict[str, Any] | None:
    """What the run will be billed, as [expected, low, high]."""
    if expected is None:
        return None
    ranges = {"calls": expected.bought_calls, "tokens": expected.bought_tokens, "pusd": expected.bought_pusd,
              "seconds": expected.seconds}  # fmt: skip
    return {what: r and [r.expected, r.low, r.high] for what, r in ranges.items()}


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
    return {group: trials / _repeats(plan) for group, trials in found.items()}


def _repeats(plan: Plan) -> int:
    return plan.study.repeats


def _local(plan: Plan, conditions: list[Condition]) -> list[bool]:
    return [all(plan.models[s.identity].local for _, s in condition.lineup) for condition in conditions]


def _outlook(bound: Estimate, prospects: Prospects, left: Counter[str]) -> Outlook:
    past: Past = prospects.past
    lines = []
    for place, line in enumerate(bound.lines):
        rest = left[line.condition.condition_id]
        seen = len(past.trials.get(place, ()))
        lines.append(
            Prospect(line.condition, line.worst.trials, line.worst.trials - rest, seen, place in past.short,
                     prospects.line(place), line.worst.each().times(rest))
        )  # fmt: skip
    worst = sum((line.worst for line in lines), Worst())
    return Outlook(tuple(lines), prospects.total(), worst, bound.ceiling, bound.assumed)
