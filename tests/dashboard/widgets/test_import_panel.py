"""Logs dropped on the Runs page: seen before anything is stored, then on Explore."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import engine
from dashboard.data import imports
from engine.core.errors import UsageError
from engine.interop import importing
from engine.store.store import Store
from tests.support import foreign_logs
from tests.support.pages import run_page


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(tmp_path / "new.duckdb"))
    monkeypatch.setattr("dashboard.data.access.closed", lambda: None)
    return tmp_path / "new.duckdb"


class _File:
    def __init__(self, path: Path, name: str | None = None) -> None:
        self.name, self._content = name or path.name, path.read_bytes()

    def getvalue(self) -> bytes:
        return self._content


def _captions(page: AppTest) -> str:
    return " ".join(str(each.value) for each in page.caption).replace("\\", "")


def test_a_dropped_log_is_previewed_and_imported_by_a_click(db: Path, tmp_path: Path) -> None:
    log = foreign_logs.inspect_json(tmp_path)
    page = run_page("runs")
    assert not page.exception and "Nothing is stored before you have seen what comes in" in _captions(page)
    page.file_uploader(key="import.files").set_value((log.name, log.read_bytes(), "application/json")).run()
    assert not page.exception
    assert "sums (imported, Inspect): 6 questions" in _captions(page) and not db.exists()
    (button,) = [each for each in page.button if each.label == "Import 6 answers"]
    button.click().run()
    assert not page.exception and "6 answers imported into new.duckdb" in str(page.success[0].value).replace("\\", "")
    assert engine.open(db).cells()["n_right"].to_list() == [5]


def test_files_of_one_run_lie_side_by_side_whatever_names_a_browser_sends(db: Path, tmp_path: Path) -> None:
    foreign_logs.lm_eval(tmp_path)
    files = [_File(path, f"..\\..\\{path.name}") for path in sorted(tmp_path.glob("*.json*"))]
    preview = imports.look(files, db)
    assert preview.fresh == 6 and foreign_logs.MODEL in preview.lines[0]
    assert imports.take(files, db).studies == ("sums, imported from lm-eval",)
    assert imports.look(files, db).fresh == 0


def test_a_foreign_file_is_one_sentence_without_a_path(db: Path, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"a": 1}')
    with pytest.raises(UsageError, match="'x.json' is no log") as refusal:
        imports.look([_File(tmp_path / "x.json")], db)
    assert "/" not in str(refusal.value)


@pytest.mark.parametrize(
    ("view", "says"),
    [
        ("explore", "generate (imported, Inspect) gets 83% for 12 output tokens"),
        ("answers", "imported; its log reports 1 call, 30 input"),
        ("budgets", "1 imported, whose budgets nobody knows"),
        ("compare", "(imported, Inspect), as run"),
    ],
)
def test_every_page_says_that_it_is_imported(view: str, says: str, db: Path, tmp_path: Path) -> None:
    store = Store(db)
    importing.bring_in(store, importing.survey(store, foreign_logs.inspect_json(tmp_path)))
    page = run_page(view)
    assert not page.exception
    shown = " ".join(str(each.value) for each in (*page.markdown, *page.caption)).replace("\\", "")
    assert says in shown and "0 tokens" not in shown


def test_a_spend_that_no_log_reports_is_no_zero_on_a_page(db: Path, tmp_path: Path) -> None:
    store = Store(db)
    importing.bring_in(store, importing.survey(store, foreign_logs.lm_eval(tmp_path)))
    page = run_page("explore")
    assert not page.exception
    table = page.dataframe[0].value
    assert table["Budget"].to_list() == ["as run"] and table["Output tokens"].isna().all()
