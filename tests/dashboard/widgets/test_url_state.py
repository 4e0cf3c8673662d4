"""View state and the URL: what is written comes back, and what cannot be used is explained."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from dashboard.widgets.url_state import Param, parse, written

PARAMS = (
    Param("x", "output", ("output", "calls", "usd")),
    Param("model", (), ("a", "b", "c"), many=True),
    Param("cell"),
)
anything = st.fixed_dictionaries(
    {
        "x": st.sampled_from(["output", "calls", "usd"]),
        "model": st.lists(st.sampled_from(["a", "b", "c"]), unique=True).map(sorted),
        "cell": st.none() | st.text(min_size=1),
    }
)


@given(anything)
def test_what_is_written_comes_back(values: dict[str, Any]) -> None:
    assert parse(PARAMS, written(PARAMS, values)) == (values, [])


@given(st.dictionaries(st.text(), st.lists(st.text(), max_size=3), max_size=5))
def test_any_query_gives_usable_values(query: dict[str, list[str]]) -> None:
    values, _ = parse(PARAMS, query)
    assert values["x"] in ("output", "calls", "usd")
    assert set(values["model"] or ()) <= {"a", "b", "c"}


def test_defaults_are_left_out() -> None:
    assert written(PARAMS, {"x": "output", "model": [], "cell": None}) == {}


def test_the_order_of_clicks_does_not_show_in_the_address() -> None:
    assert written(PARAMS, {"model": ["c", "a"]}) == {"model": ["a", "c"]}


def test_a_pinned_value_is_written_even_when_it_is_the_default() -> None:
    pinned = (Param("task", "gcd", ("gcd", "lcm"), pinned=True),)
    assert written(pinned, {"task": "gcd"}) == {}
    assert written(pinned, {"task": "gcd"}, whole=True) == {"task": ["gcd"]}


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"modl": ["a"]}, "This link has a part 'modl' that this page does not know. Did it mean 'model'?"),
        ({"zzz": ["a"]}, "This link has a part 'zzz' that this page does not know."),
        ({"model": ["a", "q"]}, "This link asks for model = 'q', which is not there (any more)."),
        ({"x": ["time"]}, "This link asks for x = 'time', which is not there (any more)."),
        (
            {"x": ["Sign in again at https://evil.example"]},
            "This link asks for x = '…', which is not there (any more).",
        ),
        ({"x": ["https://evil.example/"]}, "This link asks for x = '…', which is not there (any more)."),
        ({"x": ["www.evil.example"]}, "This link asks for x = '…', which is not there (any more)."),
        ({"x": ["outputs"]}, "This link asks for x = 'outputs', which is not there (any more). Did it mean 'output'?"),
        ({"Please sign in": ["a"]}, "This link has a part '…' that this page does not know."),
    ],
)
def test_what_cannot_be_used_is_explained_in_one_sentence(query: dict[str, list[str]], sentence: str) -> None:
    assert parse(PARAMS, query)[1] == [sentence]


def test_the_part_of_a_list_that_is_there_is_used() -> None:
    assert parse(PARAMS, {"model": ["q", "b"]})[0]["model"] == ["b"]


def page() -> None:
    import streamlit as st

    from dashboard.widgets import url_state
    from dashboard.widgets.url_state import Param

    names = ["a", "b"] if st.session_state.get("shrunk") else ["a", "b", "c"]
    params = (Param("x", "u", ("u", "v")), Param("m", (), tuple(names), many=True))
    for problem in url_state.load("page", params):
        st.warning(problem)
    st.segmented_control("x", ["u", "v"], key="page.x", required=True)
    st.pills("m", names, key="page.m", selection_mode="multi")
    url_state.save("page", params)
    url_state.sent()


def opened(**query: Any) -> AppTest:
    app = AppTest.from_function(page)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def address(app: AppTest) -> dict[str, list[str]]:
    return {name: [value] if isinstance(value, str) else list(value) for name, value in app.query_params.items()}


def shown(app: AppTest) -> tuple[Any, list[Any], dict[str, list[str]]]:
    assert not app.exception
    return app.session_state["page.x"], app.session_state["page.m"], address(app)


def test_a_link_moves_the_controls() -> None:
    assert shown(opened(x="v", m=["a", "c"]))[:2] == ("v", ["a", "c"])


@pytest.mark.parametrize(("after_s", "told"), [(8, True), (60, False)])
def test_a_browser_that_draws_slowly_is_told_the_choice_of_a_link_again(
    after_s: float, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, now = opened(x="v"), time.monotonic()
    monkeypatch.setattr("dashboard.widgets.url_state.time.monotonic", lambda: now + after_s)
    app.run()
    assert app.button_group(key="page.x").proto.set_value is told


def test_a_control_moves_the_address() -> None:
    app = opened()
    app.button_group(key="page.x").set_value("v").run()
    app.button_group(key="page.m").set_value(["c", "a"]).run()
    assert shown(app) == ("v", ["c", "a"], {"x": ["v"], "m": ["a", "c"]})


def test_an_address_that_changed_under_us_wins() -> None:
    app = opened(x="v")
    app.query_params.clear()
    app.run()
    assert shown(app) == ("u", [], {})


def test_a_control_wins_over_an_address_that_is_late() -> None:
    app = opened()
    app.button_group(key="page.x").set_value("v").run()
    app.query_params.clear()
    app.button_group(key="page.m").set_value(["b"]).run()
    assert shown(app) == ("v", ["b"], {"x": ["v"], "m": ["b"]})


def test_a_bad_address_stays_as_given_until_a_control_moves() -> None:
    app = opened(x="nowhere", zz="1")
    assert len(app.warning) == 2
    assert address(app) == {"x": ["nowhere"], "zz": ["1"]}
    app.button_group(key="page.x").set_value("v").run()
    assert not app.warning
    assert address(app) == {"x": ["v"]}


def test_a_choice_the_data_no_longer_offers_is_dropped() -> None:
    app = opened(m=["a", "c"])
    app.session_state["shrunk"] = True
    app.run()
    assert shown(app)[1] == []


def parts() -> None:
    import streamlit as st

    from dashboard.widgets import controls, url_state
    from dashboard.widgets.url_state import Param

    x, m = Param("x", "u", ("u", "v", "w")), Param("m", (), ("a", "b"), many=True)
    # What follows is a part of the page: drawn alone, it fills nothing.
    if "whole" not in st.session_state:
        url_state.load("page", (x, m))
        st.session_state["whole"] = True
        controls.narrowed("page", x, ["v", "w"])
    controls.choose("page", x, "x")
    controls.choose_many("page", m, "m")
    url_state.save("page", (x, m))


def test_where_a_page_starts_is_not_written_and_what_a_part_of_it_chooses_is() -> None:
    app = AppTest.from_function(parts).run()
    assert app.session_state["page.x"] == "v" and address(app) == {}
    app.button_group(key="page.x").set_value("w").run()
    assert address(app) == {"x": ["w"]}


def test_a_control_says_its_value_as_its_default_for_a_popover_that_is_opened_late() -> None:
    app = AppTest.from_function(parts)
    app.query_params["m"] = "b"
    app.run().run()
    assert [*app.button_group(key="page.x").proto.default] == [1]
    assert [*app.button_group(key="page.m").proto.default] == [1]
