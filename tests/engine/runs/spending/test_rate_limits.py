"""How fast a model is asked: rates, rests and calls at once, on a clock that leaps instead of waiting."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.budget import Amount, Ceiling, Limits
from engine.core.errors import ProviderError, RunStopped, UsageError
from engine.core.ids import request_key
from engine.core.records import Attempt, Completion, Message, Price, Request
from engine.models import open_model
from engine.models.declared import ModelSpec
from engine.models.model import Rates
from engine.models.scripted import ScriptedModel
from engine.runs.dispatcher import Dispatcher, Gate
from engine.runs.rate_limits import BURST, STEP, Bucket, Lane, Retries
from engine.study.plan import plan
from engine.study.schema import as_json, parse
from tests.support.effort import cases
from tests.support.provider import serving
from tests.support.trials_on_paper import SOLVER, salted

_T = TypeVar("_T")
WORST = 13
"""Tokens one request of these tests may take: three of prompt, ten of reply."""


class Leaping(selectors.SelectSelector):
    """Never waits, and tells how long it would have."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits for ever"
            self.now += timeout + 1e-9
        return ready


class LeapingLoop(asyncio.SelectorEventLoop):
    """An event loop in which minutes take no time."""

    def __init__(self) -> None:
        self._leaping = Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.now


def leaping(work: Coroutine[Any, Any, _T]) -> _T:
    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        return runner.run(work)


def now() -> float:
    return asyncio.get_running_loop().time()


class Silent:
    """Notes nobody reads."""

    def intent(self, attempt: Attempt) -> None: ...

    def outcome(self, attempt: Attempt, completion: Completion | None) -> None: ...

    async def written(self) -> None: ...

    def sync(self) -> None: ...


class Slow(Silent):
    """Notes that take three seconds to write."""

    async def written(self) -> None:
        await asyncio.sleep(3)


@dataclass
class Timed(ScriptedModel):
    """Answers after a second, and remembers when it was asked; the first so many times it says what `refusal` says."""

    takes_s: float = 1.0
    refusals: int = 0
    refusal: ProviderError = field(default_factory=lambda: ProviderError("slow down", kind="rate_limit"))
    asked_at: list[float] = field(default_factory=list)
    flying: int = 0
    most_flying: int = 0

    async def complete(self, request: Request) -> Completion:
        self.asked_at.append(now())
        self.flying += 1
        self.most_flying = max(self.most_flying, self.flying)
        refused = len(self.asked_at) <= self.refusals
        try:
            await asyncio.sleep(self.takes_s)
        finally:
            self.flying -= 1
        if refused:
            raise self.refusal
        return await super().complete(request)


def timed(rates: Rates = Rates(), **more: Any) -> Timed:
    return Timed(SOLVER, salted(1), rates=rates, **more)


def ask(draw: int) -> Request:
    bare = Request(SOLVER.identity, (Message("user", "say something"),), (), 10, 0, draw)
    return replace(bare, key=request_key(bare), seed=draw)


def buyer(model: Timed, gate: Gate | None = None, notes: Silent | None = None, **retries: Any) -> Dispatcher:
    return Dispatcher({SOLVER.identity: model}, gate or Gate(Ceiling(Limits())), notes or Silent(), Retries(**retries))


def all_bought(model: Timed, count: int, gate: Gate | None = None, **retries: Any) -> list[Any]:
    async def run() -> list[Any]:
        buying = buyer(model, gate, **retries)
        return await asyncio.gather(*(buying.purchase(ask(n)) for n in range(count)), return_exceptions=True)

    return leaping(run())


def busiest(moments: Sequence[tuple[float, int]], seconds: float = 60.0) -> int:
    """The most units in any stretch of so many seconds."""
    return max(sum(units for at, units in moments if start <= at < start + seconds) for start, _ in moments)


# Rates


@given(rate=st.integers(1, 300), count=st.integers(1, 80))
@cases(40)
def test_no_minute_has_more_requests_than_the_rate_and_none_is_wasted(rate: int, count: int) -> None:
    model = timed(Rates(requests_per_minute=rate), takes_s=0.0, parallel=100)
    results = all_bought(model, count)
    assert all(isinstance(result, Completion) for result in results)
    # The library's own rounding may let a call out a moment early; a thousandth of a second is not a rate.
    assert busiest([(at, 1) for at in model.asked_at], 59.999) <= rate
    steady = rate + 1 - max(1, rate // BURST)
    assert model.asked_at[-1] <= 60.0 * count / steady + 0.01


@given(rate=st.integers(10 * WORST, 5000), count=st.integers(1, 60))
@cases(40)
def test_no_minute_has_more_tokens_than_the_rate_at_their_worst_case(rate: int, count: int) -> None:
    model = timed(Rates(tokens_per_minute=rate), takes_s=0.0, parallel=100)
    all_bought(model, count)
    assert len(model.asked_at) == count
    assert busiest([(at, WORST) for at in model.asked_at], 59.999) <= rate
    assert model.asked_at[-1] <= 60.0 * WORST * count / (rate - rate // 10) + 1


@given(rate=st.integers(1, 4), count=st.integers(1, 4))
@cases(20)
def test_a_request_larger_than_a_minutes_allowance_takes_its_minutes_and_goes(rate: int, count: int) -> None:
    model = timed(Rates(tokens_per_minute=rate), takes_s=0.0)
    all_bought(model, count)
    assert len(model.asked_at) == count
    minutes = WORST * count / rate
    assert 60 * (minutes - 1) <= model.asked_at[-1] <= 60 * (minutes + 1)


def test_a_bucket_serves_in_order_of_arrival_however_large_the_first_is() -> None:
    served: list[int] = []

    async def take(bucket: Bucket, amount: int) -> None:
        await bucket.take(amount)
        served.append(amount)

    async def run() -> None:
        bucket = Bucket(100, Gate(Ceiling(Limits())))
        await asyncio.gather(*(take(bucket, amount) for amount in (10, 250, 1, 10, 1)))

    leaping(run())
    assert served == [10, 250, 1, 10, 1]


def test_retries_count_towards_the_rate() -> None:
    model = timed(Rates(requests_per_minute=1), refusals=2)
    (result,) = all_bought(model, 1, first_s=0.0)
    assert isinstance(result, Completion)
    assert [round(at / 60) for at in model.asked_at] == [0, 1, 2]


def test_a_model_without_rates_is_not_held_up_and_needs_no_limiter() -> None:
    model = timed(takes_s=1.0, parallel=50)
    all_bought(model, 100)
    assert model.asked_at[:50] == pytest.approx([0.0] * 50, abs=1e-3)
    assert model.asked_at[50:] == pytest.approx([1.0] * 50, abs=1e-3)


# Rests


def test_a_retry_after_rests_the_whole_model() -> None:
    slow = ProviderError("slow down", kind="rate_limit", retry_after_s=7.0)
    model = timed(refusals=1, refusal=slow, parallel=2)
    results = all_bought(model, 12)
    assert all(isinstance(result, Completion) for result in results)
    assert not [at for at in model.asked_at if 1.1 < at < 7.9]
    assert len([at for at in model.asked_at if at < 1.1]) <= 3


def test_a_retry_after_of_a_broken_server_rests_the_model_and_slows_nothing_down() -> None:
    gone = ProviderError("busy", kind="server", retry_after_s=5.0)
    model = timed(refusals=1, refusal=gone, parallel=4)
    all_bought(model, 20)
    assert model.flying == 0 and model.most_flying == 4
    assert not [at for at in model.asked_at if 1.1 < at < 5.9]


def test_a_retry_after_beyond_the_bound_rests_nobody() -> None:
    never = ProviderError("tomorrow", kind="rate_limit", retry_after_s=86_400.0)
    model = timed(refusals=1, refusal=never, parallel=1)
    results = all_bought(model, 3)
    assert [type(result) for result in results] == [ProviderError, Completion, Completion]
    assert model.asked_at[-1] < 10


# Calls at once


def lane(parallel: int) -> Lane:
    return Lane(parallel, Rates(), Gate(Ceiling(Limits())))


def test_a_burst_of_refusals_halves_once() -> None:
    one = lane(16)

    async def run() -> None:
        sent = [await one.pace(1) for _ in range(16)]
        for number in sent:
            one.slow_down(number)

    leaping(run())
    assert one.width == 8


@given(st.lists(st.booleans(), max_size=400), st.integers(1, 40))
def test_calls_at_once_stay_between_one_and_what_is_declared(replies: list[bool], parallel: int) -> None:
    one = lane(parallel)

    async def run() -> None:
        for good in replies:
            sent, before = await one.pace(1), one.width
            if good:
                one.speed_up(told=True)
                assert before <= one.width <= before + 1
            else:
                one.slow_down(sent)
                assert one.width == max(1, before // 2)
            assert 1 <= one.width <= parallel

    leaping(run())


def test_good_replies_win_the_places_back_one_by_one() -> None:
    one = lane(8)
    one.slow_down(0)
    widths = []
    for _ in range(6 * STEP):
        one.speed_up(told=True)
        widths.append(one.width)
    assert widths[STEP - 2 : STEP] == [4, 5] and widths[-1] == 8


def test_after_a_refusal_only_half_as_many_are_sent_at_once() -> None:
    model = timed(refusals=8, parallel=8)
    results = all_bought(model, 30, first_s=3.0)
    assert all(isinstance(result, Completion) for result in results)
    later = model.asked_at[8 : 8 + STEP]
    assert busiest([(at, 1) for at in later], 0.99) == 4


def test_the_next_call_goes_out_while_the_journal_is_written_but_nobody_sees_the_reply_before() -> None:
    model = timed(parallel=1)

    async def run() -> list[float]:
        buying = buyer(model, notes=Slow())

        async def seen(draw: int) -> float:
            await buying.purchase(ask(draw))
            return now()

        return await asyncio.gather(*map(seen, range(3)))

    # Three seconds for its intent, one for the reply, and then the place is the next one's.
    assert [round(at) for at in leaping(run())] == [7, 11, 15]
    assert [round(at) for at in model.asked_at] == [3, 7, 11]


def test_a_place_given_to_somebody_who_just_left_goes_to_the_next() -> None:
    one = lane(1)

    async def run() -> None:
        await one.enter()
        gone, next_one = asyncio.create_task(one.enter()), asyncio.create_task(one.enter())
        await asyncio.sleep(0)
        one.leave()
        gone.cancel()
        await next_one
        with pytest.raises(asyncio.CancelledError):
            await gone

    leaping(run())


# Stopping

WAITS: dict[str, Callable[[], Timed]] = {
    "a place": lambda: timed(parallel=1, takes_s=1.5),
    "a request": lambda: timed(Rates(requests_per_minute=1), takes_s=0.0),
    "tokens": lambda: timed(Rates(tokens_per_minute=1), takes_s=0.0),
    "a rest": lambda: timed(
        refusals=1, takes_s=0.0, parallel=1, refusal=ProviderError("wait", kind="rate_limit", retry_after_s=50.0)
    ),
}


@pytest.mark.parametrize("wait", WAITS)
def test_whoever_waits_for_anything_ends_with_the_run_at_once_and_costs_nothing(wait: str) -> None:
    ceiling, model = Ceiling(Limits()), WAITS[wait]()
    gate = Gate(ceiling)
    ended: dict[int, float] = {}

    async def one(buying: Dispatcher, n: int) -> None:
        try:
            await buying.purchase(ask(n))
        except RunStopped:
            ended[n] = now()

    async def run() -> None:
        buying = buyer(model, gate)
        work = [asyncio.create_task(one(buying, n)) for n in range(5)]
        await asyncio.sleep(1.0)
        gate.stop()
        await asyncio.gather(*work)

    leaping(run())
    assert len(ended) >= 4 and all(at == pytest.approx(1.0, abs=1e-3) for at in ended.values())
    assert (ceiling.in_flight, ceiling.reserved, ceiling.in_doubt) == (0, Amount(), Amount())
    assert ceiling.spent.calls == len(model.served) == 5 - len(ended)


def test_a_wait_that_is_cancelled_is_cancelled_though_the_run_was_stopped() -> None:
    async def run() -> None:
        gate = Gate(Ceiling(Limits()))
        task = asyncio.create_task(gate.until(asyncio.get_running_loop().create_future()))
        await asyncio.sleep(0)
        task.cancel()
        gate.stop()
        with pytest.raises(asyncio.CancelledError):
            await task

    leaping(run())


# The study

STUDY = """
name = "rates"
budgets = [64]
strategies = ["direct"]
tasks = ["gym:chain_sum"]
[[models]]
name = "scripted/adder"
"""
PACED = STUDY + "requests_per_minute = 30\ntokens_per_minute = 90000\n"


def test_rates_are_read_kept_and_given_to_any_model() -> None:
    told = parse(PACED, "s.toml").models[0]
    assert told.rates == Rates(30, 90_000)
    assert open_model(told.name, {told.name: told}).rates == told.rates
    assert open_model(told.name, {}).rates == Rates(None, None)
    assert as_json(parse(PACED, "s.toml"))["models"][0]["tokens_per_minute"] == 90_000


def test_rates_are_in_no_id(tmp_path: Path) -> None:
    (tmp_path / "sums.jsonl").write_text('{"question": "What is 1 + 2?", "answer": "3"}')
    texts = (text.replace("gym:chain_sum", f"file:{tmp_path}/sums.jsonl") for text in (STUDY, PACED))
    plain, paced = (plan(parse(text, "s.toml")) for text in texts)
    assert [spec.trial_id for spec in plain.specs] == [spec.trial_id for spec in paced.specs]
    assert list(plain.models) == list(paced.models)


@pytest.mark.parametrize("key", ["requests_per_minute", "tokens_per_minute"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", '"many"', "true"])
def test_a_rate_that_is_no_positive_whole_number_is_refused(key: str, value: str) -> None:
    with pytest.raises(UsageError, match=key):
        parse(f"{STUDY}{key} = {value}\n", "s.toml")


# A real server


def test_a_server_that_allows_few_calls_at_once_is_served_fully_with_few_refusals(tmp_path: Path) -> None:
    with serving(latency_s=0.01, allows=4) as server:
        declared = ModelSpec("m", server.api_base, price=Price(1, 1), parallel=32)
        model = open_model("m", {"m": declared})
        ceiling = Ceiling(Limits())
        buying = Dispatcher({"m": model}, Gate(ceiling), Silent(), Retries(first_s=0.05))

        async def run() -> list[Completion]:
            return await asyncio.gather(*(buying.purchase(replace(ask(n), model="m")) for n in range(300)))

        assert len(asyncio.run(run())) == 300 == server.good
        refused = len(server.served) - server.good
        assert 1 <= refused < 100, "some, and far from one per call"
        assert (ceiling.spent.calls, ceiling.in_flight) == (300, 0)
