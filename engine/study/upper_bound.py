"""What a study can cost at most, before it runs: trials, calls, tokens and money per condition and in all.

Each strategy is rehearsed on the question with the longest prompt against replies of full and of least length, in a
real session that reaches no model; the walls of its budget then bound what is left. The figures are upper bounds of
what the run is billed when no attempt is repeated: draws that conditions share are paid once, and completions of
earlier runs are not paid at all. Starts no server and reads no database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from engine.core.budget import Limits
from engine.core.records import Call, Completion, Condition, ModelSetting, Prompt, Request, TrialSpec, Usage
from engine.core.tokens import utf8_bound
from engine.models.model import Bound, Model, Rates
from engine.strategies import is_oracle
from engine.strategies.chain import chain_prompt
from engine.study.plan import Plan
from engine.trial.solve import Setting, solve

_NO_WALL = 1 << 60
_Length = Literal["full", "least", "sure"]
_SURE = "[[1]]\nAnswer: 1"


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
class UpperBound:
    """Upper bounds of a plan; the run's ceiling bounds it besides."""

    lines: tuple[Line, ...]
    total: Worst
    ceiling: Limits
    assumed: bool
    """True: some price is a stand-in for a model nobody bills."""


def upper_bound(plan: Plan) -> UpperBound:
    """Upper bounds of what `plan` can cost."""
    lines = asyncio.run(_lines(plan))
    prices = [model.setting.price for model in plan.models.values()]
    return UpperBound(
        lines=lines,
        total=sum((line.worst for line in lines), Worst()),
        ceiling=plan.study.ceiling,
        assumed=any(price is not None and price.assumed for price in prices),
    )


async def _lines(plan: Plan) -> tuple[Line, ...]:
    counts, longest = _hardest(plan.specs)
    found = []
    for name, spec in longest.items():
        playing = {model.identity: plan.models[model.identity] for _, model in spec.condition.lineup}
        one = await _trial(spec, plan.strategies[name], playing)
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


async def _trial(spec: TrialSpec, strategy: Any, models: Mapping[str, Model]) -> Worst:
    """The bound of one trial: the worst of its rehearsals in every part, topped up to the most calls there may be."""
    lengths: tuple[_Length, ...] = ("full", "least") if len(models) == 1 else ("full", "least", "sure")
    all_calls = [await _rehearsed(spec, strategy, models, length) for length in lengths]
    seen = [call for calls in all_calls for call in calls]
    most = max(strategy.calls, *(len(calls) for calls in all_calls))
    prompt = max((call.bound_tokens for call in seen), default=utf8_bound(chain_prompt(spec.question.problem)))
    caps = [value for key, value in asdict(strategy).items() if key.endswith("_tokens") and isinstance(value, int)]
    cap = max((call.asked_tokens for call in seen), default=max(caps, default=1))
    sent = max(sum(call.bound_tokens for call in calls) + (most - len(calls)) * prompt for calls in all_calls)
    got = max(sum(call.asked_tokens for call in calls) + (most - len(calls)) * cap for calls in all_calls)
    if spec.condition.axis == "calls":
        most = min(most, spec.condition.budget)
        sent, got = min(sent, most * prompt), min(got, most * cap)
    worst = _walled(Worst(1, most, sent, got, sent + got), spec.condition, cap)
    scenes = [
        [
            *((call.model, call.bound_tokens, call.asked_tokens) for call in calls),
            *[("", prompt, cap)] * (most - len(calls)),
        ]
        for calls in all_calls
    ]
    return replace(
        worst,
        pusd=_money(worst, spec.condition, cap, scenes, {name: _rate(model) for name, model in models.items()}),
        billed_pusd=_money(
            worst,
            spec.condition,
            cap,
            scenes,
            {name: _FREE if model.local else _rate(model) for name, model in models.items()},
        ),
    )


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


class _Rate(NamedTuple):
    """Pico-dollars per token; `dearest` is the most an input token may cost."""

    plain: int
    dearest: int
    output: int


_FREE = _Rate(0, 0, 0)
_Scene = Sequence[tuple[str, int, int]]
"""Model (empty: whichever is dearest), prompt bound and cap of each call of a rehearsal."""


def _rate(model: Model) -> _Rate | None:
    price = model.setting.price
    if price is None:
        return None
    return _Rate(price.input_pusd, max(price.input_pusd, price.cache_write_pusd or 0), price.output_pusd)


def _money(
    worst: Worst, condition: Condition, cap: int, scenes: Sequence[_Scene], rates: Mapping[str, _Rate | None]
) -> int | None:
    """Each call at the price of its own model, and no more than all that passes the walls at the dearest."""
    known = {name: rate for name, rate in rates.items() if rate is not None}
    if len(known) < len(rates):
        return None
    top = _Rate(*map(max, zip(*known.values(), strict=True)))
    money = worst.input_tokens * top.dearest + worst.output_tokens * top.output
    if len(known) > 1:
        priced = {**known, "": top}
        money = min(
            money,
            max(
                sum(sent * priced[name].dearest + got * priced[name].output for name, sent, got in scene)
                for scene in scenes
            ),
        )
    if condition.axis == "usd" and all(rate.dearest == rate.plain for rate in known.values()):
        money = min(money, condition.budget + cap * top.output)
    return money


async def _rehearsed(spec: TrialSpec, strategy: Any, models: Mapping[str, Model], length: _Length) -> tuple[Call, ...]:
    """The calls of a trial whose replies all have this length; no wall but for those who look."""
    budget = _NO_WALL if spec.condition.anytime else spec.condition.budget
    free = replace(spec, condition=replace(spec.condition, budget=budget))
    paper: dict[str, Model] = {
        name: _Paper(
            model.setting,
            one_draw_at_zero=model.one_draw_at_zero,
            continues=model.continues,
            temperature=model.temperature,
            thinking_tokens=model.thinking_tokens,
        )
        for name, model in models.items()
    }
    setting = Setting("rehearsal", paper, _Readers(length), width=1)
    trial = await solve(free, strategy, setting, lambda answer, question: False, oracle=is_oracle(strategy))
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
    continues: bool = True
    temperature: float | None = None
    thinking_tokens: int = 0

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
    """Where a rehearsal's replies come from: as many bytes as tokens were asked, or one; without an answer, or all
    sure of the same one, so that what depends on agreement is seen both ways."""

    length: _Length

    async def get(self, request: Request) -> tuple[Completion, bool]:
        tokens = 1 if self.length == "least" else request.asked_tokens
        text = _SURE if self.length == "sure" else ("so " * (tokens // 3 + 1))[: min(tokens, 100_000)]
        usage = Usage(utf8_bound(request.messages), tokens)
        return Completion(request.key, text, "stop", usage, 0, None, None, datetime.now(UTC)), False

    def prefetch(self, request: Request) -> None:
        """Nothing is bought ahead."""
