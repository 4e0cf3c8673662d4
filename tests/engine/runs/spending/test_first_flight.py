"""A provider that misbehaves is met with one call: what it makes of a cap costs the surplus of that call alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from engine.core.budget import Amount, Ceiling, Limits
from engine.core.records import Attempt, Completion, Price
from engine.models import open_model
from engine.models.declared import ModelSpec
from engine.models.remote import RemoteModel
from engine.runs.dispatcher import Dispatcher, Gate, Overruns
from engine.runs.rate_limits import Retries
from tests.engine.models.test_faults import request
from tests.support.provider import Provider, serving

WIDTH, ASKED = 16, 64
Reply = dict[str, Any]


def usage(**figures: object) -> Callable[[Reply, int], None]:
    return lambda reply, _: reply["usage"].update(figures)


def _times(many: int) -> Callable[[Reply, int], None]:
    return usage(completion_tokens=many * ASKED, total_tokens=None)


def _stretched(reply: Reply, _: int) -> None:
    reply["usage"] |= {"completion_tokens": 20 * reply["usage"]["completion_tokens"], "total_tokens": None}


def _without(reply: Reply, _: int) -> None:
    del reply["usage"]


def _several(reply: Reply, _: int) -> None:
    reply["choices"] = reply["choices"] * 8
    _times(8)(reply, _)


def _long(reply: Reply, _: int) -> None:
    reply["choices"][0]["message"]["content"] += " and so on" * 400
    reply["usage"] |= {"completion_tokens": 1_240, "total_tokens": 1_250}


def _renamed(reply: Reply, _: int) -> None:
    reply["model"] = "m-dearer"
    reply["usage"]["cost"] = 0.02


def _garbled(reply: Reply, _: int) -> None:
    _times(20)(reply, _)
    reply["choices"][0]["finish_reason"] = "error"


MODES: dict[str, Callable[[Reply, int], None]] = {
    "three times the cap": _times(3),
    "twenty times the cap": _times(20),
    "a thousand times the cap": _times(1_000),
    "a text beyond the cap": _long,
    "several choices, all billed": _several,
    "no usage": _without,
    "an empty usage": lambda reply, _: reply["usage"].clear(),
    "null figures": usage(prompt_tokens=None, completion_tokens=None, total_tokens=None),
    "an output of nothing": usage(completion_tokens=0, total_tokens=None),
    "a usage that lies low": usage(completion_tokens=1, total_tokens=None),
    "a prompt longer than its bound": usage(prompt_tokens=900, total_tokens=None),
    "more reasoning than completion": usage(
        total_tokens=None, completion_tokens=9, completion_tokens_details={"reasoning_tokens": 700}
    ),
    "reasoning hidden in no total": usage(
        prompt_tokens=8, completion_tokens=9, total_tokens=17, completion_tokens_details={"reasoning_tokens": 700}
    ),
    "reasoning in the total alone": usage(total_tokens=2_000),
    "a total below its parts": usage(total_tokens=3),
    "more cached than the prompt": usage(prompt_tokens_details={"cached_tokens": 800}, total_tokens=None),
    "negative figures": usage(completion_tokens=-40, prompt_tokens=-2),
    "huge figures": usage(completion_tokens=10**12),
    "text for figures": usage(completion_tokens="many"),
    "NaN": usage(completion_tokens=float("nan")),
    "half a token": usage(completion_tokens=2.5),
    "usage as a list": lambda reply, _: reply.update(usage=[1, 2]),
    "a dearer model under our name": _renamed,
    "a fee on every call": usage(cost=0.005),
    "a fee in an object": usage(cost={"total": 0.004}),
    "an error that is billed twentyfold": _garbled,
    "twenty times its own length": _stretched,
    "twice as much as the last time": lambda reply, n: _times(2 ** (n % 6))(reply, n),
}
"""What a provider makes of every reply."""
GROWING = {"twenty times its own length", "twice as much as the last time"}
"""Modes in which the first call does not tell what the others do."""


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serving(latency_s=0.005) as one:
        yield one


class Counted:
    """Notes in order, and what the ceiling says that was overrun when the second call was noted."""

    def __init__(self, ceiling: Ceiling) -> None:
        self.ceiling = ceiling
        self.lines: list[tuple[str, Attempt]] = []
        self.first: Amount | None = None

    def intent(self, attempt: Attempt) -> None:
        if len(self.lines) == 2:
            self.first = self.ceiling.overrun
        self.lines.append(("intent", attempt))

    def outcome(self, attempt: Attempt, completion: Completion | None) -> None:
        self.lines.append(("outcome", attempt))

    async def written(self) -> None:
        """Memory is written at once."""

    def sync(self) -> None:
        """Memory survives no machine."""


def bought(
    provider: Provider,
    limits: Limits,
    count: int = 48,
    price: Price = Price(10**6, 4 * 10**6),
    past: Overruns | None = None,
) -> tuple[Ceiling, Counted]:
    """So many calls wanted at once under a ceiling; what was booked and noted."""
    model = open_model("m", {"m": ModelSpec("m", provider.api_base, None, price=price, parallel=WIDTH)})
    ceiling = Ceiling(limits)
    notes = Counted(ceiling)
    buyer = Dispatcher({"m": model}, Gate(ceiling), notes, Retries(attempts=2, first_s=0), overruns=past)

    async def all_of_them() -> None:
        wanted = (buyer.purchase(request(f"What is {n} + 3?")) for n in range(count))
        await asyncio.gather(*wanted, return_exceptions=True)
        await model.close()

    asyncio.run(all_of_them())
    assert ceiling.in_flight == 0 and notes.lines
    return ceiling, notes


@pytest.mark.parametrize("limits", [Limits(tokens=6_000), Limits(pusd=10**10)], ids=["tokens", "money"])
@pytest.mark.parametrize("mode", MODES)
def test_constant_misbehaviour_overshoots_by_the_surplus_of_one_call(
    provider: Provider, mode: str, limits: Limits
) -> None:
    provider.bends = MODES[mode]
    ceiling, notes = bought(provider, limits)
    assert [kind for kind, _ in notes.lines[:2]] == ["intent", "outcome"], "the first flight goes alone"
    over = ceiling.charged.above(Amount(1 << 62, limits.tokens or 1 << 62, limits.pusd or 1 << 62))
    first = notes.first or ceiling.overrun
    if mode not in GROWING:
        assert ceiling.overrun == first, "no later call was billed beyond what was reserved for it"
        assert over.above(first) == Amount()
    else:
        surpluses = sorted(a.charged_tokens - a.reserved_tokens for kind, a in notes.lines if kind == "outcome")
        assert over.tokens <= sum(each for each in surpluses[-WIDTH:] if each > 0)
    told = [attempt for kind, attempt in notes.lines if kind == "outcome"]
    assert sum(a.charged_tokens for a in told) == ceiling.charged.tokens


@pytest.mark.parametrize("mode", ["no usage", "an empty usage", "null figures"])
def test_a_model_that_tells_no_usage_is_asked_one_call_at_a_time(provider: Provider, mode: str) -> None:
    provider.bends, provider.most_in_flight = MODES[mode], 0
    _, notes = bought(provider, Limits(tokens=2_000))
    assert provider.most_in_flight == 1
    assert [kind for kind, _ in notes.lines] == ["intent", "outcome"] * (len(notes.lines) // 2)


@pytest.mark.parametrize("honest", [1, 20])
def test_a_provider_that_begins_later_overshoots_by_what_was_in_flight(provider: Provider, honest: int) -> None:
    before = len(provider.served)
    provider.bends = lambda reply, n: usage(prompt_tokens=8)(reply, n) if n < before + honest else _times(20)(reply, n)
    ceiling, notes = bought(provider, Limits(tokens=6_000))
    offence = next(
        n for n, (kind, a) in enumerate(notes.lines) if kind == "outcome" and a.charged_tokens > a.reserved_tokens
    )
    flying = {a.attempt_id for _, a in notes.lines[:offence]} - {
        a.attempt_id for kind, a in notes.lines[:offence] if kind == "outcome"
    }
    over = [a for kind, a in notes.lines if kind == "outcome" and a.charged_tokens > a.reserved_tokens]
    assert {a.attempt_id for a in over} <= flying and len(flying) <= WIDTH
    assert ceiling.charged.tokens <= 6_000 + sum(a.charged_tokens - a.reserved_tokens for a in over)


def test_a_model_that_told_its_usage_in_an_earlier_session_needs_no_first_flight(provider: Provider) -> None:
    provider.bends = None
    _, notes = bought(provider, Limits(), 2)
    past = Overruns(attempt for kind, attempt in notes.lines if kind == "outcome")
    _, again = bought(provider, Limits(), WIDTH, past=past)
    assert [kind for kind, _ in again.lines[:WIDTH]] == ["intent"] * WIDTH


def test_a_fee_on_a_free_model_is_reserved_once_it_was_seen(provider: Provider) -> None:
    provider.bends = usage(cost=0.3)
    ceiling, _ = bought(provider, Limits(pusd=10**12), price=Price(0, 0))
    assert ceiling.spent.pusd == 9 * 10**11 and ceiling.overrun.pusd == 3 * 10**11


def test_reasoning_beyond_the_completion_is_counted_and_said(provider: Provider) -> None:
    provider.bends = MODES["reasoning hidden in no total"]
    model = open_model("m", {"m": ModelSpec("m", provider.api_base, None, price=Price(1, 1))})
    assert isinstance(model, RemoteModel)
    done = asyncio.run(model.complete(request()))
    assert done.usage.output_tokens > 700 == done.usage.reasoning_tokens
    assert ["reasoning" in said for said in model.remarks] == [True]
