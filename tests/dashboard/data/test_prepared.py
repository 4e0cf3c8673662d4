"""A prepared run as a link: what the form says comes back, nothing starts, and no ceiling or secret travels."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.data import runs
from dashboard.widgets import study_form, url_state
from dashboard.widgets.study_form import AXES
from tests.dashboard.views.test_views import words
from tests.support.pages import run_page

Open = Callable[..., AppTest]
LINK: dict[str, str | list[str]] = {
    "model": ["scripted/adder"],
    "strategy": ["self_consistency", "direct"],
    "task": ["chain_sum", "leg_counting"],
    "knob": ["self_consistency.samples=2, 4"],
    "level": "medium",
    "questions": "7",
    "seed": "3",
    "repeats": "2",
    "axis": "calls",
    "budgets": "1, 3",
    "system": "Be brief.",
}


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(tmp_path / "r.duckdb"))

    def open_page(**query: str | list[str]) -> AppTest:
        return run_page("run", **query)

    return open_page


def said(app: AppTest) -> dict[str, Any]:
    """What the form of a page says for its link."""
    keys = {key for axis in AXES for key in study_form.start(axis)}
    return study_form.out({key: app.session_state[key] for key in keys if key in app.session_state})


def ordered(values: dict[str, Any]) -> dict[str, Any]:
    """Without the order of a list, which a link does not keep."""
    return {name: sorted(value) if isinstance(value, list) else value for name, value in values.items()}


def test_an_untouched_form_needs_no_word_in_its_link(opened: Open) -> None:
    app = opened()
    assert not app.exception and said(app) == {}


def test_a_link_fills_the_form_and_starts_nothing(opened: Open, tmp_path: Path) -> None:
    app = opened(**LINK)
    shown = re.sub(r"(?<=\[)\s+|,?\s+(?=\])", "", words(app)).replace(",\n    ", ", ")
    for part in (
        'name = "scripted/adder"',
        'name = "gym:leg_counting"',
        'level = "medium"',
        "questions = 7",
        "samples = [2, 4]",
        "budgets = [1, 3]",
        'budget_axis = "calls"',
        "repeats = 2",
        'system = "Be brief."',
        "seed = 3",
    ):
        assert part in shown
    assert "cannot be used" not in shown and "not there" not in shown
    assert runs.runs(tmp_path / "r.duckdb") == []


def test_what_the_form_says_comes_back_from_its_link(opened: Open) -> None:
    app = opened(**LINK)
    now = said(app)
    assert {name: now[name] for name in LINK if name not in ("strategy", "task")} == {
        name: value for name, value in LINK.items() if name not in ("strategy", "task")
    }
    again = opened(**url_state.written(study_form.PARAMS, now))
    assert ordered(said(again)) == ordered(now)


def test_no_ceiling_no_key_and_no_endpoint_is_in_a_link(opened: Open) -> None:
    app = opened()
    app.number_input(key="form.usd").set_value(7.25)
    app.text_input(key="form.own.key").set_value("MY_SECRET_KEY")
    app.text_input(key="form.own.base").set_value("http://10.1.2.3/v1").run()
    assert said(app) == {}


def test_an_address_that_the_form_no_longer_follows_says_nothing_of_it(opened: Open) -> None:
    app = opened(model=["scripted/adder"], questions="7")
    assert "questions" in app.query_params
    app.number_input(key="form.questions").set_value(9).run()
    assert "questions" not in app.query_params and "model" not in app.query_params
    assert app.number_input(key="form.questions").value == 9


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"questions": "many"}, "questions = 'many'"),
        ({"strategy": ["dirct"]}, "strategy = 'dirct'"),
        ({"knob": ["models=x"]}, "knob = 'models=x'"),
        ({"knob": ["direct.answer_tokens"]}, "knob = 'direct.answer_tokens'"),
        ({"role": ["tokens=5"]}, "role = 'tokens=5'"),
        ({"usd": "5"}, "'usd'"),
        ({"tokens": "5"}, "'tokens'"),
    ],
)
def test_a_part_that_cannot_be_used_is_explained(opened: Open, query: dict[str, str | list[str]], told: str) -> None:
    app = opened(**query)
    assert told in words(app)
    assert "Launch" in [button.label for button in app.button]


def test_where_nothing_can_be_started_a_prepared_run_is_named_as_such(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUDGETSCOPE_READ_ONLY", "1")
    assert "This link prepares a run, which cannot be started here." in words(opened(questions="7"))
