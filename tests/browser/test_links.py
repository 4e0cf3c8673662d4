"""The address says what is on screen: fresh browsers, Back, Forward, quick clicks, other pages."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.browser.conftest import PATIENCE_MS, POLL_MS, Site, settled, still

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

expect.set_options(timeout=PATIENCE_MS)
AT_REST = "[data-testid=stApp][data-test-script-state=notRunning]"
POINTS = ".js-plotly-plot .scatterlayer .trace .points path"


def pill(page: Any, group: str, name: str) -> Any:
    widget = page.locator("[data-testid=stButtonGroup]", has=page.get_by_text(group, exact=True))
    return widget.get_by_role("radio", name=name, exact=True).or_(widget.get_by_role("button", name=name, exact=True))


def chosen(page: Any, group: str, name: str, yes: bool = True) -> None:
    """Wait until a choice is (or is not) made."""
    expect(pill(page, group, name)).to_have_attribute("aria-checked", "true" if yes else "false")


def back(page: Any) -> None:
    """Go back, like a person: not while the browser is still writing the address."""
    still(page)
    page.go_back()


def query(page: Any) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def test_back_and_forward_undo_and_redo_each_choice(site: Site) -> None:
    page = site.open("/")
    pill(page, "Accuracy against", "Cost").click()
    page.wait_for_url("**/?x=usd")
    settled(page)
    pill(page, "Accuracy against", "Calls").click()
    page.wait_for_url("**/?x=calls")
    settled(page)
    back(page)
    chosen(page, "Accuracy against", "Cost")
    back(page)
    chosen(page, "Accuracy against", "Output tokens")
    assert query(page) == {}
    page.go_forward()
    chosen(page, "Accuracy against", "Cost")
    page.go_forward()
    chosen(page, "Accuracy against", "Calls")
    assert query(page) == {"x": ["calls"]}


def test_quick_clicks_lose_nothing_and_the_figure_shows_what_is_left(site: Site) -> None:
    page = site.open("/")
    still(page)
    before = page.locator(POINTS).count()
    page.get_by_role("button", name="Filter").click()
    for group, name in (("Strategy", "Direct"), ("Strategy", "Stated budget"), ("Model", "adder")):
        pill(page, group, name).click()
    page.wait_for_function(
        "location.search.includes('model=') && location.search.includes('told_budget')", polling=POLL_MS
    )
    settled(page)
    assert query(page) == {"model": ["scripted/adder"], "strategy": ["direct", "told_budget"]}
    page.wait_for_function(f"document.querySelectorAll('{POINTS}').length < {before}", polling=POLL_MS)


def test_a_popover_that_is_opened_late_shows_and_keeps_what_its_controls_said(site: Site) -> None:
    page = site.open("/?strategy=direct&zone=FRA&whatif=scripted%2Fadder&times=2")
    still(page)
    # From the next run on the browser is told no more what the filter says; it draws the filter when that is opened.
    field = page.get_by_role("textbox", name="Spend at most")
    field.fill("400")
    field.press("Enter")
    page.wait_for_url("**most=400**")
    still(page)
    page.get_by_role("button", name="Filter").click()
    expect(pill(page, "Strategy", "Direct")).to_have_attribute("aria-pressed", "true")
    pill(page, "Strategy", "Stated budget").click()
    page.wait_for_url("**strategy=told_budget**")
    settled(page)
    asked = {"strategy": ["direct", "told_budget"], "zone": ["FRA"], "whatif": ["scripted/adder"], "times": ["2"]}
    assert query(page) | asked == query(page)
    expect(page.locator("[data-testid=stException]")).to_have_count(0)


def test_the_copied_link_opens_the_same_view_in_a_fresh_browser(site: Site) -> None:
    page = site.open("/?x=total_tokens&budget=128&strategy=direct&strategy=self_consistency&most=90", height=1300)
    still(page)
    heading = page.get_by_role("heading", level=1).first.inner_text()
    panel = page.locator(".st-key-panel").inner_text()
    page.get_by_role("button", name="Share").click()
    link = page.locator("[data-testid=stPopoverBody] code").first.inner_text()
    assert "most=90" in link
    other = site.open(link.removeprefix(site.url), fresh=True)
    expect(other.get_by_role("heading", level=1).first).to_have_text(heading)
    chosen(other, "Accuracy against", "All tokens")
    expect(other.get_by_role("textbox", name="Spend at most")).to_have_value("90")
    page.wait_for_function(
        "text => document.querySelector('.st-key-panel').innerText === text", arg=panel, polling=POLL_MS
    )


def test_another_page_and_back_keeps_the_filters(site: Site) -> None:
    page = site.open("/?x=usd&model=scripted%2Fadder")
    page.get_by_role("link", name="Budgets").click()
    page.wait_for_url("**/budgets*")
    expect(page.get_by_role("heading", level=1)).to_contain_text("most accurate on")
    pill(page, "Budget in", "Calls").click()
    page.wait_for_url("**/budgets?axis=calls")
    back(page)
    chosen(page, "Budget in", "Output tokens")
    back(page)
    chosen(page, "Accuracy against", "Cost")
    assert query(page) == {"x": ["usd"], "model": ["scripted/adder"]}
    page.go_forward()
    page.go_forward()
    chosen(page, "Budget in", "Calls")


def through_the_menu(page: Any, name: str, address: str) -> None:
    """Go to a page by its name in the header, or on a phone in what its button opens."""
    page.wait_for_selector(AT_REST)
    if (opens := page.get_by_test_id("stExpandSidebarButton")).count():
        opens.click()
    page.locator("[data-testid=stTopNavLink], [data-testid=stSidebarNavLink]").filter(has_text=name).click()
    page.wait_for_url(f"**{address}")
    expect(page).to_have_title(f"{name} · Budgetscope")
    # On a phone it lies over the page.
    expect(page.get_by_test_id("stSidebarCollapseButton")).to_have_count(0)


@pytest.mark.parametrize("width", [1280, 390])
def test_who_chose_a_task_finds_it_on_the_pages_of_the_menu_and_back_is_one_step(site: Site, width: int) -> None:
    page = site.open("/?task=file%3Amore&x=calls", width=width)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    for name, address in (
        ("Help", "/help"),
        ("Compare", "/compare?task=file%3Amore"),
        ("Budgets", "/budgets?task=file%3Amore"),
        ("Answers", "/answers"),
        ("Explore", "/?task=file%3Amore"),
    ):
        through_the_menu(page, name, address)
    for title in ("Answers", "Budgets", "Compare", "Help", "Explore"):
        page.wait_for_selector(AT_REST)
        page.go_back()
        expect(page).to_have_title(f"{title} · Budgetscope")
    assert query(page) == {"task": ["file:more"], "x": ["calls"]}
