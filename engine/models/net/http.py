"""The HTTP clients under litellm: none follows a redirect, and that of an endpoint reads no reply without end.

Owns what is allowed between the socket and the reading of a reply. Knows nothing of providers, prompts or tokens.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import httpx

from engine.models.net.bounded import Unpacker

MAKERS = ("create_client", "_get_async_http_client", "_get_sync_http_client")
"""Names of what makes HTTP clients inside litellm."""


def ground(*owners: type) -> None:
    """Let clients that these classes make for providers' own routes follow no redirect: a key would travel along."""
    for owner in owners:
        for name in MAKERS:
            # By the dictionary: an attribute would be bound, or be a base class's, and then be wrapped twice.
            make = owner.__dict__.get(name)
            if isinstance(make, staticmethod):
                setattr(owner, name, staticmethod(_grounded(make.__func__)))
            elif make is not None:
                setattr(owner, name, _grounded(make))


def _grounded(make: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(make)
    def made(*args: Any, **more: Any) -> Any:
        client = make(*args, **more)
        client.follow_redirects = False
        return client

    return made


async def bounded(response: httpx.Response) -> None:
    """Read this response through `Bounded`; a hook of the client, called when its headers are there."""
    # Taken off, or httpx would unpack by it a second time.
    unpacker = Unpacker(response.headers.pop("content-encoding", ""))
    assert isinstance(response.stream, httpx.AsyncByteStream)
    response.stream = Bounded(response.stream, unpacker)


class Bounded(httpx.AsyncByteStream):
    """A stream that passes on what its unpacker makes of it."""

    def __init__(self, stream: httpx.AsyncByteStream, unpacker: Unpacker) -> None:
        self._stream = stream
        self._unpacker = unpacker

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            yield self._unpacker.plain(chunk)

    async def aclose(self) -> None:
        """Give the connection back."""
        await self._stream.aclose()


class Pinned(httpx.AsyncBaseTransport):
    """A connection to one host at the addresses that were checked, the first that answers; no name is looked up again,
    and no proxy is asked.

    The host's certificate is checked by its name still."""

    def __init__(self, name: str, addresses: Sequence[str]) -> None:
        self._name = name
        self._addresses = addresses
        # A run decides itself how many calls are in flight.
        self._inner = httpx.AsyncHTTPTransport(trust_env=False, limits=httpx.Limits(max_connections=None))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it there. Raises UnsupportedProtocol for another host."""
        if request.url.host != self._name:
            raise httpx.UnsupportedProtocol("another host than was checked")
        refused = httpx.ConnectError("no address")
        for address in self._addresses:
            there = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,  # Host is among them, by its name.
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": self._name},
            )
            try:
                return await self._inner.handle_async_request(there)
            except httpx.ConnectError as error:  # Nothing was sent there.
                refused = error
        raise refused

    async def aclose(self) -> None:
        """Close its connections."""
        await self._inner.aclose()


CLIENT: dict[str, Any] = {"follow_redirects": False, "event_hooks": {"response": [bounded]}}
"""How litellm is asked to make its client."""
