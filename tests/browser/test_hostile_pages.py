"""A database full of hostile strings, on every page: nothing runs, nothing is asked of others, no link leads away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser.stage import staged
from tests.support import doors, hostile
from tests.support.hostile import PER_DATABASE, STRINGS, Walked

pytest.importorskip("playwright.sync_api")
PLAIN = ("thought", "runs")
"""Pages opened as they are: the others show a study of their own, a typed text or a snapshot, or nothing of a database."""
KINDS = ("an answer", "tokens of an answer", "tokens of a text", "tokens of a study", "a snapshot", "a saved page")


def test_there_are_a_hundred_strings() -> None:
    assert len(set(STRINGS)) == len(STRINGS) >= 100


def test_no_page_runs_loads_or_links_what_a_string_says(tmp_path: Path, browser: Any) -> None:
    """One database, with a string of every shape that the bench walks through at length."""
    some = STRINGS[:: len(STRINGS) // PER_DATABASE][:PER_DATABASE]
    walked = Walked()
    db = hostile.in_thread(hostile.database, tmp_path / "r.duckdb", some)
    hostile.in_thread(hostile.logged, db, some)
    seen = hostile.in_thread(hostile.visits, db, some, 1, PLAIN)
    linked = {f"{page.name} by a link" for page in doors.doors("page", "text")}
    studied = {f"{page} of a study" for page in ("", "answers", "compare", "budgets")}
    assert {visit.where for visit in seen} >= {*KINDS, *PLAIN, *linked, *studied}
    with staged(db, browser, "--read-only") as stage:
        hostile.walk(stage, some, walked, seen)
    assert walked.loads == len(seen)
    assert (walked.executed, walked.outside, walked.live, walked.broken) == ([], [], [], [])
