"""The server's door: which names and origins it answers to, and who may look or spend. One rule for pages and requests.

A name in the Host header that is not ours is somebody else's page that was pointed at this machine (DNS rebinding); an
Origin that is not our own is another page asking. Spending takes the launch token, or rather the cookie that a browser
gets for it; a server that was started without one asks nobody only where this machine alone reaches it.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from engine.cli.launch import LAUNCH_TOKEN, cookie, launch_token, token_fault
from engine.cli.serve import ALLOWED_HOSTS, NO_TOKEN, PRIVATE, READ_ONLY, is_loopback

PROXIES = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via")
"""Headers by which a proxy says that somebody else asks."""
LOCKED = (
    "Starting, stopping and changing runs here takes the launch token: open the link that budgetscope printed when it "
    "started, or enter the token."
)
BARE = "This dashboard was not started by budgetscope, so it shows runs and starts none: start it with budgetscope."
READS = "This dashboard is read-only: it shows runs and starts none."
EXPOSED = (
    "This dashboard can be reached from other machines and has no launch token, so it shows runs and starts none: set "
    f"{LAUNCH_TOKEN} to at least 16 characters and start it again, or let it listen on 127.0.0.1."
)
STRANGE = (
    "The dashboard does not answer to this name: open it by the address that budgetscope printed, or let its owner "
    "start it with --allow-host NAME."
)


def closed(cookies: Mapping[str, str], headers: Mapping[str, str], bound: str) -> str | None:
    """Why somebody with these cookies and headers may only look, in one sentence; None: may spend.

    `bound`: the address the server listens on; empty is every one."""
    outside = is_outside(headers, bound)
    # Whatever else it says is a yes: a slip of the pen must not open the door.
    if os.environ.get(READ_ONLY, "") not in ("", "0"):
        return EXPOSED if outside and not launch_token() else READS
    # A weak token is worse than none: somebody relies on it.
    if launch_token():
        return token_fault() or (None if holds(cookies) else LOCKED)
    if outside:
        return EXPOSED
    return None if os.environ.get(NO_TOKEN) == "1" else BARE


def holds(cookies: Mapping[str, str]) -> bool:
    """Whether a browser has the cookie that stands for the launch token."""
    token = launch_token()
    if not token or token_fault():
        return False
    name, value = cookie(token)
    # In constant time, and as bytes: a cookie may hold letters that no text comparison takes.
    return hmac.compare_digest(str(cookies.get(name)).encode("utf-8", "replace"), value.encode())


def is_private() -> bool:
    """Whether looking takes the token too."""
    return os.environ.get(PRIVATE) == "1"


def is_outside(headers: Mapping[str, str], bound: str) -> bool:
    """Whether somebody at another machine may be asking; an address that was left open is all of them."""
    near, name = is_loopback(bound), headers.get("Host")
    # Bound to loopback and called by another name: a tunnel or a proxy stands between.
    if near and name is not None:
        near = is_loopback(_bare(name))
    return not near or any(header in headers for header in PROXIES)


def answers_to(host: str | None, bound: str) -> bool:
    """Whether a Host header names this server: this machine, the address it is bound to, or a name its owner allowed.

    Where it is bound to every address, any address written in numbers is its own: only names can be led astray."""
    name = _bare(host or "")
    if not name:
        return False
    allowed = {bound.lower(), *allowed_hosts()}
    if bound in ("", "0.0.0.0", "::"):
        with suppress(ValueError):
            return bool(ipaddress.ip_address(name))
    # By name only: a rebound name resolves to us and is not ours.
    return is_loopback(name) or name in allowed


def is_own(origin: str | None, host: str | None) -> bool:
    """Whether an Origin header, where there is one, is this server's own page."""
    if origin is None:
        return True
    try:
        at = urlsplit(origin)
        same = at.netloc.lower() == (host or "").lower()
        return at.scheme in ("http", "https") and (same or (at.hostname or "") in allowed_hosts())
    except ValueError:
        return False


def allowed_hosts() -> frozenset[str]:
    """Names its owner allowed besides."""
    return frozenset(filter(None, os.environ.get(ALLOWED_HOSTS, "").lower().split(",")))


def _bare(host: str) -> str:
    """The name of a Host header, without its port; empty for one that is none."""
    try:
        # Parsed as an address, so that user@host and host/path are seen for what they are.
        at = urlsplit(f"//{host}")
        plain = at.port is None or at.port > 0
    except ValueError:
        return ""
    return (at.hostname or "").rstrip(".") if plain and not re.search("[@/?#]", host) else ""
