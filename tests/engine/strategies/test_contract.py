"""The public contract catches what it says it catches: one broken strategy for each clause, named in the report."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from engine import strategies
from engine.core.errors import UnknownName, UsageError
from engine.core.records import Problem
from engine.strategies import registry
from engine.strategies.chain import answer_in, chain_prompt
from engine.strategies.registry import strategy
from engine.strategies.self_consistency import SelfConsistency
from engine.testing import ContractBroken, check_strategy, contract
from engine.trial.session import Session

COUNTER = itertools.count()
KEPT: list[str] = []


@pytest.fixture(autouse=True)
def _registry() -> Iterator[None]:
    strategies.builtin()
    before = registry.registered()
    yield
    registry.restore(before)


@dataclass(frozen=True)
class Sound:
    """Ask once and believe it, as nobody should (own idea).

    Budget: one chain of at most `chain_tokens`."""

    chain_tokens: int = 64
    calls = property(lambda self: 1)

    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        answer = answer_in(await session.ask(chain_prompt(problem), self.chain_tokens))
        if answer is not None:
            yield answer


class BreaksDown(Sound):
    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        reply = await session.ask(chain_prompt(problem), self.chain_tokens)
        yield reply.text.split("Answer: ")[1]


class YieldsNumbers(Sound):
    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[Any]:
        yield len((await session.ask(chain_prompt(problem), self.chain_tokens)).text)


class Remembers(Sound):
    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        reply = await session.ask(chain_prompt(problem), self.chain_tokens)
        yield answer_in(reply) or f"try {next(COUNTER)}"


class TrustsCuts(Sound):
    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        yield (await session.ask(chain_prompt(problem), self.chain_tokens)).text[:9]


class AsksTwice(Sound):
    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        for _ in range(2):
            yield (await session.ask(chain_prompt(problem), self.chain_tokens)).text


class PromisesThree(Sound):
    calls = property(lambda self: 3)


class AsksForMore(Sound):
    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        answer = answer_in(await session.ask(chain_prompt(problem), 2 * self.chain_tokens))
        if answer is not None:
            yield answer


class LooksAtTheBudget(Sound):
    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        tokens = min(self.chain_tokens, session._ledger.remaining("scripted/solver@1") or 9)
        answer = answer_in(await session.ask(chain_prompt(problem), max(1, tokens)))
        if answer is not None:
            yield answer


class ForgetsTheQuestion(Sound):
    async def solve(self, problem: Problem, session: Session) -> AsyncIterator[str]:
        answer = answer_in(await session.ask("Say something.", self.chain_tokens))
        if answer is not None:
            yield answer


@dataclass
class CanChange:
    """Ask once and believe it, as nobody should (own idea).

    Budget: one chain of at most `chain_tokens`."""

    chain_tokens: int = 64
    calls = property(lambda self: 1)
    solve = Sound.solve
    __hash__ = object.__hash__


class SaysNothing(Sound):
    """Ask."""


BREAKERS: list[tuple[type, str, str]] = [
    (BreaksDown, "survives_any_model", "the strategy broke: IndexError"),
    (YieldsNumbers, "survives_any_model", "yielded int instead of text"),
    (Remembers, "never_overspends_and_repeats", "two things for one seed"),
    (TrustsCuts, "cut_replies_give_no_answer", "from a reply that was cut"),
    (AsksTwice, "calls_is_a_bound_and_attained", "made 2 calls and promised at most 1"),
    (PromisesThree, "calls_is_a_bound_and_attained", "promised up to 3 calls and made at most 1"),
    (AsksForMore, "asks_within_its_parameters", "asked for 128 tokens at once"),
    (LooksAtTheBudget, "anytime_is_true", "is not anytime: at .* it asks something else"),
    (ForgetsTheQuestion, "asks_the_question", "never shows the model the question"),
    (CanChange, "is_frozen", "lets chain_tokens be changed"),
    (SaysNothing, "docstring_says_it_all", "must open with the idea"),
]


@pytest.mark.parametrize(("make", "clause", "why"), BREAKERS, ids=[make.__name__ for make, _, _ in BREAKERS])
def test_each_clause_is_broken_by_somebody_and_says_how(make: type, clause: str, why: str) -> None:
    strategy("toy", anytime=True, family="toys", calls="3" if make is PromisesThree else "1")(make)
    with pytest.raises(ContractBroken, match=rf"(?m)^- {clause}: .*{why}"):
        check_strategy("toy")


def test_what_is_not_anytime_and_says_so_may_look_at_the_budget() -> None:
    strategy("toy", anytime=False, family="toys", calls="1")(LooksAtTheBudget)
    check_strategy("toy")


def test_a_formula_that_says_something_else_is_told() -> None:
    strategy("toy", anytime=True, family="toys", calls="chain_tokens")(Sound)
    with pytest.raises(ContractBroken, match="formula_is_true: .* gives 64"):
        check_strategy("toy")


def test_a_strategy_without_calls_is_told_so_and_not_by_an_attribute_error() -> None:
    uncounted = type("Uncounted", (), {"__doc__": Sound.__doc__, "solve": Sound.solve})
    strategy("toy", anytime=True, family="toys", calls="1")(dataclass(frozen=True)(uncounted))
    with pytest.raises(ContractBroken, match="'toy' has no calls"):
        check_strategy("toy")


def test_a_sound_strategy_passes_by_name_with_parameters_and_as_an_instance() -> None:
    strategy("toy", anytime=True, family="toys", calls="1")(Sound)
    check_strategy("toy")
    check_strategy("toy", chain_tokens=7)
    check_strategy(Sound(chain_tokens=9))
    check_strategy(SelfConsistency(samples=2))


def test_every_clause_is_a_test_of_the_class_and_is_broken_above() -> None:
    tested = {name for name in vars(check_strategy.__globals__["StrategyContract"]) if name.startswith("test_")}
    assert len(tested) == len(contract.CLAUSES)
    named = {clause for _, clause, _ in BREAKERS} | {"formula_is_true", "ends_within_any_budget"}
    assert named == {clause.__name__ for clause in contract.CLAUSES}


def test_what_nobody_registered_or_takes_is_said_as_everywhere() -> None:
    with pytest.raises(UnknownName, match="self_consistency"):
        check_strategy("self_consistancy")
    with pytest.raises(UsageError, match="samples"):
        check_strategy("self_consistency", samples=0)
    with pytest.raises(UnknownName, match="Sound"):
        check_strategy(Sound())
