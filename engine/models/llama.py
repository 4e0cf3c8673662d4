"""The llama.cpp server of a GGUF file: one per process and file, loopback only, silent, stopped at exit.

Owns starting it and its settings; calls go through `remote`. Imports xllamacpp when a server is started, not before.
"""

from __future__ import annotations

import atexit
import ctypes
import hashlib
import http.client
import importlib.metadata
import json
import mmap
import os
import secrets
import threading
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engine.core.errors import ProviderError, UsageError

SLOTS = 8
SLOT_TOKENS = 4096
READER_TOKENS = 256
"""Room of a server that only cuts texts: it is asked for no reply."""
BUSY_S = 2.0
"""Who is not answered for so long has a server whose slots are all at work."""
TIMEOUT_S = 60.0
"""The longest a text is waited for."""
BATCH_TOKENS = 8
"""Tokens per step. Larger steps pick other CPU kernels, whose rounding makes a text depend on its company and on what
the prefix cache held: of 32 seeded replies 14 to 22 changed at llama.cpp's own 512, none at 8."""
INSTALL = "`pip install xllamacpp`, in a clone `uv sync`"


@dataclass(frozen=True, slots=True)
class Running:
    """A server that listens."""

    url: str
    key: str = field(repr=False)
    fingerprint: str
    """Version of llama.cpp's wrapper: another version may say something else for the same seed."""


_lock = threading.Lock()
_servers: dict[str, tuple[Any, Running]] = {}
_readers: dict[str, tuple[Any, Running]] = {}
"""Servers that only cut texts into tokens."""
_hashes: dict[tuple[str, int, int], str] = {}


def running(path: Path, name: str) -> Running:
    """The server of this file, started on first use (seconds). Raises UsageError if it cannot be."""
    with _lock:
        if str(path) not in _servers:
            if not _servers:
                atexit.register(stop_all)
            _servers[str(path)] = _start(path, name)
        return _servers[str(path)][1]


def reading(path: Path, name: str) -> Running:
    """A server of this file that cuts texts into tokens: the one that runs, else one with the least of room for
    replies, which needs a third of the memory. Raises UsageError if it cannot be started."""
    with _lock:
        if str(path) in _servers:
            return _servers[str(path)][1]
        if str(path) not in _readers:
            if not _readers:
                atexit.register(stop_all)
            _readers[str(path)] = _start(path, name, slots=1, slot_tokens=READER_TOKENS)
            _let_go(path)
        return _readers[str(path)][1]


def _let_go(path: Path) -> None:
    """Take a loaded file's weights out of memory, where Linux can be told: a server that cuts texts looks at none, and
    what it wants after all is read from the file again."""
    maps = Path("/proc/self/maps")
    if not hasattr(mmap, "MADV_DONTNEED") or not maps.is_file():
        return
    for line in maps.read_text(encoding="utf-8", errors="replace").splitlines():
        span, rights, *_ = line.split()
        # Only what cannot be written to is as it stands in the file.
        if line.endswith(f" {path.resolve()}") and rights[:2] == "r-":
            first, last = (int(end, 16) for end in span.split("-"))
            ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), mmap.MADV_DONTNEED)


def ask(server: Running, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """One request of this process to its own server, waited for. Raises ProviderError where it is not answered."""
    import httpx

    try:
        # Escaped throughout, because a lone surrogate has no other form.
        reply = httpx.post(
            f"{server.url}{path}",
            content=json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"},
            timeout=TIMEOUT_S,
            trust_env=False,
            # On loopback and without TLS: reading certificates would take as long as the text.
            verify=False,
        )
        return dict(reply.raise_for_status().json())
    except (httpx.HTTPError, ValueError, TypeError) as error:
        why = f"llama.cpp could not read a text: {type(error).__name__}."
        raise ProviderError(why, kind="connection") from None


def stop_all() -> None:
    """Stop every server of this process; the next call starts anew."""
    with _lock:
        for _, server in (*_readers.values(), *_servers.values()):
            _wait_for_loop(server)
        _readers.clear()
        _servers.clear()  # the last reference to a server stops it


def _wait_for_loop(server: Running) -> None:
    """Until the server takes tasks from its queue, or is busy with some. It listens a moment earlier; told to stop in
    that moment it begins to wait for tasks all the same, and its process for it, for ever."""
    host = urlsplit(server.url).netloc
    # Longer than any slot, so that it is refused as soon as it is taken from the queue, and nothing is computed.
    asked = json.dumps({"prompt": [0] * (SLOT_TOKENS + 1), "n_predict": 0})
    with (
        suppress(OSError, http.client.HTTPException),
        closing(http.client.HTTPConnection(host, timeout=BUSY_S)) as line,
    ):
        line.request("POST", "/completion", asked, {"Authorization": f"Bearer {server.key}"})
        line.getresponse().read()


def content_hash(path: Path) -> str:
    """First 16 hex digits of the file's SHA-256, remembered until its size or time changes."""
    about = path.stat()
    version = (str(path), about.st_size, about.st_mtime_ns)
    # A file of gigabytes takes seconds to read, and every command that names the model asks.
    if version not in _hashes:
        with path.open("rb") as file:
            _hashes[version] = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    return _hashes[version]


def _start(path: Path, name: str, slots: int = SLOTS, slot_tokens: int = SLOT_TOKENS) -> tuple[Any, Running]:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads starve each other on a busy machine
    try:
        import xllamacpp
    except ImportError as error:
        raise UsageError(f"Local models need llama.cpp: {INSTALL}.") from error
    key = secrets.token_hex(16)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {name}
    # Any process of this machine can reach the port; without a key it could use the server.
    params.api_keys = [key]
    params.n_parallel = slots
    params.n_ctx = slots * slot_tokens
    params.ctx_shift = False  # a full slot ends the reply instead of forgetting the question
    params.n_batch = params.n_ubatch = BATCH_TOKENS
    params.cache_ram_mib = 0
    params.use_jinja = True
    params.verbosity = 0
    params.ui = False
    params.endpoint_slots = False  # it shows every slot's prompt
    for threads in (params.cpuparams, params.cpuparams_batch):
        threads.n_threads = os.cpu_count() or 1
    try:
        server = xllamacpp.Server(params)
    except Exception as error:
        raise UsageError(f"The model file {path.name!r} cannot be served: llama.cpp did not load it.") from error
    version = importlib.metadata.version("xllamacpp")
    return server, Running(str(server.listening_address), key, f"xllamacpp {version}")
