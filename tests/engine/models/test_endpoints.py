"""Endpoints as they are: fields by other names, addresses and proxies of the environment, models with their own ways."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboard.data import studies
from engine.core.errors import ProviderError, UnknownName, UsageError
from engine.core.records import Message, Request
from engine.models import notices, open_model
from engine.models.declared import ModelSpec
from engine.models.net.address import elsewhere
from engine.models.remote import RemoteModel, loaded
from engine.study.schema import as_json, parse
from tests.support.provider import Provider, free_port, serving

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789")
    for name in [*os.environ]:
        if name.upper() in PROXIES or name.endswith(("_API_BASE", "_BASE_URL")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serving() as one:
        yield one


def request() -> Request:
    params = (("stop", '["END"]'), ("temperature", 0.7))
    return Request("m", (Message("user", "What is 2 + 3?"),), params, 64, 0, 0, key="k", seed=7)


def declared(table: str) -> ModelSpec:
    text = f'name = "s"\nbudgets = [9]\ntasks = ["gym:chain_sum"]\nstrategies = ["direct"]\n[[models]]\nname = "m"\n{table}'
    study = parse(text, "a study")
    assert as_json(study)["models"][0]["name"] == "m"
    return study.models[0]


def opened(spec: ModelSpec) -> RemoteModel:
    model = open_model("m", {"m": spec})
    assert isinstance(model, RemoteModel)
    return model


WIRE = """rename = { max_tokens = "max_completion_tokens" }
omit = ["temperature", "seed"]
extra = { chat_template_kwargs = { thinking = false }, priority = 3 }
"""


@pytest.mark.parametrize("own_route", [False, True], ids=["endpoint", "provider"])
def test_fields_are_renamed_left_out_and_added_as_the_table_says(
    provider: Provider, own_route: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", provider.api_base)
    where = 'model = "openai/gpt-4o-mini"' if own_route else f'api_base = "{provider.api_base}"'
    done = asyncio.run(opened(declared(f"{where}\n{WIRE}")).complete(request()))
    body = provider.served[-1].body
    assert done.text and body["max_completion_tokens"] == 64 and body["stop"] == ["END"]
    assert not {"max_tokens", "temperature", "seed", "extra_body"} & body.keys()
    assert (body["chat_template_kwargs"], body["priority"]) == ({"thinking": False}, 3)


def test_the_form_keeps_what_a_table_says_of_the_wire(provider: Provider) -> None:
    told = declared(f'api_base = "{provider.api_base}"\nfinish = "lenient"\n{WIRE}')
    table = studies.model_table(told)
    assert (table["finish"], table["omit"]) == ("lenient", ["temperature", "seed"])
    assert (table["rename"], table["extra"]) == (told.rename, told.extra)


def test_what_is_sent_otherwise_is_another_model_and_what_is_not_keeps_its_identity(provider: Provider) -> None:
    where = f'api_base = "{provider.api_base}"\n'
    plain, other = opened(declared(where)), opened(declared(where + WIRE))
    host = provider.url.removeprefix("http://")
    assert plain.setting.identity == f"openai/m@{host}/v1"
    assert other.setting.identity == (
        f"openai/m@{host}/v1{{omit=seed+temperature,rename=max_tokens>max_completion_tokens,"
        'extra={"chat_template_kwargs":{"thinking":false},"priority":3}}'
    )


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('rename = { max_token = "x" }', "max_tokens"),
        ('rename = { max_tokens = "a b" }', "no name|a name that is none"),
        ('omit = ["max_tokens"]', "temperature|omit"),
        ("extra = { n = 4 }", "must not hold n"),
        ("extra = { max_completion_tokens = 4 }", "rename it"),
        ('extra = { api_key = "hunter2hunter2" }', "api_key_env"),
        ("extra = { when = 2026-01-01 }", "JSON"),
        ('rename = { seed = "x" }\nomit = ["seed"]', "keep one"),
        ('rename = { seed = "x" }\nextra = { x = 1 }', "one name"),
        ('finish = "lenien"', "lenient"),
    ],
)
def test_what_would_hide_what_is_billed_or_cannot_be_sent_is_refused(line: str, says: str) -> None:
    with pytest.raises((UsageError, UnknownName), match=says) as caught:
        declared(f'api_base = "http://h/v1"\n{line}')
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["openai/o3-mini", "openai/gpt-5", "o4-mini"])
def test_a_reasoning_model_named_plainly_is_refused_before_the_start_with_the_line_to_add(name: str) -> None:
    with pytest.raises(UsageError, match=r"set (temperature = 1|omit = \[\"temperature\"\]) in its \[\[models\]\]"):
        open_model(name, {})
    assert open_model("m", {"m": declared(f'model = "{name}"\ntemperature = 1')}).temperature == 1
    assert open_model("openai/gpt-4o-mini", {}).setting.identity == "openai/gpt-4o-mini"


def test_a_reasoning_model_at_openais_own_endpoint_is_refused_with_the_lines_to_add() -> None:
    where = 'api_base = "https://api.openai.com/v1"\nmodel = "o3"\n'
    with pytest.raises(UsageError, match=r"rename = \{ max_tokens .* and temperature = 1"):
        opened(declared(where))
    lines = 'rename = { max_tokens = "max_completion_tokens" }\ntemperature = 1'
    assert opened(declared(where + lines))
    assert opened(declared('api_base = "http://gateway.example/v1"\nmodel = "o3"')), "a gateway may take what it likes"


@pytest.mark.parametrize("variable", ["OPENAI_BASE_URL", "OPENAI_API_BASE"])
def test_an_address_of_the_environment_is_another_model_without_the_list_price_and_is_said(
    provider: Provider, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = open_model("openai/gpt-4o-mini", {})
    monkeypatch.setenv(variable, f" {provider.api_base} ")
    moved = open_model("openai/gpt-4o-mini", {})
    assert usual.setting.price is not None and notices([usual]) == []
    host = provider.url.removeprefix("http://")
    assert moved.setting.identity == f"openai/gpt-4o-mini@{host}/v1" and moved.setting.price is None
    (said,) = notices([moved])
    assert variable in said and host in said and "price is unknown" in said
    assert asyncio.run(moved.complete(request())).text, "spaces around it are trimmed"
    assert asyncio.run(moved.probe()) is None
    monkeypatch.setenv(variable, "https://api.openai.com/v1/")
    assert open_model("openai/gpt-4o-mini", {}).setting == usual.setting


def test_a_password_in_an_address_of_the_environment_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://me:hunter2@gateway.example/v1?key=hunter2")
    model = open_model("openai/gpt-4o-mini", {})
    assert isinstance(model, RemoteModel)
    assert "hunter2" not in " ".join((model.setting.identity, model.place, *notices([model])))
    monkeypatch.setenv("OPENAI_BASE_URL", "hunter2")
    with pytest.raises(UsageError, match="OPENAI_BASE_URL") as caught:
        open_model("openai/gpt-4o-mini", {})
    assert "hunter2" not in str(caught.value)


def test_a_clouds_own_address_keeps_its_list_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_API_KEY", "x" * 20)
    monkeypatch.setenv("AZURE_API_VERSION", "2024-10-21")
    monkeypatch.setenv("AZURE_API_BASE", "https://mine.openai.azure.com")
    model = open_model("azure/gpt-4o-mini", {})
    assert model.setting.identity == "azure/gpt-4o-mini@mine.openai.azure.com" and model.setting.price is not None


SERVICES = [
    "RUNWAYML",
    "FAL_AI",
    "FAL_AI_QUEUE",
    "SEARXNG",
    "SEARCHAPI",
    "PARALLEL_AI",
    "GOOGLE_PSE",
    "YOUCOM",
    "TAVILY",
    "STABILITY",
    "SONIOX",
    "SERPER",
    "RECRAFT",
    "NIMBLE",
    "LINKUP",
    "FIRECRAWL",
    "EXA",
    "ELEVENLABS",
    "DATAFORSEO",
    "CYBERARK",
    "CRW",
    "BRAVE",
    "BFL",
    "APISERPENT",
    "VOYAGE",
    "TOPAZ",
    "QDRANT",
    "PG_VECTOR",
    "OPEN_SANDBOX",
    "NVIDIA_RIVA",
    "MILVUS",
    "LOGFIRE",
    "INFINITY",
    "EU_JEV",
    "DUCKDUCKGO",
    "DEEPGRAM",
    "AZURE_SPEECH",
    "A2A",
    "TINYFISH",
    "TYPESAFE",
    "SCALEDOWN",
    "PHOENIX_COLLECTOR_HTTP",
    "ARIZE",
    "BING_GROUNDING_PROJECT",
    "STRANDS_DECIDER",
    "DEFAULT",
    "NACE",
]
"""Search, sound, pictures, vectors, traces: what no chat model is asked through."""
APART = ("ALEPH_ALPHA_", "ANTHROPIC_AWS_", "ANYSCALE_", "DEEPSEEK_ANTHROPIC_", "OPENAI_CHATGPT_", "TENCENT_ANTHROPIC_")
"""Providers litellm lists no more, a login, and ways that speak Anthropic's messages: none is how a model is opened."""


def read_by_litellm() -> set[str]:
    """Every variable litellm looks for an address in, by its source."""
    root = Path(loaded().__file__).parent
    paths = [*(root / "llms").rglob("*.py"), root / "main.py", root / "litellm_core_utils/get_llm_provider_logic.py"]
    said = re.compile(r"(?:get_secret(?:_str)?|getenv|environ\.get)\(\s*[\"']([A-Z0-9_]+_(?:API_BASE|BASE_URL))[\"']")
    return {name for path in paths for name in said.findall(path.read_text("utf-8"))}


def test_every_address_litellm_reads_for_a_chat_model_is_part_of_an_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    providers = [str(getattr(each, "value", each)) for each in loaded().provider_list]
    missed = set()
    for variable in read_by_litellm():
        monkeypatch.setenv(variable, "https://elsewhere.example/v1")
        moved = [at.where for name in providers if (at := elsewhere(name)) is not None]
        monkeypatch.delenv(variable)
        if not moved and not variable.startswith((*APART, *(f"{service}_" for service in SERVICES))):
            missed.add(variable)
    assert missed == set()


def test_every_address_that_litellm_has_a_variable_for_in_its_table_is_part_of_an_identity(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = json.loads((Path(loaded().__file__).parent / "llms/openai_like/providers.json").read_text("utf-8"))
    named = {name: row["api_base_env"] for name, row in table.items() if row.get("api_base_env")}
    named |= {"watsonx": "WML_URL", "watsonx_text": "WX_URL", "anthropic_text": "ANTHROPIC_API_BASE"}
    missed = set()
    for provider, variable in named.items():
        monkeypatch.setenv(variable, "https://elsewhere.example/v1")
        if elsewhere(provider) is None:
            missed.add(provider)
        monkeypatch.delenv(variable)
    assert missed == set() and len(named) > 20


def test_the_proxy_of_the_environment_is_what_must_be_reached(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = ModelSpec("m", "http://far.example.invalid/v1 ")
    monkeypatch.setenv("HTTP_PROXY", provider.url)
    assert asyncio.run(opened(far).probe()) is None, "the proxy is there, and knows the rest"
    monkeypatch.setenv("HTTP_PROXY", f"http://me:hunter2@127.0.0.1:{free_port()}")
    said = asyncio.run(opened(far).probe())
    assert said is not None and "proxy" in said and "HTTP_PROXY" in said and "hunter2" not in said
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert asyncio.run(opened(ModelSpec("m", provider.api_base)).probe()) is None


def test_a_call_through_a_dead_proxy_was_never_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ProviderError, match="proxy") as caught:
        asyncio.run(opened(ModelSpec("m", "http://far.example.invalid/v1")).complete(request()))
    assert caught.value.kind == "connection"


def test_a_space_after_an_address_is_trimmed(provider: Provider) -> None:
    model: Any = opened(ModelSpec("m", f"{provider.api_base} "))
    assert model.api_base == provider.api_base and asyncio.run(model.probe()) is None
    assert asyncio.run(model.complete(request())).text
