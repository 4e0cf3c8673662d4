"""What every strategy promises (`StrategyContract`), and what each one's paper says it does."""

from __future__ import annotations

import inspect
import random
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core import ids
from engine.core.answers import Votes, normalise
from engine.core.errors import UnknownName, UsageError
from engine.core.records import Axis, Call, Example, Problem, Question, Request, Trial
from engine.models.scripted import Script
from engine.strategies import build, entries, entry
from engine.strategies.chain import CHAIN_TOKENS, chain_prompt
from engine.strategies.registry import Entry, parameters
from engine.strategies.self_refine import SOUND
from engine.testing import StrategyContract, contract
from tests.support.effort import cases
from tests.support.trials_on_paper import (
    QUESTION,
    critic,
    fixed,
    in_loop,
    lineup_of,
    model,
    play,
    played,
    pool_over,
    salted,
    spec,
)

TEACHERS = {"direct"}
"""Baselines that no paper introduced."""
ENTRIES = entries()


def _run(instance: Any, axis: Axis, budget: int, script: Script, width: int = 4, **options: Any) -> Trial:
    promised = next(e for e in ENTRIES.values() if e.make is type(instance)).anytime(instance)
    models = [make(script, pauses=2, **options) for make in (model, critic)]
    return play(instance, axis, budget, models[0], second=models[1], width=width, anytime=promised)


class TestStrategyContract(StrategyContract):
    """The public contract, for every strategy of ours."""

    @pytest.fixture(autouse=True, params=list(ENTRIES))
    def _named(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        self.strategy = request.param
        # Of one fixed row of cases the first half, for each of forty strategies; somebody's own is held to all.
        monkeypatch.setattr(contract, "CASES", contract.CASES // 2)


@pytest.mark.parametrize("name", list(ENTRIES))
class TestPage:
    """What ours keep besides."""

    def test_names_its_paper_in_its_first_sentence(self, name: str) -> None:
        idea, _, _ = (inspect.getdoc(ENTRIES[name].make) or "").partition("\n\n")
        wanted = "the catalogue holds ideas of papers: its first sentence names one as 'arXiv 1234.56789'"
        assert name in TEACHERS or re.search(r"arXiv \d{4}\.\d{4,5}", idea), wanted
        assert ENTRIES[name].idea == idea.splitlines()[0]

    def test_is_a_frozen_page_of_parameters(self, name: str) -> None:
        instance = build(name, {})
        with pytest.raises(AttributeError):
            instance.temperature = 1.0
        assert hash(instance) == hash(build(name, {}))
        assert all(v is None or isinstance(v, (int, float)) for v in ENTRIES[name].knobs.values())

    def test_shows_the_model_the_question_the_examples_and_the_context(self, name: str) -> None:
        problem = Problem(
            "How many ?", "number", "Digits alone.", (Example("One and one ?", "2", "1+1=2"),), "A document."
        )
        question = Question("q", "test", problem, "7")
        models = [make(fixed("[[50]] Answer: 7")) for make in (model, critic)]
        instance = build(name, {"told_tokens": 9} if name == "told_budget" else {})
        planned = replace(spec(name, "calls", 99, lineup=lineup_of(instance)), question=question)
        trial = in_loop(played(instance, planned, models, pool_over(*models), 4))
        told = ["\n".join(message.content for message in call.messages) for call in trial.calls]
        assert all(part in told[-1] for part in ("How many ?", "Digits alone.", "One and one ?", "Answer: 2"))
        assert any("A document." in each for each in (told if ENTRIES[name].family == "context" else told[-1:]))
        assert trial.answer == "7"


# What their papers say


def test_self_consistency_takes_the_plurality_with_ties_to_the_first() -> None:
    said = fixed("Answer: B", "Answer: A", "Answer: A", "Answer: B", "nothing here")
    trial = _run(build("self_consistency", {"samples": 5}), "calls", 99, said)
    assert [mark.answer for mark in trial.marks] == ["B", "A", "B"]
    assert trial.calls[-1].cut is None and len(trial.calls) == 5


def test_self_consistency_draws_all_its_samples_even_when_the_vote_is_settled() -> None:
    assert len(_run(build("self_consistency", {"samples": 9}), "calls", 99, fixed("Answer: A")).calls) == 9


@pytest.mark.parametrize("name", ["chain_of_thought", "self_refine"])
def test_a_single_chain_is_draw_0_of_self_consistency(name: str) -> None:
    keys = [_keys(build(other, {}))[0] for other in (name, "self_consistency")]
    assert keys[0] == keys[1]


def _keys(instance: Any) -> list[str]:
    return [call.key for call in _run(instance, "calls", 99, salted(4)).calls]


def test_chains_are_free_in_a_run_that_drew_them_for_self_consistency() -> None:
    solver = model(salted(4))

    async def run() -> tuple[Trial, Trial]:
        pool = pool_over(solver)
        many = await played(build("self_consistency", {"samples": 3}), spec("sc", "calls", 9), [solver], pool, 4)
        one = await played(build("chain_of_thought", {}), spec("cot", "calls", 9), [solver], pool, 4)
        return many, one

    many, one = in_loop(run())
    assert (one.calls[0].replayed, one.calls[0].spend, len(solver.served)) == (True, many.calls[0].spend, 3)


def test_a_greedy_chain_shares_nothing() -> None:
    assert _keys(build("chain_of_thought", {"temperature": 0.0}))[0] != _keys(build("chain_of_thought", {}))[0]


def test_direct_asks_for_no_reasoning_and_shows_none() -> None:
    problem = replace(QUESTION.problem, examples=(Example("One ?", "1", "because"),))
    planned = replace(spec("d", "calls", 9), question=replace(QUESTION, problem=problem))
    solver = model(fixed("Answer: A"))
    (call,) = in_loop(played(build("direct", {}), planned, [solver], pool_over(solver), 1)).calls
    said = " ".join(message.content for message in call.messages)
    assert "because" not in said and "step by step" not in said
    assert chain_prompt(problem) != call.messages


def test_tale_ep_tells_the_chain_its_own_estimate() -> None:
    estimate, chain = _tale("I think [[37]] .")
    assert (estimate.role, estimate.asked_tokens, chain.asked_tokens) == ("estimate", 32, CHAIN_TOKENS)
    assert "fewer than 37 tokens" in chain.messages[-1].content


@pytest.mark.parametrize("said", ["no idea", "", "[[x]]", "[[0]]", "[[-3]]", f"[[{10**30}]]"])
def test_tale_ep_without_a_readable_estimate_is_the_shared_chain(said: str) -> None:
    _, chain = _tale(said)
    assert chain.messages == chain_prompt(QUESTION.problem)
    assert chain.key == _keys(build("chain_of_thought", {}))[0]


def _tale(estimate: str) -> tuple[Call, ...]:
    def say(request: Request, rng: random.Random) -> str:
        return estimate if request.asked_tokens == 32 else "Answer: A"

    return _run(build("tale_ep", {}), "calls", 9, say).calls


def test_told_budget_tells_the_runs_budget_and_takes_a_run_for_each() -> None:
    instance = build("told_budget", {})
    assert not ENTRIES["told_budget"].anytime(instance)
    for budget in (60, 90):
        (call,) = _run(instance, "output_tokens", budget, fixed("Answer: A")).calls
        assert f"fewer than {budget} tokens" in call.messages[-1].content


def test_told_budget_with_a_number_of_its_own_tells_that_at_every_budget() -> None:
    instance = build("told_budget", {"told_tokens": 44})
    assert ENTRIES["told_budget"].anytime(instance)
    for budget in (60, 90):
        (call,) = _run(instance, "output_tokens", budget, fixed("Answer: A")).calls
        assert "fewer than 44 tokens" in call.messages[-1].content


def test_told_budget_on_a_wall_of_calls_tells_its_chain() -> None:
    (call,) = _run(build("told_budget", {}), "calls", 3, fixed("Answer: A")).calls
    assert f"fewer than {CHAIN_TOKENS} tokens" in call.messages[-1].content


def _refining(draft: str, critique: str, rewrite: str) -> Script:
    """Says what the turn asks for: 1 turn is a draft, 3 a critique, 5 a rewrite of it."""
    return lambda request, rng: {1: draft, 3: critique, 5: rewrite}[len(request.messages)]


def test_self_refine_rewrites_after_a_critique() -> None:
    trial = _run(build("self_refine", {"rounds": 1}), "calls", 9, _refining("Answer: A", "wrong", "Answer: B"))
    assert [(c.role, len(c.messages)) for c in trial.calls] == [("solve", 1), ("critique", 3), ("refine", 5)]
    assert [mark.answer for mark in trial.marks] == ["A", "B"]
    assert [m.content for m in trial.calls[2].messages][1::2] == ["Answer: A", "wrong"]


@pytest.mark.parametrize("said", [SOUND, f"{SOUND}.", f"I see {SOUND.lower()} here"])
def test_self_refine_stops_when_the_critique_finds_nothing_wrong(said: str) -> None:
    trial = _run(build("self_refine", {"rounds": 5}), "calls", 99, _refining("Answer: A", said, "Answer: B"))
    assert ([call.role for call in trial.calls], trial.answer) == (["solve", "critique"], "A")


def test_self_refine_keeps_the_last_answer_when_a_rewrite_has_none() -> None:
    trial = _run(build("self_refine", {"rounds": 1}), "calls", 9, _refining("Answer: A", "wrong", "."))
    assert (trial.answer, trial.end) == ("A", "finished")


# Votes, and how strategies are named and built


@given(st.lists(st.none() | st.sampled_from(["A", "a", "B", "7", "7.0", "C"]), max_size=12))
@cases(200)
def test_the_leader_has_most_votes_and_was_seen_first_among_equals(ballot: list[str | None]) -> None:
    votes = Votes()
    keys: list[str] = []
    for answer in ballot:
        votes.add(answer)
        keys += [] if answer is None else [normalise(answer)]
    if votes.leader is None:
        assert not keys
        return
    most = max(keys.count(key) for key in keys)
    assert normalise(votes.leader) == next(key for key in keys if keys.count(key) == most)


def test_a_vote_for_nothing_is_no_vote() -> None:
    votes = Votes()
    votes.add(None)
    assert votes.leader is None


def test_an_unknown_strategy_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="self_consistency"):
        entry("self_consistancy")
    with pytest.raises(UnknownName, match="samples"):
        build("self_consistency", {"sample": 3})


@pytest.mark.parametrize(
    "params",
    [
        {"samples": 0},
        {"samples": -1},
        {"samples": "3"},
        {"samples": True},
        {"samples": 2.5},
        {"samples": 10**7},
        {"temperature": "hot"},
    ],
)
def test_a_parameter_out_of_range_is_refused_with_a_sentence(params: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(params))):
        build("self_consistency", params)


def test_names_are_registered_once_and_ids_tell_their_parameters_apart() -> None:
    assert len({found.make for found in ENTRIES.values()}) == len(ENTRIES)
    texts = {ids.digest("p", parameters(build("self_consistency", {"samples": n}))) for n in (1, 2, 3)}
    assert len(texts) == 3
    assert all(isinstance(found, Entry) and found.version >= 1 for found in ENTRIES.values())
