"""Ways that lead over several pages: one's own questions at one's own server, frozen before more comes in; no mouse."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from engine.runs import run_dir, worker
from engine.study.schema import parse
from tests.browser.conftest import PATIENCE_MS, POLL_MS, Site, settled, still
from tests.browser.stage import staged
from tests.support.hostile import in_thread
from tests.support.provider import serving

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

expect.set_options(timeout=PATIENCE_MS)
ASKED = "new URLSearchParams(location.search).getAll('model')"
"""The models that the page knows are chosen; a click on one is not yet known to it."""
ROWS = "asked,target\n" + "\n".join(f"{n} + {n + 1},{2 * n + 1}" for n in range(6))


def typed(page: Any, label: str, text: str) -> None:
    """Into a field, which is left."""
    field = page.get_by_label(label, exact=True)
    field.fill(text)
    field.press("Tab")


def test_own_questions_at_an_own_server_are_frozen_and_stay_as_they_were_when_more_comes_in(
    tmp_path: Path, browser: Any
) -> None:
    db = tmp_path / "results.duckdb"
    with serving() as provider, staged(db, browser) as stage:
        page = stage.open("/runs")
        page.get_by_role("button", name="Your own server or file").click()
        typed(page, "Name of the model", "mine")
        typed(page, "Address", provider.api_base)
        typed(page, "Price: input, output", "0, 0")
        page.keyboard.press("Escape")
        page.get_by_role("checkbox", name="mine").check(force=True)
        page.wait_for_function(f"{ASKED}.includes('mine')", polling=POLL_MS)
        page.get_by_role("checkbox", name="SmolLM2 135M").uncheck(force=True)
        page.wait_for_function(f"{ASKED}.join() === 'mine'", polling=POLL_MS)
        page.get_by_role("radio", name="My file").click()
        upload = {"name": "sums.csv", "mimeType": "text/csv", "buffer": ROWS.encode()}
        page.locator("input[type=file][accept*='.xlsx']").set_input_files(upload)
        expect(page.get_by_label("Questions", exact=True)).to_have_value("6")
        expect(page.get_by_text("First 3 of 6 questions")).to_be_visible()
        launch = page.get_by_role("button", name="Launch")
        expect(launch).to_be_enabled()
        launch.click()
        title = page.get_by_role("heading", level=1)
        expect(title).to_contain_text("All 18 answers in")
        assert provider.good > 0
        page.get_by_role("link", name="See your results").click()
        expect(page.get_by_text("3 of 3")).to_be_visible()
        found = title.inner_text()
        page.get_by_role("button", name="Share").click()
        page.get_by_role("button", name="Freeze as snapshot").click()
        link = page.get_by_text(re.compile(r"/snapshot\?id=\w+"))
        expect(link).to_be_visible()
        address = link.inner_text().strip()
        _one_more(db, tmp_path)
        again = stage.open(address.removeprefix(stage.url))
        expect(again.get_by_text("The database says something else by now")).to_be_visible()
        expect(again.get_by_role("heading", level=1)).to_have_text(found)
        again.get_by_role("link", name="See it live").click()
        expect(again.get_by_text("4 of 4")).to_be_visible()


def _one_more(db: Path, folder: Path) -> None:
    """The same study asks a strategy more."""
    (run,) = run_dir.list_runs(db)
    text = run_dir.find(db, run.run_id).study.read_text("utf-8")
    more = re.sub(r"(?m)^strategies = \[", 'strategies = ["chain_of_draft", ', text)
    assert more != text
    study = parse(more, "more.toml", folder)
    final = in_thread(lambda: worker.run(worker.prepare(study, db), lambda _: None))
    assert final.state == "finished", final.message


_FOCUSED = """() => {
    const at = document.activeElement;
    // A region that scrolls is focused as well, and holds every word.
    return at.matches('a, button, input') ? at.innerText || at.ariaLabel || '' : '';
}"""


_RINGED = """() => {
    const at = document.activeElement, links = '[data-testid=stPageLink-NavLink], [data-testid=stTopNavLink]';
    return !at.matches(links) || getComputedStyle(at).outlineStyle === 'solid';
}"""
"""Whether a link of ours that has the focus shows it."""


def focused(page: Any, words: str, *before: str) -> None:
    """Press Tab until what it reaches says these words; it must have reached the others before."""
    reached = []
    for _ in range(120):
        page.keyboard.press("Tab")
        reached.append(str(page.evaluate(_FOCUSED)))
        assert page.evaluate(_RINGED), f"The focus on {reached[-1]!r} is not to be seen."
        if words in reached[-1] and all(any(each in name for name in reached) for each in before):
            return
    raise AssertionError(f"No {words!r} and {before} within 120 presses of Tab: {reached}")


def test_without_a_mouse_every_control_is_reached_and_the_way_leads_to_the_second_answer_of_the_pick(
    site: Site,
) -> None:
    page = site.open("/")
    still(page)
    focused(page, "Read answers", "Compare", "Filter", "Output tokens")
    page.keyboard.press("Enter")
    page.wait_for_url("**/answers?*")
    settled(page, "h1")
    expect(page.get_by_text("Call 1", exact=True)).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**trial=*")


def test_what_a_popover_shows_comes_after_its_button_and_before_the_rest_of_the_page(site: Site) -> None:
    page = site.open("/")
    still(page)
    inside = "!!document.activeElement.closest('[data-testid=stPopoverBody]')"
    focused(page, "Filter")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name=re.compile(r"^Filter \d+ of \d+$"))).to_be_visible()
    page.keyboard.press("Tab")
    assert page.evaluate(inside)
    page.keyboard.press("Shift+Tab")
    assert "Filter" in page.evaluate(_FOCUSED)
    focused(page, "Spend at most", "Staircase")
    assert not page.evaluate(inside)


def test_the_menu_of_a_narrow_window_is_opened_and_closed_by_keyboard_and_never_has_the_focus_out_of_sight(
    site: Site,
) -> None:
    page = site.open("/", width=390, height=844)
    still(page)
    seen = "document.activeElement === document.body || document.activeElement.getBoundingClientRect().right > 0"
    opener = "!!document.activeElement.closest('[data-testid=stExpandSidebarButton]')"
    for _ in range(9):
        page.keyboard.press("Tab")
        assert page.evaluate(seen), "The focus is beside the window."
        if page.evaluate(opener):
            break
    page.keyboard.press("Enter")
    page.wait_for_function("!!document.activeElement.closest('[data-testid=stSidebarNavLink]')")
    page.keyboard.press("Escape")
    page.wait_for_function(opener)
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
