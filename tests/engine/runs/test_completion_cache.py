"""The pool: each draw is in flight once, bought once, and read by all."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import ProviderError
from engine.core.records import Completion, Request
from engine.runs.completion_cache import CompletionCache, Sieve
from tests.engine.core.test_ceiling import ask
from tests.engine.runs.test_journal import completion
from tests.support.effort import cases
from tests.support.trials_on_paper import in_loop


@dataclass
class Shop:
    """Sells completions after some turns of the loop; refuses some draws."""

    turns: int = 3
    refuses: frozenset[int] = frozenset()
    sold: list[int] = field(default_factory=list)

    async def buy(self, request: Request) -> Completion:
        self.sold.append(request.draw)
        for _ in range(self.turns):
            await asyncio.sleep(0)
        if request.draw in self.refuses:
            raise ProviderError(f"draw {request.draw}", kind="refused")
        return completion(request.key, f"draw {request.draw}")


@dataclass
class Stored:
    """A shelf with some draws of an earlier run."""

    draws: frozenset[int]
    looked: list[str] = field(default_factory=list)

    async def find(self, request: Request) -> Completion | None:
        self.looked.append(request.key)
        await asyncio.sleep(0)
        return next((completion(request.key, f"stored {k}") for k in self.draws if ask(k).key == request.key), None)

    def let_go(self, key: str) -> None:
        """It has all it ever has."""


@given(
    takes=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6), st.booleans()), min_size=1, max_size=40),
    refuses=st.frozensets(st.integers(0, 4)),
    stored=st.frozensets(st.integers(0, 4)),
)
@cases(300)
def test_every_draw_is_bought_at_most_once_whoever_asks_and_whenever(
    takes: list[tuple[int, int, bool]], refuses: frozenset[int], stored: frozenset[int]
) -> None:
    shop, shelf = Shop(3, refuses), Stored(stored)

    async def one(pool: CompletionCache, draw: int, later: int, only_warm: bool) -> tuple[int, Completion, bool] | None:
        for _ in range(later):
            await asyncio.sleep(0)
        if only_warm:
            pool.prefetch(ask(draw))
            return None
        found, replayed = await pool.get(ask(draw))
        return draw, found, replayed

    async def run() -> list[tuple[int, Completion, bool] | BaseException | None]:
        pool = CompletionCache(shop.buy, shelf)
        results = await asyncio.gather(*(one(pool, *take) for take in takes), return_exceptions=True)
        await pool.drain()
        return results

    results = in_loop(run())
    wanted = {draw for draw, _, _ in takes}
    assert sorted(shop.sold) == sorted(wanted - stored)
    assert len(shelf.looked) == len(wanted)
    found = [result for result in results if isinstance(result, tuple)]
    for draw in wanted:
        mine = [(said, replayed) for which, said, replayed in found if which == draw]
        assert {said.text for said, _ in mine} <= {f"stored {draw}" if draw in stored else f"draw {draw}"}
        assert sum(not replayed for _, replayed in mine) == (1 if mine and draw not in stored else 0)
    failed = [str(result) for result in results if isinstance(result, ProviderError)]
    assert set(failed) == {f"draw {d}" for d, _, warm in takes if d in refuses - stored and not warm}


def test_a_taker_that_gives_up_cancels_nothing_and_nothing_is_bought_twice() -> None:
    shop = Shop(turns=10)

    async def run() -> tuple[Completion, bool]:
        pool = CompletionCache(shop.buy)
        impatient = asyncio.create_task(pool.get(ask(0)))
        patient = asyncio.create_task(pool.get(ask(0)))
        await asyncio.sleep(0)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        return await patient

    taken, replayed = in_loop(run())
    assert (taken.text, replayed, shop.sold) == ("draw 0", False, [0])


def test_a_draw_nobody_waits_for_finishes_into_the_pool() -> None:
    shop = Shop(turns=10)

    async def run() -> tuple[Completion, bool]:
        pool = CompletionCache(shop.buy)
        pool.prefetch(ask(0))
        taker = asyncio.create_task(pool.get(ask(0)))
        await asyncio.sleep(0)
        taker.cancel()
        await pool.drain()
        assert shop.sold == [0]
        return await pool.get(ask(0))

    taken, replayed = in_loop(run())
    assert (taken.text, replayed, shop.sold) == ("draw 0", False, [0])


def test_a_failed_draw_stays_failed_in_this_run() -> None:
    shop = Shop(refuses=frozenset({0}))

    async def run() -> None:
        pool = CompletionCache(shop.buy)
        for _ in range(3):
            with pytest.raises(ProviderError, match="draw 0"):
                await pool.get(ask(0))

    in_loop(run())
    assert shop.sold == [0]


def test_drain_waits_for_all_flights_and_minds_no_failure() -> None:
    shop = Shop(turns=20, refuses=frozenset({1}))

    async def run() -> bool:
        pool = CompletionCache(shop.buy)
        for draw in range(4):
            pool.prefetch(ask(draw))
        await pool.drain()
        return all(flight.done() for flight in pool._flights.values())

    assert in_loop(run())
    assert sorted(shop.sold) == [0, 1, 2, 3]


def test_drain_waits_for_what_starts_while_it_waits() -> None:
    shop = Shop(turns=5)

    async def run() -> set[Any]:
        pool = CompletionCache(shop.buy)
        pool.prefetch(ask(0))

        async def late() -> None:
            for _ in range(4):
                await asyncio.sleep(0)
            pool.prefetch(ask(1))

        await asyncio.gather(late(), pool.drain())
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert in_loop(run()) == set()
    assert shop.sold == [0, 1]


def test_what_the_journal_kept_is_never_bought_again() -> None:
    shop = Shop()
    kept = completion(ask(0).key, "from the journal")

    async def run() -> tuple[Completion, bool]:
        return await CompletionCache(shop.buy, bought=[kept]).get(ask(0))

    assert in_loop(run()) == (kept, True)
    assert shop.sold == []


def test_requests_that_differ_in_their_cap_are_different_completions() -> None:
    shop = Shop()

    async def run() -> None:
        pool = CompletionCache(shop.buy)
        await asyncio.gather(pool.get(ask(0, 10)), pool.get(ask(0, 20)))

    in_loop(run())
    assert shop.sold == [0, 0]


def test_abandoning_cancels_what_is_in_flight() -> None:
    shop = Shop(turns=10**6)

    async def run() -> None:
        pool = CompletionCache(shop.buy)
        taker = asyncio.create_task(pool.get(ask(0)))
        await asyncio.sleep(0)
        pool.abandon()
        with pytest.raises(asyncio.CancelledError):
            await taker
        await pool.drain()

    in_loop(run())


class _Database:
    """A store of what was flushed, asked for by request."""

    def __init__(self) -> None:
        self.rows: dict[str, Completion] = {}
        self.gone: set[str] = set()

    async def find(self, request: Request) -> Completion | None:
        return self.rows[request.key] if request.key in self.gone else None

    def let_go(self, key: str) -> None:
        self.gone.add(key)


def test_a_long_run_keeps_its_latest_replies_and_pays_for_none_of_the_others_again() -> None:
    shop, database = Shop(), _Database()

    async def act() -> tuple[int, list[bool]]:
        pool = CompletionCache(shop.buy, database, kept=5)
        for n in range(40):
            bought, _ = await pool.get(ask(n))
            database.rows[ask(n).key] = bought
            pool.stored([bought.key])
        held = len(pool._flights)
        return held, [(await pool.get(ask(n)))[1] for n in range(40)]

    held, replayed = asyncio.run(act())
    assert held == 5 and len(shop.sold) == 40 and all(replayed)


def test_what_nobody_has_read_yet_is_not_let_go() -> None:
    shop, database = Shop(), _Database()

    async def act() -> bool:
        pool = CompletionCache(shop.buy, database, kept=0)
        pool.prefetch(ask(0))
        await pool.drain()
        pool.stored([ask(0).key])
        return (await pool.get(ask(0)))[1]

    # Its first reader is the one who is billed.
    assert asyncio.run(act()) is False and not database.gone


def test_the_sieve_misses_no_key_and_takes_hardly_another_for_one() -> None:
    sieve = Sieve()
    assert "c1-0" not in sieve
    for n in range(20_000):
        sieve.add(f"c1-{n}")
    assert all(f"c1-{n}" in sieve for n in range(20_000))
    assert not [n for n in range(20_000, 60_000) if f"c1-{n}" in sieve]
