"""From a cell to a transcript in a real browser: filter, budget, next, links; whatever a model wrote is text."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import engine
from engine.core import ids
from engine.core.records import ModelSetting, Problem, Question
from engine.models.scripted import ScriptedModel
from engine.runs.completion_cache import CompletionCache
from engine.store.store import Batch, Store
from tests.browser.conftest import PATIENCE_MS
from tests.browser.stage import Stage, staged
from tests.support import trials_on_paper

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

expect.set_options(timeout=PATIENCE_MS)
NASTY = (
    "<script>window.broken = 1; alert('script')</script> <img src=x onerror=\"window.broken = 2\"> "
    "![steal](http://198.51.100.1/steal.png) [click](javascript:window.broken=3) <a href='javascript:alert(4)'>go</a> "
    ":red[colour] :material/home: $\\frac{1}{2}$ `code` # head\n# Heading\n- item \u202e rtl \x07"
)
HOSTILE = f"{NASTY} Answer: <b>A</b>"


def hostile(path: Path) -> Path:
    """One trial whose question, target, answer, prompt, reply and names are all out to break the page."""
    task = "<script>7</script> see https://198.51.100.4/x"
    question = Question("q1-nasty", task, Problem(f"Who? {NASTY}", "text"), f"<i>T</i> {NASTY}"[:300])
    model = ScriptedModel(
        ModelSetting("scripted/<script>alert(9)</script>", trials_on_paper.SOLVER.identity),
        lambda request, rng: HOSTILE,
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
    assert trial.answer == HOSTILE
    Store(path).flush(Batch(trials=(trial,), completions=tuple(till.bought), run_id="r"))
    return path


@pytest.fixture
def stage(server: str, database: Path, browser: Any, warm: Any) -> Iterator[Stage]:
    """The server of all pages; who only reads needs no other."""
    stage = Stage(server, database, browser, warm)
    yield stage
    stage.leave()


def condition(stage: Stage, strategy: str) -> str:
    frame = engine.open(stage.db).conditions().filter(strategy=strategy, task="file:sums").sort("model")
    return str(frame["condition_id"][0])


def query(page: Any) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def transcript_of(page: Any) -> Any:
    return page.locator("[class*='st-key-text-question']")


def said(page: Any) -> str:
    """The transcript's text once the page is at rest and the question's grade stands: it is drawn piece by piece."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    expect(transcript_of(page)).to_contain_text("right")
    return str(transcript_of(page).inner_text())


def test_a_condition_opens_on_its_first_trial_with_its_calls(stage: Stage) -> None:
    page = stage.open(f"/answers?condition={condition(stage, 'self_consistency')}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("call")
    expect(transcript_of(page)).to_contain_text("What is")
    expect(page.get_by_text("Call 1", exact=True)).to_be_visible()
    expect(page.get_by_text("Answers 1–12 of 12 shown")).to_be_visible()


def test_next_and_previous_walk_through_the_list_by_button_and_arrow_key_and_the_address_follows(stage: Stage) -> None:
    page = stage.open(f"/answers?condition={condition(stage, 'direct')}")
    first = said(page)
    page.get_by_role("button", name="Next").click()
    page.wait_for_url("**trial=*")
    expect(transcript_of(page)).not_to_have_text(first, use_inner_text=True)
    second = said(page)
    again = stage.open(page.url.removeprefix(stage.url))
    expect(transcript_of(again)).to_have_text(second, use_inner_text=True)
    said(again)
    again.keyboard.press("ArrowLeft")
    expect(transcript_of(again)).to_have_text(first, use_inner_text=True)
    said(again)
    again.keyboard.press("ArrowRight")
    expect(transcript_of(again)).to_have_text(second, use_inner_text=True)


def test_a_budget_cuts_a_call_in_red_and_leaves_out_those_it_never_reached(stage: Stage) -> None:
    page = stage.open(f"/answers?condition={condition(stage, 'self_consistency')}&budget=32")
    expect(page.get_by_role("heading", level=1)).to_contain_text("the budget of 32 tokens")
    expect(page.locator(".tk-cut")).to_contain_text("budget reached: 32")
    expect(page.get_by_text("not counted here")).to_be_visible()
    cut = page.locator(".tk .tk-o").last
    expect(cut).to_be_visible()
    expect(cut).to_have_css("background-color", "rgba(0, 0, 0, 0)")


def test_a_point_of_explore_leads_to_its_answers(stage: Stage) -> None:
    cell = f"{condition(stage, 'chain_of_thought')}~128"
    page = stage.open(f"/?task=file%3Asums&cell={cell}")
    page.get_by_role("link", name="Read answers").click()
    page.wait_for_url("**/answers?*")
    expect(transcript_of(page)).to_contain_text("What is")
    assert query(page)["budget"] == ["128"]


def test_whatever_a_model_a_question_or_a_name_says_is_shown_as_text(tmp_path: Path, browser: Any) -> None:
    with ThreadPoolExecutor(1) as other:
        db = other.submit(hostile, tmp_path / "results.duckdb").result()
    with staged(db, browser, "--read-only") as stage:
        page = stage.open("/answers")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        cells = page.locator(".tk")
        expect(cells.filter(has_text="<script>window.broken = 1; alert('script')</script>").first).to_be_visible()
        assert not {"\u202e", "\x07"} & set("".join(cells.all_inner_texts()))
        expect(cells.last).to_contain_text("Answer: <b>A</b>")
        expect(transcript_of(page)).to_contain_text("![steal](http://198.51.100.1/steal.png)")
        expect(page.get_by_role("combobox", name="Setting")).to_be_visible()
        page.reload()
        expect(transcript_of(page)).to_contain_text("Who? <script>")
        assert page.evaluate("window.broken") is None
        main = page.locator("[data-testid=stMain]")
        assert main.locator("script, img, a[href^='javascript'], .katex").count() == 0
        assert main.locator("h1").count() == 1, "the page's own heading"
        assert main.locator("a[href*='198.51.100']").count() == 0, "an address is shown and leads nowhere"
        assert not [url for url in asked if "198.51.100" in url]
        linked = stage.open("/runs?run=Sign%20in%20again%20at%20https://198.51.100.3/login")
        expect(linked.get_by_text("There is no run")).to_be_visible()
        expect(linked.get_by_text("Sign in again")).to_have_count(0)
        assert linked.locator("[data-testid=stMain] a[href*='198.51.100']").count() == 0
