"""The door in front of Streamlit: names and origins, the link and the cookie, what is private, and who may upload."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from streamlit import config, file_util, runtime
from streamlit.web.server.starlette import starlette_server

from dashboard import assets, server
from dashboard.data import door
from dashboard.server import Door
from engine.cli import launch, serve

TOKEN = "0123456789-correct-horse"
ORIGIN = "http://127.0.0.1:8501"


@pytest.fixture(autouse=True)
def owner(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (serve.READ_ONLY, serve.NO_TOKEN, serve.PRIVATE, serve.ALLOWED_HOSTS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(launch.LAUNCH_TOKEN, TOKEN)
    monkeypatch.setenv(launch.LAUNCHED, "this start")
    monkeypatch.setattr(server, "PENALTY_S", 0.05)
    before = config.get_option("server.address")
    config.set_option("server.address", "127.0.0.1")
    yield
    config.set_option("server.address", before)


class Behind:
    """What stands behind the door, and what reached it."""

    def __init__(self) -> None:
        self.reached: list[str] = []
        self.heard: list[int] = []
        """Lengths of what a page said."""
        self.door = Door(self)
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.reached.append(scope["path"])
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] == "websocket.receive":
                self.heard.append(len(message.get("bytes") or message.get("text") or b""))
            return
        await self.may_end.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"behind"})

    def ask(self, method: str, path: str, cookies: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        return asyncio.run(self.asked(method, path, cookies, **more))

    async def asked(self, method: str, path: str, cookies: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.door)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, cookies=cookies) as client:
            return await client.request(method, path, **more)

    def handshake(self, *says: bytes | str, **headers: str) -> str:
        """How the server answers a websocket: accept or close; at last, where something is said through it."""
        sent: list[str] = []
        told = iter([{"bytes" if isinstance(each, bytes) else "text": each} for each in says])

        async def send(message: Any) -> None:
            sent.append(message["type"].removeprefix("websocket."))

        async def receive() -> Any:
            said = next(told, None)
            return {"type": "websocket.disconnect"} if said is None else {"type": "websocket.receive", **said}

        given = [
            (name.lower().encode(), value.encode()) for name, value in {"host": "127.0.0.1:8501", **headers}.items()
        ]
        scope = {"type": "websocket", "path": "/_stcore/stream", "query_string": b"", "headers": given}
        asyncio.run(self.door(scope, receive, send))
        return sent[-1]


@pytest.fixture
def behind() -> Behind:
    return Behind()


def cookies_of(answer: httpx.Response) -> dict[str, str]:
    return dict(answer.cookies)


NAMES = [
    ("127.0.0.1", "127.0.0.1:8501", True),
    ("127.0.0.1", "localhost:8501", True),
    ("127.0.0.1", "LOCALHOST", True),
    ("127.0.0.1", "[::1]:8501", True),
    ("127.0.0.1", "evil.example:8501", False),
    ("127.0.0.1", "localhost.evil.example", False),
    ("127.0.0.1", "127.0.0.1.evil.example:8501", False),
    ("127.0.0.1", "192.168.1.4:8501", False),
    ("127.0.0.1", "localhost@evil.example", False),
    ("127.0.0.1", "evil.example/localhost", False),
    ("127.0.0.1", "localhost#evil.example", False),
    ("127.0.0.1", "localhost:x", False),
    ("127.0.0.1", "", False),
    ("192.168.1.4", "192.168.1.4:8501", True),
    ("192.168.1.4", "192.168.1.5:8501", False),
    ("box.example", "box.example:8501", True),
    ("0.0.0.0", "192.168.1.4:8501", True),
    ("::", "[fd00::4]:8501", True),
    ("0.0.0.0", "evil.example:8501", False),
]


@pytest.mark.parametrize(("bound", "host", "answered"), NAMES)
def test_only_names_of_this_server_are_answered_for_pages_and_websockets(
    bound: str, host: str, answered: bool, behind: Behind
) -> None:
    config.set_option("server.address", bound)
    assert behind.ask("GET", "/runs", headers={"Host": host}).status_code == (200 if answered else 403)
    assert behind.handshake(host=host) == ("accept" if answered else "close")
    assert len(behind.reached) == (2 if answered else 0)


def test_a_name_its_owner_allowed_is_answered(behind: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(serve.ALLOWED_HOSTS, "budgets.example,other.example")
    assert behind.ask("GET", "/", headers={"Host": "Budgets.example"}).status_code == 200
    assert behind.handshake(host="inside:8501", origin="https://budgets.example") == "close", "an unknown name"
    assert behind.handshake(host="other.example", origin="https://budgets.example") == "accept"
    assert behind.ask("GET", "/", headers={"Host": "evil.example"}).status_code == 403


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://localhost:9999",
        "http://127.0.0.1:9999",
        "null",
        "http://[",
        "127.0.0.1:8501",
        "odd://127.0.0.1:8501",
    ],
)
def test_another_pages_requests_are_not_answered(origin: str, behind: Behind) -> None:
    assert behind.handshake(origin=origin) == "close"
    for method, path in (("GET", "/"), ("PUT", "/_stcore/upload_file/s/f"), ("POST", "/login")):
        assert behind.ask(method, path, headers={"Origin": origin}).status_code == 403
    assert behind.reached == []
    assert behind.handshake(origin=ORIGIN) == "accept"


def test_a_link_lets_one_browser_in_once_and_leaves_nothing_in_the_address(
    behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = launch.code(TOKEN, "this start", time.time())
    answer = behind.ask("GET", f"/login?code={code}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert answer.headers["referrer-policy"] == "same-origin" and answer.headers["cache-control"] == "no-store"
    said = answer.headers["set-cookie"].lower()
    assert "httponly" in said and "samesite=lax" in said and code not in said and TOKEN not in said
    assert door.holds(cookies_of(answer))
    again = behind.ask("GET", f"/login?code={code}")
    assert again.status_code == 403 and not again.cookies and code not in again.text
    assert behind.ask("GET", f"/login?code={code}", cookies_of(answer)).headers["location"] == "/", "who is in stays in"
    old = behind.ask("GET", f"/login?code={launch.code(TOKEN, 'this start', time.time() - 601)}")
    assert old.status_code == 403 and not old.cookies
    # Another start has the same token and does not know which links were used.
    monkeypatch.setenv(launch.LAUNCHED, "the next start")
    replayed = Behind().ask("GET", f"/login?code={code}")
    assert replayed.status_code == 403 and not replayed.cookies
    assert Behind().ask("GET", "/login", cookies_of(answer)).headers["location"] == "/", "who is in stays in here too"


def test_the_typed_token_lets_in_and_a_wrong_one_is_not_repeated(behind: Behind) -> None:
    answer = behind.ask("POST", "/login", data={"token": f" {TOKEN} "})
    assert (answer.status_code, answer.headers["location"]) == (303, "/run")
    assert door.holds(cookies_of(answer))
    for wrong in ("", TOKEN[:-1], f"{TOKEN}x", "<b>guess", "x" * 5000):
        refused = behind.ask("POST", "/login", data={"token": wrong})
        assert refused.status_code in (403, 413) and not refused.cookies
        assert not wrong or wrong not in refused.text


def test_a_flood_of_wrong_guesses_delays_the_guesser_and_never_who_knows(
    behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "PENALTY_S", 3600.0)

    async def flood() -> tuple[list[int], httpx.Response]:
        guesses = [asyncio.create_task(behind.asked("POST", "/login", data={"token": f"guess {n}"})) for n in range(50)]
        while len(early := [guess for guess in guesses if guess.done()]) < 50 - server.MOST_HELD:
            await asyncio.sleep(0)
        right = await behind.asked("POST", "/login", data={"token": TOKEN})
        codes = [guess.result().status_code for guess in early]
        for guess in guesses:
            guess.cancel()
        await asyncio.gather(*guesses, return_exceptions=True)
        return codes, right

    turned_away, right = asyncio.run(flood())
    assert set(turned_away) == {429}
    assert right.status_code == 303 and door.holds(cookies_of(right))


def test_a_short_token_lets_nobody_in(behind: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(launch.LAUNCH_TOKEN, "short")
    assert not behind.ask("POST", "/login", data={"token": "short"}).cookies
    assert not door.holds(dict([launch.cookie("short")]))


def test_without_a_token_no_cookie_opens_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(launch.LAUNCH_TOKEN, "")
    assert not door.holds(dict([launch.cookie("")]))


def test_looking_takes_the_token_too_where_it_is_private(behind: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(serve.PRIVATE, "1")
    name, value = launch.cookie(TOKEN)
    for path in ("/", "/run", "/media/x.csv", "/_stcore/host-config", "/static/js/index.js", "/login/x"):
        assert behind.ask("GET", path).status_code == 401
        assert behind.ask("GET", path, {name: value[:-1]}).status_code == 401
        assert behind.ask("GET", path, {name: value}).status_code == 200
    assert behind.handshake() == "close"
    assert behind.handshake(cookie=f"{name}={value}") == "accept"
    assert behind.ask("GET", "/_stcore/health").status_code == 200
    assert behind.ask("GET", "/login").status_code == 200


def test_who_may_only_look_says_little_at_once_and_others_not_without_end(behind: Behind) -> None:
    inside = {"cookie": "=".join(launch.cookie(TOKEN))}
    for most, headers in ((server.LONGEST_LOOK, {}), (server.LONGEST_MESSAGE, inside)):
        assert behind.handshake(b"x" * most, "y", **headers) == "accept"
        assert behind.handshake("y", b"x" * (most + 1), b"never", **headers) == "close"
        assert behind.handshake("x" * (most + 1), **headers) == "close"
        assert behind.heard == [most, 1, 1]
        behind.heard.clear()
    collected = starlette_server._get_uvicorn_config_kwargs()["ws_max_size"]
    assert collected == server.LONGEST_MESSAGE, "before the door sees it"


class Sessions:
    """Files that sessions keep, as Streamlit has them."""

    def __init__(self) -> None:
        self.uploaded_file_mgr = self
        self.file_storage: dict[str, dict[str, int]] = {}


def test_who_may_only_look_uploads_nothing(behind: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "get_instance", Sessions)
    path, inside = "/_stcore/upload_file/session/file", dict([launch.cookie(TOKEN)])
    assert behind.ask("PUT", path, content=b"x" * 1000).status_code == 403
    assert behind.reached == []
    assert behind.ask("PUT", path, inside, content=b"x" * 1000).status_code == 200
    monkeypatch.setenv(serve.READ_ONLY, "1")
    assert behind.ask("PUT", path, inside).status_code == 403, "read-only stays read-only whatever is known"
    monkeypatch.delenv(serve.READ_ONLY)
    monkeypatch.setenv(launch.LAUNCH_TOKEN, "")
    assert behind.ask("PUT", path).status_code == 403, "no token and nobody who said that none is needed"
    monkeypatch.setenv(serve.NO_TOKEN, "1")
    assert behind.ask("PUT", path).status_code == 200
    assert behind.ask("PUT", path, headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 403


def test_a_session_keeps_few_files_also_when_they_come_at_once(behind: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions, inside = Sessions(), dict([launch.cookie(TOKEN)])
    monkeypatch.setattr(runtime, "get_instance", lambda: sessions)
    sessions.file_storage["full"] = dict.fromkeys("abcd", 1)
    assert behind.ask("PUT", "/_stcore/upload_file/full/e", inside).status_code == 413
    assert behind.ask("PUT", "/_stcore/upload_file/other/e", inside).status_code == 200

    async def at_once() -> list[int]:
        behind.may_end.clear()
        puts = [asyncio.create_task(behind.asked("PUT", f"/_stcore/upload_file/new/{n}", inside)) for n in range(10)]
        while sum(put.done() for put in puts) < 10 - server.MOST_UPLOADS:
            await asyncio.sleep(0)
        behind.may_end.set()
        return sorted([(await put).status_code for put in puts])

    assert asyncio.run(at_once()) == [200] * 4 + [413] * 6
    assert not behind.door._uploading


def test_the_program_for_browsers_is_handed_out_whole_at_the_door_and_all_else_is_left_to_streamlit(
    behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = min(Path(file_util.get_static_dir(), "static", "js").glob("*.js"))
    address = f"/static/js/{file.name}"
    told = behind.ask("GET", address)
    assert told.content == file.read_bytes() and "javascript" in told.headers["content-type"]
    assert "immutable" in told.headers["cache-control"] and not behind.reached
    for method, path, headers in (
        ("GET", address, {"Range": "bytes=0-1"}),
        ("HEAD", address, {}),
        ("GET", "/static/js/none.js", {}),
        ("GET", "/static/js/..%2f..%2findex.html", {}),
        ("GET", "/static", {}),
    ):
        assert behind.ask(method, path, headers=headers).content in (b"behind", b"")
    assert len(behind.reached) == 5
    monkeypatch.setenv(serve.PRIVATE, "1")
    assert behind.ask("GET", address).status_code == 401, "what is private is looked at first"


def test_a_page_with_figures_comes_with_what_starts_the_programs_that_draw_them(
    behind: Behind, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = Path(file_util.get_static_dir())
    own = (root / "index.html").read_text("utf-8")
    for page in assets.CHARTS:
        told = behind.ask("GET", f"/{page}")
        assert {*map(str.strip, own.splitlines())} <= {*map(str.strip, told.text.splitlines())}, "all of its own"
        assert told.headers["content-type"].startswith("text/html") and told.headers["cache-control"] == "no-cache"
        parts = re.search(r"for \(const part of \[(.*)\]\)", told.text)
        assert parts and len(names := json.loads(f"[{parts[1]}]")) == 1 + len(assets.BESIDE)
        assert all((root / "static" / "js" / name).is_file() for name in names)
    assert not behind.reached
    for page in ("runs", "help", "compare/", "index.html"):
        assert behind.ask("GET", f"/{page}").content == b"behind"
    # A page or parts that this does not know are Streamlit's to hand out.
    (tmp_path / "static" / "js").mkdir(parents=True)
    (tmp_path / "index.html").write_text("<head></head><body></body>")
    monkeypatch.setattr(file_util, "get_static_dir", lambda: str(tmp_path))
    for name in ("_page", "_files"):
        monkeypatch.setattr(assets, name, cache(getattr(assets, name).__wrapped__))
    assert behind.ask("GET", "/").content == b"behind"


BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize("path", ["/nopage", "/runs/7", "/compare/x/y", "/.env", "/%3Cb%3Ex%3C/b%3E", "//evil.example"])
def test_an_address_without_a_page_leads_a_browser_to_those_there_are(path: str, behind: Behind) -> None:
    told = behind.ask("GET", f"{ORIGIN}{path}", headers=BROWSER)
    assert told.status_code == 404 and not behind.reached
    assert "There is no page at this address" in told.text and '<a href="/runs">Runs</a>' in told.text
    assert "<b>" not in told.text and "evil" not in told.text
    assert ("the nearest is" in told.text) == path.startswith(("/runs", "/compare"))


def test_a_page_with_a_slash_too_many_is_that_page_and_what_no_person_asks_for_is_left_to_streamlit(
    behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = behind.ask("GET", "/runs/?run=7", headers=BROWSER)
    assert told.status_code == 307 and told.headers["location"] == "/runs?run=7"
    for path, headers in (
        ("/runs", BROWSER),
        ("/trials", BROWSER),
        ("/media/a.csv", BROWSER),
        ("/_stcore/health", BROWSER),
        ("/runs/_stcore/health", {"Accept": "*/*"}),
        ("/manifest.json", {"Accept": "*/*"}),
    ):
        assert behind.ask("GET", path, headers=headers).content == b"behind", path
    monkeypatch.setattr("dashboard.server.st.get_option", {"server.baseUrlPath": "scope"}.get)
    assert behind.ask("GET", "/scope/runs", headers=BROWSER).content == b"behind"
