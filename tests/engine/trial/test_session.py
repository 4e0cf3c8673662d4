"""The session: the order of its calls, what it grants, what it shows and what closes it (rules 1 to 4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.budget import Ledger, Planned, wall
from engine.core.errors import ContextOverflow
from engine.core.records import AXES, Axis, Completion, Question, Request, Spend
from engine.models.scripted import ScriptedModel
from engine.strategies.chain import answer_in
from engine.strategies.self_consistency import SelfConsistency
from engine.trial.session import Reply, Session, SessionClosed
from engine.trial.solve import Setting, solve
from tests.support.effort import cases
from tests.support.trials_on_paper import (
    FIVE,
    SOLVER,
    Does,
    NoPool,
    Reporting,
    asking,
    critic,
    fixed,
    in_loop,
    model,
    opened,
    play,
    pool_over,
    salted,
    spec,
    swallowing,
    total,
    walls_of,
)

CHAIN = SelfConsistency(samples=4, chain_tokens=10)


# Rule 1: consumption in program order


class Slow(NoPool):
    """Lets a later draw arrive long before an earlier one."""

    async def get(self, request: Request) -> tuple[Completion, bool]:
        for _ in range(40 - 10 * request.draw):
            await asyncio.sleep(0)
        return await super().get(request)


def test_accounts_and_marks_follow_the_order_of_draws_however_they_arrive() -> None:
    replies = fixed("Answer: A", "x x x Answer: B", "x Answer: B", "Answer: C")
    late = play(CHAIN, "output_tokens", 99, source=Slow(model(replies)), width=4)
    assert [call.spend.output_tokens for call in late.calls] == [3, 6, 4, 3]
    assert [(mark.answer, mark.after_calls) for mark in late.marks] == [("A", 1), ("B", 3)]


def test_equal_prompts_of_ask_many_get_draw_numbers_in_order_however_they_arrive() -> None:
    async def body(session: Session) -> AsyncIterator[str]:
        replies = await session.ask_many(["same", "other", "same", "same"], 9)
        yield " ".join(reply.text for reply in replies)

    said = fixed("zero", "one", "two")
    for source in (None, Slow(model(said))):
        assert play(Does(body), "calls", 9, model(said, pauses=5), source=source).answer == "zero zero one two"


def test_a_resumed_stream_goes_on_with_the_next_draw_whatever_the_cap() -> None:
    async def body(session: Session) -> AsyncIterator[str]:
        async for reply in session.stream("same", 5, 20):
            yield reply.text
            break
        yield (await session.ask("same", 30)).text
        yield (await session.ask("same", 20)).text

    trial = play(Does(body), "calls", 9, model(fixed("zero", "one", "two", "three")))
    assert [mark.answer for mark in trial.marks] == ["zero", "one", "two"]


def test_every_repeat_draws_anew() -> None:
    solver = model(salted(3))
    first, second = (play(CHAIN, "calls", 9, solver, repeat=repeat) for repeat in (0, 1))
    assert not {call.key for call in first.calls} & {call.key for call in second.calls}


# Rule 2: the grant


@given(limits=st.tuples(st.integers(1, 40), st.integers(1, 60), st.integers(1, 3)), asked=st.integers(1, 30))
@cases(200)
def test_a_call_is_granted_the_least_any_wall_leaves_after_its_prompt(limits: tuple[int, int, int], asked: int) -> None:
    output, tokens, calls = limits
    ledger = Ledger(
        [
            wall("output_tokens", output, [SOLVER]),
            wall("total_tokens", tokens, [SOLVER]),
            wall("calls", calls, [SOLVER]),
        ]
    )
    first = Planned(SOLVER.identity, 7, asked)
    assert ledger.granted(first) == max(0, min(asked, output, tokens - 7))
    ledger.charge(first, Spend(1, 7, output_tokens=2))
    room = min(asked, output - 2, tokens - 7 - 2 - 7) if calls > 1 else 0
    assert max(0, ledger.granted(first)) == max(0, room)


def test_two_walls_at_once_both_hold() -> None:
    solver = model(FIVE)

    async def run() -> Session:
        session = opened({"output_tokens": 12, "total_tokens": 15}, pool_over(solver), solver)
        await session.ask("two words", 10)
        with pytest.raises(SessionClosed):
            await session.ask("two words", 10)
        return session

    session = in_loop(run())
    assert [(call.granted_tokens, call.cut) for call in session.calls] == [(10, None), (4, "budget")]
    assert session.spent.total_tokens == 15


def test_the_prompt_counts_before_the_reply_on_a_total_wall() -> None:
    trial = play(asking(["three short words"]), "total_tokens", 8, model(FIVE))
    assert (trial.calls[0].granted_tokens, trial.calls[0].cut) == (4, "budget")
    assert total(trial) == Spend(1, 4, output_tokens=4)


def test_a_call_with_less_than_one_token_left_is_refused_unsent() -> None:
    solver = model(FIVE)
    trial = play(asking(["three short words"]), "total_tokens", 4, solver)
    assert (trial.calls[0].granted_tokens, trial.calls[0].cut, trial.error) == (0, "refused", "budget")
    assert total(trial) == Spend() and not solver.served


def test_money_walls_weigh_every_model_at_its_own_price() -> None:
    models = model(FIVE), critic(FIVE)

    async def run() -> Session:
        session = opened({"usd": 100}, pool_over(*models), *models)
        await session.ask("one", 20)
        await session.ask("one", 50, model="critic")
        return session

    granted = [call.granted_tokens for call in in_loop(run()).calls]
    assert granted == [(100 - 2 * 3) // 7, (100 - 2 * 3 - 5 * 7 - 2 * 11) // 2]


# Rule 3: the first cut closes


def test_a_reply_the_budget_cuts_is_never_shown_and_closes_the_session() -> None:
    shown: list[str] = []

    async def body(session: Session) -> AsyncIterator[str]:
        for _ in range(5):
            reply = await session.ask("say it", 10)
            shown.append(reply.text)
            yield reply.text

    solver = model(fixed("first", "x x x x x second", "third"))
    trial = play(Does(body), "output_tokens", 6, solver)
    assert shown == ["first"]
    assert (trial.end, trial.error, trial.answer) == ("exhausted", "budget", "first")
    assert [call.cut for call in trial.calls] == [None, "budget"]
    assert len(solver.served) == 2


@given(budget=st.integers(1, 40), axis=st.sampled_from(AXES))
@cases(150)
def test_a_strategy_that_swallows_the_end_gets_nothing_more(budget: int, axis: Axis) -> None:
    solver = model(FIVE)
    trial = play(Does(swallowing), axis, budget, solver)
    assert not [mark for mark in trial.marks if "late" in mark.answer]
    cuts = [call.cut for call in trial.calls]
    assert all(cut is None for cut in cuts[:-1])
    assert trial.end == ("finished" if cuts[-1] is None else "exhausted")
    assert len(solver.served) <= len(cuts)
    assert walls_of(trial.spends, axis) <= budget


def test_a_cheaper_call_after_the_closing_one_is_not_made() -> None:
    async def body(session: Session) -> AsyncIterator[str]:
        try:
            await session.ask("a prompt of very many words that does not fit", 10)
        except Exception:
            await session.ask("x", 1)
        yield "never"

    solver = model(FIVE)
    trial = play(Does(body), "total_tokens", 8, solver)
    assert (len(trial.calls), trial.answer, solver.served) == (1, None, [])


def test_a_strategy_that_breaks_after_the_end_is_exhausted_not_failed() -> None:
    async def body(session: Session) -> AsyncIterator[str]:
        reply: Reply | None = None
        with suppress(Exception):
            reply = await session.ask("say it", 10)
        yield reply.text  # type: ignore[union-attr]

    assert play(Does(body), "output_tokens", 2, model(FIVE)).end == "exhausted"


def test_a_scorer_that_breaks_fails_its_trial_and_says_so() -> None:
    def score(answer: str, question: Question) -> float:
        return float(answer)

    planned, solver = spec("test", "output_tokens", 99), model(FIVE)
    models = {each.setting.identity: each for each in (solver, critic())}
    setting = Setting("run", models, NoPool(solver))
    trial = in_loop(solve(planned, asking(["say it"]), setting, score))
    assert (trial.end, trial.verdict, trial.marks, len(trial.calls)) == ("failed", "none", (), 1)
    assert str(trial.error).startswith("the scorer broke: ValueError: could not convert")


def test_the_closing_call_is_stored_with_the_whole_length_of_its_reply() -> None:
    trial = play(CHAIN, "output_tokens", 7, model(FIVE))
    closing = trial.calls[-1]
    assert (closing.cut, closing.granted_tokens, closing.seen_output_tokens) == ("budget", 2, 5)
    assert closing.spend.output_tokens == 2


# Rule 4: three cuts


def test_a_reply_cut_by_its_own_cap_is_handed_over_and_casts_no_vote() -> None:
    seen: list[Reply] = []

    async def body(session: Session) -> AsyncIterator[str]:
        seen.append(await session.ask("say it", 3))
        yield answer_in(seen[0]) or "no vote"

    trial = play(Does(body), "output_tokens", 99, model(fixed("Answer: B and more words")))
    assert (seen[0].text, seen[0].truncated, trial.answer) == ("Answer: B and", True, "no vote")
    assert (trial.calls[0].cut, trial.end) == ("own", "finished")


def test_a_reply_that_a_filter_ended_is_handed_over_and_casts_no_vote() -> None:
    class Filtered(ScriptedModel):
        async def complete(self, request: Request) -> Completion:
            return replace(await super().complete(request), finish="filter")

    seen: list[Reply] = []

    async def body(session: Session) -> AsyncIterator[str]:
        seen.append(await session.ask("say it", 9))
        yield answer_in(seen[0]) or "no vote"

    trial = play(Does(body), "output_tokens", 99, Filtered(SOLVER, fixed("Answer: 42 I cannot help with")))
    assert (seen[0].text, trial.answer) == ("Answer: 42 I cannot help with", "no vote")
    assert (trial.calls[0].cut, trial.end) == (None, "finished")


def test_a_reply_that_ends_exactly_at_its_cap_is_whole() -> None:
    trial = play(asking(["say it"], cap=5), "output_tokens", 99, model(FIVE))
    assert trial.calls[0].cut is None
    trial = play(asking(["say it"], cap=4), "output_tokens", 99, model(FIVE))
    assert (trial.calls[0].cut, trial.answer) == ("own", "x x Answer: A")


def test_a_draft_cut_by_its_own_cap_may_be_refined() -> None:
    async def body(session: Session) -> AsyncIterator[str]:
        draft = await session.ask("draft", 2)
        yield (await session.ask(f"improve {draft.text}", 9)).text

    solver = model(lambda request, rng: f"a b c {request.messages[-1].content}")
    assert play(Does(body), "output_tokens", 99, solver).answer == "a b c improve a b"


def test_a_provider_that_ignores_its_cap_casts_no_vote_and_pays_in_full() -> None:
    solver = Reporting(SOLVER, FIVE, extra_output=9)
    trial = play(asking(["say it"], cap=6), "output_tokens", 99, solver)
    assert (trial.calls[0].cut, total(trial).output_tokens) == ("own", 14)
    tight = play(asking(["say it"], cap=6), "output_tokens", 10, solver)
    assert (tight.calls[0].cut, total(tight).output_tokens, tight.answer) == ("budget", 6, None)


def test_a_prompt_that_fills_the_window_ends_the_trial_alike_at_every_budget_before_sending() -> None:
    async def body(session: Session) -> AsyncIterator[str]:
        yield (await session.ask("short", 10)).text
        yield (await session.ask("a prompt that is somewhat longer than that and fills it all", 10)).text

    for budget in (16, 20, 400):
        solver = model(FIVE, context_tokens=12)
        trial = play(Does(body), "total_tokens", budget, solver)
        assert (trial.end, trial.error, trial.answer) == ("exhausted", "context", "x x Answer: A")
        assert [call.cut for call in trial.calls] == [None, "context"]
        assert len(solver.served) == 1


def test_a_loose_bound_alone_never_fills_a_context_window() -> None:
    trial = play(asking(["three short words"]), "calls", 9, model(FIVE, context_tokens=11, slack=3.0))
    assert (trial.end, trial.calls[0].bound_tokens) == ("finished", 12)


def test_a_prompt_beyond_the_context_window_is_one_also_where_the_budget_refuses_it() -> None:
    trial = play(asking(["three short words"]), "total_tokens", 2, model(FIVE, context_tokens=3))
    assert (trial.end, trial.calls[0].cut) == ("exhausted", "context")


def test_a_provider_that_finds_the_window_full_ends_the_trial_exhausted() -> None:
    def full(request: Request, rng: Any) -> str:
        raise ContextOverflow("too long")

    trial = play(asking(["say it"]), "calls", 9, model(full))
    assert (trial.end, trial.error, trial.calls[0].cut) == ("exhausted", "context", "context")
