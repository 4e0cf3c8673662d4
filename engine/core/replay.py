"""A trial read at a smaller budget: which calls were made, where it closed, what it answered and what it spent.

The one place in Python for what a wall lets through of calls that were made inside a larger one; `engine.store.deltas`
says the same in SQL, for all trials at once. A transcript, an estimate from history and the tests read trials here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from engine.core.budget import Ledger, Planned, Standing, clipped, wall
from engine.core.records import Axis, Call, Condition, Cut, FactKind, ModelSpend, Price, Spend, Trial, Wall

Fate = Literal["right", "partly", "wrong", "none", "failed", "stopped", "censored"]
FATES: dict[str, str] = {
    "right": "right",
    "partly": "partly right",
    "wrong": "wrong",
    "none": "no answer",
    "failed": "failed",
    "stopped": "stopped",
    "censored": "not known",
}
"""In words; failed, stopped and not known are never scored."""
SCORED = ("right", "partly", "wrong", "none")
"""Fates that have a score; no answer counts 0."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far walls let the calls of a trial through."""

    covered: int
    """Calls made and paid in full."""
    granted: int | None
    """Output tokens the walls leave the first call they do not cover; 0: refused; None: they cover all calls."""
    spends: tuple[ModelSpend, ...]
    """Cumulative, one per model and tier of its price: what was covered, and the granted part of the call that was
    not."""


@dataclass(frozen=True, slots=True)
class Reading(Coverage):
    """A trial at a budget."""

    fate: Fate
    answer: str | None
    exhausted: bool
    """The budget (or the context window) ended it."""
    score: float | None = None
    """From 0, wrong, to 1, right; None: no answer, or nothing known."""

    @property
    def spend(self) -> Spend:
        """Over all models."""
        return sum((part.spend for part in self.spends), Spend())


def read(trial: Trial, axis: Axis | None = None, budget: int | None = None) -> Reading:
    """The trial at a budget on an axis; as it was run without one. Raises UsageError on 'usd' when a price is unknown.

    A trial that is not anytime has one reading. From its horizon on a trial says nothing: it is censored, or failed.
    """
    condition = trial.spec.condition
    lost: Fate | None = trial.end if trial.end in ("failed", "stopped") else None
    closing = next((call for call in trial.calls if call.cut and call.cut.closes), None)
    # A closing call is stored too, though it is none that was made and paid in full.
    reached = closing.ordinal if closing else len(trial.calls)
    if budget is None or not condition.anytime:
        granted = None
        if closing and closing.cut and closing.cut.beyond and closing.cut is not Cut.FAILED:
            granted = min(closing.granted_tokens, closing.spend.output_tokens)
        fate: Fate = lost or trial.verdict
        return Reading(
            reached, granted, trial.spends, fate, trial.answer, trial.end == "exhausted", None if lost else trial.score
        )
    side = wall(axis or condition.axis, budget, (setting for _, setting in condition.lineup))
    end = horizon(trial, side)
    if end is not None and budget >= end:
        return Reading(reached, None, trial.spends, lost or "censored", None, False)
    inside = cover(trial.calls, [side], prices(condition))
    last = next((mark for mark in reversed(trial.marks) if mark.after_calls <= inside.covered), None)
    # The context window ends a trial at every budget, so it is told by how the whole trial ended.
    exhausted = inside.granted is not None or (trial.end == "exhausted" and end is None)
    verdict: Fate = last.verdict if last else "none"
    answer, score = (last.answer, last.score) if last else (None, None)
    return Reading(inside.covered, inside.granted, inside.spends, verdict, answer, exhausted, score)


def stated(trial: Trial, covered: int) -> dict[tuple[FactKind, str], bool]:
    """By kind and name, whether a fact of the strategy's mechanism held within the first `covered` calls; those that
    were not stated until then are left out."""
    facts: dict[tuple[FactKind, str], bool] = {}
    for fact in trial.facts:
        if fact.after_calls <= covered:
            facts[fact.kind, fact.name] = facts.get((fact.kind, fact.name), False) or fact.holds
    return facts


def horizon(trial: Trial, side: Wall) -> int | None:
    """First limit of this wall at which the trial says nothing any more; None: it ended by itself."""
    if trial.end == "stopped":
        return 0
    standing = Standing(side)
    for call in trial.calls:
        # From the wall on at which this call would be whole: its reply was never seen whole by the strategy.
        if call.cut and call.cut.beyond:
            return standing.after(call.model, _reach_tokens(call), _whole(call)).place
        standing = standing.after(call.model, _reach_tokens(call), call.spend)
    by_itself = trial.end == "finished" or any(call.cut and call.cut.closes for call in trial.calls)
    # A strategy that broke, or went on after a failure, left no closing call: nothing of it is comparable.
    return None if by_itself else 0


def cover(calls: Sequence[Call], walls: Sequence[Wall], prices: Mapping[str, Price | None] | None = None) -> Coverage:
    """What these walls, each below the horizon of whoever made the calls, let through of them.

    `prices`: what the tiers of the spends are told by; a model without one is in its base.
    """
    ledger = Ledger(walls, prices)
    for place, call in enumerate(calls):
        # The window or the limit of calls: no budget lets more through. A reply the window cut was paid for, though.
        final = call.cut is not None and call.cut.closes and not call.cut.beyond
        if final and not call.spend.calls:
            return Coverage(place, None, ledger.spends)
        whole = _whole(call)
        planned = Planned(call.model, _reach_tokens(call), min(call.asked_tokens, whole.output_tokens))
        if not ledger.covers(planned, whole):
            # The prompt is spent before the first token of the reply, also where no token is left.
            granted = ledger.granted(planned)
            if granted >= 1:
                ledger.charge(planned, clipped(whole, granted))
            return Coverage(place, granted, ledger.spends)
        ledger.charge(planned, call.spend)
        if final:
            return Coverage(place, None, ledger.spends)
    return Coverage(len(calls), None, ledger.spends)


def standing(calls: Sequence[Call], side: Wall) -> int:
    """Where a trial stands on a wall once it has made these calls, in the unit of the axis; refused ones were not."""
    stand = Standing(side)
    for call in calls:
        if call.spend.calls:
            stand = stand.after(call.model, _reach_tokens(call), call.spend)
    return stand.place


def prices(condition: Condition) -> dict[str, Price | None]:
    """The prices a condition was planned with, by model identity."""
    return {setting.identity: setting.price for _, setting in condition.lineup}


def matches(reading: Reading, show: str) -> bool:
    """Whether a reading belongs to a choice of the filter: all, right, wrong, none, exhausted or failed."""
    if show == "exhausted":
        return reading.exhausted and reading.fate in SCORED
    if show == "failed":
        return reading.fate in ("failed", "stopped")
    return show == "all" or reading.fate == show


def _reach_tokens(call: Call) -> int:
    """The most input it could have had, or had."""
    return max(call.bound_tokens, call.spend.input_tokens)


def _whole(call: Call) -> Spend:
    """What a wall must hold for the whole reply; of a reply never seen, its first token."""
    tokens = 1 if call.seen_output_tokens is None else call.seen_output_tokens
    prompt = call.spend.input_tokens if call.spend.calls else call.bound_tokens
    return replace(call.spend, calls=1, input_tokens=prompt, output_tokens=tokens)
