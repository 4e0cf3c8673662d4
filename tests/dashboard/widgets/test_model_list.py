"""The models of the Runs page: what one costs and whether it is ready, in the words of every page."""

from __future__ import annotations

import pytest

from dashboard.widgets import model_list

KEYED = "openai/gpt-4o-mini"


def test_a_chosen_model_without_its_key_is_said_beside_launch() -> None:
    said = [*model_list.lacking((KEYED, "local/smollm2-135m", "scripted/adder"), {}, {})]
    assert said == [f"{KEYED} needs OPENAI_API_KEY, or its answers fail"]
    assert not [*model_list.lacking((KEYED,), {}, {"OPENAI_API_KEY": "a key"})]


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
