"""Who pays for a saving: changes by group are what they are, and a warning means something."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from engine.analysis import Cell, Results
from engine.analysis.pairs import equity
from engine.analysis.pairs.equity import ENOUGH, SCHEMA
from engine.core.errors import UnknownName, UsageError
from engine.core.records import Question, Trial
from tests.engine.analysis.test_curves import stored
from tests.support.replayed import A, Ask, Say, planned, play


def units(right: list[int]) -> pl.DataFrame:
    """Per-question sums of a cell with one trial each, as the analysis hands them on."""
    n = len(right)
    zero = (
        "n_wrong",
        "n_exhausted",
        "n_failed",
        "n_stopped",
        "n_censored",
        "n_unpriced",
        "n_assumed",
        "n_unmeasured",
        "calls",
        "input_tokens",
        "cached_tokens",
        "output_tokens",
        "reasoning_tokens",
        "latency_ms",
        "pusd",
        "pwh",
        "n_right_finished",
        "n_partly",
        "partly",
        "partly_finished",
    )
    names = [f"q{i:04}" for i in range(n)]
    head = {
        "condition_id": ["c"] * n,
        "axis": ["calls"] * n,
        "budget": [1] * n,
        "question_id": names,
        "cluster": range(n),
    }
    return pl.DataFrame(
        {**head, "n": [1.0] * n, "n_right": [float(r) for r in right], **{name: [0.0] * n for name in zero}}
    )


def told(before: list[int], after: list[int], groups: Sequence[str | None], draws: int = 500) -> equity.Equity:
    named = pl.DataFrame(
        {"question_id": [f"q{i:04}" for i in range(len(groups))], "group": groups},
        schema={"question_id": pl.String, "group": pl.String},
    )
    return equity.equity((Cell("a"), Cell("b")), (units(before), units(after)), named, "category", (draws, 0))


def test_each_group_is_told_with_its_change_and_that_of_the_rest() -> None:
    groups: list[str | None] = ["easy"] * 20 + ["hard"] * 20 + [None] * 2
    found = told([1] * 42, [1] * 20 + [0] * 15 + [1] * 5 + [1] * 2, groups)
    rows = {row["group"]: row for row in found.groups.to_dicts()}
    assert list(found.groups.columns) == list(SCHEMA)
    hard = rows["hard"]
    assert (hard["n"], hard["accuracy_a"], hard["accuracy_b"], hard["change"]) == (20, 1, 0.25, -0.75)
    assert (hard["rest_change"], hard["gap"]) == (0, -0.75)
    assert hard["low"] < -0.75 < hard["high"] < 0
    assert found.warnings == ("hard",) and hard["p_value"] < 0.01
    assert rows["easy"]["p_value"] == 1 and not rows["easy"]["warning"]
    assert rows["(none)"]["enough"] is False and rows["(none)"]["p_value"] is None
    assert found.whole.mean == pytest.approx(-15 / 42)


def test_a_loss_that_all_share_warns_of_nobody() -> None:
    after = [0, 0, 1, 1] * 20
    found = told([1] * 80, after, [f"g{i % 3}" for i in range(80)])
    assert found.warnings == () and found.whole.mean == -0.5


def test_too_few_questions_are_too_few_however_bad_they_look() -> None:
    n = ENOUGH - 1
    found = told([1] * 60, [0] * n + [1] * (60 - n), ["small"] * n + ["large"] * (60 - n))
    assert found.groups["enough"].to_list() == [False, False]
    assert found.groups["p_value"].null_count() == 2 and found.warnings == ()


def test_without_a_difference_hardly_anybody_is_warned() -> None:
    rng, warned = np.random.default_rng(1), 0
    member = np.zeros((100, 4))
    member[np.arange(100), np.arange(100) % 4] = 1
    for seed in range(200):
        delta = rng.choice([-1.0, 0.0, 1.0], size=100, p=[0.2, 0.7, 0.1])
        warned += bool((equity.worst_of_all(delta, member, np.ones(4, bool), 200, seed) < 0.05).any())
    assert warned / 200 <= 0.07


def test_a_true_difference_is_found_more_often_than_not() -> None:
    rng, found = np.random.default_rng(2), 0
    member = np.eye(3)[np.arange(150) % 3]
    for seed in range(40):
        delta = rng.choice([-1.0, 0.0, 1.0], size=150, p=[0.1, 0.8, 0.1])
        delta[::3] = rng.choice([-1.0, 0.0, 1.0], size=50, p=[0.4, 0.55, 0.05])
        found += equity.worst_of_all(delta, member, np.ones(3, bool), 200, seed)[0] < 0.05
    assert found / 40 > 0.6


def question(at: int) -> tuple[str | None, str]:
    """Category and data of a made-up question."""
    metadata = {"terms": at % 2, "size": at * 3, "difficulty": {"level": "low" if at < 12 else "high"}}
    return ("sums" if at < 8 else None), json.dumps({"metadata": metadata, "lang": "de" if at % 3 else "fr"})


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Two settings on 24 questions: the cheap one fails the odd ones."""
    made: list[Trial] = []
    for strategy in ("dear", "cheap"):
        for at in range(24):
            spec = planned("output_tokens", 99, f"question {at}", strategy=strategy)
            category, data = question(at)
            asked = Question(spec.question.question_id, "t", spec.question.problem, "right", category, data)
            say = Say("wrong" if strategy == "cheap" and at % 2 else "right")
            made.append(play(type(spec)(spec.trial_id, spec.condition, asked, 0), [Ask(A, 5, 5, 5, 9), say]))
    return stored(made, tmp_path_factory.mktemp("equity"))


def cells(results: Results) -> tuple[Cell, Cell]:
    ids = dict(results.conditions().select("strategy", "condition_id").rows())
    return Cell(ids["dear"]), Cell(ids["cheap"])


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("category", {"sums": 8, "(none)": 16}),
        ("terms", {"0": 12, "1": 12}),
        ("difficulty.level", {"low": 12, "high": 12}),
        ("lang", {"de": 16, "fr": 8}),
        ("size", {"0 to 15": 6, "18 to 33": 6, "36 to 51": 6, "54 to 69": 6}),
    ],
)
def test_groups_are_a_column_or_a_key_of_the_data(results: Results, by: str, groups: dict[str, int]) -> None:
    found = results.equity(*cells(results), by=by, replicates=50)
    assert dict(found.groups.select("group", "n").rows()) == groups
    assert found.simulated


def test_the_group_that_pays_is_seen_in_a_database(results: Results) -> None:
    rows = dict(results.equity(*cells(results), by="terms", replicates=50).groups.select("group", "change").rows())
    assert rows == {"0": 0, "1": -1}


def test_an_unknown_column_is_named_with_the_nearest(results: Results) -> None:
    with pytest.raises(UnknownName, match="'langu': did you mean 'lang'"):
        results.equity(*cells(results), by="langu")


def test_settings_without_a_common_question_are_refused(tmp_path: Path) -> None:
    made = [play(planned("output_tokens", 9, q, strategy=q), [Say("right")]) for q in ("one", "two")]
    results = stored(made, tmp_path)
    a, b = (Cell(name) for name in results.conditions()["condition_id"])
    with pytest.raises(UsageError, match="share no scored question"):
        results.equity(a, b)


def test_a_group_of_one_question_among_larger_ones_is_too_small_and_disturbs_nobody() -> None:
    before = [1, 0, 1] * 20
    groups = ["a"] * 30 + ["b"] * 29 + ["alone"]
    rows = {row["group"]: row for row in told(before, before[::-1], groups, 200).groups.iter_rows(named=True)}
    assert (rows["alone"]["enough"], rows["alone"]["p_value"]) == (False, None)
    assert rows["a"]["enough"] and 0 < rows["a"]["p_value"] <= 1
