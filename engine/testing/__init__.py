"""The contracts of what plugins bring, held by ours too: inherit one in a test, or call `check_strategy`.

    class TestMine(StrategyContract):
        strategy = "my_strategy"

Runs on scripted models alone: no network, no database, no test library. What a clause says is in `contract`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.testing import contract
from engine.testing.doors import ImporterContract, ScorerContract, TaskContract
from engine.testing.stage import Stage, stages

__all__ = [
    "ContractBroken",
    "ImporterContract",
    "ScorerContract",
    "StrategyContract",
    "TaskContract",
    "check_strategy",
]


class ContractBroken(AssertionError):
    """A strategy breaks its contract; the message has one line per broken clause."""


def check_strategy(strategy: str | Any, **params: object) -> None:
    """Hold a registered strategy, by name or as an instance, to the whole contract.

    With parameters those alone are tried, else the defaults and small numbers. Raises ContractBroken with every clause
    that does not hold, UnknownName for a strategy nobody registered, UsageError for parameters it does not take."""
    try:
        played = stages(strategy, params)
    except AssertionError as error:
        raise ContractBroken(str(error)) from None
    broken = []
    for clause in contract.CLAUSES:
        try:
            clause(played)
        # All clauses, so that a plugin is not mended one sentence at a time.
        except AssertionError as error:
            broken.append(f"- {clause.__name__}: {error}")
    if broken:
        raise ContractBroken(f"{played[0].entry.name} breaks its contract:\n" + "\n".join(broken))


class StrategyContract:
    """Inherit with a name that starts with Test, and name the strategy: pytest then tries each clause by itself."""

    strategy: str | Any = ""
    """A registered name (of a plugin: import its module first), or an instance of a registered strategy."""
    params: Mapping[str, object] = {}
    """The parameters to try; empty: the defaults and small numbers."""

    def _stages(self) -> list[Stage]:
        return stages(self.strategy, self.params)

    def test_it_ends_within_any_budget_even_none(self) -> None:
        contract.ends_within_any_budget(self._stages())

    def test_it_never_overspends_and_the_same_seed_gives_the_same_trial(self) -> None:
        contract.never_overspends_and_repeats(self._stages())

    def test_it_survives_whatever_a_model_says(self) -> None:
        contract.survives_any_model(self._stages())

    def test_a_reply_cut_at_its_cap_gives_no_answer(self) -> None:
        contract.cut_replies_give_no_answer(self._stages())

    def test_calls_is_an_upper_bound_and_attained(self) -> None:
        contract.calls_is_a_bound_and_attained(self._stages())

    def test_its_formula_of_calls_is_true(self) -> None:
        contract.formula_is_true(self._stages())

    def test_it_asks_for_no_more_tokens_than_its_parameters_say(self) -> None:
        contract.asks_within_its_parameters(self._stages())

    def test_it_is_anytime_if_it_says_so(self) -> None:
        contract.anytime_is_true(self._stages())

    def test_it_asks_the_question(self) -> None:
        contract.asks_the_question(self._stages())

    def test_it_is_a_frozen_page_of_parameters(self) -> None:
        contract.is_frozen(self._stages())

    def test_its_docstring_says_idea_budget_and_source(self) -> None:
        contract.docstring_says_it_all(self._stages())
