"""The form is its address: what it says comes back, nothing starts, and no key or server of one's own travels."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.data import runs
from dashboard.widgets import study_address, url_state
from dashboard.widgets.study_address import AXES
from engine.study import schema
from engine.tasks import named
from engine.tasks.named import fetch
from tests.dashboard.views.test_views import words
from tests.support.pages import run_page

Open = Callable[..., AppTest]
LINK: dict[str, str | list[str]] = {
    "model": ["scripted/adder"],
    "strategy": ["self_consistency", "direct"],
    "task": "leg_counting",
    "knob": ["self_consistency.samples=2, 4"],
    "level": "medium",
    "questions": "7",
    "seed": "3",
    "repeats": "2",
    "axis": "calls",
    "budgets": "1, 3",
    "system": "Be brief.",
    "tokens": "5000",
    "usd": "1.5",
    "name": "mine",
}


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(tmp_path / "r.duckdb"))

    def open_page(**query: str | list[str]) -> AppTest:
        return run_page("runs", **query)

    return open_page


def said(app: AppTest) -> dict[str, Any]:
    """What the form of a page says for its link."""
    keys = {key for axis in AXES for key in study_address.start(axis)}
    return study_address.out({key: app.session_state[key] for key in keys if key in app.session_state})


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
    assert {name: now[name] for name in LINK if name != "strategy"} == {
        name: value for name, value in LINK.items() if name != "strategy"
    }
    again = opened(**url_state.written(study_address.PARAMS, now))
    assert ordered(said(again)) == ordered(now)


def test_a_benchmark_is_asked_by_its_name_or_says_what_to_fetch_without_a_path_of_the_server(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(fetch, "_failed", {})
    app = opened(task="mgsm/de", questions="2")
    assert not app.exception and said(app) == {"task": "mgsm/de", "questions": "2"}
    shown = words(app)
    assert "Shi et al. 2022" in shown and "cannot be fetched" in shown and str(tmp_path) not in shown
    revision = named.benchmark("mgsm").sources["de"].address.partition("@")[2].partition("/")[0]
    kept = tmp_path / "cache" / "budgetscope" / "tasks" / "mgsm" / revision[:12] / "mgsm_de.tsv"
    kept.parent.mkdir(parents=True)
    kept.write_text("Was ist 2 + 3?\t5\nWas ist 4 + 4?\t8\n", encoding="utf-8")
    shown = words(opened(task="mgsm/de", questions="2"))
    assert "Answers to mgsm/de are scored" in shown and 'name = "mgsm/de"' in shown and "cannot be fetched" not in shown
    kept.write_text("changed\t5\n", encoding="utf-8")
    shown = words(opened(task="mgsm/de", questions="1"))
    assert "not the published one" in shown and str(tmp_path) not in shown


def test_a_span_of_levels_is_a_task_like_another(opened: Open, tmp_path: Path) -> None:
    app = opened(task="gcd", level="1-4", questions="4")
    assert said(app) == {"task": "gcd", "level": "1-4", "questions": "4"} and 'level = "1-4"' in words(app)
    text = 'name="s"\nbudgets=[9]\nmodels=["scripted/adder"]\nstrategies=["direct"]\n[[tasks]]\n'
    address = study_address.of_study(schema.parse(f'{text}name="gpqa"\nsubset="main"', "s.toml"), tmp_path)
    assert address["task"] == "gpqa/main"


def test_no_key_and_no_server_of_ones_own_is_in_the_address(opened: Open) -> None:
    app = opened()
    app.text_input(key="own.name").set_value("mine")
    app.text_input(key="own.key").set_value("MY_SECRET_KEY")
    app.text_input(key="own.base").set_value("http://10.1.2.3/v1").run()
    assert not app.exception and not dict(app.query_params)


def test_every_change_of_the_form_is_in_the_address_and_an_address_that_changes_fills_it_again(opened: Open) -> None:
    app = opened(model=["scripted/adder"], questions="7")
    app.number_input(key="form.questions").set_value(9).run()
    app.number_input(key="form.tokens").set_value(40_000).run()
    assert "9" in app.query_params["questions"] and "40000" in app.query_params["tokens"]
    app.query_params["questions"] = "8"  # As Back does.
    app.run()
    assert app.number_input(key="form.questions").value == 8
    assert "questions = 8" in words(app)


def test_a_run_with_changes_begins_with_the_form_of_the_run_before(opened: Open, tmp_path: Path) -> None:
    text = """name = "first (pilot)"
budgets = [64, 256]
budget_axis = "total_tokens"
models = ["scripted/adder"]
tasks = [{ name = "gym:gcd", level = "medium", questions = 9, seed = 2 }]
strategies = [{ name = "self_consistency", samples = [2, 4] }, "direct"]
[ceiling]
tokens = 70000
"""
    address = study_address.of_study(schema.parse(text, "s.toml"), tmp_path)
    again = words(opened(**url_state.written(study_address.PARAMS, address)))
    flat = " ".join(again.split())
    for part in ('name = "first"', 'level = "medium"', "questions = 9", "seed = 2", "tokens = 70000", "64, 256"):
        assert part in flat, flat
    assert "2, 4" in flat and 'budget_axis = "total_tokens"' in flat


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"questions": "many"}, "questions = 'many'"),
        ({"strategy": ["dirct"]}, "strategy = 'dirct'"),
        ({"knob": ["models=x"]}, "knob = 'models'"),
        ({"knob": ["direct.samples=5"]}, "no parameter 'samples' (it has: answer_tokens, temperature)"),
        ({"role": ["tokens=5"]}, "role = 'tokens'"),
        ({"usd": "much"}, "usd = 'much'"),
        ({"tokens": "-5"}, "tokens = '-5'"),
    ],
)
def test_a_part_that_cannot_be_used_is_explained(opened: Open, query: dict[str, str | list[str]], told: str) -> None:
    app = opened(**query)
    # Also when it is drawn anew, as it is once its width is known.
    assert told in words(app) and told in words(app.run())
    assert "Launch" in [button.label for button in app.button]


def test_where_nothing_can_be_started_a_prepared_run_is_named_as_such(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUDGETSCOPE_READ_ONLY", "1")
    assert "This link prepares a run, which cannot be started here." in words(opened(questions="7"))
