"""The models of the Runs page: what one costs and whether it is ready, in the words of every page."""

from __future__ import annotations

import pytest

from dashboard.widgets import model_list

KEYED = "openai/gpt-4o-mini"


def test_a_chosen_model_without_its_key_is_said_beside_launch() -> None:
    said = model_list.lacking((KEYED, "local/smollm2-135m", "scripted/adder"), {}, {})
    assert said.startswith(f"{KEYED} needs a key: set OPENAI_API_KEY")
    assert not model_list.lacking((KEYED,), {}, {"OPENAI_API_KEY": "a key"})


def test_a_key_counts_under_each_name_its_provider_has_for_it() -> None:
    assert not model_list.lacking(("gemini/gemini-2.0-flash",), {}, {"GOOGLE_API_KEY": "a key"})
    own = {"mine": {"model": KEYED, "api_key_env": "MY_KEY"}}
    assert "MY_KEY" in model_list.lacking(("mine",), own, {"OPENAI_API_KEY": "another"})


def test_only_a_server_elsewhere_has_to_say_its_price() -> None:
    here, there = {"api_base": "http://localhost:8000/v1"}, {"api_base": "http://198.51.100.7/v1"}
    tables = {"here": here, "there": there}
    assert model_list.unpriced(("here", KEYED, "nobody/knows-this"), tables) == ""
    assert model_list.unpriced(("here", "there"), tables) == "there"


@pytest.mark.parametrize(
    ("name", "table", "cost"),
    [
        ("local/smollm2-135m", None, "free (runs here)"),
        ("scripted/adder", None, "free (simulated)"),
        (KEYED, None, "$0.15 in, $0.60 out per million tokens"),
        ("nobody/knows-this", None, "price unknown"),
        ("mine", {"api_base": "http://localhost:8000/v1"}, "free (runs here)"),
        ("mine", {"api_base": "http://198.51.100.7/v1"}, "price unknown"),
        (
            "mine",
            {"api_base": "http://198.51.100.7/v1", "prices": {"input": 0.1, "output": 2, "assumed": True}},
            "$0.10 in, $2.00 out per million tokens assumed price",
        ),
    ],
)
def test_money_has_one_vocabulary(name: str, table: dict[str, object] | None, cost: str) -> None:
    assert model_list.about(name, table, {})[0] == cost
