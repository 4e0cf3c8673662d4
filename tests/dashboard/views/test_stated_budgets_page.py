"""The told budgets page: what its figures hold, what its sentences claim, and what a link brings back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import figures
from dashboard.figures.stated_budgets import KEY
from dashboard.text import stated_budgets
from engine.analysis.thinking.stated_budgets import POINTS, SUMMARY
from tests.support import stores
from tests.support.pages import run_page

SETTINGS = json.dumps({"chain_tokens": 256, "prompting": "{}", "version": 1})
ACCURACY = {
    **dict.fromkeys(KEY, pl.String),
    **dict.fromkeys(("told", "accuracy", "accuracy_low", "accuracy_high"), pl.Float64),
    "n_questions": pl.Int64,
    "condition_id": pl.String,
    "budget": pl.Int64,
}
PLAINLY = {**dict.fromkeys(KEY, pl.String), "used": pl.Float64, "accuracy": pl.Float64}


def series(**changes: Any) -> dict[str, Any]:
    return {"task": "sums", "model": "a/small", "strategy": "told_budget", "settings": SETTINGS} | changes


def point(told: float, used: float, **changes: Any) -> dict[str, Any]:
    row = series(simulated=False, stated=False, told=told, n_questions=30, n_trials=30, n_untold=0, capped=0.0)
    row |= {"used": used, "used_low": used * 0.8, "used_high": used * 1.2}
    return row | {"obeyed": 0.5, "obeyed_low": 0.3, "obeyed_high": 0.7} | changes


def summary(p: float = 0.6, **changes: Any) -> pl.DataFrame:
    row = series(simulated=False, n_questions=30, least_told=2.0, most_told=64.0, p_rebound=p, p_adjusted=p)
    for name, value in (("elasticity", 0.1), ("above_floor", 0.2), ("floor", 8.0), ("rebound", 12.0)):
        row |= {name: value, f"{name}_low": value * 0.5, f"{name}_high": value * 1.5}
    return pl.DataFrame([row | changes], schema=SUMMARY)


def points(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=POINTS)


def _said(frame: pl.DataFrame, of: pl.DataFrame) -> str:
    return "\n".join(stated_budgets.sentences(frame, of))


FALLING = points(point(2, 40), point(8, 20), point(64, 50))


def info(frame: pl.DataFrame = FALLING, p: float = 0.6, **look: Any) -> figures.ToldInfo:
    held = pl.DataFrame([series(used=80.0, accuracy=0.4)], schema=PLAINLY)
    return figures.told_info(frame, summary(p), pl.DataFrame(schema=ACCURACY), held, **look)


def texts(figure: Any) -> str:
    return " ".join(note.text for note in figure.layout.annotations)


def test_of_many_told_budgets_ticks_are_round_numbers() -> None:
    found = info(points(*(point(told, 20) for told in range(1, 151))))
    written = [text for _, text in found.x_scale.ticks]
    assert "10" in written and "100" in written and "23" not in written


def test_told_budgets_are_ticks_and_used_tokens_have_their_intervals() -> None:
    found = info()
    assert [text for _, text in found.x_scale.ticks] == ["2", "8", "64"]
    stops = found.panels[0].series[0].used
    assert [(s.told, s.value, s.low, s.high) for s in stops] == [(2, 40, 32, 48), (8, 20, 16, 24), (64, 50, 40, 60)]
    assert "n = 30 questions" in stops[0].hover


def test_the_line_used_equals_told_and_the_untold_level_are_drawn() -> None:
    lines = [trace for trace in figures.told_figure(info()).data if trace.mode == "lines"]
    assert any(tuple(trace.x) == tuple(trace.y) for trace in lines)
    assert any(set(trace.y) == {80.0} for trace in lines)


@pytest.mark.parametrize(("p", "marked"), [(0.01, True), (0.05, True), (0.06, False)])
def test_the_floor_is_marked_only_where_the_test_finds_a_rebound(p: float, marked: bool) -> None:
    assert ("floor 8" in texts(figures.told_figure(info(p=p)))) == marked
    assert ("▲" in figures.told_caption(info(p=p))) == marked


def test_a_stated_budget_without_an_interval_is_left_to_the_table() -> None:
    lone = point(50, 3, strategy="tale_ep", stated=True, used_low=None, used_high=None, n_questions=1, n_untold=59)
    frame = pl.concat([FALLING, points(lone)])
    assert len(info(frame).panels[0].series) == 1
    assert "59 replies stated none" in stated_budgets.points_table(frame, pl.DataFrame(schema=ACCURACY))["Notes"][3]


def test_several_series_of_a_task_are_named_and_a_lone_one_is_not() -> None:
    both = pl.concat([FALLING, points(point(4, 30, model="a/large"), point(16, 25, model="a/large"))])
    assert [s.name for s in info(both, models=["a/large", "a/small"]).panels[0].series] == [
        "Stated budget · small",
        "Stated budget · large",
    ]
    assert info().panels[0].series[0].name == ""


@pytest.mark.parametrize("dark", [True, False])
def test_hostile_names_are_letters_on_the_figure(dark: bool) -> None:
    evil = "<img src=x onerror=alert(1)>"
    drawn = texts(figures.told_figure(info(FALLING.with_columns(task=pl.lit(evil)), dark=dark)))
    assert "<img" not in drawn
    assert "&lt;img" in drawn


def test_nothing_told_is_a_figure_that_says_so() -> None:
    assert "No prompt here states a budget" in texts(figures.told_figure(info(points())))
    assert "No stated budget has a scored question" in texts(figures.obeyed_figure(info(points())))


def test_without_a_rebound_the_sentence_says_how_many_questions_saw_none() -> None:
    said = _said(FALLING, summary(0.6))
    assert "no sign below 8 tokens that stating less costs more (30 questions, p 0.60)" in said
    assert "kept in 50% (30–70) of replies" in said
    assert "elasticity 0.10 (0.05–0.15)" in said


@pytest.mark.parametrize(
    ("p", "high", "advised"),
    [
        (0.01, 0.2, "State no less than the floor"),
        (0.6, 0.2, "set a budget that cuts: a number in the prompt does not hold"),
        (0.6, 0.3, "Stating a budget moves how long replies are"),
    ],
)
def test_under_the_finding_stands_what_to_do(p: float, high: float, advised: str) -> None:
    assert advised in stated_budgets.advice(FALLING, summary(p, elasticity_high=high))


@pytest.mark.parametrize("low", [None, -0.1])
def test_that_stating_a_budget_moves_replies_is_said_only_where_it_measurably_does(low: float | None) -> None:
    said = stated_budgets.advice(FALLING, summary(elasticity_low=low, elasticity_high=None if low is None else 0.3))
    assert said.startswith("Whether stating a budget moves how long replies are is too close to call")


def test_a_rebound_is_told_in_tokens_with_its_interval() -> None:
    assert "use rises again below 8 tokens: 12 (6–18) tokens more when stated 2" in _said(FALLING, summary(0.01))


def test_use_that_only_falls_has_no_rebound_down_to_the_least_told() -> None:
    assert "no sign down to 2 tokens that stating less costs more" in _said(
        FALLING, summary(0.9, floor=2.0, rebound=None)
    )


def test_accuracy_is_found_for_the_same_settings_only_and_at_the_largest_wall() -> None:
    condition = {"task": "sums", "model": "a/small", "strategy": "told_budget", "version": 1, "prompting": "{}"}
    rows = [
        condition | {"condition_id": name, "told": 8, "params": json.dumps({"chain_tokens": chain, "told_tokens": 8})}
        for name, chain in (("mine", 256), ("other", 512))
    ]
    cell = {"accuracy_low": 0.1, "accuracy_high": 0.9, "n_questions": 30}
    cells = pl.DataFrame(
        [
            {"condition_id": name, "budget": budget, "accuracy": accuracy} | cell
            for name, budget, accuracy in (("mine", 16, 0.2), ("mine", 512, 0.6), ("other", 512, 0.3))
        ]
    )
    found = stated_budgets.accuracy_told(FALLING, cells, rows)
    assert found.select("told", "accuracy", "budget", "condition_id").rows() == [(8.0, 0.6, 512, "mine")]


def opened(path: Path, monkeypatch: pytest.MonkeyPatch, **query: str) -> tuple[AppTest, str]:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(path))
    app = run_page("budgets", show="stated", **query)
    assert not app.exception, app.exception[0].value
    said = [str(each.value) for each in (*app.markdown, *app.caption, *app.warning, *app.code)]
    return app, "\n".join(said).replace("\\", "")


@pytest.fixture
def demo() -> Path:
    return stores.to_read(stores.demo)


def test_a_database_without_told_budgets_says_which_strategy_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    _, said = opened(stores.to_read(stores.one_trial), monkeypatch)
    assert "No prompt of this study states a budget yet" in said
    assert 'name = "told_budget"' in said


def test_the_demo_says_how_often_budgets_are_kept_with_n_intervals_and_whose_number_it_is(
    demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, said = opened(demo, monkeypatch)
    assert " stated budget" in said
    assert said.count("of replies, ") == 4
    assert "elasticity is our own number" in said


def test_a_link_restores_task_and_point(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app, said = opened(demo, monkeypatch, task="gym:gcd/easy", cell="gone~3", strtegy="x")
    assert app.session_state["budgets.task"] == ["gym:gcd/easy"]
    assert "The selected point is not among those shown" in said
    assert "Did it mean 'strategy'?" in said
    assert "Divisors (easy): kept in" in said
