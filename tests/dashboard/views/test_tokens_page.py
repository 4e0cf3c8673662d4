"""The Tokens page: a text as cells with its costs, a stored answer, and where the tokens of a study went."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

import engine
from dashboard import figures
from engine.models.tokens import tokenizers
from tests.support import pages, stores
from tests.support.pages import run_page

EVIL = "<script>window.broken = 1</script><img src=x onerror=alert(1)> $x$ [a](javascript:alert(1)) \u202e"
BY = ["o200k_base", "cl100k_base"]


@pytest.fixture
def db(monkeypatch: pytest.MonkeyPatch) -> Path:
    made = stores.to_read(stores.small)
    monkeypatch.setenv("BUDGETSCOPE_DB", str(made))
    # Without the local model: its server would be started for every page.
    monkeypatch.setattr(tokenizers, "at_hand", lambda: tuple(tokenizers.ENCODINGS))
    return made


def opened(**query: str | list[str]) -> AppTest:
    app = run_page("tokens", **({"with": BY} | query))
    assert not app.exception, app.exception[0].value
    return app


def html(app: AppTest) -> str:
    return "\n".join(str(each.proto.body) for each in app.get("html"))


def test_a_text_is_cut_by_each_tokenizer_and_the_heading_says_the_counts(db: Path) -> None:
    app = opened()
    text = str(app.text_area[0].value)
    counts = [tokenizers.open_tokenizer(name).count(text) for name in BY]
    assert all(str(n) in pages.texts(app)[0] for n in counts)
    assert "to the GPT-4o and GPT-4 families" in pages.texts(app)[0]
    assert f'<b class="to-big">{counts[0]}</b>' in html(app)
    # What people call them: identifiers stand in addresses alone.
    named = {"GPT-4o family (o200k)", "GPT-4 family (cl100k)"}
    assert all(name in html(app) for name in named) and named <= {*app.multiselect[0].options}
    assert "o200k_base" not in html(app)


def test_a_hostile_text_is_cells_and_never_markup(db: Path) -> None:
    app = opened()
    app.text_area[0].set_value(EVIL).run()
    assert not app.exception
    drawn = html(app)
    assert "<script" not in drawn and "<img" not in drawn and "\u202e" not in drawn
    assert "&lt;" in drawn


def test_a_megabyte_is_counted_whole_and_drawn_as_a_window(db: Path) -> None:
    app = opened()
    text = "The quick brown fox jumps. " * 37_037
    app.text_area[0].set_value(text).run()
    assert not app.exception
    n = tokenizers.open_tokenizer("o200k_base").count(text)
    assert f"{n:,}" in pages.texts(app)[0]
    assert html(app).count('class="tk-') < 4 * 1_500
    window = next(each for each in app.number_input if "First token drawn" in each.label)
    window.set_value(n).run()
    assert not app.exception and "more tokens" not in html(app)


def test_an_empty_text_has_no_tokens_and_costs_nothing_but_the_reply(db: Path) -> None:
    app = opened()
    app.text_area[0].set_value("").run()
    assert not app.exception and "0 tokens" in pages.texts(app)[0]


def test_what_calls_were_for_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(stores.to_read(stores.demo)))
    app = opened(show="study", task="gym:chain_sum/easy")
    assert {"answering", "criticising", "improving", "estimating", "all calls"} == {*app.dataframe[0].value["Role"]}
    drawn = str(app.get("plotly_chart")[0].proto.spec)
    assert "criticising, output" in drawn and "critique" not in drawn and "solve" not in drawn
    traces = json.loads(drawn)["data"]
    # One entry a role: strength and pattern are said in a line.
    named = [each["name"] for each in traces if each["showlegend"]]
    assert sorted(named) == ["answering", "criticising", "estimating", "improving"]
    assert any(
        "full colour: output, pale: input, hatched: cached input" in each.value.replace("\\", "")
        for each in app.caption
    )


def test_a_stored_answer_is_cut_by_its_link(db: Path) -> None:
    results = engine.open(db)
    condition = results.conditions().row(0, named=True)["condition_id"]
    trial = results.trial_rows(condition).row(0, named=True)
    app = opened(source="stored", trial=trial["trial_id"])
    assert not app.warning
    assert trial["question"].split()[-2] in html(app)


def test_an_answer_that_is_not_there_and_a_file_of_the_server_are_refused_in_words(db: Path) -> None:
    app = opened(source="stored", trial="nowhere", **{"with": ["local//etc/model.gguf", "o200k_base"]})
    said = " ".join(str(each.value) for each in app.warning).replace("\\", "")
    assert "not among the models of this machine" in said and "There is no answer 'nowhere'" in said


def test_the_tokens_of_a_study_stand_in_a_table_and_a_figure(db: Path) -> None:
    app = opened(show="study")
    table = app.dataframe[0].value
    frame = engine.open(db).token_roles("made")
    # Of calls in one role the whole is that role, and is not said twice.
    assert set(table["Role"]) == {"answering"} and len(table) == frame.filter(task=frame["task"][0]).height / 2
    assert "of all tokens are prompts" in pages.texts(app)[0]


def test_the_pieces_of_a_bar_add_up_to_its_setting(db: Path) -> None:
    frame = engine.open(db).token_roles("made")
    task = frame.filter(task=frame["task"][0])
    info = figures.where_info(task)
    assert len(info.names) == task.filter(pl.col("role").is_null()).height
    for place, end in enumerate(info.ends):
        assert sum(piece.tokens[place] for piece in info.pieces) == pytest.approx(end)
    assert list(info.ends) == sorted(info.ends, reverse=True)
    assert len(figures.where_figure(info).data) == len(info.pieces)


def test_of_one_question_no_interval_is_announced(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "95% intervals over 12 questions"
    assert said in "".join(str(each.value) for each in opened(show="study").caption)
    monkeypatch.setenv("BUDGETSCOPE_DB", str(stores.to_read(stores.one_trial)))
    app = opened(show="study")
    assert "interval" not in "".join(str(each.value) for each in app.caption)
    # Nor is its one setting the one that spends most.
    assert pages.texts(app)[0].endswith("of all tokens are prompts")


def test_a_figure_of_no_answers_says_so() -> None:
    from engine.analysis.sql.token_roles import ROLE_SCHEMA

    empty = pl.DataFrame(schema=ROLE_SCHEMA | {"setting": pl.String})
    assert "No answer" in figures.where_figure(figures.where_info(empty)).layout.annotations[0].text


def test_without_results_a_text_is_cut_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUDGETSCOPE_DB", str(stores.empty(tmp_path / "r.duckdb")))
    monkeypatch.setattr(tokenizers, "at_hand", lambda: tuple(tokenizers.ENCODINGS))
    assert 'class="tk"' in html(opened())
    assert not opened(show="study").exception
