"""Inside one thought: an estimate that says so, looks that say what was settled, and a look started from the page."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import engine
from dashboard import figures
from dashboard.data import thoughts
from dashboard.figures.axes import ROOMS
from dashboard.text import thoughts as words
from engine.analysis.thinking.overthinking import glance
from engine.analysis.thinking.thoughts import inside, of
from engine.cli.serve import READ_ONLY
from engine.core.budget import Limits
from engine.models import open_model
from engine.runs import probing
from engine.store.store import Store
from tests.support import pages, stores
from tests.support.pages import run_page
from tests.support.stores import studied

EVIL = "<script>window.broken = 1</script><img src=x onerror=alert(1)>"


def asked(folder: Path) -> Path:
    """Eight sums thought over by a scripted model, and answered at once by the same."""
    folder.mkdir()
    strategies = ["chain_of_thought", "direct"]
    return studied(folder / "r.duckdb", questions=8, models='"scripted/adder"', strategies=strategies, budgets=[512])


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asked(tmp_path_factory.mktemp("read") / "d")


@pytest.fixture(scope="module")
def looked(read: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    db = tmp_path_factory.mktemp("looked") / "r.duckdb"
    Store(read).copy_to(db)

    async def look() -> None:
        chains = engine.open(db).chains(thinking(db))
        plan = await probing.plan(open_model("scripted/adder", {}), chains, Store(db))
        await probing.probe(plan, Store(db), Limits(plan.worst.calls, plan.worst.tokens))

    asyncio.run(look())
    return db


def thinking(db: Path) -> str:
    frame = engine.open(db).conditions()
    return str(frame.filter(frame["strategy"] == "chain_of_thought")["condition_id"][0])


def opened(db: Path, monkeypatch: pytest.MonkeyPatch, *, condition: str = "", **query: str | list[str]) -> AppTest:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(db))
    app = run_page("thought", **({"condition": condition or thinking(db)} | query))
    assert not app.exception, app.exception[0].value
    return app


def html(app: AppTest) -> str:
    return "\n".join(str(each.proto.body) for each in app.get("html"))


def captions(app: AppTest) -> str:
    return "\n".join(str(each.value) for each in app.caption).replace("\\", "")


def test_without_a_look_the_page_estimates_says_so_and_names_the_command(
    read: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(read, monkeypatch)
    assert "Estimated from the text alone" in captions(app)
    assert f"budgetscope probe {thinking(read)}" in [each.value for each in app.code]
    found = of(engine.open(read), thinking(read), source="text")
    assert found.finding().rstrip(".") in pages.texts(app)[0].replace("\\", "")


def test_with_looks_the_page_says_what_was_settled_and_the_text_is_one_click_away(
    looked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(looked, monkeypatch)
    assert "Each stored thought is stopped after k tokens" in captions(app) and "Settled, median" in html(app)
    assert not app.code or not any(str(each.value).startswith("budgetscope probe") for each in app.code)
    assert "Estimated from the text alone" in captions(opened(looked, monkeypatch, source="text"))


def test_of_one_thought_without_an_answer_neither_a_band_nor_a_bar_is_announced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    db = stores.to_read(stores.one_trial)
    results = engine.open(db)
    only = str(results.conditions()["condition_id"][0])
    assert "1 thought on 1 question" in (said := captions(opened(db, monkeypatch, condition=only)))
    assert "band" not in said
    figure = figures.thought_figure(figures.thought_info(of(results, only, source="text"), "direct"))
    assert any("in none of these thoughts" in note.text for note in figure.layout.annotations)
    past = glance(results, only)
    assert past is not None and ">no answer<" in words.overthinking(past)


def test_a_link_leads_to_one_thought_and_a_wrong_one_says_so(looked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = of(engine.open(looked), thinking(looked), source="probes")
    one = found.thoughts[3]
    app = opened(looked, monkeypatch, thought=one.key)
    assert f"One thought, {one.n_tokens} tokens" in html(app) and not app.warning
    app = opened(looked, monkeypatch, thought="k9-nothing")
    assert "k9-nothing" in str(app.warning[0].value).replace("\\", "")


def test_a_question_is_never_markup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "d"
    db = asked(folder)
    with Store(db).writing() as connection:
        connection.execute("update questions set text = text || ?", [f": {EVIL}"])
    drawn = html(opened(db, monkeypatch))
    # Where it is long it scrolls, and keys alone must reach it.
    assert 'class="tk th-text" tabindex="0"' in drawn
    assert "&lt;" in drawn and "<script" not in drawn and "<img" not in drawn


def test_the_figure_ends_at_the_accuracy_of_the_thoughts_and_its_bars_count_each_once(looked: Path) -> None:
    found = of(engine.open(looked), thinking(looked))
    for room in ROOMS:
        info = figures.thought_info(found, "chain_of_thought", room=room)
        right = sum(thought.final.score or 0.0 for thought in found.thoughts) / len(found.thoughts)
        assert info.points[-1].accuracy == pytest.approx(right)
        reached = [thought for thought in found.thoughts if thought.first_reached is not None]
        assert sum(bar.right + bar.wrong for bar in info.bars) == len(reached)
        figure = figures.thought_figure(info)
        # Also a mark at 100% is seen whole.
        assert figure.data and figure.layout.yaxis.range[1] > max(figure.layout.yaxis.tickvals)
        low, high = figure.layout.xaxis.range
        across = {"wide": 960, "narrow": 704, "phone": 352}[room] - 60
        assert (high - math.log10(info.points[-1].tokens)) / (high - low) * across > 7, "half a mark"
    assert "No thought" in str(
        figures.thought_figure(figures.thought_info(inside([], "text", "read", True), "direct")).layout
    )


def test_home_shows_how_much_the_chosen_setting_thinks_past_its_answers(
    looked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(looked))
    app = run_page("explore", cell=f"{thinking(looked)}~512", most="off", least="off")
    assert not app.exception, app.exception[0].value
    drawn, found = html(app), glance(engine.open(looked), thinking(looked))
    assert found is not None and found.source == "probes"
    assert "Tokens after the answer" in drawn and f"{found.excess.n_thoughts} thoughts on 8 questions" in drawn


def test_whoever_may_spend_starts_a_look_from_the_page_after_its_estimate(
    read: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = tmp_path / "r.duckdb"
    Store(read).copy_to(db)
    with monkeypatch.context() as shut:
        shut.setenv(READ_ONLY, "1")
        assert not any(each.label == "Work out what it takes" for each in opened(db, shut).button)
    app = opened(db, monkeypatch)

    def press(label: str) -> None:
        next(each for each in app.button if each.label == label).click().run(timeout=240)
        assert not app.exception, app.exception[0].value
        assert not app.warning, app.warning[0].value

    press("Work out what it takes")
    assert "at most" in "\n".join(str(each.value) for each in app.markdown)
    press("Look into these thoughts")
    started = thoughts._probes[str(db), thinking(db)]
    assert started.child.wait(240) == 0, started.log.read_text()
    assert "Each stored thought is stopped after k tokens" in captions(opened(db, monkeypatch))
