"""Walls and ledger of a trial, ceiling of a run; pure integer arithmetic.

Tokens here are model tokens and a budget is a hard wall; this is not a rate limiter. Nothing here waits, calls a model
or knows a strategy. A wall is a linear functional of (calls, metered input, output) per model, where metered input is
the high-water mark H = max over calls of (reported input before the call + the call's prompt bound), so a loose bound
is both safe and exact. In money the tokens of a call weigh what they cost in the dearest tier its bound can reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from engine.core.errors import UsageError
from engine.core.records import Axis, Count, ModelSetting, ModelSpend, Price, Spend, Usage, Wall, Weights

_AXIS_WEIGHTS: dict[Axis, Weights] = {
    "output_tokens": Weights(output=1),
    "total_tokens": Weights(input=1, output=1),
    "calls": Weights(calls=1),
}


def weights(axis: Axis, setting: ModelSetting) -> Weights:
    """What one call, one input and one output token of this model weigh on an axis."""
    if axis != "usd":
        return _AXIS_WEIGHTS[axis]
    if setting.price is None:
        raise UsageError(f"A money budget needs a price for {setting.name!r}: give it one under [[models]] prices.")
    return money_weights(setting.price)


@lru_cache(maxsize=1024)
def money_weights(price: Price) -> Weights:
    """What a call, its input and its output cost at most: any of its output may turn out to be reasoning, and a call
    that may have so much input may also have less."""
    steps: list[tuple[int, int, int]] = []
    given = taken = 0
    for rates in price.rates:
        given, taken = max(given, rates.input_pusd), max(taken, rates.output_pusd, rates.reasoning_pusd or 0)
        steps.append((rates.above_input_tokens, given, taken))
    (_, given, taken), *tiers = steps
    return Weights(price.request_pusd, given, taken, tuple(tiers))


def wall(axis: Axis, limit: int, settings: Iterable[ModelSetting]) -> Wall:
    """A wall on one axis for all models of a line-up."""
    return Wall(axis, limit, tuple((s.identity, weights(axis, s)) for s in settings))


def worst_pusd(price: Price, bound_tokens: int, asked_tokens: int) -> int:
    """The most one call can cost whose input is at most so long, and its reply: in the dearest tier it can reach."""
    weights = money_weights(price)
    given, taken = weights.at(bound_tokens)
    # Whether a prompt is written to a cache is known afterwards alone, and writing may cost more than plain input.
    reached = price.rates[: price.tier(bound_tokens) + 1]
    given = max(given, *(rates.cache_write_pusd or 0 for rates in reached), *(r.cached_pusd or 0 for r in reached))
    return weights.calls + bound_tokens * given + asked_tokens * taken


@dataclass(frozen=True, slots=True)
class Planned:
    """A call that may be made: what the ledger needs to know of it."""

    model: str
    bound_tokens: int
    asked_tokens: int


@dataclass(frozen=True, slots=True)
class Meter:
    """Where one model stands on one wall, in units of its axis."""

    entered: int = 0
    """Input its calls reported."""
    high: int = 0
    """High-water mark of the input: what was reported before a call and the most that call could add."""
    rest: int = 0
    """Calls and output."""

    def after(self, weights: Weights, reach_tokens: int, spend: Spend) -> Meter:
        """Once a call was made whose input could be `reach_tokens`: its bound, or a report above it."""
        # The bound alone would be loose for later calls, the report alone would place marks before their walls.
        dearest_input, dearest_output = weights.at(reach_tokens)
        own, _ = weights.at(spend.input_tokens)
        return Meter(
            self.entered + own * spend.input_tokens,
            max(self.high, self.entered + dearest_input * reach_tokens),
            self.rest + weights.calls * spend.calls + dearest_output * spend.output_tokens,
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the models of a line-up stand on one wall."""

    wall: Wall
    meters: Mapping[str, Meter] = field(default_factory=dict)

    def after(self, model: str, reach_tokens: int, spend: Spend) -> Standing:
        """Once this model was called; see `Meter.after`."""
        meter = self.meters.get(model, Meter()).after(self.weights(model), reach_tokens, spend)
        return Standing(self.wall, {**self.meters, model: meter})

    def weights(self, model: str) -> Weights:
        """What this model's calls weigh."""
        # A line-up has a few: a mapping of them would be made for every call.
        return next(own for name, own in self.wall.weights if name == model)

    @property
    def place(self) -> int:
        """How far they are, in the unit of the axis."""
        return sum(meter.high + meter.rest for meter in self.meters.values())

    @property
    def left(self) -> int:
        """What the wall still lets through; below 0: it is passed."""
        return self.wall.limit - self.place

    def room(self, model: str, reach_tokens: int) -> int:
        """Longest reply of a call that could have so much input; 0: none."""
        left, weight = self.after(model, reach_tokens, Spend(calls=1)).left, self.weights(model).at(reach_tokens)[1]
        if left < 0:
            return 0
        # A wall that does not weigh output lets any length through.
        return left // weight if weight else _UNBOUNDED


class Ledger:
    """What a trial has spent, per model and tier of its price, and what its walls still let through."""

    def __init__(self, walls: Sequence[Wall], prices: Mapping[str, Price | None] | None = None) -> None:
        self._walls = [Standing(each) for each in walls]
        self._prices = prices or {}
        self._spends: dict[tuple[str, int], ModelSpend] = {}

    @property
    def spends(self) -> tuple[ModelSpend, ...]:
        """Cumulative spend, one entry per model and tier in order of first use."""
        return tuple(self._spends.values())

    @property
    def spent(self) -> Spend:
        """Cumulative spend over all models."""
        return sum((part.spend for part in self._spends.values()), Spend())

    def granted(self, call: Planned) -> int:
        """Largest reply every wall leaves after the prompt bound, at most what is asked; 0: refused."""
        return min([call.asked_tokens, *(each.room(call.model, call.bound_tokens) for each in self._walls)])

    def fits(self, calls: Sequence[Planned]) -> bool:
        """Whether all these calls together stay within every wall at their worst case."""
        walls = self._walls
        for call in calls:
            worst = Spend(1, call.bound_tokens, output_tokens=call.asked_tokens)
            walls = [each.after(call.model, call.bound_tokens, worst) for each in walls]
        return all(each.left >= 0 for each in walls)

    def covers(self, call: Planned, spend: Spend) -> bool:
        """Whether every wall still stands after this call, whatever the provider made of the cap."""
        return all(each.left >= 0 for each in self._after(call, spend))

    def charge(self, call: Planned, spend: Spend) -> None:
        """Book a call."""
        price = self._prices.get(call.model)
        tier = price.tier(spend.input_tokens) if price else 0
        # H takes the bound, and a report above it: an overrun is recorded, never hidden.
        high = self.high_water(call, spend) - self.metered(call.model)
        before = self._spends.get((call.model, tier), ModelSpend(call.model, Spend(), 0, tier))
        self._walls = self._after(call, spend)
        high += before.metered_input_tokens
        self._spends[call.model, tier] = ModelSpend(call.model, before.spend + spend, high, tier)

    def remaining(self, model: str) -> int | None:
        """Output tokens the tightest wall leaves this model before any prompt; None: no wall counts them."""
        # A wall that does not weigh output says nothing about how long a reply may be.
        rooms = [each.left // w.output for each in self._walls if (w := each.weights(model)).output]
        return max(0, min(rooms)) if rooms else None

    def metered(self, model: str) -> int:
        """The model's high-water mark of its input so far."""
        return sum(part.metered_input_tokens for (name, _), part in self._spends.items() if name == model)

    def high_water(self, call: Planned, spend: Spend = Spend()) -> int:
        """The model's metered input once this call's prompt is reserved, or was reported."""
        before = sum(part.spend.input_tokens for (name, _), part in self._spends.items() if name == call.model)
        return max(self.metered(call.model), before + max(call.bound_tokens, spend.input_tokens))

    def _after(self, call: Planned, spend: Spend) -> list[Standing]:
        reach = max(call.bound_tokens, spend.input_tokens)
        return [each.after(call.model, reach, spend) for each in self._walls]


# Larger than any cap that is asked for, and still an integer of a database.
_UNBOUNDED = 1 << 62


def spend_of(usage: Usage, latency_ms: int) -> Spend:
    """The vector of one call; parts a provider did not report count nothing."""
    return Spend(
        1,
        usage.input_tokens,
        usage.cached_tokens or 0,
        usage.cache_write_tokens or 0,
        usage.output_tokens,
        usage.reasoning_tokens or 0,
        latency_ms,
    )


def clipped(spend: Spend, output_tokens: int) -> Spend:
    """The prefix of a call: its prompt and at most `output_tokens` of its reply."""
    reasoning = min(spend.reasoning_tokens, output_tokens)
    return replace(spend, output_tokens=min(spend.output_tokens, output_tokens), reasoning_tokens=reasoning)


@dataclass(frozen=True, slots=True)
class Amount:
    """Calls, tokens and money of a reservation or a bill."""

    calls: Count = 0
    tokens: Count = 0
    pusd: Count = 0
    """0 when the price is unknown; a money ceiling refuses such models before the run."""

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.calls + other.calls, self.tokens + other.tokens, self.pusd + other.pusd)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.calls - other.calls, self.tokens - other.tokens, self.pusd - other.pusd)

    def above(self, other: Amount) -> Amount:
        """What it has more than another, kind by kind, at least 0."""
        more = self - other
        return Amount(max(0, more.calls), max(0, more.tokens), max(0, more.pusd))

    def least(self, other: Amount) -> Amount:
        """The smaller of the two, kind by kind."""
        return self - self.above(other)

    def most(self, other: Amount) -> Amount:
        """The larger of the two, kind by kind."""
        return self + other.above(self)


@dataclass(frozen=True, slots=True)
class Limits:
    """A run's ceiling, a day's allowance, or a lease on it; None: no limit of that kind."""

    calls: Count | None = None
    tokens: Count | None = None
    pusd: Count | None = None

    def allow(self, amount: Amount) -> bool:
        """Whether the amount stays within every limit."""
        pairs = ((amount.calls, self.calls), (amount.tokens, self.tokens), (amount.pusd, self.pusd))
        return all(limit is None or value <= limit for value, limit in pairs)

    def left(self, amount: Amount) -> Limits:
        """What the amount leaves of every limit, at least 0."""
        return Limits(_less(self.calls, amount.calls), _less(self.tokens, amount.tokens), _less(self.pusd, amount.pusd))

    def beyond(self, amount: Amount) -> Limits:
        """Every limit counted from the amount on."""
        return Limits(_more(self.calls, amount.calls), _more(self.tokens, amount.tokens), _more(self.pusd, amount.pusd))

    def least(self, other: Limits) -> Limits:
        """The tighter of the two, kind by kind."""
        return Limits(_least(self.calls, other.calls), _least(self.tokens, other.tokens), _least(self.pusd, other.pusd))


def _less(limit: int | None, value: int) -> int | None:
    return None if limit is None else max(0, limit - value)


def _more(limit: int | None, value: int) -> int | None:
    return None if limit is None else limit + value


def _least(one: int | None, other: int | None) -> int | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)


class Ceiling:
    """The run's ledger: `spent + reserved + in doubt <= limits` at every instant, under any interleaving.

    The limits are the run's own and, once something is lent, what the day's lease lets it reach. Only billed calls
    count: a replay costs nothing. An overrun (a provider that ignores the cap) is booked in full and shows as
    `overrun`; it is the one way past a limit and cannot be known before the reply.
    """

    def __init__(self, limits: Limits, spent: Amount = Amount(), in_doubt: Amount = Amount()) -> None:
        self.limits = limits
        """The run's own ceiling."""
        self.lent: Limits | None = None
        """What the day's lease gave beyond what was charged when it was taken; None: no lease is needed."""
        self.spent = spent
        self.reserved = Amount()
        self.in_doubt = in_doubt
        self.overrun = Amount()
        self.in_flight = 0
        self.paused = False
        """True: nothing is reserved until the next lease is there."""
        self.day_is_short = False
        """Whether what did not fit last would have fitted under the run's own ceiling: the day's lease stopped it."""
        self._reach = Limits()
        self._lent_from = Amount()

    @property
    def charged(self) -> Amount:
        """What counts whatever happens to the calls in flight."""
        return self.spent + self.in_doubt

    @property
    def free(self) -> Limits:
        """What can still be reserved now."""
        return self.limits.least(self._reach).left(self.charged + self.reserved)

    def lend(self, lease: Limits) -> None:
        """Go on, with at most `lease` beyond what is charged now; only while nothing is in flight."""
        # What is in flight was reserved under the old lease, and the new one counts from what is charged.
        if self.in_flight:
            raise AssertionError("a lease was changed under calls in flight")
        self._lent_from = self.charged
        self.relend(lease)
        self.paused = False

    def relend(self, lease: Limits) -> None:
        """Go on with at most `lease` beyond what was charged when it was taken; what is in flight is not taken back."""
        self.lent = lease
        self._reach = lease.beyond(self._lent_from)

    def try_reserve(self, amount: Amount) -> bool:
        """Hold back the worst case of one attempt; False: it does not fit now."""
        if self.paused:
            return False
        # What is in doubt may have been billed; a ceiling that forgot it could be passed by kills and resumes.
        committed = self.spent + self.reserved + self.in_doubt + amount
        # Which of the two limits stopped it decides what the user is told: raise the ceiling, or wait for midnight.
        fits = self.limits.allow(committed)
        self.day_is_short = fits and not self._reach.allow(committed)
        if self.day_is_short or not fits:
            return False
        self.reserved += amount
        self.in_flight += 1
        return True

    def settle(self, reserved: Amount, actual: Amount) -> None:
        """Replace a reservation by what the attempt cost (nothing, if the provider refused it)."""
        self._release(reserved)
        self.spent += actual
        # Booked in full, as it was billed; it is known only now, when it is too late to refuse the call.
        self.overrun += actual.above(reserved)

    def doubt(self, reserved: Amount) -> None:
        """Keep a reservation charged: it was sent and no outcome came back."""
        self._release(reserved)
        self.in_doubt += reserved

    def _release(self, reserved: Amount) -> None:
        if self.in_flight < 1:
            raise AssertionError("settled more attempts than were reserved")
        self.reserved -= reserved
        self.in_flight -= 1


def larger(ours: int | None, told: int | None) -> int | None:
    """Of what a call cost by our price and what its provider reported (None: nothing); unpriced (None) stays so."""
    return ours if ours is None or told is None else max(ours, told)
