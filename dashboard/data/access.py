"""Who may spend: whether this session may start, stop or change anything, and which keys a run is given.

One rule for every page and every door behind it. A server that only this machine reaches may spend; one that others can
reach shows, and spends only for a session that entered the launch token. Where a token is set it is asked for
everywhere, so that a proxy in front of a loopback address is covered too. The token stays in the server's environment:
a session keeps the word "unlocked", a run's process is not given it. Keys are passed on, never looked at.
"""

from __future__ import annotations

import hmac
import os
import re
import threading
import time
from collections import deque
from math import ceil

import streamlit as st
from streamlit import runtime

from engine.cli.serve import LAUNCH_TOKEN, is_loopback, launch_token, token_fault
from engine.core.errors import RunError

UNLOCKED, WRONG, UNTIL = (f"access.{word}" for word in ("unlocked", "wrong", "until"))
LONGEST_WAIT_S = 60.0
MOST_PER_MINUTE = 60  # Wrong tokens the whole server looks at: a page that is opened anew starts no new count.
PROXIES = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via")
"""Headers by which a proxy says that somebody else asks."""
LOCKED = "Starting, stopping and changing runs here takes the launch token: enter it to unlock this page."
_EXPOSED = (
    "This dashboard can be reached from other machines and has no launch token, so it shows runs and starts none: set "
    f"{LAUNCH_TOKEN} to at least 16 characters and start it again, or let it listen on 127.0.0.1."
)
_failed: deque[float] = deque(maxlen=MOST_PER_MINUTE)  # When the last wrong tokens came, by the monotonic clock.
_turn = threading.Lock()


def may_spend() -> bool:
    """Whether this session may start, stop, upload or change anything."""
    return closed() is None


def require() -> None:
    """Stand before everything that spends or changes. Raises RunError with the sentence of `closed`."""
    if why := closed():
        raise RunError(why)


def closed() -> str | None:
    """Why this session may only look, in one sentence; None: it may spend."""
    if os.environ.get("BUDGETSCOPE_READ_ONLY", "") not in ("", "0"):
        if _outside() and not launch_token():
            return _EXPOSED
        return "This dashboard is read-only: it shows runs and starts none."
    if launch_token():
        return token_fault() or (None if st.session_state.get(UNLOCKED) is True else LOCKED)
    return _EXPOSED if _outside() else None


def how_to_start() -> str:
    """How somebody who sees this session can start a run, as the beginning of a sentence."""
    why = closed()
    if why is None:
        return "Start a run on the Run page or in a terminal"
    if why == LOCKED:
        return "Unlock the Run page with the launch token and start a run there, or start one in a terminal"
    return "This dashboard starts no runs: start one in a terminal of its machine"


def unlock(typed: str) -> str | None:
    """Unlock this session with the launch token; one sentence when it stays locked, None when it is open.

    Wrong ones make the next wait longer, 1 s to a minute; what comes earlier is not even compared."""
    now = time.monotonic()
    with _turn:  # Callbacks of other sessions run in threads of their own.
        full = len(_failed) == MOST_PER_MINUTE and _failed[0] + 60.0 > now
        everybody = _failed[0] + 60.0 if full else 0.0
    wait = max(st.session_state.get(UNTIL, 0.0), everybody) - now
    if wait > 0:
        return f"That was too soon after a wrong token: wait {ceil(wait)} s, then try again."
    token = launch_token()
    # Compared as bytes in constant time: how long it took must not tell how much of it was right.
    if token and not token_fault() and hmac.compare_digest(_bytes(typed.strip()), _bytes(token)):
        st.session_state[UNLOCKED] = True
        return None
    wrong = st.session_state.get(WRONG, 0) + 1
    pause = min(LONGEST_WAIT_S, 2.0 ** min(wrong - 1, 10))
    st.session_state[WRONG], st.session_state[UNTIL] = wrong, now + pause
    with _turn:
        _failed.append(now)
    return f"That is not the launch token; the next try counts after {pause:g} s."


def run_environment() -> dict[str, str]:
    """The environment a run's process gets: ours and the top-level texts of Streamlit's secrets, never the token."""
    try:
        secrets = dict(st.secrets) if st.secrets.load_if_toml_exists() else {}
    except (OSError, ValueError):  # A missing or broken file gives none, and Streamlit's log names the broken.
        secrets = {}
    texts = {name: value for name, value in secrets.items() if isinstance(value, str) and "\0" not in value}
    named = {name: value for name, value in texts.items() if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)}
    return {name: value for name, value in {**named, **os.environ}.items() if name != LAUNCH_TOKEN}


def _outside() -> bool:
    """Whether somebody at another machine can reach this server; an address that was left open is all of them."""
    if not runtime.exists():
        return False
    headers = st.context.headers
    host = headers.get("Host")
    near = is_loopback(str(st.get_option("server.address") or ""))
    if near and host is not None:  # `localhost:8501` and `[::1]:8501` without the port.
        near = is_loopback(host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0])
    return not near or any(name in headers for name in PROXIES)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # What was typed may be no Unicode, which is no reason to fail.
