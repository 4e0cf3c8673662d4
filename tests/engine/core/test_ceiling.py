"""The run's ceiling under fire: spent + reserved + in doubt stays within it at every instant, whatever happens."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.budget import Amount, Ceiling, Limits
from engine.core.errors import RETRYABLE, CeilingReached, InDoubt, ProviderError, RunStopped
from engine.core.ids import request_key
from engine.core.records import Attempt, Completion, Message, Price, Request, Usage
from engine.models.scripted import ScriptedModel
from engine.runs.completion_cache import CompletionCache
from engine.runs.dispatcher import Dispatcher, Gate
from engine.runs.journal import charged
from engine.runs.rate_limits import Retries
from tests.support.effort import cases
from tests.support.trials_on_paper import SOLVER, in_loop, salted

AT_ONCE = Retries(first_s=0)
ERRORS = {
    "rate_limit": ProviderError("slow down", kind="rate_limit"),
    "server": ProviderError("oops", kind="server"),
    "refused": ProviderError("no", kind="refused"),
    "malformed": ProviderError("rubbish", kind="malformed"),
    "in_doubt": InDoubt("timeout", kind="in_doubt"),
    "bug": RuntimeError("a mistake in a model room"),
}
DOUBTFUL = ("malformed", "in_doubt", "bug")


class Watched(Ceiling):
    """Holds itself against the invariant whenever it changes; says where it broke at the end, so that nobody hangs."""

    def __init__(self, limits: Limits, spent: Amount = Amount(), in_doubt: Amount = Amount()) -> None:
        super().__init__(limits, spent, in_doubt)
        self.broken: list[str] = []

    def try_reserve(self, amount: Amount) -> bool:
        fits = super().try_reserve(amount)
        self.check()
        return fits

    def settle(self, reserved: Amount, actual: Amount) -> None:
        super().settle(reserved, actual)
        self.check()

    def doubt(self, reserved: Amount) -> None:
        before = self.in_doubt
        super().doubt(reserved)
        self._must(self.in_doubt == before + reserved, "what is in doubt stays charged")
        self.check()

    def check(self) -> None:
        held = self.spent + self.reserved + self.in_doubt
        self._must(self.limits.allow(held - self.overrun), f"{held} is within {self.limits}")
        self._must(self.reserved.calls == self.in_flight >= 0, "every call in flight is reserved once")
        self._must(min(self.reserved.tokens, self.reserved.pusd) >= 0, "nothing is released twice")

    def _must(self, holds: bool, rule: str) -> None:
        if not holds:
            self.broken.append(rule)


class Watching(Gate):
    """Says that the ceiling is reached only when nothing is in flight."""

    async def reserve(self, amount: Amount) -> None:
        try:
            await super().reserve(amount)
        except CeilingReached:
            assert self.ceiling.in_flight == 0
            raise


@dataclass
class Ledgered:
    """Notes in memory, in order."""

    lines: list[tuple[str, Attempt, Completion | None]] = field(default_factory=list)

    def intent(self, attempt: Attempt) -> None:
        self.lines.append(("intent", attempt, None))

    def outcome(self, attempt: Attempt, completion: Completion | None) -> None:
        assert ("intent", attempt.attempt_id) in [(kind, a.attempt_id) for kind, a, _ in self.lines]
        self.lines.append(("outcome", attempt, completion))

    async def written(self) -> None:
        """Memory is written at once."""

    def sync(self) -> None:
        """Memory survives no machine."""

    @property
    def outcomes(self) -> list[Attempt]:
        return [attempt for kind, attempt, _ in self.lines if kind == "outcome"]

    @property
    def intents(self) -> list[Attempt]:
        return [attempt for kind, attempt, _ in self.lines if kind == "intent"]


@dataclass
class Moody(ScriptedModel):
    """A provider whose every attempt may fail in its own way, or bill more than was reserved."""

    moods: Mapping[str, int] = field(default_factory=lambda: {"ok": 1})
    chance: random.Random = field(default_factory=random.Random)
    notes: Ledgered | None = None
    sent: Counter[str] = field(default_factory=Counter)

    async def complete(self, request: Request) -> Completion:
        if self.notes is not None:
            assert sum(a.key == request.key for a in self.notes.intents) == self.sent[request.key] + 1
        self.sent[request.key] += 1
        for _ in range(self.chance.randint(0, 4)):
            await asyncio.sleep(0)
        mood = self.chance.choices(list(self.moods), list(self.moods.values()))[0]
        if mood in ERRORS:
            raise ERRORS[mood]
        said = await super().complete(request)
        over = 50 if mood == "overrun" else 0
        return replace(said, usage=replace(said.usage, output_tokens=said.usage.output_tokens + over))


def ask(draw: int, asked: int = 10) -> Request:
    """The request for a draw of one prompt."""
    bare = Request(SOLVER.identity, (Message("user", "say something"),), (), asked, 0, draw)
    return replace(bare, key=request_key(bare), seed=draw)


def moody(moods: Mapping[str, int], notes: Ledgered | None = None, seed: int = 0, parallel: int = 64) -> Moody:
    return Moody(
        SOLVER, salted(seed), local=False, moods=moods, chance=random.Random(seed), notes=notes, parallel=parallel
    )


def bought(
    model: Moody, gate: Gate, notes: Ledgered, requests: Sequence[Request], retries: Retries = AT_ONCE
) -> list[Completion | BaseException]:
    """All of these requests bought at once."""
    buyer = Dispatcher({SOLVER.identity: model}, gate, notes, retries)

    async def run() -> list[Completion | BaseException]:
        return await asyncio.gather(*(buyer.purchase(request) for request in requests), return_exceptions=True)

    results = in_loop(run())
    assert getattr(gate.ceiling, "broken", []) == []
    return results


moods = st.dictionaries(
    st.sampled_from(["rate_limit", "server", "refused", "malformed", "in_doubt", "bug", "overrun"]), st.integers(1, 4)
).map(lambda drawn: {"ok": 6, **drawn})
limits = st.builds(
    Limits,
    st.none() | st.integers(0, 300),
    st.none() | st.integers(0, 4000),
    st.none() | st.integers(0, 30000),
)


@given(
    limit=limits,
    mood=moods,
    seed=st.integers(0, 10**6),
    count=st.integers(1, 200),
    parallel=st.sampled_from((1, 5, 64)),
)
@cases(150)
def test_no_interleaving_of_hundreds_of_calls_breaks_the_ceiling(
    limit: Limits, mood: dict[str, int], seed: int, count: int, parallel: int
) -> None:
    ceiling, notes = Watched(limit), Ledgered()
    model = moody(mood, notes, seed, parallel=parallel)
    rng = random.Random(seed)
    results = bought(model, Watching(ceiling), notes, [ask(k, rng.choice((3, 10, 20))) for k in range(count)])
    assert (ceiling.reserved, ceiling.in_flight) == (Amount(), 0)
    assert ceiling.spent == _sum(a for a in notes.outcomes if a.outcome != "in_doubt")
    assert ceiling.in_doubt == _sum(a for a in notes.outcomes if a.outcome == "in_doubt")
    assert [a.attempt_id for a in notes.intents] != [] or not model.sent
    assert {a.attempt_id for a in notes.intents} == {a.attempt_id for a in notes.outcomes}
    assert sum(model.sent.values()) == len(notes.intents)
    assert sum(isinstance(r, Completion) for r in results) == sum(a.outcome == "ok" for a in notes.outcomes)


def _sum(attempts: object) -> Amount:
    return sum((charged(a) for a in attempts), Amount())  # type: ignore[attr-defined]


@given(seed=st.integers(0, 10**6), count=st.integers(5, 80))
@cases(60)
def test_calls_that_do_not_fit_wait_for_settlements_and_go_on(seed: int, count: int) -> None:
    plenty = Watched(Limits())
    bought(moody({"ok": 1}, seed=seed), Gate(plenty), Ledgered(), [ask(k, 40) for k in range(count)])
    exact = plenty.spent.tokens + 40
    tight = Watched(Limits(tokens=exact))
    results = bought(moody({"ok": 1}, seed=seed), Watching(tight), Ledgered(), [ask(k, 40) for k in range(count)])
    assert all(isinstance(result, Completion) for result in results)
    assert tight.spent == plenty.spent


@pytest.mark.parametrize("limit", [Limits(calls=3), Limits(tokens=55), Limits(pusd=3 * (3 * 3 + 10 * 7) + 20)])
def test_the_run_ends_at_its_ceiling_once_nothing_is_in_flight(limit: Limits) -> None:
    ceiling, notes = Watched(limit), Ledgered()
    gate = Watching(ceiling)
    results = bought(moody({"ok": 1}), gate, notes, [ask(k) for k in range(20)])
    ended = [r for r in results if isinstance(r, CeilingReached)]
    assert ended and gate.reached
    assert len(ended) + len(notes.outcomes) == 20
    assert limit.allow(ceiling.spent)


def test_a_call_larger_than_the_whole_ceiling_is_not_sent() -> None:
    model, notes = moody({"ok": 1}), Ledgered()
    (result,) = bought(model, Gate(Ceiling(Limits(tokens=5))), notes, [ask(0)])
    assert isinstance(result, CeilingReached)
    assert not model.sent and not notes.lines


def test_what_a_resumed_run_spent_before_counts() -> None:
    ceiling = Watched(Limits(calls=10), spent=Amount(calls=4), in_doubt=Amount(calls=5))
    results = bought(moody({"ok": 1}), Gate(ceiling), Ledgered(), [ask(k) for k in range(3)])
    assert sum(isinstance(result, Completion) for result in results) == 1


def test_stop_lets_what_is_in_flight_finish_and_sends_nothing_new() -> None:
    notes, ceiling = Ledgered(), Watched(Limits(calls=100))
    gate = Gate(ceiling)

    @dataclass
    class Stopping(Moody):
        async def complete(self, request: Request) -> Completion:
            if request.draw == 2:
                gate.stop()
            return await super().complete(request)

    model = Stopping(SOLVER, salted(1), local=False, parallel=4)
    results = bought(model, gate, notes, [ask(k) for k in range(20)])
    assert [type(r) for r in results[:3]] == [Completion] * 3
    assert all(isinstance(result, (Completion, RunStopped)) for result in results)
    assert sum(isinstance(r, Completion) for r in results) == len(notes.outcomes) <= 6
    assert ceiling.in_flight == 0


def test_stop_wakes_those_who_wait_for_room() -> None:
    gate = Gate(Watched(Limits(calls=1)))

    async def run() -> None:
        await gate.reserve(Amount(1))
        waiting = asyncio.create_task(gate.reserve(Amount(1)))
        await asyncio.sleep(0)
        gate.stop()
        with pytest.raises(RunStopped):
            await waiting

    in_loop(run())


def test_an_attempt_without_outcome_stays_charged_at_its_worst_case() -> None:
    ceiling, notes = Watched(Limits()), Ledgered()
    (result,) = bought(moody({"in_doubt": 1}), Gate(ceiling), notes, [ask(0)])
    assert isinstance(result, InDoubt)
    assert ceiling.in_doubt == Amount(4, 4 * 13, 4 * (3 * 3 + 10 * 7))
    assert ceiling.spent == Amount()


def test_every_retry_reserves_anew_and_is_journalled() -> None:
    ceiling, notes = Watched(Limits(calls=2)), Ledgered()
    (result,) = bought(moody({"malformed": 1}), Watching(ceiling), notes, [ask(0)])
    assert isinstance(result, CeilingReached)
    assert [(a.ordinal, a.outcome) for a in notes.outcomes] == [(0, "in_doubt"), (1, "in_doubt")]
    assert ceiling.in_doubt.calls == 2


def test_a_refused_attempt_costs_nothing_and_its_retry_may_succeed() -> None:
    ceiling, notes = Watched(Limits(calls=1)), Ledgered()

    @dataclass
    class Recovering(Moody):
        async def complete(self, request: Request) -> Completion:
            if len(notes.intents) < 3:
                raise ERRORS["rate_limit"]
            return await super().complete(request)

    (result,) = bought(Recovering(SOLVER, salted(1)), Gate(ceiling), notes, [ask(0)])
    assert isinstance(result, Completion)
    assert [(a.ordinal, a.outcome, a.charged_tokens > 0) for a in notes.outcomes] == [
        (0, "failed", False),
        (1, "failed", False),
        (2, "ok", True),
    ]
    assert ceiling.spent.calls == 1


@pytest.mark.parametrize("kind", [*sorted(RETRYABLE), "refused", "error"])
def test_only_a_closed_list_of_failures_is_tried_again(kind: str) -> None:
    notes = Ledgered()

    @dataclass
    class Failing(Moody):
        async def complete(self, request: Request) -> Completion:
            raise ProviderError("no", kind=kind)

    (result,) = bought(Failing(SOLVER, salted(1)), Gate(Ceiling(Limits())), notes, [ask(0)])
    assert isinstance(result, ProviderError)
    most = 8 if kind == "rate_limit" else 4
    assert len(notes.intents) == (most if kind in RETRYABLE else 1)


def test_a_reply_is_in_the_journal_before_anybody_sees_it() -> None:
    notes = Ledgered()

    async def run() -> Completion:
        buyer = Dispatcher({SOLVER.identity: moody({"ok": 1})}, Gate(Ceiling(Limits())), notes, AT_ONCE)
        completion, _ = await CompletionCache(buyer.purchase).get(ask(0))
        assert [(kind, seen) for kind, _, seen in notes.lines] == [("intent", None), ("outcome", completion)]
        return completion

    assert in_loop(run()).key == ask(0).key


def test_a_model_never_has_more_in_flight_than_it_takes() -> None:
    flying: list[int] = []
    ceiling = Watched(Limits())

    @dataclass
    class Counting(Moody):
        async def complete(self, request: Request) -> Completion:
            flying.append(ceiling.in_flight)
            return await super().complete(request)

    bought(Counting(SOLVER, salted(1), parallel=3), Gate(ceiling), Ledgered(), [ask(k) for k in range(30)])
    assert max(flying) == 3


def test_an_overrun_is_booked_in_full_and_shown() -> None:
    ceiling = Watched(Limits(tokens=20))
    (result,) = bought(moody({"overrun": 1}), Gate(ceiling), Ledgered(), [ask(0)])
    assert isinstance(result, Completion)
    assert ceiling.spent.tokens == result.usage.input_tokens + result.usage.output_tokens > 20
    assert ceiling.overrun.tokens == ceiling.spent.tokens - 13


def test_cached_input_is_billed_at_its_own_rate_and_reserved_at_the_dearest() -> None:
    dear = replace(SOLVER, price=Price(3, 7, cached_pusd=1, cache_write_pusd=5))
    notes = Ledgered()

    @dataclass
    class Caching(Moody):
        async def complete(self, request: Request) -> Completion:
            return replace(await super().complete(request), usage=Usage(3, 2, cached_tokens=2))

    bought(Caching(dear, salted(1), local=False), Gate(Ceiling(Limits())), notes, [ask(0)])
    (done,) = notes.outcomes
    assert (done.reserved_pusd, done.charged_pusd) == (3 * 5 + 10 * 7, 1 * 3 + 2 * 1 + 2 * 7)


def test_a_local_model_bills_no_money_and_an_unknown_price_stays_unknown() -> None:
    for model, money in (
        (Moody(SOLVER, salted(1)), 0),
        (Moody(replace(SOLVER, price=None), salted(1), local=False), None),
    ):
        notes = Ledgered()
        bought(model, Gate(Ceiling(Limits())), notes, [ask(0)])
        assert [(a.reserved_pusd, a.charged_pusd) for a in notes.outcomes] == [(money, money)]


def test_a_cancelled_attempt_stays_charged() -> None:
    ceiling, notes = Watched(Limits()), Ledgered()

    @dataclass
    class Hanging(Moody):
        async def complete(self, request: Request) -> Completion:
            await asyncio.Event().wait()
            raise AssertionError

    async def run() -> None:
        buyer = Dispatcher({SOLVER.identity: Hanging(SOLVER, salted(1))}, Gate(ceiling), notes, AT_ONCE)
        task = asyncio.create_task(buyer.purchase(ask(0)))
        while not ceiling.in_flight:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    in_loop(run())
    assert (ceiling.in_flight, ceiling.in_doubt.calls, notes.outcomes[0].outcome) == (0, 1, "in_doubt")


class Full(Ledgered):
    """A journal on a full disk: of these two kinds of line, one can no longer be written."""

    def __init__(self, refuses: str) -> None:
        super().__init__()
        self.refuses = refuses

    def intent(self, attempt: Attempt) -> None:
        if self.refuses == "intent":
            raise OSError(28, "No space left on device")
        super().intent(attempt)

    def outcome(self, attempt: Attempt, completion: Completion | None) -> None:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("mood", ["ok", "refused", "in_doubt"])
def test_a_journal_that_cannot_be_written_stops_the_run_and_leaves_nobody_waiting(mood: str) -> None:
    ceiling = Watched(Limits(calls=1))
    gate, model = Gate(ceiling), moody({mood: 1})
    results = bought(model, gate, Full("outcome"), [ask(k) for k in range(3)])
    assert [type(result) for result in results[1:]] == [RunStopped] * 2
    assert (gate.stopped, ceiling.in_flight, sum(model.sent.values())) == (True, 0, 1)
    assert "journal" in (gate.trouble or "")


def test_nothing_is_sent_that_could_not_be_noted_before() -> None:
    ceiling, model = Watched(Limits()), moody({"ok": 1})
    (result,) = bought(model, Gate(ceiling), Full("intent"), [ask(0)])
    assert isinstance(result, RunStopped)
    assert (ceiling.spent, ceiling.in_doubt, ceiling.in_flight, model.sent) == (Amount(), Amount(), 0, Counter())


# Waiting


@given(ordinal=st.integers(0, 2), seconds=st.floats(0, 60))
def test_retry_after_is_honoured(ordinal: int, seconds: float) -> None:
    assert Retries().wait_s(ordinal, ProviderError("slow", kind="rate_limit", retry_after_s=seconds)) == seconds


@given(ordinal=st.integers(0, 2), seconds=st.floats(60, 10**9, exclude_min=True))
def test_a_retry_after_beyond_the_bound_fails_at_once(ordinal: int, seconds: float) -> None:
    assert Retries().wait_s(ordinal, ProviderError("slow", kind="rate_limit", retry_after_s=seconds)) is None


@given(ordinal=st.integers(0, 2))
def test_waits_double_with_jitter(ordinal: int) -> None:
    wait = Retries().wait_s(ordinal, ProviderError("oops", kind="server"))
    assert wait is not None and 0.75 * 2**ordinal <= wait <= 1.25 * 2**ordinal


def test_attempts_are_bounded() -> None:
    assert Retries(attempts=4).wait_s(3, ProviderError("oops", kind="server")) is None


def test_no_wait_passes_its_bound() -> None:
    patient = Retries(attempts=20)
    waits = [patient.wait_s(10, ProviderError("oops", kind="server")) for _ in range(200)]
    assert all(wait is not None and wait <= patient.longest_s for wait in waits)
