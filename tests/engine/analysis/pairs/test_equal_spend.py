"""At equal spend: read where both have spent the same, and resampled whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from engine.analysis import Cell, Results
from engine.analysis.pairs.equal_spend import EqualSpend, equal_spend
from engine.analysis.stats import Sample
from engine.analysis.units import UNIT_SCHEMA
from engine.core.errors import UnknownName
from tests.engine.analysis.test_curves import stored
from tests.support.outcomes import growing, trials_of


def opened(tmp_path: Path, rights: list[int | None], outcomes: list[tuple[int, bool]]) -> tuple[Results, str, Cell]:
    """A setting of ten calls of 10 tokens, right from the given call on, and one of a single call."""
    a, b = growing("a", rights), trials_of("b", outcomes)
    results = stored([*a, *b], tmp_path)
    return results, a[0].spec.condition.condition_id, Cell(b[0].spec.condition.condition_id)


def asked(tmp_path: Path, rights: list[int | None], outcomes: list[tuple[int, bool]], budgets: list[int]) -> EqualSpend:
    results, a, b = opened(tmp_path, rights, outcomes)
    return results.equal_spend(a, b, budgets=budgets, replicates=500)


def test_between_two_budgets_accuracy_is_on_the_line_that_joins_them(tmp_path: Path) -> None:
    # At 20 tokens a quarter is right, at 60 all are; the other spends 30, a quarter of the way.
    found = asked(tmp_path, [0, 4, 4, 4], [(30, True), (30, False), (30, False), (30, False)], [20, 60])
    assert (found.n, found.spend, found.budget) == (4, 30.0, 30.0)
    assert found.accuracy_a == pytest.approx(0.25 + 0.75 / 4)
    assert found.difference.mean == pytest.approx(0.75 / 4)
    assert found.beyond == 0 and found.why is None


def test_at_an_own_budget_it_is_the_plain_difference(tmp_path: Path) -> None:
    found = asked(tmp_path, [0, 0, 5, 5], [(20, False)] * 4, [20, 60])
    assert found.accuracy_a == 0.5 and found.budget == 20


def test_a_setting_that_never_spends_so_much_is_read_at_its_largest_budget_and_that_is_said(tmp_path: Path) -> None:
    found = asked(tmp_path, [0, 0, 5, 5], [(500, True)] * 4, [20, 60])
    assert (found.accuracy_a, found.budget, found.beyond) == (1.0, 60, 1.0)


def test_below_its_smallest_budget_nothing_is_known(tmp_path: Path) -> None:
    found = asked(tmp_path, [0, 0, 5, 5], [(5, True)] * 4, [20, 60])
    assert found.difference.mean is None and found.p_value == 1
    assert found.why == "the first spends more at its smallest budget"


def test_an_unknown_spend_is_named(tmp_path: Path) -> None:
    results, a, b = opened(tmp_path, [0], [(5, True)])
    with pytest.raises(UnknownName, match="output_tokens"):
        results.equal_spend(a, b, x="output_token")
    with pytest.raises(UnknownName, match="condition"):
        results.equal_spend("nobody", b)


def units(budget: int, rights: NDArray[np.bool_], tokens: NDArray[np.int64]) -> pl.DataFrame:
    """Per-question sums of one trial each."""
    ids = [f"q{at}" for at in range(len(rights))]
    known = {
        "question_id": ids,
        "cluster": range(len(ids)),
        "n": np.ones(len(ids)),
        "n_right": rights,
        "output_tokens": tokens,
    }
    frame = pl.DataFrame(known).with_columns(condition_id=pl.lit("c"), axis=pl.lit("output_tokens"), budget=budget)
    rest = {name: 0.0 for name in UNIT_SCHEMA if name not in frame.columns}
    return frame.with_columns(**rest).select(pl.col(name).cast(kind) for name, kind in UNIT_SCHEMA.items())


def test_its_interval_holds_what_is_true_in_most_worlds() -> None:
    """Right from a call that is drawn, against a coin: the difference is known, and 95 % of intervals hold it."""
    rng, worlds, held, budgets = np.random.default_rng(5), 200, 0, (20, 40, 60, 80)
    for _ in range(worlds):
        calls = rng.integers(0, 10, 40)
        own = [units(wall, calls < wall // 10, np.full(40, wall)) for wall in budgets]
        other = units(99, rng.random(40) < 0.3, rng.choice([30, 50], 40))
        # At 40 tokens four of ten calls are made.
        found = equal_spend(own, other, "output_tokens", Sample(300, 0)).difference
        assert found.low is not None and found.high is not None
        held += found.low <= 0.1 <= found.high
    assert held >= 0.92 * worlds
