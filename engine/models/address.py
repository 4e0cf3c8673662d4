"""Where an endpoint is: its URL checked, shown and looked up.

Opens a connection to see whether anybody is there, sends nothing, and knows no model.
"""

from __future__ import annotations

import asyncio
import re
from urllib.parse import SplitResult, urlsplit

from engine.core.errors import UsageError


def checked_url(url: str, name: str) -> SplitResult:
    """The parts of an endpoint's URL. Raises UsageError for anything but http(s)://host[:port]/path."""
    try:
        at = urlsplit(url.strip())
        usable = at.scheme in ("http", "https") and bool(at.hostname) and at.port != 0
    except ValueError:
        usable = False
    if not usable:
        # None of these sentences repeats the URL: it may hold a password or a key.
        raise UsageError(f"The api_base of model {name!r} must look like http://host:port/v1.")
    if at.username is not None or at.password is not None or at.query or at.fragment or "?" in url or "#" in url:
        raise UsageError(
            f"The api_base of model {name!r} must hold no user, password, query or fragment: name the key's variable "
            "with api_key_env instead."
        )
    return at


def host(at: SplitResult) -> str:
    """Host and port as an identity holds them; the scheme's own port is left out."""
    name = (at.hostname or "").lower()
    shown = f"[{name}]" if ":" in name else name  # an IPv6 address: without brackets its end would read as a port
    return shown if at.port in (None, _default_port(at)) else f"{shown}:{at.port}"


def bare(name: str) -> str:
    """A model's name as the endpoint knows it."""
    # litellm's two words for an OpenAI-compatible endpoint; only the first of them is taken off.
    return re.sub(r"^(openai|hosted_vllm)/", "", name)


async def trouble(api_base: str, place: str) -> str | None:
    """One sentence if nobody can be reached at all, else None; sends nothing and costs nothing."""
    at = urlsplit(api_base)
    try:
        async with asyncio.timeout(5):  # seconds; a firewall that drops packets would let us wait for minutes
            _, writer = await asyncio.open_connection(at.hostname, at.port or _default_port(at))
    except (OSError, TimeoutError) as error:
        why = "nobody answered in time" if isinstance(error, TimeoutError) else (error.strerror or "no such host")
        return f"{place} cannot be reached ({why.lower()}): is the server running, and is api_base right?"
    writer.close()
    return None


def _default_port(at: SplitResult) -> int:
    return 443 if at.scheme == "https" else 80
