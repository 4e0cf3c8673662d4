"""Addresses of earlier versions: each leads to the page that took its place, with what that page understands."""

from __future__ import annotations

import pytest

from dashboard import moved


@pytest.mark.parametrize(
    ("path", "query", "page", "kept"),
    [
        ("advice", {}, "explore", {}),
        ("advice", {"ask": ["reach"], "accuracy": ["60"], "axis": ["usd"]}, "explore", {"least": ["60"], "x": ["usd"]}),
        ("advice", {"ask": ["under"], "budget": ["300"], "model": ["m"]}, "explore", {"most": ["300"]}),
        ("curves", {"axis": ["calls"]}, "budgets", {"axis": ["calls"]}),
        ("told", {}, "budgets", {"show": ["stated"]}),
        ("trials", {"show": ["wrong"]}, "answers", {"show": ["wrong"]}),
        ("run", {"run": ["r"]}, "runs", {"run": ["r"]}),
        ("method", {"strategy": ["direct"]}, "help", {"strategy": ["direct"]}),
        ("frontier", {"x": ["calls"], "labels": ["all"]}, "explore", {"x": ["calls"]}),
    ],
)
def test_an_address_of_before_leads_to_its_new_place(
    path: str, query: dict[str, list[str]], page: str, kept: dict[str, list[str]]
) -> None:
    assert moved.place(path, query) == (page, kept)


def test_every_earlier_address_was_tried() -> None:
    """The places are those that a release had; none is dropped."""
    assert set(moved.PLACES) == {"frontier", "advice", "curves", "told", "trials", "run", "method"}


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("/Runs", "runs"),
        ("/runs/20260101-000000-0000", "runs"),
        ("/compair", "compare"),
        ("/explore", ""),
        ("/trials/7", "trials"),
        ("/nopage", None),
        ("/" + "x" * 10_000, None),
        ("//evil.example/", None),
    ],
)
def test_a_mistyped_address_is_near_the_page_that_was_meant(path: str, near: str | None) -> None:
    assert not moved.known(path) and moved.nearest(path) == near


def test_every_address_of_today_and_of_earlier_is_known() -> None:
    assert all(moved.known(f"/{path}") for path in (*moved.TITLES, *moved.PLACES))
