"""From a cell to a transcript in a real browser: filter, budget, next, links."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import engine
from tests.browser.conftest import PATIENCE_MS, lead
from tests.browser.stage import Stage

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
def stage(server: str, database: Path, browser: Any, warm: Any) -> Iterator[Stage]:
    """The server of all pages; who only reads needs no other."""
    stage = Stage(server, database, browser, warm)
    yield stage
    stage.leave()


def condition(stage: Stage, strategy: str) -> str:
    frame = engine.open(stage.db).conditions().filter(strategy=strategy, task="file:sums").sort("model")
    return str(frame["condition_id"][0])


def query(page: Any) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def transcript_of(page: Any) -> Any:
    return page.locator("[class*='st-key-text-question']")


def said(page: Any) -> str:
    """The transcript's text once the page is at rest and the question's grade stands: it is drawn piece by piece."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    expect(transcript_of(page)).to_contain_text("right")
    return str(transcript_of(page).inner_text())


def test_a_condition_opens_on_its_first_trial_and_a_budget_cuts_a_call_in_red_and_leaves_out_those_it_never_reached(
    stage: Stage,
) -> None:
    address = f"/answers?condition={condition(stage, 'self_consistency')}"
    page = stage.open(address)
    expect(page.get_by_role("heading", level=1)).to_contain_text("call")
    expect(transcript_of(page)).to_contain_text("What is")
    expect(page.get_by_text("Call 1", exact=True)).to_be_visible()
    expect(page.get_by_text("Answers 1–12 of 12 shown")).to_be_visible()
    said(page)
    lead(page, f"{address}&budget=32")
    expect(page.get_by_role("heading", level=1)).to_contain_text("the budget of 32 tokens")
    expect(page.locator(".tk-cut")).to_contain_text("budget reached: 32")
    expect(page.get_by_text("not counted here")).to_be_visible()
    cut = page.locator(".tk .tk-o").last
    expect(cut).to_be_visible()
    expect(cut).to_have_css("background-color", "rgba(0, 0, 0, 0)")


def test_next_and_previous_walk_through_the_list_by_button_and_arrow_key_and_the_address_follows(stage: Stage) -> None:
    page = stage.open(f"/answers?condition={condition(stage, 'direct')}")
    first = said(page)
    page.get_by_role("button", name="Next").click()
    page.wait_for_url("**trial=*")
    expect(transcript_of(page)).not_to_have_text(first, use_inner_text=True)
    second = said(page)
    again = stage.open(page.url.removeprefix(stage.url))
    expect(transcript_of(again)).to_have_text(second, use_inner_text=True)
    said(again)
    # A key that is pressed while its button is drawn anew reaches nobody.
    expect(again.get_by_role("button", name="Previous")).to_be_enabled()
    again.keyboard.press("ArrowLeft")
    expect(transcript_of(again)).to_have_text(first, use_inner_text=True)
    said(again)
    expect(again.get_by_role("button", name="Next")).to_be_enabled()
    again.keyboard.press("ArrowRight")
    expect(transcript_of(again)).to_have_text(second, use_inner_text=True)


def test_a_point_of_explore_leads_to_its_answers(stage: Stage) -> None:
    cell = f"{condition(stage, 'chain_of_thought')}~128"
    page = stage.open(f"/?task=file%3Asums&cell={cell}")
    page.get_by_role("link", name="Read answers").click()
    page.wait_for_url("**/answers?*")
    expect(transcript_of(page)).to_contain_text("What is")
    assert query(page)["budget"] == ["128"]
