"""The launch token of a dashboard, the one-time link that stands for it, and the cookie a browser keeps instead.

Who starts the dashboard has the token; the server's process gets it by its environment and hands it to nobody. A code
of a link is good once, for ten minutes and for this start of the dashboard, since the next does not know that it was
used; it tells nothing of the token. Neither does the cookie, which is good as long as the token is the same. Pure: the
clock and the memory of used codes are the caller's.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets

LAUNCH_TOKEN = "BUDGETSCOPE_LAUNCH_TOKEN"
"""Variable with the word that lets somebody start runs from a page."""
LAUNCHED = "BUDGETSCOPE_LAUNCHED"
"""Variable with the name of this start of the dashboard, to which its links are bound."""
SHORTEST_TOKEN = 16
GOOD_S = 600
"""Seconds a link may be opened."""


def launch_token() -> str:
    """The launch token of this process; empty: none is set."""
    return os.environ.get(LAUNCH_TOKEN, "").strip()


def token_fault() -> str | None:
    """Why the launch token cannot be used; None: it can, or there is none."""
    if not 0 < len(launch_token()) < SHORTEST_TOKEN:
        return None
    return f"{LAUNCH_TOKEN} has fewer than {SHORTEST_TOKEN} characters and could be guessed; set a longer one."


def is_token(typed: str, token: str) -> bool:
    """Whether a typed word is the token."""
    # Compared as bytes in constant time: how long it took must not tell how much of it was right.
    return bool(token) and hmac.compare_digest(_bytes(typed.strip()), _bytes(token))


def code(token: str, launched: str, now_s: float) -> str:
    """A new code for a link to this start, good until ten minutes after `now_s` (of the machine's clock)."""
    body = f"{int(now_s) + GOOD_S}-{secrets.token_hex(8)}"
    return f"{body}-{_mac(token, f'link {launched} {body}')[:32]}"


def is_code(code: str, token: str, launched: str, now_s: float) -> bool:
    """Whether the owner of this token made the code for this start (empty: it has no links) and its time is not over;
    whether it was used is not known here."""
    body, _, mac = code.rpartition("-")
    right = _mac(token, f"link {launched} {body}")[:32]
    if not token or not launched or not hmac.compare_digest(_bytes(mac), _bytes(right)):
        return False
    return now_s < int(body.partition("-")[0])


def cookie(token: str) -> tuple[str, str]:
    """Name and value of the cookie that stands for a token: two dashboards of one machine do not share one."""
    return f"budgetscope_{_mac(token, 'name')[:8]}", _mac(token, "cookie")


def _mac(token: str, what: str) -> str:
    return hmac.new(_bytes(token), _bytes(what), hashlib.sha256).hexdigest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # What was typed may be no Unicode, which is no reason to fail.
