"""Prices and energy chosen on a page: what a link says, the lens it becomes, and the numbers that follow."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

from dashboard import figures
from dashboard.data import lens as lenses
from dashboard.data.lens import PLAIN, Looking, Models
from dashboard.figures import AXES
from dashboard.figures.marks import cut_line
from dashboard.widgets import url_state
from dashboard.widgets.price_panel import PARAMS, ZONES, params
from engine.analysis import STORED
from engine.core.records import Price
from engine.models.energy import GRID, energy, size
from tests import ROOT
from tests.support import figure_frames, stores
from tests.support.pages import run_page

APP = ROOT / "dashboard" / "app.py"
ADDER, SURE = "scripted/adder", "scripted/sure-adder"
MODELS = Models((ADDER, SURE), ((ADDER, Price(150_000, 600_000)),))
Open = Callable[..., AppTest]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Open:
    def open_page(view: str = "explore", **query: str | list[str]) -> AppTest:
        monkeypatch.setenv("BUDGETSCOPE_DB", str(stores.to_read(stores.small)))
        return run_page(view, **query)

    return open_page


def words(app: AppTest) -> str:
    assert not app.exception, app.exception[0].value
    return "\n".join(str(e.value) for e in (*app.markdown, *app.caption, *app.warning)).replace("\\", "")


def test_the_plain_view_is_the_stored_prices_and_says_nothing() -> None:
    assert lenses.build(PLAIN, MODELS) == (STORED, [])
    assert lenses.caption(PLAIN, MODELS) == lenses.said(PLAIN, "usd") == lenses.said(PLAIN, "wh") == ""


def test_a_factor_multiplies_the_stored_price_of_one_model_and_labels_it_assumed() -> None:
    looking = Looking(whatif=ADDER, times="2")
    lens, problems = lenses.build(looking, MODELS)
    assert not problems
    ((name, price),) = lens.prices
    assert (name, price.input_pusd, price.output_pusd, price.assumed) == (ADDER, 300_000, 1_200_000, True)
    assert lenses.said(looking, "usd") == " at 2× price of adder"
    assert lenses.said(looking, "calls") == ""


def test_a_factor_multiplies_the_own_price_where_one_is_entered() -> None:
    lens, _ = lenses.build(Looking("own", ((SURE, 1.0, 3.0),), SURE, "0.5"), MODELS)
    assert dict(lens.prices)[SURE].output_pusd == 1_500_000


def test_a_factor_on_a_price_nobody_knows_is_explained_and_leaves_it_unknown() -> None:
    lens, problems = lenses.build(Looking(whatif=SURE, times="2"), MODELS)
    assert lens == STORED
    assert problems == ["No price of sure-adder is known, so there is nothing to multiply; enter one as your own."]
    assert "sure-adder unknown" in lenses.caption(Looking(whatif=SURE, times="2"), MODELS)


def test_a_level_of_service_keeps_the_stored_price_where_the_list_has_none_and_says_so() -> None:
    known = Models(("openai/gpt-5.4", ADDER), ((ADDER, Price(1, 2)),))
    lens, problems = lenses.build(Looking("batch"), known)
    assert dict(lens.prices)["openai/gpt-5.4"].input_pusd == 1_250_000
    assert ADDER not in dict(lens.prices)
    assert problems == ["The list has no batch price of adder; what is stored is kept."]
    assert lenses.said(Looking("batch"), "usd") == " at batch prices"
    assert "above 272,000 input tokens $2.50 in, $11.25 out" in lenses.caption(Looking("batch"), known)


def test_energy_is_figured_only_with_a_grid_and_only_for_models_of_known_size() -> None:
    sizes = ((ADDER, 3.0, 30.0),)
    assert not lenses.build(Looking(sizes=sizes), MODELS)[0].energy
    looking = Looking(zone="FRA", sizes=sizes)
    lens, _ = lenses.build(looking, MODELS)
    assert dict(lens.energy) == {ADDER: energy(size(3.0, 30.0)).middle}
    assert lenses.said(looking, "wh") == ", linear form after EcoLogits, zone FRA"
    assert "sure-adder unknown size" in lenses.caption(looking, MODELS)


def test_every_grid_that_is_known_can_be_chosen_by_name() -> None:
    assert set(ZONES) == set(GRID)


@pytest.mark.parametrize(
    ("text", "sizes", "why"),
    [
        ("nobody=1/2", False, "a model that is not there"),
        (f"{ADDER}=1", False, "INPUT/OUTPUT"),
        (f"{ADDER}=-1/2", False, "INPUT/OUTPUT"),
        (f"{ADDER}=nan/2", False, "INPUT/OUTPUT"),
        (f"{ADDER}=1e99/2", False, "INPUT/OUTPUT"),
        (f"{ADDER}=7/3", True, "ACTIVE/TOTAL"),
        (f"{ADDER}=0", True, "ACTIVE/TOTAL"),
        ("=", True, "a model that is not there"),
    ],
)
def test_a_price_or_size_that_is_none_is_explained(text: str, sizes: bool, why: str) -> None:
    found, problems = lenses.read([text], MODELS.names, sizes=sizes)
    assert not found
    assert len(problems) == 1
    assert why in problems[0]


@given(some.lists(some.text(max_size=200), max_size=40), some.booleans())
def test_no_text_of_a_link_does_harm(texts: list[str], sizes: bool) -> None:
    found, problems = lenses.read([*texts, *(f"{ADDER}={text}" for text in texts)], MODELS.names, sizes=sizes)
    assert len(found) + len(problems) <= lenses.MOST
    own = tuple((name, *pair) for name, pair in found.items())
    lenses.build(Looking(zone="WOR", sizes=own) if sizes else Looking("own", own), MODELS)


def test_what_is_chosen_survives_the_address() -> None:
    mine = params(MODELS)
    values = {
        "prices": "own",
        "price": [f"{ADDER}=1/2"],
        "whatif": SURE,
        "times": "10",
        "cached": "own",
        "zone": "FRA",
        "size": [f"{SURE}=3/30"],
        "end": "high",
    }
    query = url_state.written(mine, values)
    assert url_state.parse(mine, query) == (values, [])
    assert url_state.written(mine, url_state.parse(mine, {})[0]) == {}
    assert {param.name for param in PARAMS} == set(values)


def test_twice_the_price_is_twice_the_cost(opened: Open) -> None:
    def costs(app: AppTest) -> dict[tuple[str, str], float]:
        words(app)
        rows = app.dataframe[0].value.to_dict("records")
        return {(row["Setting"], row["Budget"]): row["Cost per 1,000, $"] for row in rows}

    before, after = costs(opened(x="usd")), opened(x="usd", whatif=ADDER, times="2")
    assert "at 2× price of adder" in words(after)
    assert "some prices are assumed" in words(after)
    for cell, cost in costs(after).items():
        assert cost == pytest.approx(before[cell] * (2 if cell[0].endswith("· adder") else 1), rel=0.01)
    assert any(cell[0].endswith("· adder") for cell in before)


def test_the_energy_axis_says_how_to_switch_it_on_then_what_to_enter_then_shows_wh_and_co2e(opened: Open) -> None:
    off = opened(x="wh")
    assert "Energy is not figured yet" in words(off)
    off.selectbox(key="explore.zone").set_value("FRA").run()
    assert "No size is known for these models" in words(off)
    assert off.query_params["zone"] in ("FRA", ["FRA"])
    off.number_input(key=f"explore.size.{ADDER}.0").set_value(1.0).run()
    assert off.query_params["size"] in (f"{ADDER}=1/1", [f"{ADDER}=1/1"])
    assert "zone FRA" in words(off)
    rows = off.dataframe[0].value.to_dict("records")
    known = [row for row in rows if row["Setting"].endswith("· adder")]
    assert known and all(
        row["CO2e, g per 1,000 questions"] == pytest.approx(row[AXES["wh"].title] * 0.04144, rel=0.02) for row in known
    )


def test_a_curve_is_read_on_the_energy_axis_once_sizes_are_said(opened: Open) -> None:
    assert "Energy is not figured yet" in words(opened("budgets", axis="wh"))
    said = words(opened("budgets", axis="wh", zone="WOR", size=[f"{ADDER}=1", f"{SURE}=70"]))
    assert "most accurate" in said and " Wh" in said
    assert "linear form after EcoLogits" in said


def test_a_size_known_as_a_range_is_figured_at_either_end_or_half_way() -> None:
    models = lenses.Models(("openai/gpt-4o", "local/smollm2-135m-instruct"))
    figured = {}
    for end, word in lenses.ENDS.items():
        looking = Looking(zone="WOR", end=end)
        figured[end] = dict(lenses.build(looking, models)[0].energy)["openai/gpt-4o"]
        assert f"({word.lower()} is shown)" in lenses.caption(looking, models)
        assert figured[end].assumed
    low, middle, high = (figured[end].output_pwh for end in ("low", "middle", "high"))
    assert low < middle == (low + high) // 2 < high
    assert lenses.said(Looking(zone="WOR", end="high"), "wh").endswith("zone WOR, largest sizes")
    assert lenses.ranged(looking, models.names)
    assert not lenses.ranged(looking, models.names[1:])


@pytest.mark.parametrize("view", ["explore", "budgets"])
def test_rubbish_in_an_address_is_explained_and_changes_nothing(opened: Open, view: str) -> None:
    rubbish = {
        "zone": "XXX",
        "times": "1e9",
        "whatif": "gpt-9",
        "prices": "free",
        "price": [f"{ADDER}=<b>/2"],
        "size": ["nobody=3"],
    }
    app = opened(view, **rubbish)
    said = words(app)
    for part in (
        "zone = 'XXX'",
        "times = '1e9'",
        "whatif = 'gpt-9'",
        "prices = 'free'",
        "dollars per million",
        "'nobody'",
    ):
        assert part in said, part
    assert "<b>/2" not in said
    assert app.session_state[f"{view}.zone"] is None


def test_a_cell_says_what_share_was_cut_off_and_what_the_others_came_to() -> None:
    row = {
        "n_questions": 10,
        "n_trials": 10,
        "n_right": 4,
        "n_wrong": 2,
        "n_none": 2,
        "n_exhausted": 2,
        "n_failed": 2,
        "n_stopped": 0,
        "n_censored": 0,
        "accuracy_finished": 4 / 6,
        "accuracy_finished_low": 0.3,
        "accuracy_finished_high": 0.9,
    }
    assert cut_line(row) == "25% cut off by the budget · 25% no answer · 20% failed · 67% of the others right"


def test_what_an_axis_rests_on_stands_in_its_title_letter_by_letter() -> None:
    info = figures.frontier_info(figure_frames.frame(figure_frames.cell()), x="usd", said=" at 2× price of <b>$x$")
    titles = [note.text for note in figures.frontier_figure(info).layout.annotations]
    assert any(" at 2× price of &lt;b&gt;&#36;x&#36;, log scale" in title for title in titles)
