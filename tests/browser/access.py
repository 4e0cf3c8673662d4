"""What axe-core finds on a page: the rules of WCAG that a machine can check, run inside the browser without a network."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.base import AXE_SCRIPT

from tests.browser.conftest import POLL_MS

GRAVE = ("serious", "critical")
UNFADED = """[data-testid=stExpander], [data-testid=stElementContainer], [data-testid=stVerticalBlock],
[data-testid=stLayoutWrapper], [data-stale] { opacity: 1 !important; transition: none !important; }"""
"""Streamlit fades its wrappers while they are drawn anew, to less than a text's contrast: that alone is left out."""

AT_REST = """() => document.querySelector('[data-testid=stApp][data-test-script-state=notRunning]')
  && !document.querySelector('[data-stale=true]')
  && getComputedStyle(document.documentElement).getPropertyValue('--bs-border')
  && document.getAnimations().every(each =>
    each.playState !== 'running' || each.effect.getComputedTiming().endTime === Infinity)"""
"""The server is done, nothing is old, the page is dressed, and nothing fades in or out."""
PLAIN = """style => {
  document.getElementById('unfaded') ?? document.head.append(
    Object.assign(document.createElement('style'), { id: 'unfaded', textContent: style })); }"""

CONTRAST = {"runOnly": ["color-contrast"]}
"""The one rule whose answer depends on the theme."""
LOOKS = 3
"""A page may be drawn anew while axe-core reads it: what is wrong with the page itself is found every time."""


def flaws(page: Any, *, contrast: bool = False) -> list[str]:
    """Serious and critical findings of all rules or of contrast alone, with the element and what is wrong with it."""
    options = {"resultTypes": ["violations"], "preload": False, **(CONTRAST if contrast else {})}
    # Read once by a page that stays: half a second of a processor.
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    for _ in range(LOOKS):
        page.wait_for_function(AT_REST, polling=POLL_MS)
        page.evaluate(PLAIN, UNFADED)
        found = [
            f"{each['id']}: {node['html'][:200]} {node['failureSummary']}"
            for each in page.evaluate("async options => (await axe.run(options)).violations", options)
            if each["impact"] in GRAVE
            for node in each["nodes"]
        ]
        if not found:
            break
    return found
