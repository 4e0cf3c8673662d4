"""A cap that does not fit the context window is made smaller; only a prompt that does not fit ends a trial unasked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core import ids
from engine.core.records import AXES, Axis, Cut, Trial
from engine.models.scripted import ScriptedModel
from engine.runs import journal, worker
from engine.runs.rate_limits import Retries
from engine.runs.run_dir import RunDir, Status
from engine.store.store import Batch, Store
from engine.study.schema import parse
from engine.trial.session import Session
from tests.engine.store.test_deltas import assert_steps_are_those_of_the_trials
from tests.support.effort import cases
from tests.support.provider import Provider, serving
from tests.support.toy_strategies import STRATEGIES, named
from tests.support.trials_on_paper import (
    LARGEST,
    Does,
    answer_at,
    asking,
    critic,
    fixed,
    horizon,
    in_loop,
    model,
    play,
    played,
    pool_over,
    salted,
    spec,
    spend_at,
    total,
)


def test_a_call_whose_prompt_fits_is_sent_with_the_room_and_known_by_what_was_asked() -> None:
    solver = model(fixed("x x Answer: A"), context_tokens=14)
    trial = play(asking(["a prompt of some nine or ten words"], cap=10), "output_tokens", 99, solver)
    (sent,) = solver.served
    assert (trial.end, trial.answer) == ("finished", "x x Answer: A")
    assert (sent.asked_tokens, sent.sent_tokens, sent.cap_tokens) == (10, 5, 5)
    assert sent.key == ids.request_key(replace(sent, sent_tokens=None)), "the sent cap is part of no identity"
    assert trial.calls[0].asked_tokens == 10


def test_a_reply_cut_at_the_room_is_never_handed_over_and_ends_the_trial_by_its_window() -> None:
    seen: list[str] = []

    async def body(session: Session) -> AsyncIterator[str]:
        yield "before"
        seen.append((await session.ask("a prompt of some nine or ten words", 10)).text)
        yield "after"

    trial = play(Does(body), "output_tokens", 99, model(fixed("x x x x x x Answer: A"), context_tokens=14))
    assert (trial.end, trial.error, trial.answer, seen) == ("exhausted", "context", "before", [])
    (call,) = trial.calls
    assert (call.cut, call.seen_output_tokens, total(trial).output_tokens) == (Cut.CONTEXT, 5, 5)
    tight = play(Does(body), "output_tokens", 3, model(fixed("x x x x x x Answer: A"), context_tokens=14))
    assert (tight.calls[0].cut, total(tight).output_tokens) == (Cut.BUDGET, 3)


async def _sweep(strategy: Any, axis: Axis, budgets: list[int], solver: ScriptedModel, width: int) -> list[Trial]:
    pool = pool_over(solver, critic())
    return [await played(strategy, spec("s", axis, b), [solver], pool, width) for b in [max(budgets), *budgets]]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=named)
@pytest.mark.parametrize("axis", AXES)
@given(data=st.data())
@cases(20)
def test_what_a_window_cuts_is_read_at_every_budget_as_a_direct_run_has_it(
    strategy: Any, axis: Axis, data: st.DataObject
) -> None:
    top = data.draw(st.integers(1, LARGEST[axis]))
    budgets = [*data.draw(st.lists(st.integers(1, top), min_size=4, max_size=8)), top]
    window = data.draw(st.integers(4, 40))
    solver = model(salted(data.draw(st.integers(0, 10**6))), context_tokens=window, pauses=3)
    whole, *direct = in_loop(_sweep(strategy, axis, budgets, solver, data.draw(st.sampled_from((1, 4, 32)))))
    assert all(request.cap_tokens + solver.least(request.messages) <= window for request in solver.served)
    end = horizon(whole, axis)
    for budget, trial in zip(budgets, direct, strict=True):
        if end is None or budget < end:
            assert answer_at(whole, axis, budget) == trial.answer
            assert spend_at(whole, axis, budget) == total(trial)


def test_the_steps_of_a_trial_its_window_cut_are_those_of_what_is_stored(tmp_path: Path) -> None:
    store = Store(tmp_path / "results.duckdb")
    for window in (6, 14, 40):
        solver = model(salted(3), context_tokens=window)
        store.flush(Batch((play(asking(["one", "two words", "three more words"], cap=30), "calls", 9, solver),)))
        assert_steps_are_those_of_the_trials(store)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serving(window=60) as one:
        yield one


def prepared(folder: Path, provider: Provider, window: str, strategies: str = '"direct"') -> RunDir:
    text = f"""
name = "window"
budgets = [5000]
tasks = [{{ name = "gym:chain_sum", level = "easy", questions = 6 }}]
strategies = [{strategies}]
[[models]]
name = "m"
api_base = "{provider.api_base}"
prices = {{ input = 1.0, output = 1.0 }}
{window}
[ceiling]
usd = 10.0
"""
    return worker.prepare(parse(text, "test"), folder / "results.duckdb")


def ended(run: RunDir) -> Status:
    return worker.run(run, lambda _: None, Retries(first_s=0))


@pytest.mark.parametrize("window", ["context_tokens = 60", ""], ids=["declared", "taught by the refusal"])
def test_a_refusal_teaches_the_room_and_the_call_is_sent_once_more(
    tmp_path: Path, provider: Provider, window: str
) -> None:
    run = prepared(tmp_path, provider, window)
    done = ended(run)
    assert done.state == "finished" and not done.ends.get("failed") and done.in_doubt.calls == 0
    history = journal.read(run.journal)
    bought = list(history.completions.values())
    assert bought and all(each.sent_tokens == 60 - each.usage.input_tokens for each in bought)
    refused = [attempt for attempt in history.attempts if attempt.outcome == "failed"]
    assert refused and all(attempt.charged_tokens == 0 for attempt in refused)
    assert len(refused) <= len(bought), "each at most once"
    stored = Store(tmp_path / "results.duckdb").completions([each.key for each in bought])
    assert {each.key: each.sent_tokens for each in stored.values()} == {each.key: each.sent_tokens for each in bought}


def test_a_stored_reply_is_replayed_only_where_the_cap_sent_today_would_be_the_same(
    tmp_path: Path, provider: Provider
) -> None:
    def bought(window: str, strategies: str) -> int:
        before = provider.good
        assert ended(prepared(tmp_path, provider, window, strategies)).state == "finished"
        return provider.good - before

    provider.window = 120
    assert bought("context_tokens = 120", '"chain_of_thought"') == 6
    votes = '{ name = "self_consistency", samples = %d }'
    assert bought("context_tokens = 120", votes % 2) == 6, "the same window: the first draw is replayed, cut or not"
    provider.window = 130
    assert bought("context_tokens = 130", votes % 3) == 18, (
        "another window: what was cut and what was not is bought anew"
    )


def test_a_prompt_that_does_not_fit_by_itself_is_exhausted_and_never_failed(tmp_path: Path, provider: Provider) -> None:
    provider.window = 8
    done = ended(prepared(tmp_path, provider, ""))
    assert (done.state, done.ends, done.spent.tokens) == ("finished", {"exhausted": 6}, 0)
