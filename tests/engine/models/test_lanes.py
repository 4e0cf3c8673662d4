"""Two lanes to an endpoint, directly and through litellm: the same request on the wire, the same record of the reply."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from engine.core.errors import BudgetscopeError
from engine.core.records import Completion, Message, Request
from engine.models import open_model
from engine.models.faults import ACCIDENTS
from engine.models.remote import LANE, RemoteModel
from tests.engine.models.test_endpoints import declared
from tests.engine.models.test_faults import request
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


def opened(provider: Provider, table: str) -> RemoteModel:
    model = open_model("m", {"m": declared(f'api_base = "{provider.api_base}"\n{table}')})
    assert isinstance(model, RemoteModel)
    return model


def both(
    provider: Provider, table: str, asked: Request, monkeypatch: pytest.MonkeyPatch, *faults: Fault
) -> list[tuple[Any, Completion | BudgetscopeError]]:
    """What the server was sent and what came of it, directly and through litellm."""
    found: list[tuple[Any, Completion | BudgetscopeError]] = []
    monkeypatch.setenv("PLANTED_KEY", "sk-planted-0123456789")
    for lane in ("", "litellm"):
        monkeypatch.setenv(LANE, lane)
        provider.faults.extend(faults)
        model = opened(provider, table)
        assert model.direct == (lane == "")
        try:
            said: Completion | BudgetscopeError = asyncio.run(model.complete(asked))
        except BudgetscopeError as error:
            said = error
        served = provider.served[-1]
        authorised = {n.lower(): v for n, v in served.headers.items()}.get("authorization")
        found.append(((served.body, authorised), said))
    return found


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_both_put_the_same_json_on_the_wire_and_read_the_same_record(
    provider: Provider, table: str, asked: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sent, said), (other_sent, other_said) = both(provider, table, asked, monkeypatch)
    assert sent == other_sent
    assert isinstance(said, Completion) and isinstance(other_said, Completion)
    assert replace(said, latency_ms=0, created_at=other_said.created_at) == replace(other_said, latency_ms=0)


@pytest.mark.parametrize("accident", STAGED)
def test_an_accident_is_read_alike(provider: Provider, accident: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (_, said), (_, other) = both(provider, "", request(), monkeypatch, Fault(accident))
    assert type(said) is type(other)
    if isinstance(said, Completion) and isinstance(other, Completion):
        assert replace(said, latency_ms=0, created_at=other.created_at) == replace(other, latency_ms=0)
    else:
        assert vars(said) == vars(other), f"{said} | {other}"


def test_an_endpoint_and_the_model_in_the_box_are_asked_without_loading_litellm(provider: Provider) -> None:
    code = f"""
import asyncio, sys
from engine.models import open_model
from engine.models.declared import ModelSpec
from tests.engine.models.test_faults import request
model = open_model("m", {{"m": ModelSpec("m", "{provider.api_base}")}})
assert asyncio.run(model.complete(request())).text
assert "litellm" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
