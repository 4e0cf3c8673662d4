"""The addresses: which pages there are, where those of earlier versions lead with what the page that took their place
understands of a link, and which page somebody meant by one that leads nowhere."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

PAGES = (
    ("explore", "Explore", ""),
    ("compare", "Compare", "compare"),
    ("budgets", "Budgets", "budgets"),
    ("answers", "Answers", "answers"),
    ("tokens", "Tokens", "tokens"),
    ("runs", "Runs", "runs"),
    ("help", "Help", "help"),
)
"""Module in `views`, name in the navigation, address."""
UNLISTED = (("snapshot", "Snapshot", "snapshot"), ("thought", "Inside one thought", "thought"))
"""Pages that stand in no menu: a link leads there."""
TITLES = {path: title for _, title, path in (*PAGES, *UNLISTED)}
"""Names of pages by their addresses."""
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
    return path.removeprefix("/") in {*TITLES, *PLACES}


def nearest(path: str) -> str | None:
    """The address that was probably meant by one that no page has: `/Runs`, `/runs/7` and `/run s` are runs; None: no
    guess."""
    word = path.strip("/").partition("/")[0].lower()
    if word in {*TITLES, *PLACES} and word:
        return word
    called = {title.lower(): path for _, title, path in PAGES}
    near = difflib.get_close_matches(word[:80], called, n=1, cutoff=0.7)
    return called[near[0]] if near else None
