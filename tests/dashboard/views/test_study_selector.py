"""Every page that shows results shows one study: what it asked for, on its own questions, named in the address."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import engine
from dashboard.data import queries
from engine.cli.archives import part_of
from engine.runs.archiving import archive_study
from engine.store.identity import fingerprint
from engine.store.store import Store
from tests import ROOT
from tests.dashboard.views.test_views import READING
from tests.support import stores
from tests.support.pages import run_page

N = {
    "explore": "{n} questions",
    "budgets": "{n}",
    "compare": "{n} questions",
    "answers": "of {n} shown",
}
"""How a page says how many questions it stands on."""


@pytest.fixture
def database() -> Path:
    return stores.to_read(stores.two_studies)


@pytest.fixture(autouse=True)
def _shown(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(database))


def direct(database: Path) -> str:
    """The setting that both studies asked for."""
    return str(engine.open(database).cells(study="wide", strategy="direct")["condition_id"][0])


def words(app: AppTest) -> str:
    assert not app.exception, app.exception[0].value
    parts = [*app.markdown, *app.caption, *app.warning, *app.info, *app.text]
    return "\n".join(str(part.value).replace("\\", "") for part in parts)


@pytest.mark.parametrize("view", READING)
def test_every_page_with_results_lets_a_study_be_chosen_and_says_it_in_the_address(view: str) -> None:
    app = run_page(view)
    (control,) = [each for each in (*app.button_group, *app.selectbox) if each.key == f"{view}.study"]
    assert [*control.options] == ["Narrow", "Wide", "All studies"]
    control.set_value("wide").run()
    assert app.query_params["study"] == "wide"
    assert not app.exception


def test_what_came_with_a_database_stands_in_the_order_it_was_begun_in_so_the_demo_opens_on_its_first_study(
    tmp_path: Path,
) -> None:
    path = Path(shutil.copyfile(ROOT / "results.duckdb", tmp_path / "results.duckdb"))
    found = queries.study_choices(queries.Database(str(path), fingerprint(path)))
    assert found == ("demo", "token_economies", "which_model", "which_reading", queries.ALL)


@pytest.mark.parametrize("view", ["explore", "compare", "answers"])
def test_a_page_stands_on_the_questions_of_its_study(view: str, database: Path) -> None:
    at = {"condition": direct(database)} if view == "answers" else {}
    for study, asked, other in (("wide", 16, 10), ("narrow", 10, 16)):
        told = words(run_page(view, study=study, **at))
        assert N[view].format(n=asked) in told, told
        assert N[view].format(n=other) not in told


@pytest.mark.parametrize("view", ["explore", "budgets", "compare"])
def test_all_studies_together_say_which_lists_there_are(view: str) -> None:
    told = words(run_page(view, study="*"))
    assert "not pooled" in told
    assert "10 questions (Narrow)" in told
    assert "16 questions (Wide)" in told


@pytest.mark.parametrize("view", ["answers", "compare"])
def test_an_address_of_before_that_names_a_setting_alone_opens_a_study_that_asked_for_it(
    view: str, database: Path
) -> None:
    chain = engine.open(database).cells(study="wide", strategy="chain_of_thought").to_dicts()[0]
    at = (
        {"condition": chain["condition_id"]}
        if view == "answers"
        else {"a": f"{chain['condition_id']}~{chain['budget']}"}
    )
    app = run_page(view, **at)
    assert app.session_state[f"{view}.study"] == "wide"
    assert "not there (any more)" not in words(app)


def test_a_study_that_is_gone_is_said() -> None:
    assert "This link asks for study = 'gone'" in words(run_page("explore", study="gone"))


def test_an_archive_is_only_read_and_every_page_says_that_it_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = stores.two_studies(tmp_path / "results.duckdb")
    done = archive_study(Store(db), part_of(db, "narrow"))
    told = words(run_page("runs"))
    monkeypatch.setenv("BUDGETSCOPE_DB", str(db))
    assert "narrow was archived" not in told and "narrow was archived" in words(run_page("runs"))
    monkeypatch.setenv("BUDGETSCOPE_DB", str(done.folder))
    runs = run_page("runs")
    assert "read in place" in words(runs) and "Launch" not in [each.label for each in runs.button]
    assert "read in place" in words(run_page("tokens", show="study"))
