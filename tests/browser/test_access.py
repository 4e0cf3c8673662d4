"""Every page for everybody: what axe-core finds, one heading and a title, light and dark with its figures, any width."""

from __future__ import annotations

import re

import pytest

from tests.browser.conftest import PATIENCE_MS, Site, darken
from tests.support import doors

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

from tests.browser.access import flaws

expect.set_options(timeout=PATIENCE_MS)
PAGES = {door.name: door.path for door in doors.doors("page")}
FIGURED = ("explore", "compare", "budgets", "thought")
INK = """ink => [...document.querySelectorAll('.js-plotly-plot .main-svg:first-child')].every(
  drawn => getComputedStyle(drawn).backgroundColor === ink)"""
DARK = """['.stApp', '[data-testid=stHeader]'].every(each => [...document.querySelectorAll(each)].some(
  found => getComputedStyle(found).backgroundColor === 'rgb(17, 20, 25)')) && document.querySelector('h1')
  && [...document.querySelectorAll('.js-plotly-plot .main-svg:first-child')].every(
    drawn => getComputedStyle(drawn).backgroundColor === 'rgb(17, 20, 25)')"""
"""The browser turns first, and what the server colours follows, figures too."""
FITS = """width => {
  const box = each => each.getBoundingClientRect(), main = document.querySelector('[data-testid=stMain]');
  const block = box(document.querySelector('[data-testid=stMainBlockContainer]'));
  return innerWidth === width && document.scrollingElement.scrollWidth <= width && main.scrollWidth <= width
    && [...document.querySelectorAll('.js-plotly-plot')].every(
      figure => block.left <= box(figure).left && box(figure).right <= block.right);
}"""
"""No page is wider than its window, no figure wider than its page."""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_for_everybody(site: Site, name: str) -> None:
    """One load: names and roles; contrast in both themes, which its figures wear too; title and heading; every width."""
    page = site.open(f"/{PAGES[name]}", figure=name in FIGURED)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page).to_have_title(re.compile(r"^\w.* · Budgetscope$"))
    assert flaws(page) == []
    page.wait_for_function(INK, arg="rgb(255, 255, 255)")
    darken(page, DARK)
    assert flaws(page, contrast=True) == []
    for width in (1920, 800, 390):
        page.set_viewport_size({"width": width, "height": 1000})
        page.wait_for_function(FITS, arg=width)
