"""The Runs page without a browser: a mistake closes the launch, a run that is gone is said, who only reads starts none."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine.runs import run_dir
from tests.support import stores
from tests.support.pages import run_page, texts


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stores.one_trial(tmp_path_factory.mktemp("runs") / "results.duckdb")


@pytest.fixture(autouse=True)
def _shown(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(database))


def test_a_mistake_is_said_in_one_sentence_and_nothing_can_be_launched() -> None:
    app = run_page("runs", model="scripted/adder", knob="self_consistency.samples=few")
    said = [text for each in (*app.error, *app.warning, *app.info, *app.caption, *app.markdown) if (text := each.value)]
    assert sum("takes samples as int, not 'few'" in text.replace("\\", "") for text in said) == 1
    assert [button.disabled for button in app.button if button.label == "Launch"] == [True]


def _said(app: AppTest) -> list[str]:
    """All sentences of the page, as somebody reads them."""
    each = (*app.error, *app.warning, *app.info, *app.caption, *app.markdown)
    return [str(one.value).replace("\\", "") for one in each]


def _closed(app: AppTest) -> bool:
    return [button.disabled for button in app.button if button.label == "Launch"] == [True]


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        ({"questions": "9999"}, "Sums (easy) has 147 distinct questions, too few for 9999: ask for at most 147."),
        ({"budgets": "64, lots"}, "'lots' is no budget: write a number, such as 256."),
        ({"budgets": ","}, "Choose a budget."),
        ({"model": "openai/gpt-4o-mini"}, "openai/gpt-4o-mini needs a key: set OPENAI_API_KEY"),
        ({"axis": "usd", "budgets": "0.01", "model": "local/smollm2-135m"}, "count tokens or calls"),
    ],
)
def test_a_fault_of_the_form_is_said_once_with_the_nearest_right_thing_and_closes_the_launch(
    link: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    app = run_page("runs", **{"model": "scripted/adder", **link})
    said = _said(app)
    assert sum(sentence in each for each in said) == 1
    assert not [each for each in said if "not a text" in each]
    assert _closed(app)


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        ({"repeats": "101"}, "This link asks for repeats = '101'; it may be 1 to 100."),
        ({"tokens": "0"}, "tokens = '0', which is no ceiling: a number above 0, at most 1,000,000,000,000."),
        ({"knob": "direct.hurry=3"}, "Direct has no parameter 'hurry' (it has: answer_tokens, temperature)"),
    ],
)
def test_a_number_a_link_may_not_ask_for_is_answered_with_those_it_may(link: dict[str, str], sentence: str) -> None:
    assert any(sentence in each for each in _said(run_page("runs", model="scripted/adder", **link)))


def test_models_and_budgets_that_a_link_names_twice_or_not_at_all_count_once() -> None:
    app = run_page("runs", model=["scripted/adder", "", "scripted/adder"], budgets="128, 64, 64", questions="3")
    assert not app.warning and not _closed(app)
    study = tomllib.loads(app.code[0].value)
    assert study["budgets"] == [128, 64] and [each["name"] for each in study["models"]] == ["scripted/adder"]


def test_a_ceiling_that_the_study_does_not_fit_under_is_said_before_the_launch() -> None:
    app = run_page("runs", model="scripted/small-adder", questions="3", tokens="1")
    assert any(each.startswith("A ceiling of 1 token is below the ") for each in _said(app))
    assert any("more than the ceiling" in str(each.proto.body) for each in app.get("html"))
    assert not any("A ceiling of" in each for each in _said(run_page("runs", model="scripted/adder", questions="3")))


def test_a_model_whose_name_is_mistyped_is_answered_with_those_near_it() -> None:
    app = run_page("runs", model="scripted/adder")
    app.text_input(key="form.search").set_value("gpt-4o-mni").run()
    assert "Add openai/gpt-4o-mini" in [button.label for button in app.button]
    assert "Nothing is called so; the nearest is gpt-4o-mini." in _said(app)
    app.text_input(key="form.search").set_value("nothing like it").run()
    assert not [button.label for button in app.button if button.label.startswith("Add ")]


def test_a_link_to_a_run_that_is_gone_is_said() -> None:
    app = run_page("runs", run="20200101-000000-0000")
    assert any("There is no run '20200101-000000-0000'" in each.value.replace("\\", "") for each in app.warning)


def test_who_may_only_read_sees_a_run_and_starts_none(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUDGETSCOPE_READ_ONLY", "1")
    app = run_page("runs", run=run_dir.list_runs(database)[0].run_id)
    assert any("All 1 answer in" in text for text in texts(app))
    assert not [button.label for button in app.button if {*button.label.split()} & {"Launch", "Resume", "Stop"}]
