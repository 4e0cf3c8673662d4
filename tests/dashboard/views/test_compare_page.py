"""The Compare page: what it computes is compared as data, what it says and links is read off the page."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

import engine
from dashboard import figures
from dashboard.data import comparison as comparing
from dashboard.data import queries
from dashboard.data.comparison import Month
from dashboard.data.queries import REPLICATES, Database
from dashboard.figures.axes import ROOMS
from dashboard.text import differences
from engine.analysis import Cell, Comparison, Estimate
from engine.analysis.cells import MEANS
from engine.core.errors import UsageError
from tests import ROOT
from tests.support import pages, stores
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


def beside(name: str, difference: float | None, low: float | None, high: float | None, **more: Any) -> Row:
    facts = {"name": name, "at": "up to 256 tokens", "strategy": "direct", "n": 60, "settled": False}
    return facts | {"difference": difference, "low": low, "high": high} | more


def drawn(*rows: Row, **more: Any) -> figures.ForestInfo:
    def said(row: Mapping[str, Any]) -> tuple[figures.Said, ...]:
        return tuple(figures.Said(text) for text in (f"{row['difference']}", "better", "199", "754"))

    heads = ("Setting", "Difference", "Verdict", "Output tokens\nagainst 11", "Tokens per extra\nright answer")
    return figures.differences_info(rows, heads, said, **more)


def test_a_bar_is_drawn_for_each_setting_with_its_interval_and_faint_where_it_is_too_close() -> None:
    info = drawn(beside("Votes", 0.25, 0.07, 0.4, settled=True), beside("Thought", 0.02, -0.15, 0.18))
    assert [line.tone for line in info.lines] == ["settled", "open"]
    figure = figures.forest_figure(info)
    assert [trace.x[0] for trace in figure.data] == [0.25, 0.02]
    bars = figure.data[1].error_x
    assert (round(bars.array[0], 6), round(bars.arrayminus[0], 6)) == (0.16, 0.17)
    opacities = [float(re.findall(r"[\d.]+", trace.marker.color)[-1]) for trace in figure.data]
    assert opacities[1] < 0.5 < opacities[0]
    said = words_of(figure)
    for text in ("Votes", "up to 256 tokens", "better", "754", "Tokens per extra<br>right answer"):
        assert text in said


def test_on_a_small_screen_names_and_differences_stand_above_the_bars() -> None:
    rows = (beside("Votes", 0.25, 0.07, 0.4, settled=True), beside("Thought", 0.02, -0.15, 0.18))
    wide, phone = (figures.forest_figure(drawn(*rows, room=room)) for room in ("wide", "phone"))
    assert wide.layout.margin.l + wide.layout.margin.r > 400
    assert phone.layout.margin.l + phone.layout.margin.r < 40
    # The line of no difference stands at the bars and strikes no word above them out.
    zeros = [shape for shape in phone.layout.shapes if shape.x0 == shape.x1 == 0]
    assert len(zeros) == 2 and all(shape.yref == "y" and shape.y1 - shape.y0 < 0.6 for shape in zeros)
    assert "754" not in words_of(phone)
    assert "0.25" in words_of(phone)


def test_the_verdict_is_written_in_every_width() -> None:
    rows = (beside("Votes", 0.25, 0.07, 0.4, settled=True),)
    for room in ROOMS:
        assert "better" in words_of(figures.forest_figure(drawn(*rows, room=room))), room


def test_on_a_phone_the_usual_name_stands_whole_and_the_interval_is_written() -> None:
    rows = [beside("Self-consistency ×12", 0.25, 0.07, 0.4, settled=True)]
    said = figures.Said("+25 points", "+7 to +40"), figures.Said("too close to call", "p = 0.2")
    info = figures.differences_info(rows, ("Setting", "Difference", "Verdict"), lambda row: said, room="phone")
    words = words_of(figures.forest_figure(info))
    for text in ("Self-consistency ×12", "up to 256 tokens", "+25 points", "(+7 to +40)", "too close to call"):
        assert text in words


def test_settings_without_a_shared_question_have_no_bar() -> None:
    figure = figures.forest_figure(drawn(beside("Votes", None, None, None)))
    assert "No setting is compared" in figure.layout.annotations[0].text


def test_who_pays_and_who_are_too_few_look_different() -> None:
    rows = frame(
        whole(), group("loses", -0.5, -0.7, -0.3, warning=True), group("few", 0.1, -0.5, 0.6, enough=False, n=3)
    )
    info = figures.forest_info(rows, "#123456")
    assert [line.tone for line in info.lines] == ["settled", "warned", "few"]
    assert len({line.colour for line in info.lines}) == 3
    assert "loses more than the rest" in info.lines[1].hover
    assert "too few questions" in info.lines[2].hover


def test_without_groups_the_figure_says_so() -> None:
    figure = figures.forest_figure(figures.forest_info(frame(whole(None, None, None, 0))))
    assert "fall into one group" in figure.layout.annotations[0].text


def test_more_groups_than_can_be_read_are_counted() -> None:
    info = figures.forest_info(frame(*(group(f"g{n}", 0.0, -0.1, 0.1) for n in range(30))))
    assert (len(info.lines), info.hidden) == (8, 22)


@pytest.mark.parametrize("room", ["wide", "narrow", "phone"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_text_and_fits_its_column(name: str, room: Any) -> None:
    for info in (
        figures.forest_info(frame(group(name, 0.1, 0.0, 0.2), group("b", 0.1, 0.0, 0.2)), room=room),
        drawn(beside(name, 0.1, 0.0, 0.2), room=room),
    ):
        said = words_of(figures.forest_figure(info))
        assert "<b>bold" not in said
        assert "$x" not in said
        assert "%{" not in said
        assert "\u202e" not in said
        assert info.stacked or info.left < 340


@given(
    values=st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=3),
    room=st.sampled_from(("wide", "narrow", "phone")),
)
@example(values=[(0.0, 0.0234375, 0.0234375)], room="phone")
@cases(60)
def test_every_bar_interval_and_zero_lie_on_the_axis(values: list[tuple[float, float, float]], room: Any) -> None:
    info = drawn(*(beside("g", v, max(-1.0, v - low), min(1.0, v + high)) for v, low, high in values), room=room)
    ends = [end for line in info.lines for end in (line.low, line.value, line.high) if end is not None]
    assert info.low < min(0.0, *ends)
    assert max(0.0, *ends) < info.high
    assert (0.0, "0") in info.ticks
    assert 2 <= len(info.ticks) <= 16


def test_a_difference_of_nothing_has_no_sign() -> None:
    (said,) = figures.forest_info(frame(group("g", 0.0, -0.1, 0.1))).lines[0].said
    assert (said.main, said.under) == ("0", "(\N{MINUS SIGN}10 to +10)")


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


C = setting("chain_of_thought", 200.0)


def against(row: Row, difference: float | None, low: float | None, high: float | None, p: float = 0.01) -> Row:
    facts = {"row": row, "n": 60, "difference": difference, "low": low, "high": high, "p_value": p, "p_adjusted": p}
    return facts | {"settled": differences.settled(facts)}


BETTER, WORSE, OPEN = (0.25, 0.07, 0.4), (-0.25, -0.39, -0.11), (0.02, -0.15, 0.18)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (
            [against(B, *BETTER)],
            "Self-consistency up to 256 tokens is measurably better than Direct up to 256 tokens: +25 points",
        ),
        (
            [against(B, *WORSE)],
            "Self-consistency up to 256 tokens is measurably worse than Direct up to 256 tokens: −25 points",
        ),
        (
            [against(B, *OPEN)],
            "Self-consistency up to 256 tokens and Direct up to 256 tokens are too close to call: +2 points",
        ),
        (
            [against(B, 0.0, -0.05, 0.05)],
            "Self-consistency up to 256 tokens and Direct are too close to call: none is ahead",
        ),
        ([against(B, None, None, None)], "These settings share no scored question"),
        (
            [against(B, *BETTER), against(C, *OPEN)],
            "Only Self-consistency up to 256 tokens is measurably better than Direct up to 256 tokens: +25 points",
        ),
        (
            [against(B, *BETTER), against(C, *BETTER)],
            "Self-consistency up to 256 tokens is furthest ahead of Direct: +25 points; all are measurably better",
        ),
        (
            [against(B, *OPEN), against(C, *WORSE)],
            "None is better than Direct; Chain of thought up to 256 tokens is measurably worse: −25 points",
        ),
        ([against(B, *OPEN), against(C, *OPEN)], "None of these is measurably better than Direct up to 256 tokens"),
        (
            [against(B, *WORSE), against(C, -0.2, -0.3, -0.1)],
            "Both are measurably worse than Direct up to 256 tokens, Self-consistency up to 256 tokens most: −25 points",
        ),
    ],
)
def test_the_finding_is_one_sentence_of_at_most_18_words(rows: list[Row], says: str) -> None:
    assert differences.finding(rows, A) == says
    assert len(says.split()) <= differences.MOST_WORDS


def test_a_finding_stays_short_whatever_a_setting_is_called() -> None:
    long = setting("imported:inspect/" + "word " * 16, 10.0)
    assert (
        differences.finding([against(long, *BETTER)], A)
        == "One setting is measurably better than the baseline: +25 points"
    )


def test_models_that_the_bars_name_are_left_out_of_a_finding_they_would_make_too_long() -> None:
    small, large = (f"x/qwen2.5-coder-{size}b" for size in ("0.5", "1.5"))
    base = setting("direct", 10.0, model=large)
    pick = setting("cascade", 20.0, model=f"{small} → {large}", params='{"samples": 3}', budget=1024)
    words = "Cascade ×3 · Qwen2.5 Coder 0.5B → 1.5B and Direct · Qwen2.5 Coder 1.5B are too close to call: +2 points"
    assert differences.finding([against(pick, *OPEN)], base) == words
    pick = setting("cascade", 20.0, model=f"{small} → x/{'long ' * 9}name", params='{"samples": 3}', budget=1024)
    said = differences.finding([against(pick, *OPEN)], base)
    assert said == "Cascade ×3 and Direct are too close to call: +2 points"


def test_a_difference_is_called_only_where_the_corrected_p_and_the_interval_agree() -> None:
    for p, low, called in ((0.01, 0.05, True), (0.06, 0.05, False), (0.01, -0.01, False)):
        assert differences.settled({"low": low, "high": 0.4, "p_adjusted": p}) is called
    assert not differences.settled({"low": None, "high": None, "p_adjusted": 1.0})


def test_the_columns_say_verdict_tokens_and_what_one_more_right_answer_costs() -> None:
    base, row = A | {"output_tokens": 11.0}, B | {"output_tokens": 199.0}
    gap, verdict, tokens, extra = differences.columns(against(row, *BETTER, p=0.018), base)
    assert (gap.main, gap.under) == ("+25 points", "+7 to +40")
    assert (verdict.main, verdict.under, verdict.ink) == ("better", "p = 0.018", "right")
    assert (tokens.main, tokens.under, extra.main) == ("199", "×18.1", "752")
    _, verdict, _, extra = differences.columns(against(row, *OPEN, p=0.85), base)
    assert (verdict.main, verdict.ink, extra.main) == ("too close to call", "muted", "–")
    assert "against 11" in differences.heads(base)[3]


def test_every_question_is_won_lost_or_stays_as_it_was() -> None:
    found = comparison(0.25, 0.07, 0.4, won=tuple("abc"), lost=("d",), both_right=20, accuracy_a=0.5)
    assert differences.sides(found) == (("won", 3), ("both right", 20), ("both wrong", 36), ("lost", 1))
    drawn_often = comparison(0.25, 0.07, 0.4, won=tuple("abc"), accuracy_a=0.501, both_right=20)
    assert [word for word, _ in differences.sides(drawn_often)] == ["better", "both good", "both poor", "worse"]


def test_spends_stand_side_by_side_and_unknown_stays_unknown() -> None:
    table = differences.spend_table(comparison(0.1, 0.0, 0.2), A, B | {"latency_ms": 2400.0})
    rows = {row["Spend"]: row for row in table.to_dicts()}
    assert rows["All tokens per question"]["Ratio"] == "×13.0"
    assert rows["Cost per 1,000 questions"]["Baseline"] == "unknown"
    assert rows["Cost per 1,000 questions"]["Difference"] == "unknown"
    assert rows["Time per question, as it ran"]["Setting"] == "2.4 s"
    priced = setting("direct", 100.0, usd=0.001, usd_assumed=True)
    assert (
        "Cost per 1,000 questions, assumed price"
        in differences.spend_table(comparison(0.1, 0, 0.2), priced, B)["Spend"]
    )


def test_labels_of_a_setting_are_told_and_those_of_both_once() -> None:
    scripted = {"simulated": True, "usd": 1.0}
    called = ("Direct, up to 64 tokens", "Reflexion with oracle, up to 64 tokens")
    assert differences.reservations(A | scripted, B | scripted | {"oracle": True}, called) == [
        "simulated model",
        "Reflexion with oracle, up to 64 tokens: is told the right answers",
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
        comparing.group_rows(differences.Compared(comparison(0, 0, 0), who, left))  # type: ignore[arg-type]
        for left, who in (("a", found_in(rows)), ("b", found_in(mirrored)))
    ]
    assert told[0].equals(told[1])
    assert told[0]["group"].to_list() == ["x", "y"]


@pytest.mark.parametrize(
    "names",
    [
        ["-2", "3", "10"],
        ["-7 to 0", "1 to 3", "4", "10 to 18"],
    ],
)
def test_groups_of_numbers_stand_in_the_order_of_their_numbers(names: list[str]) -> None:
    # Sizes fall the other way, which is the order of all other groups.
    rows = frame(*(group(name, 0.1 * i, 0, 0.5) | {"n": 10 + i} for i, name in enumerate(names)))
    rows = rows.with_columns(p_value=pl.lit(None, pl.Float64))
    found = differences.Compared(comparison(0, 0, 0), found_in(rows), "a")
    assert comparing.group_rows(found)["group"].to_list() == names


def found_in(rows: pl.DataFrame) -> Any:
    return SimpleNamespace(groups=rows.rename({"difference": "change"}))


# The page


MAKERS: dict[str, Callable[[Path], Path]] = {"small": stores.small, "demo": stores.demo}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Open:
    def open_page(name: str, **query: str | list[str]) -> AppTest:
        monkeypatch.setenv("BUDGETSCOPE_DB", str(stores.to_read(MAKERS[name])))
        return run_page("compare", **query)

    return open_page


def words(app: AppTest) -> str:
    assert not app.exception, app.exception[0].value
    found = [*app.markdown, *app.caption, *app.warning]
    return "\n".join(str(element.value) for element in found).replace("\\", "")


def table(app: AppTest, column: str) -> Any:
    return next(each.value for each in app.dataframe if column in each.value.columns)


def test_the_page_opens_on_the_recommended_setting_against_the_cheapest_that_works(opened: Open) -> None:
    app = opened("demo")
    said = words(app)
    assert (
        "# Self-consistency ×12 up to 256 tokens is measurably better than Direct up to 32 tokens: +22 points" in said
    )
    assert "Same 60 questions for both" in said
    assert not app.query_params
    assert len(app.multiselect(key="compare.b").value) == 1
    html = "\n".join(str(each.proto.body) for each in app.get("html"))
    assert "21 won</b> · 15 both right · 16 both wrong · " in html


def test_three_settings_stand_beside_a_baseline_and_a_fourth_is_left_out(opened: Open) -> None:
    app = opened("demo")
    b = app.multiselect(key="compare.b")
    cells = engine.open(app_database(app)).cells(task="gym:chain_sum/easy", study="demo").filter(budget=64)
    names = [f"{row}~64" for row in cells["condition_id"].to_list()]
    a, *others = names[:5]
    app = opened("demo", a=a, b=others)
    assert app.multiselect(key="compare.b").value == others[:3]
    said = words(app)
    assert "3 settings fit beside a baseline" in said
    assert "Same 60 questions for all four" in said
    assert "p is corrected for three comparisons" in said
    assert b.value != others


def app_database(app: AppTest) -> str:
    import os

    return os.environ["BUDGETSCOPE_DB"]


def test_a_link_restores_settings_grouping_and_what_is_open(opened: Open) -> None:
    app = opened("demo", task="gym:gcd/easy")
    a, b = app.selectbox(key="compare.a").value, app.multiselect(key="compare.b").value
    # Turned around.
    query: dict[str, Any] = {"a": b[0], "b": [a], "by": "result", "open": ["others", "savings", "spend", "next"]}
    query |= {"per_day": "5000", "zone": "FRA"}
    again = opened("demo", task="gym:gcd/easy", axis="own", **query)
    said = words(again)
    for name, value in query.items():
        assert again.session_state[f"compare.{name}"] == value
    assert "5,000 questions a day like these" in said
    assert "41.44 g CO2e per kWh (FRA)" in said
    assert "p, Holm counts all" in said
    assert "next percentage point" in said or "another percentage point" in said
    assert table(again, "A month").iloc[:, 0].tolist()[:3] == ["Cost", "Energy, kWh", "Carbon, kg CO2e"]
    assert "p, Holm" in table(again, "p, Holm").columns
    assert table(again, "Spend").shape[0] == 6


def test_other_prices_change_what_is_spent_and_nothing_else(opened: Open) -> None:
    names = engine.open(ROOT / "results.duckdb").snapshots()["name"]
    app = opened("demo", open="spend")
    before, heading = table(app, "Spend"), words(app).splitlines()[0]
    app = opened("demo", open="spend", whatif=next(name for name in names if "smollm2" in name), times="10")
    after = table(app, "Spend")
    cost = before["Spend"].str.startswith("Cost")
    assert (before[~cost] == after[~cost]).all().all()
    assert (before[cost]["Setting"] != after[cost]["Setting"]).all()
    assert heading in words(app)


def test_another_task_brings_its_own_settings_without_a_complaint(opened: Open) -> None:
    app = opened("demo")
    assert app.session_state["compare.by"] == "target"
    app.selectbox(key="compare.task").set_value("gym:syllogism/easy").run()
    assert app.session_state["compare.by"] == "target"
    app.selectbox(key="compare.task").set_value("gym:gcd/easy").run()
    assert "not there" not in words(app)
    assert app.selectbox(key="compare.task").value == "gym:gcd/easy"
    assert app.query_params["task"] == "gym:gcd/easy"


def test_a_setting_that_is_gone_is_explained(opened: Open) -> None:
    said = words(opened("small", a="gone~1", by="<b>"))
    assert "This link asks for a = 'gone~1', which is not there" in said
    assert "This link asks for by = '…', which is not there" in said


def test_a_setting_is_not_compared_with_itself(opened: Open) -> None:
    a = opened("small").selectbox(key="compare.a").value
    app = opened("small", a=a, b=a)
    assert "The same setting twice" in words(app)
    assert app.multiselect(key="compare.b").value not in ([], [a])


def test_a_link_to_the_cheapest_setting_puts_another_one_as_its_baseline(opened: Open) -> None:
    first = opened("demo")
    cheap, best = first.selectbox(key="compare.a").value, first.multiselect(key="compare.b").value
    app = opened("demo", b=[cheap])
    assert app.selectbox(key="compare.a").value == best[0]
    assert app.multiselect(key="compare.b").value == [cheap]
    assert "twice" not in words(app)


def test_unknown_energy_stays_unknown_until_a_size_is_typed(opened: Open) -> None:
    app = opened("small", open="savings")
    month = table(app, "A month")
    assert month.loc[month["A month"] == "Energy, kWh", "Baseline"].item() == "unknown"
    assert "size not known: scripted/" in words(app)
    app.text_input(key="compare.size").set_value("8").run()
    month = table(app, "A month")
    assert month.loc[month["A month"] == "Energy, kWh", "Baseline"].item() != "unknown"
    assert app.query_params["size"] == "8"


@pytest.mark.parametrize(("name", "text"), [("per_day", "many"), ("per_day", "-3"), ("per_day", "nan"), ("size", "x")])
def test_what_is_no_number_is_explained(opened: Open, name: str, text: str) -> None:
    app = opened("small", **{"open": "savings", name: text})
    assert not app.exception
    assert app.warning


def test_simulated_answers_are_called_so(opened: Open) -> None:
    assert "Simulated model" in words(opened("small"))


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
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=180)
    app.switch_page("views/compare.py")
    app.run()
    assert not app.exception
    assert app.selectbox(key="compare.by").options[0] == "kind of question"
    assert not [each for each in pages.texts(app) if re.search(r"(?<!\\)[<\[$]", each)]


def test_months_of_two_cells_come_from_the_analysis() -> None:
    demo = stores.to_read(stores.demo)
    found = engine.open(demo)
    cells = found.cells(task="gym:gcd/easy").filter(pl.col("budget") == 2048)
    a, b = (Cell(*row) for row in cells.select("condition_id", "budget", "axis").rows()[:2])
    db, lineups = Database(str(demo), (1, 1, 1, 1)), tuple(sorted(set(found.conditions()["lineup"])))
    told = comparing.month(db, "*", a, b, lineups, Month("1,000", "WOR", ""))
    plain = found.savings(a, b, 1000, replicates=REPLICATES, study="*")
    assert told.lines.equals(plain.lines)
    assert comparing.unknown_sizes(lineups) == ()
    with pytest.raises(UsageError, match="A size is billions of parameters"):
        comparing.month(db, "*", a, b, lineups, Month("1", "WOR", "big"))


def test_questions_that_a_run_stores_while_a_page_is_drawn_are_shown_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = stores.small(tmp_path / "results.duckdb", questions=4)
    monkeypatch.setenv("BUDGETSCOPE_DB", str(db))
    before = queries.state()
    # Another session reads the questions; then more come in, and this page still goes by the file as it was.
    few = queries.questions(before).height
    stores.small(db, questions=12)
    monkeypatch.setattr(queries, "state", lambda: before)
    page = run_page("compare", open=["flips"])
    assert not page.exception
    assert len(queries.asked(before, ["nobody's"])) > few
