"""Where addresses of earlier versions lead: which page took the place of one, and what of a link it understands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
