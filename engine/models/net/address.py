"""Where an endpoint is: its URL checked, shown and looked up, whether a study or the environment names it.

Opens a connection to see whether anybody is there, sends nothing, and knows no model.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from engine.core.errors import UsageError

ALIASES: dict[str, tuple[str, ...]] = {
    "vertex_ai": ("VERTEXAI", "VERTEX"),
    "vertex_ai_beta": ("VERTEXAI", "VERTEX"),
    "huggingface": ("HF",),
    "fireworks_ai": ("FIREWORKS",),
    "featherless_ai": ("FEATHERLESS",),
    "friendliai": ("FRIENDLI",),
    "lambda_ai": ("LAMBDA",),
    "xai": ("XAI_OAUTH",),
    "volcengine": ("ARK",),
    "bedrock": ("AWS_BEDROCK_RUNTIME",),
    "bedrock_converse": ("AWS_BEDROCK_RUNTIME", "BEDROCK"),
    "mistral": ("MISTRAL_AZURE",),
    "azure_text": ("AZURE",),
    "gradient_ai": ("GRADIENT_AI_AGENT",),
    "custom_openai": ("OPENAI",),
    "sagemaker": ("AWS_SAGEMAKER_RUNTIME",),
    "meta_llama": ("LLAMA",),
    "watsonx": ("WATSONX", "WX", "WML"),
    "watsonx_text": ("WATSONX", "WX", "WML"),
    "anthropic_text": ("ANTHROPIC",),
    "tensormesh": ("TENSORMESH_SERVERLESS",),
    "scx-ai": ("SCX",),
}
"""Further beginnings of variables, by provider as litellm names it."""
SUFFIXES = ("_BASE_URL", "_API_BASE", "_API_BASE_URL", "_ENDPOINT", "_URL")
"""Ends of variables in which litellm looks for a provider's address; OpenAI's first name is the first of them."""
DEFAULTS: dict[str, tuple[str, ...]] = {
    "openai": ("api.openai.com",),
    "anthropic": ("api.anthropic.com",),
    "gemini": ("generativelanguage.googleapis.com",),
    "mistral": ("api.mistral.ai",),
    "codestral": ("codestral.mistral.ai",),
    "groq": ("api.groq.com",),
    "deepseek": ("api.deepseek.com",),
    "xai": ("api.x.ai",),
    "openrouter": ("openrouter.ai",),
    "together_ai": ("api.together.ai", "api.together.xyz"),
    "fireworks_ai": ("api.fireworks.ai",),
    "perplexity": ("api.perplexity.ai",),
    "cohere": ("api.cohere.ai", "api.cohere.com"),
    "cohere_chat": ("api.cohere.ai", "api.cohere.com"),
    "ai21": ("api.ai21.com",),
    "cerebras": ("api.cerebras.ai",),
    "sambanova": ("api.sambanova.ai",),
    "nvidia_nim": ("integrate.api.nvidia.com",),
    "deepinfra": ("api.deepinfra.com",),
    "novita": ("api.novita.ai",),
    "nebius": ("api.studio.nebius.ai",),
    "moonshot": ("api.moonshot.ai",),
    "ollama": ("localhost:11434",),
    "ollama_chat": ("localhost:11434",),
}
"""Hosts a provider is asked at where no variable says otherwise; named by one, they change nothing."""
OWN_HOSTS = (".azure.com", ".amazonaws.com", ".googleapis.com", ".cloud.ibm.com", ".databricks.com")
"""Ends of hosts of clouds that bill a customer's own address by their list."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An address the environment gives a provider."""

    variable: str
    url: str
    """As it is asked, spaces trimmed; may hold a password, so it is never shown."""
    where: str
    """Host, port and path, as identities and sentences hold them."""
    listed: bool
    """The provider's own list price holds there."""


def elsewhere(provider: str) -> Elsewhere | None:
    """The address a variable of the environment gives a provider; None: none does, or it is the provider's own.

    Raises UsageError for one that is no address, naming the variable alone.
    """
    stem = re.sub(r"^text-completion-|_chat$", "", provider).replace("-", "_").upper()
    for beginning in (stem, *ALIASES.get(provider, ())):
        for suffix in SUFFIXES if stem == "OPENAI" else (SUFFIXES[1], SUFFIXES[0], *SUFFIXES[2:]):
            url = os.environ.get(f"{beginning}{suffix}", "").strip()
            if not url:
                continue
            try:
                at = urlsplit(url)
                usable = at.scheme in ("http", "https") and bool(at.hostname) and at.port != 0
            except ValueError:
                usable = False
            if not usable:
                raise UsageError(f"The address in {beginning}{suffix} must look like https://host/v1.")
            if host(at) in DEFAULTS.get(provider, ()):
                return None
            cloud = (at.hostname or "").lower().endswith(OWN_HOSTS)
            return Elsewhere(f"{beginning}{suffix}", url, f"{host(at)}{at.path.rstrip('/')}", cloud)
    return None


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


async def trouble(api_base: str, place: str, named: str = "api_base", addresses: Sequence[str] = ()) -> str | None:
    """One sentence if nobody can be reached at all, else None; sends nothing and costs nothing.

    Where the environment names a proxy for the address, calls go there, so it is the proxy that must be reached.
    `named`: what holds the address. `addresses`: the only ones it is asked at, past any proxy; none: its name's.
    """
    import asyncio

    at = urlsplit(api_base.strip())
    proxy = None if addresses else proxy_of(at)
    where = at if proxy is None else proxy
    why = ""
    for name in addresses or (where.hostname,):
        try:
            async with asyncio.timeout(5):  # seconds; a firewall that drops packets would let us wait for minutes
                _, writer = await asyncio.open_connection(name, where.port or _default_port(where))
        except (OSError, TimeoutError) as error:
            why = "nobody answered in time" if isinstance(error, TimeoutError) else (error.strerror or "no such host")
        else:
            writer.close()
            return None
    if proxy is not None:
        return (
            f"{place} cannot be reached: the proxy at {host(proxy)} that HTTP_PROXY or HTTPS_PROXY names does not "
            f"answer ({why.lower()}); mend it, or list the host in NO_PROXY."
        )
    return f"{place} cannot be reached ({why.lower()}): is the server running, and is {named} right?"


def proxy_of(at: SplitResult) -> SplitResult | None:
    """The proxy the environment names for an address; None: none, or one that is no address."""
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    named = proxies.get(at.scheme) or proxies.get("all")
    if not named or proxy_bypass(at.netloc.rpartition("@")[2]):
        return None
    try:
        proxy = urlsplit(named if "://" in named else f"http://{named}")
        return proxy if proxy.hostname and proxy.port != 0 and proxy.scheme in ("http", "https") else None
    except ValueError:
        return None


def _default_port(at: SplitResult) -> int:
    return 443 if at.scheme == "https" else 80
