"""The Answers page: a link opens what it names, the filter agrees with its count, and what cannot be had is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import engine
from tests.support import stores
from tests.support.pages import run_page, shown_bytes, texts


@pytest.fixture
def small() -> Path:
    return stores.to_read(stores.small)


@pytest.fixture
def _shown(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(small))


def direct() -> str:
    frame = engine.open(os.environ["BUDGETSCOPE_DB"]).conditions().filter(strategy="direct", task="file:sums")
    return str(frame.sort("model")["condition_id"][0])


def said(app: AppTest) -> str:
    """All words of the page without the escapes of its Markdown, the grade of the question as well."""
    assert not app.exception, app.exception[0].value
    parts = [*texts(app), *(each.value for each in (*app.caption, *app.warning, *app.text, *app.code))]
    return "\n".join([*(str(part).replace("\\", "") for part in parts), *(html.proto.body for html in app.get("html"))])


@pytest.mark.usefixtures("_shown")
def test_a_link_that_names_a_trial_alone_or_a_question_of_a_setting_opens_that_answer(small: Path) -> None:
    chosen = engine.open(small).trial_rows(direct()).row(5, named=True)
    for query in (
        {"trial": chosen["trial_id"]},
        {"condition": direct(), "question": chosen["question_id"]},
    ):
        app = run_page("answers", **query)
        assert chosen["question"] in [text.value for text in app.text]
        assert app.session_state["answers.condition"] == direct()


@pytest.mark.usefixtures("_shown")
@pytest.mark.parametrize("show", ["right", "wrong"])
def test_the_filter_of_a_link_holds_and_agrees_with_the_count(small: Path, show: str) -> None:
    n = engine.open(small).trial_rows(direct()).filter(verdict=show).height
    app = run_page("answers", condition=direct(), show=show)
    assert f"{show.capitalize()} {n}" in app.button_group(key="answers.show").options
    assert (f"of {n} shown" in said(app)) == (f"which is {show}" in said(app)) == bool(n)


@pytest.mark.usefixtures("_shown")
def test_what_a_link_asks_for_and_cannot_have_is_said_and_an_answer_is_shown_all_the_same() -> None:
    told = said(run_page("answers", condition="nowhere", budget="lots", show="pretty", trial="t1-none"))
    for word in ("nowhere", "lots", "pretty", "t1-none"):
        assert f"'{word}'" in told
    assert "What is" in told


def test_a_failed_trial_without_a_call_is_told_as_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(stores.all_failed(tmp_path / "results.duckdb")))
    app = run_page("answers", show="failed")
    assert "The provider gave up." in said(app)
    assert "No call was made for this answer." in said(app)
    assert str(tmp_path).encode() not in shown_bytes(app)
