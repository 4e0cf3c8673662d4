"""Servers asked without a library of providers, by what they speak of OpenAI's protocol: one request, one body as sent.

What is put on the wire and what is read is what litellm's lane puts there and reads; `remote` chooses the lane, and no
identity knows of it. What goes wrong is httpx's own exception, or an `HTTPStatusError` with the body's words, which
`faults` reads like litellm's.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx

from engine.models.net.address import proxy_of
from engine.models.net.http import CLIENT, Pinned, ReplyRefused


class Direct:
    """Connections to one endpoint, of whichever event loop asks."""

    def __init__(
        self, api_base: str, key: str, timeout_s: float, addresses: Sequence[str], reuse: bool, proxies: bool
    ) -> None:
        self._base = api_base
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        if not reuse:
            self._headers["Connection"] = "close"
        self._timeout_s = timeout_s
        self._addresses = tuple(addresses)
        self._proxies = proxies
        self._client: tuple[asyncio.AbstractEventLoop, httpx.AsyncClient] | None = None

    async def post(self, path: str, sent: Mapping[str, Any]) -> str:
        """The body of the reply to an object sent to a path below the address. Raises httpx's exceptions, and
        UnicodeDecodeError for what is no UTF-8."""
        try:
            # Escaped throughout, because a lone surrogate has no other form.
            url = f"{self._base}{path}"
            reply = await self._here().post(url, content=json.dumps(sent).encode(), headers=self._headers)
        except httpx.ConnectError as error:
            if self._proxies and not self._addresses and proxy_of(urlsplit(self._base)):
                raise httpx.ProxyError(str(error)) from error
            raise
        except httpx.RemoteProtocolError as error:
            if "disconnected" in str(error) or "closed" in str(error):
                raise
            raise ReplyRefused("not HTTP") from error
        if not 200 <= reply.status_code < 300:
            # The message is what the provider said: it is read for what it means.
            raise httpx.HTTPStatusError(reply.content.decode("utf-8", "replace"), request=reply.request, response=reply)
        return reply.content.decode("utf-8")

    async def close(self) -> None:
        """Give back this event loop's connections; a later call opens new ones."""
        client, self._client = self._client, None
        # Of another loop it cannot be closed: that loop is over, and took its connections along.
        if client is not None and client[0] is asyncio.get_running_loop():
            await client[1].aclose()

    def _here(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if self._client is None or self._client[0] is not loop:
            pinned = Pinned(urlsplit(self._base).hostname or "", self._addresses) if self._addresses else None
            # A run decides itself how many calls are in flight.
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
            client = httpx.AsyncClient(
                **CLIENT, transport=pinned, timeout=self._timeout_s, limits=limits, trust_env=self._proxies
            )
            self._client = loop, client
        return self._client[1]
