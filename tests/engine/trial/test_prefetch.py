"""What is bought ahead, what is sent, and what failures and stops leave (rules 12, 13, 16 and 18)."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import CeilingReached, ProviderError, RunStopped
from engine.core.records import AXES, Axis, Completion, Message, Request
from engine.models.scripted import Script
from engine.strategies.self_consistency import SelfConsistency
from engine.trial.session import Session, Stream
from tests.support.effort import cases
from tests.support.trials_on_paper import (
    FIVE,
    LARGEST,
    SOLVER,
    Does,
    NoPool,
    Till,
    asking,
    fixed,
    in_loop,
    model,
    opened,
    play,
    played,
    pool_over,
    salted,
    spec,
    swallowing,
    total,
)

CHAIN = SelfConsistency(samples=4, chain_tokens=10)


# Rules 12 and 13: prefetch


def test_draws_that_are_certain_are_in_flight_together() -> None:
    width = _widest(lambda session: session.stream("say it", 6, 10), {"output_tokens": 999})
    assert width == 4


def test_ahead_limits_what_is_in_flight() -> None:
    assert _widest(lambda session: session.stream("say it", 6, 10, ahead=lambda: 2), {"calls": 99}) == 2


def _widest(draws: Callable[[Session], Stream], walls: dict[Axis, int]) -> int:
    """How many draws a stream had in flight at once."""
    solver, flying = model(FIVE), []

    class Watched(Till):
        now = 0

        async def buy(self, request: Request) -> Completion:
            self.now += 1
            flying.append(self.now)
            for _ in range(5):
                await asyncio.sleep(0)
            self.now -= 1
            return await super().buy(request)

    async def run() -> None:
        pool = pool_over()
        pool._buy = Watched({SOLVER.identity: solver}).buy
        async for _ in draws(opened(walls, pool, solver, width=4)):
            pass

    in_loop(run())
    return max(flying)


@given(
    axis=st.sampled_from(AXES), data=st.data(), slack=st.sampled_from((1.0, 1.5, 3.0)), width=st.sampled_from((2, 16))
)
@cases(300)
def test_prefetch_never_buys_what_the_budget_may_not_cover(
    axis: Axis, data: st.DataObject, slack: float, width: int
) -> None:
    budget = data.draw(st.integers(1, LARGEST[axis]))
    solver = model(salted(data.draw(st.integers(0, 999))), slack=slack, pauses=3)
    trial = play(SelfConsistency(samples=9, chain_tokens=12), axis, budget, solver, width=width)
    assert len(solver.served) == sum(call.cut != "refused" for call in trial.calls)


async def _first_only(session: Session) -> AsyncIterator[str]:
    async for reply in session.stream("say it", 6, 10):
        yield reply.text
        return


@pytest.mark.parametrize("fails", [False, True], ids=["lands", "fails"])
def test_a_prefetched_draw_nobody_consumed_never_happened(fails: bool) -> None:
    def say(request: Request, rng: Any) -> str:
        if fails and request.draw:
            raise ProviderError("down", kind="server")
        return f"draw {request.draw}"

    async def body(session: Session) -> AsyncIterator[str]:
        async for answer in _first_only(session):
            yield answer
        yield (await session.ask("other", 10)).text

    solver = model(say, pauses=5)
    trial = play(Does(body), "output_tokens", 99, solver)
    assert len(solver.served) > 2
    assert (trial.end, len(trial.calls), total(trial).calls) == ("finished", 2, 2)
    assert trial.answer == "draw 0"


def test_a_draw_left_behind_is_the_next_one_consumed() -> None:
    async def body(session: Session) -> AsyncIterator[str]:
        async for answer in _first_only(session):
            yield answer
        yield (await session.ask("say it", 10)).text

    solver = model(fixed("zero", "one", "two", "three", "four", "five"))
    assert play(Does(body), "output_tokens", 99, solver).answer == "one"
    assert len(solver.served) == 4


@pytest.mark.parametrize("leave", ["return", "break", "close", "fail"])
def test_leaving_a_stream_leaks_no_task(leave: str) -> None:
    async def body(session: Session) -> AsyncIterator[str]:
        async for _ in session.stream("say it", 6, 10):
            if leave == "fail":
                raise ValueError("on purpose")
            if leave == "return":
                return
            if leave == "break":
                break
        yield "A"

    complaints: list[Any] = []

    async def run() -> set[Any]:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        solver = model(FIVE, pauses=4)
        walls = 7 if leave == "close" else 99
        await played(Does(body), spec("s", "output_tokens", walls), [solver], pool_over(solver), 4)
        return asyncio.all_tasks() - {asyncio.current_task()}

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert asyncio.run(run(), debug=True) == set()
    assert not complaints


# Rules 16 and 18: what is sent


@given(budget=st.integers(1, 60), cap=st.integers(1, 30))
@cases(150)
def test_a_live_call_is_sent_with_the_asked_cap_whatever_is_granted(budget: int, cap: int) -> None:
    solver = model(salted(5))
    trial = play(SelfConsistency(samples=5, chain_tokens=cap), "output_tokens", budget, solver)
    assert {request.asked_tokens for request in solver.served} <= {cap}
    assert all(call.asked_tokens == cap and call.granted_tokens <= min(cap, budget) for call in trial.calls)


def test_a_model_that_repeats_itself_at_temperature_zero_is_asked_once() -> None:
    solver = model(FIVE, one_draw_at_zero=True)
    trial = play(SelfConsistency(samples=4, chain_tokens=10, temperature=0.0), "output_tokens", 99, solver)
    assert (len(solver.served), len({call.key for call in trial.calls}), total(trial).calls) == (1, 1, 4)
    assert [call.replayed for call in trial.calls] == [False, True, True, True]


def test_a_model_that_varies_at_temperature_zero_is_asked_every_time() -> None:
    solver = model(FIVE)
    trial = play(SelfConsistency(samples=4, chain_tokens=10, temperature=0.0), "output_tokens", 99, solver)
    assert (len(solver.served), len({call.key for call in trial.calls})) == (4, 4)


@pytest.mark.parametrize("pair", [(0, 0.0), (1, 1.0)])
def test_a_temperature_written_as_a_whole_number_is_the_same_request(pair: tuple[float, float]) -> None:
    keys = [play(asking(["say it"], temperature=heat), "calls", 9, model(FIVE)).calls[0].key for heat in pair]
    assert keys[0] == keys[1]


def test_above_temperature_zero_even_a_deterministic_model_is_drawn_from() -> None:
    solver = model(FIVE, one_draw_at_zero=True)
    play(SelfConsistency(samples=4, chain_tokens=10), "output_tokens", 99, solver)
    assert len(solver.served) == 4


def test_the_studys_system_prompt_goes_before_every_call() -> None:
    solver = model(FIVE)

    async def run() -> None:
        session = opened({"calls": 9}, pool_over(solver), solver, system="Be terse.")
        await session.ask("one", 9)
        await session.ask((Message("user", "two"), Message("assistant", "so"), Message("user", "?")), 9)

    in_loop(run())
    assert [request.messages[0] for request in solver.served] == [Message("system", "Be terse.")] * 2
    assert len(solver.served[1].messages) == 4


def test_a_mark_is_left_only_when_the_answer_changes() -> None:
    trial = play(CHAIN, "calls", 9, model(fixed("Answer: A", "Answer: A", "Answer: A", "Answer: B")))
    assert [(mark.ordinal, mark.answer, mark.after_calls) for mark in trial.marks] == [(0, "A", 1)]
    changing = model(fixed("A", "A", "B", "A"))
    trial = play(asking(["say it"] * 4), "calls", 9, changing)
    assert [(mark.answer, mark.after_calls) for mark in trial.marks] == [("A", 1), ("B", 3), ("A", 4)]


# Failures


def test_a_provider_that_gives_up_fails_the_trial_with_its_sentence_and_stores_the_call() -> None:
    trial = play(CHAIN, "output_tokens", 99, model(_giving_up(2)))
    assert (trial.end, trial.error) == ("failed", "the provider is down")
    assert [call.cut for call in trial.calls] == [None, None, "failed"]
    assert total(trial).calls == 2


def test_a_failed_trial_stays_failed_when_its_strategy_swallows_the_failure() -> None:
    trial = play(Does(swallowing), "output_tokens", 99, model(_giving_up(1)))
    assert (trial.end, len(trial.calls)) == ("failed", 2)


@pytest.mark.parametrize("error", [RunStopped("stopped"), CeilingReached("full")], ids=["stop", "ceiling"])
@pytest.mark.parametrize("swallow", [False, True], ids=["plain", "swallowing"])
def test_a_run_that_ends_under_a_trial_stops_it(error: Exception, swallow: bool) -> None:
    class Ending(NoPool):
        async def get(self, request: Request) -> tuple[Completion, bool]:
            if request.draw > 1:
                raise error
            return await super().get(request)

    strategy = Does(swallowing) if swallow else asking(["say it"] * 4)
    trial = play(strategy, "calls", 9, source=Ending(model(FIVE)))
    assert trial.end == "stopped"
    assert swallow or trial.error == str(error)
    assert not [mark for mark in trial.marks if "late" in mark.answer]


def _giving_up(at: int) -> Script:
    def say(request: Request, rng: Any) -> str:
        if request.draw == at:
            raise ProviderError("the provider is down", kind="server")
        return "Answer: A"

    return say


@pytest.mark.parametrize("value", [None, 3, b"A"])
def test_a_strategy_that_yields_no_text_fails(value: Any) -> None:
    async def body(session: Session) -> AsyncIterator[Any]:
        yield value

    trial = play(Does(body), "calls", 9)
    assert (trial.end, trial.marks) == ("failed", ())
    assert "instead of text" in (trial.error or "")


def test_a_strategy_with_a_mistake_fails_alone_with_a_sentence() -> None:
    async def body(session: Session) -> AsyncIterator[str]:
        yield "A"
        raise KeyError("oops")

    trial = play(Does(body), "calls", 9)
    assert (trial.end, trial.answer, trial.error) == ("failed", "A", "the strategy broke: KeyError: 'oops'")


def test_a_call_that_asks_for_nothing_is_a_mistake() -> None:
    trial = play(asking(["say it"], cap=0), "calls", 9)
    assert (trial.end, trial.calls) == ("failed", ())
