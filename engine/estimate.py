"""What a study can cost at most, before it runs: trials, calls, tokens and money per condition and in all.

Each strategy is rehearsed on the question with the longest prompt against replies of full and of least length, in a
real session that reaches no model; the walls of its budget then bound what is left. The figures are upper bounds of
what the run is billed when no attempt is repeated: draws that conditions share are paid once, and completions of
earlier runs are not paid at all. Starts no server and reads no database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from engine.budget import Limits
from engine.models import Bound, Model, Rates
from engine.plan import Plan
from engine.records import Call, Completion, Condition, ModelSetting, Price, Prompt, Request, TrialSpec, Usage
from engine.strategies.chain import chain_prompt
from engine.tokens import utf8_bound
from engine.trial import Setting, solve

_NO_WALL = 1 << 60
_Length = Literal["full", "least"]


@dataclass(frozen=True, slots=True)
class Worst:
    """An upper bound: of one trial, of a condition, or of all."""

    trials: int = 0
    calls: int = 0
    input_tokens: int = 0
    """By the UTF-8 bound of the prompts, which is several times the true count."""
    output_tokens: int = 0
    total_tokens: int = 0
    """At most input plus output; less where the budget is on total tokens."""
    pusd: int | None = 0
    """List price; None: the price of a model is unknown."""
    billed_pusd: int | None = 0
    """What counts towards a money ceiling: nothing for a local model."""

    def __add__(self, other: Worst) -> Worst:
        return Worst(
            self.trials + other.trials,
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.total_tokens + other.total_tokens,
            None if self.pusd is None or other.pusd is None else self.pusd + other.pusd,
            None if self.billed_pusd is None or other.billed_pusd is None else self.billed_pusd + other.billed_pusd,
        )

    def each(self) -> Worst:
        """The bound of one of its trials, which are all bounded alike."""
        trials = max(1, self.trials)
        return Worst(
            1,
            self.calls // trials,
            self.input_tokens // trials,
            self.output_tokens // trials,
            self.total_tokens // trials,
            None if self.pusd is None else self.pusd // trials,
            None if self.billed_pusd is None else self.billed_pusd // trials,
        )

    def times(self, trials: int) -> Worst:
        """The bound of as many trials as this one."""
        return Worst(
            self.trials * trials,
            self.calls * trials,
            self.input_tokens * trials,
            self.output_tokens * trials,
            self.total_tokens * trials,
            None if self.pusd is None else self.pusd * trials,
            None if self.billed_pusd is None else self.billed_pusd * trials,
        )


@dataclass(frozen=True, slots=True)
class Line:
    """A condition with its bound."""

    condition: Condition
    worst: Worst


@dataclass(frozen=True, slots=True)
class Estimate:
    """Upper bounds of a plan; the run's ceiling bounds it besides."""

    lines: tuple[Line, ...]
    total: Worst
    ceiling: Limits
    assumed: bool
    """True: some price is a stand-in for a model nobody bills."""


def estimate(plan: Plan) -> Estimate:
    """Upper bounds of what `plan` can cost."""
    lines = asyncio.run(_lines(plan))
    prices = [model.setting.price for model in plan.models.values()]
    return Estimate(
        lines=lines,
        total=sum((line.worst for line in lines), Worst()),
        ceiling=plan.study.ceiling,
        assumed=any(price is not None and price.assumed for price in prices),
    )


async def _lines(plan: Plan) -> tuple[Line, ...]:
    counts, longest = _hardest(plan.specs)
    found = []
    for name, spec in longest.items():
        model = plan.models[spec.condition.solver.identity]
        one = await _trial(spec, plan.strategies[name], model)
        found.append(Line(spec.condition, one.times(counts[name])))
    return tuple(found)


def _hardest(specs: Iterable[TrialSpec]) -> tuple[dict[str, int], dict[str, TrialSpec]]:
    """Trials per condition, and of each condition the trial with the longest prompt."""
    counts: dict[str, int] = {}
    longest: dict[str, tuple[int, TrialSpec]] = {}
    lengths: dict[str, int] = {}
    for spec in specs:
        name, question = spec.condition.condition_id, spec.question
        counts[name] = counts.get(name, 0) + 1
        if question.question_id not in lengths:
            lengths[question.question_id] = utf8_bound(chain_prompt(question.problem))
        if name not in longest or lengths[question.question_id] > longest[name][0]:
            longest[name] = lengths[question.question_id], spec
    return counts, {name: spec for name, (_, spec) in longest.items()}


async def _trial(spec: TrialSpec, strategy: Any, model: Model) -> Worst:
    """The bound of one trial: the worse of two rehearsals in every part, topped up to the most calls there may be."""
    both = [await _rehearsed(spec, strategy, model, length) for length in ("full", "least")]
    seen = [call for calls in both for call in calls]
    most = max(strategy.calls, *(len(calls) for calls in both))
    prompt = max((call.bound_tokens for call in seen), default=utf8_bound(chain_prompt(spec.question.problem)))
    cap = max((call.asked_tokens for call in seen), default=_largest_cap(strategy))
    sent = max(sum(call.bound_tokens for call in calls) + (most - len(calls)) * prompt for calls in both)
    got = max(sum(call.asked_tokens for call in calls) + (most - len(calls)) * cap for calls in both)
    if spec.condition.axis == "calls":
        most = min(most, spec.condition.budget)
        sent, got = min(sent, most * prompt), min(got, most * cap)
    return _priced(_walled(Worst(1, most, sent, got, sent + got), spec.condition, cap), spec.condition, model, cap)


def _walled(worst: Worst, condition: Condition, cap: int) -> Worst:
    """What the budget lets through. The call that closes it is sent with its asked cap, so up to a cap comes on top."""
    budget = condition.budget
    if condition.axis == "output_tokens":
        output = min(worst.output_tokens, budget - 1 + cap)
        return replace(worst, output_tokens=output, total_tokens=worst.input_tokens + output)
    if condition.axis == "total_tokens":
        sent, got = min(worst.input_tokens, budget), min(worst.output_tokens, budget - 1 + cap)
        return replace(worst, input_tokens=sent, output_tokens=got, total_tokens=min(sent + got, budget - 1 + cap))
    return worst


def _priced(worst: Worst, condition: Condition, model: Model, cap: int) -> Worst:
    price = model.setting.price
    if price is None:
        return replace(worst, pusd=None, billed_pusd=0 if model.local else None)
    money = worst.input_tokens * _dearest(price) + worst.output_tokens * price.output_pusd
    if condition.axis == "usd" and _dearest(price) == price.input_pusd:
        money = min(money, condition.budget + cap * price.output_pusd)
    return replace(worst, pusd=money, billed_pusd=0 if model.local else money)


def _dearest(price: Price) -> int:
    return max(price.input_pusd, price.cache_write_pusd or 0)


def _largest_cap(strategy: Any) -> int:
    caps = [value for key, value in asdict(strategy).items() if key.endswith("_tokens") and isinstance(value, int)]
    return max(caps, default=1)


async def _rehearsed(spec: TrialSpec, strategy: Any, model: Model, length: _Length) -> tuple[Call, ...]:
    """The calls of a trial whose replies all have this length and state no answer; no wall but for those who look."""
    budget = _NO_WALL if spec.condition.anytime else spec.condition.budget
    free = replace(spec, condition=replace(spec.condition, budget=budget))
    paper: Model = _Paper(model.setting, one_draw_at_zero=model.one_draw_at_zero)
    setting = Setting("rehearsal", {model.setting.identity: paper}, _Readers(length), width=1)
    trial = await solve(free, strategy, setting, lambda answer, question: False)
    return trial.calls


@dataclass
class _Paper:
    """A model in name only: it bounds prompts and is never called."""

    setting: ModelSetting
    context_tokens: int | None = None
    parallel: int = 1
    rates: Rates = Rates()
    one_draw_at_zero: bool = False
    simulated: bool = True
    local: bool = True

    async def bound(self, messages: Prompt) -> Bound:
        return Bound(utf8_bound(messages), exact=False)

    def least(self, messages: Prompt) -> int:
        return 1

    async def complete(self, request: Request) -> Completion:
        raise AssertionError("a rehearsal calls no model")

    async def probe(self) -> str | None:
        return None

    async def close(self) -> None:
        """Nothing to give back."""


@dataclass(frozen=True)
class _Readers:
    """Where a rehearsal's replies come from: as many bytes as tokens were asked, or one."""

    length: _Length

    async def take(self, request: Request) -> tuple[Completion, bool]:
        tokens = request.asked_tokens if self.length == "full" else 1
        text = ("so " * (tokens // 3 + 1))[: min(tokens, 100_000)]
        usage = Usage(utf8_bound(request.messages), tokens)
        return Completion(request.key, text, "stop", usage, 0, None, None, datetime.now(UTC)), False

    def warm(self, request: Request) -> None:
        """Nothing is bought ahead."""
