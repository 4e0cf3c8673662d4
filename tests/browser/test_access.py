"""Every page for everybody: what axe-core finds, one heading and a title, light and dark with its figures, any width."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.browser.conftest import FIGURE, PATIENCE_MS, POLL_MS, Site, dress, visit
from tests.support import doors

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

from tests.browser.access import flaws

expect.set_options(timeout=PATIENCE_MS)
PAGES = {door.name: door.path for door in doors.doors("page")}
FIGURED = ("explore", "compare", "budgets", "thought")
INKS = {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 20, 25)"}
DRESSED = """ink => ['.stApp', '.js-plotly-plot .main-svg:first-child'].every(
  each => [...document.querySelectorAll(each)].every(drawn => getComputedStyle(drawn).backgroundColor === ink))
  && document.querySelector('h1')
  && (ink === 'rgb(255, 255, 255)' || getComputedStyle(document.querySelector('[data-testid=stHeader]')).backgroundColor === ink)"""
"""The browser turns first, and what the server colours follows, figures too."""
FITS = """width => {
  const box = each => each.getBoundingClientRect(), main = document.querySelector('[data-testid=stMain]');
  const block = box(document.querySelector('[data-testid=stMainBlockContainer]'));
  return innerWidth === width && document.scrollingElement.scrollWidth <= width && main.scrollWidth <= width
    && [...document.querySelectorAll('.js-plotly-plot')].every(
      figure => block.left <= box(figure).left && box(figure).right <= block.right);
}"""
"""No page is wider than its window, no figure wider than its page."""


@dataclass
class Tour:
    """One page that is led from address to address: a page that is loaded takes three times a processor's time."""

    site: Site
    page: Any = None
    scheme: str = "light"
    """The theme the last place was left in."""

    def go(self, name: str) -> Any:
        """The page, once the server is done with this place of `PAGES`."""
        path, figured = f"/{PAGES[name]}", name in FIGURED
        if self.page is None:
            self.page = self.site.open(path, figure=figured)
        else:
            visit(self.page, path, FIGURE if figured else "h1")
        return self.page

    def turn(self) -> None:
        """To the other theme, until all the page stands in it."""
        self.scheme = "light" if self.scheme == "dark" else "dark"
        dress(self.page, self.scheme, DRESSED, INKS[self.scheme])


@pytest.fixture(scope="module")
def tour(server: str, browser: Any, warm: Any) -> Iterator[Tour]:
    tour = Tour(Site(server, browser, warm))
    yield tour
    if tour.page:
        tour.page.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_for_everybody(tour: Tour, name: str) -> None:
    """Names and roles; contrast in both themes, which its figures wear too; title and heading; every width."""
    page = tour.go(name)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page).to_have_title(re.compile(r"^\w.* · Budgetscope$"))
    page.wait_for_function(DRESSED, arg=INKS[tour.scheme], polling=POLL_MS)
    assert flaws(page) == []
    for width in (1920, 800, 390, 1280):
        page.set_viewport_size({"width": width, "height": 1000})
        page.wait_for_function(FITS, arg=width, polling=POLL_MS)
    tour.turn()
    assert flaws(page, contrast=True) == []
    tour.site.check()
