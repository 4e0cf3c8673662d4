"""Models behind an HTTP endpoint, called through litellm; the only place that imports it.

One attempt per call: hidden retries, price look-ups, telemetry and debug prints of litellm are switched off. Knows
nothing of budgets, trials or pools. Keys are read from the environment when a model is opened and go nowhere but into
the request.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import time
import warnings
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import SplitResult, urlsplit

from engine import prices, tokens
from engine.errors import InDoubt, UnknownName, UsageError
from engine.models import Bound, Declared, Rates, known_models
from engine.models.faults import blotted, fault, keys_at_hand
from engine.models.replies import completion
from engine.records import Completion, ModelSetting, Prompt, Request

PARALLEL = 16
"""Most calls in flight to one provider, unless declared."""
ENDPOINT_PREFIXES = ("openai/", "hosted_vllm/")
INTERACTIVE = frozenset({"github_copilot", "chatgpt"})
"""Providers whose very look-up opens a login in the terminal."""
PROBE_S = 5.0
SHORTEST_ECHO = 16
"""A key of so many letters is blotted out of replies; a shorter one, such as `ollama`, may be a word of an answer."""
NO_KEY = "none"
"""Sent where no key is declared, so that no key of another provider ever is."""


@dataclass
class RemoteModel:
    """A model of a provider or of an OpenAI-compatible endpoint; see `Model` for the protocol."""

    setting: ModelSetting
    route: str
    """What litellm is asked for."""
    place: str
    """'<model> at <host>', as sentences name it."""
    api_base: str | None = None
    key: str | None = field(default=None, repr=False)
    seeded: bool = True
    """The provider takes a seed."""
    timeout_s: float = 120.0
    context_tokens: int | None = None
    parallel: int = PARALLEL
    rates: Rates = Rates()
    one_draw_at_zero: bool = False
    simulated: bool = False
    local: bool = False
    reuse: bool = True
    """False: every call opens its own connection, which no idle time-out of the server can cut under it."""
    allowance: int = 64
    """Tokens of chat template a prompt may carry beyond its bytes, 16 per message not counted; see `learn`."""

    _keys: tuple[str, ...] = field(init=False, repr=False, default=())
    _client: tuple[asyncio.AbstractEventLoop, Any] | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        self._keys = keys_at_hand(self.key, SHORTEST_ECHO)

    async def bound(self, messages: Prompt) -> Bound:
        """UTF-8 bytes plus this model's allowance for its template."""
        return Bound(self._bound(messages), exact=False)

    def least(self, messages: Prompt) -> int:
        """The contents alone, by the nearest tokenizer at hand."""
        return tokens.least(messages, self.setting.name)

    def learn(self, messages: Prompt, reported_tokens: int) -> None:
        """Raise the allowance when the provider counted more than our bound; it never sinks."""
        self.allowance += max(0, reported_tokens - self._bound(messages))

    async def complete(self, request: Request) -> Completion:
        """Send once. Raises ProviderError, ContextOverflow or InDoubt; never retries."""
        litellm = loaded() if loaded.cache_info().currsize else await asyncio.to_thread(loaded)
        began = time.monotonic()
        try:
            async with asyncio.timeout(self.timeout_s + 1):
                reply = await litellm.acompletion(**self._sent(request), **self._through())
        except TimeoutError as error:
            raise InDoubt(f"The call to {self.place} timed out after it was sent; it may have been billed.",
                          kind="in_doubt") from error  # fmt: skip
        except Exception as error:
            raise fault(error, self.place, self.key) from None
        elapsed = round((time.monotonic() - began) * 1000)
        done = _unkeyed(completion(reply, request, self._bound(request.messages), self.place, elapsed), self._keys)
        if not done.usage.estimated:
            self.learn(request.messages, done.usage.input_tokens)
        return done

    async def probe(self) -> str | None:
        """One sentence if the endpoint cannot be reached at all, else None; sends no request and costs nothing."""
        if self.api_base is None:
            return None
        at = urlsplit(self.api_base)
        try:
            async with asyncio.timeout(PROBE_S):
                _, writer = await asyncio.open_connection(at.hostname, at.port or _default_port(at))
        except (OSError, TimeoutError) as error:
            why = "nobody answered in time" if isinstance(error, TimeoutError) else (error.strerror or "no such host")
            return f"{self.place} cannot be reached ({why.lower()}): is the server running, and is api_base right?"
        writer.close()
        return None

    async def close(self) -> None:
        """Give back the connections of this event loop's client; a later call opens new ones."""
        held, self._client = self._client, None
        if held is not None and held[0] is asyncio.get_running_loop():
            await held[1].close()

    def _bound(self, messages: Prompt) -> int:
        return tokens.utf8_bound(messages, base=self.allowance)

    def _through(self) -> dict[str, Any]:
        """An endpoint anybody may have written down is called with a client of our own, one per event loop."""
        if self.api_base is None:
            return {}
        from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

        from engine.models.wire import CLIENT

        loop = asyncio.get_running_loop()
        if self._client is None or self._client[0] is not loop:
            self._client = loop, AsyncHTTPHandler(**CLIENT)
        return {"client": self._client[1]}

    def _sent(self, request: Request) -> dict[str, Any]:
        sent: dict[str, Any] = {
            "model": self.route,
            "messages": [{"role": m.role, "content": m.content} for m in request.messages],
            "max_tokens": request.asked_tokens,
            "timeout": self.timeout_s,
            "max_retries": 0,
            "num_retries": 0,
        }
        sent |= {name: _value(name, value) for name, value in request.params}
        if self.seeded:
            sent["seed"] = request.seed % 2**31
        if not self.reuse:
            sent["extra_headers"] = {"Connection": "close"}
        if self.api_base is not None:
            sent |= {"api_base": self.api_base, "api_key": self.key or NO_KEY}
        elif self.key is not None:
            sent["api_key"] = self.key
        return sent


def open_endpoint(declared: Declared, *, sends: bool = True) -> RemoteModel:
    """A declared OpenAI-compatible endpoint. Raises UsageError for a URL it cannot use, or a key it needs to send."""
    assert declared.api_base is not None
    at = checked_url(declared.api_base, declared.name)
    name = declared.model or _bare(declared.name)
    host = _host(at)
    return RemoteModel(
        setting=ModelSetting(declared.name, f"openai/{name}@{host}{at.path.rstrip('/')}", declared.price),
        route=f"hosted_vllm/{name}",
        place=f"{name} at {host}",
        api_base=declared.api_base.rstrip("/"),
        key=_key(declared) if sends else None,
        timeout_s=declared.timeout_s,
        context_tokens=declared.context_tokens,
        parallel=declared.parallel or PARALLEL,
    )


def open_provider(name: str, declared: Declared | None = None, *, sends: bool = True) -> RemoteModel:
    """A model litellm knows the provider of. Raises UnknownName, or UsageError naming the key it lacks to send."""
    told = declared or Declared(name)
    asked = told.model or name
    provider, bare = _provider(asked)
    key = _key(told) if sends else None
    if sends and key is None:
        _check_environment(asked)
    supported = loaded().get_supported_openai_params(bare, custom_llm_provider=provider) or ()
    price = told.price or prices.bundled_price(asked) or prices.bundled_price(f"{provider}/{bare}")
    return RemoteModel(
        setting=ModelSetting(name, f"{provider}/{bare}", price),
        route=f"{provider}/{bare}",
        place=f"{bare} at {provider}",
        key=key,
        seeded="seed" in supported,
        timeout_s=told.timeout_s,
        context_tokens=told.context_tokens or prices.context_tokens(asked),
        parallel=told.parallel or PARALLEL,
    )


def checked_url(url: str, name: str) -> SplitResult:
    """The parts of an endpoint's URL. Raises UsageError for anything but http(s)://host[:port]/path."""
    try:
        at = urlsplit(url.strip())
        usable = at.scheme in ("http", "https") and bool(at.hostname) and at.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(f"The api_base of model {name!r} must look like http://host:port/v1.")
    if at.username is not None or at.password is not None or at.query or at.fragment or "?" in url or "#" in url:
        raise UsageError(
            f"The api_base of model {name!r} must hold no user, password, query or fragment: name the key's variable "
            "with api_key_env instead."
        )
    return at


@functools.cache
def loaded() -> Any:
    """litellm, imported once (seconds), offline and silent."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    os.environ.setdefault("LITELLM_LOG", "ERROR")
    for noise in ("Pydantic serializer warnings", r"coroutine '\w+\.a?\w*completion' was never awaited"):
        warnings.filterwarnings("ignore", message=noise)
    import litellm

    litellm.suppress_debug_info = True
    litellm.telemetry = False
    litellm.drop_params = False
    litellm.num_retries = 0
    return litellm


def _provider(name: str) -> tuple[str, str]:
    if name.split("/")[0] in INTERACTIVE:
        raise UsageError(f"Model {name!r} needs a login in the terminal, which a run cannot give: use an API key.")
    try:
        bare, provider, _, _ = loaded().get_llm_provider(name)
    except Exception:
        raise UnknownName("model", name, known_models()) from None
    return str(provider), str(bare)


def _check_environment(name: str) -> None:
    missing = [key for key in loaded().validate_environment(name)["missing_keys"] if not key.endswith("_API_BASE")]
    if missing:
        either = " or ".join(missing) if name.startswith("gemini/") else " and ".join(missing)
        raise UsageError(f"Model {name!r} needs a key: set the environment variable {either}.")


def _key(declared: Declared) -> str | None:
    if declared.api_key_env is None:
        return None
    key = os.environ.get(declared.api_key_env, "").strip()
    if not key:
        raise UsageError(f"Model {declared.name!r} needs a key: set the environment variable {declared.api_key_env}.")
    return key


def _unkeyed(done: Completion, keys: tuple[str, ...]) -> Completion:
    """The reply as it may be kept: a server can repeat the key it was sent, also where it names its model."""
    said = (done.text, done.model_reported or "", done.fingerprint or "")
    if not any(key in part for key in keys for part in said):
        return done
    text, model, mark = (blotted(part, keys) for part in said)
    return replace(done, text=text, model_reported=model or None, fingerprint=mark or None)


def _value(name: str, value: object) -> object:
    """Parameters are scalars in a request; a list of stop strings travels as JSON."""
    return json.loads(value) if name == "stop" and isinstance(value, str) and value.startswith("[") else value


def _bare(name: str) -> str:
    return next((name.removeprefix(p) for p in ENDPOINT_PREFIXES if name.startswith(p)), name)


def _host(at: SplitResult) -> str:
    name = (at.hostname or "").lower()
    shown = f"[{name}]" if ":" in name else name
    return shown if at.port in (None, _default_port(at)) else f"{shown}:{at.port}"


def _default_port(at: SplitResult) -> int:
    return 443 if at.scheme == "https" else 80
