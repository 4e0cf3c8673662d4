"""What a study can cost at most, before it runs: trials, calls, tokens and money per condition and in all.

Each strategy is rehearsed on the question with the longest prompt against replies of full and of least length, in a
real session that reaches no model; the walls of its budget then bound what is left. The figures are upper bounds of
what the run is billed when no attempt is repeated: draws that conditions share are paid once, and completions of
earlier runs are not paid at all. Starts no server and reads no database.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from engine.core.answers import MAX_ANSWER
from engine.core.budget import Limits, money_weights, worst_pusd
from engine.core.records import Completion, Condition, ModelSetting, Price, Prompt, Request, TrialSpec, Usage
from engine.core.tokens import utf8_bound
from engine.models import charges
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
        pairs = zip(astuple(self), astuple(other), strict=True)
        sums: Any = (None if None in pair else sum(pair) for pair in pairs)
        return Worst(*sums)

    def _each_part(self, act: Callable[[int], int]) -> Worst:
        parts: Any = (None if part is None else act(part) for part in astuple(self))
        return Worst(*parts)

    def each(self) -> Worst:
        """The bound of one of its trials, which are all bounded alike."""
        trials = max(1, self.trials)
        return replace(self._each_part(lambda part: part // trials), trials=1)

    def times(self, trials: int) -> Worst:
        """The bound of as many trials as this one."""
        return self._each_part(lambda part: part * trials)


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
    judging: Worst = Worst()
    """Of the judges, in `total` and in no line: as many judgements a trial as it may make calls."""


def upper_bound(plan: Plan) -> UpperBound:
    """Upper bounds of what `plan` can cost."""
    trials: Counter[str] = Counter()
    lengths: dict[str, int] = {}
    # Of each condition the first trial with the longest prompt, and how long that is.
    hardest: dict[str, tuple[int, TrialSpec]] = {}
    for spec in plan.specs:
        name, question = spec.condition.condition_id, spec.question
        trials[name] += 1
        # Measured once a question: it stands in every condition, and prompts are long.
        if question.question_id not in lengths:
            lengths[question.question_id] = utf8_bound(chain_prompt(question.problem))
        if name not in hardest or lengths[question.question_id] > hardest[name][0]:
            hardest[name] = lengths[question.question_id], spec
    lines = []
    # A loop of its own, as nobody may be running one here.
    with asyncio.Runner() as loop:
        for name, (_, spec) in hardest.items():
            playing = {model.identity: plan.models[model.identity] for _, model in spec.condition.lineup}
            one = loop.run(_trial(spec, plan.strategies[name], playing))
            lines.append(Line(spec.condition, one.times(trials[name])))
    prices = [model.setting.price for model in plan.models.values()]
    judging = sum((_judging(spec, plan) for spec in plan.specs if spec.condition.task in plan.judges), Worst())
    return UpperBound(
        lines=tuple(lines),
        total=sum((line.worst for line in lines), judging),
        judging=judging,
        ceiling=plan.study.ceiling,
        assumed=any(price is not None and price.assumed for price in prices),
    )


def _judging(spec: TrialSpec, plan: Plan) -> Worst:
    """The bound of judging one trial: each call may leave another answer, as long as an answer gets."""
    judge = plan.judges[spec.condition.task]
    # The longest answer there is in bytes: four to each character.
    request = judge.request(spec.question, "\U0001f600" * MAX_ANSWER)
    calls = max(1, plan.strategies[spec.condition.condition_id].calls)
    sent, got = calls * utf8_bound(request.messages), calls * request.asked_tokens
    price = judge.model.setting.price
    cost = None if price is None else calls * worst_pusd(price, utf8_bound(request.messages), request.asked_tokens)
    billed = cost if charges.costs(judge.model) else 0
    return Worst(0, calls, sent, got, sent + got, cost, billed)


async def _trial(spec: TrialSpec, strategy: Any, models: Mapping[str, Model]) -> Worst:
    """The bound of one trial: the worst of its rehearsals in every part, topped up to the most calls there may be."""
    condition, budget = spec.condition, spec.condition.budget
    # No wall but for strategies that look at what remains: the walls come afterwards, over the worst of all rehearsals.
    unwalled = replace(spec, condition=replace(condition, budget=_NO_WALL if condition.anytime else budget))
    paper: dict[str, Model] = {
        name: _Paper(model.setting, model.one_draw_at_zero, model.continues, model.temperature, model.thinking_tokens)
        for name, model in models.items()
    }
    # Where models work together, replies that agree are a case of their own: then the second may not be asked.
    lengths: tuple[_Length, ...] = ("full", "least") if len(models) == 1 else ("full", "least", "sure")
    rehearsals = []
    for length in lengths:
        setting = Setting("rehearsal", paper, _Readers(length), width=1)
        trial = await solve(unwalled, strategy, setting, lambda answer, question: False, oracle=is_oracle(strategy))
        rehearsals.append(trial.calls)
    calls = [call for rehearsal in rehearsals for call in rehearsal]
    most = max(strategy.calls, *map(len, rehearsals))
    prompt = max((call.bound_tokens for call in calls), default=utf8_bound(chain_prompt(spec.question.problem)))
    # Without a rehearsed call the cap is known by the strategy's own parameters alone.
    caps = [value for key, value in asdict(strategy).items() if key.endswith("_tokens") and isinstance(value, int)]
    cap = max((call.asked_tokens for call in calls), default=max(caps, default=1))
    # Calls that no rehearsal made are bounded by the longest prompt that one did.
    sent = max(sum(call.bound_tokens for call in each) + (most - len(each)) * prompt for each in rehearsals)
    got = max(sum(call.asked_tokens for call in each) + (most - len(each)) * cap for each in rehearsals)
    if condition.axis == "calls":
        most = min(most, budget)
        sent, got = min(sent, most * prompt), min(got, most * cap)
    # The call that closes the budget is sent with its asked cap, so up to a cap comes on top of it.
    if condition.axis in ("output_tokens", "total_tokens"):
        got = min(got, budget - 1 + cap)
    total = sent + got
    if condition.axis == "total_tokens":
        sent = min(sent, budget)
        total = min(sent + got, budget - 1 + cap)
    scenes: list[_Scene] = [
        [
            *((call.model, call.bound_tokens, call.asked_tokens) for call in rehearsal),
            *[("", prompt, cap)] * (most - len(rehearsal)),
        ]
        for rehearsal in rehearsals
    ]
    prices = {name: model.setting.price for name, model in models.items()}
    rates = {name: None if price is None else _rate(price, prompt) for name, price in prices.items()}
    # A local model costs its list price in figures, and nothing under a ceiling.
    billed = {name: _FREE if models[name].local else rate for name, rate in rates.items()}
    money = (_money(most, sent, got, condition, cap, scenes, each) for each in (rates, billed))
    return Worst(1, most, sent, got, total, *money)


class _Rate(NamedTuple):
    """Pico-dollars a call and per token at most; `dearest` is the most an input token may cost, `plain` outside of
    caches."""

    call: int
    plain: int
    dearest: int
    output: int


def _rate(price: Price, prompt: int) -> _Rate:
    """The rates of the dearest tier that the longest prompt can reach."""
    weights, call = money_weights(price), worst_pusd(price, 0, 0)
    plain, output = weights.at(prompt)
    dearest = (worst_pusd(price, prompt, 0) - call) // max(1, prompt)
    return _Rate(call, plain, dearest, output)


_FREE = _Rate(0, 0, 0, 0)
_Scene = Sequence[tuple[str, int, int]]
"""Model (empty: whichever is dearest), prompt bound and cap of each call of a rehearsal."""


def _money(
    calls: int,
    sent: int,
    got: int,
    condition: Condition,
    cap: int,
    scenes: Sequence[_Scene],
    rates: Mapping[str, _Rate | None],
) -> int | None:
    """Each call at the price of its own model, and no more than all that passes the walls at the dearest."""
    known = {name: rate for name, rate in rates.items() if rate is not None}
    if len(known) < len(rates):
        return None
    # Field by field: no one model need be the dearest in all.
    top = _Rate(*map(max, zip(*known.values(), strict=True)))
    money = calls * top.call + sent * top.dearest + got * top.output
    if len(known) > 1:
        priced = {**known, "": top}
        bills = [
            sum(
                priced[name].call + sent * priced[name].dearest + got * priced[name].output for name, sent, got in scene
            )
            for scene in scenes
        ]
        money = min(money, max(bills))
    # A wall in dollars counts input at its plain price, and bounds nothing where a cache may be written for more.
    if condition.axis == "usd" and all(rate.dearest == rate.plain for rate in known.values()):
        money = min(money, condition.budget + cap * top.output)
    return money


@dataclass
class _Paper:
    """A model in name only: it bounds prompts and is never called."""

    setting: ModelSetting
    one_draw_at_zero: bool
    continues: bool
    temperature: float | None
    thinking_tokens: int
    context_tokens: int | None = None
    parallel: int = 1
    rates: Rates = Rates()
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
    """Where a rehearsal's replies come from: as many bytes as tokens were asked, or one; without an answer, or all
    sure of the same one, so that what depends on agreement is seen both ways."""

    length: _Length

    async def get(self, request: Request) -> tuple[Completion, bool]:
        tokens = 1 if self.length == "least" else request.asked_tokens
        # The count stands in the usage; the text need not be as long as a cap of millions.
        text = _SURE if self.length == "sure" else ("so " * (tokens // 3 + 1))[: min(tokens, 100_000)]
        usage = Usage(utf8_bound(request.messages), tokens)
        return Completion(request.key, text, "stop", usage, 0, None, None, datetime.now(UTC)), False

    def prefetch(self, request: Request) -> None:
        """Nothing is bought ahead."""
