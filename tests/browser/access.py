"""What axe-core finds on a page: the rules of WCAG that a machine can check, run inside the browser without a network."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe

GRAVE = ("serious", "critical")
OUT_OF_REACH: dict[str, str] = {}
"""Findings that are not held against a page: the rule, and why it lies outside our hands."""


def flaws(page: Any) -> list[str]:
    """Serious and critical findings of all rules, with the element and what is wrong with it."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{each['id']}: {node['html'][:200]} {node['failureSummary']}"
        for each in found
        if each["impact"] in GRAVE and each["id"] not in OUT_OF_REACH
        for node in each["nodes"]
    ]
