"""The Compare page: what it computes is compared as data, what it says and links is read off the page."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

import engine
from dashboard import figures
from dashboard.data import comparison as comparing
from dashboard.data.comparison import Month
from dashboard.data.queries import REPLICATES, Database
from dashboard.text import differences
from engine.analysis import Cell, Comparison, Estimate
from engine.analysis.cells import MEANS
from engine.core.errors import UsageError
from tests import ROOT
from tests.support import stores
from tests.support.effort import cases
from tests.support.pages import run_page

HOSTILE = ("<b>bold</b>", "$x^2$", "%{x}", "[a](javascript:alert)", "a\u202eb\u0007", "&lt;", "w" * 300, "")
Row = dict[str, Any]
Open = Callable[..., AppTest]


def whole(difference: float | None = 0.25, low: float | None = 0.11, high: float | None = 0.39, n: int = 60) -> Row:
    return group("All questions", difference, low, high, n=n)


def group(name: str, difference: float | None, low: float | None, high: float | None, **more: Any) -> Row:
    facts = {"n": 20, "accuracy_a": 0.4, "accuracy_b": 0.5, "enough": True, "warning": False}
    return facts | {"group": name, "difference": difference, "low": low, "high": high} | more


def frame(*rows: Row) -> pl.DataFrame:
    return pl.DataFrame(rows, infer_schema_length=None)


def words_of(figure: Any) -> str:
    return "\n".join(
        [*(note.text for note in figure.layout.annotations), *(trace.hovertext[0] for trace in figure.data)]
    )


# The figure


def test_a_row_is_drawn_for_all_questions_and_for_each_group() -> None:
    info = figures.forest_info(frame(whole(), group("short", -0.1, -0.3, 0.1), group("long", 0.5, 0.2, 0.8)))
    assert [line.name for line in info.lines] == ["All questions", "short", "long"]
    assert [line.tone for line in info.lines] == ["settled", "open", "settled"]
    figure = figures.forest_figure(info)
    assert [trace.x[0] for trace in figure.data] == [0.25, -0.1, 0.5]
    bars = figure.data[1].error_x
    assert (round(bars.array[0], 6), round(bars.arrayminus[0], 6)) == (0.2, 0.2)
    said = words_of(figure)
    assert "+25.0 (+11.0 to +39.0)" in said
    assert "n = 60" in said
    assert "percentage points" in said


def test_who_pays_and_who_are_too_few_look_different() -> None:
    rows = frame(
        whole(), group("loses", -0.5, -0.7, -0.3, warning=True), group("few", 0.1, -0.5, 0.6, enough=False, n=3)
    )
    info = figures.forest_info(rows)
    assert [line.tone for line in info.lines[1:]] == ["warned", "few"]
    inks = {trace.marker.line.color for trace in figures.forest_figure(info).data}
    assert len(inks) == 3
    assert "loses more than the rest" in info.lines[1].hover
    assert "too few questions" in info.lines[2].hover


def test_without_a_shared_question_the_figure_says_so() -> None:
    figure = figures.forest_figure(figures.forest_info(frame(whole(None, None, None, 0))))
    assert "share no scored question" in figure.layout.annotations[0].text


def test_more_groups_than_can_be_read_are_counted() -> None:
    rows = frame(whole(), *(group(f"g{n}", 0.0, -0.1, 0.1) for n in range(30)))
    info = figures.forest_info(rows)
    assert (len(info.lines), info.hidden) == (25, 6)


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_group_is_text_and_fits_its_column(name: str, narrow: bool) -> None:
    info = figures.forest_info(frame(whole(), group(name, 0.1, 0.0, 0.2)), narrow=narrow)
    said = words_of(figures.forest_figure(info))
    assert "<b>bold" not in said
    assert "$x" not in said
    assert "%{" not in said
    assert "\u202e" not in said
    assert info.left + info.right < 500


@given(
    values=st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8),
    narrow=st.booleans(),
)
@cases(60)
def test_every_mark_interval_and_zero_lie_on_the_axis(values: list[tuple[float, float, float]], narrow: bool) -> None:
    rows = [group("g", v, max(-1.0, v - low), min(1.0, v + high)) for v, low, high in values]
    info = figures.forest_info(frame(*rows), narrow=narrow)
    ends = [end for line in info.lines for end in (line.low, line.value, line.high) if end is not None]
    assert info.low < min(0.0, *ends)
    assert max(0.0, *ends) < info.high
    assert (0.0, "0") in info.ticks
    assert 2 <= len(info.ticks) <= 16


def test_a_difference_of_nothing_has_no_sign() -> None:
    assert figures.forest_info(frame(whole(0.0, -0.1, 0.1))).lines[0].said == "0.0 (−10.0 to +10.0)"


# What it says


def comparison(mean: float | None, low: float | None, high: float | None, **more: Any) -> Comparison:
    facts: Row = {
        "n": 60,
        "accuracy_a": 0.5,
        "accuracy_b": 0.25,
        "method": "score",
        "p_value": 0.01,
        "won": (),
        "lost": (),
        "spend": dict.fromkeys(MEANS, Estimate(None)),
        "detectable": 0.2,
        "more_questions": None,
        "groups": pl.DataFrame(),
    }
    return Comparison(a=Cell("b"), b=Cell("a"), accuracy=Estimate(mean, low, high), **facts | more)


def setting(strategy: str, tokens: float | None, **more: Any) -> Row:
    facts: Row = {
        "condition_id": f"k1-{strategy}",
        "task": "sums",
        "strategy": strategy,
        "model": "scripted/adder",
        "params": "{}",
        "budget": 256,
        "axis": "output_tokens",
        "total_tokens": tokens,
        "partial": False,
        "simulated": False,
        "usd": None,
        "usd_assumed": False,
        "n_questions": 60,
        "n_planned": 60,
        "calls": 1.0,
        "input_tokens": 10.0,
        "output_tokens": 5.0,
        "latency_ms": 800.0,
    }
    return facts | more


A, B = setting("direct", 100.0), setting("self_consistency", 1300.0)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (
            comparison(0.25, 0.11, 0.39),
            "Self-consistency, up to 256 tokens is right on 25 points more (11–39) of 60 questions than Direct, up to 256 tokens; it spends 13 "
            "times the tokens",
        ),
        (
            comparison(-0.25, -0.39, -0.11),
            "Direct, up to 256 tokens is right on 25 points more (11–39) of 60 questions than Self-consistency, up to 256 tokens; it spends 92% "
            "fewer tokens",
        ),
        (
            comparison(0.05, -0.05, 0.15, more_questions=137),
            "60 questions do not decide between Direct, up to 256 tokens and Self-consistency, up to 256 tokens; about 140 more would",
        ),
        (
            comparison(0.0, -0.05, 0.05),
            "60 questions do not decide between Direct, up to 256 tokens and Self-consistency, up to 256 tokens: none is ahead",
        ),
        (
            comparison(None, None, None, n=0),
            "Direct, up to 256 tokens and Self-consistency, up to 256 tokens share no scored question",
        ),
    ],
)
def test_the_finding_is_one_sentence(found: Comparison, says: str) -> None:
    assert differences.finding(found, A, B) == says


def test_spends_stand_side_by_side_and_unknown_stays_unknown() -> None:
    table = differences.spend_table(comparison(0.1, 0.0, 0.2), A, B | {"latency_ms": 2400.0})
    rows = {row["Spend"]: row for row in table.to_dicts()}
    assert rows["All tokens per question"]["B over A"] == "× 13"
    assert rows["Cost per 1,000 questions"]["A"] == "unknown"
    assert rows["Cost per 1,000 questions"]["B minus A"] == "unknown"
    assert rows["Time per question, as it ran"]["B"] == "2.4 s"
    priced = setting("direct", 100.0, usd=0.001, usd_assumed=True)
    assert (
        "Cost per 1,000 questions, assumed price"
        in differences.spend_table(comparison(0.1, 0, 0.2), priced, B)["Spend"]
    )


def test_labels_of_a_setting_are_told_and_those_of_both_once() -> None:
    scripted = {"simulated": True, "usd": 1.0}
    assert differences.reservations(A | scripted, B | scripted | {"oracle": True}) == [
        "simulated model",
        "B: oracle: may look at the target",
    ]


@pytest.mark.parametrize(("text", "value"), [("1000", 1000), ("1,000", 1000), ("2.5e3", 2500)])
def test_questions_per_day_are_read_as_people_write_them(text: str, value: float) -> None:
    assert comparing.number(text) == value


def test_the_dearer_setting_is_left_for_the_cheaper() -> None:
    assert differences.dearer(A, B) == "b"
    assert differences.dearer(A | {"usd": 2.0}, B | {"usd": 1.0}) == "a"


def test_a_group_means_the_same_whichever_setting_is_left() -> None:
    rows = frame(group("x", 0.3, 0.1, 0.5), group("y", -0.2, -0.4, 0.1)).with_columns(p_value=pl.lit(None, pl.Float64))
    mirrored = rows.rename({"accuracy_a": "accuracy_b", "accuracy_b": "accuracy_a", "low": "high", "high": "low"})
    mirrored = mirrored.with_columns(pl.col("difference", "low", "high") * -1 + 0.0)
    told = [
        comparing.told_rows(differences.Compared(comparison(0, 0, 0), who, left))  # type: ignore[arg-type]
        for left, who in (("a", found_in(rows)), ("b", found_in(mirrored)))
    ]
    assert told[0].equals(told[1])
    assert told[0]["group"].to_list() == ["All questions", "x", "y"]


def found_in(rows: pl.DataFrame) -> Any:
    return SimpleNamespace(groups=rows.rename({"difference": "change"}))


# The page


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("compare")
    makers: dict[str, Callable[[Path], Path]] = {
        "small": stores.small,
        "demo": lambda path: Path(shutil.copyfile(ROOT / "results.duckdb", path)),
    }
    found = {}
    for name, make in makers.items():
        (folder / name).mkdir()
        found[name] = make(folder / name / "results.duckdb")
    return found


@pytest.fixture
def opened(databases: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Open:
    def open_page(name: str, **query: str | list[str]) -> AppTest:
        monkeypatch.setenv("BUDGETSCOPE_DB", str(databases[name]))
        return run_page("compare", **query)

    return open_page


def words(app: AppTest) -> str:
    assert not app.exception, app.exception[0].value
    found = [*app.markdown, *app.caption, *app.warning]
    return "\n".join(str(element.value) for element in found).replace("\\", "")


def table(app: AppTest, column: str) -> Any:
    return next(each.value for each in app.dataframe if column in each.value.columns)


def test_the_page_opens_with_the_cheapest_and_the_most_accurate_on_the_frontier(opened: Open) -> None:
    app = opened("demo", task="gym:syllogism/easy")
    said = words(app)
    assert "Self-consistency ×12, up to 512 tokens is right on" in said
    assert "than Direct, up to 16 tokens; it spends" in said
    assert "B is better on 22 questions" in said.replace("**", "")
    assert set(app.query_params) == {"task"}
    assert table(app, "Spend").shape[0] == 6


def test_a_link_restores_settings_grouping_and_what_is_open(opened: Open) -> None:
    app = opened("demo", task="gym:gcd/easy")
    a, b = (app.selectbox(key=f"compare.{side}").value for side in "ba")
    query = {"a": a, "b": b, "by": "result", "open": ["others", "savings"], "per_day": "5000", "zone": "FRA"}
    again = opened("demo", task="gym:gcd/easy", axis="own", **query)
    said = words(again)
    for name, value in query.items():
        assert again.session_state[f"compare.{name}"] == value
    assert "5,000 questions a day like these" in said
    assert "41.44 g CO2e per kWh (FRA)" in said
    assert "p, Holm counts all" in said
    assert table(again, "A month").iloc[:, 0].tolist()[:3] == ["Money", "Energy, kWh", "Carbon, kg CO2e"]
    assert "p, Holm" in table(again, "p, Holm").columns


def test_another_task_brings_its_own_settings_without_a_complaint(opened: Open) -> None:
    app = opened("demo")
    assert app.session_state["compare.by"] == "category"
    app.selectbox(key="compare.task").set_value("gym:syllogism/easy").run()
    assert app.session_state["compare.by"] == "target"
    app.selectbox(key="compare.task").set_value("gym:gcd/easy").run()
    assert "not there" not in words(app)
    assert "Divisors (easy)" in words(app)
    assert app.query_params["task"] == "gym:gcd/easy"


def test_a_setting_that_is_gone_is_explained(opened: Open) -> None:
    said = words(opened("small", a="gone~1", by="<b>"))
    assert "This link asks for a = 'gone~1', which is not there" in said
    assert "This link asks for by = '…', which is not there" in said


def test_the_same_setting_twice_is_said(opened: Open) -> None:
    app = opened("small")
    a = app.selectbox(key="compare.a").value
    app.selectbox(key="compare.b").set_value(a).run()
    assert "The same setting twice" in words(app)


def test_unknown_energy_stays_unknown_until_a_size_is_typed(opened: Open) -> None:
    app = opened("small", open="savings")
    month = table(app, "A month")
    assert month.loc[month["A month"] == "Energy, kWh", "A"].item() == "unknown"
    assert "size not known: scripted/" in words(app)
    app.text_input(key="compare.size").set_value("8").run()
    month = table(app, "A month")
    assert month.loc[month["A month"] == "Energy, kWh", "A"].item() != "unknown"
    assert app.query_params["size"] == "8"


@pytest.mark.parametrize(("name", "text"), [("per_day", "many"), ("per_day", "-3"), ("per_day", "nan"), ("size", "x")])
def test_what_is_no_number_is_explained(opened: Open, name: str, text: str) -> None:
    app = opened("small", **{"open": "savings", name: text})
    assert not app.exception
    assert app.warning


def test_simulated_answers_are_called_so(opened: Open) -> None:
    assert "simulated model" in words(opened("small"))


def test_hostile_columns_and_categories_are_only_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "".join(
        f'"What is {n} + 1? <img src=x> [a](http://b)",{n + 1},"{("<b>x</b>", "$y$")[n % 2]}"\n' for n in range(8)
    )
    (tmp_path / "sums.csv").write_text("question,answer,category\n" + rows)
    study = 'name="made"\nbudgets=[32, 256]\ntasks=["file:sums.csv"]\nmodels=["scripted/adder"]\n'
    from engine.runs import worker
    from engine.study.schema import parse

    text = study + 'strategies=["direct", "self_consistency"]\n'
    db = tmp_path / "results.duckdb"
    worker.run(worker.prepare(parse(text, "made.toml", tmp_path), db), lambda _: None)
    monkeypatch.setenv("BUDGETSCOPE_DB", str(db))
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60)
    app.switch_page("views/compare.py")
    app.run()
    assert not app.exception
    assert app.selectbox(key="compare.by").options[0] == "category"
    assert not [each.value for each in app.markdown if re.search(r"(?<!\\)[<\[$]", each.value)]


def test_months_of_two_cells_come_from_the_analysis(databases: dict[str, Path]) -> None:
    found = engine.open(databases["demo"])
    cells = found.cells(task="gym:gcd/easy").filter(pl.col("budget") == 2048)
    a, b = (Cell(*row) for row in cells.select("condition_id", "budget", "axis").rows()[:2])
    db, lineups = Database(str(databases["demo"]), (1, 1, 1, 1)), tuple(sorted(set(found.conditions()["lineup"])))
    told = comparing.month(db, "*", a, b, lineups, Month("1,000", "WOR", ""))
    plain = found.savings(a, b, 1000, replicates=REPLICATES, study="*")
    assert told.lines.equals(plain.lines)
    assert comparing.unknown_sizes(lineups) == ()
    with pytest.raises(UsageError, match="A size is billions of parameters"):
        comparing.month(db, "*", a, b, lineups, Month("1", "WOR", "big"))
