"""Two lanes to an endpoint, directly and through litellm: the same request on the wire, the same record of the reply."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.core.errors import BudgetscopeError, ProviderError, UsageError
from engine.core.records import Completion, Message, Request
from engine.models import open_model, openais, prices, reach
from engine.models.declared import ModelSpec
from engine.models.faults import ACCIDENTS, OUTCOMES
from engine.models.openais import HEADERS
from engine.models.remote import LANE, RemoteModel, lacking, loaded
from engine.models.settings import Settings
from engine.runs import run_dir, worker
from engine.runs.run_dir import Status
from tests.engine.models.test_endpoints import declared
from tests.engine.models.test_faults import request
from tests.engine.runs.test_worker import asked_twice, prepared, quiet, study_text
from tests.support.faults import Fault
from tests.support.provider import Provider, serving

STAGED = sorted(set(ACCIDENTS) - {"refused_connection", "hang", "drip"})
ASKED: dict[str, Request] = {
    "plain": request(),
    "several turns": replace(request(), messages=(Message("system", "Be brief."), Message("user", "2 + 3?"))),
    "stop strings": replace(request(), params=(("stop", '["END", "\\n"]'), ("temperature", 0.0))),
    "begun": replace(request(), messages=(Message("user", "2 + 3?"), Message("assistant", "The sum is"))),
    "any text": replace(request(), messages=(Message("user", "\u00e9 \U0001f4a5 \x00 </s> \u2028 'x' \\"),)),
    "a smaller cap": replace(request(), sent_tokens=17),
}
TABLES = {
    "bare": "",
    "sampling": "top_p = 0.9\ntop_k = 40\nmin_p = 0.05\nrepetition_penalty = 1.1",
    "temperature": "temperature = 1",
    "effort": 'reasoning_effort = "low"',
    "wire": 'rename = { max_tokens = "max_completion_tokens" }\nomit = ["seed"]\nextra = { priority = 3, deep = { a = [1] } }',
    "goes on": "continues = true",
    "a key": 'api_key_env = "PLANTED_KEY"',
}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serving() as one:
        yield one


OPENAI = {
    "gpt-4o-mini": {},
    "openai/gpt-4.1": {"settings": Settings(top_p=0.9, temperature=0.2), "continues": True},
    "openai/gpt-5-mini": {"settings": Settings(reasoning_effort="low", temperature=1.0)},
    "gpt-5.1": {"settings": Settings(reasoning_effort="none", top_p=0.5)},
    "openai/o3-mini": {"settings": Settings(reasoning_effort="high", temperature=1.0)},
    "o1": {"omit": ["temperature"]},
    "openai/gpt-5-search-api": {"omit": ["temperature"]},
    "openai/of-tomorrow": {"rename": {"max_tokens": "max_completion_tokens"}, "extra": {"metadata": {"a": "b"}}},
}
"""Names of OpenAI's own models, with what a study may set of them."""


def at_openai(provider: Provider, name: str, monkeypatch: pytest.MonkeyPatch) -> RemoteModel:
    """One of OpenAI's own models, whose name leads to the server of the test."""
    monkeypatch.setenv("OPENAI_BASE_URL", provider.api_base)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789")
    model = open_model("m", {"m": ModelSpec("m", model=name, **OPENAI.get(name, {}))})  # type: ignore[arg-type]
    assert isinstance(model, RemoteModel)
    return model


def opened(provider: Provider, table: str) -> RemoteModel:
    model = open_model("m", {"m": declared(f'api_base = "{provider.api_base}"\n{table}')})
    assert isinstance(model, RemoteModel)
    return model


def both(
    provider: Provider,
    asked: Request,
    monkeypatch: pytest.MonkeyPatch,
    opening: Callable[[], RemoteModel],
    *faults: Fault,
) -> list[tuple[Any, Completion | BudgetscopeError]]:
    """What the server was sent (None: nothing) and what came of it, directly and through litellm."""
    found: list[tuple[Any, Completion | BudgetscopeError]] = []
    monkeypatch.setenv("PLANTED_KEY", "sk-planted-0123456789")
    for lane in ("", "litellm"):
        monkeypatch.setenv(LANE, lane)
        provider.faults.extend(faults)
        before, model = len(provider.served), opening()
        assert model.direct == (lane == "")
        try:
            said: Completion | BudgetscopeError = asyncio.run(model.complete(asked))
        except BudgetscopeError as error:
            said = error
        assert len(provider.served) <= before + 1, "a hidden retry"
        sent: Any = None
        if len(provider.served) > before:
            served = provider.served[-1]
            who = {name.lower(): value for name, value in served.headers.items()}
            sent = (served.body, *(who.get(name) for name in ("authorization", *map(str.lower, HEADERS.values()))))
        found.append((sent, said))
    return found


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_both_put_the_same_json_on_the_wire_and_read_the_same_record(
    provider: Provider, table: str, asked: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sent, said), (other_sent, other_said) = both(provider, asked, monkeypatch, lambda: opened(provider, table))
    assert sent == other_sent
    assert isinstance(said, Completion) and isinstance(other_said, Completion)
    assert replace(said, latency_ms=0, created_at=other_said.created_at) == replace(other_said, latency_ms=0)


@pytest.mark.parametrize("accident", STAGED)
def test_an_accident_is_read_alike(provider: Provider, accident: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (_, said), (_, other) = both(provider, request(), monkeypatch, lambda: opened(provider, ""), Fault(accident))
    assert type(said) is type(other)
    if isinstance(said, Completion) and isinstance(other, Completion):
        assert replace(said, latency_ms=0, created_at=other.created_at) == replace(other, latency_ms=0)
    else:
        assert vars(said) == vars(other), f"{said} | {other}"


@pytest.mark.parametrize("name", OPENAI)
@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_a_model_of_openais_own_is_asked_alike(
    provider: Provider, name: str, asked: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = at_openai(provider, name, monkeypatch).temperature
    # As a run asks it: a temperature of the study stands in place of the strategy's.
    params = {**dict(asked.params), **({} if own is None else {"temperature": own})}
    asked = replace(asked, params=tuple(sorted(params.items())))
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-ours")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-of-ours")
    (sent, said), (other_sent, other_said) = both(
        provider, asked, monkeypatch, lambda: at_openai(provider, name, monkeypatch)
    )
    assert sent == other_sent
    assert type(said) is type(other_said)
    if isinstance(said, Completion) and isinstance(other_said, Completion):
        assert replace(said, latency_ms=0, created_at=other_said.created_at) == replace(other_said, latency_ms=0)
    else:
        # What a model does not take is refused before anything is sent.
        assert sent is None
        assert isinstance(said, ProviderError) and isinstance(other_said, ProviderError)
        assert (said.kind, said.usage) == (other_said.kind, other_said.usage) == ("refused", None)


MENDED = {"bool_usage", "not_gzip"}
"""What OpenAI's own client, below litellm, makes something else of: a 1 of true, a lost connection of bad packing."""


# Said once and passed over in a run; see `remote`.
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize("accident", STAGED)
def test_an_accident_at_openai_is_read_alike(
    provider: Provider, accident: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (_, said), (_, other) = both(
        provider, request(), monkeypatch, lambda: at_openai(provider, "gpt-4o-mini", monkeypatch), Fault(accident)
    )
    kind = said.kind if isinstance(said, ProviderError) else "kept"
    listed = ACCIDENTS[accident]
    assert kind == ("kept" if OUTCOMES[listed].end == "finished" else listed)
    if accident in MENDED:
        return
    assert type(said) is type(other)
    if isinstance(said, Completion) and isinstance(other, Completion):
        assert replace(said, latency_ms=0, created_at=other.created_at) == replace(other, latency_ms=0)
    elif isinstance(said, ProviderError) and isinstance(other, ProviderError):
        assert (said.kind, said.usage, said.retry_after_s) == (other.kind, other.usage, other.retry_after_s)


def test_every_chat_of_openais_list_is_worded_as_litellm_words_it() -> None:
    litellm = loaded()
    efforts: tuple[str | None, ...] = (None, "none", "minimal", "low", "medium", "high", "xhigh")
    tried: list[dict[str, Any]] = [{"stop": ["a"]}, {"top_p": 0.5, "stop": ["a"]}, {"thinking": {"type": "enabled"}}]
    for effort in efforts:
        own = {} if effort is None else {"reasoning_effort": effort}
        tried += [{**own, **more} for more in ({}, {"temperature": 0.7}, {"temperature": 1.0}, {"top_p": 0.5})]
    chats = [name for name in litellm.model_cost if openais.asked_as(name) == name]
    assert len(chats) > 60 and {"gpt-4o", "gpt-5.1", "o3"} <= {*chats}
    for name in (*chats, "of-tomorrow", "gpt-5.7-of-tomorrow", "o9-of-tomorrow"):
        if name in chats:
            assert litellm.get_llm_provider(name)[:2] == (name, "openai")
        assert litellm.get_llm_provider(f"openai/{name}")[:2] == (name, "openai")
        takes = litellm.get_supported_openai_params(name, custom_llm_provider="openai")
        assert openais.takes_seed(name) == ("seed" in takes), name
        for params in tried:
            try:
                theirs = litellm.utils.get_optional_params(
                    model=name, custom_llm_provider="openai", max_tokens=99, drop_params=False, **params
                )
            except litellm.UnsupportedParamsError:
                theirs = None
            else:
                theirs = {word: value for word, value in theirs.items() if word not in ("stream", "extra_body")}
            assert openais.mapped(name, {"max_tokens": 99, **params}) == theirs, (name, params)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("gpt-4o", "gpt-4o"),
        ("openai/gpt-4o", "gpt-4o"),
        ("openai/of-tomorrow", "of-tomorrow"),
        ("of-tomorrow", None),
        ("azure/gpt-4o", None),
        ("openrouter/openai/gpt-4o", None),
        ("gpt-5-pro", None),
        ("ft:gpt-4o-2024-08-06", None),
        ("openai/", None),
        ("claude-sonnet-4-5", None),
        ("text-embedding-3-small", None),
    ],
)
def test_openais_own_chats_are_known_by_name(name: str, model: str | None) -> None:
    assert openais.asked_as(name) == model


def test_the_variable_forces_either_way_and_says_where_there_is_none(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-planted-0123456789")
    for way, direct in (("", True), ("direct", True), ("litellm", False), (" LiteLLM ", False)):
        monkeypatch.setenv(LANE, way)
        assert opened(provider, "").direct == direct
        assert at_openai(provider, "gpt-4o-mini", monkeypatch).direct == direct
    monkeypatch.setenv(LANE, "direct")
    with pytest.raises(UsageError, match="'anthropic/claude-sonnet-4-5' is asked through litellm alone"):
        open_model("anthropic/claude-sonnet-4-5", {})
    monkeypatch.setenv(LANE, "litellm")
    with pytest.raises(UsageError, match="'m' has several addresses, which are asked directly alone"):
        several = declared(f'api_base = ["{provider.api_base}", "http://127.0.0.1:9/v1"]')
        open_model("m", {"m": several})
    monkeypatch.setenv(LANE, "fast")
    with pytest.raises(UsageError, match="BUDGETSCOPE_LANE takes direct or litellm, not 'fast'"):
        opened(provider, "")


@pytest.mark.parametrize(("first", "second"), [("direct", "litellm"), ("litellm", "direct")])
@pytest.mark.parametrize("where", ["an endpoint", "openai"])
def test_a_study_begun_on_one_lane_goes_on_with_the_other_and_pays_for_nothing_twice(
    tmp_path: Path, where: str, first: str, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(latency_s=0.02) as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.api_base)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789")
        own = f'api_base = "{provider.api_base}", ' if where == "an endpoint" else ""
        model = f'{{name = "gpt-4o-mini", {own}parallel = 4, prices = {{input = 1.0, output = 2.0}}}}'
        text = study_text(tmp_path, model, count=4, more="[ceiling]\nusd = 1.0")
        monkeypatch.setenv(LANE, first)
        run, provider.sends = prepared(tmp_path, text), 1

        def stop_in_flight(now: Status) -> None:
            if now.state == "stopping":
                provider.release()
            elif len(provider.waiting) == 4:
                run_dir.request_stop(run)

        assert worker.run(run, stop_in_flight).state == "stopped"
        begun = len(provider.served)
        monkeypatch.setenv(LANE, second)
        assert worker.run(run, quiet).state == "finished"
        whole = len(provider.served)
        assert 0 < begun < whole and asked_twice(provider) == 0
        # A second run of the study finds all of it bought, by whichever lane.
        again = prepared(tmp_path, text)
        assert worker.run(again, quiet).state == "finished"
        assert len(provider.served) == whole


def test_what_is_refused_by_data_alone_litellm_would_refuse_too(monkeypatch: pytest.MonkeyPatch) -> None:
    litellm = loaded()
    for variable in {each for own in reach.KEYS.values() for each in own}:
        monkeypatch.delenv(variable, raising=False)
    for provider, own in reach.KEYS.items():
        missing = sorted(litellm.validate_environment(f"{provider}/m")["missing_keys"])
        assert sorted(lacking(f"{provider}/m")) == ([] if provider in reach.KEYLESS else missing), provider
        monkeypatch.setenv(own[-1], "k")
        assert not lacking(f"{provider}/m")
        monkeypatch.delenv(own[-1])
    providers = {getattr(each, "value", each) for each in litellm.provider_list}
    assert {provider for provider in providers if not prices.may_be_known(f"{provider}/m")} == set()
    for name in ("gpt-4o-mimi", "of-tomorrow", "opnai/gpt-4o", "claude-of-tomorrow", "x/y/z"):
        assert not prices.may_be_known(name)
        with pytest.raises(litellm.BadRequestError):
            litellm.get_llm_provider(name)
    names = {name for name in {*litellm.model_cost, *litellm.model_list_set} if not prices.may_be_known(name)}
    for name in names:
        with pytest.raises(litellm.BadRequestError):
            litellm.get_llm_provider(name)


def test_endpoints_and_openais_own_models_are_asked_without_loading_litellm(provider: Provider) -> None:
    code = """
import asyncio, sys
from engine.core.errors import UsageError
from engine.models import open_model, prepare
from engine.models.declared import ModelSpec
from engine.models.settings import Settings
from engine.runs import run_dir, worker
from engine.runs.run_dir import Status
from tests.engine.models.test_faults import request

async def asked(model):
    done = await model.complete(request())
    await model.close()
    return done

for spec in (
    ModelSpec("m", "{base}", settings=Settings(reasoning_effort="low")),
    ModelSpec("m", model="gpt-4o-mini"),
    ModelSpec("m", model="openai/gpt-5-mini", settings=Settings(reasoning_effort="low"), omit=["temperature"]),
):
    model = open_model("m", {{"m": spec}})
    assert asyncio.run(asked(model)).text
for name, why in (("groq/m", "GROQ_API_KEY"), ("gpt-4o-mimi", "'gpt-4o-mini'"), ("opnai/gpt-4o", "'openai/gpt-4o'")):
    prepare([ModelSpec(name)])
    try:
        open_model(name, {{}})
    except UsageError as error:
        assert why in str(error), error
assert "litellm" not in sys.modules and "openai" not in sys.modules
"""
    environment = {**os.environ, "OPENAI_API_KEY": "sk-x", "OPENAI_BASE_URL": provider.api_base, LANE: ""}
    environment.pop("GROQ_API_KEY", None)
    code = code.format(base=provider.api_base)
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, env=environment)
