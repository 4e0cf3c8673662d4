"""`budgetscope` without a verb: one line with the address, quiet Ctrl-C, loopback or read-only, ports named."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.cli import launch, main, serve
from engine.cli.serve import Wishes
from engine.core.errors import UsageError
from engine.store.store import Store
from tests import ROOT
from tests.support.children import spawned


def taken() -> socket.socket:
    """A port somebody listens on."""
    busy = socket.create_server(("127.0.0.1", 0))
    busy.listen()
    return busy


def test_a_port_in_use_is_named_with_the_next_free_one(capsys: pytest.CaptureFixture[str]) -> None:
    with taken() as busy:
        port = busy.getsockname()[1]
        assert main(["--port", str(port)]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    found = re.fullmatch(rf"budgetscope: Port {port} is in use; (\d+) is free: `budgetscope --port \1`\.", said[-1])
    assert found
    assert int(found[1]) > port


def test_a_free_port_is_taken_as_it_is() -> None:
    with taken() as busy:
        port = busy.getsockname()[1]
    serve.check_port("127.0.0.1", port)


@pytest.mark.parametrize("host", ["203.0.113.7", "no such host", "", "a" * 300])
def test_an_address_of_another_machine_is_refused_in_one_sentence(host: str) -> None:
    with pytest.raises(UsageError, match="no address of this machine") as found:
        serve.check_port(host or "256.256.256.256", 8501)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("host", "near"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("127.1.2.3", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.4", False),
        ("example.org", False),
    ],
)
def test_only_loopback_may_start_runs(host: str, near: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (serve.READ_ONLY, launch.LAUNCH_TOKEN):
        monkeypatch.delenv(name, raising=False)
    assert serve.is_loopback(host) is near
    given = serve.environment(Path("r.duckdb"), host, Wishes())
    assert given[serve.READ_ONLY] == ("" if near else "1")
    assert bool(given[launch.LAUNCH_TOKEN]) is near, "spending takes a token, and who only looks needs none"


def test_read_only_and_the_database_travel_in_the_environment(tmp_path: Path) -> None:
    given = serve.environment(tmp_path / "x.duckdb", "127.0.0.1", Wishes(read_only=True))
    assert given["BUDGETSCOPE_READ_ONLY"] == "1"
    assert given["BUDGETSCOPE_DB"] == str((tmp_path / "x.duckdb").resolve())


def test_a_demo_that_is_named_shows_the_copy_with_what_was_run_since(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo, local = tmp_path / "r.duckdb", tmp_path / "r.local.duckdb"
    for path in (demo, local):
        Store(path).create()
    assert serve.shown(demo) == demo
    Store(demo).set_demo(True)
    assert serve.environment(demo, "127.0.0.1", Wishes())["BUDGETSCOPE_DB"] == str(local.resolve())
    assert f"shown is {local}" in capsys.readouterr().err
    local.unlink()
    assert serve.shown(demo) == demo


def test_the_server_listens_where_it_is_told_and_asks_nobody() -> None:
    words = serve.command(Path("app.py"), "127.0.0.1", 8765)
    assert {"--server.address=127.0.0.1", "--server.port=8765", "--browser.gatherUsageStats=false"} <= set(words)


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "http://127.0.0.1:1"), ("::1", "http://[::1]:1"), ("0.0.0.0", "http://localhost:1")],
)
def test_the_address_can_be_typed_into_a_browser(host: str, shown: str) -> None:
    assert serve.address(host, 1) == shown


@pytest.mark.parametrize("wish", [signal.SIGINT, signal.SIGTERM])
def test_it_says_one_line_once_it_answers_and_stops_without_a_word(tmp_path: Path, wish: signal.Signals) -> None:
    with taken() as busy:
        port = busy.getsockname()[1]
    command = [sys.executable, "-m", "engine", "--port", str(port), "--db", str(tmp_path / "r.duckdb")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with spawned(command, cwd=ROOT, start_new_session=True, text=True, **pipes) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        link = rf"http://127\.0\.0\.1:{port}/login\?code=[\da-f-]+"
        assert re.fullmatch(rf"Budgetscope is at {link} \(Ctrl-C stops it\)\n", line)
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
        os.killpg(process.pid, wish)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "", "")
    deadline = time.monotonic() + 10
    while serve._fault("127.0.0.1", port) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    serve.check_port("127.0.0.1", port)


@pytest.fixture
def desk(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody before a screen, whose browser writes down what it is asked to open."""
    browser = tmp_path / "browser"
    browser.write_text(
        f"#!/bin/sh\nprintf '%s' \"$1\" > {tmp_path}/opening && mv {tmp_path}/opening {tmp_path}/opened\n"
    )
    browser.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "SSH_CONNECTION", "SSH_TTY")}
    return kept | {"DISPLAY": ":99", "BROWSER": f"{browser} %s"}


def test_the_browser_opens_with_a_link_of_its_own(tmp_path: Path, desk: dict[str, str]) -> None:
    with taken() as busy:
        port = busy.getsockname()[1]
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "engine", "--port", str(port), "--db", str(tmp_path / "r.duckdb")]
    with spawned(command, cwd=ROOT, env=desk, start_new_session=True, stdout=theirs) as process:
        line = os.read(ours, 1000).decode()
        deadline = time.monotonic() + 20
        while not (tmp_path / "opened").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)
    os.close(ours)
    os.close(theirs)
    opened = (tmp_path / "opened").read_text()
    assert opened.startswith(f"http://127.0.0.1:{port}/login?code=") and opened not in line


@pytest.mark.parametrize(
    ("host", "terminal", "more", "opens"),
    [
        ("127.0.0.1", True, {}, True),
        ("127.0.0.1", True, {"DISPLAY": "", "WAYLAND_DISPLAY": "wayland-0"}, True),
        ("127.0.0.1", True, {"DISPLAY": ""}, False),
        ("127.0.0.1", False, {}, False),
        ("127.0.0.1", True, {"CI": "true"}, False),
        ("127.0.0.1", True, {"SSH_CONNECTION": "203.0.113.7 1 203.0.113.8 22"}, False),
        ("0.0.0.0", True, {}, False),
    ],
)
def test_a_browser_is_opened_only_for_who_sits_before_the_screen(
    host: str, terminal: bool, more: dict[str, str], opens: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CI", "SSH_CONNECTION", "SSH_TTY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"DISPLAY": ":0", **more}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "platform", "linux")
    assert serve.has_browser(host) is opens


def test_each_dashboard_makes_a_token_of_its_own_unless_its_owner_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(launch.LAUNCH_TOKEN, raising=False)
    made = [serve.environment(Path("r.duckdb"), "127.0.0.1", Wishes())[launch.LAUNCH_TOKEN] for _ in range(2)]
    assert made[0] != made[1] and all(len(token) > 40 for token in made)
    assert not serve.environment(Path("r.duckdb"), "127.0.0.1", Wishes(no_token=True))[launch.LAUNCH_TOKEN]
    assert serve.environment(Path("r.duckdb"), "0.0.0.0", Wishes(private=True))[launch.LAUNCH_TOKEN]
    monkeypatch.setenv(launch.LAUNCH_TOKEN, "a word of its owner")
    assert serve.environment(Path("r.duckdb"), "::", Wishes())[launch.LAUNCH_TOKEN] == "a word of its owner"


@pytest.mark.parametrize("flags", [["--private"], []])
def test_no_token_beside_what_asks_for_one_is_refused(
    flags: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(launch.LAUNCH_TOKEN, "" if flags else "a word of its owner")
    assert main(["--no-token", *flags]) == 2
    assert "contradict each other" in capsys.readouterr().err


def test_a_code_is_good_for_ten_minutes_and_only_from_who_has_the_token() -> None:
    code = launch.code("token of 16 letters", "here", 1000.0)
    assert launch.is_code(code, "token of 16 letters", "here", 1000.0) and launch.is_code(
        code, "token of 16 letters", "here", 1599.0
    )
    assert not launch.is_code(code, "token of 16 letters", "here", 1600.5)
    assert not launch.is_code(code, "another token here", "here", 1000.0)
    later = code.replace("1600-", "9999999999-", 1)
    for wrong in (later, code[:-1], "", "-", "1600--", f"{code}0", "\ud800"):
        assert not launch.is_code(wrong, "token of 16 letters", "here", 1000.0)
    assert not launch.is_code(launch.code("", "here", 0.0), "", "here", 0.0), "no token, no link"
    assert "token of 16" not in code + "".join(launch.cookie("token of 16 letters"))


BUSY = """
import threading, duckdb
from dashboard.__main__ import leave
began = threading.Event()

def count():
    own = duckdb.connect()
    while True:
        own.execute("select sum(i) from range(3000000) t(i)").fetchall()
        began.set()

for _ in range(3):
    threading.Thread(target=count, daemon=True).start()
began.wait()
print("left", end="")
leave(0)
"""


def test_a_server_leaves_cleanly_while_a_thread_is_inside_the_database() -> None:
    done = subprocess.run([sys.executable, "-c", BUSY], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "left", "")
