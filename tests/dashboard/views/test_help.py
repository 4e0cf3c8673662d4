"""The Help page says of every strategy what the registry says, and the Run page shows a run's bill and the day's rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine.core.budget import Limits
from engine.store.store import Store
from engine.strategies import entries
from tests import ROOT
from tests.support import stores
from tests.support.pages import run_page

APP = ROOT / "dashboard" / "app.py"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stores.small(tmp_path_factory.mktemp("help") / "results.duckdb")


@pytest.fixture
def db(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(made))
    return made


def opened(view: str, **query: str) -> AppTest:
    app = run_page(view, **query)
    assert not app.exception, app.exception[0].value
    return app


def words(app: AppTest) -> str:
    return "\n".join(str(e.value) for e in [*app.markdown, *app.caption, *app.warning]).replace("\\", "")


def test_every_strategy_stands_on_the_page_with_its_calls_and_paper(db: Path) -> None:
    table = opened("help").dataframe[0].value
    assert set(table["Strategy"]) == set(entries())
    rows = {row["Strategy"]: row for _, row in table.iterrows()}
    assert rows["multi_agent_debate"]["Calls per question, at most"] == "agents × rounds"
    assert rows["self_consistency"]["Paper"].endswith("/2203.11171")
    assert all(row["Paper"] or name == "direct" for name, row in rows.items())


def test_a_link_opens_one_strategy_with_its_budget_and_parameters(db: Path) -> None:
    said = words(opened("help", strategy="reflexion_oracle", family="refinement"))
    assert "Budget: up to attempts chains" in said and "attempts = 3" in said
    assert "told whether answers are right" in said


def test_a_strategy_nobody_registered_is_named(db: Path) -> None:
    assert "There is no strategy 'self_consistancy'" in words(opened("help", strategy="self_consistancy"))


def test_the_day_s_allowance_stands_on_the_run_page_once_it_is_set(db: Path) -> None:
    assert "Free today" not in words(opened("runs"))
    Store(db).set_allowance(Limits(tokens=50_000, pusd=2 * 10**12))
    said = words(opened("runs"))
    assert "Free today (UTC) for all runs together:" in said and "of 50,000 tokens" in said and "of $2" in said


def test_a_finished_run_shows_its_bill(db: Path) -> None:
    from engine.runs import run_dir

    (run,) = Store(db).runs()[:1]
    folder = run_dir.folder(db) / run.run_id
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "study.toml").exists():
        (folder / "study.toml").write_text('name = "x"\n')
        made = run_dir.RunDir(folder, run.run_id, db)
        run_dir.write(made, run_dir.Status(run.run_id, "x", "finished", False, None, 1, 1))
    app = opened("runs", run=run.run_id)
    assert [expander.label for expander in app.expander if expander.label == "Bill"] == ["Bill"]
    assert "never added up" in words(app)
