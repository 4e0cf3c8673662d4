"""No verb: the dashboard, as a Streamlit server of its own. The only place that knows how it is started."""

from __future__ import annotations

import errno
import ipaddress
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from engine.cli import launch, show
from engine.core import places, registry
from engine.core.errors import RunError, StoreError, UsageError

if TYPE_CHECKING:
    from engine.models.reach import Endpoint

START_S = 60.0
"""How long the server may take until it answers."""
READ_ONLY, NO_TOKEN, PRIVATE, ALLOWED_HOSTS = (
    f"BUDGETSCOPE_{name}" for name in ("READ_ONLY", "NO_TOKEN", "PRIVATE", "ALLOWED_HOSTS")
)
"""Variables that tell the server's process what its owner asked for."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the owner of a dashboard asks for."""

    read_only: bool = False
    no_token: bool = False
    """Whoever reaches the port of this machine may start runs."""
    no_browser: bool = False
    """Say the address and open nothing, also where there is a browser."""
    private: bool = False
    """Looking takes the launch token too."""
    hosts: tuple[str, ...] = ()
    """Names it answers to besides its address."""
    modules: tuple[str, ...] = ()
    """Plugins."""
    endpoints: tuple[Endpoint, ...] = ()
    """What runs started from a page may ask."""


def serve(db: Path, host: str, port: int, wishes: Wishes = Wishes()) -> int:
    """Start the dashboard, say where it is once it answers, and wait for it; Ctrl-C ends both quietly."""
    page = Path(__file__).resolve().parents[2] / "dashboard" / "app.py"
    if not page.exists():
        raise UsageError("The dashboard is not part of this installation; `budgetscope --help` lists the verbs.")
    if fault := launch.token_fault():
        raise UsageError(fault)
    if wishes.no_token and (wishes.private or launch.launch_token()):
        other = "--private" if wishes.private else launch.LAUNCH_TOKEN
        raise UsageError(f"--no-token and {other} contradict each other; leave one of them out.")
    check_port(host, port)
    given = environment(db, host, wishes)
    if not wishes.read_only and not is_loopback(host):
        rule = (
            "starting runs there takes the launch token" if launch.launch_token() else "it starts no runs (read-only)"
        )
        show.tell(f"{host} can be reached from other machines, so {rule}.")
    for name in (signal.SIGTERM, signal.SIGHUP):
        # Ended like Ctrl-C, so that the server goes with its parent.
        signal.signal(name, _interrupt)
    server = subprocess.Popen(
        command(page, host, port),
        env=given,
        cwd=page.parents[1],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        # Ctrl-C is ours alone: Streamlit answers it with a traceback while it starts.
        start_new_session=True,
    )
    try:
        _await_answer(server, host, port)
        token = given[launch.LAUNCH_TOKEN]

        def link() -> str:
            """With a code of its own: each is good once."""
            code = launch.code(token, given[launch.LAUNCHED], time.time()) if token else ""
            return address(host, port) + (f"/login?code={code}" if code else "")

        show.say(f"Budgetscope is at {link()} (Ctrl-C stops it)")
        sys.stdout.flush()
        if not wishes.no_browser and has_browser(host):
            import webbrowser

            webbrowser.open(link())
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        if server.poll() is None:
            server.terminate()
            # One that does not end when asked, or while we are told to hurry, is made to.
            try:
                server.wait(timeout=5)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                server.kill()
                server.wait()


def command(page: Path, host: str, port: int) -> list[str]:
    """The server's command line: it asks nobody on the network for its address and sends no statistics.

    Names it answers to are looked at by our own door, in front of Streamlit's."""
    settings = {
        "server.address": host,
        "server.port": str(port),
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "server.maxUploadSize": "6",
        "server.allowedHosts": "*",
        "logger.level": "warning",
        "logger.enableRich": "false",
        "browser.gatherUsageStats": "false",
        "browser.serverAddress": "localhost" if is_loopback(host) else host,
    }
    flags = [f"--{name}={value}" for name, value in settings.items()]
    return [sys.executable, "-m", page.parent.name, *flags]


def environment(db: Path, host: str, wishes: Wishes) -> dict[str, str]:
    """What the server's process needs to know: the database, who may start runs, and where these may send requests.

    Its launch token is the owner's, or one made here that a link stands for; empty: nobody needs or has one."""
    from engine.models import reach

    token = launch.launch_token()
    locked = wishes.read_only or (not is_loopback(host) and not token) or bool(os.environ.get(READ_ONLY))
    if not token and not wishes.no_token and (wishes.private or not locked):
        token = secrets.token_urlsafe(32)
    given = {
        "BUDGETSCOPE_DB": str(shown(db).resolve()),
        places.FOLDER: str(Path.cwd()),
        READ_ONLY: "1" if locked else "",
        NO_TOKEN: "1" if wishes.no_token else "",
        PRIVATE: "1" if wishes.private else "",
        ALLOWED_HOSTS: ",".join(wishes.hosts),
        launch.LAUNCH_TOKEN: token,
        launch.LAUNCHED: secrets.token_hex(8),
    }
    reachable = reach.variable(reach.Reach(is_loopback(host), wishes.endpoints))
    return {**os.environ, **registry.child_environment(wishes.modules), **reachable, **given}


def shown(db: Path) -> Path:
    """The same, or of a demo the copy beside it that took in what was run since, where there is one; says so."""
    local = places.local_copy(db)
    # Opened only where it matters: most start without.
    if not (db.exists() and local.exists()):
        return db
    from engine.store.store import Store

    try:
        if not Store(db).is_demo():
            return db
    except StoreError:
        # What is wrong with it is said on the page.
        return db
    show.tell(f"{db} is the demo and is only read; shown is {local}, a copy of it with what was run since.")
    return local


def has_browser(host: str) -> bool:
    """Whether whoever started this sits before a screen of this machine: a terminal, a desktop, no ssh and no CI."""
    away = any(os.environ.get(name) for name in ("CI", "SSH_CONNECTION", "SSH_TTY"))
    desktop = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return sys.stdout.isatty() and is_loopback(host) and bool(desktop) and not away


def address(host: str, port: int) -> str:
    """What to type into a browser."""
    shown = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host.lower() == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def check_port(host: str, port: int) -> None:
    """Raises UsageError for a port in use, naming the next free one, and for an address that is not this machine's."""
    fault = _fault(host, port)
    if fault is None:
        return
    if fault not in (errno.EADDRINUSE, errno.EACCES):
        raise UsageError(f"{host!r} is no address of this machine; leave --host out, or use 127.0.0.1.")
    why = "is in use" if fault == errno.EADDRINUSE else "needs more rights than this user has"
    free = next((p for p in range(max(port + 1, 1024), min(port + 200, 65_536)) if _fault(host, p) is None), None)
    # None where the next 200 are all in use.
    hint = f"; {free} is free: `budgetscope --port {free}`" if free else ""
    raise UsageError(f"Port {port} {why}{hint}.")


def _fault(host: str, port: int) -> int | None:
    """Why a server could not listen there, as an errno; None: it could."""
    try:
        family, kind, protocol, _, at = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the server does: a port whose last connections are closing is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(at)
            # Bound is not enough: two may bind with that option, and only one listens.
            probe.listen(1)
    except (OSError, UnicodeError) as error:
        return getattr(error, "errno", None) or errno.EADDRNOTAVAIL
    return None


def _await_answer(server: subprocess.Popen[bytes], host: str, port: int) -> None:
    # While the server starts, and not before it does.
    from http.client import HTTPConnection, HTTPException

    target = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RunError(f"The dashboard ended while it started (exit code {server.returncode}).")
        with suppress(OSError, HTTPException):
            health = HTTPConnection(target, port, timeout=1)
            health.request("GET", "/_stcore/health")
            if health.getresponse().status == 200:
                return
        time.sleep(0.05)
    raise RunError(f"The dashboard did not answer within {START_S:g} seconds.")


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """A terminated parent takes the server with it."""
    raise KeyboardInterrupt
