"""The advice page: what was typed, what its figures mark, what its tables say, and what a link brings back."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import figures
from dashboard.data import advice
from dashboard.data.advice import Ask
from dashboard.text.tables import evidence_table
from engine.core.errors import UsageError
from tests import ROOT
from tests.support import figure_frames, stores
from tests.support.pages import run_page

Open = Callable[..., tuple[AppTest, str]]


@pytest.mark.parametrize("typed", ["60", "60%", " 60.0 %"])
def test_an_accuracy_is_typed_in_percent(typed: str) -> None:
    assert advice.accuracy(typed) == 0.6


@pytest.mark.parametrize("typed", ["", "0", "100", "nan", "inf", "-3", "sixty", "6" * 4000])
def test_an_accuracy_that_is_none_is_named_in_a_short_sentence(typed: str) -> None:
    with pytest.raises(UsageError, match="percentage between 0 and 100") as error:
        advice.accuracy(typed)
    assert len(str(error.value)) < 250


def test_budgets_are_whole_tokens_and_dollars_become_pico_dollars() -> None:
    assert advice.wall("1,500.9", "output_tokens") == 1500
    assert advice.wall("$0.002", "usd") == 2_000_000_000
    for typed in ("0", "-1", "much", "1e300"):
        with pytest.raises(UsageError, match="A budget is a number of"):
            advice.wall(typed, "usd")


def test_no_spend_means_the_last_step_and_a_factor_may_have_its_sign() -> None:
    assert advice.spend(" ", "calls") is None
    assert advice.spend("12", "calls") == 12
    assert advice.factor("×0.5") == advice.factor("x0.5") == 0.5
    with pytest.raises(UsageError, match="multiplied by a number"):
        advice.factor("free")


GAPS = {"budget": pl.Int64, "n": pl.Int64, **dict.fromkeys(("difference", "low", "high", "p_value"), pl.Float64)}


def gaps(*lows: float | None) -> pl.DataFrame:
    rows = [
        (2**i, 60, None if low is None else low + 0.1, low, None if low is None else low + 0.2, 0.5)
        for i, low in enumerate(lows, 3)
    ]
    return pl.DataFrame(rows, schema=GAPS, orient="row")


@pytest.mark.parametrize(
    ("lows", "first"),
    [((-0.1, 0.02, 0.05), 16), ((0.02, -0.1, 0.05), 32), ((0.02, 0.0), None), ((0.1, 0.1), 8), ((0.1, None), None)],
)
def test_ahead_is_from_the_last_budget_below_which_the_interval_touches_zero(
    lows: tuple[float | None, ...], first: int | None
) -> None:
    assert advice.ahead(gaps(*lows)) == first


def test_walls_are_those_evidence_left_out_and_few() -> None:
    assert advice.walls_of(gaps(0.1, 0.2), [0, 4, 8, 12, 16, 99]) == [4, 12]
    assert len(advice.walls_of(gaps(*[0.1] * 12), range(1, 9000))) <= advice.WALLS


def test_the_crossing_figure_draws_zero_band_and_where_it_is_left() -> None:
    info = figures.crossing_info(gaps(-0.1, 0.02, 0.05), ("<b>B</b>", "A"), axis="output_tokens", first=16)
    figure = figures.crossing_figure(info)
    said = " ".join(note.text for note in figure.layout.annotations)
    assert "ahead from 16 on" in said
    assert "<b>B</b> ahead" not in said
    assert any(tuple(trace.y) == (0, 0) for trace in figure.data)
    assert any(set(trace.x) == {16} for trace in figure.data if trace.mode == "lines")
    assert "95% interval" in figures.crossing_caption(info)


def test_without_a_shared_question_the_crossing_figure_says_so() -> None:
    figure = figures.crossing_figure(figures.crossing_info(gaps(), ("B", "A"), axis="calls"))
    assert "share no question" in figure.layout.annotations[0].text


def frontier(narrow: bool = False, dark: bool = False) -> figures.FrontierInfo:
    cells = figure_frames.study(12)
    return figures.frontier_info(cells, figure_frames.line_of(cells), None, x="total_tokens", narrow=narrow, dark=dark)


@pytest.mark.parametrize("dark", [True, False])
@pytest.mark.parametrize("narrow", [True, False])
def test_the_named_setting_has_a_ring_and_a_name(narrow: bool, dark: bool) -> None:
    plain = frontier(narrow, dark)
    info = figures.advised_info(plain, "reach", pl.DataFrame(), ("c3", 1024), 0.5, 0.6)
    point = plain.points[info.named[0]]
    assert point.condition_id == "c3"
    assert info.named[0] in {label.point for label in info.frontier.labels}
    figure = figures.advised_figure(info)
    rings = [trace for trace in figure.data if trace.marker.symbol == "circle-open"]
    assert [(ring.x[0], ring.y[0]) for ring in rings] == [(point.x, point.y)]
    assert "asked: 60%" in " ".join(note.text for note in figure.layout.annotations)
    assert figures.advised_caption(info) == "ring: the setting named · dotted line: the accuracy asked for"


def test_rivals_that_may_be_as_good_have_thin_rings() -> None:
    table = pl.DataFrame({"condition_id": ["c1", "c2", "c3"], "budget": [1024] * 3, "maybe_best": [True, False, True]})
    info = figures.advised_info(frontier(), "under", table, ("c1", 1024), 0.5)
    assert [info.frontier.points[i].condition_id for i in (*info.named, *info.rivals)] == ["c1", "c3"]


def test_what_is_left_is_a_line_that_begins_where_something_is() -> None:
    table = pl.DataFrame({"x": [50.0, 500.0, None], "after": [0.0, 0.4, 0.3]})
    info = figures.advised_info(frontier(), "without", table, None, 0.1)
    assert info.after == ((500.0, 0.4),)
    assert "dashed line" in figures.advised_caption(info)


def test_the_step_that_was_priced_is_drawn_and_no_setting_is_ringed() -> None:
    steps = pl.DataFrame(
        {
            "x_from": [50.0, 90.0],
            "x_to": [90.0, 400.0],
            "accuracy_from": [0.4, 0.5],
            "accuracy_to": [0.5, 0.6],
            "cost": [4.0, 31.0],
        }
    )
    info = figures.advised_info(frontier(), "next_point", steps, ("c1", 1024), 31.0)
    assert (info.step, info.named) == (((90.0, 0.5), (400.0, 0.6)), ())


def test_a_table_writes_infinity_out_and_tells_a_setting_once() -> None:
    row = figure_frames.cell() | {"x": 9.0, "cost": math.inf, "low": 4.0, "high": math.inf, "unsolved": 1.0}
    row["maybe_best"] = True
    rows = drawn_rows(row, row | {"budget": 2048}).with_columns(name=pl.lit("Direct"))
    table = evidence_table("per_right", rows, "output_tokens")
    assert table.height == 1
    assert table["Cost of a right answer, output tokens"].to_list() == ["infinite"]
    assert table["95% interval"].to_list() == ["(4–no bound)"]
    assert table["Standing"].to_list() == ["may be the cheapest"]


def drawn_rows(*rows: dict[str, Any]) -> pl.DataFrame:
    names = ("condition_id", "label", "axis", "budget", "x", "accuracy", "n_questions", "cost", "low", "high")
    return pl.DataFrame([{name: row[name] for name in (*names, "unsolved", "maybe_best")} for row in rows])


def test_money_in_a_table_is_that_of_the_figure() -> None:
    row = {"x": 0.002, "before": 0.5, "after": 0.4, "lost": 0.1, "low": 0.05, "high": 0.2}
    table = evidence_table("price", pl.DataFrame([row]), "usd")
    assert table["Cost per 1,000 questions, $"].to_list() == ["$2.00"]
    assert table["Lost, points"].to_list() == [10.0]


def test_only_a_budget_has_a_wall() -> None:
    assert Ask("under", "t", "usd", "usd", 5e9).wall == 5_000_000_000
    assert Ask("reach", "t", "usd", None, 0.5).wall is None


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stores.small(tmp_path_factory.mktemp("small") / "results.duckdb")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copyfile(ROOT / "results.duckdb", tmp_path_factory.mktemp("demo") / "results.duckdb"))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Open:
    def open_page(path: Path, **query: str) -> tuple[AppTest, str]:
        monkeypatch.setenv("BUDGETSCOPE_DB", str(path))
        app = run_page("advice", **query)
        return app, words(app)

    return open_page


def words(app: AppTest) -> str:
    assert not app.exception, app.exception[0].value
    return "\n".join(str(e.value) for e in (*app.markdown, *app.caption, *app.warning)).replace("\\", "")


ANSWERS = {
    "reach": "with 95% confidence is",
    "under": "output tokens a question",
    "beats": "on 12 questions",
    "next": "the next percentage point costs",
    "right": "right answer",
    "without": "Without scripted/",
    "price": "With the price of scripted/",
}


@pytest.mark.parametrize("question", ANSWERS)
def test_every_question_is_answered_in_one_sentence_with_n_and_a_table(
    small: Path, opened: Open, question: str
) -> None:
    app, said = opened(small, ask=question, accuracy="20")
    heads = [line for line in said.splitlines() if line.startswith("#### ")]
    assert len(heads) == 1
    assert ANSWERS[question] in heads[0]
    assert "12 questions" in heads[0]
    assert "simulated answers" in said
    assert not app.dataframe[0].value.empty


def test_a_link_restores_the_question_and_all_it_takes(demo: Path, opened: Open) -> None:
    query = {"task": "gym:gcd/easy", "axis": "total_tokens", "ask": "under", "budget": "300", "accuracy": "70"}
    app, said = opened(demo, **query, bugdet="1")
    assert {name: app.session_state[f"advice.{name}"] for name in query} == query
    assert "under 300 tokens in all a question" in said
    assert "Did it mean 'budget'?" in said
    assert all(value in app.query_params[name] for name, value in query.items())


def test_what_was_typed_for_one_question_outlives_a_look_at_another(small: Path, opened: Open) -> None:
    app, _ = opened(small)
    app.text_input(key="advice.accuracy").set_value("20").run()
    for question in ("under", "right", "reach"):
        app.button_group(key="advice.ask").set_value(question).run()
    assert "reaches 20.0%" in words(app)
    assert "20" in app.query_params["accuracy"]


def test_what_cannot_be_meant_is_said_and_no_figure_is_drawn(small: Path, opened: Open) -> None:
    app, said = opened(small, accuracy="[x](http://a)")
    assert "An accuracy to reach is a percentage between 0 and 100" in said
    assert not app.dataframe


def test_a_setting_that_is_gone_is_explained_and_another_one_stands_in(small: Path, opened: Open) -> None:
    _, said = opened(small, ask="beats", a="gone")
    assert "This link asks for a = 'gone', which is not a setting of this task" in said
    assert " beats " in said


def test_a_setting_is_not_set_against_itself(small: Path, opened: Open) -> None:
    app, _ = opened(small, ask="beats")
    one = app.selectbox(key="advice.a")
    app.selectbox(key="advice.b").set_value(name := _ids(small)[0])
    one.set_value(name).run()
    assert "A setting cannot beat itself" in words(app)


def _ids(path: Path) -> list[str]:
    import engine

    return sorted(engine.open(path).conditions().filter(task="file:more")["condition_id"])


def test_money_without_a_price_says_how_to_give_one(tmp_path: Path, opened: Open) -> None:
    app, said = opened(stores.one_trial(tmp_path / "results.duckdb"), ask="price")
    assert "No price is known for these models" in said
    assert "prices = {" in app.code[0].value
