"""Pages in a real browser: drawn in time, clicked through, in both themes, at every width, without the network."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from tests.browser.conftest import PATIENCE_MS, Site, settled, still

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import expect

expect.set_options(timeout=PATIENCE_MS)
FITS = """width => {
  const box = selector => document.querySelector(selector).getBoundingClientRect();
  const block = box("[data-testid=stMainBlockContainer]"), figure = box(".js-plotly-plot");
  return document.scrollingElement.scrollWidth <= width && block.left <= figure.left && figure.right <= block.right;
}"""
POINTS = ".js-plotly-plot .scatterlayer .trace .points path"


def paper(page: Any) -> str:
    drawn = page.locator(".js-plotly-plot .main-svg").first
    return str(drawn.evaluate("e => getComputedStyle(e).background"))


def click_point(page: Any, number: int) -> None:
    box = page.locator(POINTS).nth(number).bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector(".hoverlayer .hovertext")
    page.mouse.down()
    page.mouse.up()


@pytest.mark.parametrize("path", ["/", "/curves"])
@pytest.mark.parametrize(("scheme", "ink"), [("light", "255, 255, 255"), ("dark", "17, 20, 25")])
def test_figures_wear_the_theme_of_the_browser(site: Site, path: str, scheme: str, ink: str) -> None:
    assert ink in paper(site.open(path, scheme=scheme))


def test_figures_follow_a_theme_that_changes(site: Site) -> None:
    page = site.open("/")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(
        "getComputedStyle(document.querySelector('.js-plotly-plot .main-svg')).background.includes('17, 20, 25')"
    )


@pytest.mark.parametrize(("path", "says"), [("/method", "strategies in")])
def test_a_page_without_a_figure_opens_without_a_complaint(site: Site, path: str, says: str) -> None:
    expect(site.open(path, figure=False).get_by_role("heading", level=4).first).to_contain_text(says)


@pytest.mark.parametrize("path", ["/", "/curves"])
def test_nothing_is_wider_than_the_window(site: Site, path: str) -> None:
    page = site.open(path, width=1920)
    for width in (1920, 1280, 800):
        page.set_viewport_size({"width": width, "height": 1000})
        page.wait_for_function(FITS, arg=width)


def test_a_click_on_a_point_opens_its_cell_and_leads_to_its_trials(site: Site) -> None:
    page = site.open("/")
    still(page)
    click_point(page, 0)
    page.wait_for_function("location.search.includes('cell=')")
    expect(page.get_by_text("12 trials:")).to_be_visible()
    still(page)
    page.go_back()
    expect(page.get_by_text("12 trials:")).to_have_count(0)


def test_a_cell_can_be_chosen_with_the_keyboard_alone(site: Site) -> None:
    page = site.open("/")
    still(page)
    cell = page.get_by_role("combobox", name="Cell")
    for _ in range(5):  # A control that is drawn anew just then loses the key.
        cell.press("ArrowDown")
        with suppress(PlaywrightError):
            page.get_by_role("option").first.wait_for(timeout=3000)
            break
    page.keyboard.press("Enter")
    expect(page.get_by_text("12 trials:")).to_be_visible()


def test_every_control_is_reached_with_the_tab_key(site: Site) -> None:
    page = site.open("/")
    reached: set[str] = set()
    page.get_by_role("link", name="Frontier").focus()
    for _ in range(40):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.innerText || document.activeElement.ariaLabel || ''")
        reached.add(str(name).strip())
    assert {
        "more",
        "Output tokens",
        "Staircase",
        "All",
        "adder",
        "Chain of thought",
        "Label all points",
    } <= reached


def test_the_figure_is_downloaded_as_a_page_that_needs_no_network(site: Site) -> None:
    page = site.open("/")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Figure (HTML)").click()
    text = waiting.value.path().read_text("utf-8")
    assert "on the frontier" in text
    assert "<script src" not in text


def test_the_table_is_downloaded(site: Site) -> None:
    page = site.open("/")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="CSV", exact=True).click()
    assert waiting.value.path().read_text("utf-8").startswith("condition_id,label,task")


def test_a_filter_redraws_the_figure(site: Site) -> None:
    page = site.open("/")
    before = page.locator(POINTS).count()
    page.get_by_role("button", name="Direct", exact=True).click()
    page.wait_for_function(f"document.querySelectorAll('{POINTS}').length < {before}")
    settled(page)
    expect(page.get_by_role("heading", level=4).first).to_contain_text("shown)")
