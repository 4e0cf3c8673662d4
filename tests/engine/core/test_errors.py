"""Sentences for unknown names: short whatever was typed, and never the typed name itself as the nearest."""

from __future__ import annotations

import pytest

from engine.core.errors import UnknownName
from engine.models import open_model
from engine.models.declared import ModelSpec


def test_a_huge_name_makes_a_short_sentence() -> None:
    error = UnknownName("key in s.toml", "x" * 1_000_000, ["x" * 5_000, "name"])
    assert len(str(error)) < 400
    assert error.name == "x" * 1_000_000


def test_a_long_list_of_known_names_is_cut_and_counted() -> None:
    sentence = str(UnknownName("model", "?", [f"m{n}" for n in range(5_000)]))
    assert len(sentence) < 400
    assert sentence.endswith("and 4,960 more.")


def test_a_declared_model_nobody_knows_is_not_its_own_nearest_name() -> None:
    name = "no-such-provider/b/c"
    with pytest.raises(UnknownName, match="Unknown model 'no-such-provider/b/c'") as caught:
        open_model(name, {name: ModelSpec(name)})
    assert caught.value.nearest != name


def test_a_name_with_a_comma_is_told_from_its_neighbours() -> None:
    assert "known: 'sums, imported', wide." in str(UnknownName("study", "?", ["wide", "sums, imported"]))
