"""Servers asked without a library of providers, by what they speak of OpenAI's protocol: one request, one body as sent.

What is put on the wire and what is read is what litellm's lane puts there and reads; `remote` chooses the lane, and no
identity knows of it. What goes wrong is aiohttp's own exception, or a `StatusError` with the body's words, which
`faults` reads like litellm's.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from engine.models.net.address import proxy_of
from engine.models.net.bounded import PACKINGS, ReplyRefused, Unpacker

IDLE_S = 5.0
"""Seconds a connection is kept for another call; servers commonly close theirs later, and never under a request."""


class StatusError(Exception):
    """A reply with a status beyond the 200s; its text is what the provider said."""

    def __init__(self, said: str, status_code: int, headers: Mapping[str, str]) -> None:
        super().__init__(said)
        self.status_code = status_code
        self.headers = headers


class ConnectTimeout(Exception):
    """Nobody took the connection in time, so nothing was sent."""


LOST = (aiohttp.ClientError, OSError, ConnectTimeout)
"""What is raised where no whole reply came."""


class Direct:
    """Connections to one address, of whichever event loop asks."""

    def __init__(
        self,
        api_base: str,
        key: str,
        timeout_s: float,
        addresses: Sequence[str] = (),
        reuse: bool = True,
        proxies: bool = True,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`timeout_s`: for a connection, and between two parts of a reply. `addresses`: the only ones its name may
        mean; none: what it is looked up as. `proxies`: whether one of the environment may stand between."""
        at = urlsplit(api_base)
        self._base, self._host, self._secure = api_base, at.hostname or "", at.scheme == "https"
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": PACKINGS, **headers}
        if at.username is None:  # A name and a password in the address are sent in place of a key.
            self._headers["Authorization"] = f"Bearer {key}"
        if not reuse:
            self._headers["Connection"] = "close"
        self._reuse = reuse
        self._timeout_s = timeout_s
        self._addresses = tuple(addresses)
        self._proxies = proxies
        proxy = proxy_of(at) if proxies and not addresses else None
        self._proxy = None if proxy is None else URL(proxy.geturl())
        self._urls: dict[str, URL] = {}
        self._session: tuple[asyncio.AbstractEventLoop, aiohttp.ClientSession] | None = None

    async def post(self, path: str, sent: Mapping[str, Any]) -> str:
        """The body of the reply to an object sent to a path below the address. Raises aiohttp's exceptions, those of
        this module, ReplyRefused, and UnicodeDecodeError for what is no UTF-8."""
        if (url := self._urls.get(path)) is None:
            # An address of the environment may end in a query, which stays at the end.
            base, mark, query = self._base.partition("?")
            url = self._urls[path] = URL(f"{base.rstrip('/')}{path}{mark}{query}")
        # Escaped throughout, because a lone surrogate has no other form.
        body = json.dumps(sent).encode()
        try:
            asked = self._here().post(url, data=body, headers=self._headers, allow_redirects=False, proxy=self._proxy)
            async with asked as reply:
                unpacker, parts = Unpacker(reply.headers.get("Content-Encoding", "")), []
                while part := await reply.content.readany():
                    parts.append(unpacker.plain(part))
        except aiohttp.ConnectionTimeoutError as error:
            raise ConnectTimeout(str(error)) from error
        except aiohttp.ClientHttpProxyError:
            raise
        except aiohttp.ClientResponseError as error:
            # The status it names is made up: what came was no HTTP.
            raise ReplyRefused("not HTTP") from error
        said = b"".join(parts)
        if not 200 <= reply.status < 300:
            # The message is what the provider said: it is read for what it means.
            raise StatusError(said.decode("utf-8", "replace"), reply.status, reply.headers)
        return said.decode("utf-8")

    async def close(self) -> None:
        """Give back this event loop's connections; a later call opens new ones."""
        session, self._session = self._session, None
        # Of another loop it cannot be closed: that loop is over, and took its connections along.
        if session is not None and session[0] is asyncio.get_running_loop():
            await session[1].close()

    def _here(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._session is None or self._session[0] is not loop:
            idle: dict[str, Any] = {"keepalive_timeout": IDLE_S} if self._reuse else {"force_close": True}
            connector = aiohttp.TCPConnector(
                limit=0,  # A run decides itself how many calls are in flight.
                resolver=Pinned(self._host, self._addresses) if self._addresses else None,
                ssl=_trusted(self._proxies) if self._secure else True,
                **idle,
            )
            session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._timeout_s, sock_read=self._timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # Unpacked above, where it has an end.
            )
            self._session = loop, session
        return self._session[1]


class Pinned(AbstractResolver):
    """One name at the addresses that were checked, not looked up again; certificates are checked by the name still."""

    def __init__(self, name: str, addresses: Sequence[str]) -> None:
        self._name = name.lower()
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses. Raises OSError for another name."""
        if host.lower() != self._name:
            raise OSError(f"{host} is another host than was checked")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


def _trusted(environment: bool) -> Any:
    """Whose certificates are believed: those of httpx, which the other lane believes too."""
    from httpx import create_ssl_context

    return create_ssl_context(trust_env=environment)
