"""The Runs page without a browser: a mistake closes the launch, a run that is gone is said, who only reads starts none."""

from __future__ import annotations

from pathlib import Path

import pytest

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


def test_a_link_to_a_run_that_is_gone_is_said() -> None:
    app = run_page("runs", run="20200101-000000-0000")
    assert any("There is no run '20200101-000000-0000'" in each.value.replace("\\", "") for each in app.warning)


def test_who_may_only_read_sees_a_run_and_starts_none(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUDGETSCOPE_READ_ONLY", "1")
    app = run_page("runs", run=run_dir.list_runs(database)[0].run_id)
    assert any("All 1 answer in" in text for text in texts(app))
    assert not [button.label for button in app.button if {*button.label.split()} & {"Launch", "Resume", "Stop"}]
