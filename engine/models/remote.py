"""Models behind an HTTP endpoint: declared ones and OpenAI's chats are asked directly, all others through litellm.

It alone imports litellm, which takes seconds.

One attempt per call: hidden retries, price look-ups, telemetry and debug prints of litellm are switched off. Knows
nothing of budgets, trials or pools. Keys are read from the environment when a model is opened and go nowhere but into
the request.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import json
import logging
import os
import threading
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from engine.core import tokens
from engine.core.errors import InDoubt, UnknownName, UsageError
from engine.core.records import Completion, ModelSetting, Prompt, Request
from engine.models import openais, prices, reach, wire
from engine.models import settings as mapping
from engine.models.declared import ModelSpec
from engine.models.faults import fault, said_status
from engine.models.model import Bound, Rates
from engine.models.net.address import Elsewhere, bare, checked_url, elsewhere, host, trouble
from engine.models.net.keys import Keys, at_hand
from engine.models.replies import Expected, Heard, completion, plain, shaped
from engine.models.usage import fields_seen

if TYPE_CHECKING:
    from engine.models.net.direct import Direct
    from engine.models.net.replicas import Replicas

log = logging.getLogger(__name__)

PARALLEL = 16
"""Most calls in flight to one provider, unless declared."""
INTERACTIVE = frozenset({"github_copilot", "chatgpt"})
"""Providers whose very look-up opens a login in the terminal."""
CONTINUED = {"continue_final_message": True, "add_generation_prompt": False}
"""How an endpoint is told to go on with the last turn; words of vLLM, SGLang and llama.cpp."""
PROBED_TOKENS = 4096
"""Cap of a request that is mapped and never sent."""
CHAT = "/chat/completions"
"""Where endpoints take what is asked, below their address."""
LANE = "BUDGETSCOPE_LANE"
"""Variable that sends every request one way, 'direct' or 'litellm'; where a model has no such way, it is not opened."""
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
    continues: bool = False
    continued: Mapping[str, Any] = field(default_factory=dict)
    """Sent along with a request whose last turn is to be gone on with."""
    sends: Mapping[str, Any] = field(default_factory=dict)
    """Settings as every request carries them, the temperature apart."""
    temperature: float | None = None
    thinking_tokens: int = 0
    openai: str | None = None
    """What OpenAI calls it, where it is one of its chats; None: another provider's, or an endpoint."""
    elsewhere: Elsewhere | None = None
    """Where the environment puts the provider; None: at its own address, or an endpoint."""
    rename: Mapping[str, str] = field(default_factory=dict)
    omit: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    """How requests differ from the usual on the wire; see `wire`."""
    lenient: bool = False
    """Keep a reply with complete usage whose end nobody said, as 'unsaid'."""
    replicas: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Further URLs that serve the same model, each with its `addresses`; calls are spread over all of them."""
    addresses: tuple[str, ...] = ()
    """The only network addresses an endpoint is asked at, as they were checked; none: what its name or a proxy says."""
    remarks: Counter[str] = field(default_factory=Counter)
    """What was ignored of replies that were kept, and of how many."""
    allowance: int = 64
    """Tokens of chat template a prompt may carry beyond its bytes, 16 per message not counted; see `learn`."""

    _keys: Keys = field(init=False, repr=False, default=Keys())
    _last: str | None = field(init=False, repr=False, default=None)
    _client: tuple[asyncio.AbstractEventLoop, Any] | None = field(init=False, repr=False, compare=False, default=None)
    _direct: dict[str, Direct] = field(init=False, repr=False, compare=False, default_factory=dict)
    spread: Replicas | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        self._keys = at_hand(self.key)
        if self.replicas:
            from engine.models.net.replicas import Replicas

            self.spread = Replicas((self.api_base or "", *(url for url, _ in self.replicas)))

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
        direct = self._body(request) if self.direct else None
        # The import takes seconds, in which other models of the loop go on.
        if not (direct or loaded.cache_info().currsize):
            await asyncio.to_thread(loaded)
        clock = asyncio.get_running_loop().time
        began, heard, asked_at = clock(), Heard(), ""
        reply: Any = None
        try:
            # A second more than the client's own: its time-out says more about what happened.
            async with asyncio.timeout(self.timeout_s + 1):
                if direct:
                    with self.spread.taken() if self.spread else nullcontext(self._address) as asked_at:
                        heard.body = await self._connections(asked_at).post(CHAT, direct)
                else:
                    sent = self._sent(request)
                    reply = await loaded().acompletion(**sent, **self._client_here(), logger_fn=heard)
        except TimeoutError as error:
            raise InDoubt(
                f"The call to {self.place} timed out after it was sent; it may have been billed.", kind="in_doubt"
            ) from error
        except Exception as error:
            failed = fault(error, self.place, self.key, request.cap_tokens)
            # litellm also refuses bodies that say what happened: those are read, unless the status said it all.
            said = plain(heard.body) if said_status(error) in (None, 200) else None
            # What was no UTF-8 had to be read with gaps, in which anything may have stood.
            if said is None or not shaped(said) or "\ufffd" in (heard.body or ""):
                # Without its cause: the chain of litellm's errors may hold the key, and a traceback would print it.
                raise failed from None
        expected = Expected(
            request,
            self._bound(request.messages),
            self.place,
            round((clock() - began) * 1000),
            self.lenient,
            self.key,
            self._remark,
            self._keys,
        )
        done = completion(reply, expected, heard.body)
        self._last = heard.body
        if self.spread:
            done = self.spread.checked(asked_at, done)
        if not done.usage.estimated:
            self.learn(request.messages, done.usage.input_tokens)
        return done

    @property
    def usage_seen(self) -> tuple[str, ...]:
        """Names of the figures in the last reply's report of usage."""
        said = plain(self._last) or {}
        return tuple(fields_seen(self._keys.within(said.get("usage") or said.get("usageMetadata"))))

    async def probe(self) -> str | None:
        """One sentence if the endpoint cannot be reached at all, else None; sends no request and costs nothing."""
        if self.elsewhere is not None:
            return await trouble(self.elsewhere.url, self.place, self.elsewhere.variable)
        if self.api_base is None:
            return None
        # One that answers will do: the others are asked once they are there.
        for url, addresses in ((self.api_base, self.addresses), *self.replicas):
            if (why := await trouble(url, self.place, addresses=addresses)) is None:
                return None
        return why

    @property
    def notice(self) -> str | None:
        """Where the environment puts the model, in one sentence; None: nothing is unusual."""
        if self.elsewhere is None:
            return None
        price = (
            "" if self.setting.price is not None else ", whose price is unknown until its [[models]] table has prices"
        )
        return f"{self.setting.name} is asked at {self.elsewhere.where}, as {self.elsewhere.variable} says{price}."

    @property
    def direct(self) -> bool:
        """Whether requests go out as they are, without litellm; decides speed, and nothing that is sent."""
        return (self.api_base is not None or self.openai is not None) and lane() != "litellm"

    async def close(self) -> None:
        """Give back the connections of this event loop's client; a later call opens new ones."""
        for direct in self._direct.values():
            await direct.close()
        client, self._client = self._client, None
        # Of another loop it cannot be closed: that loop is over, and took its connections along.
        if client is not None and client[0] is asyncio.get_running_loop():
            await client[1].close()

    def _remark(self, what: str) -> None:
        """Note what was ignored of a reply; the first time in the log, always in the count."""
        if not self.remarks[what]:
            log.warning("%s reported %s", self.place, what)
        self.remarks[what] += 1

    def _bound(self, messages: Prompt) -> int:
        return tokens.utf8_bound(messages, base=self.allowance)

    @property
    def _address(self) -> str:
        """Where the direct lane asks, unless there are several addresses."""
        if self.api_base is not None:
            return self.api_base
        return openais.URL if self.elsewhere is None else self.elsewhere.url.rstrip("/")

    def _body(self, request: Request) -> dict[str, Any]:
        """The request as the direct lane sends it. Raises ProviderError for what OpenAI's own models refuse."""
        sent = self._sent(request)
        own = {name: value for name, value in sent.items() if name not in wire.LITELLMS}
        if self.openai is not None:
            own = openais.worded(self.openai, own, self.place)
        return {**own, "model": self.route.partition("/")[2], **sent.get("extra_body", {})}

    def _sent(self, request: Request) -> dict[str, Any]:
        """The request in litellm's words, but for its client."""
        turns: list[dict[str, Any]] = [{"role": turn.role, "content": turn.content} for turn in request.messages]
        begun = turns[-1]["role"] == "assistant"
        if self.api_base is None and self.continues and begun:
            # Providers are told by a mark at the last turn that it is the beginning of the reply.
            turns[-1]["prefix"] = True
        sent: dict[str, Any] = {
            "model": self.route,
            "messages": turns,
            "max_tokens": request.cap_tokens,
            "timeout": self.timeout_s,
            # Two names for the same, one for each of litellm's layers; a hidden retry would be billed unseen.
            "max_retries": 0,
            "num_retries": 0,
        }
        for name, value in request.params:
            # Parameters are scalars in a request; a list of stop strings travels as JSON.
            listed = name == "stop" and isinstance(value, str) and value.startswith("[")
            sent[name] = json.loads(str(value)) if listed else value
        # The model's own settings come last: they hold whatever a strategy asks for.
        sent |= self.sends
        if begun:
            sent |= self.continued
        if self.seeded:
            sent["seed"] = request.seed % 2**31  # a signed 32-bit number to some servers
        if not self.reuse:
            sent["extra_headers"] = {"Connection": "close"}
        if self.api_base is not None:
            sent |= {"api_base": self.api_base, "api_key": self.key or NO_KEY}
        else:
            if self.key is not None:
                sent["api_key"] = self.key
            if self.elsewhere is not None:
                # The environment's own value, whose spaces litellm would keep.
                sent["api_base"] = self.elsewhere.url
        return wire.applied(sent, self.rename, self.omit, self.extra)

    def _connections(self, url: str) -> Direct:
        if url not in self._direct:
            from engine.models.net.direct import Direct

            key, addresses = self.key or NO_KEY, dict(self.replicas).get(url, self.addresses)
            more = openais.headers() if self.openai is not None else {}
            # A proxy of the environment must not come between us and this machine.
            self._direct[url] = Direct(url, key, self.timeout_s, addresses, self.reuse, not self.local, more)
        return self._direct[url]

    def _client_here(self) -> dict[str, Any]:
        """An endpoint anybody may have written down is called with a client of our own, one per event loop."""
        if self.api_base is None:
            return {}
        from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

        from engine.models.net.http import CLIENT, Pinned

        loop = asyncio.get_running_loop()
        if self._client is None or self._client[0] is not loop:
            name = urlsplit(self.api_base).hostname or ""
            pinned = {"transport": Pinned(name, self.addresses)} if self.addresses else {}
            self._client = loop, AsyncHTTPHandler(**CLIENT, **pinned)
        return {"client": self._client[1]}


def open_endpoint(declared: ModelSpec, *, sends: bool = True) -> RemoteModel:
    """A declared OpenAI-compatible endpoint. Raises UsageError for a URL it cannot use, or a key it needs to send."""
    assert declared.api_base is not None
    if lane() == "litellm" and sends:
        if declared.replicas:
            raise UsageError(
                f"Model {declared.name!r} has several addresses, which are asked directly alone: take {LANE} away."
            )
        prefetch()
    at, limits = checked_url(declared.api_base, declared.name), reach.current()
    each = reach.addressed(declared)
    # A page may ask some of them only where they are found now.
    pinned = [limits is not None and reach.check_endpoint(one, limits) for one in each]
    found = [reach.addresses_of(one) if pin and sends else () for one, pin in zip(each, pinned, strict=True)]
    name = declared.model or bare(declared.name)
    where, settings = host(at), declared.settings
    # litellm's route for OpenAI's protocol spoken by others: it takes settings that OpenAI itself does not have.
    sent = mapping.to_endpoint(declared.name, settings, _endpoint_takes)
    identity = f"openai/{name}@{where}{at.path.rstrip('/')}{declared.suffix}"
    omit = tuple(declared.omit or ())
    mapping.check_reasoning(
        declared.name, name, at.hostname or "", settings, declared.rename or {}, "temperature" in omit
    )
    return RemoteModel(
        setting=ModelSetting(declared.name, identity, declared.price),
        route=f"hosted_vllm/{name}",
        place=f"{name} at {where}",
        api_base=declared.api_base.strip().rstrip("/"),
        addresses=found[0],
        replicas=tuple(zip(declared.replicas, found[1:], strict=True)),
        key=_key(declared) if sends else None,
        timeout_s=declared.timeout_s,
        lenient=declared.finish == "lenient",
        rename=declared.rename or {},
        omit=omit,
        extra=declared.extra or {},
        context_tokens=declared.context_tokens,
        parallel=declared.parallel or PARALLEL * len(each),
        continues=declared.continues is True,
        continued=CONTINUED if declared.continues else {},
        sends=sent.params,
        temperature=settings.temperature,
    )


def open_provider(name: str, declared: ModelSpec | None = None, *, sends: bool = True) -> RemoteModel:
    """A model litellm knows the provider of. Raises UnknownName, or UsageError naming the key it lacks to send."""
    spec = declared or ModelSpec(name)
    model_name = spec.model or name
    if model_name.split("/")[0] in INTERACTIVE:
        raise UsageError(
            f"Model {model_name!r} needs a login in the terminal, which a run cannot give: use an API key."
        )
    known = openais.asked_as(model_name)
    if known is None and not prices.may_be_known(model_name):
        raise UnknownName("model", model_name, ())
    if known is None and lane() == "direct" and sends:
        raise UsageError(f"Model {model_name!r} is asked through litellm alone, and {LANE} says direct: take it away.")
    if known is None and sends and spec.api_key_env is None:
        _needs_a_key(model_name, lacking(model_name))
    bare, provider = (known, openais.PROVIDER) if known is not None else _provider(model_name)
    if (limits := reach.current()) is not None:
        reach.check_provider(model_name, provider, spec.api_key_env, limits)
    key = _key(spec) if sends else None
    if sends and key is None:
        if known is not None:
            key = os.environ.get(openais.KEY, "").strip() or None
            missing = [] if key else [openais.KEY]
        else:
            keys = loaded().validate_environment(model_name)["missing_keys"]
            # The address of a local server has a default; what is missing of a key has none.
            missing = [variable for variable in keys if not variable.endswith("_API_BASE")]
        _needs_a_key(model_name, missing)
    route = f"{provider}/{bare}"
    omit, maps = tuple(spec.omit or ()), _maps(provider, bare)
    if known is not None:
        seeded, continues = openais.takes_seed(known), False  # None of them goes on with a reply that was begun.
        if sends and lane() == "litellm":
            prefetch()
    else:
        seeded = "seed" in (loaded().get_supported_openai_params(bare, custom_llm_provider=provider) or ())
        continues = _continues(provider, bare)
    sent = mapping.to_provider(name, bare, spec.settings, maps, wanted="temperature" not in omit)
    # Another address is another server: its answers, and its price, are not those of the provider's own.
    moved = elsewhere(provider)
    at = "" if moved is None else f"@{moved.where}"
    listed = None if moved and not moved.listed else prices.bundled_price(model_name) or prices.bundled_price(route)
    return RemoteModel(
        setting=ModelSetting(
            name,
            f"{route}{at}{spec.suffix}",
            spec.price or listed,
        ),
        route=route,
        place=f"{bare} at {provider if moved is None else moved.where}",
        key=key,
        seeded=seeded,
        timeout_s=spec.timeout_s,
        lenient=spec.finish == "lenient",
        openai=known,
        elsewhere=moved,
        rename=spec.rename or {},
        omit=omit,
        extra=spec.extra or {},
        context_tokens=spec.context_tokens or prices.context_tokens(model_name),
        parallel=spec.parallel or PARALLEL,
        # What thinks first cannot go on with a reply: providers refuse a begun one while thinking is on.
        continues=not sent.thinks and (continues if spec.continues is None else spec.continues),
        sends=sent.params,
        temperature=spec.settings.temperature,
        thinking_tokens=sent.thinking_tokens,
    )


def lane() -> str | None:
    """The one way every request shall go; None: each the quickest it can. Raises UsageError for a word that is none."""
    said = os.environ.get(LANE, "").strip().lower() or None
    if said not in (None, "direct", "litellm"):
        raise UsageError(f"{LANE} takes direct or litellm, not {said[:40]!r}.")
    return said


def prefetch() -> None:
    """Begin to import litellm in a thread of its own, so that it is there, or nearly, when the first call needs it."""
    if not loaded.cache_info().currsize:
        threading.Thread(target=loaded, name="litellm", daemon=True).start()


@functools.cache
def loaded() -> Any:
    """litellm, imported once (seconds), offline and silent."""
    with _IMPORTING:
        return _imported()


_IMPORTING = threading.Lock()
"""Held while it is imported: who comes second waits, and finds it made ready."""


@functools.cache
def _imported() -> Any:
    # Before the import, which reads them: without the first it fetches its price map from the network.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    os.environ.setdefault("LITELLM_LOG", "ERROR")
    for noise in ("Pydantic serializer warnings", r"coroutine '\w+\.a?\w*completion' was never awaited"):
        warnings.filterwarnings("ignore", message=noise)
    # Looking for garbage again and again among what three thousand modules leave takes a fifth of their import.
    collecting = gc.isenabled()
    gc.disable()
    try:
        import litellm
        from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler, HTTPHandler
        from litellm.llms.openai.common_utils import BaseOpenAILLM
    finally:
        if collecting:
            gc.enable()

    from engine.models.net.http import ground

    ground(AsyncHTTPHandler, HTTPHandler, BaseOpenAILLM)
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    litellm.drop_params = False  # a setting that is silently left out would be stored as if it had been sent
    litellm.num_retries = 0
    return litellm


def _needs_a_key(name: str, missing: Sequence[str]) -> None:
    if missing:
        # litellm lists for Gemini both names that its key may have, of which one will do.
        either = " or ".join(missing) if set(missing) == {*reach.KEYS["gemini"]} else " and ".join(missing)
        raise UsageError(f"Model {name!r} needs a key: set the environment variable {either}.")


def lacking(name: str) -> list[str]:
    """What has to hold the key of this model's provider, where nothing does; empty: that is left to litellm to say,
    whose import takes seconds."""
    provider, slash, _ = name.partition("/")
    if not slash:
        provider = str((prices.listed(name) or {}).get("litellm_provider", ""))
    own = () if provider in reach.KEYLESS else reach.KEYS.get(provider, ())
    if not own or any(os.environ.get(variable, "").strip() for variable in own):
        return []
    return [*own] if provider == "gemini" else [own[0]]


def _provider(name: str) -> tuple[str, str]:
    """A model's name at its provider, and who that is, by litellm. Raises UnknownName."""
    try:
        bare, provider = map(str, loaded().get_llm_provider(name)[:2])
    except Exception:
        # Whoever opens models by name knows more of them, and tells it again.
        raise UnknownName("model", name, ()) from None
    return bare, provider


def _maps(provider: str, bare: str) -> mapping.Maps:
    """What a provider is sent for parameters, sending nothing: by data for OpenAI's chats, else litellm's mapping."""
    if provider == openais.PROVIDER and openais.asked_as(f"{provider}/{bare}") is not None:
        return lambda params: openais.mapped(bare, {"max_tokens": PROBED_TOKENS, **params})

    def maps(params: Mapping[str, Any]) -> Mapping[str, Any] | None:
        try:
            return dict(
                loaded().utils.get_optional_params(
                    model=bare, custom_llm_provider=provider, max_tokens=PROBED_TOKENS, drop_params=False, **params
                )
            )
        except Exception:
            return None

    return maps


def _endpoint_takes(params: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What an endpoint is sent: every word as it is, and no budget of thinking, for which the protocol has none."""
    return None if "thinking" in params else params


def _continues(provider: str, bare: str) -> bool:
    """Whether litellm knows the model to go on with a last turn of the assistant."""
    try:
        return loaded().get_model_info(bare, custom_llm_provider=provider)["supports_assistant_prefill"] is True
    except Exception:
        return False


def _key(declared: ModelSpec) -> str | None:
    if declared.api_key_env is None:
        return None
    key = os.environ.get(declared.api_key_env, "").strip()
    if not key:
        raise UsageError(f"Model {declared.name!r} needs a key: set the environment variable {declared.api_key_env}.")
    return key
