"""A real HTTP server that speaks OpenAI's chat-completions protocol: deterministic, quick, and rude on request.

Same messages, seed and cap give the same reply; a word is a token and the end of a reply is one more. Every request is
counted, and any of them can be answered with a fault: by a queue (`faults`), or by a directive in the prompt itself,
such as `[[fault:429 retry_after=2]]`. Runs in a thread of the test (`serving()`) or as a process of its own:

    python -m tests.support.provider --port 0 --log served.jsonl --latency-ms 20
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from tests.support.faults import SAID, Fault, fault_in, shaped
from tests.support.provider.speech import canonical, completion, last_text

PHRASES = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    302: "Found",
    307: "Temporary Redirect",
    404: "Not Found",
    408: "Request Timeout",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    504: "Gateway Timeout",
}


@dataclass
class Served:
    """One request as it arrived, and what was made of it."""

    body: dict[str, Any]
    headers: dict[str, str]
    fault: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def row(self) -> dict[str, Any]:
        """What the log and `/served` tell about it."""
        return {
            "model": self.body.get("model"),
            "seed": self.body.get("seed"),
            "max_tokens": self.body.get("max_tokens"),
            "fault": self.fault,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "messages": hashlib.sha256(canonical(self.body.get("messages")).encode()).hexdigest()[:16],
        }


@dataclass
class Provider:
    """State of one server; safe to read from the test's thread."""

    latency_s: float = 0.0
    skill: float = 0.6
    """Chance that a sum in the prompt is added up rightly."""
    key: str | None = None
    """Bearer token asked for; None: anybody may call."""
    log: IO[str] | None = None
    allows: int | None = None
    """Calls at once beyond which it answers 429; needs a latency. None: any number."""
    window: int | None = None
    """Tokens of prompt and cap beyond which it refuses as vLLM does; None: any number."""
    bends: Callable[[dict[str, Any], int], None] | None = None
    """What it makes of every good reply, given how many it answered before; None: nothing."""
    faults: deque[Fault | None] = field(default_factory=deque)
    """Consumed in order of arrival; empty: the prompt's own directive, else a good reply."""
    served: list[Served] = field(default_factory=list)
    url: str = ""
    open: set[asyncio.Transport] = field(default_factory=set)
    held: bool = False
    """While true, replies that are ready wait; `release` sends them."""
    sends: int | None = None
    """Replies it sends before it holds the others; None: any number."""
    waiting: list[tuple[Connection, Fault | None, dict[str, Any]]] = field(default_factory=list)
    loop: asyncio.AbstractEventLoop | None = None
    in_flight: int = 0
    most_in_flight: int = 0

    @property
    def api_base(self) -> str:
        """What a client is given."""
        return f"{self.url}/v1"

    @property
    def good(self) -> int:
        """Requests answered with a completion."""
        return sum(one.fault is None for one in self.served)

    def release(self) -> None:
        """Send what waits, and hold nothing any more; from any thread."""
        self.held, self.sends = False, None
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self._send_waiting)

    def _send_waiting(self) -> None:
        waiting, self.waiting = self.waiting, []
        for connection, fault, reply in waiting:
            connection.reply(fault, reply)

    def answer(self, served: Served) -> tuple[Fault | None, dict[str, Any]]:
        """The reply to one request, before a fault bends it."""
        fault = self.faults.popleft() if self.faults else fault_in(last_text(served.body))
        reply = completion(served.body, self.skill)
        prompt, cap = reply["usage"]["prompt_tokens"], int(served.body.get("max_tokens") or 0)
        generated = reply["usage"]["completion_tokens"]
        if fault is None and self.window is not None and prompt + cap > self.window:
            says = (
                f"'max_tokens' or 'max_completion_tokens' is too large: {cap}. This model's maximum context length is "
                f"{self.window} tokens and your request has {prompt} input tokens ({cap} > {self.window} - {prompt})."
            )
            fault = Fault("body", {"status": "400", "body": json.dumps({"error": {"message": says, "code": 400}})})
        served.fault = fault.kind if fault else None
        if self.bends is not None and fault is None:
            self.bends(reply, len(self.served))
        served.prompt_tokens = prompt
        served.completion_tokens = generated
        self.served.append(served)
        if self.log is not None:
            self.log.write(json.dumps(served.row()) + "\n")
            self.log.flush()
        return fault, reply


class Connection(asyncio.Protocol):
    """One keep-alive connection: parse, answer, stay open."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._buffer = b""
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._provider.open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._provider.open.discard(self._transport)
        for task in self._tasks:
            task.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
            stop = end + 4 + int(headers.get("content-length", 0))
            if len(self._buffer) < stop:
                return
            body, self._buffer = self._buffer[end + 4 : stop], self._buffer[stop:]
            self._route(head[0].split(" ")[1], headers, body)

    def _route(self, path: str, headers: dict[str, str], body: bytes) -> None:
        if path.endswith(("/chat/completions", "/v1/messages")):
            self._chat(headers, body)
        elif path == "/served":
            self._send(
                200,
                {
                    "count": len(self._provider.served),
                    "good": self._provider.good,
                    "rows": [one.row() for one in self._provider.served],
                },
            )
        elif path.endswith("/models"):
            self._send(200, {"object": "list", "data": [{"id": "m", "object": "model"}]})
        else:
            self._send(404, {"error": {"message": f"no such path {path}", "type": "invalid_request_error"}})

    def _chat(self, headers: dict[str, str], body: bytes) -> None:
        wanted = self._provider.key
        if wanted is not None and headers.get("authorization") != f"Bearer {wanted}":
            told = headers.get("authorization", "")
            self._send(401, {"error": {"message": f"Incorrect API key provided: {told}", "code": "invalid_api_key"}})
            return
        crowded = self._provider.allows is not None and self._provider.in_flight >= self._provider.allows
        if crowded:
            self._provider.faults.appendleft(Fault("429"))
        fault, reply = self._provider.answer(Served(json.loads(body or b"{}"), headers))
        if (self._provider.latency_s and not crowded) or (fault and fault.kind in ("hang", "slow", "drip")):
            task = asyncio.ensure_future(self._drip() if fault and fault.kind == "drip" else self._later(fault, reply))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self.reply(fault, reply)

    async def _later(self, fault: Fault | None, reply: dict[str, Any]) -> None:
        self._provider.in_flight += 1
        self._provider.most_in_flight = max(self._provider.most_in_flight, self._provider.in_flight)
        try:
            pause = 3600.0 if fault and fault.kind == "hang" else fault.seconds if fault else self._provider.latency_s
            await asyncio.sleep(pause)
        finally:
            self._provider.in_flight -= 1
        self.reply(fault, reply)

    async def _drip(self) -> None:
        """A byte of white space now and again: never silent for long, and never done."""
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        self._transport.write(head)
        while not self._transport.is_closing():
            self._transport.write(b"1\r\n \r\n")
            await asyncio.sleep(0.05)

    def reply(self, fault: Fault | None, reply: dict[str, Any]) -> None:
        """Send it, or let it wait while replies are held."""
        if self._transport.is_closing():
            return
        if self._provider.held:
            self._provider.waiting.append((self, fault, reply))
            return
        if self._provider.sends is not None:
            self._provider.sends -= 1
            self._provider.held = self._provider.sends <= 0
        if fault is None:
            self._send(200, reply)
        elif fault.kind == "cut":
            self._transport.abort()
        elif fault.kind in ("cut_head", "cut_body", "garbage"):
            told = SAID[fault.kind]
            self._transport.write(told if isinstance(told, bytes) else told.encode())
            self._transport.close()
        else:
            status, headers, body = shaped(fault, reply)
            self._send(status, body, headers)

    def _send(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        raw = text if isinstance(text, bytes) else text.encode()
        extra = {"Content-Type": "application/json", "Content-Length": str(len(raw)), **(headers or {})}
        head = f"HTTP/1.1 {status} {PHRASES.get(status, 'Status')}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in extra.items())
        self._transport.write(head.encode() + b"\r\n" + raw)


async def listen(provider: Provider, port: int = 0) -> asyncio.Server:
    """Open the port on loopback and fill in the provider's URL."""
    provider.loop = loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(provider), "127.0.0.1", port, backlog=512)
    provider.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    return server


@contextlib.contextmanager
def serving(**settings: Any) -> Iterator[Provider]:
    """A provider in a thread of its own, for as long as the block lasts."""
    provider, ready = Provider(**settings), threading.Event()
    loop = asyncio.new_event_loop()

    async def main() -> None:
        server = await listen(provider)
        provider.__dict__["stop"] = stop = asyncio.Event()
        ready.set()
        await stop.wait()
        server.close()
        for transport in list(provider.open):
            transport.abort()
        await asyncio.sleep(0)
        # Here, and not by whoever leaves the block: a browser's own loop may be running there.
        await _empty()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield provider
    finally:
        loop.call_soon_threadsafe(provider.__dict__["stop"].set)
        thread.join(10)
        loop.close()


async def _empty() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


def free_port() -> int:
    """A loopback port that nobody listens on."""
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def _forever(provider: Provider, port: int) -> None:
    server = await listen(provider, port)
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    print(provider.api_base, flush=True)
    await stop.wait()
    server.close()
    # Clients keep connections open, and from Python 3.12 on `async with server` would wait until they hang up.
    for transport in list(provider.open):
        transport.abort()


def main() -> None:
    """Serve until stopped; the first line printed is the api_base."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", help="append one JSON line per request")
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--skill", type=float, default=0.6)
    parser.add_argument("--key", help="bearer token to ask for")
    given = parser.parse_args()
    log = open(given.log, "a", encoding="utf-8") if given.log else None  # noqa: SIM115
    asyncio.run(_forever(Provider(given.latency_ms / 1000, given.skill, given.key, log), given.port))
