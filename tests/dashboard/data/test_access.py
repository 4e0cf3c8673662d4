"""Who may spend: loopback may, others look, and a launch token opens one session without ever being kept."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit import config
from streamlit.runtime import Runtime
from streamlit.testing.v1 import AppTest

from dashboard.data import access, runs
from dashboard.widgets import controls
from engine.cli import main, serve
from engine.core.errors import RunError
from engine.runs.worker import prepare
from tests import ROOT
from tests.dashboard.data.test_runs import ended, gone, wanted
from tests.support.shown_bytes import shown_bytes

APP = ROOT / "dashboard" / "app.py"
TOKEN = "0123456789-correct-horse"
Open = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (serve.LAUNCH_TOKEN, "BUDGETSCOPE_READ_ONLY"):
        monkeypatch.delenv(name, raising=False)
    access._failed.clear()
    before = config.get_option("server.address")
    yield
    access._failed.clear()
    config.set_option("server.address", before)


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """The Run page of a server bound to an address, beside a database with one run that never started."""

    def open_page(address: str | None, token: str | None = None, **environment: str) -> AppTest:
        monkeypatch.setenv("BUDGETSCOPE_DB", str(tmp_path / "results.duckdb"))
        for name, value in {serve.LAUNCH_TOKEN: token, **environment}.items():
            if value is not None:
                monkeypatch.setenv(name, value)
        config.set_option("server.address", address)
        if not runs.runs(tmp_path / "results.duckdb"):
            prepare(wanted(), tmp_path / "results.duckdb")
        app = AppTest.from_file(str(APP), default_timeout=60)
        app.switch_page("views/run.py")
        return app.run()

    return open_page


def told(app: AppTest) -> str:
    assert not app.exception, app.exception[0].value
    return "\n".join(str(each.value) for each in [*app.info, *app.warning, *app.error]).replace("\\", "")


def offers(app: AppTest) -> set[str]:
    """What the page lets one press, the form's own label left out."""
    return {button.label for button in app.button} & {"Launch", "Resume", "Stop", "Start"}


def enter(app: AppTest, typed: str) -> AppTest:
    app.text_input(key=controls.TYPED).set_value(typed)
    return next(button for button in app.button if button.label == "Unlock").click().run()


def test_on_loopback_runs_can_be_started(opened: Open) -> None:
    app = opened("127.0.0.1")
    assert offers(app) == {"Launch", "Resume"}
    assert "launch token" not in told(app)


def test_reachable_from_outside_without_a_token_it_only_shows(opened: Open) -> None:
    app = opened("0.0.0.0")
    assert offers(app) == set()
    assert "reached from other machines and has no launch token" in told(app)
    assert not app.text_input


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
    monkeypatch.setattr(Runtime, "_instance", object())
    monkeypatch.setattr(type(st.context), "headers", {})
    config.set_option("server.address", address)
    assert access.may_spend() is spends


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1"])
def test_with_a_token_a_session_starts_runs_only_after_it_was_entered(opened: Open, address: str) -> None:
    app = opened(address, TOKEN)
    assert offers(app) == set()
    assert "enter it to unlock this page" in told(app)
    assert offers(enter(app, f" {TOKEN} ")) == {"Launch", "Resume"}
    assert offers(opened(address, TOKEN)) == set(), "another session is another door"


def test_a_short_token_opens_nothing(opened: Open) -> None:
    app = opened("0.0.0.0", "short")
    assert offers(app) == set()
    assert "fewer than 16 characters" in told(app)
    assert not app.text_input


def test_read_only_stays_read_only_whatever_is_known(opened: Open) -> None:
    app = opened("127.0.0.1", TOKEN, BUDGETSCOPE_READ_ONLY="1")
    assert offers(app) == set()
    assert "This dashboard is read-only" in told(app)
    assert not app.text_input


def test_the_token_is_kept_nowhere(opened: Open) -> None:
    app = enter(opened("0.0.0.0", TOKEN), TOKEN)
    kept = app.session_state.to_dict()
    assert kept[access.UNLOCKED] is True
    assert TOKEN not in repr(kept)
    assert TOKEN not in repr(dict(app.query_params))
    assert TOKEN.encode() not in shown_bytes(app)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A session of a server with a token, and a clock one can set: `session["now"]`."""
    kept: dict[str, Any] = {"now": 1000.0}
    monkeypatch.setenv(serve.LAUNCH_TOKEN, TOKEN)
    monkeypatch.setattr(st, "session_state", kept)
    monkeypatch.setattr(access, "time", Namespace(monotonic=lambda: kept["now"]))
    return kept


def test_wrong_tokens_wait_longer_each_time_and_say_so_in_one_sentence(session: dict[str, Any]) -> None:
    for pause in (1, 2, 4, 8, 16, 32, 60, 60):
        assert access.unlock("wrong") == f"That is not the launch token; the next try counts after {pause} s."
        session["now"] += pause - 0.5
        assert "wait 1 s" in str(access.unlock(TOKEN)), "not even the right one is looked at"
        session["now"] += 0.5
    assert access.unlock(TOKEN) is None
    assert access.may_spend()


def test_opening_the_page_anew_does_not_give_endless_tries(session: dict[str, Any]) -> None:
    for _ in range(access.MOST_PER_MINUTE):
        session.pop(access.UNTIL, None)
        assert "not the launch token" in str(access.unlock("wrong"))
    session.pop(access.UNTIL)
    assert "wait 60 s" in str(access.unlock(TOKEN))
    session["now"] += 60.5
    assert access.unlock(TOKEN) is None


def test_a_wrong_token_is_answered_on_the_page_and_not_repeated_there(opened: Open) -> None:
    app = enter(opened("0.0.0.0", TOKEN), "my-guess")
    assert "not the launch token" in told(app)
    assert b"my-guess" not in shown_bytes(app)
    assert offers(app) == set()


@pytest.mark.parametrize("typed", ["", "\ud800", "ü" * 16, "\0", TOKEN[:-1], f"{TOKEN}x", "x" * 200])
def test_nothing_but_the_token_unlocks(typed: str, session: dict[str, Any]) -> None:
    assert access.unlock(typed)
    assert not access.may_spend()


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
    monkeypatch.setattr(Runtime, "_instance", object())
    monkeypatch.setattr(type(st.context), "headers", headers)
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
    monkeypatch.setenv(serve.LAUNCH_TOKEN, TOKEN)
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
    monkeypatch.setenv(serve.LAUNCH_TOKEN, TOKEN)
    given = access.run_environment()
    assert given["OPENAI_API_KEY"] == "sk-from-the-environment"
    assert TOKEN not in repr(given)


def test_a_launched_process_cannot_read_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(serve.LAUNCH_TOKEN, TOKEN)
    monkeypatch.setattr(access, "closed", lambda: None)
    run = runs.start(wanted(), tmp_path / "r.duckdb")
    environment = Path(f"/proc/{runs._children[run.run_id][0].pid}/environ").read_bytes()
    assert ended(run).state == "finished"
    gone(run)
    assert TOKEN.encode() not in environment


def test_the_server_refuses_a_short_token_before_it_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(serve.LAUNCH_TOKEN, "short")
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
    monkeypatch.setenv(serve.LAUNCH_TOKEN, token)
    assert serve.environment(Path("r.duckdb"), host, read_only=False)["BUDGETSCOPE_READ_ONLY"] == locked
    words = " ".join(serve.command(APP, host, 1))
    assert not token or token not in words


def test_streamlit_without_our_command_spends_only_where_it_is_bound_to_loopback(tmp_path: Path) -> None:
    """As `streamlit run` finds it: flags, the settings beside the page, those of a folder, none at all."""
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit" / "config.toml").write_text("[server]\naddress = '0.0.0.0'\n")
    empty = tmp_path / "empty"
    empty.mkdir()
    beside, alone = str(APP), str(tmp_path / "app.py")
    (tmp_path / "app.py").touch()
    cases = [
        (empty, beside, {}),
        (empty, beside, {"server.address": "0.0.0.0"}),
        (tmp_path, alone, {}),
        (empty, str(empty / "app.py"), {}),
        (empty, alone, {"server.address": "localhost"}),
    ]
    code = (
        "import os; from streamlit import config, runtime; runtime.exists = lambda: True\n"
        "from dashboard.data import access\n"
        f"for folder, page, flags in {[(str(folder), page, flags) for folder, page, flags in cases]!r}:\n"
        "    os.chdir(folder); config._main_script_path = page\n"
        "    config.get_config_options(force_reparse=True, options_from_flags=flags)\n"
        "    print(access.may_spend())"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(empty)}
    environment.pop("STREAMLIT_SERVER_ADDRESS", None)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "False", "False", "False", "True"], done.stderr
