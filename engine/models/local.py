"""Models served on this machine by llama.cpp: the bundled one, or any GGUF file by path.

Owns names, identity and exact prompt counts; the server is `llama`'s, the calls are `remote`'s. Opening a model hashes
its file and starts nothing: the server comes up with the first count or call.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.core import tokens
from engine.core.errors import ContextOverflow, ProviderError, UnknownName, UsageError
from engine.core.records import Completion, ModelSetting, Prompt, Request
from engine.models import bundled
from engine.models.bundled import BUNDLED, FETCH
from engine.models.declared import ModelSpec
from engine.models.llama import SLOT_TOKENS, SLOTS, Running, content_hash, running
from engine.models.model import Bound, Rates
from engine.models.remote import RemoteModel
from engine.models.settings import Settings
from engine.models.tokens.tokenizers import Tokenizer

if TYPE_CHECKING:
    from engine.models.net.direct import Direct

AGAIN = 2
"""Times that a count is asked once more where the connection broke."""
REMEMBERED = 4096
"""Prompts whose exact count is kept."""
WORDS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "repetition_penalty": "repeat_penalty",
}
"""Settings as llama.cpp calls them."""
IN_FLIGHT = 4
"""Calls in flight unless a study says otherwise. A step has 8 tokens and fills them with waiting prompts in the order
of the slots: with all 8 slots busy the last ones starve (a reply took 299 s, two of 3,900 over 600 s). With 4 the
longest took 42 s, the whole run no longer, and twice as much of the prompts was found in the cache."""


@dataclass
class LocalModel:
    """A GGUF file behind a loopback server; see `Model` for the protocol."""

    setting: ModelSetting
    path: Path
    served: str
    """Name the server knows it by."""
    timeout_s: float = 600.0
    context_tokens: int | None = SLOT_TOKENS
    parallel: int = IN_FLIGHT
    rates: Rates = Rates()
    one_draw_at_zero: bool = True
    simulated: bool = False
    local: bool = True
    continues: bool = True
    settings: Settings = Settings()
    temperature: float | None = None
    thinking_tokens: int = 0
    _counts: OrderedDict[Prompt, int] = field(default_factory=OrderedDict, repr=False)
    _running: Running | None = field(default=None, repr=False)
    _remote: RemoteModel | None = field(default=None, repr=False)
    _counting: Direct | None = field(default=None, repr=False)

    async def bound(self, messages: Prompt) -> Bound:
        """The server's own count of the prompt as its template writes it. Raises ProviderError if it cannot count."""
        if messages not in self._counts:
            turns = [{"role": turn.role, "content": turn.content} for turn in messages]
            prompt = (await self._post("/apply-template", {"messages": turns}))["prompt"]
            # As the server itself reads a prompt: with the template's own marks as one token each.
            counted = await self._post("/tokenize", {"content": prompt, "add_special": True, "parse_special": True})
            self._counts[messages] = len(counted["tokens"])
            if len(self._counts) > REMEMBERED:
                self._counts.popitem(last=False)
        self._counts.move_to_end(messages)
        return Bound(self._counts[messages], exact=True)

    async def pieces(self, text: str) -> list[bytes] | None:
        """The server's own tokens of a text, as bytes; None where they do not make the text again."""
        # The server that answers is there to cut, so that no second one is started.
        await self._server()
        own = Tokenizer(self.served, self.served, True, file=self.path)
        found = await asyncio.to_thread(own.bytes_of, text)
        return found if b"".join(found) == text.encode("utf-8", "replace") else None

    def least(self, messages: Prompt) -> int:
        """The exact count where it is known, else half of what the nearest tokenizer says."""
        return self._counts.get(messages) or tokens.least(messages, self.served)

    async def complete(self, request: Request) -> Completion:
        """Send once. Raises ContextOverflow before sending what cannot end within the slot."""
        room = SLOT_TOKENS - (await self.bound(request.messages)).tokens
        if request.cap_tokens > room:
            raise ContextOverflow(
                f"{self.served} has {SLOT_TOKENS} tokens of context, of which the prompt leaves {max(0, room)} and "
                f"{request.cap_tokens} were asked.",
                room_tokens=max(0, room),
                window_tokens=SLOT_TOKENS,
            )
        server = await self._server()
        if self._remote is None:
            self._remote = RemoteModel(
                setting=self.setting,
                route=f"hosted_vllm/{self.served}",
                place=f"{self.served} at this machine",
                api_base=f"{server.url}/v1",
                key=server.key,
                timeout_s=self.timeout_s,
                # The server closes idle connections by a clock of its own, sometimes just as a request goes out.
                reuse=False,
                local=True,
                continues=self.continues,
                # The temperature is in the request already; see `temperature`.
                sends={WORDS[name]: value for name, value in self.settings.given.items() if name != "temperature"},
            )
        return replace(await self._remote.complete(request), fingerprint=server.fingerprint)

    async def probe(self) -> str | None:
        """None: nothing outside this machine is needed."""
        return None

    async def close(self) -> None:
        """Give back the connections; the server stays for the process."""
        if self._counting is not None:
            await self._counting.close()
        if self._remote is not None:
            await self._remote.close()

    async def _server(self) -> Running:
        if self._running is None:
            self._running = await asyncio.to_thread(running, self.path, self.served)
        return self._running

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        from engine.models.net.bounded import ReplyRefused
        from engine.models.net.direct import LOST, Direct, StatusError

        server = await self._server()
        if self._counting is None:
            self._counting = Direct(server.url, server.key, self.timeout_s, (), reuse=False, proxies=False)
        try:
            return dict(json.loads(await self._counted(path, body)))
        except (*LOST, StatusError, ReplyRefused, ValueError, TypeError) as error:
            why = f"{self.served} could not count a prompt: {type(error).__name__}."
            raise ProviderError(why, kind="connection") from None

    async def _counted(self, path: str, body: dict[str, Any]) -> str:
        from engine.models.net.direct import LOST

        assert self._counting is not None
        # Counting costs nothing and changes nothing, so what a busy machine drops is simply asked again.
        for _ in range(AGAIN):
            with suppress(*LOST):
                return await self._counting.post(path, body)
        return await self._counting.post(path, body)


def open_local(name: str, declared: ModelSpec | None = None) -> LocalModel:
    """The model of a 'local/...' name or of a declared file. Raises UsageError or UnknownName."""
    spec = declared or ModelSpec(name)
    spec.settings.check_known(name, tuple(WORDS), "A model on this machine")
    model_name = spec.model if spec.model and spec.gguf is None else name
    if spec.gguf is None and model_name in BUNDLED:
        path = bundled.file_of(model_name)
        if path is None:
            megabytes = BUNDLED[model_name].megabytes
            raise UsageError(
                f"The model {model_name} is not on this machine yet: `{FETCH}` brings it ({megabytes} MB)."
            )
        served = model_name.removeprefix("local/")
    elif spec.gguf is None and not model_name.endswith(".gguf"):
        raise UnknownName("local model", model_name, BUNDLED)
    else:
        path = Path(spec.gguf or model_name.removeprefix("local/")).expanduser()
        if not path.is_file():
            raise UsageError(f"The model file {str(path)!r} of model {model_name!r} does not exist.")
        # A file is called as one likes: the name that stored answers are found by can be given.
        path, served = path.resolve(), (spec.model if spec.gguf else None) or path.stem
    return LocalModel(
        setting=ModelSetting(name, f"local/{served}@{content_hash(path)}{spec.suffix}", spec.price),
        path=path,
        served=served,
        # A reply may wait for others here, so a declared time-out meant for a provider would end it too soon.
        timeout_s=max(spec.timeout_s, LocalModel.timeout_s),
        context_tokens=min(spec.context_tokens or SLOT_TOKENS, SLOT_TOKENS),
        parallel=min(spec.parallel or IN_FLIGHT, SLOTS),
        continues=spec.continues is not False,
        settings=spec.settings,
        temperature=spec.settings.temperature,
    )
