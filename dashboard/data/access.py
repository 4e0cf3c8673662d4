"""Who may spend: whether this session may start, stop or change anything, what it may reach, and which keys a run gets.

One rule for every page and every door behind it, that of `door`, asked with what the session's browser sent. The token
stays in the server's environment: a browser keeps a cookie that stands for it, a run's process is not given it. Keys
are passed on, never looked at.
"""

from __future__ import annotations

import os
import re

import streamlit as st

from dashboard.data import door
from engine.cli.launch import LAUNCH_TOKEN
from engine.cli.serve import is_loopback
from engine.core.errors import RunError
from engine.models import reach
from engine.models.reach import Reach


def may_spend() -> bool:
    """Whether this session may start, stop, upload or change anything."""
    return closed() is None


def require() -> None:
    """Stand before everything that spends or changes. Raises RunError with the sentence of `closed`."""
    if why := closed():
        raise RunError(why)


def closed() -> str | None:
    """Why this session may only look, in one sentence; None: it may spend."""
    return door.closed(st.context.cookies, st.context.headers, bound())


def bound() -> str:
    """The address the server listens on; empty: every one."""
    return str(st.get_option("server.address") or "")


def how_to_start() -> str:
    """How somebody who sees this session can start a run, as the beginning of a sentence."""
    why = closed()
    if why is None:
        return "Start a run on the Runs page or in a terminal"
    if why == door.LOCKED:
        return "Unlock the Runs page with the launch token and start a run there, or start one in a terminal"
    return "This dashboard starts no runs: start one in a terminal of its machine"


def limits() -> Reach:
    """Where this dashboard's sessions may send requests, as its owner decided when it was started."""
    return reach.current() or Reach(loopback=is_loopback(bound()))


def run_environment() -> dict[str, str]:
    """The environment a run's process gets: ours, the top-level texts of Streamlit's secrets, and `limits`.

    The process is held to these; the token is not among them."""
    try:
        secrets = dict(st.secrets) if st.secrets.load_if_toml_exists() else {}
    except (OSError, ValueError):  # A missing or broken file gives none, and Streamlit's log names the broken.
        secrets = {}
    texts = {name: value for name, value in secrets.items() if isinstance(value, str) and "\0" not in value}
    named = {name: value for name, value in texts.items() if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)}
    given = {**named, **os.environ, **reach.variable(limits())}
    return {name: value for name, value in given.items() if name != LAUNCH_TOKEN}
