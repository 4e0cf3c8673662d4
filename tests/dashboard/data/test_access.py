"""Who may spend: who has the launch token's cookie; without a token whoever reaches this machine, where its owner said
so; others look."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit import config
from streamlit.runtime import Runtime
from streamlit.testing.v1 import AppTest

from dashboard.data import access, door, runs
from engine.cli import launch, main, serve
from engine.cli.launch import LAUNCH_TOKEN
from engine.core.errors import RunError
from engine.runs.worker import prepare
from tests import ROOT
from tests.dashboard.data.test_runs import TOKEN, wanted
from tests.support.pages import shown_bytes

APP = ROOT / "dashboard" / "app.py"
Open = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (LAUNCH_TOKEN, serve.READ_ONLY):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(serve.NO_TOKEN, "1")
    before = config.get_option("server.address")
    yield
    config.set_option("server.address", before)


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """The Run page of a server bound to an address, beside a database with one run that never started."""

    def open_page(address: str | None, token: str | None = None, **environment: str) -> AppTest:
        monkeypatch.setenv("BUDGETSCOPE_DB", str(tmp_path / "results.duckdb"))
        for name, value in {LAUNCH_TOKEN: token, **environment}.items():
            if value is not None:
                monkeypatch.setenv(name, value)
        config.set_option("server.address", address)
        if not runs.runs(tmp_path / "results.duckdb"):
            prepare(wanted(), tmp_path / "results.duckdb")
        app = AppTest.from_file(str(APP), default_timeout=180)
        app.switch_page("views/runs.py")
        return app.run()

    return open_page


def told(app: AppTest) -> str:
    assert not app.exception, app.exception[0].value
    return "\n".join(str(each.value) for each in [*app.info, *app.warning, *app.error]).replace("\\", "")


def offers(app: AppTest) -> set[str]:
    """What the page lets one press, the form's own label left out."""
    return {button.label for button in app.button} & {"Launch", "Resume", "Stop", "Start"}


def served(monkeypatch: pytest.MonkeyPatch, cookies: dict[str, str] | None = None, **headers: str) -> None:
    """As if a server ran and this browser had opened the page."""
    monkeypatch.setattr(Runtime, "_instance", object())
    monkeypatch.setattr(type(st.context), "headers", headers)
    monkeypatch.setattr(type(st.context), "cookies", cookies or {})


def test_on_loopback_runs_can_be_started_where_no_token_is_wanted(opened: Open) -> None:
    app = opened("127.0.0.1")
    assert offers(app) == {"Launch"}
    assert "launch token" not in told(app)


@pytest.mark.parametrize("flag", ["", "1"])
def test_reachable_from_outside_without_a_token_it_only_shows(
    flag: str, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened("0.0.0.0", BUDGETSCOPE_READ_ONLY="1", BUDGETSCOPE_NO_TOKEN=flag)
    assert offers(app) == set()
    assert "reached from other machines and has no launch token" in told(app)


def test_started_without_budgetscope_it_only_shows_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    served(monkeypatch)
    monkeypatch.delenv(serve.NO_TOKEN)
    config.set_option("server.address", "127.0.0.1")
    assert access.closed() == door.BARE


@pytest.mark.parametrize(
    ("address", "spends"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        (None, False),
        ("", False),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.4", False),
        ("unix:///tmp/s.sock", False),
        ("example.org", False),
    ],
)
def test_the_address_the_server_is_bound_to_decides(
    address: str | None, spends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    served(monkeypatch)
    config.set_option("server.address", address)
    assert access.may_spend() is spends


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1"])
def test_with_a_token_a_browser_starts_runs_only_with_its_cookie(
    address: str, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = opened(address, TOKEN)
    assert offers(app) == set()
    assert "open the link that budgetscope printed" in told(app)
    drawn: Any = app.get("html")
    assert '<a href="/login" target="_self">' in "".join(each.body for each in drawn)
    name, value = launch.cookie(TOKEN)
    for wrong in ({name: value[:-1]}, {name: TOKEN}, {f"{name}x": value}, dict([launch.cookie(f"{TOKEN}x")])):
        served(monkeypatch, wrong)
        assert access.closed() == door.LOCKED
    served(monkeypatch, {name: value})
    assert access.closed() is None


def test_a_browser_with_the_cookie_sees_the_buttons(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(st.context), "cookies", dict([launch.cookie(TOKEN)]))
    app = opened("127.0.0.1", TOKEN)
    assert offers(app) == {"Launch"}
    assert TOKEN.encode() not in shown_bytes(app)
    assert TOKEN not in repr(app.session_state.to_dict())


def test_a_short_token_opens_nothing(opened: Open) -> None:
    app = opened("0.0.0.0", "short")
    assert offers(app) == set()
    assert "fewer than 16 characters" in told(app)


def test_read_only_stays_read_only_whatever_is_known(opened: Open) -> None:
    app = opened("127.0.0.1", TOKEN, BUDGETSCOPE_READ_ONLY="1")
    assert offers(app) == set()
    assert "This dashboard is read-only" in told(app)


@pytest.mark.parametrize(
    ("headers", "spends"),
    [
        ({}, True),
        ({"Host": "localhost:8501"}, True),
        ({"Host": "[::1]:8501"}, True),
        ({"Host": "127.0.0.1"}, True),
        ({"Host": "budget.example.org"}, False),
        ({"Host": "localhost:8501", "X-Forwarded-For": "203.0.113.9"}, False),
        ({"Forwarded": "for=203.0.113.9"}, False),
    ],
)
def test_somebody_behind_a_proxy_on_loopback_comes_from_outside(
    headers: dict[str, str], spends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    served(monkeypatch, None, **headers)
    config.set_option("server.address", "127.0.0.1")
    assert access.may_spend() is spends


DOORS: dict[str, Callable[[Any], object]] = {
    "start": lambda run: runs.start(wanted(), run.db),
    "resume": lambda run: runs.resume(run),
    "stop": lambda run: runs.stop(run),
    "settle": lambda run: runs.settle(run.db),
}


@pytest.mark.parametrize("door", DOORS)
def test_every_door_behind_the_buttons_asks_too(door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = prepare(wanted(), tmp_path / "r.duckdb")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    monkeypatch.setenv(LAUNCH_TOKEN, TOKEN)
    with pytest.raises(RunError, match="launch token"):
        DOORS[door](run)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_a_button_that_is_left_from_before_starts_nothing(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened("127.0.0.1")
    monkeypatch.setenv("BUDGETSCOPE_READ_ONLY", "1")
    [button] = [button for button in app.button if button.label == "Launch"]
    assert offers(button.click().run()) == set()
    assert len(runs.runs(Path(os.environ["BUDGETSCOPE_DB"]))) == 1


def test_a_run_is_given_the_keys_and_never_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")
    monkeypatch.setenv(LAUNCH_TOKEN, TOKEN)
    given = access.run_environment()
    assert given["OPENAI_API_KEY"] == "sk-from-the-environment"
    assert TOKEN not in repr(given)


def test_the_server_refuses_a_short_token_before_it_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(LAUNCH_TOKEN, "short")
    assert main(["--host", "0.0.0.0"]) == 2
    said = capsys.readouterr().err
    assert "BUDGETSCOPE_LAUNCH_TOKEN has fewer than 16 characters" in said
    assert "short" not in said.replace("shorter", "")


@pytest.mark.parametrize(
    ("host", "token", "locked"), [("0.0.0.0", "", "1"), ("0.0.0.0", TOKEN, ""), ("127.0.0.1", "", "")]
)
def test_a_server_others_can_reach_is_locked_unless_it_has_a_token(
    host: str, token: str, locked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LAUNCH_TOKEN, token)
    assert serve.environment(Path("r.duckdb"), host, serve.Wishes())[serve.READ_ONLY] == locked
    words = " ".join(serve.command(APP, host, 1))
    assert not token or token not in words
