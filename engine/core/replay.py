"""A stored trial read at a smaller budget: which calls were made, where it closed, what it answered and what it spent.

The rules are those of `engine.analysis`, for one trial at a time: a transcript and its cell agree.
Pure: knows neither Streamlit nor a database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.core.budget import position, weights
from engine.core.records import Axis, Call, ModelSetting, ModelSpend, Spend, Trial

Fate = Literal["right", "wrong", "none", "failed", "stopped", "censored"]
FATES: dict[str, str] = {
    "right": "right",
    "wrong": "wrong",
    "none": "no answer",
    "failed": "failed",
    "stopped": "stopped",
    "censored": "not known",
}
"""In words; failed, stopped and not known are never scored."""

__all__ = ["FATES", "Fate", "Reading", "matches", "read"]


@dataclass(frozen=True, slots=True)
class Reading:
    """A trial at a budget."""

    fate: Fate
    answer: str | None
    exhausted: bool
    """The budget (or the context window) ended it."""
    covered: int
    """Calls made and paid in full."""
    granted: int | None
    """Output tokens the budget leaves the first call it does not cover; 0: refused; None: it covers all calls."""
    spend: Spend


def read(trial: Trial, axis: Axis | None = None, budget: int | None = None) -> Reading:
    """The trial at a budget on an axis; as it was run without one. Raises UsageError on 'usd' when a price is unknown.

    A trial that is not anytime has one reading. From its horizon on a trial says nothing: it is censored, or failed.
    """
    condition = trial.spec.condition
    if budget is None or not condition.anytime:
        return _as_run(trial)
    meter = _Meter(axis or condition.axis, {setting.identity: setting for _, setting in condition.lineup})
    end = _horizon(trial, meter)
    if end is not None and budget >= end:
        return _beyond(trial)
    inside = [mark for mark in trial.marks if meter.stand(mark.spends) <= budget]
    covered, granted, spend = _cut(trial, meter, budget)
    exhausted = granted is not None or trial.error in ("context", "limit")
    last = inside[-1] if inside else None
    return Reading(last.verdict if last else "none", last.answer if last else None, exhausted, covered, granted, spend)


def matches(reading: Reading, show: str) -> bool:
    """Whether a reading belongs to a choice of the filter: all, right, wrong, none, exhausted or failed."""
    if show == "exhausted":
        return reading.exhausted and reading.fate in ("right", "wrong", "none")
    if show == "failed":
        return reading.fate in ("failed", "stopped")
    return show == "all" or reading.fate == show


@dataclass(frozen=True, slots=True)
class _Meter:
    """Where spends stand on an axis."""

    axis: Axis
    settings: dict[str, ModelSetting]

    def stand(self, spends: Sequence[ModelSpend]) -> int:
        return sum(position(spend, weights(self.axis, self.settings[spend.model])) for spend in spends)

    def with_call(self, before: Sequence[ModelSpend], call: Call, output_tokens: int) -> int:
        """Once this call was made and said so many tokens."""
        rest = [spend for spend in before if spend.model != call.model]
        mine = _of(before, call.model)
        spend = mine.spend + Spend(calls=1, output_tokens=output_tokens)
        return self.stand((*rest, ModelSpend(call.model, spend, call.metered_input_tokens)))

    def whole(self, before: Sequence[ModelSpend], call: Call) -> int:
        """Least budget that covers a call wholly; of a call never seen, its first token."""
        return self.with_call(before, call, 1 if call.seen_output_tokens is None else call.seen_output_tokens)


def _of(spends: Sequence[ModelSpend], model: str) -> ModelSpend:
    return next((spend for spend in spends if spend.model == model), ModelSpend(model, Spend(), 0))


def _prefixes(trial: Trial) -> list[tuple[Call, tuple[ModelSpend, ...]]]:
    """Each call with the cumulative spends before it."""
    state: dict[str, ModelSpend] = {}
    steps = []
    for call in trial.calls:
        before = tuple(state.values())
        steps.append((call, before))
        spend = _of(before, call.model).spend + call.spend
        state[call.model] = ModelSpend(call.model, spend, call.metered_input_tokens)
    return steps


def _horizon(trial: Trial, meter: _Meter) -> int | None:
    """First budget at which the trial says nothing any more; None: it ended by itself."""
    if trial.end == "stopped":
        return 0
    for call, before in _prefixes(trial):
        if call.cut in ("budget", "refused", "failed"):
            return meter.whole(before, call)
    by_itself = trial.end == "finished" or trial.error in ("context", "limit")
    return None if by_itself else 0


def _cut(trial: Trial, meter: _Meter, budget: int) -> tuple[int, int | None, Spend]:
    """Calls covered, tokens granted to the first one that is not, and the spend."""
    for at, (call, before) in enumerate(_prefixes(trial)):
        spent = sum((spend.spend for spend in before), Spend())
        if call.cut in ("context", "limit"):
            return at, None, spent
        if meter.whole(before, call) > budget:
            granted = _granted(meter, before, call, budget)
            return at, granted, spent + _prefix(call, granted)
    return len(trial.calls), None, sum((spend.spend for spend in trial.spends), Spend())


def _granted(meter: _Meter, before: Sequence[ModelSpend], call: Call, budget: int) -> int:
    left = budget - meter.with_call(before, call, 0)
    weight = weights(meter.axis, meter.settings[call.model]).output
    if left < 0 or not weight:
        return 0 if left < 0 else call.asked_tokens
    return min(left // weight, call.asked_tokens, call.seen_output_tokens or 1)


def _prefix(call: Call, granted: int) -> Spend:
    prompt = call.spend.input_tokens if call.spend.calls else call.bound_tokens
    return Spend(1, prompt, output_tokens=granted) if granted >= 1 else Spend()


def _as_run(trial: Trial) -> Reading:
    spend = sum((part.spend for part in trial.spends), Spend())
    closing = next((call for call in trial.calls if call.cut not in (None, "own")), None)
    cut = closing is not None and closing.cut in ("budget", "refused")
    granted = min(closing.granted_tokens, closing.spend.output_tokens) if cut and closing else None
    fate: Fate = trial.end if trial.end in ("failed", "stopped") else trial.verdict
    covered = closing.ordinal if closing else len(trial.calls)
    return Reading(fate, trial.answer, trial.end == "exhausted", covered, granted, spend)


def _beyond(trial: Trial) -> Reading:
    fate: Fate = trial.end if trial.end in ("failed", "stopped") else "censored"
    closing = next((c.ordinal for c in trial.calls if c.cut in ("budget", "refused", "failed")), len(trial.calls))
    return Reading(fate, None, False, closing, None, sum((part.spend for part in trial.spends), Spend()))
