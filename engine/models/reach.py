"""Where a session of the dashboard may send a request, and which key may go along: the server's owner decides.

Who types a command is the owner and goes anywhere. A page is given a `Reach`, and so is every process it starts, by a
variable of the environment: providers at their own hosts with their own keys, the endpoints the owner listed, and from
a server on loopback what needs no key. Opens no connection; looks a name up once, so that what was checked is asked.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import msgspec

from engine.core import toml
from engine.core.errors import UsageError
from engine.core.toml import Text
from engine.models.declared import ModelSpec, key_variable
from engine.models.net.address import DEFAULTS, checked_url, elsewhere, host

VARIABLE = "BUDGETSCOPE_REACH"
"""Holds the reach of a process that a page started, as JSON; where it is not set, the owner acts."""
KEYS: dict[str, tuple[str, ...]] = {
    "openai": ("OPENAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "mistral": ("MISTRAL_API_KEY",),
    "codestral": ("CODESTRAL_API_KEY",),
    "groq": ("GROQ_API_KEY",),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "xai": ("XAI_API_KEY",),
    "openrouter": ("OPENROUTER_API_KEY", "OR_API_KEY"),
    "together_ai": ("TOGETHERAI_API_KEY", "TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHER_AI_TOKEN"),
    "fireworks_ai": ("FIREWORKS_AI_API_KEY", "FIREWORKS_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"),
    "perplexity": ("PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"),
    "cohere": ("COHERE_API_KEY", "CO_API_KEY"),
    "cohere_chat": ("COHERE_API_KEY", "CO_API_KEY"),
    "ai21": ("AI21_API_KEY",),
    "cerebras": ("CEREBRAS_API_KEY",),
    "sambanova": ("SAMBANOVA_API_KEY",),
    "nvidia_nim": ("NVIDIA_NIM_API_KEY",),
    "deepinfra": ("DEEPINFRA_API_KEY",),
    "novita": ("NOVITA_API_KEY",),
    "nebius": ("NEBIUS_API_KEY",),
    "moonshot": ("MOONSHOT_API_KEY",),
    "azure": ("AZURE_API_KEY",),
    "ollama": ("OLLAMA_API_KEY",),
    "ollama_chat": ("OLLAMA_API_KEY",),
}
"""Variables of a provider's own keys, by provider as litellm names it; others go where the owner lists them."""
KEYLESS = frozenset({"cohere_chat", "sambanova", "azure", "ollama", "ollama_chat"})
"""Of these, those that litellm does not hold to a key alone: it goes in by other ways, or none is needed."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint the owner listed."""

    name: Text
    url: Text
    key: Text | None = None
    """The variable whose value may be sent there; None: none."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What a page may reach besides the providers' own hosts."""

    loopback: bool
    """The server listens on loopback alone: what needs no key may be asked on this machine and in public."""
    endpoints: tuple[Endpoint, ...] = ()


def current() -> Reach | None:
    """The reach of this process; None: the owner's own command, which goes anywhere. Raises UsageError."""
    text = os.environ.get(VARIABLE)
    if text is None:
        return None
    try:
        # Set but unreadable must not mean free: the process was started by a page, and refuses.
        return msgspec.json.decode(text, type=Reach)
    except msgspec.DecodeError:
        raise UsageError(f"{VARIABLE} is unreadable, so nothing may be asked; start the dashboard again.") from None


def variable(reach: Reach) -> dict[str, str]:
    """The reach as the environment of a process holds it."""
    return {VARIABLE: msgspec.json.encode(asdict(reach)).decode()}


def listed(option: str) -> Endpoint:
    """An endpoint as a command line lists it: NAME=URL or NAME=URL,KEY_VAR. Raises UsageError, repeating no value."""
    name, equals, rest = option.partition("=")
    url, comma, key = rest.partition(",")
    if not name.strip() or not equals or (comma and not key.strip()):
        raise UsageError("--allow-endpoint takes NAME=URL or NAME=URL,KEY_VAR, such as lab=http://10.0.0.5:8000/v1.")
    return _checked(Endpoint(name.strip(), url.strip(), key.strip() or None), "--allow-endpoint")


def read(path: Path) -> tuple[Endpoint, ...]:
    """The endpoints a file lists, each an [[endpoints]] table with name, url and perhaps key. Raises UsageError."""
    top = toml.Table(str(path), "", toml.parse(toml.read(path), str(path)))
    # A misspelt table would otherwise list nothing and say nothing.
    top.known(("endpoints",))
    tables = top.tables("endpoints", lambda _: ("name", "url", "key"))
    return tuple(_checked(table.fields(Endpoint), table.place) for table in tables)


def _checked(endpoint: Endpoint, place: str) -> Endpoint:
    checked_url(endpoint.url, endpoint.name)
    if endpoint.key is not None:
        key_variable(endpoint.key, place)
    return endpoint


def check_endpoint(spec: ModelSpec, reach: Reach) -> bool:
    """Whether an endpoint may be asked only where `addresses_of` finds it; else its owner named it.

    Raises UsageError where it must not be asked at all; its sentence says what the owner would have to do."""
    assert spec.api_base is not None
    at, key = checked_url(spec.api_base, spec.name), spec.api_key_env
    for endpoint in reach.endpoints:
        # Listed with a key is leave for that key alone; another variable falls through to the refusals below.
        if _same(urlsplit(endpoint.url), at) and key in (None, endpoint.key):
            return False
    if key is not None:
        # A provider's own key may go to its own host without being listed: that is where it belongs.
        if any(key in own and _is_at(provider, at) for provider, own in KEYS.items()):
            return False
        raise UsageError(
            f"Model {spec.name!r} may not send {key} to {host(at)} from the dashboard: {_owner(spec, key)}."
        )
    if not reach.loopback:
        raise UsageError(
            f"Model {spec.name!r} may not be asked at {host(at)} by a dashboard that others can reach: {_owner(spec)}."
        )
    if not _is_localhost(at):
        # Names are looked up when they are asked (`addresses_of`), since what they mean may change until then.
        _check_public(spec, at, _numeric(at))
        if not _is_usual(at.hostname or ""):
            raise UsageError(
                f"Model {spec.name!r} may not be asked from the dashboard, because {host(at)} is no usual way to write "
                "a host: write a name in plain letters (xn--… for others), or an address like 203.0.113.7."
            )
    return True


def check_provider(name: str, provider: str, key: str | None, reach: Reach) -> None:
    """Raises UsageError where a provider's model must not be asked, or not with this variable's key."""
    moved = elsewhere(provider)
    # litellm takes a name with :// for the address itself, with some of its providers.
    if "://" in name or (moved is None and provider not in DEFAULTS):
        raise UsageError(
            f"Models of {provider!r} may not be asked from the dashboard, because their address is not known: the "
            f"server's owner would have to name it in {provider.upper().replace('-', '_')}_API_BASE, or run the study "
            "in a terminal."
        )
    local = any(where.startswith("localhost") for where in DEFAULTS.get(provider, ()))
    if moved is None and local and not reach.loopback:
        raise UsageError(
            f"Models of {provider!r} may not be asked on this machine by a dashboard that others can reach: the "
            f"server's owner would have to set {provider.upper()}_API_BASE."
        )
    if key is not None and key not in KEYS.get(provider, ()):
        own = " or ".join(KEYS.get(provider, ())) or "none"
        raise UsageError(
            f"Model {name!r} may not be sent {key} from the dashboard: the keys of {provider} are {own}, and any other "
            "goes only where the server's owner lists it (--allow-endpoint NAME=URL,KEY_VAR)."
        )


def check_study(models: tuple[ModelSpec, ...], reach: Reach) -> None:
    """Raises UsageError for the first declared model that a page must not ask, as far as it shows without a look-up."""
    for spec in models:
        if spec.api_base is not None:
            for one in addressed(spec):
                check_endpoint(one, reach)
        # A provider's own variable is checked with its address when the model is opened; here it is about foreign ones.
        elif (key := spec.api_key_env) is not None and not any(key in own for own in KEYS.values()):
            check_provider(spec.model or spec.name, (spec.model or spec.name).partition("/")[0], key, reach)


def addressed(spec: ModelSpec) -> list[ModelSpec]:
    """An endpoint of several addresses as endpoints of one each, the first one first."""
    return [replace(spec, api_base=url, replicas=()) for url in (spec.api_base, *spec.replicas)]


def addresses_of(spec: ModelSpec) -> tuple[str, ...]:
    """The only addresses at which an endpoint is asked, looked up now. Raises UsageError for what is not to be asked.

    A name is looked up once, and every address it has must be a public one: what answers differently a moment later
    is never asked again."""
    assert spec.api_base is not None
    at = checked_url(spec.api_base, spec.name)
    try:
        found = socket.getaddrinfo(at.hostname, at.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"Model {spec.name!r} cannot be reached: {host(at)} has no address ({getattr(error, 'strerror', error)})."
        ) from None
    # Once each, in the resolver's order, which is the one a client would try them in.
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    if not _is_localhost(at):
        _check_public(spec, at, addresses)
    elif not all(ipaddress.ip_address(each).is_loopback for each in addresses):
        raise UsageError(f"Model {spec.name!r} may not be asked: localhost is another machine here.")
    return tuple(addresses)


def _check_public(spec: ModelSpec, at: SplitResult, addresses: list[str]) -> None:
    if not all(map(_is_public, addresses)):
        raise UsageError(
            f"Model {spec.name!r} may not be asked from the dashboard, because {host(at)} is an address inside a "
            f"network: {_owner(spec)}."
        )


def _owner(spec: ModelSpec, key: str | None = None) -> str:
    more = f",{key}" if key else ""
    return f"the server's owner would have to start it with --allow-endpoint '{spec.name}={spec.api_base}{more}'"


def _same(listed: SplitResult, at: SplitResult) -> bool:
    return (listed.scheme, host(listed), listed.path.rstrip("/")) == (at.scheme, host(at), at.path.rstrip("/"))


def _is_at(provider: str, at: SplitResult) -> bool:
    """Whether an address is where a provider's key belongs: its own hosts by https, or where the owner put it."""
    moved = elsewhere(provider)
    if moved is not None:
        return _same(urlsplit(moved.url), at)
    return at.scheme == "https" and host(at) in DEFAULTS.get(provider, ())


def _is_localhost(at: SplitResult) -> bool:
    """Whether a host is this machine in its usual spelling; 2130706433 and ::ffff:127.0.0.1 are not."""
    name = (at.hostname or "").lower()
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    # Mapped into IPv6 it is loopback too, but an address in disguise is nobody's usual spelling.
    return address.is_loopback and getattr(address, "ipv4_mapped", None) is None


def _is_usual(name: str) -> bool:
    """Whether a host is written so that whoever looks it up and whoever connects read the same: in capitals, wide
    letters, with leading zeros or a last dot, one may see a name where the other sees an address."""
    with suppress(ValueError):
        ipaddress.ip_address(name)
        return True
    labels = name.lower().removesuffix(".").split(".")
    return all(re.fullmatch("[a-z0-9_-]{1,63}", each) for each in labels) and re.search("[a-z]", labels[-1]) is not None


def _numeric(at: SplitResult) -> list[str]:
    """The addresses of a host that is written in numbers, in any of their forms, with no look-up; empty: a name."""
    try:
        found = socket.getaddrinfo(at.hostname, at.port or 443, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return []
    return [str(each[4][0]) for each in found]


def _is_public(address: str) -> bool:
    """Whether an address is one of the whole internet; what is packed into an IPv6 address counts as itself."""
    # What follows a per cent sign is the name of an interface.
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        # NAT64: the last four bytes are an IPv4 address, and the router goes there.
        translated = ip in ipaddress.ip_network("64:ff9b::/96")
        inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if translated else None
        inner = inner or ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is not None:
            return _is_public(str(inner))
    # Python counts some multicast addresses among the global ones, and what IPv6 has reserved or had for sites of their
    # own, which lies in a network too.
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or getattr(ip, "is_site_local", False))
