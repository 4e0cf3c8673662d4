"""A frozen view says the same numbers for ever, and a saved page needs nothing but itself."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.data import frozen, queries
from dashboard.data.frozen import Frozen
from dashboard.text.saved_page import POLICY
from engine.core.errors import UsageError
from engine.store.identity import fingerprint
from engine.store.store import Store
from tests.support import hostile, stores
from tests.support.pages import run_page


def view(path: Path, task: str = "", **handles: float) -> tuple[queries.Database, Frozen]:
    """What Explore shows of a task of this database."""
    db = queries.Database(str(path), fingerprint(path))
    return db, hostile.frozen_view(db, queries.study_choices(db)[0], task, **handles)


@pytest.fixture
def small() -> Path:
    """To look at."""
    return stores.to_read(stores.small)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """To write to."""
    return stores.small(tmp_path / "results.duckdb")


def opened(path: Path, link: str, monkeypatch: pytest.MonkeyPatch) -> tuple[AppTest, str]:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(path))
    app = run_page("snapshot", id=link)
    assert not app.exception, app.exception[0].value
    parts = [*app.markdown, *app.caption, *app.warning, *app.info]
    return app, "\n".join(str(part.value) for part in parts).replace("\\", "")


def test_what_was_frozen_comes_back_as_it_was(path: Path) -> None:
    db, shown = view(path, most=300.0, least=0.5)
    link = frozen.freeze(db, shown)
    again = frozen.thaw(queries.Database(str(path), fingerprint(path)), link)
    assert again == shown
    assert again is not None and again.info(False, "wide") == shown.info(False, "wide")
    assert again.table().equals(shown.table())
    assert frozen.freeze(db, shown) == link, "the same view is the same link"


def test_the_data_of_a_saved_page_has_its_columns_in_one_order(small: Path) -> None:
    _, shown = view(small)
    assert {tuple(shown.rows().columns) for _ in range(8)} == {tuple(frozen.COLUMNS)}


def test_a_snapshot_shows_its_numbers_after_the_data_is_gone_and_says_that_there_is_other(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db, shown = view(path)
    link = frozen.freeze(db, shown)
    app, said = opened(path, link, monkeypatch)
    assert shown.heading in said and "The database says something else by now" not in said
    table = app.dataframe[0].value
    for run in Store(path).runs():
        Store(path).delete_run(run.run_id)
    app, said = opened(path, link, monkeypatch)
    assert shown.heading in said and shown.lead in said
    first = shown.answers[0]
    assert f"{first.question} · said {first.said}" in said, "the question first, as everywhere"
    assert "The database says something else by now" in said
    assert app.dataframe[0].value.equals(table)


def test_a_demo_is_not_written_to_its_copy_keeps_the_snapshot_and_the_link_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = stores.small(tmp_path / "demo.duckdb", questions=4)
    Store(demo).set_demo(True)
    monkeypatch.setenv("BUDGETSCOPE_DB", str(demo))
    before = demo.read_bytes()
    db, shown = view(demo)
    link = frozen.freeze(db, shown)
    assert demo.read_bytes() == before
    assert frozen.thaw(queries.state(), link) == shown


@pytest.mark.parametrize("link", ["", "gone", "../../etc/passwd", "' or 1=1 --"])
def test_a_snapshot_nobody_made_is_said(small: Path, link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app, told = opened(small, link, monkeypatch)
    assert "There is no such snapshot here" in told
    assert [way.proto.label for way in app.get("page_link")] == ["See what is here"]


def test_a_damaged_snapshot_is_one_sentence(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Store(path).keep_link("bad", base64.b64encode(b"nonsense").decode())
    assert "The snapshot bad cannot be read" in opened(path, "bad", monkeypatch)[1]


def test_a_view_too_large_to_keep_is_refused(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db, shown = view(small)
    monkeypatch.setattr(frozen, "MOST_BYTES", 1000)
    with pytest.raises(UsageError, match="a snapshot may have 1,000"):
        frozen.freeze(db, shown)


def test_a_saved_page_says_the_finding_and_needs_no_network(small: Path) -> None:
    _, shown = view(small)
    page = frozen.as_page(shown, "http://localhost:8501/?task=x")
    assert f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">' in page
    for wanted in (shown.heading, shown.lead, "All settings", "How the numbers were made", "Data (CSV)"):
        assert wanted in page
    assert 'href="http://localhost:8501/?task=x"' in page
    own = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert len(re.findall(r"""(?:src|href)=["'](?:https?:)?//""", own)) == 1, "the link back alone"
    assert not re.search(r"<script[^>]*src=", page)
    assert len(page) < 8_000_000
    assert page == frozen.as_page(shown, "http://localhost:8501/?task=x"), "the same view is the same file"


def test_a_saved_page_shows_what_a_question_is_about_as_text(small: Path) -> None:
    _, shown = view(small)
    first = replace(
        shown.answers[0], question="Who wrote it?", document="Note <b>7</b>\n\nAnn", said="Bo", fate="wrong"
    )
    page = frozen.as_page(replace(shown, answers=(first, replace(first, question="When?", document=""))), "")
    whose = f"Some answers of {shown.answering()}"
    assert re.fullmatch(r"Some answers of \w.+, up to [\d,]+ tokens.*", whose)
    told = page[page.index(whose) :]
    assert "Note &lt;b&gt;7&lt;/b&gt;\n\nAnn</pre>" in told and "<b>7</b>" not in told
    assert "<summary>✕ Who wrote it? · said Bo, is " in told and "<summary>✕ When? · said Bo, is " in told


def test_a_saved_page_holds_no_html_of_a_model_a_question_or_a_study(tmp_path: Path) -> None:
    some = [text for text in hostile.STRINGS if "<" in text][:6]
    path = hostile.in_thread(hostile.database, tmp_path / "r.duckdb", some)
    _, shown = view(path)
    page = frozen.as_page(shown, "javascript:alert(1)")
    body = page[page.index("</header>") :]
    assert "javascript:alert(1)" not in page[: page.index("<h1>")]
    told = body[body.index("All settings") :]
    for text in some:
        assert text not in told
    written = frozen.as_markdown(shown)
    assert not re.search(r"(?<!\\)<(script|img|svg|iframe)", written)
