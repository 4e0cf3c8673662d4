"""Where addresses lead that no page of today has: those of earlier versions to the page that took their place, with
what it understands of a link, and those that somebody mistyped to the page that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

PAGES: dict[str, str] = {
    "": "Explore",
    "compare": "Compare",
    "budgets": "Budgets",
    "answers": "Answers",
    "tokens": "Tokens",
    "runs": "Runs",
    "help": "Help",
}
"""By address the pages of the menu, as `app` draws it."""
UNLISTED = ("snapshot", "thought")
"""Addresses of pages that a link leads to."""
PLACES: dict[str, str] = {
    "frontier": "explore",
    "advice": "explore",
    "curves": "budgets",
    "told": "budgets",
    "trials": "answers",
    "run": "runs",
    "method": "help",
}
"""By earlier address the page that took its place."""
GONE = {"labels", "ask", "accuracy", "axis", "spend", "a", "b", "factor"}
"""Words of addresses of Frontier and Advice that Explore has no control for."""


def place(path: str, query: Mapping[str, Sequence[str]]) -> tuple[str, dict[str, list[str]]]:
    """The page and the query that show what an earlier address asked for; texts stay as they are."""
    asked = {name: [*values] for name, values in query.items()}
    if path == "told":
        asked["show"] = ["stated"]
    if path == "advice":
        # A question about a budget or an accuracy is where a handle stands today.
        limits = {"under": ("budget", "most"), "reach": ("accuracy", "least")}
        word, handle = limits.get(next(iter(asked.get("ask", ["reach"])), ""), ("", ""))
        handles = {handle: asked[word]} if word in asked else {}
        handles |= {"x": asked["axis"]} if "axis" in asked else {}
        asked = {name: values for name, values in asked.items() if name not in {*GONE, "budget", "model"}} | handles
    if path == "frontier":
        asked = {name: values for name, values in asked.items() if name not in GONE}
    return PLACES[path], asked


def known(path: str) -> bool:
    """Whether a page stands at a path of this server, or stood there once."""
    return path.removeprefix("/") in {*PAGES, *UNLISTED, *PLACES}


def nearest(path: str) -> str | None:
    """The address that was probably meant by one that no page has: `/Runs`, `/runs/7` and `/run s` are runs; None: no
    guess."""
    word = path.strip("/").partition("/")[0].lower()
    if word in (*UNLISTED, *PLACES):
        return word
    called = {name.lower(): address for address, name in PAGES.items()}
    near = difflib.get_close_matches(word[:80], called, n=1, cutoff=0.7)
    return called[near[0]] if near else None
