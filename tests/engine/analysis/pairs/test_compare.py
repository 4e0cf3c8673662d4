"""A against B: flips, spends, categories, what could be seen, and what many comparisons are worth."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.analysis import Cell
from engine.analysis.pairs.compare import gap
from engine.analysis.stats import (
    Sample,
    adjusted,
    detectable,
    mcnemar_midp,
    questions_needed,
    sure_of_share,
    wilson,
    z_of,
)
from engine.core.errors import UnknownName, UsageError
from tests.support.outcomes import id_of, stored, trials_of
from tests.support.replayed import NO_PRICE
from tests.support.simulated import pair_of


def test_a_comparison_names_the_questions_won_and_lost_and_every_spend(tmp_path: Path):
    kinds = ["even" if i % 2 == 0 else "odd" for i in range(40)]
    a = trials_of("a", [(30 + i % 3, i % 8 != 0) for i in range(40)], categories=kinds)
    b = trials_of("b", [(10 + i % 5, i % 2 == 0) for i in range(40)], categories=kinds)
    found = stored(tmp_path, a, b).compare(Cell(id_of(a)), Cell(id_of(b)))
    asked = [trial.spec.question.question_id for trial in a]
    assert set(found.won) == {name for i, name in enumerate(asked) if i % 8 != 0 and i % 2 == 1}
    assert set(found.lost) == {name for i, name in enumerate(asked) if i % 8 == 0}
    assert (found.n, found.accuracy_a, found.accuracy_b) == (40, 35 / 40, 0.5)
    assert found.accuracy.mean == pytest.approx(15 / 40)
    assert found.p_value == mcnemar_midp(20, 5)
    assert found.a == Cell(id_of(a), 1000, "output_tokens")
    tokens = found.spend["output_tokens"]
    assert tokens.mean == pytest.approx(np.mean([30 + i % 3 - 10 - i % 5 for i in range(40)]))
    assert tokens.low is not None
    assert tokens.low < tokens.mean < (tokens.high or 0)  # type: ignore[operator]
    assert found.spend["calls"].mean == 0
    assert found.settled
    assert found.more_questions is None
    rows = {row["group"]: row for row in found.groups.to_dicts()}
    assert {name: (row["n"], row["a_better"], row["b_better"]) for name, row in rows.items()} == {
        "even": (20, 0, 5),
        "odd": (20, 20, 0),
    }
    assert rows["odd"]["p_adjusted"] == pytest.approx(2 * mcnemar_midp(20, 0))
    assert rows["even"]["high"] < 0 < rows["odd"]["low"]


def test_a_comparison_turns_with_its_sides(tmp_path: Path):
    a = trials_of("a", [(30 + i % 7, i % 3 != 0) for i in range(90)])
    b = trials_of("b", [(10 + i % 5, i % 2 == 0) for i in range(90)])
    results = stored(tmp_path, a, b)
    there, back = (results.compare(Cell(id_of(x)), Cell(id_of(y))) for x, y in ((a, b), (b, a)))
    assert (there.won, there.lost, there.p_value) == (back.lost, back.won, back.p_value)
    for one, other in ((there.accuracy, back.accuracy), (there.spend["output_tokens"], back.spend["output_tokens"])):
        assert (one.mean, one.low, one.high) == pytest.approx((-other.mean, -other.high, -other.low))  # type: ignore[operator]


def test_one_question_does_not_say_how_many_more_would_settle_it(tmp_path: Path):
    a, b = trials_of("a", [(10, True)]), trials_of("b", [(10, False)])
    found = stored(tmp_path, a, b).compare(Cell(id_of(a)), Cell(id_of(b)))
    assert (found.n, found.settled, found.more_questions) == (1, False, None)


def test_an_undecided_comparison_says_how_many_more_questions_would_settle_it(tmp_path: Path):
    a = trials_of("a", [(10, i % 10 < 6) for i in range(60)])
    b = trials_of("b", [(10, i % 10 in (0, 1, 2, 3, 7)) for i in range(60)])
    found = stored(tmp_path, a, b).compare(Cell(id_of(a)), Cell(id_of(b)))
    assert (len(found.won), len(found.lost), found.settled) == (12, 6, False)
    assert found.more_questions is not None
    assert found.detectable is not None
    assert found.detectable > (found.accuracy.mean or 0)
    total = found.more_questions + 60
    assert power_of(0.1, 0.3, total) == pytest.approx(0.8, abs=0.06)
    assert power_of(found.detectable, 0.3, 60) == pytest.approx(0.8, abs=0.08)


def power_of(gap: float, discordance: float, n: int, times: int = 1500) -> float:
    """How often McNemar's mid-p finds a true difference at 0.05."""
    rng = np.random.default_rng(n)
    draws = rng.multinomial(n, [(discordance + gap) / 2, (discordance - gap) / 2, 1 - discordance], size=times)
    return float(np.mean([mcnemar_midp(int(a), int(b)) < 0.05 for a, b, _ in draws]))


def test_equal_settings_leave_nothing_to_go_by(tmp_path: Path):
    a = trials_of("a", [(10, i % 2 == 0) for i in range(20)])
    b = trials_of("b", [(10, i % 2 == 0) for i in range(20)])
    found = stored(tmp_path, a, b).compare(Cell(id_of(a)), Cell(id_of(b)))
    assert (found.accuracy.mean, found.settled, found.more_questions, found.p_value) == (0.0, False, None, 1.0)
    assert found.accuracy.low is not None
    assert found.accuracy.low < -0.1


def test_strangers_and_unknown_prices_are_unknown_not_zero(tmp_path: Path):
    a = trials_of("a", [(10, True), (12, False)])
    other = trials_of("b", [(10, True)], task="other")
    free = trials_of("c", [(10, True), (12, True)], lineup=(("solver", NO_PRICE),))
    results = stored(tmp_path, a, other, free)
    nothing = results.compare(Cell(id_of(a)), Cell(id_of(other)))
    assert (nothing.n, nothing.accuracy.mean, nothing.accuracy_a, nothing.spend["calls"].mean) == (0, None, None, None)
    assert (nothing.more_questions, nothing.detectable, nothing.groups.height) == (None, None, 0)
    unpriced = results.compare(Cell(id_of(a)), Cell(id_of(free)))
    assert unpriced.spend["usd"].mean is None
    assert unpriced.spend["output_tokens"].mean == 0
    with pytest.raises(UnknownName, match="category"):
        results.compare(Cell(id_of(a)), Cell(id_of(other)), by="categories")
    with pytest.raises(UnknownName, match="condition"):
        results.compare(Cell(id_of(a)), Cell("k1-none"))


def test_repeats_that_agree_say_no_more_than_one(tmp_path: Path):
    once = [trials_of(name, [(10, (i * k) % 7 < 3) for i in range(30)]) for name, k in (("a", 3), ("b", 5))]
    (tmp_path / "one").mkdir()
    single = stored(tmp_path / "one", *once).compare(Cell(id_of(once[0])), Cell(id_of(once[1])))
    twice = [
        trials_of(name, [(10, (i * k) % 7 < 3) for i in range(30)], repeat=repeat)
        for name, k in (("a", 3), ("b", 5))
        for repeat in (0, 1)
    ]
    (tmp_path / "two").mkdir()
    double = stored(tmp_path / "two", *twice).compare(Cell(id_of(twice[0])), Cell(id_of(twice[2])))
    assert (double.n, double.accuracy.mean, double.won) == (30, single.accuracy.mean, single.won)
    assert double.accuracy.low == pytest.approx(single.accuracy.low, abs=0.03)


def test_many_comparisons_are_counted(tmp_path: Path):
    groups = [trials_of(f"s{k}", [(10 * k, i % 10 < k) for i in range(40)]) for k in (2, 4, 6, 9)]
    results = stored(tmp_path, *groups)
    cells = [Cell(id_of(group)) for group in groups]
    frame = results.comparisons(cells, against=cells[0])
    assert frame["a_id"].to_list() == [cell.condition_id for cell in cells[1:]]
    assert set(frame["b_id"]) == {cells[0].condition_id}
    assert frame["difference"].to_list() == pytest.approx([0.2, 0.4, 0.7])
    assert frame["p_adjusted"].to_list() == adjusted(frame["p_value"].to_list())
    pairs = results.comparisons([(cells[3], cells[1]), (cells[0], cells[1])], correction="bh")
    assert pairs["difference"].to_list() == pytest.approx([0.5, -0.2])
    single = results.difference(cells[3], cells[1])
    assert (pairs["low"][0], pairs["p_value"][0]) == (single.low, single.p_value)
    assert results.comparisons([]).height == 0
    with pytest.raises(UsageError, match="against"):
        results.comparisons(cells)
    with pytest.raises(UnknownName, match="holm"):
        results.comparisons(cells, against=cells[0], correction="hom")  # type: ignore[arg-type]


def test_adjusted_p_values_are_the_published_ones():
    p = [0.01, 0.04, 0.03, 0.005]
    assert adjusted(p) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjusted(p, "bh") == pytest.approx([0.02, 0.04, 0.04, 0.02])


@given(st.lists(st.floats(0, 1), max_size=12))
def test_a_correction_never_makes_a_p_value_smaller_and_keeps_their_order(p: list[float]):
    for correction in ("holm", "bh"):
        found = adjusted(p, correction)
        assert all(before <= after + 1e-12 and after <= 1 for before, after in zip(p, found, strict=True))
        order = sorted(range(len(p)), key=lambda at: p[at])
        assert [found[at] for at in order] == sorted(found)


def test_holm_keeps_the_chance_of_any_false_finding():
    rng = random.Random(4)
    false = sum(min(adjusted([rng.random() for _ in range(8)])) < 0.05 for _ in range(2000))
    assert false / 2000 < 0.062


@given(st.floats(0.02, 0.9), st.floats(0.02, 0.9))
def test_the_smallest_difference_found_is_the_one_that_needs_all_questions(n_share: float, discordance: float):
    n = 20 + 2000 * n_share
    least = detectable(n, discordance)
    most = questions_needed(discordance, discordance)
    if least is None:
        assert most is not None
        assert n < most
    else:
        assert questions_needed(least, discordance) == pytest.approx(n, rel=1e-6)


def test_no_gap_needs_no_number_of_questions():
    assert questions_needed(0.0, 0.3) is None
    assert detectable(0, 0.3) is None
    assert sure_of_share(0.5, 0.5, 1.64) is None


def test_the_questions_that_show_a_share_show_it_four_times_in_five():
    needed = sure_of_share(0.8, 0.6, z_of(0.9))
    assert needed is not None
    n = math.ceil(needed)
    right = np.random.default_rng(2).binomial(n, 0.8, size=4000)
    passed = np.mean([wilson(int(k), n, 0.9)[0] >= 0.6 for k in right])
    assert passed == pytest.approx(0.8, abs=0.06)


def test_being_a_little_ahead_on_most_questions_is_no_proof_of_a_difference():
    # One side is a mean of 10 draws, right once on most questions where the other is wrong, and wrong where it is right.
    means = np.array([[0.1, 0.0]] * 36 + [[0.1, 1.0]] * 4)
    found = gap(pair_of(means, np.arange(40)), Sample(400, 0))
    assert found.mean == pytest.approx(0.0)
    assert found.p_value > 0.9
    surely = np.array([[0.3 + 0.05 * (q % 4), 0.0] for q in range(40)])
    assert gap(pair_of(surely, np.arange(40)), Sample(400, 0)).p_value < 1e-6
    # Of single trials it is McNemar's, as before.
    single = np.array([[1.0, 0.0]] * 9 + [[0.0, 1.0]] * 2 + [[1.0, 1.0]] * 9)
    assert gap(pair_of(single, np.arange(20)), Sample(400, 0)).p_value == mcnemar_midp(9, 2)
