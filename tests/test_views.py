"""Every page on every kind of database: no exception, and the sentences that matter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import data
from tests import shown

APP = Path(__file__).resolve().parent.parent / "dashboard" / "app.py"
VIEWS = ("frontier", "curves")
MAKERS: dict[str, Callable[[Path], Path]] = {
    "empty": shown.empty, "one trial": shown.one_trial, "all wrong": shown.all_wrong, "all failed": shown.all_failed,
    "small": shown.small,
}  # fmt: skip
Open = Callable[..., AppTest]


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("databases")
    made = {}
    for number, (name, make) in enumerate(MAKERS.items()):
        (folder / str(number)).mkdir()
        made[name] = make(folder / str(number) / "results.duckdb")
    return made


@pytest.fixture
def opened(databases: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Open:
    def open_page(name: str, view: str = "frontier", **query: str | list[str]) -> AppTest:
        monkeypatch.setenv("BUDGETSCOPE_DB", str(databases.get(name, Path(name))))
        app = AppTest.from_file(str(APP), default_timeout=60)
        if view != "frontier":
            app.switch_page(f"views/{view}.py")
        for key, value in query.items():
            app.query_params[key] = value
        return app.run()

    return open_page


def words(app: AppTest) -> str:
    """Everything the page says, without the escapes of its Markdown."""
    assert not app.exception, app.exception[0].value
    found = [*app.markdown, *app.caption, *app.warning, *app.code, *app.metric]
    return "\n".join(str(element.value) for element in found).replace("\\", "")


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", MAKERS)
def test_every_page_opens_on_every_database(opened: Open, name: str, view: str) -> None:
    assert "#### " in words(opened(name, view))


@pytest.mark.parametrize("view", VIEWS)
def test_without_a_database_a_page_says_how_to_get_one(opened: Open, tmp_path: Path, view: str) -> None:
    said = words(opened(str(tmp_path / "none.duckdb"), view))
    assert "There is no database at" in said
    assert "budgetscope run examples/first.toml" in said


@pytest.mark.parametrize("view", VIEWS)
def test_a_file_that_is_no_database_is_named(opened: Open, tmp_path: Path, view: str) -> None:
    (tmp_path / "odd.duckdb").write_text("hello")
    assert "is not a DuckDB database" in words(opened(str(tmp_path / "odd.duckdb"), view))


def test_an_empty_database_says_what_to_do_next(opened: Open) -> None:
    said = words(opened("empty"))
    assert "No trial is stored here yet" in said
    assert "budgetscope run" in said


def test_the_home_page_states_a_finding_with_n_and_intervals(opened: Open) -> None:
    said = words(opened("small"))
    assert "on the frontier" in said
    assert "is the most accurate" in said
    assert "(n = 12)" in said
    assert "95% intervals" in said
    assert "simulated answers" in said


def test_the_title_says_how_many_of_how_many_are_shown(opened: Open) -> None:
    whole, part = words(opened("small")), words(opened("small", model="scripted/adder"))
    assert "shown)" not in whole
    assert "shown)" in part


def test_a_clicked_cell_is_shown_with_its_counts(opened: Open) -> None:
    app = opened("small")
    key = app.selectbox(key="frontier.cell").options
    assert key
    app.selectbox(key="frontier.cell").select_index(0).run()
    said = words(app)
    assert "12 trials: " in said
    assert "failed" in said
    assert "n = 12 questions" in said
    assert app.query_params["cell"]


def test_a_link_restores_every_filter_and_the_cell(opened: Open) -> None:
    app = opened("small")
    app.selectbox(key="frontier.cell").select_index(1).run()
    cell = app.session_state["frontier.cell"]
    query = {
        "x": "usd",
        "line": "hull",
        "budget": "largest",
        "model": ["scripted/adder"],
        "labels": "all",
        "cell": cell,
    }
    again = opened("small", task="file:more", **query)
    words(again)
    for name, value in {**query, "task": "file:more"}.items():
        assert again.session_state[f"frontier.{name}"] == value


def test_a_cell_that_is_gone_is_explained(opened: Open) -> None:
    assert "This link asks for cell 'gone~1', which is not there" in words(opened("small", cell="gone~1"))


def test_money_without_a_price_says_how_to_give_one(opened: Open) -> None:
    said = words(opened("one trial", x="usd"))
    assert "No price is known" in said
    assert "prices = {" in said


def test_an_assumed_price_is_called_assumed(opened: Open) -> None:
    assert "some prices are assumed" in words(opened("small", x="usd"))


def test_failed_trials_are_counted_and_not_scored(opened: Open) -> None:
    said = words(opened("all failed"))
    assert "0.0%" not in said


def test_everything_wrong_is_zero_and_not_nothing(opened: Open) -> None:
    assert "0.0%" in words(opened("all wrong"))


def test_curves_name_the_leader_of_each_task(opened: Open) -> None:
    said = words(opened("small", "curves"))
    assert "What a larger budget buys on 2 tasks" in said
    assert said.count(" leads ") == 2


def test_curves_in_money_without_a_price_say_how_to_give_one(opened: Open) -> None:
    assert "prices = {" in words(opened("one trial", "curves", axis="usd"))


def test_a_table_runs_nothing_in_a_spreadsheet() -> None:
    frame = pl.DataFrame({"name": ["=1+1", "fine", None], "runs": [["a", "b"], [], None], "n": [-1.5, 2.0, None]})
    assert data.as_csv(frame).decode().splitlines() == ["name,runs,n", "'=1+1,a b,-1.5", 'fine,"",2.0', ",,"]


@pytest.mark.parametrize("name", ["[x](http://a)", "**b**", ":red[x]", "$a$", "<b>", ":material/delete:", "a\n# b"])
def test_names_are_shown_letter_by_letter(name: str) -> None:
    def page(name: str) -> None:
        import streamlit as st

        from dashboard import controls

        st.markdown(controls.literal(name))

    said = AppTest.from_function(page, args=(name,)).run().markdown[0].value
    assert not any(sign in said.replace(f"\\{sign}", "") for sign in "[]()*$<>:#" if sign in name)
