"""What axe-core finds on a page: the rules of WCAG that a machine can check, run inside the browser without a network."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe

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


def flaws(page: Any) -> list[str]:
    """Serious and critical findings of all rules, with the element and what is wrong with it."""
    page.wait_for_function(AT_REST)
    page.add_style_tag(content=UNFADED)
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{each['id']}: {node['html'][:200]} {node['failureSummary']}"
        for each in found
        if each["impact"] in GRAVE
        for node in each["nodes"]
    ]
