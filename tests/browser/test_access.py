"""Every page for everybody: what axe-core finds, one heading and a title, light and dark, and no wider than a phone."""

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
DARK = """['.stApp', '[data-testid=stHeader]'].every(each => [...document.querySelectorAll(each)].some(
  found => getComputedStyle(found).backgroundColor === 'rgb(17, 20, 25)')) && document.querySelector('h1')"""
"""The browser turns first, and what the server colours follows."""
FITS = """() => document.scrollingElement.scrollWidth <= 390
  && document.querySelector('[data-testid=stMain]').scrollWidth <= 390"""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_for_everybody(site: Site, name: str) -> None:
    """One load: contrast, names and roles in both themes; title and heading; a phone's width."""
    page = site.open(f"/{PAGES[name]}", figure=False)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page).to_have_title(re.compile(r"^\w.* · Budgetscope$"))
    assert flaws(page) == []
    darken(page, DARK)
    assert flaws(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function(FITS)
