"""Pages in a real browser: drawn in time, clicked through, in both themes, at every width, without the network."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dashboard import theme
from tests.browser.conftest import PATIENCE_MS, POLL_MS, Site, still

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

expect.set_options(timeout=PATIENCE_MS)
FITTED = """width => innerWidth === width && [...document.querySelectorAll('.js-plotly-plot')].every(figure => {
  const drawn = figure.querySelector('.main-svg').getBoundingClientRect().width;
  return Math.abs(drawn - figure.parentElement.getBoundingClientRect().width) < 2;
})"""
"""Every figure is drawn anew as wide as its place."""
IN_VIEW = """() => {
  const panel = document.querySelector('.st-key-panel .bs-big').getBoundingClientRect();
  return panel.top >= 0 && panel.bottom <= window.innerHeight && panel.right <= window.innerWidth;
}"""
FULL_IN_VIEW = """() => {
  const lines = document.querySelectorAll('.st-key-panel .bs-line');
  for (let n = lines.length; n < 13; n += 1) lines[0].after(lines[0].cloneNode(true));
  return document.querySelector('.st-key-ways').getBoundingClientRect().bottom <= window.innerHeight;
}"""
"""Whether a point with every line it may have, its answers among them, would end above the fold."""
ABOVE_THE_FOLD = """() => {
  const box = selector => document.querySelector(selector).getBoundingClientRect();
  const figure = box('.js-plotly-plot'), foot = box('.st-key-switch [data-testid=stButtonGroup]');
  return figure.top <= 205 && foot.bottom <= window.innerHeight && box('h1').top > 0;
}"""
OVERLAPS = """() => [...document.querySelectorAll('.js-plotly-plot')].flatMap(figure => {
  const labels = [...figure.querySelectorAll('.annotation-text-g')]
    .map(e => [e.textContent, e.querySelector('text').getBoundingClientRect()]);
  const paper = figure.getBoundingClientRect(), wrong = [];
  labels.forEach(([one, a], i) => {
    if (a.left < paper.left - 1 || a.right > paper.right + 1 || a.bottom > paper.bottom + 1) wrong.push([one, 'cut']);
    labels.slice(i + 1).forEach(([other, b]) => {
      if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 2 && b.top < a.bottom - 2)
        wrong.push([one, other]);
    });
  });
  return wrong;
})"""
SENDING = """() => {
  const send = WebSocket.prototype.send;
  window.sent = 0;
  WebSocket.prototype.send = function (...said) { window.sent += 1; return send.apply(this, said); };
}"""
"""Counts what the browser says to the server from now on."""
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


def test_explore_stands_on_a_small_laptop_and_a_click_on_a_point_opens_its_panel_beside_the_figure(site: Site) -> None:
    page = site.open("/", width=1366, height=768)
    still(page)
    assert page.evaluate(ABOVE_THE_FOLD)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    # What can be pressed has the edge of a control, 3:1 on the ground.
    edge = ", ".join(str(int(theme.LIGHT.edge[at : at + 2], 16)) for at in (1, 3, 5))
    expect(page.locator(".st-key-share button").first).to_have_css("border-top-color", f"rgb({edge})")
    before = page.locator(".st-key-panel").inner_text()
    click_point(page, 0)
    page.wait_for_function("location.search.includes('cell=')", polling=POLL_MS)
    page.wait_for_function(
        "text => document.querySelector('.st-key-panel').innerText !== text", arg=before, polling=POLL_MS
    )
    assert page.evaluate(IN_VIEW) and page.evaluate(FULL_IN_VIEW)
    still(page)
    page.go_back()
    page.wait_for_function(
        "text => document.querySelector('.st-key-panel').innerText === text", arg=before, polling=POLL_MS
    )
    # At no width does a label cover another, or is one cut.
    for width in (1440, 1366, 800):
        page.set_viewport_size({"width": width, "height": 1000})
        page.wait_for_function(FITTED, arg=width, polling=POLL_MS)
        page.wait_for_function(f"!({OVERLAPS})().length", polling=POLL_MS)


def test_compare_fits_every_window_says_all_names_and_leads_to_a_question_that_changed_sides(site: Site) -> None:
    page = site.open("/compare", width=1440, height=900)
    expect(page.get_by_role("heading", name="Which questions change sides")).to_be_visible()
    still(page)
    assert page.locator(".cp-marks i").count() == 12
    page.evaluate(SENDING)
    for width in (1440, 1366, 800, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(FITTED, arg=width, polling=POLL_MS)
        # A narrow window asks the server for another figure.
        page.wait_for_function(
            f"!({OVERLAPS})().length && document.scrollingElement.scrollWidth <= innerWidth", polling=POLL_MS
        )
    # Each word beyond the one for a new width asks for this page again, and takes back the click on another.
    assert page.evaluate("sent") <= 2
    page.locator(".st-key-chips a").first.click()
    page.wait_for_url("**/answers?*question=*")
    expect(page.get_by_role("heading", level=1)).to_contain_text("call")


def test_a_thought_stands_token_by_token_beside_its_curve_and_the_address_names_it(site: Site) -> None:
    page = site.open("/thought", scheme="dark", width=1366, height=768)
    expect(page.get_by_role("heading", level=1).first).to_have_text(
        re.compile("come after the answer|no thought answers")
    )
    assert "17, 20, 25" in paper(page) and page.evaluate(OVERLAPS) == []
    # The token in which the answer is complete is marked once.
    expect(page.locator(".th-text")).to_have_count(1)
    expect(page.locator(".th-text .th-at")).to_have_count(1)
    page.get_by_role("button", name=re.compile("^(Before|Next)")).and_(page.locator(":enabled")).first.click()
    page.wait_for_url(re.compile("thought="))
    still(page)
    shown = page.locator(".th-text").inner_text()
    # A link leads to the very thought.
    again = site.open(page.url.removeprefix(site.url))
    expect(again.locator(".th-text")).to_have_text(shown, use_inner_text=True)


def test_a_text_is_cut_by_several_tokenizers_and_nothing_of_it_is_markup(site: Site) -> None:
    page = site.open("/tokens", figure=False, width=800)
    field = page.locator("textarea").first
    field.fill("<script>alert(1)</script><b>bold</b> <|endoftext|> naïve 漢字 🙂")
    field.press("Control+Enter")
    cells = page.locator(".tk i", has_text="script")
    expect(cells.first).to_be_visible()
    expect(page.locator("[data-testid=stMainBlockContainer] b", has_text=re.compile("^bold$"))).to_have_count(0)
    expect(page.get_by_role("heading", level=1).first).to_contain_text("tokens")
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 800


def test_an_address_of_before_leads_to_the_new_place_with_what_it_asked_for(site: Site) -> None:
    page = site.open("/frontier?x=calls", figure=False)
    page.wait_for_url("**/?x=calls")
