"""What people read instead of identifiers is short, and distinct over exactly what stands beside it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core import names


def row(strategy: str = "direct", **more: Any) -> dict[str, Any]:
    params = json.dumps(more.pop("params", {}))
    usual = {"condition_id": "k1-abcdef0123", "task": "gym:chain_sum/easy", "model": "local/smollm2-135m"}
    return {**usual, "axis": "output_tokens", "budget": 512, "strategy": strategy, "params": params, **more}


@pytest.mark.parametrize(
    ("identifier", "params", "name"),
    [
        ("direct", {}, "Direct"),
        ("chain_of_thought", {"chain_tokens": 96}, "Chain of thought"),
        ("self_consistency", {"samples": 12}, "Self-consistency ×12"),
        ("self_refine", None, "Self-refine"),
        ("tale_ep", {}, "TALE"),
        ("told_budget", {"told_tokens": 64}, "Stated budget, 64"),
        ("multi_agent_debate", {"samples": 1}, "Debate"),
        ("my_own", {}, "My own"),
    ],
)
def test_a_strategy_is_called_as_the_field_calls_it(identifier: str, params: dict[str, Any] | None, name: str) -> None:
    assert names.strategy(identifier, params) == name


@pytest.mark.parametrize(
    ("identifier", "name"),
    [
        ("gym:chain_sum/easy", "Sums (easy)"),
        ("gym:gcd/hard", "Divisors (hard)"),
        ("gym:polynomial_equations/easy", "Polynomial equations (easy)"),
        ("file:my questions", "my questions"),
        ("file:", "file:"),
        ("own", "own"),
    ],
)
def test_a_task_is_called_by_its_generator_or_its_file(identifier: str, name: str) -> None:
    assert names.task(identifier) == name


@pytest.mark.parametrize(
    ("identifier", "name"),
    [
        ("local/smollm2-135m", "SmolLM2 135M"),
        ("qwen2.5-coder-0.5b", "Qwen2.5 Coder 0.5B"),
        ("openrouter/qwen/qwen2.5-72b-instruct", "qwen2.5-72b-instruct"),
        ("openai/gpt-4o-mini", "gpt-4o-mini"),
        ("openai/a@localhost:8000", "a"),
        ("openai/a → anthropic/b", "a → b"),
        ("qwen2.5-coder-0.5b → qwen2.5-coder-1.5b", "Qwen2.5 Coder 0.5B → 1.5B"),
        ("local/smollm2-135m → qwen2.5-coder-0.5b", "SmolLM2 135M → Qwen2.5 Coder 0.5B"),
        ("a/x → b/x", "x → x"),
        ("openai/o3 {reasoning_effort=low}", "o3 {reasoning_effort=low}"),
    ],
)
def test_a_model_is_called_without_its_provider_and_host(identifier: str, name: str) -> None:
    assert names.model(identifier) == name


def test_two_that_would_be_called_the_same_keep_their_identifiers() -> None:
    assert names.models(["a/x", "b/x", "b/y"]) == {"a/x": "a/x", "b/x": "b/x", "b/y": "y"}
    assert names.tasks(["gym:gcd/easy", "file:Divisors (easy)"]) == {
        "gym:gcd/easy": "gym:gcd/easy",
        "file:Divisors (easy)": "file:Divisors (easy)",
    }


def test_model_task_and_parameters_stand_in_a_name_only_where_they_differ_in_view() -> None:
    alone = row(params={"answer_tokens": 32})
    assert str(names.settings([alone])[0]) == "Direct"
    assert [str(each) for each in names.settings([alone, row("tale_ep")])] == ["Direct", "TALE"]
    other = row(model="openai/gpt-4o", params={"answer_tokens": 64})
    assert [str(each) for each in names.settings([alone, other])] == [
        "Direct, answer tokens 32 · SmolLM2 135M",
        "Direct, answer tokens 64 · gpt-4o",
    ]
    elsewhere = row(task="gym:gcd/easy", params={"answer_tokens": 32})
    assert str(names.settings([alone, elsewhere])[1]) == "Direct · Divisors (easy)"


def test_conditions_that_only_a_budget_or_an_id_tells_apart_say_that() -> None:
    small, large = row(condition_id="k1-aaaaaa11", budget=64), row(condition_id="k1-bbbbbb22")
    assert names.conditions([small, large]) == {
        "k1-aaaaaa11": "Direct, up to 64 tokens",
        "k1-bbbbbb22": "Direct, up to 512 tokens",
    }
    twin = row(condition_id="k1-cccccc33")
    assert names.conditions([large, twin]) == {
        "k1-bbbbbb22": "Direct, up to 512 tokens · bbbbbb",
        "k1-cccccc33": "Direct, up to 512 tokens · cccccc",
    }
    name = names.over([large, twin])
    assert (name(large), name(twin)) == ("Direct · bbbbbb", "Direct · cccccc")


def test_parameters_of_other_hands_never_break_a_name() -> None:
    broken = row() | {"params": "{not json"}
    assert [str(each) for each in names.settings([broken, row()])] == ["Direct, parameters {not json", "Direct"]


settings = st.builds(
    row,
    st.sampled_from(["direct", "self_consistency", "told_budget"]),
    task=st.sampled_from(["gym:gcd/easy", "file:a"]),
    model=st.sampled_from(["local/smollm2-135m", "openai/a", "azure/a"]),
    budget=st.sampled_from([64, 512]),
    params=st.fixed_dictionaries({"samples": st.integers(1, 3), "temperature": st.sampled_from([0.0, 0.7])}),
    condition_id=st.integers(0, 0xFFFFFF).map(lambda number: f"k1-{number:06x}"),
)


@given(st.lists(settings, max_size=12))
def test_no_two_conditions_in_view_are_called_the_same(rows: list[dict[str, Any]]) -> None:
    called = names.conditions(rows)
    assert called.keys() == {each["condition_id"] for each in rows}
    assert len(set(called.values())) == len(called)


def test_a_file_read_by_another_scorer_says_so_in_words() -> None:
    assert names.task("file:say+token_f1") == "say (token f1)"
    assert names.task("file:a+") == "a+" and names.task("file:sums") == "sums"


def test_what_a_call_is_for_is_a_word_and_a_plugins_role_its_identifier_with_spaces() -> None:
    assert (names.role("solve"), names.role("critique")) == ("answering", "criticising")
    assert names.role("look_up") == "look up"
