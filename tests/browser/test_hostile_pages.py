"""A database full of hostile strings, on every page: nothing runs, nothing is asked of others, no link leads away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from engine.core import ids
from engine.core.records import ModelSetting, Problem, Question, Trial
from engine.models.scripted import ScriptedModel
from engine.runs.completion_cache import CompletionCache
from engine.store.store import Batch, Store
from tests.browser.conftest import PATIENCE_MS, lead
from tests.browser.stage import Stage, staged
from tests.support import doors, hostile, trials_on_paper
from tests.support.hostile import PER_DATABASE, STRINGS, Visit, Walked

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

expect.set_options(timeout=PATIENCE_MS)
PLAIN = ("thought", "runs")
"""Pages opened as they are: the others show a study of their own, a typed text or a snapshot, or nothing of a database."""
KINDS = ("an answer", "tokens of an answer", "tokens of a text", "tokens of a study", "a snapshot", "a saved page")
SOME = STRINGS[:: len(STRINGS) // PER_DATABASE][:PER_DATABASE]
"""A string of every shape that the bench walks through at length."""
NASTY = (
    "<script>window.broken = 1; alert('script')</script> <img src=x onerror=\"window.broken = 2\"> "
    "![steal](http://198.51.100.1/steal.png) [click](javascript:window.broken=3) <a href='javascript:alert(4)'>go</a> "
    ":red[colour] :material/home: $\\frac{1}{2}$ `code` # head\n# Heading\n- item \u202e rtl \x07"
)
SAID = f"{NASTY} Answer: <b>A</b>"


class Hostile(NamedTuple):
    """A dashboard over such a database, and what there is to see."""

    stage: Stage
    seen: list[Visit]
    nasty: Trial


def nasty(path: Path) -> Trial:
    """One trial whose question, target, answer, prompt, reply and names are all out to break the page, stored."""
    task = "<script>7</script> see https://198.51.100.4/x"
    question = Question("q1-nasty", task, Problem(f"Who? {NASTY}", "text"), f"<i>T</i> {NASTY}"[:300])
    model = ScriptedModel(
        ModelSetting("scripted/<script>alert(9)</script>", trials_on_paper.SOLVER.identity),
        lambda request, rng: SAID,
    )
    till = trials_on_paper.Till({model.setting.identity: model})
    planned = trials_on_paper.spec(
        "<img src=x>", "output_tokens", 500, question=question, lineup=(("solver", model.setting),)
    )
    condition = replace(planned.condition, task=task, params='{"x":"![a](http://198.51.100.2)"}')
    condition = replace(condition, condition_id=ids.condition_id(condition))
    strategy = trials_on_paper.asking([NASTY], 400)
    trial = trials_on_paper.in_loop(
        trials_on_paper.played(strategy, replace(planned, condition=condition), [model], CompletionCache(till.buy), 1)
    )
    assert trial.answer == SAID
    Store(path).flush(Batch(trials=(trial,), completions=tuple(till.bought), run_id="r"))
    return trial


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Iterator[Hostile]:
    db = hostile.in_thread(hostile.database, tmp_path_factory.mktemp("hostile") / "r.duckdb", SOME)
    hostile.in_thread(hostile.logged, db, SOME)
    trial = hostile.in_thread(nasty, db)
    seen = hostile.in_thread(hostile.visits, db, SOME, 1, PLAIN)
    with staged(db, browser, "--read-only") as stage:
        yield Hostile(stage, seen, trial)


def test_there_are_a_hundred_strings() -> None:
    assert len(set(STRINGS)) == len(STRINGS) >= 100


def test_no_page_runs_loads_or_links_what_a_string_says(shown: Hostile) -> None:
    walked, seen = Walked(), shown.seen
    linked = {f"{page.name} by a link" for page in doors.doors("page", "text")}
    studied = {f"{page} of a study" for page in ("", "answers", "compare", "budgets")}
    assert {visit.where for visit in seen} >= {*KINDS, *PLAIN, *linked, *studied}
    hostile.walk(shown.stage, SOME, walked, seen)
    assert walked.loads == len(seen)
    assert (walked.executed, walked.outside, walked.live, walked.broken) == ([], [], [], [])


def test_whatever_a_model_a_question_or_a_name_says_is_shown_as_text(shown: Hostile) -> None:
    stage, asked = shown.stage, list[str]()
    page = stage.open_watched(f"/answers?trial={shown.nasty.spec.trial_id}", asked)
    question = page.locator("[class*='st-key-text-question']")
    cells = page.locator(".tk")
    expect(cells.filter(has_text="<script>window.broken = 1; alert('script')</script>").first).to_be_visible()
    assert not {"\u202e", "\x07"} & set("".join(cells.all_inner_texts()))
    expect(cells.last).to_contain_text("Answer: <b>A</b>")
    expect(question).to_contain_text("![steal](http://198.51.100.1/steal.png)")
    expect(page.get_by_role("combobox", name="Setting")).to_be_visible()
    expect(question).to_contain_text("Who? <script>")
    assert page.evaluate("window.broken") is None
    main = page.locator("[data-testid=stMain]")
    assert main.locator("script, img, a[href^='javascript'], .katex").count() == 0
    assert main.locator("h1").count() == 1, "the page's own heading"
    assert main.locator("a[href*='198.51.100']").count() == 0, "an address is shown and leads nowhere"
    assert not [url for url in asked if "198.51.100" in url]
    lead(page, "/runs?run=Sign%20in%20again%20at%20https://198.51.100.3/login")
    expect(page.get_by_text("There is no run")).to_be_visible()
    expect(page.get_by_text("Sign in again")).to_have_count(0)
    assert page.locator("[data-testid=stMain] a[href*='198.51.100']").count() == 0
    stage.leave()
