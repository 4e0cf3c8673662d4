"""What axe-core finds on a page: the rules of WCAG that a machine can check, run inside the browser without a network."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe

GRAVE = ("serious", "critical")
LEFT_OUT = {"exclude": [["[data-stale=true]"]]}
"""What is not looked at: Streamlit fades an element while it is drawn anew, to less than a text's contrast."""


def flaws(page: Any) -> list[str]:
    """Serious and critical findings of all rules, with the element and what is wrong with it."""
    found = Axe().run(page, LEFT_OUT, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{each['id']}: {node['html'][:200]} {node['failureSummary']}"
        for each in found
        if each["impact"] in GRAVE
        for node in each["nodes"]
    ]
