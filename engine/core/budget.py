"""Walls and ledger of a trial, ceiling of a run; pure integer arithmetic.

Tokens here are model tokens and a budget is a hard wall; this is not a rate limiter. Nothing here waits, calls a model
or knows a strategy. A wall is a linear functional of (calls, metered input, output) per model, where metered input is
the high-water mark H = max over calls of (reported input before the call + the call's prompt bound), so a loose bound
is both safe and exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from engine.core.errors import UsageError
from engine.core.records import Axis, Count, ModelSetting, ModelSpend, Spend, Usage, Wall, Weights

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
    return Weights(input=setting.price.input_pusd, output=setting.price.output_pusd)


def wall(axis: Axis, limit: int, settings: Iterable[ModelSetting]) -> Wall:
    """A wall on one axis for all models of a line-up."""
    return Wall(axis, limit, tuple((s.identity, weights(axis, s)) for s in settings))


@dataclass(frozen=True, slots=True)
class Planned:
    """A call that may be made: what the ledger needs to know of it."""

    model: str
    bound_tokens: int
    asked_tokens: int


class Ledger:
    """What a trial has spent, per model, and what its walls still let through."""

    def __init__(self, walls: Sequence[Wall]) -> None:
        self._walls = [(w.limit, dict(w.weights)) for w in walls]
        self._meters: dict[str, ModelSpend] = {}

    @property
    def spends(self) -> tuple[ModelSpend, ...]:
        """Cumulative spend, one entry per model in order of first use."""
        return tuple(self._meters.values())

    @property
    def spent(self) -> Spend:
        """Cumulative spend over all models."""
        return sum((meter.spend for meter in self._meters.values()), Spend())

    def granted(self, call: Planned) -> int:
        """Largest reply every wall leaves after the prompt bound, at most what is asked; 0: refused."""
        margins = self._margins(call.model, self.high_water(call), 1)
        return min([call.asked_tokens, *(room(left, w) for left, w in margins)])

    def fits(self, calls: Sequence[Planned]) -> bool:
        """Whether all these calls together stay within every wall at their worst case."""
        worst = dict(self._meters)
        for call in calls:
            meter = worst.get(call.model, ModelSpend(call.model, Spend(), 0))
            spend = Spend(1, call.bound_tokens, output_tokens=call.asked_tokens)
            worst[call.model] = _charged(meter, call.bound_tokens, spend)
        return self._within(worst)

    def covers(self, call: Planned, spend: Spend) -> bool:
        """Whether every wall still stands after this call, whatever the provider made of the cap."""
        return self._within(self._after(call, spend))

    def charge(self, call: Planned, spend: Spend) -> ModelSpend:
        """Book a call; returns the model's new cumulative spend."""
        self._meters = self._after(call, spend)
        return self._meters[call.model]

    def remaining(self, model: str) -> int | None:
        """Output tokens the tightest wall leaves this model before any prompt; None: no wall counts them."""
        meter = self._meter(model)
        # A wall that does not weigh output says nothing about how long a reply may be.
        rooms = [left // w.output for left, w in self._margins(model, meter.metered_input_tokens, 0) if w.output]
        return max(0, min(rooms)) if rooms else None

    def _meter(self, model: str) -> ModelSpend:
        return self._meters.get(model, ModelSpend(model, Spend(), 0))

    def metered(self, model: str) -> int:
        """The model's high-water mark of its input so far."""
        return self._meter(model).metered_input_tokens

    def high_water(self, call: Planned) -> int:
        """The model's metered input once this call's prompt is reserved."""
        meter = self._meter(call.model)
        return max(meter.metered_input_tokens, meter.spend.input_tokens + call.bound_tokens)

    def _after(self, call: Planned, spend: Spend) -> dict[str, ModelSpend]:
        charged = _charged(self._meter(call.model), call.bound_tokens, spend)
        return {**self._meters, call.model: charged}

    def _margins(self, model: str, high: int, calls: int) -> list[tuple[int, Weights]]:
        """Per wall: what is left after `calls` more calls of `model` with its input metered at `high`."""
        meter = self._meter(model)
        more = Spend(calls)
        # The call itself counts on the axis of calls before its first token does.
        state = {**self._meters, model: replace(meter, spend=meter.spend + more, metered_input_tokens=high)}
        return [(limit - stand(state.values(), table), table[model]) for limit, table in self._walls]

    def _within(self, state: dict[str, ModelSpend]) -> bool:
        return all(stand(state.values(), table) <= limit for limit, table in self._walls)


def _charged(meter: ModelSpend, bound: int, spend: Spend) -> ModelSpend:
    """H takes the bound, and a report above it: an overrun is recorded, never hidden."""
    # The bound alone would be loose for later calls, the report alone would place marks before their walls.
    before = meter.spend.input_tokens
    high = max(meter.metered_input_tokens, before + bound, before + spend.input_tokens)
    return ModelSpend(meter.model, meter.spend + spend, high)


def stand(meters: Iterable[ModelSpend], table: Mapping[str, Weights]) -> int:
    """Where the spends of a line-up stand on a wall."""
    return sum(position(meter, table[meter.model]) for meter in meters)


def position(meter: ModelSpend, w: Weights) -> int:
    """Where a cumulative spend stands on an axis: calls, metered input and output, weighed."""
    spend = meter.spend
    return w.calls * spend.calls + w.input * meter.metered_input_tokens + w.output * spend.output_tokens


def room(margin: int, w: Weights) -> int:
    """Output tokens a margin buys; a wall that does not weigh output lets any length through."""
    if margin < 0:
        return 0
    return margin // w.output if w.output else _UNBOUNDED


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
        self.lent = lease
        self._reach = lease.beyond(self.charged)
        self.paused = False

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
        over = actual - reserved
        self.overrun += Amount(max(0, over.calls), max(0, over.tokens), max(0, over.pusd))

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
