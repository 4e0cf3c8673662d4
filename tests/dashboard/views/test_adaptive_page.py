"""What an adaptive run decided, on the Runs page and on Explore, and the field of the form that asks for one."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import engine
from dashboard.data import studies
from dashboard.widgets import study_address
from engine.runs import run_dir
from engine.study.schema import parse
from tests.support import adaptive_runs
from tests.support.pages import run_page


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("adaptive") / "adaptive.duckdb"
    with adaptive_runs.models():
        assert adaptive_runs.ran(path, parse(adaptive_runs.STUDY, "test")).state == "finished"
    return path


def stopped(db: Path) -> set[int]:
    """After how many questions settings were stopped."""
    (decided,) = engine.open(db).decisions()
    asked = {each.asked for each in decided.settings if each.stopped}
    assert asked and max(asked) < decided.listed
    return asked


def words(app: AppTest) -> str:
    return " ".join(str(each.value if hasattr(each, "value") else "") for each in app.main) + " ".join(
        each.proto.body for each in app.get("html")
    )


def test_the_run_says_what_it_decided_and_why(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(db))
    app = run_page("runs", run=run_dir.find(db, "last").run_id)
    assert not app.exception
    said = words(app)
    assert "What it decided and why" in said
    assert all(f"stopped at {n}" in said for n in stopped(db))
    assert "surely costs no more" in said


def test_explore_marks_who_was_stopped_and_gives_it_no_interval(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(db))
    app = run_page("explore")
    assert not app.exception
    notes = {note for table in app.dataframe for note in table.value.get("Notes", [])}
    assert all(any(f"stopped at {n}" in note for note in notes) for n in stopped(db))


def test_the_form_asks_for_an_adaptive_study_and_its_address_says_so(tmp_path: Path) -> None:
    fields, problems = study_address.into({"until": "2.5"})
    assert (fields["form.until"], problems) == (2.5, [])
    assert study_address.out(
        {**study_address.start("output_tokens"), "form.axis": "output_tokens", "form.until": 5.0}
    ) == {"until": "5"}
    _, problems = study_address.into({"until": "soon"})
    assert (
        problems == ["This link asks for until = 'soon', which is no regret to stop at."] or "no regret" in problems[0]
    )
    form = studies.Form("s", ("scripted/adder",), (("direct", {}),), ({"name": "gym:chain_sum"},), "64", until=5.0)
    study = studies.checked(form)
    assert study.until == 0.05
    assert study_address.of_study(study, tmp_path)["until"] == "5"
    assert (
        studies.checked(studies.Form(*[getattr(form, name) for name in form.__dataclass_fields__][:-1])).until is None
    )
