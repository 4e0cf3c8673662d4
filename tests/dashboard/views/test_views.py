"""Every page on every kind of database: no exception, and the sentences that matter."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

import engine
from dashboard import moved, theme
from dashboard.data import queries
from dashboard.text import exports
from dashboard.widgets import controls
from tests import ROOT
from tests.support import stores
from tests.support.pages import run_page

APP = ROOT / "dashboard" / "app.py"
MAKERS: dict[str, Callable[[Path], Path]] = {
    "empty": stores.empty,
    "one trial": stores.one_trial,
    "all wrong": stores.all_wrong,
    "all failed": stores.all_failed,
    "small": stores.small,
    "mixed": stores.mixed,
    "demo": stores.demo,
}
EMPTY = "No answer is stored here yet"
UNTOLD = "No prompt of this study states a budget yet"
STATED = {
    "one trial": UNTOLD,
    "all wrong": UNTOLD,
    "all failed": UNTOLD,
    "small": " stated budget",
    "mixed": UNTOLD,
    "demo": "ignores a stated budget: from 16 to 256 stated tokens",
}
"""What the second half of Budgets must say."""
SAYS: dict[str, dict[str, str]] = {
    "explore": {
        "empty": EMPTY,
        "one trial": "No setting answered a question right here",
        "all wrong": "No setting answered a question right here",
        "all failed": "No answer is scored here: 3 failed",
        "small": "Use ",
        "mixed": "is as accurate as any",
        "demo": "Use Self-consistency ×12",
    },
    "budgets": {
        "empty": EMPTY,
        "one trial": "No setting answered a question right here",
        "all wrong": "No setting answered a question right here",
        "all failed": "No answer is scored here: 3 failed",
        "small": "most accurate on",
        "mixed": "4 of 12 settings shown",
        "demo": "settings shown",
    },
    "compare": {
        "empty": EMPTY,
        "one trial": "One setting, Direct, up to 64 tokens: nothing to compare it with yet",
        "all wrong": "too close to call: none is ahead",
        "all failed": "No answer is scored here: 3 failed",
        "small": "is measurably better than Stated budget",
        "mixed": "Same 4 questions for both",
        "demo": "is measurably better than Direct",
    },
    "answers": {
        "empty": EMPTY,
        "one trial": "No answer after one call",
        "all wrong": "Answers 1–6 of 6 shown",
        "all failed": "Answers 1–3 of 3 shown",
        "small": "Answers 1–12 of 12 shown",
        "mixed": "Answers 1–4 of 4 shown",
        "demo": "Answers 1–",
    },
    "runs": dict.fromkeys(MAKERS, "Start a run: what, who, how much"),
}
"""What each page must say on each database of MAKERS when it is opened."""
ELSEWHERE = {
    "help": "views/test_help.py",
    "snapshot": "data/test_frozen.py",
    "thought": "views/test_thought_page.py",
    "tokens": "views/test_tokens_page.py",
}
"""Pages that show no results of the database, by the file that tests them."""
VIEWS = tuple(SAYS)
READING = tuple(view for view in VIEWS if view != "runs")
"""Pages that show what is stored, and nothing where nothing is."""
Open = Callable[..., AppTest]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Open:
    def open_page(name: str, view: str = "explore", **query: str | list[str]) -> AppTest:
        monkeypatch.setenv("BUDGETSCOPE_DB", str(stores.to_read(MAKERS[name]) if name in MAKERS else name))
        return run_page(view, **query)

    return open_page


def words(app: AppTest) -> str:
    """Everything the page says, without the escapes of its Markdown."""
    assert not app.exception, app.exception[0].value
    found = [*app.markdown, *app.caption, *app.warning, *app.code, *app.metric]
    return "\n".join(str(element.value) for element in found).replace("\\", "")


def test_every_file_of_views_is_in_the_menu_and_tested() -> None:
    files = {path.stem for path in APP.parent.glob("views/*.py")} - {"__init__"}
    pages = {name for name, _, _ in (*moved.PAGES, *moved.UNLISTED)}
    assert files == pages, "every page stands in PAGES or UNLISTED of dashboard/moved.py"
    assert files == {*SAYS, *ELSEWHERE}, "what a page says on each database stands in SAYS of this file"


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", MAKERS)
def test_every_page_opens_on_every_database(opened: Open, name: str, view: str) -> None:
    said = words(opened(name, view))
    assert "# " in said
    assert SAYS[view][name] in said


def test_every_page_opens_on_150_settings_and_its_heading_stays_short(opened: Open, tmp_path: Path) -> None:
    db = stores.many(tmp_path / "results.duckdb")
    for view in READING:
        said = words(opened(str(db), view))
        assert len(re.findall(r"^# (.+)$", said, re.M)[0].split()) <= 18, view


@pytest.mark.parametrize("view", READING)
@pytest.mark.parametrize("name", [None, "empty"])
def test_without_results_a_page_says_how_to_get_some(opened: Open, tmp_path: Path, view: str, name: str | None) -> None:
    said = words(opened(name or str(tmp_path / "none.duckdb"), view))
    assert ("There is no database at none.duckdb" if name is None else EMPTY) in said
    assert "Start a run on the Runs page or in a terminal" in said
    assert "budgetscope run first" in said


@pytest.mark.parametrize(
    ("name", "value", "way"),
    [
        ("BUDGETSCOPE_READ_ONLY", "1", "This dashboard starts no runs: start one in a terminal of its machine"),
        ("BUDGETSCOPE_LAUNCH_TOKEN", "0123456789-correct-horse", "Unlock the Runs page with the launch token"),
    ],
)
def test_where_no_run_can_be_started_no_page_says_to_start_one_here(
    opened: Open, monkeypatch: pytest.MonkeyPatch, name: str, value: str, way: str
) -> None:
    monkeypatch.setenv(name, value)
    for view in VIEWS:
        said = words(opened("empty", view))
        assert "Start a run" not in said and "starts one" not in said
        assert way in said or view == "runs"


def test_without_results_the_run_page_offers_a_run(opened: Open) -> None:
    assert "Launch" in [button.label for button in opened("empty", "runs").button]


@pytest.mark.parametrize("view", READING)
def test_a_file_that_is_no_database_is_named(opened: Open, tmp_path: Path, view: str) -> None:
    (tmp_path / "odd.duckdb").write_text("hello")
    assert "is not a DuckDB database" in words(opened(str(tmp_path / "odd.duckdb"), view))


@pytest.mark.parametrize("view", VIEWS)
def test_a_read_only_page_shows_the_same_and_starts_nothing(
    opened: Open, monkeypatch: pytest.MonkeyPatch, view: str
) -> None:
    monkeypatch.setenv("BUDGETSCOPE_READ_ONLY", "1")
    app = opened("small", view)
    assert ("Follow a run" if view == "runs" else SAYS[view]["small"]) in words(app)
    assert not {button.label for button in app.button} & {"Launch", "Start", "Resume"}


@pytest.mark.parametrize("view", VIEWS)
def test_a_part_of_the_address_that_means_nothing_is_explained(opened: Open, view: str) -> None:
    said = words(opened("small", view, bugdet="12"))
    assert "This link has a part 'bugdet' that this page does not know" in said
    assert ("Did it mean 'budget'?" in said) == (view in ("explore", "answers"))


def test_studies_under_different_budgets_share_a_frontier_and_keep_their_own_units(opened: Open) -> None:
    app = opened("mixed")
    assert app.button_group(key="explore.budget").options == [
        "All",
        "Up to 1 call",
        "Up to 4 calls",
        "Up to 32 tokens",
        "Up to 512 tokens",
        r"Up to \$0.00001",
        r"Up to \$0.001",
    ]
    app = opened("mixed", budget="calls:4")
    assert "4 of 12" in app.get("popover")[0].proto.popover.label
    found = words(opened("mixed", budget="4"))
    assert "This link asks for budget = '4', which is not there" in found


@pytest.mark.parametrize(("axis", "unit"), [("calls", "4 calls"), ("output_tokens", "512 tokens"), ("usd", "$0.001")])
def test_a_curve_is_drawn_once_and_under_its_own_budget_where_it_has_one(opened: Open, axis: str, unit: str) -> None:
    said = words(opened("mixed", "budgets", axis=axis))
    assert f"settings alike are most accurate on sums, 100% (45–100), up to {unit}" in said
    assert "4 of 12 settings shown" in said
    assert "others ran under budgets in another unit: choose it above" in said
    assert "read on this one" not in said


def test_a_curve_read_on_an_axis_nobody_ran_under_says_so(opened: Open) -> None:
    said = words(opened("mixed", "budgets", axis="total_tokens"))
    assert "4 ran under budgets on another axis and are read on this one" in said


def test_of_too_many_answers_curves_are_read_at_some_budgets_alone_and_say_so(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = "read at some budgets alone, as there are too many answers to read at all: straight in between"
    assert note not in words(opened("small", "budgets"))
    monkeypatch.setattr(queries, "STEPS", 10)
    asked: list[object] = []
    monkeypatch.setattr(queries, "curves", lambda *given: asked.append(given))
    said = words(opened(str(stores.small(tmp_path / "results.duckdb")), "budgets"))
    assert note in said and not asked


def test_the_home_page_states_a_finding_and_what_to_use_with_n_and_interval(opened: Open) -> None:
    said = words(opened("small"))
    bare = re.sub(r"[*\]]", "", said)
    assert re.search(r"Use [^:]+ up to [^:]+: \d+% \(\d+–\d+\)(?: for|,) [\d,.]+ output tokens", bare), bare
    assert "n = 12 questions" in said
    assert "simulated answers" in said


def test_the_filter_says_how_many_of_how_many_settings_are_shown(opened: Open) -> None:
    whole, part = opened("demo"), opened("demo", strategy="direct")
    assert "Filter" in whole.get("popover")[0].proto.popover.label
    assert "8 of 8" in whole.get("popover")[0].proto.popover.label
    assert "1 of 8" in part.get("popover")[0].proto.popover.label
    # Another study ran other strategies: a filter that it cannot show is not left in force.
    part.selectbox(key="explore.study").set_value("which_reading").run()
    assert "5 of 5" in part.get("popover")[0].proto.popover.label and "strategy" not in part.query_params


def test_the_filter_of_budgets_counts_in_the_run_that_changes_it(opened: Open) -> None:
    curves = opened("demo", "budgets")
    assert "32 of 32" in curves.get("popover")[0].proto.popover.label
    next(each for each in curves.button_group if each.key == "budgets.strategy").set_value(["direct"]).run()
    assert "4 of 32" in curves.get("popover")[0].proto.popover.label
    stated = opened("demo", "budgets", show="stated", task="gym:gcd/easy")
    assert "4 of 16" in stated.get("popover")[0].proto.popover.label


@pytest.mark.parametrize("view", ["explore", "compare", "budgets", "answers", "tokens", "thought"])
def test_a_page_that_opens_leaves_its_address_as_it_was_so_that_back_is_one_step(opened: Open, view: str) -> None:
    assert not opened("demo", view).query_params


def test_a_strategy_that_states_no_budget_filters_nothing_where_stated_budgets_are_shown(opened: Open) -> None:
    assert STATED["demo"] in words(opened("demo", "budgets", show="stated", strategy="direct"))


def test_the_pick_stands_in_the_panel_and_a_link_puts_another_point_there(opened: Open) -> None:
    app = opened("small")
    (panel,) = [html.proto.body for html in app.get("html") if 'class="bs-big"' in html.proto.body]
    assert "Where the tokens go" in panel and "Cut off by the budget" in panel and "Chance of being best" in panel
    assert any("Three of its answers" in html.proto.body for html in app.get("html"))
    pick = ringed(app)
    other = next(cell for cell in cells_of(app) if cell != pick)
    again = opened("small", cell=other)
    assert ringed(again) == other
    (moved,) = [html.proto.body for html in again.get("html") if 'class="bs-big"' in html.proto.body]
    assert moved != panel


def cells_of(app: AppTest) -> list[str]:
    spec = json.loads(app.get("plotly_chart")[0].proto.spec)
    return [f"{id}~{budget}" for t in spec["data"] if t.get("customdata") for id, budget in t["customdata"]]


def ringed(app: AppTest) -> str:
    """The point with the ring."""
    spec = json.loads(app.get("plotly_chart")[0].proto.spec)
    (ring,) = [t for t in spec["data"] if t.get("marker", {}).get("symbol") == "circle-open"]
    at = (ring["x"][0], ring["y"][0])
    places = {
        (x, y): f"{id}~{budget}"
        for t in spec["data"]
        if t.get("customdata")
        for x, y, (id, budget) in zip(t["x"], t["y"], t["customdata"], strict=True)
    }
    return places[at]


def test_at_first_more_of_the_pick_can_be_run_and_the_handles_leave_few_settings_and_move_with_the_axis(
    opened: Open,
) -> None:
    app = opened("demo")
    (more,) = [link.proto for link in app.get("page_link") if link.proto.label == "Run more"]
    asked = {"model": ["local/smollm2-135m"], "task": ["chain_sum"], "level": ["easy"], "questions": ["120"]}
    assert (more.page, parse_qs(more.query_string)) == ("runs", asked | {"strategy": ["self_consistency"]})
    most, least = (app.text_input(key=f"explore.{name}") for name in ("most", "least"))
    assert float(str(most.value)) > 0 and 0 < float(str(least.value)) < 100
    assert "most" not in app.query_params and "least" not in app.query_params
    before = most.value
    app.button_group(key="explore.x").set_value("calls").run()
    assert app.text_input(key="explore.most").value != before
    assert "most" not in app.query_params


def test_an_emptied_handle_is_off_in_the_address_too(opened: Open) -> None:
    app = opened("demo")
    app.text_input(key="explore.least").set_value("").run()
    assert app.query_params["least"] == "off"
    again = opened("demo", least="off", most="off")
    spec = json.loads(again.get("plotly_chart")[0].proto.spec)
    assert not [note for note in spec["layout"]["annotations"] if "at least" in note["text"]]


def test_limits_that_exclude_everything_name_the_nearest(opened: Open) -> None:
    said = words(opened("demo", most="20", least="99"))
    assert "Nothing reaches 99% within 20 output tokens" in said
    assert "the nearest is" in said


def test_a_handle_that_is_no_number_is_explained(opened: Open) -> None:
    assert "is no number of output tokens; the limit is left off" in words(opened("demo", most="lots"))


def test_what_mistakes_cost_turns_into_one_cheapest_setting(opened: Open) -> None:
    said = words(opened("small", open="stakes", wrong="0.5", second="0.001"))
    assert "At $0.50 a wrong answer, $0.50 a missing one and $0.001 a second" in said
    assert "costs least in all" in said and "per 1,000 questions" in said
    assert "is no number of dollars" in words(opened("small", open="stakes", wrong="lots"))
    assert "is a number of dollars from 0 on" in words(opened("small", open="stakes", wrong="-1"))
    assert "costs least" not in words(opened("small"))


def test_the_hull_is_drawn_when_it_is_asked_for(opened: Open) -> None:
    def stairs(**query: str) -> int:
        spec = json.loads(opened("demo", **query).get("plotly_chart")[0].proto.spec)
        return sum(trace.get("line", {}).get("shape") == "hv" for trace in spec["data"])

    assert (stairs(), stairs(line="hull")) == (1, 0)
    assert "the line is the convex hull" in words(opened("demo", line="hull"))


def test_a_link_restores_every_filter_and_the_point(opened: Open) -> None:
    query = {
        "x": "usd",
        "line": "hull",
        "budget": "largest",
        "model": ["scripted/adder"],
        "most": "5",
        "least": "12",
    }
    first = opened("small", task="file:more", **query)
    cell = cells_of(first)[0]
    again = opened("small", task="file:more", cell=cell, **query)
    words(again)
    for name, value in {**query, "task": "file:more", "cell": cell}.items():
        assert again.session_state[f"explore.{name}"] == value


def test_a_point_that_is_gone_is_explained(opened: Open) -> None:
    assert "This link asks for the point 'gone~1'" in words(opened("small", cell="gone~1"))


@pytest.mark.parametrize("name", STATED)
def test_the_second_half_of_budgets_opens_on_every_database(opened: Open, name: str) -> None:
    said = words(opened(name, "budgets", show="stated"))
    assert STATED[name] in said


def test_money_without_a_price_says_how_to_give_one(opened: Open) -> None:
    said = words(opened("one trial", x="usd"))
    assert "No price is known" in said
    assert "prices = {" in said


def test_without_a_price_no_budget_in_money_is_listed_and_answers_are_not_said_to_lack_a_score(opened: Open) -> None:
    app = opened("one trial", "budgets", axis="usd")
    said = words(app)
    assert "The cost of these settings is not known" in said and "No price is known" in said
    assert "scored" not in said and not app.dataframe


def test_an_assumed_price_is_called_assumed(opened: Open) -> None:
    assert "some prices are assumed" in words(opened("small", x="usd"))


@pytest.mark.parametrize("view", ["explore", "compare"])
def test_where_all_failed_a_page_leads_to_the_answers_that_say_why(opened: Open, view: str) -> None:
    assert "Read the answers" in [link.proto.label for link in opened("all failed", view).get("page_link")]


def test_a_row_without_a_scored_answer_that_is_chosen_says_why_and_leads_to_its_answers(opened: Open) -> None:
    (condition,) = engine.open(stores.to_read(stores.all_failed)).cells()["condition_id"].unique()
    app = opened("all failed", cell=f"{condition}~64")
    assert "No answer of it is scored: 3 failed" in words(app)
    assert "Read answers" in [link.proto.label for link in app.get("page_link")]


def test_a_search_that_finds_nothing_does_not_say_that_nothing_is_stored(opened: Open) -> None:
    assert "# No answer of this setting matches" in words(opened("small", "answers", find="nowhere"))


def test_that_answers_are_simulated_is_said_once_where_one_model_gave_them(opened: Open) -> None:
    assert "adder (simulated) · n = 1 question" in words(opened("one trial"))
    assert "simulated answers" not in words(opened("one trial"))


def test_the_number_of_questions_won_is_written_in_the_ink_of_a_text(opened: Open) -> None:
    told = "".join(str(each.proto.body) for each in opened("all wrong", "compare").get("html"))
    mark, ink = theme.strategy_colours(["direct"])["direct"], theme.label_colours(["direct"])["direct"]
    assert f'<b style="color:{ink}">0 won</b>' in told and mark != ink


@pytest.mark.parametrize("name", ["one trial", "all wrong"])
def test_where_no_prompt_states_a_budget_the_strategy_has_its_name_and_a_way_to_run_it(opened: Open, name: str) -> None:
    app = opened(name, "budgets", show="stated")
    assert "Run Stated budget, whose prompt names a number of tokens" in words(app)
    assert "Start a run" in [link.proto.label for link in app.get("page_link")]


def test_failed_trials_are_counted_and_not_scored(opened: Open) -> None:
    said = words(opened("all failed"))
    assert "0.0%" not in said


def test_a_point_that_is_alone_stands_in_the_panel_without_a_click_and_says_why_it_has_no_cost(opened: Open) -> None:
    app = opened("one trial")
    assert "Read answers" in [link.proto.label for link in app.get("page_link")]
    # Without any price a word says why, and no column of unknowns.
    assert set(app.dataframe[0].value["Cost per 1,000"]) == {"free (simulated)"}


def test_everything_wrong_is_zero_and_not_nothing(opened: Open) -> None:
    assert "0%" in words(opened("all wrong"))


def test_curves_name_the_leader_of_each_task(opened: Open) -> None:
    said = words(opened("small", "budgets"))
    assert "No setting alone is most accurate on any of 2 tasks, up to 512 tokens" in said
    by = r"\d+% \(\d+–\d+\) by \d settings alike"
    assert re.search(rf"more {by}; sums {by}\. n = \d+ questions each", said)
    assert " is most accurate on all 4 tasks, up to 2,048 tokens" in words(opened("demo", "budgets"))


def test_curves_of_one_study_are_shown_and_of_all_when_asked_for(opened: Open) -> None:
    first = opened("demo", "budgets")
    studies = first.selectbox(key="budgets.study").options
    assert studies[-1] == "All studies"
    assert "32 of 32 settings shown" in words(first)
    every = words(opened("demo", "budgets", study="*"))
    # Two studies asked three tasks unlike questions: of these the one is shown that asked more settings.
    assert "60 of 61 settings shown, the most accurate" in every and "in another unit" not in every
    assert "Studies that asked unlike questions are not pooled" in every


def test_votes_are_averaged_over_orders_when_asked_for_and_the_page_says_so(opened: Open) -> None:
    said = "votes are averaged over 64 orders of their draws"
    assert said not in words(opened("small", "budgets", axis="calls")).lower()
    assert said in words(opened("small", "budgets", axis="calls", votes="orders")).lower()
    without = opened("small", "budgets", strategy="chain_of_thought")
    assert "budgets.votes" not in {group.key for group in without.button_group}


def test_curves_in_money_without_a_price_say_how_to_give_one(opened: Open) -> None:
    assert "prices = {" in words(opened("one trial", "budgets", axis="usd"))


def test_a_table_runs_nothing_in_a_spreadsheet() -> None:
    frame = pl.DataFrame({"name": ["=1+1", "fine", None], "runs": [["a", "b"], [], None], "n": [-1.5, 2.0, None]})
    assert exports.as_csv(frame).decode().splitlines() == ["name,runs,n", "'=1+1,a b,-1.5", 'fine,"",2.0', ",,"]
    assert exports.as_csv(pl.DataFrame({"=1+1": [1], "@b": [2]})).decode().splitlines()[0] == "'=1+1,'@b"


@pytest.mark.parametrize("name", ["[x](http://a)", "**b**", ":red[x]", "$a$", "<b>", ":material/delete:", "a\n# b"])
def test_names_are_shown_letter_by_letter(name: str) -> None:
    def page(name: str) -> None:
        import streamlit as st

        from dashboard.widgets import controls

        st.markdown(controls.literal(name))

    said = AppTest.from_function(page, args=(name,)).run().markdown[0].value
    assert not any(sign in said.replace(f"\\{sign}", "") for sign in "[]()*$<>:#" if sign in name)


def test_a_label_is_read_out_without_a_sign_that_it_does_not_need() -> None:
    assert controls.literal("Self-consistency ×12, qwen2.5_coder") == "Self-consistency ×12, qwen2.5_coder"
    assert controls.literal("- a --b _c_ 1. d") == "\\- a \\-\\-b \\_c\\_ 1\\. d"


def test_a_link_to_the_only_study_there_is_opens_it_without_a_word(opened: Open) -> None:
    app = opened("small", study="made")
    assert not app.warning and app.query_params["study"] == "made"


@pytest.mark.parametrize(
    ("view", "says"), [("explore", "has a scored answer"), ("budgets", "nothing is scored"), ("tokens", "scored yet")]
)
def test_where_all_failed_no_page_points_at_something_to_click(opened: Open, view: str, says: str) -> None:
    app = opened("all failed", view, **({"show": "study"} if view == "tokens" else {}))
    told = words(app) + "".join(chart.proto.spec for chart in app.get("plotly_chart"))
    assert says in told and "Click a" not in told and "1 points" not in told
